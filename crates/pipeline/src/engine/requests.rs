//! Requests that are on their way: the only way in which a run touches the world.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Poll;

use model::ids::RequestId;
use model::request::{Reply, Request};

use super::executor::TaskId;
use super::fault::Fault;
use super::interrupt::Interruption;
use super::{Core, Output};

/// One request that has not been answered, or whose answer has not been fetched.
#[derive(Default)]
pub(crate) struct Slot {
    reply: RefCell<Option<Reply>>,
    waiter: Cell<Option<TaskId>>,
    interruption: RefCell<Option<Rc<Interruption>>>,
    cancelled: Cell<bool>,
}

/// A request of the current task.
pub(crate) struct Pending {
    /// Its id.
    pub(crate) id: RequestId,
    slot: Rc<Slot>,
}

/// All unanswered requests of an engine.
#[derive(Default)]
pub(crate) struct Requests {
    slots: RefCell<BTreeMap<RequestId, Rc<Slot>>>,
    last: Cell<u64>,
}

impl Requests {
    /// How many are unanswered.
    pub(crate) fn len(&self) -> usize {
        self.slots.borrow().len()
    }
}

impl Core {
    /// Sends a request without waiting for it.
    pub(crate) fn send(&self, request: Request) -> Pending {
        let id = RequestId(self.requests.last.get() + 1);
        self.requests.last.set(id.0);
        let slot = Rc::new(Slot::default());
        self.requests.slots.borrow_mut().insert(id, Rc::clone(&slot));
        self.output(Output::Request { id, request: Box::new(request) });
        Pending { id, slot }
    }

    /// The reply to a request, if it is there; else the current task is woken when it comes.
    pub(crate) fn poll_reply(&self, pending: &Pending) -> Poll<Reply> {
        match pending.slot.reply.borrow_mut().take() {
            Some(reply) => Poll::Ready(reply),
            None => {
                pending.slot.waiter.set(self.executor.current());
                Poll::Pending
            }
        }
    }

    /// The request is no longer needed: it is cancelled, and its reply will be dropped.
    pub(crate) fn forget(&self, pending: Pending) {
        pending.slot.waiter.set(None);
        self.cancel(pending.id);
    }

    /// Asks the world to end a request. It still gets a reply.
    pub(crate) fn cancel(&self, id: RequestId) {
        if let Some(slot) = self.requests.slots.borrow().get(&id)
            && !slot.cancelled.replace(true)
        {
            self.output(Output::Cancel { id });
        }
    }

    /// Sends a request and waits for its reply. An interruption of this task cancels it; the reply that comes then is
    /// returned with the interruption, because the world may have done the thing all the same.
    pub(crate) async fn ask_raw(&self, request: Request) -> (Reply, Option<Rc<Interruption>>) {
        let pending = self.send(request);
        self.wait_for(pending).await
    }

    /// Waits for a reply, as [`ask_raw`](Self::ask_raw) does.
    pub(crate) async fn wait_for(&self, pending: Pending) -> (Reply, Option<Rc<Interruption>>) {
        self.executor.set_waits_for(Some(pending.id));
        let reply = std::future::poll_fn(|_| self.poll_reply(&pending)).await;
        self.executor.set_waits_for(None);
        (reply, pending.slot.interruption.borrow_mut().take())
    }

    /// Sends a request and waits for its reply, or for the interruption of this task.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Fault> {
        self.check_interrupted()?;
        let (reply, interruption) = self.ask_raw(request).await;
        match (interruption, reply) {
            (Some(interruption), _) => Err(Fault::interrupted(interruption)),
            (None, Reply::Failed(failure)) => Err(Fault::failed(failure)),
            (None, Reply::Cancelled) => Err(Fault::abort("The request was cancelled by the system that performs it")),
            (None, reply) => Ok(reply),
        }
    }

    /// Sends a request that an interruption does not cancel: what ends a job must happen.
    pub(crate) async fn ask_to_the_end(&self, request: Request) -> Reply {
        let pending = self.send(request);
        std::future::poll_fn(|_| self.poll_reply(&pending)).await
    }

    /// Throws the interruption that waits for the current task, if there is one.
    pub(crate) fn check_interrupted(&self) -> Result<(), Fault> {
        match self.executor.take_pending() {
            Some(interruption) => Err(Fault::interrupted(interruption)),
            None => Ok(()),
        }
    }

    /// Interrupts everything in the tree of tasks below (and including) `interruption.target`.
    pub(crate) fn interrupt(&self, interruption: &Rc<Interruption>) {
        for (task, id) in self.executor.interrupt(interruption.target, interruption) {
            let slot = self.requests.slots.borrow().get(&id).cloned();
            match slot {
                Some(slot) => {
                    *slot.interruption.borrow_mut() = Some(Rc::clone(interruption));
                    self.cancel(id);
                }
                // The reply is there, the task has not seen it yet.
                None => self.executor.set_pending(task, interruption),
            }
        }
    }

    /// Delivers a reply; false when nothing waits under that id.
    pub(crate) fn deliver(&self, id: RequestId, reply: Reply) -> bool {
        let Some(slot) = self.requests.slots.borrow_mut().remove(&id) else { return false };
        *slot.reply.borrow_mut() = Some(reply);
        if let Some(waiter) = slot.waiter.take() {
            self.executor.wake(waiter);
        }
        true
    }
}
