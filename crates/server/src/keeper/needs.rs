//! What a run turns out to need, and whether its agent has that.

use model::event::Event;
use model::request::{AgentSpec, Reply, Request};
use model::rung::{Needs, Trust};
use queue::Need;
use store::{Act, StoreError};
use wire::agent::{Item, ToAgent};
use wire::engine::Input;

use super::{Keeper, Step};

impl Keeper {
    /// What has just been asked for, where this agent lacks it and another may still have the run: nothing of it lies here, no sandbox and
    /// no stash. Later it stays, and hears from its agent why there is no such place.
    pub(super) fn needs_elsewhere(&self, acts: &[Act]) -> Option<Needs> {
        let requests = acts.iter().filter_map(|act| match act {
            Act::Request(_, request) => Some(request),
            Act::Cancel(_) | Act::Event(_) => None,
        });
        let mut needs = requests.filter_map(|request| needs_of(request, self.run.trust)).reduce(Needs::and)?;
        let agent = self.agent?;
        // A label that nobody has is one of another server, and of no meaning here.
        let label =
            needs.label.take_if(|label| !label.parse().is_ok_and(|labels| self.app.hub.others_fit(agent, &labels)));
        if needs.label.is_none() && !self.app.hub.lacks(agent, &needs) {
            return None;
        }
        tracing::debug!(label, "labels that the run is not moved for");
        let had_a_place =
            |input: &Input| matches!(input, Input::Answer { reply: Reply::Allocated(_), .. } | Input::Abort { .. });
        let is_new = self.open.len() == self.timers.len() + self.questions.len()
            && !self.journal.as_ref()?.entries().iter().any(|entry| had_a_place(&entry.input));
        tracing::info!(run = %self.run.id, agent, ?needs, is_new, "an agent lacks what a run needs");
        is_new.then(|| self.run.needs.clone().map_or(needs.clone(), |known| known.and(needs)))
    }

    /// It waits for an agent that has what it needs, and asks again there.
    pub(super) async fn leave(&mut self, needs: Needs) -> Result<Step, StoreError> {
        self.app.store.move_run(self.run.id, self.lease.epoch, &needs, self.app.now()).await?;
        self.tell_agent(ToAgent::Release { lease: self.lease, forget: true });
        Ok(Step::Over)
    }

    /// The next run of the project goes where the images of this one are.
    pub(super) fn see_images(&self, items: &[Item]) {
        for item in items {
            if let Item::Event { event: Event::JobStarted { image: Some(image), .. }, .. } = item
                && let Some((_, digest)) = image.rsplit_once('@')
            {
                self.app.waiting.learn_image(&self.run.project_name, digest);
            }
        }
    }
}

/// What a place needs of its host, as its agent will say too.
fn needs_of(request: &Request, trust: Trust) -> Option<Needs> {
    let Request::Allocate { agent, engine, shares, .. } = request else { return None };
    let need = Need {
        image: false,
        minimum: (trust.minimum(), String::new()),
        engine: engine.clone(),
        shares: shares.clone(),
        network: false,
        nested: false,
        memory_bytes: 0,
        layers: None,
        device: None,
    };
    let (need, label) = match agent {
        AgentSpec::Docker(docker) => (need.with_docker(docker).0, docker.label.as_ref()),
        AgentSpec::Label(label) => (need, Some(label)),
        AgentSpec::Any => (need, None),
    };
    let label = label.filter(|label| !label.trim().is_empty()).cloned();
    Some(Needs { label, ..queue::needs(&need) })
}
