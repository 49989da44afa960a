//! Values of json-lib (`net.sf.json`), which is what Jenkins reads JSON with: maps and lists of a kind of their own, and a null that is
//! an object. Their methods are in `library::json_lib`.

use std::rc::Rc;

use super::{Java, List, ListKind, Map, MapKind, Value};

/// How deep JSON may nest.
const NESTING_MAX: usize = 200;
/// Most values that are made JSON's at once; what is beyond stays as it is, as does what holds itself.
const HELD_MAX: usize = 100_000;

/// A text would be longer than it may be, or nest deeper.
#[derive(Debug)]
pub struct TooLarge;

/// Whether it is the null of JSON, which is an object.
pub fn is_null(value: &Value) -> bool {
    matches!(value, Value::Object(object) if matches!(object.java(), Some(Java::JsonNull)))
}

/// Whether it is an object or an array of JSON.
pub(crate) fn is_json(value: &Value) -> bool {
    match value {
        Value::Map(map) => map.kind() == MapKind::Json,
        Value::List(list) => *list.kind() == ListKind::Json,
        _ => false,
    }
}

/// An empty object, `JSONObject`.
pub(crate) fn object() -> Map {
    Map::new(MapKind::Json)
}

/// An object of what is JSON already.
pub fn object_of(pairs: impl IntoIterator<Item = (Value, Value)>) -> Value {
    let made = object();
    pairs.into_iter().for_each(|(key, value)| drop(made.put_plain(key, value)));
    Value::Map(Rc::new(made))
}

/// An array, `JSONArray`.
pub fn array(items: Vec<Value>) -> Value {
    Value::List(Rc::new(List::new(items, ListKind::Json)))
}

/// What an object or an array holds of a value: maps and lists become objects and arrays. `null`: what a null becomes.
///
/// Source: `AbstractJSON._processValue`, `JSONUtils.transformNumber`.
pub(crate) fn held(value: Value, null: &Value) -> Value {
    let mut left = HELD_MAX;
    let held = hold(value, null, 0, &mut left);
    super::Meter::work(HELD_MAX - left);
    held
}

fn hold(value: Value, null: &Value, depth: usize, left: &mut usize) -> Value {
    if depth > NESTING_MAX || *left == 0 {
        return value;
    }
    *left -= 1;
    match &value {
        Value::Null => null.clone(),
        Value::Map(map) if map.kind() != MapKind::Json => {
            let made = object();
            for at in 0..map.len() {
                let Some((key, value)) = map.at(at) else { break };
                made.put_plain(Value::from(key.to_text()), hold(value, null, depth + 1, left));
            }
            Value::Map(Rc::new(made))
        }
        Value::List(list) if *list.kind() != ListKind::Json => {
            let item = |at: usize| list.get(at);
            array((0..list.len()).map_while(item).map(|item| hold(item, null, depth + 1, left)).collect())
        }
        Value::Set(_) => {
            let items = value.items().unwrap_or_default();
            array(items.into_iter().map(|item| hold(item, null, depth + 1, left)).collect())
        }
        Value::GString(_) | Value::Char(_) => Value::from(value.to_text()),
        Value::Float(number) => Value::Double(f64::from(*number)),
        Value::Byte(_) | Value::Short(_) => Value::Int(value.as_i64().unwrap_or(0) as i32),
        Value::Long(number) => i32::try_from(*number).map_or(value, Value::Int),
        _ => value,
    }
}

/// The text of a value, of at most `room` bytes. `indent`: spaces for each level; 0: all on one line.
///
/// Source: `toString` of `JSONObject` and `JSONArray`: what has one entry stays on its line, and before what has several stand as many
/// spaces as it is indented by.
pub fn text(value: &Value, indent: usize, room: usize) -> Result<String, TooLarge> {
    let mut out = String::new();
    Writer { indent, room, out: &mut out }.value(value, 0, 0)?;
    if out.len() > room { Err(TooLarge) } else { Ok(out) }
}

struct Writer<'a> {
    indent: usize,
    room: usize,
    out: &'a mut String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, margin: usize, depth: usize) -> Result<(), TooLarge> {
        if depth > NESTING_MAX || self.out.len() > self.room {
            return Err(TooLarge);
        }
        match value {
            Value::Null => self.out.push_str("null"),
            other if is_null(other) => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(&flag.to_string()),
            Value::Byte(_)
            | Value::Short(_)
            | Value::Int(_)
            | Value::Long(_)
            | Value::BigInt(_)
            | Value::Decimal(_)
            | Value::Double(_)
            | Value::Float(_) => self.number(value),
            Value::Map(map) => {
                self.many(('{', '}'), margin, (map.len(), &|at| map.at(at)), |writer, (key, value), margin| {
                    quote(&key.to_text(), writer.out);
                    writer.out.push_str(if writer.indent > 0 { ": " } else { ":" });
                    writer.value(&value, margin, depth + 1)
                })?;
            }
            Value::List(list) => {
                self.many(('[', ']'), margin, (list.len(), &|at| list.get(at)), |writer, item, margin| {
                    writer.value(&item, margin, depth + 1)
                })?;
            }
            Value::Set(_) | Value::Range(_) => {
                let items = value.items().unwrap_or_default();
                self.many(('[', ']'), margin, (items.len(), &|at| items.get(at).cloned()), |writer, item, margin| {
                    writer.value(&item, margin, depth + 1)
                })?;
            }
            other => quote(&other.to_text(), self.out),
        }
        Ok(())
    }

    /// The entries of something, each on a line of its own where there are several and it is to be pretty. They are taken one by one: what
    /// holds itself would be copied at each of its levels.
    fn many<T>(
        &mut self,
        (open, close): (char, char),
        margin: usize,
        (count, nth): (usize, &dyn Fn(usize) -> Option<T>),
        one: impl Fn(&mut Self, T, usize) -> Result<(), TooLarge>,
    ) -> Result<(), TooLarge> {
        let is_spread = self.indent > 0 && count > 1;
        let inner = if is_spread { margin + self.indent } else { margin };
        if is_spread {
            self.space(margin);
        }
        self.out.push(open);
        for (at, item) in (0..count).map_while(nth).enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            if is_spread {
                self.out.push('\n');
                self.space(inner);
            }
            one(self, item, inner)?;
        }
        if is_spread {
            self.out.push('\n');
            self.space(margin);
        }
        self.out.push(close);
        Ok(())
    }

    fn space(&mut self, count: usize) {
        self.out.extend(std::iter::repeat_n(' ', count));
    }

    fn number(&mut self, value: &Value) {
        let text = value.to_text();
        let is_whole = !text.contains('.') || text.contains(['e', 'E']);
        match text.as_str() {
            "NaN" | "Infinity" | "-Infinity" => self.out.push_str("null"),
            text if is_whole => self.out.push_str(text),
            text => self.out.push_str(text.trim_end_matches('0').trim_end_matches('.')),
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // So that it may stand in a page.
            '/' if before == '<' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
        before = c;
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_entry_stays_on_its_line() {
        let numbers = |numbers: &[i32]| Value::list(numbers.iter().map(|n| Value::Int(*n)).collect());
        let inner = Value::map([(Value::from("c"), numbers(&[3]))]);
        let value = Value::map([(Value::from("a"), numbers(&[1, 2])), (Value::from("b"), inner)]);
        let pretty = "{\n  \"a\":   [\n    1,\n    2\n  ],\n  \"b\": {\"c\": [3]}\n}";
        assert_eq!(text(&value, 2, 1000).unwrap(), pretty);
        assert_eq!(text(&value, 0, 1000).unwrap(), r#"{"a":[1,2],"b":{"c":[3]}}"#);
        assert!(text(&value, 0, 10).is_err());
    }

    #[test]
    fn what_holds_itself_ends() {
        let list = Rc::new(List::new(Vec::new(), ListKind::Array));
        list.push(Value::List(Rc::clone(&list)));
        list.push(Value::List(Rc::clone(&list)));
        let _ = held(Value::List(Rc::clone(&list)), &Value::Null);
        assert!(text(&Value::List(Rc::clone(&list)), 0, 1 << 20).is_err());
        list.change(|items| items.clear());
    }
}
