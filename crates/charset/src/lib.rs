//! Character sets by the names that Java has for them, and as Java reads and writes them: nothing at the beginning of a text is taken for a
//! mark of the order of its bytes unless the set says so, what a set lacks is written as `?`, and what bytes do not mean is read as U+FFFD.
//! Scripts and the files of a workspace are read by it. It fails at nothing, and reads no file.
//!
//! Source: `java.nio.charset.Charset`; the tables of the many sets are `encoding_rs`'s, where those are Java's.

use encoding_rs::{DecoderResult, EncoderResult, Encoding};

/// Stands for what is no character.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// How bytes are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Utf8,
    /// A byte for each character up to that one: US-ASCII, ISO-8859-1.
    Bytes(u8),
    /// UTF-16, UTF-32.
    Units(Units),
    Table(&'static Encoding),
    /// A part of ISO 8859 of which only a code page of Windows is known: from 0x80 to 0x9f it has controls.
    Iso(&'static Encoding),
}

/// Numbers of several bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Units {
    /// Two or four.
    width: usize,
    is_little: bool,
    /// A mark says which order they have.
    reads_mark: bool,
    writes_mark: bool,
}

impl Charset {
    /// What Jenkins reads and writes where nobody says otherwise.
    pub const UTF_8: Charset = Charset(Kind::Utf8);

    /// The set of a name, however that is written. `None`: nobody here knows it.
    pub fn named(name: &str) -> Option<Charset> {
        let name = name.trim();
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect();
        let units = |width, is_little| Units { width, is_little, reads_mark: false, writes_mark: false };
        let marked = |width, is_little| Units { reads_mark: true, writes_mark: width == 2, ..units(width, is_little) };
        Some(Charset(match plain.to_ascii_lowercase().as_str() {
            "utf8" | "unicode11utf8" => Kind::Utf8,
            "usascii" | "ascii" | "ascii7" | "646" | "iso646us" | "iso646.irv:1991" | "ansix3.41968" | "cp367"
            | "ibm367" => Kind::Bytes(0x7f),
            "iso88591" | "88591" | "latin1" | "l1" | "ibm819" | "cp819" | "819" | "isoir100" | "csisolatin1" => {
                Kind::Bytes(0xff)
            }
            "utf16" | "unicode" | "unicodebig" => Kind::Units(marked(2, false)),
            "xutf16lebom" | "unicodelittle" => Kind::Units(marked(2, true)),
            "utf16be" | "xutf16be" | "unicodebigunmarked" => Kind::Units(units(2, false)),
            "utf16le" | "xutf16le" | "unicodelittleunmarked" => Kind::Units(units(2, true)),
            "utf32" => Kind::Units(marked(4, false)),
            "utf32be" | "xutf32be" => Kind::Units(units(4, false)),
            "utf32le" | "xutf32le" => Kind::Units(units(4, true)),
            "iso88599" | "88599" | "latin5" | "l5" => Kind::Iso(encoding_rs::WINDOWS_1254),
            "iso885911" | "tis620" => Kind::Iso(encoding_rs::WINDOWS_874),
            // Names of the web that are no names of Java.
            "xuserdefined" | "replacement" | "iso88598i" => return None,
            _ => {
                let known = |name: &str| Encoding::for_label_no_replacement(name.as_bytes());
                Kind::Table(known(name).or_else(|| known(&name.replace('_', "-")))?)
            }
        }))
    }

    /// The text of bytes.
    pub fn decode(self, bytes: &[u8]) -> String {
        match self.0 {
            Kind::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Kind::Bytes(most) => bytes.iter().map(|b| if *b <= most { char::from(*b) } else { UNKNOWN }).collect(),
            Kind::Units(units) => units.decode(bytes),
            Kind::Table(encoding) => decode_by(encoding, bytes),
            Kind::Iso(encoding) => {
                let one = |byte: &u8| match byte {
                    0x80..=0x9f => char::from(*byte).to_string(),
                    byte => decode_by(encoding, &[*byte]),
                };
                bytes.iter().map(one).collect()
            }
        }
    }

    /// The bytes of a text.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self.0 {
            Kind::Utf8 => text.as_bytes().to_vec(),
            Kind::Bytes(most) => {
                let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|byte| *byte <= most).unwrap_or(b'?');
                text.chars().map(byte).collect()
            }
            Kind::Units(units) => units.encode(text),
            Kind::Table(encoding) => encode_by(encoding, text),
            Kind::Iso(encoding) => {
                let one = |c: char| match c {
                    '\u{80}'..='\u{9f}' => c as u8,
                    c => match encode_by(encoding, c.encode_utf8(&mut [0; 4]))[..] {
                        [byte @ (..=0x7f | 0xa0..)] => byte,
                        _ => b'?',
                    },
                };
                text.chars().map(one).collect()
            }
        }
    }

    /// Bytes that [`Charset::encode`] makes of a text at most.
    pub fn most(self, text: &str) -> usize {
        text.len().saturating_mul(4).saturating_add(4)
    }
}

impl Units {
    fn decode(self, bytes: &[u8]) -> String {
        let mark = |is_little| self.unit(0xfeff, is_little);
        let (is_little, bytes) = match () {
            () if self.reads_mark && bytes.starts_with(&mark(false)) => (false, &bytes[self.width..]),
            () if self.reads_mark && bytes.starts_with(&mark(true)) => (true, &bytes[self.width..]),
            () => (self.is_little, bytes),
        };
        let number = |unit: &[u8]| {
            let add = |all: u32, byte: &u8| all << 8 | u32::from(*byte);
            if is_little { unit.iter().rev().fold(0, add) } else { unit.iter().fold(0, add) }
        };
        let whole = bytes.chunks_exact(self.width);
        let rest = (!whole.remainder().is_empty()).then_some(UNKNOWN);
        let numbers = whole.map(number);
        match self.width {
            // No unit of two bytes is cut off here.
            2 => {
                char::decode_utf16(numbers.map(|unit| unit as u16)).map(|c| c.unwrap_or(UNKNOWN)).chain(rest).collect()
            }
            _ => numbers.map(|unit| char::from_u32(unit).unwrap_or(UNKNOWN)).chain(rest).collect(),
        }
    }

    fn encode(self, text: &str) -> Vec<u8> {
        let marks = self.writes_mark && !text.is_empty();
        let mut out = if marks { self.unit(0xfeff, self.is_little) } else { Vec::new() };
        for c in text.chars() {
            match self.width {
                2 => c
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| out.extend(self.unit((*unit).into(), self.is_little))),
                _ => out.extend(self.unit(c.into(), self.is_little)),
            }
        }
        out
    }

    fn unit(self, number: u32, is_little: bool) -> Vec<u8> {
        let mut bytes = number.to_be_bytes()[4 - self.width..].to_vec();
        if is_little {
            bytes.reverse();
        }
        bytes
    }
}

/// Windows' sets leave places empty that the web fills with control characters.
fn is_filler(encoding: &'static Encoding, c: char) -> bool {
    encoding.name().starts_with("windows-") && ('\u{80}'..='\u{9f}').contains(&c)
}

fn encode_by(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    let text = &*text.replace(|c| is_filler(encoding, c), "?");
    let (mut encoder, mut out, mut rest) = (encoding.new_encoder(), Vec::with_capacity(text.len() + 16), text);
    loop {
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
        rest = &rest[read..];
        match result {
            EncoderResult::InputEmpty => return out,
            // What may be needed at most, and some room where that is nothing.
            EncoderResult::OutputFull => out.reserve(2 * rest.len() + 16),
            EncoderResult::Unmappable(_) => out.push(b'?'),
        }
    }
}

fn decode_by(encoding: &'static Encoding, bytes: &[u8]) -> String {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut out, mut rest) = (String::with_capacity(bytes.len() + 16), bytes);
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut out, true);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::Malformed(..) => out.push(UNKNOWN),
            DecoderResult::OutputFull => out.reserve(2 * rest.len() + 16),
        }
    }
    if out.chars().any(|c| is_filler(encoding, c)) {
        out = out.chars().map(|c| if is_filler(encoding, c) { UNKNOWN } else { c }).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Charset {
        Charset::named(name).unwrap_or_else(|| panic!("{name} is not known"))
    }

    /// What a text is written as, and what that is read as.
    fn check(name: &str, text: &str, bytes: &[u8], read: &str) {
        assert_eq!(named(name).encode(text), bytes, "{name}");
        assert_eq!(named(name).decode(bytes), read, "{name}");
    }

    #[test]
    fn text_is_written_and_read_as_java_does() {
        check("UTF-8", "\u{feff}é", b"\xef\xbb\xbf\xc3\xa9", "\u{feff}é");
        check(" utf8 ", "é", b"\xc3\xa9", "é");
        check("UTF-16", "aé", b"\xfe\xff\0a\0\xe9", "aé");
        check("UTF-16", "", b"", "");
        check("x-UTF-16LE-BOM", "a", b"\xff\xfea\0", "a");
        check("UTF-16LE", "a😀", b"a\0\x3d\xd8\0\xde", "a😀");
        check("utf_16be", "\u{feff}a", b"\xfe\xff\0a", "\u{feff}a");
        check("UTF-32", "a😀", b"\0\0\0a\0\x01\xf6\0", "a😀");
        check("UTF-32LE", "a", b"a\0\0\0", "a");
        check("ISO-8859-1", "a→b\u{85}é€", b"a?b\x85\xe9?", "a?b\u{85}é?");
        check("latin1", "ÿ", b"\xff", "ÿ");
        check("US-ASCII", "é~", b"?~", "?~");
        check("windows-1252", "€é→\u{81}", b"\x80\xe9??", "€é??");
        check("ISO-8859-15", "€", b"\xa4", "€");
        check("ISO-8859-9", "ğ€\u{80}", b"\xf0?\x80", "ğ?\u{80}");
        check("Shift_JIS", "あ😀い", b"\x82\xa0?\x82\xa2", "あ?い");
        check("ISO-2022-JP", "あ😀い", b"\x1b$B$\"\x1b(B?\x1b$B$$\x1b(B", "あ?い");
    }

    #[test]
    fn what_is_no_text_of_a_set_is_marked() {
        let read = |name: &str, bytes: &[u8]| named(name).decode(bytes);
        assert_eq!(read("UTF-16", b"\xff\xfea\0"), "a");
        assert_eq!(read("UTF-16", b"\0a\xd8\0\0"), "a\u{fffd}\u{fffd}");
        assert_eq!(read("UTF-32", b"\0\0\0a\0\x11\0\0\0"), "a\u{fffd}\u{fffd}");
        assert_eq!(read("UTF-8", b"a\xff"), "a\u{fffd}");
        assert_eq!(read("ASCII", b"a\xe9"), "a\u{fffd}");
        assert_eq!(read("windows-1252", b"\x81"), "\u{fffd}");
    }

    #[test]
    fn what_is_made_has_room() {
        let text = "あ😀ä\u{81}".repeat(1000);
        for name in ["UTF-8", "UTF-16", "UTF-32", "ISO-2022-JP", "GB18030", "Big5", "windows-1252", "ISO-8859-9"] {
            let bytes = named(name).encode(&text);
            assert!(bytes.len() <= named(name).most(&text), "{name}");
            assert!(named(name).decode(&bytes).chars().count() >= 4000, "{name}");
        }
    }

    #[test]
    fn a_set_that_nobody_knows_has_no_name() {
        for name in ["IBM437", "UTF-7", "hz-gb-2312", "x-user-defined", "replacement", ""] {
            assert_eq!(Charset::named(name), None, "{name}");
        }
    }
}
