//! Masks, devices, capabilities, host tools.

use launcher::protocol::{Masks, Tools};

use super::lines::lines;

/// Parts of `/proc` that are hidden or read-only.
pub(crate) fn masks() -> Masks {
    let text = include_str!("../../data/proc-masks.txt");
    Masks { hidden: words_after(text, "hide"), read_only: words_after(text, "read-only") }
}

/// Names of the devices.
pub(crate) fn devices() -> Vec<String> {
    lines(include_str!("../../data/devices.txt")).map(|(_, line)| line.to_owned()).collect()
}

/// Numbers of the capabilities that root of a sandbox may have over its own files.
pub(crate) fn file_capabilities() -> Vec<u8> {
    let text = include_str!("../../data/capabilities.txt");
    lines(text).filter_map(|(_, line)| line.split_ascii_whitespace().nth(1)?.parse().ok()).collect()
}

/// What `process` sandboxes see of the host.
pub(crate) fn tools() -> Tools {
    let text = include_str!("../../data/host-tools.txt");
    Tools { folders: words_after(text, "folder"), copies: words_after(text, "copy") }
}

fn words_after(text: &str, kind: &str) -> Vec<String> {
    let entries = lines(text).filter_map(|(_, line)| line.strip_prefix(kind)?.strip_prefix(' '));
    entries.map(|path| path.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_what_they_say() {
        let masks = masks();
        assert!(masks.hidden.contains(&"kcore".to_owned()) && masks.read_only.contains(&"sys".to_owned()));
        assert!(masks.hidden.iter().chain(&masks.read_only).all(|path| !path.starts_with('/') && !path.contains("..")));
        assert_eq!(devices().len(), 6);
        assert_eq!(file_capabilities(), [0, 1, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn host_tools_hold_nothing_that_belongs_to_people_or_services() {
        let tools = tools();
        let forbidden = ["/home", "/root", "/var", "/run", "/srv", "/boot", "/mnt", "/media", "/dev", "/proc", "/sys"];
        for path in tools.folders.iter().chain(&tools.copies) {
            assert!(!forbidden.iter().any(|bad| path == bad || path.starts_with(&format!("{bad}/"))), "{path}");
            assert!(path.starts_with("/etc/") || !tools.copies.contains(path), "{path}");
        }
        for secret in ["/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/etc/passwd", "/etc/sudoers"] {
            assert!(!tools.copies.iter().any(|path| secret.starts_with(path.as_str())), "{secret}");
        }
    }
}
