//! `environment { … }`.
//!
//! A value may use any other of the same block, whatever the order: names are resolved first. One that uses itself sees
//! the value from outside.

use std::rc::Rc;

use groovy::ast::{Arg, Expr, ExprKind, MapEntry, MapKey, Member, StmtKind, StrPart};
use groovy::value::Value;

use super::interpreter::Interpreter;
use crate::declarative::model::{Environment, EnvironmentValue};
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::args::Args;
use crate::steps::credentials::OF_ENVIRONMENT;
use crate::steps::run_named;
use crate::steps::stage::marked;

/// Runs a body with the variables of a directive.
pub(super) async fn within(
    it: &Rc<Interpreter>,
    scope: &Scope,
    environment: Option<&Environment>,
    next: Body,
) -> Result<Value, Fault> {
    let core = &it.core;
    match environment {
        Some(environment) => {
            let (list, found) = credentials(it, scope, environment).await?;
            if list.is_empty() {
                return with_values(it, scope, environment, found, next).await;
            }
            let (own, span) = (Rc::clone(it), environment.span);
            let environment = environment.clone();
            let body = Body::native(move |scope| {
                let (it, environment) = (Rc::clone(&own), environment.clone());
                let (found, next) = (found.clone(), next.clone());
                Box::pin(async move { with_values(&it, &scope, &environment, found, next).await })
            });
            let named = vec![("bindings".to_owned(), Value::list(list))];
            let args = Args { step: "withCredentials".to_owned(), named, body: Some(body) };
            run_named(core, scope, args).await.map_err(|fault| fault.at(span))
        }
        None => core.call_body(scope, next, Vec::new()).await,
    }
}

/// Values by entry, as far as they are known.
type Found = Vec<Option<String>>;

/// Runs a body with the variables of a directive that are no credentials; where there are none, as without it.
async fn with_values(
    it: &Rc<Interpreter>,
    scope: &Scope,
    environment: &Environment,
    found: Found,
    next: Body,
) -> Result<Value, Fault> {
    let names = names(environment);
    let wanted: Vec<_> =
        order(environment, &names).into_iter().filter(|index| !is_credential(environment, *index)).collect();
    let found = evaluate(it, scope, environment, &wanted, found).await?;
    let vars: Vec<_> = names.iter().zip(found).filter_map(|(name, value)| Some((name.to_string(), value?))).collect();
    if vars.is_empty() && !environment.entries.is_empty() {
        return it.core.call_body(scope, next, Vec::new()).await;
    }
    marked(&it.core, scope, "withEnv", &scope.with_env(vars), next).await
}

fn names(environment: &Environment) -> Rc<[Rc<str>]> {
    environment.entries.iter().map(|e| Rc::clone(&e.name)).collect()
}

fn is_credential(environment: &Environment, index: usize) -> bool {
    matches!(environment.entries[index].value, EnvironmentValue::Credentials(_))
}

/// The credentials of a directive, as `withCredentials` takes them, and the values that had to be known for that.
async fn credentials(
    it: &Rc<Interpreter>,
    scope: &Scope,
    environment: &Environment,
) -> Result<(Vec<Value>, Found), Fault> {
    let names = names(environment);
    let is_credential = |index: &usize| is_credential(environment, *index);
    // What their ids are made of goes first.
    let mut first = vec![false; names.len()];
    let mut stack: Vec<usize> = (0..names.len()).filter(is_credential).collect();
    while let Some(index) = stack.pop() {
        if !std::mem::replace(&mut first[index], true) {
            stack.extend(
                uses(&environment.entries[index].value, &names).into_iter().filter(|used| !is_credential(used)),
            );
        }
    }
    let wanted: Vec<usize> = order(environment, &names).into_iter().filter(|index| first[*index]).collect();
    let mut found = evaluate(it, scope, environment, &wanted, vec![None; names.len()]).await?;
    let mut list = Vec::new();
    for index in (0..names.len()).filter(is_credential) {
        let text = |text: &str| values::text(text);
        let id = found[index].take().unwrap_or_default();
        list.push(values::map([
            ("$class", text(OF_ENVIRONMENT)),
            ("credentialsId", text(&id)),
            ("variable", text(&names[index])),
        ]));
    }
    Ok((list, found))
}

/// Evaluates these entries, those that are known already excepted. Of a credential that is its id.
async fn evaluate(
    it: &Rc<Interpreter>,
    scope: &Scope,
    environment: &Environment,
    wanted: &[usize],
    mut found: Found,
) -> Result<Found, Fault> {
    let names = names(environment);
    let scope = scope.with(|s| s.nullable = Some(Rc::clone(&names)));
    for index in wanted.iter().copied() {
        let entry = &environment.entries[index];
        let (EnvironmentValue::Expr(expr) | EnvironmentValue::Credentials(expr)) = &entry.value;
        let others =
            found.iter().zip(names.iter()).enumerate().filter(|(other, _)| !is_credential(environment, *other));
        let known = others.filter_map(|(_, (v, n))| Some((n.to_string(), v.clone()?)));
        let value = match it.eval(&scope.with_env(known.collect()), expr).await {
            Ok(value) => value,
            Err(fault) if fault.is_final() || fault.interruption().is_some() => return Err(fault),
            Err(fault) if fault.class().ends_with("MissingPropertyException") => {
                it.core.say_fault(&scope, &fault);
                let text = format!("One or more variables have some issues with their values: {}", entry.name);
                return Err(Fault::illegal(text).at(expr.span));
            }
            Err(fault) => return Err(fault),
        };
        let text = value.to_text();
        // A plan's programs say nothing, and a variable without a value is none.
        let is_unsaid = it.core.facts.planning && text.is_empty() && is_output(expr);
        found[index] = Some(if is_unsaid { entry.name.to_string() } else { text });
    }
    Ok(found)
}

/// Whether it is what a program prints or a file has in it, with what is done to that: `sh(…).trim()`.
fn is_output(mut expr: &Expr) -> bool {
    loop {
        expr = match &*expr.kind {
            ExprKind::Call { object: Some(object), .. } | ExprKind::Property { object, .. } => object,
            ExprKind::Call { object: None, callee: Member::Name(name, _), .. } => {
                return matches!(&**name, "sh" | "bat" | "powershell" | "pwsh" | "readFile" | "readTrusted");
            }
            _ => return false,
        };
    }
}

/// The entries so that each comes after those it uses, otherwise in the order written.
fn order(environment: &Environment, names: &[Rc<str>]) -> Vec<usize> {
    let uses: Vec<Vec<usize>> = environment.entries.iter().map(|e| uses(&e.value, names)).collect();
    let mut done = vec![false; names.len()];
    let mut started = done.clone();
    let mut order = Vec::new();
    for root in 0..names.len() {
        let mut stack = vec![(root, 0)];
        while let Some((index, next)) = stack.pop() {
            if next == 0 && std::mem::replace(&mut started[index], true) {
                continue;
            }
            match uses[index].get(next) {
                Some(used) => {
                    stack.push((index, next + 1));
                    if !started[*used] {
                        stack.push((*used, 0));
                    }
                }
                None => {
                    if !std::mem::replace(&mut done[index], true) {
                        order.push(index);
                    }
                }
            }
        }
    }
    order
}

/// Which of the names a value uses, as `NAME` or `env.NAME`.
fn uses(value: &EnvironmentValue, names: &[Rc<str>]) -> Vec<usize> {
    let (EnvironmentValue::Expr(root) | EnvironmentValue::Credentials(root)) = value;
    let mut found = Vec::new();
    let mut stack = vec![root];
    while let Some(expr) = stack.pop() {
        let name = match &*expr.kind {
            ExprKind::Name(name) => Some(name),
            ExprKind::Property { object, member: Member::Name(name, _), .. } if is_env(object) => Some(name),
            _ => None,
        };
        found.extend(name.and_then(|n| names.iter().position(|known| known == n)));
        let mut inner = inner(expr);
        inner.reverse();
        stack.extend(inner);
    }
    found
}

fn is_env(expr: &Expr) -> bool {
    matches!(&*expr.kind, ExprKind::Name(name) if &**name == "env")
}

/// The expressions directly inside one, as far as values of variables are written.
fn inner(expr: &Expr) -> Vec<&Expr> {
    match &*expr.kind {
        ExprKind::GString(parts) => parts.iter().flat_map(part).collect(),
        ExprKind::List(args) => args.iter().flat_map(arg).collect(),
        ExprKind::Map(entries) => entries
            .iter()
            .flat_map(|e| match e {
                MapEntry::Pair(MapKey::Dynamic(key), value) => vec![key, value],
                MapEntry::Pair(_, value) | MapEntry::Spread(value) => vec![value],
            })
            .collect(),
        ExprKind::Property { object, .. } => vec![object],
        ExprKind::Index { object, index } => std::iter::once(object).chain(index.iter().flat_map(arg)).collect(),
        ExprKind::Call { object, args, .. } => object.iter().chain(args.iter().flat_map(arg)).collect(),
        ExprKind::CallValue { callee, args } => std::iter::once(callee).chain(args.iter().flat_map(arg)).collect(),
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Unary { operand, .. } => vec![operand],
        ExprKind::Ternary { cond, then, otherwise } => vec![cond, then, otherwise],
        ExprKind::Elvis { value, otherwise } => vec![value, otherwise],
        ExprKind::As { value, .. } | ExprKind::Cast { value, .. } => vec![value],
        _ => Vec::new(),
    }
}

fn arg(arg: &Arg) -> Vec<&Expr> {
    match arg {
        Arg::Named(MapKey::Dynamic(key), value) => vec![key, value],
        Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e) | Arg::SpreadMap(e) => vec![e],
    }
}

fn part(part: &StrPart) -> Vec<&Expr> {
    match part {
        StrPart::Text(_) => Vec::new(),
        StrPart::Expr(expr) => vec![expr],
        StrPart::Closure(closure) => closure
            .body
            .stmts
            .iter()
            .filter_map(|s| match &s.kind {
                StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) => Some(expr),
                _ => None,
            })
            .collect(),
    }
}
