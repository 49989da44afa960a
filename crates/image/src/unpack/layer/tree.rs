//! The tree and how an entry changes it.

use std::collections::{BTreeMap, VecDeque};

use super::path::{Path, Request};
use crate::unpack::fault::shown;
use crate::unpack::tar::{Entry, EntryKind, Mtime};
use crate::unpack::{Neutralised, Refusal, UnpackLimits};

/// Index of an inode in its layer.
pub type InodeId = u32;
/// The root directory.
pub const ROOT: InodeId = 0;

/// Directories of the root that stay empty.
const RESERVED: [&[u8]; 3] = [b"dev", b"proc", b"sys"];
/// Components looked up on the way to one entry when symbolic links are among them.
const MAX_STEPS: usize = 1024;
/// What an inode and its directory entry cost in memory, names aside.
const INODE_BYTES: u64 = 256;
/// Longest target of a symbolic link that `readlink` gives back.
const MAX_TARGET: usize = 4095;

/// Owner, permissions and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with set-id and sticky bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change.
    pub mtime: Mtime,
}

/// Where the data of a file was put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the file is empty.
    #[default]
    Nothing,
    /// In memory.
    Inline(Box<[u8]>),
    /// In the output, under this number; what it counts is the writer's business.
    At(u64),
}

/// Data of a regular file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Where they are.
    pub place: Place,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Names in byte order, without `.` and `..`.
    pub entries: BTreeMap<Box<[u8]>, InodeId>,
    /// The directory above; the root's is itself.
    pub parent: InodeId,
    /// Hides what the layers below have here.
    pub opaque: bool,
    depth: u32,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File(Content),
    /// A symbolic link and its target.
    Symlink(Box<[u8]>),
    /// A named pipe.
    Fifo,
    /// Hides a name of the layers below.
    Whiteout,
    /// Replaced by a later entry; no name leads here.
    Gone,
}

/// Extended attributes: name and value.
pub type Xattrs = Box<[(Box<[u8]>, Box<[u8]>)]>;

/// A file of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Owner, permissions and time.
    pub meta: Meta,
    /// Names of it; for a directory as `stat` counts them.
    pub links: u32,
    /// What it is.
    pub kind: Kind,
    /// Extended attributes, full names, no name twice.
    pub xattrs: Xattrs,
}

/// A layer under construction.
#[derive(Debug)]
pub struct Layer {
    inodes: Vec<Inode>,
    limits: UnpackLimits,
    metadata_bytes: u64,
    content_bytes: u64,
    /// Entries taken.
    pub entries: u64,
    /// Hides everything below the root.
    pub root_opaque: bool,
    /// What was neutralised so far.
    pub neutralised: Neutralised,
}

/// Where the parent of an entry was found.
enum Parent {
    Found(InodeId),
    /// Below a directory that stays empty.
    Reserved,
    /// Not in this layer, and it was not to be made.
    Missing,
}

impl Layer {
    /// An empty layer: a root that belongs to root.
    pub fn new(limits: UnpackLimits) -> Layer {
        let root = Directory { entries: BTreeMap::new(), parent: ROOT, opaque: false, depth: 0 };
        let meta = Meta { mode: 0o755, ..Meta::default() };
        let root = Inode { meta, links: 2, kind: Kind::Directory(root), xattrs: Box::default() };
        Layer {
            inodes: vec![root],
            limits,
            metadata_bytes: 0,
            content_bytes: 0,
            entries: 0,
            root_opaque: false,
            neutralised: Neutralised::default(),
        }
    }

    /// The inode with this id.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id as usize]
    }

    /// How many ids were given out; some may be [`Kind::Gone`].
    pub fn ids(&self) -> u32 {
        self.inodes.len() as u32
    }

    /// Puts an entry into the tree. For a regular file that is kept the answer is its inode, whose content is then to
    /// be [set](Self::set_place).
    ///
    /// # Errors
    /// Refuses the archive; see the module.
    pub fn add(&mut self, entry: &Entry) -> Result<Option<InodeId>, Refusal> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Refusal::TooManyEntries(self.limits.entries));
        }
        if let EntryKind::Unknown(kind) = entry.kind {
            return Err(Refusal::UnknownKind { name: shown(&entry.name), kind });
        }
        let path = Path::parse(&entry.name, &self.limits)?;
        self.neutralised.absolute += u64::from(path.is_absolute);
        let name = match Request::of(&path)? {
            Request::Root => return self.add_root(entry).map(|()| None),
            Request::Aufs => {
                self.neutralised.aufs += 1;
                return Ok(None);
            }
            _ if entry.kind == EntryKind::Device => {
                self.neutralised.devices += 1;
                return Ok(None);
            }
            Request::Plain(name) => name,
            Request::Whiteout(name) => return self.whiteout(&path, name, entry).map(|()| None),
            Request::Opaque => return self.opaque(&path, entry).map(|()| None),
        };
        let Some(parent) = self.parent_of(&path, entry)? else { return Ok(None) };
        if parent == ROOT && RESERVED.contains(&name) && entry.kind != EntryKind::Directory {
            self.neutralised.reserved += 1;
            let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: entry.mtime };
            return self.put_directory(parent, name, meta, Box::default(), &entry.name).map(|_| None);
        }
        self.put(parent, name, entry)
    }

    fn put(&mut self, parent: InodeId, name: &[u8], entry: &Entry) -> Result<Option<InodeId>, Refusal> {
        let meta = Meta { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime };
        let kind = match entry.kind {
            EntryKind::HardLink => return self.hard_link(parent, name, entry).map(|()| None),
            EntryKind::Directory => {
                let xattrs = self.xattrs_of(entry)?;
                self.put_directory(parent, name, meta, xattrs, &entry.name)?;
                return Ok(None);
            }
            EntryKind::Symlink => Kind::Symlink(self.link_target(entry)?),
            EntryKind::Fifo => Kind::Fifo,
            _ => {
                self.content_bytes = self.content_bytes.saturating_add(entry.size);
                if self.content_bytes > self.limits.content_bytes {
                    return Err(Refusal::ContentTooLarge(self.limits.content_bytes));
                }
                Kind::File(Content { size: entry.size, place: Place::Nothing })
            }
        };
        let is_file = matches!(kind, Kind::File(_));
        let xattrs = self.xattrs_of(entry)?;
        let id = self.make(Inode { meta, links: 1, kind, xattrs })?;
        self.name(parent, name, id)?;
        Ok(is_file.then_some(id))
    }

    /// Says where the data of a file is.
    ///
    /// # Errors
    /// Refuses data kept in memory beyond the limit for metadata.
    pub fn set_place(&mut self, id: InodeId, at: Place) -> Result<(), Refusal> {
        if let Place::Inline(bytes) = &at {
            self.charge(bytes.len() as u64)?;
        }
        if let Kind::File(content) = &mut self.inodes[id as usize].kind {
            content.place = at;
        }
        Ok(())
    }

    fn add_root(&mut self, entry: &Entry) -> Result<(), Refusal> {
        if entry.kind != EntryKind::Directory {
            return Err(Refusal::RootNotADirectory);
        }
        let xattrs = self.xattrs_of(entry)?;
        let root = &mut self.inodes[ROOT as usize];
        root.meta = Meta { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime };
        root.xattrs = xattrs;
        Ok(())
    }

    fn whiteout(&mut self, path: &Path<'_>, name: &[u8], entry: &Entry) -> Result<(), Refusal> {
        let Some(parent) = self.parent_of(path, entry)? else { return Ok(()) };
        if parent == ROOT && RESERVED.contains(&name) {
            self.neutralised.reserved += 1;
            return Ok(());
        }
        match self.lookup(parent, name) {
            // Hides what is below, not what this layer itself brings.
            Some(id) => {
                if let Kind::Directory(directory) = &mut self.inodes[id as usize].kind {
                    directory.opaque = true;
                }
                Ok(())
            }
            None => {
                let meta = Meta { mtime: entry.mtime, ..Meta::default() };
                let id = self.make(Inode { meta, links: 1, kind: Kind::Whiteout, xattrs: Box::default() })?;
                self.name(parent, name, id)
            }
        }
    }

    fn opaque(&mut self, path: &Path<'_>, entry: &Entry) -> Result<(), Refusal> {
        let Some(parent) = self.parent_of(path, entry)? else { return Ok(()) };
        if parent == ROOT {
            self.root_opaque = true;
        }
        if let Kind::Directory(directory) = &mut self.inodes[parent as usize].kind {
            directory.opaque = true;
        }
        Ok(())
    }

    fn hard_link(&mut self, parent: InodeId, name: &[u8], entry: &Entry) -> Result<(), Refusal> {
        let outside = || Refusal::HardLinkOutside { name: shown(&entry.name), target: shown(&entry.link) };
        let target = Path::parse(&entry.link, &self.limits)?;
        let (&last, above) = target.components.split_last().ok_or_else(outside)?;
        let Parent::Found(directory) = self.walk(above, false, &entry.link)? else { return Err(outside()) };
        let id = self.lookup(directory, last).ok_or_else(outside)?;
        if !matches!(self.inode(id).kind, Kind::File(_) | Kind::Symlink(_) | Kind::Fifo) {
            return Err(outside());
        }
        if self.lookup(parent, name) == Some(id) {
            return Ok(());
        }
        self.charge(INODE_BYTES)?;
        self.inodes[id as usize].links += 1;
        self.name(parent, name, id)
    }

    fn put_directory(
        &mut self,
        parent: InodeId,
        name: &[u8],
        meta: Meta,
        xattrs: Xattrs,
        whole: &[u8],
    ) -> Result<InodeId, Refusal> {
        let mut opaque = false;
        if let Some(id) = self.lookup(parent, name) {
            let there = &mut self.inodes[id as usize];
            if let Kind::Directory(_) = there.kind {
                (there.meta, there.xattrs) = (meta, xattrs);
                return Ok(id);
            }
            opaque = there.kind == Kind::Whiteout;
        }
        let depth = self.directory(parent).map_or(0, |directory| directory.depth) + 1;
        if depth > self.limits.depth {
            return Err(Refusal::TooDeep(shown(whole)));
        }
        let kind = Kind::Directory(Directory { entries: BTreeMap::new(), parent, opaque, depth });
        let id = self.make(Inode { meta, links: 2, kind, xattrs })?;
        self.name(parent, name, id)?;
        Ok(id)
    }

    /// The directory that an entry belongs to, made where it is missing; `None` if the entry is to be left out.
    fn parent_of(&mut self, path: &Path<'_>, entry: &Entry) -> Result<Option<InodeId>, Refusal> {
        let above = path.components.split_last().map_or(&[][..], |(_, above)| above);
        match self.walk(above, true, &entry.name)? {
            Parent::Found(id) if !self.is_reserved(id) => Ok(Some(id)),
            _ => {
                self.neutralised.reserved += 1;
                Ok(None)
            }
        }
    }

    fn walk(&mut self, components: &[&[u8]], create: bool, whole: &[u8]) -> Result<Parent, Refusal> {
        let mut at = ROOT;
        for (index, component) in components.iter().enumerate() {
            if self.is_reserved(at) {
                return Ok(Parent::Reserved);
            }
            match self.lookup(at, component).map(|id| (id, &self.inode(id).kind)) {
                Some((id, Kind::Directory(_))) => at = id,
                Some((_, Kind::Symlink(_))) => return self.walk_links(at, &components[index..], create, whole),
                None | Some((_, Kind::Whiteout)) if create => at = self.make_implied(at, component, whole)?,
                None | Some((_, Kind::Whiteout)) => return Ok(Parent::Missing),
                Some(_) => return Err(Refusal::NotADirectory(shown(whole))),
            }
        }
        Ok(Parent::Found(at))
    }

    /// Like [`walk`](Self::walk) from `at` on, through symbolic links. Their targets are resolved within the layer.
    fn walk_links(&mut self, mut at: InodeId, rest: &[&[u8]], create: bool, whole: &[u8]) -> Result<Parent, Refusal> {
        self.neutralised.through_links += u64::from(create);
        let mut pending: VecDeque<Box<[u8]>> = rest.iter().map(|component| Box::from(*component)).collect();
        let mut steps = 0;
        while let Some(component) = pending.pop_front() {
            steps += 1;
            if steps > MAX_STEPS || pending.len() > MAX_STEPS {
                return Err(Refusal::LinkLoop(shown(whole)));
            }
            match &*component {
                b"" | b"." => continue,
                b".." => {
                    at = self.directory(at).map_or(ROOT, |directory| directory.parent);
                    continue;
                }
                _ if self.is_reserved(at) => return Ok(Parent::Reserved),
                name if name.len() > 255 => return Err(Refusal::NameTooLong(shown(whole))),
                _ => {}
            }
            match self.lookup(at, &component).map(|id| (id, &self.inode(id).kind)) {
                Some((id, Kind::Directory(_))) => at = id,
                Some((_, Kind::Symlink(target))) => {
                    if target.starts_with(b"/") {
                        at = ROOT;
                    }
                    for part in target.rsplit(|&byte| byte == b'/') {
                        pending.push_front(part.into());
                    }
                }
                None | Some((_, Kind::Whiteout)) if create => at = self.make_implied(at, &component, whole)?,
                None | Some((_, Kind::Whiteout)) => return Ok(Parent::Missing),
                Some(_) => return Err(Refusal::NotADirectory(shown(whole))),
            }
        }
        Ok(Parent::Found(at))
    }

    fn make_implied(&mut self, parent: InodeId, name: &[u8], whole: &[u8]) -> Result<InodeId, Refusal> {
        // A link can lead to a place whose name no entry could ask for.
        if name.starts_with(b".wh.") {
            return Err(Refusal::BadWhiteout(shown(name)));
        }
        let meta = Meta { mode: 0o755, ..Meta::default() };
        self.put_directory(parent, name, meta, Box::default(), whole)
    }

    fn is_reserved(&self, id: InodeId) -> bool {
        self.directory(id).is_some_and(|directory| directory.depth == 1)
            && RESERVED.iter().any(|name| self.lookup(ROOT, name) == Some(id))
    }

    fn directory(&self, id: InodeId) -> Option<&Directory> {
        match &self.inode(id).kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn lookup(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        self.directory(directory)?.entries.get(name).copied()
    }

    fn make(&mut self, inode: Inode) -> Result<InodeId, Refusal> {
        self.charge(INODE_BYTES)?;
        let id = self.inodes.len() as InodeId;
        self.inodes.push(inode);
        Ok(id)
    }

    /// Gives `id` a name, taking the name from whatever had it.
    fn name(&mut self, parent: InodeId, name: &[u8], id: InodeId) -> Result<(), Refusal> {
        self.charge(name.len() as u64)?;
        let is_directory = self.directory(id).is_some();
        let Kind::Directory(directory) = &mut self.inodes[parent as usize].kind else {
            return Err(Refusal::NotADirectory(shown(name)));
        };
        let replaced = directory.entries.insert(name.into(), id);
        self.inodes[parent as usize].links += u32::from(is_directory);
        if let Some(old) = replaced {
            self.neutralised.replaced += u64::from(self.inode(old).kind != Kind::Whiteout);
            self.unlink(old, parent);
        }
        Ok(())
    }

    /// Takes one name from an inode; a directory goes with all that is in it.
    fn unlink(&mut self, id: InodeId, parent: InodeId) {
        let mut doomed = vec![(id, parent)];
        while let Some((id, parent)) = doomed.pop() {
            let inode = &mut self.inodes[id as usize];
            if let Kind::Directory(directory) = &mut inode.kind {
                doomed.extend(std::mem::take(&mut directory.entries).into_values().map(|child| (child, id)));
                inode.kind = Kind::Gone;
                self.inodes[parent as usize].links -= 1;
                continue;
            }
            inode.links -= 1;
            if inode.links == 0 {
                inode.kind = Kind::Gone;
            }
        }
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.metadata_bytes += bytes;
        if self.metadata_bytes > self.limits.metadata_bytes {
            return Err(Refusal::MetadataTooLarge(self.limits.metadata_bytes));
        }
        Ok(())
    }

    fn link_target(&mut self, entry: &Entry) -> Result<Box<[u8]>, Refusal> {
        if entry.link.contains(&0) {
            return Err(Refusal::NulInName(shown(&entry.link)));
        }
        if entry.link.is_empty() || entry.link.len() > MAX_TARGET {
            return Err(Refusal::BadLinkTarget(shown(&entry.name)));
        }
        self.charge(entry.link.len() as u64)?;
        Ok(entry.link.as_slice().into())
    }

    fn xattrs_of(&mut self, entry: &Entry) -> Result<Xattrs, Refusal> {
        let mut kept = vec![];
        let mut bytes = 0;
        for (name, value) in &entry.xattrs {
            let is_plain = name
                .strip_prefix(b"user.")
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(&0) && !rest.starts_with(b"overlay."));
            if !is_plain {
                self.neutralised.xattrs += 1;
                continue;
            }
            // 16 is what the entry costs on disk at most, besides its name and value.
            bytes += name.len() + value.len() + 16;
            if name.len() > 255 || value.len() > usize::from(u16::MAX) || bytes > self.limits.xattr_bytes as usize {
                return Err(Refusal::XattrTooLarge(shown(&entry.name)));
            }
            kept.push((name.as_slice().into(), value.as_slice().into()));
        }
        self.charge(bytes as u64)?;
        Ok(kept.into_boxed_slice())
    }
}
