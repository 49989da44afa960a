//! `parameters { … }`: defaults and types for what the run was given.

use groovy::value::Value;
use model::properties::{Parameter, ParameterKind};
use model::request::{Failure, FailureKind};

use super::interpreter::Interpreter;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps;

/// Declares the parameters of the model. What they are, for whoever asks for the next run.
pub(super) async fn declare(it: &Interpreter, scope: &Scope) -> Result<Vec<Parameter>, Fault> {
    let mut declared = Vec::new();
    for call in &it.model.parameters {
        let (named, others) = it.arguments(scope, call).await?;
        let args = steps::args_for(&call.name, named, others)?;
        declared.push(define(&it.core, &call.name, &args.named).map_err(|f| f.at(call.span))?);
    }
    for (name, _) in it.core.facts.params.iter().filter(|(n, _)| declared.iter().all(|known| known.name != *n)) {
        it.core.say(scope, &format!("WARNING: the pipeline declares no parameter ‘{name}’"));
    }
    Ok(declared)
}

/// What `string(name: 'x', …)` says.
pub(crate) fn described(kind: &str, fields: &[(String, Value)]) -> Result<Parameter, Fault> {
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
    let text = |name: &str| field(name).map(Value::to_text).unwrap_or_default();
    let kind = match kind.strip_suffix("ParameterDefinition").unwrap_or(kind) {
        "booleanParam" | "Boolean" => ParameterKind::Boolean,
        "choice" | "choiceParam" | "Choice" => ParameterKind::Choice,
        "string" | "stringParam" | "String" => ParameterKind::String,
        "text" | "textParam" | "Text" => ParameterKind::Text,
        "password" | "Password" => ParameterKind::Password,
        _ => ParameterKind::Other,
    };
    let choices = match field("choices").filter(|_| kind == ParameterKind::Choice) {
        Some(value) if value.is_text() => value.to_text().lines().map(str::to_owned).collect(),
        Some(value) => value.items().unwrap_or_default().iter().map(Value::to_text).collect(),
        None => Vec::new(),
    };
    let default = match kind {
        ParameterKind::Boolean => text("defaultValue").eq_ignore_ascii_case("true").to_string(),
        ParameterKind::Choice => choices.first().cloned().unwrap_or_default(),
        _ if field("trim").is_some_and(Value::truth) => text("defaultValue").trim().to_owned(),
        _ => text("defaultValue"),
    };
    let name = field("name").map(Value::to_text).ok_or_else(|| Fault::illegal("a parameter needs a name"))?;
    Ok(Parameter { name, kind, description: text("description"), default, choices })
}

/// Declares one parameter: the value given gets the right type, a missing one its default.
pub(crate) fn define(core: &Core, kind: &str, fields: &[(String, Value)]) -> Result<Parameter, Fault> {
    let parameter = described(kind, fields)?;
    let name = &parameter.name;
    let given = core.facts.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let text = given.clone().unwrap_or_else(|| parameter.default.clone());
    let value = match parameter.kind {
        ParameterKind::Boolean => Value::Bool(boolean(name, &text)?),
        ParameterKind::Choice if given.is_some() && !parameter.choices.contains(&text) => {
            let known = parameter.choices.join(", ");
            return Err(refused(format!("parameter ‘{name}’ has no choice ‘{text}’ (there is: {known})")));
        }
        ParameterKind::Choice => values::text(&text),
        _ => {
            let trim = fields.iter().any(|(n, v)| n == "trim" && v.truth());
            values::text(if trim { text.trim() } else { &text })
        }
    };
    if core.run.declared.borrow_mut().insert(name.clone()) {
        core.run.hold(4 * size_of::<String>() + 3 * name.len(), 0);
    }
    if matches!(kind, "credentials" | "credentialsParam" | "CredentialsParameterDefinition") {
        core.run.of_credentials.borrow_mut().insert(name.clone());
    }
    let mut params = core.run.params.borrow_mut();
    match params.iter_mut().find(|(n, _)| n == name) {
        Some((_, old)) => *old = value,
        None => params.push((name.clone(), value)),
    }
    drop(params);
    Ok(parameter)
}

/// Whoever started the run gave a value that the definition does not take.
fn refused(message: String) -> Fault {
    Fault::failed(Failure { kind: FailureKind::Usage, message, hint: None })
}

fn boolean(name: &str, text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused(format!("parameter ‘{name}’ is true or false, not ‘{text}’"))),
    }
}
