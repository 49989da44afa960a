//! Groovy 2.4 as Jenkins embeds it: text → tokens → [`ast`] with spans → bytecode → a machine of fibers with explicit
//! stacks. Knows nothing of CI: names that a script does not define are asked of a host.
//!
//! Never: I/O, clocks, randomness, recursion on the native stack that a script can drive, unbounded work (fuel) or memory
//! (heap limit). Start reading at [`ast`], then `parser`, then `machine`.

pub mod ast;
mod checks;
pub mod compile;
pub mod diagnostic;
mod lexer;
mod library;
pub mod limits;
pub mod machine;
pub mod outside;
pub mod parser;
pub mod span;
pub mod stack;
pub mod value;

pub use parser::{Parsed, parse};
