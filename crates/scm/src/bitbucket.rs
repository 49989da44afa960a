//! Bitbucket: Cloud (`repo:push`, `pullrequest:…`) and Data Center (`repo:refs_changed`, `pr:…`).
//!
//! Source: <https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/> and
//! <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>.

use serde_json::Value;

use crate::field::{commit, maybe, number, text};
use crate::{Hook, PullRequest, Push, Reference};

pub(crate) fn read(event: &str, body: &Value) -> Result<Hook, String> {
    match event {
        "repo:push" => push(body),
        "repo:refs_changed" => refs_changed(body),
        "pullrequest:created" | "pullrequest:updated" => of_cloud(body),
        "pr:opened" | "pr:from_ref_updated" => of_data_center(body),
        other => Ok(Hook::Nothing { what: other.to_owned() }),
    }
}

fn push(body: &Value) -> Result<Hook, String> {
    // Of several changes the last one is run; the others come as deliveries of their own where they matter.
    let changes = body.pointer("/push/changes").and_then(Value::as_array).ok_or("there is no push/changes")?;
    let Some(new) = changes.iter().rev().map(|change| &change["new"]).find(|new| new.is_object()) else {
        return Ok(Hook::Nothing { what: "something was removed".to_owned() });
    };
    let name = text(new, "/name")?;
    let reference = match text(new, "/type")?.as_str() {
        "tag" => Reference::Tag(name),
        _ => Reference::Branch(name),
    };
    let commit = commit(new, "/target/hash")?.ok_or("a push without a commit")?;
    Ok(Hook::Push(Push { reference, commit, by: maybe(body, "/actor/nickname") }))
}

fn refs_changed(body: &Value) -> Result<Hook, String> {
    let changes = body.pointer("/changes").and_then(Value::as_array).ok_or("there are no changes")?;
    for change in changes.iter().rev() {
        let reference = Reference::of(&text(change, "/ref/id")?);
        if let (Some(reference), Some(commit)) = (reference, commit(change, "/toHash")?) {
            return Ok(Hook::Push(Push { reference, commit, by: maybe(body, "/actor/name") }));
        }
    }
    Ok(Hook::Nothing { what: "something was removed".to_owned() })
}

fn of_cloud(body: &Value) -> Result<Hook, String> {
    let repository = |side: &str| body.pointer(&format!("/pullrequest/{side}/repository/uuid"));
    // Cloud abbreviates the commit here; its branch can be fetched where it is of this repository.
    let is_fork = repository("destination").is_none() || repository("source") != repository("destination");
    let branch = text(body, "/pullrequest/source/branch/name")?;
    Ok(Hook::PullRequest(PullRequest {
        number: number(body, "/pullrequest/id")?,
        commit: text(body, "/pullrequest/source/commit/hash")?,
        fetch: (!is_fork).then(|| format!("refs/heads/{branch}")),
        branch,
        target: text(body, "/pullrequest/destination/branch/name")?,
        title: maybe(body, "/pullrequest/title").unwrap_or_default(),
        author: maybe(body, "/pullrequest/author/nickname"),
        url: maybe(body, "/pullrequest/links/html/href"),
        is_fork,
    }))
}

fn of_data_center(body: &Value) -> Result<Hook, String> {
    let number = number(body, "/pullRequest/id")?;
    let repository = |side: &str| body.pointer(&format!("/pullRequest/{side}/repository/id"));
    let is_fork = repository("toRef").is_none() || repository("fromRef") != repository("toRef");
    Ok(Hook::PullRequest(PullRequest {
        number,
        commit: commit(body, "/pullRequest/fromRef/latestCommit")?.ok_or("a pull request without a commit")?,
        fetch: Some(format!("refs/pull-requests/{number}/from")),
        branch: text(body, "/pullRequest/fromRef/displayId")?,
        target: text(body, "/pullRequest/toRef/displayId")?,
        title: maybe(body, "/pullRequest/title").unwrap_or_default(),
        author: maybe(body, "/pullRequest/author/user/name"),
        url: maybe(body, "/pullRequest/links/self/0/href"),
        is_fork,
    }))
}
