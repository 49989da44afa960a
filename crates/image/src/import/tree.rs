//! A folder or a tar archive as a set of named files. Names are keys; none of them is ever joined to a path unchecked.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ImageError;
use crate::store::layer::Section;

const BLOCK: u64 = 512;
/// More entries than any archive of images has.
const MAX_ENTRIES: usize = 200_000;
/// Longest extension header that is read: a name is at most a path long.
const MAX_EXTENSION: u64 = 64 * 1024;
const MAX_LINKS: usize = 8;

pub(super) struct Tree {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Folder,
    Archive { file: Arc<File>, entries: HashMap<String, Entry> },
}

enum Entry {
    File {
        offset: u64,
        len: u64,
    },
    /// Old `docker save` archives store a repeated layer as a link to the first.
    Link(String),
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let about = std::fs::metadata(path).map_err(|error| ImageError::io("open", path, error))?;
        if about.is_dir() {
            return Ok(Self { path: path.to_owned(), kind: Kind::Folder });
        }
        if !about.is_file() {
            return Err(ImageError::malformed(path.display().to_string(), "it is neither a file nor a folder"));
        }
        let file = File::open(path).map_err(|error| ImageError::io("open", path, error))?;
        let entries = index(&file, about.len()).map_err(|reason| match reason {
            Bad::Io(error) => ImageError::io("read", path, error),
            Bad::Format(reason) => ImageError::malformed(path.display().to_string(), reason),
        })?;
        Ok(Self { path: path.to_owned(), kind: Kind::Archive { file: Arc::new(file), entries } })
    }

    /// A file of the tree for an error message.
    pub(super) fn shown(&self, name: &str) -> String {
        let name: String = name.chars().take(120).collect();
        format!("{} in {}", name.escape_debug(), self.path.display())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.section(name).is_ok()
    }

    /// Where the file lies.
    pub(super) fn section(&self, name: &str) -> Result<Section, ImageError> {
        let missing =
            || ImageError::malformed(self.path.display().to_string(), format!("`{}` is missing", name.escape_debug()));
        match &self.kind {
            Kind::Archive { file, entries } => {
                let mut name = normal(name).ok_or_else(missing)?;
                for _ in 0..MAX_LINKS {
                    match entries.get(&name).ok_or_else(missing)? {
                        Entry::File { offset, len } => {
                            return Ok(Section { file: Arc::clone(file), offset: *offset, len: *len });
                        }
                        Entry::Link(target) => name.clone_from(target),
                    }
                }
                Err(missing())
            }
            Kind::Folder => {
                // Every name we ask for in a folder is a constant or made of checked digests.
                let checked = normal(name).filter(|normal| normal == name).ok_or_else(missing)?;
                let path = self.path.join(checked);
                let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
                let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
                    Err(error) => return Err(ImageError::io("open", &path, error)),
                };
                let about = file.metadata().map_err(|error| ImageError::io("look at", &path, error))?;
                match about.is_file() {
                    true => Ok(Section { file: Arc::new(file), offset: 0, len: about.len() }),
                    false => Err(ImageError::malformed(path.display().to_string(), "it is not a file")),
                }
            }
        }
    }

    /// The content of a small file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
        let mut section = self.section(name)?;
        if section.len > limit {
            return Err(ImageError::TooLarge { what: self.shown(name), limit, unit: "bytes" });
        }
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).map_err(|error| ImageError::malformed(self.shown(name), error))?;
        Ok(bytes)
    }
}

/// A name without `.`, `..`, doubled and leading slashes; `None` where it leads out.
fn normal(name: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[derive(Debug)]
enum Bad {
    Io(io::Error),
    Format(String),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn bad<T>(reason: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Format(reason.into()))
}

/// Finds all files and links of an archive. The archive is a stranger's: sizes are checked against the file, names are
/// only kept as keys.
fn index(file: &File, len: u64) -> Result<HashMap<String, Entry>, Bad> {
    let mut entries = HashMap::new();
    let mut at = 0;
    let mut long_name = None;
    let mut long_target = None;
    while at + BLOCK <= len {
        let mut header = [0; BLOCK as usize];
        file.read_exact_at(&mut header, at)?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        check_header(&header, at)?;
        let size =
            number(&header[124..136]).ok_or_else(|| Bad::Format(format!("the size at byte {at} is no number")))?;
        let data = at + BLOCK;
        if size > len - data {
            return bad("the archive is cut off");
        }
        at = data + size.div_ceil(BLOCK) * BLOCK;
        let extension = |what: &str| match size <= MAX_EXTENSION {
            false => bad(format!("a {what} is unreasonably long")),
            true => {
                let mut bytes = vec![0; size as usize];
                file.read_exact_at(&mut bytes, data)?;
                Ok(bytes)
            }
        };
        match header[156] {
            b'L' => long_name = Some(text(&extension("name")?)),
            b'K' => long_target = Some(text(&extension("link")?)),
            b'x' => {
                let (name, target) = pax(&extension("header")?);
                long_name = name.or(long_name);
                long_target = target.or(long_target);
            }
            b'g' => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                let target = long_target.take().unwrap_or_else(|| text(&header[157..257]));
                if let (Some(name), Some(entry)) = (normal(&name), entry(kind, &name, &target, data, size)) {
                    entries.insert(name, entry);
                }
            }
        }
        if entries.len() > MAX_ENTRIES {
            return bad(format!("it has more than {MAX_ENTRIES} entries"));
        }
    }
    match entries.is_empty() {
        true => bad("it is no tar archive"),
        false => Ok(entries),
    }
}

fn entry(kind: u8, name: &str, target: &str, offset: u64, len: u64) -> Option<Entry> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(match kind {
        b'0' | b'7' | 0 => Entry::File { offset, len },
        b'1' => Entry::Link(normal(target)?),
        b'2' if !target.starts_with('/') => Entry::Link(normal(&format!("{folder}/{target}"))?),
        _ => return None,
    })
}

fn check_header(header: &[u8; BLOCK as usize], at: u64) -> Result<(), Bad> {
    let stated = number(&header[148..156]);
    let sum: u64 =
        header.iter().enumerate().map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u64::from(*byte) }).sum();
    if stated == Some(sum) {
        return Ok(());
    }
    match (at, header.as_slice()) {
        (0, [0x1f, 0x8b, ..]) => bad("it is packed with gzip; unpack it first (gunzip)"),
        (0, [0x28, 0xb5, 0x2f, 0xfd, ..]) => bad("it is packed with zstd; unpack it first (unzstd)"),
        (0, [0xfd, b'7', b'z', b'X', b'Z', ..]) => bad("it is packed with xz; unpack it first (unxz)"),
        (0, _) => bad("it is no tar archive"),
        _ => bad(format!("the header at byte {at} is damaged")),
    }
}

/// Octal, or big-endian binary where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let fold = |value: u64, byte: &u8| value.checked_mul(256)?.checked_add(u64::from(*byte));
        return rest.iter().try_fold(u64::from(first & 0x7f), fold);
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

/// Bytes until the first NUL.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn short_name(header: &[u8]) -> String {
    let prefix = if &header[257..262] == b"ustar" { text(&header[345..500]) } else { String::new() };
    match prefix.is_empty() {
        true => text(&header[..100]),
        false => format!("{prefix}/{}", text(&header[..100])),
    }
}

/// `path` and `linkpath` of an extension header.
fn pax(mut bytes: &[u8]) -> (Option<String>, Option<String>) {
    let (mut name, mut target) = (None, None);
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let Some(length) = std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse::<usize>().ok()) else {
            break;
        };
        if length <= space + 1 || length > bytes.len() {
            break;
        }
        let record = String::from_utf8_lossy(&bytes[space + 1..length]);
        match record.trim_end_matches('\n').split_once('=') {
            Some(("path", value)) => name = Some(value.to_owned()),
            Some(("linkpath", value)) => target = Some(value.to_owned()),
            _ => {}
        }
        bytes = &bytes[length..];
    }
    (name, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, kind: u8, size: u64, target: &str) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[148..156].fill(b' ');
        block[156] = kind;
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn file(name: &str, content: &str) -> Vec<u8> {
        let mut bytes = header(name, b'0', content.len() as u64, "");
        bytes.extend_from_slice(content.as_bytes());
        bytes.resize(bytes.len().div_ceil(512) * 512, 0);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Tree, ImageError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, bytes).unwrap();
        Tree::open(&path)
    }

    #[test]
    fn files_and_links_are_found() {
        let mut bytes = file("./a/layer.tar", "one");
        bytes.extend(header("b/layer.tar", b'2', 0, "../a/layer.tar"));
        bytes.extend(header("c", b'1', 0, "a/layer.tar"));
        bytes.extend(header("out", b'2', 0, "../../etc/passwd"));
        bytes.extend(header("absolute", b'2', 0, "/etc/passwd"));
        bytes.extend(header("loop", b'2', 0, "loop"));
        bytes.extend(vec![0; 1024]);
        let tree = open(&bytes).unwrap();
        for name in ["a/layer.tar", "b/layer.tar", "c", "./a/./layer.tar"] {
            assert_eq!(tree.read(name, 10).unwrap(), b"one", "{name}");
        }
        for name in ["out", "absolute", "loop", "a", "../a/layer.tar", ""] {
            assert!(!tree.has(name), "{name}");
        }
        assert!(matches!(tree.read("c", 2), Err(ImageError::TooLarge { .. })));
    }

    #[test]
    fn long_names() {
        let long = "d/".repeat(80) + "x";
        let mut bytes = header("@LongLink", b'L', long.len() as u64 + 1, "");
        bytes.extend_from_slice(long.as_bytes());
        bytes.resize(1024, 0);
        bytes.extend(file("short", "two"));
        let record = "12 path=p/q\n";
        bytes.extend(header("pax", b'x', record.len() as u64, ""));
        bytes.extend_from_slice(record.as_bytes());
        bytes.resize(bytes.len().div_ceil(512) * 512, 0);
        bytes.extend(file("short", "six"));
        let tree = open(&bytes).unwrap();
        assert_eq!(tree.read(&long, 10).unwrap(), b"two");
        assert_eq!(tree.read("p/q", 10).unwrap(), b"six");
    }

    #[test]
    fn nonsense_is_refused() {
        for (bytes, expect) in [
            (b"\x1f\x8b".repeat(300), "gzip"),
            (b"hello".repeat(300), "no tar archive"),
            (Vec::new(), "no tar archive"),
            (header("a", b'0', 4096, ""), "cut off"),
            ([file("a", "x"), b"junk".repeat(128)].concat(), "damaged"),
            (header("a", b'L', 1024 * 1024, ""), "cut off"),
        ] {
            let error = open(&bytes).err().unwrap().to_string();
            assert!(error.contains(expect), "{error} (expected {expect})");
        }
    }

    /// Bounded, deterministic: whatever an archive holds, indexing it ends, and no entry lies outside of the file.
    #[test]
    fn mutated_archives_never_lead_outside() {
        let mut seed = file("a/layer.tar", "one");
        seed.extend(header("b", b'2', 0, "a/layer.tar"));
        seed.extend(header("x", b'x', 12, ""));
        seed.extend(file("c", "two"));
        seed.extend(vec![0; 1024]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..3000 {
            let mut bytes = seed.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            // With right checksums, so that the mutations get further than the first check.
            for block in bytes.chunks_mut(512).filter(|block| block.len() == 512 && random(4) > 0) {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
                block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            }
            bytes.truncate(512 + random(bytes.len() - 511));
            std::fs::write(&path, &bytes).unwrap();
            let Ok(Tree { kind: Kind::Archive { entries, .. }, .. }) = Tree::open(&path) else { continue };
            for entry in entries.values() {
                if let Entry::File { offset, len } = entry {
                    assert!(offset + len <= bytes.len() as u64);
                }
            }
        }
    }

    #[test]
    fn folders_do_not_follow_links() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("b")).unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        assert!(tree.has("a"));
        for name in ["b", "missing", ".", "../a", "/etc/passwd"] {
            assert!(!tree.has(name), "{name}");
        }
    }
}
