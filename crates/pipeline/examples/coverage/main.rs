//! How far Cofferdam gets with Jenkinsfiles that others wrote: each is parsed, validated, its names are looked up, and it is evaluated
//! with a [`world`] in which every command succeeds. Nothing is started, and nothing is written.
//!
//! `cargo run -p pipeline --example coverage -- [--json] [--verbose] [--assume] [--with=FILE] [--beside=FOLDER] PATH …` takes files, and folders with everything in them.
//! The same files give the same report. What `FILE` defines is taken to be there: methods that stand for steps of the future.
//! With `--assume` each step that is not there is taken to be: it runs its block, and answers nothing. What is left then is no missing step.
//! Files that use containers of pods which only their operators know fail; how many would run with these templates (`--pod-template`) is a line of its own.
//! `--beside` says where the repositories of the files are, each in a folder of the name that is in the path of the file, too: what is in them
//! is the library that a file asks for or has, and what it loads and reads.

mod beside;
mod judge;
mod report;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use beside::Beside;
use model::limits::MAX_DEFINITION_BYTES;

fn main() -> ExitCode {
    let (flags, paths): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let with = flags.iter().find_map(|flag| flag.strip_prefix("--with="));
    let more = with.map(|path| text(Path::new(path)).unwrap_or_default()).unwrap_or_default();
    let is_known = |flag: &String| {
        ["--assume", "--json", "--verbose"].contains(&&**flag)
            || ["--with=", "--beside="].iter().any(|known| flag.starts_with(known))
    };
    if !flags.iter().all(is_known) || paths.is_empty() {
        eprintln!("usage: coverage [--json] [--verbose] [--assume] [--with=FILE] [--beside=FOLDER] PATH …");
        return ExitCode::from(2);
    }
    let mut files = Vec::new();
    for path in &paths {
        collect(Path::new(path), &mut files);
    }
    files.sort();
    files.dedup();
    // What a file does to the evaluator is a line of the report, and no end of it.
    std::panic::set_hook(Box::new(|_| ()));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let read = files.iter().filter_map(|path| Some((path.display().to_string(), text(path)?)));
    let repositories = flags.iter().find_map(|flag| flag.strip_prefix("--beside=")).map(Path::new);
    let mut known: BTreeMap<String, Option<Beside>> = BTreeMap::new();
    let mut verdicts = Vec::new();
    for (name, source) in read {
        let repository =
            repositories.and_then(|folder| name.split('/').find(|part| !part.is_empty() && folder.join(part).is_dir()));
        let beside = repository.and_then(|repository| {
            let found = known.entry(repository.to_owned());
            found.or_insert_with(|| Beside::find(repositories?, repository)).as_ref()
        });
        let verdict = judge::judge(&source, &more, has("--assume"), beside);
        verdicts.push((name, verdict));
    }
    let report = report::Report::new(&verdicts);
    print!("{}", if has("--json") { report.json() } else { report.text(has("--verbose")) });
    ExitCode::SUCCESS
}

/// The files of a folder, but for those of git.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        if fs::symlink_metadata(&path).is_ok_and(|about| about.is_file()) {
            files.push(path);
        } else if path.is_dir() && path.file_name().is_none_or(|name| name != ".git") {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
}

/// What a file says; `None`: it is empty, or no definition by its size.
fn text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok().filter(|bytes| bytes.len() <= MAX_DEFINITION_BYTES)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (!text.trim().is_empty()).then_some(text)
}
