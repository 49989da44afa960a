//! Which ids the files of a folder layer get: for root those of the archive, else the user's subordinate ids.

use crate::unpack::{IdMap, IdRange};

/// What this process may use. A user without subordinate ids has only their own: files of others become `nobody`'s.
pub(crate) fn detect() -> IdMap {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if uid == 0 {
        return IdMap::Host;
    }
    let name = user_name(&std::fs::read_to_string("/etc/passwd").unwrap_or_default(), uid);
    let ranges = |own: u32, path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        mapping(own, subordinate(&text, name.as_deref(), uid))
    };
    IdMap::Subordinate { uids: ranges(uid, "/etc/subuid"), gids: ranges(gid, "/etc/subgid") }
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The ranges of one user in `/etc/subuid`, where users stand by name or by number.
fn subordinate(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let own = |who: &str| Some(who) == name || who.parse() == Ok(uid);
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let who = fields.next()?;
            let (first, count) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
            (own(who) && count > 0 && first.checked_add(count).is_some()).then_some((first, count))
        })
        .collect()
}

/// Root inside is the user; the ids above come from the ranges in order.
fn mapping(own: u32, ranges: Vec<(u32, u32)>) -> Vec<IdRange> {
    let mut mapping = vec![IdRange { inside: 0, outside: own, count: 1 }];
    let mut inside = 1_u32;
    for (outside, count) in ranges {
        let Some(next) = inside.checked_add(count) else { break };
        mapping.push(IdRange { inside, outside, count });
        inside = next;
    }
    mapping
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_name_and_number() {
        let text = "ci:100000:65536\n1001:300000:10\nother:1:1\nbad:x:y\nci:4294967295:2\n";
        assert_eq!(subordinate(text, Some("ci"), 1001), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(user_name("root:x:0:0::/:/bin/sh\nci:x:1001:1001::/:/bin/sh\n", 1001).as_deref(), Some("ci"));
        let map = mapping(1001, vec![(100_000, 65_536), (300_000, 10)]);
        assert_eq!(map[0], IdRange { inside: 0, outside: 1001, count: 1 });
        assert_eq!(map[1], IdRange { inside: 1, outside: 100_000, count: 65_536 });
        assert_eq!(map[2], IdRange { inside: 65_537, outside: 300_000, count: 10 });
    }
}
