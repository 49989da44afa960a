//! Maps of sparse files: where the data that follows belongs.

use super::Segment;
use super::header::number;
use super::pax::decimal;

/// Most pieces of one sparse file. Bounds memory; a file in that many pieces is no use of holes.
pub(super) const MAX_SEGMENTS: usize = 1 << 20;

/// Whether the map is in order, does not overlap, stays inside the file, and covers exactly the data that is there.
pub(super) fn is_honest(map: &[Segment], size: u64, data: u64) -> bool {
    let mut end = 0_u64;
    let mut sum = 0_u64;
    for segment in map {
        let Some(next) = segment.offset.checked_add(segment.length) else { return false };
        if segment.offset < end || next > size {
            return false;
        }
        end = next;
        // Cannot overflow: the segments lie apart from each other below `size`.
        sum += segment.length;
    }
    sum == data
}

/// Pieces in a block of the old GNU form: 24 bytes each, until one without an offset.
pub(super) fn old_gnu(mut fields: &[u8], map: &mut Vec<Segment>) -> Option<()> {
    while fields.len() >= 24 && fields[0] != 0 {
        let offset = number(&fields[..12]).and_then(|value| u64::try_from(value).ok())?;
        let length = number(&fields[12..24]).and_then(|value| u64::try_from(value).ok())?;
        map.push(Segment { offset, length });
        fields = &fields[24..];
    }
    (map.len() <= MAX_SEGMENTS).then_some(())
}

/// The map of form 1.0: decimal lines before the data. Fed block by block.
#[derive(Default)]
pub(super) struct MapInData {
    line: Vec<u8>,
    expected: Option<usize>,
    numbers: Vec<u64>,
}

impl MapInData {
    /// Takes a block. `Some(true)` when the map is complete, `None` if it is nonsense.
    pub(super) fn feed(&mut self, block: &[u8]) -> Option<bool> {
        for &byte in block {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > 20 {
                    return None;
                }
                continue;
            }
            let value = decimal(&self.line)?;
            self.line.clear();
            match self.expected {
                None => self.expected = Some(usize::try_from(value).ok().filter(|count| *count <= MAX_SEGMENTS)? * 2),
                Some(_) => self.numbers.push(value),
            }
            if self.expected == Some(self.numbers.len()) {
                return Some(true);
            }
        }
        Some(false)
    }

    pub(super) fn segments(self) -> Vec<Segment> {
        self.numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honesty() {
        let map = |pieces: &[(u64, u64)]| -> Vec<Segment> {
            pieces.iter().map(|&(offset, length)| Segment { offset, length }).collect()
        };
        for (pieces, size, data, honest) in [
            (&[][..], 0, 0, true),
            (&[(0, 5), (10, 5)], 20, 10, true),
            (&[(0, 5), (10, 5), (20, 0)], 20, 10, true),
            (&[(0, 5), (4, 5)], 20, 10, false),
            (&[(10, 5), (0, 5)], 20, 10, false),
            (&[(0, 5), (16, 5)], 20, 10, false),
            (&[(0, 5)], 20, 6, false),
            (&[(u64::MAX, 2)], 20, 2, false),
        ] {
            assert_eq!(is_honest(&map(pieces), size, data), honest, "{pieces:?}");
        }
    }

    #[test]
    fn map_in_data() {
        let mut map = MapInData::default();
        assert_eq!(map.feed(b"2\n1\n2\n3"), Some(false));
        assert_eq!(map.feed(b"0\n4\n\0\0"), Some(true));
        assert_eq!(map.segments(), [Segment { offset: 1, length: 2 }, Segment { offset: 30, length: 4 }]);
        assert_eq!(MapInData::default().feed(b"-1\n"), None);
        assert_eq!(MapInData::default().feed(b"99999999999\n"), None);
        assert_eq!(MapInData::default().feed(&[b'1'; 30]), None);
    }
}
