//! Extracts a tar stream that the host sends.

use std::fs::File;
use std::io::{self, Read};

use tar::EntryType;
use wire::init::{FileReply, OperationError, Skipped, TarLimits};

use super::place::Place;
use super::{failed, limit_error, skip};

const READ_BUFFER_BYTES: usize = 64 * 1024;

struct Put<'a> {
    dir: &'a str,
    place: Place,
    entries: u64,
    bytes: u64,
    skipped: Skipped,
}

pub(super) fn put_tar(
    dir: &str,
    owner: Option<(u32, u32)>,
    limits: TarLimits,
    input: File,
) -> Result<FileReply, OperationError> {
    let place = Place::open(dir, owner)?;
    let mut put = Put { dir, place, entries: 0, bytes: 0, skipped: Skipped::default() };
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(READ_BUFFER_BYTES, input));
    for entry in archive.entries().map_err(failed("extract to", dir))? {
        let mut entry = entry.map_err(failed("extract to", dir))?;
        put.entries += 1;
        put.bytes = put.bytes.saturating_add(entry.size());
        if put.entries > limits.entries {
            return Err(limit_error("extract to", dir, format_args!("{} entries", limits.entries)));
        }
        if put.bytes > limits.bytes {
            return Err(limit_error("extract to", dir, format_args!("{} bytes", limits.bytes)));
        }
        put.entry(&mut entry)?;
    }
    // Padding after the end marker, so that the sender is not surprised by a closed pipe.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed("extract to", dir))?;
    let Put { place, entries, bytes, mut skipped, .. } = put;
    place.finish(&mut skipped);
    Ok(FileReply::Put { entries: entries.saturating_sub(skipped.count), bytes, skipped })
}

/// A relative name without `.`; `None` where it leads up.
fn plain_path(name: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part if part.contains(&0) => return None,
            part => parts.push(part),
        }
    }
    Some(parts)
}

impl Put<'_> {
    /// Extracts one entry. An entry that cannot be is skipped; a disk that is full ends everything.
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), OperationError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            self.entries -= 1;
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let Some(parts) = plain_path(&name) else {
            skip(&mut self.skipped, &name, "the name leads out of the folder");
            return Ok(());
        };
        let Some((last, folders)) = parts.split_last() else { return Ok(()) };
        let place = &mut self.place;
        let result = place.parent(folders).and_then(|parent| {
            let header = entry.header();
            let target = || entry.link_name_bytes().ok_or_else(|| io::Error::other("a link without a target"));
            match kind {
                EntryType::Directory => place.folder(&parent, &parts, header.mode()?),
                EntryType::Symlink => place.symlink(&parent, last, &target()?),
                EntryType::Link => {
                    let leads_out = || io::Error::other("the link leads out of the folder");
                    place.hard_link(&parent, last, &plain_path(&target()?).ok_or_else(leads_out)?)
                }
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    let says = (header.mode()?, Some(header.mtime()?));
                    place.file(&parent, last, says, entry)
                }
                _ => Err(io::Error::other("not a file, folder or link")),
            }
        });
        match result {
            Ok(()) => Ok(()),
            Err(error) if is_fatal(&error) => {
                Err(failed("extract", &format!("{} to {}", String::from_utf8_lossy(&name), self.dir))(error))
            }
            Err(error) => {
                skip(&mut self.skipped, &name, error.to_string());
                Ok(())
            }
        }
    }
}

/// A stream that is broken or a place that is full makes every further entry pointless.
fn is_fatal(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(errno) => {
            matches!(errno, libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::EROFS | libc::ENOMEM | libc::EMFILE)
        }
        None => matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData),
    }
}

#[cfg(test)]
mod tests {
    use super::plain_path;

    #[test]
    fn names_are_made_plain_or_refused() {
        let check = |name: &str, expect: Option<&str>| {
            let parts =
                plain_path(name.as_bytes()).map(|parts| String::from_utf8_lossy(&parts.join(&b'/')).into_owned());
            assert_eq!(parts.as_deref(), expect, "{name}");
        };
        check("a/b", Some("a/b"));
        check("./a//b/.", Some("a/b"));
        check("/etc/passwd", Some("etc/passwd"));
        check("a/../b", None);
        check("..", None);
        check("a\0b", None);
        check("./", Some(""));
    }
}
