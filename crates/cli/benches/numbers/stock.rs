//! A pool that is filled before a sample, and not again during it: what makes the next ones would else take the processors from what
//! is measured, and from whoever is measured after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::ids::SandboxId;
use model::rung::Rung;
use sandbox::warm::Warm;
use sandbox::{CreateError, Driver, DriverError, Ended, Pending, Probe, Sandbox, SandboxSpec, Usage};
use tokio::sync::watch;

use super::drivers::{self, Demand, MEMORY};
use super::starts::Place;

/// How long filling it may take. A machine that is copied takes a third of a second where it has a processor for itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// Below 1, or what claims of former samples have left of demand would be rounded up to one more; so near to it that
/// as many as are asked for are made, up to [`MOST`].
const FACTOR: f64 = 0.99;
/// Most sandboxes.
const MOST: u32 = 50;

pub struct Stock {
    pub pool: Warm,
    held: Arc<Held>,
}

impl Stock {
    pub fn new(place: &Place, driver: &Arc<dyn Driver>) -> Stock {
        let held = Arc::new(Held { driver: Arc::clone(driver), may_make: watch::Sender::new(true) });
        // Demand shall not fade while the pool fills.
        let demand = Demand { factor: FACTOR, half_life: Duration::from_secs(24 * 3600) };
        let pool = drivers::pool(place, Arc::clone(&held) as _, MOST, demand);
        Stock { pool, held }
    }

    /// Waits until so many are ready, and has no more made.
    pub fn fill(&self, place: &Place, count: usize) {
        let until = Instant::now() + PATIENCE;
        self.held.may_make.send_replace(true);
        place.runtime.block_on(async {
            self.pool.expect(&place.spec(MEMORY), count as u64);
            while self.pool.ready() < count && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        // What the pool then lacks has to be made when it is asked for.
        self.held.may_make.send_replace(self.pool.ready() < count);
    }
}

/// A driver that makes sandboxes only while it may.
struct Held {
    driver: Arc<dyn Driver>,
    may_make: watch::Sender<bool>,
}

impl Driver for Held {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    fn rung(&self) -> Rung {
        self.driver.rung()
    }

    fn probe(&self) -> Probe {
        self.driver.probe()
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(async move {
            // It lasts as long as `self`, so there is no other end to this.
            let _ = self.may_make.subscribe().wait_for(|may| *may).await;
            self.driver.create(spec).await
        })
    }

    fn expect(&self, spec: &SandboxSpec, count: u64) {
        self.driver.expect(spec, count);
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.driver.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        self.driver.destroy(id)
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        self.driver.sweep()
    }
}
