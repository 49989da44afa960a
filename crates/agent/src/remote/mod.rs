//! The agent of a server: takes leases of runs over a connection that it opens itself, and does what their engines ask for.
//!
//! ```text
//!   server ◀── connection (opened again and again) ──▶ Agent (one task) ──▶ seat: engine process, Performer, report
//! ```
//!
//! Nothing that is leased ends with a connection: what happens meanwhile is kept in the seat's report, up to a limit at which workloads wait.
//!
//! Never: takes a run that it was not given, says anything of a lease that it has lost, hands its key to anything that it starts.

mod answer;
mod check;
mod connection;
mod download;
pub(crate) mod fetch;
mod seat;
mod upload;

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::event::Event;
use model::ids::RequestId;
use model::request::{Failure, Reply};
use model::resources::Resources;
use model::rung::Trust;
use tokio::sync::{Notify, Semaphore, mpsc};
use wire::agent::{Checked, FromAgent, Lease, Offers, ToAgent};
use wire::engine::Said;

use crate::engine::EngineProgram;
use crate::failure::Trouble;
use crate::host::Host;
use crate::library::KnownLibrary;
use crate::scm::LocalProject;

use fetch::Found;
use seat::Seat;
use upload::Uploader;

pub(crate) use upload::ServerFiles;

/// Makes what runs are performed with.
pub trait Hosts: Send + Sync {
    /// For one run.
    fn host(&self, of: &RunOf, files: LocalProject) -> Result<Host, Trouble>;

    /// So many runs of a project wait.
    fn waits(&self, project: &str, count: u64);

    /// What it has for runs now. May take a while: files are read.
    fn offers(&self) -> Offers;
}

/// What a run is of.
#[derive(Clone, Debug)]
pub struct RunOf {
    /// Name of its project.
    pub project: String,
    /// Whose code it is.
    pub trust: Trust,
    /// What each of its jobs may use, where its project says so.
    pub resources: Resources,
    /// Text in which names of images may stand: its definition, and what its project builds images with.
    pub mentions: String,
    /// The libraries that it may ask for.
    pub libraries: Vec<KnownLibrary>,
}

/// How an agent works.
#[derive(Clone)]
pub struct AgentConfig {
    /// The server: `https://HOST:PORT`, `http://…`.
    pub server: String,
    /// The key that it was enrolled with.
    pub key: String,
    /// Runs that it takes at once.
    pub runs: u32,
    /// What it is, for projects that ask for such agents.
    pub labels: Vec<String>,
    /// Folders of this machine may be projects.
    pub folders: bool,
    /// What evaluates runs.
    pub engine: EngineProgram,
    /// What runs are performed with.
    pub hosts: Arc<dyn Hosts>,
    /// Folder for what is in between.
    pub scratch: PathBuf,
}

/// How long the end of everything may take.
const STOPPING: Duration = Duration::from_secs(30);
/// How often it is looked at what this machine has for runs: guests and programs come and go.
const LOOK: Duration = Duration::from_secs(30);

/// What the agent's task hears.
enum Word {
    /// The server can be spoken to.
    Connected(mpsc::UnboundedSender<FromAgent>),
    /// No more.
    Disconnected,
    Server(ToAgent),
    Found(Lease, Result<Found, Failure>),
    Said(Lease, u64, Vec<Said>),
    EngineEnded(Lease, u64, String),
    Replied(Lease, RequestId, Reply),
    Happened(Lease, Event),
    /// Every sandbox of a lease has ended.
    Closed(Lease),
    /// This machine has other things for runs than before.
    Offers(Offers),
    /// What was found in a definition.
    Checked(u64, Result<Checked, Failure>),
}

/// Works until it is to stop; then everything of its runs is ended here, and the server, which hears nothing more, gives them to others.
///
/// # Errors
/// The server does not know the key.
pub async fn work(config: AgentConfig, stop: impl Future<Output = ()>) -> Result<(), Trouble> {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let config = Arc::new(config);
    let offers = look(&config.hosts).await;
    let again = Arc::new(Notify::new());
    let looks = keep_looking(Arc::clone(&config.hosts), offers.clone(), Arc::clone(&again), sender.clone());
    let mut connection = tokio::spawn(connection::keep_connected(Arc::clone(&config), sender.clone()));
    let uploader = Uploader::new(&config)?;
    let checks = Arc::new(Semaphore::new(check::MOST));
    let mut agent =
        Agent { config, uploader, inbox: sender, server: None, seats: HashMap::new(), offers, again, checks };
    tokio::pin!(stop, looks);
    loop {
        tokio::select! {
            ended = &mut connection => {
                return ended.unwrap_or_else(|error| Err(Trouble::infrastructure(error.to_string())));
            }
            never = &mut looks => match never {},
            () = &mut stop => {
                connection.abort();
                // An agent that cannot end what it has leaves that to the end of its process.
                let _ = tokio::time::timeout(STOPPING, agent.end_all(&mut inbox)).await;
                return Ok(());
            }
            Some(word) = inbox.recv() => {
                agent.hear(word);
                // What came meanwhile is reported together.
                while let Ok(word) = inbox.try_recv() {
                    agent.hear(word);
                }
                agent.report();
            }
        }
    }
}

async fn look(hosts: &Arc<dyn Hosts>) -> Offers {
    let hosts = Arc::clone(hosts);
    tokio::task::spawn_blocking(move || hosts.offers()).await.unwrap_or_default()
}

/// Tells when this machine has other things than before. Looks now and then, and where there is reason to.
async fn keep_looking(
    hosts: Arc<dyn Hosts>,
    mut known: Offers,
    again: Arc<Notify>,
    inbox: mpsc::UnboundedSender<Word>,
) -> Infallible {
    loop {
        let _ = tokio::time::timeout(LOOK, again.notified()).await;
        let offers = look(&hosts).await;
        if offers != known {
            // Nobody hears it where the agent ends.
            let _ = inbox.send(Word::Offers(offers.clone()));
        }
        known = offers;
    }
}

struct Agent {
    config: Arc<AgentConfig>,
    uploader: Uploader,
    inbox: mpsc::UnboundedSender<Word>,
    server: Option<mpsc::UnboundedSender<FromAgent>>,
    seats: HashMap<Lease, Seat>,
    /// What this machine has for runs.
    offers: Offers,
    /// There is reason to look at that again.
    again: Arc<Notify>,
    /// Definitions that may be read now.
    checks: Arc<Semaphore>,
}

impl Agent {
    fn hear(&mut self, word: Word) {
        match word {
            Word::Connected(server) => {
                let held = self.seats.keys().copied().collect();
                let AgentConfig { runs, labels, .. } = self.config.as_ref();
                let (runs, labels, offers) = (*runs, labels.clone(), self.offers.clone());
                let hello = FromAgent::Hello { version: wire::agent::VERSION, runs, held, labels, offers };
                let _ = server.send(hello);
                self.server = Some(server);
            }
            Word::Disconnected => {
                self.server = None;
                // The server begins with new ones.
                self.seats.values_mut().for_each(Seat::lose_connection);
            }
            Word::Server(message) => self.told(message),
            Word::Found(lease, found) => {
                let Some(seat) = self.seats.get_mut(&lease) else { return };
                let definition = seat.found(found, &self.config, &self.uploader);
                self.say(FromAgent::Found { lease, definition });
            }
            Word::Said(lease, engine, said) => {
                if self.seats.get_mut(&lease).is_some_and(|seat| seat.engine_said(engine, &said)) {
                    self.say(FromAgent::Said { lease, engine, said });
                }
            }
            Word::EngineEnded(lease, engine, reason) => {
                // After its last word it ends, and nobody has lost it.
                if self.seats.get(&lease).is_some_and(|seat| seat.engine_is(engine) && !seat.engine_is_done()) {
                    self.say(FromAgent::EngineLost { lease, engine, reason });
                }
            }
            Word::Replied(lease, id, reply) => {
                let Some(seat) = self.seats.get_mut(&lease) else { return };
                seat.replied(id, reply.clone());
                self.say(FromAgent::Answered { lease, id, reply });
            }
            Word::Happened(lease, event) => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    seat.happened(event);
                }
            }
            Word::Closed(lease) => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    seat.is_closed = true;
                }
                // It may have left an image.
                self.again.notify_one();
            }
            Word::Offers(offers) => {
                self.offers = offers.clone();
                self.say(FromAgent::Offers(offers));
            }
            Word::Checked(id, found) => self.say(FromAgent::Checked { id, found }),
        }
    }

    fn told(&mut self, message: ToAgent) {
        match message {
            ToAgent::Lease { lease, token, source, file, project, trust, resources, libraries, reported } => {
                // An older lease of the run is none any more; those of jobs are none of the run's.
                let is_own = |held: &Lease| held.run == lease.run && held.job().is_none() && lease.job().is_none();
                let old: Vec<_> = self.seats.keys().copied().filter(|held| is_own(held) && *held != lease).collect();
                old.into_iter().for_each(|lease| self.release(lease));
                let seat = self.seats.entry(lease).or_insert_with(|| {
                    let libraries = libraries.into_iter().map(KnownLibrary::from).collect();
                    let of = RunOf { project, trust, resources, mentions: String::new(), libraries };
                    let mut seat = Seat::new((lease, token), of, reported, self.inbox.clone());
                    if lease.job().is_none() {
                        seat.start_ahead(&self.config.engine);
                    }
                    fetch::start(Arc::clone(&self.config), lease, source, file, self.inbox.clone());
                    seat
                });
                seat.resend(reported);
                let known = seat.definition.clone();
                let answers = seat.answers();
                if let Some(definition) = known {
                    self.say(FromAgent::Found { lease, definition });
                }
                for (id, reply) in answers {
                    self.say(FromAgent::Answered { lease, id, reply });
                }
            }
            ToAgent::Tell { lease, engine, words } => {
                let program = self.config.engine.clone();
                if let Some(seat) = self.seats.get_mut(&lease)
                    && let Err(reason) = seat.tell_engine(&program, engine, &words)
                {
                    self.say(FromAgent::EngineLost { lease, engine, reason });
                }
            }
            ToAgent::Heard { lease, engine } => {
                if let Some(seat) = self.seats.get(&lease) {
                    seat.engine_heard(engine);
                }
            }
            ToAgent::Perform { lease, id, request } => {
                let Some(seat) = self.seats.get_mut(&lease) else { return };
                if let Some(reply) = seat.perform(id, request) {
                    self.say(FromAgent::Answered { lease, id, reply });
                }
            }
            ToAgent::Cancel { lease, id } => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    seat.cancel(id);
                }
            }
            ToAgent::AnswerKept { lease, id } => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    seat.answer_kept(id);
                }
            }
            ToAgent::Kept { lease, reported } => {
                if let Some(seat) = self.seats.get_mut(&lease) {
                    seat.kept(reported);
                }
            }
            ToAgent::Release { lease, forget } => match self.seats.get_mut(&lease) {
                Some(seat) => {
                    if forget {
                        seat.forget();
                    }
                    seat.release();
                }
                None if forget => {}
                None => self.say(FromAgent::Released { lease }),
            },
            ToAgent::Check { id, what } => {
                check::start(Arc::clone(&self.config), (id, what), Arc::clone(&self.checks), self.inbox.clone());
            }
            ToAgent::Waiting { projects } => {
                projects.iter().for_each(|(project, count)| self.config.hosts.waits(project, *count));
            }
        }
    }

    /// Without a word to the server: what is ended here is none of the runs' doing.
    async fn end_all(&mut self, inbox: &mut mpsc::UnboundedReceiver<Word>) {
        self.server = None;
        for seat in self.seats.values_mut() {
            seat.forget();
            seat.release();
        }
        while self.seats.values().any(|seat| !seat.is_closed) {
            match inbox.recv().await {
                Some(Word::Connected(_) | Word::Server(_)) | None => {}
                Some(word) => self.hear(word),
            }
        }
    }

    fn release(&mut self, lease: Lease) {
        if let Some(seat) = self.seats.get_mut(&lease) {
            seat.release();
        }
    }

    /// Says what is new, and what has been said to its end.
    fn report(&mut self) {
        if self.server.is_none() {
            return;
        }
        let (mut messages, mut over) = (Vec::new(), Vec::new());
        for (lease, seat) in &mut self.seats {
            while let Some((first, items)) = seat.next_report() {
                messages.push(FromAgent::Report { lease: *lease, first, items });
            }
            if seat.is_over() {
                over.push(*lease);
            }
        }
        messages.into_iter().for_each(|message| self.say(message));
        for lease in over {
            let is_forgotten = self.seats.remove(&lease).is_some_and(|seat| seat.is_forgotten());
            if !is_forgotten {
                self.say(FromAgent::Released { lease });
            }
        }
    }

    fn say(&self, message: FromAgent) {
        // Where there is nobody to hear, it is said again on the next connection.
        if let Some(server) = &self.server {
            let _ = server.send(message);
        }
    }
}
