//! Verdicts on many files, as one report.

use std::collections::BTreeMap;

use serde_json::json;

use crate::judge::{Kind, Reason, Verdict};

/// Details of a group that are shown without `--verbose`.
const DETAILS: usize = 12;

type Rung = (&'static str, fn(&Verdict) -> bool);

/// How far a file may get.
const RUNGS: [Rung; 6] = [
    ("parse", |verdict| verdict.parses),
    ("validate, compile", |verdict| verdict.validates),
    ("all names resolve", |verdict| verdict.resolves),
    ("so with its libraries", |verdict| verdict.resolves_with_libraries),
    ("run through", |verdict| verdict.runs),
    // Were the templates of pods there that their operators have.
    ("with operator's pods", |verdict| verdict.runs_with_pods),
];

/// Kinds of file, and what they are called.
const KINDS: [(Kind, &str); 3] =
    [(Kind::Declarative, "declarative"), (Kind::Scripted, "scripted"), (Kind::Library, "library")];

/// Files that do not get further, for reasons of one kind.
struct Group<'a> {
    name: &'static str,
    files: usize,
    /// Each reason with its files, most frequent first.
    details: Vec<(&'a str, Vec<&'a str>)>,
}

/// What there is to say of many files.
pub struct Report<'a> {
    verdicts: Vec<&'a Verdict>,
    /// Most frequent first.
    groups: Vec<Group<'a>>,
    /// In how many files each name stands that means nothing here, most frequent first.
    missing: Vec<(&'a str, usize)>,
}

impl<'a> Report<'a> {
    pub fn new(files: &'a [(String, Verdict)]) -> Report<'a> {
        let mut found: BTreeMap<&'static str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
        for (name, verdict) in files {
            if let Some(Reason { group, detail }) = &verdict.reason {
                found.entry(group).or_default().entry(detail).or_default().push(name);
            }
        }
        let sorted = found.into_iter().map(|(name, details)| {
            let mut details: Vec<_> = details.into_iter().collect();
            details.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
            Group { name, files: details.iter().map(|(_, files)| files.len()).sum(), details }
        });
        let mut groups: Vec<_> = sorted.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.files));
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        files.iter().flat_map(|(_, verdict)| &verdict.missing).for_each(|name| *missing.entry(name).or_default() += 1);
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Report { verdicts: files.iter().map(|(_, verdict)| verdict).collect(), groups, missing }
    }

    fn count(&self, kind: Option<Kind>, has: impl Fn(&Verdict) -> bool) -> usize {
        self.verdicts.iter().filter(|verdict| kind.is_none_or(|kind| verdict.kind == kind) && has(verdict)).count()
    }

    /// A table, and the reasons.
    pub fn text(&self, with_files: bool) -> String {
        let columns: Vec<(Option<Kind>, &str)> =
            std::iter::once((None, "all")).chain(KINDS.map(|(kind, name)| (Some(kind), name))).collect();
        let mut text = format!("{:<20}", "");
        columns.iter().for_each(|(_, name)| text += &format!("{name:>18}"));
        text += &format!("\n{:<20}", "files");
        columns.iter().for_each(|(kind, _)| text += &format!("{:>11}       ", self.count(*kind, |_| true)));
        for (rung, has) in RUNGS {
            text += &format!("\n{rung:<20}");
            for (kind, _) in &columns {
                let (count, all) = (self.count(*kind, has), self.count(*kind, |_| true));
                text += &format!("{count:>11} {:>5.1}%", percent(count, all));
            }
        }
        text.push('\n');
        for Group { name, files, details } in &self.groups {
            text += &format!("\n{name} ×{files}\n");
            let shown = if with_files { details.len() } else { DETAILS.min(details.len()) };
            for (detail, files) in &details[..shown] {
                text += &format!("  {:>4}  {detail}\n", files.len());
                files.iter().filter(|_| with_files).for_each(|file| text += &format!("          {file}\n"));
            }
            text += &more(details.len() - shown);
        }
        let shown = if with_files { self.missing.len() } else { DETAILS.min(self.missing.len()) };
        text += "\nnames that mean nothing here, and in how many files they stand\n";
        self.missing[..shown].iter().for_each(|(name, count)| text += &format!("  {count:>4}  {name}\n"));
        text + &more(self.missing.len() - shown)
    }

    /// The same for programs, with all files.
    pub fn json(&self) -> String {
        let of = |kind: Option<Kind>| {
            let rungs: serde_json::Map<_, _> =
                RUNGS.iter().map(|(rung, has)| ((*rung).to_owned(), json!(self.count(kind, has)))).collect();
            json!({"files": self.count(kind, |_| true), "rungs": rungs})
        };
        let kinds: serde_json::Map<_, _> =
            KINDS.iter().map(|(kind, name)| ((*name).to_owned(), of(Some(*kind)))).collect();
        let groups = self.groups.iter().flat_map(|Group { name, details, .. }| {
            details.iter().map(move |(detail, files)| json!({"group": name, "detail": detail, "files": files}))
        });
        let reasons: Vec<_> = groups.collect();
        format!("{}\n", json!({"all": of(None), "kinds": kinds, "reasons": reasons, "missing": self.missing}))
    }
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!("        and {count} more\n") }
}

#[expect(clippy::cast_precision_loss, reason = "counts of files")]
fn percent(count: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * count as f64 / all as f64 }
}
