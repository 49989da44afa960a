//! An image's config, as checked data.
//!
//! Every value here was written by a stranger. It describes the inside of a sandbox: paths are made absolute and free of
//! `..` so that they can be compared and shown, and are still never joined to a path of the host.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, ImageError, Platform};

/// Largest config in bytes. The longest histories known are well under 1 MiB.
pub const MAX_CONFIG_BYTES: u64 = 8 * 1024 * 1024;
/// Most layers of an image: what one overlay mount can stack.
pub const MAX_LAYERS: usize = 500;
/// Most environment variables, arguments, volumes or labels each; the kernel's own limits on a command are lower in bytes.
const MAX_ENTRIES: usize = 4096;
/// Longest single value in bytes: the kernel's limit on one argument (MAX_ARG_STRLEN).
const MAX_VALUE: usize = 128 * 1024;

/// What an image says about how to run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// What it was built for.
    pub platform: Platform,
    /// Environment, names unique, in the image's order.
    pub env: Vec<(String, String)>,
    /// Who runs the command; `None` is root.
    pub user: Option<UserSpec>,
    /// Absolute path inside the image; `/` where it names none.
    pub working_dir: String,
    /// Empty where it names none.
    pub entrypoint: Vec<String>,
    /// Empty where it names none.
    pub cmd: Vec<String>,
    /// Absolute paths inside the image that it wants to be fresh and writable.
    pub volumes: Vec<String>,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM`, `15`; the sandbox decides what it means.
    pub stop_signal: Option<String>,
    /// When it was built, as it says.
    pub created: Option<String>,
    /// Digests of the uncompressed layers, bottom first.
    pub diff_ids: Vec<Digest>,
}

/// `USER` of an image or `--user` of a container: `1000`, `jenkins`, `1000:1000`, `jenkins:docker`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// Before the colon.
    pub user: Account,
    /// After it.
    pub group: Option<Account>,
}

/// A user or group, to be looked up in the image's own files where it is a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// Numeric.
    Id(u32),
    /// By name.
    Name(String),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}:{group}", self.user),
            None => write!(f, "{}", self.user),
        }
    }
}

impl UserSpec {
    /// Reads `user[:group]`. An empty text is root, which is `None`.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let user = if user.is_empty() { Account::Id(0) } else { Account::parse(user)? };
        let group = group.filter(|group| !group.is_empty()).map(Account::parse).transpose()?;
        Ok(Some(Self { user, group }))
    }
}

impl Account {
    fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().all(|c| c.is_ascii_digit()) {
            // The range that Docker accepts: ids above are reserved by the kernel and by many file systems.
            return match text.parse::<u32>() {
                Ok(id) if id <= i32::MAX as u32 => Ok(Self::Id(id)),
                _ => Err(format!("user or group id `{text}` is not between 0 and {}", i32::MAX)),
            };
        }
        if text.len() > 256 || text.chars().any(|c| c.is_control() || c == ':') {
            return Err(format!("`{}` is no user or group name", text.escape_debug()));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

#[derive(Deserialize)]
struct RawImage {
    architecture: Option<String>,
    os: Option<String>,
    variant: Option<String>,
    created: Option<String>,
    config: Option<RawConfig>,
    rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
struct RawRootfs {
    #[serde(rename = "type")]
    kind: Option<String>,
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    volumes: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
}

impl ImageConfig {
    /// Reads and checks a config. `what` names it in errors.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        let bad = |reason: String| ImageError::malformed(what, reason);
        if bytes.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ImageError::TooLarge { what: what.to_owned(), limit: MAX_CONFIG_BYTES, unit: "bytes" });
        }
        let raw: RawImage = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        let rootfs = raw.rootfs.ok_or_else(|| bad("it has no `rootfs`".to_owned()))?;
        if let Some(kind) = rootfs.kind.filter(|kind| kind != "layers") {
            return Err(bad(format!("its `rootfs` has the type `{}`, not `layers`", kind.escape_debug())));
        }
        let diff_ids = rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() > MAX_LAYERS {
            return Err(ImageError::TooLarge { what: what.to_owned(), limit: MAX_LAYERS as u64, unit: "layers" });
        }
        let host = Platform::host();
        let config = raw.config.unwrap_or_default();
        Ok(Self {
            platform: Platform {
                os: short(raw.os).unwrap_or(host.os),
                architecture: short(raw.architecture).unwrap_or(host.architecture),
                variant: short(raw.variant),
            },
            env: env(config.env.unwrap_or_default()).map_err(&bad)?,
            user: UserSpec::parse(&config.user.unwrap_or_default()).map_err(&bad)?,
            working_dir: inside(&config.working_dir.unwrap_or_default()).map_err(&bad)?,
            entrypoint: arguments("Entrypoint", config.entrypoint.unwrap_or_default()).map_err(&bad)?,
            cmd: arguments("Cmd", config.cmd.unwrap_or_default()).map_err(&bad)?,
            volumes: volumes(config.volumes.unwrap_or_default().into_keys()).map_err(&bad)?,
            labels: labels(config.labels.unwrap_or_default()).map_err(&bad)?,
            stop_signal: short(config.stop_signal),
            created: short(raw.created),
            diff_ids,
        })
    }
}

/// A word of the config that is shown but not used: dropped where it is empty or unreasonable.
fn short(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control))
}

fn value(what: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_VALUE {
        return Err(format!("a value of `{what}` is longer than {MAX_VALUE} bytes"));
    }
    match text.contains('\0') {
        true => Err(format!("a value of `{what}` contains a NUL character")),
        false => Ok(()),
    }
}

fn count(what: &str, entries: usize) -> Result<(), String> {
    match entries > MAX_ENTRIES {
        true => Err(format!("`{what}` has more than {MAX_ENTRIES} entries")),
        false => Ok(()),
    }
}

fn arguments(what: &str, list: Vec<String>) -> Result<Vec<String>, String> {
    count(what, list.len())?;
    list.iter().try_for_each(|text| value(what, text))?;
    Ok(list)
}

/// `NAME=value` pairs; the last of a name wins, at the place of the first. Entries without a name or `=` mean nothing.
fn env(list: Vec<String>) -> Result<Vec<(String, String)>, String> {
    count("Env", list.len())?;
    let mut out: Vec<(String, String)> = Vec::with_capacity(list.len());
    let mut places = BTreeMap::new();
    for text in list {
        value("Env", &text)?;
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => match places.get(name) {
                Some(&place) => {
                    let entry: &mut (String, String) = &mut out[place];
                    entry.1 = value.to_owned();
                }
                None => {
                    places.insert(name.to_owned(), out.len());
                    out.push((name.to_owned(), value.to_owned()));
                }
            },
            _ => {}
        }
    }
    Ok(out)
}

fn labels(map: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    count("Labels", map.len())?;
    Ok(map)
}

fn volumes(paths: impl Iterator<Item = String>) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for path in paths {
        let path = inside(&path)?;
        // A volume over the whole image would hide it; Docker refuses it too.
        if path == "/" {
            return Err("`Volumes` names `/`".to_owned());
        }
        out.push(path);
    }
    count("Volumes", out.len())?;
    out.sort();
    out.dedup();
    Ok(out)
}

/// An absolute path inside the image without `.`, `..` and doubled slashes; `..` stops at the top, as the kernel has it.
fn inside(path: &str) -> Result<String, String> {
    value("WorkingDir or Volumes", path)?;
    if path.len() >= 4096 {
        return Err("a path is longer than 4095 bytes".to_owned());
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(config: &str) -> Result<ImageConfig, ImageError> {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        ImageConfig::parse(text.as_bytes(), "config")
    }

    #[test]
    fn values() {
        let config = parse(
            r#"{"Env":["PATH=/bin","A=1","EMPTY=","=x","NOEQ","A=2=3"],"User":"jenkins:10","WorkingDir":"a/../../b//c/.",
               "Entrypoint":["/e"],"Cmd":["x",""],"Volumes":{"/data/":{},"/data":{},"cache":{}},"Labels":null,"StopSignal":"SIGINT"}"#,
        )
        .unwrap();
        let env: Vec<_> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["PATH=/bin", "A=2=3", "EMPTY="]);
        let user = config.user.unwrap();
        assert_eq!((&user.user, &user.group), (&Account::Name("jenkins".into()), &Some(Account::Id(10))));
        assert_eq!(config.working_dir, "/b/c");
        assert_eq!(config.volumes, ["/cache", "/data"]);
        assert_eq!(config.cmd, ["x", ""]);
        assert_eq!(config.platform.to_string(), "linux/amd64");
    }

    #[test]
    fn absent_means_default() {
        let config = ImageConfig::parse(br#"{"rootfs":{"diff_ids":null}}"#, "config").unwrap();
        assert_eq!(config.platform.os, "linux");
        assert_eq!((config.working_dir.as_str(), config.user), ("/", None));
        assert!(parse("null").unwrap().cmd.is_empty());
    }

    #[test]
    fn hostile() {
        for bad in [
            r#"{"Env":["A=\u0000"]}"#,
            r#"{"User":"4294967296"}"#,
            r#"{"User":"2147483648"}"#,
            r#"{"User":"root\nroot::0:0::/:/bin/sh"}"#,
            r#"{"WorkingDir":"/a\u0000b"}"#,
            r#"{"Volumes":{"/":{}}}"#,
            r#"{"Volumes":{"/x/..":{}}}"#,
            r#"{"Cmd":"string"}"#,
            r#"{"Cmd":[1]}"#,
            r#"{"Env":["A=1"],"Env":["A=2"]}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in [
            &b""[..],
            b"[]",
            b"{}",
            b"\xff\xfe",
            br#"{"rootfs":{"type":"tree","diff_ids":[]}}"#,
            br#"{"rootfs":{"diff_ids":["x"]}}"#,
        ] {
            assert!(ImageConfig::parse(bad, "config").is_err());
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(ImageConfig::parse(deep.as_bytes(), "config").is_err());
        let many = format!(r#"{{"Cmd":[{}""]}}"#, r#""","#.repeat(MAX_ENTRIES));
        assert!(parse(&many).is_err());
    }

    #[test]
    fn users() {
        assert_eq!(UserSpec::parse("").unwrap(), None);
        assert_eq!(UserSpec::parse("0:").unwrap().unwrap().to_string(), "0");
        assert_eq!(UserSpec::parse("1000:docker").unwrap().unwrap().to_string(), "1000:docker");
        assert_eq!(UserSpec::parse(":5").unwrap().unwrap().to_string(), "0:5");
        assert!(UserSpec::parse("a:b:c").is_err());
    }
}
