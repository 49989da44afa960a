//! `build`: a run of another project, and what becomes of it.

use std::rc::Rc;

use groovy::value::Value;
use model::build::{BuildWish, MAX_BUILD_PARAMETERS, names_of};
use model::outcome::Outcome;
use model::request::{Reply, Request};

use super::{SYMBOL, StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::interrupt::{Cause, Interruption};
use crate::globals;

/// `build 'lib'`, `build job: '../lib/main', parameters: [string(name: 'A', value: 'b')], wait: true, propagate: true`. Its value is what is
/// known of the run, as of `currentBuild`; nothing, where its end is not waited for.
///
/// Source: `BuildTriggerStepExecution` of pipeline-build-step.
pub(crate) async fn build(call: StepCall) -> Result<Value, Fault> {
    let job = call.args.text("job")?;
    let names = names_of(&job, &call.core.facts.job_name);
    if names.is_empty() {
        return Err(Fault::abort(format!("No item named {job} found")));
    }
    let given = call.args.get("parameters").and_then(Value::items).unwrap_or_default();
    let parameters = given.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    if parameters.len() > MAX_BUILD_PARAMETERS {
        return Err(Fault::illegal(format!("build takes at most {MAX_BUILD_PARAMETERS} parameters")));
    }
    let is_password = |given: &&Value| {
        let kind = given.get("$class").or_else(|| given.get(SYMBOL)).map(|kind| kind.to_text()).unwrap_or_default();
        kind.to_ascii_lowercase().contains("password")
    };
    let hidden = given.iter().filter(is_password).map(parameter).map(|read| read.map(|(name, _)| name));
    let hidden = hidden.collect::<Result<Vec<_>, _>>()?;
    let (waits, propagates) = (call.args.flag("wait", true)?, call.args.flag("propagate", true)?);
    call.say(&format!("Scheduling project: {job}"));
    let built = match call.ask(Request::Build(BuildWish { names, parameters, hidden, waits })).await? {
        Reply::Built(built) => built,
        reply => return Err(unexpected(&reply)),
    };
    let name = format!("{} #{}", built.job_name, built.number);
    let Some(outcome) = built.outcome.filter(|_| waits) else {
        call.say(&format!("{name} waits for its turn"));
        return Ok(Value::Null);
    };
    call.say(&format!("Build {name} completed: {}", outcome.name()));
    if propagates && outcome != Outcome::Success {
        let text = format!("{name} completed with status {} (propagate: false to ignore)", outcome.name());
        let target = call.core.executor.current().unwrap_or_default();
        let cause = Cause::Downstream(text, outcome);
        return Err(Fault::interrupted(Rc::new(Interruption { cause, target, forced: false, actual: false })));
    }
    Ok(globals::current_build::started(&call.core, built))
}

/// The name and the value of a parameter, however it is written: `string(name: 'A', value: 'b')`, `[$class: 'StringParameterValue', …]`.
fn parameter(given: &Value) -> Result<(String, String), Fault> {
    let field = |name: &str| given.get(name).filter(|value| !value.is_null()).map(|value| value.to_text());
    let name = field("name").ok_or_else(|| Fault::illegal("a parameter of build has a name and a value"))?;
    Ok((name, field("value").unwrap_or_default()))
}
