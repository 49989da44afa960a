//! Counts the bytes that script values hold. Each heap object carries a [`Charge`] against the meter of the machine that
//! was current when it was made, and gives the bytes back when it is freed; so the count is exact, cheap and the same in
//! every run. A cycle that nothing reaches stays counted: a script that makes them runs into its heap limit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Bytes in use by the values of one machine.
#[derive(Clone, Debug, Default)]
pub struct Meter(Rc<Cell<usize>>);

thread_local! {
    static CURRENT: RefCell<Meter> = RefCell::new(Meter::default());
}

impl Meter {
    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.0.get()
    }

    /// Makes this the meter that new values of this thread are charged to.
    pub fn make_current(&self) {
        let _ = CURRENT.try_with(|c| *c.borrow_mut() = self.clone());
    }
}

/// Bytes of one object, given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    meter: Meter,
    bytes: Cell<usize>,
}

impl Charge {
    pub(crate) fn new(bytes: usize) -> Self {
        let meter = CURRENT.try_with(|c| c.borrow().clone()).unwrap_or_default();
        meter.0.set(meter.0.get().saturating_add(bytes));
        Charge { meter, bytes: Cell::new(bytes) }
    }

    /// The object holds `bytes` now.
    pub(crate) fn set(&self, bytes: usize) {
        let used = self.meter.0.get().saturating_sub(self.bytes.get());
        self.meter.0.set(used.saturating_add(bytes));
        self.bytes.set(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.0.set(self.meter.0.get().saturating_sub(self.bytes.get()));
    }
}
