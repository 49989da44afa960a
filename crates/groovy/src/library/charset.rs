//! Character sets by the names that Java knows them by. What a set lacks is written as `?`, what bytes do not mean is read as U+FFFD.
//!
//! Source: `java.nio.charset.Charset`; the tables of the many sets are `encoding_rs`'s, where those are Java's.

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

use super::int;
use crate::machine::{Ctx, Fault};
use crate::value::Value;

/// Replaces what has no character.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// A character set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Charset {
    Utf8,
    /// As many of the first characters of Unicode as there are: 128 (`US-ASCII`) or 256 (`ISO-8859-1`).
    First(u32),
    /// Two bytes a unit; `marked`: the order stands before them.
    Utf16 {
        big: bool,
        marked: bool,
    },
    Utf32 {
        big: bool,
    },
    Table(&'static Encoding),
}

/// The set of a name.
pub(crate) fn named(name: &str) -> Option<Charset> {
    let upper = name.to_ascii_uppercase().replace('_', "-");
    let known = match &*upper {
        "UTF-8" | "UTF8" | "UNICODE-1-1-UTF-8" => Charset::Utf8,
        "US-ASCII" | "ASCII" | "ASCII7" | "646" | "ISO646-US" | "ISO-646.IRV:1991" | "ANSI-X3.4-1968" | "CP367"
        | "IBM367" => Charset::First(128),
        "ISO-8859-1" | "ISO8859-1" | "8859-1" | "LATIN1" | "L1" | "IBM819" | "CP819" | "IBM-819" | "819"
        | "ISO-IR-100" | "CSISOLATIN1" => Charset::First(256),
        "UTF-16" | "UTF16" | "UNICODE" | "UNICODEBIG" => Charset::Utf16 { big: true, marked: true },
        "X-UTF-16LE-BOM" | "UNICODELITTLE" => Charset::Utf16 { big: false, marked: true },
        "UTF-16BE" | "X-UTF-16BE" | "UNICODEBIGUNMARKED" => Charset::Utf16 { big: true, marked: false },
        "UTF-16LE" | "X-UTF-16LE" | "UNICODELITTLEUNMARKED" => Charset::Utf16 { big: false, marked: false },
        "UTF-32" | "UTF32" | "UTF-32BE" | "X-UTF-32BE" => Charset::Utf32 { big: true },
        "UTF-32LE" | "X-UTF-32LE" => Charset::Utf32 { big: false },
        // Names of the web that are no names of Java.
        "X-USER-DEFINED" | "REPLACEMENT" | "ISO-8859-8-I" => return None,
        _ => {
            let found = Encoding::for_label_no_replacement(name.as_bytes());
            Charset::Table(found.or_else(|| Encoding::for_label_no_replacement(upper.as_bytes()))?)
        }
    };
    Some(known)
}

/// The set that an argument names; without one it is UTF-8, as Jenkins' machines have it.
pub(crate) fn of(ctx: &Ctx<'_>, name: Option<&Value>) -> Result<Charset, Fault> {
    let Some(name) = name else { return Ok(Charset::Utf8) };
    if name.is_null() {
        return Err(ctx.world.null_pointer("charset"));
    }
    let name = ctx.text(name)?;
    named(&name).ok_or_else(|| ctx.fail("java.io.UnsupportedEncodingException", name))
}

/// The text of bytes: `new String(bytes)`, `(bytes, charset)`, `(bytes, from, count)`, `(bytes, from, count, charset)`.
pub(crate) fn text(ctx: &mut Ctx<'_>, bytes: &[u8], rest: &[Value]) -> Result<String, Fault> {
    let (part, charset) = match rest {
        [from, count, charset @ ..] => (Some((int(from), int(count))), charset.first()),
        [charset] => (None, Some(charset)),
        [] => (None, None),
    };
    let charset = of(ctx, charset)?;
    let bytes = match part {
        None => bytes,
        Some((from, count)) => {
            let (from, count) = (from.unwrap_or(-1), count.unwrap_or(-1));
            let range = usize::try_from(from).ok().zip(usize::try_from(count).ok());
            let part = range.and_then(|(from, count)| bytes.get(from..from.checked_add(count)?));
            part.ok_or_else(|| {
                let message = format!("offset {from}, count {count}, length {}", bytes.len());
                ctx.fail("java.lang.StringIndexOutOfBoundsException", message)
            })?
        }
    };
    ctx.room(bytes.len().saturating_mul(3))?;
    Ok(charset.decode(bytes))
}

/// Windows' sets leave places empty that the web fills with control characters.
fn is_filler(encoding: &'static Encoding, c: char) -> bool {
    encoding.name().starts_with("windows-") && ('\u{80}'..='\u{9f}').contains(&c)
}

impl Charset {
    /// How many bytes a text takes at most.
    pub(crate) fn most(self, text: &str) -> usize {
        text.len().saturating_mul(4).saturating_add(4)
    }

    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Charset::Utf8 => text.as_bytes().to_vec(),
            Charset::First(count) => {
                text.chars().map(|c| if u32::from(c) < count { u32::from(c) as u8 } else { b'?' }).collect()
            }
            Charset::Utf16 { big, marked } => {
                let mark = marked.then_some(0xfeff_u16).filter(|_| !text.is_empty());
                let units = mark.into_iter().chain(text.encode_utf16());
                units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
            }
            Charset::Utf32 { big } => {
                let bytes = |c: char| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
                text.chars().flat_map(bytes).collect()
            }
            Charset::Table(encoding) => encode_by(encoding, text),
        }
    }

    pub(crate) fn decode(self, bytes: &[u8]) -> String {
        match self {
            Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Charset::First(count) => {
                bytes.iter().map(|b| if u32::from(*b) < count { char::from(*b) } else { UNKNOWN }).collect()
            }
            Charset::Utf16 { big, marked } => {
                let (big, bytes) = match (marked, bytes) {
                    (true, [0xfe, 0xff, rest @ ..]) => (true, rest),
                    (true, [0xff, 0xfe, rest @ ..]) => (false, rest),
                    _ => (big, bytes),
                };
                let unit = |pair: &[u8]| match *pair {
                    [a, b] if big => u16::from_be_bytes([a, b]),
                    [a, b] => u16::from_le_bytes([a, b]),
                    _ => UNKNOWN as u16,
                };
                char::decode_utf16(bytes.chunks(2).map(unit)).map(|c| c.unwrap_or(UNKNOWN)).collect()
            }
            Charset::Utf32 { big } => {
                let character = |four: &[u8]| {
                    let code = <[u8; 4]>::try_from(four).ok();
                    let code = code.map(|b| if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) });
                    code.and_then(char::from_u32).unwrap_or(UNKNOWN)
                };
                bytes.chunks(4).map(character).collect()
            }
            Charset::Table(encoding) => decode_by(encoding, bytes),
        }
    }
}

fn encode_by(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    let text = &*text.replace(|c| is_filler(encoding, c), "?");
    let mut encoder = encoding.new_encoder();
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        let room = encoder.max_buffer_length_from_utf8_without_replacement(rest.len()).unwrap_or(rest.len() * 4 + 16);
        out.reserve(room);
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => break,
            EncoderResult::Unmappable(_) => out.push(b'?'),
            EncoderResult::OutputFull => {}
        }
    }
    out
}

fn decode_by(encoding: &'static Encoding, bytes: &[u8]) -> String {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut out = String::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    loop {
        out.reserve(rest.len() + 16);
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut out, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::Malformed(..) => out.push(UNKNOWN),
            DecoderResult::OutputFull => {}
        }
    }
    if out.chars().any(|c| is_filler(encoding, c)) {
        out = out.chars().map(|c| if is_filler(encoding, c) { UNKNOWN } else { c }).collect();
    }
    out
}
