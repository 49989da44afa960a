//! Character sets by the names that Java has for them, and as Java reads and writes them: nothing at the beginning of a file is taken for a
//! mark of the order of its bytes unless the set says so, and what a set lacks is written as `?`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{EncoderResult, Encoding};

use crate::failure::Trouble;

/// How bytes are text.
#[derive(Clone, Copy, Debug)]
pub enum Charset {
    /// Jenkins' own: the bytes themselves, in a form that text can have.
    Base64,
    /// A byte for each character up to that one: US-ASCII, ISO-8859-1.
    Bytes(u8),
    /// UTF-16, UTF-32.
    Units(Units),
    /// Another.
    Named(&'static Encoding),
    /// A part of ISO 8859 of which only a code page of Windows is known: from 0x80 to 0x9f it has controls.
    Iso(&'static Encoding),
}

/// Numbers of several bytes.
#[derive(Clone, Copy, Debug)]
pub struct Units {
    /// Two or four.
    width: usize,
    is_little: bool,
    /// A mark says which order they have.
    reads_mark: bool,
    writes_mark: bool,
}

impl Charset {
    /// That of a name; none: UTF-8.
    ///
    /// # Errors
    /// Nobody here knows it.
    pub fn named(name: Option<&str>) -> Result<Charset, Trouble> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(Charset::Named(encoding_rs::UTF_8));
        };
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect();
        let units = |width, is_little| Units { width, is_little, reads_mark: false, writes_mark: false };
        let marked = |width| Units { reads_mark: true, writes_mark: width == 2, ..units(width, false) };
        Ok(match plain.to_ascii_lowercase().as_str() {
            "base64" => Charset::Base64,
            "usascii" | "ascii" | "iso646us" | "646" => Charset::Bytes(0x7f),
            "iso88591" | "latin1" | "l1" | "88591" | "ibm819" | "cp819" | "isoir100" => Charset::Bytes(0xff),
            "utf16" | "unicode" | "unicodebig" => Charset::Units(marked(2)),
            "utf16be" | "xutf16be" | "unicodebigunmarked" => Charset::Units(units(2, false)),
            "utf16le" | "xutf16le" | "unicodelittleunmarked" => Charset::Units(units(2, true)),
            "utf32" => Charset::Units(marked(4)),
            "utf32be" | "xutf32be" => Charset::Units(units(4, false)),
            "utf32le" | "xutf32le" => Charset::Units(units(4, true)),
            "iso88599" | "latin5" | "l5" => Charset::Iso(encoding_rs::WINDOWS_1254),
            "iso885911" => Charset::Iso(encoding_rs::WINDOWS_874),
            _ => {
                let known = Encoding::for_label_no_replacement(name.as_bytes());
                let known = known.or_else(|| Encoding::for_label_no_replacement(name.replace('_', "-").as_bytes()));
                Charset::Named(known.ok_or_else(|| {
                    Trouble::workload(format!("the encoding ‘{name}’ is not known here"))
                        .with_hint("UTF-8, UTF-16, ISO-8859-1 or windows-1252; `iconv` in `sh` knows more")
                })?)
            }
        })
    }

    /// The text of bytes. What is none is `�`.
    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            Charset::Base64 => STANDARD.encode(bytes),
            Charset::Bytes(most) => {
                bytes.iter().map(|b| if *b <= most { char::from(*b) } else { '\u{fffd}' }).collect()
            }
            Charset::Units(units) => units.decode(bytes),
            Charset::Named(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Charset::Iso(encoding) => {
                let one = |byte: &u8| match byte {
                    0x80..=0x9f => char::from(*byte).to_string(),
                    byte => encoding.decode_without_bom_handling(&[*byte]).0.into_owned(),
                };
                bytes.iter().map(one).collect()
            }
        }
    }

    /// The bytes of a text.
    ///
    /// # Errors
    /// It is to be Base64, and is not.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, Trouble> {
        Ok(match self {
            Charset::Base64 => STANDARD
                .decode(text.trim())
                .map_err(|error| Trouble::workload(format!("writeFile: not Base64: {error}")))?,
            Charset::Bytes(most) => {
                let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|byte| *byte <= most).unwrap_or(b'?');
                text.chars().map(byte).collect()
            }
            Charset::Units(units) => units.encode(text),
            Charset::Named(encoding) => encoded(encoding, text),
            Charset::Iso(encoding) => {
                let one = |c: char| match c {
                    '\u{80}'..='\u{9f}' => c as u8,
                    c => match encoded(encoding, c.encode_utf8(&mut [0; 4]))[..] {
                        [byte @ (..=0x7f | 0xa0..)] => byte,
                        _ => b'?',
                    },
                };
                text.chars().map(one).collect()
            }
        })
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
        let rest = (!whole.remainder().is_empty()).then_some('\u{fffd}');
        let numbers = whole.map(number);
        match self.width {
            // No unit of two bytes is cut off here.
            2 => char::decode_utf16(numbers.map(|unit| unit as u16))
                .map(|c| c.unwrap_or('\u{fffd}'))
                .chain(rest)
                .collect(),
            _ => numbers.map(|unit| char::from_u32(unit).unwrap_or('\u{fffd}')).chain(rest).collect(),
        }
    }

    fn encode(self, text: &str) -> Vec<u8> {
        let mut out = if self.writes_mark { self.unit(0xfeff, self.is_little) } else { Vec::new() };
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

/// In place of what an encoding lacks stands `?`, as Java has it.
fn encoded(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    let (mut encoder, mut out, mut rest) = (encoding.new_encoder(), Vec::with_capacity(text.len()), text);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is written as, and what that is read as.
    fn check(name: &str, text: &str, bytes: &[u8], read: &str) {
        let charset = Charset::named(Some(name)).unwrap();
        assert_eq!(charset.encode(text).unwrap(), bytes, "{name}");
        assert_eq!(charset.decode(bytes), read, "{name}");
    }

    #[test]
    fn text_is_written_and_read_as_java_does() {
        check("UTF-8", "\u{feff}é", b"\xef\xbb\xbf\xc3\xa9", "\u{feff}é");
        check("UTF-16", "aé", b"\xfe\xff\0a\0\xe9", "aé");
        check("UTF-16LE", "a😀", b"a\0\x3d\xd8\0\xde", "a😀");
        check("utf_16be", "\u{feff}a", b"\xfe\xff\0a", "\u{feff}a");
        check("UTF-32", "a😀", b"\0\0\0a\0\x01\xf6\0", "a😀");
        check("UTF-32LE", "a", b"a\0\0\0", "a");
        check("ISO-8859-1", "a→b\u{85}é€", b"a?b\x85\xe9?", "a?b\u{85}é?");
        check("latin1", "ÿ", b"\xff", "ÿ");
        check("US-ASCII", "é~", b"?~", "?~");
        check("windows-1252", "€é→", b"\x80\xe9?", "€é?");
        check("ISO-8859-15", "€", b"\xa4", "€");
        check("ISO-8859-9", "ğ€\u{80}", b"\xf0?\x80", "ğ?\u{80}");
        check("Shift_JIS", "あ😀い", b"\x82\xa0?\x82\xa2", "あ?い");
        check("ISO-2022-JP", "あ😀い", b"\x1b$B$\"\x1b(B?\x1b$B$$\x1b(B", "あ?い");
        check("Base64", " aGk= ", b"hi", "aGk=");
    }

    #[test]
    fn what_is_no_text_of_a_set_is_marked() {
        let read = |name: &str, bytes: &[u8]| Charset::named(Some(name)).unwrap().decode(bytes);
        assert_eq!(read("UTF-16", b"\xff\xfea\0"), "a");
        assert_eq!(read("UTF-16", b"\0a\xd8\0\0"), "a\u{fffd}\u{fffd}");
        assert_eq!(read("UTF-32", b"\0\0\0a\0\x11\0\0\0"), "a\u{fffd}\u{fffd}");
        assert_eq!(read("UTF-8", b"a\xff"), "a\u{fffd}");
        assert_eq!(read("ASCII", b"a\xe9"), "a\u{fffd}");
    }

    #[test]
    fn a_set_that_nobody_knows_is_refused() {
        for name in ["IBM437", "UTF-7", "hz-gb-2312"] {
            let Err(trouble) = Charset::named(Some(name)) else { panic!("{name}") };
            assert!(trouble.0.message.contains("is not known here"), "{trouble:?}");
        }
        assert!(Charset::named(Some("base64")).unwrap().encode("no base64!").is_err());
        assert!(matches!(Charset::named(None), Ok(Charset::Named(encoding)) if encoding == encoding_rs::UTF_8));
    }
}
