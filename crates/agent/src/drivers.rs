//! The drivers of a host, each opened when the first job is placed on it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use queue::{Need, Offer, Placed};
use sandbox::{Driver, Pending, SandboxSpec};

use crate::failure::Trouble;

/// Opens a driver.
pub type Open = Box<dyn Fn() -> Pending<'static, Result<Arc<dyn Driver>, Trouble>> + Send + Sync>;

/// The sandboxes that the runs of a project have asked for lately. Clones share it.
#[derive(Clone, Default)]
pub struct Noted(Arc<Mutex<Kinds>>);

/// The last one first.
type Kinds = VecDeque<(Arc<dyn Driver>, SandboxSpec)>;

/// Kinds of sandboxes of one project that are kept in mind.
const MOST_NOTED: usize = 8;

impl Noted {
    fn all(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, driver: &Arc<dyn Driver>, spec: &SandboxSpec) {
        let Some(again) = spec.again() else { return };
        let text = format!("{again:?}");
        let mut all = self.all();
        all.retain(|(other, spec)| !Arc::ptr_eq(other, driver) || format!("{spec:?}") != text);
        all.push_front((Arc::clone(driver), again));
        all.truncate(MOST_NOTED);
    }

    /// So many runs of the project wait.
    pub fn expect(&self, count: u64) {
        for (driver, spec) in self.all().iter() {
            driver.expect(spec, count);
        }
    }
}

/// What a host can make sandboxes with.
#[derive(Default)]
pub struct Drivers {
    /// What was made is noted there.
    pub noted: Option<Noted>,
    offers: Vec<Offer>,
    openers: Vec<(Open, OnceLock<Arc<dyn Driver>>)>,
}

impl Drivers {
    /// Adds one; of one rung, the first that fits is taken.
    pub fn add(&mut self, offer: Offer, open: Open) {
        self.offers.push(offer);
        self.openers.push((open, OnceLock::new()));
    }

    /// Takes note of a sandbox that is asked for.
    pub(crate) fn note(&self, driver: &Arc<dyn Driver>, spec: &SandboxSpec) {
        if let Some(noted) = &self.noted {
            noted.note(driver, spec);
        }
    }

    /// A driver for a job, and why it is this one.
    pub(crate) async fn place(&self, need: &Need) -> Result<(Arc<dyn Driver>, Placed), Trouble> {
        let placed = queue::place(need, &self.offers).map_err(|refused| {
            Trouble::infrastructure(format!("no sandbox for this job: {refused}")).with_hint(
                "`cofferdam doctor` says what this host can do and what is missing; nothing weaker is taken instead",
            )
        })?;
        let missing = || Trouble::infrastructure(format!("driver {} is gone", placed.driver));
        let (open, opened) = self.openers.get(placed.offer).ok_or_else(missing)?;
        if let Some(driver) = opened.get() {
            return Ok((Arc::clone(driver), placed));
        }
        // Two jobs may open it at once; one of both is kept.
        let driver = open().await?;
        Ok((Arc::clone(opened.get_or_init(|| driver)), placed))
    }
}
