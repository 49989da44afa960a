//! The course of it: things go wrong for a while, then everything has to end, then nobody is there.

use std::sync::atomic::Ordering;

use model::ids::RunId;

use crate::life::Life;
use crate::world::{Event, HOUR, MINUTE, World};

/// How long everything may take to end once nothing goes wrong any more. The clock may have been set back by hours before.
const ENDING: u64 = 9 * HOUR;
/// Ended runs that are looked at again each time.
const MOST_ENDS: usize = 60;

impl World {
    pub(crate) fn burst(&mut self) -> Result<(), String> {
        self.trace.line(self.now, "people come, and things go wrong");
        (self.calm_since, self.rests) = (None, false);
        self.later(0, Event::People);
        self.later(0, Event::Fault);
        if self.options.offence.is_some() {
            self.later(20_000, Event::Offence);
        }
        let lasts = self.dice.between(5 * MINUTE, 40 * MINUTE);
        self.later(lasts, Event::Calm);
        Ok(())
    }

    /// Nothing goes wrong from now on, and everything has to end.
    pub(crate) fn calm(&mut self) -> Result<(), String> {
        self.trace.line(self.now, "nothing goes wrong any more");
        self.calm_since = Some(self.now);
        self.blobs_away.store(false, Ordering::Relaxed);
        self.events.retain(|_, event| !matches!(event, Event::Offence));
        match &self.life {
            Some(life) => {
                life.kill_after(None);
                life.fill(false);
            }
            None => self.begin(None)?,
        }
        for agent in &mut self.agents {
            agent.away_until = 0;
        }
        for index in 0..self.agents.len() {
            self.later(0, Event::Connect(index));
        }
        for held in self.ledger.held() {
            if self.dice.once_in(2) {
                self.approve(held)?;
            }
        }
        self.later(1_000, Event::Look(0));
        Ok(())
    }

    pub(crate) fn look(&mut self, times: u32) -> Result<(), String> {
        let since = self.calm_since.unwrap_or(self.now);
        let open = self.ledger.under_way().find(|(_, known)| known.created_at <= since);
        if let Some((run, known)) = open {
            if self.now > since + ENDING {
                return Err(format!("{run}, which is #{} of its project, does not end: {known:?}", known.number));
            }
            self.later(20_000, Event::Look(0));
            return Ok(());
        }
        // What the server has in mind is what is under way, or is about to be.
        let census = self.life.as_ref().map(Life::census).unwrap_or_default();
        let leased = self.ledger.under_way().filter(|(_, known)| known.is_leased()).count();
        let waiting = self.ledger.under_way().count() - leased;
        if (census.keepers, census.placed, census.waiting) != (leased, leased as u64, waiting) {
            if times > 20 {
                return Err(format!(
                    "of {leased} runs that are leased and {waiting} that wait, it has in mind {census:?}"
                ));
            }
            self.later(20_000, Event::Look(times + 1));
            return Ok(());
        }
        self.checkpoint()
    }

    fn checkpoint(&mut self) -> Result<(), String> {
        self.trace.line(self.now, "everything has ended");
        self.checkpoints += 1;
        self.look_at_ends(false)?;
        if self.checkpoints.is_multiple_of(16) {
            self.checker.verify_audit(self.ledger.rows())?;
        }
        let held: Vec<RunId> = self.agents.iter().flat_map(|agent| agent.seats.keys().map(|lease| lease.run)).collect();
        for run in self.ends.keys().filter(|run| !held.contains(run)) {
            self.deeds.forget(*run);
        }
        self.tally.runs = self.ledger.all().count() as u64;
        self.tally.leases = self.ledger.all().map(|(_, known)| known.epoch()).sum();
        self.rests = true;
        let idle = [20 * MINUTE, 3 * HOUR, 14 * HOUR][self.dice.below(3) as usize];
        let idle = self.dice.between(MINUTE, idle);
        if idle > 30 * MINUTE || self.dice.once_in(2) {
            self.leap(idle)?;
            self.later(1_000, Event::Burst);
        } else {
            self.later(idle, Event::Burst);
        }
        Ok(())
    }

    /// Everybody goes home, and nobody is there for a while; the machine sleeps too.
    fn leap(&mut self, ms: u64) -> Result<(), String> {
        for index in 0..self.agents.len() {
            if let Some(id) = self.agents[index].link {
                self.cut(id);
                self.agents[index].lose_connection();
            }
            self.later(ms, Event::Connect(index));
        }
        self.links.clear();
        self.attached.clear();
        self.settle()?;
        self.pass(ms)
    }

    /// Runs that have ended are as they were; of all, or of those that are not old.
    pub(crate) fn look_at_ends(&mut self, all: bool) -> Result<(), String> {
        let most = if all { usize::MAX } else { MOST_ENDS };
        for (run, before) in self.ends.iter().rev().take(most) {
            let is_kept = self.ledger.run(*run).is_some_and(crate::ledger::Known::is_kept);
            match self.checker.ended(*run)? {
                Some(after) if after == *before => {}
                None if !is_kept => {}
                after => return Err(format!("{run} had ended as {before:?}, and is {after:?}")),
            }
        }
        Ok(())
    }
}
