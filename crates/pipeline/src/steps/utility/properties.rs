//! `readProperties`.

use std::borrow::Cow;

use groovy::value::Value;

use super::super::StepCall;
use super::lookup::lookup;
use super::{MAX_WRITTEN_BYTES, NO_FILE, bounded, read_file};
use crate::engine::fault::Fault;
use crate::engine::values;

/// How often references are followed, one in the other.
const MAX_FOLLOWED: usize = 20;

/// `readProperties file: 'x.properties', defaults: [a: '1'], interpolate: true`. A file that is missing is a warning.
///
/// Source: `ReadPropertiesStepExecution`, and `java.util.Properties`.
pub(crate) async fn read_properties(call: StepCall) -> Result<Value, Fault> {
    let given = |name: &str| call.args.opt_text(name).map(|text| text.filter(|text| !text.trim().is_empty()));
    let (file, text) = (given("file")?, given("text")?);
    if file.is_none() && text.is_none() {
        return Err(Fault::illegal("At least one of file or text needs to be provided to readProperties."));
    }
    let mut all: Vec<(String, Value)> = call.args.get("defaults").and_then(values::entries).unwrap_or_default();
    let charset = call.args.opt_text("charset")?.filter(|charset| !charset.is_empty());
    let charset = charset.unwrap_or_else(|| "ISO-8859-1".to_owned());
    if let Some(file) = file {
        match read_file(&call, &file, Some(charset)).await {
            Ok(text) => all.extend(parse(&text)),
            Err(fault) if fault.class() == NO_FILE => {
                let why = fault.message();
                call.say(&format!("warning: {}, omitting from properties gathering", why.trim_end_matches('.')));
            }
            Err(fault) => return Err(fault),
        }
    }
    if let Some(text) = text {
        bounded(&call, &text)?;
        all.extend(parse(&text));
    }
    let read = values::map(all.iter().map(|(name, value)| (name.as_str(), value.clone())));
    if !call.args.flag("interpolate", false)? {
        return Ok(read);
    }
    call.say("Interpolation set to true, starting to parse the variable!");
    let known = values::entries(&read).unwrap_or_default();
    match interpolated(&known) {
        Ok(all) => Ok(values::map(all.iter().map(|(name, value)| (name.as_str(), value.clone())))),
        Err(why) => {
            call.say(&format!("Got exception while interpolating the variables: {why}"));
            call.say("Returning the original properties list!");
            Ok(read)
        }
    }
}

/// `${name}` in values is the value of that name, where there is one, and `${urlEncoder:a b}` what that makes of its text.
fn interpolated(all: &[(String, Value)]) -> Result<Vec<(String, Value)>, String> {
    let texts: std::collections::HashMap<&str, String> =
        all.iter().map(|(name, value)| (name.as_str(), value.to_text())).collect();
    let mut room = MAX_WRITTEN_BYTES;
    let mut done = Vec::new();
    for (name, value) in all {
        let mut text = value.to_text();
        let value_of = |name: &str| match lookup(name)? {
            Some(made) => Ok(Some(Cow::Owned(made))),
            None => Ok(texts.get(name).map(|value| Cow::Borrowed(value.as_str()))),
        };
        for round in 0.. {
            let next = replaced(&text, value_of, room)?;
            if next == text {
                break;
            }
            if round >= MAX_FOLLOWED {
                return Err(format!("infinite loop in property interpolation of ${{{name}}}"));
            }
            text = next;
        }
        room = room.saturating_sub(text.len());
        let value = if value.is_text() { values::text(&text) } else { value.clone() };
        done.push((name.clone(), value));
    }
    Ok(done)
}

fn replaced<'a>(
    text: &str,
    value: impl Fn(&str) -> Result<Option<Cow<'a, str>>, String>,
    room: usize,
) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, then)) = after.split_once('}') else { return Ok(out + "${" + after) };
        match value(name)? {
            Some(value) => {
                out.push_str(&value);
                rest = then;
            }
            // What has no value stays, and what is within it is no reference of its own.
            None => {
                out.extend(["${", name, "}"]);
                rest = then;
            }
        }
        if out.len() > room {
            return Err("the values are too long".to_owned());
        }
    }
    Ok(out + rest)
}

/// The entries of a text, as `java.util.Properties` reads it.
pub(super) fn parse(text: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut lines = text.split(['\n', '\r']);
    while let Some(line) = lines.next() {
        let line = line.trim_start_matches([' ', '\t', '\u{c}']);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (mut whole, mut last) = (String::new(), line);
        // Each line is looked at for itself: the backslash that joins it to the next is gone.
        while goes_on(last) {
            whole.push_str(&last[..last.len() - 1]);
            last = lines.next().unwrap_or_default().trim_start_matches([' ', '\t', '\u{c}']);
        }
        whole.push_str(last);
        let (key, value) = split(&whole);
        all.push((unescaped(key), Value::from(unescaped(value))));
    }
    all
}

/// Whether a line ends with an odd number of backslashes.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// A key ends at `=`, `:` or a blank that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|c: char| {
        let ends = !is_escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}');
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let blank = [' ', '\t', '\u{c}'];
    let rest = line[end..].trim_start_matches(blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(blank))
}

fn unescaped(text: &str) -> String {
    let (mut units, mut chars): (Vec<u16>, _) = (Vec::new(), text.chars());
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = chars.clone().take(4).collect();
                    match u16::from_str_radix(&digits, 16) {
                        Ok(unit) if digits.len() == 4 => {
                            units.push(unit);
                            chars.nth(3);
                            continue;
                        }
                        _ => 'u',
                    }
                }
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).into_iter().map(|(name, value)| (name, value.to_text())).collect()
    }

    #[test]
    fn properties() {
        let text = "# no\n! no\r\na=1\r\n b : two words \nc\\ d = x\\\n   y\\u00e9\nempty\nk=a=b\\n\n\\u00zz=1";
        let expect = [("a", "1"), ("b", "two words "), ("c d", "xyé"), ("empty", ""), ("k", "a=b\n"), ("u00zz", "1")];
        assert_eq!(read(text), expect.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_line_may_end_with_any_number_of_backslashes() {
        assert_eq!(read("a=1\\\n  2\\\n3\\"), [("a".to_owned(), "123".to_owned())]);
        assert_eq!(read("a=\\\\\nb=1"), [("a", "\\"), ("b", "1")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn work_grows_with_the_length_alone() {
        // Each of these took hours where a mark was looked for again from each place.
        assert!(replaced(&"${".repeat(4 << 20), |_| Ok(None), MAX_WRITTEN_BYTES).is_ok());
        assert!(replaced(&("${".repeat(4 << 20) + "}"), |_| Ok(None), MAX_WRITTEN_BYTES).is_ok());
        assert_eq!(parse(&("a".to_owned() + &"\\\n".repeat(4 << 20))).len(), 1);
        let backslashes = "\\".repeat((4 << 20) + 1);
        assert_eq!(parse(&(backslashes + "\n\n\n")).len(), 1);
    }

    #[test]
    fn references_are_followed_and_loops_are_not() {
        let all = parse("a=1\nb=${a}${a}\nc=<${b}> ${none}");
        let texts: Vec<_> = interpolated(&all).unwrap().iter().map(|(_, value)| value.to_text()).collect();
        assert_eq!(texts, ["1", "11", "<11> ${none}"]);
        assert!(interpolated(&parse("a=${b}x\nb=${a}x")).is_err());
        let texts: Vec<_> = interpolated(&parse("a=1\nb=${${a}${a}\nc=${a"))
            .unwrap()
            .iter()
            .map(|(_, value)| value.to_text())
            .collect();
        assert_eq!(texts, ["1", "${${a}1", "${a"]);
        let texts: Vec<_> = interpolated(&parse("a=${urlEncoder:x y}\nb=${base64Encoder:${a\nc=${date:yyyy}"))
            .unwrap()
            .iter()
            .map(|(_, value)| value.to_text())
            .collect();
        assert_eq!(texts, ["x+y", "${base64Encoder:${a", "${date:yyyy}"]);
        assert!(interpolated(&parse("a=${base64Decoder:é}")).is_err());
        let mut bomb = String::from("a0=xxxxxxxxxxxxxxxx\n");
        (1..19).for_each(|n| bomb += &format!("a{n}={}\n", format!("${{a{}}}", n - 1).repeat(16)));
        assert!(interpolated(&parse(&bomb)).is_err());
    }
}
