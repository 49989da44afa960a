//! Subordinate ids of the user who runs this program, from `/etc/subuid` and `/etc/subgid`.

use std::fs;

pub use launcher::protocol::Subordinate;

/// The id that a workload has where nothing else is said.
const WORKLOAD: u32 = 1000;

/// The ids that this user may give to its sandboxes: the first range in both files. `Err`: what is missing.
pub fn subordinate_ids() -> Result<Subordinate, String> {
    let uid = rustix::process::getuid().as_raw();
    let name = user_name(uid, &fs::read_to_string("/etc/passwd").unwrap_or_default());
    let (uids, gids) = (first_range("/etc/subuid", uid, &name)?, first_range("/etc/subgid", uid, &name)?);
    let count = uids.1.min(gids.1).min(65536);
    if count < WORKLOAD {
        return Err(format!("/etc/subuid and /etc/subgid give user {name:?} ({uid}) only {count} ids, too few"));
    }
    Ok(Subordinate { uid: uids.0, gid: gids.0, count })
}

fn user_name(uid: u32, passwd: &str) -> String {
    let found = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    found.and_then(|line| line.split(':').next()).unwrap_or_default().to_owned()
}

fn first_range(file: &str, uid: u32, name: &str) -> Result<(u32, u32), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    parse(&text, uid, name).ok_or_else(|| format!("{file} has no range for user {name:?} ({uid})"))
}

fn parse(text: &str, uid: u32, name: &str) -> Option<(u32, u32)> {
    let uid = uid.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        if (owner != name || name.is_empty()) && owner != uid {
            return None;
        }
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok().filter(|count| *count > 0)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_by_name_or_number() {
        let text = "alice:100000:65536\n1001:300000:1000\nbob:oops:1\n";
        assert_eq!(parse(text, 7, "alice"), Some((100_000, 65536)));
        assert_eq!(parse(text, 1001, "carol"), Some((300_000, 1000)));
        assert_eq!(parse(text, 5, "bob"), None);
        assert_eq!(parse(text, 5, ""), None);
        assert_eq!(user_name(3, "sys:x:3:3::/:\n"), "sys");
    }
}
