//! Between Rust and the values of a script.

use std::rc::Rc;

use groovy::value::{Class, Native, Object, Throwable, Value};

use crate::steps::SYMBOL;

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

/// What a description is one of: `logRotator(…)`, `[$class: 'hudson.tasks.LogRotator', …]` (without the package).
pub(crate) fn symbol(fields: &[(String, Value)]) -> Option<String> {
    let (_, name) = fields.iter().find(|(key, _)| key == SYMBOL || key == "$class")?;
    name.to_text().rsplit('.').next().map(str::to_owned)
}

/// Can it be called?
pub(crate) fn is_closure(value: &Value) -> bool {
    matches!(value, Value::Closure(_))
}

/// An exception object, where the machine cannot be asked for one because it is running.
pub(crate) fn exception(class: &str, message: &str) -> Value {
    let throwable = Throwable { message: text(message), ..Throwable::default() };
    Value::Object(Rc::new(Object::new(Rc::new(Class::named(class, None)), Native::Throwable(throwable))))
}
