//! Projects: what waits of each and could go now, what it is charged with, and what it bids.

use std::collections::{BTreeMap, BTreeSet};

use model::ids::RunId;

use super::event::{Branch, BranchName, ProjectName, Standing, Terms};
use super::share::{Account, Ledger, Score};
use super::wants::{Bid, Lane, Rank, Wants};
use crate::clock::Elapsed;

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// Where something else was said than for all.
    terms: Option<Terms>,
    account: Account,
    /// Runs that are under way without a place.
    resting: u32,
    waiting: u64,
    lanes: BTreeMap<Lane, Ready>,
    /// Those that have runs, waiting or not.
    branches: BTreeMap<BranchName, Runs>,
}

/// What could go of a lane, if there were room.
#[derive(Debug, Default)]
struct Ready {
    /// Of those that run alone on their branch only the first of the branch, and none while one of the branch is under way: else
    /// each placement would be a look at all of them.
    ranks: BTreeSet<Rank>,
    /// What [`Wants`] knows of it.
    bid: Option<(Score, Rank)>,
}

/// Runs of a branch.
#[derive(Debug, Default)]
struct Runs {
    /// With places, or resting.
    under_way: BTreeSet<RunId>,
    waiting: BTreeSet<RunId>,
    /// The waiting one that a newer one supersedes. There is one at most: the newer of two has superseded the other.
    yields: Option<RunId>,
    /// Waiting ones that run alone.
    alone: BTreeMap<Lane, BTreeSet<Rank>>,
}

/// Whom a run that comes to the queue meets on its branch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meets {
    /// Nobody who would mind.
    Nobody,
    /// One that it supersedes.
    Older(RunId),
    /// One that supersedes it.
    Newer(RunId),
}

#[derive(Debug)]
pub(super) struct Projects {
    projects: BTreeMap<ProjectName, Project>,
    ledger: Ledger,
    terms_of_others: Terms,
    /// When those with places were brought up to the level, the longest ago first.
    touched: BTreeSet<(Elapsed, ProjectName)>,
}

impl Runs {
    /// Those that run alone and could go now.
    fn first_alone(&self) -> Vec<(Lane, Rank)> {
        if !self.under_way.is_empty() {
            return Vec::new();
        }
        self.alone.iter().filter_map(|(lane, ranks)| Some((*lane, *ranks.first()?))).collect()
    }
}

impl Project {
    fn under_way(&self) -> u32 {
        self.account.held.saturating_add(self.resting)
    }

    fn terms(&self, of_others: Terms) -> Terms {
        self.terms.unwrap_or(of_others)
    }

    /// The one place where the runs of a branch change.
    fn change_branch(&mut self, name: &BranchName, change: impl FnOnce(&mut Runs)) {
        let runs = self.branches.entry(name.clone()).or_default();
        let before = runs.first_alone();
        change(runs);
        let after = runs.first_alone();
        if runs.under_way.is_empty() && runs.waiting.is_empty() {
            self.branches.remove(name);
        }
        if before == after {
            return;
        }
        for (lane, rank) in before {
            self.lanes.entry(lane).or_default().ranks.remove(&rank);
        }
        for (lane, rank) in after {
            self.lanes.entry(lane).or_default().ranks.insert(rank);
        }
    }

    fn add(&mut self, lane: Lane, rank: Rank, branch: Option<&Branch>) {
        self.waiting += 1;
        if let Some(branch) = branch {
            self.change_branch(&branch.name, |runs| {
                runs.waiting.insert(rank.run);
                if branch.yields {
                    runs.yields = Some(rank.run);
                }
                if branch.alone {
                    runs.alone.entry(lane).or_default().insert(rank);
                }
            });
        }
        if !branch.is_some_and(|branch| branch.alone) {
            self.lanes.entry(lane).or_default().ranks.insert(rank);
        }
    }

    fn remove(&mut self, lane: Lane, rank: Rank, branch: Option<&Branch>) {
        self.waiting = self.waiting.saturating_sub(1);
        if let Some(branch) = branch {
            self.change_branch(&branch.name, |runs| {
                runs.waiting.remove(&rank.run);
                runs.yields = runs.yields.filter(|run| *run != rank.run);
                if let Some(ranks) = runs.alone.get_mut(&lane) {
                    ranks.remove(&rank);
                    if ranks.is_empty() {
                        runs.alone.remove(&lane);
                    }
                }
            });
        }
        if !branch.is_some_and(|branch| branch.alone)
            && let Some(ready) = self.lanes.get_mut(&lane)
        {
            ready.ranks.remove(&rank);
        }
    }

    fn take(&mut self, run: RunId, branch: Option<&BranchName>) {
        self.account.held = self.account.held.saturating_add(1);
        if let Some(branch) = branch {
            self.change_branch(branch, |runs| {
                runs.under_way.insert(run);
            });
        }
    }

    /// A run of a branch is under way no more.
    fn leave(&mut self, run: RunId, branch: Option<&BranchName>) {
        if let Some(branch) = branch {
            self.change_branch(branch, |runs| {
                runs.under_way.remove(&run);
            });
        }
    }

    /// Bids what it can in every lane.
    fn bid(&mut self, name: &ProjectName, of_others: Terms, wants: &mut Wants) {
        let terms = self.terms(of_others);
        let may_have = terms.at_once.is_none_or(|most| self.under_way() < most);
        let score = self.account.score(terms.weight);
        let bid = |(score, rank)| Bid { score, project: name.clone(), rank };
        for (lane, ready) in &mut self.lanes {
            let first = ready.ranks.first().filter(|_| may_have || lane.comes_back).map(|rank| (score, *rank));
            if first != ready.bid {
                wants.set_bid(*lane, ready.bid.map(bid).as_ref(), first.map(bid));
                ready.bid = first;
            }
        }
        self.lanes.retain(|_, ready| !ready.ranks.is_empty());
    }

    fn is_forgotten(&self) -> bool {
        self.waiting == 0 && self.resting == 0 && self.terms.is_none() && self.account.is_blank()
    }
}

impl Projects {
    pub(super) fn new(ledger: Ledger, terms_of_others: Terms) -> Projects {
        Projects { projects: BTreeMap::new(), ledger, terms_of_others, touched: BTreeSet::new() }
    }

    /// Whom a run meets that comes to its branch.
    pub(super) fn meets(&self, project: &ProjectName, run: RunId, branch: &Branch) -> Meets {
        let Some(runs) = self.projects.get(project).and_then(|project| project.branches.get(&branch.name)) else {
            return Meets::Nobody;
        };
        match (runs.waiting.last(), runs.yields) {
            (Some(newest), _) if branch.yields && *newest > run => Meets::Newer(*newest),
            (_, Some(older)) if older < run => Meets::Older(older),
            _ => Meets::Nobody,
        }
    }

    pub(super) fn add(
        &mut self,
        name: &ProjectName,
        lane: Lane,
        rank: Rank,
        branch: Option<&Branch>,
        wants: &mut Wants,
    ) {
        self.change(name, wants, |project| project.add(lane, rank, branch));
    }

    pub(super) fn remove(
        &mut self,
        name: &ProjectName,
        lane: Lane,
        rank: Rank,
        branch: Option<&Branch>,
        wants: &mut Wants,
    ) {
        self.change(name, wants, |project| project.remove(lane, rank, branch));
    }

    /// A run that waited has a place from now on.
    pub(super) fn seat(
        &mut self,
        name: &ProjectName,
        lane: Lane,
        rank: Rank,
        branch: Option<&Branch>,
        now: Elapsed,
        wants: &mut Wants,
    ) {
        self.touch(name, now, wants, |project, _| {
            project.remove(lane, rank, branch);
            project.take(rank.run, branch.map(|branch| &branch.name));
        });
    }

    /// A run that did not wait has a place from now on.
    pub(super) fn take(
        &mut self,
        name: &ProjectName,
        run: RunId,
        branch: Option<&BranchName>,
        now: Elapsed,
        wants: &mut Wants,
    ) {
        self.touch(name, now, wants, |project, _| project.take(run, branch));
    }

    /// It has not any more, and had it since then.
    pub(super) fn leave(
        &mut self,
        name: &ProjectName,
        run: RunId,
        branch: Option<&BranchName>,
        (since, now): (Elapsed, Elapsed),
        wants: &mut Wants,
    ) {
        self.touch(name, now, wants, |project, ledger| {
            project.account.held = project.account.held.saturating_sub(1);
            project.account.charge(ledger, since, now);
            project.leave(run, branch);
        });
    }

    /// It gives its place away, which it had since then, and is under way all the same.
    pub(super) fn rest(&mut self, name: &ProjectName, (since, now): (Elapsed, Elapsed), wants: &mut Wants) {
        self.touch(name, now, wants, |project, ledger| {
            project.account.held = project.account.held.saturating_sub(1);
            project.account.charge(ledger, since, now);
            project.resting = project.resting.saturating_add(1);
        });
    }

    /// One that rested, and waited for it, has a place again.
    pub(super) fn come_back(&mut self, name: &ProjectName, lane: Lane, rank: Rank, now: Elapsed, wants: &mut Wants) {
        self.touch(name, now, wants, |project, _| {
            project.remove(lane, rank, None);
            project.resting = project.resting.saturating_sub(1);
            project.account.held = project.account.held.saturating_add(1);
        });
    }

    /// One that rested is under way no more.
    pub(super) fn wake(&mut self, name: &ProjectName, run: RunId, branch: Option<&BranchName>, wants: &mut Wants) {
        self.change(name, wants, |project| {
            project.resting = project.resting.saturating_sub(1);
            project.leave(run, branch);
        });
    }

    pub(super) fn set_terms(&mut self, name: &ProjectName, terms: Option<Terms>, wants: &mut Wants) {
        self.change(name, wants, |project| project.terms = terms);
    }

    /// Brings scores to where time has brought them.
    pub(super) fn let_pass(&mut self, now: Elapsed, wants: &mut Wants) {
        if let Some(left) = self.ledger.turn_page(now) {
            let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
            for name in names {
                self.touch(&name, now, wants, |project, _| project.account.fade(left));
            }
        }
        while let Some((touched, name)) = self.touched.first().cloned() {
            if now.since(touched) < self.ledger.step_ms() {
                break;
            }
            self.touch(&name, now, wants, |_, _| ());
        }
    }

    /// How each stands, at a moment that is not before the last event.
    pub(super) fn standings(&self, now: Elapsed) -> impl Iterator<Item = (&ProjectName, Standing)> {
        self.projects.iter().map(move |(name, project)| {
            let used = project.account.used(&self.ledger, now);
            (name, Standing { waiting: project.waiting, held: project.account.held, used })
        })
    }

    /// The limit of a project, where as many of its runs are under way.
    pub(super) fn reached_limit(&self, name: &ProjectName) -> Option<(u32, u32)> {
        let project = self.projects.get(name)?;
        let (most, held) = (project.terms(self.terms_of_others).at_once?, project.under_way());
        (held >= most).then_some((most, held))
    }

    /// The oldest run under way on a branch.
    pub(super) fn on_branch(&self, name: &ProjectName, branch: &BranchName) -> Option<RunId> {
        self.projects.get(name)?.branches.get(branch)?.under_way.first().copied()
    }

    /// Runs of a project in a lane that could go, the first one first.
    pub(super) fn ready(&self, name: &ProjectName, lane: Lane) -> impl Iterator<Item = Rank> {
        let ready = self.projects.get(name).and_then(|project| project.lanes.get(&lane));
        ready.into_iter().flat_map(|ready| ready.ranks.iter().copied())
    }

    /// The score that a project bids with.
    pub(super) fn score(&self, name: &ProjectName) -> Option<Score> {
        let project = self.projects.get(name)?;
        Some(project.account.score(project.terms(self.terms_of_others).weight))
    }

    fn change(&mut self, name: &ProjectName, wants: &mut Wants, change: impl FnOnce(&mut Project)) {
        let project = self.projects.entry(name.clone()).or_default();
        change(project);
        project.bid(name, self.terms_of_others, wants);
        if project.is_forgotten() {
            self.projects.remove(name);
        }
    }

    /// A change that concerns the charges.
    fn touch(
        &mut self,
        name: &ProjectName,
        now: Elapsed,
        wants: &mut Wants,
        change: impl FnOnce(&mut Project, &Ledger),
    ) {
        let project = self.projects.entry(name.clone()).or_default();
        self.touched.remove(&(project.account.touched, name.clone()));
        change(project, &self.ledger);
        project.account.touch(&self.ledger, now);
        if project.account.held > 0 {
            self.touched.insert((now, name.clone()));
        }
        project.bid(name, self.terms_of_others, wants);
        if project.is_forgotten() {
            self.projects.remove(name);
        }
    }
}
