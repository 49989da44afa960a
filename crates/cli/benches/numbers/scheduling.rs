//! The line of runs: how many a second get a place while so many others wait. Nothing is run, and nothing is written down but in the last rows: there a
//! run is made, leased and finished in the store, each a transaction with its row in the audit.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use model::ids::RunId;
use model::outcome::Outcome;
use model::run::RunEnd;
use queue::line::{AgentId, Command, Event, Item, Line, LineSettings, Moment, Resources};

use store::{Actor, NewRun, Store, StoreError};

use super::ingest::opened;
use super::measure::Table;

const WAITING: [u64; 4] = [10, 1_000, 100_000, 1_000_000];
const AGENTS: u64 = 50;
const PLACES: u32 = 4;
/// Of different sizes, so that fair shares differ.
const PROJECTS: u64 = 100;
const LABELS: [&str; 4] = ["linux", "linux && !arm", "docker || kvm", ""];
/// Runs that end, and are followed by others, in one round.
const COUNT: usize = 2_000;
const ROUNDS: usize = 15;

/// What waits, and what has places.
struct Full {
    line: Line,
    next: u64,
    now: u64,
    placed: VecDeque<RunId>,
}

impl Full {
    fn of(waiting: u64) -> Full {
        let line = Line::new(LineSettings::default()).expect("the settings");
        let mut full = Full { line, next: 0, now: 0, placed: VecDeque::new() };
        for agent in 0..AGENTS {
            let labels = ["linux", if agent % 2 == 0 { "docker" } else { "arm" }].into_iter().collect();
            let (agent, resources) = (AgentId(agent), Resources::default());
            full.tell(Event::AgentCame { agent, labels, places: PLACES, resources, images: Vec::new() });
        }
        for _ in 0..waiting + AGENTS * u64::from(PLACES) {
            full.ask();
        }
        full
    }

    fn tell(&mut self, event: Event) {
        self.now += 1;
        for command in self.line.handle(event, Moment(self.now)) {
            if let Command::Place { run, .. } = command {
                self.placed.push_back(run);
            }
        }
    }

    fn ask(&mut self) {
        self.next += 1;
        let mut item = Item::new(RunId(self.next), format!("project-{}", self.next * self.next % PROJECTS).as_str());
        let label = LABELS[self.next as usize % LABELS.len()];
        if !label.is_empty() {
            item.labels = label.parse().expect("an expression");
        }
        self.tell(Event::Queued(item));
    }

    /// One ends, one more is asked for.
    fn turn(&mut self) {
        let ended = self.placed.pop_front().expect("all places are taken");
        self.tell(Event::Finished { run: ended });
        self.ask();
    }
}

/// Runs that are written down in one round, and by how many at once.
const WRITTEN: usize = 640;
const WRITERS: usize = 16;
const MANY: usize = 64;
/// Runs that are in the store and wait meanwhile.
const QUEUED: usize = 100_000;

/// So many more wait.
async fn wait(store: &Store, count: usize) -> Result<(), StoreError> {
    for _ in 0..count {
        store.create_run(&Actor::server(), "app", NewRun::default(), 1).await?;
    }
    Ok(())
}

async fn write(store: &Store, count: usize) -> Result<(), StoreError> {
    let end = RunEnd { outcome: Outcome::Success, failure: None, timed_out: false, aborted: false, message: None };
    for _ in 0..count {
        let run = store.create_run(&Actor::server(), "app", NewRun::default(), 1).await?;
        store.lease_run(run.id, run.epoch, 1, 2).await?;
        store.finish_run(run.id, &end, 3).await?;
    }
    Ok(())
}

async fn written(table: &mut Table, url: &str) -> Result<(), StoreError> {
    let store = opened(url).await?;
    let config = serde_json::json!({ "source": { "folder": "/nowhere" } });
    store.put_project(&Actor::server(), "app", &config, &config, 1).await?;
    for (queued, writers) in [(0, 1), (0, WRITERS), (0, MANY), (QUEUED, 1), (QUEUED, MANY)] {
        if queued > 0 && writers == 1 {
            let all = (0..MANY).map(|_| wait(&store, queued / MANY));
            futures_util::future::try_join_all(all).await?;
        }
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let all = (0..writers).map(|_| write(&store, WRITTEN / writers));
            futures_util::future::try_join_all(all).await?;
            rates.push((WRITTEN / writers * writers) as f64 / began.elapsed().as_secs_f64());
        }
        let name = format!("in SQLite, made, leased and finished, {writers} at once, while {queued} wait");
        table.push(&name, "/s", rates);
    }
    Ok(())
}

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("scheduling: runs that get a place");
    for waiting in WAITING {
        let mut full = Full::of(waiting);
        let rates = (0..ROUNDS).map(|_| {
            let began = Instant::now();
            (0..COUNT).for_each(|_| full.turn());
            COUNT as f64 / began.elapsed().as_secs_f64()
        });
        table.push(&format!("while {waiting} wait"), "/s", rates.collect());
    }
    let folder = scratch.join("scheduling");
    let made = std::fs::create_dir_all(&folder).map_err(|error| error.to_string());
    let written = made.and_then(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let url = format!("sqlite:{}", folder.join("db").display());
        let written = runtime.map_err(|error| error.to_string())?.block_on(written(&mut table, &url));
        written.map_err(|error| error.to_string())
    });
    if let Err(error) = written {
        table.notes.push(format!("skipped: {error}"));
    }
    table
}
