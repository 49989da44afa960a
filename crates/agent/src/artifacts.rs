//! `archiveArtifacts`: files that outlive the run, as plain files below one folder of the host, or at the server that the run is of.
//!
//! The tar stream that brings them was written by the workload. Only regular files and folders are taken, below the folder,
//! through no link, never over a file that is none; for a link stands the file of the workspace that it leads to (`artifact_links`). What is for a server is taken so too, and lies here no longer than it is on its way.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use model::limits::MAX_STASH_BYTES;
use model::request::{FileSet, Reply};
use wire::init::TarLimits;

use crate::artifact_links::{self, Followed};
use crate::below::{Below, inside};
use crate::failure::Trouble;
use crate::job::Job;
use crate::remote::ServerFiles;
use crate::stash::{passed_over, unnamed};
use crate::unarchive::Archived;

/// Files of one archive step.
const MAX_FILES: u64 = 100_000;
/// What is said of files that are not archived, in lines.
const MOST_NOTES: usize = 20;

/// Where they are kept.
#[derive(Clone, Copy)]
pub enum Keep<'a> {
    /// A folder of this host, and what this run has there.
    Folder(&'a Path, &'a Archived),
    /// A server.
    Server(&'a ServerFiles),
}

/// Where among all artifacts they are.
pub struct Place<'a> {
    /// Who keeps them.
    pub to: Keep<'a>,
    /// The folder of the artifacts; none: the uppermost.
    pub below: Option<String>,
}

/// Keeps files; returns how many.
pub async fn archive(
    job: &Job,
    scratch: &Path,
    keep: Place<'_>,
    files: FileSet,
    allow_empty: bool,
) -> Result<(Reply, Vec<String>), Trouble> {
    let Place { to: keep, below } = keep;
    let folder = below.map_or(Ok(Vec::new()), |below| {
        let leads_out = || Trouble::workload(format!("‘{below}’ is no folder for artifacts: it leads out of theirs"));
        inside(Path::new(&below)).ok_or_else(leads_out)
    })?;
    let spool = unnamed(scratch)?;
    let out = spool.try_clone().map_err(|error| Trouble::infrastructure(format!("cannot keep artifacts: {error}")))?;
    let (includes, dir) = (files.includes.clone(), files.dir.clone());
    let limits = TarLimits { bytes: MAX_STASH_BYTES, entries: MAX_FILES };
    let summary = job.session.get_tar(Some(job.user.clone()), files, limits, tokio::fs::File::from_std(out)).await?;
    if summary.entries == 0 {
        if allow_empty {
            // Whoever asked says what that means to it.
            return Ok((Reply::Count(0), Vec::new()));
        }
        return Err(Trouble::workload(format!(
            "No artifacts found that match the file pattern \"{includes}\". Configuration error?"
        )));
    }
    let followed = artifact_links::follow(job, scratch, &dir, &spool).await?;
    let (left_out, notes) = (followed.left_out, followed.notes.clone());
    let found = Found { spool, followed };
    let mut report = match keep {
        Keep::Folder(target, archived) => {
            let report = extracted(found, target.to_owned(), folder).await.map_err(|error| {
                Trouble::infrastructure(format!("cannot keep artifacts in {}: {error}", target.display()))
                    .with_hint("another folder is named with --artifacts")
            })?;
            archived.add(&report.paths);
            report
        }
        Keep::Server(uploads) => hand_over(found, scratch, folder, uploads).await?,
    };
    report.notes.extend(notes);
    report.notes.extend(passed_over("not archived", &summary.skipped));
    // A link that is left out was meant: that it is not there is said, and is no lack of files.
    Ok((Reply::Count(report.paths.len() as u64 + left_out), report.notes))
}

/// What init has found: the files, and what links among them lead to.
struct Found {
    spool: File,
    followed: Followed,
}

/// Takes files out here, and hands them to the server. Nothing of them is left here, however this ends.
async fn hand_over(
    found: Found,
    scratch: &Path,
    inner: Vec<PathBuf>,
    uploads: &ServerFiles,
) -> Result<Extracted, Trouble> {
    let failed = |error| Trouble::infrastructure(format!("cannot keep artifacts in {}: {error}", scratch.display()));
    // Whoever sweeps the folder sees by the name whether its process lives.
    let prefix = format!("artifacts-{}-", std::process::id());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(scratch).map_err(failed)?;
    let mut report = extracted(found, folder.path().to_owned(), inner).await.map_err(failed)?;
    let is_named = |path: &PathBuf| path.to_str().is_some_and(wire::artifact::is_path);
    let (named, strange): (Vec<_>, Vec<_>) = report.paths.into_iter().partition(is_named);
    let strange = strange.iter().map(|path| format!("not archived: {path:?} has a name that no server takes"));
    report.notes.extend(strange.take(MOST_NOTES));
    report.paths = named;
    let below = Below::open(folder.path()).map_err(failed)?;
    let sent = uploads.send(&below, &report.paths).await;
    let gone = tokio::task::spawn_blocking(move || folder.close()).await;
    if let Ok(Err(error)) = gone {
        tracing::warn!(%error, "what was archived is left in the scratch folder");
    }
    sent.map(|()| report)
}

/// What was taken out of a tar stream.
#[derive(Debug, Default)]
struct Extracted {
    /// Each path once, however often it was there.
    paths: Vec<PathBuf>,
    notes: Vec<String>,
}

async fn extracted(mut found: Found, target: PathBuf, folder: Vec<PathBuf>) -> std::io::Result<Extracted> {
    let extracted = tokio::task::spawn_blocking(move || {
        found.spool.seek(SeekFrom::Start(0))?;
        extract(&found, &target, &folder)
    });
    extracted.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn extract(found: &Found, target: &Path, folder: &[PathBuf]) -> std::io::Result<Extracted> {
    let below = Below::open(target)?;
    let mut report = Extracted::default();
    let mut archive = tar::Archive::new(std::io::BufReader::new(&found.spool));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(parts) = inside(&path) else {
            report.notes.push(format!("not archived: {} leads out of the workspace", path.display()));
            continue;
        };
        let parts = [folder, &parts].concat();
        match entry.header().entry_type() {
            tar::EntryType::Directory => below.make_folders(&parts)?,
            tar::EntryType::Regular | tar::EntryType::GNUSparse | tar::EntryType::Continuous => {
                let executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
                below.replace(&parts, executable, &mut entry)?;
                report.paths.push(parts.iter().collect());
            }
            // Told of elsewhere.
            tar::EntryType::Symlink => {}
            _ => report.notes.push(format!("not archived: {} is no regular file", path.display())),
        }
    }
    for file in &found.followed.files {
        let parts = [folder, &file.parts].concat();
        below.replace(&parts, file.is_executable, &mut file.content()?)?;
        report.paths.push(parts.iter().collect());
    }
    report.notes.truncate(MOST_NOTES);
    report.paths.sort();
    report.paths.dedup();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(spool: File) -> Found {
        Found { spool, followed: Followed::default() }
    }

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
        let report = extract(&found(tar), &target, &[]).unwrap();
        assert_eq!(report.paths, [Path::new("a/b.txt")]);
        assert_eq!(report.notes.len(), 3, "{:?}", report.notes);
        assert_eq!(std::fs::read_to_string(target.join("a/b.txt")).unwrap(), "hello");
        assert!(!dir.path().join("escape").exists() && target.join("link").symlink_metadata().is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(&target.join("a/b.txt").metadata().unwrap().permissions());
        assert_eq!(mode & 0o7000, 0, "set-user-id is not kept");
    }

    #[test]
    fn files_may_lie_in_a_folder_of_the_artifacts() {
        let dir = tempfile::tempdir().unwrap();
        let tar = hostile(&[("a/b.txt", tar::EntryType::Regular, "")]);
        let report = extract(&found(tar), dir.path(), &inside(Path::new("My_20Report/x")).unwrap()).unwrap();
        assert_eq!(report.paths, [Path::new("My_20Report/x/a/b.txt")]);
        assert_eq!(std::fs::read_to_string(dir.path().join(&report.paths[0])).unwrap(), "hello");
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", target.join("a")).unwrap();
        assert!(extract(&found(hostile(&[("a/b.txt", tar::EntryType::Regular, "")])), &target, &[]).is_err());
        assert!(!dir.path().join("elsewhere/b.txt").exists());
    }
}
