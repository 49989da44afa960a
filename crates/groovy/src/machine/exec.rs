//! The loop that runs a fiber. Fast instructions work right here; the others go through [`Vm::slow`], which leaves the
//! operands on the stack until it has succeeded, so that an instruction can run again (see `need`).

use std::rc::Rc;

use super::ScriptId;
use super::fiber::{Fiber, Frame, Landing, Start};
use super::host::{Host, HostCall, Stepped};
use super::limits::{LimitExceeded, LimitKind};
use super::need::{Fault, Memo};
use super::world::{Ctx, World};
use crate::ast::{BinaryOp, Text};
use crate::compile::{Function, Op, Type};
use crate::span::Span;
use crate::value::{Value, Variable};

/// A fiber while it runs.
pub(crate) struct Vm<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) f: &'a mut Fiber,
}

/// What an instruction asks of the loop.
pub(crate) enum Flow {
    /// The next one.
    Next,
    /// Another frame is on top now, or the program counter of this one was changed.
    Switch,
    /// Leave the loop.
    Stop(Box<Stepped>),
}

pub(crate) type Step = Result<Flow, Fault>;

impl Vm<'_> {
    pub(super) fn run(&mut self) -> Stepped {
        let first = self.begin();
        let mut flow = self.settle(first);
        loop {
            if let Some(Flow::Stop(stepped)) = flow {
                return *stepped;
            }
            if self.world.fuel == 0 {
                return self.limit(LimitKind::Fuel);
            }
            let slice = u64::from(self.world.limits.slice).min(self.world.fuel);
            let mut left = slice as u32;
            let step = self.frame_loop(&mut left);
            if self.world.charged > 0 {
                self.shorten(&mut left);
            }
            self.world.fuel = self.world.fuel.saturating_sub(slice - u64::from(left));
            let out_of_slice = left == 0 && matches!(step, Ok(Flow::Switch));
            if out_of_slice && self.world.fuel > 0 {
                return Stepped::Slice;
            }
            flow = self.settle(step);
        }
    }

    /// Enters the fiber: its first call, or the answer it waited for.
    fn begin(&mut self) -> Step {
        match std::mem::replace(&mut self.f.start, Start::Running) {
            Start::Running => {}
            Start::Script(id) => {
                if let Some(Err(exception)) = self.f.incoming.take() {
                    return Err(Fault::Throw(exception));
                }
                return self.start_script(id);
            }
            Start::Call { callee, args } => return self.enter(callee, "call".into(), args),
            Start::Method { receiver, name, args } => return self.enter(receiver, name, args),
        }
        match self.f.incoming.take() {
            Some(Ok(value)) => {
                self.f.waiting = false;
                self.f.stack.push(value);
                Ok(Flow::Switch)
            }
            Some(Err(exception)) => {
                self.f.waiting = false;
                Err(Fault::Throw(exception))
            }
            None => Ok(Flow::Switch),
        }
    }

    /// A call that the host asked for.
    fn enter(&mut self, receiver: Value, name: Text, args: Vec<Value>) -> Step {
        if let Some(Err(exception)) = self.f.incoming.take() {
            return Err(Fault::Throw(exception));
        }
        let entry = self.world.prelude.entry();
        self.push_frame(entry, Value::Null, None, 0, 0, u64::MAX, Landing::Push)?;
        self.f.stack.extend([receiver, Value::str(&*name), Value::list(args)]);
        Ok(Flow::Switch)
    }

    fn start_script(&mut self, id: ScriptId) -> Step {
        let Some(script) = self.world.scripts.get(id.0 as usize) else { return Ok(Flow::Switch) };
        let (body, this) = (script.body.clone(), script.object.clone());
        let init = script.init.borrow_mut().take();
        self.f.stack.push(Value::Null);
        self.push_frame(body, this.clone(), None, 1, 0, u64::MAX, Landing::Push)?;
        if let Some(init) = init {
            let top = self.f.stack.len();
            self.push_frame(init, this, None, top, top, u64::MAX, Landing::Discard)?;
        }
        Ok(Flow::Switch)
    }

    /// Deals with what an instruction that did not simply succeed left: exceptions, questions, the end of the fiber.
    fn settle(&mut self, mut step: Step) -> Option<Flow> {
        // A question may lead to the next question or exception; each round runs an instruction or ends the fiber.
        for _ in 0..10_000 {
            step = match step {
                Ok(Flow::Next | Flow::Switch) if self.f.frames.is_empty() => {
                    let value = self.f.stack.pop().unwrap_or_default();
                    return Some(Flow::Stop(Box::new(Stepped::Finished(value))));
                }
                Ok(flow) => return Some(flow),
                Err(Fault::Limit(what)) => return Some(Flow::Stop(Box::new(self.limit(what)))),
                Err(Fault::Throw(value)) => match self.unwind(value) {
                    Some(thrown) => match self.ask_message(&thrown) {
                        Some(step) => step,
                        None => return Some(Flow::Stop(Box::new(Stepped::Threw(thrown)))),
                    },
                    None => return Some(Flow::Switch),
                },
                Err(Fault::Need(need)) => {
                    self.again();
                    self.answer(*need)
                }
                Err(Fault::Init(class)) => {
                    self.again();
                    self.initialise(&class)
                }
                Err(Fault::Global(name, class)) => {
                    self.again();
                    match self.ready(&class) {
                        Err(Fault::Init(class)) => self.initialise(&class),
                        _ => self.make_global(name, &class),
                    }
                }
                Err(Fault::Fields(script)) => {
                    self.again();
                    self.set_script_fields(script)
                }
            };
        }
        Some(Flow::Stop(Box::new(self.limit(LimitKind::Fuel))))
    }

    /// Lets the instruction that just stopped run again.
    fn again(&mut self) {
        if let Some(frame) = self.f.frames.last_mut() {
            frame.pc = frame.pc.saturating_sub(1);
        }
    }

    pub(super) fn limit(&mut self, what: LimitKind) -> Stepped {
        let limits = &self.world.limits;
        let limit = match what {
            LimitKind::Fuel => limits.fuel,
            LimitKind::Heap => limits.heap_bytes as u64,
            LimitKind::CallDepth => limits.call_depth as u64,
            LimitKind::StringLength => limits.string_bytes as u64,
            LimitKind::Digits => crate::value::decimal::DIGITS_MAX,
        };
        let (span, script) = self.place();
        Stepped::Limit(LimitExceeded { what, limit, span, script })
    }

    /// Where the script is: the innermost frame that is not the library's.
    pub(crate) fn place(&self) -> (Span, ScriptId) {
        let frame = self.f.frames.iter().rev().find(|f| !f.func.library);
        frame.map_or_else(Default::default, |f| (frame_span(f), f.func.script))
    }

    pub(crate) fn ctx(&mut self) -> Ctx<'_> {
        let depth = self.f.frames.len();
        Ctx { world: self.world, host: self.host, memo: &self.f.memo, memo_at: &self.f.memo_at, depth }
    }

    /// Stores what an instruction asked for, so that it finds it when it runs again.
    pub(super) fn remember(&mut self, need: super::need::Need, value: Value) {
        let depth = self.f.frames.len();
        // The instruction runs again from its beginning, and is told all that it was told before.
        let before = self.f.memo.iter().rev().take_while(|m| m.depth == depth).count();
        self.world.charge(before);
        self.f.memo_at.set(self.f.memo.len() - before);
        self.f.memo.push(Memo { depth, need, value });
    }

    /// An instruction is done: its answers are void.
    pub(super) fn forget(&mut self) {
        if !self.f.memo.is_empty() {
            let depth = self.f.frames.len();
            self.f.memo.retain(|m| m.depth < depth);
            self.f.memo_at.set(self.f.memo.len());
        }
    }

    /// Pushes a frame whose arguments are on the stack from `base`, in the order of the parameters.
    #[expect(clippy::too_many_arguments, reason = "a frame is these things")]
    pub(super) fn push_frame(
        &mut self,
        func: Rc<Function>,
        this: Value,
        closure: Option<Rc<crate::value::Closure>>,
        base: usize,
        bottom: usize,
        given: u64,
        landing: Landing,
    ) -> Result<(), Fault> {
        if self.f.frames.len() >= self.world.limits.call_depth {
            return Err(Fault::Limit(LimitKind::CallDepth));
        }
        let top = base + func.locals as usize;
        if top * size_of::<Value>() > self.world.limits.heap_bytes {
            return Err(Fault::Limit(LimitKind::Heap));
        }
        self.f.stack.resize(top, Value::Null);
        let shared = (0..func.shared).map(|_| Rc::new(Variable::default())).collect();
        self.f.frames.push(Frame { func, pc: 0, base, bottom, this, closure, shared, given, landing });
        Ok(())
    }

    /// Runs until the slice is over or something needs [`Vm::settle`].
    fn frame_loop(&mut self, left: &mut u32) -> Step {
        'frames: loop {
            let Some(frame) = self.f.frames.last() else { return Ok(Flow::Switch) };
            let func = frame.func.clone();
            let (base, mut pc) = (frame.base, frame.pc);
            loop {
                let op = func.code[pc];
                if *left == 0 {
                    // Others get their turn only between two rounds of a loop: `n++` is never cut in two.
                    let between = matches!(op, Op::Jump(to) if to as usize <= pc);
                    self.world.fuel = self.world.fuel.saturating_sub(1);
                    if between || self.world.fuel == 0 {
                        self.save(pc);
                        return Ok(Flow::Switch);
                    }
                } else {
                    *left -= 1;
                }
                pc += 1;
                if self.fast(op, &func, base, &mut pc) {
                    continue;
                }
                self.save(pc);
                let step = self.slow(op, &func, base);
                let work = self.world.meter.take_work();
                if work > 0 {
                    self.world.charge(work);
                }
                match step {
                    Ok(Flow::Next) => {
                        self.forget();
                        if self.world.charged > 0 {
                            self.shorten(left);
                        }
                        if self.world.meter.used() > self.world.limits.heap_bytes {
                            return Err(Fault::Limit(LimitKind::Heap));
                        }
                    }
                    Ok(Flow::Switch) => {
                        if self.world.charged > 0 {
                            self.shorten(left);
                        }
                        if self.f.frames.is_empty() {
                            return Ok(Flow::Switch);
                        }
                        continue 'frames;
                    }
                    other => return other,
                }
            }
        }
    }

    /// Takes work of the library from the slice. The fuel for it was taken already, and [`Vm::run`] takes what is gone from the slice.
    fn shorten(&mut self, left: &mut u32) {
        let cut = u32::try_from(std::mem::take(&mut self.world.charged)).unwrap_or(u32::MAX).min(*left);
        *left -= cut;
        if self.world.fuel > 0 {
            self.world.fuel = self.world.fuel.saturating_add(u64::from(cut));
        }
    }

    fn save(&mut self, pc: usize) {
        if let Some(frame) = self.f.frames.last_mut() {
            frame.pc = pc;
        }
    }

    /// Runs an instruction that can neither fail nor call; answers whether it was one.
    #[inline(always)]
    fn fast(&mut self, op: Op, func: &Function, base: usize, pc: &mut usize) -> bool {
        let stack = &mut self.f.stack;
        match op {
            Op::Load(n) => {
                let value = stack[base + n as usize].clone();
                stack.push(value);
            }
            Op::Store(n) => {
                if let Some(value) = stack.pop() {
                    stack[base + n as usize] = value;
                }
            }
            Op::Int(n) => stack.push(Value::Int(n)),
            Op::Const(n) => stack.push(func.consts[n as usize].clone()),
            Op::Null => stack.push(Value::Null),
            Op::True => stack.push(Value::Bool(true)),
            Op::False => stack.push(Value::Bool(false)),
            Op::Pop => drop(stack.pop()),
            Op::Dup => {
                let value = stack.last().cloned().unwrap_or_default();
                stack.push(value);
            }
            Op::Jump(to) => *pc = to as usize,
            Op::JumpFalse(to) | Op::JumpTrue(to) => {
                let Some(Value::Bool(b)) = stack.last() else { return false };
                if *b == matches!(op, Op::JumpTrue(_)) {
                    *pc = to as usize;
                }
                stack.pop();
            }
            Op::JumpNull(to) => {
                if stack.last().is_none_or(Value::is_null) {
                    *pc = to as usize;
                }
            }
            Op::JumpNotLess(to) => {
                let [.., Value::Int(a), Value::Int(b)] = stack[..] else { return false };
                stack.truncate(stack.len() - 2);
                if a >= b {
                    *pc = to as usize;
                }
            }
            Op::IncLocal { slot, by } => {
                let Value::Int(n) = &mut stack[base + slot as usize] else { return false };
                *n = n.wrapping_add(by);
            }
            Op::Binary(op) => return fast_binary(stack, op),
            Op::Coerce(n) => {
                let fits = (&func.types[n as usize], stack.last());
                return matches!(fits, (Type::Primitive("int"), Some(Value::Int(_))));
            }
            Op::Swap => {
                let top = stack.len();
                stack.swap(top - 1, top - 2);
            }
            _ => return self.fast_variable(op),
        }
        true
    }

    #[inline(always)]
    fn fast_variable(&mut self, op: Op) -> bool {
        let Some(frame) = self.f.frames.last_mut() else { return false };
        let stack = &mut self.f.stack;
        match op {
            Op::LoadShared(n) => stack.push(frame.shared[n as usize].0.borrow().clone()),
            Op::StoreShared(n) => {
                let value = stack.pop().unwrap_or_default();
                drop(frame.shared[n as usize].0.replace(value));
            }
            Op::FreshShared(n) => frame.shared[n as usize] = Rc::new(Variable::default()),
            Op::LoadCaptured(n) => {
                let Some(closure) = &frame.closure else { return false };
                stack.push(closure.captured[n as usize].0.borrow().clone());
            }
            Op::StoreCaptured(n) => {
                let Some(closure) = &frame.closure else { return false };
                let value = stack.pop().unwrap_or_default();
                drop(closure.captured[n as usize].0.replace(value));
            }
            Op::This => stack.push(frame.this.clone()),
            Op::Tuck => {
                let top = stack.len();
                let value = stack[top - 1].clone();
                stack.insert(top - 2, value);
            }
            Op::TuckUnderPair => {
                let top = stack.len();
                let value = stack[top - 1].clone();
                stack.insert(top - 3, value);
            }
            Op::DupPair => {
                let top = stack.len();
                let (a, b) = (stack[top - 2].clone(), stack[top - 1].clone());
                stack.extend([a, b]);
            }
            _ => return false,
        }
        true
    }

    /// A call of the host: the fiber waits.
    pub(super) fn suspend(&mut self, call: HostCall) -> Flow {
        self.f.waiting = true;
        Flow::Stop(Box::new(Stepped::Call(call)))
    }
}

pub(super) fn frame_span(frame: &Frame) -> Span {
    frame.func.spans.get(frame.pc.saturating_sub(1)).copied().unwrap_or_default()
}

/// Arithmetic and comparisons of ints.
#[inline(always)]
fn fast_binary(stack: &mut Vec<Value>, op: BinaryOp) -> bool {
    let [.., Value::Int(a), Value::Int(b)] = stack[..] else { return false };
    let result = match op {
        BinaryOp::Add => Value::Int(a.wrapping_add(b)),
        BinaryOp::Sub => Value::Int(a.wrapping_sub(b)),
        BinaryOp::Mul => Value::Int(a.wrapping_mul(b)),
        BinaryOp::Mod if b != 0 => Value::Int(a.wrapping_rem(b)),
        BinaryOp::Less => Value::Bool(a < b),
        BinaryOp::LessEq => Value::Bool(a <= b),
        BinaryOp::Greater => Value::Bool(a > b),
        BinaryOp::GreaterEq => Value::Bool(a >= b),
        BinaryOp::Eq => Value::Bool(a == b),
        BinaryOp::NotEq => Value::Bool(a != b),
        BinaryOp::BitAnd => Value::Int(a & b),
        BinaryOp::BitOr => Value::Int(a | b),
        BinaryOp::BitXor => Value::Int(a ^ b),
        _ => return false,
    };
    stack.pop();
    if let Some(top) = stack.last_mut() {
        *top = result;
    }
    true
}
