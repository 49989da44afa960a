//! What goes wrong.

use std::sync::atomic::Ordering;

use model::ids::{RequestId, RunId};
use model::request::Reply;
use wire::agent::{Definition, FromAgent, Item, Lease, LogLine};
use wire::engine::Said;

use crate::Offence;
use crate::plan::Fault;
use crate::world::{Event, World};

/// The furthest that a clock is off, about, in milliseconds.
const MOST_OFF: i64 = 3_600_000;

impl World {
    pub(crate) fn fault(&mut self) -> Result<(), String> {
        let Some(fault) = self.dice.pick(&self.plan.faults).copied() else { return Ok(()) };
        let index = self.dice.below(self.agents.len() as u64) as usize;
        self.trace.line(self.now, &format!("fault: {fault:?} (agent {index})"));
        self.tally.faults += 1;
        match fault {
            Fault::Kill => self.kill(),
            Fault::KillWithin => {
                let uses = self.dice.below(25) as u32;
                if let Some(life) = &self.life {
                    life.kill_after(Some(uses));
                }
            }
            Fault::Death => {
                if let Some(id) = self.agents[index].link {
                    self.cut(id);
                }
                self.agents[index].die();
                let back = if self.dice.once_in(3) { 400_000 } else { 3_000 };
                let after = self.dice.between(100, back);
                self.later(after, Event::Connect(index));
            }
            Fault::Absence => {
                let away = self.dice.between(1_000, 200_000);
                self.agents[index].away_until = self.now + away;
                self.part(index);
            }
            Fault::Break => self.part(index),
            Fault::Silence => {
                if let Some(link) = self.agents[index].link.and_then(|id| self.links.get_mut(&id)) {
                    link.is_silent = true;
                }
            }
            Fault::Jump => {
                let by = [5_000, 600_000, 7_200_000][self.dice.below(3) as usize];
                // Not further and further: somebody will correct it.
                let is_back = if self.wall.abs() > MOST_OFF { self.wall > 0 } else { self.dice.once_in(2) };
                let by = if is_back { -by } else { by };
                self.wall += by;
                if let Some(life) = &self.life {
                    life.jump(by);
                }
            }
            Fault::Echo => self.echo(index),
            Fault::Lie => self.lie(index),
            Fault::EngineLoss => {
                let seat = self.agents[index].seats.values_mut().find(|seat| !seat.is_released);
                let lost = seat.and_then(|seat| Some((seat.lease, seat.lose_engine()?)));
                if let Some((lease, engine)) = lost {
                    self.say(index, FromAgent::EngineLost { lease, engine, reason: "it was killed".into() });
                }
            }
            Fault::Place => drop(self.blobs_away.fetch_not(Ordering::Relaxed)),
            Fault::Full => {
                if let Some(life) = &self.life {
                    life.fill(!life.is_full());
                }
            }
            Fault::Change => {
                if let (Some(project), true) = (self.dice.pick(&self.plan.projects).copied(), self.life.is_some()) {
                    self.put_project(project)?;
                }
            }
        }
        Ok(())
    }

    /// A connection breaks; its agent sees that a little later.
    fn part(&mut self, index: usize) {
        if let Some(id) = self.agents[index].link {
            self.cut(id);
            let after = self.dice.below(4_000);
            self.later(after, Event::Closed(id, index));
        }
    }

    /// It says again what it has said: its last report, an answer, its definition.
    fn echo(&mut self, index: usize) {
        let mut again = Vec::new();
        for (lease, seat) in &self.agents[index].seats {
            let lease = *lease;
            again.extend(seat.last_report().map(|(first, items)| FromAgent::Report { lease, first, items }));
            again.extend(seat.answers().into_iter().map(|(id, reply)| FromAgent::Answered { lease, id, reply }));
            again.extend(seat.definition.clone().map(|definition| FromAgent::Found { lease, definition }));
        }
        again.into_iter().for_each(|message| self.say(index, message));
    }

    /// It speaks of leases of others, and of such as are nobody's.
    fn lie(&mut self, index: usize) {
        let newest: Vec<Lease> =
            self.ledger.newest().take(6).map(|(run, known)| Lease { run, epoch: known.epoch() }).collect();
        let Some(lease) = self.dice.pick(&newest).copied() else { return };
        let lease = match self.dice.below(4) {
            0 => Lease { epoch: lease.epoch + 1, ..lease },
            1 => Lease { epoch: lease.epoch.saturating_sub(1), ..lease },
            2 => Lease { run: RunId(lease.run.0 + 1_000_000), ..lease },
            _ => lease,
        };
        // What it says of its own it has to stand by.
        let may_be_its_own = self.ledger.run(lease.run).is_some_and(|run| run.may_be_of(index as u64 + 1, lease.epoch));
        if may_be_its_own || self.agents[index].seats.contains_key(&lease) {
            return;
        }
        let source = model::event::LogSource::Stdout;
        let line = LogLine { at: 1, step: None, stage: None, source, text: format!("@{}.0 a lie", lease.epoch) };
        let message = match self.dice.below(6) {
            0 => FromAgent::Found {
                lease,
                definition: Ok(Definition {
                    text: "echo 'a lie'".into(),
                    commit: None,
                    tree: None,
                    tagged_at: None,
                    steps: Vec::new(),
                }),
            },
            1 => FromAgent::Said { lease, engine: 1, said: vec![Said::Took { at: 0 }] },
            2 => FromAgent::EngineLost { lease, engine: 1, reason: "a lie".into() },
            3 => FromAgent::Answered { lease, id: RequestId(self.dice.below(20)), reply: Reply::Done },
            4 => FromAgent::Report { lease, first: 0, items: vec![Item::Line(line)] },
            _ => FromAgent::Released { lease },
        };
        self.say(index, message);
    }

    /// Something is done that must not be, behind the server's back.
    pub(crate) fn offend(&mut self, offence: Offence) -> Result<(), String> {
        let wall = self.wall_now();
        let leased = self.ledger.under_way().find(|(_, known)| known.is_leased() && known.epoch() > 0);
        let leased = leased.map(|(id, known)| (id, known.epoch()));
        let source = model::event::LogSource::Stdout;
        let line = Item::Line(LogLine { at: 1, step: None, stage: None, source, text: "by nobody".into() });
        match (offence, leased) {
            (Offence::WritesLines, Some((run, _))) => {
                self.checker.tamper(async |store| {
                    let reported = store.reported(run).await?;
                    store.report(run, reported, std::slice::from_ref(&line)).await
                })?;
            }
            (Offence::TakesAway, Some((run, epoch))) => {
                // Somebody else may have been faster.
                let _ = self.checker.tamper(async |store| store.requeue_run(run, epoch, &[], None, wall).await);
            }
            (Offence::GivesAway, Some((run, epoch))) => {
                let _ = self.checker.tamper(async |store| store.lease_run(run, epoch, 1, wall).await);
            }
            (Offence::GoesOn, _) => {
                let ended = self.ledger.newest().find(|(_, known)| known.has_ended() && known.is_kept());
                if let Some(run) = ended.map(|(id, _)| id) {
                    self.checker.tamper(async |store| {
                        let reported = store.reported(run).await?;
                        store.report(run, reported, std::slice::from_ref(&line)).await
                    })?;
                }
            }
            (Offence::Approves, _) => {
                if let Some(run) = self.ledger.held().first().copied().filter(|run| !self.ledger.asked.contains(run)) {
                    let nobody = store::Actor("nobody".into());
                    let nothing = store::Approved { definition: String::new(), places: Vec::new() };
                    self.checker.tamper(async |store| {
                        let commit = store.run(run).await?.and_then(|run| run.commit);
                        store.approve_run(&nobody, run, (commit.as_deref(), Some(&nothing)), wall).await
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
