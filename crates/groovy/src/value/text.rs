//! Strings: shared, immutable, with Java's idea of length and position (UTF-16 units).

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::meter::Charge;

/// A shared immutable string.
#[derive(Clone)]
pub struct Str(Rc<StrData>);

struct StrData {
    text: Box<str>,
    ascii: bool,
    _charge: Charge,
}

/// A text with so many characters before it that it is this wide, in characters. A width that the standard library is told may be
/// 65,535 at most: beyond that it panics.
pub(crate) fn padded(text: &str, width: usize, with: char) -> String {
    filling(text, width, with) + text
}

/// The characters that a text lacks to a width.
pub(crate) fn filling(text: &str, width: usize, with: char) -> String {
    std::iter::repeat_n(with, width.saturating_sub(text.chars().count())).collect()
}

impl Str {
    /// A new string, charged to the current machine.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        let charge = Charge::new(text.len() + 64);
        Str(Rc::new(StrData { ascii: text.is_ascii(), text, _charge: charge }))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether both are the same object.
    pub fn same(&self, other: &Str) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Length in UTF-16 units, as `length()` answers.
    pub fn units(&self) -> usize {
        if self.0.ascii { self.0.text.len() } else { self.0.text.encode_utf16().count() }
    }

    /// Byte position of a UTF-16 position (clamped to the end).
    pub fn byte_at(&self, unit: usize) -> usize {
        if self.0.ascii {
            return unit.min(self.0.text.len());
        }
        let mut units = 0;
        for (at, c) in self.0.text.char_indices() {
            if units >= unit {
                return at;
            }
            units += c.len_utf16();
        }
        self.0.text.len()
    }

    /// UTF-16 position of a byte position.
    pub fn unit_at(&self, byte: usize) -> usize {
        if self.0.ascii { byte } else { self.0.text[..byte].encode_utf16().count() }
    }

    /// The part between two UTF-16 positions; the caller has checked them.
    pub fn slice(&self, from: usize, to: usize) -> &str {
        let (a, b) = (self.byte_at(from), self.byte_at(to));
        &self.0.text[a..b.max(a)]
    }

    /// The UTF-16 unit at a position.
    pub fn unit(&self, at: usize) -> Option<u16> {
        if self.0.ascii {
            self.0.text.as_bytes().get(at).map(|b| u16::from(*b))
        } else {
            self.0.text.encode_utf16().nth(at)
        }
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0.text, f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Str::new(text)
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Str::new(text)
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Str) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Str {}
