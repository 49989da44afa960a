//! Calls that the host answers: those of its own, and those that it takes before an object's own methods.

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::host::HostCall;
use crate::ast::Text;
use crate::value::Value;

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
        let call = HostCall { target: Some(target), receiver: None, name, named: None, args, span, script };
        self.wait_for(call, at, landing)
    }

    /// Waits for the host's answer.
    pub(super) fn wait_for(&mut self, call: HostCall, at: usize, landing: Landing) -> Result<Flow, super::Fault> {
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
