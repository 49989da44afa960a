//! Which run goes where: the line of `queue`, which decides, told of what the store has and of agents that come and go.
//!
//! Never: a decision of its own; a place for a run that the store does not have in the queue.

mod jobs;
mod wakes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ids::{JobId, RunId};
use model::properties::Alone;
use model::run::superseded;
use model::rung::{Needs, Rung};
use queue::line::{
    AgentId, Branch, Class, Command, Event, Expression, ImageName, Item, Line, LineSettings, Moment, Terms,
};
use store::{Actor, Millis, Project, Run, RunFilter, Status, StoreError};
use tokio::time::Instant;
use wire::agent::Offers;

use self::jobs::Jobs;
use self::wakes::is_awake;
pub(crate) use self::wakes::{can_be_told, end, wake};
use crate::app::App;
use crate::changes::TARGET_MOVED;
use crate::config::ProjectConfig;
use crate::found::{Why, end_all, is_of_herd};
use crate::keeper::ToKeeper;
use crate::properties;

/// Runs that are read at once.
const PAGE: u32 = 500;
/// Projects of which is kept in mind what image their runs have.
const MOST_PROJECTS: usize = 10_000;
/// Runs that have given their places away and are at one agent all the same, at most: each has an engine there.
const MOST_RESTING: usize = 64;
/// The label of agents whose jobs can have a Docker Engine of their own.
const ENGINE: &str = "engine:docker";
/// Rungs that an agent may have.
const RUNGS: [Rung; 5] = [Rung::Process, Rung::Container, Rung::Gvisor, Rung::Microvm, Rung::Machine];

/// Whether a label says what an agent has, which it says otherwise: nobody gives it to one by hand.
pub(crate) fn is_reserved(label: &str) -> bool {
    ["rung:", "engine:", "agent:"].iter().any(|prefix| label.starts_with(prefix))
}

/// What an agent can give is a label of it: what a run needs is asked for like any other, and told in the same words where nobody has it.
pub(crate) fn labels_of(offers: &Offers) -> Vec<String> {
    let has = |rung: &Rung| offers.satisfies(&Needs::of_rung(*rung));
    let rungs = RUNGS.into_iter().filter(has).map(label_of);
    rungs.chain(offers.engine.then(|| ENGINE.to_owned())).collect()
}

/// Of one agent.
pub(crate) fn label_of_agent(agent: u64) -> String {
    format!("agent:{agent}")
}

/// Of agents whose sandboxes have that rung, or a higher one.
fn label_of(rung: Rung) -> String {
    format!("rung:{}", rung.name())
}

/// The line, and how far the store was read into it.
pub(crate) struct Waiting {
    state: Mutex<State>,
    jobs: Jobs,
    began: Instant,
    /// The image that a project's runs had last. It is lost with the server, and found again by the next run.
    images: Mutex<HashMap<String, ImageName>>,
}

struct State {
    line: Line,
    /// The newest run that it was told of.
    newest: RunId,
    /// When runs that wait go to any agent, and which.
    wakes: BTreeSet<(Millis, RunId)>,
    /// Those that wait for any.
    awake: BTreeSet<RunId>,
    /// Those that have given their places away, and the agents that have them all the same.
    resting: BTreeMap<RunId, u64>,
}

impl Default for Waiting {
    fn default() -> Waiting {
        // The settings are ours, and the tests of `queue` hold them good; without a line there is no server.
        let line = Line::new(LineSettings::default()).unwrap_or_else(|error| panic!("{error}"));
        let state =
            State { line, newest: RunId(0), wakes: BTreeSet::new(), awake: BTreeSet::new(), resting: BTreeMap::new() };
        Waiting { state: Mutex::new(state), jobs: Jobs::default(), began: Instant::now(), images: Mutex::default() }
    }
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Takes note; what follows is to be performed by [`perform`].
    #[must_use]
    pub(crate) fn tell(&self, event: Event) -> Vec<Command> {
        let now = self.now();
        self.jobs.tell(&event, now);
        let mut state = self.state();
        if let Event::Finished { run } | Event::Found { item: Item { run, .. }, .. } = &event {
            state.resting.remove(run);
        }
        state.line.handle(event, now)
    }

    /// Whether a run that has a place now had given it away.
    fn has_risen(&self, run: RunId) -> bool {
        self.state().resting.remove(&run).is_some()
    }

    /// Gives the place of a run away, which stays at its agent. `None`: so many do there already that it has no room for more.
    fn rest(&self, run: RunId, agent: u64) -> Option<Vec<Command>> {
        let at_agent = self.state().resting.values().filter(|other| **other == agent).count();
        (at_agent < MOST_RESTING).then(|| {
            let commands = self.tell(Event::Rested { run });
            self.state().resting.insert(run, agent);
            commands
        })
    }

    /// A job of a run waits no more, and has no place.
    pub(crate) fn job_over(&self, run: RunId, job: JobId) {
        self.jobs.over(run, job, self.now());
    }

    /// No job of a run does.
    pub(crate) fn jobs_over(&self, run: RunId) {
        self.jobs.all_over(run, self.now());
    }

    /// Places that jobs were given, for their keepers.
    pub(crate) fn given_to_jobs(&self) -> Vec<((RunId, JobId), u64)> {
        self.jobs.take()
    }

    /// Why jobs of a run that is under way wait for an agent.
    pub(crate) fn why_jobs(&self, run: RunId) -> Vec<(JobId, String)> {
        self.jobs.why(run)
    }

    /// Places that jobs have at other agents than their runs'.
    pub(crate) fn taken_by_jobs(&self) -> u64 {
        self.jobs.taken()
    }

    fn knows(&self, run: RunId) -> bool {
        let state = self.state();
        state.line.is_waiting(run) || state.line.place_of(run).is_some()
    }

    /// Has the store be looked at from its beginning, for what the line does not know.
    pub(crate) fn look_again(&self) {
        let State { line, newest, awake, .. } = &mut *self.state();
        *newest = RunId(0);
        awake.retain(|run| line.is_waiting(*run));
    }

    /// A run of the project has this image.
    pub(crate) fn learn_image(&self, project: &str, digest: &str) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if images.len() >= MOST_PROJECTS && !images.contains_key(project) {
            images.clear();
        }
        images.insert(project.to_owned(), digest.into());
    }

    fn image_of(&self, project: &str) -> Option<ImageName> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).get(project).cloned()
    }

    /// Why a run waits, and what would change that.
    pub(crate) fn why(&self, run: RunId) -> Option<String> {
        self.state().line.why(run).map(|waits| waits.to_string())
    }

    /// The agent that has a place for it.
    pub(crate) fn place_of(&self, run: RunId) -> Option<u64> {
        self.state().line.place_of(run).map(|agent| agent.0)
    }

    /// How many wait, and how many have places.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let waiting = self.state().line.waiting();
        (waiting, self.taken())
    }

    /// Places that are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.state().line.standings().map(|(_, standing)| u64::from(standing.held)).sum()
    }

    /// Until something is due without anything happening.
    pub(crate) fn due_in(&self, time: Millis) -> Option<Duration> {
        let state = self.state();
        let of_line = state.line.wake_at().map(|at| at.0.saturating_sub(self.now().0));
        let of_runs = state.wakes.first().map(|(at, _)| at.saturating_sub(time));
        of_line.into_iter().chain(of_runs).min().map(Duration::from_millis)
    }
}

/// Tells the line of everything that the store has: at the start.
pub(crate) async fn begin(app: &Arc<App>) -> Result<Vec<Run>, StoreError> {
    for project in app.store.projects().await? {
        set_terms(app, &project);
    }
    let mut running = Vec::new();
    let filter = RunFilter { unfinished: true, limit: u32::MAX >> 1, ..RunFilter::default() };
    for run in app.store.runs(&filter).await? {
        if let (Status::Running, Some(agent)) = (run.status, run.agent) {
            let item = item_of(app, &run, said_of(app, &run).await?.as_ref());
            perform(app, app.waiting.tell(Event::Found { item, agent: AgentId(agent) })).await;
            for job in app.store.elsewhere(run.id).await? {
                if let (Some(agent), false) = (job.agent.filter(|_| job.root == job.job), job.is_lost) {
                    let item = item_of_job(app, &run, &job.needs).await?;
                    app.waiting.jobs.found(job.job, item, agent, app.waiting.now());
                }
            }
            running.push(run);
        }
    }
    take_in(app).await?;
    Ok(running)
}

/// What a project may have was changed.
fn set_terms(app: &App, project: &Project) {
    let config = serde_json::from_value::<ProjectConfig>(project.config.clone()).ok();
    let terms = config
        .map(|config| Terms { weight: config.weight.unwrap_or(std::num::NonZeroU32::MIN), at_once: config.at_once });
    // At most something may be given out now, which the next look finds.
    let placed = app.waiting.tell(Event::TermsSet { project: project.name.as_str().into(), terms });
    app.hub.keep_for_later(placed);
}

/// A run that does nothing but wait for others gives its place to somebody else, and is under way all the same. False: so many have done that at its
/// agent already that there is no room for one more.
pub(crate) fn rest(app: &App, run: RunId, agent: u64) -> bool {
    let placed = app.waiting.rest(run, agent);
    let is_resting = placed.is_some();
    app.hub.keep_for_later(placed.unwrap_or_default());
    is_resting
}

/// Whether of its branch no other begins meanwhile.
pub(crate) async fn is_alone(app: &App, run: &Run) -> Result<bool, StoreError> {
    Ok(said_of(app, run).await?.is_some_and(|(config, alone)| config.alone || alone.is_some()))
}

/// It waits for a place at the agent where it is, which it has given away.
pub(crate) async fn wait_to_rise(app: &App, run: &Run, agent: u64) -> Result<(), StoreError> {
    let item = item_of(app, run, said_of(app, run).await?.as_ref());
    // Before others of its project: it has waited for its turn already.
    let item = Item { labels: Expression::label(label_of_agent(agent)), priority: i32::MAX, limit_ms: None, ..item };
    app.hub.keep_for_later(app.waiting.tell(Event::Queued(item)));
    Ok(())
}

/// It has its place again, whoever has it by now: until one of them ends there is one more than there are.
pub(crate) async fn rise(app: &App, run: &Run, agent: u64) -> Result<(), StoreError> {
    let item = item_of(app, run, said_of(app, run).await?.as_ref());
    app.hub.keep_for_later(app.waiting.tell(Event::Found { item, agent: AgentId(agent) }));
    Ok(())
}

/// A project was changed: its waiting runs wait as it says now.
pub(crate) async fn changed(app: &App, project: &Project) -> Result<(), StoreError> {
    set_terms(app, project);
    let filter =
        RunFilter { projects: Some(vec![project.id]), unfinished: true, limit: u32::MAX >> 1, ..RunFilter::default() };
    // One that is under way keeps its place, or waits for the one that it has given away.
    for run in app.store.runs(&filter).await?.into_iter().filter(|run| run.status == Status::Queued) {
        app.hub.keep_for_later(app.waiting.tell(Event::Withdrawn { run: run.id }));
    }
    app.waiting.look_again();
    app.hub.wake();
    Ok(())
}

/// Tells the line of runs that are new in the store.
pub(crate) async fn take_in(app: &Arc<App>) -> Result<(), StoreError> {
    loop {
        let mut at = app.waiting.state().newest;
        let runs = app.store.queued_after(at, PAGE).await?;
        for run in &runs {
            queued(app, run).await?;
            let mut state = app.waiting.state();
            // Somebody wants all of it to be looked at again.
            if state.newest != at {
                break;
            }
            (state.newest, at) = (run.id, run.id);
        }
        if runs.len() < PAGE as usize {
            return Ok(());
        }
    }
}

/// A run waits: a new one, one that was approved, one whose agent was lost.
pub(crate) async fn queued(app: &Arc<App>, run: &Run) -> Result<(), StoreError> {
    // First, and each time that it is looked at: nothing of the rest need come about.
    app.waiting.will_wake(run);
    if takes_its_place(app, run).await? || app.waiting.knows(run.id) {
        return Ok(());
    }
    let said = said_of(app, run).await?;
    wait(app, run, said.as_ref()).await?;
    match said {
        Some((config, Some(Alone { abort_previous: true }))) => end_previous(app, run, &config).await,
        _ => Ok(()),
    }
}

/// A run that has lost its agent, or has left it, and has locked something waits for nobody: the place may be the one's that waits for the lock. False: it
/// has not, or nobody is there for it.
async fn takes_its_place(app: &Arc<App>, run: &Run) -> Result<bool, StoreError> {
    if run.started_at.is_none() || app.waiting.place_of(run.id).is_some() || app.store.locks_of(run.id).await?.held == 0
    {
        return Ok(false);
    }
    let item = item_of(app, run, said_of(app, run).await?.as_ref());
    let Some((agent, _)) = app.hub.any_agent(&item.labels, run.id.0) else { return Ok(false) };
    app.hub.keep_for_later(app.waiting.tell(Event::Found { item, agent: AgentId(agent) }));
    crate::hub::start_keeper(app, run.clone());
    Ok(true)
}

/// It waits from now on, as it is.
async fn wait(app: &Arc<App>, run: &Run, said: Option<&(ProjectConfig, Option<Alone>)>) -> Result<(), StoreError> {
    if takes_its_place(app, run).await? {
        return Ok(());
    }
    let item = item_of(app, run, said);
    // No time passes between the two: whoever has it wait too has it wait before, or not at all.
    let mut commands = app.waiting.tell(Event::Withdrawn { run: run.id });
    commands.extend(app.waiting.tell(Event::Queued(item)));
    perform(app, commands).await;
    Ok(())
}

/// What a run's project says, and how the definition of its branch wants runs to live with each other.
async fn said_of(app: &App, run: &Run) -> Result<Option<(ProjectConfig, Option<Alone>)>, StoreError> {
    let project = app.store.project(&run.project_name).await?;
    let config = project.and_then(|project| serde_json::from_value::<ProjectConfig>(project.config).ok());
    let Some(config) = config else { return Ok(None) };
    let alone = properties::of_run(app, run, &config).await?.alone;
    Ok(Some((config, alone)))
}

/// Ends older runs of a branch that has asked for that (`disableConcurrentBuilds abortPrevious: true`).
async fn end_previous(app: &Arc<App>, run: &Run, config: &ProjectConfig) -> Result<(), StoreError> {
    let (branch, name) = (properties::branch_of(run, config), run.facts.branch());
    // What nobody waits for ends nothing that somebody does.
    let is_older = |older: &Run| {
        let is_same = properties::branch_of(older, config) == branch && older.facts.branch() == name;
        older.id < run.id && is_same && (!is_of_herd(run) || is_of_herd(older))
    };
    let reason = superseded(run.number);
    end_all(app, (run.project, None), Why::Superseded(&reason), is_older).await
}

/// Does what the line says.
pub(crate) async fn perform(app: &Arc<App>, commands: Vec<Command>) {
    for command in commands {
        let (run, reason) = match command {
            // It had given its place away. One that is over by then says so itself.
            Command::Place { run, .. } if app.waiting.has_risen(run) => {
                app.hub.tell_keeper(run, ToKeeper::Risen);
                continue;
            }
            Command::Place { run, .. } => {
                match app.store.run(run).await {
                    Ok(Some(found)) if found.status == Status::Queued && found.held.is_none() => {
                        crate::hub::start_keeper(app, found);
                    }
                    // It was given it while it took it.
                    Ok(Some(found)) if found.status == Status::Running && app.hub.keeps(run) => {}
                    Ok(_) => app.hub.keep_for_later(app.waiting.tell(Event::Finished { run })),
                    Err(error) => {
                        tracing::warn!(%run, %error, "a run cannot be begun");
                        app.hub.keep_for_later(app.waiting.tell(Event::Finished { run }));
                        app.waiting.look_again();
                    }
                }
                continue;
            }
            Command::Expire { run } => (run, "It has waited for longer than it was to".to_owned()),
            Command::Supersede { run, by } => {
                let newer = app.store.run(by).await.ok().flatten();
                (run, superseded(newer.map_or(by.0, |newer| newer.number)))
            }
        };
        let ended = match app.store.run(run).await {
            // It was said that it waits for too long, and not that it is to end: meanwhile it may have a place.
            Ok(Some(found)) if found.status != Status::Queued || app.waiting.place_of(run).is_some() => Ok(()),
            Ok(Some(found)) => crate::http::end(app, &Actor::server(), &found, &reason).await.map(drop),
            found => found.map(drop),
        };
        if let Err(error) = ended {
            tracing::warn!(%run, %error, "a run cannot be ended");
            app.waiting.look_again();
        }
    }
}

/// A job of a run waits for a place at an agent that has what it needs.
pub(crate) async fn job_queued(app: &App, run: &Run, job: JobId, needs: &Needs) -> Result<(), StoreError> {
    let item = item_of_job(app, run, needs).await?;
    app.waiting.jobs.queued(job, item, app.waiting.now());
    app.hub.wake();
    Ok(())
}

async fn item_of_job(app: &App, run: &Run, needs: &Needs) -> Result<Item, StoreError> {
    // Whatever its run has come to hear: this goes to where it can be.
    let run = Run { needs: Some(needs.clone()), wakes_at: None, abort_reason: None, ..run.clone() };
    Ok(item_of(app, &run, said_of(app, &run).await?.as_ref()))
}

fn item_of(app: &App, run: &Run, said: Option<&(ProjectConfig, Option<Alone>)>) -> Item {
    let mut item = Item::new(run.id, run.project_name.as_str());
    // One that had a place before did not wait all the time since it was asked for.
    item.waited_ms = if run.started_at.is_none() { app.now().saturating_sub(run.queued_at) } else { 0 };
    let is_of_clock = run
        .facts
        .causes
        .first()
        .is_some_and(|cause| cause.class.contains("TimerTrigger") || cause.class == TARGET_MOVED);
    item.class = if is_of_clock { Class::Background } else { Class::Interactive };
    item.image = app.waiting.image_of(&run.project_name);
    let is_awake = is_awake(app, run);
    let of_project = said.map(|(config, _)| config);
    item.labels = if is_awake { wakes::needed(run, of_project) } else { needed(run, of_project) };
    let Some((config, wanted)) = said else { return item };
    item.resources = config.resources();
    // Its time has come.
    item.priority = if is_awake { i32::MAX } else { run.priority.unwrap_or(config.priority) };
    let branch = run.facts.branch();
    let revision = run.revision.as_deref().map(|name| name.strip_prefix("refs/heads/").unwrap_or(name));
    let name = branch.or(revision).or_else(|| config.source.branch()).unwrap_or_default();
    // What is about to end waits for no other of its branch, and not for long.
    let ends = is_awake && run.abort_reason.is_some();
    let alone = (config.alone || wanted.is_some()) && !ends;
    item.branch = Some(Branch { name: name.into(), alone, yields: false });
    let limit_ms = config.queue_minutes.map(|minutes| minutes.saturating_mul(60_000));
    item.limit_ms = if ends { Some(wakes::LONGEST_END_MS) } else { limit_ms };
    item
}

/// The labels that a project wants its agents to have.
pub(crate) fn of_project(config: &ProjectConfig) -> Expression {
    // It was read when the project was made.
    config.label.as_ref().and_then(|label| label.parse().ok()).unwrap_or_else(Expression::any)
}

/// What a run asks of an agent: what its project does, and what it needs itself. Before its first job asks for a place, its trust is all
/// that is known; that any agent has containers is taken for granted until then, for a job without an image needs none.
pub(crate) fn needed(run: &Run, config: Option<&ProjectConfig>) -> Expression {
    let of_project = config.map(of_project);
    let trusted = Some(run.trust.minimum()).filter(|rung| *rung > Rung::Container);
    let rung = trusted.max(run.needs.as_ref().map(|needs| needs.rung));
    let of_rung = rung.map(|rung| Expression::label(label_of(rung)));
    let engine = run.needs.as_ref().is_some_and(|needs| needs.engine).then(|| Expression::label(ENGINE));
    // It was read when the run was moved for it.
    let own = run.needs.as_ref().and_then(|needs| needs.label.as_ref()?.parse().ok());
    [of_project, of_rung, engine, own].into_iter().flatten().fold(Expression::any(), Expression::and)
}
