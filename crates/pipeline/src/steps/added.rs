//! Steps that a project or a host adds: a Groovy script whose `call` is called, or a program in the sandbox of the job.

use std::rc::Rc;

use groovy::value::Value;
use model::added_step::{AddedKind, AddedStep, StepCode, StepOutput};
use model::request::{Reply, Request, ShellScript};
use serde_json::Value as Json;

use super::{StepCall, shell, unexpected};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::json;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::globals::docker;

/// Where a program finds its arguments, as JSON.
const ARGUMENTS: &str = "COFFERDAM_ARGUMENTS";
/// The longest arguments of a program, in bytes: Linux takes no longer variable than 128 KiB.
const MAX_ARGUMENT_BYTES: usize = 100 * 1024;

/// Runs the step of that number.
pub(super) async fn run(call: StepCall, number: usize) -> Result<Value, Fault> {
    let Some(step) = call.core.facts.steps.get(number).cloned() else { return Ok(Value::Null) };
    check(&call, &step)?;
    match step.code {
        StepCode::Groovy(text) => groovy(&call, number, &step.name, &text).await,
        StepCode::Program { text, image, output } => program(&call, text, image, output).await,
    }
}

/// What is needed is there, and everything is what it is said to be.
fn check(call: &StepCall, step: &AddedStep) -> Result<(), Fault> {
    for parameter in &step.parameters {
        let Some(value) = call.args.get(&parameter.name) else {
            if parameter.is_required {
                return Err(call.args.missing(&parameter.name));
            }
            continue;
        };
        let (fits, class) = match parameter.kind {
            AddedKind::String => (value.is_text(), "java.lang.String"),
            AddedKind::Boolean => (matches!(value, Value::Bool(_)), "boolean"),
            AddedKind::Integer => {
                (matches!(value, Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)), "long")
            }
            AddedKind::List => (value.items().is_some(), "java.util.List"),
            AddedKind::Map => (matches!(value, Value::Map(_)), "java.util.Map"),
            AddedKind::Any => (true, ""),
        };
        if !fits {
            return Err(call.args.wrong_type(&parameter.name, class, value));
        }
    }
    if step.is_block { call.args.body().map(drop) } else { Ok(()) }
}

/// Calls `call` of the script, which is read once in a run.
async fn groovy(call: &StepCall, number: usize, name: &str, text: &str) -> Result<Value, Fault> {
    let core = &call.core;
    let scope = core.deeper(&call.scope)?;
    let known = core.run.added.borrow().get(&number).cloned();
    let closure = match known {
        Some(closure) => closure,
        None => {
            let loaded =
                core.program.load_more(&format!("{text}\nreturn this.&call\n"), name, &mut core.machine.borrow_mut());
            let class = "org.codehaus.groovy.control.MultipleCompilationErrorsException";
            let script = loaded.map_err(|text| Fault::raised(class, text))?;
            let closure = core.run_script(&scope, script).await?;
            if !values::is_closure(&closure) {
                return Err(Fault::illegal(format!("the script of the step {name} returns something before its end")));
            }
            core.run.added.borrow_mut().insert(number, closure.clone());
            closure
        }
    };
    let mut args = vec![values::map(call.args.named.iter().map(|(name, value)| (name.as_str(), value.clone())))];
    if let Some(Body::Script(block)) = &call.args.body {
        args.push(block.clone());
    }
    core.call_body(&scope, Body::Script(closure), args).await
}

async fn program(call: &StepCall, text: String, image: Option<String>, output: StepOutput) -> Result<Value, Fault> {
    call.node()?;
    let (mut vars, mut all) = (Vec::new(), serde_json::Map::new());
    for (name, value) in &call.args.named {
        let value = json::of(value).map_err(|what| Fault::illegal(format!("{}: {name} {what}", call.args.step)))?;
        let plain = match &value {
            Json::String(text) => Some(text.clone()),
            Json::Bool(_) | Json::Number(_) => Some(value.to_string()),
            _ => None,
        };
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        vars.extend(plain.filter(|_| is_name).map(|plain| (format!("ARG_{name}"), plain)));
        all.insert(name.clone(), value);
    }
    vars.push((ARGUMENTS.to_owned(), Json::Object(all).to_string()));
    if vars.iter().any(|(_, value)| value.len() > MAX_ARGUMENT_BYTES) {
        let most = MAX_ARGUMENT_BYTES / 1024;
        return Err(Fault::illegal(format!("{}: the arguments are longer than {most} KiB", call.args.step)));
    }
    let job = Rc::new((call.core.clone(), call.id, text, vars, output));
    let run = move |scope: Scope| {
        let job = Rc::clone(&job);
        let (core, id, text, vars, output) = (&job.0, job.1, job.2.clone(), job.3.clone(), job.4);
        let core = Rc::clone(core);
        Box::pin(async move { exec(&core, &scope, id, text, vars, output).await }) as _
    };
    match image {
        None => run(call.scope.clone()).await,
        Some(image) => docker::in_container(&call.core, &call.scope, image, String::new(), Body::native(run)).await,
    }
}

async fn exec(
    core: &Rc<Core>,
    scope: &Scope,
    id: model::ids::StepId,
    text: String,
    vars: Vec<(String, String)>,
    output: StepOutput,
) -> Result<Value, Fault> {
    let (Some(node), Some(dir)) = (&scope.node, scope.cwd()) else { return Ok(Value::Null) };
    let mut env = core.env_for_process(scope);
    env.extend(vars);
    let script = ShellScript {
        interpreter: shell::interpreter(&text).or_else(|| Some(vec!["/bin/sh".to_owned(), "-e".to_owned()])),
        text,
        dir: dir.to_owned(),
        env,
        capture: output != StepOutput::Log,
        encoding: None,
        copies: scope.copies(),
    };
    core.write_copies(scope).await?;
    core.run.process_started(id, scope);
    let reply = core.ask(Request::Exec { job: node.job, step: id, script }).await;
    core.run.process_ended(id);
    let said = match reply? {
        Reply::Exited { code: 0, stdout, .. } => stdout.unwrap_or_default(),
        Reply::Exited { code, stdout, .. } => {
            if let Some(stdout) = stdout.filter(|text| !text.is_empty()) {
                core.say(scope, &stdout);
            }
            return Err(Fault::abort(format!("the program of the step returned exit code {code}")));
        }
        reply => return Err(unexpected(&reply)),
    };
    match output {
        StepOutput::Log => Ok(Value::Null),
        StepOutput::Text => Ok(values::text(said.strip_suffix('\n').unwrap_or(&said))),
        // In a plan nothing is printed.
        StepOutput::Json if said.trim().is_empty() => Ok(Value::Null),
        StepOutput::Json => {
            let read = serde_json::from_str::<Json>(&said);
            let value = read.map_err(|error| Fault::abort(format!("what the step prints is no JSON: {error}")))?;
            Ok(json::value(&value))
        }
    }
}
