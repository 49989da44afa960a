//! How a run ends, or leaves its agent.

use model::outcome::Outcome;
use model::request::{Failure, FailureKind, Reply, Request};
use model::run::RunEnd;
use store::{Outstanding, StoreError};
use wire::agent::ToAgent;
use wire::engine::Input;

use super::{Keeper, Step};
use crate::line;

/// What is answered to what was asked of an agent that is lost.
pub(super) fn lost(is_release: bool) -> Reply {
    let message = "the agent that had this was lost".to_owned();
    let failed = Reply::Failed(Failure { kind: FailureKind::Infrastructure, message, hint: None });
    if is_release { Reply::Done } else { failed }
}

impl Keeper {
    /// Its agent does not come back: what was there is gone, and the run goes on at another.
    pub(super) async fn agent_lost(&mut self) -> Result<Step, StoreError> {
        tracing::warn!(run = %self.run.id, agent = self.agent, "an agent was lost");
        self.app.counted.lost();
        // Should this not be written down, it is all the same.
        self.is_lost = true;
        if let Some(reason) = self.run.abort_reason.clone()
            && !line::can_be_told(&self.app, &self.run).await?
        {
            return self.abandon(&reason).await;
        }
        if let Some(needs) = self.leaving.take().map(|(needs, _)| needs).or(self.run.leaves.clone()) {
            return self.go(needs).await;
        }
        let mut answers = Vec::new();
        let asked = self.app.store.outstanding(self.run.id).await?;
        let mut wakes_at = asked.iter().filter_map(Outstanding::due).min();
        for outstanding in asked {
            // No agent has had that, and where the run goes on it is asked for as here.
            if self.waits_for_a_place(&outstanding.request) || self.rest.is_held_back(outstanding.id) {
                wakes_at = Some(self.app.now());
                continue;
            }
            // Time goes on without it.
            if outstanding.request.job().is_some() {
                let reply = lost(matches!(outstanding.request, Request::Release { .. }));
                answers.push(Input::Answer { id: outstanding.id, reply });
            }
        }
        // In one change: nobody may report for the old lease from now on, and nobody answers but this.
        self.app.store.requeue_run(self.run.id, self.lease.epoch, &answers, wakes_at, self.app.now()).await?;
        self.release_outposts(true);
        // It waits for another place, as one that is new.
        Ok(Step::Over)
    }

    /// What was merged is what was run before: that has the verdict.
    pub(super) async fn known_already(&mut self) -> Result<Step, StoreError> {
        let same = self.app.store.verdict_on(&self.run).await?;
        let Some((same, outcome)) = same.and_then(|same| same.outcome.map(|outcome| (same, outcome))) else {
            return Ok(Step::Again);
        };
        let message = format!("#{} has run the same tree: {}", same.number, outcome.name());
        let end = RunEnd { outcome, failure: None, timed_out: false, aborted: false, message: Some(message) };
        self.tell_agent(ToAgent::Release { lease: self.lease, forget: false });
        let is_over = self.app.store.finish_run(self.run.id, &end, self.app.now()).await?;
        self.count(&end, is_over);
        Ok(Step::Over)
    }

    /// It is to end, and there is nobody who could end it in good order.
    pub(super) async fn abandon(&mut self, reason: &str) -> Result<Step, StoreError> {
        let end = RunEnd::aborted(reason);
        self.tell_agent(ToAgent::Release { lease: self.lease, forget: false });
        self.release_outposts(true);
        let is_over = self.app.store.break_run(self.run.id, &end, self.app.now()).await?;
        self.count(&end, is_over);
        Ok(Step::Over)
    }

    /// The run cannot be done.
    pub(super) async fn fail(&mut self, kind: FailureKind, message: &str) -> Result<Step, StoreError> {
        let end = self.secrets.cleaned(RunEnd::failed(Outcome::Failure, Some(kind), message));
        self.tell_agent(ToAgent::Release { lease: self.lease, forget: false });
        self.release_outposts(true);
        let is_over = self.app.store.break_run(self.run.id, &end, self.app.now()).await?;
        self.count(&end, is_over);
        Ok(Step::Over)
    }

    /// It has ended, or leaves its agent, if all that had something of it have said the last of it.
    pub(super) async fn finish_if_quiet(&mut self) -> Result<Step, StoreError> {
        if !self.is_released || !self.outposts.are_quiet() {
            return Ok(Step::On);
        }
        match self.leaving.take() {
            Some((needs, _)) => self.go(needs).await,
            None => self.finish().await,
        }
    }

    pub(super) async fn finish(&mut self) -> Result<Step, StoreError> {
        let Some((end, _)) = &self.ended else { return Ok(Step::On) };
        let is_over = self.app.store.finish_run(self.run.id, end, self.app.now()).await?;
        self.count(end, is_over);
        Ok(Step::Over)
    }

    /// Once, when it is over.
    fn count(&self, end: &RunEnd, is_over: bool) {
        if is_over {
            self.app.counted.ended(&self.run, end, self.app.now());
        }
    }
}
