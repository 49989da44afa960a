//! Returning from frames, and leaving them with exceptions.

use super::exec::{Flow, Step, Vm, frame_span};
use super::fiber::Landing;
use super::host::Thrown;
use crate::compile::FunctionKind;
use crate::value::{Native, TraceLine, Value};

/// Lines of a stack trace that are kept.
const TRACE_MAX: usize = 40;

impl Vm<'_> {
    /// The top frame ends with the value on the stack.
    pub(super) fn return_value(&mut self) -> Step {
        let value = self.pop();
        let Some(frame) = self.f.frames.pop() else { return Ok(Flow::Switch) };
        self.f.stack.truncate(frame.bottom);
        if !self.f.memo.is_empty() {
            let depth = self.f.frames.len();
            self.f.memo.retain(|m| m.depth <= depth);
        }
        self.deliver(frame.landing, value)
    }

    /// Hands a result to where it goes. The stack ends where the caller's operands end.
    pub(super) fn deliver(&mut self, landing: Landing, value: Value) -> Step {
        if !matches!(landing, Landing::Answer(_) | Landing::Again) {
            // The instruction that made the call is done.
            self.forget();
        }
        match landing {
            Landing::Push => self.f.stack.push(value),
            Landing::Discard | Landing::Again => {}
            Landing::Give(other) => self.f.stack.push(other),
            Landing::Answer(need) => self.remember(*need, value),
            Landing::Then(mut closures) => {
                let Some(next) = closures.pop() else {
                    self.f.stack.push(value);
                    return Ok(Flow::Switch);
                };
                let at = self.f.stack.len();
                let items = match (&next, &value) {
                    // Of the second closure a list is all arguments where it takes several.
                    (Value::Closure(closure), Value::List(list))
                        if crate::library::maps::parameter_count(closure) > 1 || list.is_object_array() =>
                    {
                        list.snapshot()
                    }
                    _ => vec![value],
                };
                self.world.charge(items.len() / 8);
                self.f.stack.push(next);
                self.f.stack.extend(items);
                let landing = if closures.is_empty() { Landing::Push } else { Landing::Then(closures) };
                self.call_value(at, at + 1, landing)?;
            }
        }
        Ok(Flow::Switch)
    }

    /// Goes to the handler of an exception. `Some`: there is none, the fiber is over.
    pub(super) fn unwind(&mut self, value: Value) -> Option<Thrown> {
        self.fill_trace(&value);
        let (span, script) = match &value {
            Value::Object(o) => match &*o.native.borrow() {
                Native::Throwable(t) if !t.trace.is_empty() => (t.trace[0].span, t.trace[0].script),
                _ => self.place(),
            },
            _ => self.place(),
        };
        while let Some(frame) = self.f.frames.last_mut() {
            let at = frame.pc.saturating_sub(1) as u32;
            let handler = frame.func.handlers.iter().find(|h| h.start <= at && at < h.end).copied();
            if let Some(handler) = handler {
                frame.pc = handler.target as usize;
                let height = frame.base + frame.func.locals as usize;
                self.f.stack.truncate(height);
                self.f.stack.push(value);
                let depth = self.f.frames.len();
                self.f.memo.retain(|m| m.depth < depth);
                return None;
            }
            let bottom = frame.bottom;
            self.f.frames.pop();
            self.f.stack.truncate(bottom);
        }
        let trace = match &value {
            Value::Object(o) => o.throwable().map(|t| t.trace).unwrap_or_default(),
            _ => Vec::new(),
        };
        Some(Thrown { value, span, script, trace })
    }

    /// Lets an exception with a `getMessage` of its own say what whoever reports it is to show; then it is thrown again.
    pub(super) fn ask_message(&mut self, thrown: &Thrown) -> Option<Step> {
        let Value::Object(o) = &thrown.value else { return None };
        if o.throwable()?.said().is_some() {
            return None;
        }
        o.message_method()?;
        o.say(Value::Null);
        let func = self.world.prelude_function(&thrown.value, "$said", 0)?;
        self.f.stack.clear();
        self.f.memo.clear();
        self.f.memo_at.set(0);
        self.f.stack.push(thrown.value.clone());
        let step = self.push_frame(func, Value::Null, None, 0, 0, u64::MAX, Landing::Push);
        Some(step.map(|()| Flow::Switch))
    }

    /// Records where an exception was thrown first.
    fn fill_trace(&mut self, value: &Value) {
        let Value::Object(o) = value else { return };
        let Native::Throwable(t) = &mut *o.native.borrow_mut() else { return };
        if t.thrown {
            return;
        }
        t.thrown = true;
        let frames = self.f.frames.iter().rev().filter(|f| !f.func.library).take(TRACE_MAX);
        t.trace = frames
            .map(|f| {
                let function = match (&f.func.kind, &f.func.around) {
                    (FunctionKind::Closure, Some(around)) => around.clone(),
                    (FunctionKind::Closure, None) => "closure".into(),
                    _ => match &f.func.class {
                        Some(class) => format!("{class}.{}", f.func.name).into(),
                        None => f.func.name.clone(),
                    },
                };
                TraceLine { function, script: f.func.script, span: frame_span(f) }
            })
            .collect();
    }
}
