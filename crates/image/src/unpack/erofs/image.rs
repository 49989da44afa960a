//! Writes what the plan says.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::data::DataArea;
use super::format::{
    BLOCK, DIRENT_BYTES, Layout, RawInode, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, Superblock, dirent_type,
    encode_xattrs,
};
use super::layout::{OPAQUE, Plan, Spot, names, names_in_block};
use crate::unpack::fault::Fault;
use crate::unpack::layer::{Content, Directory, Inode, InodeId, Kind, Layer, Place, ROOT};

/// Metadata gathered before one write.
const BUFFER: usize = 256 * 1024;

/// Writes everything but file data, and last the superblock, without which the file is no image. Returns the size of
/// the image and the number of its inodes.
///
/// # Errors
/// Fails where the output does.
pub fn write_metadata(layer: &Layer, data: &DataArea<'_>, output: &File) -> Result<(u64, u64), Fault> {
    let plan = Plan::of(layer, data.end_block());
    let metadata_at = plan.metadata_block * BLOCK;
    let end = (metadata_at + plan.metadata_bytes).next_multiple_of(BLOCK);
    let blocks = u32::try_from(end / BLOCK)
        .map_err(|_| Fault::Output(std::io::Error::other("the image would exceed 16 TiB")))?;
    let mut out = Gathered { output, at: data.end_block() * BLOCK, bytes: Vec::with_capacity(BUFFER + BLOCK as usize) };
    for &id in &plan.order {
        let Some(spot) = plan.spots[id as usize] else { continue };
        let bytes = blocks_of(layer.inode(id), &spot) * BLOCK;
        if bytes > 0 {
            out.seek(spot.block * BLOCK)?;
            let content = content(layer, &plan, id);
            out.bytes.extend(&content[..content.len().min(bytes as usize)]);
        }
    }
    for &id in &plan.order {
        let Some(spot) = plan.spots[id as usize] else { continue };
        out.seek(metadata_at + spot.at)?;
        encode(layer, id, &spot, &mut out.bytes);
        if spot.layout == Layout::Inline {
            let content = content(layer, &plan, id);
            out.bytes.extend(&content[(spot.size / BLOCK * BLOCK) as usize..]);
        }
    }
    out.seek(end)?;
    out.flush()?;
    let root = plan.spots[ROOT as usize].map_or(0, |spot| spot.nid());
    let superblock = Superblock {
        // The root is the first inode, so that its number is small.
        root: root as u16,
        inodes: plan.order.len() as u64,
        epoch: plan.epoch,
        blocks,
        metadata_block: plan.metadata_block as u32,
    };
    output.write_all_at(&superblock.encode(), 0).map_err(Fault::Output)?;
    Ok((end, superblock.inodes))
}

/// Blocks that the metadata writer fills for an inode; those of files are filled already.
fn blocks_of(inode: &Inode, spot: &Spot) -> u64 {
    match (&inode.kind, spot.layout) {
        (Kind::Directory(_) | Kind::Symlink(_), Layout::Inline) => spot.size / BLOCK,
        (Kind::Directory(_) | Kind::Symlink(_), Layout::Plain) => spot.size.div_ceil(BLOCK),
        _ => 0,
    }
}

/// What an inode holds, as far as the metadata writer writes it.
fn content<'a>(layer: &'a Layer, plan: &Plan, id: InodeId) -> Cow<'a, [u8]> {
    match &layer.inode(id).kind {
        Kind::Directory(directory) => Cow::Owned(directory_content(layer, plan, id, directory)),
        Kind::Symlink(target) => Cow::Borrowed(target),
        Kind::File(Content { place: Place::Inline(bytes), .. }) => Cow::Borrowed(bytes),
        _ => Cow::Borrowed(&[]),
    }
}

/// Block after block: entries, then their names, then zeros; the last without the zeros.
fn directory_content(layer: &Layer, plan: &Plan, id: InodeId, directory: &Directory) -> Vec<u8> {
    let names = names(directory, id);
    let (mut rest, mut content) = (&names[..], Vec::new());
    while !rest.is_empty() {
        content.resize(content.len().next_multiple_of(BLOCK as usize), 0);
        let (count, _) = names_in_block(rest);
        let mut name_at = count as u64 * DIRENT_BYTES;
        for (name, child) in &rest[..count] {
            let nid = plan.spots[*child as usize].map_or(0, |spot| spot.nid());
            content.extend(nid.to_le_bytes());
            content.extend((name_at as u16).to_le_bytes());
            content.push(dirent_type(mode_of(layer.inode(*child))));
            content.push(0);
            name_at += name.len() as u64;
        }
        for (name, _) in &rest[..count] {
            content.extend(*name);
        }
        rest = &rest[count..];
    }
    content
}

fn mode_of(inode: &Inode) -> u16 {
    let kind = match inode.kind {
        Kind::Directory(_) => S_IFDIR,
        Kind::File(_) => S_IFREG,
        Kind::Symlink(_) => return S_IFLNK | 0o777,
        Kind::Fifo => S_IFIFO,
        // Device 0:0, which is what `start_block` then says.
        Kind::Whiteout | Kind::Gone => S_IFCHR,
    };
    kind | inode.meta.mode
}

fn encode(layer: &Layer, id: InodeId, spot: &Spot, out: &mut Vec<u8>) {
    let inode = layer.inode(id);
    let raw = RawInode {
        layout: spot.layout,
        xattr_bytes: spot.xattr_bytes,
        mode: mode_of(inode),
        size: spot.size,
        start_block: spot.block as u32,
        number: id + 1,
        uid: inode.meta.uid,
        gid: inode.meta.gid,
        mtime: inode.meta.mtime,
        links: inode.links,
    };
    raw.encode(spot.compact, out);
    let opaque: &[(&[u8], &[u8])] = match &inode.kind {
        Kind::Directory(directory) if directory.opaque => &OPAQUE,
        _ => &[],
    };
    let own = inode.xattrs.iter().map(|(name, value)| (&**name, &**value));
    out.extend(encode_xattrs(own.chain(opaque.iter().copied())));
}

/// Writes that follow each other, gathered.
struct Gathered<'a> {
    output: &'a File,
    at: u64,
    bytes: Vec<u8>,
}

impl Gathered<'_> {
    /// Goes on at `to`, with zeros up to there.
    fn seek(&mut self, to: u64) -> Result<(), Fault> {
        let here = self.at + self.bytes.len() as u64;
        // Gaps are padding, of a whole block where the first inode did not fit behind the slot that stays empty, or the last one ends
        // with its block; anything else would be a mistake in the plan.
        let gap = to.checked_sub(here).filter(|gap| *gap <= BLOCK);
        let gap =
            gap.ok_or_else(|| Fault::Output(std::io::Error::other("the plan of the image contradicts itself")))?;
        self.bytes.resize(self.bytes.len() + gap as usize, 0);
        if self.bytes.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.output.write_all_at(&self.bytes, self.at).map_err(Fault::Output)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}
