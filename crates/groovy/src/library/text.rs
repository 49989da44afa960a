//! Layout of text (padding, indents, lines), characters, and `StringBuilder`.

use std::rc::Rc;

use super::{Answer, int, strings, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Buffer, BufferKind, Str, Value};

/// `next()` and `previous()` of a string: its last character counts on.
pub(crate) fn neighbour(s: &str, by: i32) -> Value {
    let mut units: Vec<u16> = s.encode_utf16().collect();
    match units.last_mut() {
        Some(last) => *last = last.wrapping_add_signed(by as i16),
        None => units.push(0),
    }
    Value::str(String::from_utf16_lossy(&units))
}

pub(crate) fn layout(ctx: &mut Ctx<'_>, s: &Str, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("padLeft" | "padRight" | "center", [width, rest @ ..]) if int(width).is_some() => {
            let fill = rest.first().map_or(Ok(" ".to_string()), |f| ctx.text(f))?;
            pad(ctx, s, name, int(width).unwrap_or(0), &fill).map(Some)
        }
        ("stripIndent", []) => yes(java_strip_indent(s)),
        ("stripIndent", [n]) => {
            let n = int(n).unwrap_or(0).max(0) as usize;
            let cut = |line: &str| line.chars().skip(n).collect::<String>();
            let text = s.lines().map(cut).collect::<Vec<String>>().join("\n");
            yes(if s.ends_with('\n') { text + "\n" } else { text })
        }
        ("stripMargin", rest) => {
            let margin = rest.first().map_or(Ok("|".to_string()), |m| ctx.text(m))?;
            yes(strip_margin(s, &margin))
        }
        ("readLines" | "split_lines", []) => yes(lines(ctx, s)?),
        ("normalize" | "denormalize", []) => yes(s.replace("\r\n", "\n").replace('\r', "\n")),

        ("expand", rest) if rest.len() <= 1 => {
            let stop = rest.first().and_then(int).unwrap_or(8).max(1) as usize;
            let tabs = s.matches('\t').count();
            ctx.room(s.len().saturating_add(tabs.saturating_mul(stop)))?;
            yes(expand(s, stop))
        }
        ("center", _) => Ok(None),
        ("tr", [from, to]) => {
            let (from, to) = (ctx.text(from)?, ctx.text(to)?);
            yes(translate(s, &from, &to))
        }
        ("encodeBase64", []) => yes(super::json::base64_encode(s.as_bytes())),
        ("decodeBase64", []) => {
            let bytes =
                super::json::base64_decode(s).ok_or_else(|| ctx.world.illegal("bad character in base64 value"))?;
            yes(Value::array(bytes.into_iter().map(|b| Value::Int(i32::from(b as i8))).collect(), "byte"))
        }
        ("toURI" | "toURL", []) => super::java::address_of_text(ctx, s, name == "toURL").map(Some),
        ("md5" | "sha256" | "digest", _) => digest(ctx, s.as_bytes(), name, args),
        ("decodeHex", []) => match super::java::hex_decode(s) {
            Some(bytes) => yes(super::java::byte_array(&bytes)),
            None => Err(ctx.fail("java.lang.NumberFormatException", "odd number of characters in hex string")),
        },
        ("unexpand" | "unexpandLine", rest) if rest.len() <= 1 => {
            let stop = rest.first().and_then(int).unwrap_or(8).max(1) as usize;
            ctx.pay(s.len() / 16)?;
            if name == "unexpandLine" {
                return yes(unexpanded(s, stop));
            }
            let lines: Vec<String> = line_parts(s).iter().map(|line| unexpanded(line, stop)).collect();
            yes(lines.join("\n") + if s.ends_with('\n') { "\n" } else { "" })
        }
        _ => Ok(None),
    }
}

/// `md5()`, `sha256()`, `digest('SHA-1')` of a text or of bytes.
pub(crate) fn digest(ctx: &mut Ctx<'_>, bytes: &[u8], name: &str, args: &[Value]) -> Answer {
    let algorithm = match (name, args) {
        ("md5", []) => "MD5".to_string(),
        ("sha256", []) => "SHA-256".to_string(),
        ("digest", [algorithm]) => ctx.text(algorithm)?,
        _ => return Ok(None),
    };
    ctx.pay(bytes.len() / 64)?;
    match super::java::digest_of(&algorithm, bytes) {
        Some(sum) => yes(super::java::hex_encode(&sum)),
        None => {
            let class = "java.security.NoSuchAlgorithmException";
            Err(ctx.fail(class, format!("{algorithm} MessageDigest not available")))
        }
    }
}

fn pad(ctx: &mut Ctx<'_>, s: &Str, name: &str, width: i64, fill: &str) -> Result<Value, Fault> {
    let have = s.units();
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(have);
    if missing == 0 || fill.is_empty() {
        return Ok(Value::Str(s.clone()));
    }
    ctx.room(s.len().saturating_add(missing.saturating_mul(fill.len())))?;
    let padding = |n: usize| fill.chars().cycle().take(n).collect::<String>();
    Ok(Value::str(match name {
        "padLeft" => padding(missing) + s,
        "padRight" => format!("{s}{}", padding(missing)),
        _ => format!("{}{s}{}", padding(missing / 2), padding(missing - missing / 2)),
    }))
}

/// The lines of a text with their breaks made `\n`; a break at the end starts no line.
fn line_parts(s: &str) -> Vec<String> {
    let text = s.replace("\r\n", "\n").replace('\r', "\n");
    let mut parts: Vec<String> = text.split('\n').map(str::to_string).collect();
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts
}

fn lines(ctx: &mut Ctx<'_>, s: &str) -> Result<Value, Fault> {
    ctx.room_for_items(s.len() as u64)?;
    Ok(Value::list(line_parts(s).into_iter().map(Value::str).collect()))
}

/// Groovy's `stripIndent()`, which GStrings still have: lines of blanks do not count.
pub(crate) fn groovy_strip_indent(s: &str) -> String {
    let blanks = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    let least = s.lines().filter(|l| !l.trim().is_empty()).map(blanks).min().unwrap_or(0);
    let cut = |line: &str| line.chars().skip(least).collect::<String>();
    let text = s.lines().map(cut).collect::<Vec<String>>().join("\n");
    if s.ends_with('\n') { text + "\n" } else { text }
}

/// `String.stripIndent()` of Java 15 and later, which Groovy calls there: a last line of blanks counts, blanks at the end of lines go.
fn java_strip_indent(s: &str) -> String {
    let lines: Vec<&str> = s.lines().collect();
    let keeps_break = s.ends_with(['\n', '\r']);
    let blanks = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    let full = lines.iter().filter(|l| !l.trim().is_empty()).map(|l| blanks(l));
    let last = lines.last().filter(|l| l.trim().is_empty()).map(|l| l.chars().count());
    let outdent = if keeps_break { 0 } else { full.chain(last).min().unwrap_or(0) };
    let cut = |line: &&str| line.chars().skip(outdent.min(blanks(line))).collect::<String>().trim_end().to_string();
    let text = lines.iter().map(cut).collect::<Vec<String>>().join("\n");
    if keeps_break { text + "\n" } else { text }
}

/// Blanks instead of tabs, up to the next of the columns that tabs stop at.
fn expand(s: &str, stop: usize) -> String {
    let (mut out, mut column) = (String::with_capacity(s.len()), 0);
    for c in s.chars() {
        match c {
            '\t' => {
                let blanks = stop - column % stop;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// Tabs instead of the blanks before each place that tabs stop at.
fn unexpanded(line: &str, stop: usize) -> String {
    let letters: Vec<char> = line.chars().collect();
    let (mut out, mut rest) = (String::with_capacity(line.len()), letters.as_slice());
    while rest.len() > stop {
        let blanks = rest[..stop].iter().rev().take_while(|c| c.is_whitespace()).count();
        out.extend(&rest[..stop - blanks]);
        rest = &rest[stop..];
        if blanks > 0 {
            out.push('\t');
        }
    }
    out.extend(rest);
    out
}

fn strip_margin(s: &str, margin: &str) -> String {
    let strip = |l: String| {
        let trimmed = l.trim_start();
        trimmed.strip_prefix(margin).map_or(l.clone(), str::to_string)
    };
    let out: Vec<String> = line_parts(s).into_iter().map(strip).collect();
    let end = if s.ends_with('\n') { "\n" } else { "" };
    out.join("\n") + end
}

fn translate(s: &str, from: &str, to: &str) -> String {
    let expand = |set: &str| {
        let chars: Vec<char> = set.chars().collect();
        let (mut out, mut i) = (Vec::new(), 0);
        while i < chars.len() {
            if i + 2 < chars.len() && chars[i + 1] == '-' {
                out.extend(chars[i]..=chars[i + 2]);
                i += 3;
            } else {
                out.push(chars[i]);
                i += 1;
            }
        }
        out
    };
    let (from, to) = (expand(from), expand(to));
    let map = |c: char| match from.iter().position(|f| *f == c) {
        Some(i) => to.get(i).or(to.last()).copied().unwrap_or(c),
        None => c,
    };
    s.chars().map(map).collect()
}

/// Methods of `Character`.
pub(crate) fn char_method(ctx: &mut Ctx<'_>, c: u16, name: &str, args: &[Value]) -> Answer {
    let ch = char::from_u32(u32::from(c)).unwrap_or('\u{fffd}');
    match (name, args) {
        ("isDigit", []) => yes(ch.is_ascii_digit()),
        ("isLetter", []) => yes(ch.is_alphabetic()),
        ("isLetterOrDigit", []) => yes(ch.is_alphanumeric()),
        ("isWhitespace", []) => yes(ch.is_whitespace()),
        ("isUpperCase", []) => yes(ch.is_uppercase()),
        ("isLowerCase", []) => yes(ch.is_lowercase()),
        ("toUpperCase", []) => yes(Value::Char(ch.to_ascii_uppercase() as u16)),
        ("toLowerCase", []) => yes(Value::Char(ch.to_ascii_lowercase() as u16)),
        ("charValue", []) => yes(Value::Char(c)),
        ("toInteger", []) => strings::parse_int(ctx, &ch.to_string(), 10).map(Some),
        ("toString", []) => yes(Value::unit_text(c)),
        _ => super::numbers::method(ctx, &Value::Char(c), name, args),
    }
}

/// Methods of `StringBuilder`, `StringBuffer`, `StringWriter`.
pub(crate) fn buffer_method(ctx: &mut Ctx<'_>, this: &Value, b: &Rc<Buffer>, name: &str, args: &[Value]) -> Answer {
    let texts: Result<Vec<String>, Fault> =
        args.iter().map(|a| ctx.styled(a, crate::value::render::Style::Java)).collect();
    let texts = texts?;
    let added: usize = texts.iter().map(String::len).sum();
    ctx.room(b.text.borrow().len().saturating_add(added))?;
    let unit = |v: &Value| Str::new(b.text.borrow().as_str()).byte_at(int(v).unwrap_or(0).max(0) as usize);
    match (name, args) {
        ("write", [Value::Int(unit)]) => {
            b.text.borrow_mut().push_str(&String::from_utf16_lossy(&[*unit as u16]));
        }
        ("write", [text, from, length]) if text.is_text() => {
            let (from, length) = (int(from).unwrap_or(0).max(0) as usize, int(length).unwrap_or(0).max(0) as usize);
            let text = Str::new(texts[0].as_str());
            b.text.borrow_mut().push_str(text.slice(from, from.saturating_add(length)));
        }
        ("append", [text, from, to]) if text.is_text() => {
            let (from, to) = (int(from).unwrap_or(0).max(0) as usize, int(to).unwrap_or(0).max(0) as usize);
            let text = Str::new(texts[0].as_str());
            b.text.borrow_mut().push_str(text.slice(from, to));
        }
        ("printf" | "format", [template, values @ ..]) if b.kind == BufferKind::Writer => {
            let template = ctx.text(template)?;
            let text = super::format::format_list(ctx, &template, values)?.to_text();
            ctx.room(b.text.borrow().len().saturating_add(text.len()))?;
            b.text.borrow_mut().push_str(&text);
        }
        ("println", []) => b.text.borrow_mut().push('\n'),
        ("newPrintWriter", []) if b.kind == BufferKind::Writer => return Ok(Some(this.clone())),
        ("getBuffer", []) => return Ok(Some(this.clone())),
        ("append" | "leftShift" | "write" | "print", [_]) => b.text.borrow_mut().push_str(&texts[0]),
        ("println", [_]) => {
            b.text.borrow_mut().push_str(&texts[0]);
            b.text.borrow_mut().push('\n');
        }
        ("insert", [at, _]) => {
            let at = unit(at);
            b.text.borrow_mut().insert_str(at, &texts[1]);
        }
        ("setLength", [n]) => {
            let at = unit(n);
            b.text.borrow_mut().truncate(at);
        }
        ("setCharAt", [at, c]) => {
            let (from, to) = (unit(at), unit(&Value::Int((int(at).unwrap_or(0) as i32).saturating_add(1))));
            let text = ctx.text(c)?;
            b.text.borrow_mut().replace_range(from..to.max(from), &text);
        }
        ("delete" | "deleteCharAt", [from, rest @ ..]) => {
            let end =
                rest.first().cloned().unwrap_or_else(|| Value::Int((int(from).unwrap_or(0) as i32).saturating_add(1)));
            let (from, to) = (unit(from), unit(&end));
            b.text.borrow_mut().replace_range(from..to.max(from), "");
        }
        ("replace", [from, to, _]) => {
            let (from, to) = (unit(from), unit(to));
            b.text.borrow_mut().replace_range(from..to.max(from), &texts[2]);
        }
        ("reverse", []) => {
            let reversed: String = b.text.borrow().chars().rev().collect();
            *b.text.borrow_mut() = reversed;
        }
        ("flush" | "close", []) => {}
        ("plus", [other]) => return super::operators::binary(ctx, crate::ast::BinaryOp::Add, this, other),
        _ => {
            let text = Str::new(b.text.borrow().as_str());
            return strings::method(ctx, &text, name, args);
        }
    }
    b.recount();
    Ok(Some(if matches!(name, "setLength" | "flush" | "close" | "println") { Value::Null } else { this.clone() }))
}
