//! Users by name or number, from the text of an image's own `/etc/passwd` and `/etc/group`, which may say anything. For every
//! driver alike, wherever it has the text from.

use crate::fault::Result;
use crate::protocol::{Fault, FaultKind, Ids, Made, User};

/// What is read of either file.
pub const MAX_BYTES: u64 = 1 << 20;
/// Home folder of a user whom the image does not know.
pub const UNKNOWN_HOME: &str = "/home/jenkins";
const UNKNOWN_NAME: &str = "jenkins";
/// Most further groups of a user.
const MAX_GROUPS: usize = 64;

/// Numbers, groups and home folder of a user.
///
/// # Errors
/// [`FaultKind::UnknownUser`] and [`FaultKind::Spec`].
pub fn resolve(user: &User, passwd: &str, group: &str) -> Result<Made> {
    let ids = match user {
        User::Ids(ids) => *ids,
        User::Named(text) => named(text, passwd, group)?,
    };
    if ids.uid >= crate::ids::RANGE || ids.gid >= crate::ids::RANGE {
        return Err(Fault::spec(format!("user {}:{} is outside of the 65536 ids of a sandbox", ids.uid, ids.gid)));
    }
    let groups = match user {
        User::Named(text) if !text.contains(':') => groups(ids.uid, passwd, group),
        _ => Vec::new(),
    };
    Ok(Made { user: ids, groups, home: home(ids.uid, passwd) })
}

/// The entry to be added for a user whom the image does not know: without it Java's `user.home` is "?", git and ssh refuse to work,
/// and `whoami` fails. `None` where there is one, or no room.
pub fn unknown_entry(user: Ids, passwd: &str) -> Option<String> {
    let Ids { uid, gid } = user;
    if uid == 0 || passwd.len() as u64 >= MAX_BYTES || passwd.lines().any(|line| field(line, 2) == Some(uid)) {
        return None;
    }
    let ends = if passwd.is_empty() || passwd.ends_with('\n') { "" } else { "\n" };
    Some(format!("{ends}{UNKNOWN_NAME}:x:{uid}:{gid}::{UNKNOWN_HOME}:/bin/sh\n"))
}

/// The groups that name the user as a member.
fn groups(uid: u32, passwd: &str, group: &str) -> Vec<u32> {
    let Some(name) = passwd.lines().find(|line| field(line, 2) == Some(uid)).and_then(|line| line.split(':').next())
    else {
        return Vec::new();
    };
    let is_member =
        |line: &&str| line.split(':').nth(3).is_some_and(|members| members.split(',').any(|one| one == name));
    let numbers = group.lines().filter(is_member).filter_map(|line| field(line, 2));
    numbers.filter(|number| *number < crate::ids::RANGE).take(MAX_GROUPS).collect()
}

/// `USER[:GROUP]`: names first, as `docker run --user`, which takes a number for a name where there is such a name.
fn named(text: &str, passwd: &str, group: &str) -> Result<Ids> {
    let unknown = || Fault { kind: FaultKind::UnknownUser, what: text.to_owned(), errno: 0 };
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let entry = passwd.lines().find(|line| line.split(':').next() == Some(user));
    let entry = entry.and_then(|line| Some((field(line, 2)?, field(line, 3)?)));
    let (uid, primary) = match (entry, user.parse::<u32>()) {
        (Some(ids), _) => ids,
        (None, Ok(uid)) => {
            let known = passwd.lines().find(|line| field(line, 2) == Some(uid));
            (uid, known.and_then(|line| field(line, 3)).unwrap_or(0))
        }
        (None, Err(_)) => return Err(unknown()),
    };
    let gid = match wanted_group {
        None => primary,
        Some(name) => {
            let entry = group.lines().find(|line| line.split(':').next() == Some(name));
            entry.and_then(|line| field(line, 2)).or_else(|| name.parse().ok()).ok_or_else(unknown)?
        }
    };
    Ok(Ids { uid, gid })
}

fn home(uid: u32, passwd: &str) -> String {
    let entry = passwd.lines().find(|line| field(line, 2) == Some(uid));
    let home = entry.and_then(|line| line.split(':').nth(5)).filter(|home| home.starts_with('/'));
    home.unwrap_or("/").to_owned()
}

fn field(line: &str, index: usize) -> Option<u32> {
    line.split(':').nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nmaven:x:1001:50:::/bin/sh\n1002:x:7:8::/odd:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:\ndocker:x:999:maven\n";

    fn check(user: &str, expect: Option<(u32, u32)>) {
        let found = named(user, PASSWD, GROUP).ok().map(|ids| (ids.uid, ids.gid));
        assert_eq!(found, expect, "{user}");
    }

    #[test]
    fn a_user_is_named_as_for_docker_run() {
        check("root", Some((0, 0)));
        check("maven", Some((1001, 50)));
        check("maven:docker", Some((1001, 999)));
        check("1001", Some((1001, 50)));
        check("4000", Some((4000, 0)));
        check("4000:4000", Some((4000, 4000)));
        check("4000:staff", Some((4000, 50)));
        check("1002", Some((7, 8)));
        check("nobody", None);
        check("root:nogroup", None);
        check("", None);
        check("broken", None);
    }

    #[test]
    fn further_groups_are_those_that_name_the_user() {
        assert_eq!(groups(1001, PASSWD, GROUP), [999]);
        assert_eq!(groups(0, PASSWD, GROUP), [] as [u32; 0]);
        assert_eq!(groups(4000, PASSWD, GROUP), [] as [u32; 0]);
    }

    #[test]
    fn a_home_is_absolute_or_root() {
        assert_eq!(home(0, PASSWD), "/root");
        assert_eq!(home(1001, PASSWD), "/");
        assert_eq!(home(4000, PASSWD), "/");
    }
}
