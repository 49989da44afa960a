//! `environment { … }` and `tools { … }`.
//!
//! A value may use any other of the same block, whatever the order: names are resolved first. One that uses itself sees
//! the value from outside.

use std::rc::Rc;

use groovy::ast::{Arg, Expr, ExprKind, MapEntry, MapKey, Member, StmtKind, StrPart};
use groovy::value::Value;

use super::interpreter::Interpreter;
use crate::declarative::model::{Environment, EnvironmentValue, Tool};
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::stage::{framed, marked};

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
            let vars = evaluate(it, scope, environment).await?;
            marked(core, scope, "withEnv", &scope.with_env(vars), next).await
        }
        None => core.call_body(scope, next, Vec::new()).await,
    }
}

/// The variables of a directive, in the order written.
async fn evaluate(
    it: &Rc<Interpreter>,
    scope: &Scope,
    environment: &Environment,
) -> Result<Vec<(String, String)>, Fault> {
    let names: Rc<[Rc<str>]> = environment.entries.iter().map(|e| Rc::clone(&e.name)).collect();
    let scope = scope.with(|s| s.nullable = Some(Rc::clone(&names)));
    let mut found: Vec<Option<String>> = vec![None; names.len()];
    for index in order(environment, &names) {
        let entry = &environment.entries[index];
        let EnvironmentValue::Expr(expr) = &entry.value else {
            return Err(not_yet(&entry.name).at(environment.span));
        };
        let known = found.iter().zip(names.iter()).filter_map(|(v, n)| Some((n.to_string(), v.clone()?)));
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
        found[index] = Some(value.to_text());
    }
    Ok(names.iter().zip(found).filter_map(|(n, v)| Some((n.to_string(), v?))).collect())
}

fn not_yet(name: &str) -> Fault {
    let text = format!("{name} = credentials(…) is not supported yet: a run without a server has no credentials");
    Fault::raised("java.lang.UnsupportedOperationException", text)
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

/// `tools { … }`: there are no managed installations; the image (or the host) has its own.
pub(super) async fn install_tools(
    it: &Rc<Interpreter>,
    scope: &Scope,
    tools: &[Tool],
    root: bool,
) -> Result<(), Fault> {
    if tools.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for tool in tools {
        let name = it.text(scope, &tool.name).await?;
        lines.push(format!(
            "WARNING: tools {{ {} ‘{name}’ }} is ignored: Cofferdam installs no tools; what the image or host has is used",
            tool.kind
        ));
    }
    if !root {
        it.core.say(scope, &lines.join("\n"));
        return Ok(());
    }
    let core = Rc::clone(&it.core);
    let body = Body::native(move |scope| {
        core.say(&scope, &lines.join("\n"));
        Box::pin(async { Ok(values::text("")) })
    });
    it.core.mark(scope, "stage");
    let result = framed(&it.core, scope, "Declarative: Tool Install", body).await;
    it.core.mark(scope, "// stage");
    result.map(drop)
}
