//! What came into a repository between two commits.

use serde::{Deserialize, Serialize};

/// Most commits that are told of; the newest are. As many as Jenkins' git plugin keeps (`GitSCM.MAX_CHANGELOG`).
pub const MAX_CHANGES: usize = 1024;
/// Most that is told of them in all, in bytes: their words are their authors'. More is an error, for what is left out might decide.
pub const MAX_CHANGES_BYTES: usize = 4 << 20;

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name, in hexadecimal digits.
    pub commit: String,
    /// The commit before it.
    pub parent: Option<String>,
    /// Who wrote it.
    pub author: String,
    /// Their address.
    pub email: String,
    /// When they did, in seconds since 1970.
    pub authored_s: i64,
    /// All of what they say of it.
    pub message: String,
    /// What it changed, from the top of the repository (of the project's folder in it). One that was renamed is deleted and added.
    pub files: Vec<ChangedFile>,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Where it is, or was.
    pub path: String,
    /// What became of it.
    pub edit: Edit,
}

/// What a commit did to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// It is new.
    Added,
    /// It is another.
    Edited,
    /// It is gone.
    Deleted,
}

impl Change {
    /// The first line of what its author says.
    pub fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default().trim()
    }

    /// About how much text it has, in bytes.
    pub fn bytes(&self) -> usize {
        let files: usize = self.files.iter().map(|file| file.path.len() + 16).sum();
        self.author.len() + self.email.len() + self.message.len() + files + 128
    }
}
