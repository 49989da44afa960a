//! What is logged within `tee`, for a file: what steps say waits here until something else is asked for, and processes write into the
//! file themselves.

use std::cell::RefCell;
use std::rc::Rc;

use groovy::value::Charge;
use model::request::{LogCopy, Request};

use super::Core;
use super::fault::Fault;
use super::scope::Scope;

/// What waits is written once it is so long, in bytes.
const MAX_WAITING_BYTES: usize = 64 << 10;

/// One `tee` block.
#[derive(Debug)]
pub(crate) struct Tee {
    copy: LogCopy,
    waiting: RefCell<String>,
    /// What waits counts as the script's.
    charge: Charge,
    outer: Option<Rc<Tee>>,
}

impl Scope {
    /// What is logged from here on goes into a file, too.
    pub(crate) fn with_tee(&self, copy: LogCopy) -> Scope {
        self.with(|s| {
            s.tee =
                Some(Rc::new(Tee { copy, waiting: RefCell::default(), charge: Charge::new(0), outer: s.tee.take() }))
        })
    }

    /// The files that what is logged goes into.
    pub(crate) fn copies(&self) -> Vec<LogCopy> {
        self.tees().map(|tee| tee.copy.clone()).collect()
    }

    /// A line was logged.
    pub(super) fn copy_line(&self, line: &str) {
        for tee in self.tees() {
            let mut waiting = tee.waiting.borrow_mut();
            waiting.push_str(line);
            waiting.push('\n');
            tee.charge.set(waiting.len());
        }
    }

    fn tees(&self) -> impl Iterator<Item = &Tee> {
        std::iter::successors(self.tee.as_deref(), |tee| tee.outer.as_deref())
    }
}

impl Core {
    /// Writes what waits for files, so that it stands there before whatever comes next.
    pub(crate) async fn write_copies(&self, scope: &Scope) -> Result<(), Fault> {
        for tee in scope.tees() {
            let text = tee.waiting.take();
            tee.charge.set(0);
            if !text.is_empty() {
                let LogCopy { job, path } = tee.copy.clone();
                self.ask(Request::Append { job, path, text }).await?;
            }
        }
        Ok(())
    }

    /// The same, where much waits.
    pub(crate) async fn write_long_copies(&self, scope: &Scope) -> Result<(), Fault> {
        let is_long = scope.tees().any(|tee| tee.waiting.borrow().len() > MAX_WAITING_BYTES);
        if is_long { self.write_copies(scope).await } else { Ok(()) }
    }
}
