//! What a seed is about: projects, agents, and what goes wrong. Each seed has some of it, so that what one fault hides another seed shows.

use model::rung::Rung;
use serde_json::{Value, json};
use wire::agent::Offers;

use crate::dice::Dice;
use crate::network::Latency;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server is killed while it rests.
    Kill,
    /// The server is killed in the middle of something.
    KillWithin,
    /// An agent's process dies, with what it had.
    Death,
    /// An agent is away for a while, and comes back with what it had.
    Absence,
    /// A connection breaks.
    Break,
    /// Nothing comes through a connection any more.
    Silence,
    /// The server's clock is set.
    Jump,
    /// An agent says again what it has said.
    Echo,
    /// An agent speaks of what is not its own.
    Lie,
    /// An engine dies.
    EngineLoss,
    /// A project is changed.
    Change,
    /// The place for blobs is away, or is back.
    Place,
    /// The disk of the database is full, or has room again.
    Full,
}

const FAULTS: [Fault; 13] = [
    Fault::Kill,
    Fault::KillWithin,
    Fault::Death,
    Fault::Absence,
    Fault::Break,
    Fault::Silence,
    Fault::Jump,
    Fault::Echo,
    Fault::Lie,
    Fault::EngineLoss,
    Fault::Change,
    Fault::Place,
    Fault::Full,
];

/// What webhooks are signed with.
pub(crate) const SECRET: &str = "it is known to both of them";

pub(crate) struct Plan {
    pub(crate) latency: Latency,
    pub(crate) faults: Vec<Fault>,
    /// Between two faults while there are any, in milliseconds.
    pub(crate) fault_every: u64,
    /// Between two things that people do.
    pub(crate) people_every: u64,
    /// The longest step while something is under way.
    pub(crate) grain: u64,
    /// How long the server waits for an agent, in seconds.
    pub(crate) patience: u64,
    /// How long the database takes for each use at most, in milliseconds.
    pub(crate) slowness: u64,
    pub(crate) projects: Vec<&'static str>,
    /// Places and labels of each agent.
    pub(crate) agents: Vec<(u32, Vec<&'static str>)>,
}

impl Plan {
    pub(crate) fn new(dice: &mut Dice) -> Plan {
        let all = ["app", "lib", "site", "tool"];
        let projects = all[..1 + dice.below(4) as usize].to_vec();
        let agents = (0..dice.between(1, 4)).map(|index| {
            // The first has all labels, so that no run waits for nobody.
            let labels = match (index, dice.below(3)) {
                (0, _) => vec!["linux", "gpu"],
                (_, 0) => vec!["gpu"],
                (_, 1) => vec!["linux"],
                _ => Vec::new(),
            };
            (dice.between(1, 3) as u32, labels)
        });
        let agents = agents.collect();
        let most = [5, 80, 1_500][dice.below(3) as usize];
        Plan {
            latency: Latency { least: 1, most },
            faults: FAULTS.into_iter().filter(|_| !dice.once_in(2)).collect(),
            fault_every: [4_000, 20_000, 90_000][dice.below(3) as usize],
            people_every: [6_000, 30_000, 60_000][dice.below(3) as usize],
            grain: [300, 1_000, 4_000][dice.below(3) as usize],
            slowness: [0, 0, 5, 60][dice.below(4) as usize],
            patience: [5, 60][dice.below(2) as usize],
            projects,
            agents,
        }
    }
}

/// What an agent has: machines with engines are where `linux` and `gpu` are, as the first agent always is.
pub(crate) fn offers(labels: &[String]) -> Offers {
    let has_machines = ["linux", "gpu"].iter().all(|label| labels.iter().any(|has| has == label));
    let rungs = if has_machines { vec![Rung::Container, Rung::Microvm] } else { vec![Rung::Process, Rung::Container] };
    Offers { rungs, engine: has_machines, ..Offers::default() }
}

/// A project as somebody might want it.
pub(crate) fn project(name: &str, dice: &mut Dice) -> Value {
    let mut config = json!({
        "source": { "git": { "url": format!("https://git.example.org/{name}"), "branch": "main" } },
        "hook": { "forge": "gitea", "secret": SECRET },
        "priority": dice.below(3),
        "approve_strangers": dice.once_in(2),
    });
    if dice.once_in(3) {
        config["weight"] = dice.between(1, 5).into();
    }
    if dice.once_in(3) {
        config["at_once"] = dice.between(1, 3).into();
    }
    if dice.once_in(3) {
        config["alone"] = true.into();
    }
    if dice.once_in(3) {
        config["label"] = ["linux", "gpu", "gpu && linux", "linux || !linux"][dice.below(4) as usize].into();
    }
    if dice.once_in(4) {
        config["queue_minutes"] = dice.between(1, 60).into();
    }
    if dice.once_in(3) {
        config["keep_runs"] = dice.between(1, 20).into();
    }
    if dice.once_in(4) {
        config["cron"] = ["H/15 * * * *", "H H * * *", "@hourly"][dice.below(3) as usize].into();
    }
    config
}
