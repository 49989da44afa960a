//! Values out of text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::forms::{made, plain};

/// What stands where a secret stood.
pub const MASK: &str = "****";
/// What is looked for of all secrets together takes so much, in bytes; where that is not enough, nothing is shown.
const MOST_BYTES: usize = 512 << 10;
/// Beyond this they are looked for only as they are.
const MOST_MADE_BYTES: usize = 128 << 10;

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
}

impl Masker {
    /// Of these values.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Masker {
        let lines: BTreeSet<_> = secrets.into_iter().flat_map(plain).collect();
        let (mut patterns, mut bytes) = (BTreeSet::new(), lines.iter().map(|line| line.len()).sum::<usize>());
        if bytes > MOST_BYTES {
            return Masker { looks_for: LooksFor::TooMuch };
        }
        for line in lines {
            if bytes < MOST_MADE_BYTES {
                let more = made(line);
                bytes += more.iter().map(String::len).sum::<usize>();
                patterns.extend(more);
            }
            patterns.insert(line.to_owned());
        }
        if patterns.is_empty() {
            return Masker::default();
        }
        let build = |kind| AhoCorasick::builder().match_kind(kind).build(&patterns);
        let looks_for = match (build(MatchKind::LeftmostFirst), build(MatchKind::Standard)) {
            (Ok(any), Ok(all)) => LooksFor::Patterns(Box::new(Patterns { any, all })),
            _ => LooksFor::TooMuch,
        };
        Masker { looks_for }
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
}

#[cfg(test)]
mod tests {
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
    fn base64_is_found_wherever_it_begins() {
        use base64::Engine as _;
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
    fn text_without_secrets_is_not_copied() {
        let masker = Masker::new(["correct-horse"]);
        assert!(matches!(masker.mask("nothing here"), Cow::Borrowed(_)));
        assert!(matches!(Masker::default().mask("correct-horse"), Cow::Borrowed(_)));
    }
}
