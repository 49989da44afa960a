//! How a value may come to stand in a log.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A value shorter than this would be found everywhere (`1`, `yes`), in characters.
const SHORTEST: usize = 4;
/// What is made of one shorter than this would be.
const SHORTEST_MADE: usize = 8;

/// Its lines, for a log has lines; those that are long enough.
pub(crate) fn plain(secret: &str) -> impl Iterator<Item = &str> {
    // With the spaces around it, and as a shell has it that was given no quotes.
    let lines = secret.lines().flat_map(|line| [line.trim_end_matches('\r'), line.trim()]);
    lines.filter(|line| line.trim().chars().count() >= SHORTEST)
}

/// What programs make of such a line.
pub(crate) fn made(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    if text.trim().chars().count() < SHORTEST_MADE {
        return all;
    }
    base64(text.as_bytes(), &mut all);
    let (own, shared) = base32(text.as_bytes());
    all.insert(own.clone() + &shared);
    all.insert(own);
    let hex = text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    // As `xxd -p` and `base64` break it into lines; what is left of the last is short, or the same as without them.
    for (written, columns) in [(hex.as_str(), 60), (STANDARD.encode(text).trim_end_matches('='), 76)] {
        let lines = written.as_bytes().chunks(columns).filter(|_| written.len() > columns);
        all.extend(
            lines.filter(|line| line.len() >= SHORTEST_MADE).map(|line| String::from_utf8_lossy(line).into_owned()),
        );
    }
    all.insert(hex.to_uppercase());
    all.insert(hex);
    // As browsers, as libraries that leave nothing but letters and digits, and as forms write it.
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let component = percent(text, |byte| unreserved(byte) || b"!*'()".contains(&byte));
    let strict = percent(text, unreserved);
    let letters = percent(text, |byte| byte.is_ascii_alphanumeric());
    all.extend([lower_escapes(&strict), strict.replace("%20", "+"), letters, component, strict]);
    let json = json(text);
    all.extend([
        json.replace('/', "\\/"),
        escapes(&json, |c| matches!(c, '<' | '>' | '&')),
        escapes(&json, |c| !c.is_ascii()),
    ]);
    all.extend([json, quoted(text), html(text, "&#39;"), html(text, "&#x27;"), shell(text)]);
    all.extend([text.to_uppercase(), text.to_lowercase(), text.chars().rev().collect(), rot13(text)]);
    all
}

/// Within something longer it begins at any of three bits; what it shares with its neighbours is left out.
fn base64(bytes: &[u8], all: &mut BTreeSet<String>) {
    for (before, cut) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [vec![0; before], bytes.to_vec()].concat();
        let keep = padded.len() / 3 * 4 + [0, 1, 2][padded.len() % 3];
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            all.insert(text[cut..keep].to_owned());
        }
    }
}

/// With what it shares with what comes after it.
fn base32(bytes: &[u8]) -> (String, String) {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut text, mut bits, mut count) = (String::new(), 0u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[(bits >> count & 31) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    let shared =
        if count > 0 { char::from(ALPHABET[(bits << (5 - count)) as usize]).to_string() } else { String::new() };
    (text, shared)
}

fn percent(text: &str, plain: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match plain(byte) {
            true => out.push(char::from(byte)),
            // A string takes it all.
            false => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
        out
    })
}

/// Some write `%2f`.
fn lower_escapes(text: &str) -> String {
    let parts = text.split('%').enumerate().map(|(index, part)| match part.split_at_checked(2) {
        Some((escape, rest)) if index > 0 => format!("%{}{rest}", escape.to_lowercase()),
        _ => part.to_owned(),
    });
    parts.collect()
}

fn json(text: &str) -> String {
    text.chars().fold(String::new(), |out, character| match character {
        '"' => out + "\\\"",
        '\\' => out + "\\\\",
        '\t' => out + "\\t",
        other => out + other.encode_utf8(&mut [0; 4]),
    })
}

/// JSON whose writer leaves some characters out: `\u003c`, as Go does with what means something to HTML, and Python with what is no ASCII.
fn escapes(json: &str, left_out: impl Fn(char) -> bool) -> String {
    json.chars().fold(String::new(), |mut out, character| {
        match left_out(character) {
            // A string takes it all.
            true => character
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| write!(out, "\\u{unit:04x}").unwrap_or_default()),
            false => out.push(character),
        }
        out
    })
}

/// As `printf %q` writes it: a backslash before what means something to a shell.
fn quoted(text: &str) -> String {
    let mut before = None;
    text.chars().fold(String::new(), |mut out, character| {
        let means_something = match character {
            '#' => before.is_none(),
            '~' => matches!(before, None | Some('=' | ':')),
            other => " !\"$&'()*,;<>?[\\]^`{|}".contains(other),
        };
        out.extend(means_something.then_some('\\'));
        out.push(character);
        before = Some(character);
        out
    })
}

fn html(text: &str, quote: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', quote)
}

/// Within the quotes that `set -x` puts around it.
fn shell(text: &str) -> String {
    text.replace('\'', "'\\''")
}

fn rot13(text: &str) -> String {
    let turned = |character: char, first: u8| char::from((character as u8 - first + 13) % 26 + first);
    let turn = |character: char| match character {
        'a'..='z' => turned(character, b'a'),
        'A'..='Z' => turned(character, b'A'),
        other => other,
    };
    text.chars().map(turn).collect()
}
