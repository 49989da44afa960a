//! `cofferdam-init`, where it is started as a program: `cofferdam-init --fd N` serves an open descriptor,
//! `cofferdam-init --port PATH` a character device (the serial port of a virtual machine).

use std::fs::OpenOptions;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitCode;

const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let stream = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--fd"), Some(number)) => match number.parse::<i32>() {
            // SAFETY: whoever starts this program hands the descriptor over; nothing here has opened one of that number.
            Ok(number) if number > 2 => unsafe { OwnedFd::from_raw_fd(number) },
            _ => return usage(),
        },
        (Some("--port"), Some(path)) => match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(port) => port.into(),
            Err(error) => {
                eprintln!("cofferdam-init: open {path}: {error}");
                return ExitCode::from(EXIT_USAGE);
            }
        },
        _ => return usage(),
    };
    init::run(stream, init::InitConfig::default())
}

fn usage() -> ExitCode {
    eprintln!("usage: cofferdam-init --fd N | --port PATH   (as the first process of a PID namespace)");
    ExitCode::from(EXIT_USAGE)
}
