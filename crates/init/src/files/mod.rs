//! Work on files, in a process of its own, with the ids of whoever it is for, inside the sandbox.

mod get;
mod pack;
mod place;
mod put;
mod remove;
mod unpack;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use wire::init::{FileKind, FileOp, FileReply, FileStatus, MAX_SKIPPED_NAMES, OperationError, Skipped};

use crate::sys;

/// Longest name in a report of what was skipped.
const MAX_REPORTED_NAME_BYTES: usize = 512;

/// Copied at once.
const COPY_BYTES: usize = 64 * 1024;

/// Performs one operation; `input` is what the host sends, `output` what it gets.
pub(crate) fn perform(op: &FileOp, input: File, output: File) -> Result<FileReply, OperationError> {
    match op {
        FileOp::ReadFile { path, limit_bytes } => read_file(path, *limit_bytes, output),
        FileOp::WriteFile { path, mode } => {
            write_file(path, *mode, OpenOptions::new().write(true).truncate(true), input)
        }
        FileOp::AppendFile { path, mode } => write_file(path, *mode, OpenOptions::new().append(true), input),
        FileOp::Stat { path, follow } => stat(path, *follow),
        FileOp::MakeDir { path, mode, owner } => make_dir(path, *mode, *owner),
        FileOp::MakeDirFor { path, owner } => place::make_dir_for(path, *owner),
        FileOp::RemoveTree { path, keep_top } => remove::remove_tree(path, *keep_top),
        FileOp::PutTar { dir, owner, limits } => put::put_tar(dir, *owner, *limits, input),
        FileOp::GetTar { files, limits } => get::get_tar(files, *limits, output),
        FileOp::List { files, folders, is_shallow, most } => {
            get::list(files, get::Listed { folders: *folders, is_shallow: *is_shallow }, *most, output)
        }
        FileOp::Touch { path, time_ms } => touch(path, *time_ms),
        FileOp::Pack { files, archive, format, limits } => pack::pack(files, archive, *format, *limits),
        FileOp::Unpack { archive, format, files, purpose, named, limits } => unpack::unpack(
            &unpack::Order { archive, files, purpose: *purpose, named: *named, limits: *limits },
            *format,
            output,
        ),
    }
}

/// An error of the kernel, with what was tried.
fn failed<'a>(call: &'a str, path: &'a str) -> impl Fn(io::Error) -> OperationError + 'a {
    move |error| match error.raw_os_error() {
        Some(errno) => OperationError::new(format!("{call} {path}"), errno),
        None => OperationError::new(format!("{call} {path}: {error}"), 0),
    }
}

/// Copies by reading and writing. `io::copy` would have the kernel move what is in a pipe, and gVisor's stops after the first 64 KiB
/// of it.
fn copy(input: impl Read, output: &mut impl Write) -> io::Result<u64> {
    struct Plain<R>(R);
    impl<R: Read> Read for Plain<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    io::copy(&mut io::BufReader::with_capacity(COPY_BYTES, Plain(input)), output)
}

/// Opens a regular file; a named pipe without a writer or a device must not make anybody wait.
fn open_regular(options: &mut OpenOptions, call: &str, path: &str) -> Result<File, OperationError> {
    let file = options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(failed(call, path))?;
    let kind = file.metadata().map_err(failed(call, path))?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(OperationError::new(format!("{call} {path}"), libc::EISDIR))
    } else {
        Err(OperationError::new(format!("{call} {path}: not a regular file"), 0))
    }
}

fn read_file(path: &str, limit: u64, mut output: File) -> Result<FileReply, OperationError> {
    let file = open_regular(OpenOptions::new().read(true), "read", path)?;
    let too_large = || OperationError::new(format!("read {path}, which is larger than {limit} bytes"), libc::EFBIG);
    if file.metadata().map_err(failed("read", path))?.len() > limit {
        return Err(too_large());
    }
    // It may grow while it is read, and files of /proc have no size.
    let bytes = copy(file.take(limit.saturating_add(1)), &mut output).map_err(failed("read", path))?;
    if bytes > limit { Err(too_large()) } else { Ok(FileReply::Read { bytes }) }
}

fn write_file(path: &str, mode: u32, how: &mut OpenOptions, mut input: File) -> Result<FileReply, OperationError> {
    if let Some(parent) = Path::new(path).parent() {
        make_all(parent, 0o755).map_err(failed("make the folder of", path))?;
    }
    let mut file = open_regular(how.create(true).mode(mode & 0o777), "write", path)?;
    copy(&mut input, &mut file).map_err(failed("write", path))?;
    file.flush().map_err(failed("write", path))?;
    Ok(FileReply::Done)
}

fn touch(path: &str, time_ms: Option<i64>) -> Result<FileReply, OperationError> {
    if let Some(parent) = Path::new(path).parent() {
        make_all(parent, 0o755).map_err(failed("make the folder of", path))?;
    }
    let file = open_regular(OpenOptions::new().append(true).create(true).mode(0o644), "touch", path)?;
    let time = match time_ms {
        None => std::time::SystemTime::now(),
        Some(ms) => {
            let distance = std::time::Duration::from_millis(ms.unsigned_abs());
            let epoch = std::time::UNIX_EPOCH;
            let time = if ms < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
            time.ok_or_else(|| OperationError::new(format!("touch {path}: no such time"), libc::EINVAL))?
        }
    };
    file.set_modified(time).map_err(failed("touch", path))?;
    Ok(FileReply::Done)
}

fn stat(path: &str, follow: bool) -> Result<FileReply, OperationError> {
    let found = if follow { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
    let metadata = match found {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            return Ok(FileReply::Stat(None));
        }
        Err(error) => return Err(failed("look at", path)(error)),
    };
    let kind = metadata.file_type();
    let kind = match kind {
        _ if kind.is_file() => FileKind::File,
        _ if kind.is_dir() => FileKind::Dir,
        _ if kind.is_symlink() => FileKind::Link,
        _ => {
            debug_assert!(kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device());
            FileKind::Other
        }
    };
    Ok(FileReply::Stat(Some(FileStatus {
        kind,
        size: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified_s: metadata.mtime(),
    })))
}

fn make_dir(path: &str, mode: u32, owner: Option<(u32, u32)>) -> Result<FileReply, OperationError> {
    let make = |path: &Path, mode| make_all(path, mode).map_err(failed("make the folder", &path.to_string_lossy()));
    if let Some(parent) = Path::new(path).parent() {
        make(parent, 0o755)?;
    }
    make(Path::new(path), mode & 0o7777)?;
    if let Some((uid, gid)) = owner {
        let options = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let dir = OpenOptions::new().read(true).custom_flags(options).open(path);
        let dir = dir.map_err(failed("open the folder", path))?;
        std::os::unix::fs::fchown(&dir, Some(uid), Some(gid)).map_err(failed("change the owner of", path))?;
    }
    Ok(FileReply::Done)
}

fn make_all(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Notes a file that was passed over.
fn skip(skipped: &mut Skipped, name: &[u8], reason: impl Into<String>) {
    skipped.count += 1;
    if skipped.names.len() < MAX_SKIPPED_NAMES {
        let name = &name[..name.len().min(MAX_REPORTED_NAME_BYTES)];
        skipped.names.push((String::from_utf8_lossy(name).into_owned(), reason.into()));
    }
}

/// The error of a limit of a tar stream.
fn limit_error(call: &str, dir: &str, limit: impl std::fmt::Display) -> OperationError {
    OperationError::new(format!("{call} {dir}: more than {limit}"), libc::EFBIG)
}

/// Text of an error number.
fn reason(error: &io::Error) -> String {
    io::Error::from_raw_os_error(sys::errno(error)).to_string()
}
