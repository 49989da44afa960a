//! How the API of a forge is addressed: requests, their headers, names within paths.

use std::fmt;

use serde_json::Value;

use crate::Forge;

/// The largest answer that is worth reading, in bytes: a hundred pull requests, with texts of 64 KiB each, and what else is said of them.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A request to be made, without a body. Only this crate makes one, so that the token in it goes nowhere but to the API that was named.
#[derive(Clone, PartialEq, Eq)]
pub struct Get {
    /// Wherefrom.
    pub url: String,
    /// With these headers; one of them may have the token.
    pub headers: Vec<(&'static str, String)>,
    /// Of a list: what was before this page.
    pub(crate) before: Before,
}

/// How much of a list has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) pages: usize,
    pub(crate) items: usize,
}

/// Without the values of headers: one is a token.
impl fmt::Debug for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("url", &self.url).field("before", &self.before).finish_non_exhaustive()
    }
}

/// A request to be posted.
#[derive(Clone, PartialEq)]
pub struct Post {
    /// Whereto.
    pub url: String,
    /// With these headers; one of them has the token.
    pub headers: Vec<(&'static str, String)>,
    /// As JSON.
    pub body: Value,
}

/// Without the values of headers: one is a token.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("url", &self.url).field("body", &self.body).finish_non_exhaustive()
    }
}

/// Where the API of a forge's public service is.
pub fn public_api(forge: Forge) -> Option<&'static str> {
    match forge {
        Forge::Github => Some("https://api.github.com"),
        Forge::Gitlab => Some("https://gitlab.com/api/v4"),
        Forge::Bitbucket => Some("https://api.bitbucket.org/2.0"),
        // There are many.
        Forge::Gitea | Forge::BitbucketDataCenter => None,
    }
}

/// The headers of a request to a forge.
pub(crate) fn headers(forge: Forge, token: Option<&str>) -> Vec<(&'static str, String)> {
    let mut headers: Vec<_> = token.map(|token| authorization(forge, token)).into_iter().collect();
    if forge == Forge::Github {
        headers.push(("accept", "application/vnd.github+json".to_owned()));
        headers.push(("x-github-api-version", "2022-11-28".to_owned()));
    }
    headers
}

fn authorization(forge: Forge, token: &str) -> (&'static str, String) {
    match forge {
        Forge::Github | Forge::Bitbucket | Forge::BitbucketDataCenter => ("authorization", format!("Bearer {token}")),
        Forge::Gitea => ("authorization", format!("token {token}")),
        Forge::Gitlab => ("private-token", token.to_owned()),
    }
}

/// Where a repository is in a forge's API: `https://api.github.com/repos/org/app`.
pub(crate) fn repository(forge: Forge, api: &str, name: &str) -> String {
    let api = api.trim_end_matches('/');
    match forge {
        Forge::Github | Forge::Gitea => format!("{api}/repos/{}", path(name)),
        // Of any depth, and one part of the path all the same.
        Forge::Gitlab => format!("{api}/projects/{}", part(name)),
        Forge::Bitbucket => format!("{api}/repositories/{}", path(name)),
        // `PROJECT/repository`; of a person `~name/repository`.
        Forge::BitbucketDataCenter => {
            let (project, repository) = name.split_once('/').unwrap_or((name, ""));
            format!("{api}/projects/{}/repos/{}", part(project), path(repository))
        }
    }
}

/// A name with `/` in it as parts of a path.
pub(crate) fn path(name: &str) -> String {
    name.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// As one part of a path.
pub(crate) fn part(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
