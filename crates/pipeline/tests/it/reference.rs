//! The catalogue against the code that reads it and the pages that are made from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use groovy::diagnostic::Severity;
use pipeline::catalogue::{Catalogue, Kind, Support, reference};
use pipeline::lint::{lint, rules};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Asserts that a file is what it is made to be; with COFFERDAM_BLESS it is made so.
fn is_current(path: &Path, made: &str) {
    if std::env::var_os("COFFERDAM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, made).unwrap();
    }
    let is = std::fs::read_to_string(path).unwrap_or_default();
    let line = is.lines().zip(made.lines()).position(|(is, made)| is != made).map(|line| line + 1);
    assert!(
        is == made,
        "{} is stale (line {line:?}): COFFERDAM_BLESS=1 cargo nextest run -p pipeline reference",
        path.display()
    );
}

#[test]
fn the_reference_pages_are_current() {
    let folder = repository().join("docs/reference");
    is_current(&folder.join("steps.md"), &reference::steps());
    is_current(&folder.join("directives.md"), &reference::directives());
}

#[test]
fn the_page_of_steps_says_what_becomes_of_those_that_do_not_run() {
    let page = reference::steps();
    let of_slack = page.split_once("\n## slackSend\n").unwrap().1.split("\n## ").next().unwrap();
    assert!(of_slack.contains("*recorded, not done: no message is sent from a run (instead: "), "{of_slack}");
    let others = page.split_once("\n## Other steps\n").unwrap().1;
    let of_terraform = others.split_once("* `terraform`").unwrap().0.rsplit("\n\n").nth(1).unwrap();
    assert!(of_terraform.starts_with("Refused: the program is called by `sh` (instead: "), "{of_terraform}");
}

#[test]
fn the_rules_in_the_reference_guide_are_current() {
    const BEGIN: &str = "<!-- rules: COFFERDAM_BLESS=1 cargo nextest run -p pipeline reference -->\n";
    let path = repository().join("docs/guide/lint.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let after = rest.split_once("<!-- end -->").unwrap().1;
    is_current(&path, &format!("{before}{BEGIN}{}<!-- end -->{after}", rules::markdown()));
}

#[test]
fn examples_in_the_reference_have_no_errors() {
    for entry in Catalogue::get().entries().filter(|entry| entry.kind == Kind::Step) {
        let example = entry.description().map(|of| of.example.join("\n")).unwrap_or_default();
        let found: Vec<_> = lint(&example).into_iter().filter(|d| d.severity == Severity::Error).collect();
        assert!(found.is_empty(), "{}: {example}\n{found:?}", entry.name);
    }
}

/// The code of the steps, by file.
fn sources() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/steps");
    let (mut sources, mut open) = (BTreeMap::new(), vec![folder]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = sources.entry(name).or_insert_with(String::new);
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    sources
}

/// The words in quotes that stand right behind another word.
fn quoted_behind<'a>(code: &'a str, word: &str) -> Vec<&'a str> {
    code.split(word).skip(1).filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).collect()
}

#[test]
fn parameters_that_a_step_reads_are_in_the_table_and_in_the_reference() {
    let sources = sources();
    let table = sources["mod"].split_once("steps! {\n").unwrap().1.split_once("\n}").unwrap().0;
    let mut looked_at = 0;
    for line in table.lines() {
        let name = line.trim().trim_start_matches('"').split('"').next().unwrap();
        let Some((module, function)) =
            line.split_once("=> ").and_then(|(_, path)| path.trim_end_matches(';').rsplit_once("::"))
        else {
            continue;
        };
        let entry = Catalogue::get().step(name).unwrap();
        let Some(code) = sources.get(module.rsplit("::").next().unwrap()) else { continue };
        let Some(body) = code.split_once(&format!("fn {function}(")) else { continue };
        let body = body.1.split_once("\n}").map_or(body.1, |(body, _)| body);
        for method in ["get(", "text(", "opt_text(", "flag(", "int(", "opt_int(", "texts("] {
            for read in quoted_behind(body, &format!("args.{method}")) {
                looked_at += 1;
                assert!(
                    entry.open || entry.parameter(read).is_some(),
                    "{name} reads {read}, which is not in the table"
                );
            }
        }
    }
    assert!(looked_at > 30, "{looked_at}");
}

#[test]
fn parameters_that_no_step_reads_have_no_effect_in_the_reference() {
    let sources = sources();
    let names = sources["mod"].split_once("steps! {\n").unwrap().1.split_once("\n}").unwrap().0;
    let code: String = sources.values().map(|text| text.replace(names, "")).collect();
    for entry in Catalogue::get().entries().filter(|e| e.kind == Kind::Step && e.support == Support::Runs) {
        for parameter in &entry.parameters {
            let of = entry.description().and_then(|description| description.parameter(parameter.name)).unwrap();
            if of.text.starts_with("No effect.") {
                continue;
            }
            let is_read = code.contains(&format!("\"{}\"", parameter.name));
            assert!(is_read, "{}: nothing reads {}: say `No effect.` of it", entry.name, parameter.name);
        }
    }
}
