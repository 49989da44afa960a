//! Values as YAML, laid out as SnakeYAML does it in blocks.

use groovy::value::Value;

use super::yaml_date;
use super::yaml_scalar::resolve;
use super::{MAX_NESTING, MAX_WRITTEN_BYTES};
use crate::engine::values;

/// Spaces of a level.
const INDENT: usize = 2;

/// Why something has no text.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is too deep, or too long.
    TooLarge,
    /// It is no data; its class.
    Strange(String),
}

/// Each value as a document.
pub(super) fn documents(all: &[Value]) -> Result<String, Refused> {
    let mut out = String::new();
    for (at, value) in all.iter().enumerate() {
        let is_block = is_block(value);
        if at > 0 {
            out.push_str(if is_block { "---\n" } else { "--- " });
        }
        if is_block {
            block(value, 0, 0, &mut out)?;
        } else {
            leaf(value, 0, false, &mut out)?;
            out.push('\n');
        }
    }
    room(&out, 0)?;
    Ok(out)
}

/// Refuses what would be too long with so much more.
fn room(out: &str, more: usize) -> Result<(), Refused> {
    if out.len() + more > MAX_WRITTEN_BYTES { Err(Refused::TooLarge) } else { Ok(()) }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Map(map) => !map.is_empty(),
        Value::List(_) | Value::Set(_) | Value::Range(_) => value.items().is_some_and(|items| !items.is_empty()),
        _ => false,
    }
}

/// The entries of a collection, each from the margin on; the first begins where the text is.
fn block(value: &Value, margin: usize, depth: usize, out: &mut String) -> Result<(), Refused> {
    if depth > MAX_NESTING {
        return Err(Refused::TooLarge);
    }
    room(out, 0)?;
    let pad = " ".repeat(margin);
    if let Value::Map(map) = value {
        for (at, (key, value)) in (0..map.len()).filter_map(|at| map.at(at)).enumerate() {
            if at > 0 {
                out.push_str(&pad);
            }
            leaf(&key, margin, true, out)?;
            out.push(':');
            match (is_block(&value), &value) {
                (true, Value::Map(_)) => {
                    out.push('\n');
                    out.push_str(&" ".repeat(margin + INDENT));
                    block(&value, margin + INDENT, depth + 1, out)?;
                }
                // Items stand below their key, as far to the left.
                (true, _) => {
                    out.push('\n');
                    out.push_str(&pad);
                    block(&value, margin, depth + 1, out)?;
                }
                (false, _) => {
                    out.push(' ');
                    leaf(&value, margin + INDENT, false, out)?;
                    out.push('\n');
                }
            }
        }
        return Ok(());
    }
    for (at, item) in value.items().unwrap_or_default().iter().enumerate() {
        if at > 0 {
            out.push_str(&pad);
        }
        out.push_str("- ");
        if is_block(item) {
            block(item, margin + INDENT, depth + 1, out)?;
        } else {
            leaf(item, margin + INDENT, false, out)?;
            out.push('\n');
        }
    }
    Ok(())
}

/// What has no entries. A text of several lines lies at the margin.
fn leaf(value: &Value, margin: usize, is_key: bool, out: &mut String) -> Result<(), Refused> {
    room(out, 0)?;
    match value {
        Value::Null => out.push_str("null"),
        other if groovy::value::json::is_null(other) => out.push_str("null"),
        Value::Bool(_) | Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_) => {
            out.push_str(&value.to_text())
        }
        Value::Double(_) | Value::Float(_) | Value::Decimal(_) => out.push_str(&match value.to_text().as_str() {
            "NaN" => ".nan".to_owned(),
            "Infinity" => ".inf".to_owned(),
            "-Infinity" => "-.inf".to_owned(),
            text => text.to_owned(),
        }),
        Value::Str(_) | Value::GString(_) | Value::Char(_) => text(&value.to_text(), margin, is_key, out)?,
        Value::Map(map) if map.is_empty() => out.push_str("{}"),
        Value::Set(set) if set.is_empty() => out.push_str("!!set {}"),
        Value::List(_) | Value::Range(_) if !is_block(value) => out.push_str("[]"),
        other => match other.date_ms() {
            Some(ms) => out.push_str(&yaml_date::write(ms)),
            None => return Err(Refused::Strange(other.type_name())),
        },
    }
    Ok(())
}

fn text(text: &str, margin: usize, is_key: bool, out: &mut String) -> Result<(), Refused> {
    room(out, text.len())?;
    let is_printable = text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{feff}' && c != '\u{2028}');
    let has_loose_ends = text.lines().any(|line| line.ends_with(' ')) || text.starts_with([' ', '\n']);
    if text.contains('\n') && is_printable && !has_loose_ends && !is_key {
        literal(text, margin, out)?;
    } else if !is_printable || text.contains('\n') {
        double(text, out)?;
    } else if is_plain(text) {
        out.push_str(text);
    } else {
        out.push_str(&format!("'{}'", text.replace('\'', "''")));
    }
    Ok(())
}

fn literal(text: &str, margin: usize, out: &mut String) -> Result<(), Refused> {
    let (body, end) = match text.strip_suffix('\n') {
        None => (text, "-"),
        Some(body) if body.ends_with('\n') => (body, "+"),
        Some(body) => (body, ""),
    };
    out.push('|');
    out.push_str(end);
    for line in body.split('\n') {
        room(out, margin + line.len())?;
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(margin.max(INDENT)));
            out.push_str(line);
        }
    }
    Ok(())
}

fn double(text: &str, out: &mut String) -> Result<(), Refused> {
    out.push('"');
    for c in text.chars() {
        room(out, 0)?;
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x100 && c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{feff}' | '\u{2028}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}

/// Whether a text reads as itself without quotes.
fn is_plain(text: &str) -> bool {
    let first = |c: char| "-?:,[]{}#&*!|>'\"%@`=".contains(c);
    let begins_well = match text.strip_prefix(['-', '?', ':']) {
        Some(rest) => rest.starts_with(|c: char| !c.is_whitespace()) && !text.starts_with("---"),
        None => !text.starts_with(first),
    };
    begins_well
        && text == text.trim()
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.starts_with("...")
        && text != "<<"
        && matches!(resolve(text), Value::Str(_))
        && resolve(text).equals(&values::text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_quotes() {
        let map = |pairs: Vec<(&str, Value)>| values::map(pairs);
        let data = map(vec![
            ("name", values::text("x")),
            ("n", Value::Int(1)),
            ("s", values::text("1")),
            ("yes", values::text("true: ")),
            ("empty", Value::list(vec![])),
            (
                "list",
                Value::list(vec![
                    values::text("-a"),
                    map(vec![("k", Value::Null), ("l", Value::list(vec![Value::Bool(true)]))]),
                ]),
            ),
            ("inner", map(vec![("text", values::text("one\ntwo\n")), ("q", values::text("it's: \u{7}"))])),
        ]);
        let expect = "name: x\nn: 1\ns: '1'\n'yes': 'true: '\nempty: []\nlist:\n- -a\n- k: null\n  l:\n  - true\ninner:\n  text: |\n    one\n    two\n  q: \"it's: \\x07\"\n";
        assert_eq!(documents(std::slice::from_ref(&data)).unwrap(), expect);
        assert_eq!(documents(&[Value::Int(1), map(vec![("a", values::text(""))])]).unwrap(), "1\n---\na: ''\n");
    }

    #[test]
    fn what_is_no_data_is_refused() {
        assert!(matches!(documents(&[Value::host("x", 0)]), Err(Refused::Strange(class)) if class == "x"));
        let mut deep = Value::Null;
        (0..1000).for_each(|_| deep = Value::list(vec![deep.clone()]));
        assert!(matches!(documents(&[deep]), Err(Refused::TooLarge)));
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_written() {
        // Deep, so that each line of a text has a long margin.
        let deep = |text: &str| (0..100).fold(values::text(text), |inner, _| values::map([("k", inner)]));
        let lines = ["a\n".repeat(1 << 20), format!("{}\u{7}", "\u{7}".repeat(10 << 20)), "a".repeat(10 << 20)];
        for text in &lines {
            let (mut out, text) = (String::new(), values::text(text));
            let all = Value::list(vec![text; 100]);
            assert!(matches!(block(&all, 200, 0, &mut out), Err(Refused::TooLarge)));
            assert!(out.len() < 2 * MAX_WRITTEN_BYTES, "{}", out.len());
        }
        // The same million many times.
        let many = Value::list(vec![Value::Null; 1 << 20]);
        let mut out = String::new();
        assert!(matches!(block(&Value::list(vec![many; 1000]), 0, 0, &mut out), Err(Refused::TooLarge)));
        assert!(out.len() < MAX_WRITTEN_BYTES + 100, "{}", out.len());
        assert!(matches!(documents(&[deep(&lines[0])]), Err(Refused::TooLarge)));
    }
}
