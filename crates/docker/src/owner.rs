//! Who made an object of an engine, written on it as labels, so that what a dead process left can be told from what a living one uses.
//!
//! ```text
//!   cofferdam.owner    the driver, unique for ever
//!   cofferdam.host     the machine of its process          ┐
//!   cofferdam.boot     the machine's boot                  ├ together: whether that process lives
//!   cofferdam.process  its pid namespace, number, start    ┘
//!   cofferdam.until    when its wall clock limit has passed, in seconds since 1970
//! ```

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Label of the driver that an object belongs to.
pub(crate) const OWNER: &str = "cofferdam.owner";
const HOST: &str = "cofferdam.host";
const BOOT: &str = "cofferdam.boot";
const PROCESS: &str = "cofferdam.process";
const UNTIL: &str = "cofferdam.until";
/// How much clocks of machines may differ, and how long an owner may take to end what is over its time.
const SLACK: Duration = Duration::from_secs(15 * 60);

/// Drivers of this process that live.
static LIVING: Mutex<Option<HashSet<String>>> = Mutex::new(None);

fn living() -> MutexGuard<'static, Option<HashSet<String>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a driver, and that it lives.
#[derive(Debug, PartialEq, Eq)]
struct Id(String);

impl Id {
    fn new(id: String) -> Arc<Id> {
        living().get_or_insert_default().insert(id.clone());
        Arc::new(Id(id))
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        living().get_or_insert_default().remove(&self.0);
    }
}

/// This process, as the owner of what one driver makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    id: Arc<Id>,
    host: String,
    boot: String,
    process: String,
}

/// Whether the owner of an object lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Dead,
    Alive,
    /// Of another machine or another pid namespace: it cannot be looked at.
    Unknown,
}

impl Owner {
    pub(crate) fn new() -> Owner {
        let random = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let machine = random("/etc/machine-id");
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let pid = std::process::id();
        Owner {
            id: Id::new(random("/proc/sys/kernel/random/uuid")),
            // A copied machine has the id of its original, and another name.
            host: format!("{name}/{machine}"),
            boot: random("/proc/sys/kernel/random/boot_id"),
            process: format!("{}/{pid}/{}", namespace(), started(pid).unwrap_or_default()),
        }
    }

    /// The driver's name.
    pub(crate) fn id(&self) -> &str {
        &self.id.0
    }

    /// For an object that is ended after so long, at the latest.
    pub(crate) fn labels(&self, wall: Duration) -> HashMap<String, String> {
        let until = now().saturating_add(wall).saturating_add(SLACK).as_secs().to_string();
        [(OWNER, &self.id.0), (HOST, &self.host), (BOOT, &self.boot), (PROCESS, &self.process), (UNTIL, &until)]
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .into()
    }

    /// Whether whoever wrote these labels lives, by `start`: when the process of a number began.
    fn life_of(&self, labels: &HashMap<String, String>, start: impl Fn(u32) -> Option<u64>) -> Life {
        let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
        let until = label(UNTIL).parse().unwrap_or(u64::MAX);
        if living().get_or_insert_default().contains(label(OWNER)) {
            return Life::Alive;
        }
        if now().as_secs() > until {
            return Life::Dead;
        }
        if label(HOST) != self.host {
            return Life::Unknown;
        }
        if label(BOOT) != self.boot {
            return Life::Dead;
        }
        if label(PROCESS) == self.process {
            // A driver of this very process that was dropped.
            return Life::Dead;
        }
        let mut parts = label(PROCESS).split('/');
        let of_ours = parts.next() == self.process.split('/').next();
        match (parts.next().and_then(|pid| pid.parse().ok()), parts.next().and_then(|time| time.parse::<u64>().ok())) {
            (Some(pid), Some(time)) if of_ours && start(pid) == Some(time) => Life::Alive,
            (Some(_), Some(_)) if of_ours => Life::Dead,
            _ => Life::Unknown,
        }
    }

    pub(crate) fn life(&self, labels: &HashMap<String, String>) -> Life {
        self.life_of(labels, started)
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.display().to_string().chars().filter(char::is_ascii_digit).collect()
}

/// When a process began, in ticks since the boot.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name may contain anything but ends at the last bracket.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: &[(&str, &str)], running: Option<u64>, expect: Life) {
        let us =
            Owner { id: Id::new("us".into()), host: "h/m".into(), boot: "b".into(), process: "4026/10/500".into() };
        let them = Owner { id: Arc::new(Id("them".into())), process: "4026/77/900".into(), ..us.clone() };
        let mut labels = them.labels(Duration::from_secs(60));
        labels.extend(change.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        assert_eq!(us.life_of(&labels, |pid| running.filter(|_| pid == 77)), expect, "{change:?}, {running:?}");
    }

    #[test]
    fn a_process_is_dead_when_its_number_is_free_or_anothers() {
        check(&[], Some(900), Life::Alive);
        check(&[], None, Life::Dead);
        check(&[], Some(901), Life::Dead);
        check(&[(BOOT, "earlier")], Some(900), Life::Dead);
    }

    #[test]
    fn what_cannot_be_looked_at_is_left_alone_until_its_time_is_over() {
        check(&[(HOST, "other/m")], None, Life::Unknown);
        check(&[(PROCESS, "4027/77/900")], None, Life::Unknown);
        check(&[(PROCESS, "")], None, Life::Unknown);
        check(&[(UNTIL, "")], None, Life::Dead);
        check(&[(HOST, "other/m"), (UNTIL, "1000000000")], None, Life::Dead);
        check(&[(OWNER, "us"), (UNTIL, "1000000000")], None, Life::Alive);
        check(&[(PROCESS, "4026/10/500")], Some(500), Life::Dead);
    }

    #[test]
    fn this_process_lives_and_its_drivers_until_they_are_dropped() {
        let (one, two) = (Owner::new(), Owner::new());
        let labels = two.labels(Duration::ZERO);
        assert_ne!(one.id, two.id);
        assert_eq!(one.life(&labels), Life::Alive);
        drop(two);
        assert_eq!(one.life(&labels), Life::Dead);
    }
}
