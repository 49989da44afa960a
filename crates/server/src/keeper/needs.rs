//! What a run turns out to need, and whether its agent has that.

use model::event::Event;
use model::ids::JobId;
use model::request::{AgentSpec, Reply, Request};
use model::rung::{Needs, Trust};
use queue::Need;
use store::{Act, Outstanding, Run, StoreError};
use tokio::time::Instant;
use wire::agent::{Item, ToAgent};
use wire::engine::Input;

use super::{Keeper, LAST_WORDS, Step, outposts};
use crate::line;

/// Who goes to another agent.
pub(super) enum Goes {
    Nobody,
    /// The run, which has nothing where it is.
    Run(Needs),
    /// These jobs, each under the lease of the second.
    Jobs(Vec<(JobId, JobId, Needs)>),
}

impl Keeper {
    /// Who goes elsewhere, of what has just been asked for: what this agent lacks. A run without a sandbox, for which nothing is done, goes itself; else a job
    /// goes alone, if an agent that is there has what it needs. What stays hears from its agent why there is no such place.
    pub(super) async fn goes(&self, requests: &[&Request]) -> Result<Goes, StoreError> {
        // What it does not get anyway it need not wait for.
        let requests: Vec<_> =
            requests.iter().copied().filter(|request| self.not_approved(request).is_none()).collect();
        let of_run = self.needs_elsewhere(&requests).await?;
        if let Some(needs) = &of_run
            && (requests.len() == 1 || self.somebody_has(needs).await?)
        {
            return Ok(Goes::Run(needs.clone()));
        }
        let (mut jobs, mut has_all) = (Vec::new(), true);
        for request in requests {
            match self.job_elsewhere(request).await? {
                Some(job) => jobs.push(job),
                None => has_all &= !self.is_lacking(request),
            }
        }
        Ok(match of_run {
            // Nobody has all of it now. Where nobody has a part of it either, it waits for who will.
            Some(needs) if jobs.is_empty() || !has_all => Goes::Run(needs),
            _ if !jobs.is_empty() => Goes::Jobs(jobs),
            _ => Goes::Nobody,
        })
    }

    /// Where a job goes that is asked for, if not to the run's own agent.
    async fn job_elsewhere(&self, request: &Request) -> Result<Option<(JobId, JobId, Needs)>, StoreError> {
        let Request::Allocate { job, agent, .. } = request else { return Ok(None) };
        if let AgentSpec::Docker(docker) = agent
            && let Some(of) = docker.workspace_of
        {
            let root = self.outposts.root_of(of);
            let needs = root.and_then(|root| Some((root, self.outposts.needs_of(root)?.clone())));
            return Ok(needs.map(|(root, needs)| (*job, root, needs)));
        }
        let (Some(agent), Some(mut needs)) = (self.agent, needs_of(request, self.run.trust)) else { return Ok(None) };
        if !self.add_lacking(agent, &mut needs).await? || !self.somebody_has(&needs).await? {
            return Ok(None);
        }
        Ok(Some((*job, *job, needs)))
    }

    /// What all that is asked for needs together, where this agent lacks it and the run itself can go.
    async fn needs_elsewhere(&self, requests: &[&Request]) -> Result<Option<Needs>, StoreError> {
        let asked = requests.iter().filter_map(|request| needs_of(request, self.run.trust)).reduce(Needs::and);
        // And this alone: what jobs that are over have needed is of no meaning any more.
        let (Some(agent), Some(mut needs)) = (self.agent, asked) else { return Ok(None) };
        if !self.add_lacking(agent, &mut needs).await? {
            return Ok(None);
        }
        let is_free = self.open.len() == self.timers.len() + self.questions.len() + self.builds.len()
            && !self.has_input(|input| matches!(input, Input::Abort { .. }))
            && self.builds.is_empty()
            && self.locks.is_empty()
            && (!self.had_a_place() || self.is_between_jobs(&needs).await?);
        tracing::info!(run = %self.run.id, agent, ?needs, is_free, "an agent lacks what a run needs");
        Ok(is_free.then_some(needs))
    }

    /// Whether this agent has not what a job needs, whatever its label.
    fn is_lacking(&self, request: &Request) -> bool {
        let needs = needs_of(request, self.run.trust);
        self.agent.zip(needs).is_some_and(|(agent, needs)| self.app.hub.lacks(agent, &needs))
    }

    /// Whether this agent lacks something of that. A label that means nothing here is taken away.
    async fn add_lacking(&self, agent: u64, needs: &mut Needs) -> Result<bool, StoreError> {
        let label = needs.label.take();
        let lacks = self.app.hub.lacks(agent, needs);
        let is_elsewhere = match label {
            Some(label) => self.add_label(agent, needs, label).await?,
            None => false,
        };
        Ok(lacks || is_elsewhere)
    }

    fn had_a_place(&self) -> bool {
        self.has_input(|input| matches!(input, Input::Answer { reply: Reply::Allocated(_), .. }))
    }

    /// Whether a run that has begun can go on elsewhere: it has no sandbox, nobody is asked anything meanwhile, and an agent with what it
    /// needs is there. In the queue its questions would not be heard.
    async fn is_between_jobs(&self, needs: &Needs) -> Result<bool, StoreError> {
        Ok(self.questions.is_empty()
            && self.builds.is_empty()
            && self.somebody_has(needs).await?
            && !self.app.store.has_a_place(self.run.id).await?)
    }

    /// Whether an agent has what the run waits for; who is to end waits for nothing.
    pub(super) async fn has_its_needs(&self, agent: u64) -> Result<bool, StoreError> {
        let config = self.config().await?;
        let fits = || self.app.hub.fits(agent, &line::needed(&self.run, config.as_ref()));
        Ok(self.run.abort_reason.is_some() || fits())
    }

    /// Whether an agent that is there has that, and what else such a run asks for.
    async fn somebody_has(&self, needs: &Needs) -> Result<bool, StoreError> {
        let config = self.config().await?;
        let run = Run { needs: Some(needs.clone()), ..self.run.clone() };
        Ok(self.app.hub.somebody_fits(&line::needed(&run, config.as_ref())))
    }

    fn has_input(&self, is_it: impl Fn(&Input) -> bool) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.entries().iter().any(|entry| is_it(&entry.input)))
    }

    /// Adds a label of the definition, where an agent that is there has it with all else that the run asks for. Any other label is one of
    /// another server's agents, and of no meaning here; and a stranger chooses no agent. Whether it was added, and this agent has it not.
    async fn add_label(&self, agent: u64, needs: &mut Needs, label: String) -> Result<bool, StoreError> {
        let Ok(labels) = label.parse() else { return Ok(false) };
        if self.run.trust == Trust::Stranger {
            return Ok(false);
        }
        let with = needs.clone().and(Needs { label: Some(label), ..needs.clone() });
        let is_there = self.somebody_has(&with).await?;
        if is_there {
            *needs = with;
        }
        Ok(is_there && !self.app.hub.fits(agent, &labels))
    }

    /// It is to go on where there is what it needs, as is written down, once its agent has said the last of what was done there.
    pub(super) async fn leave(&mut self, needs: Needs) -> Result<Step, StoreError> {
        if !self.had_a_place() {
            return self.go(needs).await;
        }
        self.take_leave(needs);
        Ok(Step::On)
    }

    /// The last words of its agent are waited for.
    pub(super) fn take_leave(&mut self, needs: Needs) {
        (self.leaving, self.is_released) = (Some((needs, Instant::now() + LAST_WORDS)), false);
        self.tell_agent(ToAgent::Release { lease: self.lease, forget: false });
    }

    /// Until when they are waited for: an agent that is away says them when it comes back.
    pub(super) fn leaves_at(&self) -> Option<Instant> {
        self.leaving.as_ref().filter(|_| self.lost_at.is_none()).map(|(_, until)| *until)
    }

    /// It waits for an agent that has what it needs, and asks again there.
    pub(super) async fn go(&mut self, needs: Needs) -> Result<Step, StoreError> {
        let asked = self.app.store.outstanding(self.run.id).await?;
        let wakes_at = asked.iter().filter_map(Outstanding::due).min();
        self.app.store.move_run(self.run.id, self.lease.epoch, &needs, wakes_at, self.app.now()).await?;
        self.tell_agent(ToAgent::Release { lease: self.lease, forget: true });
        self.release_outposts(true);
        Ok(Step::Over)
    }

    /// A run that has come to any agent, to hear that time has passed or that it is to end: what it waits for besides, its jobs wait for from now on,
    /// which go to where that is.
    pub(super) async fn stay(&mut self, asked: &[Outstanding]) -> Result<(), StoreError> {
        let (Some(agent), Some(journal), Some(_)) = (self.agent, &self.journal, self.run.wakes_at) else {
            return Ok(());
        };
        let heard = journal.heard();
        let config = self.config().await?;
        let mut acts = vec![Act::Stay];
        for Outstanding { request, .. } in asked {
            if let (Request::Allocate { job, .. }, Some(mut needs)) = (request, needs_of(request, self.run.trust))
                && self.outposts.root_of(*job).is_none()
            {
                // A label that means nothing here was none of what it waited for.
                let labels = self.run.needs.as_ref().and_then(|needs| needs.label.as_deref()).unwrap_or_default();
                let is_of = |label: &String| labels == label || labels.contains(&format!("({label})"));
                let is_meant = needs.label.as_ref().is_some_and(is_of)
                    || self.run.trust != Trust::Stranger && self.somebody_has(&needs).await?;
                needs.label = needs.label.filter(|_| is_meant);
                let run = Run { needs: Some(needs.clone()), ..self.run.clone() };
                if !self.app.hub.fits(agent, &line::needed(&run, config.as_ref())) {
                    let mut told = outposts::told(*job, &needs);
                    self.secrets.clean_event(&mut told);
                    acts.extend([Act::Event(told), Act::Elsewhere(*job, *job, needs)]);
                }
            }
        }
        self.app.store.heard(self.run.id, heard, &acts, self.app.now()).await?;
        self.goes_elsewhere(&acts);
        Ok(())
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
