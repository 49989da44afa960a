//! Starting, signalling, ending and reaping processes.

use std::time::{Duration, Instant};

use wire::init::{Command, Event, ExecSpec, OutputMode, Resource, Rlimit, SignalTarget, Status, TerminalSize, User};

use crate::host::{Host, everywhere, sh};
use crate::place::Maker;

#[test]
fn runs_a_command_and_reports_code_output_and_usage() {
    everywhere(|host, maker| {
        let ran = host.run(ExecSpec { output: OutputMode::Split, ..sh("echo out; echo err >&2; exit 7") });
        assert_eq!((ran.text().as_str(), &ran.stderr[..]), ("out\n", &b"err\n"[..]), "{maker:?}");
        assert_eq!(ran.exit.status, Status::Code(7));
        assert!(!ran.exit.left_behind);
        let busy = host.run(sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
        assert!(busy.exit.usage.user_us > 10_000 && busy.exit.usage.max_rss_kib > 100, "{:?}", busy.exit.usage);
    });
}

#[test]
fn keeps_the_order_of_both_streams_in_a_log() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let ran = host.run(sh("for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"));
    assert_eq!(ran.text(), "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
}

#[test]
fn reports_a_signal_and_what_a_shell_would_say() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let ran = host.run(sh("kill -SEGV $$"));
    assert_eq!(ran.exit.status, Status::Signal(libc::SIGSEGV));
    assert_eq!(ran.exit.status.code(), 139);
}

#[test]
fn says_why_a_program_cannot_start() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let mut check = |spec: ExecSpec, expect: &str| {
        let id = host.exec(spec);
        let error = host.finish(id).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    let program = |name: &str| ExecSpec { argv: vec![name.into()], ..sh("") };
    check(program("no-such-program"), "start no-such-program: No such file");
    check(program("/etc/passwd"), "start /etc/passwd: Permission denied");
    check(program(""), "No such file");
    check(ExecSpec { argv: vec![], ..sh("") }, "No such file");
    check(ExecSpec { cwd: "/nowhere".into(), ..sh("") }, "enter the working folder of sh: No such file");
    check(ExecSpec { argv: vec!["a\0b".into()], ..sh("") }, "zero byte");
    // An image without a shell says so.
    check(ExecSpec { env: vec![("PATH".into(), "/nowhere".into())], ..sh("") }, "start sh: No such file");
}

#[test]
fn gives_exactly_the_environment_ids_folder_and_limits_that_were_asked_for() {
    let Some(mut host) = Host::start(Maker::RootWithIds) else { return };
    let user = User { uid: 1234, gid: 2345, groups: vec![3456] };
    let spec = ExecSpec {
        user,
        cwd: "/usr".into(),
        rlimits: vec![Rlimit { resource: Resource::OpenFiles, value: 77 }],
        ..sh("id -u; id -g; id -G; pwd; ulimit -n; ulimit -c; umask; env | sort")
    };
    let ran =
        host.run(ExecSpec { env: vec![("PATH".into(), "/bin:/usr/bin".into()), ("X".into(), "a b=c".into())], ..spec });
    assert_eq!(ran.text(), "1234\n2345\n2345 3456\n/usr\n77\n0\n0022\nPATH=/bin:/usr/bin\nPWD=/usr\nX=a b=c\n");
}

#[test]
fn standard_input_is_empty_or_comes_from_the_host() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    assert_eq!(host.ok("cat | wc -c").trim(), "0");
    let id = host.exec(Host::with_input(sh("cat | md5sum; echo done")));
    let input: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    host.feed(id, &input);
    let ran = host.finish(id).unwrap();
    assert!(ran.text().ends_with("done\n"), "{}", ran.text());
    // Nobody reads: the input is dropped, nothing hangs.
    let id = host.exec(Host::with_input(sh("exec <&-; echo no input")));
    host.feed(id, &input);
    assert_eq!(host.finish(id).unwrap().text(), "no input\n");
}

#[test]
fn many_at_once_each_with_its_own_signals() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let ids: Vec<_> = (0..50).map(|n| host.exec(sh(&format!("echo {n}; exec sleep 1000")))).collect();
    for id in &ids {
        assert!(matches!(host.event(*id), Event::Started { .. }));
    }
    for (n, id) in ids.iter().enumerate().rev() {
        let signal = if n % 2 == 0 { libc::SIGTERM } else { libc::SIGKILL };
        let Event::Output { data, .. } = host.event(*id) else { panic!() };
        assert_eq!(data.0, format!("{n}\n").as_bytes());
        host.signal(*id, signal, SignalTarget::Group);
        assert_eq!(host.finish(*id).unwrap().exit.status, Status::Signal(signal));
    }
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_with_its_session() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (id, _) = host.started(sh("trap '' TERM; set -m; sleep 1000 & echo ready; while :; do sleep 1000; done"));
    assert!(matches!(host.event(id), Event::Output { .. }));
    host.signal(id, libc::SIGTERM, SignalTarget::Group);
    // It lives: another operation is served meanwhile, and nothing was reported.
    assert_eq!(host.ok("echo alive"), "alive\n");
    host.signal(id, libc::SIGKILL, SignalTarget::Session);
    assert_eq!(host.finish(id).unwrap().exit.status, Status::Signal(libc::SIGKILL));
    // Also the background job, which has a process group of its own.
    wait_until(&mut host, "pgrep -c 'sleep' || true", "0");
}

#[test]
fn a_process_that_stops_itself_is_reported_and_can_be_ended() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (id, _) = host.started(sh("kill -STOP $$; echo continued"));
    assert_eq!(host.event(id), Event::Stopped { id, signal: libc::SIGSTOP });
    host.signal(id, libc::SIGCONT, SignalTarget::Group);
    assert_eq!(host.finish(id).unwrap().text(), "continued\n");
    let (id, _) = host.started(sh("kill -STOP $$"));
    assert!(matches!(host.event(id), Event::Stopped { .. }));
    host.signal(id, libc::SIGTERM, SignalTarget::Group);
    host.signal(id, libc::SIGCONT, SignalTarget::Group);
    assert_eq!(host.finish(id).unwrap().exit.status, Status::Signal(libc::SIGTERM));
}

#[test]
fn a_daemon_that_keeps_the_output_open_delays_nothing_and_lives_on() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let begin = Instant::now();
    let ran = host.run(sh("(while :; do echo noise; sleep 0.01; done) & echo main"));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(ran.text().contains("main\n"), "{}", ran.text());
    assert_eq!((ran.exit.status, ran.exit.left_behind), (Status::Code(0), true));
    // Double fork and a session of its own, silent, with the output open.
    let ran = host.run(sh("(setsid sh -c 'exec sleep 1000' &) ; echo started"));
    assert_eq!((ran.text().as_str(), ran.exit.left_behind), ("started\n", true));
    // Both still live in the next step (a server that a build tests) and are not killed by writing to nobody.
    assert_eq!(host.ok("ps -eo args= | grep -c '^sleep 1000$'").trim(), "1");
    assert_eq!(host.ok("ps -eo args= | grep -c '^sh -c (while'").trim(), "1");
    host.kill_all();
    // Counted here: a program that counts may not be there yet when the others are listed.
    let left = host.ok("ps -e --no-headers; :");
    assert_eq!(left.lines().count(), 3, "init, sh, ps: {left}");
}

#[test]
fn a_step_that_closes_its_output_and_goes_on_ends_when_it_ends() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (go, path) = (dir.path().join("go"), dir.path().display());
    let (id, _) = host.started(sh(&format!("exec >&- 2>&-; until [ -e {path}/go ]; do sleep 0.01; done; exit 5")));
    assert_eq!(host.ok("echo still served"), "still served\n");
    std::fs::write(go, "").unwrap();
    assert_eq!(host.finish(id).unwrap().exit.status, Status::Code(5));
}

#[test]
fn reaps_ten_thousand_orphans() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    // Each subshell leaves a child behind that init inherits.
    host.ok("i=0; while [ $i -lt 5000 ]; do (: & : &) ; i=$((i+1)); done");
    wait_until(&mut host, "ps -e -o stat= | grep -c Z || true", "0");
    host.kill_all();
    assert_eq!(host.ok("ps -e --no-headers | wc -l").trim(), "4");
}

#[test]
fn kill_all_wins_against_a_fork_loop() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (id, _) = host.started(sh("while :; do (setsid sleep 1000 &) ; done"));
    wait_until(&mut host, "[ $(pgrep -c sleep) -gt 50 ] && echo many", "many");
    host.kill_all();
    assert_eq!(host.finish(id).unwrap().exit.status, Status::Signal(libc::SIGKILL));
    assert_eq!(host.ok("ps -e --no-headers | wc -l").trim(), "4");
}

#[test]
fn a_terminal_is_the_sandboxes_own() {
    everywhere(|host, _| {
        let size = TerminalSize { rows: 33, columns: 99 };
        let spec = ExecSpec {
            output: OutputMode::Terminal(size),
            ..sh("tty; stty size; read line; echo got $line; stty size; cat")
        };
        let (id, _) = host.started(spec);
        host.send(&Command::Resize { id, size: TerminalSize { rows: 11, columns: 22 } });
        host.send(&Command::Input { id, data: b"hello\n"[..].into() });
        host.send(&Command::CloseInput { id });
        let text = host.finish(id).unwrap().text();
        assert!(text.contains("/dev/pts/0") && text.contains("got hello") && text.contains("11 22"), "{text}");
    });
}

#[test]
fn everything_ends_with_the_stream() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (_, _) = host.started(sh("trap '' TERM HUP; setsid sleep 4242 & sleep 4242"));
    let init = host.place.init_pid();
    drop(host);
    assert!(!std::path::Path::new(&format!("/proc/{init}")).exists());
}

#[test]
fn shutdown_ends_init_cleanly() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    host.started(sh("trap '' TERM; sleep 1000"));
    host.send(&Command::Shutdown);
    while host.try_receive().is_some() {}
    assert_eq!(host.place.wait(), 0);
}

#[test]
fn rubbish_from_the_host_ends_init() {
    for rubbish in [&[0xff; 64][..], &[1, 0, 0, 0, 99], b"GET / HTTP/1.0\r\n\r\n"] {
        let Some(mut host) = Host::start(Maker::Root) else { return };
        host.send_raw(rubbish);
        while host.try_receive().is_some() {}
        assert_eq!(host.place.wait(), 71);
    }
}

/// Repeats a script until it prints `expect`; each round is one process, so no time is guessed.
pub fn wait_until(host: &mut Host, script: &str, expect: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let text = host.run(sh(script)).text();
        if text.trim() == expect {
            return;
        }
        assert!(Instant::now() < end, "{script}: {text}");
    }
}
