//! What a workload must not get from init or do to it. Each check has its positive control where one is possible here.

use wire::init::{Event, ExecSpec, SignalTarget, Status, User};

use crate::host::{Host, everywhere, sh};
use crate::place::Maker;
use crate::processes::wait_until;

#[test]
fn a_process_inherits_nothing_but_its_standard_streams() {
    everywhere(|host, _| {
        // `ls` itself opens one descriptor: the folder.
        assert_eq!(host.ok("ls /proc/self/fd | tr '\\n' ' '").trim(), "0 1 2 3");
        assert_eq!(host.ok("readlink /proc/self/fd/0").trim(), "/dev/null");
        assert_eq!(host.ok("for f in /proc/$$/fd/*; do readlink $f; done | grep -c socket || true").trim(), "0");
    });
}

#[test]
fn a_process_has_no_capability_no_new_privileges_and_no_blocked_signal() {
    everywhere(|host, maker| {
        let status = host.ok("cat /proc/self/status");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().nth(1).unwrap_or_default().to_owned()
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "SigBlk:", "SigIgn:"] {
            assert_eq!(field(set), "0000000000000000", "{set} {maker:?}");
        }
        assert_eq!(field("NoNewPrivs:"), "1");
    });
    // The control: init itself has them.
    let Some(host) = Host::start(Maker::Root) else { return };
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.place.init_pid())).unwrap();
    assert!(!status.contains("CapEff:\t0000000000000000"));
}

#[test]
fn init_cannot_be_killed_stopped_or_read_from_inside() {
    everywhere(|host, maker| {
        host.ok("for s in KILL STOP TERM INT HUP QUIT SEGV ABRT PIPE CHLD USR1; do kill -$s 1 2>/dev/null; done; true");
        assert_eq!(host.ok("echo lives"), "lives\n");
        for file in ["environ", "mem", "maps", "auxv", "fd", "exe", "root", "cwd", "stack"] {
            let ran = host.run(sh(&format!(
                "cat /proc/1/{file} >/dev/null 2>&1 || ls -l /proc/1/{file}/ >/dev/null 2>&1 || \
                 readlink /proc/1/{file} 2>/dev/null"
            )));
            assert_ne!(ran.exit.status, Status::Code(0), "/proc/1/{file} as {maker:?}");
        }
    });
    // The control: a process that did not protect itself can be read.
    let Some(mut host) = Host::start(Maker::Root) else { return };
    host.ok("sleep 1000 & cat /proc/$!/environ >/dev/null; kill $!");
}

#[test]
fn another_user_of_the_sandbox_cannot_signal_work_on_files_or_others() {
    let Some(mut host) = Host::start(Maker::RootWithIds) else { return };
    let (id, pid) = host.started(sh("exec sleep 1000"));
    let other = User { uid: 1000, gid: 1000, groups: vec![] };
    let ran = host.run(ExecSpec { user: other, ..sh(&format!("kill -9 {pid}")) });
    assert_ne!(ran.exit.status, Status::Code(0));
    host.signal(id, libc::SIGTERM, SignalTarget::Process);
    assert_eq!(host.finish(id).unwrap().exit.status, Status::Signal(libc::SIGTERM));
}

#[test]
fn a_working_folder_cannot_lead_through_a_descriptor() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    for number in 3..40 {
        let id = host.exec(ExecSpec { cwd: format!("/proc/self/fd/{number}"), ..sh("pwd") });
        assert!(host.finish(id).is_err(), "descriptor {number}");
    }
}

#[test]
fn a_full_process_table_is_an_error_and_not_the_end() {
    let Some(mut host) = Host::start(Maker::Unprivileged) else { return };
    // The limit counts the processes of one user, who here has no other.
    let limit = wire::init::Rlimit { resource: wire::init::Resource::Processes, value: 20 };
    let spec = ExecSpec { rlimits: vec![limit], ..sh("while :; do sleep 1000 & done 2>&1 | head -1") };
    let (id, _) = host.started(spec);
    loop {
        match host.event(id) {
            Event::Output { data, .. } if String::from_utf8_lossy(&data).contains("ork") => break,
            Event::Output { .. } | Event::Exited { .. } => break,
            _ => {}
        }
    }
    host.kill_all();
    wait_until(&mut host, "echo lives", "lives");
}
