//! Where this host keeps its control groups.

use std::fs;
use std::path::{Path, PathBuf};

/// Mount point and version of the hierarchy that has a controller.
pub(crate) fn find(controller: &str, mounts: &str) -> Option<(PathBuf, u8)> {
    let mut second = None;
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(point) = before.split(' ').nth(4) else { continue };
        let mut after = after.split(' ');
        let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
        match kind {
            Some("cgroup") if options.split(',').any(|option| option == controller) => {
                return Some((point.into(), 1));
            }
            Some("cgroup2") => {
                let list = fs::read_to_string(Path::new(point).join("cgroup.controllers")).unwrap_or_default();
                if list.split_ascii_whitespace().any(|word| word == controller) {
                    second = Some((point.into(), 2));
                }
            }
            _ => {}
        }
    }
    second
}

/// Version 2: hands a controller down to our groups.
pub(crate) fn enable(root: &Path, base: &Path, version: u8, controller: &str) -> Result<(), String> {
    if version == 1 {
        return Ok(());
    }
    for folder in [root, base] {
        let file = folder.join("cgroup.subtree_control");
        let known = fs::read_to_string(&file).unwrap_or_default();
        if known.split_ascii_whitespace().any(|word| word == controller) {
            continue;
        }
        fs::write(&file, format!("+{controller}"))
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 29 0:29 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory
36 29 0:32 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
";

    #[test]
    fn the_hierarchy_of_a_controller_is_found_in_version_1() {
        assert_eq!(find("memory", HYBRID), Some(("/sys/fs/cgroup/memory".into(), 1)));
        assert_eq!(find("cpu", HYBRID), Some(("/sys/fs/cgroup/cpu".into(), 1)));
        assert_eq!(find("pids", HYBRID), None);
    }
}
