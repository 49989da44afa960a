//! `parameters { … }`: defaults and types for what the run was given.

use groovy::value::Value;
use model::request::{Failure, FailureKind};

use super::interpreter::Interpreter;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps;

/// Declares the parameters of the model.
pub(super) async fn declare(it: &Interpreter, scope: &Scope) -> Result<(), Fault> {
    let mut declared = Vec::new();
    for call in &it.model.parameters {
        let (named, others) = it.arguments(scope, call).await?;
        let args = steps::args_for(&call.name, named, others)?;
        define(&it.core, &call.name, &args.named).map_err(|f| f.at(call.span))?;
        let name = args.named.iter().find(|(n, _)| n == "name").map(|(_, v)| v.to_text());
        declared.extend(name);
    }
    for (name, _) in it.core.facts.params.iter().filter(|(n, _)| !declared.contains(n)) {
        it.core.say(scope, &format!("WARNING: the pipeline declares no parameter ‘{name}’"));
    }
    Ok(())
}

/// Declares one parameter: the value given gets the right type, a missing one its default.
pub(crate) fn define(core: &Core, kind: &str, fields: &[(String, Value)]) -> Result<(), Fault> {
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
    let name = field("name").map(Value::to_text).ok_or_else(|| Fault::illegal("a parameter needs a name"))?;
    let given = core.facts.params.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
    let default = field("defaultValue");
    let value = match kind.strip_suffix("ParameterDefinition").unwrap_or(kind) {
        "booleanParam" | "Boolean" => match given {
            Some(text) => Value::Bool(boolean(&name, &text)?),
            None => Value::Bool(default.is_some_and(|v| v.to_text().eq_ignore_ascii_case("true"))),
        },
        "choice" | "Choice" => values::text(&choice(&name, field("choices"), given)?),
        _ => {
            let text = given.or_else(|| default.map(Value::to_text)).unwrap_or_default();
            let trim = field("trim").is_some_and(Value::truth);
            values::text(if trim { text.trim() } else { &text })
        }
    };
    let mut params = core.run.params.borrow_mut();
    match params.iter_mut().find(|(n, _)| *n == name) {
        Some((_, old)) => *old = value,
        None => params.push((name, value)),
    }
    Ok(())
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

fn choice(name: &str, choices: Option<&Value>, given: Option<String>) -> Result<String, Fault> {
    let choices: Vec<String> = match choices {
        Some(value) if value.is_text() => value.to_text().lines().map(str::to_owned).collect(),
        Some(value) => value.items().unwrap_or_default().iter().map(Value::to_text).collect(),
        None => Vec::new(),
    };
    match given {
        Some(text) if choices.contains(&text) => Ok(text),
        Some(text) => {
            let known = choices.join(", ");
            Err(refused(format!("parameter ‘{name}’ has no choice ‘{text}’ (there is: {known})")))
        }
        None => Ok(choices.into_iter().next().unwrap_or_default()),
    }
}
