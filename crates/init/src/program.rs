//! Init where it is started as a program rather than by a launcher in the same process.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::ExitCode;

use crate::{InitConfig, run};

const EXIT_USAGE: u8 = 64;

/// Serves what the arguments name: `--fd N` an open descriptor above the standard ones, `--stdin` standard input, `--port PATH` a
/// character device. `--root-capabilities BITS` is [`InitConfig::root_capabilities`].
pub fn program(arguments: impl Iterator<Item = String>) -> ExitCode {
    match parse(arguments) {
        Ok((stream, config)) => run(stream, config),
        Err(Refused::Usage) => eprintln!(
            "usage: cofferdam-init --fd N | --stdin | --port PATH [--root-capabilities BITS]   (as process 1 of a PID namespace)"
        ),
        Err(Refused::Stream(what, error)) => eprintln!("cofferdam-init: {what}: {error}"),
    }
    ExitCode::from(EXIT_USAGE)
}

enum Refused {
    Usage,
    Stream(String, io::Error),
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(OwnedFd, InitConfig), Refused> {
    let mut stream = None;
    let mut config = InitConfig::default();
    while let Some(option) = arguments.next() {
        if option == "--stdin" {
            let copied = io::stdin().as_fd().try_clone_to_owned();
            stream = Some(copied.map_err(|error| Refused::Stream("standard input".into(), error))?);
            continue;
        }
        let value = arguments.next().ok_or(Refused::Usage)?;
        match option.as_str() {
            "--fd" => {
                let number = value.parse().ok().filter(|number| *number > 2).ok_or(Refused::Usage)?;
                // SAFETY: whoever starts this program hands the descriptor over; nothing here has opened one of that number.
                stream = Some(unsafe { OwnedFd::from_raw_fd(number) });
            }
            "--port" => {
                let opened = OpenOptions::new().read(true).write(true).open(&value);
                stream = Some(opened.map_err(|error| Refused::Stream(format!("open {value}"), error))?.into());
            }
            "--root-capabilities" => config.root_capabilities = value.parse().map_err(|_| Refused::Usage)?,
            _ => return Err(Refused::Usage),
        }
    }
    Ok((stream.ok_or(Refused::Usage)?, config))
}
