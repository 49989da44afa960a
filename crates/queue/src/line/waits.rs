//! Why a run waits, and what would change that.

use std::fmt;

use model::ids::RunId;

use super::event::{AgentId, BranchName, ProjectName};
use super::labels::{Difference, Expression};
use super::resources::Resources;

/// Whoever goes first is counted so far; the number itself stands for "or more".
pub const MOST_COUNTED: usize = 1000;
/// Of a longer list so many are named in a sentence.
const MOST_NAMED: usize = 5;

/// Why a run waits. Prints as one sentence that says what would change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// No agent is there.
    NoAgent,
    /// None of the agents that are there has such labels.
    NoneFits {
        /// What was asked for.
        labels: Expression,
        /// The agent with the smallest difference, where any difference makes it fit.
        nearest: Option<Nearest>,
    },
    /// The agents that fit take no runs.
    NoneTakes {
        /// They drain.
        draining: Vec<AgentId>,
        /// They have no places, neither taken nor free.
        without_places: Vec<AgentId>,
    },
    /// None of the agents that fit and take runs has so much, even when nobody else is there.
    TooLarge {
        /// It wants this.
        wants: Resources,
        /// The agent with most memory of them, and what that has.
        largest: (AgentId, Resources),
    },
    /// Places are free at agents that fit, and not as much of something else as it wants.
    NoRoom {
        /// It wants this, or where nothing is said as much as each place has.
        wants: Resources,
        /// By whom places are taken.
        taken: Taken,
    },
    /// As many runs of its project are under way as may be.
    AtLimit {
        /// That many.
        limit: u32,
        /// As many has it. More than the limit, where that was lowered.
        held: u32,
    },
    /// It runs alone on its branch, and another run of the branch is under way.
    BranchRuns {
        /// Which branch.
        branch: BranchName,
        /// The oldest of those.
        run: RunId,
    },
    /// All places that fit are taken, and other runs of its project go first.
    BehindOwn {
        /// By whom.
        taken: Taken,
        /// How many others, at most [`MOST_COUNTED`].
        runs: usize,
    },
    /// All places that fit are taken, and interactive work goes before that of the background.
    BehindInteractive {
        /// By whom.
        taken: Taken,
        /// How many other projects have such work, at most [`MOST_COUNTED`].
        projects: usize,
    },
    /// All places that fit are taken, and its project has had more of them than others.
    MoreThanShare {
        /// By whom.
        taken: Taken,
        /// How many other projects go first, at most [`MOST_COUNTED`].
        projects: usize,
    },
    /// All places that fit are taken; it gets the next one.
    AllTaken(Taken),
}

/// The agent whose labels differ least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// Which.
    pub agent: AgentId,
    /// By how much.
    pub difference: Difference,
}

/// Places of the agents that fit and take runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub places: u64,
    /// At how many agents.
    pub agents: usize,
    /// Who has them, whoever has most first. Found runs may be more than there are places.
    pub holders: Vec<(ProjectName, u64)>,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waits::NoAgent => f.write_str("no agent is connected: `cofferdam agent` on a build host makes one"),
            Waits::NoneFits { labels, nearest: None } => {
                write!(f, "no agent fits `{labels}`, and no other labels were found that would")
            }
            Waits::NoneFits { labels, nearest: Some(Nearest { agent, difference }) } => {
                write!(f, "no agent fits `{labels}`: {agent} is nearest, and would if it ")?;
                write_difference(f, difference)
            }
            Waits::NoneTakes { draining, without_places } => write_closed(f, draining, without_places),
            Waits::TooLarge { wants, largest: (agent, has) } => {
                write!(
                    f,
                    "it wants {wants}, and no agent that fits has so much ({agent} has {has}): a larger one takes it"
                )
            }
            Waits::NoRoom { wants, taken } => {
                write!(f, "it wants {wants}, which no agent that fits has free now (")?;
                write_holders(f, taken)?;
                f.write_str("): it goes when as much is free")
            }
            Waits::AtLimit { limit: 0, .. } => f.write_str("its project may have no places: a higher limit lets it go"),
            Waits::AtLimit { limit, held } => {
                let runs = counted(*held as usize, "run");
                write!(f, "its project has {runs} at once, and may have {limit}: one that ends, or a higher limit, ")?;
                f.write_str("lets it go")
            }
            Waits::BranchRuns { branch, run } => {
                write!(
                    f,
                    "{run} of the same branch ({branch}) is under way, and this one runs alone there: it goes when "
                )?;
                f.write_str("that ends")
            }
            Waits::BehindOwn { taken, runs: 1 } => write!(f, "{taken}, and another run of its project goes first"),
            Waits::BehindOwn { taken, runs } => {
                write!(f, "{taken}, and {} of its project go first", counted(*runs, "other run"))
            }
            Waits::BehindInteractive { taken, projects } => {
                write!(f, "{taken}, and interactive work of {} goes first", counted(*projects, "other project"))
            }
            Waits::MoreThanShare { taken, projects } => {
                let go = if *projects == 1 { "goes" } else { "go" };
                write!(f, "{taken}, and {} that had less by weight {go} first", counted(*projects, "other project"))
            }
            Waits::AllTaken(taken) => write!(f, "{taken}: the next that is free is for this one"),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agents = counted(self.agents, "agent");
        match (self.places, self.agents) {
            (1, _) => f.write_str("the only place that fits is taken")?,
            (places, 1) => write!(f, "all {places} places at the 1 agent that fits are taken")?,
            (places, _) => write!(f, "all {places} places at the {agents} that fit are taken")?,
        }
        f.write_str(" (")?;
        write_holders(f, self)?;
        f.write_str(")")
    }
}

fn write_holders(f: &mut fmt::Formatter<'_>, taken: &Taken) -> fmt::Result {
    let holders: Vec<_> = taken.holders.iter().map(|(project, places)| format!("{project} {places}")).collect();
    f.write_str(&listed(&holders))
}

fn write_difference(f: &mut fmt::Formatter<'_>, Difference { lacks, spare }: &Difference) -> fmt::Result {
    let quoted = |labels: &[std::sync::Arc<str>]| listed(&labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>());
    match (lacks.is_empty(), spare.is_empty()) {
        (_, true) => write!(f, "had {}", quoted(lacks)),
        (true, _) => write!(f, "had not {}", quoted(spare)),
        _ => write!(f, "had {} and not {}", quoted(lacks), quoted(spare)),
    }
}

fn write_closed(f: &mut fmt::Formatter<'_>, draining: &[AgentId], without: &[AgentId]) -> fmt::Result {
    f.write_str("no agent that fits takes runs (")?;
    let names = |agents: &[AgentId]| listed(&agents.iter().map(AgentId::to_string).collect::<Vec<_>>());
    let verb = |agents: &[AgentId], one: &'static str, more| if agents.len() == 1 { one } else { more };
    if !draining.is_empty() {
        write!(f, "{} {}", names(draining), verb(draining, "drains", "drain"))?;
    }
    if !draining.is_empty() && !without.is_empty() {
        f.write_str("; ")?;
    }
    if !without.is_empty() {
        write!(f, "{} {} no places", names(without), verb(without, "has", "have"))?;
    }
    f.write_str("): one that comes back, or another, takes it")
}

/// `1 run`, `2 runs`, `1000 or more runs`.
fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        MOST_COUNTED => format!("{number} or more {what}s"),
        _ => format!("{number} {what}s"),
    }
}

fn listed(words: &[String]) -> String {
    match words.len().checked_sub(MOST_NAMED) {
        None | Some(0) => words.join(", "),
        Some(more) => format!("{} and {more} more", words[..MOST_NAMED].join(", ")),
    }
}
