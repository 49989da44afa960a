//! The on-disk structures of EROFS that we write, as the kernel's `fs/erofs/erofs_fs.h` defines them.

use crate::unpack::tar::Mtime;

pub(super) const BLOCK: u64 = 4096;
/// An inode's number counts slots of this size from the start of the metadata.
pub(super) const SLOT: u64 = 32;
const BLOCK_BITS: u8 = 12;
const MAGIC: u32 = 0xE0F5_E1E2;
/// Offset of the superblock in its block.
pub(super) const SUPERBLOCK_AT: usize = 1024;
const SUPERBLOCK_BYTES: usize = 128;
/// The superblock has a checksum; inodes have the time of their change.
const COMPATIBLE: u32 = 0x1 | 0x2;

pub(super) const COMPACT_BYTES: u64 = 32;
pub(super) const EXTENDED_BYTES: u64 = 64;
pub(super) const DIRENT_BYTES: u64 = 12;
/// Of the attribute area of an inode.
pub(super) const XATTR_HEADER_BYTES: u64 = 12;
const XATTR_ENTRY_BYTES: usize = 4;

/// How the data of an inode is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// In consecutive blocks.
    Plain = 0,
    /// As plain, but the last piece, less than a block, stands behind the inode.
    Inline = 2,
}

pub(super) const S_IFDIR: u16 = 0o040_000;
pub(super) const S_IFREG: u16 = 0o100_000;
pub(super) const S_IFLNK: u16 = 0o120_000;
pub(super) const S_IFIFO: u16 = 0o010_000;
pub(super) const S_IFCHR: u16 = 0o020_000;

/// File type as a directory entry has it.
pub(super) fn dirent_type(mode: u16) -> u8 {
    match mode & 0o170_000 {
        S_IFREG => 1,
        S_IFDIR => 2,
        S_IFCHR => 3,
        S_IFIFO => 5,
        S_IFLNK => 7,
        _ => 0,
    }
}

/// An inode, before it is known which of the two forms it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawInode {
    pub(super) layout: Layout,
    pub(super) xattr_bytes: u64,
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) start_block: u32,
    pub(super) number: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Mtime,
    pub(super) links: u32,
}

impl RawInode {
    /// Whether the small form, which has no time of its own, can hold it.
    pub(super) fn fits_compact(uid: u32, gid: u32, links: u32, size: u64, mtime: Mtime, epoch: Mtime) -> bool {
        let short = u32::from(u16::MAX);
        uid <= short && gid <= short && links <= short && size <= u64::from(u32::MAX) && mtime == epoch
    }

    pub(super) fn encode(&self, compact: bool, out: &mut Vec<u8>) {
        let format = u16::from(!compact) | (self.layout as u16) << 1;
        let xattr_units = match self.xattr_bytes {
            0 => 0,
            bytes => ((bytes - XATTR_HEADER_BYTES) / 4 + 1) as u16,
        };
        out.extend(format.to_le_bytes());
        out.extend(xattr_units.to_le_bytes());
        out.extend(self.mode.to_le_bytes());
        if compact {
            out.extend((self.links as u16).to_le_bytes());
            out.extend((self.size as u32).to_le_bytes());
            out.extend([0; 4]);
            out.extend(self.start_block.to_le_bytes());
            out.extend(self.number.to_le_bytes());
            out.extend((self.uid as u16).to_le_bytes());
            out.extend((self.gid as u16).to_le_bytes());
            out.extend([0; 4]);
            return;
        }
        out.extend([0; 2]);
        out.extend(self.size.to_le_bytes());
        out.extend(self.start_block.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        out.extend(self.uid.to_le_bytes());
        out.extend(self.gid.to_le_bytes());
        out.extend(self.mtime.seconds.to_le_bytes());
        out.extend(self.mtime.nanos.to_le_bytes());
        out.extend(self.links.to_le_bytes());
        out.extend([0; 16]);
    }
}

/// Prefixes of attribute names that have a number instead.
fn xattr_prefix(name: &[u8]) -> (u8, &[u8]) {
    for (index, prefix) in [(1, &b"user."[..]), (4, b"trusted."), (6, b"security.")] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return (index, rest);
        }
    }
    (0, name)
}

/// The attribute area behind an inode; empty if it has no attributes. Names have at most 255 bytes behind their prefix,
/// values at most 65535.
pub(super) fn encode_xattrs<'a>(xattrs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut out = vec![0; XATTR_HEADER_BYTES as usize];
    for (name, value) in xattrs {
        let (prefix, name) = xattr_prefix(name);
        out.push(name.len() as u8);
        out.push(prefix);
        out.extend((value.len() as u16).to_le_bytes());
        out.extend(name);
        out.extend(value);
        out.resize(out.len().next_multiple_of(XATTR_ENTRY_BYTES), 0);
    }
    if out.len() == XATTR_HEADER_BYTES as usize { vec![] } else { out }
}

/// What the superblock says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Superblock {
    pub(super) root: u16,
    pub(super) inodes: u64,
    pub(super) epoch: Mtime,
    pub(super) blocks: u32,
    pub(super) metadata_block: u32,
}

impl Superblock {
    /// The first block of the image.
    pub(super) fn encode(&self) -> [u8; BLOCK as usize] {
        let mut sb = Vec::with_capacity(SUPERBLOCK_BYTES);
        sb.extend(MAGIC.to_le_bytes());
        sb.extend([0; 4]); // checksum, below
        sb.extend(COMPATIBLE.to_le_bytes());
        sb.push(BLOCK_BITS);
        sb.push(0); // no extension slots
        sb.extend(self.root.to_le_bytes());
        sb.extend(self.inodes.to_le_bytes());
        sb.extend(self.epoch.seconds.to_le_bytes());
        sb.extend(self.epoch.nanos.to_le_bytes());
        sb.extend(self.blocks.to_le_bytes());
        sb.extend(self.metadata_block.to_le_bytes());
        sb.resize(SUPERBLOCK_BYTES, 0); // no shared attributes, no name, no incompatible features
        let mut block = [0; BLOCK as usize];
        block[SUPERBLOCK_AT..SUPERBLOCK_AT + SUPERBLOCK_BYTES].copy_from_slice(&sb);
        let checksum = crc32c(&block[SUPERBLOCK_AT..]);
        block[SUPERBLOCK_AT + 4..SUPERBLOCK_AT + 8].copy_from_slice(&checksum.to_le_bytes());
        block
    }
}

/// CRC-32C without the final inversion, as the kernel stores it. Bit by bit: it runs once, over 3 KiB.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_the_check_string() {
        assert_eq!(!crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn sizes() {
        let inode = RawInode {
            layout: Layout::Inline,
            xattr_bytes: 0,
            mode: S_IFREG | 0o644,
            size: 1,
            start_block: 0,
            number: 1,
            uid: 0,
            gid: 0,
            mtime: Mtime::default(),
            links: 1,
        };
        let (mut small, mut large) = (vec![], vec![]);
        inode.encode(true, &mut small);
        inode.encode(false, &mut large);
        assert_eq!((small.len() as u64, large.len() as u64), (COMPACT_BYTES, EXTENDED_BYTES));
        assert_eq!(encode_xattrs(std::iter::empty()), b"");
        assert_eq!(encode_xattrs([(&b"user.a"[..], &b"b"[..])].into_iter()).len(), 12 + 8);
    }
}
