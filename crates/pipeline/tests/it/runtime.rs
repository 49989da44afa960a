//! `declarative-runtime.jsonl` on the small world of these tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use pipeline::conformance::{self, Build, Case};

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
        let builds = match conformance::builds(&case) {
            Ok(builds) => builds,
            Err(why) => {
                println!("skipped: {}: {why}", case.id);
                skipped += 1;
                continue;
            }
        };
        let texts = |of: &Case| of.log_contains.len() + of.log_excludes.len();
        let of_builds = builds.iter().map(|build| texts(&build.case)).sum::<usize>();
        assert_eq!(of_builds, texts(&case), "{}: each text is of one build", case.id);
        let findings = findings(builds, only.is_some());
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

/// What is wrong with the builds of a case.
fn findings(builds: Vec<Build>, shows_log: bool) -> Vec<String> {
    let (mut findings, mut stashes) = (Vec::new(), BTreeMap::new());
    for Build { case, fixture } in builds {
        let mut world = World::new(fixture);
        world.stashes = std::mem::take(&mut stashes);
        findings.extend(match world.run(&case.script) {
            Ok(ran) => {
                if shows_log {
                    println!("{}", ran.log);
                }
                stashes = ran.stashes.clone();
                case.findings(ran.outcome(), &ran.log, &ran.archived)
            }
            // Jenkins rejects a definition as a failed build, with the messages in its log.
            Err(messages) => case.findings(model::outcome::Outcome::Failure, &messages.join("\n"), &Default::default()),
        });
    }
    findings
}
