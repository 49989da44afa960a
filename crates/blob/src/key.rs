//! Names of blobs.

/// The longest, in bytes.
const MOST_BYTES: usize = 200;

/// The name of a blob, made by us: parts of lower-case letters, digits, `-`, `_` and dots within, with slashes between. What strangers
/// named is never one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// `None`: it is no key.
    pub fn new(text: impl Into<String>) -> Option<Key> {
        let text = text.into();
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(fits);
        (text.len() <= MOST_BYTES && text.split('/').all(is_part)).then_some(Key(text))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_nowhere_else() {
        for good in ["a", "artifacts/1/2-abc", "a/b.c/d_e"] {
            assert!(Key::new(good).is_some(), "{good}");
        }
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", "a/.b", ".lock", "a#1", "A", "a b", "a%2e", "ä", "a\\b", "a\0"]
        {
            assert!(Key::new(bad).is_none(), "{bad:?}");
        }
        assert!(Key::new("a".repeat(MOST_BYTES + 1)).is_none());
    }
}
