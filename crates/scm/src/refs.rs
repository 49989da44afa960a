//! What a repository says of its branches and tags where it has no forge, or none that is asked: git's own answer over HTTP.
//!
//! Sources: `gitprotocol-http` and `gitprotocol-pack` of git's manual; a server that only has files answers with lines of `git show-ref`.

use crate::facts::{Branch, Tag, is_whole};
use crate::{Reference, Refused};

/// References that are read of one repository.
const MOST_REFS: usize = 50_000;

/// Branches and tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs {
    /// Its branches.
    pub branches: Vec<Branch>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Refs {
    /// All of them, without their commits.
    pub fn references(&self) -> impl Iterator<Item = Reference> {
        let branches = self.branches.iter().map(|branch| Reference::Branch(branch.name.clone()));
        branches.chain(self.tags.iter().map(|tag| Reference::Tag(tag.name.clone())))
    }
}

/// Where a repository is asked, with `GET`.
pub fn refs_url(repository: &str) -> String {
    format!("{}/info/refs?service=git-upload-pack", repository.trim_end_matches('/'))
}

/// Reads what it answers. What has no name that git would take is left out.
///
/// # Errors
/// It is no such answer.
pub fn read_refs(answer: &[u8]) -> Result<Refs, Refused> {
    let lines = if answer.starts_with(b"001e# service=") { packets(answer)? } else { plain(answer) };
    let mut refs = Refs::default();
    for line in lines.into_iter().take(MOST_REFS) {
        let Some((commit, name)) = line.split_once([' ', '\t']) else { return Err(wrong("a line without a name")) };
        if !is_whole(commit) {
            return Err(wrong("a line without a commit"));
        }
        let commit = commit.to_owned();
        // What a tag that is an object of its own stands for comes behind it.
        if let Some(name) = name.strip_suffix("^{}") {
            if let Some(tag) = refs.tags.last_mut().filter(|tag| name.strip_prefix("refs/tags/") == Some(&tag.name)) {
                tag.commit = commit;
            }
            continue;
        }
        match Reference::of(name) {
            Some(Reference::Branch(name)) => refs.branches.push(Branch { name, commit, is_protected: None }),
            Some(Reference::Tag(name)) => refs.tags.push(Tag { name, commit }),
            None => {}
        }
    }
    Ok(refs)
}

fn wrong(what: &'static str) -> Refused {
    Refused::Repository(what)
}

fn plain(answer: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(answer).lines().map(str::to_owned).collect()
}

/// The lines of packets, without what a server says of itself.
fn packets(mut answer: &[u8]) -> Result<Vec<String>, Refused> {
    let mut lines = Vec::new();
    while let Some((length, rest)) = answer.split_at_checked(4) {
        let length = std::str::from_utf8(length).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let length = length.ok_or_else(|| wrong("a packet without a length"))?;
        let Some(payload) = length.checked_sub(4) else {
            // A border between two lists.
            answer = rest;
            continue;
        };
        let (line, rest) = rest.split_at_checked(payload).ok_or_else(|| wrong("a packet that ends early"))?;
        answer = rest;
        let line = String::from_utf8_lossy(line);
        let line = line.split('\0').next().unwrap_or_default().trim_end_matches('\n');
        // A repository without commits has no names, only what its server can do.
        if !line.starts_with("# service=") && !line.ends_with(" capabilities^{}") {
            lines.push(line.to_owned());
        }
    }
    if answer.is_empty() { Ok(lines) } else { Err(wrong("half a packet")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn packet(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    fn smart(lines: &[String]) -> Vec<u8> {
        let lines: String = lines.iter().map(|line| packet(&format!("{line}\n"))).collect();
        format!("{}0000{lines}0000", packet("# service=git-upload-pack\n")).into_bytes()
    }

    #[test]
    fn both_kinds_of_servers_are_understood() {
        let lines = [
            format!("{ONE} HEAD\0multi_ack symref=HEAD:refs/heads/main"),
            format!("{ONE} refs/heads/main"),
            format!("{TWO} refs/heads/a/b"),
            format!("{ONE} refs/pull/7/head"),
            format!("{ONE} refs/tags/v1"),
            format!("{TWO} refs/tags/v1^{{}}"),
            format!("{TWO} refs/tags/v2"),
        ];
        let branch = |name: &str, commit: &str| Branch { name: name.into(), commit: commit.into(), is_protected: None };
        let tag = |name: &str, commit: &str| Tag { name: name.into(), commit: commit.into() };
        let expect = Refs {
            branches: vec![branch("main", ONE), branch("a/b", TWO)],
            tags: vec![tag("v1", TWO), tag("v2", TWO)],
        };
        assert_eq!(read_refs(&smart(&lines)).unwrap(), expect);
        let plain: String = lines[1..].iter().map(|line| format!("{}\n", line.replace(' ', "\t"))).collect();
        assert_eq!(read_refs(plain.as_bytes()).unwrap(), expect);
    }

    #[test]
    fn an_empty_repository_has_none() {
        let zero = "0".repeat(40);
        for empty in [Vec::new(), smart(&[format!("{zero} capabilities^{{}}\0multi_ack")])] {
            assert_eq!(read_refs(&empty).unwrap(), Refs::default());
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for wrong in
            ["<html>", "001e# service=git-upload-pack\n00", "001e# service=git-upload-pack\nzzzz", "x refs/heads/a"]
        {
            assert!(read_refs(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let odd = format!("{ONE} refs/heads/a..b\n{ONE} refs/heads/-\n");
        assert_eq!(read_refs(odd.as_bytes()).unwrap().branches.len(), 1, "a name that git would not take");
    }
}
