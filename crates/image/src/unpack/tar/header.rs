//! The fixed block of 512 bytes before every entry.

use super::{EntryKind, Mtime};
use crate::unpack::Refusal;

/// Size of a block.
pub(super) const BLOCK: usize = 512;

/// A block that passed its checksum.
pub(super) struct Header<'a> {
    block: &'a [u8; BLOCK],
    at: u64,
}

/// Which dialect a header is written in: decides what the bytes behind the names mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Old,
    Ustar,
    Star,
    Gnu,
}

impl<'a> Header<'a> {
    /// Checks the checksum of the block that starts at `at` in the archive.
    pub(super) fn check(block: &'a [u8; BLOCK], at: u64) -> Result<Header<'a>, Refusal> {
        let header = Header { block, at };
        let stored = octal(&block[148..156]).ok_or(Refusal::Checksum(at))?;
        let (mut unsigned, mut signed) = (0_i64, 0_i64);
        for (index, &byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&index) { b' ' } else { byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        // Some old archivers summed signed bytes.
        if stored != unsigned && stored != signed {
            return Err(Refusal::Checksum(at));
        }
        Ok(header)
    }

    fn dialect(&self) -> Dialect {
        match (&self.block[257..263], &self.block[263..265]) {
            (b"ustar\0", _) if &self.block[508..512] == b"tar\0" => Dialect::Star,
            (b"ustar\0", _) => Dialect::Ustar,
            (b"ustar ", b" \0") => Dialect::Gnu,
            _ => Dialect::Old,
        }
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.block[156]
    }

    pub(super) fn malformed(&self, what: &str) -> Refusal {
        Refusal::Malformed { at: self.at, what: what.to_owned() }
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let prefix = match self.dialect() {
            Dialect::Ustar => text(&self.block[345..500]),
            Dialect::Star => text(&self.block[345..476]),
            Dialect::Old | Dialect::Gnu => b"",
        };
        let name = text(&self.block[..100]);
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    fn number(&self, field: &[u8], what: &str) -> Result<i64, Refusal> {
        number(field).ok_or_else(|| self.malformed(what))
    }

    pub(super) fn size(&self) -> Result<i64, Refusal> {
        self.number(&self.block[124..136], "size is no number")
    }

    pub(super) fn mode(&self) -> Result<u16, Refusal> {
        let mode = self.number(&self.block[100..108], "mode is no number")?;
        // The type bits that some archivers put here say nothing new.
        Ok((mode & 0o7777) as u16)
    }

    pub(super) fn uid(&self) -> Result<i64, Refusal> {
        self.number(&self.block[108..116], "owner is no number")
    }

    pub(super) fn gid(&self) -> Result<i64, Refusal> {
        self.number(&self.block[116..124], "group is no number")
    }

    pub(super) fn mtime(&self) -> Result<Mtime, Refusal> {
        Ok(Mtime { seconds: self.number(&self.block[136..148], "time is no number")?, nanos: 0 })
    }

    /// Real size of an old GNU sparse file.
    pub(super) fn sparse_size(&self) -> Result<i64, Refusal> {
        self.number(&self.block[483..495], "size of the sparse file is no number")
    }

    /// The part of the map of an old GNU sparse file that the header holds, and whether more blocks of it follow.
    pub(super) fn sparse_map(&self) -> Result<(&'a [u8], bool), Refusal> {
        if self.dialect() != Dialect::Gnu {
            return Err(self.malformed("a sparse file that is not in GNU format"));
        }
        Ok((&self.block[386..482], self.block[482] != 0))
    }
}

pub(super) fn kind_of(flag: u8, name: &[u8]) -> EntryKind {
    match flag {
        b'0' | b'7' | b'S' => EntryKind::File,
        // Before POSIX a directory was a file with a slash behind its name.
        0 if name.ends_with(b"/") => EntryKind::Directory,
        0 => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' | b'4' => EntryKind::Device,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => EntryKind::Unknown(other),
    }
}

/// A text field: everything before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&byte| byte == 0).unwrap_or(field.len())]
}

fn octal(field: &[u8]) -> Option<i64> {
    let start = field.iter().position(|&byte| byte != b' ' && byte != 0).unwrap_or(field.len());
    let rest = &field[start..];
    let digits = &rest[..rest.iter().position(|&byte| byte == 0 || byte == b' ').unwrap_or(rest.len())];
    digits.iter().try_fold(0_i64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// A number field: octal digits, or GNU's big-endian two's complement behind a set first bit.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let Some(first) = field.first().filter(|first| *first & 0x80 != 0) else { return octal(field) };
    let negative = first & 0x40 != 0;
    let mut value: i128 = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
    for &byte in &field[1..] {
        value = value << 8 | i128::from(byte);
    }
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"0000648\0", None),
            (b"-000001\0", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"777777777777", Some(0o777_777_777_777)),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }
}
