//! Values out of text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::forms::{made, plain};

/// What stands where a secret stood.
const MASK: &str = "****";
/// What is looked for of all secrets together takes so much, in bytes; where that is not enough, nothing is shown.
const MOST_BYTES: usize = 512 << 10;
/// Beyond this they are looked for only as they are.
const MOST_MADE_BYTES: usize = 128 << 10;
/// About so many forms are made of each.
const FORMS: usize = 24;
/// Up to this they are looked for in the fastest way.
const MOST_FAST_BYTES: usize = 8 << 10;
/// So much of a secret is told from anything else, in bytes.
const SHORTEST_BEGUN: usize = 6;

/// Takes secrets out of lines of text: each as it is, line by line where it has several, and as base64, base32, hex, percent, JSON, HTML and the
/// shell would write it, in capitals, small, backwards and in ROT13.
///
/// Of values shorter than four characters nothing is found, of those shorter than eight only the value itself: they would be everywhere.
#[derive(Clone, Default)]
pub struct Masker {
    looks_for: LooksFor,
}

#[derive(Clone, Default)]
enum LooksFor {
    #[default]
    Nothing,
    Patterns(Box<Patterns>),
    /// Too much to look for: no text is known to have none of it.
    TooMuch,
}

#[derive(Clone)]
struct Patterns {
    /// Whether there is any: most lines have none.
    any: AhoCorasick,
    /// All that there are, one within the other.
    all: AhoCorasick,
    /// The secrets as they are.
    plain: Vec<String>,
}

impl Masker {
    /// Of these values.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Masker {
        let lines: BTreeSet<_> = secrets.into_iter().flat_map(plain).collect();
        let (mut patterns, mut bytes) = (BTreeSet::new(), lines.iter().map(|line| line.len()).sum::<usize>());
        if bytes > MOST_BYTES {
            return Masker { looks_for: LooksFor::TooMuch };
        }
        for line in &lines {
            // Not made where it would be too much.
            if bytes + line.len() * FORMS < MOST_MADE_BYTES {
                let more = made(line);
                bytes += more.iter().map(String::len).sum::<usize>();
                patterns.extend(more);
            }
            patterns.insert((*line).to_owned());
        }
        if patterns.is_empty() {
            return Masker::default();
        }
        // What is fastest takes half a kilobyte for a byte of a pattern.
        let small = Some(AhoCorasickKind::ContiguousNFA);
        let fast = if bytes < MOST_FAST_BYTES { None } else { small };
        let build = |how, matches| AhoCorasick::builder().kind(how).match_kind(matches).build(&patterns);
        let plain = lines.into_iter().map(str::to_owned).collect();
        let looks_for = match (build(fast, MatchKind::LeftmostFirst), build(small, MatchKind::Standard)) {
            (Ok(any), Ok(all)) => LooksFor::Patterns(Box::new(Patterns { any, all, plain })),
            _ => LooksFor::TooMuch,
        };
        Masker { looks_for }
    }

    /// Whether a value is long enough to be looked for.
    pub fn finds(value: &str) -> bool {
        plain(value).next().is_some()
    }

    /// The text without them.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let patterns = match &self.looks_for {
            LooksFor::Nothing => return text.into(),
            LooksFor::TooMuch if text.is_empty() => return text.into(),
            LooksFor::TooMuch => return MASK.into(),
            LooksFor::Patterns(patterns) => patterns,
        };
        if !patterns.any.is_match(text) {
            return text.into();
        }
        let mut found: Vec<Range<usize>> =
            patterns.all.find_overlapping_iter(text).map(|found| found.range()).collect();
        found.sort_by_key(|span| span.start);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        let mut spans = found.into_iter().peekable();
        while let Some(mut span) = spans.next() {
            while let Some(next) = spans.next_if(|next| next.start <= span.end) {
                span.end = span.end.max(next.end);
            }
            out.push_str(&text[at..span.start]);
            out.push_str(MASK);
            at = span.end;
        }
        out.push_str(&text[at..]);
        out.into()
    }

    /// The same, in its place.
    pub fn clean(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask(text) {
            *text = masked;
        }
    }

    /// The same of a text that may have been cut in the middle of a secret: what may be its beginning goes too.
    pub fn clean_cut(&self, text: &mut String) {
        self.clean(text);
        let LooksFor::Patterns(patterns) = &self.looks_for else { return };
        // What says that it was cut, as agents do with lines.
        let says = text.rfind(" … [").filter(|_| text.ends_with(']'));
        let end = says.unwrap_or(text.trim_end_matches('…').len());
        let begun = |secret: &String| {
            let lengths =
                (SHORTEST_BEGUN..secret.len().min(end + 1)).rev().filter(|length| secret.is_char_boundary(*length));
            lengths.into_iter().find(|length| text[..end].ends_with(&secret[..*length]))
        };
        if let Some(longest) = patterns.plain.iter().filter_map(begun).max() {
            text.replace_range(end - longest..end, MASK);
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn check(secret: &str, text: &str, expect: &str) {
        assert_eq!(Masker::new([secret]).mask(text), expect, "{secret:?} in {text:?}");
    }

    #[test]
    fn a_value_is_found_as_it_is_and_as_programs_write_it() {
        let secret = "s3cr3t w/ \"quo'tes\" & <more>";
        check(secret, &format!("curl -H 'X: {secret}'"), "curl -H 'X: ****'");
        // As base64, xxd, Python (urllib, json, html) and a browser's encodeURIComponent write it.
        for written in [
            "czNjcjN0IHcvICJxdW8ndGVzIiAmIDxtb3JlPg==",
            "733363723374207720",
            "73336372337420772f202271756f27746573222026203c6d6f72653e",
            "s3cr3t%20w%2F%20%22quo%27tes%22%20%26%20%3Cmore%3E",
            "s3cr3t%20w%2F%20%22quo'tes%22%20%26%20%3Cmore%3E",
            "s3cr3t%20w%2f%20%22quo%27tes%22%20%26%20%3cmore%3e",
            "s3cr3t+w%2F+%22quo%27tes%22+%26+%3Cmore%3E",
            "s3cr3t w/ \\\"quo'tes\\\" & <more>",
            "s3cr3t w/ \"quo'\\''tes\" & <more>",
            "s3cr3t w\\/ \\\"quo'tes\\\" & <more>",
            "s3cr3t w/ \\\"quo'tes\\\" \\u0026 \\u003cmore\\u003e",
            "s3cr3t\\ w/\\ \\\"quo\\'tes\\\"\\ \\&\\ \\<more\\>",
            "s3cr3t w/ &quot;quo&#39;tes&quot; &amp; &lt;more&gt;",
            "s3cr3t w/ &quot;quo&#x27;tes&quot; &amp; &lt;more&gt;",
            "S3CR3T W/ \"QUO'TES\" & <MORE>",
            ">erom< & \"set'ouq\" /w t3rc3s",
            "f3pe3g j/ \"dhb'grf\" & <zber>",
        ] {
            let masked = Masker::new([secret]).mask(&format!("<{written}>")).into_owned();
            match written.len() < 20 {
                true => assert_eq!(masked, format!("<{written}>"), "a part is not the whole"),
                false => assert!(masked.contains(MASK) && masked.len() < 12, "{written}: {masked}"),
            }
        }
    }

    #[test]
    fn escapes_of_json_and_of_shells_are_found() {
        check("pässwörd-1😀", r#"{"p": "p\u00e4ssw\u00f6rd-1\ud83d\ude00"}"#, r#"{"p": "****"}"#);
        check("#pa$s w#rd~x:~y=~z", r"\#pa\$s\ w#rd~x:\~y=\~z", "****");
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let secret = "correct-horse-battery";
        let masker = Masker::new([secret]);
        for before in 0..9 {
            for after in 0..4 {
                let text = format!("{}{secret}{}", "u".repeat(before), "x".repeat(after));
                let written = base64::engine::general_purpose::STANDARD.encode(&text);
                let masked = masker.mask(&written);
                assert!(masked.contains(MASK), "{before} before, {after} after: {masked}");
                // What is left of it is the neighbours', and less than a character of the secret on each side.
                assert!(
                    masked.len() <= written.len() - (secret.len() * 8 / 6 - 2) + MASK.len(),
                    "{masked} of {written}"
                );
            }
        }
    }

    #[test]
    fn base32_is_found() {
        check("foobar12", "MZXW6YTBOIYTE===", "****===");
        check("foobar12", "MZXW6YTBOIYTEMY=", "****MY=");
    }

    #[test]
    fn secrets_of_several_lines_are_found_line_by_line() {
        let key = "-----BEGIN KEY-----\r\nMIIEvQIBADANBg\r\nxy\r\n-----END KEY-----\r\n";
        let masker = Masker::new([key]);
        assert_eq!(masker.mask("line MIIEvQIBADANBg"), "line ****");
        assert_eq!(masker.mask("-----BEGIN KEY-----"), "****");
        assert_eq!(masker.mask("xy"), "xy", "too short to be told from anything else");
    }

    #[test]
    fn what_overlaps_is_masked_whole() {
        let masker = Masker::new(["abcdefgh", "efghijkl", "cdef"]);
        assert_eq!(masker.mask("<abcdefghijkl>"), "<****>");
        assert_eq!(masker.mask("abcdefghabcdefgh-cdef"), "****-****");
    }

    #[test]
    fn short_values_are_not_looked_for() {
        for secret in ["", "1", "yes", "\n", "   \t  "] {
            check(secret, "yes 1 \n   \t  ", "yes 1 \n   \t  ");
        }
        check("hunter2", "hunter2 HUNTER2", "**** HUNTER2");
    }

    #[test]
    fn what_regular_expressions_mean_is_text() {
        check("a.*b+$[c]", "a.*b+$[c] aXXb", "**** aXXb");
    }

    #[test]
    fn where_there_is_too_much_to_look_for_nothing_is_shown() {
        let large = (0..60_000).map(|number| format!("line {number}\n")).collect::<String>();
        let masker = Masker::new([large.as_str()]);
        assert_eq!((masker.mask("anything"), masker.mask("")), (MASK.into(), "".into()));
        // Less of it is found as it is.
        let less = &large[..200 << 10];
        assert_eq!(Masker::new([less]).mask("it is line 9999."), "it is ****.");
    }

    #[test]
    fn what_was_cut_within_a_secret_does_not_show_its_beginning() {
        let masker = Masker::new(["correct-horse-battery", "cörrect"]);
        let check = |text: &str, expect: &str| {
            let mut text = text.to_owned();
            masker.clean_cut(&mut text);
            assert_eq!(text, expect);
        };
        check("login correct-horse-ba", "login ****");
        check("login correct-horse-battery and correct-ho…", "login **** and ****…");
        check(
            "x correct-h … [70 bytes cut: a line has at most 64 KiB]",
            "x **** … [70 bytes cut: a line has at most 64 KiB]",
        );
        check("it is corre", "it is corre");
        check("it is cörrec", "it is ****");
        check("correct-horses", "correct-horses");
        check("", "");
    }

    #[test]
    fn what_programs_break_into_lines_is_found() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
        let masker = Masker::new([token]);
        for (written, columns) in [(base64::engine::general_purpose::STANDARD.encode(token), 76), (hex(token), 60)] {
            for line in written.as_bytes().chunks(columns).filter(|line| line.len() >= 12) {
                let line = std::str::from_utf8(line).unwrap();
                assert!(masker.mask(line).len() < 12, "{line}");
            }
        }
        assert_eq!(Masker::new([" with spaces "]).mask("with spaces"), "****");
    }

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_large_secret_takes_a_bounded_amount() {
        // Of a size that a form takes; what is made of it would take gigabytes as a table.
        let secret = (0..100_000u32)
            .map(|number| char::from(b'a' + (number.wrapping_mul(2_654_435_761) >> 24) as u8 % 26))
            .collect::<String>();
        let masker = Masker::new([secret.as_str()]);
        assert_eq!(masker.mask(&format!("<{secret}>")), "<****>");
        let LooksFor::Patterns(patterns) = &masker.looks_for else { panic!("it is looked for") };
        let bytes = patterns.any.memory_usage() + patterns.all.memory_usage();
        assert!(bytes < 16 << 20, "{bytes}");
        let usual = Masker::new(["ghp_16C7e42F292c6912E7710c838347Ae178B4a"]);
        let LooksFor::Patterns(patterns) = &usual.looks_for else { panic!("it is looked for") };
        let bytes = patterns.any.memory_usage() + patterns.all.memory_usage();
        assert!(bytes < 4 << 20, "{bytes}");
    }

    #[test]
    fn text_without_secrets_is_not_copied() {
        let masker = Masker::new(["correct-horse"]);
        assert!(matches!(masker.mask("nothing here"), Cow::Borrowed(_)));
        assert!(matches!(Masker::default().mask("correct-horse"), Cow::Borrowed(_)));
    }
}
