//! Diagnostics as Jenkins prints them in the log of a run that could not start.

use std::fmt::Write as _;

use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::LineIndex;

/// The text that Jenkins logs for the errors: one paragraph each with the source line and a caret, then their number.
pub fn startup_failed(source: &str, diagnostics: &[Diagnostic]) -> String {
    let index = LineIndex::new(source);
    let mut text = "org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n".to_owned();
    let mut count = 0;
    for diagnostic in diagnostics.iter().filter(|d| d.severity == Severity::Error) {
        count += 1;
        let place = index.place(source, diagnostic.span.start);
        let (line, column) = (place.line, place.column);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "WorkflowScript: {line}: {} @ line {line}, column {column}.", diagnostic.message);
        let _ = writeln!(text, "   {}", index.line_text(source, line));
        let _ = writeln!(text, "   {}^\n", " ".repeat(column as usize - 1));
    }
    let _ = writeln!(text, "{count} {}", if count == 1 { "error" } else { "errors" });
    text
}
