//! Where what waits meets what is free: for each label expression, and how much is wanted with it, the agents with room that fit it, and the
//! projects that bid for a place there.
//!
//! An expression is kept once, however many runs have it. [`Wants::best`] is the first of all bids that some agent has room
//! for; it is kept up to date, so that the next placement is found without a look at what waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model::ids::RunId;

use super::event::{AgentId, Class, ProjectName};
use super::labels::Expression;
use super::resources::Resources;
use super::share::Score;

/// Expressions that are kept though no run has them: most come again, and to look which agents fit one takes a look at
/// all of them. Each costs a little whenever the room of an agent changes.
const MOST_IDLE: usize = 64;

/// An expression that the line keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WantId(u64);

/// Runs that can stand in for each other when an agent has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) class: Class,
    pub(super) want: WantId,
    /// Of those that have rested: they count already.
    pub(super) comes_back: bool,
}

impl Lane {
    /// All lanes with a class and an expression.
    pub(super) fn all(class: Class, want: WantId) -> [Lane; 2] {
        [true, false].map(|comes_back| Lane { class, want, comes_back })
    }
}

/// The place of a run among those of its project and class; the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) priority: Reverse<i32>,
    pub(super) run: RunId,
}

/// The first run of a project in a lane; the smaller goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bid {
    pub(super) score: Score,
    pub(super) project: ProjectName,
    pub(super) rank: Rank,
}

/// An agent with room; the last of a set has most, and of those the smallest id.
type Room = (u32, Reverse<AgentId>);

#[derive(Debug)]
struct Want {
    expression: Expression,
    resources: Resources,
    /// Waiting runs that have it.
    waiting: u64,
    roomy: BTreeSet<Room>,
    /// By class.
    bids: [BTreeSet<Bid>; 2],
    /// What stands for it in [`Wants::open`].
    shown: [Option<Bid>; 2],
}

impl Want {
    fn new(expression: Expression, resources: Resources) -> Want {
        let bids = [BTreeSet::new(), BTreeSet::new()];
        Want { expression, resources, waiting: 1, roomy: BTreeSet::new(), bids, shown: [None, None] }
    }
}

#[derive(Debug, Default)]
pub(super) struct Wants {
    ids: BTreeMap<(Expression, Resources), WantId>,
    wants: BTreeMap<WantId, Want>,
    idle: BTreeSet<WantId>,
    /// Of each expression with room and bids its first bid, by class.
    open: [BTreeSet<(Bid, WantId)>; 2],
    next: u64,
}

/// What became of the expression of a run that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) want: WantId,
    /// Agents have not been asked yet whether they fit it.
    pub(super) new: bool,
}

impl Wants {
    /// One more run waits with such an expression, and wants so much.
    pub(super) fn keep(&mut self, expression: &Expression, resources: Resources) -> Kept {
        let key = (expression.clone(), resources);
        if let Some(&want) = self.ids.get(&key) {
            self.idle.remove(&want);
            if let Some(known) = self.wants.get_mut(&want) {
                known.waiting += 1;
            }
            return Kept { want, new: false };
        }
        let want = WantId(self.next);
        self.next += 1;
        self.ids.insert(key, want);
        self.wants.insert(want, Want::new(expression.clone(), resources));
        Kept { want, new: true }
    }

    /// A run less. Returns an expression that is forgotten, where too many are idle.
    pub(super) fn release(&mut self, want: WantId) -> Option<WantId> {
        let known = self.wants.get_mut(&want)?;
        known.waiting = known.waiting.saturating_sub(1);
        if known.waiting > 0 {
            return None;
        }
        self.idle.insert(want);
        let oldest = (self.idle.len() > MOST_IDLE).then(|| self.idle.pop_first()).flatten()?;
        if let Some(Want { expression, resources, .. }) = self.wants.remove(&oldest) {
            self.ids.remove(&(expression, resources));
        }
        // It has no bids, so it is not among the open.
        Some(oldest)
    }

    pub(super) fn expression(&self, want: WantId) -> Option<&Expression> {
        self.wants.get(&want).map(|want| &want.expression)
    }

    /// What a run that has it uses of an agent.
    pub(super) fn resources(&self, want: WantId) -> Resources {
        self.wants.get(&want).map(|want| want.resources).unwrap_or_default()
    }

    pub(super) fn expressions(&self) -> impl Iterator<Item = (WantId, &Expression)> {
        self.wants.iter().map(|(id, want)| (*id, &want.expression))
    }

    /// An agent that fits has another room than before.
    pub(super) fn set_room(&mut self, want: WantId, agent: AgentId, before: u32, room: u32) {
        let Some(known) = self.wants.get_mut(&want) else { return };
        if before > 0 {
            known.roomy.remove(&(before, Reverse(agent)));
        }
        if room > 0 {
            known.roomy.insert((room, Reverse(agent)));
        }
        self.show(want, Class::Interactive);
        self.show(want, Class::Background);
    }

    /// A project bids otherwise than before.
    pub(super) fn set_bid(&mut self, lane: Lane, before: Option<&Bid>, bid: Option<Bid>) {
        let Some(known) = self.wants.get_mut(&lane.want) else { return };
        let bids = &mut known.bids[lane.class as usize];
        if let Some(before) = before {
            bids.remove(before);
        }
        bids.extend(bid);
        self.show(lane.want, lane.class);
    }

    fn show(&mut self, want: WantId, class: Class) {
        let Some(known) = self.wants.get_mut(&want) else { return };
        let first = known.bids[class as usize].first().filter(|_| !known.roomy.is_empty());
        let shown = &mut known.shown[class as usize];
        if first == shown.as_ref() {
            return;
        }
        let open = &mut self.open[class as usize];
        let before = std::mem::replace(shown, first.cloned());
        if let Some(bid) = before {
            open.remove(&(bid, want));
        }
        open.extend(first.map(|bid| (bid.clone(), want)));
    }

    /// The bid that goes first of those that an agent has room for.
    pub(super) fn best(&self) -> Option<(WantId, &Bid)> {
        self.open.iter().find_map(|open| open.first()).map(|(bid, want)| (*want, bid))
    }

    /// The background work that goes first of that with one of these expressions.
    pub(super) fn best_background(&self, wants: impl Iterator<Item = WantId>) -> Option<&Bid> {
        wants.filter_map(|want| self.bids(Class::Background, want).next()).min()
    }

    /// The agents with room that fit, the one with most first, and how many they are.
    pub(super) fn roomy(&self, want: WantId) -> (usize, impl Iterator<Item = AgentId>) {
        let roomy = self.wants.get(&want).map(|want| &want.roomy);
        let agents = roomy.into_iter().flatten().rev().map(|(_, Reverse(agent))| *agent);
        (roomy.map_or(0, BTreeSet::len), agents)
    }

    /// All bids of a class for an expression, the first one first.
    pub(super) fn bids(&self, class: Class, want: WantId) -> impl Iterator<Item = &Bid> {
        self.wants.get(&want).into_iter().flat_map(move |want| &want.bids[class as usize])
    }
}
