//! A streaming reader of tar archives: old Unix, ustar, GNU and PAX, sparse files of all GNU forms.
//!
//! Where the formats leave room, it reads an archive as Go's `archive/tar` does, because every other container tool is
//! built on that: two readers that disagree about the same bytes are how an archive hides something. It decides nothing
//! about names; that is the business of [`super::layer`].

mod header;
mod pax;
mod reader;
mod sparse;

pub use reader::TarReader;

/// When a file was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtime {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds on top, less than 10^9.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file with content.
    File,
    /// Another name of an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character or block device.
    Device,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// Any other type flag.
    Unknown(u8),
}

/// A piece of a sparse file that has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// One entry, all extensions applied. Names are as the archive has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, possibly hostile.
    pub name: Vec<u8>,
    /// Target of a link, possibly hostile.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with set-id and sticky bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change.
    pub mtime: Mtime,
    /// Size of the file as a reader of it sees it, holes included; 0 for everything but files.
    pub size: u64,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}
