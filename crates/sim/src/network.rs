//! What lies between agents and the server: delays, silence, and connections that break at any message.

use tokio::sync::mpsc::error::TryRecvError;
use wire::agent::{FromAgent, ToAgent};

use crate::dice::Dice;
use crate::life::Wires;

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// How long messages take, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// One connection of an agent. Either side may have lost it while the other does not know.
pub(crate) struct Link {
    /// Which agent's.
    pub(crate) agent: usize,
    /// The server's end; `None`: it is gone.
    wires: Option<Wires>,
    /// Nothing comes through any more, and nobody is told.
    pub(crate) is_silent: bool,
    /// When the last message comes that is on its way, up and down: none overtakes another.
    arrives: [u64; 2],
}

/// What came out of the server's end.
pub(crate) enum Out {
    Says(Box<ToAgent>),
    /// The server has ended it.
    Closed,
}

impl Link {
    pub(crate) fn new(agent: usize, wires: Wires, now: u64) -> Link {
        Link { agent, wires: Some(wires), is_silent: false, arrives: [now; 2] }
    }

    /// When a message comes that is sent now.
    pub(crate) fn up(&mut self, now: u64, latency: Latency, dice: &mut Dice) -> u64 {
        self.arrival(0, now, latency, dice)
    }

    /// The same in the other direction.
    pub(crate) fn down(&mut self, now: u64, latency: Latency, dice: &mut Dice) -> u64 {
        self.arrival(1, now, latency, dice)
    }

    fn arrival(&mut self, way: usize, now: u64, latency: Latency, dice: &mut Dice) -> u64 {
        let at = (now + dice.between(latency.least, latency.most)).max(self.arrives[way]);
        self.arrives[way] = at;
        at
    }

    /// Hands a message to the server.
    pub(crate) fn deliver(&self, message: FromAgent) {
        if let Some(wires) = self.wires.as_ref().filter(|_| !self.is_silent) {
            // A server that has ended it hears nothing.
            let _ = wires.to_server.send(message);
        }
    }

    /// What the server has said since.
    pub(crate) fn drain(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(wires) = &mut self.wires {
            match wires.from_server.try_recv() {
                Ok(message) => out.push(Out::Says(Box::new(message))),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.wires = None;
                    out.push(Out::Closed);
                }
            }
        }
        out
    }

    /// The server sees its end.
    pub(crate) fn cut(&mut self) {
        self.wires = None;
    }
}
