//! Text as json-lib reads it, which is much that is no JSON: remarks, `'texts'`, keys without quotes, commas too many, `=` and `;`.
//!
//! Source: `JSONTokener`, `JSONObject._fromJSONTokener`, `JSONArray._fromJSONTokener` of Jenkins' json-lib.

use std::collections::HashMap;
use std::fmt;

use groovy::value::{Value, json};

use super::tree::MAX_VALUES;
use crate::engine::values;

/// How deep values may nest: the reader recurses.
const NESTING_MAX: usize = 200;
/// How much of a text is in a message.
const SHOWN_CHARS: usize = 200;

/// The value that a text is. `null`: the null of json-lib, where its objects and arrays are to be made; else plain maps and lists.
///
/// # Errors
/// What json-lib says of it; it is too large.
pub(super) fn read(text: &str, null: Option<&Value>) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}').trim_matches(|c| c <= ' ');
    for (first, last) in [('[', ']'), ('{', '}')] {
        if text.starts_with(first) && !text.ends_with(last) {
            return Err(format!("Found starting '{first}' but missing '{last}' at the end."));
        }
    }
    match text.as_bytes() {
        b"null" => Ok(null.cloned().unwrap_or_default()),
        [b'[' | b'{', ..] => Reader { text, at: 0, null, left: MAX_VALUES }.value(0),
        _ => Err("Invalid JSON String".into()),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    null: Option<&'a Value>,
    left: usize,
}

impl Reader<'_> {
    fn error(&self, why: impl fmt::Display) -> String {
        let shown: String = self.text.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < self.text.len() { "…" } else { "" };
        format!("{why} at character {} of {shown}{more}", self.text[..self.at].chars().count())
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn takes(&mut self, c: char) -> bool {
        let is_there = self.peek() == Some(c);
        self.at += if is_there { c.len_utf8() } else { 0 };
        is_there
    }

    /// The next letter that is neither a space nor within a remark; it stays.
    fn clean(&mut self) -> Result<Option<char>, String> {
        loop {
            let rest = &self.text[self.at..];
            self.at += match rest.chars().next() {
                Some(c) if c <= ' ' => 1,
                Some('#') => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                Some('/') if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                Some('/') if rest.starts_with("/*") => match rest[2..].find("*/") {
                    Some(end) => end + 4,
                    None => return Err(self.error("Unclosed comment.")),
                },
                other => return Ok(other),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > NESTING_MAX {
            return Err(self.error(format!("nested more than {NESTING_MAX} levels deep")));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| self.error(format!("more than {MAX_VALUES} values")))?;
        match self.clean()? {
            Some(quote @ ('"' | '\'')) => self.quoted(quote).map(Value::from),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            _ => self.unquoted(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.next();
        let (mut entries, mut places): (Vec<Property>, HashMap<String, usize>) = Default::default();
        loop {
            match self.clean()? {
                None => return Err(self.error("A JSONObject text must end with '}'")),
                Some('}') => break,
                Some(_) => {}
            }
            // A name is none of the values.
            self.left += 1;
            let key = self.value(depth + 1)?.to_text();
            self.clean()?;
            if self.takes('=') {
                self.takes('>');
            } else if !self.takes(':') {
                return Err(self.error("Expected a ':' after a key"));
            }
            let value = self.value(depth + 1)?;
            match places.get(&key) {
                Some(at) => entries[*at].again.push(value),
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push(Property { key, value, again: Vec::new() });
                }
            }
            if self.ends(',', '}')? {
                break;
            }
        }
        self.next();
        let is_json = self.null.is_some();
        let pairs = entries.into_iter().map(|entry| (Value::str(entry.key.as_str()), entry.all(is_json)));
        Ok(if is_json { json::object_of(pairs) } else { Value::map(pairs) })
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.next();
        let mut items = Vec::new();
        if self.clean()? != Some(']') {
            loop {
                // Nothing between two commas is a null.
                items.push(match self.clean()? {
                    Some(',') => self.null.cloned().unwrap_or_default(),
                    _ => self.value(depth + 1)?,
                });
                if self.ends(',', ']')? {
                    break;
                }
            }
        }
        self.next();
        Ok(array_of(items, self.null.is_some()))
    }

    /// Whether an object or array ends behind an item; a separator may stand before its end.
    fn ends(&mut self, separator: char, end: char) -> Result<bool, String> {
        let next = self.clean()?;
        if next == Some(separator) || next == Some(';') {
            self.next();
            return Ok(self.clean()? == Some(end));
        }
        if next == Some(end) { Ok(true) } else { Err(self.error(format!("Expected a '{separator}' or '{end}'"))) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        self.next();
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = match self.next() {
                None | Some('\0' | '\n' | '\r') => return Err(self.error("Unterminated string")),
                Some('\\') => match self.next() {
                    None => return Err(self.error("Unterminated string")),
                    Some('b') => '\u{8}',
                    Some('t') => '\t',
                    Some('n') => '\n',
                    Some('f') => '\u{c}',
                    Some('r') => '\r',
                    Some(digits @ ('u' | 'x')) => {
                        units.push(self.unit(if digits == 'u' { 4 } else { 2 })?);
                        continue;
                    }
                    Some(other) => other,
                },
                Some(c) if c == quote => return Ok(String::from_utf16_lossy(&units)),
                Some(c) => c,
            };
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }

    /// A letter by its number.
    fn unit(&mut self, digits: usize) -> Result<u16, String> {
        let text = self.text.get(self.at..self.at + digits).ok_or_else(|| self.error("Substring bounds error"))?;
        self.at += digits;
        let unit = u16::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'));
        unit.ok_or_else(|| format!("For input string: \"{text}\""))
    }

    /// A number, one of the three words, or a text as it stands.
    fn unquoted(&mut self) -> Result<Value, String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| c < ' ' || ",:]}/\\\"[{;=#".contains(c)).unwrap_or(rest.len());
        let text = rest[..end].trim();
        self.at += end;
        match text {
            "" => return Err(self.error("Missing value.")),
            "null" => return Ok(self.null.cloned().unwrap_or_default()),
            _ if text.eq_ignore_ascii_case("true") => return Ok(Value::Bool(true)),
            _ if text.eq_ignore_ascii_case("false") => return Ok(Value::Bool(false)),
            _ => {}
        }
        if text.starts_with(|c: char| c.is_ascii_digit() || ".-+".contains(c)) {
            return match number(text) {
                Some(Value::Double(n)) if !n.is_finite() => Err("JSON does not allow non-finite numbers".into()),
                found => Ok(found.unwrap_or_else(|| Value::str(text))),
            };
        }
        match self.peek() {
            Some(',' | '}' | '{' | '[' | ']') => Err(format!("Unquotted string '{text}'")),
            _ => Ok(Value::str(text)),
        }
    }
}

/// What is a number to json-lib: also octal and hexadecimal ones. One that no `long` holds is none.
fn number(text: &str) -> Option<Value> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
        && let Ok(n) = i32::from_str_radix(hex, 16)
    {
        return Some(Value::Int(n));
    }
    if text.starts_with('0')
        && let Ok(n) = i32::from_str_radix(text, 8)
    {
        return Some(Value::Int(n));
    }
    if text.contains(['.', 'e', 'E']) {
        // As Java writes a float.
        return text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text).parse().ok().map(Value::Double);
    }
    text.parse().ok().map(values::int)
}

/// A key, its value, and what the same key had after it.
struct Property {
    key: String,
    value: Value,
    again: Vec<Value>,
}

impl Property {
    /// Of a key that comes again all values, in one array.
    fn all(self, is_json: bool) -> Value {
        if self.again.is_empty() {
            return self.value;
        }
        let mut items = match &self.value {
            Value::List(_) => self.value.items().unwrap_or_default(),
            _ => vec![self.value],
        };
        items.extend(self.again);
        array_of(items, is_json)
    }
}

fn array_of(items: Vec<Value>, is_json: bool) -> Value {
    if is_json { json::array(items) } else { Value::list(items) }
}

#[cfg(test)]
mod tests {
    use super::super::json::compact;
    use super::*;

    fn reads(text: &str) -> String {
        read(text, None).map_or_else(|why| why, |value| compact(&value))
    }

    #[test]
    fn order_and_types_stay() {
        let text = r#"{"z":1,"a":[1.50,12345678901,"x</y",null,true],"m":{}}"#;
        assert_eq!(reads(text), r#"{"z":1,"a":[1.5,12345678901,"x<\/y",null,true],"m":{}}"#);
        assert_eq!(reads(r#"["A\u00e9\ud83d\ude00\n\/\x41"]"#), r#"["Aé😀\n/A"]"#);
    }

    #[test]
    fn much_is_read_that_is_no_json() {
        let text =
            "{ // of a tsconfig.json\n 'a': 'x', /* or\n so */ b = [1,,2,], # and\n \"c\" => TRUE; d: two words\n, }";
        assert_eq!(
            reads("{ // of\n 'a': 'x', /* or\n so */ b = [1,,2,], # and\n \"c\" => TRUE; }"),
            r#"{"a":"x","b":[1,null,2],"c":true}"#
        );
        assert!(reads(text).ends_with(r#""d":"two words"}"#), "{}", reads(text));
        assert_eq!(reads("{d: two words}"), "Unquotted string 'two words'");
        assert_eq!(reads(r#"{"a":1,"b":0,"a":2,"a":[3]}"#), r#"{"a":[1,2,[3]],"b":0}"#);
        assert_eq!(
            reads("[0x1f, 010, 08, -5, +5, 123456789012345678901, 1e3]"),
            r#"[31,8,8,-5,5,"123456789012345678901",1000]"#
        );
        assert_eq!(reads("[1] // of no interest ]"), "[1]");
    }

    #[test]
    fn what_is_wrong_says_where() {
        assert_eq!(reads("{'a' 1}"), "Expected a ':' after a key at character 5 of {'a' 1}");
        assert_eq!(reads("[1e999]"), "JSON does not allow non-finite numbers");
        assert_eq!(reads("[1 2]"), r#"["1 2"]"#);
        assert_eq!(reads("['a' 'b']"), "Expected a ',' or ']' at character 5 of ['a' 'b']");
        assert_eq!(reads("['a\n']"), "Unterminated string at character 4 of ['a\n']");
        assert_eq!(reads("[1, /* 2]"), "Unclosed comment. at character 4 of [1, /* 2]");
        assert_eq!(reads("{"), "Found starting '{' but missing '}' at the end.");
        for text in ["", "12", "\"x\"", "true"] {
            assert_eq!(reads(text), "Invalid JSON String");
        }
    }

    #[test]
    fn what_is_large_ends() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(reads(&deep).starts_with("nested more than 200 levels deep"));
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(reads(&many).starts_with("more than"));
        let names: Vec<_> = (0..600_000).map(|n| format!("\"k{n}\":0")).collect();
        assert!(reads(&format!("{{{}}}", names.join(","))).starts_with("{\"k0\":0,"));
    }
}
