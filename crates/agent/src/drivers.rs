//! The drivers of a host, each opened when the first job is placed on it.

use std::sync::{Arc, OnceLock};

use queue::{Need, Offer, Placed};
use sandbox::{Driver, Pending};

use crate::failure::Trouble;

/// Opens a driver.
pub type Open = Box<dyn Fn() -> Pending<'static, Result<Arc<dyn Driver>, Trouble>> + Send + Sync>;

/// What a host can make sandboxes with.
#[derive(Default)]
pub struct Drivers {
    offers: Vec<Offer>,
    openers: Vec<(Open, OnceLock<Arc<dyn Driver>>)>,
}

impl Drivers {
    /// Adds one; of one rung, the first that fits is taken.
    pub fn add(&mut self, offer: Offer, open: Open) {
        self.offers.push(offer);
        self.openers.push((open, OnceLock::new()));
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
