//! What a forge is told of a commit. Pure: whoever has a network posts it.
//!
//! Sources: GitHub's "Commit statuses", GitLab's "Commits API", Gitea's `CreateStatusOption`, Bitbucket Cloud's "Commit statuses", Bitbucket Data
//! Center's "Builds and Deployments".

use serde_json::json;

use crate::Forge;
use crate::api::{Post, headers, repository};

/// GitHub cuts nothing: a longer one is refused.
const MOST_CHARS: usize = 140;

/// Bitbucket's limit.
const MOST_KEY_BYTES: usize = 40;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Queued,
    /// It runs.
    Running,
    /// It has succeeded.
    Success,
    /// It has failed, or is unstable.
    Failure,
    /// It was ended before it could say.
    Aborted,
}

/// What is said of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// `org/app`; of GitLab any depth.
    pub repository: &'a str,
    /// The whole commit.
    pub commit: &'a str,
    /// How far.
    pub state: State,
    /// What of it: the next report of the same name replaces this one.
    pub name: &'a str,
    /// For people.
    pub description: &'a str,
    /// Where more is.
    pub url: &'a str,
}

/// What is posted to say this.
pub fn post(forge: Forge, api: &str, token: &str, report: &Report<'_>) -> Post {
    let Report { commit, state, name, url, .. } = *report;
    let description: String = report.description.chars().take(MOST_CHARS).collect();
    let (path, body) = match forge {
        Forge::Github | Forge::Gitea => (
            format!("statuses/{commit}"),
            json!({ "state": word_of_github(state), "context": name, "description": description, "target_url": url }),
        ),
        Forge::Gitlab => {
            let word = match state {
                State::Queued => "pending",
                State::Running => "running",
                State::Success => "success",
                State::Failure => "failed",
                State::Aborted => "canceled",
            };
            let body = json!({ "state": word, "name": name, "description": description, "target_url": url });
            (format!("statuses/{commit}"), body)
        }
        Forge::Bitbucket => {
            let word = match state {
                State::Queued | State::Running => "INPROGRESS",
                State::Success => "SUCCESSFUL",
                State::Failure => "FAILED",
                State::Aborted => "STOPPED",
            };
            let (path, key) = (format!("commit/{commit}/statuses/build"), key(name));
            (path, json!({ "state": word, "key": key, "name": name, "description": description, "url": url }))
        }
        Forge::BitbucketDataCenter => {
            // Releases before 8 know of nothing that was stopped.
            let word = match state {
                State::Queued | State::Running => "INPROGRESS",
                State::Success => "SUCCESSFUL",
                State::Failure | State::Aborted => "FAILED",
            };
            let (path, key) = (format!("commits/{commit}/builds"), key(name));
            (path, json!({ "state": word, "key": key, "name": name, "description": description, "url": url }))
        }
    };
    let url = format!("{}/{path}", repository(forge, api, report.repository));
    Post { url, headers: headers(forge, Some(token)), body }
}

/// Of Bitbucket: what is too long has its digest instead.
fn key(name: &str) -> String {
    use sha2::Digest as _;
    match name.len() <= MOST_KEY_BYTES {
        true => name.to_owned(),
        false => sha2::Sha256::digest(name).iter().take(MOST_KEY_BYTES / 2).map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn word_of_github(state: State) -> &'static str {
    match state {
        State::Queued | State::Running => "pending",
        State::Success => "success",
        State::Failure => "failure",
        State::Aborted => "error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn each_forge_is_told_in_its_words() {
        let check = |forge, state, url: &str, header: (&str, &str), expect: Value| {
            let report = Report {
                repository: "org/the app",
                commit: "abc",
                state,
                name: "cofferdam/app",
                description: &"é".repeat(200),
                url: "https://ci/1",
            };
            let post = post(forge, "https://api/", "t0ken", &report);
            assert_eq!(post.url, url);
            assert!(post.headers.iter().any(|(name, value)| (*name, value.as_str()) == header), "{:?}", post.headers);
            assert_eq!(post.body["state"], expect);
            assert_eq!(post.body["description"].as_str().unwrap().chars().count(), MOST_CHARS);
            assert!(!post.url.contains("t0ken") && !post.body.to_string().contains("t0ken"));
        };
        let bearer = ("authorization", "Bearer t0ken");
        check(Forge::Github, State::Running, "https://api/repos/org/the%20app/statuses/abc", bearer, "pending".into());
        let token = ("authorization", "token t0ken");
        check(Forge::Gitea, State::Aborted, "https://api/repos/org/the%20app/statuses/abc", token, "error".into());
        let private = ("private-token", "t0ken");
        let url = "https://api/projects/org%2Fthe%20app/statuses/abc";
        check(Forge::Gitlab, State::Failure, url, private, "failed".into());
        let url = "https://api/repositories/org/the%20app/commit/abc/statuses/build";
        check(Forge::Bitbucket, State::Success, url, bearer, "SUCCESSFUL".into());
        let url = "https://api/projects/org/repos/the%20app/commits/abc/builds";
        check(Forge::BitbucketDataCenter, State::Aborted, url, bearer, "FAILED".into());
    }

    #[test]
    fn a_key_is_short_and_of_one_name() {
        assert_eq!(key("cofferdam/app"), "cofferdam/app");
        let [one, other] = ["a", "b"].map(|end| key(&format!("cofferdam/{}{end}", "x".repeat(40))));
        assert!(one != other && one.len() == MOST_KEY_BYTES && other.len() == MOST_KEY_BYTES, "{one} {other}");
    }
}
