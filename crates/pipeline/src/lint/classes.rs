//! `step([$class: 'X', …])` and `wrap([$class: 'X', …])`: calls of the steps that stand for the classes today.

use groovy::ast::{Arg, Constant, Expr, ExprKind, MapEntry, MapKey, Text};
use groovy::span::Span;

use crate::catalogue::Catalogue;

use super::calls::{NameCall, Within};

/// The call that such a one is.
pub(super) fn call<'a>(name: &str, args: &'a [Arg], span: Span, within: Within) -> Option<NameCall<'a>> {
    if !matches!(name, "step" | "wrap") {
        return None;
    }
    let class = args.iter().find_map(|arg| match arg {
        Arg::Positional(expr) => match &*expr.kind {
            ExprKind::Map(entries) => entries.iter().find_map(|entry| match entry {
                MapEntry::Pair(key, value) => class(key, value),
                MapEntry::Spread(_) => None,
            }),
            _ => None,
        },
        Arg::Named(key, value) => class(key, value),
        Arg::Spread(_) | Arg::SpreadMap(_) => None,
    })?;
    let step = Catalogue::get().step_of_class(class)?;
    Some(NameCall { is_written: false, ..NameCall::new(step.into(), span, &[], within) })
}

fn class<'a>(key: &MapKey, value: &'a Expr) -> Option<&'a Text> {
    let is_class = matches!(key, MapKey::Constant(Constant::Str(name), _) if &**name == "$class");
    match &*value.kind {
        ExprKind::Constant(Constant::Str(class)) if is_class => Some(class),
        _ => None,
    }
}
