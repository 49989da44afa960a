//! The examples that are published with GitHub's own libraries (`@octokit/webhooks-examples`): `COFFERDAM_WEBHOOK_EXAMPLES` names the folder
//! of that package.

use std::path::Path;

use scm::{Forge, Hook, read};
use serde_json::Value;

use crate::given;

#[test]
fn github_sends_what_it_publishes() {
    let Some(folder) = std::env::var_os("COFFERDAM_WEBHOOK_EXAMPLES") else {
        println!("skipped: COFFERDAM_WEBHOOK_EXAMPLES names no folder of @octokit/webhooks-examples");
        return;
    };
    let (mut pushes, mut requests, mut others) = (0, 0, 0);
    for entry in std::fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let text = std::fs::read(Path::new(&entry.path()).join("index.json")).unwrap();
        let events: Vec<Value> = serde_json::from_slice(&text).unwrap();
        for event in &events {
            let name = event["name"].as_str().unwrap();
            for example in event["examples"].as_array().unwrap() {
                let hook = read(Forge::Github, &given(&[("x-github-event", name)]), example.to_string().as_bytes());
                match (name, hook.unwrap_or_else(|refused| panic!("{refused}: {example}"))) {
                    ("push", Hook::Push(push)) => {
                        assert_eq!(push.commit, example["after"].as_str().unwrap());
                        pushes += 1;
                    }
                    ("pull_request", Hook::PullRequest(request)) => {
                        assert_eq!(Some(request.number), example["number"].as_u64());
                        assert_eq!(
                            request.is_fork,
                            example["pull_request"]["head"]["repo"]["full_name"]
                                != example["pull_request"]["base"]["repo"]["full_name"]
                        );
                        requests += 1;
                    }
                    (_, Hook::Nothing { .. }) => others += 1,
                    (name, hook) => panic!("{name}: {hook:?}"),
                }
            }
        }
    }
    println!("{pushes} pushes, {requests} pull requests, {others} others");
    assert!(pushes > 5 && requests > 5 && others > 50);
}
