//! What `checkout scm` puts into a workspace: the project that the definition came from, at its commit or as it lies there.

mod changes;
pub(crate) mod git;
mod objects;
mod reader;
mod repository;
mod working_tree;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use model::change::Change;
use model::limits::MAX_DEFINITION_BYTES;
use tokio::io::AsyncRead;
use tokio::sync::OnceCell;

use git::{git, hardened_git, version_commit, without_credentials};
pub(crate) use reader::Objects;
use repository::Packed;
use working_tree::{listed, names, read_within, write_tree};

use crate::checkout::Names;
use crate::stash::reopened;

/// A tree of files.
pub struct Tree {
    /// The files.
    pub files: Part,
    /// What they are called.
    pub names: Names,
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

/// What came into a project, or why that is not known.
pub type ChangesFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<Change>>, ScmError>> + Send + 'a>>;

/// The files of another version of a project, if it shows them.
pub type VersionFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<Tree>, ScmError>> + Send + 'a>>;

/// Source of the project's files.
pub trait Scm: Send + Sync {
    /// The commits since another, the oldest first. `None`: that one is none of its history, or it has none.
    fn changes<'a>(&'a self, since: &'a str) -> ChangesFuture<'a>;

    /// Reads a file of it, of at most [`MAX_DEFINITION_BYTES`] bytes. `None`: there is no such file, or a larger one.
    fn read<'a>(&'a self, path: &'a str) -> FileFuture<'a>;

    /// Opens the tree. Called once per checkout. `scratch` is a folder for what is in between.
    fn open<'a>(&'a self, scratch: &'a Path) -> Pin<Box<dyn Future<Output = Result<Tree, ScmError>> + Send + 'a>>;

    /// The same of a branch, tag or commit of it. `None`: it shows none of that name.
    fn open_version<'a>(&'a self, version: &'a str, scratch: &'a Path) -> VersionFuture<'a>;
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
    /// Its runs are of who has all that the repository has: they may see other versions.
    shows_versions: bool,
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
            shows_versions: false,
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

    /// The commit that words of git mean here: of whoever runs it, and of nobody else.
    pub async fn resolve(&self, words: &str) -> Result<String, ScmError> {
        let name = format!("{words}^{{commit}}");
        let commit = git(&self.dir, "rev-parse", &["rev-parse", "--verify", "--end-of-options", &name]).await?;
        Ok(commit.trim().to_owned())
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
            shows_versions: false,
            history: prefix.is_empty().then(|| commit.to_owned()),
            packed: Arc::default(),
            description: format!("commit {short}{of}"),
            env,
        }
    }

    /// With the versions that its repository has, beside the one that it is of: for whoever has that repository.
    pub fn with_versions(self) -> LocalProject {
        LocalProject { shows_versions: true, ..self }
    }

    /// The checked-out branch, where there is one.
    pub fn branch(&self) -> Option<&str> {
        self.known("GIT_LOCAL_BRANCH")
    }

    /// The address of the repository that it came from, without anybody's password; of none: its folder's.
    pub fn address(&self) -> String {
        self.known("GIT_URL").map_or_else(|| format!("file://{}", self.dir.display()), str::to_owned)
    }

    fn known(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
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
    async fn committed(&self, at: &Position) -> Result<(Part, Names), ScmError> {
        let entries = objects::list(&self.dir, &at.commit, &at.prefix).await?;
        let objects = hardened_git(&self.dir).into_std();
        let names = entries.iter().map(objects::Entry::name).collect();
        Ok((self.piped("cat-file", move |out| objects::write(objects, &entries, out))?, names))
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

    async fn working_tree(&self) -> Result<(Part, Names), ScmError> {
        let files = names(&self.dir).await?;
        let names = files.iter().map(|name| name.display().to_string()).collect();
        let dir = self.dir.clone();
        Ok((self.piped("working tree", move |out| write_tree(&dir, files, out))?, names))
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
    fn changes<'a>(&'a self, since: &'a str) -> ChangesFuture<'a> {
        Box::pin(async move {
            match (&self.at, self.known("GIT_COMMIT")) {
                (Some(at), _) => changes::between(&self.dir, (since, &at.commit), &at.prefix).await,
                // The files are of no commit, but lie on top of one.
                (None, Some(commit)) => changes::between(&self.dir, (since, commit), "").await,
                (None, None) => Ok(None),
            }
        })
    }

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
            let (files, names) = match &self.at {
                Some(at) => self.committed(at).await?,
                None => self.working_tree().await?,
            };
            let (repository, notes) = self.repository(scratch).await;
            let (env, description) = (self.env.clone(), self.description.clone());
            Ok(Tree { files, names, repository, notes, env, description })
        })
    }

    fn open_version<'a>(&'a self, version: &'a str, scratch: &'a Path) -> VersionFuture<'a> {
        Box::pin(async move {
            if !self.shows_versions {
                return Ok(None);
            }
            let Some(commit) = version_commit(&self.dir, version).await? else { return Ok(None) };
            let prefix = git(&self.dir, "rev-parse", &["rev-parse", "--show-prefix"]).await?;
            let at = (commit.trim(), prefix.trim());
            let branch = (!commit.starts_with(version)).then(|| version.strip_prefix("origin/").unwrap_or(version));
            // What has a whole name is no branch.
            let (whole, branch) = match branch {
                Some(name) if name.starts_with("refs/") => (Some(name), None),
                branch => (None, branch),
            };
            let mut other = LocalProject::at(&self.dir, at, branch, self.known("GIT_URL"));
            other.env.extend(whole.map(|name| ("GIT_BRANCH".to_owned(), name.to_owned())));
            other.open(scratch).await.map(Some)
        })
    }
}
