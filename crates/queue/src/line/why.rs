//! Finds out why a run waits. It has not been placed, so no agent that fits has room for it, or a rule keeps it back. What
//! stands in its way most is told: that nothing fits, then a rule that holds however much room there is, then who goes
//! first.

use std::collections::{BTreeMap, BTreeSet};

use model::ids::RunId;

use super::agents::Agent;
use super::event::{AgentId, Class, ProjectName};
use super::labels::Expression;
use super::resources::exceeds;
use super::waits::{MOST_COUNTED, Nearest, Taken, Waits};
use super::wants::{Bid, Lane, WantId};
use super::{Line, Waiting};

impl Line {
    /// Why a run waits, as of the last event. `None` where it does not.
    pub fn why(&self, run: RunId) -> Option<Waits> {
        let waiting = self.waiting.get(&run)?;
        let labels = self.wants.expression(waiting.lane.want)?;
        if self.agents.present().next().is_none() {
            return Some(Waits::NoAgent);
        }
        let fitting: Vec<_> = self.agents.present().filter(|(_, a)| a.wants.contains(&waiting.lane.want)).collect();
        if fitting.is_empty() {
            return Some(Waits::NoneFits { labels: labels.clone(), nearest: self.nearest(labels) });
        }
        let takes = |(_, agent): &&(AgentId, &Agent)| !agent.drains && agent.places > 0;
        let taking: Vec<_> = fitting.iter().filter(takes).copied().collect();
        if taking.is_empty() {
            return Some(none_takes(&fitting));
        }
        let wants = self.wants.resources(waiting.lane.want);
        let (large, small): (Vec<_>, Vec<_>) = taking.iter().partition(|(_, agent)| !exceeds(wants, agent.free.all));
        if large.is_empty() {
            let largest = small.into_iter().max_by_key(|(id, agent)| (agent.free.all, std::cmp::Reverse(*id)));
            return largest.map(|(id, agent)| Waits::TooLarge { wants, largest: (id, agent.free.all) });
        }
        let agents: Vec<&Agent> = large.into_iter().map(|(_, agent)| agent).collect();
        let is_free = |agent: &&Agent| agent.free.places > 0;
        let no_room = || agents.iter().any(is_free).then(|| Waits::NoRoom { wants, taken: taken(&agents) });
        Some(self.kept_back(waiting).or_else(no_room).unwrap_or_else(|| self.behind(waiting, &agents)))
    }

    fn nearest(&self, labels: &Expression) -> Option<Nearest> {
        let all = self.agents.present().filter_map(|(agent, known)| {
            let difference = labels.difference(&known.labels)?;
            Some(Nearest { agent, difference })
        });
        all.min_by_key(|nearest| (nearest.difference.size(), nearest.agent))
    }

    /// What keeps it back though there may be room.
    fn kept_back(&self, waiting: &Waiting) -> Option<Waits> {
        if waiting.lane.comes_back {
            return None;
        }
        if let Some((limit, held)) = self.projects.reached_limit(&waiting.project) {
            return Some(Waits::AtLimit { limit, held });
        }
        let branch = &waiting.branch.as_ref().filter(|branch| branch.alone)?.name;
        let run = self.projects.on_branch(&waiting.project, branch)?;
        Some(Waits::BranchRuns { branch: branch.clone(), run })
    }

    /// Who goes before it when one of the agents has room again.
    fn behind(&self, waiting: &Waiting, agents: &[&Agent]) -> Waits {
        let taken = taken(agents);
        let wants: BTreeSet<WantId> = agents.iter().flat_map(|agent| agent.wants.iter().copied()).collect();
        let runs = self.own_before(waiting, &wants);
        if runs > 0 {
            return Waits::BehindOwn { taken, runs };
        }
        if waiting.lane.class == Class::Background {
            let projects = self.others_before(waiting, Class::Interactive, &wants);
            if projects > 0 {
                return Waits::BehindInteractive { taken, projects };
            }
        }
        match self.others_before(waiting, waiting.lane.class, &wants) {
            0 => Waits::AllTaken(taken),
            projects => Waits::MoreThanShare { taken, projects },
        }
    }

    /// Runs of its own project that could go and go first.
    fn own_before(&self, waiting: &Waiting, wants: &BTreeSet<WantId>) -> usize {
        let Waiting { project, lane, rank, .. } = waiting;
        let begins = self.projects.reached_limit(project).is_none();
        let ready = |class, want: &WantId| {
            let lanes = Lane::all(class, *want).into_iter().filter(|lane| begins || lane.comes_back);
            lanes.map(|lane| self.projects.ready(project, lane))
        };
        let before = wants.iter().flat_map(|want| {
            let urgent = (lane.class == Class::Background).then(|| ready(Class::Interactive, want).flatten());
            let same = ready(lane.class, want).flat_map(|ranks| ranks.take_while(|other| *other < *rank));
            urgent.into_iter().flatten().chain(same)
        });
        before.take(MOST_COUNTED).count()
    }

    /// Other projects with bids of a class that go first, where no run of its own does.
    fn others_before(&self, waiting: &Waiting, class: Class, wants: &BTreeSet<WantId>) -> usize {
        let Some(score) = self.projects.score(&waiting.project) else { return 0 };
        let own = Bid { score, project: waiting.project.clone(), rank: waiting.rank };
        let goes_first = |bid: &&Bid| class < waiting.lane.class || **bid < own;
        let bids = wants.iter().flat_map(|want| {
            let bids = self.wants.bids(class, *want);
            bids.take_while(goes_first).take(MOST_COUNTED)
        });
        let others: BTreeSet<&ProjectName> = bids.map(|bid| &bid.project).collect();
        others.len().min(MOST_COUNTED)
    }
}

fn none_takes(fitting: &[(AgentId, &Agent)]) -> Waits {
    let (draining, without): (Vec<_>, Vec<_>) = fitting.iter().partition(|(_, agent)| agent.drains);
    let ids = |agents: Vec<&(AgentId, &Agent)>| agents.iter().map(|(id, _)| *id).collect();
    Waits::NoneTakes { draining: ids(draining), without_places: ids(without) }
}

fn taken(agents: &[&Agent]) -> Taken {
    let mut taken = Taken::default();
    let mut holders: BTreeMap<&ProjectName, u64> = BTreeMap::new();
    for agent in agents {
        taken.places += u64::from(agent.places);
        taken.agents += 1;
        for (project, held) in &agent.holders {
            *holders.entry(project).or_default() += u64::from(*held);
        }
    }
    taken.holders = holders.into_iter().map(|(project, held)| (project.clone(), held)).collect();
    // Whoever has as many stays in the order of the names.
    taken.holders.sort_by_key(|(_, held)| std::cmp::Reverse(*held));
    taken
}
