//! The drivers of an agent: they stay open from run to run, each with a pool of sandboxes before it that are made ahead.

mod asked;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::Trouble;
use sandbox::warm::{Floor, Warm, WarmConfig};
use sandbox::{Driver, SandboxSpec};
use tokio::sync::Mutex as AsyncMutex;

use crate::args::WarmArgs;

use self::asked::Asked;
pub use self::asked::{Kind, Note, ask};

/// What a machine takes while it waits: what a copy has changed of its memory, and its monitor.
const MACHINE_BYTES: u64 = 128 << 20;
/// The same of a kernel in user space, and of what an engine has running for a container.
const SHIM_BYTES: u64 = 16 << 20;
/// The same of an init.
const INIT_BYTES: u64 = 2 << 20;

/// Open drivers by name.
pub struct Standing {
    shared: Arc<Shared>,
    /// Where it is there, what is asked of the drivers is written down and not done.
    note: Option<Note>,
}

struct Shared {
    args: WarmArgs,
    /// Each with a lock of its own, for one that is slow to open is no reason for others to wait.
    open: Mutex<HashMap<&'static str, Arc<AsyncMutex<Option<Opened>>>>>,
    /// By number. What is of a driver changes only under that one's lock.
    floors: Mutex<BTreeMap<usize, Promise>>,
}

struct Opened {
    /// What it was opened with.
    of: String,
    pool: Arc<Warm>,
}

/// So many sandboxes of a kind are ready at any time.
#[derive(Clone)]
struct Promise {
    driver: &'static str,
    spec: Arc<SandboxSpec>,
    count: u32,
}

impl Standing {
    /// None is open yet.
    pub fn new(args: WarmArgs) -> Standing {
        let shared = Shared { args, open: Mutex::default(), floors: Mutex::default() };
        Standing { shared: Arc::new(shared), note: None }
    }

    /// The same drivers, for somebody who wants to know which of them is asked, and for what.
    pub fn noting(&self, note: &Note) -> Standing {
        Standing { shared: Arc::clone(&self.shared), note: Some(Arc::clone(note)) }
    }

    /// The driver of this name. One that was opened with something else, such as a guest of before or a launcher that has died, is
    /// opened anew; what runs on it runs on.
    pub async fn driver(
        &self,
        name: &'static str,
        of: String,
        opening: impl Future<Output = Result<Arc<dyn Driver>, Trouble>>,
    ) -> Result<Arc<dyn Driver>, Trouble> {
        let driver = self.shared.driver(name, of, opening).await?;
        Ok(match &self.note {
            Some(note) => Arc::new(Asked::new(name, driver, note)),
            None => driver,
        })
    }

    /// Has so many sandboxes of a kind ready at any time from now on, in place of what was promised before under that number.
    ///
    /// # Errors
    /// In words: its driver's pool has no room for them, or makes none of the kind.
    pub async fn keep(&self, number: usize, kind: Kind, count: u32) -> Result<(), String> {
        let Kind { driver, spec } = kind;
        let before = self.shared.floors().get(&number).cloned();
        if let Some(before) = before.filter(|before| before.driver != driver) {
            let none = Promise { count: 0, ..before };
            self.shared.promise(number, none).await?;
        }
        self.shared.promise(number, Promise { driver, spec: Arc::new(spec), count }).await
    }

    /// Ends what waits, and makes no more.
    pub async fn close(&self) {
        let all: Vec<_> = self.shared.open().drain().map(|(_, cell)| cell).collect();
        for cell in all {
            if let Some(opened) = cell.lock().await.take() {
                opened.pool.close().await;
            }
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<&'static str, Arc<AsyncMutex<Option<Opened>>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn floors(&self) -> MutexGuard<'_, BTreeMap<usize, Promise>> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn driver(
        &self,
        name: &'static str,
        of: String,
        opening: impl Future<Output = Result<Arc<dyn Driver>, Trouble>>,
    ) -> Result<Arc<dyn Driver>, Trouble> {
        let cell = Arc::clone(self.open().entry(name).or_default());
        let mut open = cell.lock().await;
        if let Some(opened) = open.as_ref().filter(|opened| opened.of == of) {
            return Ok(Arc::clone(&opened.pool) as _);
        }
        let pool = Arc::new(self.pool(name, opening.await?)?);
        if let Some(before) = open.replace(Opened { of, pool: Arc::clone(&pool) }) {
            tokio::spawn(async move { before.pool.close().await });
        }
        Ok(pool)
    }

    /// Also where none is to be kept: the pool is what takes away, again and again, what its driver has lost.
    fn pool(&self, name: &'static str, driver: Arc<dyn Driver>) -> Result<Warm, Trouble> {
        let config = WarmConfig {
            ceiling: self.args.warm,
            budget_bytes: self.budget_bytes(),
            cost_bytes: cost_bytes(name),
            factor: self.args.warm_factor,
            half_life: Duration::from_millis(self.args.warm_half_life),
            floor: floor_of(&self.floors(), name),
            max_age: Duration::from_millis(self.args.warm_age),
        };
        Warm::new(driver, config).map_err(|error| Trouble::infrastructure(error.to_string()))
    }

    async fn promise(&self, number: usize, promise: Promise) -> Result<(), String> {
        let name = promise.driver;
        let cell = Arc::clone(self.open().entry(name).or_default());
        let open = cell.lock().await;
        let mut floors = self.floors().clone();
        floors.insert(number, promise);
        floors.retain(|_, promise| promise.count > 0);
        let floor = floor_of(&floors, name);
        self.has_room(name, &floor)?;
        if let Some(opened) = open.as_ref() {
            opened.pool.set_floor(&floor).map_err(|error| error.to_string())?;
        }
        // Others may have changed meanwhile, of other drivers.
        let mut now = self.floors();
        now.remove(&number);
        now.extend(floors.remove_entry(&number));
        Ok(())
    }

    /// As the pool would say, in the words of the flags.
    fn has_room(&self, name: &'static str, floor: &Floor) -> Result<(), String> {
        let count: u64 = floor.iter().map(|(_, count)| u64::from(*count)).sum();
        let (most, bytes, budget) = (self.args.warm, count.saturating_mul(cost_bytes(name)), self.budget_bytes());
        if count > u64::from(most) {
            return Err(format!("{count} are to be kept by driver {name}, and --warm keeps {most} at most"));
        }
        if bytes > budget {
            let [bytes, budget] = [bytes, budget].map(|bytes| bytes >> 20);
            return Err(format!(
                "{count} are to be kept by driver {name}, which takes {bytes} MiB, and --warm-memory is {budget} MiB"
            ));
        }
        Ok(())
    }

    fn budget_bytes(&self) -> u64 {
        self.args.warm_memory.unwrap_or_else(|| memory_of_host() / 8)
    }
}

fn floor_of(floors: &BTreeMap<usize, Promise>, driver: &str) -> Floor {
    let of_driver = floors.values().filter(|promise| promise.driver == driver);
    of_driver.map(|promise| (Arc::clone(&promise.spec), promise.count)).collect()
}

fn cost_bytes(driver: &str) -> u64 {
    match driver {
        "microvm" => MACHINE_BYTES,
        "process" | "container" => INIT_BYTES,
        _ => SHIM_BYTES,
    }
}

fn memory_of_host() -> u64 {
    let host = rustix::system::sysinfo();
    (host.totalram as u64).saturating_mul(host.mem_unit.into())
}
