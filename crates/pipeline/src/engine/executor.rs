//! A deterministic, single-threaded executor of tasks. No clock, no waker of the operating system: a task runs when
//! something it waits for was delivered, in the order of the deliveries.
//!
//! Tasks form a tree (a body of a step is a child of the task that runs the step). That gives three things: block steps
//! and `parallel` nest without recursion on the native stack, a parent waits for a child through a cell, and an
//! interruption of a body reaches whatever waits in it, as deep as it is.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use model::ids::RequestId;

use super::interrupt::Interruption;

/// A future that stays on this thread.
pub(crate) type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A task of one engine. Numbers are never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(u64);

struct Task {
    future: Option<LocalFuture<()>>,
    parent: Option<TaskId>,
    children: BTreeSet<TaskId>,
    queued: bool,
    /// The request that the task itself waits for, where an interruption may cancel it.
    waits_for: Option<RequestId>,
    /// An interruption that found nothing to cancel; thrown at the next wait.
    pending: Option<Rc<Interruption>>,
}

/// All tasks of one engine.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: RefCell<BTreeMap<TaskId, Task>>,
    ready: RefCell<VecDeque<TaskId>>,
    current: Cell<Option<TaskId>>,
    last: Cell<u64>,
}

/// The result of a task, for its parent.
pub(crate) struct Join<T> {
    /// Which task.
    pub(crate) task: TaskId,
    cell: Rc<JoinCell<T>>,
}

struct JoinCell<T> {
    value: RefCell<Option<T>>,
    waiter: Cell<Option<TaskId>>,
}

impl Executor {
    /// The task that is being polled.
    pub(crate) fn current(&self) -> Option<TaskId> {
        self.current.get()
    }

    /// Starts a task as a child of the current one.
    pub(crate) fn spawn<T: 'static>(self: &Rc<Self>, future: impl Future<Output = T> + 'static) -> Join<T> {
        let id = TaskId(self.last.get() + 1);
        self.last.set(id.0);
        let cell = Rc::new(JoinCell { value: RefCell::new(None), waiter: Cell::new(None) });
        let (executor, result) = (Rc::downgrade(self), Rc::clone(&cell));
        let wrapped = async move {
            let value = future.await;
            *result.value.borrow_mut() = Some(value);
            if let (Some(executor), Some(waiter)) = (executor.upgrade(), result.waiter.take()) {
                executor.wake(waiter);
            }
        };
        let parent = self.current.get();
        let mut tasks = self.tasks.borrow_mut();
        if let Some(parent) = parent.and_then(|p| tasks.get_mut(&p)) {
            parent.children.insert(id);
        }
        let task = Task {
            future: Some(Box::pin(wrapped)),
            parent,
            children: BTreeSet::new(),
            queued: true,
            waits_for: None,
            pending: None,
        };
        tasks.insert(id, task);
        self.ready.borrow_mut().push_back(id);
        Join { task: id, cell }
    }

    /// Puts a task into the queue, once.
    pub(crate) fn wake(&self, id: TaskId) {
        if let Some(task) = self.tasks.borrow_mut().get_mut(&id)
            && !task.queued
        {
            task.queued = true;
            self.ready.borrow_mut().push_back(id);
        }
    }

    /// Polls the next ready task; false when none is ready.
    pub(crate) fn step(&self) -> bool {
        let Some(id) = self.ready.borrow_mut().pop_front() else { return false };
        let Some(mut future) = self.tasks.borrow_mut().get_mut(&id).and_then(|t| {
            t.queued = false;
            t.future.take()
        }) else {
            return true;
        };
        self.current.set(Some(id));
        let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.current.set(None);
        match poll {
            Poll::Pending => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
                    task.future = Some(future);
                }
            }
            Poll::Ready(()) => self.finish(id),
        }
        true
    }

    /// Is some task ready to run?
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.borrow().is_empty()
    }

    /// Drops all tasks without running them.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
        self.ready.borrow_mut().clear();
    }

    /// Takes a finished task out of the tree. An interruption that it did not get to see, and that was not meant for it
    /// alone, goes on to its parent.
    fn finish(&self, id: TaskId) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(task) = tasks.remove(&id) else { return };
        let Some(parent) = task.parent.and_then(|p| tasks.get_mut(&p)) else { return };
        parent.children.remove(&id);
        if let Some(pending) = task.pending
            && pending.target != id
            && parent.pending.is_none()
        {
            parent.pending = Some(pending);
        }
    }

    /// Notes that the current task waits for a request that an interruption may cancel (or for none).
    pub(crate) fn set_waits_for(&self, request: Option<RequestId>) {
        let Some(id) = self.current() else { return };
        if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
            task.waits_for = request;
        }
    }

    /// Takes the interruption that waits for the current task.
    pub(crate) fn take_pending(&self) -> Option<Rc<Interruption>> {
        let id = self.current()?;
        self.tasks.borrow_mut().get_mut(&id)?.pending.take()
    }

    /// Marks every leaf of the tree below (and including) `root`: those that wait for a cancellable request are returned
    /// with it; the others will see the interruption at their next wait.
    pub(crate) fn interrupt(&self, root: TaskId, interruption: &Rc<Interruption>) -> Vec<(TaskId, RequestId)> {
        let mut cancel = Vec::new();
        let mut stack = vec![root];
        let mut tasks = self.tasks.borrow_mut();
        while let Some(id) = stack.pop() {
            let Some(task) = tasks.get_mut(&id) else { continue };
            match task.waits_for {
                Some(request) => cancel.push((id, request)),
                None if task.children.is_empty() => task.pending = Some(Rc::clone(interruption)),
                None => stack.extend(task.children.iter().rev().copied()),
            }
        }
        cancel
    }

    /// The task sees the interruption at its next wait.
    pub(crate) fn set_pending(&self, id: TaskId, interruption: &Rc<Interruption>) {
        if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
            task.pending = Some(Rc::clone(interruption));
        }
    }

    /// Lets the other ready tasks run first.
    pub(crate) async fn yield_now(&self) {
        let mut yielded = false;
        std::future::poll_fn(|_| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            if let Some(id) = self.current() {
                self.wake(id);
            }
            Poll::Pending
        })
        .await;
    }
}

impl<T> Join<T> {
    /// The result, if the task has ended; else the current task is woken when it ends.
    pub(crate) fn poll(&self, executor: &Executor) -> Poll<T> {
        match self.cell.value.borrow_mut().take() {
            Some(value) => Poll::Ready(value),
            None => {
                self.cell.waiter.set(executor.current());
                Poll::Pending
            }
        }
    }

    /// Waits for the task to end.
    pub(crate) async fn wait(self, executor: &Executor) -> T {
        std::future::poll_fn(|_| self.poll(executor)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_run_in_the_order_they_were_started_and_parents_wait() {
        let executor = Rc::new(Executor::default());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (inner, log) = (Rc::clone(&executor), Rc::clone(&seen));
        executor.spawn(async move {
            let joins: Vec<_> = (0..3)
                .map(|n| {
                    let (executor, log) = (Rc::clone(&inner), Rc::clone(&log));
                    inner.spawn(async move {
                        executor.yield_now().await;
                        log.borrow_mut().push(n);
                        n * 10
                    })
                })
                .collect();
            for join in joins {
                let value = join.wait(&inner).await;
                log.borrow_mut().push(value);
            }
        });
        while executor.step() {}
        assert_eq!(*seen.borrow(), [0, 1, 2, 0, 10, 20]);
        assert!(executor.tasks.borrow().is_empty());
    }

    #[test]
    fn ten_thousand_nested_tasks_do_not_use_the_native_stack() {
        fn nest(executor: &Rc<Executor>, depth: u32) -> LocalFuture<u32> {
            let executor = Rc::clone(executor);
            Box::pin(async move {
                if depth == 0 {
                    return 0;
                }
                let child = executor.spawn(nest(&executor, depth - 1));
                child.wait(&executor).await + 1
            })
        }
        let executor = Rc::new(Executor::default());
        let join = executor.spawn(nest(&executor, 10_000));
        while executor.step() {}
        assert!(matches!(join.poll(&executor), Poll::Ready(10_000)));
    }
}
