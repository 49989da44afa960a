//! What a run has archived or stashed: how an agent hands it to the server, and how it is got from there.
//!
//! ```text
//!   PUT /agent/v1/runs/{id}/artifacts/{path}?epoch=N    by who has the lease and its token: the bytes, with their length before them
//!   PUT /agent/v1/runs/{id}/stashes/{name}?epoch=N      the same, of a stash as a tar stream
//!   201 Received                                        what has come; the agent holds it against what it sent
//!   GET /agent/v1/runs/{id}/stashes/{name}?epoch=N      the bytes, or a range of them, and their digest as `ETag`; 404: there is none
//!   GET /agent/v1/runs/{id}/artifacts/{path}?epoch=N    the same, of what this run has archived
//!   GET /agent/v1/runs/{id}/artifacts?epoch=N&after=P   [`Page`]: what that is
//!   GET /api/v1/runs/{id}/artifacts                     [`Listed`], in pages
//!   GET /api/v1/runs/{id}/artifacts/{path}              the bytes, or a range of them
//! ```
//!
//! A path is a name and nothing else: neither side makes a path of its machine from it unless [`is_path`] holds and somebody who may has
//! named the folder that it is to be in.

use std::fmt::Write as _;

use model::ids::RunId;
use model::limits::MAX_ARTIFACT_PATH_BYTES;
use serde::{Deserialize, Serialize};

use crate::agent::Lease;

/// The header that has the token of the lease ([`crate::agent::LeaseToken`]), beside the agent's key.
pub const LEASE_TOKEN: &str = "cofferdam-lease";

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// So many bytes.
    pub bytes: u64,
    /// Their digest, in hexadecimal digits.
    pub sha256: String,
}

/// An artifact in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest, in hexadecimal digits.
    pub sha256: String,
}

/// Most artifacts of a [`Page`].
pub const PAGE: u32 = 1000;
/// The longest page, in bytes: of paths in which each byte is written as two, with room for the rest.
pub const MAX_PAGE_BYTES: usize = PAGE as usize * (2 * MAX_ARTIFACT_PATH_BYTES + 256);

/// What a run has archived, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// At most [`PAGE`].
    pub artifacts: Vec<Listed>,
    /// Behind which path the next page begins; none: there is none.
    pub next_after: Option<String>,
}

/// Whether it names a file beneath a folder: parts with single slashes between, none of them `.` or `..`, and nothing that a terminal or a
/// database would take for something else.
pub fn is_path(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    path.len() <= MAX_ARTIFACT_PATH_BYTES && path.split('/').all(is_part) && !path.chars().any(char::is_control)
}

/// A path as it stands in an address.
pub fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(byte)),
            // Writing to a string does not fail.
            other => drop(write!(text, "%{other:02X}")),
        }
    }
    text
}

/// Where an agent puts an artifact, at its server, and finds it again.
pub fn artifact(lease: Lease, path: &str) -> String {
    format!("/agent/v1/runs/{}/artifacts/{}?epoch={}", lease.run.0, encoded(path), lease.epoch)
}

/// Where an agent finds what another run has archived, and its own may have.
pub fn artifact_of(lease: Lease, run: RunId, path: &str) -> String {
    format!("{}&of={}", artifact(lease, path), run.0)
}

/// Where an agent finds what its run has archived, or another (`of`), behind that path.
pub fn artifacts(lease: Lease, of: Option<RunId>, after: &str) -> String {
    let of = of.map_or_else(String::new, |run| format!("&of={}", run.0));
    format!("/agent/v1/runs/{}/artifacts?epoch={}&after={}{of}", lease.run.0, lease.epoch, encoded(after))
}

/// Where an agent puts a stash, and finds it again.
pub fn stash(lease: Lease, name: &str) -> String {
    format!("/agent/v1/runs/{}/stashes/{}?epoch={}", lease.run.0, encoded(name), lease.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_beneath() {
        for good in ["a", "a/b.txt", "..a/b..", "ä b/%2e%2e", "a\\b", ".hidden"] {
            assert!(is_path(good), "{good}");
        }
        let long = "a".repeat(MAX_ARTIFACT_PATH_BYTES + 1);
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb", "a\u{9b}b", &long] {
            assert!(!is_path(bad), "{bad:?}");
        }
        assert!(is_path(&long[1..]));
    }

    #[test]
    fn an_address_has_no_other_meaning() {
        let lease = Lease { run: RunId(7), epoch: 3 };
        assert_eq!(artifact(lease, "a b/c?d#é%2e"), "/agent/v1/runs/7/artifacts/a%20b/c%3Fd%23%C3%A9%252e?epoch=3");
        assert_eq!(artifact_of(lease, RunId(9), "a/b"), "/agent/v1/runs/7/artifacts/a/b?epoch=3&of=9");
        assert_eq!(artifacts(lease, Some(RunId(9)), "a"), "/agent/v1/runs/7/artifacts?epoch=3&after=a&of=9");
        assert_eq!(artifacts(lease, None, "a&b/+=c"), "/agent/v1/runs/7/artifacts?epoch=3&after=a%26b/%2B%3Dc");
    }

    #[test]
    fn a_page_is_read_whole() {
        let path = "\\".repeat(MAX_ARTIFACT_PATH_BYTES);
        let listed = Listed { path: path.clone(), bytes: u64::MAX, sha256: "f".repeat(64) };
        let page = Page { artifacts: vec![listed; PAGE as usize], next_after: Some(path) };
        assert!(serde_json::to_vec(&page).unwrap().len() <= MAX_PAGE_BYTES);
    }
}
