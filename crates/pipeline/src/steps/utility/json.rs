//! `readJSON`, `writeJSON`.

use groovy::value::{Value, json};

use super::super::StepCall;
use super::{MAX_WRITTEN_BYTES, json_text, one_text, too_large, written};
use crate::engine::fault::Fault;
use crate::steps::objects;

/// Java's name of the exception for what is no JSON.
const JSON_EXCEPTION: &str = "net.sf.json.JSONException";

/// `readJSON file: 'x.json'`, `readJSON text: '{}'`: json-lib's objects and arrays, and its null, which is true; or plain values
/// (`returnPojo`).
///
/// Source: `ReadJSONStepExecution`.
pub(crate) async fn read_json(call: StepCall) -> Result<Value, Fault> {
    let text = one_text(&call).await?;
    // In a plan every file is empty.
    let text = if call.core.facts.planning && text.trim().is_empty() { "{}".to_owned() } else { text };
    let null = match call.args.flag("returnPojo", false)? {
        true => None,
        false => Some(objects::of(&call.core, &call.scope, "jsonNull", Vec::new()).await?),
    };
    json_text::read(&text, null.as_ref()).map_err(|why| Fault::raised(JSON_EXCEPTION, why))
}

/// `writeJSON file: 'x.json', json: [a: 1], pretty: 4`, or `returnText: true`.
///
/// Source: `WriteJSONStepExecution`, and the layout of json-lib: what has one entry stays on its line.
pub(crate) async fn write_json(call: StepCall) -> Result<Value, Fault> {
    let missing = || Fault::illegal("You have to provide a JSON object to save for writeJSON.");
    let value = call.args.get("json").ok_or_else(missing)?;
    let indent = usize::try_from(call.args.opt_int("pretty")?.unwrap_or(0)).unwrap_or(0).min(16);
    let out = json::text(value, indent, MAX_WRITTEN_BYTES).map_err(|json::TooLarge| too_large("writeJSON"))?;
    written(&call, out, None).await
}

/// Text that a value has as JSON in messages and tests of other formats.
#[cfg(test)]
pub(super) fn compact(value: &Value) -> String {
    json::text(value, 0, MAX_WRITTEN_BYTES).unwrap_or_default()
}
