//! Definitions that are to be read, and not run: each by an engine of its own, behind the same walls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::event::Event;
use model::library::LibraryPlace;
use model::outcome::Outcome;
use model::planning::{self, MAX_REQUESTS, MAX_VIRTUAL_MS};
use model::request::{Allocated, Reply, Request};
use model::run::RunFacts;
use tokio::sync::{Semaphore, mpsc};
use wire::agent::{Check, Checked, Definition, Plan, Source};
use wire::engine::{Begin, Finding, Heard, Input};

use super::fetch::{fetch, folder};
use super::{AgentConfig, Word};
use crate::engine::{EngineProgram, Kept};
use crate::failure::Trouble;
use crate::job::workspace_path;
use crate::library::{KnownLibrary, known as known_library};
use crate::scm::{LocalProject, Scm as _};

/// How long one may take, once it is its turn.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a repository may take to come before that.
const PATIENCE_TO_FETCH: Duration = Duration::from_secs(300);
/// So many are read at once.
pub(super) const MOST: usize = 2;
/// Of stages and of places, so many are told, of so many bytes: a stranger wrote them.
const MOST_TOLD: usize = 500;
const LONGEST_NAME: usize = 200;
const LONGEST_PLACE: usize = 2000;
/// Counts fetches: each has a folder of its own.
static FETCHES: AtomicU64 = AtomicU64::new(0);

/// Reads one in a task of its own, and tells what is known of it.
pub(super) fn start(
    config: Arc<AgentConfig>,
    (id, what): (u64, Check),
    turns: Arc<Semaphore>,
    inbox: mpsc::UnboundedSender<Word>,
) {
    tokio::spawn(async move {
        let found = async {
            let _turn = turns.acquire().await.map_err(|error| Trouble::infrastructure(error.to_string()))?;
            match what {
                Check::Text(text) => {
                    within(PATIENCE, "read", findings(&config.engine, text)).await.map(Checked::Findings)
                }
                Check::Plan { run, source, file, facts, libraries } => {
                    tracing::info!(%run, "a run is planned");
                    let fetched = fetched(&config, &source, &file);
                    let (definition, files, _folder) = within(PATIENCE_TO_FETCH, "fetched", fetched).await?;
                    let libraries: Vec<_> = libraries.into_iter().map(KnownLibrary::from).collect();
                    let plan = plan(&config, definition, (file, *facts), &files, &libraries);
                    let patience = if libraries.is_empty() { PATIENCE } else { PATIENCE_TO_FETCH };
                    within(patience, "read", plan).await.map(Checked::Plan)
                }
            }
        };
        let found: Result<_, Trouble> = found.await;
        let _ = inbox.send(Word::Checked(id, found.map_err(|trouble| trouble.0)));
    });
}

async fn within<T>(
    patience: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let late = |_| Err(Trouble::infrastructure(format!("it was not {what} within {} s", patience.as_secs())));
    tokio::time::timeout(patience, work).await.unwrap_or_else(late)
}

async fn findings(program: &EngineProgram, text: String) -> Result<Vec<Finding>, Trouble> {
    let facts = RunFacts { planning: true, ..RunFacts::default() };
    let begin = Begin { source: text, file_name: "Jenkinsfile".to_owned(), facts };
    match Kept::start(program.clone(), begin)?.next().await? {
        Heard::Begun(findings) | Heard::Invalid(findings) => Ok(findings),
        _ => Err(Trouble::infrastructure("the engine does not say what it has found")),
    }
}

/// A folder that goes with whoever has fetched into it, however that ends.
struct Fetched(PathBuf);

impl Drop for Fetched {
    fn drop(&mut self) {
        // What cannot be removed is taken away when the next agent starts.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The definition, the project's files, and where they are for as long as they are wanted.
async fn fetched(
    config: &AgentConfig,
    source: &Source,
    file: &str,
) -> Result<(Definition, LocalProject, Fetched), Trouble> {
    let what = format!("check-{}", FETCHES.fetch_add(1, Ordering::Relaxed));
    let folder = Fetched(folder(config, &what));
    let found = fetch(config, &what, source, file).await?;
    Ok((found.definition, found.files, folder))
}

/// What a run would ask for. Time is none: it goes on when nothing else does.
async fn plan(
    config: &AgentConfig,
    definition: Definition,
    (file_name, facts): (String, RunFacts),
    files: &LocalProject,
    libraries: &[KnownLibrary],
) -> Result<Plan, Trouble> {
    let facts = RunFacts { planning: true, step_files: definition.steps.clone(), ..facts };
    let job_name = facts.job_name.clone();
    let begin = Begin { source: definition.text.clone(), file_name, facts };
    let mut plan = Plan { definition, stages: Vec::new(), places: Vec::new(), incomplete: None };
    let mut engine = Kept::start(config.engine.clone(), begin)?;
    let (mut asked, mut timers) = (Vec::new(), BTreeMap::new());
    let (mut requests, mut now_ms, mut depends) = (0, 0_u64, false);
    loop {
        match engine.next_or_waits().await? {
            Some(Heard::Request(id, request)) => {
                requests += 1;
                if requests > MAX_REQUESTS {
                    return Ok(waits(plan));
                }
                add_place(&mut plan, &request);
                depends |= planning::depends(&request);
                let reply = match request {
                    Request::Sleep { ms } => {
                        timers.insert((now_ms.saturating_add(ms), id), id);
                        continue;
                    }
                    Request::Now => Reply::Time(now_ms),
                    Request::Checkout { .. } => Reply::CheckedOut(files.env().to_vec()),
                    Request::ReadTrusted { path } => match files.read(&path).await {
                        Ok(Some(content)) => Reply::Text(String::from_utf8_lossy(&content).into_owned()),
                        _ => Reply::from(Trouble::workload(format!("{path} is no file of this repository"))),
                    },
                    Request::Changes { since } => {
                        let found = files.changes(&since).await;
                        found.map_or_else(|error| Reply::from(Trouble::from(error)), Reply::Changes)
                    }
                    // One that a definition says the address of is fetched by a run alone, in a sandbox.
                    Request::Library(wish) if matches!(wish.place, LibraryPlace::Configured) => {
                        let found = known_library(libraries, &wish, &config.scratch).await;
                        found.map_or_else(Reply::from, Reply::Library)
                    }
                    request => match (planning::reply(&request), &request) {
                        // As it will be, for it stands in arguments.
                        (Reply::Allocated(place), Request::Allocate { agent, .. }) => {
                            Reply::Allocated(Allocated { workspace: workspace_path(agent, &job_name), ..place })
                        }
                        (reply, _) => reply,
                    },
                };
                asked.push((id, reply));
            }
            Some(Heard::Cancel(id)) => {
                timers.retain(|_, timer| *timer != id);
                asked.retain(|(other, _)| *other != id);
                asked.push((id, Reply::Cancelled));
            }
            Some(Heard::Event(Event::StageStarted { name, .. })) if plan.stages.len() < MOST_TOLD => {
                plan.stages.push(name.chars().take(LONGEST_NAME).collect());
            }
            Some(Heard::Invalid(findings)) => {
                let errors = findings.iter().filter(|finding| finding.is_error);
                let said: Vec<_> = errors.map(|finding| finding.message.as_str()).collect();
                return Ok(Plan {
                    incomplete: Some(format!("the definition is not valid: {}", said.join("; "))),
                    ..plan
                });
            }
            Some(Heard::Ended(end)) => {
                if end.outcome == Outcome::Failure {
                    let message = end.message.unwrap_or_else(|| "a step".to_owned());
                    return Ok(incomplete(plan, &format!("a part of it needs what only a run brings ({message})")));
                }
                if depends && plan.incomplete.is_none() {
                    return Ok(incomplete(plan, planning::DEPENDS));
                }
                return Ok(plan);
            }
            Some(_) => {}
            None => {
                if asked.is_empty() {
                    let Some(((due_ms, _), id)) = timers.pop_first() else { return Ok(waits(plan)) };
                    now_ms = due_ms;
                    asked.push((id, Reply::Done));
                }
                if now_ms > MAX_VIRTUAL_MS {
                    return Ok(waits(plan));
                }
                for (id, reply) in asked.drain(..) {
                    engine.give(Input::Answer { id, reply })?;
                }
            }
        }
    }
}

fn add_place(plan: &mut Plan, request: &Request) {
    let Some(place) = planning::place(request).filter(|place| !plan.places.contains(place)) else { return };
    match plan.places.len() < MOST_TOLD && place.len() <= LONGEST_PLACE {
        true => plan.places.push(place),
        false => plan.incomplete = Some("it asks for more places, or longer ones, than are told".to_owned()),
    }
}

fn incomplete(plan: Plan, why: &str) -> Plan {
    Plan { incomplete: Some(why.chars().take(LONGEST_PLACE).collect()), ..plan }
}

fn waits(plan: Plan) -> Plan {
    incomplete(plan, "it waits for something that only a run brings")
}
