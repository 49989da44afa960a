//! `readJSON`, `writeJSON`.

use std::cell::Cell;

use groovy::value::Value;
use serde::de::DeserializeSeed as _;

use super::super::StepCall;
use super::tree::{MAX_VALUES, Tree};
use super::{MAX_NESTING, MAX_WRITTEN_BYTES, one_text, too_large, written};
use crate::engine::fault::Fault;
use crate::steps::objects;

/// Java's name of the exception for what is no JSON.
const JSON_EXCEPTION: &str = "net.sf.json.JSONException";

/// `readJSON file: 'x.json'`, `readJSON text: '{}'`. A null is an object that is true, unless plain values are asked for (`returnPojo`).
///
/// Source: `ReadJSONStepExecution`, and json-lib, whose numbers with a point are doubles.
pub(crate) async fn read_json(call: StepCall) -> Result<Value, Fault> {
    let text = one_text(&call).await?;
    let null = match call.args.flag("returnPojo", false)? {
        true => Value::Null,
        false => objects::of(&call.core, &call.scope, "jsonNull", Vec::new()).await?,
    };
    parse(&text, &null).map_err(|why| Fault::raised(JSON_EXCEPTION, format!("Invalid JSON String: {why}")))
}

fn parse(text: &str, null: &Value) -> Result<Value, serde_json::Error> {
    let text = text.trim_start_matches('\u{feff}');
    let left = Cell::new(MAX_VALUES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Tree { null, left: &left }.deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// `writeJSON file: 'x.json', json: [a: 1], pretty: 4`, or `returnText: true`.
///
/// Source: `WriteJSONStepExecution`, and the layout of json-lib: what has one entry stays on its line.
pub(crate) async fn write_json(call: StepCall) -> Result<Value, Fault> {
    let missing = || Fault::illegal("You have to provide a JSON object to save for writeJSON.");
    let json = call.args.get("json").ok_or_else(missing)?;
    let indent = usize::try_from(call.args.opt_int("pretty")?.unwrap_or(0)).unwrap_or(0).min(16);
    let mut out = String::new();
    Writer { indent, out: &mut out }.value(json, 0, 0).map_err(|TooLarge| too_large("writeJSON"))?;
    written(&call, out, None).await
}

struct TooLarge;

struct Writer<'a> {
    indent: usize,
    out: &'a mut String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, margin: usize, depth: usize) -> Result<(), TooLarge> {
        if depth > MAX_NESTING || self.out.len() > MAX_WRITTEN_BYTES {
            return Err(TooLarge);
        }
        match value {
            Value::Null => self.out.push_str("null"),
            other if objects::is_json_null(other) => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(&flag.to_string()),
            Value::Int(_)
            | Value::Long(_)
            | Value::BigInt(_)
            | Value::Decimal(_)
            | Value::Double(_)
            | Value::Float(_) => self.number(value),
            Value::Map(map) => {
                let entries: Vec<_> = (0..map.len()).filter_map(|at| map.at(at)).collect();
                self.many(('{', '}'), margin, &entries, |writer, (key, value), margin| {
                    quote(&key.to_text(), writer.out);
                    writer.out.push_str(if writer.indent > 0 { ": " } else { ":" });
                    writer.value(value, margin, depth + 1)
                })?;
            }
            Value::List(_) | Value::Set(_) | Value::Range(_) => {
                let items = value.items().unwrap_or_default();
                self.many(('[', ']'), margin, &items, |writer, item, margin| writer.value(item, margin, depth + 1))?;
            }
            other => quote(&other.to_text(), self.out),
        }
        Ok(())
    }

    /// The entries of something, each on a line of its own where there are several and it is to be pretty.
    fn many<T>(
        &mut self,
        (open, close): (char, char),
        margin: usize,
        items: &[T],
        one: impl Fn(&mut Self, &T, usize) -> Result<(), TooLarge>,
    ) -> Result<(), TooLarge> {
        let is_spread = self.indent > 0 && items.len() > 1;
        let inner = if is_spread { margin + self.indent } else { margin };
        self.out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            if is_spread {
                self.line(inner);
            }
            one(self, item, inner)?;
        }
        if is_spread {
            self.line(margin);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, margin: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', margin));
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

/// Text that a value has as JSON in messages and tests of other formats.
#[cfg(test)]
pub(super) fn compact(value: &Value) -> String {
    let mut out = String::new();
    let _ = Writer { indent: 0, out: &mut out }.value(value, 0, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::values;

    #[test]
    fn order_and_types_stay() {
        let value = parse(r#"{"z":1,"a":[1.50,12345678901,"x</y",null,true],"m":{}}"#, &Value::Null).unwrap();
        assert_eq!(compact(&value), r#"{"z":1,"a":[1.5,12345678901,"x<\/y",null,true],"m":{}}"#);
        assert!(parse("{} x", &Value::Null).is_err());
        assert!(parse(&"[".repeat(100_000), &Value::Null).is_err());
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(parse(&many, &Value::Null).unwrap_err().to_string().contains("more than"));
    }

    #[test]
    fn what_has_one_entry_stays_on_its_line() {
        let value = parse(r#"{"a":[1,2],"b":{"c":[3]}}"#, &values::text("")).unwrap();
        let mut out = String::new();
        assert!(Writer { indent: 2, out: &mut out }.value(&value, 0, 0).is_ok());
        assert_eq!(out, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {\"c\": [3]}\n}");
    }
}
