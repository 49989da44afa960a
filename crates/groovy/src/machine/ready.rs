//! What has to run before a class or a script can be used.

use std::rc::Rc;

use super::ScriptId;
use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::value::{Class, InitState, Value};

impl Vm<'_> {
    /// Makes sure that the static initialiser of a class has run.
    pub(super) fn ready(&self, class: &Rc<Class>) -> Result<(), Fault> {
        let mut next = Some(class);
        while let Some(class) = next {
            if let Some(script) = &class.script
                && script.state.get() == InitState::Pending
            {
                return Err(Fault::Init(class.clone()));
            }
            next = class.superclass.as_ref();
        }
        Ok(())
    }

    /// Sets the fields of a script, before the instruction that needs them runs again.
    pub(super) fn set_script_fields(&mut self, id: ScriptId) -> Step {
        let Some(script) = self.world.scripts.get(id.0 as usize) else { return Ok(Flow::Switch) };
        let (init, this) = (script.init.borrow_mut().take(), script.object.clone());
        if let Some(init) = init {
            let at = self.f.stack.len();
            self.push_frame(init, this, None, at, at, u64::MAX, Landing::Again)?;
        }
        Ok(Flow::Switch)
    }

    /// Runs the static initialiser of a class.
    pub(super) fn initialise(&mut self, class: &Rc<Class>) -> Step {
        let Some(script) = &class.script else { return Ok(Flow::Switch) };
        script.state.set(InitState::Done);
        if let Some(func) = script.static_init.clone() {
            let at = self.f.stack.len();
            self.push_frame(func, Value::Class(class.clone()), None, at, at, u64::MAX, Landing::Again)?;
        }
        Ok(Flow::Switch)
    }
}
