//! Steps that adapt others (`step`, `wrap`), that only wrap (`script`, `ansiColor`, `timestamps`), and small odd ones.

use groovy::value::Value;
use model::event::Event;

use super::args::Args;
use super::describable::SYMBOL;
use super::{StepCall, run_named, unknown};
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::run;

/// `script { … }`, `ansiColor('xterm') { … }`: what is inside, and nothing else.
pub(crate) async fn pass_through(call: StepCall) -> Result<Value, Fault> {
    call.run_body(&call.scope).await
}

/// `timestamps { … }`
pub(crate) async fn timestamps(call: StepCall) -> Result<Value, Fault> {
    call.core.event(Event::TimestampsSwitched { on: true });
    let result = call.run_body(&call.scope).await;
    call.core.event(Event::TimestampsSwitched { on: false });
    result
}

/// `step([$class: 'ArtifactArchiver', artifacts: 'x'])`: the old way to call what has a step of its own today.
pub(crate) async fn step(call: StepCall) -> Result<Value, Fault> {
    let (class, args) = delegate(&call.args)?;
    let (name, sole) = match class.rsplit('.').next().unwrap_or_default() {
        "ArtifactArchiver" | "archiveArtifacts" => ("archiveArtifacts", "artifacts"),
        "JUnitResultArchiver" | "junit" => ("junit", "testResults"),
        other => return Err(unknown_class("step", other)),
    };
    run_named(&call.core, &call.scope, renamed(args, name, sole)).await
}

/// `wrap([$class: 'AnsiColorBuildWrapper', …]) { … }`
pub(crate) async fn wrap(call: StepCall) -> Result<Value, Fault> {
    let (class, _) = delegate(&call.args)?;
    match class.rsplit('.').next().unwrap_or_default() {
        "AnsiColorBuildWrapper" | "ansiColor" => call.run_body(&call.scope).await,
        "TimestamperBuildWrapper" | "timestamps" => timestamps(call).await,
        other => Err(unknown_class("wrap", other)),
    }
}

/// The class and the fields of `[$class: 'X', …]`.
fn delegate(args: &Args) -> Result<(String, Args), Fault> {
    let nested = args.get("delegate").and_then(values::entries);
    let named = nested.unwrap_or_else(|| args.named.clone());
    let class = named.iter().find(|(n, _)| n == "$class" || n == SYMBOL).map(|(_, v)| v.to_text());
    let class = class.ok_or_else(|| Fault::illegal(format!("{} needs a map with $class", args.step)))?;
    let named = named.into_iter().filter(|(n, _)| !n.starts_with('$')).collect();
    Ok((class, Args { step: args.step.clone(), named, body: args.body.clone() }))
}

fn renamed(mut args: Args, name: &str, sole: &str) -> Args {
    args.step = name.to_owned();
    for (key, _) in &mut args.named {
        if key == "value" {
            *key = sole.to_owned();
        }
    }
    args
}

fn unknown_class(step: &str, class: &str) -> Fault {
    Fault::raised(
        "java.lang.UnsupportedOperationException",
        format!("{step}([$class: '{class}']) is not supported yet"),
    )
}

/// `properties([parameters([…]), …])`
pub(crate) async fn properties(call: StepCall) -> Result<Value, Fault> {
    let all = call.args.get("properties").and_then(Value::items).unwrap_or_default();
    run::properties::set(&call.core, &all)?;
    Ok(Value::Null)
}

/// `milestone 1`: orders concurrent runs; alone, a run passes every one.
pub(crate) async fn milestone(call: StepCall) -> Result<Value, Fault> {
    let ordinal = call.args.opt_int("ordinal")?.unwrap_or(0);
    call.say(&format!("Trying to pass milestone {ordinal}"));
    Ok(Value::Null)
}

/// `getContext(hudson.FilePath)`: is there a workspace? Nothing else can be had.
pub(crate) async fn get_context(call: StepCall) -> Result<Value, Fault> {
    let wanted = call.args.get("type").map(Value::to_text).unwrap_or_default();
    match wanted.rsplit('.').next().unwrap_or_default() {
        "FilePath" => Ok(values::opt_text(call.scope.cwd())),
        _ => Err(unknown::refuse_name("getContext")),
    }
}
