//! Where a run's files are, and the text of its definition.

use std::path::{Path, PathBuf};
use std::process::Stdio;
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
use crate::scm::LocalProject;

/// How long a repository may take to come.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest name of a revision, in bytes.
const MAX_REVISION: usize = 250;
/// What git is told each time: nothing of the repository or of this machine runs, nothing but HTTP is spoken, and what comes is checked.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "transfer.fsckObjects=true",
    "submodule.recurse=false",
    "advice.detachedHead=false",
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
        let found = fetch(&config, lease, &source, &file).await;
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

async fn fetch(config: &AgentConfig, lease: Lease, source: &Source, file: &str) -> Result<Found, Trouble> {
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
            let definition = definition(text, None, None)?;
            let mentions = mentions::of_folder(&definition.text, Path::new(path));
            Ok(Found { definition, files: project, repository: None, mentions })
        }
        Source::Git { url, revision, commit, login, merge } => {
            let folder = config.scratch.join(format!("git-{}-{}-{}", std::process::id(), lease.run, lease.epoch));
            let wanted = (revision.as_str(), commit.as_deref(), merge.as_ref());
            match clone(&folder, (url, login.as_ref()), wanted, file).await {
                Ok((definition, files)) => {
                    let mentions = mentions::of_commit(&definition.text, &files).await;
                    Ok(Found { definition, files, repository: Some(folder), mentions })
                }
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
    Ok(Definition { text: String::from_utf8_lossy(&text).into_owned(), commit, tree })
}

async fn clone(
    folder: &Path,
    (url, login): (&str, Option<&Login>),
    (revision, commit, merge): (&str, Option<&str>, Option<&Merge>),
    file: &str,
) -> Result<(Definition, LocalProject), Trouble> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Trouble::workload(format!("{url:?} is no address of a repository: https://…")));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./+@".contains(c);
    if revision.is_empty() || revision.len() > MAX_REVISION || revision.starts_with('-') || !revision.chars().all(fits)
    {
        return Err(Trouble::workload(format!("{revision:?} is no branch, tag or commit")));
    }
    let made = tokio::fs::create_dir_all(folder).await;
    made.map_err(|error| Trouble::infrastructure(format!("{}: {error}", folder.display())))?;
    git(folder, &["init", "-q", "--template=", "."]).await?;
    let name = fetched(folder, url, login, revision).await?;
    let own = pinned(folder, revision, commit).await?;
    let (at, tree) = match merge {
        None => (own.clone(), None),
        Some(merge) => {
            fetched(folder, url, login, &merge.reference).await?;
            let target = pinned(folder, &merge.reference, Some(&merge.commit)).await?;
            merged(folder, &own, &target, &merge.reference).await?
        }
    };
    match &name {
        None => drop(git(folder, &["update-ref", "--no-deref", "HEAD", &at]).await?),
        Some(branch) => {
            git(folder, &["update-ref", branch, &at]).await?;
            git(folder, &["symbolic-ref", "HEAD", branch]).await?;
        }
    }
    // Before it is read: it may be of any size.
    let (object, missing) = (format!("HEAD:{file}"), || Trouble::workload(format!("there is no {file} in {revision}")));
    let size = git(folder, &["cat-file", "-s", &object]).await.map_err(|_| missing())?;
    let size = String::from_utf8_lossy(&size).trim().parse::<usize>().map_err(|_| missing())?;
    if size > MAX_DEFINITION_BYTES {
        return Err(too_large());
    }
    let text = git(folder, &["cat-file", "blob", &object]).await.map_err(|_| missing())?;
    let project = LocalProject::look(folder, false).await.map_err(|error| Trouble::infrastructure(explain(&error)))?;
    Ok((definition(text, Some(own), tree)?, project))
}

/// The commit that is meant of what was fetched last.
async fn pinned(folder: &Path, revision: &str, commit: Option<&str>) -> Result<String, Trouble> {
    let tip = word(&git(folder, &["rev-parse", "FETCH_HEAD^{commit}"]).await?);
    match commit.filter(|commit| **commit != tip) {
        None => Ok(tip),
        // The branch has gone on; what is meant is still in it, or nowhere.
        Some(commit) if is_commit(commit) => {
            let is_in = git(folder, &["merge-base", "--is-ancestor", commit, &tip]).await;
            is_in.map_err(|_| Trouble::workload(format!("commit {commit} is not in {revision} any more")))?;
            Ok(commit.to_owned())
        }
        Some(other) => Err(Trouble::workload(format!("{other:?} is no commit"))),
    }
}

/// The merge of a commit with its target, and its tree. The same two make the same commit, wherever and whenever that is.
async fn merged(folder: &Path, own: &str, target: &str, name: &str) -> Result<(String, Option<String>), Trouble> {
    let tree_of =
        async |what: &str| Ok::<_, Trouble>(word(&git(folder, &["rev-parse", &format!("{what}^{{tree}}")]).await?));
    if git(folder, &["merge-base", "--is-ancestor", target, own]).await.is_ok() {
        return Ok((own.to_owned(), Some(tree_of(own).await?)));
    }
    let made = git(folder, &["merge-tree", "--write-tree", "--no-messages", target, own]).await;
    let conflict = |_| Trouble::workload(format!("it cannot be merged with {name} (at {target}): there are conflicts"));
    let tree = word(&made.map_err(conflict)?);
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
/// branch that it is checked out as.
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
    if is_commit(revision) || revision.starts_with("refs/") {
        fetch(revision).await?;
        let branch = revision.strip_prefix("refs/heads/").map(|_| revision.to_owned());
        return Ok(branch.or_else(|| revision.strip_prefix("refs/").map(|name| format!("refs/heads/{name}"))));
    }
    let branch = format!("refs/heads/{revision}");
    if let Err(no_branch) = fetch(&branch).await
        && fetch(&format!("refs/tags/{revision}")).await.is_err()
    {
        return Err(no_branch);
    }
    Ok(Some(branch))
}

async fn git(folder: &Path, words: &[&str]) -> Result<Vec<u8>, Trouble> {
    git_with(folder, &[], words).await
}

async fn git_with(folder: &Path, env: &[(&str, &str)], words: &[&str]) -> Result<Vec<u8>, Trouble> {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent").env("LC_ALL", "C");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.envs(env.iter().copied());
    command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(words).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ran = tokio::time::timeout(PATIENCE, command.output()).await;
    let ran =
        ran.map_err(|_| Trouble::infrastructure(format!("git {} took more than {} s", words[0], PATIENCE.as_secs())))?;
    let output = ran.map_err(|error| Trouble::infrastructure(format!("cannot start git: {error}")))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
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
