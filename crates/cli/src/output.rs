//! Standard output and error that may go away: a closed pipe (`| head`) ends the writing, never the program.
//!
//! The macros have the names of the standard library's on purpose, so that no command can use those, which panic.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Standard output took a write that it did not keep.
static FAILED: AtomicBool = AtomicBool::new(false);

/// As in the standard library, without the panic.
macro_rules! print {
    ($($word:tt)*) => { $crate::output::out(format_args!($($word)*)) };
}

/// As in the standard library, without the panic.
macro_rules! println {
    ($($word:tt)*) => { $crate::output::out(format_args!("{}\n", format_args!($($word)*))) };
}

/// As in the standard library, without the panic.
macro_rules! eprint {
    ($($word:tt)*) => { $crate::output::err(format_args!($($word)*)) };
}

/// As in the standard library, without the panic.
macro_rules! eprintln {
    ($($word:tt)*) => { $crate::output::err(format_args!("{}\n", format_args!($($word)*))) };
}

/// Writes to standard output.
pub fn out(text: Arguments<'_>) {
    let written = io::stdout().lock().write_fmt(text);
    if let Err(error) = written
        // A reader that has seen enough is no failure.
        && error.kind() != ErrorKind::BrokenPipe
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        eprintln!("cannot write standard output: {error}");
    }
}

/// Writes to standard error; there is nobody left to tell when that fails.
pub fn err(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Whether something could not be written, for another reason than a reader that went away.
pub fn failed() -> bool {
    io::stdout().flush().is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) || FAILED.load(Ordering::Relaxed)
}
