//! What steps are given that a run refuses wherever it is reached: bindings that nobody reads, repositories that git does not fetch.

use groovy::ast::{Arg, Constant, Expr, ExprKind};
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use crate::catalogue::{Catalogue, Kind};
use crate::steps;

use super::arguments::{Given, class, pairs};
use super::tree::NamedCall;

/// Parameters that end a run, and what is said of each.
const PARAMETERS: [(&str, &str, &str); 2] = [
    ("copyArtifacts", "parameters", "no run is looked for by its parameters"),
    ("withAWS", "role", "no role is taken on: `aws sts assume-role` in the block"),
];

/// Looks at a call.
pub(super) fn check(catalogue: &'static Catalogue, name: &str, given: &Given<'_>, found: &mut Vec<Diagnostic>) {
    let of = |parameter: &str| given.pairs.iter().find(|pair| pair.name().is_some_and(|n| &**n == parameter));
    let value = |parameter: &str| of(parameter).map(|pair| pair.value).or(given.others.first().copied());
    let refused = |span: Span, text: String| Diagnostic::warning(span, text).of_rule("unsupported-step");
    for (_, parameter, why) in PARAMETERS.iter().filter(|(step, ..)| *step == name) {
        let used = of(parameter).filter(|pair| !matches!(&*pair.value.kind, ExprKind::Constant(Constant::Null)));
        found.extend(used.map(|pair| refused(pair.key_span(), format!("{name}({parameter}: …) fails: {why}"))));
    }
    match name {
        "withCredentials" => {
            let Some(ExprKind::List(items)) = value("bindings").map(|expr| &*expr.kind) else { return };
            let items =
                items.iter().filter_map(|item| if let Arg::Positional(item) = item { Some(item) } else { None });
            for (name, span) in items.filter_map(|item| kind(catalogue, item)) {
                if !steps::is_binding(short(name)) {
                    found.push(refused(
                        span,
                        format!("withCredentials fails: the binding ‘{name}’ is not supported yet"),
                    ));
                }
            }
        }
        "checkout" => {
            let named = value("scm").and_then(|expr| kind(catalogue, expr)).or_else(|| own_class(given));
            let Some((name, span)) = named else { return };
            if !matches!(short(name), "GitSCM" | "gitSCM" | "scmGit") {
                found.push(refused(span, format!("checkout of a ‘{name}’ fails: repositories are fetched with git")));
            }
        }
        "git" => {
            let Some(ExprKind::Constant(Constant::Str(url))) = value("url").map(|expr| &*expr.kind) else { return };
            if url.starts_with('/') || url.starts_with("file:") {
                let span = value("url").map_or_else(Span::default, |expr| expr.span);
                found.push(refused(span, "git fails: a repository is not named by a path of the machine".to_owned()));
            }
        }
        _ => {}
    }
}

fn short(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or_default()
}

/// The class of a call whose own arguments are those of a value: `checkout($class: 'GitSCM', …)`.
fn own_class<'a>(given: &Given<'a>) -> Option<(&'a str, Span)> {
    class(&given.pairs).and_then(|(name, span)| Some((&**name?, span)))
}

/// What a value is: the class that stands in it, or the symbol that is called, where it is one.
fn kind<'a>(catalogue: &'static Catalogue, expr: &'a Expr) -> Option<(&'a str, Span)> {
    match &*expr.kind {
        ExprKind::Map(entries) => {
            let pairs = pairs(entries)?;
            class(&pairs).and_then(|(name, span)| Some((&**name?, span)))
        }
        ExprKind::Call { .. } => {
            let call = NamedCall::of(expr)?;
            catalogue.find(Kind::Symbol, call.name).map(|_| (call.name, call.span))
        }
        _ => None,
    }
}
