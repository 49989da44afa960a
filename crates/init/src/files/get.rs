//! Sends the files of a set as a tar stream, or puts them into an archive. Links are sent as links, but an archive has what they lead to;
//! what is no file, or cannot be read, is named in the reply. A file that changes while it is read keeps the size that was announced.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::fd::OwnedFd;

use model::request::FileSet;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};
use wire::init::{FileReply, OperationError, Skipped, TarLimits};

use super::pack::Archive;
use super::{failed, limit_error, reason, skip};
use model::ant::{Name, Patterns};

const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Links to folders that are followed on one path, as in Ant: it ends loops.
const MAX_LINKS: usize = 5;
/// Longest path below the folder: the kernel takes no longer one either.
const MAX_PATH_BYTES: usize = 4096;

/// A folder that is being read.
struct Level {
    dir: Dir,
    fd: OwnedFd,
    /// Length of its path, with a slash at the end.
    path_bytes: usize,
    links: usize,
}

struct Get<'a> {
    files: &'a FileSet,
    patterns: Patterns,
    limits: TarLimits,
    out: Out,
    entries: u64,
    bytes: u64,
    skipped: Skipped,
    /// Path of the current folder, and the same as names for the patterns.
    path: Vec<u8>,
    names: Vec<Name>,
}

/// What is made of the files.
pub(super) enum Out {
    Tar(Builder<BufWriter<File>>),
    List(BufWriter<File>, Listed),
    Archive(Box<Archive>),
}

/// What is in a list.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    /// Folders too.
    pub(super) folders: bool,
    /// Nothing of the folders in the folder.
    pub(super) is_shallow: bool,
}

pub(super) fn get_tar(files: &FileSet, limits: TarLimits, output: File) -> Result<FileReply, OperationError> {
    let tar = Builder::new(BufWriter::with_capacity(WRITE_BUFFER_BYTES, output));
    get(files, limits, Out::Tar(tar))
}

pub(super) fn list(files: &FileSet, listed: Listed, most: u64, output: File) -> Result<FileReply, OperationError> {
    let list = BufWriter::with_capacity(WRITE_BUFFER_BYTES, output);
    get(files, TarLimits { bytes: u64::MAX, entries: most }, Out::List(list, listed))
}

pub(super) fn get(files: &FileSet, limits: TarLimits, out: Out) -> Result<FileReply, OperationError> {
    let mut get = Get {
        files,
        patterns: Patterns::new(files),
        limits,
        out,
        entries: 0,
        bytes: 0,
        skipped: Skipped::default(),
        path: Vec::new(),
        names: Vec::new(),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(&files.dir, flags, Mode::empty()) {
        Ok(fd) => get.walk(fd)?,
        // No folder, no files.
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed("open the folder", &files.dir)(errno.into())),
    }
    let Get { out, entries, bytes, skipped, .. } = get;
    let done = match out {
        Out::Tar(mut tar) => tar.finish().and_then(|()| io::Write::flush(tar.get_mut())),
        Out::List(mut list, _) => io::Write::flush(&mut list),
        Out::Archive(archive) => archive.finish(),
    };
    done.map_err(failed("pack", &files.dir))?;
    Ok(FileReply::Got { entries, bytes, skipped })
}

impl Get<'_> {
    fn walk(&mut self, top: OwnedFd) -> Result<(), OperationError> {
        let mut levels = Vec::new();
        self.enter(&mut levels, top, 0)?;
        while let Some(level) = levels.last_mut() {
            self.path.truncate(level.path_bytes);
            let entry = match level.dir.next() {
                Some(Ok(entry)) => entry,
                Some(Err(errno)) => {
                    let path = self.path.clone();
                    skip(&mut self.skipped, &path, io::Error::from(errno).to_string());
                    leave(&mut levels, &mut self.names);
                    continue;
                }
                None => {
                    leave(&mut levels, &mut self.names);
                    continue;
                }
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            self.path.extend_from_slice(name);
            let name_chars = self.patterns.name(name);
            self.names.push(name_chars);
            let (links, entered) = (level.links, self.look(level, name));
            match entered? {
                Some((fd, through_link)) => {
                    self.path.push(b'/');
                    self.enter(&mut levels, fd, links + usize::from(through_link))?;
                }
                None => drop(self.names.pop()),
            }
        }
        Ok(())
    }

    fn enter(&mut self, levels: &mut Vec<Level>, fd: OwnedFd, links: usize) -> Result<(), OperationError> {
        let dir = Dir::read_from(&fd).map_err(|errno| failed("read the folder", &self.files.dir)(errno.into()))?;
        levels.push(Level { dir, fd, path_bytes: self.path.len(), links });
        Ok(())
    }

    /// Looks at one name: packs it where it belongs to the set, or opens it where it is a folder that may hold files of it.
    /// The flag says that the folder was reached through a link.
    fn look(&mut self, level: &Level, name: &[u8]) -> Result<Option<(OwnedFd, bool)>, OperationError> {
        if self.path.len() >= MAX_PATH_BYTES {
            self.skip("the path is too long");
            return Ok(None);
        }
        let stat = match statat(&level.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => {
                self.skip(io::Error::from(errno).to_string());
                return Ok(None);
            }
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink && matches!(self.out, Out::Archive(_)) {
            return self.look_through(level, name);
        }
        match kind {
            FileType::Directory => {
                if let Out::List(_, Listed { folders, is_shallow }) = self.out {
                    if folders && self.patterns.matches(&self.names) {
                        self.tell(&stat, true)?;
                    }
                    if is_shallow {
                        return Ok(None);
                    }
                }
                return Ok(if self.patterns.may_hold(&self.names) { self.open(level, name, false) } else { None });
            }
            _ if self.patterns.matches(&self.names) => {}
            // Files below a folder can be meant although the link to it is not.
            FileType::Symlink if level.links < MAX_LINKS && self.patterns.may_hold(&self.names) => {
                let target =
                    statat(&level.fd, name, AtFlags::empty()).map(|stat| FileType::from_raw_mode(stat.st_mode));
                return Ok(if target == Ok(FileType::Directory) { self.open(level, name, true) } else { None });
            }
            _ => return Ok(None),
        }
        if let Out::List(_, listed) = self.out {
            // What a link leads to is what a reader would see.
            let seen = statat(&level.fd, name, AtFlags::empty()).unwrap_or(stat);
            let is_folder = FileType::from_raw_mode(seen.st_mode) == FileType::Directory;
            return if is_folder && !listed.folders { Ok(None) } else { self.tell(&seen, is_folder).map(|()| None) };
        }
        let packed = match kind {
            FileType::RegularFile => self.pack_file(level, name, OFlags::NOFOLLOW),
            FileType::Symlink => self.pack_link(level, name, &stat),
            _ => {
                self.skip("not a file or link");
                Ok(())
            }
        };
        packed.map(|()| None)
    }

    /// The same for a link, where what it leads to is packed.
    fn look_through(&mut self, level: &Level, name: &[u8]) -> Result<Option<(OwnedFd, bool)>, OperationError> {
        let target = statat(&level.fd, name, AtFlags::empty()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match target {
            Ok(FileType::Directory) if level.links < MAX_LINKS && self.patterns.may_hold(&self.names) => {
                return Ok(self.open(level, name, true));
            }
            Ok(FileType::Directory) => {}
            _ if !self.patterns.matches(&self.names) => {}
            Ok(FileType::RegularFile) => self.pack_file(level, name, OFlags::empty())?,
            Ok(_) => self.skip("not a file"),
            Err(errno) => self.skip(io::Error::from(errno).to_string()),
        }
        Ok(None)
    }

    fn open(&mut self, level: &Level, name: &[u8], through_link: bool) -> Option<(OwnedFd, bool)> {
        let nofollow = if through_link { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK | nofollow;
        match openat(&level.fd, name, flags, Mode::empty()) {
            Ok(fd) => Some((fd, through_link)),
            Err(errno) => {
                self.skip(io::Error::from(errno).to_string());
                None
            }
        }
    }

    /// Puts a name into the list.
    fn tell(&mut self, stat: &Stat, is_folder: bool) -> Result<(), OperationError> {
        self.count(1, 0)?;
        let bytes = if is_folder { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        let entry = wire::init::listing::entry(&self.path, is_folder, bytes, stat.st_mtime);
        match &mut self.out {
            Out::List(list, _) => io::Write::write_all(list, &entry).map_err(failed("list", &self.files.dir)),
            Out::Tar(_) | Out::Archive(_) => Ok(()),
        }
    }

    /// Counts before anything is read, so that a sparse file of a petabyte costs nothing.
    fn count(&mut self, files: u64, bytes: u64) -> Result<(), OperationError> {
        self.entries += files;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.entries > self.limits.entries {
            return Err(limit_error("pack", &self.files.dir, format_args!("{} files", self.limits.entries)));
        }
        if self.bytes > self.limits.bytes {
            return Err(limit_error("pack", &self.files.dir, format_args!("{} bytes", self.limits.bytes)));
        }
        Ok(())
    }

    fn skip(&mut self, reason: impl Into<String>) {
        skip(&mut self.skipped, &self.path, reason);
    }

    fn pack_file(&mut self, level: &Level, name: &[u8], nofollow: OFlags) -> Result<(), OperationError> {
        let flags = OFlags::RDONLY | nofollow | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = openat(&level.fd, name, flags, Mode::empty()).and_then(|fd| Ok((fstat(&fd)?, fd)));
        let (stat, fd) = match opened {
            Ok(opened) => opened,
            Err(errno) => {
                self.skip(io::Error::from(errno).to_string());
                return Ok(());
            }
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.skip("not a file or link");
            return Ok(());
        }
        if matches!(&self.out, Out::Archive(archive) if archive.own == (stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.count(1, size)?;
        let mut content = Announced { file: File::from(fd), left: size, problem: None };
        let packed = match &mut self.out {
            Out::Tar(tar) => {
                let mut header = header(EntryType::Regular, &stat);
                header.set_size(size);
                tar.append_data(&mut header, bytes_path(&self.path), &mut content)
            }
            Out::Archive(archive) => archive.add(&self.path, &stat, size, &mut content),
            Out::List(..) => Ok(()),
        };
        packed.map_err(failed("pack", &self.files.dir))?;
        if let Some(problem) = content.problem {
            self.skip(problem);
        }
        Ok(())
    }

    fn pack_link(&mut self, level: &Level, name: &[u8], stat: &Stat) -> Result<(), OperationError> {
        let target = match readlinkat(&level.fd, name, Vec::new()) {
            Ok(target) => target,
            Err(errno) => {
                self.skip(io::Error::from(errno).to_string());
                return Ok(());
            }
        };
        self.count(1, 0)?;
        let mut header = header(EntryType::Symlink, stat);
        header.set_size(0);
        match &mut self.out {
            Out::Tar(tar) => tar
                .append_link(&mut header, bytes_path(&self.path), bytes_path(target.to_bytes()))
                .map_err(failed("pack", &self.files.dir)),
            Out::List(..) | Out::Archive(_) => Ok(()),
        }
    }
}

fn leave(levels: &mut Vec<Level>, names: &mut Vec<Name>) {
    levels.pop();
    names.pop();
}

pub(super) fn bytes_path(bytes: &[u8]) -> &std::path::Path {
    std::path::Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

/// A header without anything of the machine: owners mean nothing elsewhere.
pub(super) fn header(kind: EntryType, stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header
}

/// A file that yields exactly as many bytes as its header announced.
struct Announced {
    file: File,
    left: u64,
    problem: Option<String>,
}

impl Read for Announced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..most];
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = match self.problem {
            Some(_) => 0,
            None => match self.file.read(buffer) {
                Ok(n) => n,
                Err(error) => {
                    self.problem = Some(reason(&error));
                    0
                }
            },
        };
        let n = if n == 0 {
            self.problem.get_or_insert_with(|| "it became shorter while it was read".into());
            buffer.fill(0);
            buffer.len()
        } else {
            n
        };
        self.left -= n as u64;
        Ok(n)
    }
}
