//! Init where it is started as a program rather than by a launcher in the same process.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::ExitCode;

use crate::{InitConfig, Stream, quirk, run};

const EXIT_USAGE: u8 = 64;

/// Serves what the arguments name: `--fd N` an open descriptor above the standard ones, `--stdin` standard input, `--stdio` standard
/// input and standard output, `--port PATH` a character device. `--root-capabilities BITS` is [`InitConfig::root_capabilities`].
pub fn program(arguments: impl Iterator<Item = String>) -> ExitCode {
    match parse(arguments) {
        Ok((stream, config)) => {
            quirk::make_up();
            run(stream, config)
        }
        Err(Refused::Usage) => eprintln!(
            "usage: cofferdam-init --fd N | --stdin | --stdio | --port PATH [--root-capabilities BITS]   (as process 1 of a PID namespace)"
        ),
        Err(Refused::Stream(what, error)) => eprintln!("cofferdam-init: {what}: {error}"),
    }
    ExitCode::from(EXIT_USAGE)
}

enum Refused {
    Usage,
    Stream(String, io::Error),
}

/// The standard streams themselves are about to be replaced.
fn copied(what: &str, fd: BorrowedFd<'_>) -> Result<OwnedFd, Refused> {
    fd.try_clone_to_owned().map_err(|error| Refused::Stream(what.into(), error))
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(Stream, InitConfig), Refused> {
    let mut stream = None;
    let mut config = InitConfig::default();
    while let Some(option) = arguments.next() {
        if option == "--stdin" {
            stream = Some(Stream::Both(copied("standard input", io::stdin().as_fd())?));
            continue;
        }
        if option == "--stdio" {
            let input = copied("standard input", io::stdin().as_fd())?;
            stream = Some(Stream::Pair { input, output: copied("standard output", io::stdout().as_fd())? });
            continue;
        }
        let value = arguments.next().ok_or(Refused::Usage)?;
        match option.as_str() {
            "--fd" => {
                let number = value.parse().ok().filter(|number| *number > 2).ok_or(Refused::Usage)?;
                // SAFETY: whoever starts this program hands the descriptor over; nothing here has opened one of that number.
                stream = Some(Stream::Both(unsafe { OwnedFd::from_raw_fd(number) }));
            }
            "--port" => {
                let opened = OpenOptions::new().read(true).write(true).open(&value);
                let opened = opened.map_err(|error| Refused::Stream(format!("open {value}"), error))?;
                stream = Some(Stream::Both(opened.into()));
            }
            "--root-capabilities" => config.root_capabilities = value.parse().map_err(|_| Refused::Usage)?,
            _ => return Err(Refused::Usage),
        }
    }
    Ok((stream.ok_or(Refused::Usage)?, config))
}
