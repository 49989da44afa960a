//! Names of files in an engine root.

/// Folders that are links into `/usr`.
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// A path below the root: no `/` in front, no `.` or `..` in it, as after the merge of `/usr`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RootPath(String);

/// What a name of an archive stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The root itself.
    Root,
    /// A folder that is a link after the merge, or what a package has in its place.
    Merged,
    /// Anything else.
    Below(RootPath),
}

impl RootPath {
    /// The name of an entry of a package.
    ///
    /// # Errors
    /// Says why no file below the root has it.
    pub(super) fn of_entry(name: &[u8]) -> Result<Named, String> {
        let refused = |why: &str| format!("{:?} {why}", String::from_utf8_lossy(name));
        let text = std::str::from_utf8(name).map_err(|_| refused("is not UTF-8"))?;
        if text.starts_with('/') {
            return Err(refused("is absolute"));
        }
        let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") || text.contains('\0') {
            return Err(refused("leads out of the root"));
        }
        Ok(match *parts {
            [] => Named::Root,
            [only] if MERGED.contains(&only) => Named::Merged,
            [first, ..] if MERGED.contains(&first) => Named::Below(RootPath(format!("usr/{}", parts.join("/")))),
            _ => Named::Below(RootPath(parts.join("/"))),
        })
    }

    /// The path as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expect: Result<&str, &str>) {
        match (RootPath::of_entry(name.as_bytes()), expect) {
            (Ok(Named::Below(path)), Ok(expect)) => assert_eq!(path.as_str(), expect, "{name}"),
            (Ok(Named::Root), Ok(expect)) => assert_eq!("", expect, "{name}"),
            (Ok(Named::Merged), Ok(expect)) => assert_eq!("(merged)", expect, "{name}"),
            (Err(reason), Err(expect)) => assert!(reason.contains(expect), "{name}: {reason}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }

    #[test]
    fn names_of_entries() {
        check("./", Ok(""));
        check("./usr/bin/git", Ok("usr/bin/git"));
        check("usr//lib/./x/", Ok("usr/lib/x"));
        check("./bin/bash", Ok("usr/bin/bash"));
        check("./lib64/ld-linux-x86-64.so.2", Ok("usr/lib64/ld-linux-x86-64.so.2"));
        check("./bin", Ok("(merged)"));
        check("./usr/share/x..y", Ok("usr/share/x..y"));
        check("../etc/passwd", Err("out of the root"));
        check("./usr/../../etc/passwd", Err("out of the root"));
        check("/etc/passwd", Err("absolute"));
        assert!(RootPath::of_entry(b"./\xff").is_err());
    }
}
