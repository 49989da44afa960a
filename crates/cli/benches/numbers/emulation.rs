//! How much of the time of a machine goes into the instructions of its guest: what the threads of its monitor spend on a processor
//! until `/bin/true` has ended. Where QEMU translates, a thread of each of the guest's processors does that and nothing else; its
//! main thread loads the saved state and is the devices. The threads have no names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use sandbox::Driver;

use super::drivers::{Kernels, MEMORY};
use super::measure::{Contender, Table, milliseconds};
use super::memory::descendants;
use super::starts::Place;
use super::stock::Stock;

const ROUNDS: usize = 12;
/// A machine that boots takes seconds.
const EVERY: usize = 4;

/// What each thread of each monitor has been on a processor for.
type Seen = BTreeMap<(u32, u32), Duration>;

/// From the ask for a machine to the end of `/bin/true`.
struct Spent {
    wall: Duration,
    /// On a processor.
    main: Duration,
    /// The thread beside the main one that was there for longest: the guest's busiest processor.
    busiest: Duration,
    others: Duration,
}

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("machines: how much of the time is their guests' instructions");
    let Some((_, kernels)) = Kernels::prepare(scratch, &mut table) else { return table };
    table.notes.extend(kernels.notes.iter().cloned());
    let (place, Some(machines)) = (&kernels.place, &kernels.machines) else { return table };
    let stock = Stock::new(place, &machines.copies);
    let watched = [
        Watched::new("microvm that boots", &*machines.boots, EVERY),
        Watched::new("microvm, copy", &*machines.copies, 1),
        Watched { stock: Some(&stock), ..Watched::new("microvm from the pool", &stock.pool, 1) },
    ];
    table.interleave(ROUNDS, watched.iter().map(|watched| watched.contender(place)).collect());
    for watched in &watched {
        watched.tell(&mut table);
    }
    table.notes.push(format!("machines: {}", machines.acceleration));
    table.notes.push(
        "share: of the time from the ask to the end of /bin/true, what the busiest thread was on a processor"
            .to_owned(),
    );
    table.notes.push(
        "that includes what the host's kernel does for it, most of all giving it memory when it first writes"
            .to_owned(),
    );
    place.runtime.block_on(stock.pool.close());
    table
}

/// A driver of machines, and what was seen of them.
struct Watched<'a> {
    name: &'static str,
    driver: &'a dyn Driver,
    every: usize,
    /// Filled before each sample.
    stock: Option<&'a Stock>,
    spent: RefCell<Vec<Spent>>,
}

impl<'a> Watched<'a> {
    fn new(name: &'static str, driver: &'a dyn Driver, every: usize) -> Watched<'a> {
        Watched { name, driver, every, stock: None, spent: RefCell::default() }
    }

    fn contender<'b>(&'b self, place: &'b Place) -> Contender<'b> {
        let name = format!("{}: create → /bin/true → destroyed", self.name);
        let contender = Contender::new(&name, || self.sample(place)).every(self.every);
        contender.before(|| {
            if let Some(stock) = self.stock {
                stock.fill(place, 1);
            }
        })
    }

    fn sample(&self, place: &Place) -> Result<(), String> {
        let monitors = || seen(place.local.launcher_pid());
        let before = monitors();
        let mut spent = None;
        let asked = Instant::now();
        let look = || {
            let wall = asked.elapsed();
            spent = Spent::between(wall, &before, &monitors());
        };
        place.runtime.block_on(place.start_and(self.driver, place.spec(MEMORY), look))?;
        self.spent.borrow_mut().push(spent.ok_or("no QEMU with threads is below the launcher")?);
        Ok(())
    }

    fn tell(&self, table: &mut Table) {
        let spent = self.spent.borrow();
        // The first is of the round that does not count.
        let Some(counted) = spent.get(1..).filter(|counted| !counted.is_empty()) else { return };
        let mut row = |what: &str, unit, of: fn(&Spent) -> f64| {
            table.push(&format!("{}: {what}", self.name), unit, counted.iter().map(of).collect());
        };
        row("ask → end of /bin/true", "ms", |spent| milliseconds(spent.wall));
        row("busiest thread (guest's processor)", "ms", |spent| milliseconds(spent.busiest));
        row("QEMU's main thread", "ms", |spent| milliseconds(spent.main));
        row("its other threads", "ms", |spent| milliseconds(spent.others));
        row("share of the guest's instructions", "share", Spent::share);
    }
}

impl Spent {
    /// Of the one monitor that did most in the meantime; others only wait.
    fn between(wall: Duration, before: &Seen, after: &Seen) -> Option<Spent> {
        let mut monitors: BTreeMap<u32, Vec<(u32, Duration)>> = BTreeMap::new();
        for ((monitor, thread), time) in after {
            let earlier = before.get(&(*monitor, *thread)).copied().unwrap_or_default();
            monitors.entry(*monitor).or_default().push((*thread, time.saturating_sub(earlier)));
        }
        let sum = |threads: &[(u32, Duration)]| threads.iter().map(|(_, time)| *time).sum::<Duration>();
        let (monitor, threads) = monitors.into_iter().max_by_key(|(_, threads)| sum(threads))?;
        let main = threads.iter().find(|(thread, _)| *thread == monitor).map(|(_, time)| *time).unwrap_or_default();
        let rest = threads.iter().filter(|(thread, _)| *thread != monitor);
        let busiest = rest.map(|(_, time)| *time).max()?;
        Some(Spent { wall, main, busiest, others: sum(&threads).saturating_sub(main + busiest) })
    }

    fn share(&self) -> f64 {
        self.busiest.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// The threads of all monitors below a launcher.
fn seen(launcher: u32) -> Seen {
    let is_monitor = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.to_string_lossy().contains("qemu-system"))
    };
    let mut seen = Seen::new();
    for monitor in descendants(launcher).into_iter().filter(is_monitor) {
        for task in std::fs::read_dir(format!("/proc/{monitor}/task")).into_iter().flatten().flatten() {
            let thread = task.file_name().to_string_lossy().parse().unwrap_or_default();
            seen.insert((monitor, thread), on_processor(&task.path()));
        }
    }
    seen
}

/// How long a thread has been on a processor: the first number of its `schedstat`, in nanoseconds.
fn on_processor(task: &Path) -> Duration {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}
