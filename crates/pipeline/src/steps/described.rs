//! Small steps of plugins about what a run is called, who has started it, and where its programs find Amazon.

use groovy::value::Value;

use super::StepCall;
use crate::engine::fault::Fault;
use crate::globals::current_build;

/// `buildName "#${BUILD_NUMBER} for ${branch}"`
pub(crate) async fn build_name(call: StepCall) -> Result<Value, Fault> {
    let name = expanded(&call, &call.args.text("nameTemplate")?);
    call.say(&format!("New run name is '{name}'"));
    current_build::set_property(&call.core, &call.scope, "displayName", &Value::str(name));
    Ok(Value::Null)
}

/// `buildDescription 'for production'`
pub(crate) async fn build_description(call: StepCall) -> Result<Value, Fault> {
    let text = expanded(&call, &call.args.text("descriptionTemplate")?);
    call.say(&format!("New run description is '{text}'"));
    current_build::set_property(&call.core, &call.scope, "description", &Value::str(text));
    Ok(Value::Null)
}

/// Variables of the run in a text that Groovy left alone: `${BUILD_NUMBER}`. What is none stays as it is.
fn expanded(call: &StepCall, text: &str) -> String {
    let mut parts = text.split("${");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let found = part.split_once('}').and_then(|(name, rest)| Some((call.core.env_var(&call.scope, name)?, rest)));
        match found {
            Some((value, rest)) => all.extend([value.as_str(), rest]),
            None => all.extend(["${", part]),
        }
    }
    all
}

/// `withBuildUser { … }`: the variables BUILD_USER and BUILD_USER_ID, where a person has started the run.
pub(crate) async fn with_build_user(call: StepCall) -> Result<Value, Fault> {
    let user = call.core.facts.causes.iter().find_map(|cause| cause.user.clone());
    let names = ["BUILD_USER", "BUILD_USER_ID", "BUILD_USER_FIRST_NAME"];
    let vars = user.iter().flat_map(|user| names.map(|name| (name.to_owned(), user.clone())));
    call.run_body(&call.scope.with_env(vars.collect())).await
}

/// What of `withAWS` is variables of Amazon's programs.
const AWS: [(&str, &[&str]); 3] = [
    ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ("profile", &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
    ("endpointUrl", &["AWS_ENDPOINT_URL"]),
];

/// `withAWS(region: 'eu-central-1', credentials: 'id') { … }`
pub(crate) async fn with_aws(call: StepCall) -> Result<Value, Fault> {
    let mut vars = Vec::new();
    let mut id = None;
    for (name, value) in &call.args.named {
        if value.is_null() || value.to_text().is_empty() {
            continue;
        }
        if name == "credentials" {
            id = Some(value.to_text());
            continue;
        }
        let Some((_, names)) = AWS.iter().find(|(known, _)| known == name) else {
            let text = format!("withAWS({name}: …) does not run here: roles are not taken on");
            return Err(Fault::raised("java.lang.UnsupportedOperationException", text)
                .with_hint("withAWS(credentials: 'id') gives the key, and `aws sts assume-role` in its block a role"));
        };
        vars.extend(names.iter().map(|name| ((*name).to_owned(), value.to_text())));
    }
    match id {
        Some(id) => super::credentials::with_aws(call, id, vars).await,
        None => call.run_body(&call.scope.with_env(vars)).await,
    }
}
