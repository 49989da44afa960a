//! Between Rust and the values of a script.

use groovy::value::Value;

/// A string.
pub(crate) fn text(text: &str) -> Value {
    Value::str(text)
}

/// A string or null.
pub(crate) fn opt_text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::str)
}

/// A number: `Integer` where it fits, as Java's steps return it.
pub(crate) fn int(n: i64) -> Value {
    i32::try_from(n).map_or(Value::Long(n), Value::Int)
}

/// A map with text keys.
pub(crate) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::map(pairs.into_iter().map(|(k, v)| (Value::str(k), v)))
}

/// The entries of a map, keys as text.
pub(crate) fn entries(value: &Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Map(map) => Some((0..map.len()).filter_map(|i| map.at(i)).map(|(k, v)| (k.to_text(), v)).collect()),
        _ => None,
    }
}

/// Can it be called?
pub(crate) fn is_closure(value: &Value) -> bool {
    matches!(value, Value::Closure(_))
}

/// `getMessage()` of an exception.
pub(crate) fn exception_message(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => object.throwable().map(|t| t.message).filter(|m| !m.is_null()).map(|m| m.to_text()),
        _ => None,
    }
}
