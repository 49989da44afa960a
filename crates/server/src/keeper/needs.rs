//! What a run turns out to need, and whether its agent has that.

use model::event::Event;
use model::request::{AgentSpec, Reply, Request};
use model::rung::{Needs, Trust};
use queue::Need;
use store::{Act, Run, StoreError};
use wire::agent::{Item, ToAgent};
use wire::engine::Input;

use super::{Keeper, Step};
use crate::line;

impl Keeper {
    /// What has just been asked for, where this agent lacks it and another may still have the run: nothing of it lies here, no sandbox and
    /// no stash. Later it stays, and hears from its agent why there is no such place.
    pub(super) async fn needs_elsewhere(&self, acts: &[Act]) -> Result<Option<Needs>, StoreError> {
        let requests = acts.iter().filter_map(|act| match act {
            Act::Request(_, request) => Some(request),
            Act::Cancel(_) | Act::Event(_) | Act::Properties(..) => None,
        });
        let asked = requests.filter_map(|request| needs_of(request, self.run.trust)).reduce(Needs::and);
        let (Some(agent), Some(mut asked)) = (self.agent, asked) else { return Ok(None) };
        let label = asked.label.take();
        let lacks = self.app.hub.lacks(agent, &asked);
        let mut needs = self.run.needs.clone().map_or(asked.clone(), |known| known.and(asked));
        let is_elsewhere = match label {
            Some(label) => self.add_label(agent, &mut needs, label).await?,
            None => false,
        };
        if !lacks && !is_elsewhere {
            return Ok(None);
        }
        let had_a_place =
            |input: &Input| matches!(input, Input::Answer { reply: Reply::Allocated(_), .. } | Input::Abort { .. });
        let is_new = self.open.len() == self.timers.len() + self.questions.len()
            && self.journal.as_ref().is_some_and(|journal| !journal.entries().iter().any(|e| had_a_place(&e.input)));
        tracing::info!(run = %self.run.id, agent, ?needs, is_new, "an agent lacks what a run needs");
        Ok(is_new.then_some(needs))
    }

    /// Adds a label of the definition, where an agent that is there has it with all else that the run asks for. Any other label is one of
    /// another server's agents, and of no meaning here; and a stranger chooses no agent. Whether it was added, and this agent has it not.
    async fn add_label(&self, agent: u64, needs: &mut Needs, label: String) -> Result<bool, StoreError> {
        let Ok(labels) = label.parse() else { return Ok(false) };
        if self.run.trust == Trust::Stranger {
            return Ok(false);
        }
        let project = self.app.store.project(&self.run.project_name).await?;
        let config = project.and_then(|project| serde_json::from_value(project.config).ok());
        let with = needs.clone().and(Needs { label: Some(label), ..needs.clone() });
        let run = Run { needs: Some(with.clone()), ..self.run.clone() };
        let is_there = self.app.hub.somebody_fits(&line::needed(&run, config.as_ref()));
        if is_there {
            *needs = with;
        }
        Ok(is_there && !self.app.hub.fits(agent, &labels))
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
