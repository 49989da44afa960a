//! `cofferdam-init` as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    init::program(std::env::args().skip(1))
}
