//! Repositories to check out, and what git does with them beside having their files.

use serde::{Deserialize, Serialize};

/// A git repository to check out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSource {
    /// URL.
    pub url: String,
    /// Branch, tag or commit; the remote's default when absent.
    pub reference: Option<String>,
    /// Id of a credential.
    pub credentials: Option<String>,
    /// It is the repository that the definition is of, as `scm` names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// The branch that is made of it; `**`: one of its name. `None`: the commit alone is checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_branch: Option<String>,
    /// The repositories within it come as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodules: Option<Submodules>,
    /// Files that it comes to, as git's lists of what is ignored name them; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse: Vec<String>,
}

impl GitSource {
    /// Whether git has more to do with the files of its commit than to have them.
    pub fn is_arranged(&self) -> bool {
        self.local_branch.is_some() || self.submodules.is_some() || !self.sparse.is_empty()
    }
}

/// Which repositories within a repository come with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submodules {
    /// Those within them, too.
    pub recursive: bool,
    /// Each at the end of its branch, not at the commit that is written down.
    pub latest: bool,
    /// They are fetched as who fetches the repository itself.
    pub same_login: bool,
}
