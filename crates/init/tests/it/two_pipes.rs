//! Init where an engine gives it two pipes instead of one stream.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use wire::frame::{self, Decoder};
use wire::init::{Command as Order, Event, VERSION};

/// Init as process 1 of a process id namespace; `None` (with the reason printed) where that cannot be.
fn start() -> Option<Child> {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: needs root");
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_cofferdam-init"), "--stdio"]);
    let started = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    started.inspect_err(|error| println!("skipped: unshare: {error}")).ok()
}

fn greet(init: &mut Child) {
    let mut hello = Vec::new();
    frame::encode(&Order::Hello { version: VERSION }, &mut hello).unwrap();
    init.stdin.as_mut().unwrap().write_all(&hello).unwrap();
    let mut decoder = Decoder::new();
    let mut buffer = [0; 64];
    loop {
        match decoder.message::<Event>().unwrap() {
            Some(event) => return assert_eq!(event, Event::Hello { version: VERSION }),
            None => {
                let count = init.stdout.as_mut().unwrap().read(&mut buffer).unwrap();
                assert!(count > 0, "init ended");
                decoder.push(&buffer[..count]);
            }
        }
    }
}

#[test]
fn two_pipes_will_do_and_the_end_of_either_is_the_end() {
    for deaf in [false, true] {
        let Some(mut init) = start() else { return };
        greet(&mut init);
        if deaf {
            // Without anything to say, it is told that nobody listens.
            init.stdout = None;
        } else {
            init.stdin = None;
        }
        let kept = init.stdin.take();
        assert_eq!(init.wait().unwrap().code(), Some(71), "deaf: {deaf}");
        drop(kept);
    }
}
