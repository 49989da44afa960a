//! Bitbucket: Cloud (`repo:push`, `pullrequest:…`) and Data Center (`repo:refs_changed`, `pr:…`).
//!
//! Sources: <https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>,
//! <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>, for answers
//! <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/> and
//! <https://developer.atlassian.com/server/bitbucket/rest/v906/api-group-pull-requests/>.

use serde_json::Value;

use crate::field::{abbreviated, address, commit, email, is_true, maybe, name, number, some, text};
use crate::{Closed, Facts, Hook, PullRequest, Push, Reference, Removed, RequestState};

/// The most references of one push that are told of, of those that have changed and of those that are gone; who pushes more moves house, and
/// is told of how many nothing was done.
const MAX_PUSHED: usize = 100;

pub(crate) fn read(event: &str, body: &Value) -> Result<Hook, String> {
    match event {
        "repo:push" => push(body),
        "repo:refs_changed" => refs_changed(body),
        "pullrequest:created" | "pullrequest:updated" => {
            let of = body.get("pullrequest").ok_or("there is no pullrequest")?;
            Ok(Hook::PullRequest(of_cloud(of)?))
        }
        "pullrequest:fulfilled" | "pullrequest:rejected" => closed(body, event, "/pullrequest/id", "/actor/nickname"),
        "pr:opened" | "pr:from_ref_updated" => {
            let of = body.get("pullRequest").ok_or("there is no pullRequest")?;
            Ok(Hook::PullRequest(of_data_center(of)?))
        }
        "pr:merged" | "pr:declined" | "pr:deleted" => closed(body, event, "/pullRequest/id", "/actor/name"),
        other => Ok(Hook::Nothing { what: other.to_owned() }),
    }
}

fn push(body: &Value) -> Result<Hook, String> {
    let changes = body.pointer("/push/changes").and_then(Value::as_array).ok_or("there is no push/changes")?;
    let mut pushed = Pushed { by: maybe(body, "/actor/nickname"), ..Pushed::default() };
    for change in changes {
        let (old, new) = (&change["old"], &change["new"]);
        match (new.is_object(), old.is_object()) {
            (true, _) => pushed.add(reference(new)?, commit(new, "/target/hash")?.ok_or("a push without a commit")?),
            (false, true) => pushed.remove(reference(old)?),
            _ => {}
        }
    }
    Ok(pushed.hook())
}

/// What came of one push.
#[derive(Default)]
struct Pushed {
    new: Vec<(Reference, String)>,
    gone: Vec<Reference>,
    /// How many more there were.
    more: usize,
    by: Option<String>,
}

impl Pushed {
    fn add(&mut self, reference: Reference, commit: String) {
        match self.new.len() < MAX_PUSHED {
            true => self.new.push((reference, commit)),
            false => self.more += 1,
        }
    }

    fn remove(&mut self, reference: Reference) {
        match self.gone.len() < MAX_PUSHED {
            true => self.gone.push(reference),
            false => self.more += 1,
        }
    }

    fn hook(self) -> Hook {
        let Pushed { new, gone, more, by } = self;
        let push = |(reference, commit)| Hook::Push(Push { reference, commit, by: by.clone() });
        let mut all: Vec<_> = new.into_iter().map(push).collect();
        all.extend((!gone.is_empty()).then(|| Hook::Removed(Removed { references: gone, by: by.clone() })));
        let what = format!(
            "{more} more references of this push: what is new there is found by a look (`--poll`), or by a push of each"
        );
        all.extend((more > 0).then_some(Hook::Nothing { what }));
        match all.len() {
            0 => Hook::Nothing { what: "a push of nothing".to_owned() },
            1 => all.remove(0),
            _ => Hook::Several(all),
        }
    }
}

fn reference(of: &Value) -> Result<Reference, String> {
    let name = name(of, "/name")?;
    Ok(if text(of, "/type")? == "tag" { Reference::Tag(name) } else { Reference::Branch(name) })
}

fn refs_changed(body: &Value) -> Result<Hook, String> {
    let changes = body.pointer("/changes").and_then(Value::as_array).ok_or("there are no changes")?;
    let mut pushed = Pushed { by: maybe(body, "/actor/name"), ..Pushed::default() };
    for change in changes {
        match (Reference::of(&text(change, "/ref/id")?), commit(change, "/toHash")?) {
            (Some(reference), Some(commit)) => pushed.add(reference, commit),
            (Some(reference), None) => pushed.remove(reference),
            (None, _) => {}
        }
    }
    Ok(pushed.hook())
}

fn closed(body: &Value, event: &str, id: &str, by: &str) -> Result<Hook, String> {
    let is_merged = matches!(event, "pullrequest:fulfilled" | "pr:merged");
    Ok(Hook::Closed(Closed { number: number(body, id)?, is_merged, by: maybe(body, by) }))
}

/// A pull request of Cloud, in a webhook or in an answer.
fn of_cloud(of: &Value) -> Result<PullRequest, String> {
    let repository = |side: &str| of.pointer(&format!("/{side}/repository/uuid"));
    // Cloud abbreviates the commit here; its branch can be fetched where it is of this repository.
    let is_fork = repository("destination").is_none() || repository("source") != repository("destination");
    let branch = name(of, "/source/branch/name")?;
    Ok(PullRequest {
        number: number(of, "/id")?,
        commit: abbreviated(of, "/source/commit/hash")?,
        fetch: (!is_fork).then(|| format!("refs/heads/{branch}")),
        branch,
        target: name(of, "/destination/branch/name")?,
        title: maybe(of, "/title").unwrap_or_default(),
        author: maybe(of, "/author/nickname"),
        author_name: some(of, "/author/display_name"),
        author_email: None,
        url: address(of, "/links/html/href"),
        is_fork,
    })
}

/// Reads a pull request of Cloud that was asked for.
pub(crate) fn facts(of: &Value) -> Result<Facts, String> {
    let word = text(of, "/state")?;
    let state = match word.as_str() {
        "OPEN" | "DRAFT" | "QUEUED" => RequestState::Open,
        "MERGED" => RequestState::Merged,
        "DECLINED" | "SUPERSEDED" => RequestState::Closed,
        other => return Err(format!("{other:?} is no state")),
    };
    let is_draft = word == "DRAFT" || is_true(of, "/draft");
    Ok(Facts { request: of_cloud(of)?, state, is_draft, target_commit: None })
}

/// A pull request of Data Center, in a webhook or in an answer.
fn of_data_center(of: &Value) -> Result<PullRequest, String> {
    let number = number(of, "/id")?;
    let repository = |side: &str| of.pointer(&format!("/{side}/repository/id"));
    let is_fork = repository("toRef").is_none() || repository("fromRef") != repository("toRef");
    Ok(PullRequest {
        number,
        commit: commit(of, "/fromRef/latestCommit")?.ok_or("a pull request without a commit")?,
        fetch: Some(format!("refs/pull-requests/{number}/from")),
        branch: name(of, "/fromRef/displayId")?,
        target: name(of, "/toRef/displayId")?,
        title: maybe(of, "/title").unwrap_or_default(),
        author: maybe(of, "/author/user/name"),
        author_name: some(of, "/author/user/displayName"),
        author_email: email(of, "/author/user/emailAddress"),
        url: address(of, "/links/self/0/href"),
        is_fork,
    })
}

/// Reads a pull request of Data Center that was asked for.
pub(crate) fn facts_of_data_center(of: &Value) -> Result<Facts, String> {
    let state = match text(of, "/state")?.as_str() {
        "OPEN" => RequestState::Open,
        "MERGED" => RequestState::Merged,
        "DECLINED" => RequestState::Closed,
        other => return Err(format!("{other:?} is no state")),
    };
    Ok(Facts { request: of_data_center(of)?, state, is_draft: is_true(of, "/draft"), target_commit: None })
}
