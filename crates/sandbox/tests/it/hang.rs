//! Of a test that hangs, what the threads of its processes wait for: a hang on another machine tells nothing else.

use std::fs;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// No test takes so long, and the runner ends one a little later (`.config/nextest.toml`).
const PATIENCE: Duration = Duration::from_secs(840);

/// Until whoever holds the other end is gone.
pub fn wait(ended: &Receiver<()>) {
    if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        tell(std::process::id());
        panic!("it hangs");
    }
}

/// The threads of a process, and those of its children.
fn tell(pid: u32) {
    let of = |tid: &str, file: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{file}")).unwrap_or_default();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let tid = entry.file_name().to_string_lossy().into_owned();
        let status = of(&tid, "status");
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or_default();
        let [name, call, place] = ["comm", "syscall", "wchan"].map(|file| of(&tid, file).trim().to_owned());
        println!("{pid} {tid} {name}: {state}, system call {call}, in {place}");
        of(&tid, "stack").lines().take(8).for_each(|line| println!("    {line}"));
        of(&tid, "children").split_whitespace().filter_map(|child| child.parse().ok()).for_each(tell);
    }
}
