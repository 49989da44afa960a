//! The scripts of the conformance tables parse, except those that Groovy rejects, too.

use std::path::PathBuf;

/// Scripts with errors of syntax, by id: Jenkins' tests expect Groovy's own messages for these.
const SYNTAX_ERRORS: &[&str] = include!("data/syntax_errors.in");

fn table(name: &str) -> Option<String> {
    let directory = std::env::var_os("COFFERDAM_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    std::fs::read_to_string(directory.join(name)).ok()
}

#[track_caller]
fn check(name: &str, at_least: usize) {
    let Some(text) = table(name) else {
        println!("skipped: not found: {name}");
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let case: serde_json::Value = serde_json::from_str(line).expect("a line is a JSON object");
        let (Some(id), Some(script)) = (case["id"].as_str(), case["script"].as_str()) else { continue };
        count += 1;
        let parsed = groovy::parse(script);
        if parsed.has_errors() != SYNTAX_ERRORS.contains(&id) {
            wrong.push(format!("{id}: {:?}", parsed.diagnostics.first()));
        }
    }
    assert!(count >= at_least, "{name} has only {count} scripts");
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

#[test]
fn declarative_valid() {
    check("declarative-valid.jsonl", 100);
}

#[test]
fn declarative_invalid() {
    check("declarative-invalid.jsonl", 50);
}

#[test]
fn declarative_runtime() {
    check("declarative-runtime.jsonl", 100);
}

#[test]
fn docker_runtime() {
    check("docker-runtime.jsonl", 20);
}

#[test]
fn groovy_values() {
    check("groovy-values.jsonl", 100);
}
