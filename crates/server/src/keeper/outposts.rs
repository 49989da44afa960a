//! Jobs of a run that are at other agents, each under a lease of its own, for as long as the job has a sandbox.
//!
//! ```text
//!   asked for ── a place ──▶ leased ── Allocated ──▶ requests, answers ── Release answered ──▶ over ── last words ──▶ forgotten
//!       │                       └── agent lost: what is open fails, and all that is asked for later ──▶ ┘
//!       └── cancelled ─────────────────────────────────────────────────────────────────────────▶ ┘
//! ```
//!
//! They end with the lease of their run: an agent that has the run's engine is lost with all that the run has.

use std::collections::BTreeMap;

use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId};
use model::request::{Reply, Request};
use model::rung::{Needs, Rung};
use store::{Act, Elsewhere, StoreError};
use tokio::time::Instant;
use wire::agent::{FromAgent, Lease, ToAgent};

use super::end::lost;
use super::{Keeper, LAST_WORDS, Step};
use crate::line;

/// A job at another agent, and all that shares its workspace.
pub(super) struct Outpost {
    needs: Needs,
    /// Where it is, and over which connection that is spoken to; `None`: it waits for a place.
    agent: Option<u64>,
    connection: Option<u64>,
    /// Over which it was last told of its lease: what it says that it holds there was said before.
    told: Option<u64>,
    /// Its agent did not come back.
    is_lost: bool,
    /// How much was reported, and whether the agent has said anything since it was told that.
    reported: (u64, bool),
    /// When it is lost: its agent is away.
    lost_at: Option<Instant>,
    /// It is over, and its last words are waited for until then.
    over: Option<Instant>,
}

/// A request for a job that is elsewhere.
pub(super) struct Abroad {
    /// Under whose lease.
    root: JobId,
    /// It is of that job itself, and not of one that shares its workspace.
    is_of_root: bool,
    /// It begins or ends its job.
    is_allocate: bool,
    is_release: bool,
}

impl Abroad {
    /// Whether nothing is left under the lease with this answer.
    fn ends_with(&self, reply: &Reply) -> bool {
        self.is_of_root && (self.is_release || self.is_allocate && !matches!(reply, Reply::Allocated(_)))
    }
}

/// Those of a run.
#[derive(Default)]
pub(super) struct Outposts {
    all: BTreeMap<JobId, Outpost>,
    /// Under whose lease a job is.
    roots: BTreeMap<JobId, JobId>,
    /// What is not answered.
    open: BTreeMap<RequestId, Abroad>,
}

impl Outposts {
    /// When something of them is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.values().filter_map(|outpost| outpost.lost_at.or(outpost.over)).min()
    }

    /// Whether that is asked of a job elsewhere.
    pub(super) fn has_asked(&self, id: RequestId) -> bool {
        self.open.contains_key(&id)
    }

    /// Under whose lease a job is.
    pub(super) fn root_of(&self, job: JobId) -> Option<JobId> {
        self.roots.get(&job).copied()
    }

    /// What the lease of a job needs.
    pub(super) fn needs_of(&self, root: JobId) -> Option<&Needs> {
        self.all.get(&root).map(|outpost| &outpost.needs)
    }

    /// What is not answered under the lease of that job, and whether it ends a job.
    fn open_under(&self, root: JobId) -> Vec<(RequestId, bool)> {
        let open = self.open.iter().filter(|(_, abroad)| abroad.root == root);
        open.map(|(id, abroad)| (*id, abroad.is_release)).collect()
    }

    fn add(&mut self, job: JobId, root: JobId, outpost: impl FnOnce() -> Outpost) {
        self.roots.insert(job, root);
        if job == root {
            self.all.insert(job, outpost());
        }
    }

    /// Agents that may have something to say still.
    pub(super) fn are_quiet(&self) -> bool {
        self.all.values().all(|outpost| outpost.agent.is_none() || outpost.is_lost)
    }
}

impl Keeper {
    /// What was written down of them, as after a restart.
    pub(super) async fn resume_outposts(&mut self) -> Result<(), StoreError> {
        let all = self.app.store.elsewhere(self.run.id).await?;
        // What is known of connections stays.
        let before = std::mem::take(&mut self.outposts);
        for found in all {
            let Elsewhere { job, root, needs, agent, is_lost, is_over, reported } = found;
            let known = before.all.get(&job).filter(|known| known.agent == agent);
            let now = Instant::now();
            let patience = self.app.config.agent_patience;
            let is_there = known.is_some_and(|known| known.connection.is_some());
            self.outposts.add(job, root, || Outpost {
                needs,
                agent,
                connection: known.and_then(|known| known.connection),
                told: known.and_then(|known| known.told),
                is_lost,
                reported: (reported, false),
                lost_at: (agent.is_some() && !is_lost && !is_there)
                    .then(|| known.and_then(|known| known.lost_at).unwrap_or(now + patience)),
                over: is_over.then(|| now + LAST_WORDS),
            });
        }
        for job in self.outposts.all.keys().copied().collect::<Vec<_>>() {
            self.lease_outpost(job).await?;
            self.settle(job).await?;
        }
        Ok(())
    }

    /// What a run asks for goes elsewhere, as was written down.
    pub(super) fn goes_elsewhere(&mut self, acts: &[Act]) {
        for act in acts {
            if let Act::Elsewhere(job, root, needs) = act {
                self.outposts.add(*job, *root, || Outpost {
                    needs: needs.clone(),
                    agent: None,
                    connection: None,
                    told: None,
                    is_lost: false,
                    reported: (0, false),
                    lost_at: None,
                    over: None,
                });
            }
        }
    }

    /// Whether that is a job for which no agent is found yet.
    pub(super) fn waits_for_a_place(&self, request: &Request) -> bool {
        let Request::Allocate { job, .. } = request else { return false };
        let outpost = self.outposts.root_of(*job).and_then(|root| self.outposts.all.get(&root));
        outpost.is_some_and(|outpost| outpost.agent.is_none())
    }

    /// Has something done at another agent; false: it is none of theirs.
    pub(super) async fn ask_outpost(&mut self, id: RequestId, request: &Request) -> Result<bool, StoreError> {
        let job = request.job();
        let Some((job, root)) = job.and_then(|job| Some((job, self.outposts.root_of(job)?))) else { return Ok(false) };
        let is_release = matches!(request, Request::Release { .. });
        let is_allocate = matches!(request, Request::Allocate { .. });
        self.outposts.open.insert(id, Abroad { root, is_of_root: job == root, is_allocate, is_release });
        match self.outposts.all.get(&root) {
            Some(Outpost { is_lost: false, agent: None, needs, .. }) => {
                line::job_queued(&self.app, &self.run, root, needs).await?;
            }
            Some(Outpost { is_lost: false, .. }) => {
                let lease = Lease::of_job(self.run.id, root);
                self.tell_outpost(root, ToAgent::Perform { lease, id, request: request.clone() });
            }
            _ => self.answer_lost(id, is_release).await?,
        }
        Ok(true)
    }

    /// A request is to end early; false: it is none of theirs.
    pub(super) async fn cancel_abroad(&mut self, id: RequestId) -> Result<bool, StoreError> {
        let Some(root) = self.outposts.open.get(&id).map(|abroad| abroad.root) else { return Ok(false) };
        match self.outposts.all.get(&root).map(|outpost| outpost.agent) {
            // It waits for a place, and nobody has begun with it.
            Some(None) => self.answered_abroad(id, Reply::Cancelled).await?,
            _ => self.tell_outpost(root, ToAgent::Cancel { lease: Lease::of_job(self.run.id, root), id }),
        }
        Ok(true)
    }

    /// A job has a place.
    pub(super) async fn placed(&mut self, job: JobId, agent: u64) -> Result<Step, StoreError> {
        let Some(outpost) = self.outposts.all.get_mut(&job).filter(|outpost| !outpost.is_lost) else {
            self.place_is_free(job);
            return Ok(Step::On);
        };
        // It has that place, and was told so twice.
        if outpost.agent.is_some() {
            return Ok(Step::On);
        }
        let Some(connection) = self.app.hub.connection_of(agent) else {
            // It has gone meanwhile, and knows nothing of this.
            let needs = outpost.needs.clone();
            self.place_is_free(job);
            line::job_queued(&self.app, &self.run, job, &needs).await?;
            return Ok(Step::On);
        };
        // Before it is written down: whether it was is not always known.
        (outpost.agent, outpost.connection) = (Some(agent), Some(connection));
        self.app.store.lease_job(self.run.id, job, agent, self.app.now()).await?;
        self.app.changed(self.run.id);
        self.begin_outpost(job).await?;
        Ok(Step::On)
    }

    /// An agent has come, which holds these leases of jobs. What it has of a job is gone where that is not among them.
    pub(super) async fn outposts_came(
        &mut self,
        agent: u64,
        connection: u64,
        held: &[Lease],
    ) -> Result<(), StoreError> {
        let is_there = |outpost: &Outpost| outpost.agent == Some(agent) && !outpost.is_lost;
        let own: Vec<_> = self.outposts.all.iter().filter(|(_, outpost)| is_there(outpost)).collect();
        let own: Vec<_> = own.into_iter().map(|(job, _)| *job).collect();
        for job in &own {
            let lease = Lease::of_job(self.run.id, *job);
            let Some(outpost) = self.outposts.all.get_mut(job) else { continue };
            (outpost.connection, outpost.lost_at) = (Some(connection), None);
            match held.contains(&lease) || outpost.told == Some(connection) {
                true => self.begin_outpost(*job).await?,
                false => self.outpost_lost(*job).await?,
            }
        }
        let is_mine = |lease: &Lease| lease.job().is_some_and(|job| own.contains(&job));
        for lease in held.iter().copied().filter(|lease| lease.job().is_some() && !is_mine(lease)) {
            self.app.hub.tell(agent, ToAgent::Release { lease, forget: true });
        }
        Ok(())
    }

    /// An agent's connection has ended.
    pub(super) fn outposts_went(&mut self, agent: u64) {
        let at = Instant::now() + self.app.config.agent_patience;
        for outpost in self.outposts.all.values_mut().filter(|outpost| outpost.agent == Some(agent) && !outpost.is_lost)
        {
            (outpost.connection, outpost.lost_at) = (None, Some(at));
        }
    }

    /// A time has come.
    pub(super) async fn wake_outposts(&mut self, now: Instant) -> Result<(), StoreError> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for job in self.outposts.all.keys().copied().collect::<Vec<_>>() {
            let Some(outpost) = self.outposts.all.get(&job) else { continue };
            match (outpost.lost_at, outpost.over) {
                (lost, None) if is_due(lost) => self.outpost_lost(job).await?,
                (lost, over) if is_due(lost.or(over)) => self.end_outpost(job).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// An agent says something of a job. `None`: it has no such lease.
    pub(super) async fn heard_of_job(
        &mut self,
        agent: u64,
        lease: Lease,
        message: FromAgent,
    ) -> Result<Option<Step>, StoreError> {
        let job = lease.job().filter(|job| Lease::of_job(self.run.id, *job) == lease);
        let outpost = job.and_then(|job| Some((job, self.outposts.all.get_mut(&job)?)));
        let Some((job, outpost)) = outpost.filter(|(_, outpost)| outpost.agent == Some(agent) && !outpost.is_lost)
        else {
            return Ok(None);
        };
        match message {
            FromAgent::Found { .. } => outpost.reported.1 = true,
            FromAgent::Answered { id, reply, .. } => match self.outposts.open.get(&id).map(|abroad| abroad.root) {
                // Nobody can be told of it as long as the run's own agent is away for this server: it is said again.
                _ if self.journal.is_none() => {}
                Some(root) if root == job => {
                    if let Some(step) = self.has_read(&reply).await? {
                        return Ok(Some(step));
                    }
                    self.answered_abroad(id, reply).await?;
                    self.tell_outpost(job, ToAgent::AnswerKept { lease, id });
                }
                // Nobody asks that any more, or nobody has asked it that.
                _ => self.tell_outpost(job, ToAgent::AnswerKept { lease, id }),
            },
            FromAgent::Report { first, .. } if first > outpost.reported.0 && !outpost.reported.1 => {}
            FromAgent::Report { first, mut items, .. } => {
                self.secrets.clean(&mut items);
                let until = Instant::now() + LAST_WORDS;
                // There may be much of it.
                outpost.over.iter_mut().for_each(|at| *at = until);
                self.leaving.iter_mut().for_each(|(_, at)| *at = until);
                self.ended.iter_mut().for_each(|(_, at)| *at = until);
                self.see_images(&items);
                self.see_output(&items).await?;
                let reported = self.app.store.report_of(self.run.id, Some(job), first, &items).await?;
                if let Some(outpost) = self.outposts.all.get_mut(&job) {
                    outpost.reported.0 = reported;
                }
                self.tell_outpost(job, ToAgent::Kept { lease, reported });
                self.app.changed(self.run.id);
            }
            FromAgent::Released { .. } => {
                match outpost.over.is_some() || self.ended.is_some() {
                    true => self.end_outpost(job).await?,
                    // It had heard of an end that this knows nothing of.
                    false => self.outpost_lost(job).await?,
                }
                return self.finish_if_quiet().await.map(Some);
            }
            _ => {}
        }
        Ok(Some(Step::On))
    }

    /// The run has ended: so have its jobs.
    pub(super) fn release_outposts(&mut self, forget: bool) {
        let until = Instant::now() + LAST_WORDS;
        for job in self.outposts.all.keys().copied().collect::<Vec<_>>() {
            let lease = Lease::of_job(self.run.id, job);
            if let Some(outpost) = self.outposts.all.get_mut(&job) {
                outpost.over.get_or_insert(until);
                if let Some(agent) = outpost.agent {
                    self.app.hub.tell(agent, ToAgent::Release { lease, forget });
                }
            }
        }
    }

    /// Tells its agent of the lease; what was said before comes again.
    async fn lease_outpost(&mut self, job: JobId) -> Result<(), StoreError> {
        let is_there = |outpost: &&mut Outpost| outpost.connection.is_some() && !outpost.is_lost;
        let Some(outpost) = self.outposts.all.get_mut(&job).filter(is_there) else { return Ok(()) };
        let (reported, Some(agent)) = (outpost.reported.0, outpost.agent) else { return Ok(()) };
        (outpost.reported.1, outpost.told) = (false, outpost.connection);
        let lease = Lease::of_job(self.run.id, job);
        if let Some(message) = self.lease_of((lease, agent), reported).await? {
            self.tell_outpost(job, message);
        }
        Ok(())
    }

    /// The same, and asks for all that is not answered.
    async fn begin_outpost(&mut self, job: JobId) -> Result<(), StoreError> {
        self.lease_outpost(job).await?;
        let lease = Lease::of_job(self.run.id, job);
        for outstanding in self.app.store.outstanding(self.run.id).await? {
            let id = outstanding.id;
            if self.outposts.open.get(&id).is_some_and(|abroad| abroad.root == job) {
                self.tell_outpost(job, ToAgent::Perform { lease, id, request: outstanding.request });
                if outstanding.is_cancelled {
                    self.tell_outpost(job, ToAgent::Cancel { lease, id });
                }
            }
        }
        self.settle(job).await
    }

    /// An answer of a job that is elsewhere.
    async fn answered_abroad(&mut self, id: RequestId, reply: Reply) -> Result<(), StoreError> {
        let ends = self.outposts.open.get(&id).is_some_and(|abroad| abroad.ends_with(&reply));
        self.answer(id, reply).await?;
        let Some(Abroad { root, .. }) = self.outposts.open.remove(&id) else { return Ok(()) };
        if ends {
            if let Some(outpost) = self.outposts.all.get_mut(&root) {
                outpost.over = Some(Instant::now() + LAST_WORDS);
            }
            self.settle(root).await?;
        }
        Ok(())
    }

    /// One that is over is let go of.
    async fn settle(&mut self, job: JobId) -> Result<(), StoreError> {
        let Some(outpost) = self.outposts.all.get(&job).filter(|outpost| outpost.over.is_some()) else { return Ok(()) };
        if outpost.agent.is_none() || outpost.is_lost {
            return self.end_outpost(job).await;
        }
        self.tell_outpost(job, ToAgent::Release { lease: Lease::of_job(self.run.id, job), forget: false });
        Ok(())
    }

    /// Nothing is left of it.
    async fn end_outpost(&mut self, job: JobId) -> Result<(), StoreError> {
        match self.app.store.end_job(self.run.id, job, self.app.now()).await {
            Ok(()) | Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(Outpost { agent: Some(agent), .. }) = self.outposts.all.remove(&job) {
            let lease = Lease::of_job(self.run.id, job);
            self.app.hub.tell(agent, ToAgent::Release { lease, forget: true });
        }
        self.outposts.roots.retain(|_, root| *root != job);
        self.place_is_free(job);
        // What its run asks for behind its end nobody does.
        for (id, is_release) in self.outposts.open_under(job) {
            self.outposts.open.remove(&id);
            self.answer(id, lost(is_release)).await?;
        }
        Ok(())
    }

    /// Its agent does not come back: what is open of it fails.
    async fn outpost_lost(&mut self, job: JobId) -> Result<(), StoreError> {
        tracing::warn!(run = %self.run.id, %job, "the agent of a job was lost");
        self.app.store.lose_job(self.run.id, job, self.app.now()).await?;
        let Some(outpost) = self.outposts.all.get_mut(&job) else { return Ok(()) };
        (outpost.is_lost, outpost.lost_at) = (true, None);
        if let Some(agent) = outpost.agent {
            let lease = Lease::of_job(self.run.id, job);
            self.app.hub.tell(agent, ToAgent::Release { lease, forget: true });
        }
        self.place_is_free(job);
        if self.journal.is_none() {
            // They are asked again when the run goes on, and fail then.
            return Ok(());
        }
        for (id, is_release) in self.outposts.open_under(job) {
            self.answer_lost(id, is_release).await?;
        }
        self.settle(job).await
    }

    async fn answer_lost(&mut self, id: RequestId, is_release: bool) -> Result<(), StoreError> {
        self.answered_abroad(id, lost(is_release)).await
    }

    fn place_is_free(&self, job: JobId) {
        self.app.waiting.job_over(self.run.id, job);
        self.app.hub.wake();
    }

    fn tell_outpost(&self, job: JobId, message: ToAgent) {
        let outpost = self.outposts.all.get(&job).filter(|outpost| !outpost.is_lost);
        if let Some((agent, connection)) = outpost.and_then(|outpost| outpost.agent.zip(outpost.connection)) {
            self.app.hub.tell_over(agent, connection, message);
        }
    }
}

/// For the log of the run: where a job goes, and why.
pub(super) fn told(job: JobId, needs: &Needs) -> Event {
    let label = needs.label.as_ref().map(|label| format!("label ‘{label}’"));
    let engine = needs.engine.then(|| "a Docker Engine".to_owned());
    let is_all = label.is_none() && engine.is_none();
    let rung = (is_all || needs.rung > Rung::Container).then(|| format!("sandboxes of rung {}", needs.rung.name()));
    let needs: Vec<_> = [label, engine, rung].into_iter().flatten().collect();
    let text = format!("{job} goes to another agent, which has {}", needs.join(" and "));
    Event::Log { step: None, stage: None, source: LogSource::System, text }
}
