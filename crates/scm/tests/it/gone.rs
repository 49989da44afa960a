//! What is closed or removed.

use scm::{Closed, Forge, Hook, Push, Reference, Removed};
use serde_json::{Value, json};

use crate::{COMMIT, said};

fn gone(header: &'static str) -> impl Fn(&str, Value) -> Hook {
    let forge = match header {
        "x-github-event" => Forge::Github,
        "x-gitea-event" => Forge::Gitea,
        "x-gitlab-event" => Forge::Gitlab,
        _ => Forge::Bitbucket,
    };
    move |event, body| said(forge, header, event, &body).unwrap_or_else(|refused| panic!("{refused}: {body}"))
}

fn removed(references: &[Reference]) -> Hook {
    Hook::Removed(Removed { references: references.to_vec(), by: Some("ada".into()) })
}

fn closed(is_merged: bool) -> Hook {
    Hook::Closed(Closed { number: 7, is_merged, by: Some("ada".into()) })
}

#[test]
fn each_forge_says_what_is_removed() {
    let (branch, tag) = (Reference::Branch("fix/x".into()), Reference::Tag("v1".into()));
    let zero = "0".repeat(40);
    for header in ["x-github-event", "x-gitea-event"] {
        let hears = gone(header);
        let push = json!({ "ref": "refs/heads/fix/x", "after": zero, "sender": { "login": "ada" } });
        assert_eq!(hears("push", push), removed(std::slice::from_ref(&branch)));
        let delete = |name: &str, kind: &str| json!({ "ref": name, "ref_type": kind, "sender": { "login": "ada" } });
        assert_eq!(hears("delete", delete("fix/x", "branch")), removed(std::slice::from_ref(&branch)));
        assert_eq!(hears("delete", delete("v1", "tag")), removed(std::slice::from_ref(&tag)));
        assert!(matches!(hears("delete", delete("v1", "repository")), Hook::Nothing { .. }));
        // What is made is pushed too.
        assert!(matches!(hears("create", delete("v1", "tag")), Hook::Nothing { .. }));
    }
    let hears = gone("x-gitlab-event");
    let push = |name: &str| json!({ "ref": name, "after": zero, "user_username": "ada" });
    assert_eq!(hears("Push Hook", push("refs/heads/fix/x")), removed(std::slice::from_ref(&branch)));
    assert_eq!(hears("Tag Push Hook", push("refs/tags/v1")), removed(std::slice::from_ref(&tag)));

    let hears = gone("x-event-key");
    let old = |kind: &str, name: &str| json!({ "old": { "type": kind, "name": name }, "new": null });
    let push = |changes: Value| json!({ "actor": { "nickname": "ada" }, "push": { "changes": changes } });
    let both = json!([old("branch", "fix/x"), old("tag", "v1")]);
    assert_eq!(hears("repo:push", push(both)), removed(&[branch.clone(), tag.clone()]));
    let new = json!({ "old": null, "new": { "type": "branch", "name": "a", "target": { "hash": COMMIT } } });
    let pushed = |name: &str, by: &str| {
        let reference = Reference::Branch(name.to_owned());
        Hook::Push(Push { reference, commit: COMMIT.into(), by: Some(by.into()) })
    };
    let both = Hook::Several(vec![pushed("a", "ada"), removed(std::slice::from_ref(&tag))]);
    assert_eq!(hears("repo:push", push(json!([new, old("tag", "v1")]))), both);
    assert_eq!(hears("repo:push", push(json!([new]))), pushed("a", "ada"));
    let many: Vec<_> = (0..500).map(|_| new.clone()).collect();
    let Hook::Several(some) = hears("repo:push", push(many.into())) else { panic!() };
    assert!(
        some.len() == 101 && matches!(&some[100], Hook::Nothing { what } if what.starts_with("400 more")),
        "{some:?}"
    );
    assert!(matches!(hears("repo:push", push(json!([]))), Hook::Nothing { .. }));
    let many: Vec<_> = (0..500).map(|at| old("tag", &format!("v{at}"))).collect();
    let is_cut = |hook: Hook| {
        let Hook::Several(all) = hook else { return false };
        let [Hook::Removed(some), Hook::Nothing { what }] = &all[..] else { return false };
        some.references.len() == 100 && what.starts_with("400 more")
    };
    assert!(is_cut(hears("repo:push", push(many.into()))));
    let change = |name: &str, to: &str| json!({ "ref": { "id": name }, "toHash": to });
    let changed = |changes: Value| json!({ "actor": { "name": "ada" }, "changes": changes });
    let both = json!([change("refs/tags/v1", &zero), change("refs/heads/fix/x", &zero)]);
    assert_eq!(hears("repo:refs_changed", changed(both)), removed(&[tag, branch]));
    let many: Vec<_> = (0..500).map(|at| change(&format!("refs/tags/v{at}"), &zero)).collect();
    assert!(is_cut(hears("repo:refs_changed", changed(many.into()))));
    let mixed = json!([change("refs/heads/a", COMMIT), change("refs/heads/b", &zero), change("refs/heads/c", COMMIT)]);
    let gone = removed(&[Reference::Branch("b".into())]);
    let all = Hook::Several(vec![pushed("a", "ada"), pushed("c", "ada"), gone]);
    assert_eq!(hears("repo:refs_changed", changed(mixed)), all);
}

#[test]
fn each_forge_says_what_became_of_a_pull_request() {
    for header in ["x-github-event", "x-gitea-event"] {
        let body = |is_merged: bool| {
            json!({ "action": "closed", "sender": { "login": "ada" },
                "pull_request": { "number": 7, "merged": is_merged } })
        };
        assert_eq!([true, false].map(|merged| gone(header)("pull_request", body(merged))), [true, false].map(closed));
    }
    let body =
        |action: &str| json!({ "user": { "username": "ada" }, "object_attributes": { "iid": 7, "action": action } });
    let hears = gone("x-gitlab-event");
    assert_eq!(["merge", "close"].map(|action| hears("Merge Request Hook", body(action))), [true, false].map(closed));
    assert!(matches!(hears("Merge Request Hook", body("approved")), Hook::Nothing { .. }));

    let hears = gone("x-event-key");
    let cloud = json!({ "actor": { "nickname": "ada" }, "pullrequest": { "id": 7 } });
    let own = json!({ "actor": { "name": "ada" }, "pullRequest": { "id": 7 } });
    for (event, body, is_merged) in [
        ("pullrequest:fulfilled", &cloud, true),
        ("pullrequest:rejected", &cloud, false),
        ("pr:merged", &own, true),
        ("pr:declined", &own, false),
        ("pr:deleted", &own, false),
    ] {
        assert_eq!(hears(event, body.clone()), closed(is_merged), "{event}");
    }
}

#[test]
fn what_is_gone_has_a_number_or_a_name() {
    let refused = |event: &str, body: Value| said(Forge::Github, "x-github-event", event, &body).is_err();
    assert!(refused("delete", json!({ "ref_type": "branch" })));
    assert!(refused("delete", json!({ "ref": "x" })));
    assert!(refused("delete", json!({ "ref": "../x", "ref_type": "branch" })));
    assert!(refused("pull_request", json!({ "action": "closed" })));
    assert!(refused("pull_request", json!({ "action": "closed", "pull_request": { "number": "7" } })));
}
