//! What a forge answers when it is asked. A webhook says what was so when it was sent, and comes late, twice or not at all; before
//! something follows from it, the forge is asked again.

use serde_json::Value;

use crate::field::{commit, hexadecimal, name};
use crate::{Forge, PullRequest, Refused, bitbucket, github, gitlab};

/// The most entries of one page: no more were asked for.
const MAX_ITEMS: usize = 100;

/// A pull request as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What a webhook says of one too. Of Bitbucket its commit is abbreviated, see [`is_whole`].
    pub request: PullRequest,
    /// What has become of it.
    pub state: RequestState,
    /// Its author does not want it merged yet.
    pub is_draft: bool,
    /// The commit of its target now, where the forge says so: only Gitea does. What GitHub calls `base.sha` is as old as the last push
    /// (<https://github.com/github/rest-api-description/issues/5978>). [`crate::ask_branch`] asks for it.
    pub target_commit: Option<String>,
}

/// What has become of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It may be merged.
    Open,
    /// It was closed without that.
    Closed,
    /// It is in its target.
    Merged,
}

/// A branch as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// `main`
    pub name: String,
    /// Its commit.
    pub commit: String,
    /// Not everybody who may write may write to it; `None`: the forge does not say. Bitbucket does not.
    pub is_protected: Option<bool>,
}

/// A tag as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// `v1.0`
    pub name: String,
    /// The commit that it stands for, also where it is an object of its own.
    pub commit: String,
}

/// A page of a list. What cannot be read hides nothing else: somebody may make one on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// What is in it.
    pub found: Vec<T>,
    /// Why something in it was not understood.
    pub refused: Vec<Refused>,
}

/// Reads the answer to [`crate::ask_pull_request`].
///
/// # Errors
/// [`Refused::Answer`].
pub fn read_pull_request(forge: Forge, answer: &Value) -> Result<Facts, Refused> {
    let facts = match forge {
        Forge::Github | Forge::Gitea => github::facts(forge, answer),
        Forge::Gitlab => gitlab::facts(answer),
        Forge::Bitbucket => bitbucket::facts(answer),
        Forge::BitbucketDataCenter => bitbucket::facts_of_data_center(answer),
    };
    facts.map_err(|reason| Refused::Answer { forge, reason })
}

/// Reads the answer to [`crate::ask_pull_requests`].
///
/// # Errors
/// [`Refused::Answer`]: it is no list.
pub fn read_pull_requests(forge: Forge, answer: &Value) -> Result<Listed<Facts>, Refused> {
    listed(forge, answer, read_pull_request)
}

/// Reads the answer to [`crate::ask_branch`] for that one.
///
/// # Errors
/// [`Refused::Answer`].
pub fn read_branch(forge: Forge, asked: &str, answer: &Value) -> Result<Branch, Refused> {
    if forge == Forge::BitbucketDataCenter {
        let commit = last_commit(answer).map_err(|reason| Refused::Answer { forge, reason })?;
        return Ok(Branch { name: asked.to_owned(), commit, is_protected: None });
    }
    read_listed_branch(forge, answer)
}

fn read_listed_branch(forge: Forge, answer: &Value) -> Result<Branch, Refused> {
    let read = || {
        let commit = commit(answer, commit_of_branch(forge))?.ok_or("a branch without a commit")?;
        let is_protected = answer.get("protected").and_then(Value::as_bool);
        Ok(Branch { name: name(answer, name_of(forge))?, commit, is_protected })
    };
    read().map_err(|reason| Refused::Answer { forge, reason })
}

/// Of the commits up to a branch or a tag of Data Center.
fn last_commit(answer: &Value) -> Result<String, String> {
    commit(answer, "/values/0/id")?.ok_or_else(|| "there is no commit".to_owned())
}

/// Reads the answer to [`crate::ask_branches`].
///
/// # Errors
/// [`Refused::Answer`]: it is no list.
pub fn read_branches(forge: Forge, answer: &Value) -> Result<Listed<Branch>, Refused> {
    listed(forge, answer, read_listed_branch)
}

/// Reads the answer to [`crate::ask_tags`].
///
/// # Errors
/// [`Refused::Answer`]: it is no list.
pub fn read_tags(forge: Forge, answer: &Value) -> Result<Listed<Tag>, Refused> {
    listed(forge, answer, |forge, tag| {
        let read = || {
            let path = if forge == Forge::Gitea { "/commit/sha" } else { commit_of_branch(forge) };
            let commit = commit(tag, path)?.ok_or("a tag without a commit")?;
            Ok(Tag { name: name(tag, name_of(forge))?, commit })
        };
        read().map_err(|reason| Refused::Answer { forge, reason })
    })
}

/// Reads the answer to [`crate::ask_tag`]: the tag's commit.
///
/// # Errors
/// [`Refused::Answer`].
pub fn read_tag(forge: Forge, answer: &Value) -> Result<String, Refused> {
    let path = match forge {
        Forge::Github => "/sha",
        Forge::Gitea => "/commit/sha",
        Forge::Gitlab | Forge::Bitbucket => commit_of_branch(forge),
        Forge::BitbucketDataCenter => "/values/0/id",
    };
    let read = || commit(answer, path)?.ok_or_else(|| "a tag without a commit".to_owned());
    read().map_err(|reason| Refused::Answer { forge, reason })
}

/// Reads the answer to [`crate::ask_commit`]: the whole commit, which begins as was asked.
///
/// # Errors
/// [`Refused::Answer`].
pub fn read_commit(forge: Forge, asked: &str, answer: &Value) -> Result<String, Refused> {
    let path = match forge {
        Forge::Github | Forge::Gitea => "/sha",
        Forge::Gitlab | Forge::BitbucketDataCenter => "/id",
        Forge::Bitbucket => "/hash",
    };
    let found = commit(answer, path).and_then(|found| found.ok_or_else(|| "there is no commit".to_owned()));
    let is_it = |found: &String| found.starts_with(&asked.to_ascii_lowercase());
    let found = found.and_then(|found| if is_it(&found) { Ok(found) } else { Err(format!("{found} is another one")) });
    found.map_err(|reason| Refused::Answer { forge, reason })
}

/// Whether a commit is not abbreviated.
pub fn is_whole(commit: &str) -> bool {
    [40, 64].contains(&commit.len()) && hexadecimal(commit)
}

/// Where the merge of a pull request with its target can be fetched, as the forge has made it to see whether it can be merged; `None`: the
/// forge keeps none. It is as old as that look, and gone or old where there are conflicts: that its parents are the commits that were
/// meant is for who fetches it to see.
///
/// Of GitHub asking for the pull request makes it look (<https://docs.github.com/rest/guides/using-the-rest-api-to-interact-with-your-git-database>,
/// "Checking mergeability of pull requests"), of GitLab asking for `merge_ref` of it
/// (<https://docs.gitlab.com/api/merge_requests/#merge-to-default-merge-ref-path>). Gitea and Forgejo have only `refs/pull/…/head`
/// (<https://github.com/go-gitea/gitea/issues/13134>), and neither has Bitbucket Cloud one.
pub fn merged_ref(forge: Forge, number: u64) -> Option<String> {
    match forge {
        Forge::Github => Some(format!("refs/pull/{number}/merge")),
        Forge::Gitlab => Some(format!("refs/merge-requests/{number}/merge")),
        Forge::BitbucketDataCenter => Some(format!("refs/pull-requests/{number}/merge")),
        Forge::Gitea | Forge::Bitbucket => None,
    }
}

/// Where a branch's commit stands. A tag's does too, but Gitea's.
fn commit_of_branch(forge: Forge) -> &'static str {
    match forge {
        Forge::Github => "/commit/sha",
        Forge::Gitlab | Forge::Gitea => "/commit/id",
        Forge::Bitbucket => "/target/hash",
        // Of a tag too: `hash` is the tag's own.
        Forge::BitbucketDataCenter => "/latestCommit",
    }
}

/// Where the name of a branch or a tag stands.
fn name_of(forge: Forge) -> &'static str {
    if forge == Forge::BitbucketDataCenter { "/displayId" } else { "/name" }
}

/// The entries of a page.
pub(crate) fn items(forge: Forge, answer: &Value) -> Result<&[Value], Refused> {
    let refused = |reason: &str| Refused::Answer { forge, reason: reason.to_owned() };
    let is_wrapped = matches!(forge, Forge::Bitbucket | Forge::BitbucketDataCenter);
    let list = if is_wrapped { answer.get("values") } else { Some(answer) };
    let list = list.and_then(Value::as_array).ok_or_else(|| refused("it is no list"))?;
    if list.len() > MAX_ITEMS { Err(refused("the page is longer than was asked for")) } else { Ok(list) }
}

fn listed<T>(
    forge: Forge,
    answer: &Value,
    read: impl Fn(Forge, &Value) -> Result<T, Refused>,
) -> Result<Listed<T>, Refused> {
    let mut listed = Listed { found: Vec::new(), refused: Vec::new() };
    for item in items(forge, answer)? {
        match read(forge, item) {
            Ok(found) => listed.found.push(found),
            Err(refused) => listed.refused.push(refused),
        }
    }
    Ok(listed)
}
