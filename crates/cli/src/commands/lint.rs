//! `cofferdam lint`: syntax, declarative model and unknown steps, without running anything.

use std::io::Write as _;
use std::path::Path;

use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::LineIndex;
use serde::Serialize;

use crate::args::{LintArgs, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::show::Style;
use crate::source::{self, JsonDiagnostic};

#[derive(Serialize)]
struct FileReport {
    file: String,
    valid: bool,
    diagnostics: Vec<JsonDiagnostic>,
}

/// Checks every file; one that cannot be read does not keep the others from being checked.
pub fn run(args: &LintArgs, style: Style) -> Result<Exit, CommandFailure> {
    let mut exit = Exit::Success;
    let mut worst = |found: Exit| {
        // One invalid file decides, whatever else went wrong.
        if exit == Exit::Success || found == Exit::Invalid {
            exit = found;
        }
    };
    for path in &args.files {
        match source::read(path) {
            Ok(text) => worst(check(path, &text, args.output, style)),
            Err(failure) => {
                report_unread(path, &failure, args.output);
                worst(failure.exit);
            }
        }
    }
    Ok(exit)
}

fn check(path: &Path, text: &str, output: OutputFormat, style: Style) -> Exit {
    let diagnostics = pipeline::lint::lint(text);
    let valid = !diagnostics.iter().any(|d| d.severity == Severity::Error);
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    match output {
        OutputFormat::Json => print_json(&name, text, valid, &diagnostics),
        OutputFormat::Text => {
            let mut out = std::io::stdout().lock();
            for diagnostic in &diagnostics {
                let _ = writeln!(out, "{}\n", source::render(&name, text, diagnostic, style));
            }
            let verdict = if valid { style.green("valid") } else { style.red("invalid") };
            let _ = writeln!(out, "{name}: {verdict}");
        }
    }
    if valid { Exit::Success } else { Exit::Invalid }
}

fn print_json(name: &str, text: &str, valid: bool, diagnostics: &[Diagnostic]) {
    let lines = LineIndex::new(text);
    let diagnostics = diagnostics.iter().map(|d| JsonDiagnostic::new(text, &lines, d)).collect();
    let report = FileReport { file: name.to_owned(), valid, diagnostics };
    if let Ok(line) = serde_json::to_string(&report) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn report_unread(path: &Path, failure: &CommandFailure, output: OutputFormat) {
    match output {
        OutputFormat::Text => eprintln!("error: {failure}"),
        OutputFormat::Json => {
            let object = serde_json::json!({
                "file": path.display().to_string(),
                "valid": false,
                "diagnostics": [{ "line": 1, "column": 1, "severity": "error", "message": failure.message, "hint": failure.hint }],
            });
            let _ = writeln!(std::io::stdout(), "{object}");
        }
    }
}
