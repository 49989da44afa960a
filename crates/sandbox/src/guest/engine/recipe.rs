//! The lists in `data/engine`, read.

use sha2::{Digest as _, Sha256};

use crate::guest::build::in_hex;
use crate::policy::lines;

/// Raised when the same lists and packages make other bytes.
const REVISION: u32 = 1;

const PACKAGES: &str = include_str!("../../../data/engine/packages.txt");
const LEFT_OUT: &str = include_str!("../../../data/engine/left-out.txt");
const PRUNED: &str = include_str!("../../../data/engine/pruned.txt");
const LAYOUT: &str = include_str!("../../../data/engine/layout.txt");
const FILES: [(&str, &str); 6] = [
    ("containerd.toml", include_str!("../../../data/engine/containerd.toml")),
    ("daemon.json", include_str!("../../../data/engine/daemon.json")),
    ("docker-compose", include_str!("../../../data/engine/docker-compose")),
    ("empty", ""),
    ("hosts", include_str!("../../../data/engine/hosts")),
    ("nsswitch.conf", include_str!("../../../data/engine/nsswitch.conf")),
];

/// One line of `layout.txt`, which says what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Link { path: &'static str, target: &'static str },
    Folder { mode: u32, path: &'static str },
    Copy { path: &'static str, from: &'static str },
    File { mode: u32, path: &'static str, content: &'static str },
    Spare { mode: u32, path: &'static str, content: &'static str },
    Need { path: &'static str },
}

fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    lines(text).map(|(_, line)| line)
}

/// Names of the packages that are wanted.
pub(super) fn packages() -> impl Iterator<Item = &'static str> {
    words(PACKAGES)
}

/// Names of those that apt is told are installed.
pub(super) fn left_out() -> impl Iterator<Item = &'static str> {
    words(LEFT_OUT)
}

/// Whether the file with this path, without `/` in front, is left out of its package.
pub(super) fn is_pruned(path: &str) -> bool {
    words(PRUNED).any(|pruned| path.strip_prefix(pruned).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// What is done after the packages, in order.
pub(super) fn layout() -> impl Iterator<Item = Act> {
    words(LAYOUT).filter_map(act)
}

fn act(line: &'static str) -> Option<Act> {
    let words: Vec<_> = line.split_whitespace().collect();
    let mode = |word| u32::from_str_radix(word, 8).ok();
    let content = |name| FILES.iter().find(|(known, _)| *known == name).map(|(_, content)| *content);
    Some(match *words {
        ["link", path, target] => Act::Link { path, target },
        ["folder", octal, path] => Act::Folder { mode: mode(octal)?, path },
        ["copy", path, from] => Act::Copy { path, from },
        ["file", octal, path, name] => Act::File { mode: mode(octal)?, path, content: content(name)? },
        ["spare", octal, path, name] => Act::Spare { mode: mode(octal)?, path, content: content(name)? },
        ["need", path] => Act::Need { path },
        _ => return None,
    })
}

/// Digest of all of it. Comments do not count.
pub(super) fn digest() -> String {
    let mut digest = Sha256::new();
    digest.update(REVISION.to_le_bytes());
    let lists = [PACKAGES, LEFT_OUT, PRUNED, LAYOUT];
    let lists = lists.map(|list| words(list).map(|line| format!("{line}\n")).collect::<String>());
    for text in lists.iter().map(String::as_str).chain(FILES.map(|(_, content)| content)) {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    in_hex(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_understood_and_has_a_reason() {
        for (name, text) in [("packages", PACKAGES), ("left-out", LEFT_OUT), ("pruned", PRUNED), ("layout", LAYOUT)] {
            for (number, line) in lines(text) {
                let whole = text.lines().nth(number - 1).unwrap();
                assert!(
                    whole.split_once('#').is_some_and(|(_, why)| !why.trim().is_empty()),
                    "{name}:{number}: {whole}"
                );
                assert!(name != "layout" || act(line).is_some(), "{name}:{number}: {whole}");
                assert!(name == "layout" || !line.contains(char::is_whitespace), "{name}:{number}: {whole}");
            }
        }
        assert!(packages().all(|wanted| left_out().all(|left_out| wanted != left_out)));
    }

    #[test]
    fn a_pruned_folder_goes_with_what_is_in_it_and_nothing_beside_it() {
        for (path, expect) in [
            ("usr/share/doc", true),
            ("usr/share/doc/git/copyright", true),
            ("usr/share/doctor", false),
            ("usr/bin/containerd-shim", true),
            ("usr/bin/containerd-shim-runc-v2", false),
        ] {
            assert_eq!(is_pruned(path), expect, "{path}");
        }
    }

    #[test]
    fn the_engine_is_told_what_the_experiments_proved() {
        let daemon: serde_json::Value = serde_json::from_str(FILES[1].1).unwrap();
        assert_eq!((&daemon["iptables"], &daemon["storage-driver"]), (&false.into(), &"overlay2".into()));
        assert!(daemon.get("userland-proxy").is_none() && daemon.get("features").is_none());
        let socket = daemon["containerd"].as_str().unwrap();
        assert!(FILES[0].1.contains(&format!("address = {socket:?}")));
    }
}
