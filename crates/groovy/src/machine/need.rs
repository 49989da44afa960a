//! How the library gets answers from the script without calling it.
//!
//! The library never runs script code. Where it needs some (`toString` of an object inside a list, `equals`, `compareTo`,
//! a closure in a GString), the instruction stops with a [`Need`]; the machine calls the method on a frame of its own,
//! keeps the answer as a [`Memo`], and runs the instruction again. So an instruction that may need answers must not have
//! changed anything before it has them all.

use super::limits::LimitKind;
use crate::value::Value;

/// Why an instruction did not finish.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Throws this exception.
    Throw(Value),
    /// Ends the fiber.
    Limit(LimitKind),
    /// Asks the script something first.
    Need(Box<Need>),
    /// Runs the static initialiser of a class first.
    Init(std::rc::Rc<crate::value::Class>),
    /// Sets the fields of a script of a library first.
    Fields(super::ScriptId),
    /// Makes the object first that a variable of a library is.
    Global(crate::ast::Text, std::rc::Rc<crate::value::Class>),
}

/// A method call whose result an instruction needs.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) receiver: Value,
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Value>,
}

impl Need {
    pub(crate) fn answers(&self, receiver: &Value, name: &str, args: &[Value]) -> bool {
        self.name == name
            && self.receiver.same(receiver)
            && self.args.len() == args.len()
            && self.args.iter().zip(args).all(|(a, b)| a.same(b))
    }
}

/// An answer, valid until the instruction that asked has finished.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    /// Number of frames when it was asked.
    pub(crate) depth: usize,
    pub(crate) need: Need,
    pub(crate) value: Value,
}
