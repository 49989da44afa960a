//! Frees nested data without recursion: a container hands its contents to a queue, and the outermost drop empties it.

use std::cell::{Cell, RefCell};

use super::Value;

thread_local! {
    static QUEUE: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

/// Frees `values`, which were the contents of a container that is being dropped.
pub(crate) fn release(values: impl Iterator<Item = Value>) {
    let mut queued = false;
    for value in values {
        if value.is_container() {
            queued = true;
            // Where the thread is going away the queue is gone: the value is dropped in place.
            let _ = QUEUE.try_with(|q| q.borrow_mut().push(value));
        }
    }
    if !queued || ACTIVE.try_with(Cell::get).unwrap_or(true) {
        return;
    }
    ACTIVE.with(|a| a.set(true));
    while let Some(value) = QUEUE.with(|q| q.borrow_mut().pop()) {
        drop(value);
    }
    ACTIVE.with(|a| a.set(false));
}
