//! GitLab.
//!
//! Source: <https://docs.gitlab.com/user/project/integrations/webhook_events/>, push, tag and merge request events.

use serde_json::Value;

use crate::field::{commit, maybe, number, text};
use crate::{Hook, PullRequest, Push, Reference};

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
    let Some(commit) = commit(body, "/after")? else {
        return Ok(Hook::Nothing { what: format!("{name} was removed") });
    };
    Ok(Hook::Push(Push { reference, commit, by: maybe(body, "/user_username") }))
}

fn merge_request(body: &Value) -> Result<Hook, String> {
    let action = maybe(body, "/object_attributes/action").unwrap_or_default();
    // An update that has other commits says which it had before.
    let has_new = matches!(action.as_str(), "open" | "reopen")
        || body.pointer("/object_attributes/oldrev").is_some_and(Value::is_string);
    if !has_new {
        return Ok(Hook::Nothing { what: format!("merge request {action}") });
    }
    let number = number(body, "/object_attributes/iid")?;
    let commit = commit(body, "/object_attributes/last_commit/id")?.ok_or("a merge request without a commit")?;
    let project = |which: &str| body.pointer(&format!("/object_attributes/{which}_project_id")).and_then(Value::as_u64);
    let is_fork = project("target").is_none() || project("source") != project("target");
    Ok(Hook::PullRequest(PullRequest {
        number,
        commit,
        fetch: Some(format!("refs/merge-requests/{number}/head")),
        branch: text(body, "/object_attributes/source_branch")?,
        target: text(body, "/object_attributes/target_branch")?,
        title: maybe(body, "/object_attributes/title").unwrap_or_default(),
        author: maybe(body, "/user/username"),
        url: maybe(body, "/object_attributes/url"),
        is_fork,
    }))
}
