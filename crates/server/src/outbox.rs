//! How an agent is spoken to, and how much of it may wait until it listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use wire::agent::ToAgent;

/// Words that wait. An agent in good order has a few for each of its runs.
const MOST_UNREAD: usize = 20_000;

/// Says something to an agent.
#[derive(Clone)]
pub(crate) struct Outbox {
    sender: mpsc::UnboundedSender<ToAgent>,
    unread: Arc<AtomicUsize>,
    /// Somebody counts what is read.
    is_counted: bool,
}

/// What was said, in its order.
pub(crate) struct Outgoing {
    receiver: mpsc::UnboundedReceiver<ToAgent>,
    unread: Arc<AtomicUsize>,
}

impl Outbox {
    pub(crate) fn new() -> (Outbox, Outgoing) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let unread = Arc::<AtomicUsize>::default();
        (Outbox { sender, unread: Arc::clone(&unread), is_counted: true }, Outgoing { receiver, unread })
    }

    /// One whose other end is somebody else's, who listens.
    pub(crate) fn of(sender: mpsc::UnboundedSender<ToAgent>) -> Outbox {
        Outbox { sender, unread: Arc::default(), is_counted: false }
    }

    /// One that has gone hears nothing.
    pub(crate) fn say(&self, message: ToAgent) {
        if self.is_counted {
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
        let _ = self.sender.send(message);
    }

    /// Whether so much waits that nobody can be listening: much of it is answers, so who does not read must not ask for ever.
    pub(crate) fn is_unheard(&self) -> bool {
        self.unread.load(Ordering::Relaxed) > MOST_UNREAD
    }
}

impl Outgoing {
    pub(crate) async fn next(&mut self) -> Option<ToAgent> {
        let message = self.receiver.recv().await?;
        self.unread.fetch_sub(1, Ordering::Relaxed);
        Some(message)
    }
}
