//! Image names with Docker's defaulting rules: `maven:3` is `docker.io/library/maven:3`.
//!
//! The grammar is the one of the distribution project's reference specification; what it does not allow is refused with
//! the reason, because a pipeline's author typed it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;

/// The registry that a name without one means.
pub const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A complete, normalised image name: registry, repository, and a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no image name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid image name `{text}`: {reason}")]
pub struct ReferenceError {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Reference {
    /// Host and optional port, `docker.io` where none was named.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry: `library/maven`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` where neither tag nor digest was named.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest. It wins over a tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository at a digest.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// What to ask a registry for: the digest, else the tag.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// One text for all names that mean the same thing: a tag beside a digest is left out.
    pub fn canonical(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}/{}@{digest}", self.registry, self.repository),
            None => format!("{}/{}:{}", self.registry, self.repository, self.wanted()),
        }
    }

    /// The short form that people type: without `docker.io/library/`.
    pub fn familiar(&self) -> String {
        let mut text = match (self.registry.as_str(), self.repository.strip_prefix("library/")) {
            (DEFAULT_REGISTRY, Some(name)) if !name.contains('/') => name.to_owned(),
            (DEFAULT_REGISTRY, _) => self.repository.clone(),
            _ => format!("{}/{}", self.registry, self.repository),
        };
        if let Some(tag) = &self.tag {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = &self.digest {
            text = format!("{text}@{digest}");
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|reason| {
            let mut shown: String = text.chars().take(120).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            ReferenceError { text: shown.escape_debug().to_string(), reason }
        })
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("it contains {bad:?}"));
    }
    if text.contains("://") {
        return Err("it is a URL; write registry/repository:tag without a scheme".to_owned());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|error| error.to_string())?)),
        None => (text, None),
    };
    // A colon after the last slash begins the tag; one before it begins a port.
    let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(at) => (&rest[..after_slash + at], Some(&rest[after_slash + at + 1..])),
        None => (rest, None),
    };
    if digest.is_none()
        && tag.is_none()
        && name.len() == 64
        && name.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err("64 hexadecimal digits are an image id, not a name".to_owned());
    }
    if name.len() > MAX_NAME {
        return Err(format!("the name is longer than {MAX_NAME} characters"));
    }
    let (registry, path) = split_registry(name);
    check_registry(registry)?;
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    check_path(path)?;
    let repository = match registry == DEFAULT_REGISTRY && !path.contains('/') {
        true => format!("library/{path}"),
        false => path.to_owned(),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let tag = match (tag, digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (None, Some(_)) => None,
    };
    Ok(Reference { registry: registry.to_owned(), repository, tag, digest })
}

/// Docker's rule: the first component is a registry where it has a dot or a colon, an upper-case letter, or is `localhost`.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|c| c.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn check_registry(registry: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("`{registry}` is not a registry host: {why}"));
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) if port.starts_with(':') => (address, Some(&port[1..])),
            _ => return bad("the IPv6 address is not closed"),
        },
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    if let Some(port) = port
        && (port.is_empty() || !port.bytes().all(|c| c.is_ascii_digit()) || port.parse::<u16>().is_err())
    {
        return bad("the port is not a number from 0 to 65535");
    }
    if registry.starts_with('[') {
        return match host.parse::<std::net::Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => bad("that is no IPv6 address"),
        };
    }
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    match host.split('.').all(label) {
        true => Ok(()),
        false => bad("host names are letters, digits, dots and hyphens"),
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("the repository name is missing".to_owned());
    }
    if path.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err("the repository name must be lower case".to_owned());
    }
    match path.split('/').find(|component| !component_is_valid(component)) {
        None => Ok(()),
        Some("") => Err("the repository name has an empty component".to_owned()),
        Some(bad) => Err(format!(
            "`{bad}` is no repository name: lower-case letters and digits, joined by `.`, `_`, `__` or hyphens"
        )),
    }
}

/// `[a-z0-9]+ ((\.|_|__|-+) [a-z0-9]+)*`
fn component_is_valid(component: &str) -> bool {
    let bytes = component.as_bytes();
    let alphanumeric = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return false;
    }
    bytes.split(alphanumeric).all(|run| {
        // `split` yields an empty run between neighbours.
        matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|c| *c == b'-')
    })
}

fn check_tag(tag: &str) -> Result<(), String> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    if tag.is_empty() {
        return Err("the tag after `:` is missing".to_owned());
    }
    if tag.len() > MAX_TAG {
        return Err(format!("the tag is longer than {MAX_TAG} characters"));
    }
    if !word(tag.as_bytes()[0]) || !tag.bytes().all(|c| word(c) || c == b'.' || c == b'-') {
        return Err(format!("`{tag}` is no tag: letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(text: &str, full: &str) {
        assert_eq!(text.parse::<Reference>().map(|r| r.to_string()).as_deref(), Ok(full), "{text}");
        assert_eq!(full.parse::<Reference>().unwrap().to_string(), full, "normal form is stable");
        let familiar = full.parse::<Reference>().unwrap().familiar();
        assert_eq!(familiar.parse::<Reference>().unwrap().to_string(), full, "familiar form means the same");
    }

    #[test]
    fn defaults() {
        check("maven", "docker.io/library/maven:latest");
        check("maven:3", "docker.io/library/maven:3");
        check("library/maven:3", "docker.io/library/maven:3");
        check("jenkins/agent", "docker.io/jenkins/agent:latest");
        check("docker.io/maven:3", "docker.io/library/maven:3");
        check("index.docker.io/maven:3", "docker.io/library/maven:3");
        check("ghcr.io/a/b/c:v1.2-rc.1_x", "ghcr.io/a/b/c:v1.2-rc.1_x");
        check("localhost/a", "localhost/a:latest");
        check("localhost:5000/a/b:1", "localhost:5000/a/b:1");
        check("127.0.0.1:5000/maven:3", "127.0.0.1:5000/maven:3");
        check("[::1]:5000/maven:3", "[::1]:5000/maven:3");
        check("[fd00::1]/maven", "[fd00::1]/maven:latest");
        check("Registry/maven", "Registry/maven:latest");
        check("a__b/c-----d.e_f", "docker.io/a__b/c-----d.e_f:latest");
        check(&format!("maven@sha256:{HEX}"), &format!("docker.io/library/maven@sha256:{HEX}"));
        check(&format!("maven:3@sha256:{HEX}"), &format!("docker.io/library/maven:3@sha256:{HEX}"));
        check("maven:Latest", "docker.io/library/maven:Latest");
    }

    #[test]
    fn tag_beside_digest_is_canonically_absent() {
        let reference: Reference = format!("maven:3@sha256:{HEX}").parse().unwrap();
        assert_eq!(reference.canonical(), format!("docker.io/library/maven@sha256:{HEX}"));
        assert_eq!(reference.wanted(), format!("sha256:{HEX}"));
        assert_eq!(reference.familiar(), format!("maven:3@sha256:{HEX}"));
    }

    #[test]
    fn refused() {
        let long = "a".repeat(300);
        let tag = format!("maven:{}", "t".repeat(129));
        for bad in [
            "",
            ":",
            "/",
            "maven:",
            "Maven",
            "maven:-x",
            "maven:.x",
            "maven:a b",
            " maven",
            "maven\n",
            "maven@",
            "maven@sha256:12",
            "maven@md5:d41d8cd98f00b204e9800998ecf8427e",
            "a//b",
            "a/",
            "/a",
            "-a",
            "a-",
            "_a",
            "a..b",
            "a___b",
            "a._b",
            "localhost:x/a",
            "localhost:70000/a",
            "localhost:/a",
            "ho_st.io/a",
            "-h.io/a",
            "h..io/a",
            "[::1/a",
            "[::g]/a",
            "[::1]5000/a",
            "https://docker.io/maven",
            "maven:3:4",
            "../../etc/passwd",
            "a/../b",
            "a/./b",
            "ümlaut",
            "maven:ü",
            HEX,
            &long,
            &tag,
            "localhost/",
            "x.io/A",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?} was accepted as {:?}", bad.parse::<Reference>());
        }
        let error = "Maven:3".parse::<Reference>().unwrap_err();
        assert_eq!(error.to_string(), "invalid image name `Maven:3`: the repository name must be lower case");
    }
}
