//! Text that Groovy puts into shell scripts and that should not be there: secrets, and words of strangers.

use std::collections::HashSet;

use groovy::ast::{BinaryOp, Expr, ExprKind, MapEntry, MapKey, Member, StrPart};
use groovy::diagnostic::{Diagnostic, Fix};
use groovy::span::Span;

use super::shell_script::is_shell;
use super::tree::{NamedCall, Node, literal};

/// Arguments of credential bindings that name the variable of a secret.
const SECRET_VARIABLES: [&str; 5] =
    ["passwordVariable", "passphraseVariable", "secretKeyVariable", "tokenVariable", "secretVariable"];
/// Bindings whose `variable` is the secret itself. That of `file` is a path.
const SECRET_BINDINGS: [&str; 6] =
    ["string", "usernameColonPassword", "gitlabApiToken", "vaultString", "StringBinding", "UsernamePasswordBinding"];
/// What whoever opens a pull request may choose.
const OF_STRANGERS: [&str; 7] = [
    "CHANGE_TITLE",
    "CHANGE_BRANCH",
    "CHANGE_AUTHOR",
    "CHANGE_AUTHOR_DISPLAY_NAME",
    "CHANGE_AUTHOR_EMAIL",
    "ghprbPullTitle",
    "ghprbPullLongDescription",
];

/// `environment` are the variables from `credentials(…)` of `environment { … }`.
pub(super) fn check(source: &str, all: &[Node<'_>], environment: &[String]) -> Vec<Diagnostic> {
    let mut names: HashSet<String> = environment.iter().flat_map(|n| [n.clone(), format!("{n}_PSW")]).collect();
    let exprs = || all.iter().filter_map(Node::expr);
    for expr in exprs() {
        names.extend(bound(expr).into_iter().map(str::to_owned));
    }
    let mut found = Vec::new();
    for expr in exprs() {
        if let Some(call) = NamedCall::of(expr).filter(|call| is_shell(call.name))
            && let Some(script) = call.named("script").or_else(|| call.first())
        {
            in_script(source, script, &names, &mut found);
        }
    }
    found
}

/// Variables of secrets that a binding makes.
fn bound(expr: &Expr) -> Vec<&str> {
    let mut names = Vec::new();
    let add = |names: &mut Vec<_>, secret: bool, key: &str, value| {
        if SECRET_VARIABLES.contains(&key) || key == "variable" && secret {
            names.extend(literal(value));
        }
    };
    if let Some(call) = NamedCall::of(expr) {
        let secret = SECRET_BINDINGS.contains(&call.name);
        if call.named("credentialsId").is_some() {
            for name in SECRET_VARIABLES.iter().chain(&["variable"]) {
                if let Some(value) = call.named(name) {
                    add(&mut names, secret, name, value);
                }
            }
        }
    } else if let ExprKind::Map(entries) = &*expr.kind {
        let pairs: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                MapEntry::Pair(MapKey::Constant(groovy::ast::Constant::Str(key), _), value) => Some((&**key, value)),
                _ => None,
            })
            .collect();
        let class = pairs.iter().find(|(key, _)| *key == "$class").and_then(|(_, value)| literal(value));
        let secret = class.is_some_and(|class| SECRET_BINDINGS.contains(&class));
        if class.is_some() && pairs.iter().any(|(key, _)| *key == "credentialsId") {
            pairs.iter().for_each(|(key, value)| add(&mut names, secret, key, *value));
        }
    }
    names
}

/// `X`, `env.X`
fn variable(expr: &Expr) -> Option<&str> {
    match &*expr.kind {
        ExprKind::Name(name) => Some(name),
        ExprKind::Property { object, member: Member::Name(name, _), .. } => {
            matches!(&*object.kind, ExprKind::Name(of) if &**of == "env").then_some(&**name)
        }
        _ => None,
    }
}

/// The parts that Groovy puts into a script.
fn in_script(source: &str, script: &Expr, secrets: &HashSet<String>, found: &mut Vec<Diagnostic>) {
    let mut open = vec![script];
    while let Some(expr) = open.pop() {
        match &*expr.kind {
            ExprKind::GString(parts) => {
                let fix = || in_single_quotes(source, expr.span, parts, secrets);
                for part in parts {
                    if let StrPart::Expr(inner) = part {
                        report(inner, secrets, fix(), found);
                    }
                }
            }
            ExprKind::Binary { op: BinaryOp::Add, left, right } => {
                for side in [left, right] {
                    report(side, secrets, None, found);
                    open.push(side);
                }
            }
            // `"…".stripIndent()`
            ExprKind::Call { object: Some(object), args, .. } if args.is_empty() => open.push(object),
            _ => {}
        }
    }
}

fn report(inner: &Expr, secrets: &HashSet<String>, fix: Option<Fix>, found: &mut Vec<Diagnostic>) {
    let Some(name) = variable(inner) else { return };
    let (rule, text) = if secrets.contains(name) {
        ("secret-in-script", format!("the secret \"{name}\" becomes part of the script"))
    } else if OF_STRANGERS.contains(&name) {
        ("script-injection", format!("\"{name}\" is what a stranger has written, and becomes part of the script"))
    } else {
        return;
    };
    let hint = format!("let the shell read it: single quotes, and ${name}");
    let mut finding = Diagnostic::warning(inner.span, text).with_hint(hint).of_rule(rule);
    finding.fix = fix;
    found.push(finding);
}

/// The same script with its variables left to the shell, where each of them is one of the environment.
fn in_single_quotes(source: &str, span: Span, parts: &[StrPart], secrets: &HashSet<String>) -> Option<Fix> {
    let written = source.get(span.start as usize..span.end as usize)?;
    let quotes = if written.starts_with("\"\"\"") { "'''" } else { "'" };
    let mut text = String::from(quotes);
    for part in parts {
        match part {
            // What is a quote or an escape in one kind of text may be none in the other.
            StrPart::Text(words) if words.contains(['\'', '\\', '$']) => return None,
            StrPart::Text(words) => text.push_str(words),
            StrPart::Expr(expr) => {
                let name = variable(expr).filter(|n| secrets.contains(*n) || OF_STRANGERS.contains(n))?;
                text.push_str(&format!("${{{name}}}"));
            }
            StrPart::Closure(_) => return None,
        }
    }
    (quotes == "'''" || !text.contains('\n')).then(|| Fix { span, text: text + quotes })
}
