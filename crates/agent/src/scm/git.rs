//! git, asked about a repository that somebody else wrote.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::ScmError;

/// git as it may look at a repository that somebody else wrote: no hooks, no helpers, no prompts, no system configuration.
pub(super) fn hardened_git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(dir)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never"])
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        // Its words are read here, and must not be translated.
        .env("LC_ALL", "C");
    // Set where a hook starts us: they would name the repository of the hook, whatever folder was asked for.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE"] {
        command.env_remove(name);
    }
    command
}

pub(super) async fn git(dir: &Path, command: &'static str, args: &[&str]) -> Result<String, ScmError> {
    let output = hardened_git(dir).args(args).stdin(Stdio::null()).output().await.map_err(ScmError::Start)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(ScmError::Git { command, message: words(&output.stderr) })
    }
}

pub(super) fn words(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().chars().take(500).collect()
}

/// A URL without the user and password that somebody may have put into it.
pub(super) fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => url.to_owned(),
    }
}

/// The commit of a branch, here or as it was fetched, of a tag, or of the beginning of a commit's name.
pub(super) async fn version_commit(dir: &Path, version: &str) -> Result<Option<String>, ScmError> {
    // The names that git lets nothing have: they are words of its language.
    let is_expression = ["..", "@{", "~", "^", ":", "?", "*", "[", "\\"].iter().any(|word| version.contains(word))
        || version.contains(|c: char| c.is_control() || c.is_whitespace());
    if version.is_empty() || is_expression {
        return Ok(None);
    }
    let commit = async |name: &str| {
        let name = format!("{name}^{{commit}}");
        match git(dir, "rev-parse", &["rev-parse", "--verify", "--end-of-options", &name]).await {
            Ok(commit) => Ok(Some(commit.trim().to_owned())),
            Err(ScmError::Git { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    if version == "HEAD" {
        return commit(version).await;
    }
    let is_whole = PLACES.iter().any(|place| version.strip_prefix(place).is_some_and(|rest| rest.starts_with('/')));
    let whole = is_whole.then(|| version.to_owned());
    for name in whole.into_iter().chain(PLACES.map(|place| format!("{place}/{version}"))) {
        // Only what is there by exactly that name: of `x-g1a2b3c4` that is not, git takes the end for the name of a commit.
        match git(dir, "show-ref", &["show-ref", "--verify", "--hash", "--", &name]).await {
            Ok(at) => return commit(at.trim()).await,
            Err(ScmError::Git { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if !(SHORTEST_COMMIT..=64).contains(&version.len()) || !version.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let Some(found) = commit(version).await? else { return Ok(None) };
    let contains = format!("--contains={found}");
    let asked = ["for-each-ref", "--count=1", &contains, "refs/heads", "refs/remotes", "refs/tags"];
    let is_public = !git(dir, "for-each-ref", &asked).await?.trim().is_empty();
    Ok(is_public.then_some(found))
}

/// Where versions are.
const PLACES: [&str; 4] = ["refs/heads", "refs/remotes/origin", "refs/tags", "refs/remotes"];

/// Digits of a commit's name that are enough, as git itself shows it.
const SHORTEST_COMMIT: usize = 7;

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{LocalProject, Scm as _};
    use super::*;

    /// A repository, and what asks git there; `None` where there is no git.
    pub(crate) fn repository() -> Option<(tempfile::TempDir, impl Fn(&[&str]) -> String)> {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let git = move |words: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
            let done = std::process::Command::new("git").arg("-C").arg(&dir).args(who).args(words).output().unwrap();
            assert!(done.status.success(), "{words:?}: {}", words_of(&done.stderr));
            words_of(&done.stdout)
        };
        if std::process::Command::new("git").arg("--version").output().is_err() {
            println!("skipped: git is not installed");
            return None;
        }
        git(&["init", "-q", "-b", "main"]);
        Some((folder, git))
    }

    fn words_of(output: &[u8]) -> String {
        String::from_utf8_lossy(output).trim().to_owned()
    }

    #[tokio::test]
    async fn a_version_is_a_branch_a_tag_or_a_commit_of_one() {
        let Some((folder, git)) = repository() else { return };
        let commit = |text: &str| {
            std::fs::write(folder.path().join("x"), text).unwrap();
            git(&["add", "x"]);
            git(&["commit", "-qm", text]);
            git(&["rev-parse", "HEAD"])
        };
        let first = commit("one");
        git(&["tag", "v1"]);
        let lost = commit("lost");
        git(&["reset", "-q", "--hard", "v1"]);
        let second = commit("two");
        git(&["update-ref", "refs/remotes/origin/fetched", &first]);
        std::fs::write(folder.path().join("x"), "password").unwrap();
        git(&["stash", "-q"]);
        let stashed = git(&["rev-parse", "stash"]);
        let found = async |version: &str| {
            LocalProject::of_version(folder.path(), version)
                .await
                .ok()
                .and_then(|project| project.commit().map(str::to_owned))
        };
        for (version, expect) in [
            ("main", &second),
            ("HEAD", &second),
            ("v1", &first),
            ("refs/tags/v1", &first),
            ("refs/heads/main", &second),
            ("fetched", &first),
            ("origin/fetched", &first),
            (&first, &first),
            (&first[..7], &first),
        ] {
            assert_eq!(found(version).await.as_ref(), Some(expect), "{version}");
        }
        for version in [
            "",
            "stash",
            "refs/stash",
            "refs/tags/../stash",
            "refs/tags/main",
            "refs/tags/",
            "../stash",
            "stash@{0}",
            &stashed,
            &lost,
            "HEAD~1",
            "main~1",
            "main@{1}",
            "main^",
            ":x",
            ":/one",
            "none",
            "--all",
            &format!("x-g{}", &stashed[..7]),
            &format!("x-g{lost}"),
        ] {
            assert_eq!(found(version).await, None, "{version}");
        }
    }

    #[tokio::test]
    async fn only_whoever_has_the_repository_sees_other_versions() {
        let Some((folder, git)) = repository() else { return };
        for branch in ["main", "other"] {
            git(&["checkout", "-qB", branch]);
            git(&["commit", "-q", "--allow-empty", "-m", branch]);
        }
        let project = LocalProject::look(folder.path(), false).await.unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let main = project.open_version("main", scratch.path()).await.unwrap();
        assert!(main.is_none(), "an agent's repository has branches that a stranger's run may not read");
        let project = project.with_versions();
        let main = project.open_version("main", scratch.path()).await.unwrap().unwrap();
        assert!(main.description.ends_with(" of main"), "{}", main.description);
        git(&["tag", "v1"]);
        let tag = project.open_version("refs/tags/v1", scratch.path()).await.unwrap().unwrap();
        let var = |wanted: &str| tag.env.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        assert_eq!((var("GIT_BRANCH"), var("GIT_LOCAL_BRANCH")), (Some("refs/tags/v1"), None));
        assert!(project.open_version("none", scratch.path()).await.unwrap().is_none());
        assert_eq!(project.address(), format!("file://{}", folder.path().display()));
    }

    #[test]
    fn a_url_loses_its_password() {
        assert_eq!(without_credentials("https://me:secret@example.org/a/b@c"), "https://example.org/a/b@c");
        assert_eq!(without_credentials("git@example.org:a/b"), "git@example.org:a/b");
    }
}
