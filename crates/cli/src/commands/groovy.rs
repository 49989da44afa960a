//! `cofferdam groovy`: a plain script in the machine that evaluates pipelines, without any step.

use std::io::Write as _;

use groovy::diagnostic::{Diagnostic, Severity};
use groovy::machine::{FiberId, Host, Machine, MachineLimits, Stepped};
use groovy::span::LineIndex;

use crate::args::GroovyArgs;
use crate::failure::{CommandFailure, Exit};
use crate::show::Style;
use crate::source;

/// The world of a plain script: it can print.
struct Printer {
    out: std::io::BufWriter<std::io::Stdout>,
    /// What the script prints goes nowhere.
    failed: Option<std::io::Error>,
}

impl Host for Printer {
    fn print(&mut self, text: &str) {
        if let Err(error) = self.out.write_all(text.as_bytes()) {
            self.failed.get_or_insert(error);
        }
    }
}

/// Nobody gets what the script prints: it is ended.
fn lost(error: &std::io::Error) -> Result<Exit, CommandFailure> {
    match error.kind() {
        // A reader that has seen enough is no failure.
        std::io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        _ => Err(CommandFailure::new(Exit::Infrastructure, format!("cannot write standard output: {error}"))),
    }
}

/// Runs a fiber to its end, or until nobody gets what it prints.
fn drive(machine: &mut Machine, fiber: FiberId, host: &mut Printer) -> std::io::Result<Stepped> {
    loop {
        if let Some(error) = host.failed.take() {
            return Err(error);
        }
        match machine.run(fiber, host) {
            Stepped::Slice => {}
            Stepped::Call(call) => {
                // `has_method` never says yes, so this is a call that no world could answer.
                let message = format!("no method {} in a plain script", call.name);
                let error = machine.throwable("groovy.lang.MissingMethodException", &message, call.span);
                machine.resume(fiber, Err(error));
            }
            ended => return Ok(ended),
        }
    }
}

/// Runs the script to its end.
pub fn run(args: &GroovyArgs, style: Style) -> Result<Exit, CommandFailure> {
    let text = source::read(&args.file)?;
    let name = args.file.display().to_string();
    let invalid = |diagnostics: &[Diagnostic]| {
        for diagnostic in diagnostics {
            eprintln!("{}\n", source::render(&name, &text, diagnostic, style));
        }
        CommandFailure::new(Exit::Invalid, format!("{name} is not valid Groovy"))
    };
    let parsed = groovy::parse(&text);
    if parsed.diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Err(invalid(&parsed.diagnostics));
    }
    let mut machine = Machine::new(MachineLimits::default());
    let script = machine.load(&parsed.script, &name).map_err(|diagnostics| invalid(&diagnostics))?;
    let fiber = machine.start_script(script);
    let mut host = Printer { out: std::io::BufWriter::new(std::io::stdout()), failed: None };
    let ended = match drive(&mut machine, fiber, &mut host) {
        // As a script sees it: with the `toString` of its own classes.
        Ok(Stepped::Finished(value)) if args.value => {
            let text = machine.start_method(value, "toString", Vec::new());
            drive(&mut machine, text, &mut host)
        }
        ended => ended,
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return lost(&error),
    };
    if let Err(error) = host.out.flush() {
        return lost(&error);
    }
    match ended {
        Stepped::Finished(value) => {
            if args.value {
                println!("{}", value.to_text());
            }
            Ok(Exit::Success)
        }
        Stepped::Threw(thrown) => {
            let title = match thrown.message() {
                message if message.is_empty() => thrown.class(),
                message => format!("{}: {message}", thrown.class()),
            };
            eprintln!("{}", source::render(&name, &text, &Diagnostic::error(thrown.span, title), style));
            let lines = LineIndex::new(&text);
            for call in &thrown.trace {
                eprintln!("  at {} ({name}:{})", call.function, lines.place(&text, call.span.start).line);
            }
            Ok(Exit::Failed)
        }
        Stepped::Limit(limit) => {
            eprintln!("{}", source::render(&name, &text, &Diagnostic::error(limit.span, limit.to_string()), style));
            Ok(Exit::Failed)
        }
        Stepped::Slice | Stepped::Call(_) => {
            Err(CommandFailure::new(Exit::Infrastructure, "the script stopped without an end"))
        }
    }
}
