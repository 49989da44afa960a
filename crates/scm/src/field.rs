//! Fields of a webhook's body.

use serde_json::Value;

/// The longest text that is taken: what does not fit is none of ours.
const MAX_TEXT: usize = 1000;

/// A text by its path: `/pull_request/head/sha`.
pub(crate) fn text(body: &Value, path: &str) -> Result<String, String> {
    maybe(body, path).ok_or_else(|| format!("there is no {}", path.trim_start_matches('/')))
}

/// The same where it need not be there.
pub(crate) fn maybe(body: &Value, path: &str) -> Option<String> {
    body.pointer(path)?.as_str().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned)
}

/// A commit: 40 or 64 hexadecimal digits, not all of them 0.
pub(crate) fn commit(body: &Value, path: &str) -> Result<Option<String>, String> {
    let commit = text(body, path)?;
    let is_one = [40, 64].contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_one {
        true if commit.bytes().all(|byte| byte == b'0') => Ok(None),
        true => Ok(Some(commit)),
        false => Err(format!("{} is no commit", path.trim_start_matches('/'))),
    }
}

/// A number.
pub(crate) fn number(body: &Value, path: &str) -> Result<u64, String> {
    body.pointer(path).and_then(Value::as_u64).ok_or_else(|| format!("there is no {}", path.trim_start_matches('/')))
}
