//! Calls that the host answers: those of its own, and those that it takes before an object's own methods.

use std::rc::Rc;

use super::exec::{Step, Vm};
use super::fiber::Landing;
use super::host::HostCall;
use crate::ast::Text;
use crate::value::{HostRef, Value};

impl Vm<'_> {
    /// Whether the host takes a call of `name` on this object from the script. What the machine's own functions call is not taken,
    /// nor what a fiber starts with.
    pub(super) fn takes(&self, target: &Value, name: &str) -> bool {
        self.host.takes(target, name) && self.f.frames.last().is_some_and(|frame| !frame.func.library)
    }

    /// A call that the host takes.
    pub(super) fn call_taken(&mut self, target: Value, at: usize, base: usize, name: Text, landing: Landing) -> Step {
        let (span, script) = self.place();
        let args = self.f.stack.split_off(base);
        self.f.stack.truncate(at);
        let call = HostCall {
            target: Some(target),
            receiver: None,
            name,
            named: None,
            args,
            joined: Vec::new(),
            span,
            script,
        };
        self.wait_for(call, at, landing)
    }

    /// A call that is the host's own: on an object of it, or unqualified.
    pub(super) fn call_host(
        &mut self,
        receiver: Option<Rc<HostRef>>,
        at: usize,
        base: usize,
        name: Text,
        named: bool,
        landing: Landing,
    ) -> Step {
        // What the host gets is text where it is text: a GString with a lazy part is rendered here.
        let mut joined = Vec::new();
        for i in base..self.f.stack.len() {
            let value = self.f.stack[i].clone();
            if let Value::GString(_) = value {
                let text = self.ctx().str(&value)?;
                joined.push(text.clone());
                self.f.stack[i] = Value::Str(text);
            }
        }
        let (span, script) = self.place();
        let mut args = self.f.stack.split_off(base);
        let named = if named && !args.is_empty() { Some(args.remove(0)) } else { None };
        self.f.stack.truncate(at);
        self.wait_for(HostCall { target: None, receiver, name, named, args, joined, span, script }, at, landing)
    }

    /// Waits for the host's answer.
    fn wait_for(&mut self, call: HostCall, at: usize, landing: Landing) -> Step {
        match landing {
            Landing::Push => Ok(self.suspend(call)),
            other => {
                // The answer goes elsewhere than on the stack: a frame that only returns it waits for it.
                let func = self.world.prelude.identity();
                self.push_frame(func, Value::Null, None, at, at, u64::MAX, other)?;
                Ok(self.suspend(call))
            }
        }
    }
}
