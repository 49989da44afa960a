//! Shared libraries: where the files of one come from. They are Groovy for the engine; nothing of them runs here.

use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::event::Event;
use model::git::GitSource;
use model::library::{
    FOLDERS, FileContent, Library, LibraryFile, LibraryPlace, LibraryWish, MAX_LIBRARY_BYTES, MAX_LIBRARY_FILES,
    is_of_library,
};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use wire::agent::{Login, SharedLibrary};
use wire::init::TarLimits;

use crate::clone;
use crate::failure::{Trouble, explain};
use crate::host::Host;
use crate::remote::fetch;
use crate::scm::{LocalProject, Scm as _, Tree};
use crate::stash::unnamed;

/// Of a stranger's repository no more than this is kept. Folders and links count, though they are not of a library.
const LIBRARY_LIMITS: TarLimits = TarLimits { bytes: MAX_LIBRARY_BYTES, entries: 2 * MAX_LIBRARY_FILES };
/// A repository that whoever runs this knows may have this much beside its library, in bytes.
const MAX_TREE_BYTES: u64 = 1 << 30;

/// A library that definitions find by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLibrary {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: LibraryOrigin,
    /// The branch, tag or commit for those who name none; `None`: of a folder its files as they lie there, of a repository its default
    /// branch.
    pub version: Option<String>,
}

/// Where a known library is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryOrigin {
    /// A folder of this host, which may be a repository.
    Folder(PathBuf),
    /// A repository elsewhere, and who fetches it.
    Repository(String, Option<Login>),
}

impl From<SharedLibrary> for KnownLibrary {
    fn from(SharedLibrary { name, url, version, login }: SharedLibrary) -> KnownLibrary {
        KnownLibrary { name, place: LibraryOrigin::Repository(url, login), version }
    }
}

/// Finds a library.
///
/// # Errors
/// Nobody knows it, it cannot be had, or it is too large.
pub(crate) async fn find(host: &Host, events: &mpsc::Sender<Event>, wish: &LibraryWish) -> Result<Library, Trouble> {
    match &wish.place {
        LibraryPlace::Git(source, folder) => {
            let asked = wish.version.clone().map(|version| (Some(version), Vec::new()));
            let (reference, or_else) = asked.unwrap_or_else(|| (source.reference.clone(), source.or_else.clone()));
            repository(host, events, &GitSource { reference, or_else, ..source.clone() }, folder).await
        }
        LibraryPlace::Own(folder) => {
            let scm = host.scm.as_ref();
            let scm = scm.ok_or_else(|| Trouble::workload("this definition does not come from a repository"))?;
            let tree = scm.open(&host.options.scratch).await?;
            let commit = tree.env.iter().find(|(name, _)| name == "GIT_COMMIT").map(|(_, commit)| commit.clone());
            let files = files_of(tree, folder, &host.options.scratch).await?;
            Ok(Library { version: wish.version.clone(), commit, files })
        }
        LibraryPlace::Configured => known(&host.options.libraries, wish, &host.options.scratch).await,
    }
}

/// A library by its name.
///
/// # Errors
/// None of that name is known; or as above.
pub async fn known(libraries: &[KnownLibrary], wish: &LibraryWish, scratch: &Path) -> Result<Library, Trouble> {
    let known = libraries.iter().find(|known| known.name == wish.name).ok_or_else(|| {
        Trouble::workload(format!("Could not find any definition of libraries [{}]", wish.name))
            .with_hint(format!("`--library {}=PLACE` says where it is", wish.name))
    })?;
    let version = wish.version.as_deref().or(known.version.as_deref());
    match &known.place {
        LibraryOrigin::Folder(folder) => of_folder(folder, version, scratch).await,
        LibraryOrigin::Repository(url, login) => of_repository((url, login.as_ref()), version, scratch).await,
    }
}

/// A library in a folder of this host: as it lies there, or in a version of its repository.
async fn of_folder(folder: &Path, version: Option<&str>, scratch: &Path) -> Result<Library, Trouble> {
    let project = match version {
        None => LocalProject::look(folder, true).await?,
        Some(version) => {
            let found = LocalProject::of_version(folder, version).await;
            found.map_err(|error| Trouble::workload(explain(&error)))?
        }
    };
    let commit = project.commit().map(str::to_owned);
    let files = files_of(project.open(scratch).await?, "", scratch).await?;
    Ok(Library { version: version.map(str::to_owned), commit, files })
}

/// A library in a repository elsewhere that whoever runs this knows: fetched as definitions are.
///
/// # Errors
/// It cannot be fetched, it has no such version, or it is too large.
pub(crate) async fn of_repository(
    (url, login): (&str, Option<&Login>),
    version: Option<&str>,
    scratch: &Path,
) -> Result<Library, Trouble> {
    let failed = |error: std::io::Error| Trouble::infrastructure(format!("cannot keep a library: {error}"));
    std::fs::create_dir_all(scratch).map_err(failed)?;
    let folder = tempfile::Builder::new().prefix("library-").tempdir_in(scratch).map_err(failed)?;
    let (commit, project) = fetch::tree(folder.path(), url, login, version).await?;
    let files = files_of(project.open(scratch).await?, "", scratch).await?;
    Ok(Library { version: version.map(str::to_owned), commit: Some(commit), files })
}

/// A library in a repository that a definition names: a stranger's address, which nothing on this host speaks to.
async fn repository(
    host: &Host,
    events: &mpsc::Sender<Event>,
    source: &GitSource,
    folder: &str,
) -> Result<Library, Trouble> {
    let spool = unnamed(&host.options.scratch)?;
    let wanted = (&*patterns(folder)?, LIBRARY_LIMITS);
    let (commit, spool) = clone::into_tar(host, events, source, wanted, spool).await?;
    let files = read_in_a_thread(spool, folder).await?;
    Ok(Library { version: source.reference.clone(), commit: Some(commit), files })
}

/// Ant's patterns of what may be of a library in `folder`.
fn patterns(folder: &str) -> Result<String, Trouble> {
    let folder = plain(folder);
    if folder.contains([',', '*', '?', '\\']) || folder.contains(char::is_whitespace) {
        let text = format!("library: the libraryPath ‘{folder}’ has a character that stands for others");
        return Err(Trouble::workload(text));
    }
    let within = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    Ok(FOLDERS.map(|name| format!("{within}{name}/**")).join(","))
}

/// A folder without what means nothing: `./lib/` is `lib`.
fn plain(folder: &str) -> &str {
    folder.trim_start_matches("./").trim_matches('/')
}

/// What of a tree is a library.
async fn files_of(tree: Tree, folder: &str, scratch: &Path) -> Result<Vec<LibraryFile>, Trouble> {
    let spool = unnamed(scratch)?;
    let failed = |error: std::io::Error| Trouble::infrastructure(format!("cannot keep a library: {error}"));
    let mut out = tokio::fs::File::from_std(spool.try_clone().map_err(failed)?);
    tokio::io::copy(&mut tree.files.tar.take(MAX_TREE_BYTES), &mut out).await.map_err(failed)?;
    tree.files.finished.await?;
    read_in_a_thread(spool, folder).await
}

async fn read_in_a_thread(mut tar: std::fs::File, folder: &str) -> Result<Vec<LibraryFile>, Trouble> {
    let folder = plain(folder).to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        tar.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
        read(BufReader::new(tar), &folder)
    });
    let read = reading.await.unwrap_or_else(|error| Err(error.to_string()));
    read.map_err(|reason| Trouble::workload(format!("cannot read the library: {reason}")))
}

/// The files of a library in a tar stream, where it is in `folder` (`""`: at the top).
fn read(tar: impl Read, folder: &str) -> Result<Vec<LibraryFile>, String> {
    let mut archive = tar::Archive::new(tar);
    let (mut files, mut bytes) = (Vec::new(), 0);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path().map_err(|error| error.to_string())?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./");
        let own = match folder {
            "" => Some(path),
            folder => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(own) = own.filter(|own| entry.header().entry_type().is_file() && is_of_library(own)) else { continue };
        let own = own.to_owned();
        bytes += entry.size();
        if bytes > MAX_LIBRARY_BYTES || files.len() as u64 >= MAX_LIBRARY_FILES {
            return Err(format!("it has more than {} MiB or {MAX_LIBRARY_FILES} files", MAX_LIBRARY_BYTES >> 20));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| error.to_string())?;
        let content = match String::from_utf8(content) {
            Ok(text) => FileContent::Text(text),
            Err(other) => FileContent::Base64(STANDARD.encode(other.into_bytes())),
        };
        files.push(LibraryFile { path: own, content });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn a_library_is_what_stands_in_its_three_folders() {
        let tar = tar_of(&[
            ("vars/b.groovy", b"def call() {}"),
            ("./vars/a.groovy", b"1"),
            ("Jenkinsfile", b"node {}"),
            ("resources/x.bin", b"\xff\x00"),
            ("lib/vars/inner.groovy", b"2"),
        ]);
        let paths =
            |folder: &str| read(&tar[..], folder).unwrap().into_iter().map(|file| file.path).collect::<Vec<_>>();
        assert_eq!(paths(""), ["resources/x.bin", "vars/a.groovy", "vars/b.groovy"]);
        assert_eq!(paths("lib"), ["vars/inner.groovy"]);
        let binary = read(&tar[..], "").unwrap().remove(0);
        assert_eq!(binary.content, FileContent::Base64("/wA=".to_owned()));
    }

    #[test]
    fn no_more_of_a_strangers_repository_is_kept_than_the_folders_of_a_library() {
        assert_eq!(patterns("").ok().as_deref(), Some("vars/**,src/**,resources/**"));
        assert_eq!(patterns("./lib/").ok().as_deref(), Some("lib/vars/**,lib/src/**,lib/resources/**"));
        for strange in ["**", "a,**", "a **", "?"] {
            assert!(patterns(strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn a_library_that_is_too_large_is_refused() {
        let large = vec![b' '; 9 << 20];
        let tar = tar_of(&[("resources/a", &large), ("resources/b", &large)]);
        assert!(read(&tar[..], "").unwrap_err().contains("more than 16 MiB"));
    }
}
