//! Subordinate ids: so that an unprivileged user's layers can hold files of more than one owner.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::unpack::UnpackError;

/// One line of a user or group id mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside the user namespace.
    pub inside: u32,
    /// First id on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Which ids the files of a folder get on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// The ids of the archive as they are; needs root.
    Host,
    /// Inside a user namespace with these ranges, set with `newuidmap` and `newgidmap`.
    Subordinate {
        /// User ids.
        uids: Vec<IdRange>,
        /// Group ids.
        gids: Vec<IdRange>,
    },
}

impl IdMap {
    /// The map of the calling user: root as it is; for others id 0 is the user, and what `/etc/subuid` and
    /// `/etc/subgid` grant follows from 1 on. With no grant everything will belong to the user.
    pub fn of_current_user() -> IdMap {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid == 0 {
            return IdMap::Host;
        }
        let name = user_name(&fs::read_to_string("/etc/passwd").unwrap_or_default(), uid);
        let ranges = |file: &str, own: u32| {
            let granted = granted(&fs::read_to_string(file).unwrap_or_default(), name.as_deref(), uid);
            let mut ranges = vec![IdRange { inside: 0, outside: own, count: 1 }];
            let mut inside = 1;
            for (outside, count) in granted {
                ranges.push(IdRange { inside, outside, count });
                inside += count;
            }
            ranges
        };
        IdMap::Subordinate { uids: ranges("/etc/subuid", uid), gids: ranges("/etc/subgid", gid) }
    }
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Ranges granted to a user, by name or number; ids beyond what fits are cut.
fn granted(file: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let mut left = u32::MAX - 1;
    let mut ranges = vec![];
    for line in file.lines() {
        let mut fields = line.split(':');
        let (Some(owner), Some(Ok(first)), Some(Ok(count))) =
            (fields.next(), fields.next().map(str::parse::<u32>), fields.next().map(str::parse::<u32>))
        else {
            continue;
        };
        let is_ours = Some(owner) == name || owner.parse() == Ok(uid);
        let count = count.min(left).min(u32::MAX - first);
        if is_ours && count > 0 {
            left -= count;
            ranges.push((first, count));
        }
    }
    ranges
}

/// Sets the maps of a process that waits in a new user namespace.
pub(in crate::unpack) fn set_maps(process: u32, uids: &[IdRange], gids: &[IdRange]) -> Result<(), UnpackError> {
    for (tool, ranges) in [("newuidmap", uids), ("newgidmap", gids)] {
        // Root may map what it likes, and everybody their own id alone: no tool is needed then.
        if set_directly(process, tool, ranges).is_ok() {
            continue;
        }
        let tool = ["/usr/bin", "/bin", "/usr/local/bin"]
            .iter()
            .map(|folder| Path::new(folder).join(tool))
            .find(|path| path.exists())
            .ok_or_else(|| UnpackError::IdMap(format!("`{tool}` is not installed (Debian package `uidmap`)")))?;
        let mut command = Command::new(&tool);
        command.arg(process.to_string());
        for range in ranges {
            command.args([range.inside, range.outside, range.count].map(|number| number.to_string()));
        }
        let output = command.env_clear().stdin(Stdio::null()).output();
        let output = output.map_err(|error| UnpackError::IdMap(format!("{}: {error}", tool.display())))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(UnpackError::IdMap(format!("{}: {}", tool.display(), message.trim())));
        }
    }
    Ok(())
}

fn set_directly(process: u32, tool: &str, ranges: &[IdRange]) -> std::io::Result<()> {
    let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
    let lines: String = ranges.iter().map(line).collect();
    if tool == "newuidmap" {
        return fs::write(format!("/proc/{process}/uid_map"), lines);
    }
    if !rustix::process::geteuid().is_root() {
        // The condition for mapping one's own group. With a range, the tool does it and groups stay allowed.
        if ranges.len() > 1 {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        fs::write(format!("/proc/{process}/setgroups"), "deny")?;
    }
    fs::write(format!("/proc/{process}/gid_map"), lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read() {
        let file = "a:100000:65536\nb:1:2\n1000:300000:10\nbroken\na:x:y\n";
        assert_eq!(granted(file, Some("a"), 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(granted(file, None, 7), []);
        assert_eq!(user_name("root:x:0:0::/:\nme:x:1000:1000::/:\n", 1000).as_deref(), Some("me"));
    }
}
