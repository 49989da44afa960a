//! JSON, base64 and URL encoding.

use std::rc::Rc;

use super::{Answer, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Decimal, Java, Map, MapKind, Value};

const EXCEPTION: &str = "groovy.json.JsonException";

/// How deep JSON may nest: the reader and the writer recurse.
const NESTING_MAX: usize = 200;

/// Static methods of `JsonOutput`.
pub(crate) fn output(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("toJson" | "$toJson", [value]) => {
            let mut out = String::new();
            match write(ctx, value, &mut out, 0) {
                Ok(()) => ctx.new_str(out).map(Some),
                Err(Unwritten::Fault(fault)) => Err(fault),
                // The prelude's `toJson` calls them.
                Err(Unwritten::Closure) if name == "toJson" => Ok(None),
                Err(Unwritten::Closure) => Err(ctx.fail(EXCEPTION, "a closure where its content cannot stand")),
            }
        }
        ("$bean", [value]) => bean(ctx, value).map(Some),
        ("prettyPrint", [text]) => {
            let text = ctx.text(text)?;
            parse(ctx, &text, MapKind::Linked)?;
            let pretty = pretty(ctx, &text)?;
            ctx.new_str(pretty).map(Some)
        }
        _ => Ok(None),
    }
}

/// Why a value was not written.
enum Unwritten {
    Fault(Fault),
    /// Something in it is a closure, which only script code can call.
    Closure,
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Unwritten {
        Unwritten::Fault(fault)
    }
}

/// The properties of an object that is written as a map of them; any other value as it is.
fn bean(ctx: &mut Ctx<'_>, value: &Value) -> Result<Value, Fault> {
    let Value::Object(o) = value else { return Ok(value.clone()) };
    if o.class.script.is_none() || o.field("$name").is_some() || o.held().is_some() {
        return Ok(value.clone());
    }
    let map = super::objects::properties(ctx, value, o)?;
    if let Value::Map(map) = &map {
        ["class", "declaringClass"].iter().for_each(|name| drop(map.remove(&Value::str(*name))));
    }
    Ok(map)
}

/// A number with a point; of those that are none JSON has no text.
fn write_float(ctx: &Ctx<'_>, number: f64, text: &str, out: &mut String) -> Result<(), Fault> {
    if number.is_finite() {
        out.push_str(text);
        return Ok(());
    }
    let kind = if number.is_nan() { "NaN" } else { "infinite" };
    let message = format!("Number {text} can't be serialized as JSON: {kind} are not allowed in JSON.");
    Err(ctx.fail(EXCEPTION, message))
}

fn write(ctx: &mut Ctx<'_>, value: &Value, out: &mut String, depth: usize) -> Result<(), Unwritten> {
    if depth > NESTING_MAX {
        return Err(ctx.fail(EXCEPTION, format!("nested more than {NESTING_MAX} levels deep")).into());
    }
    ctx.room(out.len())?;
    ctx.world.charge(1);
    let held = if let Value::Object(object) = value { object.held() } else { None };
    let value = held.as_ref().unwrap_or(value);
    match value {
        Value::Null => out.push_str("null"),
        // One would expect its own null, and not what a bean of Java's is written as.
        other if crate::value::json::is_null(other) => out.push_str("null"),
        Value::Bool(_)
        | Value::Byte(_)
        | Value::Short(_)
        | Value::Int(_)
        | Value::Long(_)
        | Value::BigInt(_)
        | Value::Decimal(_) => {
            out.push_str(&value.to_text());
        }
        Value::Double(n) => write_float(ctx, *n, &value.to_text(), out)?,
        Value::Float(n) => write_float(ctx, f64::from(*n), &value.to_text(), out)?,
        Value::Closure(_) => return Err(Unwritten::Closure),
        Value::Map(m) => {
            out.push('{');
            // One by one: what holds itself would be copied at each of its levels.
            for (i, (k, v)) in (0..m.len()).map_while(|at| m.at(at)).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if k.is_null() {
                    return Err(ctx.world.illegal("Maps with null keys can't be converted to JSON").into());
                }
                quote(&ctx.text(&k)?, out);
                out.push(':');
                write(ctx, &v, out, depth + 1)?;
            }
            out.push('}');
        }
        Value::List(l) => {
            out.push('[');
            for (i, item) in (0..l.len()).map_while(|at| l.get(at)).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(ctx, &item, out, depth + 1)?;
            }
            out.push(']');
        }
        Value::Set(_) | Value::Range(_) | Value::Iter(_) => {
            out.push('[');
            let from = if let Value::Iter(iter) = value { iter.at.get() } else { 0 };
            let items = super::sequence(ctx, value)?.unwrap_or_default();
            if let Value::Iter(iter) = value {
                // Where a closure follows, all is gone through once more.
                iter.at.set(from);
            }
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(ctx, item, out, depth + 1)?;
            }
            out.push(']');
        }
        // It is written as a bean of Java's.
        Value::Entry(e) => {
            out.push_str("{\"value\":");
            write(ctx, &e.value.borrow().clone(), out, depth + 1)?;
            out.push_str(",\"key\":");
            write(ctx, &e.key, out, depth + 1)?;
            out.push('}');
        }
        Value::Object(o) if o.class.script.is_some() && o.field("$name").is_none() => {
            let map = bean(ctx, value)?;
            write(ctx, &map, out, depth + 1)?;
        }
        Value::Object(o) if matches!(o.java(), Some(Java::Date(_) | Java::Calendar(..))) => {
            let text = super::method(ctx, value, "format", &[Value::str("yyyy-MM-dd'T'HH:mm:ssZ")])?;
            quote(&text.map_or(String::new(), |t| t.to_text()), out);
        }
        other => quote(&ctx.text(other)?, out),
    }
    Ok(())
}

/// The text of a document with each value on a line, as its signs say it: numbers stay as they are written.
fn pretty(ctx: &mut Ctx<'_>, text: &str) -> Result<String, Fault> {
    fn line(out: &mut String, depth: usize) {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    }
    let mut reader = Reader { text: text.as_bytes(), at: 0, kind: MapKind::Linked };
    let (mut out, mut depth) = (String::new(), 0usize);
    loop {
        ctx.room(out.len())?;
        reader.space();
        let Some(sign) = reader.text.get(reader.at).copied() else { return Ok(out) };
        if sign == b'"' {
            quote(&reader.string().unwrap_or_default(), &mut out);
            continue;
        }
        reader.at += 1;
        match sign {
            b'{' | b'[' => {
                depth += 1;
                out.push(sign as char);
                line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(sign as char);
            }
            b',' => {
                out.push(',');
                line(&mut out, depth);
            }
            b':' => out.push_str(": "),
            other => out.push(other as char),
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (c as u32) > 0x7e => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A JSON text as maps, lists and values.
/// `parseText` of `JsonSlurper`, or of `JsonSlurperClassic`.
pub(super) fn slurp(ctx: &mut Ctx<'_>, text: &Value, classic: bool) -> Answer {
    let (kind, words) = match classic {
        true => (MapKind::Hash, "The JSON input text should neither be null nor empty."),
        false => (MapKind::Lazy, "Text must not be null or empty"),
    };
    let text = if text.is_null() { String::new() } else { ctx.text(text)? };
    if text.is_empty() {
        return Err(ctx.world.illegal(words));
    }
    parse(ctx, &text, kind).map(Some)
}

pub(crate) fn parse(ctx: &mut Ctx<'_>, text: &str, kind: MapKind) -> Result<Value, Fault> {
    parse_with(ctx, text, kind, &|ctx, at| ctx.fail(EXCEPTION, format!("the text is no JSON at character {at}")))
}

/// As [`parse`]. `fault`: what is raised for what is none, at a character.
pub(crate) fn parse_with(
    ctx: &mut Ctx<'_>,
    text: &str,
    kind: MapKind,
    fault: &dyn Fn(&Ctx<'_>, usize) -> Fault,
) -> Result<Value, Fault> {
    ctx.world.charge(text.len() / 8);
    let mut reader = Reader { text: text.as_bytes(), at: 0, kind };
    let value = reader.value(0).filter(|_| {
        reader.space();
        // Groovy's own do not look at what follows.
        reader.at == reader.text.len() || matches!(kind, MapKind::Lazy | MapKind::Hash)
    });
    let at = reader.at;
    value.ok_or_else(|| fault(ctx, at))
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// What its objects are.
    kind: MapKind,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn eat(&mut self, c: u8) -> bool {
        self.space();
        let hit = self.text.get(self.at) == Some(&c);
        self.at += usize::from(hit);
        hit
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let hit = self.text[self.at..].starts_with(word.as_bytes());
        self.at += if hit { word.len() } else { 0 };
        hit.then_some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > NESTING_MAX {
            return None;
        }
        self.space();
        match self.text.get(self.at)? {
            b'{' => {
                self.at += 1;
                let mut pairs = Vec::new();
                if self.eat(b'}') {
                    return Some(self.object(pairs));
                }
                loop {
                    self.space();
                    // What Groovy's parsers let pass; others take none.
                    if matches!(self.kind, MapKind::Lazy | MapKind::Hash) && !pairs.is_empty() && self.eat(b'}') {
                        return Some(self.object(pairs));
                    }
                    let key = self.string()?;
                    if !self.eat(b':') {
                        return None;
                    }
                    pairs.push((Value::str(key), self.value(depth + 1)?));
                    if self.eat(b'}') {
                        return Some(self.object(pairs));
                    }
                    if !self.eat(b',') {
                        return None;
                    }
                }
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.eat(b']') {
                    return Some(Value::list(items));
                }
                loop {
                    if self.kind == MapKind::Hash && !items.is_empty() && self.eat(b']') {
                        return Some(Value::list(items));
                    }
                    items.push(self.value(depth + 1)?);
                    if self.eat(b']') {
                        return Some(Value::list(items));
                    }
                    if !self.eat(b',') {
                        return None;
                    }
                }
            }
            b'"' => self.string().map(Value::str),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&self, mut pairs: Vec<(Value, Value)>) -> Value {
        if self.kind == MapKind::Lazy {
            // Those that are sorted are added at the end; of one that is there twice the last counts.
            pairs.sort_by_cached_key(|(key, _)| key.to_text());
        }
        let map = Map::new(self.kind);
        pairs.into_iter().for_each(|(key, value)| drop(map.put(key, value)));
        Value::Map(Rc::new(map))
    }

    fn string(&mut self) -> Option<String> {
        if self.text.get(self.at) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        let mut units: Vec<u8> = Vec::new();
        loop {
            let c = *self.text.get(self.at)?;
            self.at += 1;
            match c {
                b'"' => return String::from_utf8(units).ok(),
                b'\\' => {
                    let escape = *self.text.get(self.at)?;
                    self.at += 1;
                    let simple = match escape {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'b' => 8,
                        b'f' => 12,
                        b'u' => {
                            let c = self.unicode()?;
                            units.extend(c.to_string().bytes());
                            continue;
                        }
                        other => other,
                    };
                    units.push(simple);
                }
                c => units.push(c),
            }
        }
    }

    fn hex(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex()?;
            return char::decode_utf16([first, second]).next()?.ok();
        }
        Some(char::from_u32(u32::from(first)).unwrap_or('\u{fffd}'))
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|c| c.is_ascii_digit() || b"+-.eE".contains(c)) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).ok()?;
        if text.starts_with(['+', '.']) {
            return None;
        }
        if let Ok(n) = text.parse::<i32>() {
            return Some(Value::Int(n));
        }
        if let Ok(n) = text.parse::<i64>() {
            return Some(Value::Long(n));
        }
        let decimal = Decimal::parse(text)?;
        if text.contains(['.', 'e', 'E']) {
            Some(Value::decimal(decimal))
        } else {
            decimal.to_bigint().ok().map(Value::big)
        }
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().chain([&0u8; 2]).take(3).fold(0u32, |n, b| n << 8 | u32::from(*b));
        for i in 0..4 {
            out.push(if i > chunk.len() { '=' } else { BASE64[(n >> (18 - 6 * i) & 63) as usize] as char });
        }
    }
    out
}

pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut n) = (Vec::new(), 0u32, 0u32);
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'=') {
        n = n << 6 | BASE64.iter().position(|b| *b == c)? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((n >> bits) as u8);
            n &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// `URLEncoder.encode` and `URLDecoder.decode`.
pub(crate) fn url(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let Some(text) = args.first() else { return Ok(None) };
    let text = ctx.text(text)?;
    match name {
        "encode" => {
            let mut out = String::new();
            for b in text.bytes() {
                match b {
                    b' ' => out.push('+'),
                    b if b.is_ascii_alphanumeric() || b".-*_".contains(&b) => out.push(b as char),
                    b => out.push_str(&format!("%{b:02X}")),
                }
            }
            ctx.new_str(out).map(Some)
        }
        "decode" => {
            let (mut out, mut bytes) = (Vec::new(), text.bytes());
            while let Some(b) = bytes.next() {
                match b {
                    b'+' => out.push(b' '),
                    b'%' => {
                        let hex: Vec<u8> = bytes.by_ref().take(2).collect();
                        let n = std::str::from_utf8(&hex).ok().and_then(|h| u8::from_str_radix(h, 16).ok());
                        out.push(n.ok_or_else(|| {
                            ctx.world.illegal("URLDecoder: Illegal hex characters in escape (%) pattern")
                        })?);
                    }
                    b => out.push(b),
                }
            }
            yes(String::from_utf8_lossy(&out).into_owned())
        }
        _ => Ok(None),
    }
}
