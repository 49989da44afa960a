//! Operating system and processor, as image indexes name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `os/architecture[/variant]` in the registry's words (`linux/arm64/v8`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The text names no platform.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a platform (expected os/architecture or os/architecture/variant, such as linux/arm64)")]
pub struct PlatformError(pub String);

impl Platform {
    /// The platform this binary was built for.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) }
    }

    /// How well `offered` serves a machine of this platform: `None` not at all, smaller is better.
    pub fn rank(&self, offered: &Self) -> Option<u8> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        // arm64 has only one variant in practice and indexes disagree on naming it; older 32-bit ARM code runs on newer.
        let mine = version(self);
        let theirs = version(offered);
        match (mine, theirs) {
            (mine, theirs) if mine == theirs => Some(0),
            (_, 0) => Some(20),
            (0, theirs) => Some(if theirs == 1 || self.architecture == "arm64" { 1 } else { return None }),
            (mine, theirs) => mine.checked_sub(theirs),
        }
    }
}

fn version(platform: &Platform) -> u8 {
    match (platform.architecture.as_str(), platform.variant.as_deref()) {
        ("arm64", None) => 8,
        (_, None | Some("")) => 0,
        (_, Some(variant)) => variant.trim_start_matches('v').parse().unwrap_or(u8::MAX),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let word =
            |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(word) {
            return Err(PlatformError(text.to_owned()));
        }
        Ok(Self {
            os: parts[0].to_ascii_lowercase(),
            architecture: parts[1].to_ascii_lowercase(),
            variant: parts.get(2).map(|variant| variant.to_ascii_lowercase()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let rank =
            |mine: &str, theirs: &str| mine.parse::<Platform>().unwrap().rank(&theirs.parse::<Platform>().unwrap());
        assert_eq!(rank("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/arm64"), None);
        assert_eq!(rank("linux/amd64", "windows/amd64"), None);
        assert_eq!(rank("linux/amd64", "linux/amd64/v1"), Some(1));
        assert_eq!(rank("linux/amd64", "linux/amd64/v3"), None);
        assert_eq!(rank("linux/arm64", "linux/arm64/v8"), Some(0));
        assert_eq!(rank("linux/arm/v7", "linux/arm/v6"), Some(1));
        assert_eq!(rank("linux/arm/v6", "linux/arm/v7"), None);
    }

    #[test]
    fn parses() {
        assert_eq!("linux/ARM64/v8".parse::<Platform>().unwrap().to_string(), "linux/arm64/v8");
        for bad in ["", "linux", "linux/", "a/b/c/d", "linux/amd 64", "/amd64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
