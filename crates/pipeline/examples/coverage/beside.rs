//! What stands beside a file in its repository: the library that its project has, and files that it loads and reads.

use std::fs;
use std::path::{Path, PathBuf};

use model::library::{FileContent, Library, LibraryFile, is_of_library};

/// Larger files are not read.
const MAX_BYTES: u64 = 1 << 20;

/// A repository.
pub struct Beside {
    root: PathBuf,
    library: Vec<LibraryFile>,
}

impl Beside {
    /// The repository of that name in a folder of repositories; `None`: it is not there.
    pub fn find(repositories: &Path, name: &str) -> Option<Beside> {
        let root = repositories.join(name);
        let mut library = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            let is_library = folder.join("vars").is_dir();
            let mut found: Vec<_> = fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path()).collect();
            found.sort();
            for path in found.into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
                if is_library && ["vars", "src", "resources"].iter().any(|name| path.ends_with(name)) {
                    collect(&folder, &path, &mut library);
                } else {
                    open.push(path);
                }
            }
        }
        Some(Beside { root, library })
    }

    /// Whether it has a library.
    pub fn has_library(&self) -> bool {
        !self.library.is_empty()
    }

    /// Its library, whatever it is asked for as.
    pub fn library(&self) -> Library {
        Library { files: self.library.clone(), ..Library::default() }
    }

    /// What a file of a workspace says, where the repository has one of that path.
    pub fn text(&self, path: &str) -> Option<String> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "..").collect();
        (0..parts.len()).find_map(|from| read(&self.root.join(parts.get(from..)?.join("/"))))
    }
}

fn read(path: &Path) -> Option<String> {
    let about = fs::metadata(path).ok().filter(|about| about.is_file() && about.len() <= MAX_BYTES);
    about.and_then(|_| fs::read_to_string(path).ok())
}

/// The files of a library below one of its folders.
fn collect(root: &Path, folder: &Path, into: &mut Vec<LibraryFile>) {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let mut found: Vec<_> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
        found.sort();
        for path in found {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if is_of_library(&name)
                && let Some(text) = read(&path)
            {
                into.push(LibraryFile { path: name, content: FileContent::Text(text) });
            }
        }
    }
}
