//! The files of a project as they lie there: which of them a checkout has, and how they are read.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use model::limits::MAX_DEFINITION_BYTES;

use super::ScmError;
use super::git::git;

/// A file that a checkout of the folder as it lies there would have, of at most [`MAX_DEFINITION_BYTES`]; links lead to such files only.
pub(super) fn read_within(dir: &Path, names: Option<&[PathBuf]>, path: &Path) -> Option<Vec<u8>> {
    let (dir, path) = (dir.canonicalize().ok()?, dir.join(path).canonicalize().ok()?);
    let own = path.strip_prefix(dir).ok()?;
    let is_checked_out = match names {
        Some(names) => names.iter().any(|name| name == own),
        None => !own.starts_with(RUNS_FOLDER) && own.components().all(|part| part.as_os_str() != ".git"),
    };
    if !is_checked_out || !path.is_file() {
        return None;
    }
    let mut content = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_DEFINITION_BYTES as u64 + 1).read_to_end(&mut content).ok()?;
    (content.len() <= MAX_DEFINITION_BYTES).then_some(content)
}

/// The files of a repository as it lies there, with those of submodules and repositories inside it; `None` outside of one.
pub(super) async fn listed(dir: &Path) -> Option<Vec<PathBuf>> {
    let (mut names, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        let options = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let text = match git(&dir.join(&folder), "ls-files", &options).await {
            Ok(text) => text,
            Err(_) if folder == Path::new("") => return None,
            // What git does not read there (somebody else's, a broken one) is not part of the project.
            Err(_) => continue,
        };
        for name in text.split('\0').filter(|name| !name.is_empty()) {
            let name = folder.join(name);
            match dir.join(&name).symlink_metadata() {
                // Only a repository of its own: git asked in any other folder would answer with the names of the one around it.
                Ok(found) if found.is_dir() && dir.join(&name).join(".git").exists() && folders.len() < MAX_NESTED => {
                    folders.push(name);
                }
                _ => names.push(name),
            }
        }
    }
    Some(names)
}

/// Where a run puts what it keeps beside a project.
const RUNS_FOLDER: &str = ".cofferdam";

/// Repositories inside a project that are looked into.
const MAX_NESTED: usize = 1000;

/// The files of a folder: those that git lists, or all but what a run itself put there.
pub(super) async fn names(dir: &Path) -> Result<Vec<PathBuf>, ScmError> {
    if let Some(names) = listed(dir).await {
        return Ok(names);
    }
    let (folder, failed) = (dir.to_owned(), |error| ScmError::Read { path: dir.to_owned(), source: error });
    tokio::task::spawn_blocking(move || walk(&folder)).await.map_err(|error| failed(std::io::Error::other(error)))?
}

/// Packs files of a folder.
pub(super) fn write_tree(dir: &Path, names: Vec<PathBuf>, out: std::fs::File) -> Result<(), ScmError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ScmError::Read { path, source }
    };
    let mut tar = tar::Builder::new(std::io::BufWriter::with_capacity(64 * 1024, out));
    tar.follow_symlinks(false);
    for name in names {
        let path = dir.join(&name);
        match path.symlink_metadata() {
            // Listed by git, but deleted in the working tree.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
            // A submodule, or a repository inside this one.
            Ok(metadata) if metadata.is_dir() => continue,
            Ok(metadata) if metadata.is_file() => {
                let file = std::fs::File::open(&path).map_err(failed(&path))?;
                let now = file.metadata().map_err(failed(&path))?;
                append(&mut tar, &name, &now, file).map_err(failed(&path))?;
            }
            Ok(_) => tar.append_path_with_name(&path, &name).map_err(failed(&path))?,
        }
    }
    tar.into_inner().and_then(|mut out| out.flush()).map_err(failed(dir))
}

/// Adds a file that somebody may be writing to: as many bytes as were announced, whatever has become of it.
fn append(
    tar: &mut tar::Builder<impl Write>,
    name: &Path,
    announced: &std::fs::Metadata,
    file: impl Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(announced);
    let size = announced.len();
    tar.append_data(&mut header, name, file.take(size).chain(std::io::repeat(0)).take(size))
}

fn walk(dir: &Path) -> Result<Vec<PathBuf>, ScmError> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        let entries = std::fs::read_dir(&path).map_err(|source| ScmError::Read { path: path.clone(), source })?;
        for entry in entries {
            let entry = entry.map_err(|source| ScmError::Read { path: path.clone(), source })?;
            let name = folder.join(entry.file_name());
            match entry.file_type() {
                // What a run put there.
                Ok(kind) if kind.is_dir() && name == Path::new(RUNS_FOLDER) => {}
                // A repository, of which nobody has said what may be seen.
                Ok(_) if entry.file_name() == ".git" => {}
                Ok(kind) if kind.is_dir() => folders.push(name),
                Ok(kind) if kind.is_file() || kind.is_symlink() => names.push(name),
                _ => {}
            }
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::git::tests::repository;
    use super::super::{LocalProject, Scm};
    use super::*;

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_spoils_no_other() {
        for now in ["", "more than before"] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, "before").unwrap();
            let announced = file.as_file().metadata().unwrap();
            let mut tar = tar::Builder::new(Vec::new());
            append(&mut tar, Path::new("changed"), &announced, now.as_bytes()).unwrap();
            append(&mut tar, Path::new("next"), &announced, b"before".as_slice()).unwrap();
            let written = tar.into_inner().unwrap();
            let mut archive = tar::Archive::new(written.as_slice());
            let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned());
            assert_eq!(names.collect::<Vec<_>>(), [Path::new("changed"), Path::new("next")]);
        }
    }

    #[tokio::test]
    async fn of_a_working_tree_is_read_what_a_checkout_has() {
        let Some((folder, _git)) = repository() else { return };
        std::fs::create_dir_all(folder.path().join(".cofferdam")).unwrap();
        for (name, text) in [
            (".gitignore", ".env\n.cofferdam\n"),
            (".env", "TOKEN=secret"),
            ("pod.yaml", "kind: Pod"),
            (".cofferdam/kept", "of a run"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        for (name, to) in [("to-pod", "pod.yaml"), ("to-env", ".env"), ("to-config", ".git/config")] {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        }
        let project = LocalProject::look(folder.path(), true).await.unwrap();
        for name in ["pod.yaml", "to-pod"] {
            assert_eq!(project.read(name).await.unwrap().as_deref(), Some(&b"kind: Pod"[..]), "{name}");
        }
        for name in [".env", "to-env", ".git/config", "to-config", ".cofferdam/kept", "../x"] {
            assert_eq!(project.read(name).await.unwrap(), None, "{name}");
        }
        std::fs::remove_dir_all(folder.path().join(".git")).unwrap();
        let project = LocalProject::look(folder.path(), true).await.unwrap();
        assert_eq!(project.read(".env").await.unwrap().as_deref(), Some(&b"TOKEN=secret"[..]), "nobody ignores it");
        assert_eq!(project.read(".cofferdam/kept").await.unwrap(), None);
    }
}
