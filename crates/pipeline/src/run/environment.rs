//! `environment { … }`.
//!
//! A value may use any other of the same block, whatever the order: names are resolved first. One that uses itself sees
//! the value from outside. Of a name that is nothing the value is null.

use std::rc::Rc;

use groovy::ast::{Expr, ExprKind, Member};
use groovy::value::Value;

use super::interpreter::Interpreter;
use super::translated;
use crate::declarative::model::{Environment, EnvironmentValue};
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::args::Args;
use crate::steps::credentials::OF_ENVIRONMENT;
use crate::steps::run_named;
use crate::steps::stage::marked;

/// What a null that is asked for something throws.
const NULL_POINTER: &str = "java.lang.NullPointerException";

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
    for index in wanted.iter().copied() {
        let entry = &environment.entries[index];
        let (EnvironmentValue::Expr(expr) | EnvironmentValue::Credentials(expr)) = &entry.value;
        let others =
            found.iter().zip(names.iter()).enumerate().filter(|(other, _)| !is_credential(environment, *other));
        let known = others.filter_map(|(_, (v, n))| Some((n.to_string(), v.clone()?)));
        let nullable = translated::names(expr).bare.into();
        let scope = scope.with_env(known.collect()).with(|s| s.nullable = Some(nullable));
        let value = match it.eval(&scope, expr).await {
            Ok(value) => value,
            Err(fault) if fault.is_final() || fault.interruption().is_some() => return Err(fault),
            Err(fault) if fault.class() == NULL_POINTER => {
                it.core.say_fault(&scope, &fault);
                let text = format!("One or more variables have some issues with their values: {}", entry.name);
                return Err(Fault::illegal(text).at(expr.span));
            }
            Err(fault) => return Err(fault),
        };
        let text = it.core.told(&scope, value).await?.to_text();
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
    let used = translated::names(root).all;
    used.iter().filter_map(|name| names.iter().position(|known| known == name)).collect()
}
