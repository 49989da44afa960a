//! `cofferdam-launcher`: started by a driver from a sealed memory file, with the socket to it as standard input; or by the kernel
//! of a virtual machine as its first process; or, under the name of init or from a folder of
//! that name, by whatever else makes a place for a sandbox.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().next().is_some_and(|name| Path::new(&name).starts_with(launcher::protocol::INIT)) {
        return init::program(std::env::args().skip(1));
    }
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
