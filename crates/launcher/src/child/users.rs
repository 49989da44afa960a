//! Users by name or number, from the image's own `/etc/passwd` and `/etc/group`, which may say anything.

use std::io::Read;

use rustix::fs::{FileType, OFlags, fstat};

use super::root::Root;
use crate::fault::Result;
use crate::protocol::{Fault, FaultKind, Ids, User};

/// What is read of either file.
const MAX_BYTES: u64 = 1 << 20;

/// Numbers and home folder of a user.
pub(super) fn resolve(user: &User, root: &Root) -> Result<(Ids, String)> {
    let passwd = read(root, "/etc/passwd");
    let ids = match user {
        User::Ids(ids) => *ids,
        User::Named(text) => named(text, &passwd, &read(root, "/etc/group"))?,
    };
    if ids.uid >= crate::ids::RANGE || ids.gid >= crate::ids::RANGE {
        return Err(Fault::spec(format!("user {}:{} is outside of the 65536 ids of a sandbox", ids.uid, ids.gid)));
    }
    Ok((ids, home(ids.uid, &passwd)))
}

fn read(root: &Root, path: &str) -> String {
    let Ok(file) = root.open(path, OFlags::RDONLY | OFlags::NONBLOCK) else { return String::new() };
    // A pipe or a device would not end.
    if !fstat(&file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile) {
        return String::new();
    }
    let mut text = Vec::new();
    let _ = std::fs::File::from(file).take(MAX_BYTES).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
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
    fn a_home_is_absolute_or_root() {
        assert_eq!(home(0, PASSWD), "/root");
        assert_eq!(home(1001, PASSWD), "/");
        assert_eq!(home(4000, PASSWD), "/");
    }
}
