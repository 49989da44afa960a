//! `cofferdam-launcher`: started by a driver from a sealed memory file, with the socket to it as standard input.

use std::process::ExitCode;

fn main() -> ExitCode {
    match launcher::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("cofferdam-launcher: {fault}");
            ExitCode::FAILURE
        }
    }
}
