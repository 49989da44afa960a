//! Fields of what a forge says.

use serde_json::Value;

/// The longest text that is taken: what does not fit is none of ours.
const MAX_TEXT: usize = 1000;

/// The shortest abbreviation of a commit that means one: git itself gives no shorter one.
const MIN_DIGITS: usize = 7;

/// A text by its path: `/pull_request/head/sha`.
pub(crate) fn text(body: &Value, path: &str) -> Result<String, String> {
    maybe(body, path).ok_or_else(|| format!("there is no {}", path.trim_start_matches('/')))
}

/// The same where it need not be there.
pub(crate) fn maybe(body: &Value, path: &str) -> Option<String> {
    body.pointer(path)?.as_str().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned)
}

/// The same where an empty text says nothing.
pub(crate) fn some(body: &Value, path: &str) -> Option<String> {
    maybe(body, path).filter(|text| !text.trim().is_empty())
}

/// An address of letters. Some forges say there that they do not say it.
pub(crate) fn email(body: &Value, path: &str) -> Option<String> {
    some(body, path).filter(|text| text.contains('@') && !text.contains(char::is_whitespace))
}

/// The address of a page; of one that a browser gets, and does not run.
pub(crate) fn address(body: &Value, path: &str) -> Option<String> {
    maybe(body, path).filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}

/// A branch or a tag, as git allows it to be called (`man git-check-ref-format`): it becomes part of paths and of references.
pub(crate) fn name(body: &Value, path: &str) -> Result<String, String> {
    let name = text(body, path)?;
    if is_name(&name) { Ok(name) } else { Err(format!("{} is no name", path.trim_start_matches('/'))) }
}

/// Whether git would take this as a name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !name.contains(is_bad)
        && !["..", "@{"].iter().any(|bad| name.contains(bad))
        && !name.ends_with('.')
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// A commit: 40 or 64 hexadecimal digits, not all of them 0.
pub(crate) fn commit(body: &Value, path: &str) -> Result<Option<String>, String> {
    let commit = text(body, path)?;
    match [40, 64].contains(&commit.len()) && hexadecimal(&commit) {
        true if commit.bytes().all(|byte| byte == b'0') => Ok(None),
        true => Ok(Some(commit)),
        false => Err(format!("{} is no commit", path.trim_start_matches('/'))),
    }
}

/// A commit, or the first digits of one.
pub(crate) fn abbreviated(body: &Value, path: &str) -> Result<String, String> {
    let commit = text(body, path)?;
    let is_one = (MIN_DIGITS..=64).contains(&commit.len()) && hexadecimal(&commit);
    if is_one { Ok(commit) } else { Err(format!("{} is no commit", path.trim_start_matches('/'))) }
}

/// Whether these are digits of a commit.
pub(crate) fn hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A number.
pub(crate) fn number(body: &Value, path: &str) -> Result<u64, String> {
    body.pointer(path).and_then(Value::as_u64).ok_or_else(|| format!("there is no {}", path.trim_start_matches('/')))
}

/// Whether it is there, and true.
pub(crate) fn is_true(body: &Value, path: &str) -> bool {
    body.pointer(path).and_then(Value::as_bool) == Some(true)
}
