//! What maintainer scripts would have written, from what the packages bring. Pure.

/// `/etc/passwd` from base-passwd's master: only root has a shadow entry, so that `su` and PAM find one.
pub(super) fn passwd(master: &str) -> String {
    let line = |line: &str| match line.split(':').collect::<Vec<_>>().as_slice() {
        ["root", _, rest @ ..] => format!("root:x:{}\n", rest.join(":")),
        _ => format!("{line}\n"),
    };
    master.lines().filter(|text| !text.is_empty()).map(line).collect()
}

/// `/etc/group` from base-passwd's master, and the group that the engine gives its socket to.
pub(super) fn group(master: &str) -> String {
    let lines = master.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n"));
    lines.chain(["docker:x:999:\n".to_owned()]).collect()
}

/// `/etc/shadow`: nobody has a password.
pub(super) const SHADOW: &str = "root:*:19000:0:99999:7:::\n";

/// All certificates in one file, for the libraries that the engine root has (Go, GnuTLS, Python). `update-ca-certificates` would
/// add a link for each, which OpenSSL's lookup by folder wants.
pub(super) fn certificates<'a>(files: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for file in files {
        for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            joined.extend_from_slice(line);
            joined.push(b'\n');
        }
    }
    joined
}

/// The version that upstream gave, out of a Debian version: `2:1.29.2+dfsg1-3` is `1.29.2`.
pub(super) fn upstream_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    &version[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_alone_has_a_shadow_entry() {
        let master =
            "root:*:0:0:root:/root:/bin/bash\ndaemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\nrooty:*:9:9::/:/\n";
        let expect =
            "root:x:0:0:root:/root:/bin/bash\ndaemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nrooty:*:9:9::/:/\n";
        assert_eq!(passwd(master), expect);
    }

    #[test]
    fn the_engines_group_is_added() {
        assert_eq!(group("root:*:0:\ndaemon:*:1:\n"), "root:*:0:\ndaemon:*:1:\ndocker:x:999:\n");
    }

    #[test]
    fn certificates_are_joined_whether_or_not_they_end_with_a_line() {
        let files: [&[u8]; 2] = [b"-A-\nx\n-B-", b"\n-A-\ny\n-B-\n\n"];
        assert_eq!(certificates(files.into_iter()), b"-A-\nx\n-B-\n-A-\ny\n-B-\n");
    }

    #[test]
    fn versions_of_upstream() {
        for (version, expect) in [("1.29.2-3", "1.29.2"), ("2:2.26.1+ds-4", "2.26.1"), ("3", "3")] {
            assert_eq!(upstream_version(version), expect);
        }
    }
}
