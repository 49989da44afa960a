//! Shared libraries: Groovy that several definitions use (`@Library('name@version') _`).

use serde::{Deserialize, Serialize};

use crate::git::GitSource;

/// All files of a library, in bytes.
pub const MAX_LIBRARY_BYTES: u64 = 16 << 20;
/// All files of a library.
pub const MAX_LIBRARY_FILES: u64 = 10_000;

/// Which library is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryWish {
    /// Its name.
    pub name: String,
    /// A branch, tag or commit; `None`: what the configuration says.
    pub version: Option<String>,
    /// Where it is.
    pub place: LibraryPlace,
}

/// Where a library is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LibraryPlace {
    /// The name is known to whoever started the run.
    Configured,
    /// The definition says where: a repository, and a folder in it (`""`: all of it).
    Git(GitSource, String),
    /// The repository of the definition itself (`retriever: legacySCM(scm)`), and a folder in it.
    Own(String),
}

/// A library, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The branch, tag or commit that was taken, as it was called; `None` of files that are in no repository.
    pub version: Option<String>,
    /// Its commit.
    pub commit: Option<String>,
    /// What is below `vars`, `src` and `resources`, by path.
    pub files: Vec<LibraryFile>,
}

/// A file of a library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryFile {
    /// `vars/name.groovy`, `src/org/acme/Tool.groovy`, `resources/…`.
    pub path: String,
    /// Its content.
    pub content: FileContent,
}

/// Content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileContent {
    /// UTF-8.
    Text(String),
    /// Anything else, in Base64.
    Base64(String),
}

/// The folders of a library.
pub const FOLDERS: [&str; 3] = ["vars", "src", "resources"];

/// Whether a file is one that a library is made of.
pub fn is_of_library(path: &str) -> bool {
    let is_source = |rest: &str| rest.ends_with(".groovy");
    let of_vars =
        |rest: &str| !rest.contains('/') && (is_source(rest) || rest.ends_with(".txt") || rest.ends_with(".md"));
    path.strip_prefix("vars/").is_some_and(of_vars)
        || path.strip_prefix("src/").is_some_and(is_source)
        || path.starts_with("resources/")
}

impl LibraryWish {
    /// From `name` or `name@version`.
    pub fn configured(identifier: &str) -> LibraryWish {
        let (name, version) = match identifier.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (identifier, None),
        };
        LibraryWish { name: name.to_owned(), version, place: LibraryPlace::Configured }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_folders_make_a_library() {
        for path in ["vars/a.groovy", "vars/a.txt", "src/a/b/C.groovy", "resources/x/y.bin"] {
            assert!(is_of_library(path), "{path}");
        }
        for path in ["vars/sub/a.groovy", "test/a.groovy", "Jenkinsfile", "src/a.java", "resources", "vars/a.sh"] {
            assert!(!is_of_library(path), "{path}");
        }
    }
}
