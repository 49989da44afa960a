//! The drivers of an agent: they stay open from run to run, each with a pool of sandboxes before it that are made ahead.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::Trouble;
use sandbox::Driver;
use sandbox::warm::{Warm, WarmConfig};
use tokio::sync::Mutex as AsyncMutex;

use crate::args::WarmArgs;

/// What a machine takes while it waits: what a copy has changed of its memory, and its monitor.
const MACHINE_BYTES: u64 = 128 << 20;
/// The same of a kernel in user space, and of what an engine has running for a container.
const SHIM_BYTES: u64 = 16 << 20;
/// The same of an init.
const INIT_BYTES: u64 = 2 << 20;

/// Open drivers by name.
pub struct Standing {
    args: WarmArgs,
    /// Each with a lock of its own, for one that is slow to open is no reason for others to wait.
    open: Mutex<HashMap<&'static str, Arc<AsyncMutex<Option<Opened>>>>>,
}

struct Opened {
    /// What it was opened with.
    of: String,
    driver: Arc<dyn Driver>,
    pool: Option<Arc<Warm>>,
}

impl Standing {
    /// None is open yet.
    pub fn new(args: WarmArgs) -> Standing {
        Standing { args, open: Mutex::default() }
    }

    /// The driver of this name. One that was opened with something else, such as a guest of before or a launcher that has died, is
    /// opened anew; what runs on it runs on.
    pub async fn driver(
        &self,
        name: &'static str,
        of: String,
        opening: impl Future<Output = Result<Arc<dyn Driver>, Trouble>>,
    ) -> Result<Arc<dyn Driver>, Trouble> {
        let cell = Arc::clone(self.open().entry(name).or_default());
        let mut open = cell.lock().await;
        if let Some(opened) = open.as_ref().filter(|opened| opened.of == of) {
            return Ok(Arc::clone(&opened.driver));
        }
        let opened = self.with_pool(of, name, opening.await?)?;
        let driver = Arc::clone(&opened.driver);
        if let Some(pool) = open.replace(opened).and_then(|before| before.pool) {
            tokio::spawn(async move { pool.close().await });
        }
        Ok(driver)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<&'static str, Arc<AsyncMutex<Option<Opened>>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_pool(&self, of: String, name: &str, driver: Arc<dyn Driver>) -> Result<Opened, Trouble> {
        if self.args.warm == 0 {
            return Ok(Opened { of, driver, pool: None });
        }
        let config = WarmConfig {
            ceiling: self.args.warm,
            budget_bytes: self.args.warm_memory.unwrap_or_else(|| memory_of_host() / 8),
            cost_bytes: match name {
                "microvm" => MACHINE_BYTES,
                "process" | "container" => INIT_BYTES,
                _ => SHIM_BYTES,
            },
            factor: self.args.warm_factor,
            half_life: Duration::from_millis(self.args.warm_half_life),
            floor: Vec::new(),
            max_age: Duration::from_millis(self.args.warm_age),
        };
        let pool = Warm::new(driver, config).map_err(|error| Trouble::infrastructure(error.to_string()))?;
        let pool = Arc::new(pool);
        Ok(Opened { of, driver: Arc::clone(&pool) as _, pool: Some(pool) })
    }

    /// Ends what waits, and makes no more.
    pub async fn close(&self) {
        let all: Vec<_> = self.open().drain().map(|(_, cell)| cell).collect();
        for cell in all {
            let opened = cell.lock().await.take();
            if let Some(pool) = opened.and_then(|opened| opened.pool) {
                pool.close().await;
            }
        }
    }
}

fn memory_of_host() -> u64 {
    let host = rustix::system::sysinfo();
    (host.totalram as u64).saturating_mul(host.mem_unit.into())
}
