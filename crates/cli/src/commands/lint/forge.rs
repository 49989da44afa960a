//! Findings in the words of forges: annotations of GitHub Actions, a report of GitLab Code Quality.

use std::collections::HashMap;

use groovy::span::LineIndex;
use pipeline::lint::rules::Level;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Report;

/// One workflow command a finding.
pub fn github(reports: &[Report]) {
    for report in reports {
        let lines = LineIndex::new(&report.text);
        for finding in &report.findings {
            let (start, end) = report.places(&lines, finding.span);
            let command = match report.level(finding) {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "notice",
            };
            let hint = finding.hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
            // Columns count only within one line.
            let columns = match start.line == end.line {
                true => format!(",col={},endColumn={}", start.column, end.column),
                false => String::new(),
            };
            println!(
                "::{command} file={},line={},endLine={}{columns},title={}::{}",
                property(&report.name),
                start.line,
                end.line,
                property(finding.rule.unwrap_or("syntax")),
                data(&format!("{}{hint}", finding.message))
            );
        }
    }
}

/// What a workflow command would take for its end.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The whole report.
pub fn gitlab(reports: &[Report]) -> Value {
    let (mut issues, mut seen) = (Vec::new(), HashMap::new());
    for report in reports {
        let lines = LineIndex::new(&report.text);
        for finding in &report.findings {
            let (start, end) = report.places(&lines, finding.span);
            let rule = finding.rule.unwrap_or("syntax");
            // The same finding of the next commit is the same issue, wherever its line has gone.
            let line = lines.line_text(&report.text, start.line);
            let digest = Sha256::digest(format!("{}\0{rule}\0{}\0{line}", report.name, finding.message));
            let mut fingerprint: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let same = seen.entry(fingerprint.clone()).and_modify(|count| *count += 1).or_insert(0);
            if *same > 0 {
                fingerprint.push_str(&format!("-{same}"));
            }
            issues.push(json!({
                "description": finding.message,
                "check_name": rule,
                "fingerprint": fingerprint,
                "severity": match report.level(finding) {
                    Level::Error => "critical",
                    Level::Warning => "minor",
                    Level::Note => "info",
                },
                "location": { "path": report.name, "lines": { "begin": start.line, "end": end.line } },
            }));
        }
    }
    Value::Array(issues)
}
