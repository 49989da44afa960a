//! Repositories to check out, and what git does with them beside having their files.

use serde::{Deserialize, Serialize};

/// Branches of one checkout that are looked for.
pub const MAX_REFERENCES: usize = 20;

/// A git repository to check out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSource {
    /// URL.
    pub url: String,
    /// Branch, tag or commit; the remote's default when absent.
    pub reference: Option<String>,
    /// What is taken where it has no such branch, tag or commit: the first of these that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or_else: Vec<String>,
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
    /// What goes from the folder that it comes to.
    #[serde(default, skip_serializing_if = "Clearing::is_usual")]
    pub clearing: Clearing,
}

impl GitSource {
    /// Whether git has more to do with the files of its commit than to have them.
    pub fn is_arranged(&self) -> bool {
        self.local_branch.is_some() || self.submodules.is_some() || !self.sparse.is_empty()
    }

    /// Whether it is what `scm` stands for, without anything that git has to do.
    pub fn is_itself(&self) -> bool {
        self.own && self.reference.is_none() && !self.is_arranged()
    }

    /// Its branch, tag or commit, and what is taken instead, in this order; the first [`MAX_REFERENCES`], for git is asked about each.
    pub fn references(&self) -> impl Iterator<Item = &String> {
        self.reference.iter().chain(&self.or_else).take(MAX_REFERENCES)
    }
}

/// What goes from a folder before files of a repository come there; each has the ones before it in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Clearing {
    /// What the last checkout put there and the new one does not have.
    #[default]
    Usual,
    /// What is not of the repository, but for other repositories: `git clean -fdx`.
    Untracked,
    /// Those, too: `git clean -ffdx`.
    Repositories,
    /// All.
    Everything,
}

impl Clearing {
    /// Whether nothing was said about it.
    pub fn is_usual(&self) -> bool {
        *self == Clearing::Usual
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_branches_are_looked_for_as_git_is_asked_about() {
        let many = |n: usize| (0..n).map(|i| i.to_string()).collect();
        let source = GitSource { reference: Some("first".to_owned()), or_else: many(100), ..GitSource::default() };
        assert_eq!(source.references().count(), MAX_REFERENCES);
        assert_eq!(source.references().take(2).collect::<Vec<_>>(), ["first", "0"]);
    }
}
