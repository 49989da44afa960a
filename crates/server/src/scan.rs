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
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use scm::{Facts, Push, Reference, Refs, RequestState};
use store::{Actor, NewRun, Project, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::App;
use crate::changes::of_push;
use crate::config::{ProjectConfig, ProjectSource};
use crate::forge::{Asker, Silent, refs};
use crate::found::{Found, change_id, create, reference_name};
use crate::gone::{self, There};

/// How often is seen whether some project is due.
const LOOK: Duration = Duration::from_secs(20);
/// The longest pause after a forge was away, for a look that was wanted.
const AGAIN: Duration = Duration::from_secs(60);
/// Between two looks at everything because something could not be heard.
const MISSED: Duration = Duration::from_secs(5 * 60);
/// Projects that are looked at together.
const AT_ONCE: usize = 8;
/// Branches whose last runs are looked at.
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
    // Projects that are looked at now, each in one way: two looks at one would find the same.
    let mut busy: HashSet<String> = HashSet::new();
    let mut looks = JoinSet::new();
    let mut missed_at: Option<Instant> = None;
    loop {
        // What was missed is found by a look at all, and by one more for all that was missed within some minutes: forges answer only so often.
        let looks_again = app.has_missed.load(Ordering::Relaxed) && missed_at.is_none_or(|at| at.elapsed() >= MISSED);
        if looks_again {
            app.has_missed.store(false, Ordering::Relaxed);
            looked.clear();
        }
        match plan(&app, &mut looked, &mut due).await {
            Ok(()) if looks_again => missed_at = Some(Instant::now()),
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "projects cannot be looked at");
                // What is away for this is so for webhooks too.
                app.has_missed.store(true, Ordering::Relaxed);
            }
        }
        let now = Instant::now();
        // Whoever has waited longest first: a forge that hangs holds up few others, and keeps nobody from their turn.
        while looks.len() < AT_ONCE {
            let is_due = |((project, _), at): &(&(String, At), &Instant)| **at <= now && !busy.contains(project);
            let next = due.iter().filter(is_due).min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            let Some((project, place)) = next else { break };
            due.remove(&(project.clone(), place.clone()));
            busy.insert(project.clone());
            let app = Arc::clone(&app);
            looks.spawn(async move {
                let done = AssertUnwindSafe(look(&app, &project, &place)).catch_unwind().await;
                (project, place, done)
            });
        }
        let free = due.iter().filter(|((project, _), _)| looks.len() < AT_ONCE && !busy.contains(project));
        let next = Instant::now() + LOOK;
        let at = free.map(|(_, at)| *at).min().unwrap_or(next).min(next);
        tokio::select! {
            // In an order, so that the same comes of the same.
            biased;
            () = tokio::time::sleep_until(at) => {}
            Some(done) = looks.join_next() => {
                let Ok((project, place, done)) = done else { continue };
                busy.remove(&project);
                let Ok(done) = done else {
                    tracing::error!(project, "a look at a forge has panicked");
                    due.insert((project, place), Instant::now() + AGAIN);
                    continue;
                };
                if let Err(error) = done {
                    tracing::warn!(project, %error, "a forge cannot be looked at");
                    // The next moment of a schedule comes anyway, if it is still wanted.
                    if !matches!(place, At::Branch(_)) {
                        due.insert((project, place), Instant::now() + AGAIN);
                    }
                }
            }
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
            gone::look(app, &project, asker.as_ref(), (known, There::default())).await?;
            return match asker {
                Some(asker) => look.missed(&asker).await,
                None => Ok(()),
            };
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
        let number = facts.request.number;
        let Some(facts) = look.whole(&asker, facts).await? else { continue };
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

    /// What has gone on while nobody heard, of branches and pull requests that have had runs: others may be as they were before anybody wanted to hear.
    async fn missed(&self, asker: &Asker<'_>) -> Result<(), Failed> {
        let last = self.app.store.last_of_branches(self.project.id, PAGE).await?;
        let names: HashSet<_> =
            last.iter().filter(|run| change_id(run).is_none()).filter_map(gone::reference_of).collect();
        let numbers: HashSet<_> = last.iter().filter_map(|run| change_id(run)?.parse::<u64>().ok()).collect();
        if !names.is_empty() {
            for branch in asker.branches().await? {
                let has_run = self.app.store.has_run_at(self.project.id, &branch.name, &branch.commit).await?;
                let reference = Reference::Branch(branch.name);
                if names.contains(&reference) && !has_run {
                    self.push(reference, branch.commit).await?;
                }
            }
        }
        if numbers.is_empty() || self.config.merge_requests {
            return Ok(());
        }
        for facts in asker.pull_requests().await? {
            let number = facts.request.number;
            if !numbers.contains(&number) || facts.state != RequestState::Open {
                continue;
            }
            if let Some(facts) = self.whole(asker, facts).await? {
                self.request(facts, None).await?;
            }
        }
        Ok(())
    }

    /// A pull request of a list, asked for once more where the list says of its commit only how it begins.
    async fn whole(&self, asker: &Asker<'_>, facts: Facts) -> Result<Option<Facts>, Silent> {
        let number = facts.request.number;
        match scm::is_whole(&facts.request.commit) {
            true => Ok(Some(facts)),
            false => self.said(number, asker.pull_request(number).await),
        }
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
            Ok(branch) if self.app.store.has_run_at(self.project.id, name, &branch.commit).await? => Ok(()),
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
