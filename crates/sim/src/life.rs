//! One life of the server: a runtime of its own, whose time goes on only when everything has come to rest.
//!
//! ```text
//!   advance ──▶ timers ──▶ tasks ──▶ database ──▶ tasks … ──▶ at rest ──▶ the simulation looks, and says what comes next
//!                                        │
//!                                        └── the gate: so many uses later the server is killed
//! ```
//!
//! It comes out the same each time: tasks are polled in the order in which they were woken, and one uses the database when no other has
//! anything to do. So it makes no difference how long SQLite's thread takes.

use std::future::{pending, poll_fn};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as threads};
use std::task::{Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use blob::Blobs;
use serde_json::Value;
use server::{BlobPlace, Census, Clock, Keys, SealingKey, Server, ServerConfig, Simulated};
use store::{Gate, Store};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use wire::agent::{FromAgent, ToAgent};

use crate::dice::Dice;

/// More than there are tasks to poll between two looks at anything else.
const MANY: u32 = 1 << 30;

/// With which a simulated server seals what it is told in confidence.
const KEY: &str = "cfs_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Where a server's files are.
pub(crate) struct Home {
    pub(crate) database: String,
    pub(crate) blobs: Blobs,
    pub(crate) token: PathBuf,
    pub(crate) patience: Duration,
}

/// What is answered to a request: the status, and JSON or text.
pub(crate) type Answer = (u16, Value);
/// Where an answer lies once it is there.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

/// The server's end of a connection is in the life; this is the other.
pub(crate) struct Wires {
    pub(crate) to_server: mpsc::UnboundedSender<FromAgent>,
    pub(crate) from_server: mpsc::UnboundedReceiver<ToAgent>,
}

/// How it came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Quiet,
    /// It was killed before that.
    Killed,
}

struct Inside {
    server: Server,
    router: axum::Router,
}

pub(crate) struct Life {
    runtime: Option<Runtime>,
    inside: Option<Inside>,
    watch: Arc<Watch>,
    clock: Simulated,
    /// While this is there, time stands still.
    still: Option<threads::Sender<()>>,
}

/// Knows when nothing goes on by itself.
struct Watch {
    waker: Mutex<Option<Waker>>,
    /// Who wants to use the database.
    next: Mutex<Option<Waker>>,
    store: Mutex<Option<Store>>,
    is_quiet: AtomicBool,
    is_killed: AtomicBool,
    /// Uses of the database that are left; below 0: no end is set.
    left: AtomicI64,
    used: AtomicU64,
    /// Somebody has the database, and waits for it.
    is_slow: AtomicBool,
    /// Nothing more fits on the disk of the database.
    is_full: AtomicBool,
    /// How long a use takes at most, in milliseconds, and the chance of it.
    slowness: Mutex<(u64, Dice)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    fn new() -> Watch {
        Watch {
            waker: Mutex::default(),
            next: Mutex::default(),
            store: Mutex::default(),
            is_quiet: AtomicBool::default(),
            is_killed: AtomicBool::default(),
            left: AtomicI64::new(-1),
            used: AtomicU64::default(),
            is_slow: AtomicBool::default(),
            is_full: AtomicBool::default(),
            slowness: Mutex::new((0, Dice::of(0, 0))),
        }
    }

    /// There is no task to poll.
    fn parked(&self) {
        if let Some(next) = locked(&self.next).take() {
            return next.wake();
        }
        let is_slow = self.is_slow.load(Ordering::Relaxed);
        if is_slow || locked(&self.store).as_ref().is_some_and(Store::is_idle) {
            self.is_quiet.store(true, Ordering::Relaxed);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = locked(&self.waker).take() {
            waker.wake();
        }
    }

    /// Somebody wants to use the database. False: they never will.
    fn pass(&self) -> bool {
        self.used.fetch_add(1, Ordering::Relaxed);
        match self.left.load(Ordering::Relaxed) {
            ..0 => true,
            0 => {
                self.is_killed.store(true, Ordering::Relaxed);
                self.wake();
                false
            }
            left => {
                self.left.store(left - 1, Ordering::Relaxed);
                true
            }
        }
    }

    /// Until it is this one's turn: where the database is slow, later, and when nobody else has anything to do.
    async fn turn(&self) {
        let takes = {
            let mut slowness = locked(&self.slowness);
            let most = slowness.0;
            if most == 0 { 0 } else { slowness.1.below(most) * slowness.1.below(2) }
        };
        if takes > 0 {
            self.is_slow.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(takes)).await;
            self.is_slow.store(false, Ordering::Relaxed);
        }
        let mut has_waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            *locked(&self.next) = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    async fn rest(&self) -> Rest {
        self.is_quiet.store(false, Ordering::Relaxed);
        poll_fn(|context| {
            if self.is_killed.load(Ordering::Relaxed) {
                return Poll::Ready(Rest::Killed);
            }
            if self.is_quiet.load(Ordering::Relaxed) {
                return Poll::Ready(Rest::Quiet);
            }
            *locked(&self.waker) = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Life {
    /// A server at this time of day, upon what the one before it left. `None`: it was killed when it had used the database `lives` times.
    pub(crate) fn begin(home: &Home, wall: u64, lives: Option<u32>) -> Result<Option<Life>, String> {
        let watch = Arc::new(Watch::new());
        let parked = Arc::clone(&watch);
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).event_interval(MANY).global_queue_interval(MANY);
        let runtime = builder.on_thread_park(move || parked.parked()).build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let (still, moves) = threads::channel::<()>();
        let clock = {
            let _context = runtime.enter();
            // The runtime would set the time on when it has nothing to do, also while the database works; not while somebody blocks.
            drop(tokio::task::spawn_blocking(move || moves.recv()));
            Simulated::from(wall)
        };
        let mut life = Life { runtime: Some(runtime), inside: None, watch, clock, still: Some(still) };
        life.open(home, lives).map(|lives| lives.then_some(life))
    }

    fn open(&mut self, home: &Home, lives: Option<u32>) -> Result<bool, String> {
        let Some(runtime) = &self.runtime else { return Ok(false) };
        let watch = Arc::downgrade(&self.watch);
        let gate: Gate = Arc::new(move || {
            let watch = watch.upgrade();
            Box::pin(async move {
                match watch.filter(|watch| watch.pass()) {
                    Some(watch) => {
                        watch.turn().await;
                        !watch.is_full.load(Ordering::Relaxed)
                    }
                    None => pending().await,
                }
            })
        });
        let store = runtime.block_on(Store::open_in_turn(&home.database, gate));
        let store = store.map_err(|error| format!("the store cannot be opened: {error}"))?;
        *locked(&self.watch.store) = Some(store.clone());
        self.kill_after(lives);
        let listen = ([127, 0, 0, 1], 1).into();
        let key = SealingKey::parse(KEY).ok_or("no key")?;
        let keys = Keys::new(key, Vec::new());
        let config = ServerConfig::new(listen, home.database.as_str(), keys, home.token.as_path());
        let clock = Clock::Simulated(self.clock.clone());
        let blobs = Some(BlobPlace::Open(home.blobs.clone()));
        let config = ServerConfig { clock, blobs, agent_patience: home.patience, ..config };
        let begun: Slot<Result<Server, server::ServerError>> = Slot::default();
        let slot = Arc::clone(&begun);
        runtime.spawn(async move {
            let server = Server::upon(store, config).await;
            *locked(&slot) = Some(server);
        });
        if runtime.block_on(self.watch.rest()) == Rest::Killed {
            let _context = runtime.enter();
            drop(locked(&begun).take());
            return Ok(false);
        }
        let server = locked(&begun).take().ok_or("the server does not begin")?;
        let server = server.map_err(|error| format!("the server does not begin: {error}"))?;
        self.inside = Some(Inside { router: server.router(), server });
        Ok(true)
    }

    /// It is killed when it wants to use the database once more than so many times.
    pub(crate) fn kill_after(&self, uses: Option<u32>) {
        self.watch.left.store(uses.map_or(-1, i64::from), Ordering::Relaxed);
    }

    /// Each use of the database takes up to so many milliseconds from now on.
    pub(crate) fn slow(&self, most: u64, dice: Dice) {
        *locked(&self.watch.slowness) = (most, dice);
    }

    /// The disk of the database is full from now on, or has room again.
    pub(crate) fn fill(&self, is_full: bool) {
        self.watch.is_full.store(is_full, Ordering::Relaxed);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.watch.is_full.load(Ordering::Relaxed)
    }

    /// Until nothing goes on by itself.
    pub(crate) fn settle(&self) -> Rest {
        match &self.runtime {
            Some(runtime) => runtime.block_on(self.watch.rest()),
            None => Rest::Killed,
        }
    }

    /// So much time passes.
    pub(crate) fn pass(&self, ms: u64) -> Rest {
        let Some(runtime) = &self.runtime else { return Rest::Killed };
        runtime.block_on(async {
            tokio::time::advance(Duration::from_millis(ms)).await;
            self.watch.rest().await
        })
    }

    /// The time of day is set.
    pub(crate) fn jump(&self, by_ms: i64) {
        self.clock.jump(by_ms);
    }

    /// Somebody waits for the database.
    pub(crate) fn is_slow(&self) -> bool {
        self.watch.is_slow.load(Ordering::Relaxed)
    }

    /// How often the database was used.
    pub(crate) fn used(&self) -> u64 {
        self.watch.used.load(Ordering::Relaxed)
    }

    pub(crate) fn census(&self) -> Census {
        self.inside.as_ref().map(|inside| inside.server.census()).unwrap_or_default()
    }

    /// Asks; the answer is there when it has come to rest, unless the database is slow.
    pub(crate) fn ask(&self, request: Request<Body>) -> Slot<Answer> {
        let slot = Slot::default();
        if let (Some(runtime), Some(inside)) = (&self.runtime, &self.inside) {
            let (answer, router) = (Arc::clone(&slot), inside.router.clone());
            runtime.spawn(async move {
                let Ok(response) = router.oneshot(request).await;
                let status = response.status().as_u16();
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
                let value = serde_json::from_slice(&body)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
                *locked(&answer) = Some((status, value));
            });
        }
        slot
    }

    /// An agent connects. Whether its key is known is there when it was looked up; where that failed, true.
    pub(crate) fn attach(&self, key: &str) -> (Wires, Slot<bool>) {
        let (to_server, from_agent) = mpsc::unbounded_channel();
        let (to_agent, from_server) = mpsc::unbounded_channel();
        let slot = Slot::default();
        if let (Some(runtime), Some(inside)) = (&self.runtime, &self.inside) {
            let (known, attached) = (Arc::clone(&slot), inside.server.attach(key, to_agent, from_agent));
            runtime.spawn(async move {
                let attached = attached.await;
                *locked(&known) = Some(attached.unwrap_or(true));
            });
        }
        (Wires { to_server, from_server }, slot)
    }
}

/// What was answered, if it was.
pub(crate) fn taken<T>(slot: &Slot<T>) -> Option<T> {
    locked(slot).take()
}

impl Drop for Life {
    /// `kill -9`: nobody is told.
    fn drop(&mut self) {
        self.still = None;
        if let Some(runtime) = self.runtime.take() {
            let context = runtime.enter();
            self.inside = None;
            *locked(&self.watch.store) = None;
            drop(context);
            drop(runtime);
        }
    }
}
