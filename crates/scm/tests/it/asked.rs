//! What a forge is asked, and what its answers say: those that its documentation shows, cut down to what matters.

use scm::{
    Branch, Facts, Forge, Get, PullRequest, Refused, RequestState, Tag, ask_branch, ask_branches, ask_commit,
    ask_pull_request, ask_pull_requests, ask_tags, is_whole, merged_ref, read_branch, read_branches, read_commit,
    read_pull_request, read_pull_requests, read_tags,
};
use serde_json::{Value, json};

use crate::COMMIT;

const FORGES: [Forge; 5] = Forge::ALL;

/// Both of Bitbucket have their lists in something.
fn is_wrapped(forge: Forge) -> bool {
    matches!(forge, Forge::Bitbucket | Forge::BitbucketDataCenter)
}

/// A pull request as this forge answers: of a fork or not, in the state that it calls so.
pub fn request(forge: Forge, is_fork: bool, state: &str) -> Value {
    let source = if is_fork { 2 } else { 1 };
    match forge {
        Forge::Github | Forge::Gitea => {
            let merged = state == "merged";
            let mut user = json!({ "login": "eve", "full_name": "Eve E.", "email": "eve@forge.example" });
            if forge == Forge::Github {
                user = json!({ "login": "eve", "name": "Eve E.", "full_name": "", "email": null });
            }
            json!({ "number": 7, "state": if merged { "closed" } else { state }, "title": "a title", "draft": true,
                "merged": merged, "user": user, "html_url": "https://forge.example/7",
                "head": { "label": "fix", "ref": "fix", "sha": COMMIT, "repo": { "id": source } },
                "base": { "ref": "main", "sha": "f".repeat(40), "repo": { "id": 1 } } })
        }
        Forge::Gitlab => json!({ "iid": 7, "state": state, "title": "a title", "draft": true, "sha": COMMIT,
            "author": { "username": "eve", "name": "Eve E." }, "web_url": "https://forge.example/7", "source_branch": "fix",
            "target_branch": "main", "source_project_id": source, "target_project_id": 1 }),
        Forge::Bitbucket => json!({ "id": 7, "state": state, "title": "a title", "draft": true,
            "author": { "nickname": "eve", "display_name": "Eve E." }, "links": { "html": { "href": "https://forge.example/7" } },
            "source": { "branch": { "name": "fix" }, "commit": { "hash": &COMMIT[..12] },
                "repository": { "uuid": format!("{{{source}}}") } },
            "destination": { "branch": { "name": "main" }, "commit": { "hash": "ffffffffffff" },
                "repository": { "uuid": "{1}" } } }),
        Forge::BitbucketDataCenter => json!({ "id": 7, "state": state, "title": "a title", "draft": true,
            "author": { "user": { "name": "eve", "displayName": "Eve E.", "emailAddress": "eve@forge.example" } },
            "links": { "self": [{ "href": "https://forge.example/7" }] },
            "fromRef": { "displayId": "fix", "latestCommit": COMMIT, "repository": { "id": source } },
            "toRef": { "displayId": "main", "latestCommit": "f".repeat(40), "repository": { "id": 1 } } }),
    }
}

/// What each forge calls a pull request that is open, closed or merged.
fn states(forge: Forge) -> [&'static str; 3] {
    match forge {
        Forge::Github | Forge::Gitea => ["open", "closed", "merged"],
        Forge::Gitlab => ["opened", "closed", "merged"],
        Forge::Bitbucket | Forge::BitbucketDataCenter => ["OPEN", "DECLINED", "MERGED"],
    }
}

fn facts(forge: Forge) -> Facts {
    let (commit, fetch) = match forge {
        Forge::Bitbucket => (&COMMIT[..12], None),
        Forge::BitbucketDataCenter => (COMMIT, Some("refs/pull-requests/7/from")),
        Forge::Gitlab => (COMMIT, Some("refs/merge-requests/7/head")),
        Forge::Github | Forge::Gitea => (COMMIT, Some("refs/pull/7/head")),
    };
    let request = PullRequest {
        number: 7,
        commit: commit.into(),
        fetch: fetch.map(str::to_owned),
        branch: "fix".into(),
        target: "main".into(),
        title: "a title".into(),
        author: Some("eve".into()),
        author_name: Some("Eve E.".into()),
        author_email: matches!(forge, Forge::Gitea | Forge::BitbucketDataCenter).then(|| "eve@forge.example".into()),
        url: Some("https://forge.example/7".into()),
        is_fork: true,
    };
    let target_commit = (forge == Forge::Gitea).then(|| "f".repeat(40));
    Facts { request, state: RequestState::Open, is_draft: true, target_commit }
}

fn refused<T>(read: Result<T, Refused>) -> bool {
    matches!(read, Err(Refused::Answer { .. }))
}

#[test]
fn each_forge_is_asked_in_its_words() {
    let check = |get: Get, path: &str| assert_eq!(get.url, format!("https://api/{path}"));
    let (token, name) = (Some("t0ken"), "org/the app");
    let one = |forge| {
        [ask_pull_request(forge, "https://api/", token, name, 7), ask_commit(forge, "https://api", token, name, "abc")]
    };
    let branch = |forge| ask_branch(forge, "https://api", token, name, "feature/x?");
    let lists = |forge| [ask_pull_requests, ask_branches, ask_tags].map(|ask| ask(forge, "https://api", token, name));
    let all = |forge, paths: [&str; 6]| {
        let asked = one(forge).into_iter().chain([branch(forge)]).chain(lists(forge));
        asked.zip(paths).for_each(|(get, path)| check(get, path));
    };
    all(
        Forge::Github,
        [
            "repos/org/the%20app/pulls/7",
            "repos/org/the%20app/commits/abc",
            "repos/org/the%20app/branches/feature%2Fx%3F",
            "repos/org/the%20app/pulls?state=open&sort=created&direction=asc&per_page=100",
            "repos/org/the%20app/branches?per_page=100",
            "repos/org/the%20app/tags?per_page=100",
        ],
    );
    all(
        Forge::Gitea,
        [
            "repos/org/the%20app/pulls/7",
            "repos/org/the%20app/git/commits/abc",
            "repos/org/the%20app/branches/feature%2Fx%3F",
            "repos/org/the%20app/pulls?state=open&sort=oldest&limit=50&page=1",
            "repos/org/the%20app/branches?limit=50&page=1",
            "repos/org/the%20app/tags?limit=50&page=1",
        ],
    );
    all(
        Forge::Gitlab,
        [
            "projects/org%2Fthe%20app/merge_requests/7",
            "projects/org%2Fthe%20app/repository/commits/abc",
            "projects/org%2Fthe%20app/repository/branches/feature%2Fx%3F",
            "projects/org%2Fthe%20app/merge_requests?state=opened&order_by=created_at&sort=asc&per_page=100",
            "projects/org%2Fthe%20app/repository/branches?per_page=100",
            "projects/org%2Fthe%20app/repository/tags?per_page=100",
        ],
    );
    all(
        Forge::Bitbucket,
        [
            "repositories/org/the%20app/pullrequests/7",
            "repositories/org/the%20app/commit/abc",
            "repositories/org/the%20app/refs/branches/feature/x%3F",
            "repositories/org/the%20app/pullrequests?state=OPEN&sort=created_on&pagelen=50",
            "repositories/org/the%20app/refs/branches?pagelen=100",
            "repositories/org/the%20app/refs/tags?pagelen=100",
        ],
    );
    all(
        Forge::BitbucketDataCenter,
        [
            "projects/org/repos/the%20app/pull-requests/7",
            "projects/org/repos/the%20app/commits/abc",
            "projects/org/repos/the%20app/commits?until=refs%2Fheads%2Ffeature%2Fx%3F&limit=1",
            "projects/org/repos/the%20app/pull-requests?state=OPEN&order=OLDEST&limit=100",
            "projects/org/repos/the%20app/branches?limit=100",
            "projects/org/repos/the%20app/tags?limit=100",
        ],
    );
    let of_person = scm::ask_tag(Forge::BitbucketDataCenter, "https://api", token, "~eve/app", "v1");
    check(of_person, "projects/~eve/repos/app/commits?until=refs%2Ftags%2Fv1&limit=1");
}

#[test]
fn a_token_is_in_a_header_and_nowhere_else() {
    for (forge, header) in FORGES.into_iter().zip([
        ("authorization", "Bearer t0ken"),
        ("private-token", "t0ken"),
        ("authorization", "token t0ken"),
        ("authorization", "Bearer t0ken"),
        ("authorization", "Bearer t0ken"),
    ]) {
        let get = ask_pull_request(forge, "https://api", Some("t0ken"), "a/b", 1);
        assert!(get.headers.iter().any(|(name, value)| (*name, value.as_str()) == header), "{forge:?}");
        assert_eq!(get.headers.iter().any(|(name, _)| *name == "x-github-api-version"), forge == Forge::Github);
        assert!(!get.url.contains("t0ken") && !format!("{get:?}").contains("t0ken"), "{get:?}");
        let get = ask_pull_request(forge, "https://api", None, "a/b", 1);
        assert!(get.headers.iter().all(|(name, _)| !["authorization", "private-token"].contains(name)), "{forge:?}");
    }
}

#[test]
fn each_forge_says_how_a_pull_request_is() {
    for forge in FORGES {
        let [open, closed, merged] = states(forge).map(|state| request(forge, true, state));
        assert_eq!(read_pull_request(forge, &open), Ok(facts(forge)), "{forge:?}");
        let state = |answer: &Value| read_pull_request(forge, answer).unwrap().state;
        assert_eq!([state(&closed), state(&merged)], [RequestState::Closed, RequestState::Merged], "{forge:?}");
        let own = read_pull_request(forge, &request(forge, false, states(forge)[0])).unwrap();
        assert!(!own.request.is_fork && own.request.fetch.is_some(), "{own:?}");
        let mut ready = open.clone();
        ready["draft"] = false.into();
        assert!(!read_pull_request(forge, &ready).unwrap().is_draft, "{forge:?}");
    }
}

#[test]
fn what_is_called_otherwise_is_the_same() {
    let read = |forge, answer: &Value| read_pull_request(forge, answer).unwrap();
    // One of a list says when, and not that.
    let mut listed = request(Forge::Github, true, "closed");
    listed.as_object_mut().unwrap().remove("merged");
    listed["merged_at"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(read(Forge::Github, &listed).state, RequestState::Merged);
    for (forge, word, state) in [
        (Forge::Gitlab, "locked", RequestState::Open),
        (Forge::Bitbucket, "QUEUED", RequestState::Open),
        (Forge::Bitbucket, "SUPERSEDED", RequestState::Closed),
    ] {
        assert_eq!(read(forge, &request(forge, true, word)).state, state, "{word}");
    }
    let mut old = request(Forge::Gitlab, true, "opened");
    old.as_object_mut().unwrap().remove("draft");
    assert!(!read(Forge::Gitlab, &old).is_draft);
    old["work_in_progress"] = true.into();
    assert!(read(Forge::Gitlab, &old).is_draft);
    let mut draft = request(Forge::Bitbucket, true, "DRAFT");
    draft.as_object_mut().unwrap().remove("draft");
    assert!(read(Forge::Bitbucket, &draft).is_draft);
}

/// Neither a fork nor a target that is gone makes anybody a member.
#[test]
fn what_is_gone_is_a_fork() {
    let without = |forge, fields: &[&str]| {
        let mut answer = request(forge, false, states(forge)[0]);
        for field in fields {
            *answer.pointer_mut(field).unwrap() = json!(null);
        }
        read_pull_request(forge, &answer).unwrap()
    };
    for (forge, source, target) in [
        (Forge::Github, "/head/repo", "/base/repo"),
        (Forge::Gitea, "/head/repo", "/base/repo"),
        (Forge::Gitlab, "/source_project_id", "/target_project_id"),
        (Forge::Bitbucket, "/source/repository", "/destination/repository"),
        (Forge::BitbucketDataCenter, "/fromRef/repository", "/toRef/repository"),
    ] {
        for fields in [&[source][..], &[target], &[source, target]] {
            assert!(without(forge, fields).request.is_fork, "{forge:?}: {fields:?}");
        }
        assert!(!without(forge, &[]).request.is_fork, "{forge:?}");
    }
    let mut gone = request(Forge::Gitea, true, "open");
    gone["base"]["sha"] = "".into();
    assert_eq!(read_pull_request(Forge::Gitea, &gone).unwrap().target_commit, None);
}

#[test]
fn what_is_no_pull_request_is_refused() {
    for forge in FORGES {
        for answer in [json!({}), json!([]), json!(null), json!({ "message": "Not Found" })] {
            assert!(refused(read_pull_request(forge, &answer)), "{forge:?}: {answer}");
        }
        assert!(refused(read_pull_request(forge, &request(forge, true, "lost"))), "{forge:?}");
        let at = match forge {
            Forge::Github | Forge::Gitea => ["/head/sha", "/head/ref", "/base/ref", "/number"],
            Forge::Gitlab => ["/sha", "/source_branch", "/target_branch", "/iid"],
            Forge::Bitbucket => ["/source/commit/hash", "/source/branch/name", "/destination/branch/name", "/id"],
            Forge::BitbucketDataCenter => ["/fromRef/latestCommit", "/fromRef/displayId", "/toRef/displayId", "/id"],
        };
        for path in at {
            for value in [json!(null), json!("../x"), json!("x".repeat(2000)), json!(-1), json!("")] {
                let mut answer = request(forge, true, states(forge)[0]);
                *answer.pointer_mut(path).unwrap() = value;
                assert!(refused(read_pull_request(forge, &answer)), "{forge:?}: {answer}");
            }
        }
    }
    // What only is shown may be missing, and an address is one of a page.
    let mut bare = request(Forge::Github, true, "open");
    bare["title"] = "x".repeat(2000).into();
    bare["user"] = json!(null);
    bare["html_url"] = "javascript:alert(1)".into();
    let read = read_pull_request(Forge::Github, &bare).unwrap().request;
    assert_eq!((read.title.as_str(), read.author, read.url), ("", None, None));
    bare["html_url"] = "http://forge.example/7".into();
    assert!(read_pull_request(Forge::Github, &bare).unwrap().request.url.is_some());
    let mut short = request(Forge::Bitbucket, true, "OPEN");
    short["source"]["commit"]["hash"] = "012345".into();
    assert!(refused(read_pull_request(Forge::Bitbucket, &short)), "so many commits begin so");
}

#[test]
fn each_forge_says_what_a_branch_or_tag_is() {
    for forge in FORGES {
        let branch = match forge {
            Forge::Github => json!({ "name": "a/b", "commit": { "sha": COMMIT }, "protected": true }),
            Forge::Gitlab | Forge::Gitea => json!({ "name": "a/b", "commit": { "id": COMMIT }, "protected": true }),
            Forge::Bitbucket => json!({ "name": "a/b", "target": { "hash": COMMIT } }),
            Forge::BitbucketDataCenter => {
                json!({ "id": "refs/heads/a/b", "displayId": "a/b", "latestCommit": COMMIT })
            }
        };
        let is_protected = (!is_wrapped(forge)).then_some(true);
        let expect = Branch { name: "a/b".into(), commit: COMMIT.into(), is_protected };
        // Of Data Center one alone is the last of its commits.
        let alone = match forge {
            Forge::BitbucketDataCenter => json!({ "values": [{ "id": COMMIT }], "isLastPage": false }),
            _ => branch.clone(),
        };
        assert_eq!(read_branch(forge, "a/b", &alone), Ok(expect.clone()), "{forge:?}");
        let tag = match forge {
            // An annotated tag has an object of its own, which is not meant.
            Forge::Gitea => json!({ "name": "v1", "id": "f".repeat(40), "commit": { "sha": COMMIT } }),
            Forge::Gitlab => json!({ "name": "v1", "target": "f".repeat(40), "commit": { "id": COMMIT } }),
            Forge::Github => json!({ "name": "v1", "commit": { "sha": COMMIT } }),
            Forge::Bitbucket => json!({ "name": "v1", "target": { "hash": COMMIT } }),
            Forge::BitbucketDataCenter => {
                json!({ "displayId": "v1", "hash": "f".repeat(40), "latestCommit": COMMIT })
            }
        };
        let page = |item: Value| {
            let items = json!([item, { "name": "no commit" }, item]);
            if is_wrapped(forge) { json!({ "values": items }) } else { items }
        };
        let branches = read_branches(forge, &page(branch.clone())).unwrap();
        assert_eq!((branches.found, branches.refused.len()), (vec![expect; 2], 1), "{forge:?}");
        let tags = read_tags(forge, &page(tag)).unwrap();
        let expect = Tag { name: "v1".into(), commit: COMMIT.into() };
        assert_eq!((tags.found, tags.refused.len()), (vec![expect; 2], 1), "{forge:?}");
        let requests = read_pull_requests(forge, &page(request(forge, true, states(forge)[0]))).unwrap();
        assert_eq!((requests.found, requests.refused.len()), (vec![facts(forge); 2], 1), "{forge:?}");

        let mut zero = alone;
        for commit in ["/commit/sha", "/commit/id", "/target/hash", "/values/0/id"] {
            zero.pointer_mut(commit).map(|commit| *commit = "0".repeat(40).into()).unwrap_or_default();
        }
        assert!(refused(read_branch(forge, "a/b", &zero)), "{forge:?}");
        let long: Vec<_> = (0..101).map(|_| json!({})).collect();
        let long = if is_wrapped(forge) { json!({ "values": long }) } else { long.into() };
        assert!(refused(read_tags(forge, &long)) && refused(read_tags(forge, &json!({}))), "{forge:?}");
    }
}

#[test]
fn an_abbreviated_commit_is_told_whole() {
    for (forge, field) in FORGES.into_iter().zip(["sha", "id", "sha", "hash", "id"]) {
        let answer = json!({ field: COMMIT });
        assert_eq!(read_commit(forge, "0123456789AB", &answer), Ok(COMMIT.to_owned()), "{forge:?}");
        assert!(refused(read_commit(forge, "123", &answer)), "another commit");
        assert!(refused(read_commit(forge, "012", &json!({ field: &COMMIT[..12] }))), "{forge:?}");
    }
    assert!(is_whole(COMMIT) && is_whole(&"a".repeat(64)));
    assert!(!is_whole(&COMMIT[..12]) && !is_whole(&"x".repeat(40)) && !is_whole(""));
}

#[test]
fn some_forges_keep_merges() {
    let merges = FORGES.map(|forge| merged_ref(forge, 7));
    let kept = ["refs/pull/7/merge", "refs/merge-requests/7/merge", "refs/pull-requests/7/merge"];
    let [github, gitlab, bitbucket] = kept.map(|name| Some(name.to_owned()));
    assert_eq!(merges, [github, gitlab, None, None, bitbucket]);
}
