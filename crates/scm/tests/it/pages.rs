//! How a list goes on.

use scm::{Forge, Get, MAX_PAGES, Refused, ask_branches, ask_pull_requests, ask_tags, next_page};
use serde_json::{Value, json};

use crate::{Given, given};

fn linked(url: &str) -> Given {
    let link = format!("<https://x/?page=1>; rel=\"prev\", <{url}>; rel=\"next\", <https://x/?page=9>; rel=\"last\"");
    given(&[("link", &link)])
}

fn first(forge: Forge) -> Get {
    ask_pull_requests(forge, "https://api.example", Some("t0ken"), "a/b")
}

#[test]
fn the_next_page_is_where_the_forge_says() {
    for forge in [Forge::Github, Forge::Gitlab, Forge::Gitea] {
        let asked = first(forge);
        let base = asked.url.split_once('?').unwrap().0;
        let next = next_page(forge, &asked, &linked("https://api.example/repositories/1/x?a=1,2&page=2"), &json!([]));
        let next = next.unwrap().unwrap();
        assert_eq!(next.url, format!("{base}?a=1,2&page=2"), "{forge:?}");
        assert_eq!(next.headers, asked.headers, "{forge:?}");
        for last in [
            given(&[]),
            given(&[("link", "")]),
            given(&[("link", "<https://x/?page=1>; rel=\"prev\"")]),
            given(&[("link", "https://x/?page=3; rel=\"next\"")]),
        ] {
            assert_eq!(next_page(forge, &asked, &last, &json!([])), Ok(None), "{forge:?}");
        }
        let bare = next_page(forge, &asked, &given(&[("link", "<https://x/?page=2>; rel=next")]), &json!([]));
        assert!(bare.unwrap().unwrap().url.ends_with("/pulls?page=2") || forge == Forge::Gitlab);
    }
    let answer = json!({ "values": [], "next": "https://api.bitbucket.org/2.0/repositories/a/b/pullrequests?page=2" });
    let next = next_page(Forge::Bitbucket, &first(Forge::Bitbucket), &linked("https://x/?page=7"), &answer);
    assert_eq!(next.unwrap().unwrap().url, "https://api.example/repositories/a/b/pullrequests?page=2");
    let last =
        next_page(Forge::Bitbucket, &first(Forge::Bitbucket), &linked("https://x/?page=7"), &json!({ "values": [] }));
    assert_eq!(last, Ok(None));
}

/// A token goes along.
#[test]
fn no_answer_leads_elsewhere() {
    for url in ["https://evil.example/?page=2", "//evil.example?page=2", "https://api.example@evil.example/x?page=2"] {
        let next = next_page(Forge::Github, &first(Forge::Github), &linked(url), &json!([])).unwrap().unwrap();
        assert_eq!(next.url, "https://api.example/repos/a/b/pulls?page=2");
    }
    for url in ["https://api.example/x", "https://x/?a b", "https://x/?a\r\nb", "https://x/?a#b", "https://x/?\u{e9}"] {
        let next = next_page(Forge::Github, &first(Forge::Github), &linked(url), &json!([]));
        assert!(matches!(next, Err(Refused::Answer { .. })), "{url}: {next:?}");
    }
    for length in [3000, 10_000] {
        let url = format!("https://x/?{}", "a".repeat(length));
        assert!(next_page(Forge::Github, &first(Forge::Github), &linked(&url), &json!([])).is_err(), "{length}");
    }
}

/// What is not understood is not the end of a list: branches that are not heard of would be taken for gone.
#[test]
fn a_header_that_is_too_long_is_no_end() {
    let link = format!("<https://x/?{}>; rel=\"prev\", <https://x/?page=2>; rel=\"next\"", "a".repeat(10_000));
    let next = next_page(Forge::Github, &first(Forge::Github), &given(&[("link", &link)]), &json!([]));
    assert!(matches!(next, Err(Refused::Answer { .. })), "{next:?}");
}

#[test]
fn a_list_that_never_ends_is_none() {
    let (mut asked, headers) = (first(Forge::Github), linked("https://x/?page=2"));
    for _ in 1..MAX_PAGES {
        asked = next_page(Forge::Github, &asked, &headers, &json!([])).unwrap().unwrap();
    }
    assert!(next_page(Forge::Github, &asked, &headers, &json!([])).is_err());
    for answer in [json!({}), json!(null), json!((0..101).collect::<Vec<_>>())] {
        assert!(next_page(Forge::Github, &first(Forge::Github), &headers, &answer).is_err());
    }
}

/// It links no pages of tags.
#[test]
fn gitea_counts() {
    let items = |count: usize| Value::from((0..count).collect::<Vec<_>>());
    let count = |total: &str| given(&[("x-total-count", total)]);
    let on =
        |asked: &Get, total: &str, on_page| next_page(Forge::Gitea, asked, &count(total), &items(on_page)).unwrap();
    for ask in [ask_tags, ask_branches] {
        let asked = ask(Forge::Gitea, "https://api.example", None, "a/b");
        let second = on(&asked, "120", 50).unwrap();
        assert!(second.url.ends_with("?limit=50&page=2"), "{}", second.url);
        let third = on(&second, "120", 50).unwrap();
        assert!(third.url.ends_with("?limit=50&page=3"), "{}", third.url);
        assert_eq!(on(&third, "120", 20), None);
        assert_eq!(on(&third, "1000", 0), None, "nothing comes any more");
        assert_eq!(on(&asked, "50", 50), None);
        assert_eq!(on(&asked, "many", 50), None);
        // Where it links, the link that is missing says that it is the last.
        let last = given(&[("x-total-count", "120"), ("link", "<https://x/?page=1>; rel=\"prev\"")]);
        assert_eq!(next_page(Forge::Gitea, &asked, &last, &items(50)), Ok(None));
        // An operator may allow fewer on a page.
        assert!(on(&on(&asked, "70", 30).unwrap(), "70", 30).unwrap().url.ends_with("page=3"));
    }
    let asked = ask_tags(Forge::Github, "https://api.example", None, "a/b");
    assert_eq!(next_page(Forge::Github, &asked, &count("120"), &items(50)), Ok(None), "the others link");
}

/// It says where the next page starts, and has to say where there is none.
#[test]
fn data_center_says_where_it_goes_on() {
    let on = |asked: &Get, answer: Value| {
        next_page(Forge::BitbucketDataCenter, asked, &linked("https://x/?page=7"), &answer)
    };
    for ask in [ask_tags, ask_pull_requests] {
        let asked = ask(Forge::BitbucketDataCenter, "https://api.example", None, "a/b");
        let second = on(&asked, json!({ "values": [], "isLastPage": false, "nextPageStart": 100 })).unwrap().unwrap();
        assert_eq!(second.url, format!("{}&start=100", asked.url));
        let third = on(&second, json!({ "values": [], "isLastPage": false, "nextPageStart": 230 })).unwrap().unwrap();
        assert_eq!(third.url, format!("{}&start=230", asked.url));
        assert_eq!(on(&third, json!({ "values": [], "isLastPage": true, "nextPageStart": null })), Ok(None));
        for none in [json!({ "values": [] }), json!({ "values": [], "isLastPage": false, "nextPageStart": "1&x" })] {
            assert!(on(&asked, none).is_err());
        }
    }
}
