//! A fiber: frames and operands on stacks of its own.

use std::cell::Cell;
use std::rc::Rc;

use super::need::{Memo, Need};
use crate::ast::Text;
use crate::compile::Function;
use crate::value::{Class, Closure, Value, Variable};

/// Where the result of a frame goes.
#[derive(Debug)]
pub(crate) enum Landing {
    /// On the caller's stack.
    Push,
    /// Nowhere.
    Discard,
    /// Nowhere; this value goes on the caller's stack instead (a new object).
    Give(Value),
    /// Answers what the caller's instruction asked; it runs again.
    Answer(Box<Need>),
    /// Runs the caller's instruction again.
    Again,
    /// To these closures, one after the other, last first.
    Then(Vec<Value>),
}

/// A running function.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) func: Rc<Function>,
    /// Next instruction.
    pub(crate) pc: usize,
    /// First local on the stack.
    pub(crate) base: usize,
    /// Height of the caller's stack without receiver and arguments.
    pub(crate) bottom: usize,
    pub(crate) this: Value,
    pub(crate) closure: Option<Rc<Closure>>,
    pub(crate) shared: Vec<Rc<Variable>>,
    /// Bit for each parameter that the caller gave.
    pub(crate) given: u64,
    pub(crate) landing: Landing,
}

/// What a fiber does first.
#[derive(Debug)]
pub(crate) enum Start {
    Script(super::ScriptId),
    Call { callee: Value, args: Vec<Value> },
    Method { receiver: Value, name: Text, args: Vec<Value> },
    Running,
}

/// A thread of execution.
#[derive(Debug)]
pub(crate) struct Fiber {
    pub(crate) start: Start,
    pub(crate) frames: Vec<Frame>,
    pub(crate) stack: Vec<Value>,
    pub(crate) memo: Vec<Memo>,
    /// The answer that the instruction will most likely ask for next: they are asked for in the order in which they came.
    pub(crate) memo_at: Cell<usize>,
    /// The classes of the blocks of `use` that run, innermost last.
    pub(crate) used: Vec<Vec<Rc<Class>>>,
    /// The fiber waits for the answer of a host call.
    pub(crate) waiting: bool,
    /// What the host answered, or what was thrown into the fiber.
    pub(crate) incoming: Option<Result<Value, Value>>,
}

impl Fiber {
    pub(crate) fn new(start: Start) -> Fiber {
        Fiber {
            start,
            frames: Vec::new(),
            stack: Vec::new(),
            memo: Vec::new(),
            memo_at: Cell::new(0),
            used: Vec::new(),
            waiting: false,
            incoming: None,
        }
    }
}
