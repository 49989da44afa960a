//! Definitions as text: where they come from, and how findings in them are shown.

use std::io::Read as _;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::LineIndex;
use model::limits::MAX_DEFINITION_BYTES;
use serde::Serialize;

use crate::failure::{CommandFailure, Exit};
use crate::show::Style;

/// Reads a definition; `-` is standard input.
pub fn read(path: &Path) -> Result<String, CommandFailure> {
    let mut bytes = Vec::new();
    let limit = MAX_DEFINITION_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| CommandFailure::io("read", path, &error))?;
    if bytes.len() > MAX_DEFINITION_BYTES {
        let message = format!("{} is larger than {} MiB", path.display(), MAX_DEFINITION_BYTES >> 20);
        return Err(CommandFailure::new(Exit::Invalid, message));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| {
        // As Groovy and Jenkins read it: what is no UTF-8 is a character that says so.
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        eprintln!("warning: {}:{line}: byte {at} is not UTF-8, and is read as \u{fffd}", path.display());
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    }))
}

/// A finding with the source line and a caret below it.
pub fn render(name: &str, source: &str, diagnostic: &Diagnostic, style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let start = (diagnostic.span.start as usize).min(source.len());
    let end = (diagnostic.span.end as usize).clamp(start, source.len());
    let (start, end) = (source.floor_char_boundary(start), source.ceil_char_boundary(end));
    // A finding about a whole block is shown at its first line.
    let end = source[start..end].find('\n').map_or(end, |line| start + line);
    let snippet = Snippet::source(source).path(name).annotation(AnnotationKind::Primary.span(start..end));
    let mut report = level.primary_title(diagnostic.message.as_str()).element(snippet);
    if let Some(hint) = &diagnostic.hint {
        report = report.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if style.colors { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[report])
}

/// A finding as `--output json` prints it.
#[derive(Debug, Serialize)]
pub struct JsonDiagnostic {
    /// One-based.
    line: u32,
    /// One-based, in characters.
    column: u32,
    severity: &'static str,
    message: String,
    hint: Option<String>,
}

impl JsonDiagnostic {
    /// With its place in `source`.
    pub fn new(source: &str, lines: &LineIndex, diagnostic: &Diagnostic) -> Self {
        let place = lines.place(source, diagnostic.span.start);
        JsonDiagnostic {
            line: place.line,
            column: place.column,
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
        }
    }
}
