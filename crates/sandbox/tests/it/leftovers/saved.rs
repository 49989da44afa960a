//! A machine is saved for those after it whole or not at all: also where whoever saves it is killed meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sandbox::LayerSource;
use sandbox::microvm::Acceleration;

use super::{kill, remains, start_victim, swept, wait_until};
use crate::{microvm, place};

/// A boot takes no longer, whatever else is done.
const PATIENCE: Duration = Duration::from_secs(120);
/// Machines of a memory that no other test has, in MiB, and so none that is saved already.
const FIRST_MIB: u64 = 211;
/// A moment is short: so often it may be missed.
const MOST_MISSES: u64 = 5;

/// What that process is saving.
fn half_saved(folder: &Path, process: u32) -> Option<PathBuf> {
    let mark = format!("making-{process}-");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(&mark))
}

/// Whether something of it is on the disk.
fn has_content(saving: &Path) -> bool {
    let files = fs::read_dir(saving).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 0)
}

#[test]
fn a_machine_that_is_half_saved_is_none() {
    let Some(config) = microvm::config(Some(Acceleration::Tcg)) else { return };
    let Some(LayerSource::Dir(image)) = place::image_dir() else { return };
    if place::local().is_none() {
        return;
    }
    let folder = config.guest.folder.join("templates");
    let mut sizes = FIRST_MIB..;
    for round in 0..3 {
        // It boots; there is a place for it; something is in that.
        let is_now = |victim: u32, launcher: u32| match round {
            0 => !microvm::monitors(launcher).is_empty(),
            1 => half_saved(&folder, victim).is_some(),
            _ => half_saved(&folder, victim).is_some_and(|saving| has_content(&saving)),
        };
        let (mut misses, mut killed) = (0, Vec::new());
        let kind = loop {
            let kind = format!("microvm {}", sizes.next().unwrap());
            let (mut victim, launcher) = start_victim(&kind, &image, 0);
            let began = Instant::now();
            let is_hit = loop {
                if is_now(victim.id(), launcher) {
                    break true;
                }
                // It has made its sandbox, which nobody wants to hear of, and so it has saved the machine.
                if victim.try_wait().unwrap().is_some() {
                    break false;
                }
                assert!(began.elapsed() < PATIENCE, "round {round}: that moment does not come");
                std::thread::yield_now();
            };
            kill(victim.id());
            killed.push(victim.id());
            victim.wait().unwrap();
            wait_until("processes are left", || match remains(launcher).0 {
                processes if processes.is_empty() => Ok(()),
                processes => Err(format!("round {round}: {processes:?}")),
            });
            swept(launcher, round);
            if is_hit {
                break kind;
            }
            misses += 1;
            assert!(misses < MOST_MISSES, "round {round}: that moment is always missed");
        };
        // Whoever comes next saves it anew, and takes away what was left of the one before.
        let (mut victim, launcher) = start_victim(&kind, &image, 1);
        // Other tests kill such processes meanwhile too, and what theirs left is theirs.
        let left: Vec<_> = killed.into_iter().filter_map(|process| half_saved(&folder, process)).collect();
        kill(victim.id());
        victim.wait().unwrap();
        assert_eq!(left, Vec::<PathBuf>::new(), "round {round}");
        wait_until("processes are left", || match remains(launcher).0 {
            processes if processes.is_empty() => Ok(()),
            processes => Err(format!("round {round}: {processes:?}")),
        });
        swept(launcher, round);
    }
}
