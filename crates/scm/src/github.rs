//! GitHub, and Gitea, which speaks like it.
//!
//! Source: <https://docs.github.com/webhooks/webhook-events-and-payloads>, `push` and `pull_request`.

use serde_json::Value;

use crate::field::{commit, maybe, number, text};
use crate::{Hook, PullRequest, Push, Reference};

/// What makes a pull request's commits other ones. Gitea says `synchronized`.
const NEW_COMMITS: [&str; 5] = ["opened", "reopened", "synchronize", "synchronized", "ready_for_review"];

pub(crate) fn read(event: &str, body: &Value) -> Result<Hook, String> {
    match event {
        "push" => push(body),
        "pull_request" | "pull_request_sync" => pull_request(body),
        other => Ok(Hook::Nothing { what: other.to_owned() }),
    }
}

fn push(body: &Value) -> Result<Hook, String> {
    let name = text(body, "/ref")?;
    let Some(reference) = Reference::of(&name) else { return Ok(Hook::Nothing { what: format!("push to {name}") }) };
    let Some(commit) = commit(body, "/after")? else {
        return Ok(Hook::Nothing { what: format!("{name} was removed") });
    };
    let by = maybe(body, "/sender/login").or_else(|| maybe(body, "/pusher/name"));
    Ok(Hook::Push(Push { reference, commit, by }))
}

fn pull_request(body: &Value) -> Result<Hook, String> {
    let action = text(body, "/action")?;
    if !NEW_COMMITS.contains(&action.as_str()) {
        return Ok(Hook::Nothing { what: format!("pull request {action}") });
    }
    let number = number(body, "/pull_request/number")?;
    let commit = commit(body, "/pull_request/head/sha")?.ok_or("a pull request without a commit")?;
    let base = body.pointer("/pull_request/base/repo/id");
    // A fork that is gone has no repository.
    let is_fork = base.is_none() || body.pointer("/pull_request/head/repo/id") != base;
    Ok(Hook::PullRequest(PullRequest {
        number,
        commit,
        fetch: Some(format!("refs/pull/{number}/head")),
        branch: text(body, "/pull_request/head/ref")?,
        target: text(body, "/pull_request/base/ref")?,
        title: maybe(body, "/pull_request/title").unwrap_or_default(),
        author: maybe(body, "/pull_request/user/login"),
        url: maybe(body, "/pull_request/html_url"),
        is_fork,
    }))
}
