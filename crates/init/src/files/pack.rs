//! Packs files into an archive that stays inside: `zip`, `tar`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use model::request::{ArchiveFormat, FileSet};
use rawzip::path::EntryPath;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use rustix::fs::Stat;
use tar::{Builder, EntryType};
use wire::init::{FileReply, OperationError, TarLimits};

use super::get::{self, Out, bytes_path};
use super::{copy, failed, make_all};

const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// What a ZIP archive says of the kind of a file, beside its permissions.
const REGULAR_FILE: u32 = 0o100_000;

/// An archive that is being written.
pub(super) struct Archive {
    to: Writer,
    /// Device and inode of itself: it may lie in the folder that it is made of.
    pub(super) own: (u64, u64),
}

enum Writer {
    Tar(Builder<BufWriter<File>>),
    TarGz(Builder<GzEncoder<BufWriter<File>>>),
    Zip(ZipArchiveWriter<BufWriter<File>>),
}

/// Packs what matches. On an error no archive is left.
pub(super) fn pack(
    files: &FileSet,
    archive: &str,
    format: ArchiveFormat,
    limits: TarLimits,
) -> Result<FileReply, OperationError> {
    let made = Archive::create(archive, format).map_err(failed("make", archive))?;
    let packed = get::get(files, limits, Out::Archive(Box::new(made)));
    if packed.is_err() {
        // Why it failed is what matters.
        let _ = std::fs::remove_file(archive);
    }
    packed
}

impl Archive {
    fn create(path: &str, format: ArchiveFormat) -> io::Result<Archive> {
        if let Some(parent) = Path::new(path).parent() {
            make_all(parent, 0o755)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        let status = file.metadata()?;
        let out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        let to = match format {
            ArchiveFormat::Tar => Writer::Tar(Builder::new(out)),
            ArchiveFormat::TarGz => Writer::TarGz(Builder::new(GzEncoder::new(out, Compression::default()))),
            ArchiveFormat::Zip => Writer::Zip(ZipArchiveWriter::new(out)),
        };
        Ok(Archive { to, own: (status.dev(), status.ino()) })
    }

    /// Adds a file of so many bytes.
    pub(super) fn add(&mut self, path: &[u8], stat: &Stat, bytes: u64, content: &mut impl Read) -> io::Result<()> {
        let mut header = get::header(EntryType::Regular, stat);
        header.set_size(bytes);
        match &mut self.to {
            Writer::Tar(tar) => tar.append_data(&mut header, bytes_path(path), content),
            Writer::TarGz(tar) => tar.append_data(&mut header, bytes_path(path), content),
            Writer::Zip(zip) => add_to_zip(zip, path, stat, content),
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self.to {
            Writer::Tar(tar) => tar.into_inner()?.flush(),
            Writer::TarGz(tar) => tar.into_inner()?.finish()?.flush(),
            Writer::Zip(zip) => zip.finish().map_err(zip_error)?.flush(),
        }
    }
}

fn add_to_zip(
    zip: &mut ZipArchiveWriter<BufWriter<File>>,
    path: &[u8],
    stat: &Stat,
    content: &mut impl Read,
) -> io::Result<()> {
    let name = match std::str::from_utf8(path) {
        // Elsewhere a backslash stands between folders.
        Ok(name) if !name.contains('\\') => EntryPath::conformant(name),
        _ => EntryPath::verbatim(path),
    };
    let entry = zip
        .new_file(name)
        .compression_method(CompressionMethod::DEFLATE)
        .last_modified(UtcDateTime::from_unix(stat.st_mtime))
        .unix_permissions(REGULAR_FILE | (stat.st_mode & 0o777));
    let (mut entry, config) = entry.start().map_err(zip_error)?;
    let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
    copy(content, &mut writer)?;
    let (encoder, descriptor) = writer.finish().map_err(zip_error)?;
    encoder.finish()?;
    entry.finish(descriptor).map_err(zip_error)?;
    Ok(())
}

/// The error of the file below, where there is one.
pub(super) fn zip_error(error: rawzip::Error) -> io::Error {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
