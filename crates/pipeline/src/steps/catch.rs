//! `catchError`, `warnError`, `unstable`: results that do not end the run.

use groovy::value::Value;
use model::outcome::Outcome;

use super::StepCall;
use crate::engine::fault::Fault;

/// `catchError(buildResult: 'UNSTABLE', stageResult: 'FAILURE') { … }`
pub(crate) async fn catch_error(call: StepCall) -> Result<Value, Fault> {
    let build = result(&call, "buildResult", Outcome::Failure)?;
    let stage = result(&call, "stageResult", Outcome::Success)?;
    catch(call, build, stage).await
}

/// `warnError('message') { … }`
pub(crate) async fn warn_error(call: StepCall) -> Result<Value, Fault> {
    message(&call)?;
    catch(call, Outcome::Unstable, Outcome::Unstable).await
}

/// `unstable 'message'`
pub(crate) async fn unstable(call: StepCall) -> Result<Value, Fault> {
    call.say(&format!("WARNING: {}", message(&call)?));
    call.core.run.worsen(Outcome::Unstable);
    call.scope.warn(Outcome::Unstable);
    Ok(Value::Null)
}

/// What is to be said of an unstable stage.
///
/// Source: `UnstableStep`, `WarnErrorStep`.
fn message(call: &StepCall) -> Result<String, Fault> {
    let message = call.args.opt_text("message")?.filter(|message| !message.is_empty());
    message.ok_or_else(|| Fault::illegal("A non-empty message is required"))
}

async fn catch(call: StepCall, mut build: Outcome, mut stage: Outcome) -> Result<Value, Fault> {
    let message = call.args.opt_text("message")?;
    let interruptions = call.args.flag("catchInterruptions", true)?;
    let fault = match call.run_body(&call.scope).await {
        Ok(_) => return Ok(Value::Null),
        Err(fault) => fault,
    };
    if fault.is_final() || fault.is_actual_interruption() && !interruptions {
        return Err(fault);
    }
    if let Some(message) = message.filter(|m| !m.is_empty()) {
        call.say(&format!("ERROR: {message}"));
    }
    call.core.say_fault(&call.scope, &fault);
    // What it means is said by who interrupts.
    if fault.interrupts() {
        (build, stage) = (fault.outcome(), fault.outcome());
    }
    if build > Outcome::Success {
        // What is no change is not said.
        if call.core.run.result().is_none_or(|result| build > result) {
            call.say(&format!("Setting overall build result to {}", build.name()));
        }
        call.core.run.worsen(build);
    }
    if stage > Outcome::Success {
        call.scope.warn(stage);
    }
    Ok(Value::Null)
}

fn result(call: &StepCall, name: &str, default: Outcome) -> Result<Outcome, Fault> {
    if call.args.named.iter().any(|(given, value)| given == name && value.is_null()) {
        // "Leave it as it is."
        return Ok(Outcome::Success);
    }
    let Some(text) = call.args.opt_text(name)? else { return Ok(default) };
    let unknown = || {
        Fault::illegal(format!(
            "{name} is invalid: {text}. Valid options are SUCCESS, UNSTABLE, FAILURE, NOT_BUILT and ABORTED."
        ))
    };
    Outcome::from_name(&text).ok_or_else(unknown)
}
