//! `cofferdam-launcher`: started by a driver from a sealed memory file, with the socket to it as standard input; or by the kernel
//! of a virtual machine as its first process.

use std::process::ExitCode;

fn main() -> ExitCode {
    if launcher::guest::is_first_process() {
        launcher::guest::run();
    }
    match launcher::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("cofferdam-launcher: {fault}");
            ExitCode::FAILURE
        }
    }
}
