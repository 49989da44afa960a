//! What the line is told, and what it answers.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use model::ids::RunId;

use super::labels::{Expression, Labels};
use super::resources::Resources;

/// A build host that runs are given to. `model::ids` has the ids of what is within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(pub u64);

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent-{}", self.0)
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Arc<str>);

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(name: T) -> $name {
                $name(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The full name of a project. Not its number, so that [`super::Waits`] can say who is meant.
    ProjectName;
    /// What tells the branches of a project apart: `main`, `PR-7`.
    BranchName;
    /// An image that runs want and agents have: its digest, or its reference where that is all that is known.
    ImageName;
}

/// How urgent work is. All of the first goes before any of the second, but for the rule of
/// [`super::LineSettings::interactive_in_a_row`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// Nobody does: the herd after a merge, nightly runs.
    Background,
}

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which. Of equal priority the smaller id goes first, also where it comes back to the queue.
    pub run: RunId,
    /// Whose.
    pub project: ProjectName,
    /// How urgent.
    pub class: Class,
    /// Among the runs of its project and class, the larger goes first. Between projects it says nothing: else whoever
    /// writes the largest number had all places.
    pub priority: i32,
    /// What it asks of the labels of an agent.
    pub labels: Expression,
    /// What it uses there beside a place; where nothing is said, as much as each place has.
    pub resources: Resources,
    /// What it would have to fetch elsewhere.
    pub image: Option<ImageName>,
    /// What it is a run of, where there are others of the same.
    pub branch: Option<Branch>,
    /// It expires after waiting for so long, in milliseconds.
    pub limit_ms: Option<u64>,
    /// How long it had waited before the line was told, in milliseconds: before a restart, or before it lost its place.
    pub waited_ms: u64,
}

/// The branch of a run, and how it lives with other runs of that branch of its project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name.
    pub name: BranchName,
    /// It gets no place while another run of the branch is under way (`disableConcurrentBuilds`). It does not keep away those
    /// that do not say so themselves.
    pub alone: bool,
    /// It is superseded where a newer run of the branch waits as well.
    pub yields: bool,
}

impl Item {
    /// An interactive run that any agent will do for.
    pub fn new(run: RunId, project: impl Into<ProjectName>) -> Item {
        Item {
            run,
            project: project.into(),
            class: Class::default(),
            priority: 0,
            labels: Expression::any(),
            resources: Resources::default(),
            image: None,
            branch: None,
            limit_ms: None,
            waited_ms: 0,
        }
    }
}

/// What a project may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its share, in proportion to those of the other projects.
    pub weight: NonZeroU32,
    /// Most runs of it that are under way at once. 0: its runs wait until that is changed.
    pub at_once: Option<u32>,
}

impl Default for Terms {
    fn default() -> Self {
        Terms { weight: NonZeroU32::MIN, at_once: None }
    }
}

/// Something that happened. What is told twice is true once, and what is told of a run or agent that the line does not
/// know changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A run waits for a place.
    Queued(Item),
    /// A run has a place that the line did not give it: found after a restart. It may be one place more than the agent
    /// or the limits have. The agent need not have come yet.
    Found {
        /// Which.
        item: Item,
        /// Where.
        agent: AgentId,
    },
    /// Nobody wants a waiting run any more. One that has a place keeps it until it is finished.
    Withdrawn {
        /// Which.
        run: RunId,
    },
    /// A run has left its place: it ended, or never began there.
    Finished {
        /// Which.
        run: RunId,
    },
    /// A run has given its place away, and is under way all the same: until it is finished it counts in its project's limit and on its branch. It comes
    /// back by [`Event::Queued`], which no rule of these two keeps back then.
    Rested {
        /// Which.
        run: RunId,
    },
    /// An agent takes runs from now on. Said again it replaces what was known of the agent, except the runs that have
    /// its places.
    AgentCame {
        /// Which.
        agent: AgentId,
        /// What it is.
        labels: Labels,
        /// How many runs it takes at once.
        places: u32,
        /// What it has for all of them together; what it says nothing of has no bound.
        resources: Resources,
        /// What it has.
        images: Vec<ImageName>,
    },
    /// An agent takes no runs any more, and keeps those that it has. It is still there.
    AgentDrained {
        /// Which.
        agent: AgentId,
    },
    /// An agent is away. Its runs keep their places until they are finished.
    AgentWent {
        /// Which.
        agent: AgentId,
    },
    /// An agent has other images than before.
    ImagesChanged {
        /// Which.
        agent: AgentId,
        /// All that it has now.
        images: Vec<ImageName>,
    },
    /// What a project may have was decided.
    TermsSet {
        /// Which.
        project: ProjectName,
        /// `None`: the same as others, from now on.
        terms: Option<Terms>,
    },
    /// Nothing but time has passed.
    Ticked,
}

/// Something to be done, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin a waiting run at an agent. It has the place until [`Event::Finished`], whether it begins or not.
    Place {
        /// Which.
        run: RunId,
        /// Where.
        agent: AgentId,
    },
    /// End a run that has waited for longer than it was to.
    Expire {
        /// Which.
        run: RunId,
    },
    /// End a waiting run: a newer one of its branch waits.
    Supersede {
        /// Which.
        run: RunId,
        /// The newer.
        by: RunId,
    },
}

/// How a project stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Its waiting runs.
    pub waiting: u64,
    /// Its places now.
    pub held: u32,
    /// What it is charged with: places that it has now, and those that it had lately on average. Divided by its weight
    /// this decides who goes first.
    pub used: f64,
}
