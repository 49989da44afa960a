//! `\uXXXX` outside and inside strings. Groovy translates these before anything else, also in comments, so that
//! `\u0022` ends a string. Texts without one (nearly all) are not copied.

use std::borrow::Cow;

use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Translates byte offsets of the text that was lexed into offsets of the text that was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets {
    /// (offset after translation, offset before), ascending; between two entries both advance alike.
    steps: Vec<(u32, u32)>,
}

impl Offsets {
    pub(crate) fn source(&self, offset: u32) -> u32 {
        match self.steps.partition_point(|(translated, _)| *translated <= offset) {
            0 => offset,
            n => {
                let (translated, source) = self.steps[n - 1];
                source + (offset - translated)
            }
        }
    }
}

/// Translates all escapes of `source`.
pub(crate) fn translate(source: &str) -> (Cow<'_, str>, Offsets, Vec<Diagnostic>) {
    if !source.contains("\\u") {
        return (Cow::Borrowed(source), Offsets::default(), Vec::new());
    }
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut offsets = Offsets::default();
    let mut diagnostics = Vec::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
        } else if bytes.get(at + 1) != Some(&b'u') {
            // A backslash hides the next character from translation: `\\u0041` stays.
            at += 2;
        } else {
            out.push_str(&source[copied..at]);
            let (c, end) = escape(bytes, at);
            if c.is_none() {
                let span = Span::new(at as u32, end as u32);
                diagnostics.push(
                    Diagnostic::error(span, "`\\u` must be followed by four hexadecimal digits").with_hint(
                        "Groovy reads `\\u` as a Unicode escape everywhere, also in comments; write `\\\\u` or use `/`",
                    ),
                );
            }
            out.push(c.unwrap_or('?'));
            at = end;
            copied = end;
            offsets.steps.push((out.len() as u32, at as u32));
        }
    }
    out.push_str(&source[copied..]);
    (Cow::Owned(out), offsets, diagnostics)
}

/// The character of the escape at `at` (a surrogate pair is one) and where it ends.
fn escape(bytes: &[u8], at: usize) -> (Option<char>, usize) {
    let (Some(unit), end) = unit(bytes, at) else { return (None, unit(bytes, at).1) };
    if (0xD800..0xDC00).contains(&unit)
        && let (Some(low), low_end) = self::unit(bytes, end)
        && (0xDC00..0xE000).contains(&low)
    {
        let c = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(c), low_end);
    }
    (Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)), end)
}

/// The value of `\uXXXX` at `at`, with any number of `u`, and where it ends.
fn unit(bytes: &[u8], at: usize) -> (Option<u32>, usize) {
    if bytes.get(at) != Some(&b'\\') || bytes.get(at + 1) != Some(&b'u') {
        return (None, at);
    }
    let mut digits = at + 2;
    while bytes.get(digits) == Some(&b'u') {
        digits += 1;
    }
    let mut value = 0;
    for end in digits..digits + 4 {
        match bytes.get(end).and_then(|b| char::from(*b).to_digit(16)) {
            Some(digit) => value = value * 16 + digit,
            None => return (None, end),
        }
    }
    (Some(value), digits + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expect: &str) {
        let (text, _, diagnostics) = translate(input);
        assert_eq!((&*text, diagnostics.len()), (expect, 0));
    }

    #[test]
    fn escapes() {
        check("a\\u0041b", "aAb");
        check("\\uuu0041", "A");
        check("\\\\u0041", "\\\\u0041");
        check("\\\\\\u0041", "\\\\A");
        check("\\uD83D\\uDE00", "😀");
        check("\\uD83Dx", "\u{FFFD}x");
        check("ä\\", "ä\\");
        check("\\ä\\u0041", "\\äA");
    }

    #[test]
    fn offsets_lead_back() {
        let (text, offsets, _) = translate("a\\u0041b\\u00e4c");
        assert_eq!(&*text, "aAbäc");
        let places: Vec<u32> = text.char_indices().map(|(i, _)| offsets.source(i as u32)).collect();
        assert_eq!(places, [0, 1, 7, 8, 14]);
    }

    #[test]
    fn bad_escapes_are_reported() {
        for bad in ["\\users", "\\u12", "\\u", "\\uD83D\\u12"] {
            let (_, _, diagnostics) = translate(bad);
            assert_eq!(diagnostics.len(), 1, "{bad}");
        }
    }
}
