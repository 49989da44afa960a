//! Takes an archive apart that lies inside: `unzip`, `untar`. What is written in it was written by the workload, or by whoever it had it
//! from: names that lead out of the folder end everything, as in Jenkins, links that do are passed over, and how much is unpacked is
//! counted as it comes, whatever the archive says.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use model::request::{ArchiveFormat, FileSet, Unpacking};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};
use rustix::io::Errno;
use tar::EntryType;
use wire::init::{FileReply, OperationError, Skipped, TarLimits, listing};

use super::pack::zip_error;
use super::place::Place;
use super::{copy, failed, limit_error, open_regular, skip};
use model::ant::{Name, Patterns};

const BUFFER_BYTES: usize = 64 * 1024;
/// Longest name: the kernel takes no longer one either.
const MAX_PATH_BYTES: usize = 4096;
/// What begins a stream of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What an entry of a tar stream takes beside its content, at most: blocks for names that are long, and for attributes.
const ENTRY_BYTES: u64 = 16 * 1024;
/// Permissions of what is made where those of the archive are not wanted, or not there.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// What is to be done.
pub(super) struct Order<'a> {
    pub(super) archive: &'a str,
    pub(super) files: &'a FileSet,
    pub(super) purpose: Unpacking,
    pub(super) named: u64,
    pub(super) limits: TarLimits,
}

pub(super) fn unpack(order: &Order<'_>, format: ArchiveFormat, output: File) -> Result<FileReply, OperationError> {
    let done = Unpack::begin(order, output).and_then(|unpack| unpack.run(format));
    match (order.purpose, done) {
        (Unpacking::Test, Ok(_)) => Ok(FileReply::Tested { flaw: None }),
        (Unpacking::Test, Err(flaw)) => Ok(FileReply::Tested { flaw: Some(flaw.to_string()) }),
        (_, done) => done,
    }
}

struct Unpack<'a> {
    order: &'a Order<'a>,
    patterns: Patterns,
    /// Where files are made, if any are.
    place: Option<Place>,
    out: BufWriter<File>,
    entries: u64,
    /// Files that were made, read or looked at.
    files: u64,
    /// Bytes that may still be unpacked.
    left: u64,
    skipped: Skipped,
}

/// An entry of an archive.
struct Item<'a> {
    name: &'a [u8],
    kind: Kind<'a>,
    /// As the archive has it, where that is to be kept.
    mode: Option<u32>,
}

enum Kind<'a> {
    File,
    Folder,
    Link(&'a [u8]),
    HardLink(&'a [u8]),
    Other,
}

impl<'a> Unpack<'a> {
    fn begin(order: &'a Order<'a>, output: File) -> Result<Unpack<'a>, OperationError> {
        let is_made = matches!(order.purpose, Unpacking::Extract { .. });
        Ok(Unpack {
            order,
            patterns: Patterns::new(order.files),
            place: if is_made { Some(Place::open(&order.files.dir, None)?) } else { None },
            out: BufWriter::with_capacity(BUFFER_BYTES, output),
            entries: 0,
            files: 0,
            left: order.limits.bytes,
            skipped: Skipped::default(),
        })
    }

    fn run(mut self, format: ArchiveFormat) -> Result<FileReply, OperationError> {
        let archive = self.order.archive;
        let file = open_regular(OpenOptions::new().read(true), "read", archive)?;
        match format {
            ArchiveFormat::Zip => self.zip(file)?,
            ArchiveFormat::Tar | ArchiveFormat::TarGz => self.tar(file)?,
        }
        if let Some(place) = self.place.take() {
            place.finish(&mut self.skipped);
        }
        self.out.flush().map_err(failed("tell of", archive))?;
        let bytes = self.order.limits.bytes - self.left;
        Ok(FileReply::Put { entries: self.files, bytes, skipped: self.skipped })
    }

    fn zip(&mut self, file: File) -> Result<(), OperationError> {
        let failed = failed("read", self.order.archive);
        let broken = |error| failed(zip_error(error));
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file, &mut buffer).map_err(broken)?;
        let mut entries = archive.entries(&mut buffer);
        let mut seen = 0u64;
        while let Some(record) = entries.next_entry().map_err(broken)? {
            seen += 1;
            let name = record.file_path();
            let kind = if record.is_dir() { Kind::Folder } else { Kind::File };
            // Jenkins leaves permissions out, and makes files of links.
            let item = Item { name: name.as_bytes(), kind, mode: None };
            if record.flags().is_encrypted() {
                return Err(failed(io::Error::other("it is encrypted")));
            }
            let entry = archive.get_entry(record.wayfinder()).map_err(broken)?;
            let packed = entry.reader();
            match record.compression_method() {
                CompressionMethod::STORE => self.item(&item, &mut entry.verifying_reader(packed))?,
                CompressionMethod::DEFLATE => {
                    self.item(&item, &mut entry.verifying_reader(DeflateDecoder::new(packed)))?;
                }
                other => return Err(failed(io::Error::other(format!("compression {other} is not known here")))),
            }
        }
        if seen < archive.entries_hint() {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn tar(&mut self, mut file: File) -> Result<(), OperationError> {
        let Order { archive: path, limits, .. } = self.order;
        let failed = failed("read", path);
        let mut start = Vec::new();
        (&mut file).take(GZIP.len() as u64).read_to_end(&mut start).map_err(&failed)?;
        file.seek(SeekFrom::Start(0)).map_err(&failed)?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let stream: Box<dyn Read> = if start == GZIP { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        // Nobody inflates for ever what is no content.
        let most = limits.bytes.saturating_add(limits.entries.saturating_mul(ENTRY_BYTES));
        let mut archive = tar::Archive::new(stream.take(most));
        for entry in archive.entries().map_err(&failed)? {
            let mut entry = entry.map_err(&failed)?;
            let (name, target) = (entry.path_bytes().into_owned(), entry.link_name_bytes().map(|t| t.into_owned()));
            let kind = match (entry.header().entry_type(), &target) {
                (EntryType::XGlobalHeader, _) => continue,
                (EntryType::Directory, _) => Kind::Folder,
                (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => Kind::File,
                (EntryType::Symlink, Some(target)) => Kind::Link(target),
                (EntryType::Link, Some(target)) => Kind::HardLink(target),
                _ => Kind::Other,
            };
            let mode = match self.order.purpose {
                Unpacking::Extract { keep_permissions: true, .. } => Some(entry.header().mode().map_err(&failed)?),
                _ => None,
            };
            self.item(&Item { name: &name, kind, mode }, &mut entry)?;
        }
        // What is behind the end marker has the checksum of gzip.
        copy(archive.into_inner(), &mut io::sink()).map_err(&failed)?;
        Ok(())
    }

    fn item(&mut self, item: &Item<'_>, content: &mut impl Read) -> Result<(), OperationError> {
        let Order { archive, files, limits, .. } = self.order;
        self.entries += 1;
        if self.entries > limits.entries {
            return Err(limit_error("unpack", archive, format_args!("{} entries", limits.entries)));
        }
        let parts = item.name.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        let names: Vec<Name> = parts.map(|part| self.patterns.name(part)).collect();
        if !self.patterns.matches(&names) {
            return Ok(());
        }
        let out_of_bounds = || {
            OperationError::new(format!("{}/{} is out of bounds!", files.dir, String::from_utf8_lossy(item.name)), 0)
        };
        let parts = inside(item.name).ok_or_else(out_of_bounds)?;
        if item.name.len() > MAX_PATH_BYTES {
            return Err(failed("unpack", archive)(Errno::NAMETOOLONG.into()));
        }
        let mut content = Counted { from: content, left: self.left, is_exceeded: false };
        let done = match (&mut self.place, &item.kind) {
            (Some(place), _) => make(place, item, &parts, &mut content),
            (None, Kind::File) if self.order.purpose == Unpacking::Read => tell(&mut self.out, item.name, &mut content),
            (None, Kind::File) => copy(&mut content, &mut io::sink()).map(drop),
            (None, _) => Ok(()),
        };
        self.left = content.left;
        match done {
            _ if content.is_exceeded => {
                return Err(limit_error("unpack", archive, format_args!("{} bytes", limits.bytes)));
            }
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) => return Err(out_of_bounds()),
            // What it is made of is no problem of the archive.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                skip(&mut self.skipped, item.name, error.to_string());
                return Ok(());
            }
            Err(error) => {
                return Err(failed("unpack", &format!("{archive}: {}", String::from_utf8_lossy(item.name)))(error));
            }
        }
        if !matches!(item.kind, Kind::Folder) {
            self.files += 1;
            if self.place.is_some() && self.files <= self.order.named {
                let entry = listing::entry(item.name, false, 0, 0);
                self.out.write_all(&entry).map_err(failed("tell of", archive))?;
            }
        }
        Ok(())
    }
}

/// Makes what an entry says.
fn make(place: &mut Place, item: &Item<'_>, parts: &[&[u8]], content: &mut impl Read) -> io::Result<()> {
    let Some((last, folders)) = parts.split_last() else { return Ok(()) };
    let leads_out = || io::Error::new(io::ErrorKind::Unsupported, "the link leads out of the folder");
    let parent = place.parent(folders)?;
    match item.kind {
        Kind::Folder => place.folder(&parent, parts, item.mode.unwrap_or(FOLDER_MODE)),
        Kind::File => place.file(&parent, last, (item.mode.unwrap_or(FILE_MODE), None), content),
        Kind::Link(target) => {
            let from_top = [&folders.join(&b'/'), target].join(&b'/');
            let is_inside = !target.starts_with(b"/") && inside(&from_top).is_some();
            if is_inside { place.symlink(&parent, last, target) } else { Err(leads_out()) }
        }
        Kind::HardLink(target) => place.hard_link(&parent, last, &inside(target).ok_or_else(leads_out)?),
        Kind::Other => Err(io::Error::new(io::ErrorKind::Unsupported, "not a file, folder or link")),
    }
}

/// Sends a file with its content. That is bounded by what may be unpacked at all.
fn tell(out: &mut impl Write, name: &[u8], content: &mut impl Read) -> io::Result<()> {
    let mut text = Vec::new();
    content.read_to_end(&mut text)?;
    out.write_all(&listing::entry(name, false, text.len() as u64, 0))?;
    out.write_all(&text)
}

/// The parts of a relative path; `None` where it leads out of the folder that it starts in, on whatever way.
fn inside(name: &[u8]) -> Option<Vec<&[u8]>> {
    if name.starts_with(b"/") || name.contains(&0) {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            // The same in the words of Windows: here a name like any other, and a way out where it is unpacked there.
            part if part.contains(&b'\\') && part.split(|&byte| byte == b'\\').any(|step| step == b"..") => {
                return None;
            }
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// Content, as long as there is room for it.
struct Counted<'a, R> {
    from: &'a mut R,
    left: u64,
    is_exceeded: bool,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_exceeded = true;
                return Err(Errno::FBIG.into());
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn paths_stay_inside_or_are_none() {
        let check = |name: &[u8], expect: Option<&str>| {
            let parts = inside(name).map(|parts| String::from_utf8_lossy(&parts.join(&b'/')).into_owned());
            assert_eq!(parts.as_deref(), expect, "{}", String::from_utf8_lossy(name));
        };
        check(b"./a//b/", Some("a/b"));
        check(b"a/../b", Some("b"));
        check(b"a/..", Some(""));
        check(b"../a", None);
        check(b"a/../../b", None);
        check(b"/a", None);
        check(br"a\b", Some(r"a\b"));
        check(br"a/..\..\b", None);
        check(b"a\0b", None);
    }
}
