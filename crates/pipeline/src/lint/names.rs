//! Names that are called: which of them nobody defines, and which Cofferdam cannot run yet.
//!
//! A call to a name is fine where the file itself defines the name anywhere (a method, a variable, a parameter), where a
//! step or value has it, or where Groovy gives it to every script. Otherwise it fails in the run, and it is better to
//! say so before. What a library may define cannot be known: then it is only a warning. Who runs the file is told as well, but
//! the call fails only where it is reached ([`Purpose::Run`]).

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;

use groovy::ast::{Arg, Closure, Expr, ExprKind, Member, Script, Text};
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::outside::{self, Outside};
use groovy::span::Span;

use crate::catalogue::{Catalogue, Entry, Kind, Level, OF_EVERY_OBJECT, Support, nearest};
use crate::declarative::unroll;
use crate::definition::{Purpose, Surroundings};
use crate::outside::{advice, plugin_variable};

use super::arguments;
use super::blocks;
use super::calls::{NameCall, Within};
use super::did_you_mean;
use super::engine::{NodeBlock, Use};
use super::shell::in_shell;
use super::walk::{Facts, collect};

/// What a script can call beside [`OF_EVERY_OBJECT`]: methods of `Script` that share their name with a step, words of the language,
/// and what a closure calls on the object that it was given to (`list.with { sum() }`).
const GROOVY: [&str; 10] = [
    "call",
    "collectEntries",
    "eachLine",
    "getMetaPropertyValues",
    "it",
    "sleep",
    "sum",
    "super",
    "this",
    "withTraits",
];

/// After so many calls to unknown names the rest is not looked at: looking for the nearest names costs time.
const MAX_UNKNOWN: usize = 500;

/// After so many findings of what does not run here each is told once.
const MAX_TOLD: usize = 500;

/// After so many findings in arguments the rest is not looked at.
const MAX_ARGUMENTS: usize = 500;

/// With more names than this, those of the file are not offered as the nearest.
const MAX_OWN_NAMES: usize = 1000;

/// The global variables of Jenkins, some of which can be called.
const GLOBALS: [&str; 9] =
    ["pipeline", "env", "params", "currentBuild", "scm", "docker", "checkoutScm", "pullRequest", "openshift"];

/// The rule of what the machine refuses, where no other has more to say.
pub(super) const REFUSED: &str = "refused-access";

/// Packages of Jenkins and its plugins.
const INTERNAL: [&str; 4] = ["hudson.", "jenkins.", "org.jenkinsci.", "com.cloudbees."];

/// Checks the names that a file calls, and what they are given. `directives` are the `pipeline { … }` blocks in it; `checked`, sorted, is
/// where the steps begin whose arguments were looked at with these.
pub(crate) fn check(
    source: &str,
    script: &Script,
    (directives, checked): (&[Rc<Closure>], &[u32]),
    surroundings: &Surroundings,
) -> (Vec<Diagnostic>, Wants) {
    let unrolled: Vec<Rc<Closure>> = directives.iter().map(|d| unroll(source, d)).collect();
    let mut facts = collect(script, directives, &unrolled);
    let of_images = std::mem::take(&mut facts.engine_of_image);
    let of_images = of_images.into_iter().filter(|(variable, ..)| facts.variables.is_image(variable));
    let of_images: Vec<_> = of_images.map(|(_, wish, span)| (wish, span)).collect();
    facts.engine.extend(of_images);
    for (script, span) in &facts.scripts {
        let found = facts.variables.texts(script).iter().find_map(|text| in_shell(text));
        facts.engine.extend(found.map(|words| (Use::Engine(words), *span)));
    }
    let catalogue = surroundings.catalogue();
    for call in &facts.calls {
        let entry = catalogue.step(&call.name).and_then(|entry| entry.added);
        if entry.is_some_and(|added| added.has_image) {
            facts.engine.push((Use::Sharing(format!("`{}`", call.name)), call.span));
        }
    }
    facts.internals.sort_by_key(|(_, span)| span.start);
    facts.members.sort_by_key(|(.., span)| span.start);
    facts.made.sort_by_key(|(_, span)| span.start);
    let wants = Wants { engine: std::mem::take(&mut facts.engine), nodes: std::mem::take(&mut facts.nodes) };
    let library = facts.library || surroundings.unknown_library;
    let known = Known { facts: &facts, surroundings, catalogue, script, checked, statements: OnceCell::new() };
    let mut diagnostics = match surroundings.purpose {
        Purpose::Lint => known.arguments(checked, library),
        Purpose::Run => Vec::new(),
    };
    let mut told = Told { purpose: surroundings.purpose, names: HashSet::new(), count: 0 };
    let mut unknown = 0;
    for call in known.in_order() {
        if call.of_steps && known.facts.defined.contains("steps") {
            continue;
        }
        let Some(finding) = known.finding(call) else { continue };
        unknown += usize::from(matches!(finding, Finding::Unknown));
        if unknown > MAX_UNKNOWN {
            break;
        }
        match finding {
            Finding::Unknown if !known.runs_here(call.within, library) => {}
            Finding::Unknown if !library => {
                let first = told.names.insert(call.name.clone());
                match surroundings.purpose {
                    Purpose::Lint => diagnostics.push(known.unknown(&call.name, call.span)),
                    Purpose::Run if first => {
                        let mut found = known.unknown(&call.name, call.span);
                        found.severity = Severity::Warning;
                        found.message.push_str(": where it is called, the run fails");
                        diagnostics.push(found);
                    }
                    Purpose::Run => {}
                }
            }
            Finding::Unknown if surroundings.purpose == Purpose::Run => {}
            Finding::Unknown => {
                if told.names.insert(call.name.clone()) {
                    diagnostics.push(known.perhaps_library(&call.name, call.span));
                }
            }
            Finding::Level(words, level, rule) => {
                if told.is(&call.name) {
                    let found =
                        Diagnostic::warning(call.span, format!("the step \"{}\" {words}: {}", call.name, level.why))
                            .of_rule(rule);
                    diagnostics.push(match level.instead {
                        Some(instead) => found.with_hint(format!("instead: {instead}")),
                        None => found,
                    });
                }
            }
            Finding::NotYet => {
                if told.is(&call.name) {
                    let text = format!("the step \"{}\" is known, but Cofferdam cannot run it yet", call.name);
                    diagnostics.push(Diagnostic::warning(call.span, text).of_rule("unsupported-step"));
                }
            }
        }
    }
    for (name, span) in &facts.internals {
        if told.is(name) {
            let text = format!("\"{name}\" belongs to Jenkins' own objects, which are not there: using it fails");
            diagnostics.push(Diagnostic::warning(*span, text).of_rule("jenkins-internals"));
        }
    }
    for (name, of_object, _, span) in &facts.members {
        let is_own = *of_object || library || facts.defined.contains(name) || facts.imported.contains_key(name);
        if let Some(instead) = plugin_variable(name).filter(|_| !is_own)
            && told.is(name)
        {
            let text = format!("the variable \"{name}\" is that of a plugin of Jenkins, and does not run here");
            let found = Diagnostic::warning(*span, text).of_rule("jenkins-internals");
            diagnostics.push(found.with_hint(format!("instead: {instead}")));
        }
    }
    for (text, outside, span) in known.refused() {
        if told.is(&text) {
            let message = format!("{text} is refused to scripts");
            diagnostics.push(Diagnostic::warning(span, message).with_hint(advice(outside)).of_rule(REFUSED));
        }
    }
    for (name, span) in &facts.made {
        if !known.is_class(name, library) && told.is(name) {
            let text = format!("the class \"{name}\" is not there: `new {name}` fails");
            let mut found = Diagnostic::warning(*span, text).of_rule("missing-class");
            found.hint = instead_of(name).map(str::to_owned);
            diagnostics.push(found);
        }
    }
    for (name, lack, span) in &facts.annotations {
        let text = format!("@{name} {lack}");
        diagnostics.push(Diagnostic::warning(*span, text).of_rule("no-effect-annotation"));
    }
    for (kind, name, span) in &facts.directives {
        if let Some(entry) = known.catalogue.find(*kind, name)
            && entry.support == Support::Known
            && told.is(name)
        {
            let what = if *kind == Kind::Agent { "agent type" } else { "condition" };
            let text = format!("the {what} \"{name}\" is known, but Cofferdam cannot act on it yet");
            diagnostics.push(Diagnostic::warning(*span, text).of_rule("unsupported-directive"));
        }
    }
    (diagnostics, wants)
}

/// What was told: who lints is told of every place, who runs a file of the first.
struct Told {
    purpose: Purpose,
    names: HashSet<Text>,
    /// Findings until now.
    count: usize,
}

impl Told {
    /// Whether one more finding of a name is told.
    fn is(&mut self, name: &Text) -> bool {
        self.count += 1;
        self.names.insert(name.clone()) || self.purpose == Purpose::Lint && self.count <= MAX_TOLD
    }
}

/// What the same walk has found of a wish for a Docker Engine.
pub(crate) struct Wants {
    /// The words for it, and where they stand.
    pub(crate) engine: Vec<(Use, Span)>,
    /// Calls of `node` with their blocks.
    pub(crate) nodes: Vec<NodeBlock>,
}

/// The class of Jenkins' one object, as it is written: `Jenkins`, or with its package.
pub(super) fn singleton(expr: &Expr) -> Option<&'static str> {
    let (name, package) = match &*expr.kind {
        ExprKind::Name(name) => (name, None),
        ExprKind::Property { object, member: Member::Name(name, _), .. } => match &*object.kind {
            ExprKind::Property { object, member: Member::Name(model, _), .. } if &**model == "model" => {
                (name, Some(object))
            }
            _ => return None,
        },
        _ => return None,
    };
    let is_jenkins = |root: &Expr| matches!(&*root.kind, ExprKind::Name(n) if matches!(&**n, "jenkins" | "hudson"));
    let class = ["Jenkins", "Hudson"].into_iter().find(|class| **class == **name)?;
    package.is_none_or(is_jenkins).then_some(class)
}

pub(super) fn is_internal(path: &str) -> bool {
    INTERNAL.iter().any(|package| path.starts_with(package))
}

pub(super) fn is_groovys(name: &str) -> bool {
    OF_EVERY_OBJECT.contains(&name) || GROOVY.contains(&name)
}

/// What people do without a class of Java that reaches for the machine on which Jenkins evaluates.
fn instead_of(class: &str) -> Option<&'static str> {
    match class.rsplit('.').next()? {
        "File" | "FileReader" | "FileWriter" | "FileInputStream" | "FileOutputStream" => {
            Some("files are the agent's: readFile, writeFile, fileExists, findFiles")
        }
        "URL" | "URI" | "Socket" => Some("the script has no network: fetch it in a job, with `sh 'curl …'`"),
        "ProcessBuilder" => Some("the script starts no processes: `sh` does, in a job"),
        _ => None,
    }
}

enum Finding {
    Unknown,
    NotYet,
    /// It does not do what it does in Jenkins: what it does, and why.
    Level(&'static str, Level, &'static str),
}

struct Known<'a> {
    facts: &'a Facts<'a>,
    surroundings: &'a Surroundings,
    catalogue: &'static Catalogue,
    script: &'a Script,
    /// Where the steps of stages begin, sorted.
    checked: &'a [u32],
    /// Where the calls begin that are statements.
    statements: OnceCell<HashSet<u32>>,
}

impl Known<'_> {
    /// The calls by their place.
    fn in_order(&self) -> Vec<&NameCall<'_>> {
        let mut calls: Vec<_> = self.facts.calls.iter().collect();
        calls.sort_by_key(|call| call.span.start);
        calls
    }

    /// Whether a name is the file's own, or one that is there for every file.
    fn is_defined(&self, name: &str) -> bool {
        self.facts.defined.contains(name)
            || self.surroundings.library_names.iter().any(|n| n == name)
            || GLOBALS.contains(&name)
    }

    /// What is wrong with the arguments of calls. Where a library may have another thing of a step's name, nothing is an error.
    fn arguments(&self, checked: &[u32], library: bool) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for call in self.facts.calls.iter().filter(|call| call.is_written) {
            let start = found.len();
            let is_checked = checked.binary_search(&call.span.start).is_ok();
            arguments::check(self.catalogue, call, is_checked, &mut found);
            found.extend(blocks::check(self.catalogue, call).filter(|_| self.is_statement(call)));
            let is_step = || {
                !(self.is_defined(&call.name) || call.of_steps && self.facts.defined.contains("steps"))
                    && self.runs_here(call.within, library)
            };
            if found.len() > start && !is_step() {
                found.truncate(start);
            }
            if found.len() > MAX_ARGUMENTS {
                break;
            }
        }
        if library {
            found.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
        }
        found
    }

    /// Whether a call is a statement: else a name that is a step's may be that of a value.
    fn is_statement(&self, call: &NameCall<'_>) -> bool {
        self.statements.get_or_init(|| blocks::statements(self.script)).contains(&call.span.start)
    }

    fn is_value_alone(&self, call: &NameCall<'_>) -> bool {
        let mut kinds = self.catalogue.of_any_kind(&call.name).map(|entry| entry.kind).peekable();
        kinds.peek().is_some() && kinds.all(|kind| kind == Kind::Symbol) && self.is_step_there(call)
    }

    /// Whether a call stands among the steps of a stage, or has a block.
    fn is_step_there(&self, call: &NameCall<'_>) -> bool {
        let has_block = matches!(call.args.last(), Some(Arg::Positional(e)) if matches!(*e.kind, ExprKind::Closure(_)));
        has_block || self.checked.binary_search(&call.span.start).is_ok()
    }

    fn finding(&self, call: &NameCall<'_>) -> Option<Finding> {
        let name = &*call.name;
        if self.is_defined(name) {
            return None;
        }
        match self.catalogue.step(name) {
            Some(entry) if entry.support == Support::Runs => None,
            // `sleep` is Groovy's too.
            Some(_) if is_groovys(name) => None,
            // `recordIssues(tools: [cmake()])`: a value shares a step's name.
            Some(_)
                if self.catalogue.find(Kind::Symbol, name).is_some()
                    && (call.of_credential || !self.is_statement(call)) =>
            {
                None
            }
            Some(Entry { support: Support::Recorded(level), .. }) => {
                Some(Finding::Level("is recorded, and does nothing else", *level, "recorded-step"))
            }
            Some(Entry { support: Support::Delivered(level), .. }) => Some(Finding::Level(
                "is recorded on one's own machine, and refused at a server",
                *level,
                "recorded-step",
            )),
            Some(Entry { support: Support::Refused(level), .. }) => {
                Some(Finding::Level("does not run here", *level, "unsupported-step"))
            }
            Some(_) => Some(Finding::NotYet),
            // A value that nothing is done with is none: somebody took it for a step.
            None if self.is_value_alone(call) => Some(Finding::Unknown),
            None if is_groovys(name) || self.catalogue.knows(name) || call.within.described => None,
            None => Some(Finding::Unknown),
        }
    }

    /// The full name of a class as the file names it; `None`: it is the file's own.
    fn full(&self, name: &Text) -> Option<Text> {
        match self.facts.imported.get(name) {
            Some(full) => Some(full.clone()),
            None if self.facts.defined.contains(name) => None,
            None => Some(groovy::value::full_name(name).map_or_else(|| name.clone(), Text::from)),
        }
    }

    /// What the machine refuses: how it is written, what it would reach, and where.
    fn refused(&self) -> Vec<(Text, Outside, Span)> {
        let made = self.facts.made.iter().filter_map(|(name, span)| {
            let found = outside::of_static(&self.full(name)?, "new")?;
            Some((format!("new {name}").into(), found, *span))
        });
        let members = self.facts.members.iter().filter_map(|(class, of_object, member, span)| {
            let full = self.full(class)?;
            let first = member.chars().next()?;
            let getter = format!("get{}{}", first.to_uppercase(), &member[first.len_utf8()..]);
            let found = |member: &str| match of_object {
                true => outside::of_object(&full, member),
                false => outside::of_static(&full, member),
            };
            let found = found(member).or_else(|| found(&getter))?;
            Some((format!("{class}.{member}").into(), found, *span))
        });
        made.chain(members).collect()
    }

    /// Whether an object of the class can be made, as far as that can be known.
    fn is_class(&self, name: &Text, library: bool) -> bool {
        let imported = self.facts.imported.get(name);
        let full = imported.unwrap_or(name);
        let is_own = imported.is_none() && (self.facts.defined.contains(name) || self.facts.imported.contains_key("*"));
        // What belongs to Jenkins is named already.
        is_own || groovy::value::is_class(full) || library || is_internal(full)
    }

    /// Whether a place runs with the script's own names.
    fn runs_here(&self, mut within: Within, library: bool) -> bool {
        loop {
            if within.foreign || within.in_closure && self.facts.delegates {
                return false;
            }
            let Some(call) = within.call.and_then(|i| self.facts.calls.get(i)) else { return true };
            let plain = if self.facts.defined.contains(&call.name) {
                !self.facts.delegates && !self.facts.variables.is_object(&call.name)
            } else {
                // A misspelt step is given code like any other; what a library's does with it is unknown.
                self.catalogue.knows(&call.name) || !library && !self.nearest(&call.name).is_empty()
            };
            if !plain {
                return false;
            }
            within = call.within;
        }
    }

    fn unknown(&self, name: &str, span: Span) -> Diagnostic {
        let near = self.nearest(name);
        let hint = did_you_mean(&near).unwrap_or_else(|| {
            "it is neither a step nor defined in this file; a shared library is named with @Library('name') _, or \
             with --load-library"
                .to_owned()
        });
        let found = Diagnostic::error(span, format!("unknown step \"{name}\"")).with_hint(hint).of_rule("unknown-step");
        match near[..] {
            [only] => found.with_fix(span, only),
            _ => found,
        }
    }

    fn perhaps_library(&self, name: &str, span: Span) -> Diagnostic {
        let text = format!("\"{name}\" is not a known step; it may come from a library");
        match did_you_mean(&self.nearest(name)) {
            Some(hint) => Diagnostic::warning(span, text).with_hint(hint).of_rule("library-step"),
            None => Diagnostic::warning(span, text).of_rule("library-step"),
        }
    }

    fn nearest<'s>(&'s self, name: &str) -> Vec<&'s str> {
        let steps = self.catalogue.names(Kind::Step).map(|n| -> &'s str { n });
        // A file with very many names of its own is no text in which someone mistyped one.
        let own = self.facts.defined.iter().filter(|_| self.facts.defined.len() <= MAX_OWN_NAMES);
        nearest(name, steps.chain(own.map(|n| &**n)))
    }
}
