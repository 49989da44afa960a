//! The encodings of files that steps name: Java's character sets, and Jenkins' own `Base64`, in which bytes that are no text have a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use charset::Charset;

use crate::failure::Trouble;

/// How the bytes of a file are text.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    /// The bytes themselves, in a form that text can have.
    Base64,
    /// A character set.
    Text(Charset),
}

impl Encoding {
    /// That of a name; none: UTF-8.
    ///
    /// # Errors
    /// Nobody here knows it.
    pub fn named(name: Option<&str>) -> Result<Encoding, Trouble> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(Encoding::Text(Charset::UTF_8));
        };
        if name.eq_ignore_ascii_case("base64") {
            return Ok(Encoding::Base64);
        }
        Charset::named(name).map(Encoding::Text).ok_or_else(|| {
            Trouble::workload(format!("the encoding ‘{name}’ is not known here"))
                .with_hint("UTF-8, UTF-16, ISO-8859-1 or windows-1252; `iconv` in `sh` knows more")
        })
    }

    /// The text of bytes. What is none is `�`.
    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Text(charset) => charset.decode(bytes),
        }
    }

    /// The bytes of a text.
    ///
    /// # Errors
    /// It is to be Base64, and is not.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, Trouble> {
        match self {
            Encoding::Base64 => STANDARD
                .decode(text.trim())
                .map_err(|error| Trouble::workload(format!("writeFile: not Base64: {error}"))),
            Encoding::Text(charset) => Ok(charset.encode(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_an_encoding_of_jenkins() {
        let base64 = Encoding::named(Some(" Base64 ")).unwrap();
        assert_eq!(base64.encode(" aGk= ").unwrap(), b"hi");
        assert_eq!(base64.decode(b"h\xff"), "aP8=");
        assert!(base64.encode("no base64!").is_err());
    }

    #[test]
    fn without_a_name_it_is_utf_8_and_an_unknown_one_is_refused() {
        for name in [None, Some(" ")] {
            assert!(matches!(Encoding::named(name), Ok(Encoding::Text(Charset::UTF_8))));
        }
        let Err(trouble) = Encoding::named(Some("IBM437")) else { panic!("IBM437") };
        assert!(trouble.0.message.contains("‘IBM437’ is not known here"), "{trouble:?}");
    }
}
