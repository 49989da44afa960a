//! Definitions as text: where they come from, and how findings in them are shown.

use std::io::Read as _;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::{LineIndex, Span};
use model::limits::MAX_DEFINITION_BYTES;
use pipeline::lint::rules;
use serde::Serialize;
use wire::engine::Finding;

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

/// A finding of an engine as it is shown.
pub fn diagnostic(finding: Finding) -> Diagnostic {
    let severity = if finding.is_error { Severity::Error } else { Severity::Warning };
    let Finding { start, end, message, hint, .. } = finding;
    Diagnostic { hint, ..Diagnostic::new(severity, Span::new(start, end), message) }
}

/// A finding with the source line and a caret below it.
pub fn render(name: &str, source: &str, diagnostic: &Diagnostic, style: Style) -> String {
    let level = match rules::level(diagnostic) {
        rules::Level::Error => Level::ERROR,
        rules::Level::Warning => Level::WARNING,
        rules::Level::Note => Level::NOTE,
    };
    let start = (diagnostic.span.start as usize).min(source.len());
    let end = (diagnostic.span.end as usize).clamp(start, source.len());
    let (start, end) = (source.floor_char_boundary(start), source.ceil_char_boundary(end));
    // A finding about a whole block is shown at its first line.
    let end = source[start..end].find('\n').map_or(end, |line| start + line);
    let snippet = Snippet::source(source).path(name).annotation(AnnotationKind::Primary.span(start..end));
    let title = level.primary_title(diagnostic.message.as_str());
    let title = match diagnostic.rule {
        Some(rule) => title.id(rule),
        None => title,
    };
    let mut report = title.element(snippet);
    if let Some(hint) = &diagnostic.hint {
        report = report.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if style.colors { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[report])
}

/// A finding as `--output json` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonDiagnostic {
    /// One-based.
    line: u32,
    /// One-based, in characters.
    column: u32,
    end_line: u32,
    /// Behind the last character.
    end_column: u32,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    message: String,
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<JsonFix>,
}

/// What to write instead of the text at a place.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonFix {
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    text: String,
}

impl JsonDiagnostic {
    /// With its place in `source`.
    pub fn new(source: &str, lines: &LineIndex, diagnostic: &Diagnostic) -> Self {
        let place = |span: Span| (lines.place(source, span.start), lines.place(source, span.end));
        let (start, end) = place(diagnostic.span);
        let replacement = diagnostic.fix.as_ref().map(|fix| {
            let (start, end) = place(fix.span);
            let (line, column, end_line, end_column) = (start.line, start.column, end.line, end.column);
            JsonFix { line, column, end_line, end_column, text: fix.text.clone() }
        });
        JsonDiagnostic {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            severity: rules::level(diagnostic).name(),
            rule: diagnostic.rule,
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
            replacement,
        }
    }
}
