//! The examples that are published with GitHub's own libraries (`@octokit/webhooks-examples`): `COFFERDAM_WEBHOOK_EXAMPLES` names the folder
//! of that package.

use std::path::Path;

use scm::{Closed, Forge, Hook, PullRequest, Push, Reference, Removed, RequestState, read, read_pull_request};
use serde_json::Value;

use crate::given;

/// How many of each kind there were.
#[derive(Debug, Default)]
struct Seen {
    pushes: usize,
    requests: usize,
    closed: usize,
    removed: usize,
    others: usize,
}

#[test]
fn github_sends_what_it_publishes() {
    let Some(folder) = std::env::var_os("COFFERDAM_WEBHOOK_EXAMPLES") else {
        println!("skipped: COFFERDAM_WEBHOOK_EXAMPLES names no folder of @octokit/webhooks-examples");
        return;
    };
    let mut seen = Seen::default();
    for entry in std::fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let text = std::fs::read(Path::new(&entry.path()).join("index.json")).unwrap();
        let events: Vec<Value> = serde_json::from_slice(&text).unwrap();
        for event in &events {
            let name = event["name"].as_str().unwrap();
            for example in event["examples"].as_array().unwrap() {
                is_read(name, example, &mut seen);
            }
        }
    }
    println!("{seen:?}");
    assert!(seen.pushes > 5 && seen.requests > 5 && seen.closed > 1 && seen.removed > 8 && seen.others > 400);
}

/// What kind each is follows here from other fields than those that are read, where there are some.
fn is_read(name: &str, example: &Value, seen: &mut Seen) {
    let hook = read(Forge::Github, &given(&[("x-github-event", name)]), example.to_string().as_bytes());
    let hook = hook.unwrap_or_else(|refused| panic!("{refused}: {example}"));
    let action = example["action"].as_str().unwrap_or_default();
    match (name, action, hook) {
        ("push", _, Hook::Push(push)) => {
            assert_eq!(example["deleted"], false);
            is_push(&push, example);
            seen.pushes += 1;
        }
        ("push", _, Hook::Removed(removed)) => {
            assert_eq!(example["deleted"], true);
            is_removed(&removed, example, example["ref"].as_str().unwrap());
            seen.removed += 1;
        }
        ("delete", _, Hook::Removed(removed)) => {
            let kind = if example["ref_type"] == "tag" { "tags" } else { "heads" };
            is_removed(&removed, example, &format!("refs/{kind}/{}", example["ref"].as_str().unwrap()));
            seen.removed += 1;
        }
        ("pull_request", "opened" | "reopened" | "synchronize" | "ready_for_review", Hook::PullRequest(request)) => {
            is_request(request, example);
            seen.requests += 1;
        }
        ("pull_request", "closed", Hook::Closed(closed)) => {
            let is_merged = !example["pull_request"]["merged_at"].is_null();
            let by = example["sender"]["login"].as_str().map(str::to_owned);
            assert_eq!(closed, Closed { number: example["number"].as_u64().unwrap(), is_merged, by });
            is_answer(&example["pull_request"]);
            seen.closed += 1;
        }
        ("check_run", "rerequested", Hook::Again(again)) => {
            assert_eq!(again.external_id, example["check_run"]["external_id"].as_str().unwrap());
            seen.others += 1;
        }
        ("check_suite", "rerequested", Hook::AllAgain(all)) => {
            assert_eq!(all.commit, example["check_suite"]["head_sha"].as_str().unwrap());
            seen.others += 1;
        }
        ("push" | "delete", _, hook) => panic!("{name}: {hook:?}"),
        ("pull_request", "opened" | "reopened" | "synchronize" | "ready_for_review" | "closed", hook) => {
            panic!("{action}: {hook:?}")
        }
        (_, _, Hook::Nothing { .. }) => {
            if name == "pull_request" {
                is_answer(&example["pull_request"]);
            }
            seen.others += 1;
        }
        (name, _, hook) => panic!("{name}: {hook:?}"),
    }
}

fn full(reference: &Reference) -> String {
    match reference {
        Reference::Branch(name) => format!("refs/heads/{name}"),
        Reference::Tag(name) => format!("refs/tags/{name}"),
    }
}

fn is_push(push: &Push, example: &Value) {
    assert_eq!(push.commit, example["after"].as_str().unwrap());
    assert_eq!(full(&push.reference), example["ref"].as_str().unwrap());
    assert_eq!(push.by.as_deref(), example["sender"]["login"].as_str());
}

fn is_removed(removed: &Removed, example: &Value, name: &str) {
    assert_eq!(removed.references.iter().map(full).collect::<Vec<_>>(), [name]);
    assert_eq!(removed.by.as_deref(), example["sender"]["login"].as_str());
}

fn is_request(request: PullRequest, example: &Value) {
    let of = &example["pull_request"];
    assert_eq!(Some(request.number), example["number"].as_u64());
    assert_eq!(request.commit, of["head"]["sha"].as_str().unwrap());
    assert_eq!(request.is_fork, of["head"]["repo"]["full_name"] != of["base"]["repo"]["full_name"]);
    // Who asks for it hears the same.
    assert_eq!(read_pull_request(Forge::Github, of).unwrap().request, request);
}

/// A pull request stands in a webhook as it would in an answer.
fn is_answer(of: &Value) {
    let facts = read_pull_request(Forge::Github, of).unwrap_or_else(|refused| panic!("{refused}: {of}"));
    assert_eq!(Some(facts.request.number), of["number"].as_u64());
    assert_eq!(Some(facts.is_draft), of["draft"].as_bool().or(Some(false)));
    assert_eq!(facts.state == RequestState::Open, of["closed_at"].is_null());
    assert_eq!(facts.state == RequestState::Merged, !of["merged_at"].is_null());
}
