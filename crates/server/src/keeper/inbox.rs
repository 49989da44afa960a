//! What a keeper is still to hear.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::ids::{JobId, RequestId};
use store::{Actor, Run};
use tokio::sync::{mpsc, oneshot};
use wire::agent::{FromAgent, Lease};

/// What a keeper hears.
pub(crate) enum ToKeeper {
    /// An agent has connected; it holds these leases of the run.
    Came { agent: u64, connection: u64, held: Vec<Lease> },
    /// An agent's connection has ended.
    Went { agent: u64 },
    /// A job has a place at that agent.
    Placed { job: JobId, agent: u64 },
    /// An agent says something of this run.
    Said { agent: u64, lease: Lease, message: FromAgent, bytes: usize },
    /// Somebody wants it to end; not the first: what it does at its end too.
    Abort { is_first: bool },
    /// Somebody has decided what a run asks. They hear whether that counts: it is written down then.
    Decided { id: RequestId, decision: Decision, heard: oneshot::Sender<bool> },
    /// A run that it waits for is over; `None`: it is forgotten.
    OtherEnded { id: RequestId, run: Option<Box<Run>> },
    /// It has a lock that it waits for.
    Locked { id: RequestId },
    /// It has its place again, which it had given away.
    Risen,
}

/// What somebody says where a run asks.
pub(crate) struct Decision {
    pub(crate) actor: Actor,
    /// Their name.
    pub(crate) by: String,
    /// Of each parameter; `None`: the run is to end there.
    pub(crate) values: Option<Vec<(String, String)>>,
    /// Those of them that are shown to nobody.
    pub(crate) confided: Vec<String>,
}

/// What waits for a keeper to hear it: as much of an agent's words as is believed to be in good order.
pub(crate) struct Inbox {
    receiver: mpsc::UnboundedReceiver<ToKeeper>,
    waiting: Arc<Unheard>,
}

/// Bytes that each agent has said, of whatever run, and that nobody has heard yet: one that says much, of a run that may not even be its own, is in nobody
/// else's way.
#[derive(Default)]
pub(crate) struct Unheard(Mutex<HashMap<u64, usize>>);

impl Unheard {
    /// False: so many more would be too many, and are not counted.
    fn add(&self, agent: u64, bytes: usize, most: usize) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = waiting.entry(agent).or_default();
        let fits = *of <= most;
        if fits {
            *of = of.saturating_add(bytes);
        }
        fits
    }

    fn take(&self, agent: u64, bytes: usize) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = waiting.get_mut(&agent) {
            *of = of.saturating_sub(bytes);
            if *of == 0 {
                waiting.remove(&agent);
            }
        }
    }
}

/// The other end of it.
#[derive(Clone)]
pub(crate) struct KeeperLink {
    sender: mpsc::UnboundedSender<ToKeeper>,
    waiting: Arc<Unheard>,
}

/// Both ends.
pub(crate) fn inbox(waiting: &Arc<Unheard>) -> (KeeperLink, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (KeeperLink { sender, waiting: Arc::clone(waiting) }, Inbox { receiver, waiting: Arc::clone(waiting) })
}

impl KeeperLink {
    /// False: nobody hears it.
    pub(crate) fn send(&self, message: ToKeeper) -> bool {
        self.sender.send(message).is_ok()
    }

    /// What an agent says, in a message of so many bytes. False: more waits than `most` bytes, and this is not taken.
    pub(crate) fn take(&self, agent: u64, lease: Lease, message: FromAgent, bytes: usize, most: usize) -> bool {
        if !self.waiting.add(agent, bytes, most) {
            return false;
        }
        if !self.send(ToKeeper::Said { agent, lease, message, bytes }) {
            self.waiting.take(agent, bytes);
        }
        true
    }
}

impl Inbox {
    pub(super) async fn next(&mut self) -> Option<ToKeeper> {
        let message = self.receiver.recv().await;
        if let Some(ToKeeper::Said { agent, bytes, .. }) = &message {
            self.waiting.take(*agent, *bytes);
        }
        message
    }
}

/// What nobody will hear waits no more.
impl Drop for Inbox {
    fn drop(&mut self) {
        self.receiver.close();
        while let Ok(message) = self.receiver.try_recv() {
            if let ToKeeper::Said { agent, bytes, .. } = message {
                self.waiting.take(agent, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_says_too_much_is_in_nobody_elses_way() {
        let unheard = Arc::<Unheard>::default();
        let (link, mut inbox) = inbox(&unheard);
        let lease = Lease { run: model::ids::RunId(1), epoch: 1 };
        let say = |agent, bytes| link.take(agent, lease, FromAgent::Released { lease }, bytes, 100);
        assert!(say(1, 60) && say(1, 60));
        // However often it tries.
        assert!((0..9).all(|_| !say(1, 60)));
        assert!(say(2, 90), "another one");
        for _ in 0..3 {
            assert!(matches!(inbox.next().await, Some(ToKeeper::Said { .. })));
        }
        assert!(say(1, 60), "it was heard");
        // Of another run it may say no more: and of one that is over, nothing waits.
        let (other, of_other) = super::inbox(&unheard);
        let say_other = |bytes| other.take(1, lease, FromAgent::Released { lease }, bytes, 100);
        assert!(say_other(60) && !say_other(60) && !say(1, 60));
        drop(of_other);
        assert!(say(1, 60));
        drop(inbox);
        assert!(say(1, 60) && unheard.0.lock().unwrap().is_empty());
    }
}
