//! Output of any size and content, with bounded memory.

use std::time::Instant;

use wire::init::{Command, Event, ExecSpec, WINDOW_BYTES, cost};

use crate::host::{Host, sh};
use crate::place::Maker;

/// Memory that init may use after one command, in KiB: its program and what it has made.
const MEMORY_KIB: u64 = 4096;
/// Memory of its own that init may ever have used, in KiB.
const OWN_KIB: u64 = 2048;

#[test]
fn a_line_of_one_gigabyte_passes_in_pieces() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let begin = Instant::now();
    let (id, _) = host.started(sh("head -c 1000000000 /dev/zero"));
    let mut bytes = 0u64;
    loop {
        match host.event(id) {
            Event::Output { data, .. } => {
                bytes += data.len() as u64;
                host.send(&Command::Credit { id, bytes: cost(&data) });
            }
            Event::Exited { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, 1_000_000_000);
    let (peak, now) = (host.place.own_peak_kib(), host.place.memory_kib("VmRSS"));
    println!("1 GB in {:?}; init: peak {peak} KiB of its own, now {now} KiB", begin.elapsed());
    assert!(peak < OWN_KIB, "{peak} KiB");
}

#[test]
fn output_is_bytes() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let ran = host.run(sh(r"printf '\377\000\200ok\n'"));
    assert_eq!(ran.stdout, b"\xff\x00\x80ok\n");
}

#[test]
fn output_above_its_limit_is_dropped_and_told() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let ran = host.run(ExecSpec { output_limit: Some(1000), ..sh("head -c 50000000 /dev/zero; exit 3") });
    assert_eq!(ran.stdout.len(), 1000);
    assert!(ran.limited);
    assert_eq!(ran.exit.dropped_bytes, 49_999_000);
    assert_eq!(ran.exit.status.code(), 3);
    let ran = host.run(ExecSpec { output_limit: Some(5), ..sh("printf 12345") });
    assert_eq!((ran.text().as_str(), ran.limited, ran.exit.dropped_bytes), ("12345", false, 0));
}

#[test]
fn a_host_that_does_not_take_output_stops_that_process_and_no_other() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (slow, _) = host.started(sh("head -c 100000000 /dev/zero"));
    let mut bytes = 0u64;
    while bytes < u64::from(WINDOW_BYTES) {
        let Event::Output { data, .. } = host.event(slow) else { panic!() };
        bytes += data.len() as u64;
    }
    assert_eq!(bytes, u64::from(WINDOW_BYTES));
    for _ in 0..20 {
        assert_eq!(host.ok("echo other"), "other\n");
    }
    let peak = host.place.own_peak_kib();
    assert!(peak < OWN_KIB, "{peak} KiB");
    host.send(&Command::Credit { id: slow, bytes: WINDOW_BYTES });
    let ran = host.finish(slow).unwrap();
    assert_eq!(bytes + ran.stdout.len() as u64, 100_000_000);
}

#[test]
fn a_host_that_reads_nothing_at_all_costs_bounded_memory() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let ids: Vec<_> = (0..40).map(|_| host.exec(sh("head -c 3000000 /dev/zero"))).collect();
    // The processes wait for somebody to read: nothing but time could tell, so look until all of them sleep in a write.
    let waiting = |pid: u32| {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children.split_whitespace().count()
    };
    let init = host.place.init_pid();
    while waiting(init) < 40 {
        std::thread::yield_now();
    }
    let peak = host.place.own_peak_kib();
    assert!(peak < OWN_KIB, "{peak} KiB");
    for id in ids {
        assert_eq!(host.finish(id).unwrap().stdout.len(), 3_000_000);
    }
}

#[test]
fn init_is_small() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    host.ok("true");
    let (peak, now) = (host.place.memory_kib("VmHWM"), host.place.memory_kib("VmRSS"));
    println!("init after one command: peak {peak} KiB, now {now} KiB");
    assert!(now < MEMORY_KIB, "{now} KiB");
}
