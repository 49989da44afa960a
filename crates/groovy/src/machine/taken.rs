//! Calls that the host answers: those of its own, and those that it takes before an object's own methods.

use std::rc::Rc;

use super::exec::{Step, Vm};
use super::fiber::Landing;
use super::host::HostCall;
use super::need::Fault;
use crate::ast::Text;
use crate::value::{HostRef, List, Map, Str, Value};

/// How much of what the host is given is looked through for texts that methods of the script make.
const TOLD_MAX: usize = 10_000;

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
            } else if let Some(told) = self.told(&value, &mut TOLD_MAX.clone(), &mut joined)? {
                self.f.stack[i] = told;
            }
        }
        let (span, script) = self.place();
        let mut args = self.f.stack.split_off(base);
        let named = if named && !args.is_empty() { Some(args.remove(0)) } else { None };
        self.f.stack.truncate(at);
        self.wait_for(HostCall { target: None, receiver, name, named, args, joined, span, script }, at, landing)
    }

    /// Gives a property of an object of the host a value, and of an object with a text of its own that text. `None`: there is no such one.
    pub(super) fn set_on_host(
        &mut self,
        host: &HostRef,
        name: &str,
        value: &Value,
    ) -> Result<Option<Result<(), Value>>, Fault> {
        let told = match value {
            Value::Object(_) if value.asks_text() => Some(Value::Str(self.ctx().str(value)?)),
            _ => self.told(value, &mut TOLD_MAX.clone(), &mut Vec::new())?,
        };
        Ok(self.host.set_property(Some(host), name, told.as_ref().unwrap_or(value)))
    }

    /// A collection, where a text put together within it can only be known by methods of the script: as it is with those texts. The host,
    /// which cannot ask, has them as they are otherwise.
    fn told(&mut self, value: &Value, left: &mut usize, joined: &mut Vec<Str>) -> Result<Option<Value>, Fault> {
        let Some(rest) = left.checked_sub(1) else { return Ok(None) };
        *left = rest;
        match value {
            Value::GString(_) if value.asks_text() => {
                let text = self.ctx().str(value)?;
                joined.push(text.clone());
                Ok(Some(Value::Str(text)))
            }
            Value::List(list) => {
                let mut items = None;
                for (at, item) in list.snapshot().into_iter().take(*left).enumerate() {
                    if let Some(told) = self.told(&item, left, joined)? {
                        items.get_or_insert_with(|| list.snapshot())[at] = told;
                    }
                }
                Ok(items.map(|items| Value::List(List::new(items, list.kind().clone()).into())))
            }
            Value::Map(map) => {
                let (mut entries, mut is_told) = (Vec::new(), false);
                for (key, value) in (0..map.len().min(*left)).filter_map(|at| map.at(at)) {
                    let (own, told) = (self.told(&key, left, joined)?, self.told(&value, left, joined)?);
                    is_told |= own.is_some() || told.is_some();
                    entries.push((own.unwrap_or(key), told.unwrap_or(value)));
                }
                if !is_told || entries.len() < map.len() {
                    return Ok(None);
                }
                let copy = Map::new(map.kind());
                entries.into_iter().for_each(|(key, value)| drop(copy.put(key, value)));
                Ok(Some(Value::Map(copy.into())))
            }
            _ => Ok(None),
        }
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
