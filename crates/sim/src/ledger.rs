//! What the server has done, as its audit tells it, held against what it may do.
//!
//! ```text
//!   created (held) ── approved ──▶ waits ── lease ──▶ leased ── finish ──▶ ended ── forget ──▶ gone
//!                                    ▲                   │
//!                                    └───── requeue ─────┘
//! ```
//!
//! Every change of a run is one row, written in the change itself: whoever follows them has seen everything, in its order.

use std::collections::{BTreeMap, BTreeSet};

use model::ids::RunId;
use model::rung::Needs;
use queue::line::{Expression, Labels};
use serde_json::Value;
use store::AuditRow;

use crate::checker::Checker;
use crate::plan::offers;
use crate::work;

/// A change of a project may be overtaken by what it had before, for so long in milliseconds.
const OVERTAKEN: u64 = 60_000;

/// What a project allows.
#[derive(Clone, Debug, Default)]
struct Terms {
    at_once: Option<u32>,
    alone: bool,
    label: Option<String>,
    /// When that was said.
    since: u64,
}

/// What an agent is.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) runs: u32,
    pub(crate) labels: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Leased(u64),
    Ended,
    /// Not kept any more.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) project: String,
    pub(crate) number: u64,
    branch: String,
    needs: Needs,
    /// Without what its definition asks for.
    least: Needs,
    is_aborted: bool,
    is_held: bool,
    /// It locks something: then it waits for no place where it goes on, and has none while it waits.
    locks: bool,
    state: State,
    epoch: u64,
    pub(crate) end: Option<(Value, Value)>,
    pub(crate) created_at: u64,
}

/// All runs.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    seed: u64,
    rows: u64,
    runs: BTreeMap<RunId, Known>,
    numbers: BTreeMap<(String, u64), RunId>,
    last: BTreeMap<String, u64>,
    /// Of projects, by their ids from 1.
    names: Vec<String>,
    unfinished: BTreeSet<RunId>,
    projects: BTreeMap<String, Terms>,
    pub(crate) hosts: BTreeMap<u64, Host>,
    /// Runs that somebody has asked to be approved.
    pub(crate) asked: BTreeSet<RunId>,
}

impl Ledger {
    /// Of a course with that seed.
    pub(crate) fn of(seed: u64) -> Ledger {
        Ledger { seed, ..Ledger::default() }
    }

    /// Reads what is new. Runs that have ended.
    pub(crate) fn follow(&mut self, checker: &Checker, now: u64) -> Result<Vec<RunId>, String> {
        let mut ended = Vec::new();
        loop {
            let rows = checker.audit(self.rows)?;
            if rows.is_empty() {
                return Ok(ended);
            }
            for row in rows {
                if row.seq != self.rows + 1 {
                    return Err(format!("the audit goes from row {} to row {}", self.rows, row.seq));
                }
                self.rows = row.seq;
                self.happened(checker, &row, now).map_err(|what| format!("{what} ({} {})", row.action, row.object))?;
                if row.action == "run.finish" {
                    ended.push(run_of(&row)?);
                }
            }
        }
    }

    fn happened(&mut self, checker: &Checker, row: &AuditRow, now: u64) -> Result<(), String> {
        let detail: Value = serde_json::from_str(&row.detail).map_err(|error| error.to_string())?;
        match row.action.as_str() {
            "run.create" => self.created(checker, row, now),
            "run.lease" => self.leased(row, &detail, now),
            "run.requeue" | "run.move" => {
                let run = self.known(row)?;
                if !matches!(run.state, State::Leased(_)) || detail["epoch"] != run.epoch + 1 {
                    return Err(format!("it is taken from nobody: {run:?}"));
                }
                (run.state, run.epoch) = (State::Waits, run.epoch + 1);
                if row.action == "run.move" {
                    run.needs = serde_json::from_value(detail["needs"].clone()).map_err(|error| error.to_string())?;
                }
                Ok(())
            }
            "run.hold" => {
                let run = self.known(row)?;
                if !matches!(run.state, State::Leased(_)) || detail["epoch"] != run.epoch + 1 {
                    return Err(format!("it is taken from nobody: {run:?}"));
                }
                (run.state, run.epoch, run.is_held) = (State::Waits, run.epoch + 1, true);
                Ok(())
            }
            "run.finish" => {
                let run = self.known(row)?;
                if matches!(run.state, State::Ended | State::Gone) {
                    return Err(format!("it ends twice: {run:?} and {detail}"));
                }
                run.state = State::Ended;
                run.end = Some((detail["outcome"].clone(), detail["message"].clone()));
                self.unfinished.remove(&run_of(row)?);
                Ok(())
            }
            "run.approve" => {
                let id = run_of(row)?;
                let was_asked = self.asked.remove(&id);
                let run = self.known(row)?;
                if !was_asked || !run.is_held || run.state != State::Waits {
                    return Err(format!("nobody approved it: {run:?}"));
                }
                run.is_held = false;
                Ok(())
            }
            "run.abort" => {
                let run = self.known(row)?;
                let is_over = matches!(run.state, State::Ended | State::Gone);
                run.is_aborted = true;
                if is_over { Err(format!("it has ended: {run:?}")) } else { Ok(()) }
            }
            "run.forget" => self.forgotten(row, &detail),
            // Projects are counted in the change that makes them.
            "project.create" => {
                self.names.push(row.object.clone());
                self.allows(row, &detail, now);
                Ok(())
            }
            "project.change" => {
                self.allows(row, &detail, now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A project is as somebody wants it from now on.
    fn allows(&mut self, row: &AuditRow, config: &Value, now: u64) {
        let terms = Terms {
            at_once: config["at_once"].as_u64().and_then(|most| u32::try_from(most).ok()),
            alone: config["alone"] == true,
            label: config["label"].as_str().map(str::to_owned),
            since: now,
        };
        self.projects.insert(row.object.clone(), terms);
    }

    fn known(&mut self, row: &AuditRow) -> Result<&mut Known, String> {
        let id = run_of(row)?;
        self.runs.get_mut(&id).ok_or_else(|| "there is no such run".to_owned())
    }

    fn created(&mut self, checker: &Checker, row: &AuditRow, now: u64) -> Result<(), String> {
        // Runs are counted in the change that makes them.
        let id = RunId(self.runs.len() as u64 + 1);
        let (project, number) = row.object.rsplit_once('#').ok_or("it has no number")?;
        let number: u64 = number.parse().map_err(|_| "it has no number")?;
        let last = self.last.entry(project.to_owned()).or_default();
        if number != *last + 1 {
            return Err(format!("after #{last} comes #{number}"));
        }
        *last = number;
        let run = checker.run(id)?.ok_or("it was made, and is not there")?;
        if (run.project_name.as_str(), run.number) != (project, number) {
            return Err(format!("{id} is #{} of {}", run.number, run.project_name));
        }
        let branch = run.facts.env.iter().find(|(name, _)| name == "BRANCH_NAME").map(|(_, branch)| branch.clone());
        let revision = run.revision.as_deref().map(|name| name.strip_prefix("refs/heads/").unwrap_or(name).to_owned());
        let known = Known {
            project: project.to_owned(),
            number,
            branch: branch.or(revision).unwrap_or_else(|| "main".to_owned()),
            needs: Needs::of_rung(run.trust.minimum()),
            least: Needs::of_rung(run.trust.minimum()),
            is_aborted: false,
            is_held: run.held.is_some(),
            locks: work::definition(self.seed, id).contains("lock("),
            state: State::Waits,
            epoch: 0,
            end: None,
            created_at: now,
        };
        self.runs.insert(id, known);
        self.numbers.insert((project.to_owned(), number), id);
        self.unfinished.insert(id);
        Ok(())
    }

    fn leased(&mut self, row: &AuditRow, detail: &Value, now: u64) -> Result<(), String> {
        let id = run_of(row)?;
        let (agent, epoch) = (detail["agent"].as_u64().unwrap_or(0), detail["epoch"].as_u64().unwrap_or(0));
        let run = self.known(row)?;
        if run.is_held {
            return Err("it is held, and nobody has approved it".to_owned());
        }
        if run.state != State::Waits || epoch != run.epoch + 1 {
            return Err(format!("agent {agent} gets epoch {epoch} of {run:?}"));
        }
        (run.state, run.epoch) = (State::Leased(agent), epoch);
        let wakes_at = detail["wakes_at"].as_u64();
        let is_aborted = run.is_aborted;
        if wakes_at.is_some_and(|at| at > row.at || (at == 0) != is_aborted) {
            return Err(format!("it wakes at {wakes_at:?}: {run:?}"));
        }
        // For a moment it is anywhere, to hear of that.
        let needs = if wakes_at.is_some() { run.least.clone() } else { run.needs.clone() };
        let (project, branch) = (run.project.clone(), run.branch.clone());
        let host = self.hosts.get(&agent).ok_or_else(|| format!("there is no agent {agent}"))?;
        let is_counted = |run: &&Known| run.is_leased() && !run.locks;
        let leased: Vec<&Known> =
            self.unfinished.iter().filter_map(|id| self.runs.get(id).filter(is_counted)).collect();
        let at_agent = leased.iter().filter(|run| run.state == State::Leased(agent)).count();
        if at_agent > host.runs as usize {
            return Err(format!("agent {agent} has {at_agent} runs, and takes {}", host.runs));
        }
        if !offers(&host.labels).satisfies(&needs) {
            return Err(format!("agent {agent} has not what {id} needs: {needs:?}"));
        }
        let Some(terms) = self.projects.get(&project).filter(|terms| now >= terms.since + OVERTAKEN) else {
            return Ok(());
        };
        let of_project = leased.iter().filter(|run| run.project == project).count();
        if terms.at_once.is_some_and(|most| of_project > most as usize) {
            return Err(format!("{project} has {of_project} runs at once, and may have {:?}", terms.at_once));
        }
        let on_branch = leased.iter().filter(|run| run.project == project && run.branch == branch).count();
        // What is to end waits for no other, but others wait for it.
        if terms.alone && !is_aborted && on_branch > 1 {
            return Err(format!("{on_branch} runs of {branch} of {project} at once, and each wants to be alone"));
        }
        let labels: Labels = host.labels.iter().map(String::as_str).collect();
        let fits = terms.label.as_ref().and_then(|label| label.parse::<Expression>().ok());
        if fits.is_some_and(|wanted| !wanted.evaluate(&labels)) {
            return Err(format!("{id} is given to agent {agent}, which is not {:?}", terms.label));
        }
        Ok(())
    }

    fn forgotten(&mut self, row: &AuditRow, detail: &Value) -> Result<(), String> {
        let index = row.object.strip_prefix("project ").and_then(|id| id.parse::<usize>().ok()).unwrap_or(0);
        let project = self.names.get(index.wrapping_sub(1)).ok_or("there is no such project")?;
        for number in detail["runs"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
            let id = self.numbers.get(&(project.clone(), number)).ok_or("there is no such run")?;
            match self.runs.get_mut(id) {
                Some(run) if run.state == State::Ended => run.state = State::Gone,
                run => return Err(format!("it has not ended: {run:?}")),
            }
        }
        Ok(())
    }

    pub(crate) fn run(&self, id: RunId) -> Option<&Known> {
        self.runs.get(&id)
    }

    pub(crate) fn run_of(&self, project: &str, number: u64) -> Option<RunId> {
        self.numbers.get(&(project.to_owned(), number)).copied()
    }

    /// The newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (RunId, &Known)> {
        self.runs.iter().rev().map(|(id, run)| (*id, run))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (RunId, &Known)> {
        self.runs.iter().map(|(id, run)| (*id, run))
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Runs that have not ended, and that nobody holds.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = (RunId, &Known)> {
        let open = self.unfinished.iter().filter_map(|id| Some((*id, self.runs.get(id)?)));
        open.filter(|(_, run)| !run.is_held)
    }

    /// Runs that wait for somebody to approve them.
    pub(crate) fn held(&self) -> Vec<RunId> {
        let open = self.unfinished.iter().filter_map(|id| Some((*id, self.runs.get(id)?)));
        open.filter(|(_, run)| run.is_held).map(|(id, _)| id).collect()
    }
}

impl Known {
    pub(crate) fn is_leased(&self) -> bool {
        matches!(self.state, State::Leased(_))
    }

    /// An agent may have that lease of it before it hears of it: it is on its way, or is just being given.
    pub(crate) fn may_be_of(&self, agent: u64, epoch: u64) -> bool {
        match self.state {
            State::Waits => epoch == self.epoch + 1,
            State::Leased(to) => to == agent && epoch == self.epoch,
            State::Ended | State::Gone => false,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Gone)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.state != State::Gone
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }
}

fn run_of(row: &AuditRow) -> Result<RunId, String> {
    let number = row.object.strip_prefix("run-").and_then(|number| number.parse().ok());
    number.map(RunId).ok_or_else(|| "it is no run".to_owned())
}
