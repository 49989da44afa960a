//! [`Performer`]: requests in, replies out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::event::{Event, LogSource};
use model::git::GitSource;
use model::ids::{JobId, StepId};
use model::request::{AgentSpec, DockerSpec, FileSet, LogCopy, Question, Reply, Request, ShellScript};
use model::rung::Rung;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, mpsc, oneshot};
use wire::init::TerminalSize;

use crate::artifacts::Keep;
use crate::blueprint::Words;
use crate::credentials::Credentials;
use crate::failure::Trouble;
use crate::host::Host;
use crate::hurry::Hurry;
use crate::job::{Job, Maker, Told};
use crate::remote::ServerFiles;
use crate::scm::Tree;
use crate::stash::{Stashes, passed_over};
use crate::unarchive::Archived;
use crate::{archives, artifacts, checkout, clone, exec, files, terminal, test_report, unarchive};

/// Performs the requests of one run on one host. All calls may be under way at once.
pub struct Performer {
    host: Host,
    events: mpsc::Sender<Event>,
    jobs: Mutex<HashMap<JobId, Arc<Job>>>,
    stashes: Stashes,
    archived: Archived,
    /// One `unarchive` at a time: each looks through all that the run has archived, outside of every sandbox.
    unarchiving: Mutex<()>,
    /// Where artifacts go, if not into a folder of this host, and stashes beside.
    uploads: Option<ServerFiles>,
    told: Told,
    /// Bytes of tests that were told of.
    tests_told: AtomicUsize,
    hurry: Hurry,
}

/// A job in which something is done.
struct Busy(Arc<Job>);

impl std::ops::Deref for Busy {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Performer {
    /// For one run. What happens is told to `events`, which must be read for the run to go on.
    pub fn new(host: Host, events: mpsc::Sender<Event>) -> Performer {
        let stashes = Stashes::new(host.options.scratch.clone());
        Performer {
            host,
            events,
            jobs: Mutex::default(),
            stashes,
            archived: Archived::default(),
            unarchiving: Mutex::default(),
            uploads: None,
            told: Told::default(),
            tests_told: AtomicUsize::new(0),
            hurry: Hurry::default(),
        }
    }

    /// The same, with artifacts and stashes at a server.
    pub(crate) fn archiving_to(self, uploads: ServerFiles) -> Performer {
        Performer { uploads: Some(uploads), ..self }
    }

    /// Performs a request. When `cancelled` resolves, what is under way is ended first, and the reply is
    /// [`Reply::Cancelled`].
    pub async fn perform(&self, request: Request, mut cancelled: oneshot::Receiver<()>) -> Reply {
        let done = match request {
            Request::Exec { job, step, script } => match self.at(job).await {
                Ok(job) => self.exec(&job, step, script, &mut cancelled).await,
                Err(trouble) => Err(trouble),
            },
            Request::Allocate { job, agent, engine, shares } => {
                let words = Words { engine, shares };
                self.allocate(job, &agent, words, cancelled).await
            }
            // Sandboxes are made and destroyed whole: neither is left half done.
            Request::Release { job } => self.release(job).await,
            other => tokio::select! {
                done = self.simple(other) => done,
                _ = cancelled => Ok(Reply::Cancelled),
            },
        };
        done.unwrap_or_else(Reply::from)
    }

    /// From now on what is cancelled is killed: nobody wants to wait until it ends by itself.
    pub fn hurry(&self) {
        self.hurry.begin();
    }

    /// Ends every job that is still there.
    pub async fn close(&self) {
        let jobs: Vec<_> = self.jobs.lock().await.keys().copied().collect();
        for job in jobs {
            let _ = self.release(job).await;
        }
    }

    /// The jobs that live.
    pub async fn living(&self) -> Vec<JobId> {
        self.jobs.lock().await.keys().copied().collect()
    }

    /// Opens a shell in a job's sandbox, joined to a terminal of that many rows and columns.
    pub async fn shell(
        &self,
        job: JobId,
        (rows, columns): (u16, u16),
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin,
    ) -> Result<(), String> {
        let job = self.job(job).await.map_err(|trouble| trouble.0.message)?;
        terminal::shell(&job, TerminalSize { rows, columns }, input, output).await.map_err(|trouble| trouble.0.message)
    }

    /// A job, for the time of one request.
    async fn at(&self, id: JobId) -> Result<Busy, Trouble> {
        let job = self.job(id).await?;
        job.busy.fetch_add(1, Ordering::Relaxed);
        let job = Busy(job);
        job.take_workspace().await?;
        Ok(job)
    }

    async fn job(&self, id: JobId) -> Result<Arc<Job>, Trouble> {
        self.jobs.lock().await.get(&id).cloned().ok_or_else(|| Trouble::infrastructure(format!("{id} is gone")))
    }

    /// The credentials that the run may have.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.host.credentials.as_deref()
    }

    async fn allocate(
        &self,
        id: JobId,
        agent: &AgentSpec,
        words: Words,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Result<Reply, Trouble> {
        let shared = match agent {
            AgentSpec::Docker(DockerSpec { workspace_of: Some(of), .. }) => Some(self.job(*of).await?),
            _ => None,
        };
        let maker = Maker { host: &self.host, events: &self.events, told: &self.told };
        if let (AgentSpec::Docker(docker), Some(node)) = (agent, &shared)
            && node.has_engine
        {
            let (job, allocated) = tokio::select! {
                made = maker.inside(id, node, docker) => made?,
                _ = &mut cancelled => return Ok(Reply::Cancelled),
            };
            self.jobs.lock().await.insert(id, Arc::new(job));
            return Ok(Reply::Allocated(allocated));
        }
        // A pull may take its time; what it has begun, the store clears away.
        let blueprint = tokio::select! {
            blueprint = maker.plan(Some(id), agent, words) => blueprint?,
            _ = &mut cancelled => return Ok(Reply::Cancelled),
        };
        if let Some(shared) = &shared {
            can_share(blueprint.driver.rung(), shared)?;
        }
        let made = maker.make(id, agent, blueprint, shared.as_deref(), &mut cancelled).await?;
        let Some((job, allocated)) = made else { return Ok(Reply::Cancelled) };
        self.jobs.lock().await.insert(id, Arc::new(job));
        Ok(Reply::Allocated(allocated))
    }

    async fn release(&self, id: JobId) -> Result<Reply, Trouble> {
        let Some(job) = self.jobs.lock().await.remove(&id) else { return Ok(Reply::Done) };
        let ended = job.destroy().await?;
        let limit = exec::limit_met(&ended).copied().or(job.log.met()).map(|limit| limit.to_string());
        let _ = self.events.send(Event::JobFinished { job: id, limit }).await;
        Ok(Reply::Done)
    }

    async fn exec(
        &self,
        job: &Job,
        step: StepId,
        script: ShellScript,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Result<Reply, Trouble> {
        let mut copies = Vec::new();
        for LogCopy { job, path } in &script.copies {
            // A job may be at another agent than the one around it.
            let Ok(of) = self.job(*job).await else {
                self.say(vec![format!("tee: the output of this step is not in {path}: that is another agent's")]).await;
                continue;
            };
            copies.push((path.clone(), of.session.append_file(Some(of.user.clone()), path, 0o644)?));
        }
        exec::run(job, step, script, copies, (&self.events, cancelled, &self.hurry)).await
    }

    async fn simple(&self, request: Request) -> Result<Reply, Trouble> {
        match request {
            Request::Checkout { job, step, dir, source } => {
                self.checkout(&*self.at(job).await?, step, dir, source).await
            }
            Request::ReadFile { job, path, encoding } => {
                files::read(&*self.at(job).await?, &path, encoding.as_deref()).await
            }
            Request::WriteFile { job, path, text, encoding } => {
                files::write(&*self.at(job).await?, &path, &text, encoding.as_deref()).await
            }
            Request::FileExists { job, path } => files::exists(&*self.at(job).await?, &path).await,
            Request::DeleteDir { job, path } => files::delete(&*self.at(job).await?, &path).await,
            Request::FindFiles { job, files, folders, is_shallow } => {
                files::find(&*self.at(job).await?, files, folders, is_shallow).await
            }
            Request::Delete { job, paths } => files::delete_all(&*self.at(job).await?, &paths).await,
            Request::Digest { job, path, algorithm } => files::digest(&*self.at(job).await?, &path, algorithm).await,
            Request::Touch { job, path, time_ms } => files::touch(&*self.at(job).await?, &path, time_ms).await,
            Request::Pack { job, files, archive, format, overwrite } => {
                let (reply, notes) = archives::pack(&*self.at(job).await?, files, archive, format, overwrite).await?;
                self.say(notes).await;
                Ok(reply)
            }
            Request::Unpack { job, archive, format, files, purpose } => {
                let (reply, notes) = archives::unpack(&*self.at(job).await?, archive, format, files, purpose).await?;
                self.say(notes).await;
                Ok(reply)
            }
            Request::Append { job, path, text } => files::append(&*self.at(job).await?, &path, &text).await,
            Request::MakeDir { job, path } => files::make_dir(&*self.at(job).await?, &path).await,
            Request::MakeWorkspace { job, path } => files::make_workspace(&*self.at(job).await?, &path).await,
            Request::Stash { job, name, files, allow_empty } => {
                let job = self.at(job).await?;
                let (reply, notes) = self.stashes.put(&job, &name, files, allow_empty, self.uploads.as_ref()).await?;
                self.say(notes).await;
                Ok(reply)
            }
            Request::Unstash { job, name, dir } => {
                let notes = self.stashes.get(&*self.at(job).await?, &name, dir, self.uploads.as_ref()).await?;
                self.say(notes).await;
                Ok(Reply::Done)
            }
            Request::Archive { job, files, below, allow_empty } => {
                self.archive(&*self.at(job).await?, files, below, allow_empty).await
            }
            Request::Unarchive { job, files } => {
                let (job, scratch) = (self.at(job).await?, &self.host.options.scratch);
                let _alone = self.unarchiving.lock().await;
                unarchive::unarchive(&job, scratch, self.kept(), files).await
            }
            Request::Copy { job, wish, files } => {
                let (job, scratch) = (self.at(job).await?, &self.host.options.scratch);
                let _alone = self.unarchiving.lock().await;
                unarchive::copy(&job, scratch, self.kept(), &wish, files).await
            }
            Request::TestReport { job, step, files } => {
                let job = self.at(job).await?;
                let scratch = &self.host.options.scratch;
                let (reply, notes) =
                    test_report::read(&job, scratch, step, files, &self.events, &self.tests_told).await?;
                self.say(notes).await;
                Ok(reply)
            }
            Request::Credential(wish) => {
                let credentials = self.host.credentials(&wish.id)?;
                let job = match &wish.file {
                    Some(file) => Some(self.at(file.job).await?),
                    None => None,
                };
                credentials.give(wish, job.as_deref(), &self.events).await
            }
            Request::Sleep { ms } => {
                tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
                Ok(Reply::Done)
            }
            // Whoever shows what the run says has heard it before.
            Request::Mask { .. } => Ok(Reply::Count(0)),
            // There are no others here.
            Request::Lock(_) | Request::Unlock { .. } | Request::Milestone { .. } => Ok(Reply::Done),
            Request::Now => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Ok(Reply::Time(now.as_millis() as u64))
            }
            Request::Library(wish) => Ok(Reply::Library(crate::library::find(&self.host, &self.events, &wish).await?)),
            Request::ReadTrusted { path } => {
                let none = || Trouble::workload(format!("{path} is no file of this definition's repository"));
                let scm = self.host.scm.as_ref().ok_or_else(none)?;
                let content = scm.read(&path).await?.ok_or_else(none)?;
                Ok(Reply::Text(String::from_utf8_lossy(&content).into_owned()))
            }
            Request::Build(wish) => {
                let names = wish.names.join(" or ");
                let text = format!("build ‘{names}’: a run on one machine starts no run of another project");
                Err(Trouble::workload(text).with_hint("a server does (`cofferdam server`)"))
            }
            Request::Changes { since } => {
                let changes = match &self.host.scm {
                    Some(scm) => scm.changes(&since).await?,
                    None => None,
                };
                Ok(Reply::Changes(changes))
            }
            Request::Input(Question { message, .. }) => {
                let text = format!("The run stops at ‘input’ (“{message}”): there is nobody to answer it here");
                let hint =
                    "`input` needs a terminal or a server; guard it with `when`, or give the choice as a parameter";
                Err(Trouble::workload(text).with_hint(hint))
            }
            Request::Exec { .. } | Request::Allocate { .. } | Request::Release { .. } => {
                Err(Trouble::infrastructure("performed elsewhere"))
            }
        }
    }

    async fn archive(
        &self,
        job: &Job,
        files: FileSet,
        below: Option<String>,
        allow_empty: bool,
    ) -> Result<Reply, Trouble> {
        let keep = artifacts::Place { to: self.kept(), below };
        let (reply, notes) = artifacts::archive(job, &self.host.options.scratch, keep, files, allow_empty).await?;
        self.say(notes).await;
        Ok(reply)
    }

    /// Where artifacts are.
    fn kept(&self) -> Keep<'_> {
        let here = Keep::Folder(&self.host.options.artifacts, &self.archived);
        self.uploads.as_ref().map_or(here, Keep::Server)
    }

    async fn say(&self, notes: Vec<String>) {
        for text in notes {
            let _ = self.events.send(Event::Log { step: None, stage: None, source: LogSource::System, text }).await;
        }
    }

    /// The files of the project itself, at the version of the run or another. `None`: whoever has its address may have that version.
    async fn own_tree(&self, source: &GitSource) -> Result<Option<Tree>, Trouble> {
        let Some(scm) = &self.host.scm else {
            return Err(Trouble::workload("checkout scm: this definition does not come from a project"));
        };
        let scratch = &self.host.options.scratch;
        let Some(wanted) = &source.reference else { return Ok(Some(scm.open(scratch).await?)) };
        for version in source.references() {
            if let Some(found) = scm.open_version(version, scratch).await? {
                return Ok(Some(found));
            }
        }
        match source.url.is_empty() || source.url.starts_with("file:") {
            true => Err(Trouble::workload(format!("checkout: the project has no branch, tag or commit ‘{wanted}’"))),
            false => Ok(None),
        }
    }

    async fn checkout(
        &self,
        job: &Job,
        step: StepId,
        dir: String,
        source: Option<Box<GitSource>>,
    ) -> Result<Reply, Trouble> {
        let source = source.map_or_else(|| GitSource { own: true, ..GitSource::default() }, |source| *source);
        let tree = if source.own { self.own_tree(&source).await? } else { None };
        let Some(mut tree) = tree else {
            return clone::clone(&self.host, &self.events, job, step, dir, &source).await;
        };
        let text = format!("Checking out {} into {dir}", tree.description);
        let _ = self.events.send(Event::Log { step: Some(step), stage: None, source: LogSource::Step, text }).await;
        let (mut env, mut notes) = (std::mem::take(&mut tree.env), std::mem::take(&mut tree.notes));
        if source.is_arranged() && tree.repository.is_some() {
            let at = env.iter().position(|(name, _)| name == "GIT_LOCAL_BRANCH");
            let local_branch = match source.local_branch.clone() {
                Some(name) if name == clone::SAME => at.map(|at| env[at].1.clone()),
                name => name,
            };
            if let Some(branch) = &local_branch {
                at.map(|at| env.remove(at));
                env.push(("GIT_LOCAL_BRANCH".to_owned(), branch.clone()));
            }
            let source = GitSource { local_branch, ..source };
            clone::arrange(&self.host, &self.events, job, step, dir, (&source, tree)).await?;
        } else {
            if source.is_arranged() {
                notes.push("checked out without a repository: nothing was done for the extensions of git".to_owned());
            }
            let names = Some(std::mem::take(&mut tree.names));
            notes.extend(checkout::prepare(job, &dir, names, source.clearing).await?);
            let skipped = clone::put_tree(&job.session, &job.user, &dir, tree).await?;
            notes.extend(passed_over(checkout::PASSED_OVER, &skipped));
        }
        self.say(notes).await;
        Ok(Reply::CheckedOut(env))
    }
}

/// A sandbox and the one whose workspace it is to share are of one kind.
fn can_share(rung: Rung, shared: &Job) -> Result<(), Trouble> {
    if rung < Rung::Microvm && shared.rung() < Rung::Microvm {
        return Ok(());
    }
    let reason = format!(
        "a sandbox of rung {} cannot share the workspace of one of rung {}, and where the latter was made, nothing in the definition said that it would",
        rung.name(),
        shared.rung().name()
    );
    Err(Trouble::infrastructure(reason).with_hint(
        "names of images and `args` that stand in the definition as they are can be seen ahead; values of variables cannot",
    ))
}
