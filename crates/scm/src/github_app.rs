//! An app of GitHub: who speaks for an installation of it, with a token of an hour instead of somebody's own.
//!
//! Source: <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>. Pure: whoever has the app's key signs.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::api::{Post, headers};
use crate::field::text;
use crate::{Forge, Refused};

/// How long a token of an installation is good for, in seconds.
pub const TOKEN_SECONDS: u64 = 60 * 60;

/// GitHub takes at most ten minutes, and its clock may be behind or before ours.
const BEHIND: u64 = 60;
const AHEAD: u64 = 8 * 60;

/// What an app's key signs (RS256) to say that it is the app. `app`: its client id, or its number. `now`: seconds since 1970.
pub fn app_claim(app: &str, now: u64) -> String {
    let head = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({ "iat": now.saturating_sub(BEHIND), "exp": now + AHEAD, "iss": app });
    [head, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

/// Asks for a token of an installation that does no more than is needed here, for this repository alone. `signature`: of the claim.
pub fn ask_token(api: &str, claim: &str, signature: &[u8], installation: u64, repository: &str) -> Post {
    let signed = format!("{claim}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let permissions = json!({ "checks": "write", "contents": "read", "metadata": "read", "pull_requests": "read" });
    Post {
        url: format!("{}/app/installations/{installation}/access_tokens", api.trim_end_matches('/')),
        headers: headers(Forge::Github, Some(&signed)),
        body: json!({ "repositories": [name], "permissions": permissions }),
    }
}

/// Reads the token from the answer.
///
/// # Errors
/// [`Refused::Answer`].
pub fn read_token(answer: &Value) -> Result<String, Refused> {
    text(answer, "/token").map_err(|reason| Refused::Answer { forge: Forge::Github, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_says_who_it_is_and_asks_for_little() {
        let claim = app_claim("Iv1.abc", 1_000_000);
        let parts: Vec<Value> = claim
            .split('.')
            .map(|part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0]["alg"], "RS256");
        assert_eq!(parts[1], json!({ "iat": 999_940, "exp": 1_000_480, "iss": "Iv1.abc" }));
        let post = ask_token("https://api/", &claim, &[0xfb, 0xff], 7, "org/app");
        assert_eq!(post.url, "https://api/app/installations/7/access_tokens");
        assert!(post.headers.contains(&("authorization", format!("Bearer {claim}.-_8"))));
        assert_eq!(post.body["repositories"], json!(["app"]));
        assert_eq!(post.body["permissions"]["contents"], "read");
        assert!(!format!("{post:?}").contains(&claim));
        assert_eq!(read_token(&json!({ "token": "ghs_x", "expires_at": "…" })).unwrap(), "ghs_x");
        assert!(read_token(&json!({ "message": "Bad credentials" })).is_err());
    }
}
