//! Values of a script as JSON, and JSON as values, both within bounds.

use groovy::value::{Decimal, Value};
use serde_json::{Map, Value as Json};

use super::values;

/// How deep lists and maps may stand in each other: as deep as a reader of JSON goes.
const MAX_DEPTH: usize = 100;
/// Most values of one argument.
const MAX_VALUES: usize = 20_000;

/// A value as JSON.
///
/// # Errors
/// What keeps it from being that: the end of a sentence.
pub(crate) fn of(value: &Value) -> Result<Json, String> {
    let mut left = MAX_VALUES;
    written(value, MAX_DEPTH, &mut left)
}

// No deeper than `depth`.
fn written(value: &Value, depth: usize, left: &mut usize) -> Result<Json, String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("has more than {MAX_VALUES} values"))?;
    let inner = depth.checked_sub(1).ok_or_else(|| format!("is deeper than {MAX_DEPTH} levels"));
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) => {
            value.as_i64().map_or(Json::Null, Json::from)
        }
        Value::Str(_) | Value::GString(_) | Value::Char(_) => Json::String(value.to_text()),
        Value::Decimal(_) | Value::BigInt(_) | Value::Float(_) | Value::Double(_) => {
            let text = value.to_text();
            text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or(Json::String(text), Json::Number)
        }
        Value::Map(_) => {
            let inner = inner?;
            let entries = values::entries(value).unwrap_or_default();
            let written = entries.iter().map(|(name, value)| Ok((name.clone(), written(value, inner, left)?)));
            Json::Object(written.collect::<Result<Map<_, _>, String>>()?)
        }
        Value::List(_) | Value::Set(_) => {
            let inner = inner?;
            let items = value.items().unwrap_or_default();
            Json::Array(items.iter().map(|item| written(item, inner, left)).collect::<Result<_, _>>()?)
        }
        other => return Err(format!("is a {}, which no program can be handed", other.type_name())),
    })
}

/// JSON as a value. How deep it is its reader has bounded.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => values::int(number),
            None => Decimal::parse(&number.to_string()).map_or(Value::Null, Value::decimal),
        },
        Json::String(text) => values::text(text),
        Json::Array(items) => Value::list(items.iter().map(value).collect()),
        Json::Object(entries) => values::map(entries.iter().map(|(name, json)| (name.as_str(), value(json)))),
    }
}
