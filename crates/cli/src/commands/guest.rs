//! `cofferdam guest`: what virtual machines boot, and what they have a Docker Engine from.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Instant;

use sandbox::guest::{Engine, EngineStep, Guest, GuestError, Guests, Source, build, build_engine};

use super::image::size;
use crate::args::{GuestCommand, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::place;
use crate::show::duration;

/// The package whose version says most about an engine root.
const ENGINE: &str = "docker.io";

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
        GuestCommand::Build { package, engine } => {
            let source = package.clone().map_or(Source::Debian, Source::Package);
            println!("{}", guest_line(&build(&guests, &source)?));
            if *engine {
                println!("{}", engine_line(&make_engine(&guests)?));
            }
        }
        GuestCommand::Ls { output } => list(&guests, *output),
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

fn make_engine(guests: &Guests) -> Result<Engine, CommandFailure> {
    let started = Instant::now();
    let mut progress = Progress { terminal: std::io::stderr().is_terminal(), before: None };
    let made = build_engine(guests, &mut |step| progress.show(step));
    progress.line(None);
    let engine = made.map_err(|error| {
        CommandFailure::from(error)
            .with_hint("it is made with apt-get and dpkg-deb of Debian 12, from the lists of `apt-get update`")
    })?;
    eprintln!("engine root: {}", duration(started.elapsed()));
    Ok(engine)
}

fn list(guests: &Guests, output: OutputFormat) {
    let (newest, newest_engine) = (guests.newest(), guests.newest_engine());
    let mark = |used| if used { "  (used)" } else { "" };
    for guest in guests.list() {
        let used = newest.as_ref() == Some(&guest);
        match output {
            OutputFormat::Json => {
                let (bytes, description) = (guest_bytes(&guest), &guest.description);
                let object =
                    serde_json::json!({ "name": guest.name(), "used": used, "bytes": bytes, "guest": description });
                println!("{object}");
            }
            OutputFormat::Text => println!("{}{}", guest_line(&guest), mark(used)),
        }
    }
    for engine in guests.engines() {
        let used = newest_engine.as_ref() == Some(&engine);
        match output {
            OutputFormat::Json => {
                let (bytes, description) = (engine.description.root_bytes, &engine.description);
                let object =
                    serde_json::json!({ "name": engine.name(), "used": used, "bytes": bytes, "engine": description });
                println!("{object}");
            }
            OutputFormat::Text => println!("{}{}", engine_line(&engine), mark(used)),
        }
    }
}

fn guest_bytes(guest: &Guest) -> u64 {
    let bytes = |path| std::fs::metadata(path).map_or(0, |found| found.len());
    bytes(guest.kernel()) + bytes(guest.initrd())
}

fn guest_line(guest: &Guest) -> String {
    let Guest { description, .. } = guest;
    let size = size(guest_bytes(guest));
    format!("{}  guest   {size:>9}  {}  {}", guest.name(), description.release, description.package)
}

fn engine_line(engine: &Engine) -> String {
    let version = engine.version_of(ENGINE).unwrap_or("?");
    let (size, packages) = (size(engine.description.root_bytes), engine.description.packages.len());
    format!("{}  engine  {size:>9}  {ENGINE} {version}  ({packages} packages)", engine.name())
}

/// Progress on standard error: one line that is redrawn on a terminal, a line for each kind of step elsewhere.
struct Progress {
    terminal: bool,
    before: Option<std::mem::Discriminant<EngineStep>>,
}

impl Progress {
    fn show(&mut self, step: EngineStep) {
        let kind = Some(std::mem::discriminant(&step));
        if self.terminal || self.before != kind {
            self.line(Some(&words(&step)));
        }
        self.before = kind;
    }

    fn line(&self, text: Option<&str>) {
        match (self.terminal, text) {
            (true, text) => eprint!("\r\u{1b}[K{}", text.unwrap_or_default()),
            (false, Some(text)) => eprintln!("{text}"),
            (false, None) => {}
        }
    }
}

fn words(step: &EngineStep) -> String {
    match step {
        EngineStep::Resolve => "engine root: asking apt which packages".to_owned(),
        EngineStep::Download { packages, received: 0, bytes } => {
            format!("engine root: downloading {packages} packages, {}", size(*bytes))
        }
        EngineStep::Download { packages, received, bytes } => {
            format!("engine root: downloading {packages} packages, {} of {}", size(*received), size(*bytes))
        }
        EngineStep::Unpack { done: 0, packages, .. } => format!("engine root: unpacking {packages} packages"),
        EngineStep::Unpack { package, done, packages } => {
            format!("engine root: unpacking {done} of {packages} packages: {package}")
        }
        EngineStep::Compile => "engine root: compiling Python's library".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_in_words() {
        let unpack = |done| EngineStep::Unpack { package: "git".to_owned(), done, packages: 9 };
        assert_eq!(words(&unpack(0)), "engine root: unpacking 9 packages");
        assert_eq!(words(&unpack(3)), "engine root: unpacking 3 of 9 packages: git");
        let download = |received| words(&EngineStep::Download { packages: 9, received, bytes: 3 << 20 });
        assert_eq!(download(0), "engine root: downloading 9 packages, 3.0 MiB");
        assert_eq!(download(1 << 20), "engine root: downloading 9 packages, 1.0 MiB of 3.0 MiB");
    }
}
