//! Counts the bytes that script values hold. Each heap object carries a [`Charge`] against the meter of the machine that
//! was current when it was made, and gives the bytes back when it is freed; so the count is exact, cheap and the same in
//! every run. A cycle that nothing reaches stays counted: a script that makes them runs into its heap limit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Bytes in use by the values of one machine, and work that values did and nobody paid for yet.
#[derive(Clone, Debug, Default)]
pub struct Meter(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: Cell<usize>,
    work: Cell<usize>,
}

thread_local! {
    static CURRENT: RefCell<Meter> = RefCell::new(Meter::default());
}

impl Meter {
    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.0.bytes.get()
    }

    /// Work since this was asked last, in instructions.
    pub(crate) fn take_work(&self) -> usize {
        self.0.work.take()
    }

    /// Counts work of the current machine that is done where nobody can pay for it: comparing and hashing keys, making texts,
    /// matching. It is taken from the fuel when the instruction is done.
    pub fn work(instructions: usize) {
        if instructions > 0 {
            let _ = CURRENT.try_with(|c| {
                let meter = c.borrow();
                meter.0.work.set(meter.0.work.get().saturating_add(instructions));
            });
        }
    }

    /// Makes this the meter that new values of this thread are charged to.
    pub fn make_current(&self) {
        let _ = CURRENT.try_with(|c| *c.borrow_mut() = self.clone());
    }
}

/// Bytes of one object, given back on drop.
#[derive(Debug)]
pub struct Charge {
    meter: Meter,
    bytes: Cell<usize>,
}

impl Charge {
    /// Of the machine that is current.
    pub fn new(bytes: usize) -> Self {
        let meter = CURRENT.try_with(|c| c.borrow().clone()).unwrap_or_default();
        meter.0.bytes.set(meter.0.bytes.get().saturating_add(bytes));
        Charge { meter, bytes: Cell::new(bytes) }
    }

    /// The object holds `bytes` now.
    pub fn set(&self, bytes: usize) {
        let used = self.meter.0.bytes.get().saturating_sub(self.bytes.get());
        self.meter.0.bytes.set(used.saturating_add(bytes));
        self.bytes.set(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.0.bytes.set(self.meter.0.bytes.get().saturating_sub(self.bytes.get()));
    }
}
