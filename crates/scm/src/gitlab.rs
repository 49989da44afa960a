//! GitLab.
//!
//! Sources: <https://docs.gitlab.com/user/project/integrations/webhook_events/>, push, tag and merge request events; and
//! <https://docs.gitlab.com/api/merge_requests/>.

use serde_json::Value;

use crate::field::{address, commit, email, is_true, maybe, name, number, some, text};
use crate::{Closed, Facts, Hook, PullRequest, Push, Reference, Removed, RequestState};

pub(crate) fn read(event: &str, body: &Value) -> Result<Hook, String> {
    match event {
        "Push Hook" | "Tag Push Hook" => push(body),
        "Merge Request Hook" => merge_request(body),
        other => Ok(Hook::Nothing { what: other.to_owned() }),
    }
}

fn push(body: &Value) -> Result<Hook, String> {
    let name = text(body, "/ref")?;
    let Some(reference) = Reference::of(&name) else { return Ok(Hook::Nothing { what: format!("push to {name}") }) };
    let by = maybe(body, "/user_username");
    match commit(body, "/after")? {
        Some(commit) => Ok(Hook::Push(Push { reference, commit, by })),
        None => Ok(Hook::Removed(Removed { references: vec![reference], by })),
    }
}

fn merge_request(body: &Value) -> Result<Hook, String> {
    let of = body.get("object_attributes").ok_or("there are no object_attributes")?;
    let action = maybe(of, "/action").unwrap_or_default();
    if let "close" | "merge" = action.as_str() {
        let (number, by) = (number(of, "/iid")?, maybe(body, "/user/username"));
        return Ok(Hook::Closed(Closed { number, is_merged: action == "merge", by }));
    }
    // An update that has other commits says which it had before, and one that is for another branch for which it was.
    let has_new = matches!(action.as_str(), "open" | "reopen")
        || of.get("oldrev").is_some_and(Value::is_string)
        || body.pointer("/changes/target_branch").is_some_and(Value::is_object);
    if !has_new {
        return Ok(Hook::Nothing { what: format!("merge request {action}") });
    }
    let commit = commit(of, "/last_commit/id")?.ok_or("a merge request without a commit")?;
    Ok(Hook::PullRequest(PullRequest {
        author: maybe(body, "/user/username"),
        author_name: some(body, "/user/name"),
        author_email: email(body, "/user/email"),
        url: address(of, "/url"),
        ..request(of, commit)?
    }))
}

/// What a webhook and an answer call the same.
fn request(of: &Value, commit: String) -> Result<PullRequest, String> {
    let number = number(of, "/iid")?;
    let project = |which: &str| of.get(which).and_then(Value::as_u64);
    // A fork that is gone has no number.
    let [source, target] = ["source_project_id", "target_project_id"].map(project);
    Ok(PullRequest {
        number,
        commit,
        fetch: Some(format!("refs/merge-requests/{number}/head")),
        branch: name(of, "/source_branch")?,
        target: name(of, "/target_branch")?,
        title: maybe(of, "/title").unwrap_or_default(),
        author: None,
        author_name: None,
        author_email: None,
        url: None,
        is_fork: target.is_none() || source != target,
    })
}

/// Reads a merge request that was asked for.
pub(crate) fn facts(of: &Value) -> Result<Facts, String> {
    let state = match text(of, "/state")?.as_str() {
        // It is just being merged, and nothing has come of that yet.
        "opened" | "locked" => RequestState::Open,
        "closed" => RequestState::Closed,
        "merged" => RequestState::Merged,
        other => return Err(format!("{other:?} is no state")),
    };
    let commit = commit(of, "/sha")?.ok_or("a merge request without a commit")?;
    let (author, url) = (maybe(of, "/author/username"), address(of, "/web_url"));
    let author_name = some(of, "/author/name");
    // Before GitLab 14 it was called otherwise.
    let is_draft = is_true(of, "/draft") || is_true(of, "/work_in_progress");
    let request = PullRequest { author, author_name, url, ..request(of, commit)? };
    Ok(Facts { request, state, is_draft, target_commit: None })
}
