//! `cofferdam guest`: what virtual machines boot.

use std::path::Path;

use sandbox::guest::{GuestError, Source, build};

use crate::args::{GuestCommand, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::place;

impl From<GuestError> for CommandFailure {
    fn from(error: GuestError) -> Self {
        let exit = if matches!(error, GuestError::Package { .. }) { Exit::Failed } else { Exit::Infrastructure };
        let hint = "a kernel's package that is there already is given with --package";
        CommandFailure::new(exit, agent::explain(&error)).with_hint(hint)
    }
}

/// Performs one of the sub-commands.
pub fn run(command: &GuestCommand, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let guests = place::guests(home);
    match command {
        GuestCommand::Build { package } => {
            let source = package.clone().map_or(Source::Debian, Source::Package);
            let guest = build(&guests, &source)?;
            println!("{}  {}  {}", guest.name(), guest.description.release, guest.description.package);
        }
        GuestCommand::Ls { output } => {
            let newest = guests.newest();
            for guest in guests.list() {
                let used = newest.as_ref() == Some(&guest);
                match output {
                    OutputFormat::Json => {
                        let object =
                            serde_json::json!({ "name": guest.name(), "used": used, "guest": guest.description });
                        println!("{object}");
                    }
                    OutputFormat::Text => {
                        let mark = if used { "  (used)" } else { "" };
                        println!(
                            "{}  {}  {}{mark}",
                            guest.name(),
                            guest.description.release,
                            guest.description.package
                        );
                    }
                }
            }
        }
        GuestCommand::Rm { names } => {
            for name in names {
                guests.remove(name).map_err(|error| {
                    CommandFailure::new(Exit::Failed, format!("cannot remove {name}: {error}"))
                        .with_hint("`cofferdam guest ls` lists them")
                })?;
                println!("removed {name}");
            }
        }
    }
    Ok(Exit::Success)
}
