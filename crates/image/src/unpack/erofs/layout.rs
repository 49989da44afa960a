//! Where everything goes: numbers of inodes and of the blocks of directories, before a byte of them is written.

use super::format::{BLOCK, COMPACT_BYTES, DIRENT_BYTES, EXTENDED_BYTES, Layout, RawInode, SLOT, XATTR_HEADER_BYTES};
use crate::unpack::layer::{Directory, Inode, InodeId, Kind, Layer, Place, ROOT};
use crate::unpack::tar::Mtime;

/// Marks a directory that hides what lies below: for overlay as root mounts it, and as a user does (`userxattr`).
pub(super) const OPAQUE: [(&[u8], &[u8]); 2] = [(b"trusted.overlay.opaque", b"y"), (b"user.overlay.opaque", b"y")];

/// Where one inode stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Offset from the start of the metadata; a multiple of the slot size, never 0.
    pub(super) at: u64,
    pub(super) compact: bool,
    pub(super) layout: Layout,
    pub(super) xattr_bytes: u64,
    pub(super) size: u64,
    /// First block of its data, if it has blocks.
    pub(super) block: u64,
}

impl Spot {
    pub(super) fn nid(&self) -> u64 {
        self.at / SLOT
    }

    pub(super) fn body_at(&self) -> u64 {
        self.at + if self.compact { COMPACT_BYTES } else { EXTENDED_BYTES }
    }
}

/// The plan of an image.
pub(super) struct Plan {
    /// By inode id; `None` for what no name leads to.
    pub(super) spots: Vec<Option<Spot>>,
    /// Inodes in the order of their place.
    pub(super) order: Vec<InodeId>,
    pub(super) epoch: Mtime,
    /// First block behind the blocks of directories: the metadata starts here.
    pub(super) metadata_block: u64,
    pub(super) metadata_bytes: u64,
}

impl Plan {
    /// Plans the metadata of `layer`; `free_block` is the first block behind the data.
    pub(super) fn of(layer: &Layer, free_block: u64) -> Plan {
        let order = reachable(layer);
        let epoch = most_common_time(layer, &order);
        let mut spots = vec![None; layer.ids() as usize];
        // Number 0 would be no valid inode number, so nothing stands there.
        let (mut cursor, mut free_block) = (2 * SLOT, free_block);
        for &id in &order {
            let spot = place(layer.inode(id), epoch, cursor, &mut free_block);
            let inline = if spot.layout == Layout::Inline { spot.size % BLOCK } else { 0 };
            cursor = (spot.body_at() + spot.xattr_bytes + inline).next_multiple_of(SLOT);
            spots[id as usize] = Some(spot);
        }
        // Checkers read the header of attributes before they ask whether an inode has any: there is room for one behind the last.
        // Source: erofs-utils 1.5, `erofs_verify_xattr`.
        let metadata_bytes = cursor + XATTR_HEADER_BYTES;
        Plan { spots, order, epoch, metadata_block: free_block, metadata_bytes }
    }
}

/// All inodes that have a name: a directory, then what is in it.
fn reachable(layer: &Layer) -> Vec<InodeId> {
    let mut seen = vec![false; layer.ids() as usize];
    let (mut order, mut pending) = (vec![], vec![ROOT]);
    while let Some(id) = pending.pop() {
        if std::mem::replace(&mut seen[id as usize], true) {
            continue;
        }
        order.push(id);
        if let Kind::Directory(directory) = &layer.inode(id).kind {
            pending.extend(directory.entries.values().rev());
        }
    }
    order
}

/// The time that most inodes share; those take the small form.
fn most_common_time(layer: &Layer, order: &[InodeId]) -> Mtime {
    let mut times: Vec<Mtime> = order.iter().map(|&id| layer.inode(id).meta.mtime).collect();
    times.sort_unstable();
    let runs = times.chunk_by(|left, right| left == right);
    runs.max_by_key(|run| run.len()).map_or(Mtime::default(), |run| run[0])
}

fn place(inode: &Inode, epoch: Mtime, cursor: u64, free_block: &mut u64) -> Spot {
    let mut size = 0;
    let mut block = None;
    let mut wants_inline = true;
    match &inode.kind {
        Kind::Directory(directory) => size = directory_bytes(directory),
        Kind::Symlink(target) => size = target.len() as u64,
        Kind::File(content) => {
            size = content.size;
            wants_inline = matches!(content.place, Place::Inline(_));
            if let Place::At(at) = content.place {
                block = Some(at);
            }
        }
        Kind::Fifo | Kind::Whiteout | Kind::Gone => {}
    }
    let meta = &inode.meta;
    let compact = RawInode::fits_compact(meta.uid, meta.gid, inode.links, size, meta.mtime, epoch);
    let xattr_bytes = xattr_bytes(inode);
    let mut spot = Spot { at: cursor, compact, layout: Layout::Plain, xattr_bytes, size, block: block.unwrap_or(0) };
    let tail = size % BLOCK;
    let core = spot.body_at() - spot.at;
    if wants_inline && tail > 0 && core + xattr_bytes + tail <= BLOCK {
        spot.layout = Layout::Inline;
        // The kernel reads the tail from a single block.
        let start = (cursor + core + xattr_bytes) % BLOCK;
        if start + tail > BLOCK {
            spot.at = cursor.next_multiple_of(BLOCK);
        }
    } else if cursor % BLOCK + core > BLOCK {
        spot.at = cursor.next_multiple_of(BLOCK);
    }
    if block.is_none() {
        let blocks = if spot.layout == Layout::Inline { size / BLOCK } else { size.div_ceil(BLOCK) };
        spot.block = if blocks > 0 { *free_block } else { 0 };
        *free_block += blocks;
    }
    spot
}

fn xattr_bytes(inode: &Inode) -> u64 {
    let entry = |name: usize, value: usize| (4 + name + value).next_multiple_of(4) as u64;
    let own = inode.xattrs.iter().map(|(name, value)| entry(name.len() - "user.".len(), value.len()));
    let mut bytes: u64 = own.sum();
    if matches!(&inode.kind, Kind::Directory(directory) if directory.opaque) {
        bytes += 2 * entry("overlay.opaque".len(), 1);
    }
    if bytes == 0 { 0 } else { bytes + XATTR_HEADER_BYTES }
}

/// Names of a directory as they stand on disk: `.` and `..` among them, in byte order.
pub(super) fn names(directory: &Directory, own: InodeId) -> Vec<(&[u8], InodeId)> {
    let mut names: Vec<(&[u8], InodeId)> = Vec::with_capacity(directory.entries.len() + 2);
    names.push((b".", own));
    names.push((b"..", directory.parent));
    names.extend(directory.entries.iter().map(|(name, id)| (&**name, *id)));
    names.sort_unstable();
    names
}

/// How many of `names`, from the first on, go into one block.
pub(super) fn names_in_block(names: &[(&[u8], InodeId)]) -> (usize, u64) {
    let mut bytes = 0;
    for (count, (name, _)) in names.iter().enumerate() {
        let with = bytes + DIRENT_BYTES + name.len() as u64;
        if with > BLOCK {
            return (count, bytes);
        }
        bytes = with;
    }
    (names.len(), bytes)
}

fn directory_bytes(directory: &Directory) -> u64 {
    let names = names(directory, ROOT);
    let (mut rest, mut bytes) = (&names[..], 0_u64);
    while !rest.is_empty() {
        let (count, used) = names_in_block(rest);
        bytes = bytes.next_multiple_of(BLOCK) + used;
        rest = &rest[count..];
    }
    bytes
}
