//! What comes of one file.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::beside::Beside;
use groovy::ast::{Expr, ExprKind, Member, Script, StmtKind};
use groovy::parser::parse;
use model::outcome::Outcome;
use pipeline::catalogue::Catalogue;
use pipeline::definition::{DefinitionKind, Surroundings, analyse};
use regex::Regex;

use crate::world::{self, End, Given};

/// Files that use containers of a node whose pod only its operator knows.
const NO_POD: &str = "operator's pods";
/// Most variables that a file is given because it names them and nothing defines them: a job's configuration would.
const MAX_GIVEN: usize = 30;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It has a `pipeline { … }`.
    Declarative,
    /// It has code of its own.
    Scripted,
    /// It is a library (it defines, and does nothing), or calls one and does nothing else.
    Library,
}

/// Why a file does not get further: the first reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The same for many files.
    pub group: &'static str,
    /// What of it.
    pub detail: String,
}

/// How far a file gets.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub kind: Kind,
    pub parses: bool,
    /// Nothing is wrong in its declarative part, and it compiles.
    pub validates: bool,
    /// All that it calls is something that runs.
    pub resolves: bool,
    /// So it would, did the libraries that it asks for define what nobody else does.
    pub resolves_with_libraries: bool,
    /// It comes to its end, which is no failure.
    pub runs: bool,
    /// So it would, were the templates of pods there that only its operator knows: one of each label, with the containers that it names.
    pub runs_with_pods: bool,
    /// What is missing for the first of these that it is not.
    pub reason: Option<Reason>,
    /// All names in it that mean nothing here, whether they are come by or not.
    pub missing: BTreeSet<String>,
}

impl Verdict {
    fn unread(source: &str, reason: Option<Reason>) -> Verdict {
        let kind = kind_by_text(source);
        Verdict {
            kind,
            parses: false,
            validates: false,
            resolves: false,
            resolves_with_libraries: false,
            runs: false,
            runs_with_pods: false,
            reason,
            missing: BTreeSet::new(),
        }
    }
}

/// Judges a file. `more` is code that is taken to stand at its end: steps that one day are there.
pub fn judge(source: &str, more: &str, assume: bool, beside: Option<&Beside>) -> Verdict {
    let source = format!("{source}\n{more}");
    catch_unwind(AssertUnwindSafe(|| look(&source, assume, beside)))
        .unwrap_or_else(|_| Verdict::unread(&source, reason("panic", "the evaluator gave up")))
}

fn look(source: &str, assume: bool, beside: Option<&Beside>) -> Verdict {
    let parsed = parse(source);
    if let Some(error) = parsed.diagnostics.iter().find(|_| parsed.has_errors()) {
        return Verdict::unread(source, reason("syntax", &error.message));
    }
    let definition = analyse(source, &Surroundings::default());
    let kind = match &definition.kind {
        DefinitionKind::Declarative(_) => Kind::Declarative,
        _ if kind_by_text(source) == Kind::Declarative => Kind::Declarative,
        _ if is_library(&parsed.script) => Kind::Library,
        _ => Kind::Scripted,
    };
    let said: Vec<&str> = definition.diagnostics.iter().map(|found| &*found.message).collect();
    let missing: BTreeSet<String> = said.iter().filter_map(|message| missing_name(message)).collect();
    let wrong = definition.errors().map(|found| &*found.message).find(|text| !text.starts_with("unknown step \""));
    let resolves = missing.is_empty();
    let asks_libraries = ["@Library", "library"].iter().any(|word| source.contains(word));
    let may_be_librarys =
        |message: &&str| message.starts_with("unknown step ") || message.contains("is not a known step");
    let others = said.iter().filter(|message| missing_name(message).is_some() && !may_be_librarys(message));
    let resolves_with_libraries = resolves || asks_libraries && others.count() == 0;
    let verdict = |validates, runs, reason| Verdict {
        kind,
        parses: true,
        validates,
        resolves,
        resolves_with_libraries,
        runs,
        runs_with_pods: runs,
        reason,
        missing,
    };
    if let Some(message) = wrong {
        return verdict(false, false, reason("validation", message));
    }
    match run(source, assume, false, beside) {
        End::Rejected(message) => verdict(false, false, reason("validation", &message)),
        end if is_well(&end) => verdict(true, true, None),
        End::Ended(outcome, message) => {
            let message = message.unwrap_or_else(|| format!("the file sets the result {}", outcome.name()));
            let reason = why(&message, asks_libraries);
            let runs_with_pods = reason.group == NO_POD && is_well(&run(source, assume, true, beside));
            Verdict { runs_with_pods, ..verdict(true, false, Some(reason)) }
        }
        End::Stuck(message) => verdict(true, false, reason("no end", message)),
    }
}

fn is_well(end: &End) -> bool {
    matches!(end, End::Ended(Outcome::Success | Outcome::Unstable | Outcome::NotBuilt, _))
}

/// The name of which a finding says that it means nothing here.
fn missing_name(message: &str) -> Option<String> {
    let kinds = [
        ("", "is not a known step"),
        ("unknown step ", ""),
        ("the step ", "cannot run it yet"),
        ("", "cannot act on it yet"),
        ("", "which are not there"),
        ("the class ", "is not there"),
        ("@", "has no effect yet"),
    ];
    kinds.iter().find(|(starts, says)| message.starts_with(starts) && message.contains(says))?;
    let name = message.split(' ').next().filter(|word| word.starts_with('@'));
    Some(name.map_or_else(|| quoted(message), str::to_owned))
}

/// Runs a file; what it names as one names parameters (`params.X`, too), and nothing defines, is given. With `assume`, each step that is not there is taken to
/// be one that runs its block and answers nothing. With `pods`, each label that it asks for is a template of pods with the containers that it names.
fn run(source: &str, assume: bool, pods: bool, beside: Option<&Beside>) -> End {
    let mut given = Given { parameters: undeclared(source), ..Given::default() };
    let mut source = source.to_owned();
    let mut assumed = BTreeSet::new();
    loop {
        let end = world::run(&source, &mut given, beside);
        let message = match &end {
            End::Ended(_, Some(message)) | End::Rejected(message) => message,
            _ => return end,
        };
        if let Some(name) =
            first(message, "^No such property: ([A-Z0-9_]+) for class: (?:WorkflowScript|groovy.lang.Binding)")
            && given.parameters.len() < MAX_GIVEN
            && !given.parameters.contains(&name)
        {
            given.parameters.push(name);
        } else if pods
            && let Some(name) =
                first(message, r"^container(?:\('| )([\w.-]+)(?:'\) stands in no| was not found in the) pod")
            && given.containers.len() < MAX_GIVEN
            && given.containers.insert(name)
        {
            // Nodes of its labels have it now.
        } else if assume
            && let Some(name) = first(message, "^(?:No such DSL method '|The step ‘)([A-Za-z_0-9]+)")
            && assumed.len() < MAX_GIVEN
            && assumed.insert(name.clone())
        {
            source += &format!("\ndef {name}(Object[] a) {{ a && a[-1] instanceof Closure ? a[-1].call() : null }}");
        } else {
            return end;
        }
    }
}

/// The parameters that a file reads, and that only a project's configuration can define.
fn undeclared(source: &str) -> Vec<String> {
    let Ok(pattern) = Regex::new(r"\bparams\.([A-Z][A-Z0-9_]+)\b") else { return Vec::new() };
    let names: BTreeSet<_> = pattern.captures_iter(source).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let is_declared = |name: &str| ['\'', '"'].iter().any(|quote| source.contains(&format!("{quote}{name}{quote}")));
    names.into_iter().filter(|name| !is_declared(name)).take(MAX_GIVEN).map(str::to_owned).collect()
}

/// What the first group of a pattern finds.
fn first(text: &str, pattern: &str) -> Option<String> {
    let found = Regex::new(pattern).ok()?.captures(text)?;
    Some(found.get(1)?.as_str().to_owned())
}

fn reason(group: &'static str, detail: &str) -> Option<Reason> {
    let line = detail.lines().next().unwrap_or_default();
    Some(Reason { group, detail: line.chars().take(140).collect() })
}

/// What ended a run, by the words of the error.
fn why(message: &str, asks_libraries: bool) -> Reason {
    let kinds: &[(&'static str, &str)] = &[
        ("unknown step", "^No such DSL method '([^']*)'"),
        ("step not supported", "^The step ‘([^’]*)’ is not supported"),
        ("no such property", "^No such property: (.*)"),
        ("no such method", r"^No signature of method: (?:static )?(.*?)\(\) is applicable"),
        ("class", r"^unable to resolve class (\S+)"),
        ("error step", r"^(.*)\(error step\)$"),
        ("a limit", "^(.*which is its limit.*)"),
        (NO_POD, "^(container.* stands in no pod)"),
    ];
    let line = message.lines().find(|line| *line != "startup failed:").unwrap_or_default();
    for (group, pattern) in kinds {
        if let Some(detail) = first(line, pattern) {
            let group = if asks_libraries && matches!(*group, "unknown step" | "class") { "@Library" } else { group };
            return Reason { group, detail: detail.chars().take(140).collect() };
        }
    }
    Reason { group: "other", detail: line.chars().take(140).collect() }
}

fn quoted(text: &str) -> String {
    text.split('"').nth(1).unwrap_or(text).to_owned()
}

/// What a file that cannot be read seems to be.
fn kind_by_text(source: &str) -> Kind {
    let opens = |line: &str| line.trim_end().starts_with("pipeline") && !line.contains('=');
    if source.lines().any(opens) { Kind::Declarative } else { Kind::Scripted }
}

/// Whether all statements only define something, or call what is no step.
fn is_library(script: &Script) -> bool {
    script.body.iter().all(|statement| match &statement.kind {
        StmtKind::Expr(expr) => calls_library(expr),
        StmtKind::Return(_) | StmtKind::Empty => true,
        _ => false,
    })
}

fn calls_library(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Call { object: None, callee: Member::Name(name, _), .. } => {
            **name == *"library" || Catalogue::get().step(name).is_none()
        }
        ExprKind::Name(_) => true,
        _ => false,
    }
}
