//! What `checkout scm` puts into a workspace: the project that the definition came from, at its commit or as it lies there.

mod objects;
mod reader;
mod repository;

use std::future::Future;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;

use model::limits::MAX_DEFINITION_BYTES;
use tokio::io::AsyncRead;
use tokio::process::Command;
use tokio::sync::OnceCell;

pub(crate) use reader::Objects;
use repository::Packed;

use crate::stash::reopened;

/// A tree of files.
pub struct Tree {
    /// The files.
    pub files: Part,
    /// `.git`, where there is a repository.
    pub repository: Option<std::fs::File>,
    /// What is worth saying.
    pub notes: Vec<String>,
    /// `GIT_COMMIT`, `GIT_BRANCH` …
    pub env: Vec<(String, String)>,
    /// In words: `commit 1a2b3c4 of main`.
    pub description: String,
}

/// A tar stream.
pub struct Part {
    /// The stream; an error of whoever makes it ends it early and shows in `finished`.
    pub tar: Box<dyn AsyncRead + Send + Unpin>,
    /// Resolves when the stream has ended: whether it was whole.
    pub finished: Pin<Box<dyn Future<Output = Result<(), ScmError>> + Send>>,
}

/// A file of a project, or why there is none.
pub type FileFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, ScmError>> + Send + 'a>>;

/// Source of the project's files.
pub trait Scm: Send + Sync {
    /// Reads a file of it, of at most [`MAX_DEFINITION_BYTES`] bytes. `None`: there is no such file, or a larger one.
    fn read<'a>(&'a self, path: &'a str) -> FileFuture<'a>;

    /// Opens the tree. Called once per checkout. `scratch` is a folder for what is in between.
    fn open<'a>(&'a self, scratch: &'a Path) -> Pin<Box<dyn Future<Output = Result<Tree, ScmError>> + Send + 'a>>;
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum ScmError {
    /// git could not be started.
    #[error("cannot start git")]
    Start(#[source] std::io::Error),
    /// git says no.
    #[error("git {command}: {message}")]
    Git {
        /// What it was asked for.
        command: &'static str,
        /// Its words.
        message: String,
    },
    /// git does not trust it, for whoever wrote it also wrote its configuration.
    #[error("the git repository at {} belongs to another user", dir.display())]
    ForeignRepository {
        /// The folder that was looked at.
        dir: PathBuf,
    },
    /// A file of the working tree cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ScmError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ScmError::ForeignRepository { dir } => Some(format!(
                "run as its owner, or trust it: git config --global --add safe.directory '{}'",
                dir.display()
            )),
            _ => None,
        }
    }
}

/// A project on this machine: a git repository, a folder inside one, or a plain folder.
#[derive(Clone, Debug)]
pub struct LocalProject {
    dir: PathBuf,
    /// Commit and branch; `None` where the working tree is used.
    at: Option<Position>,
    /// The commit whose history becomes `.git`: of a whole repository only, because a folder inside one is no repository.
    history: Option<String>,
    /// `.git`, packed once for all checkouts of a run; `Err` is the reason why not.
    packed: Arc<OnceCell<Result<Packed, String>>>,
    description: String,
    env: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Position {
    commit: String,
    /// Path of the folder inside its repository, `""` for the repository itself.
    prefix: String,
}

/// Whether git could find a repository: a process less where there is none.
fn may_be_a_repository(dir: &Path) -> bool {
    std::env::var_os("GIT_DIR").is_some()
        || dir.ancestors().any(|folder| folder.join(".git").exists() || folder.join("HEAD").exists())
}

impl LocalProject {
    /// Looks at a folder. With `dirty`, or outside of any repository, its files are taken as they lie there.
    pub async fn look(dir: &Path, dirty: bool) -> Result<LocalProject, ScmError> {
        let plain = |why: &str| LocalProject {
            dir: dir.to_owned(),
            at: None,
            history: None,
            packed: Arc::default(),
            description: format!("the working tree{why}"),
            env: Vec::new(),
        };
        if !may_be_a_repository(dir) {
            return Ok(plain(""));
        }
        // One process for all facts: their number decides how fast a run starts.
        let facts = ["rev-parse", "HEAD", "--show-prefix", "--abbrev-ref", "HEAD"];
        let text = match git(dir, "rev-parse", &facts).await {
            Ok(text) => text,
            // Anything else (a repository of somebody else, a broken one) must not silently become "no repository".
            Err(ScmError::Git { message, .. }) if message.contains("not a git repository") => return Ok(plain("")),
            Err(ScmError::Git { message, .. }) if message.contains("dubious ownership") => {
                return Err(ScmError::ForeignRepository { dir: dir.to_owned() });
            }
            Err(ScmError::Git { message, .. }) if message.contains("'HEAD'") => return Ok(plain(" (no commit yet)")),
            Err(ScmError::Start(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(plain(" (no git here)"));
            }
            Err(error) => return Err(error),
        };
        let mut lines = text.lines();
        let (Some(commit), Some(prefix)) = (lines.next(), lines.next()) else { return Ok(plain(" (no commit here)")) };
        let branch = lines.next().filter(|b| *b != "HEAD" && !b.is_empty());
        let url = git(dir, "config", &["config", "--get", "remote.origin.url"]).await.ok();
        let project = LocalProject::at(dir, (commit, prefix), branch, url.as_deref().map(str::trim));
        if dirty {
            let description =
                format!("the working tree on top of {}", project.description.trim_start_matches("commit "));
            return Ok(LocalProject { at: None, description, ..project });
        }
        Ok(project)
    }

    /// The files of a folder as they are in a branch, tag or commit of its repository. A definition says which: nothing else that the
    /// repository has can be named, such as stashes and what a branch was once.
    ///
    /// # Errors
    /// It is in no repository, or that has no such version.
    pub(crate) async fn of_version(dir: &Path, version: &str) -> Result<LocalProject, ScmError> {
        let commit = version_commit(dir, version).await?.ok_or_else(|| ScmError::Git {
            command: "rev-parse",
            message: format!("{version} is no branch, tag or commit of {}", dir.display()),
        })?;
        let prefix = git(dir, "rev-parse", &["rev-parse", "--show-prefix"]).await?;
        Ok(LocalProject::at(dir, (commit.trim(), prefix.trim()), None, None))
    }

    /// The commit whose files they are.
    pub(crate) fn commit(&self) -> Option<&str> {
        self.at.as_ref().map(|at| at.commit.as_str())
    }

    /// A commit of a repository, or what is of it in the folder `prefix` (`""`: all).
    pub(crate) fn at(
        dir: &Path,
        (commit, prefix): (&str, &str),
        branch: Option<&str>,
        url: Option<&str>,
    ) -> LocalProject {
        let mut env = vec![("GIT_COMMIT".to_owned(), commit.to_owned())];
        if let Some(branch) = branch {
            env.push(("GIT_BRANCH".to_owned(), branch.to_owned()));
            env.push(("GIT_LOCAL_BRANCH".to_owned(), branch.to_owned()));
        }
        if let Some(url) = url {
            env.push(("GIT_URL".to_owned(), without_credentials(url)));
        }
        let short = commit.get(..8).unwrap_or(commit);
        let of = branch.map(|b| format!(" of {b}")).unwrap_or_default();
        LocalProject {
            dir: dir.to_owned(),
            at: Some(Position { commit: commit.to_owned(), prefix: prefix.to_owned() }),
            history: prefix.is_empty().then(|| commit.to_owned()),
            packed: Arc::default(),
            description: format!("commit {short}{of}"),
            env,
        }
    }

    /// The checked-out branch, where there is one.
    pub fn branch(&self) -> Option<&str> {
        self.env.iter().find(|(name, _)| name == "GIT_LOCAL_BRANCH").map(|(_, value)| value.as_str())
    }

    /// What a checkout sets.
    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// In words.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The files of the commit, straight from the objects: `git archive` would run what the repository names as filters, on the
    /// host, and leave out or change what its attributes say.
    async fn committed(&self, at: &Position) -> Result<Part, ScmError> {
        let entries = objects::list(&self.dir, &at.commit, &at.prefix).await?;
        let objects = hardened_git(&self.dir).into_std();
        self.piped("cat-file", move |out| objects::write(objects, &entries, out))
    }

    /// What a thread writes into a pipe, as a part.
    fn piped(
        &self,
        command: &'static str,
        write: impl FnOnce(std::fs::File) -> Result<(), ScmError> + Send + 'static,
    ) -> Result<Part, ScmError> {
        let failed = |source| ScmError::Read { path: self.dir.clone(), source };
        let (writer, reader) = tokio::net::unix::pipe::pipe().map_err(failed)?;
        let writer = writer.into_blocking_fd().map_err(failed)?;
        let task = tokio::task::spawn_blocking(move || write(std::fs::File::from(writer)));
        let finished = Box::pin(async move {
            match task.await {
                Ok(result) => result,
                Err(error) => Err(ScmError::Git { command, message: error.to_string() }),
            }
        });
        Ok(Part { tar: Box::new(reader), finished })
    }

    async fn working_tree(&self) -> Result<Part, ScmError> {
        let names = listed(&self.dir).await;
        let dir = self.dir.clone();
        self.piped("working tree", move |out| write_tree(&dir, names, out))
    }

    /// `.git`, and what is to be said about it. Steps that do not ask git do not miss it: no reason to fail.
    async fn repository(&self, scratch: &Path) -> (Option<std::fs::File>, Vec<String>) {
        let Some(commit) = &self.history else { return (None, Vec::new()) };
        let pack = || async { repository::pack(self, commit, scratch).await.map_err(|error| error.to_string()) };
        let reopened = match self.packed.get_or_init(pack).await {
            Ok(packed) => reopened(&packed.tar).map(|file| (file, packed.note.clone())).map_err(|e| e.to_string()),
            Err(reason) => Err(reason.clone()),
        };
        match reopened {
            Ok((file, note)) => (Some(file), note.into_iter().collect()),
            Err(reason) => (None, vec![format!("checked out without .git: {reason}")]),
        }
    }
}

impl Scm for LocalProject {
    fn read<'a>(&'a self, path: &'a str) -> FileFuture<'a> {
        Box::pin(async move {
            // It is a path within the project.
            if path.starts_with('/')
                || path.split('/').any(|part| part.is_empty() || [".", "..", ".git"].contains(&part))
            {
                return Ok(None);
            }
            if let Some(Position { commit, prefix }) = &self.at {
                let mut objects = Objects::open(&self.dir)?;
                let found = objects.read(&format!("{commit}:{prefix}{path}"), MAX_DEFINITION_BYTES).await?;
                return Ok(found.filter(|found| found.is_blob).and_then(|found| found.content));
            }
            let names = listed(&self.dir).await;
            let (dir, path) = (self.dir.clone(), path.to_owned());
            let read = tokio::task::spawn_blocking(move || read_within(&dir, names.as_deref(), Path::new(&path)));
            Ok(read.await.unwrap_or_default())
        })
    }

    fn open<'a>(&'a self, scratch: &'a Path) -> Pin<Box<dyn Future<Output = Result<Tree, ScmError>> + Send + 'a>> {
        Box::pin(async move {
            let files = match &self.at {
                Some(at) => self.committed(at).await?,
                None => self.working_tree().await?,
            };
            let (repository, notes) = self.repository(scratch).await;
            let (env, description) = (self.env.clone(), self.description.clone());
            Ok(Tree { files, repository, notes, env, description })
        })
    }
}

/// The commit of a branch, here or as it was fetched, of a tag, or of the beginning of a commit's name.
async fn version_commit(dir: &Path, version: &str) -> Result<Option<String>, ScmError> {
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
    for place in ["refs/heads", "refs/remotes/origin", "refs/tags", "refs/remotes"] {
        if let Some(found) = commit(&format!("{place}/{version}")).await? {
            return Ok(Some(found));
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

/// Digits of a commit's name that are enough, as git itself shows it.
const SHORTEST_COMMIT: usize = 7;

/// A file that a checkout of the folder as it lies there would have, of at most [`MAX_DEFINITION_BYTES`]; links lead to such files only.
fn read_within(dir: &Path, names: Option<&[PathBuf]>, path: &Path) -> Option<Vec<u8>> {
    let (dir, path) = (dir.canonicalize().ok()?, dir.join(path).canonicalize().ok()?);
    let own = path.strip_prefix(dir).ok()?;
    let is_checked_out = match names {
        Some(names) => names.iter().any(|name| name == own),
        None => !own.starts_with(RUNS_FOLDER) && own.components().all(|part| part.as_os_str() != ".git"),
    };
    if !is_checked_out || !path.is_file() {
        return None;
    }
    let mut content = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_DEFINITION_BYTES as u64 + 1).read_to_end(&mut content).ok()?;
    (content.len() <= MAX_DEFINITION_BYTES).then_some(content)
}

/// The files of a repository as it lies there, with those of submodules and repositories inside it; `None` outside of one.
async fn listed(dir: &Path) -> Option<Vec<PathBuf>> {
    let (mut names, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        let options = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let text = match git(&dir.join(&folder), "ls-files", &options).await {
            Ok(text) => text,
            Err(_) if folder == Path::new("") => return None,
            // What git does not read there (somebody else's, a broken one) is not part of the project.
            Err(_) => continue,
        };
        for name in text.split('\0').filter(|name| !name.is_empty()) {
            let name = folder.join(name);
            match dir.join(&name).symlink_metadata() {
                // Only a repository of its own: git asked in any other folder would answer with the names of the one around it.
                Ok(found) if found.is_dir() && dir.join(&name).join(".git").exists() && folders.len() < MAX_NESTED => {
                    folders.push(name);
                }
                _ => names.push(name),
            }
        }
    }
    Some(names)
}

/// Where a run puts what it keeps beside a project.
const RUNS_FOLDER: &str = ".cofferdam";

/// Repositories inside a project that are looked into.
const MAX_NESTED: usize = 1000;

/// Packs the files of a folder: those that git lists, or all but what a run itself put there.
fn write_tree(dir: &Path, names: Option<Vec<PathBuf>>, out: std::fs::File) -> Result<(), ScmError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ScmError::Read { path, source }
    };
    let mut tar = tar::Builder::new(std::io::BufWriter::with_capacity(64 * 1024, out));
    tar.follow_symlinks(false);
    let names = match names {
        Some(names) => names,
        None => walk(dir)?,
    };
    for name in names {
        let path = dir.join(&name);
        match path.symlink_metadata() {
            // Listed by git, but deleted in the working tree.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
            // A submodule, or a repository inside this one.
            Ok(metadata) if metadata.is_dir() => continue,
            Ok(metadata) if metadata.is_file() => {
                let file = std::fs::File::open(&path).map_err(failed(&path))?;
                let now = file.metadata().map_err(failed(&path))?;
                append(&mut tar, &name, &now, file).map_err(failed(&path))?;
            }
            Ok(_) => tar.append_path_with_name(&path, &name).map_err(failed(&path))?,
        }
    }
    tar.into_inner().and_then(|mut out| out.flush()).map_err(failed(dir))
}

/// Adds a file that somebody may be writing to: as many bytes as were announced, whatever has become of it.
fn append(
    tar: &mut tar::Builder<impl Write>,
    name: &Path,
    announced: &std::fs::Metadata,
    file: impl Read,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(announced);
    let size = announced.len();
    tar.append_data(&mut header, name, file.take(size).chain(std::io::repeat(0)).take(size))
}

fn walk(dir: &Path) -> Result<Vec<PathBuf>, ScmError> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        let entries = std::fs::read_dir(&path).map_err(|source| ScmError::Read { path: path.clone(), source })?;
        for entry in entries {
            let entry = entry.map_err(|source| ScmError::Read { path: path.clone(), source })?;
            let name = folder.join(entry.file_name());
            match entry.file_type() {
                // What a run put there.
                Ok(kind) if kind.is_dir() && name == Path::new(RUNS_FOLDER) => {}
                // A repository, of which nobody has said what may be seen.
                Ok(_) if entry.file_name() == ".git" => {}
                Ok(kind) if kind.is_dir() => folders.push(name),
                Ok(kind) if kind.is_file() || kind.is_symlink() => names.push(name),
                _ => {}
            }
        }
    }
    names.sort();
    Ok(names)
}

/// git as it may look at a repository that somebody else wrote: no hooks, no helpers, no prompts, no system configuration.
fn hardened_git(dir: &Path) -> Command {
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

async fn git(dir: &Path, command: &'static str, args: &[&str]) -> Result<String, ScmError> {
    let output = hardened_git(dir).args(args).stdin(Stdio::null()).output().await.map_err(ScmError::Start)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(ScmError::Git { command, message: words(&output.stderr) })
    }
}

fn words(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().chars().take(500).collect()
}

/// A URL without the user and password that somebody may have put into it.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_spoils_no_other() {
        for now in ["", "more than before"] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, "before").unwrap();
            let announced = file.as_file().metadata().unwrap();
            let mut tar = tar::Builder::new(Vec::new());
            append(&mut tar, Path::new("changed"), &announced, now.as_bytes()).unwrap();
            append(&mut tar, Path::new("next"), &announced, b"before".as_slice()).unwrap();
            let written = tar.into_inner().unwrap();
            let mut archive = tar::Archive::new(written.as_slice());
            let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned());
            assert_eq!(names.collect::<Vec<_>>(), [Path::new("changed"), Path::new("next")]);
        }
    }

    /// A repository, and what asks git there; `None` where there is no git.
    fn repository() -> Option<(tempfile::TempDir, impl Fn(&[&str]) -> String)> {
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
    async fn of_a_working_tree_is_read_what_a_checkout_has() {
        let Some((folder, _git)) = repository() else { return };
        std::fs::create_dir_all(folder.path().join(".cofferdam")).unwrap();
        for (name, text) in [
            (".gitignore", ".env\n.cofferdam\n"),
            (".env", "TOKEN=secret"),
            ("pod.yaml", "kind: Pod"),
            (".cofferdam/kept", "of a run"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        for (name, to) in [("to-pod", "pod.yaml"), ("to-env", ".env"), ("to-config", ".git/config")] {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        }
        let project = LocalProject::look(folder.path(), true).await.unwrap();
        for name in ["pod.yaml", "to-pod"] {
            assert_eq!(project.read(name).await.unwrap().as_deref(), Some(&b"kind: Pod"[..]), "{name}");
        }
        for name in [".env", "to-env", ".git/config", "to-config", ".cofferdam/kept", "../x"] {
            assert_eq!(project.read(name).await.unwrap(), None, "{name}");
        }
        std::fs::remove_dir_all(folder.path().join(".git")).unwrap();
        let project = LocalProject::look(folder.path(), true).await.unwrap();
        assert_eq!(project.read(".env").await.unwrap().as_deref(), Some(&b"TOKEN=secret"[..]), "nobody ignores it");
        assert_eq!(project.read(".cofferdam/kept").await.unwrap(), None);
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
        ] {
            assert_eq!(found(version).await, None, "{version}");
        }
    }

    #[test]
    fn a_url_loses_its_password() {
        assert_eq!(without_credentials("https://me:secret@example.org/a/b@c"), "https://example.org/a/b@c");
        assert_eq!(without_credentials("git@example.org:a/b"), "git@example.org:a/b");
    }
}
