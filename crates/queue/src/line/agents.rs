//! Agents: what each is, who has its places, and which one a run gets.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{AgentId, Class, ImageName, ProjectName};
use super::labels::{Expression, Labels};
use super::resources::{Free, Resources};
use super::wants::{WantId, Wants};

/// An agent that is there, or whose runs are.
#[derive(Debug, Default)]
pub(super) struct Agent {
    pub(super) is_there: bool,
    /// Takes no more runs.
    pub(super) drains: bool,
    pub(super) labels: Labels,
    pub(super) places: u32,
    images: BTreeSet<ImageName>,
    /// Places that projects have here.
    pub(super) holders: BTreeMap<ProjectName, u32>,
    held: u32,
    /// Interactive runs that got places since one of the background did; counted no further than the rule needs.
    in_a_row: u32,
    /// Kept expressions that its labels fit, while it is there.
    pub(super) wants: BTreeSet<WantId>,
    /// What is free, as its wants know it.
    pub(super) free: Free,
    /// The same with what has changed since.
    next: Free,
}

#[derive(Debug)]
pub(super) struct Agents {
    agents: BTreeMap<AgentId, Agent>,
    /// Who has an image, of those that are there.
    images: BTreeMap<ImageName, BTreeSet<AgentId>>,
    interactive_in_a_row: u32,
}

impl Agents {
    pub(super) fn new(interactive_in_a_row: u32) -> Agents {
        Agents { agents: BTreeMap::new(), images: BTreeMap::new(), interactive_in_a_row }
    }

    pub(super) fn came(
        &mut self,
        id: AgentId,
        labels: Labels,
        (places, resources): (u32, Resources),
        wants: &mut Wants,
    ) {
        self.leave_wants(id, wants);
        let agent = self.agents.entry(id).or_default();
        (agent.is_there, agent.drains, agent.labels, agent.places) = (true, false, labels, places);
        (agent.next.all, agent.next.of_places) = (resources, places);
        let fitting = wants.expressions().filter(|(_, expression)| expression.evaluate(&agent.labels));
        agent.wants = fitting.map(|(want, _)| want).collect();
        self.tell_room(id, wants);
    }

    pub(super) fn drained(&mut self, id: AgentId, wants: &mut Wants) {
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.drains = true;
            self.tell_room(id, wants);
        }
    }

    pub(super) fn went(&mut self, id: AgentId, wants: &mut Wants) {
        self.leave_wants(id, wants);
        self.set_images(id, BTreeSet::new());
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.is_there = false;
            self.forget_if_gone(id);
        }
    }

    pub(super) fn set_images(&mut self, id: AgentId, images: BTreeSet<ImageName>) {
        let Some(agent) = self.agents.get_mut(&id).filter(|agent| agent.is_there) else { return };
        for image in agent.images.difference(&images) {
            if let Some(holders) = self.images.get_mut(image) {
                holders.remove(&id);
                if holders.is_empty() {
                    self.images.remove(image);
                }
            }
        }
        for image in images.difference(&agent.images) {
            self.images.entry(image.clone()).or_default().insert(id);
        }
        agent.images = images;
    }

    /// A run of a project has a place from now on, also where there is none.
    pub(super) fn take(
        &mut self,
        id: AgentId,
        project: &ProjectName,
        (class, uses): (Class, Resources),
        wants: &mut Wants,
    ) {
        let agent = self.agents.entry(id).or_default();
        agent.next.take(uses);
        *agent.holders.entry(project.clone()).or_default() += 1;
        agent.held = agent.held.saturating_add(1);
        agent.in_a_row = match class {
            Class::Interactive => (agent.in_a_row + 1).min(self.interactive_in_a_row),
            Class::Background => 0,
        };
        self.tell_room(id, wants);
    }

    /// It has not any more.
    pub(super) fn leave(&mut self, id: AgentId, project: &ProjectName, used: Resources, wants: &mut Wants) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        agent.next.leave(used);
        agent.held = agent.held.saturating_sub(1);
        if let Some(held) = agent.holders.get_mut(project) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                agent.holders.remove(project);
            }
        }
        self.tell_room(id, wants);
        self.forget_if_gone(id);
    }

    /// A run has an expression that was not kept before.
    pub(super) fn learn(&mut self, want: WantId, expression: &Expression, wants: &mut Wants) {
        for (id, agent) in self.agents.iter_mut().filter(|(_, agent)| agent.is_there) {
            if expression.evaluate(&agent.labels) {
                agent.wants.insert(want);
                wants.set_room(want, *id, 0, agent.free.room_for(wants.resources(want)));
            }
        }
    }

    /// An expression is not kept any more.
    pub(super) fn unlearn(&mut self, want: WantId) {
        for agent in self.agents.values_mut() {
            agent.wants.remove(&want);
        }
    }

    /// The agent for a run: of those with room that fit one that has the image, then the one with most room, then the
    /// smallest id.
    pub(super) fn choose(&self, want: WantId, image: Option<&ImageName>, wants: &Wants) -> Option<AgentId> {
        let (count, mut roomy) = wants.roomy(want);
        let Some(holders) = image.and_then(|image| self.images.get(image)) else { return roomy.next() };
        // Whichever is the shorter way: both lead to the same.
        if count <= holders.len() {
            let most = roomy.next();
            return most.filter(|id| holders.contains(id)).or_else(|| roomy.find(|id| holders.contains(id))).or(most);
        }
        let wanted = wants.resources(want);
        let fits = |id: &AgentId| self.agents.get(id).filter(|agent| agent.wants.contains(&want));
        let room = |id: &AgentId| fits(id).map(|agent| agent.free.room_for(wanted));
        let with_room = holders.iter().filter_map(|id| room(id).filter(|room| *room > 0).map(|room| (room, *id)));
        let best = with_room.max_by_key(|(room, id)| (*room, std::cmp::Reverse(*id)));
        best.map(|(_, id)| id).or_else(|| roomy.next())
    }

    /// What an agent fits and has room for, where it is the turn of background work there.
    pub(super) fn turn_of_background(&self, id: AgentId, wants: &Wants) -> Option<impl Iterator<Item = WantId>> {
        let agent = self.agents.get(&id).filter(|agent| agent.in_a_row >= self.interactive_in_a_row)?;
        Some(agent.wants.iter().copied().filter(|want| agent.free.room_for(wants.resources(*want)) > 0))
    }

    /// Those that are there.
    pub(super) fn present(&self) -> impl Iterator<Item = (AgentId, &Agent)> {
        self.agents.iter().filter(|(_, agent)| agent.is_there).map(|(id, agent)| (*id, agent))
    }

    /// Tells those whom it concerns how many places are free now.
    fn tell_room(&mut self, id: AgentId, wants: &mut Wants) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let takes = agent.is_there && !agent.drains;
        agent.next.places = if takes { agent.places.saturating_sub(agent.held) } else { 0 };
        let (before, now) = (std::mem::replace(&mut agent.free, agent.next), agent.next);
        if before == now {
            return;
        }
        for want in &agent.wants {
            let wanted = wants.resources(*want);
            let rooms = (before.room_for(wanted), now.room_for(wanted));
            if rooms.0 != rooms.1 {
                wants.set_room(*want, id, rooms.0, rooms.1);
            }
        }
    }

    fn leave_wants(&mut self, id: AgentId, wants: &mut Wants) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        let before = agent.free;
        agent.free.places = 0;
        for want in std::mem::take(&mut agent.wants) {
            wants.set_room(want, id, before.room_for(wants.resources(want)), 0);
        }
    }

    fn forget_if_gone(&mut self, id: AgentId) {
        if self.agents.get(&id).is_some_and(|agent| !agent.is_there && agent.held == 0) {
            self.agents.remove(&id);
        }
    }
}
