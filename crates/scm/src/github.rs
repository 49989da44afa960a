//! GitHub, and Gitea, which speaks like it.
//!
//! Sources: <https://docs.github.com/webhooks/webhook-events-and-payloads>, `push`, `delete`, `pull_request`, `check_run` and `check_suite`; and
//! <https://docs.github.com/rest/pulls/pulls>, whose pull requests are those of webhooks.

use serde_json::Value;

use crate::field::{address, commit, email, is_true, maybe, name, number, some, text};
use crate::{Again, AllAgain, Closed, Facts, Forge, Hook, PullRequest, Push, Reference, Removed, RequestState};

/// What makes a pull request's commits other ones. Gitea says `synchronized`.
const NEW_COMMITS: [&str; 5] = ["opened", "reopened", "synchronize", "synchronized", "ready_for_review"];

pub(crate) fn read(event: &str, body: &Value) -> Result<Hook, String> {
    match event {
        "push" => push(body),
        "delete" => delete(body),
        "pull_request" | "pull_request_sync" => pull_request(body),
        "check_run" => check_run(body),
        "check_suite" => check_suite(body),
        other => Ok(Hook::Nothing { what: other.to_owned() }),
    }
}

fn push(body: &Value) -> Result<Hook, String> {
    let name = text(body, "/ref")?;
    let Some(reference) = Reference::of(&name) else { return Ok(Hook::Nothing { what: format!("push to {name}") }) };
    let by = maybe(body, "/sender/login").or_else(|| maybe(body, "/pusher/name"));
    match commit(body, "/after")? {
        Some(commit) => Ok(Hook::Push(Push { reference, commit, by })),
        None => Ok(Hook::Removed(Removed { references: vec![reference], by })),
    }
}

/// GitHub says it a second time with a push of nothing; Gitea only here.
fn delete(body: &Value) -> Result<Hook, String> {
    let name = name(body, "/ref")?;
    let reference = match text(body, "/ref_type")?.as_str() {
        "branch" => Reference::Branch(name),
        "tag" => Reference::Tag(name),
        other => return Ok(Hook::Nothing { what: format!("{other} {name} was removed") }),
    };
    Ok(Hook::Removed(Removed { references: vec![reference], by: maybe(body, "/sender/login") }))
}

fn pull_request(body: &Value) -> Result<Hook, String> {
    let action = text(body, "/action")?;
    let of = body.get("pull_request").ok_or("there is no pull_request")?;
    match action.as_str() {
        "edited" if has_other_target(body) => Ok(Hook::PullRequest(request(of)?)),
        action if NEW_COMMITS.contains(&action) => Ok(Hook::PullRequest(request(of)?)),
        "closed" => Ok(Hook::Closed(Closed {
            number: number(of, "/number")?,
            is_merged: is_true(of, "/merged"),
            by: maybe(body, "/sender/login"),
        })),
        action => Ok(Hook::Nothing { what: format!("pull request {action}") }),
    }
}

/// Gitea and Forgejo call the branch that it was for `ref`.
fn has_other_target(body: &Value) -> bool {
    ["/changes/base", "/changes/ref"].iter().any(|change| body.pointer(change).is_some_and(|change| !change.is_null()))
}

/// *Re-run* at a check. One of whatever else writes checks has an id of its own, or none.
fn check_run(body: &Value) -> Result<Hook, String> {
    let action = text(body, "/action")?;
    match (action.as_str(), maybe(body, "/check_run/external_id").filter(|id| !id.is_empty())) {
        ("rerequested", Some(external_id)) => Ok(Hook::Again(Again { external_id, by: maybe(body, "/sender/login") })),
        _ => Ok(Hook::Nothing { what: format!("check {action}") }),
    }
}

/// *Re-run all checks* at a commit: that is told to the app alone whose checks they are.
fn check_suite(body: &Value) -> Result<Hook, String> {
    match text(body, "/action")?.as_str() {
        "rerequested" => {
            let commit = commit(body, "/check_suite/head_sha")?.ok_or("checks of no commit")?;
            Ok(Hook::AllAgain(AllAgain { commit, by: maybe(body, "/sender/login") }))
        }
        action => Ok(Hook::Nothing { what: format!("checks {action}") }),
    }
}

/// A pull request, in a webhook or in an answer.
fn request(of: &Value) -> Result<PullRequest, String> {
    let number = number(of, "/number")?;
    let branch = name(of, "/head/ref")?;
    let base = of.pointer("/base/repo/id");
    // A fork that is gone has no repository.
    let is_elsewhere = base.is_none() || of.pointer("/head/repo/id") != base;
    Ok(PullRequest {
        number,
        commit: commit(of, "/head/sha")?.ok_or("a pull request without a commit")?,
        fetch: Some(format!("refs/pull/{number}/head")),
        is_fork: is_elsewhere || is_of_no_branch(of, &branch),
        branch,
        target: name(of, "/base/ref")?,
        title: maybe(of, "/title").unwrap_or_default(),
        author: maybe(of, "/user/login"),
        // GitHub itself says neither here; `name` is what its other answers call it.
        author_name: some(of, "/user/full_name").or_else(|| some(of, "/user/name")),
        author_email: email(of, "/user/email"),
        url: address(of, "/html_url"),
    })
}

/// Whoever may read a repository of Gitea may push to `refs/for/main` there, and that becomes a pull request whose repository is its
/// target's (<https://docs.gitea.com/usage/agit>). It has no branch; Forgejo also says `flow`. Neither has one whose branch is gone.
fn is_of_no_branch(of: &Value, branch: &str) -> bool {
    let is_agit = of.get("flow").and_then(Value::as_u64).is_some_and(|flow| flow != 0);
    let is_nameless = of.pointer("/head/label").and_then(Value::as_str) == Some("");
    branch.starts_with("refs/") || is_nameless || is_agit
}

/// Reads a pull request that was asked for; one of a list has no `merged`, but when it was.
pub(crate) fn facts(forge: Forge, of: &Value) -> Result<Facts, String> {
    let was_merged = is_true(of, "/merged") || maybe(of, "/merged_at").is_some();
    let state = match text(of, "/state")?.as_str() {
        "open" => RequestState::Open,
        "closed" if was_merged => RequestState::Merged,
        "closed" => RequestState::Closed,
        other => return Err(format!("{other:?} is no state")),
    };
    let target = commit(of, "/base/sha").ok().flatten().filter(|_| forge == Forge::Gitea);
    Ok(Facts { request: request(of)?, state, is_draft: is_true(of, "/draft"), target_commit: target })
}
