//! Findings as SARIF 2.1.0, which code scanning reads.

use groovy::span::{LineIndex, Span};
use pipeline::lint::rules::{self, Level, RULES};
use serde_json::{Value, json};

use super::Report;

/// The whole log.
pub fn log(reports: &[Report]) -> Value {
    let results: Vec<Value> = reports.iter().flat_map(results).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cofferdam",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: &rules::Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": rule.help },
        "help": { "text": rule.help, "markdown": rule.help },
        "defaultConfiguration": { "level": rule.level.name() },
    })
}

fn results(report: &Report) -> Vec<Value> {
    let lines = LineIndex::new(&report.text);
    let uri = uri(&report.name);
    let region = |span: Span| {
        let (start, end) = report.places(&lines, span);
        json!({
            "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column,
        })
    };
    let result = |finding: &groovy::diagnostic::Diagnostic| {
        let id = finding.rule.unwrap_or("syntax");
        let text = match &finding.hint {
            Some(hint) => format!("{}: {hint}", finding.message),
            None => finding.message.clone(),
        };
        let mut result = json!({
            "ruleId": id,
            "ruleIndex": RULES.iter().position(|rule| rule.id == id),
            "level": match report.level(finding) {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "note",
            },
            "message": { "text": text },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri },
                "region": region(finding.span),
            }}],
        });
        if let Some(fix) = &finding.fix {
            result["fixes"] = json!([{ "artifactChanges": [{
                "artifactLocation": { "uri": uri },
                "replacements": [{ "deletedRegion": region(fix.span), "insertedContent": { "text": fix.text } }],
            }]}]);
        }
        result
    };
    report.findings.iter().map(result).collect()
}

/// The path as a relative URI: from the working folder, where it is below.
fn uri(path: &str) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| std::path::Path::new(path).strip_prefix(here).ok());
    let path = relative.map_or(path.into(), |path| path.to_string_lossy());
    let path = path.strip_prefix("./").unwrap_or(&path);
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
