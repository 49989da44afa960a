//! SHA-256 digests as OCI writes them.

use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest; prints as `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sha256 digest")]
pub struct NotASha256;

impl FromStr for Sha256Digest {
    type Err = NotASha256;

    fn from_str(text: &str) -> Result<Self, NotASha256> {
        let hex = text.strip_prefix("sha256:").ok_or(NotASha256)?.as_bytes();
        let mut bytes = [0; 32];
        if hex.len() != 64 {
            return Err(NotASha256);
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Sha256Digest(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, NotASha256> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotASha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(text.parse::<Sha256Digest>().unwrap().to_string(), text);
        for bad in ["", "sha256:", "sha512:00", &text[..70], &text.to_uppercase(), &text.replace('e', "g")] {
            assert_eq!(bad.parse::<Sha256Digest>(), Err(NotASha256), "{bad}");
        }
    }
}
