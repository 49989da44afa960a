//! Where a run's files are, and the text of its definition.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use model::limits::MAX_DEFINITION_BYTES;
use model::request::Failure;
use tokio::process::Command;
use tokio::sync::mpsc;
use wire::agent::{Definition, Lease, Login, Merge, Source};

use super::{AgentConfig, Word};
use crate::failure::{Trouble, explain};
use crate::mentions;
use crate::scm::{LocalProject, Objects, ScmError};
use crate::step_files::{self, own_steps, step_files};

/// How long a repository may take to come.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest name of a revision, in bytes.
const MAX_REVISION: usize = 250;
/// What git is told each time: nothing of the repository or of this machine runs, nothing but HTTP is spoken, and what comes is checked.
const SETTINGS: [&str; 11] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "transfer.fsckObjects=true",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    // It is gone with the run.
    "maintenance.auto=false",
    "core.fsync=none",
];

/// Fetches in a task of its own, and tells what came of it.
pub(super) fn start(
    config: Arc<AgentConfig>,
    lease: Lease,
    source: Source,
    file: String,
    inbox: mpsc::UnboundedSender<Word>,
) {
    tokio::spawn(async move {
        let found = fetch(&config, &format!("{}-{}", lease.run, lease.epoch), &source, &file).await;
        let _ = inbox.send(Word::Found(lease, found.map_err(|trouble| trouble.0)));
    });
}

/// What was found of a run.
pub(super) struct Found {
    pub(super) definition: Definition,
    pub(super) files: LocalProject,
    /// To be removed at its end.
    pub(super) repository: Option<PathBuf>,
    /// Text in which names of images may stand.
    pub(super) mentions: String,
}

/// Where that is fetched to. What is left there by one that was killed is known by its process.
pub(super) fn folder(config: &AgentConfig, what: &str) -> PathBuf {
    config.scratch.join(format!("git-{}-{what}", std::process::id()))
}

/// Fetches. `what` tells the folder for it from all others.
pub(super) async fn fetch(config: &AgentConfig, what: &str, source: &Source, file: &str) -> Result<Found, Trouble> {
    // It is a path within the project.
    if file.starts_with('/') || file.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(Trouble::workload(format!("{file:?} is no file of the project")));
    }
    match source {
        Source::Folder { path } => {
            if !config.folders {
                return Err(Trouble::policy("this agent takes no folders of its machine as projects"));
            }
            let project = LocalProject::look(Path::new(path), false)
                .await
                .map_err(|error| Trouble::infrastructure(explain(&error)))?;
            let text = tokio::fs::read(Path::new(path).join(file)).await;
            let text = text.map_err(|error| Trouble::workload(format!("cannot read {file}: {error}")))?;
            let own = own_steps(Path::new(path)).map(|folder| step_files(&folder)).transpose();
            let steps = own.map_err(|error| odd_steps(&error))?.unwrap_or_default();
            let definition = Definition { steps, ..definition(text, None, None)? };
            let mentions = mentions::of_folder(&definition.text, Path::new(path));
            Ok(Found { definition, files: project, repository: None, mentions })
        }
        Source::Git { url, revision, commit, login, merge } => {
            let folder = folder(config, what);
            let wanted = (revision.as_str(), commit.as_deref(), merge.as_ref());
            match clone(&folder, (url, login.as_ref()), wanted, file).await {
                Ok(found) => Ok(Found { repository: Some(folder), ..found }),
                Err(trouble) => {
                    let _ = tokio::fs::remove_dir_all(&folder).await;
                    Err(trouble)
                }
            }
        }
    }
}

fn too_large() -> Trouble {
    Trouble::workload(format!("the definition is larger than {} MiB", MAX_DEFINITION_BYTES >> 20))
}

fn definition(text: Vec<u8>, commit: Option<String>, tree: Option<String>) -> Result<Definition, Trouble> {
    if text.len() > MAX_DEFINITION_BYTES {
        return Err(too_large());
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Definition { text, commit, tree, ..Definition::default() })
}

fn odd_steps(error: &std::io::Error) -> Trouble {
    Trouble::workload(format!("the project's own steps cannot be read: {error}"))
}

async fn clone(
    folder: &Path,
    (url, login): (&str, Option<&Login>),
    (revision, commit, merge): (&str, Option<&str>, Option<&Merge>),
    file: &str,
) -> Result<Found, Trouble> {
    check(url, revision)?;
    let made = empty(folder).await;
    made.map_err(|error| Trouble::infrastructure(format!("{}: {error}", folder.display())))?;
    // Starts while the fetch does.
    let mut objects = Objects::open(folder).map_err(|error| unreadable(&error))?;
    let branch = fetched(folder, url, login, revision).await?;
    let own = pinned(folder, &mut objects, revision, commit).await?;
    let tagged_at = if revision.starts_with("refs/tags/") { tagged_at(&mut objects).await? } else { None };
    let (at, tree) = match merge {
        None => (own.clone(), None),
        Some(merge) => {
            fetched(folder, url, login, &merge.reference).await?;
            let target = pinned(folder, &mut objects, &merge.reference, Some(&merge.commit)).await?;
            merged(folder, &mut objects, (&own, &target), &merge.reference).await?
        }
    };
    let text = objects.read(&format!("{at}:{file}"), MAX_DEFINITION_BYTES).await.map_err(|error| unreadable(&error))?;
    let text = text
        .filter(|text| text.is_blob)
        .ok_or_else(|| Trouble::workload(format!("there is no {file} in {revision}")))?;
    let definition = definition(text.content.ok_or_else(too_large)?, Some(own), tree)?;
    let steps = step_files::of_commit(&mut objects, &at).await.map_err(|error| odd_steps(&error))?;
    let definition = Definition { tagged_at, steps, ..definition };
    let mentions = mentions::of_commit(&definition.text, &mut objects, &at).await;
    let files = LocalProject::at(folder, (&at, ""), branch.as_deref(), Some(url));
    Ok(Found { definition, files, repository: None, mentions })
}

/// Fetches a branch, tag or commit (`None`: the default branch) into an empty folder: its commit, and its files.
pub(crate) async fn tree(
    folder: &Path,
    url: &str,
    login: Option<&Login>,
    revision: Option<&str>,
) -> Result<(String, LocalProject), Trouble> {
    let revision = revision.unwrap_or("HEAD");
    check(url, revision)?;
    let made = empty(folder).await;
    made.map_err(|error| Trouble::infrastructure(format!("{}: {error}", folder.display())))?;
    fetched(folder, url, login, revision).await?;
    let mut objects = Objects::open(folder).map_err(|error| unreadable(&error))?;
    let commit = commit_of(&mut objects, "FETCH_HEAD").await?;
    let files = LocalProject::at(folder, (&commit, ""), None, Some(url));
    Ok((commit, files))
}

/// Refuses what is no address of a repository and no name of a revision, before git sees it.
fn check(url: &str, revision: &str) -> Result<(), Trouble> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Trouble::workload(format!("{url:?} is no address of a repository: https://…")));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./+@".contains(c);
    if revision.is_empty() || revision.len() > MAX_REVISION || revision.starts_with('-') || !revision.chars().all(fits)
    {
        return Err(Trouble::workload(format!("{revision:?} is no branch, tag or commit")));
    }
    Ok(())
}

fn unreadable(error: &ScmError) -> Trouble {
    Trouble::infrastructure(explain(error))
}

/// Makes a repository with nothing in it: what gitrepository-layout(5) asks for, and nothing of this machine's templates.
async fn empty(folder: &Path) -> std::io::Result<()> {
    let git = folder.join(".git");
    for part in ["objects", "refs"] {
        tokio::fs::create_dir_all(git.join(part)).await?;
    }
    tokio::fs::write(git.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n").await?;
    tokio::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").await
}

/// The commit that a name stands for.
async fn commit_of(objects: &mut Objects, name: &str) -> Result<String, Trouble> {
    let object = objects.read(&format!("{name}^{{commit}}"), MAX_DEFINITION_BYTES).await;
    let object = object.map_err(|error| unreadable(&error))?;
    object.map(|object| object.id).ok_or_else(|| Trouble::workload(format!("{name} is no commit")))
}

/// The commit that is meant of what was fetched last.
async fn pinned(folder: &Path, objects: &mut Objects, revision: &str, commit: Option<&str>) -> Result<String, Trouble> {
    let tip = commit_of(objects, "FETCH_HEAD").await?;
    match commit.filter(|commit| **commit != tip) {
        None => Ok(tip),
        // The branch has gone on; what is meant is still in it, or nowhere.
        Some(commit) if is_commit(commit) => {
            // What nothing leads to was not even fetched.
            let found = objects.read(&format!("{commit}^{{commit}}"), MAX_DEFINITION_BYTES).await;
            match found.map_err(|error| unreadable(&error))?.is_some() && is_ancestor(folder, commit, &tip).await? {
                true => Ok(commit.to_owned()),
                false => Err(Trouble::workload(format!("commit {commit} is not in {revision} any more"))),
            }
        }
        Some(other) => Err(Trouble::workload(format!("{other:?} is no commit"))),
    }
}

/// When the tag was made that was fetched last, in seconds since 1970; of one that is a name and nothing else, when its commit was.
async fn tagged_at(objects: &mut Objects) -> Result<Option<u64>, Trouble> {
    let object = objects.read("FETCH_HEAD", MAX_DEFINITION_BYTES).await.map_err(|error| unreadable(&error))?;
    let text = object.and_then(|object| object.content).unwrap_or_default();
    Ok(made_at(&String::from_utf8_lossy(&text)))
}

/// The time in the head of a tag, or of a commit: `tagger NAME <EMAIL> SECONDS ZONE`.
fn made_at(object: &str) -> Option<u64> {
    let head = object.lines().take_while(|line| !line.is_empty());
    let line =
        head.filter_map(|line| line.strip_prefix("tagger ").or_else(|| line.strip_prefix("committer "))).next()?;
    line.rsplit_once("> ")?.1.split(' ').next()?.parse().ok()
}

/// The merge of a commit with its target, and its tree. The same two make the same commit, wherever and whenever that is.
async fn merged(
    folder: &Path,
    objects: &mut Objects,
    (own, target): (&str, &str),
    name: &str,
) -> Result<(String, Option<String>), Trouble> {
    if is_ancestor(folder, target, own).await? {
        let tree = objects.read(&format!("{own}^{{tree}}"), MAX_DEFINITION_BYTES).await;
        return Ok((own.to_owned(), tree.map_err(|error| unreadable(&error))?.map(|tree| tree.id)));
    }
    let tree = match asked(folder, &["merge-tree", "--write-tree", "--no-messages", target, own]).await? {
        Answer::Yes(tree) => word(&tree),
        Answer::No => {
            return Err(Trouble::workload(format!(
                "it cannot be merged with {name} (at {target}): there are conflicts"
            )));
        }
    };
    let at = word(&git(folder, &["show", "-s", "--format=%ct +0000", own]).await?);
    let env = ["GIT_AUTHOR", "GIT_COMMITTER"].map(|who| {
        [
            (format!("{who}_NAME"), "Cofferdam".to_owned()),
            (format!("{who}_EMAIL"), "merge@cofferdam.invalid".to_owned()),
            (format!("{who}_DATE"), at.clone()),
        ]
    });
    let env: Vec<_> = env.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let message = format!("Merge {own} into {name}");
    let words = ["commit-tree", &tree, "-p", target, "-p", own, "-m", &message];
    Ok((word(&git_with(folder, &env, &words).await?), Some(tree)))
}

fn word(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Fetches a revision: a commit, a full name, or else a branch before a tag, for a branch is what its name stands for everywhere else. The
/// name of the branch that it is checked out as.
async fn fetched(folder: &Path, url: &str, login: Option<&Login>, revision: &str) -> Result<Option<String>, Trouble> {
    // In the environment, which nobody else can read; and to nowhere else, wherever that address leads.
    let header = login.map(|Login { user, password }| {
        let words = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        [
            ("GIT_CONFIG_COUNT", "2".to_owned()),
            ("GIT_CONFIG_KEY_0", format!("http.{url}.extraHeader")),
            ("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {words}")),
            ("GIT_CONFIG_KEY_1", "http.followRedirects".to_owned()),
            ("GIT_CONFIG_VALUE_1", "false".to_owned()),
        ]
    });
    let env = header.iter().flatten().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    let fetch = async |name: &str| {
        git_with(folder, &env, &["fetch", "-q", "--no-tags", "--no-recurse-submodules", url, name]).await
    };
    if is_commit(revision) || revision == "HEAD" || revision.starts_with("refs/") {
        fetch(revision).await?;
        let branch = revision.strip_prefix("refs/heads/").or_else(|| revision.strip_prefix("refs/"));
        return Ok(branch.map(str::to_owned));
    }
    if let Err(no_branch) = fetch(&format!("refs/heads/{revision}")).await
        && fetch(&format!("refs/tags/{revision}")).await.is_err()
    {
        return Err(no_branch);
    }
    Ok(Some(revision.to_owned()))
}

async fn git(folder: &Path, words: &[&str]) -> Result<Vec<u8>, Trouble> {
    git_with(folder, &[], words).await
}

/// What some of git's commands answer: with an exit code of 1 that it is not so, and with others that they do not know.
enum Answer {
    Yes(Vec<u8>),
    No,
}

async fn asked(folder: &Path, words: &[&str]) -> Result<Answer, Trouble> {
    let output = run(folder, &[], words).await?;
    match output.status.code() {
        Some(1) => Ok(Answer::No),
        _ => Ok(Answer::Yes(succeeded(words, output)?)),
    }
}

async fn is_ancestor(folder: &Path, older: &str, newer: &str) -> Result<bool, Trouble> {
    let answer = asked(folder, &["merge-base", "--is-ancestor", older, newer]).await?;
    Ok(matches!(answer, Answer::Yes(_)))
}

async fn git_with(folder: &Path, env: &[(&str, &str)], words: &[&str]) -> Result<Vec<u8>, Trouble> {
    succeeded(words, run(folder, env, words).await?)
}

async fn run(folder: &Path, env: &[(&str, &str)], words: &[&str]) -> Result<Output, Trouble> {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent").env("LC_ALL", "C");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.envs(env.iter().copied());
    command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(words).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ran = tokio::time::timeout(PATIENCE, command.output()).await;
    let ran =
        ran.map_err(|_| Trouble::infrastructure(format!("git {} took more than {} s", words[0], PATIENCE.as_secs())))?;
    ran.map_err(|error| Trouble::infrastructure(format!("cannot start git: {error}")))
}

fn succeeded(words: &[&str], output: Output) -> Result<Vec<u8>, Trouble> {
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("unrelated histories") {
                return Err(Trouble::workload("it cannot be merged: the two have no commit in common".to_owned()));
            }
            if let Some((_, name)) = said.split_once("couldn't find remote ref ") {
                let name = name.lines().next().unwrap_or_default();
                return Err(Trouble::workload(format!("the repository has no {name}")));
            }
            Err(Trouble::infrastructure(format!("git {}: {}", words[0], said.lines().last().unwrap_or_default())))
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        trouble.0
    }
}

#[cfg(test)]
mod tests {
    use model::request::FailureKind;

    use super::*;

    /// A tag that is an object says itself when it was made, one that is a name has the time of its commit.
    #[tokio::test]
    async fn a_tag_was_made_when_it_says() {
        let dir = tempfile::tempdir().unwrap();
        empty(dir.path()).await.unwrap();
        let env = [
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@x"),
            ("GIT_AUTHOR_DATE", "1000000000 +0000"),
            ("GIT_COMMITTER_NAME", "b > 5"),
            ("GIT_COMMITTER_EMAIL", "b@x"),
        ];
        let at = |date| [&env[..], &[("GIT_COMMITTER_DATE", date)]].concat();
        let commit = ["commit", "-q", "--allow-empty", "-m", "tagger c <c@x> 5 +0000"];
        git_with(dir.path(), &at("1500000000 +0200"), &commit).await.map_err(|trouble| trouble.0).unwrap();
        let tag = ["tag", "-a", "-m", "one", "v1"];
        git_with(dir.path(), &at("1600000000 +0000"), &tag).await.map_err(|trouble| trouble.0).unwrap();
        let mut objects = Objects::open(dir.path()).unwrap();
        for (name, seconds) in [("refs/heads/main", 1_500_000_000), ("refs/tags/v1", 1_600_000_000)] {
            let id = git(dir.path(), &["rev-parse", name]).await.map_err(|trouble| trouble.0).unwrap();
            std::fs::write(dir.path().join(".git/FETCH_HEAD"), format!("{}\t\t{name}\n", word(&id))).unwrap();
            assert_eq!(tagged_at(&mut objects).await.map_err(|trouble| trouble.0).unwrap(), Some(seconds), "{name}");
        }
        for none in ["", "tagger x", "tree 1\n\ncommitter a <b> 5 +0000", "tagger a <b> -5 +0000", "tagger a <b> x"] {
            assert_eq!(made_at(none), None, "{none:?}");
        }
    }

    /// Whose fault it is that two commits cannot be merged: the author's where they conflict, and not where git cannot tell.
    #[tokio::test]
    async fn what_cannot_be_merged_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        empty(folder).await.unwrap();
        let run = async |words: &[&str]| {
            let who = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
            let env: Vec<_> = who.map(|name| (name, "a")).into_iter().collect();
            word(&git_with(folder, &env, words).await.map_err(|trouble| trouble.0).unwrap())
        };
        let mut commits = Vec::<String>::new();
        for (parent, text) in [(None, "0"), (Some(0), "1"), (Some(0), "2"), (None, "3")] {
            std::fs::write(folder.join("file"), text).unwrap();
            run(&["add", "file"]).await;
            let tree = run(&["write-tree"]).await;
            let parent: Option<String> = parent.map(|at: usize| commits[at].clone());
            let of: Vec<_> = parent.iter().flat_map(|parent| ["-p", parent.as_str()]).collect();
            commits.push(run(&[&["commit-tree", &tree, "-m", text], &of[..]].concat()).await);
        }
        let mut objects = Objects::open(folder).unwrap();
        let mut merge = async |own: &str, target: &str| merged(folder, &mut objects, (own, target), "main").await;
        let said = |made: Result<(String, Option<String>), Trouble>| {
            let Failure { kind, message, .. } = made.map_err(|trouble| trouble.0).unwrap_err();
            (kind, message)
        };
        assert_eq!(merge(&commits[1], &commits[0]).await.map_err(|trouble| trouble.0).unwrap().0, commits[1]);
        let (kind, message) = said(merge(&commits[1], &commits[2]).await);
        assert!(kind == FailureKind::Workload && message.ends_with("there are conflicts"), "{message}");
        let (kind, message) = said(merge(&commits[1], &commits[3]).await);
        assert!(kind == FailureKind::Workload && message.contains("no commit in common"), "{message}");
        // Half of the repository is gone.
        std::fs::remove_dir_all(folder.join(".git/objects").join(&commits[2][..2])).unwrap();
        let (kind, message) = said(merge(&commits[1], &commits[2]).await);
        assert_eq!(kind, FailureKind::Infrastructure, "{message}");
    }
}
