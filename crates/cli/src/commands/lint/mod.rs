//! `cofferdam lint`: syntax, declarative model, names and habits, without running anything.

mod files;
mod forge;
mod libraries;
mod sarif;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::{LineIndex, Place, Span};
use pipeline::definition::Surroundings;
use pipeline::lint::rules::{self, Level};
use serde::Serialize;

use crate::added;
use crate::args::{LintArgs, LintFormat};
use crate::failure::{CommandFailure, Exit};
use crate::show::Style;
use crate::source::{self, JsonDiagnostic};

use files::{Found, Kind};
use libraries::Libraries;

/// Files checked at the same time, at most.
const MAX_THREADS: usize = 8;

/// A file that was checked.
struct Report {
    /// As people see it.
    name: String,
    text: String,
    findings: Vec<Diagnostic>,
    /// What to exit with for it.
    exit: Exit,
    /// Why it could not be read.
    unread: Option<CommandFailure>,
}

impl Report {
    fn is_valid(&self) -> bool {
        self.exit == Exit::Success
    }

    fn level(&self, finding: &Diagnostic) -> Level {
        rules::level(finding)
    }

    /// First and last place of a span, one-based, the last behind the last character.
    fn places(&self, lines: &LineIndex, span: Span) -> (Place, Place) {
        (lines.place(&self.text, span.start), lines.place(&self.text, span.end.max(span.start)))
    }
}

/// Which findings are told, and which count.
struct Choice {
    allow: Vec<&'static str>,
    deny: Vec<&'static str>,
    deny_warnings: bool,
}

impl Choice {
    fn new(args: &LintArgs) -> Result<Choice, CommandFailure> {
        let rule = |name: &String| match rules::find(name) {
            Some(rule) => Ok(rule.id),
            None => {
                let near = pipeline::catalogue::nearest(name, rules::RULES.iter().map(|rule| rule.id));
                let hint = match near.first() {
                    Some(near) => format!("did you mean {near}?"),
                    None => "`cofferdam steps --rules` lists them".to_owned(),
                };
                Err(CommandFailure::usage(format!("there is no rule {name}")).with_hint(hint))
            }
        };
        let (all, deny): (Vec<_>, Vec<_>) = args.deny.iter().partition(|name| *name == "warnings");
        Ok(Choice {
            allow: args.allow.iter().map(rule).collect::<Result<_, _>>()?,
            deny: deny.into_iter().map(rule).collect::<Result<_, _>>()?,
            deny_warnings: !all.is_empty(),
        })
    }

    /// What is left of findings, with those that count as errors being some.
    fn of(&self, mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let named = |rules: &[&str], finding: &Diagnostic| finding.rule.is_some_and(|rule| rules.contains(&rule));
        findings.retain(|finding| finding.severity == Severity::Error || !named(&self.allow, finding));
        for finding in &mut findings {
            if named(&self.deny, finding) || self.deny_warnings && rules::level(finding) == Level::Warning {
                finding.severity = Severity::Error;
            }
        }
        findings
    }
}

/// Checks every file; one that cannot be read does not keep the others from being checked.
pub fn run(args: &LintArgs, style: Style) -> Result<Exit, CommandFailure> {
    let choice = Choice::new(args)?;
    let found = files::find(&args.files)?;
    let libraries = Libraries::new(args)?;
    let reports = check_all(&found, &choice, &libraries, &surroundings_of(&found, args)?);
    match args.output {
        LintFormat::Json => reports.iter().for_each(print_json),
        LintFormat::Text => print_text(&reports, style),
        LintFormat::Sarif => println!("{}", sarif::log(&reports)),
        LintFormat::Github => forge::github(&reports),
        LintFormat::Gitlab => println!("{}", forge::gitlab(&reports)),
    }
    let mut exit = Exit::Success;
    for report in &reports {
        // One invalid file decides, whatever else went wrong.
        if exit == Exit::Success || report.exit == Exit::Invalid {
            exit = report.exit;
        }
    }
    Ok(exit)
}

/// The reports in the order of the files.
fn check_all(
    found: &[Found],
    choice: &Choice,
    libraries: &Libraries<'_>,
    surroundings: &HashMap<PathBuf, Surroundings>,
) -> Vec<Report> {
    let next = AtomicUsize::new(0);
    let reports: Vec<Mutex<Option<Report>>> = found.iter().map(|_| Mutex::default()).collect();
    let work = || {
        while let Some((file, place)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            found.get(at).zip(reports.get(at))
        } {
            let report = check(file, choice, libraries, &surroundings[folder_of(&file.path)]);
            *place.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(report);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(MAX_THREADS).min(found.len()) {
            scope.spawn(work);
        }
        work();
    });
    let whole = |report: Mutex<Option<Report>>| report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    reports.into_iter().filter_map(whole).collect()
}

/// What is there where each definition lies: the steps that are added, for each folder once, and tools.
fn surroundings_of(found: &[Found], args: &LintArgs) -> Result<HashMap<PathBuf, Surroundings>, CommandFailure> {
    let mut all = HashMap::new();
    for file in found {
        let folder = folder_of(&file.path);
        if !all.contains_key(folder) {
            let added = added::surroundings(folder, &args.steps)?;
            all.insert(folder.to_owned(), Surroundings { tools: args.tools.clone(), ..added });
        }
    }
    Ok(all)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn check(file: &Found, choice: &Choice, libraries: &Libraries<'_>, surroundings: &Surroundings) -> Report {
    let name = match file.path == Path::new("-") {
        true => "standard input".to_owned(),
        false => file.path.display().to_string(),
    };
    let text = match source::read(&file.path) {
        Ok(text) => text,
        Err(failure) => {
            let mut finding = Diagnostic::error(Span::default(), failure.message.clone()).of_rule("unreadable");
            finding.hint.clone_from(&failure.hint);
            let (exit, findings) = (failure.exit, vec![finding]);
            return Report { name, text: String::new(), findings, exit, unread: Some(failure) };
        }
    };
    let surroundings = libraries.around(&text, surroundings);
    let findings = choice.of(match &file.kind {
        Kind::Definition => pipeline::lint::lint_in(&text, &surroundings),
        Kind::Library(variables) => pipeline::lint::lint_library(&text, variables, &surroundings),
    });
    let is_error = |finding: &Diagnostic| finding.severity == Severity::Error;
    let exit = if findings.iter().any(is_error) { Exit::Invalid } else { Exit::Success };
    Report { name, text, findings, exit, unread: None }
}

#[derive(Serialize)]
struct FileReport<'a> {
    file: &'a str,
    valid: bool,
    diagnostics: Vec<JsonDiagnostic>,
}

fn print_json(report: &Report) {
    let lines = LineIndex::new(&report.text);
    let diagnostics = report.findings.iter().map(|d| JsonDiagnostic::new(&report.text, &lines, d)).collect();
    let object = FileReport { file: &report.name, valid: report.is_valid(), diagnostics };
    if let Ok(line) = serde_json::to_string(&object) {
        println!("{line}");
    }
}

fn print_text(reports: &[Report], style: Style) {
    let mut out = std::io::stdout().lock();
    let mut counts = [0_usize; 3];
    for report in reports {
        if let Some(failure) = &report.unread {
            eprintln!("error: {failure}");
            continue;
        }
        for finding in &report.findings {
            counts[report.level(finding) as usize] += 1;
            let _ = writeln!(out, "{}\n", source::render(&report.name, &report.text, finding, style));
        }
        let verdict = if report.is_valid() { style.green("valid") } else { style.red("invalid") };
        let _ = writeln!(out, "{}: {verdict}", report.name);
    }
    if reports.len() > 1 {
        let invalid = reports.iter().filter(|report| !report.is_valid()).count();
        let [notes, warnings, errors] = counts;
        let _ = writeln!(
            out,
            "{} files, {invalid} invalid: {errors} errors, {warnings} warnings, {notes} notes",
            reports.len()
        );
    }
}
