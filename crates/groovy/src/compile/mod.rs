//! Syntax tree → bytecode. Locals become slots here; every other name is looked up when it runs.

mod function;

pub use function::{Capture, Function, FunctionKind, Handler, Op, Parameter, Site, Type};
