//! `archiveArtifacts`: files that outlive the run, as plain files below one folder of the host.
//!
//! The tar stream that brings them was written by the workload. Only regular files and folders are taken, below the folder,
//! through no link, never over a file that is none.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use model::limits::MAX_STASH_BYTES;
use model::request::{FileSet, Reply};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use wire::init::TarLimits;

use crate::failure::Trouble;
use crate::job::Job;
use crate::stash::{passed_over, unnamed};

/// Files of one archive step.
const MAX_FILES: u64 = 100_000;

/// Keeps files; returns how many.
pub async fn archive(
    job: &Job,
    scratch: &Path,
    target: &Path,
    files: FileSet,
    allow_empty: bool,
) -> Result<(Reply, Vec<String>), Trouble> {
    let mut spool = unnamed(scratch)?;
    let out = spool.try_clone().map_err(|error| Trouble::infrastructure(format!("cannot keep artifacts: {error}")))?;
    let includes = files.includes.clone();
    let limits = TarLimits { bytes: MAX_STASH_BYTES, entries: MAX_FILES };
    let summary = job.session.get_tar(Some(job.user.clone()), files, limits, tokio::fs::File::from_std(out)).await?;
    if summary.entries == 0 {
        if allow_empty {
            return Ok((
                Reply::Count(0),
                vec![format!("No artifacts found that match the file pattern \"{includes}\".")],
            ));
        }
        return Err(Trouble::workload(format!(
            "No artifacts found that match the file pattern \"{includes}\". Configuration error?"
        )));
    }
    let (folder, target) = (target, target.to_owned());
    let extracted = tokio::task::spawn_blocking(move || {
        spool.seek(SeekFrom::Start(0))?;
        extract(&spool, &target)
    });
    match extracted.await {
        Ok(Ok(mut report)) => {
            report.notes.extend(passed_over("not archived", &summary.skipped));
            Ok((Reply::Count(report.files), report.notes))
        }
        Ok(Err(error)) => {
            Err(Trouble::infrastructure(format!("cannot keep artifacts in {}: {error}", folder.display()))
                .with_hint("another folder is named with --artifacts"))
        }
        Err(error) => Err(Trouble::infrastructure(format!("cannot keep artifacts: {error}"))),
    }
}

/// What was taken out of a tar stream.
#[derive(Debug, Default)]
struct Extracted {
    files: u64,
    notes: Vec<String>,
}

fn extract(tar: &File, target: &Path) -> std::io::Result<Extracted> {
    std::fs::create_dir_all(target)?;
    let root: OwnedFd = File::open(target)?.into();
    let mut report = Extracted::default();
    let mut archive = tar::Archive::new(std::io::BufReader::new(tar));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(parts) = inside(&path) else {
            report.notes.push(format!("not archived: {} leads out of the workspace", path.display()));
            continue;
        };
        match entry.header().entry_type() {
            tar::EntryType::Directory => make_folders(&root, &parts)?,
            tar::EntryType::Regular | tar::EntryType::GNUSparse | tar::EntryType::Continuous => {
                let executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
                write_file(&root, &parts, executable, &mut entry)?;
                report.files += 1;
            }
            _ => report.notes.push(format!("not archived: {} is no regular file", path.display())),
        }
    }
    report.notes.truncate(20);
    Ok(report)
}

/// The parts of a relative path that stays below where it starts.
fn inside(path: &Path) -> Option<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(PathBuf::from(part)),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty() && parts.len() < 256).then_some(parts)
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

fn make_folders(root: &OwnedFd, parts: &[PathBuf]) -> std::io::Result<()> {
    let mut path = PathBuf::new();
    for part in parts {
        let parent = folder(root, &path)?;
        match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        path.push(part);
    }
    Ok(())
}

fn folder(root: &OwnedFd, path: &Path) -> std::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat2(root.as_fd(), path, flags, Mode::empty(), BENEATH)?)
}

fn write_file(root: &OwnedFd, parts: &[PathBuf], executable: bool, content: &mut impl Read) -> std::io::Result<()> {
    let Some((name, folders)) = parts.split_last() else { return Ok(()) };
    make_folders(root, folders)?;
    let parent = folder(root, &folders.iter().collect::<PathBuf>())?;
    // A file of an earlier run is replaced, not written into: it may be linked from elsewhere.
    match rustix::fs::unlinkat(&parent, name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let mode = if executable { 0o755 } else { 0o644 };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat2(&parent, name, flags, Mode::from_raw_mode(mode), BENEATH)?);
    std::io::copy(content, &mut file)?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar stream with names that no honest writer makes.
    fn hostile(entries: &[(&str, tar::EntryType, &str)]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, kind, link) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4777);
            header.set_size(if kind.is_file() { 5 } else { 0 });
            header.set_cksum();
            builder.append(&header, if kind.is_file() { &b"hello"[..] } else { &[] }).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    #[test]
    fn only_regular_files_below_the_folder_are_taken() {
        use tar::EntryType::{Char, Directory, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let tar = hostile(&[
            ("a/b.txt", Regular, ""),
            ("a/c", Directory, ""),
            ("../escape", Regular, ""),
            ("/absolute", Regular, ""),
            ("link", Symlink, "/etc"),
            ("null", Char, ""),
        ]);
        let report = extract(&tar, &target).unwrap();
        assert_eq!(report.files, 1);
        assert_eq!(report.notes.len(), 4, "{:?}", report.notes);
        assert_eq!(std::fs::read_to_string(target.join("a/b.txt")).unwrap(), "hello");
        assert!(!dir.path().join("escape").exists() && target.join("link").symlink_metadata().is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(&target.join("a/b.txt").metadata().unwrap().permissions());
        assert_eq!(mode & 0o7000, 0, "set-user-id is not kept");
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", target.join("a")).unwrap();
        assert!(extract(&hostile(&[("a/b.txt", tar::EntryType::Regular, "")]), &target).is_err());
        assert!(!dir.path().join("elsewhere/b.txt").exists());
    }
}
