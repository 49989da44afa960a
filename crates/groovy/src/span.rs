//! Byte ranges into one source text, and the line table that turns them into places for people.

/// A half-open byte range `start..end` into the source text. Texts are limited to 4 GiB by [`crate::limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`.
    pub const fn new(start: u32, end: u32) -> Self {
        Span { start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One-based line and column (column counted in characters, as Groovy's compiler prints it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// One-based line.
    pub line: u32,
    /// One-based column in characters.
    pub column: u32,
}

/// Where each line of a source text starts.
#[derive(Clone, Debug)]
pub struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    /// Scans `source` once.
    pub fn new(source: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(source.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1));
        LineIndex { starts }
    }

    /// The place of byte `offset` of `source` (the text this index was made from).
    pub fn place(&self, source: &str, offset: u32) -> Place {
        let line = self.starts.partition_point(|s| *s <= offset).saturating_sub(1);
        let start = self.starts[line] as usize;
        let end = (offset as usize).min(source.len()).max(start);
        let column = source.get(start..end).map_or(end - start, |s| s.chars().count());
        Place { line: line as u32 + 1, column: column as u32 + 1 }
    }

    /// The text of a one-based line, without its line break.
    pub fn line_text<'s>(&self, source: &'s str, line: u32) -> &'s str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.starts.get(index) else { return "" };
        let end = self.starts.get(index + 1).map_or(source.len(), |e| *e as usize);
        source.get(*start as usize..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }
}
