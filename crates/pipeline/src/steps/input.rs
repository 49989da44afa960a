//! `input`: a run waits until somebody has decided.

use std::rc::Rc;

use groovy::value::Value;
use model::properties::ParameterKind;
use model::request::{FailureKind, Parameter, Question, Reply, Request};

use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::interrupt::{Cause, Interruption};
use crate::engine::values;
use crate::run::parameters;

/// What Jenkins calls a yes.
const PROCEED: &str = "Proceed";

/// `input 'Deploy?'`, `input message: 'Which?', parameters: [choice(…)], submitterParameter: 'WHO'`. Its value is nothing, that of its one
/// parameter, or a map.
///
/// Source: `InputStepExecution` of pipeline-input-step.
pub(crate) async fn input(call: StepCall) -> Result<Value, Fault> {
    let message = call.args.opt_text("message")?.unwrap_or_default();
    let submitters = call.args.opt_text("submitter")?.unwrap_or_default();
    let definitions = call.args.get("parameters").and_then(Value::items).unwrap_or_default();
    let asked = definitions.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    let ok = call.args.opt_text("ok")?.unwrap_or_else(|| PROCEED.to_owned());
    let question = Question {
        id: call.args.opt_text("id")?.unwrap_or_default(),
        message: message.clone(),
        ok: ok.clone(),
        submitters: submitters.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        parameters: asked.iter().map(|(parameter, _)| parameter.clone()).collect(),
    };
    call.say(&message);
    call.say(&if asked.is_empty() { format!("{ok} or Abort") } else { "Input requested".to_owned() });
    let (by, said) = match call.ask(Request::Input(question.clone())).await {
        Ok(Reply::Decided { by, values }) => (by, values),
        Ok(other) => return Err(unexpected(&other)),
        // Who is not there to be asked is not there a moment later.
        Err(fault) if fault.failure_kind() == Some(FailureKind::Workload) => return Err(fault.lasting()),
        Err(fault) => return Err(fault),
    };
    let Some(said) = said else {
        call.say(&format!("Rejected by {by}"));
        let target = call.core.executor.current().unwrap_or_default();
        let cause = Cause::Rejected(by);
        return Err(Fault::interrupted(Rc::new(Interruption { cause, target, forced: false, actual: true })));
    };
    call.say(&format!("Approved by {by}"));
    let said = question.complete(said).map_err(Fault::illegal)?;
    let typed = said.into_iter().zip(&asked).map(|((name, text), (_, is_boolean))| match is_boolean {
        true => (name, Value::Bool(text == "true")),
        false => (name, values::text(&text)),
    });
    let mut all: Vec<_> = typed.collect();
    let who = call.args.opt_text("submitterParameter")?.filter(|name| !name.is_empty());
    all.extend(who.map(|name| (name, values::text(&by))));
    Ok(match all.as_slice() {
        [] => Value::Null,
        [(_, value)] => value.clone(),
        _ => values::map(all.iter().map(|(name, value)| (name.as_str(), value.clone()))),
    })
}

/// A parameter, and whether it is true or false.
fn parameter(definition: &Value) -> Result<(Parameter, bool), Fault> {
    let fields = values::entries(definition).unwrap_or_default();
    let of = parameters::described(&values::symbol(&fields).unwrap_or_default(), &fields)?;
    let is_boolean = of.kind == ParameterKind::Boolean;
    let choices = if is_boolean { vec!["true".to_owned(), "false".to_owned()] } else { of.choices };
    let is_hidden = of.kind == ParameterKind::Password;
    let asked = Parameter { name: of.name, description: of.description, default: of.default, choices, is_hidden };
    Ok((asked, is_boolean))
}
