//! Arguments of steps in code: parameters that the step does not have, that are missing, and literals of a wrong type. Code runs as far as it
//! is reached, and a run is not as strict as the rules of `steps { … }`: an error is what ends the run where the call is reached.
//! What cannot be known (a variable that may be a map or a block, `*list`) is not guessed.

use groovy::ast::{Arg, Constant, Expr, ExprKind, MapEntry, MapKey, Text};
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::span::Span;

use crate::catalogue::{Catalogue, Entry, Kind, Parameter, ParameterType, Support, nearest};
use crate::declarative::{Literal, Pair, closure_of, literal, messages, mismatch};
use crate::steps;

use super::calls::NameCall;
use super::names::is_groovys;
use super::{did_you_mean, objects, refused};

/// The rules, as the rules of `steps { … }` call them.
pub(super) const UNKNOWN: &str = "invalid-parameter";
pub(super) const MISSING: &str = "missing-parameter";
const TYPE: &str = "wrong-type";

/// Required by the classes of Jenkins, but a run goes on without them.
const OPTIONAL: [(&str, &str); 14] = [
    ("ansiColor", "colorMapName"),
    ("compareVersions", "v1"),
    ("compareVersions", "v2"),
    ("error", "message"),
    ("fileOperations", "fileOperations"),
    ("getContext", "type"),
    ("input", "message"),
    ("lock", "resource"),
    ("milestone", "ordinal"),
    ("node", "label"),
    ("properties", "properties"),
    ("warnError", "message"),
    ("ws", "dir"),
    ("zip", "zipFile"),
];

/// The arguments of a call.
pub(super) struct Given<'a> {
    /// Those with names.
    pub(super) pairs: Vec<Pair<'a>>,
    /// Those without, but for a block at their end.
    pub(super) others: Vec<&'a Expr>,
}

impl<'a> Given<'a> {
    /// Those of a call; `None`: a run only knows them.
    fn of(args: &'a [Arg]) -> Option<Given<'a>> {
        let mut given = Given { pairs: Vec::new(), others: Vec::new() };
        for arg in args {
            match arg {
                Arg::Named(key @ MapKey::Constant(Constant::Str(_), _), value) => given.pairs.push(Pair { key, value }),
                Arg::Positional(expr) => given.others.push(expr),
                Arg::Named(..) | Arg::Spread(_) | Arg::SpreadMap(_) => return None,
            }
        }
        given.others.pop_if(|last| closure_of(last).is_some());
        // A map is what it has; one with a class is a value.
        if let ([only], true) = (&given.others[..], given.pairs.is_empty())
            && let ExprKind::Map(entries) = &*only.kind
        {
            let pairs = pairs(entries)?;
            if class(&pairs).is_none() {
                return Some(Given { pairs, others: Vec::new() });
            }
        }
        Some(given)
    }
}

/// The entries of a map; `None`: a run only knows them.
pub(super) fn pairs(entries: &[MapEntry]) -> Option<Vec<Pair<'_>>> {
    let pair = entries.iter().map(|entry| match entry {
        MapEntry::Pair(key @ MapKey::Constant(Constant::Str(_), _), value) => Some(Pair { key, value }),
        _ => None,
    });
    pair.collect()
}

/// The `$class` of a map: its name where it is a literal, and where it stands.
pub(super) fn class<'a>(pairs: &[Pair<'a>]) -> Option<(Option<&'a Text>, Span)> {
    let pair = pairs.iter().find(|pair| pair.name().is_some_and(|name| &**name == "$class"))?;
    match &*pair.value.kind {
        ExprKind::Constant(Constant::Str(class)) => Some((Some(class), pair.value.span)),
        _ => Some((None, pair.value.span)),
    }
}

/// Looks at a call. `is_checked`: the rules of `steps { … }` have looked at its own arguments, not at what these hold.
pub(super) fn check(catalogue: &'static Catalogue, call: &NameCall<'_>, is_checked: bool, found: &mut Vec<Diagnostic>) {
    let name = &*call.name;
    let entry = catalogue.step(name).filter(|_| !(call.of_credential && catalogue.find(Kind::Symbol, name).is_some()));
    if entry.is_none() && !objects::is_known(catalogue, name) {
        return;
    }
    let Some(given) = Given::of(call.args) else { return };
    match entry {
        Some(_) if matches!(name, "step" | "wrap") => objects::delegate(catalogue, call, &given, found),
        Some(entry) if !is_checked && !matches!(name, "parallel" | "script") => {
            step(catalogue, entry, call, &given, found)
        }
        Some(_) => {}
        None => objects::check(catalogue, (name, call.span), &given.pairs, given.others.is_empty(), found),
    }
    objects::within(catalogue, &given, found);
    if entry.is_some() {
        refused::check(catalogue, name, &given, found);
    }
}

/// Looks at what a step is given.
fn step(
    catalogue: &'static Catalogue,
    entry: &Entry,
    call: &NameCall<'_>,
    given: &Given<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let runner = steps::sole_in(catalogue, entry.name);
    let sole = runner.flatten().filter(|sole| given.pairs.iter().all(|pair| pair.name().is_none_or(|n| **n != **sole)));
    // `$class` makes an object of the arguments.
    if entry.open || given.pairs.iter().any(|pair| pair.name().is_some_and(|name| name.starts_with('$'))) {
        return;
    }
    let mut is_sure = true;
    let mut has_sole = false;
    match (&given.others[..], sole) {
        ([], _) => {}
        ([value], Some(name)) => {
            is_sure = is_plain(value);
            has_sole = true;
            if let Some(parameter) = entry.parameter(name) {
                of_type(entry, parameter, value, true, found);
            }
        }
        (values, _) => {
            is_sure = false;
            if runner.is_some() && !is_groovys(entry.name) && values.iter().all(|value| is_plain(value)) {
                let text = messages::too_many_unnamed(entry.name);
                found.push(Diagnostic::error(call.span, text).of_rule(UNKNOWN));
            }
        }
    }
    named(catalogue, entry, &given.pairs, found);
    let is_given = |name: &str| {
        has_sole && sole == Some(name) || given.pairs.iter().any(|pair| pair.name().is_some_and(|n| &**n == name))
    };
    if is_sure {
        missing(entry, call.span, is_given, found);
    }
}

/// Arguments with names.
pub(super) fn named(catalogue: &'static Catalogue, entry: &Entry, pairs: &[Pair<'_>], found: &mut Vec<Diagnostic>) {
    // `git(…)` and the like may be a value with other parameters than those of the step: then only what is near to one is a mistake.
    let is_value = catalogue.find(Kind::Symbol, entry.name).is_some();
    for pair in pairs {
        let Some(key) = pair.name() else { continue };
        match entry.parameter(key) {
            Some(parameter) => of_type(entry, parameter, pair.value, false, found),
            None => {
                let unknown = unknown(entry.name, pair, entry.parameters.iter().map(|p| p.name));
                found.extend(Some(unknown).filter(|unknown| !is_value || unknown.hint.is_some()));
            }
        }
    }
}

/// A run says that a parameter is unknown, and goes on.
pub(super) fn unknown<'n>(of: &str, pair: &Pair<'_>, known: impl Iterator<Item = &'n str>) -> Diagnostic {
    let key = pair.name().map_or("", |name| &**name);
    let near = nearest(key, known);
    let span = pair.key_span();
    let mut found = Diagnostic::warning(span, format!("\"{of}\" has no parameter \"{key}\"")).of_rule(UNKNOWN);
    found.hint = did_you_mean(&near);
    match near[..] {
        [only] => found.with_fix(span, only),
        _ => found,
    }
}

/// Required parameters that are not given, of a step that runs.
pub(super) fn missing(entry: &Entry, blame: Span, is_given: impl Fn(&str) -> bool, found: &mut Vec<Diagnostic>) {
    if entry.support != Support::Runs {
        return;
    }
    let required = entry.required().filter(|p| is_needed(entry, p) && !is_given(p.name));
    found.extend(required.map(|p| Diagnostic::error(blame, messages::missing_parameter(p.name)).of_rule(MISSING)));
}

/// Whether a run ends without a parameter.
fn is_needed(entry: &Entry, parameter: &Parameter) -> bool {
    parameter.required && (entry.added.is_some() || !OPTIONAL.contains(&(entry.name, parameter.name)))
}

/// A literal of a wrong type ends a run where the step has to read it; Jenkins ends for any.
fn of_type(entry: &Entry, parameter: &Parameter, value: &Expr, alone: bool, found: &mut Vec<Diagnostic>) {
    let Some(literal) = literal(&value.kind).filter(|literal| is_wrong(literal, parameter.ty)) else { return };
    let runs = match entry.support {
        Support::Runs => true,
        Support::Recorded(_) | Support::Delivered(_) => false,
        Support::Refused(_) | Support::Known => return,
    };
    let name = Some(parameter.name).filter(|_| !alone);
    if let Some(text) = mismatch(&literal, parameter.ty, name) {
        let is_read = entry.added.is_some() || is_needed(entry, parameter);
        let severity = if runs && is_read { Severity::Error } else { Severity::Warning };
        found.push(Diagnostic::new(severity, value.span, text).of_rule(TYPE));
    }
}

/// Whether a run takes a literal for a value of the wrong type: it reads numbers in texts, and null is as if nothing was given.
fn is_wrong(literal: &Literal, ty: ParameterType) -> bool {
    match (ty, literal) {
        (_, Literal::Null) => false,
        (ParameterType::String | ParameterType::TimeUnit, _) => true,
        (
            ParameterType::Int | ParameterType::Integer | ParameterType::Long | ParameterType::Double,
            Literal::Str(text),
        ) => text.trim().parse::<f64>().is_err(),
        (ParameterType::Int | ParameterType::Integer | ParameterType::Long | ParameterType::Double, _) => true,
        _ => false,
    }
}

/// Whether an expression can be neither a block nor a map.
fn is_plain(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Constant(constant) => !matches!(constant, Constant::Null),
        ExprKind::GString(_) | ExprKind::List(_) => true,
        ExprKind::Unary { operand, .. } => matches!(&*operand.kind, ExprKind::Constant(_)),
        _ => false,
    }
}
