//! What came into a repository between two commits, as its history tells.

use std::path::Path;
use std::process::Stdio;

use model::change::{Change, ChangedFile, Edit, MAX_CHANGES, MAX_CHANGES_BYTES};
use tokio::io::AsyncReadExt as _;

use super::ScmError;
use super::git::{git, hardened_git};

/// A commit as it is printed: fields that end with NUL, which none of them can have; its files follow.
const FORMAT: &str = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%B%x00";

/// The commits that lead to `until` and not to `since`, the oldest first, without merges. Paths are below `prefix` (`""`: all).
/// `None`: `since` is no commit of the repository.
pub(super) async fn between(
    dir: &Path,
    (since, until): (&str, &str),
    prefix: &str,
) -> Result<Option<Vec<Change>>, ScmError> {
    let is_name = |name: &str| matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_name(since) {
        return Ok(None);
    }
    let known = git(dir, "rev-parse", &["rev-parse", "--verify", "--quiet", &format!("{since}^{{commit}}")]).await;
    match known {
        Ok(_) => {}
        Err(ScmError::Git { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let (most, below) = (format!("--max-count={MAX_CHANGES}"), format!("--relative={prefix}"));
    let mut command = hardened_git(dir);
    // A repository's own configuration must not have it start programs or say more.
    command.args([
        "log",
        "-z",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--no-merges",
        "--no-ext-diff",
        "--no-textconv",
    ]);
    command.args(["--no-show-signature", "--no-notes", "--no-color", "--no-decorate", "--no-mailmap", &most, FORMAT]);
    if !prefix.is_empty() {
        command.arg(&below);
    }
    command.arg(format!("{since}..{until}")).arg("--");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn().map_err(ScmError::Start)?;
    let mut printed = Vec::new();
    let failed = |message: String| ScmError::Git { command: "log", message };
    if let Some(out) = process.stdout.take() {
        out.take(MAX_CHANGES_BYTES as u64)
            .read_to_end(&mut printed)
            .await
            .map_err(|error| failed(error.to_string()))?;
    }
    // What is left out would have decided: a condition must not take it for nothing.
    if printed.len() >= MAX_CHANGES_BYTES {
        return Err(failed(format!(
            "more than {} MiB are to be told of what came since {since}",
            MAX_CHANGES_BYTES >> 20
        )));
    }
    let status = process.wait().await.map_err(ScmError::Start)?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    let mut changes = read(&String::from_utf8_lossy(&printed));
    changes.reverse();
    Ok(Some(changes))
}

/// Reads what is printed.
fn read(printed: &str) -> Vec<Change> {
    let mut fields = printed.split('\0').peekable();
    let mut changes = Vec::new();
    while let Some(change) = one(&mut fields) {
        changes.push(change);
    }
    changes
}

fn one<'a>(fields: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Option<Change> {
    let commit = fields.next()?.trim_start().to_owned();
    let parent = fields.next()?.split(' ').next().filter(|parent| !parent.is_empty()).map(str::to_owned);
    let (author, email) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    // Whoever made the commit may have written anything there.
    let authored_s = fields.next()?.parse().unwrap_or(0);
    let message = fields.next()?.trim_end().to_owned();
    // What ends its last field stands before its files, or before the next commit.
    let mut files = Vec::new();
    fields.next_if(|field| field.is_empty());
    while let Some(entry) = fields.next_if(|field| field.trim_start().starts_with(':')) {
        let edit = match entry.chars().next_back() {
            Some('A') => Edit::Added,
            Some('D') => Edit::Deleted,
            _ => Edit::Edited,
        };
        files.push(ChangedFile { path: fields.next()?.to_owned(), edit });
    }
    Some(Change { commit, parent, author, email, authored_s, message, files })
}

#[cfg(test)]
mod tests {
    use super::super::git::tests::repository;
    use super::*;

    #[tokio::test]
    async fn commits_are_told_with_their_files() {
        let Some((folder, git)) = repository() else { return };
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let commit = |message: &str| {
            git(&["add", "-A"]);
            git(&["commit", "-q", "--allow-empty", "-m", message]);
            git(&["rev-parse", "HEAD"])
        };
        write("a.js", "one");
        write("lib/old name.txt", "text that stays as it is");
        let first = commit("first");
        write("a.js", "two");
        let second = commit("[DEPENDENCY] new\n\nand why\x01:100644");
        git(&["mv", "lib/old name.txt", "lib/\u{fc}mlaut.txt"]);
        let third = commit("renamed");
        let empty = commit("nothing");
        let changes = between(folder.path(), (&first, &empty), "").await.unwrap().unwrap();
        let told: Vec<_> = changes
            .iter()
            .map(|change| {
                let files = change.files.iter().map(|file| (file.path.as_str(), file.edit));
                (change.commit.as_str(), change.parent.as_deref(), change.title(), files.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            told,
            [
                (second.as_str(), Some(first.as_str()), "[DEPENDENCY] new", vec![("a.js", Edit::Edited)]),
                (
                    third.as_str(),
                    Some(second.as_str()),
                    "renamed",
                    vec![("lib/old name.txt", Edit::Deleted), ("lib/\u{fc}mlaut.txt", Edit::Added)]
                ),
                (empty.as_str(), Some(third.as_str()), "nothing", vec![]),
            ]
        );
        assert_eq!(changes[0].message, "[DEPENDENCY] new\n\nand why\x01:100644");
        assert_eq!((changes[0].author.as_str(), changes[0].email.as_str()), ("a", "a@b"));
        assert!(changes[0].authored_s > 1_000_000_000);
        let below = between(folder.path(), (&first, &empty), "lib/").await.unwrap().unwrap();
        let paths: Vec<_> = below.iter().flat_map(|change| &change.files).map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["old name.txt", "\u{fc}mlaut.txt"]);
        assert_eq!(between(folder.path(), (&empty, &empty), "").await.unwrap(), Some(vec![]));
        for unknown in ["0".repeat(40), "HEAD~1".to_owned(), "--all".to_owned(), String::new()] {
            assert_eq!(between(folder.path(), (&unknown, &empty), "").await.unwrap(), None, "{unknown}");
        }
    }

    #[test]
    fn a_commit_without_a_time_hides_none() {
        let printed =
            "a\0\0me\0m@x\0never\0text\n\0\0\n:1 2 3 4 M\0path\0b\0a\0me\0m@x\0\x31\0text\n\0\0\n:1 2 3 4 D\0other\0";
        let told = read(printed);
        assert_eq!(told.iter().map(|change| change.authored_s).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(told[0].files, [ChangedFile { path: "path".to_owned(), edit: Edit::Edited }]);
        assert_eq!((told[0].parent.as_deref(), told[1].parent.as_deref()), (None, Some("a")));
        assert_eq!(told[1].files, [ChangedFile { path: "other".to_owned(), edit: Edit::Deleted }]);
    }

    #[tokio::test]
    async fn more_than_can_be_told_is_said() {
        let Some((folder, git)) = repository() else { return };
        git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        let first = git(&["rev-parse", "HEAD"]);
        let message = folder.path().join("message");
        std::fs::write(&message, "x".repeat(MAX_CHANGES_BYTES + 1)).unwrap();
        git(&["commit", "-q", "--allow-empty", "-F", message.to_str().unwrap()]);
        let last = git(&["rev-parse", "HEAD"]);
        let error = between(folder.path(), (&first, &last), "").await.unwrap_err();
        assert!(error.to_string().contains("more than 4 MiB"), "{error}");
    }
}
