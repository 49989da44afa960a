//! What forges say and are asked: webhooks of GitHub, GitLab, Gitea (and Forgejo) and Bitbucket, verified and read; what a forge is asked
//! before something follows from one, and for all its branches and pull requests; and what it is told of runs. Pure: requests are data,
//! and whoever has a network makes them.
//!
//! Never: I/O, a decision what is run. What stands in a webhook is what its sender wants to be believed; of what matters for trust, only
//! what follows from who could send it ([`PullRequest::is_fork`] is the forge's word, once [`verify`] has said that it is the forge that
//! speaks).
//!
//! Start reading at [`verify`], then [`read`]; then [`ask_pull_request`] and [`read_pull_request`].

mod api;
mod ask;
mod bitbucket;
mod check;
mod facts;
mod field;
mod github;
mod github_app;
mod gitlab;
mod refs;
mod report;
mod signature;

use serde::{Deserialize, Serialize};

use crate::field::is_name;
pub use api::{Get, MAX_ANSWER_BYTES, Post, public_api};
pub use ask::{
    MAX_PAGES, ask_branch, ask_branches, ask_commit, ask_pull_request, ask_pull_requests, ask_tag, ask_tags, next_page,
};
pub use check::{
    Annotation, Check, CheckId, CheckRun, Conclusion, Level, MAX_ANNOTATIONS, Method, Progress, annotate_check,
    create_check, read_check, update_check,
};
pub use facts::{
    Branch, Facts, Listed, RequestState, Tag, is_whole, merged_ref, read_branch, read_branches, read_commit,
    read_pull_request, read_pull_requests, read_tag, read_tags,
};
pub use github_app::{TOKEN_SECONDS, app_claim, ask_token, read_token};
pub use refs::{Refs, read_refs, refs_url};
pub use report::{Report, State, post};
pub use signature::verify;

/// A kind of forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forge {
    /// GitHub, and GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud. Webhooks of Data Center are understood too.
    Bitbucket,
    /// Bitbucket Data Center, which has an API of its own.
    BitbucketDataCenter,
}

impl Forge {
    /// All of them.
    pub const ALL: [Forge; 5] =
        [Forge::Github, Forge::Gitlab, Forge::Gitea, Forge::Bitbucket, Forge::BitbucketDataCenter];

    /// Whether what it says is signed, and not only accompanied by the secret.
    pub fn signs(self) -> bool {
        self != Forge::Gitlab
    }
}

/// Headers of a request, by their name in lower case.
pub trait Headers {
    /// The value of a header that is there.
    fn get(&self, name: &str) -> Option<&str>;
}

/// Why what a forge says is not acted upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is signed by nobody who knows the secret.
    #[error("the signature is missing or wrong")]
    Signature,
    /// It is no webhook of such a forge.
    #[error("no webhook of {forge:?}: {reason}")]
    Malformed {
        /// Which.
        forge: Forge,
        /// In words.
        reason: String,
    },
    /// It is not what a repository answers that is asked what it has.
    #[error("no answer of a repository: {0}")]
    Repository(&'static str),
    /// It is not what such a forge answers.
    #[error("no answer of {forge:?}: {reason}")]
    Answer {
        /// Which.
        forge: Forge,
        /// In words.
        reason: String,
    },
}

/// What happened at a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A branch or tag has another commit.
    Push(Push),
    /// A pull (or merge) request is new, or has other commits.
    PullRequest(PullRequest),
    /// A pull request is no longer open.
    Closed(Closed),
    /// Branches or tags are gone.
    Removed(Removed),
    /// Somebody wants a run once more.
    Again(Again),
    /// Somebody wants all runs at a commit once more.
    AllAgain(AllAgain),
    /// Several of these at once, at least two: one push of several references.
    Several(Vec<Hook>),
    /// Nothing that a run follows from.
    Nothing {
        /// In words.
        what: String,
    },
}

/// A run that is wanted once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// What it is called here, as [`CheckRun::external_id`] told.
    pub external_id: String,
    /// Who wants it.
    pub by: Option<String>,
}

/// Runs at a commit that are wanted once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllAgain {
    /// Which.
    pub commit: String,
    /// Who wants it.
    pub by: Option<String>,
}

/// A branch or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// `main`
    Branch(String),
    /// `v1.0`
    Tag(String),
}

impl Reference {
    /// Of `refs/heads/main` or `refs/tags/v1.0`.
    pub fn of(name: &str) -> Option<Reference> {
        let named = |prefix| name.strip_prefix(prefix).filter(|name| is_name(name)).map(str::to_owned);
        named("refs/heads/").map(Reference::Branch).or_else(|| named("refs/tags/").map(Reference::Tag))
    }

    /// `refs/heads/main`, `refs/tags/v1.0`
    pub fn full_name(&self) -> String {
        match self {
            Reference::Branch(name) => format!("refs/heads/{name}"),
            Reference::Tag(name) => format!("refs/tags/{name}"),
        }
    }
}

/// A push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// What has changed.
    pub reference: Reference,
    /// Its commit now.
    pub commit: String,
    /// Who pushed.
    pub by: Option<String>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its commit.
    pub commit: String,
    /// Where that can be fetched from the target's repository; `None`: nowhere.
    pub fetch: Option<String>,
    /// Its branch.
    pub branch: String,
    /// The branch that it is for.
    pub target: String,
    /// Its title.
    pub title: String,
    /// Who made it.
    pub author: Option<String>,
    /// What they are called.
    pub author_name: Option<String>,
    /// Where they get letters, where their forge says that.
    pub author_email: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// It comes from another repository, or from no branch of this one: from somebody who need not have the right to write here.
    pub is_fork: bool,
}

/// A pull request that is no longer open. It may be opened again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its number.
    pub number: u64,
    /// It is in its target.
    pub is_merged: bool,
    /// Who closed it.
    pub by: Option<String>,
}

/// What was removed, all in one push. A forge may say it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// At least one.
    pub references: Vec<Reference>,
    /// Who removed them.
    pub by: Option<String>,
}

/// The number that the forge gives to this delivery: one that comes twice has the same.
pub fn delivery(forge: Forge, headers: &dyn Headers) -> Option<String> {
    let names: &[&str] = match forge {
        Forge::Github => &["x-github-delivery"],
        Forge::Gitlab => &["x-gitlab-event-uuid", "idempotency-key"],
        Forge::Gitea => &["x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery"],
        Forge::Bitbucket | Forge::BitbucketDataCenter => &["x-request-uuid", "x-request-id"],
    };
    names.iter().find_map(|name| headers.get(name)).map(str::to_owned)
}

/// What a webhook says. Verify it first.
///
/// # Errors
/// It is none.
pub fn read(forge: Forge, headers: &dyn Headers, body: &[u8]) -> Result<Hook, Refused> {
    let malformed = |reason: String| Refused::Malformed { forge, reason };
    let header = match forge {
        Forge::Github => "x-github-event",
        Forge::Gitlab => "x-gitlab-event",
        Forge::Gitea => "x-gitea-event",
        Forge::Bitbucket | Forge::BitbucketDataCenter => "x-event-key",
    };
    let event = headers.get(header).or_else(|| headers.get("x-forgejo-event").filter(|_| forge == Forge::Gitea));
    let event = event.ok_or_else(|| malformed(format!("there is no {header}")))?;
    let body = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let read = match forge {
        Forge::Github | Forge::Gitea => github::read(event, &body),
        Forge::Gitlab => gitlab::read(event, &body),
        Forge::Bitbucket | Forge::BitbucketDataCenter => bitbucket::read(event, &body),
    };
    read.map_err(malformed)
}
