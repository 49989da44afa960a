//! A reader of EROFS images that shares nothing with the writer, and one of folders: both give a listing of lines.
//!
//! ```text
//!   d 755 0:0 etc                 directory (`d!` if opaque)
//!   f 644 0:0 etc/x = content     file (`#SIZE` for long ones); `f2` has two names
//!   l etc/y -> target             symbolic link
//!   w z                           whiteout
//!   p 644 0:0 q                   named pipe
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

struct Image<'a> {
    bytes: &'a [u8],
    metadata: usize,
    epoch: (i64, u32),
}

/// One inode as read back.
pub struct Node {
    pub mode: u16,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, u32),
    pub xattrs: Xattrs,
    pub content: Vec<u8>,
    pub rdev: u32,
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

impl Image<'_> {
    fn inode(&self, nid: usize) -> Node {
        let at = self.metadata + nid * 32;
        let b = &self.bytes[at..];
        let format = u16_at(b, 0);
        let (extended, layout) = (format & 1 == 1, format >> 1);
        let (size, core) = if extended { (u64_at(b, 8), 64) } else { (u32_at(b, 8), 32) };
        let start = u32_at(b, 16);
        let units = u16_at(b, 2);
        let xattr_bytes = if units == 0 { 0 } else { 12 + 4 * (units - 1) };
        let mode = u16_at(b, 4) as u16;
        let tail_at = at + core + xattr_bytes;
        let whole = if layout == 2 { size / 4096 * 4096 } else { size };
        let mut content = if whole > 0 && mode & 0o170_000 != 0o020_000 {
            self.bytes[start * 4096..start * 4096 + whole].to_vec()
        } else {
            vec![]
        };
        if layout == 2 {
            assert!(tail_at % 4096 + size % 4096 <= 4096, "the tail crosses a block");
            content.extend(&self.bytes[tail_at..tail_at + size % 4096]);
        } else {
            assert_eq!(layout, 0);
        }
        Node {
            mode,
            links: if extended { u32_at(b, 44) } else { u16_at(b, 6) } as u32,
            uid: if extended { u32_at(b, 24) } else { u16_at(b, 24) } as u32,
            gid: if extended { u32_at(b, 28) } else { u16_at(b, 26) } as u32,
            mtime: if extended { (u64_at(b, 32) as i64, u32_at(b, 40) as u32) } else { self.epoch },
            xattrs: self.xattrs(at + core, xattr_bytes),
            content,
            rdev: start as u32,
        }
    }

    fn xattrs(&self, at: usize, bytes: usize) -> Xattrs {
        let mut xattrs = Xattrs::new();
        let mut cursor = at + 12;
        while cursor < at + bytes {
            let (name, prefix, value) = (self.bytes[cursor], self.bytes[cursor + 1], u16_at(self.bytes, cursor + 2));
            let prefix = match prefix {
                1 => "user.",
                4 => "trusted.",
                other => panic!("attribute prefix {other}"),
            };
            let name_at = cursor + 4;
            let value_at = name_at + usize::from(name);
            let name = [prefix.as_bytes(), &self.bytes[name_at..value_at]].concat();
            assert!(xattrs.insert(name, self.bytes[value_at..value_at + value].to_vec()).is_none(), "a name twice");
            cursor = (value_at + value).next_multiple_of(4);
        }
        xattrs
    }

    fn walk(&self, nid: usize, path: &[u8], nodes: &mut BTreeMap<Vec<u8>, Node>) {
        let node = self.inode(nid);
        if node.mode & 0o170_000 == 0o040_000 {
            let mut last: Option<Vec<u8>> = None;
            let mut directories = 0;
            for block in node.content.chunks(4096) {
                let count = u16_at(block, 8) / 12;
                for index in 0..count {
                    let entry = &block[index * 12..];
                    let from = u16_at(entry, 8);
                    let to = if index + 1 < count { u16_at(entry, 20) } else { block.len() };
                    let name: Vec<u8> = block[from..to].iter().copied().take_while(|byte| *byte != 0).collect();
                    assert!(last.as_ref() < Some(&name), "names in order");
                    let child = u64_at(entry, 0);
                    let child_mode = self.inode(child).mode & 0o170_000;
                    let kind = [(0o100_000, 1), (0o040_000, 2), (0o020_000, 3), (0o010_000, 5), (0o120_000, 7)];
                    assert!(kind.contains(&(child_mode, entry[10])), "type of {name:?}");
                    directories += u32::from(child_mode == 0o040_000);
                    if name != b"." && name != b".." {
                        let path = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
                        self.walk(child, &path, nodes);
                    }
                    last = Some(name);
                }
            }
            // `.` and `..` count among them; so they do among the links.
            assert_eq!(node.links, directories, "links of {path:?}");
        }
        nodes.insert(path.to_vec(), node);
    }
}

/// Everything in an image by path; the root is the empty path.
pub fn nodes(bytes: &[u8]) -> BTreeMap<Vec<u8>, Node> {
    assert_eq!(u32_at(bytes, 1024), 0xE0F5_E1E2);
    let metadata = u32_at(bytes, 1024 + 40) * 4096;
    let epoch = (u64_at(bytes, 1024 + 24) as i64, u32_at(bytes, 1024 + 32) as u32);
    let mut nodes = BTreeMap::new();
    Image { bytes, metadata, epoch }.walk(u16_at(bytes, 1024 + 14), b"", &mut nodes);
    nodes
}

fn line(path: &[u8], node: &Node) -> String {
    let name = String::from_utf8_lossy(path).escape_debug().to_string();
    let opaque = node.xattrs.contains_key(&b"user.overlay.opaque"[..]);
    let (mode, owner) = (format!("{:o}", node.mode & 0o7777), format!("{}:{}", node.uid, node.gid));
    let links = if node.links > 1 { node.links.to_string() } else { String::new() };
    let own = node.xattrs.iter().filter(|(name, _)| !name.ends_with(b"overlay.opaque"));
    let xattrs: String =
        own.map(|(name, value)| format!(" [{}={}]", String::from_utf8_lossy(name), value.escape_ascii())).collect();
    let text = match node.mode & 0o170_000 {
        0o040_000 => format!("d{} {mode} {owner} {name}", if opaque { "!" } else { "" }),
        0o100_000 if node.content.len() > 40 => format!("f{links} {mode} {owner} {name} #{}", node.content.len()),
        0o100_000 => format!("f{links} {mode} {owner} {name} = {}", node.content.escape_ascii()),
        0o120_000 => format!("l{links} {name} -> {}", node.content.escape_ascii()),
        0o010_000 => format!("p{links} {mode} {owner} {name}"),
        0o020_000 if node.rdev == 0 => format!("w {name}"),
        other => format!("? {other:o} {name}"),
    };
    text + &xattrs
}

/// The listing of an image, without its root.
pub fn list_image(bytes: &[u8]) -> Vec<String> {
    let nodes = nodes(bytes);
    nodes.iter().filter(|(path, _)| !path.is_empty()).map(|(path, node)| line(path, node)).collect()
}

/// The listing of a folder.
pub fn list_folder(root: &Path) -> Vec<String> {
    let mut nodes = BTreeMap::new();
    read_folder(root, b"", &mut nodes);
    nodes.iter().map(|(path, node)| line(path, node)).collect()
}

fn read_folder(folder: &Path, prefix: &[u8], nodes: &mut BTreeMap<Vec<u8>, Node>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
        let name = entry.file_name();
        let whole = if prefix.is_empty() { name.as_bytes().to_vec() } else { [prefix, b"/", name.as_bytes()].concat() };
        let kind = meta.file_type();
        let content = if kind.is_file() {
            fs::read(&path).unwrap()
        } else if kind.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else {
            vec![]
        };
        if kind.is_dir() {
            read_folder(&path, &whole, nodes);
        }
        let node = Node {
            mode: (meta.permissions().mode() & 0o177_777) as u16,
            links: if kind.is_dir() { 2 } else { meta.nlink() as u32 },
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: (meta.mtime(), meta.mtime_nsec() as u32),
            xattrs: xattrs_of(&path, kind.is_file() || kind.is_dir()),
            content,
            rdev: if kind.is_char_device() { meta.rdev() as u32 } else { 0 },
        };
        nodes.insert(whole, node);
    }
}

fn xattrs_of(path: &Path, has_them: bool) -> Xattrs {
    let mut xattrs = Xattrs::new();
    if !has_them {
        return xattrs;
    }
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    for name in names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
        let mut value = vec![0; 65536];
        let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        xattrs.insert(name.to_vec(), value[..length].to_vec());
    }
    xattrs
}
