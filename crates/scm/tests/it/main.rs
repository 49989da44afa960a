//! Webhooks: those that GitHub publishes as examples, where they are at hand, and hand-made ones of the others; forged and broken ones. What
//! forges are asked and told, and what they answer: hand-made, and against GitHub's own description of its API.

mod asked;
mod checks;
mod described;
mod examples;
mod gone;
mod pages;

use std::collections::BTreeMap;

use scm::{Forge, Headers, Hook, PullRequest, Push, Reference, Refused, delivery, read, verify};
use serde_json::json;

/// Headers of a test.
pub struct Given(BTreeMap<&'static str, String>);

impl Headers for Given {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Headers that are there.
pub fn given(pairs: &[(&'static str, &str)]) -> Given {
    Given(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Of `Hello, World!` with `It's a Secret to Everybody`: the example of GitHub's documentation.
const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[test]
fn only_who_knows_the_secret_is_believed() {
    let (body, secret) = (b"Hello, World!", "It's a Secret to Everybody");
    let prefixed = format!("sha256={SIGNATURE}");
    let good = [
        (Forge::Github, given(&[("x-hub-signature-256", &prefixed)])),
        (Forge::Bitbucket, given(&[("x-hub-signature", &prefixed)])),
        (Forge::Gitea, given(&[("x-gitea-signature", SIGNATURE)])),
        (Forge::Gitea, given(&[("x-forgejo-signature", SIGNATURE)])),
        (Forge::Gitlab, given(&[("x-gitlab-token", secret)])),
    ];
    for (forge, headers) in &good {
        assert_eq!(verify(*forge, headers, body, secret), Ok(()), "{forge:?}");
        assert_eq!(verify(*forge, headers, body, "another"), Err(Refused::Signature), "{forge:?}");
        assert_eq!(verify(*forge, headers, body, ""), Err(Refused::Signature), "{forge:?}: no secret is no key");
        assert_eq!(verify(*forge, &given(&[]), body, secret), Err(Refused::Signature), "{forge:?}");
        if *forge != Forge::Gitlab {
            assert_eq!(verify(*forge, headers, b"Hello, World?", secret), Err(Refused::Signature), "{forge:?}");
        }
    }
    for wrong in ["", "sha256=", "sha1=00", &prefixed[..70], &prefixed.replace('7', "x"), SIGNATURE, "sha256=\u{e9}"] {
        assert_eq!(
            verify(Forge::Github, &given(&[("x-hub-signature-256", wrong)]), body, secret),
            Err(Refused::Signature)
        );
    }
    // An empty token is not the same as none that was set.
    assert_eq!(verify(Forge::Gitlab, &given(&[("x-gitlab-token", "")]), body, ""), Err(Refused::Signature));
}

fn said(forge: Forge, header: &'static str, event: &str, body: &serde_json::Value) -> Result<Hook, Refused> {
    read(forge, &given(&[(header, event)]), body.to_string().as_bytes())
}

#[test]
fn gitlab_speaks_of_pushes_and_merge_requests() {
    let body = json!({ "ref": "refs/heads/feature/x", "after": COMMIT, "user_username": "ada" });
    let push = Push { reference: Reference::Branch("feature/x".into()), commit: COMMIT.into(), by: Some("ada".into()) };
    assert_eq!(said(Forge::Gitlab, "x-gitlab-event", "Push Hook", &body), Ok(Hook::Push(push)));
    let request = |action: &str, source: u64| {
        json!({ "user": { "username": "eve", "name": "Eve E.", "email": "[REDACTED]" },
            "object_attributes": { "iid": 7, "action": action, "title": "a title",
            "source_branch": "fix", "target_branch": "main", "source_project_id": source, "target_project_id": 1,
            "url": "https://gitlab.example/7", "last_commit": { "id": COMMIT } } })
    };
    let expect = PullRequest {
        number: 7,
        commit: COMMIT.into(),
        fetch: Some("refs/merge-requests/7/head".into()),
        branch: "fix".into(),
        target: "main".into(),
        title: "a title".into(),
        author: Some("eve".into()),
        author_name: Some("Eve E.".into()),
        // GitLab says so where it does not say it.
        author_email: None,
        url: Some("https://gitlab.example/7".into()),
        is_fork: true,
    };
    let read = |body: &serde_json::Value| said(Forge::Gitlab, "x-gitlab-event", "Merge Request Hook", body);
    assert_eq!(read(&request("open", 2)), Ok(Hook::PullRequest(expect.clone())));
    assert_eq!(read(&request("reopen", 1)), Ok(Hook::PullRequest(PullRequest { is_fork: false, ..expect.clone() })));
    assert!(matches!(read(&request("update", 1)), Ok(Hook::Nothing { .. })), "a title that has changed");
    let mut updated = request("update", 2);
    updated["object_attributes"]["oldrev"] = COMMIT.into();
    assert_eq!(read(&updated), Ok(Hook::PullRequest(expect)));
}

#[test]
fn bitbucket_speaks_in_two_ways() {
    let event = |name: &str, body: &serde_json::Value| said(Forge::Bitbucket, "x-event-key", name, body);
    let cloud = json!({ "actor": { "nickname": "ada" }, "push": { "changes": [
        { "new": { "type": "branch", "name": "main", "target": { "hash": COMMIT } } }, { "new": null } ] } });
    let push = Push { reference: Reference::Branch("main".into()), commit: COMMIT.into(), by: Some("ada".into()) };
    assert_eq!(event("repo:push", &cloud), Ok(Hook::Push(push.clone())));
    let own =
        json!({ "actor": { "name": "ada" }, "changes": [ { "ref": { "id": "refs/heads/main" }, "toHash": COMMIT } ] });
    assert_eq!(event("repo:refs_changed", &own), Ok(Hook::Push(push)));
    let request = json!({ "pullrequest": { "id": 3, "title": "t", "author": { "nickname": "eve" },
        "source": { "branch": { "name": "fix" }, "commit": { "hash": "0123456789ab" }, "repository": { "uuid": "{2}" } },
        "destination": { "branch": { "name": "main" }, "repository": { "uuid": "{1}" } } } });
    let Ok(Hook::PullRequest(found)) = event("pullrequest:created", &request) else { panic!() };
    assert!(found.is_fork && found.fetch.is_none(), "{found:?}");
    let request = json!({ "pullRequest": { "id": 3, "title": "t",
        "author": { "user": { "name": "eve", "displayName": "Eve E.", "emailAddress": "eve@forge.example" } },
        "fromRef": { "displayId": "fix", "latestCommit": COMMIT, "repository": { "id": 1 } },
        "toRef": { "displayId": "main", "repository": { "id": 1 } } } });
    let Ok(Hook::PullRequest(found)) = event("pr:from_ref_updated", &request) else { panic!() };
    assert_eq!((found.is_fork, found.fetch.as_deref()), (false, Some("refs/pull-requests/3/from")));
    let author = (found.author_name.as_deref(), found.author_email.as_deref());
    assert_eq!(author, (Some("Eve E."), Some("eve@forge.example")));
    assert!(matches!(event("pr:comment:added", &json!({})), Ok(Hook::Nothing { .. })));
}

/// A fork is one unless the forge says that it is none.
#[test]
fn what_is_not_said_makes_nobody_a_member() {
    let request = |repo: serde_json::Value| {
        json!({ "action": "opened", "pull_request": { "number": 1, "head": { "sha": COMMIT, "ref": "x", "repo": repo },
            "base": { "ref": "main", "repo": { "id": 1 } } } })
    };
    let is_fork = |repo| match said(Forge::Github, "x-github-event", "pull_request", &request(repo)) {
        Ok(Hook::PullRequest(found)) => found.is_fork,
        other => panic!("{other:?}"),
    };
    assert!(!is_fork(json!({ "id": 1 })));
    assert!(is_fork(json!({ "id": 2 })) && is_fork(json!(null)) && is_fork(json!({})) && is_fork(json!({ "id": "1" })));
    let mut without = request(json!(null));
    without["pull_request"]["base"]["repo"] = json!(null);
    let Ok(Hook::PullRequest(found)) = said(Forge::Github, "x-github-event", "pull_request", &without) else {
        panic!()
    };
    assert!(found.is_fork);
}

/// Whoever may read a repository of Gitea may push to `refs/for/main` of it, which makes a pull request of the same repository.
#[test]
fn who_pushes_for_review_is_no_member() {
    let request = |head: serde_json::Value| {
        let base = json!({ "ref": "main", "repo": { "id": 1 } });
        json!({ "action": "opened", "pull_request": { "number": 3, "head": head, "base": base } })
    };
    let own = json!({ "label": "fix", "ref": "fix", "sha": COMMIT, "repo": { "id": 1 } });
    let mut flow = request(own.clone());
    flow["pull_request"]["flow"] = 1.into();
    let nameless = request(json!({ "label": "", "ref": "fix", "sha": COMMIT, "repo": { "id": 1 } }));
    let pulled = request(json!({ "label": "eve/fix", "ref": "refs/pull/3/head", "sha": COMMIT, "repo": { "id": 1 } }));
    for (body, expect) in [(request(own), false), (flow, true), (nameless, true), (pulled, true)] {
        let Ok(Hook::PullRequest(found)) = said(Forge::Gitea, "x-gitea-event", "pull_request", &body) else { panic!() };
        assert_eq!(found.is_fork, expect, "{body}");
    }
}

/// What git would not take as a name is none: it becomes part of paths.
#[test]
fn a_name_is_one_that_git_allows() {
    let push = |name: &str| {
        let body = json!({ "ref": format!("refs/heads/{name}"), "after": COMMIT });
        said(Forge::Github, "x-github-event", "push", &body).unwrap()
    };
    for good in ["main", "feature/x", "-x", "ü", "a.b", "dependabot/npm_and_yarn/a-1.2", "a@b", "refs/heads/x"] {
        assert!(matches!(push(good), Hook::Push(push) if push.reference == Reference::Branch(good.into())), "{good}");
    }
    for bad in [
        "", "..", "a/../b", "a//b", "/a", "a/", ".a", "a/.b", "a b", "a\tb", "a:b", "a\\b", "a?", "a.lock", "a@{1}",
        "a.",
    ] {
        assert!(matches!(push(bad), Hook::Nothing { .. }), "{bad:?}");
    }
}

#[test]
fn what_is_no_webhook_is_refused_with_the_reason() {
    let good = json!({ "ref": "refs/heads/main", "after": COMMIT });
    for (field, value) in [
        ("after", json!("main")),
        ("after", json!(7)),
        ("after", json!("x".repeat(40))),
        ("ref", json!(null)),
        ("ref", json!("x".repeat(2000))),
    ] {
        let mut body = good.clone();
        body[field] = value;
        assert!(
            matches!(said(Forge::Github, "x-github-event", "push", &body), Err(Refused::Malformed { .. })),
            "{body}"
        );
    }
    assert!(matches!(read(Forge::Github, &given(&[("x-github-event", "push")]), b"{"), Err(Refused::Malformed { .. })));
    assert!(matches!(read(Forge::Github, &given(&[]), b"{}"), Err(Refused::Malformed { .. })));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(Forge::Gitlab, &given(&[("x-gitlab-event", "Push Hook")]), deep.as_bytes()).is_err());
    assert_eq!(delivery(Forge::Github, &given(&[("x-github-delivery", "7")])).as_deref(), Some("7"));
    assert_eq!(delivery(Forge::Gitea, &given(&[("x-github-delivery", "7")])), None);
}
