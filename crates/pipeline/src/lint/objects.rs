//! Values that steps are given: `scmGit(branches: …)`, `[$class: 'GitSCM', …]`. A parameter that one does not have is a warning, as it is in a
//! run of Jenkins.

use groovy::ast::{Expr, ExprKind};
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use crate::catalogue::{Catalogue, Entry, Form, Kind, forms, nearest};
use crate::declarative::{Pair, messages};

use super::arguments::{Given, MISSING, class, missing, named, pairs, unknown};
use super::calls::NameCall;
use super::did_you_mean;
use super::names::is_groovys;

/// Classes that take what the steps take that stand for them today.
const LIKE_STEPS: [&str; 6] =
    ["ArtifactArchiver", "CopyArtifact", "Fingerprinter", "JUnitResultArchiver", "JavadocArchiver", "WsCleanup"];

/// The kinds of entries that are values.
const VALUES: [Kind; 4] = [Kind::Symbol, Kind::Property, Kind::Parameter, Kind::Trigger];

/// Whether it is known what a symbol takes.
pub(super) fn is_known(catalogue: &'static Catalogue, name: &str) -> bool {
    !forms(name).is_empty() || sole_meaning(catalogue, name).is_some()
}

/// The entry of a name that means one thing, where all its parameters are known.
fn sole_meaning(catalogue: &'static Catalogue, name: &str) -> Option<&'static Entry> {
    let mut meanings = catalogue.of_any_kind(name);
    let entry = meanings.next().filter(|_| meanings.next().is_none())?;
    (VALUES.contains(&entry.kind) && !entry.open && !entry.fixture && !is_groovys(name)).then_some(entry)
}

/// Looks at one value. `is_whole`: all that it is given has a name.
pub(super) fn check(
    catalogue: &'static Catalogue,
    (name, span): (&str, Span),
    pairs: &[Pair<'_>],
    is_whole: bool,
    found: &mut Vec<Diagnostic>,
) {
    let forms = forms(name);
    let Some(entry) = sole_meaning(catalogue, name).filter(|_| forms.is_empty()) else {
        return of_forms(forms, (name, span), pairs, is_whole, found);
    };
    let own = pairs.iter().filter(|pair| pair.name().is_some_and(|key| entry.parameter(key).is_none()));
    found.extend(own.map(|pair| unknown(name, pair, entry.parameters.iter().map(|p| p.name))));
}

fn of_forms(
    forms: &[Form],
    (name, span): (&str, Span),
    pairs: &[Pair<'_>],
    is_whole: bool,
    found: &mut Vec<Diagnostic>,
) {
    let has = |form: &Form, key: &str| form.iter().any(|field| field.name == key);
    let keys: Vec<&str> = pairs.iter().filter_map(|pair| pair.name()).map(|name| &**name).collect();
    let known: Vec<&str> = keys.iter().copied().filter(|key| forms.iter().any(|form| has(form, key))).collect();
    for pair in
        pairs.iter().filter(|pair| pair.name().is_some_and(|key| !known.contains(&&**key) && &**key != "$class"))
    {
        found.push(unknown(name, pair, forms.iter().flatten().map(|field| field.name)));
    }
    // What is missing can be said where there is no doubt which meaning it is.
    let mut fit = forms.iter().filter(|form| known.iter().all(|key| has(form, key)));
    if let (Some(form), None, true) = (fit.next(), fit.next(), is_whole && !known.is_empty()) {
        let lacks = form.iter().filter(|field| field.required && !known.contains(&field.name));
        found.extend(
            lacks.map(|field| Diagnostic::error(span, messages::missing_parameter(field.name)).of_rule(MISSING)),
        );
    }
}

/// Looks at the maps in arguments, each with a class or in a place that has one. Calls in them are looked at by themselves.
pub(super) fn within(catalogue: &'static Catalogue, given: &Given<'_>, found: &mut Vec<Diagnostic>) {
    let mut open: Vec<(&Expr, Option<&'static str>)> = given.others.iter().map(|expr| (*expr, None)).collect();
    open.extend(given.pairs.iter().map(|pair| (pair.value, None)));
    while let Some((expr, of)) = open.pop() {
        match &*expr.kind {
            ExprKind::List(items) => open.extend(items.iter().filter_map(|item| match item {
                groovy::ast::Arg::Positional(item) => Some((item, of)),
                _ => None,
            })),
            ExprKind::Map(entries) => {
                let Some(pairs) = pairs(entries) else { continue };
                let class = class(&pairs);
                let name = match class {
                    Some((Some(class), _)) => class.rsplit('.').next(),
                    Some((None, _)) => None,
                    None => of,
                };
                let forms = name.map_or(&[][..], forms);
                if let Some(name) = name.filter(|_| !forms.is_empty()) {
                    let span = class.map_or(expr.span, |(_, span)| span);
                    check(catalogue, (name, span), &pairs, true, found);
                }
                let field = |key: &str| forms.iter().flatten().find(|field| field.name == key).and_then(|f| f.of);
                open.extend(pairs.iter().map(|pair| (pair.value, pair.name().and_then(|key| field(key)))));
            }
            _ => {}
        }
    }
}

/// `step([$class: 'X', …])`, `wrap([$class: 'X', …]) { … }`
pub(super) fn delegate(
    catalogue: &'static Catalogue,
    call: &NameCall<'_>,
    given: &Given<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let nested = match (&given.pairs[..], &given.others[..]) {
        ([pair], []) if pair.name().is_some_and(|name| &**name == "delegate") => Some(pair.value),
        ([], [only]) => Some(*only),
        _ => None,
    };
    let fields = match nested.map(|expr| &*expr.kind) {
        Some(ExprKind::Map(entries)) => pairs(entries),
        Some(_) => None,
        None => Some(given.pairs.clone()),
    };
    let Some(fields) = fields else { return };
    let Some((Some(class), span)) = class(&fields) else { return };
    let short = class.rsplit('.').next().unwrap_or_default();
    let step = catalogue.step_of_class(short).or_else(|| catalogue.step(short).map(|entry| entry.name));
    let Some(entry) = step.filter(|step| !matches!(*step, "step" | "wrap")).and_then(|step| catalogue.step(step))
    else {
        let text = format!("{}([$class: '{class}']) fails: no step is known that does what this class does", call.name);
        let mut unknown = Diagnostic::warning(span, text).of_rule("unsupported-step");
        unknown.hint = did_you_mean(&nearest(short, catalogue.classes()));
        return found.push(unknown);
    };
    if LIKE_STEPS.contains(&short) {
        let fields: Vec<_> =
            fields.into_iter().filter(|pair| pair.name().is_none_or(|n| !n.starts_with('$'))).collect();
        named(catalogue, entry, &fields, found);
        missing(entry, call.span, |name| fields.iter().any(|pair| pair.name().is_some_and(|n| &**n == name)), found);
    }
}
