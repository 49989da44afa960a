//! What is new at forges, found by asking them: branches, tags and pull requests, and pull requests whose target has moved (the herd). Where no
//! forge is known, the repository itself is asked for its branches and tags.
//!
//! ```text
//!   webhook ── confirmed ──▶ a run          and, where pull requests are merged, a look at those of that target
//!   every so often, and at the start ─────▶ a look at everything; where only webhooks tell, at what is gone
//!   `pollSCM` of a definition ────────────▶ a look at its branch
//! ```
//!
//! A look makes a run of each commit, and of each pair of a pull request's and its target's commit, that it has not seen before: the store knows
//! each by its name, so that looking twice does nothing, and what was missed while there was no server is found by the next one: pushes where everything is looked
//! at, and elsewhere what is gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::rung::Trust;
use scm::{Facts, PullRequest, Push, Reference, Refs, RequestState};
use store::{Actor, NewRun, Project, Run, RunFilter, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::app::App;
use crate::changes::{NOWHERE, again, held, merged, of_push, of_request};
use crate::config::{ProjectConfig, ProjectSource};
use crate::forge::{Asker, Silent, refs};
use crate::gone::{self, There};

/// How often is seen whether some project is due.
const LOOK: Duration = Duration::from_secs(20);
/// The longest pause after a forge was away, for a look that was wanted.
const AGAIN: Duration = Duration::from_secs(60);
/// Older runs that are looked at together.
const PAGE: u32 = 500;

/// A look that is wanted.
pub(crate) struct Wanted {
    pub(crate) project: String,
    pub(crate) at: At,
}

/// At what is looked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum At {
    /// Everything that the project wants to hear of.
    All,
    /// What is gone of what is under way.
    Gone,
    /// The pull requests for a branch.
    RequestsFor(String),
    /// A branch, as its definition asks for (`pollSCM`).
    Branch(String),
}

/// Until the server ends.
pub(crate) async fn watch(app: Arc<App>, mut wanted: mpsc::UnboundedReceiver<Wanted>) {
    let mut looked: HashMap<(String, At), Instant> = HashMap::new();
    // Each once, however often it is wanted.
    let mut due: BTreeMap<(String, At), Instant> = BTreeMap::new();
    loop {
        if let Err(error) = plan(&app, &mut looked, &mut due).await {
            tracing::warn!(%error, "projects cannot be looked at");
        }
        let now = Instant::now();
        // Whoever has waited longest: a forge that hangs holds up others, and keeps nobody from their turn.
        let next = due.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
        if let Some((project, place)) = next {
            due.remove(&(project.clone(), place.clone()));
            if let Err(error) = look(&app, &project, &place).await {
                tracing::warn!(project, %error, "a forge cannot be looked at");
                // The next moment of a schedule comes anyway, if it is still wanted.
                if !matches!(place, At::Branch(_)) {
                    due.insert((project, place), Instant::now() + AGAIN);
                }
            }
        }
        let at = due.values().min().copied().unwrap_or_else(|| Instant::now() + LOOK).min(Instant::now() + LOOK);
        tokio::select! {
            () = tokio::time::sleep_until(at) => {}
            more = wanted.recv() => match more {
                Some(Wanted { project, at }) => drop(due.entry((project, at)).or_insert_with(Instant::now)),
                None => return,
            },
        }
    }
}

/// Projects whose turn it is. All whose forge can be asked are looked at once after a start, for what was missed.
async fn plan(
    app: &App,
    looked: &mut HashMap<(String, At), Instant>,
    due: &mut BTreeMap<(String, At), Instant>,
) -> Result<(), StoreError> {
    let mut known = HashMap::new();
    for project in app.store.projects().await? {
        let Some(config) = config_of(&project) else { continue };
        // One that is to be looked at no more is new when it is again.
        let at = match config.is_looked_at() {
            true => At::All,
            false if config.report.is_some() => At::Gone,
            false => continue,
        };
        let every = config.poll_minutes.map(|minutes| Duration::from_secs(minutes.max(1) * 60));
        let key = (project.name, at);
        let last = looked.get(&key).copied();
        let is_due = last.is_none_or(|last| every.is_some_and(|every| last.elapsed() >= every));
        known.insert(key.clone(), last.filter(|_| !is_due).unwrap_or_else(Instant::now));
        if is_due {
            due.entry(key).or_insert_with(Instant::now);
        }
    }
    *looked = known;
    Ok(())
}

fn config_of(project: &Project) -> Option<ProjectConfig> {
    serde_json::from_value(project.config.clone()).ok()
}

/// Why a look was none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Forge(#[from] Silent),
}

async fn look(app: &Arc<App>, name: &str, at: &At) -> Result<(), Failed> {
    let Some(project) = app.store.project(name).await? else { return Ok(()) };
    let Some(config) = config_of(&project) else { return Ok(()) };
    let asker = config.report.as_ref().and_then(|report| Asker::of(app, report));
    let look = Look { app, project: &project, config: &config };
    let target = match at {
        At::All => None,
        At::Gone => {
            let known = gone::known(app, &project).await?;
            return gone::look(app, &project, asker.as_ref(), (known, There::default())).await;
        }
        At::RequestsFor(target) => Some(target.as_str()),
        At::Branch(name) => return look.branch(asker.as_ref(), name).await,
    };
    let (known, mut there) = (gone::known(app, &project).await?, There::default());
    if config.poll_minutes.is_some() && *at == At::All {
        there.references = Some(look.everything(asker.as_ref()).await?);
    }
    let Some(asker) = asker else { return gone::look(app, &project, None, (known, there)).await };
    let mut targets: HashMap<String, Option<String>> = HashMap::new();
    let requests = asker.pull_requests().await?;
    there.requests = Some(requests.iter().map(|facts| facts.request.number).collect());
    for facts in requests {
        if target.is_some_and(|target| facts.request.target != target) || facts.state != RequestState::Open {
            continue;
        }
        // Each is asked for once more: what a list says of it may be abbreviated.
        let number = facts.request.number;
        let facts = match scm::is_whole(&facts.request.commit) {
            true => Some(facts),
            false => look.said(number, asker.pull_request(number).await)?,
        };
        let Some(facts) = facts else { continue };
        if !config.merge_requests {
            look.request(facts, None).await?;
            continue;
        }
        let branch = facts.request.target.clone();
        let commit = match targets.get(&branch) {
            Some(commit) => commit.clone(),
            None => {
                let commit = look.said(number, asker.branch(&branch).await)?.map(|branch| branch.commit);
                targets.entry(branch).or_insert(commit).clone()
            }
        };
        if let Some(commit) = commit {
            look.request(facts, Some(&commit)).await?;
        }
    }
    match at {
        At::All => gone::look(app, &project, Some(&asker), (known, there)).await,
        _ => Ok(()),
    }
}

fn no_branches() -> Silent {
    Silent::Away("it does not say what branches it has".to_owned())
}

/// What a forge has told of a project, by a list or when it was asked.
pub(crate) struct Found<'a> {
    pub(crate) app: &'a App,
    pub(crate) project: &'a Project,
    pub(crate) config: &'a ProjectConfig,
}

/// A run that is to be, or in words why nothing follows.
pub(crate) type Follows = Result<NewRun, String>;

impl Found<'_> {
    /// What follows from a pull request that is open; `target`: the commit that it is merged with. The same twice has the same delivery.
    pub(crate) async fn request(&self, request: PullRequest, target: Option<&str>) -> Result<Follows, StoreError> {
        let name = request_name(&self.project.name, request.number, &request.commit);
        let branch = request.target.clone();
        let number = request.number;
        let Some(new) = of_request(request) else {
            // Each look finds it; it is said once.
            let said = format!("{name} is not run");
            if !self.app.store.knows_delivery(&said).await? {
                self.app.store.note_delivery(&said).await?;
                let project = &self.project.name;
                tracing::info!(project, request = number, reason = NOWHERE, "a pull request is not run");
            }
            return Ok(Err(NOWHERE.to_owned()));
        };
        let Some(target) = target else { return Ok(Ok(NewRun { delivery: Some(name), ..new })) };
        let pair = pair_name(&name, target);
        let new = merged(new, &branch, target);
        if !self.app.store.knows_delivery(&name).await? {
            return Ok(Ok(NewRun { delivery: Some(name), also: Some(pair), ..new }));
        }
        // Its commit was run before, or is: now it is because of the target.
        let commit = new.commit.clone().unwrap_or_default();
        let waits = self.config.approve_strangers && new.trust == Some(Trust::Stranger);
        // What nobody has let go for itself, nobody has let go for its target's sake either; and what was let go is that, and no more.
        let let_go = if waits { self.app.store.let_go(self.project.id, &commit).await? } else { Some(None) };
        let Some(approved) = let_go else { return Ok(Err("nobody has approved its commit".to_owned())) };
        Ok(Ok(NewRun { delivery: Some(pair), approved, ..again(new, &branch) }))
    }
}

struct Look<'a> {
    app: &'a Arc<App>,
    project: &'a Project,
    config: &'a ProjectConfig,
}

impl Look<'_> {
    /// All branches and tags.
    async fn everything(&self, asker: Option<&Asker<'_>>) -> Result<HashSet<Reference>, Failed> {
        let refs = match asker {
            Some(asker) => Refs { branches: asker.branches().await?, tags: asker.tags().await? },
            None => self.refs().await?,
        };
        let there = refs.references().collect();
        for branch in refs.branches {
            self.push(Reference::Branch(branch.name), branch.commit).await?;
        }
        for tag in refs.tags {
            self.push(Reference::Tag(tag.name), tag.commit).await?;
        }
        Ok(there)
    }

    /// One branch, whose definition wants that: a run, if it is at a commit that had none.
    async fn branch(&self, asker: Option<&Asker<'_>>, name: &str) -> Result<(), Failed> {
        let found = match asker {
            Some(asker) => asker.branch(name).await,
            None => self.refs().await.and_then(|refs| {
                // Gone is what is missing among others.
                let gone = if refs.branches.is_empty() { no_branches() } else { Silent::Missing };
                refs.branches.into_iter().find(|branch| branch.name == name).ok_or(gone)
            }),
        };
        match found {
            Ok(branch) if self.app.store.has_run_at(self.project.id, &branch.commit).await? => Ok(()),
            Ok(branch) => self.push(Reference::Branch(branch.name), branch.commit).await,
            Err(Silent::Missing) => {
                let (known, mut there) = (gone::known(self.app, self.project).await?, There::default());
                if asker.is_none() {
                    there.references = Some(self.refs().await?.references().collect());
                }
                gone::look(self.app, self.project, asker, (known, there)).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a forge says about a pull request, or its target. None: there is no such thing, or it is none that is understood; that one hides no other.
    fn said<T>(&self, number: u64, answer: Result<T, Silent>) -> Result<Option<T>, Silent> {
        match answer {
            Ok(said) => Ok(Some(said)),
            Err(error @ (Silent::Missing | Silent::Answer(_))) => {
                tracing::warn!(project = self.project.name, number, %error, "a pull request is passed over");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What its repository says itself. A folder says nothing.
    async fn refs(&self) -> Result<Refs, Silent> {
        match &self.config.source {
            ProjectSource::Git { url, login, .. } if url.starts_with("http") => {
                refs(self.app, url, login.as_ref()).await
            }
            ProjectSource::Git { .. } => Err(Silent::Away("only repositories at https://… can be asked".to_owned())),
            ProjectSource::Folder(_) => Ok(Refs::default()),
        }
    }

    async fn push(&self, reference: Reference, commit: String) -> Result<(), Failed> {
        let delivery = reference_name(&self.project.name, &reference, &commit);
        self.make(NewRun { delivery: Some(delivery), ..of_push(self.config, Push { reference, commit, by: None }) })
            .await
    }

    async fn request(&self, facts: Facts, target: Option<&str>) -> Result<(), Failed> {
        let found = Found { app: self.app, project: self.project, config: self.config };
        match found.request(facts.request, target).await? {
            Ok(new) => self.make(new).await,
            Err(_) => Ok(()),
        }
    }

    async fn make(&self, new: NewRun) -> Result<(), Failed> {
        let delivery = new.delivery.clone().unwrap_or_default();
        if self.app.store.knows_delivery(&delivery).await? {
            return Ok(());
        }
        create(self.app, &Actor("scan".into()), self.project, self.config, new).await?;
        Ok(())
    }
}

/// By which a pull request's commit is known.
pub(crate) fn request_name(project: &str, number: u64, commit: &str) -> String {
    format!("{project} pull request {number} {commit}")
}

/// By which it is known as merged with a commit.
fn pair_name(name: &str, target: &str) -> String {
    format!("{name} in {target}")
}

/// By which a branch or a tag at a commit is known.
pub(crate) fn reference_name(project: &str, reference: &Reference, commit: &str) -> String {
    let name = match reference {
        Reference::Branch(name) => format!("branch {name}"),
        Reference::Tag(name) => format!("tag {name}"),
    };
    format!("{project} {name} {commit}")
}

/// By what a run is known that a forge's word was for.
fn names_of(run: &Run) -> Vec<String> {
    let Some(commit) = &run.commit else { return Vec::new() };
    if let Some(number) = change_id(run).and_then(|id| id.parse().ok()) {
        let name = request_name(&run.project_name, number, commit);
        let pair = run.merge.as_ref().map(|merge| pair_name(&name, &merge.commit));
        return [Some(name), pair].into_iter().flatten().collect();
    }
    let reference = run.revision.as_deref().and_then(Reference::of);
    reference.map(|reference| reference_name(&run.project_name, &reference, commit)).into_iter().collect()
}

/// Asks for a run of what a forge has told. Older ones of the same pull request tell nothing any more.
pub(crate) async fn create(
    app: &App,
    actor: &Actor,
    project: &Project,
    config: &ProjectConfig,
    new: NewRun,
) -> Result<Run, StoreError> {
    let held = new.trust.filter(|_| !is_again(&new)).and_then(|trust| held(config, trust));
    let new = NewRun { reports: config.report.is_some(), held: new.held.clone().or(held), ..new };
    let run = app.create_run(actor, &project.name, new).await?;
    supersede(app, &run).await?;
    app.hub.wake();
    app.changed(run.id);
    Ok(run)
}

fn is_again(new: &NewRun) -> bool {
    new.facts.causes.iter().any(|cause| cause.class == crate::changes::TARGET_MOVED)
}

pub(crate) fn is_of_herd(run: &Run) -> bool {
    run.facts.causes.iter().any(|cause| cause.class == crate::changes::TARGET_MOVED)
}

/// Ends older runs of the same pull request. One that is there because the target has moved ends only such: the other one is what somebody waits for.
async fn supersede(app: &App, run: &Run) -> Result<(), StoreError> {
    let request = change_id(run);
    let Some(revision) = run.revision.as_deref().filter(|_| request.is_some()) else { return Ok(()) };
    let reason = format!("Superseded by #{}", run.number);
    // On some forges what a pull request is fetched by is its branch, which has runs of its own, and may have other requests.
    let is_same = |older: &Run| older.id < run.id && change_id(older) == request;
    let fits = |older: &Run| is_same(older) && (!is_of_herd(run) || is_of_herd(older));
    end_all(app, (run.project, Some(revision)), Why::Superseded(&reason), fits).await
}

/// Which pull request it is of.
pub(crate) fn change_id(run: &Run) -> Option<&str> {
    run.facts.env.iter().find(|(name, _)| name == "CHANGE_ID").map(|(_, id)| id.as_str())
}

/// Why runs end that are under way, in words.
#[derive(Clone, Copy)]
pub(crate) enum Why<'a> {
    /// A newer one is there.
    Superseded(&'a str),
    /// What they are of is no more.
    Gone(&'a str),
}

/// Ends what is under way of a project, or of one revision of it, and fits: of a branch or a pull request that is gone, say.
pub(crate) async fn end_all(
    app: &App,
    (project, revision): (store::ProjectId, Option<&str>),
    why: Why<'_>,
    fits: impl Fn(&Run) -> bool,
) -> Result<(), StoreError> {
    let (projects, revision) = (Some(vec![project]), revision.map(str::to_owned));
    let mut filter = RunFilter { projects, revision, unfinished: true, limit: PAGE, ..RunFilter::default() };
    loop {
        let found = app.store.runs(&filter).await?;
        // Asked once: a second time would end what it does at its end.
        for older in found.iter().filter(|older| older.abort_reason.is_none() && fits(older)) {
            let (Why::Superseded(reason) | Why::Gone(reason)) = why;
            crate::http::end(app, &Actor::server(), older, reason).await?;
            if matches!(why, Why::Gone(_)) {
                // Should it come back as it was, it is news.
                app.store.forget_deliveries(&names_of(older)).await?;
            }
        }
        match found.last().filter(|_| found.len() == PAGE as usize) {
            Some(last) => filter.before = Some(last.id),
            None => return Ok(()),
        }
    }
}
