//! The border to whoever runs the machine: quick questions through [`Host`], everything that takes time as [`HostCall`].

use std::rc::Rc;

use super::{LimitExceeded, ScriptId};
use crate::ast::Text;
use crate::outside::Outside;
use crate::span::Span;
use crate::value::{HostRef, Str, TraceLine, Value};

/// Answers the machine's questions. Every method is called in the middle of an instruction and must answer at once.
pub trait Host {
    /// Whether a call of `name` on `receiver` (`None`: unqualified) is the host's. Asked where the script has no method,
    /// closure or class of that name. Yes makes it a [`HostCall`].
    fn has_method(&self, receiver: Option<&HostRef>, name: &str) -> bool {
        let _ = (receiver, name);
        false
    }

    /// Whether an unqualified `name` is one of the host's whatever the objects in question have (a step). Others of its names come behind
    /// what these have: `add(1)` with a list as the delegate.
    fn goes_first(&self, name: &str) -> bool {
        let _ = name;
        true
    }

    /// A property of a host object, or a global name that is neither local nor in the binding. `None`: there is none.
    fn property(&mut self, receiver: Option<&HostRef>, name: &str) -> Option<Result<Value, Value>> {
        let _ = (receiver, name);
        None
    }

    /// The getter of a property of a host object whose reading takes time: it is a [`HostCall`] of that then.
    fn asks(&self, receiver: &HostRef, name: &str) -> Option<&'static str> {
        let _ = (receiver, name);
        None
    }

    /// Sets a property. `None` for a host object: it has no such property; for a global name: it goes to the binding.
    fn set_property(&mut self, receiver: Option<&HostRef>, name: &str, value: &Value) -> Option<Result<(), Value>> {
        let _ = (receiver, name, value);
        None
    }

    /// What a name stands for that is neither a variable nor a class, and that nothing makes up. `None`: it is missing.
    fn unknown_name(&mut self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// `new X(…)` of a class that the script does not declare and the machine does not know. `None`: unknown class.
    fn construct(&mut self, class: &str, args: &[Value]) -> Option<Result<Value, Value>> {
        let _ = (class, args);
        None
    }

    /// A static method, by full class name, that the machine does not know. `None`: unknown.
    fn static_call(&mut self, class: &str, method: &str, args: &[Value]) -> Option<Result<Value, Value>> {
        let _ = (class, method, args);
        None
    }

    /// The object that is asked for the time: its method `now()` answers milliseconds since 1970 as a `Long`. `None`: the
    /// script has no clock.
    fn clock(&self) -> Option<HostRef> {
        None
    }

    /// Where a new source of random numbers starts; each call gives another number. `None`: there is no randomness. What
    /// comes of it is no secret: the host must be able to give the same again.
    fn random_seed(&mut self) -> Option<u64> {
        None
    }

    /// The exception for `what` (a class, or a member of one), which would reach outside of the script. `None`: the
    /// machine's own.
    fn refused(&mut self, what: &str, outside: Outside) -> Option<Value> {
        let _ = (what, outside);
        None
    }

    /// Whether calls of `name` on this object are the host's before they are the object's own methods: a [`HostCall`] with that
    /// target. Asked of each call in a script, so that a test can stand between the script and what it calls. What a fiber starts
    /// with is not asked for: the host makes a call that it has taken with [`super::Machine::start_method`].
    fn takes(&self, target: &Value, name: &str) -> bool {
        let _ = (target, name);
        false
    }

    /// `println` and `print`, with the line break where there is one.
    fn print(&mut self, text: &str);
}

/// A call that the host answers later, with [`super::Machine::resume`].
#[derive(Clone, Debug)]
pub struct HostCall {
    /// The object of a call that [`Host::takes`]. Its arguments are as the script gave them: named ones are a map, the first.
    pub target: Option<Value>,
    /// The host object, or `None` for an unqualified call (and for one on the script itself).
    pub receiver: Option<Rc<HostRef>>,
    /// Name of the method.
    pub name: Text,
    /// Named arguments, as a map.
    pub named: Option<Value>,
    /// The other arguments; a trailing closure is the last.
    pub args: Vec<Value>,
    /// Those of them that the script put together of others (`"a $b"`): they are texts now.
    pub joined: Vec<Str>,
    /// Where the call stands.
    pub span: Span,
    /// In which script.
    pub script: ScriptId,
}

/// An exception that nothing caught.
#[derive(Clone, Debug)]
pub struct Thrown {
    /// The exception object.
    pub value: Value,
    /// Where it was thrown.
    pub span: Span,
    /// In which script.
    pub script: ScriptId,
    /// Calls that led there, innermost first.
    pub trace: Vec<TraceLine>,
}

impl Thrown {
    /// Full class name of the exception.
    pub fn class(&self) -> String {
        self.value.type_name()
    }

    /// What it knows besides, by name.
    pub fn fact(&self, name: &str) -> Option<Value> {
        let Value::Object(o) = &self.value else { return None };
        let facts = o.throwable()?.facts;
        facts.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.clone())
    }

    /// Its message, empty where it has none.
    pub fn message(&self) -> String {
        match &self.value {
            Value::Object(o) => {
                let message = o.throwable().map(|t| t.said().cloned().unwrap_or(t.message)).unwrap_or_default();
                if message.is_null() { String::new() } else { message.to_text() }
            }
            _ => String::new(),
        }
    }
}

/// Why [`super::Machine::run`] returned.
#[derive(Debug)]
pub enum Stepped {
    /// The fiber is done; it is gone.
    Finished(Value),
    /// The fiber ended with an exception; it is gone.
    Threw(Thrown),
    /// The fiber waits for [`super::Machine::resume`].
    Call(HostCall),
    /// Its time slice is over: run it again.
    Slice,
    /// A limit was reached; the fiber is gone.
    Limit(LimitExceeded),
}
