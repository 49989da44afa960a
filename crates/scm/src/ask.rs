//! What a forge is asked, and how a list goes on.
//!
//! Sources: GitHub's REST API (<https://docs.github.com/rest/pulls/pulls>, <https://docs.github.com/rest/branches/branches>), GitLab's
//! (<https://docs.gitlab.com/api/merge_requests/>, <https://docs.gitlab.com/api/branches/>), Gitea's (<https://docs.gitea.com/api/>), that of
//! Bitbucket Cloud (<https://developer.atlassian.com/cloud/bitbucket/rest/>) and of Data Center, which has no single branch or tag to ask for, but
//! the commits up to one (<https://developer.atlassian.com/server/bitbucket/rest/>).

use serde_json::Value;

use crate::api::{Before, Get, headers, part, path, repository};
use crate::facts::items;
use crate::{Forge, Headers, Refused};

/// Pages of one list after which it is not read on: a list that never ends is no list.
pub const MAX_PAGES: usize = 100;

/// The longest header and the longest query that say where a list goes on, in bytes.
const MAX_LINK: (usize, usize) = (8 << 10, 2 << 10);

/// Asks for a pull request as it is now. [`crate::read_pull_request`] reads the answer.
pub fn ask_pull_request(forge: Forge, api: &str, token: Option<&str>, repository: &str, number: u64) -> Get {
    let path = match forge {
        Forge::Github | Forge::Gitea => format!("pulls/{number}"),
        Forge::Gitlab => format!("merge_requests/{number}"),
        Forge::Bitbucket => format!("pullrequests/{number}"),
        Forge::BitbucketDataCenter => format!("pull-requests/{number}"),
    };
    get(forge, api, token, repository, &path)
}

/// Asks for all pull requests that are open, oldest first, so that new ones move none to a page that was read already.
/// [`crate::read_pull_requests`] reads the answer, and [`next_page`] asks on.
pub fn ask_pull_requests(forge: Forge, api: &str, token: Option<&str>, repository: &str) -> Get {
    let path = match forge {
        Forge::Github => "pulls?state=open&sort=created&direction=asc&per_page=100",
        Forge::Gitea => "pulls?state=open&sort=oldest&limit=50&page=1",
        Forge::Gitlab => "merge_requests?state=opened&order_by=created_at&sort=asc&per_page=100",
        // More are refused.
        Forge::Bitbucket => "pullrequests?state=OPEN&sort=created_on&pagelen=50",
        Forge::BitbucketDataCenter => "pull-requests?state=OPEN&order=OLDEST&limit=100",
    };
    get(forge, api, token, repository, path)
}

/// Asks for a branch as it is now. [`crate::read_branch`] reads the answer.
pub fn ask_branch(forge: Forge, api: &str, token: Option<&str>, repository: &str, branch: &str) -> Get {
    let path = match forge {
        Forge::Github | Forge::Gitea => format!("branches/{}", part(branch)),
        Forge::Gitlab => format!("repository/branches/{}", part(branch)),
        Forge::Bitbucket => format!("refs/branches/{}", path(branch)),
        Forge::BitbucketDataCenter => last_commit(&format!("refs/heads/{branch}")),
    };
    get(forge, api, token, repository, &path)
}

/// Asks for all branches. [`crate::read_branches`] reads the answer, and [`next_page`] asks on.
pub fn ask_branches(forge: Forge, api: &str, token: Option<&str>, repository: &str) -> Get {
    list(forge, api, token, repository, "branches")
}

/// Asks for all tags. [`crate::read_tags`] reads the answer, and [`next_page`] asks on.
pub fn ask_tags(forge: Forge, api: &str, token: Option<&str>, repository: &str) -> Get {
    list(forge, api, token, repository, "tags")
}

/// Asks for a tag as it is now: GitHub for its commit, which says 422 where there is none. [`crate::read_tag`] reads the answer.
pub fn ask_tag(forge: Forge, api: &str, token: Option<&str>, repository: &str, tag: &str) -> Get {
    let path = match forge {
        Forge::Github => format!("commits/{}", part(&format!("tags/{tag}"))),
        Forge::Gitea => format!("tags/{}", part(tag)),
        Forge::Gitlab => format!("repository/tags/{}", part(tag)),
        Forge::Bitbucket => format!("refs/tags/{}", path(tag)),
        Forge::BitbucketDataCenter => last_commit(&format!("refs/tags/{tag}")),
    };
    get(forge, api, token, repository, &path)
}

/// Asks for a commit by what it is called; Bitbucket abbreviates those of pull requests. [`crate::read_commit`] reads the answer.
pub fn ask_commit(forge: Forge, api: &str, token: Option<&str>, repository: &str, commit: &str) -> Get {
    let commit = part(commit);
    let path = match forge {
        Forge::Github => format!("commits/{commit}"),
        Forge::Gitea => format!("git/commits/{commit}"),
        Forge::Gitlab => format!("repository/commits/{commit}"),
        Forge::Bitbucket => format!("commit/{commit}"),
        Forge::BitbucketDataCenter => format!("commits/{commit}"),
    };
    get(forge, api, token, repository, &path)
}

fn last_commit(reference: &str) -> String {
    format!("commits?until={}&limit=1", part(reference))
}

fn list(forge: Forge, api: &str, token: Option<&str>, repository: &str, what: &str) -> Get {
    let path = match forge {
        Forge::Github => format!("{what}?per_page=100"),
        Forge::Gitea => format!("{what}?limit=50&page=1"),
        Forge::Gitlab => format!("repository/{what}?per_page=100"),
        Forge::Bitbucket => format!("refs/{what}?pagelen=100"),
        Forge::BitbucketDataCenter => format!("{what}?limit=100"),
    };
    get(forge, api, token, repository, &path)
}

fn get(forge: Forge, api: &str, token: Option<&str>, name: &str, path: &str) -> Get {
    let url = format!("{}/{path}", repository(forge, api, name));
    Get { url, headers: headers(forge, token), before: Before::default() }
}

/// Asks for the page of a list that comes after this one; `None`: it was the last.
///
/// Of what the forge says only the query is taken. Whereto the request goes, and the token with it, is ours to say; and a forge behind a
/// proxy may not know by which name it is called.
///
/// # Errors
/// [`Refused::Answer`]: the list goes on after [`MAX_PAGES`], or where it goes on cannot be understood.
pub fn next_page(forge: Forge, asked: &Get, headers: &dyn Headers, answer: &Value) -> Result<Option<Get>, Refused> {
    let refused = |reason: &str| Refused::Answer { forge, reason: reason.to_owned() };
    let seen = asked.before.items + items(forge, answer)?.len();
    let links = !matches!(forge, Forge::Bitbucket | Forge::BitbucketDataCenter);
    let link = headers.get("link").filter(|_| links);
    if link.is_some_and(|link| link.len() > MAX_LINK.0) {
        return Err(refused("the header of links is too long"));
    }
    let next =
        if forge == Forge::Bitbucket { answer.get("next").and_then(Value::as_str) } else { link.and_then(linked) };
    let query = match next {
        Some(url) => Some(url.split_once('?').ok_or_else(|| refused("the next page has no query"))?.1.to_owned()),
        None if forge == Forge::Gitea && link.is_none() => counted(asked, headers, seen),
        None if forge == Forge::BitbucketDataCenter => starting(asked, answer).map_err(refused)?,
        None => None,
    };
    let Some(query) = query else { return Ok(None) };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\".contains(&byte);
    if query.len() > MAX_LINK.1 || !query.bytes().all(is_plain) {
        return Err(refused("the query of the next page is none"));
    }
    let before = Before { pages: asked.before.pages + 1, items: seen };
    if before.pages >= MAX_PAGES {
        return Err(refused("the list has too many pages"));
    }
    let base = asked.url.split_once('?').map_or(asked.url.as_str(), |(base, _)| base);
    Ok(Some(Get { url: format!("{base}?{query}"), headers: asked.headers.clone(), before }))
}

/// The address with `rel="next"` of a `Link` header: RFC 8288.
fn linked(link: &str) -> Option<&str> {
    link.split('<').skip(1).find_map(|link| {
        let (url, words) = link.split_once('>')?;
        let is_next = |word: &str| matches!(word.trim(), r#"rel="next""# | "rel=next");
        words.split([';', ',']).any(is_next).then_some(url)
    })
}

/// Data Center says with which number the next page starts.
fn starting(asked: &Get, answer: &Value) -> Result<Option<String>, &'static str> {
    if answer.get("isLastPage").and_then(Value::as_bool) == Some(true) {
        return Ok(None);
    }
    let start = answer.get("nextPageStart").and_then(Value::as_u64).ok_or("it does not say whether it goes on")?;
    let (_, query) = asked.url.split_once('?').ok_or("it was no list")?;
    let first = query.split_once("&start=").map_or(query, |(first, _)| first);
    Ok(Some(format!("{first}&start={start}")))
}

/// Gitea links no pages of tags, but says how many there are.
fn counted(asked: &Get, headers: &dyn Headers, seen: usize) -> Option<String> {
    let total = headers.get("x-total-count")?.parse::<usize>().ok()?;
    let (_, query) = asked.url.split_once('?')?;
    let (rest, page) = query.rsplit_once("page=")?;
    let is_more = seen < total && seen > asked.before.items;
    is_more.then(|| Some(format!("{rest}page={}", page.parse::<usize>().ok()?.checked_add(1)?)))?
}
