//! `readTOML`, `writeTOML`.

use std::cell::Cell;

use groovy::value::Value;
use serde::de::DeserializeSeed as _;

use super::super::StepCall;
use super::tree::{MAX_VALUES, Tree};
use super::{MAX_NESTING, MAX_WRITTEN_BYTES, one_text, too_large, written};
use crate::engine::fault::Fault;
use crate::engine::values;

/// Java's name of the exception for what is no TOML.
const TOML_EXCEPTION: &str = "com.fasterxml.jackson.core.JsonParseException";

/// `readTOML file: 'Cargo.toml'`; dates are text.
pub(crate) async fn read_toml(call: StepCall) -> Result<Value, Fault> {
    let text = one_text(&call).await?;
    parse(&text).map_err(|why| Fault::raised(TOML_EXCEPTION, why.to_string().trim_end().to_owned()))
}

fn parse(text: &str) -> Result<Value, toml::de::Error> {
    let left = Cell::new(MAX_VALUES);
    Tree { left: &left }.deserialize(toml::Deserializer::parse(text)?)
}

/// `writeTOML file: 'x.toml', toml: [a: 1]`, or `returnText: true`.
pub(crate) async fn write_toml(call: StepCall) -> Result<Value, Fault> {
    let missing = || Fault::illegal("You have to provide a toml object to save for writeTOML.");
    let toml = call.args.get("toml").ok_or_else(missing)?;
    let Some(entries) = values::entries(toml) else {
        return Err(Fault::illegal(format!("writeTOML: a document is a map, not {}", toml.type_name())));
    };
    let mut out = String::new();
    table(&entries, &mut Vec::new(), &mut out).map_err(|TooLarge| too_large("writeTOML"))?;
    written(&call, out, None).await
}

struct TooLarge;

/// What stands in a table itself, and then the tables in it.
fn table(entries: &[(String, Value)], path: &mut Vec<String>, out: &mut String) -> Result<(), TooLarge> {
    if path.len() > MAX_NESTING {
        return Err(TooLarge);
    }
    let is_tables = |value: &Value| match value {
        Value::List(list) => !list.is_empty() && list.snapshot().iter().all(|item| matches!(item, Value::Map(_))),
        other => matches!(other, Value::Map(_)),
    };
    // There is no null.
    let (inner, own): (Vec<_>, Vec<_>) =
        entries.iter().filter(|(_, value)| !value.is_null()).partition(|(_, v)| is_tables(v));
    for (name, value) in own {
        out.push_str(&format!("{} = ", key(name)));
        inline(value, 0, out)?;
        out.push('\n');
    }
    for (name, value) in inner {
        path.push(key(name));
        let name = path.join(".");
        let (marks, tables) = match value {
            Value::Map(_) => (("[", "]"), vec![value.clone()]),
            list => (("[[", "]]"), list.items().unwrap_or_default()),
        };
        for one in tables {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&format!("{}{name}{}\n", marks.0, marks.1));
            table(&values::entries(&one).unwrap_or_default(), path, out)?;
        }
        path.pop();
    }
    Ok(())
}

fn inline(value: &Value, depth: usize, out: &mut String) -> Result<(), TooLarge> {
    if depth > MAX_NESTING || out.len() > MAX_WRITTEN_BYTES {
        return Err(TooLarge);
    }
    match value {
        Value::Bool(_) | Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_) => {
            out.push_str(&value.to_text())
        }
        Value::Double(_) | Value::Float(_) | Value::Decimal(_) => out.push_str(&match value.to_text().as_str() {
            "NaN" => "nan".to_owned(),
            "Infinity" => "inf".to_owned(),
            "-Infinity" => "-inf".to_owned(),
            text => text.replace('E', "e"),
        }),
        Value::Map(_) => {
            let entries = values::entries(value).unwrap_or_default();
            out.push('{');
            for (at, (name, value)) in entries.iter().filter(|(_, value)| !value.is_null()).enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&format!("{} = ", key(name)));
                inline(value, depth + 1, out)?;
            }
            out.push('}');
        }
        Value::List(_) | Value::Set(_) | Value::Range(_) => {
            out.push('[');
            for (at, item) in value.items().unwrap_or_default().iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                inline(item, depth + 1, out)?;
            }
            out.push(']');
        }
        other => out.push_str(&quoted(&other.to_text())),
    }
    Ok(())
}

fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::super::json::compact;
    use super::*;

    #[test]
    fn what_was_written_reads_the_same() {
        let text = "title = \"a \\\"b\\\"\"\nn = [1, 2.5]\n\n[owner]\n\"the name\" = \"x\"\n\n[owner.deep]\nok = true\n\n[[list]]\na = 1\n\n[[list]]\na = 2\n";
        let value = parse(text).unwrap();
        assert_eq!(
            compact(&value),
            r#"{"title":"a \"b\"","n":[1,2.5],"owner":{"the name":"x","deep":{"ok":true}},"list":[{"a":1},{"a":2}]}"#
        );
        let mut out = String::new();
        assert!(table(&values::entries(&value).unwrap(), &mut Vec::new(), &mut out).is_ok());
        assert_eq!(out, text);
        assert_eq!(compact(&parse("d = 1979-05-27T07:32:00Z").unwrap()), r#"{"d":"1979-05-27T07:32:00Z"}"#);
        assert!(parse("a =").is_err());
    }
}
