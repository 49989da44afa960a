//! The loop: what comes next, when the server is at rest.
//!
//! ```text
//!   burst (people, faults) ──▶ calm: everything has to end ──▶ checkpoint ──▶ idle hours, in one leap or at their pace ──▶ burst …
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use model::ids::RunId;
use wire::agent::{FromAgent, ToAgent};

use crate::agent::{Agent, Around, Effect, Timer};
use crate::checker::{Checker, Ended};
use crate::deeds::Deeds;
use crate::dice::Dice;
use crate::ledger::{Host, Ledger};
use crate::life::{Home, Life, Rest, Slot, taken};
use crate::network::{Link, LinkId, Out};
use crate::people::{Asked, Pending};
use crate::plan::{Fault, Plan};
use crate::trace::{Trace, said};
use crate::{Options, Tally};

/// When it begins, in milliseconds since 1970: 2026-01-01.
const BEGAN: u64 = 1_767_225_600_000;
/// The longest step while the database is waited for.
const MOMENT: u64 = 10;
/// The longest step where nothing is under way.
const STRIDE: u64 = 15_000;
/// After so long without anything going wrong, what is left waits for a clock.
const PATIENCE: u64 = 40 * MINUTE;
pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// Something that comes.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message arrives at the server.
    Up(LinkId, FromAgent),
    /// A message arrives at an agent.
    Down(LinkId, usize, Box<ToAgent>),
    /// An agent sees that its connection has ended.
    Closed(LinkId, usize),
    Timer(usize, u64, Timer),
    Connect(usize),
    Beat(LinkId, usize),
    People,
    Fault,
    Offence,
    /// A server is started.
    Begin,
    /// Faults begin.
    Burst,
    /// Faults end.
    Calm,
    /// Whether everything has ended.
    Look(u32),
}

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    /// Milliseconds since it began.
    pub(crate) now: u64,
    /// By how much the server's clock was set.
    pub(crate) wall: i64,
    pub(crate) events: BTreeMap<(u64, u64), Event>,
    pub(crate) counted: u64,
    home: Home,
    /// The place for blobs refuses.
    pub(crate) blobs_away: Arc<AtomicBool>,
    pub(crate) life: Option<Life>,
    pub(crate) token: String,
    used: u64,
    pub(crate) agents: Vec<Agent>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) attached: Vec<Slot<bool>>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) deliveries: BTreeMap<(String, u64), Option<RunId>>,
    pub(crate) ledger: Ledger,
    pub(crate) deeds: Deeds,
    pub(crate) checker: Checker,
    pub(crate) ends: BTreeMap<RunId, Ended>,
    /// Since when nothing goes wrong; `None`: it does.
    pub(crate) calm_since: Option<u64>,
    /// Everything has ended, and nothing has begun since.
    pub(crate) rests: bool,
    pub(crate) until: u64,
    pub(crate) checkpoints: u64,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(options: Options) -> Result<World, String> {
        // In memory, where the machine has that: what is written is waited for.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("cofferdam-sim").tempdir_in(place);
        let folder = folder.map_err(|error| format!("no folder: {error}"))?;
        let mut dice = Dice::of(options.seed, 0);
        let plan = Plan::new(&mut dice);
        let database = format!("sqlite:{}", folder.path().join("db").display());
        let token = folder.path().join("token");
        let (blobs, blobs_away) = blob::Blobs::memory_that_may_be_away();
        let home = Home { token, patience: Duration::from_secs(plan.patience), database, blobs };
        Ok(World {
            checker: Checker::new(&home.database, (home.blobs.clone(), Arc::clone(&blobs_away)))?,
            trace: Trace::new(options.prints),
            ledger: Ledger::of(options.seed),
            options,
            plan,
            dice,
            tally: Tally::default(),
            now: 0,
            wall: 0,
            events: BTreeMap::new(),
            counted: 0,
            home,
            blobs_away,
            life: None,
            token: String::new(),
            used: 0,
            agents: Vec::new(),
            links: BTreeMap::new(),
            attached: Vec::new(),
            pending: Vec::new(),
            deliveries: BTreeMap::new(),
            deeds: Deeds::default(),
            ends: BTreeMap::new(),
            calm_since: None,
            rests: false,
            until: options.hours * HOUR,
            checkpoints: 0,
            _folder: folder,
        })
    }

    pub(crate) fn run(&mut self) -> Result<Tally, String> {
        self.set_up()?;
        while !self.rests || self.now < self.until {
            self.step()?;
        }
        self.checker.verify_audit(self.ledger.rows())?;
        self.look_at_ends(true)?;
        self.tally.ms = self.now;
        self.tally.digest = self.trace.digest();
        Ok(self.tally)
    }

    /// Projects and agents, before anything goes wrong.
    fn set_up(&mut self) -> Result<(), String> {
        self.begin(None)?;
        self.token = std::fs::read_to_string(&self.home.token).map_err(|error| error.to_string())?.trim().to_owned();
        for project in self.plan.projects.clone() {
            self.put_project(project)?;
        }
        self.settle()?;
        for (index, (runs, labels)) in self.plan.agents.clone().into_iter().enumerate() {
            let name = format!("agent-{index}");
            let token = self.answer_of("/api/v1/agents/tokens", None)?["token"].clone();
            let body = serde_json::json!({ "token": token, "name": name });
            let enrolled = self.answer_of("/agent/v1/enrol", Some(body))?;
            let (id, key) = (enrolled["id"].as_u64().unwrap_or(0), enrolled["key"].as_str().unwrap_or_default());
            let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
            let of_line = labels.iter().cloned().chain([name.clone()]).collect();
            self.ledger.hosts.insert(id, Host { runs, labels: of_line });
            self.agents.push(Agent::new(name, key.to_owned(), runs, labels));
            self.later(100, Event::Connect(index));
        }
        self.later(1_000, Event::Burst);
        Ok(())
    }

    /// A request whose answer is waited for.
    fn answer_of(&mut self, path: &str, body: Option<serde_json::Value>) -> Result<serde_json::Value, String> {
        self.ask(Asked::Page, "POST", path, body)?;
        let pending = self.pending.pop().ok_or("there is no server")?;
        loop {
            self.settle()?;
            match taken(&pending.slot) {
                Some((200 | 201, body)) => return Ok(body),
                None if self.now < pending.since + PATIENCE => self.pass(5)?,
                other => return Err(format!("{path}: {other:?}")),
            }
        }
    }

    pub(crate) fn later(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.counted += 1;
        self.events.insert((at.max(self.now), self.counted), event);
    }

    pub(crate) fn wall_now(&self) -> u64 {
        (BEGAN + self.now).saturating_add_signed(self.wall)
    }

    /// Some time passes, or what is due comes; then the server comes to rest.
    fn step(&mut self) -> Result<(), String> {
        let Some((&(at, _), _)) = self.events.first_key_value() else { return Err("nothing comes any more".into()) };
        if at > self.now {
            let waits = self.calm_since.is_some_and(|since| self.now > since + PATIENCE);
            let is_busy = !waits && self.ledger.under_way().next().is_some();
            let longest = if is_busy { self.plan.grain } else { STRIDE };
            let longest = if self.life.as_ref().is_some_and(Life::is_slow) { MOMENT } else { longest };
            return self.pass((at - self.now).min(longest));
        }
        // What comes at almost the same time may be there before anybody has looked at any of it.
        let soon = self.now + if self.dice.once_in(4) { self.dice.below(50) } else { 0 };
        // What follows from it comes later: time stands still here, and who waits for a moment of it would wait for ever.
        let known = self.counted;
        let is_known = |(key, _): &(&(u64, u64), &Event)| key.1 <= known;
        while let Some(key) = self.events.range(..=(soon, u64::MAX)).find(is_known).map(|(key, _)| *key) {
            let Some(event) = self.events.remove(&key) else { break };
            self.tally.events += 1;
            self.happens(event)?;
        }
        self.settle()
    }

    pub(crate) fn pass(&mut self, ms: u64) -> Result<(), String> {
        let rest = self.life.as_ref().map_or(Rest::Quiet, |life| life.pass(ms));
        self.now += ms;
        self.rested(rest)
    }

    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let rest = self.life.as_ref().map_or(Rest::Quiet, Life::settle);
        self.rested(rest)
    }

    /// The server is at rest, or dead: what it has said goes its ways, and what it has done is looked at.
    fn rested(&mut self, rest: Rest) -> Result<(), String> {
        let mut out = Vec::new();
        for (id, link) in &mut self.links {
            out.extend(link.drain().into_iter().map(|message| (*id, message)));
        }
        for (id, message) in out {
            self.server_says(id, message);
        }
        for (is_error, text) in said() {
            self.trace.line(self.now, &format!("server: {text}"));
            if is_error {
                return Err(format!("the server says: {text}"));
            }
        }
        let used = self.life.as_ref().map_or(0, Life::used);
        if used != self.used || rest == Rest::Killed {
            self.used = used;
            for run in self.ledger.follow(&self.checker, self.now)? {
                self.trace.line(self.now, &format!("  {run} has ended"));
                match self.checker.look_at(run, &self.deeds)? {
                    Some(ended) => drop(self.ends.insert(run, ended)),
                    // So many newer ones there were that it was not even kept for a look.
                    None if self.ledger.run(run).is_some_and(|known| !known.is_kept()) => {}
                    None => return Err(format!("{run} has ended, and is not there")),
                }
            }
        }
        for Pending { asked, since, slot } in std::mem::take(&mut self.pending) {
            match taken(&slot) {
                Some(answer) => self.answered(&asked, answer)?,
                None if rest == Rest::Killed => {}
                None if (self.plan.slowness > 0 || matches!(asked, Asked::Approval(_)))
                    && self.now < since + PATIENCE =>
                {
                    self.pending.push(Pending { asked, since, slot });
                }
                None => return Err(format!("{asked:?} is not answered")),
            }
        }
        for slot in std::mem::take(&mut self.attached) {
            match taken(&slot) {
                Some(true) => {}
                None if rest == Rest::Killed => {}
                None if self.plan.slowness > 0 => self.attached.push(slot),
                _ => return Err("an agent's key is not known any more".to_owned()),
            }
        }
        if rest == Rest::Killed {
            self.pending.clear();
            self.attached.clear();
        }
        if rest == Rest::Killed {
            self.bury();
        }
        Ok(())
    }

    fn server_says(&mut self, id: LinkId, message: Out) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let agent = link.agent;
        let (at, silent) = (link.down(self.now, self.plan.latency, &mut self.dice), link.is_silent);
        match message {
            Out::Says(message) if !silent => self.at(at, Event::Down(id, agent, message)),
            Out::Says(_) => {}
            Out::Closed => {
                self.links.remove(&id);
                if !silent {
                    self.at(at, Event::Closed(id, agent));
                }
            }
        }
    }

    /// The server is killed.
    pub(crate) fn kill(&mut self) {
        if self.life.is_some() {
            // What was asked since it rested, it has not even begun.
            self.pending.clear();
            self.attached.clear();
            self.bury();
        }
    }

    fn bury(&mut self) {
        self.trace.line(self.now, "the server is dead");
        self.tally.kills += 1;
        self.life = None;
        self.used = 0;
        for (id, link) in std::mem::take(&mut self.links) {
            if !link.is_silent {
                let after = self.dice.below(3_000);
                self.later(after, Event::Closed(id, link.agent));
            }
            // Of what was on its way, nothing comes, or all that does not come later than its end.
            if self.dice.once_in(2) {
                self.events.retain(|_, event| !matches!(event, Event::Down(of, ..) if *of == id));
            }
        }
        let after = self.dice.between(10, 100_000);
        self.later(after, Event::Begin);
    }

    /// A server begins, and may be killed when it has used its database so often.
    pub(crate) fn begin(&mut self, uses: Option<u32>) -> Result<(), String> {
        let life = Life::begin(&self.home, self.wall_now(), uses)?;
        self.trace.line(self.now, if life.is_some() { "a server begins" } else { "a server dies as it begins" });
        match life {
            Some(life) => {
                life.slow(self.plan.slowness, Dice::of(self.options.seed, self.now));
                self.life = Some(life);
            }
            None => {
                self.tally.kills += 1;
                self.later(1_000, Event::Begin);
            }
        }
        Ok(())
    }

    fn happens(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Up(id, message) => {
                if let Some(link) = self.links.get(&id) {
                    link.deliver(message);
                }
                Ok(())
            }
            Event::Down(id, index, message) => self.arrives(id, index, *message),
            Event::Timer(index, process, timer) => {
                if self.agents[index].process != process {
                    return Ok(());
                }
                self.with_agent(index, |agent, around| agent.woken(timer, around))
            }
            Event::Closed(id, index) => {
                if self.agents[index].link == Some(id) {
                    self.disconnect(index);
                }
                Ok(())
            }
            Event::Connect(index) => self.connect(index),
            Event::Beat(id, index) => {
                self.beat(id, index);
                Ok(())
            }
            Event::Begin => {
                let is_cut_short = self.calm_since.is_none() && self.plan.faults.contains(&Fault::KillWithin);
                let uses = (is_cut_short && self.dice.once_in(5)).then(|| self.dice.below(30) as u32);
                if self.life.is_none() { self.begin(uses) } else { Ok(()) }
            }
            Event::People if self.calm_since.is_none() => {
                let after = self.dice.below(2 * self.plan.people_every);
                self.later(after, Event::People);
                self.people()
            }
            Event::Fault if self.calm_since.is_none() => {
                let after = self.dice.below(2 * self.plan.fault_every);
                self.later(after, Event::Fault);
                self.fault()
            }
            Event::Offence => {
                self.later(7_000, Event::Offence);
                self.options.offence.map_or(Ok(()), |offence| self.offend(offence))
            }
            Event::People | Event::Fault => Ok(()),
            Event::Burst => self.burst(),
            Event::Calm => self.calm(),
            Event::Look(times) => self.look(times),
        }
    }

    pub(crate) fn with_agent(
        &mut self,
        index: usize,
        what: impl FnOnce(&mut Agent, &mut Around<'_>) -> Result<Vec<Effect>, String>,
    ) -> Result<(), String> {
        let wall = BEGAN + self.now;
        let Options { seed, offence, .. } = self.options;
        let mut around = Around { seed, wall, dice: &mut self.dice, deeds: &mut self.deeds, offence };
        let agent = &mut self.agents[index];
        let mut effects = what(agent, &mut around)?;
        effects.extend(agent.report(&mut around));
        let process = agent.process;
        for effect in effects {
            match effect {
                Effect::Say(message) => self.say(index, message),
                Effect::Later(ms, timer) => self.later(ms, Event::Timer(index, process, timer)),
            }
        }
        Ok(())
    }
}
