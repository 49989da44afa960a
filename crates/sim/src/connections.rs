//! How agents come and go, and what passes between them and the server.

use model::ids::RunId;
use wire::agent::{FromAgent, Lease, ToAgent};

use crate::network::{Link, LinkId};
use crate::world::{Event, World};

/// How often an agent says that it lives.
const BEAT: u64 = 20_000;
/// A server that says nothing so long is gone.
const SILENCE: u64 = 45_000;

impl World {
    pub(crate) fn connect(&mut self, index: usize) -> Result<(), String> {
        let Some(agent) = self.agents.get_mut(index).filter(|agent| agent.link.is_none()) else { return Ok(()) };
        if agent.away_until > self.now {
            let at = agent.away_until;
            self.at(at, Event::Connect(index));
            return Ok(());
        }
        let Some(life) = &self.life else {
            let after = self.dice.between(500, 8_000);
            self.later(after, Event::Connect(index));
            return Ok(());
        };
        let (wires, slot) = life.attach(&agent.key);
        self.attached.push(slot);
        self.counted += 1;
        let id = LinkId(self.counted);
        self.links.insert(id, Link::new(index, wires, self.now));
        (agent.link, agent.heard_at) = (Some(id), self.now);
        let hello = agent.hello();
        self.trace.line(self.now, &format!("{} connects: {hello:?}", agent.name));
        self.say(index, hello);
        self.later(BEAT, Event::Beat(id, index));
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, index: usize) {
        self.agents[index].lose_connection();
        let after = self.dice.between(100, 10_000);
        self.later(after, Event::Connect(index));
    }

    /// Both ends of a connection are gone, or will be when they look.
    pub(crate) fn cut(&mut self, id: LinkId) {
        match self.links.get_mut(&id) {
            // The server does not know yet.
            Some(link) if link.is_silent => {}
            Some(link) => {
                link.cut();
                self.links.remove(&id);
            }
            None => {}
        }
    }

    pub(crate) fn beat(&mut self, id: LinkId, index: usize) {
        let agent = &self.agents[index];
        if agent.link != Some(id) {
            return;
        }
        if self.now > agent.heard_at + SILENCE {
            self.trace.line(self.now, &format!("agent {index} hears nothing"));
            self.cut(id);
            return self.disconnect(index);
        }
        // A word of nobody's lease is answered, and means nothing: it lives, and so does the server.
        self.say(index, FromAgent::Released { lease: Lease { run: RunId(0), epoch: 0 } });
        self.later(BEAT, Event::Beat(id, index));
    }

    pub(crate) fn arrives(&mut self, id: LinkId, index: usize, message: ToAgent) -> Result<(), String> {
        if self.agents[index].link != Some(id) {
            return Ok(());
        }
        self.agents[index].heard_at = self.now;
        if !matches!(&message, ToAgent::Waiting { .. } | ToAgent::Release { lease: Lease { epoch: 0, .. }, .. }) {
            self.trace.line(self.now, &format!("agent {index} hears {}", short(&message)));
        }
        let message = self.through_the_wire(message)?;
        self.with_agent(index, |agent, around| agent.told(index, message, around))
    }

    /// Now and then, as it would be read from a socket.
    fn through_the_wire(&mut self, message: ToAgent) -> Result<ToAgent, String> {
        if !self.dice.once_in(32) {
            return Ok(message);
        }
        let text = serde_json::to_string(&message).map_err(|error| error.to_string())?;
        match serde_json::from_str::<ToAgent>(&text) {
            Ok(read) if read == message => Ok(read),
            other => Err(format!("{text} is read as {other:?}")),
        }
    }

    pub(crate) fn say(&mut self, index: usize, message: FromAgent) {
        let Some(id) = self.agents[index].link else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        let at = link.up(self.now, self.plan.latency, &mut self.dice);
        self.at(at, Event::Up(id, message));
    }
}

fn short(message: &ToAgent) -> String {
    let text = format!("{message:?}");
    text.chars().take(160).collect()
}
