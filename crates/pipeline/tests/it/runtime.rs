//! `declarative-runtime.jsonl` on the small world of these tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use pipeline::conformance;

use crate::engine_world::World;

/// Cases that fail and should not. The list may only shrink: a case on it that passes is a finding, too.
const FAILING: &str = include_str!("runtime-failing.txt");

fn table() -> Option<String> {
    let folder = std::env::var_os("COFFERDAM_CONFORMANCE").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"));
    fs::read_to_string(folder.join("declarative-runtime.jsonl")).ok()
}

#[test]
fn declarative_runtime_table() {
    let Some(table) = table() else {
        println!("skipped: not found (declarative-runtime.jsonl)");
        return;
    };
    let only = std::env::var("COFFERDAM_CASE").ok();
    let mut failing: BTreeSet<&str> =
        FAILING.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(": ")).map(|(id, _)| id).collect();
    let (mut passed, mut skipped, mut wrong) = (0, 0, Vec::new());
    for case in conformance::parse(&table).unwrap() {
        if only.as_ref().is_some_and(|o| !case.id.contains(o.as_str())) {
            failing.remove(case.id.as_str());
            continue;
        }
        let fixture = match conformance::fixture(&case) {
            Ok(fixture) => fixture,
            Err(why) => {
                println!("skipped: {}: {why}", case.id);
                skipped += 1;
                continue;
            }
        };
        let findings = match World::new(fixture).run(&case.script) {
            Ok(ran) => {
                if only.is_some() {
                    println!("{}", ran.log);
                }
                case.findings(ran.outcome(), &ran.log, &ran.archived)
            }
            // Jenkins rejects a definition as a failed build, with the messages in its log.
            Err(messages) => case.findings(model::outcome::Outcome::Failure, &messages.join("\n"), &Default::default()),
        };
        match (findings.is_empty(), failing.remove(case.id.as_str())) {
            (true, false) => passed += 1,
            (false, true) => println!("fails (listed): {}: {}", case.id, findings.join("; ")),
            (true, true) => wrong.push(format!("{} passes now: take it off the list", case.id)),
            (false, false) => wrong.push(format!("{}: {}", case.id, findings.join("; "))),
        }
    }
    println!("{passed} passed, {skipped} skipped");
    wrong.extend(failing.iter().map(|id| format!("{id} is listed as failing, but was not run")));
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}
