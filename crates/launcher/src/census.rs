//! Counts the processes of a sandbox, for hosts without a cgroup that does. The limit is then one of the kernel's for each user
//! (`RLIMIT_NPROC`), which tells nobody but the process that was refused.

use std::fs;
use std::time::Duration;

/// How often.
pub(crate) const EVERY: Duration = Duration::from_millis(250);
/// Who was refused has often ended when it is counted: a shell, and what it ran in.
const REFUSED: u32 = 2;

/// Whether the processes and threads below `init` are as many as `limit` lets be, or were just now.
pub(crate) fn is_full(init: i32, limit: u32) -> bool {
    let enough = limit.saturating_sub(REFUSED).max(1);
    let mut found = 0;
    let mut parents = vec![init];
    while let Some(parent) = parents.pop() {
        // What ends meanwhile does not count.
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for thread in threads.flatten() {
            found += u32::from(parent != init);
            if found >= enough {
                return true;
            }
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            parents.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
    }
    false
}
