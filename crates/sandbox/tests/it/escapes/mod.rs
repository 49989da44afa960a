//! Attempts to leave a sandbox or to reach what belongs to others. Each is harmless, and each must be contained with all walls,
//! and must fire when its walls are removed: a probe that cannot fire proves nothing, and is reported as vacuous.
//!
//! Where two walls stop the same attempt, each is shown to stop it alone.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use sandbox::local::Local;
use sandbox::session::{Output, Session};
use sandbox::{Driver, LayerSource, Sandbox, SandboxSpec, User, Walls};
use wire::init::{ExecSpec, OutputMode, Status, TerminalSize, User as WireUser};

use crate::place;

mod between;
mod probes;

use probes::{ALWAYS, CAPABILITIES, IPC, KEYRING, NETWORK, PRELUDE, PROBES, Remove, SECCOMP};

struct Inside {
    sandbox: Sandbox,
    session: Session,
}

async fn make(driver: &dyn Driver, spec: SandboxSpec) -> Inside {
    let sandbox = driver.create(spec).await.unwrap();
    let stream = sandbox.stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
    Inside { sandbox, session }
}

impl Inside {
    fn spec(&self, argv: &[&str]) -> ExecSpec {
        ExecSpec {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: "/".into(),
            user: WireUser { uid: self.sandbox.user.uid, gid: self.sandbox.user.gid, groups: Vec::new() },
            ..ExecSpec::default()
        }
    }

    /// Output of a program, and how it ended.
    async fn run(&self, spec: ExecSpec) -> (String, Status) {
        let mut running = self.session.exec(spec).await.unwrap();
        let mut text = Vec::new();
        while let Some(output) = running.next().await.unwrap() {
            if let Output::Data { data, .. } = output {
                text.extend(data);
            }
        }
        let status = running.wait().await.unwrap().status;
        (String::from_utf8_lossy(&text).into_owned(), status)
    }

    async fn python(&self, code: &str) -> String {
        self.run(self.spec(&["/usr/bin/python3", "-c", &format!("{PRELUDE}\n{code}")])).await.0
    }
}

/// Cannot fire anywhere: a program that runs is never writable. That it would be the right one is shown by the next row.
const NEVER: [&str; 1] = ["E-5736 /proc/1/exe for writing"];

/// What a kernel may have been built without (the last one: cgroups of version 2 have no such file). Of anything else a control that
/// finds nothing is a control that does not work.
const MAY_BE_ABSENT: [&str; 12] = [
    "E-MODPROBE modprobe",
    "E-SYSRQ sysrq-trigger",
    "E-KCORE kcore",
    "E-CGREL release_agent",
    "E-UEVENT uevent_helper",
    "E-BINFMT binfmt_misc",
    "E-KALLSYMS addresses",
    "E-MOD init_module",
    "E-KEXEC kexec_load of nothing",
    "E-SWAP swapon",
    "E-ACCT acct",
    "E-QUOTA quotactl",
];

/// Runs Python as root with the host's namespaces, but for process ids and mounts, so that "process 1" and `/tmp` are nobody's.
fn exposed(code: &str) -> String {
    let leak = leaked();
    let script = "cd /; mount -t tmpfs control /tmp; for i in 1 2 3 4; do sleep 60 & done; /usr/bin/python3 -c \"$0\"; kill $(jobs -p)";
    let output = std::process::Command::new("unshare")
        .args(["--fork", "--pid", "--mount-proc", "sh", "-c", script, &format!("{PRELUDE}\n{code}")])
        .output()
        .unwrap();
    drop(leak);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs Python in a fresh sandbox.
async fn attempt(local: &Local, code: &str, root: bool, walls: Walls) -> String {
    attempt_on(&*local.process(), SandboxSpec::host_tools(), code, root, walls).await
}

async fn attempt_on(driver: &dyn Driver, mut spec: SandboxSpec, code: &str, root: bool, walls: Walls) -> String {
    spec.walls = walls;
    if root {
        spec.user = User::Named("0:0".into());
    }
    let inside = make(driver, spec).await;
    let text = inside.python(code).await;
    driver.destroy(inside.sandbox.id).await.unwrap();
    text
}

fn prepared() -> Option<Local> {
    if !Path::new("/usr/bin/python3").exists() {
        println!("skipped: /usr/bin/python3 is not installed");
        return None;
    }
    place::local()
}

fn without(walls: &[Remove]) -> Walls {
    let mut left = Walls::default();
    walls.iter().for_each(|remove| remove(&mut left));
    left
}

#[tokio::test]
async fn every_probe_is_contained_and_fires_without_its_wall() {
    let Some(local) = prepared() else { return };
    let (mut failures, mut vacuous) = (Vec::new(), 0);
    for probe in PROBES {
        let text = attempt(&local, probe.code, probe.root, Walls::default()).await;
        if !text.starts_with("CONTAINED") {
            failures.push(format!("{} is open: {text}", probe.name));
        }
        for index in 0..probe.walls.len() {
            let mut others = probe.walls.to_vec();
            others.remove(index);
            let text = attempt(&local, probe.code, probe.root, without(&others)).await;
            if !text.starts_with("CONTAINED") {
                failures.push(format!("{}: wall {index} alone does not hold: {text}", probe.name));
            }
        }
        let text = attempt(&local, probe.code, probe.root, without(probe.walls)).await;
        if text.starts_with("FIRED") {
            println!("contained  {}", probe.name);
        } else {
            vacuous += 1;
            println!("VACUOUS    {}: {}", probe.name, text.trim());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    // Some depend on what the kernel was built with.
    assert!(vacuous <= 4, "{vacuous} probes cannot fire");
}

#[tokio::test]
async fn what_no_wall_guards_alone_is_contained() {
    let Some(local) = prepared() else { return };
    let mut failures = Vec::new();
    for (name, code) in ALWAYS {
        for root in [false, true] {
            let text = attempt(&local, code, root, Walls::default()).await;
            println!("{name} (root: {root}): {}", text.trim());
            if !text.starts_with("CONTAINED") {
                failures.push(format!("{name} (root: {root}): {text}"));
            }
        }
        if !rustix::process::getuid().is_root() {
            println!("skipped: {name}: its control needs root");
            continue;
        }
        let control = exposed(code);
        let words = ["No such file", "No such device", "Function not implemented", "CONTAINED []"];
        let absent = words.iter().any(|word| control.contains(word));
        if absent && MAY_BE_ABSENT.contains(name) {
            println!("skipped: {name}: this kernel has no such thing");
        } else if !control.starts_with("FIRED") && !NEVER.contains(name) {
            failures.push(format!("{name} proves nothing: {control}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// All attempts, in an image that holds Python and nothing else of the host.
#[tokio::test]
async fn a_container_contains_what_a_process_sandbox_does() {
    let (Some(local), Some(layer)) = (prepared(), place::python_image()) else { return };
    let driver = local.container();
    let mut failures = Vec::new();
    let probes = PROBES.iter().map(|probe| (probe.name, probe.code, probe.root));
    let always = ALWAYS.iter().flat_map(|(name, code)| [(*name, *code, false), (*name, *code, true)]);
    for (name, code, root) in probes.chain(always) {
        let spec = SandboxSpec::image(vec![layer.clone()]);
        let text = attempt_on(&*driver, spec, code, root, Walls::default()).await;
        if !text.starts_with("CONTAINED") {
            failures.push(format!("{name} (root: {root}): {text}"));
        }
    }
    let mut vacuous = Vec::new();
    for probe in PROBES {
        let spec = SandboxSpec::image(vec![layer.clone()]);
        let text = attempt_on(&*driver, spec, probe.code, probe.root, without(probe.walls)).await;
        if !text.starts_with("FIRED") {
            vacuous.push(format!("{}: {}", probe.name, text.trim()));
        }
    }
    println!("cannot fire in a container of this kernel: {vacuous:#?}");
    assert!(failures.is_empty(), "{failures:#?}");
    // Some depend on what the kernel was built with.
    assert!(vacuous.len() <= 4, "{vacuous:#?}");
}

/// A descriptor that somebody left open for the launcher reaches no workload.
#[tokio::test]
async fn a_leaked_descriptor_is_closed() {
    let leak = leaked();
    let Some(local) = prepared() else { return };
    let inherited = fs::read_link(format!("/proc/{}/fd/{}", local.launcher_pid(), leak.as_raw_fd()));
    assert!(inherited.is_ok_and(|path| path == Path::new("/etc/passwd")), "the launcher has inherited nothing");
    let text = attempt(&local, ALWAYS[0].1, false, Walls::default()).await;
    assert!(text.starts_with("CONTAINED"), "{text}");
    let text = attempt(&local, ALWAYS[0].1, false, Walls { close_descriptors: false, ..Walls::default() }).await;
    assert!(text.starts_with("FIRED") && text.contains("/etc/passwd"), "{text}");
}

/// A descriptor that programs inherit, with a number that nothing else needs.
fn leaked() -> OwnedFd {
    let file = fs::File::open("/etc/passwd").unwrap();
    // SAFETY: a copy of an open descriptor, which is owned from here on.
    unsafe { OwnedFd::from_raw_fd(libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 200)) }
}

/// Whatever stands in the host's session keyring is out of reach.
#[tokio::test]
async fn the_keyring_is_another() {
    // A session keyring that the launcher inherits, and everything it starts would.
    // SAFETY: a null name asks for an anonymous keyring, for this thread.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<libc::c_char>()) };
    assert!(joined > 0);
    let Some(local) = prepared() else { return };
    let code = "r, e = call(250, 0, -3, 0); print(r)";
    let host = joined.to_string();
    assert_ne!(attempt(&local, code, false, without(&[SECCOMP])).await.trim(), host);
    assert_eq!(attempt(&local, code, false, without(&[SECCOMP, KEYRING])).await.trim(), host);
}

#[tokio::test]
async fn abstract_sockets_of_the_host_are_out_of_reach() {
    let Some(local) = prepared() else { return };
    let name = format!("cofferdam-canary-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let code = format!(
        "s = socket.socket(socket.AF_UNIX)\ntry: s.connect('\\0{name}'); verdict(True)\nexcept OSError as e: verdict(False, str(e))"
    );
    let text = attempt(&local, &code, false, Walls::default()).await;
    assert!(text.starts_with("CONTAINED"), "{text}");
    let text = attempt(&local, &code, false, without(&[NETWORK])).await;
    assert!(text.starts_with("FIRED"), "{text}");
}

#[tokio::test]
async fn shared_memory_of_the_host_is_out_of_reach() {
    let Some(local) = prepared() else { return };
    let key = 0x00C0_FFE0 + (std::process::id() & 0xF);
    // SAFETY: plain system calls.
    let id = unsafe { libc::shmget(key.cast_signed(), 4096, libc::IPC_CREAT | 0o666) };
    assert!(id >= 0);
    let code = format!("ok(29, {key}, 0, 0)");
    let contained = attempt(&local, &code, false, Walls::default()).await;
    let fired = attempt(&local, &code, false, without(&[IPC])).await;
    // SAFETY: as above; the segment is our own.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    assert!(contained.starts_with("CONTAINED"), "{contained}");
    assert!(fired.starts_with("FIRED"), "{fired}");
}

/// A set-user-id program of the sandbox's root gives nothing; each of two walls suffices.
#[tokio::test]
async fn set_user_id_programs_give_nothing() {
    let Some(local) = prepared() else { return };
    let driver = local.process();
    let nosuid: Remove = |walls| walls.nosuid_nodev = false;
    let privileges: Remove = |walls| walls.no_new_privs = false;
    let cases: [(&[Remove], &str); 4] =
        [(&[], "1000"), (&[nosuid], "1000"), (&[privileges], "1000"), (&[nosuid, privileges, CAPABILITIES], "0")];
    for (removed, expected) in cases {
        let mut spec = SandboxSpec::host_tools();
        spec.walls = without(removed);
        let inside = make(&*driver, spec).await;
        let program = fs::read("/usr/bin/id").unwrap();
        inside.session.write_file(None, "/tmp/id", &program, 0o755).await.unwrap();
        let mut chmod = inside.spec(&["/usr/bin/chmod", "4755", "/tmp/id"]);
        chmod.user = WireUser::default();
        let (text, status) = inside.run(chmod).await;
        assert_eq!(status, Status::Code(0), "{text}");
        let (text, _) = inside.run(inside.spec(&["/tmp/id", "-u"])).await;
        assert_eq!(text.trim(), expected, "{removed:?}");
        driver.destroy(inside.sandbox.id).await.unwrap();
    }
}

/// Nothing can be typed into a terminal for somebody else to read.
#[tokio::test]
async fn terminals_cannot_be_typed_into() {
    let Some(local) = prepared() else { return };
    let driver = local.process();
    let inside = make(&*driver, SandboxSpec::host_tools()).await;
    let code = format!(
        "{PRELUDE}\nr, e = call(16, 0, 0x5412, b'x'); r2, e2 = call(16, 0, 0x541C, b'\\x02'); verdict(r != -1 or r2 != -1, f'{{e}} {{e2}}')"
    );
    let mut spec = inside.spec(&["/usr/bin/python3", "-c", &code]);
    spec.output = OutputMode::Terminal(TerminalSize { rows: 24, columns: 80 });
    let (text, _) = inside.run(spec).await;
    assert!(text.starts_with("CONTAINED 1 1"), "{text}");
    driver.destroy(inside.sandbox.id).await.unwrap();
}

/// CVE-2024-21626: a working folder that leads through a leaked descriptor.
#[tokio::test]
async fn no_working_folder_leads_out() {
    // A folder of the host, open in everything that does not close it.
    let folder = fs::File::open(place::base()).unwrap();
    // SAFETY: a copy of an open descriptor, which is owned from here on.
    let leak = unsafe { OwnedFd::from_raw_fd(libc::fcntl(folder.as_raw_fd(), libc::F_DUPFD, 200)) };
    let (Some(local), Some(layer)) = (place::local(), place::image_dir()) else { return };
    let driver = local.container();
    let through_leak = format!("/proc/self/fd/{}", leak.as_raw_fd());
    let mut open = SandboxSpec::image(vec![layer.clone()]);
    open.walls.close_descriptors = false;
    let control = make(&*driver, open).await;
    let mut spec = control.spec(&["/bin/ls"]);
    spec.cwd.clone_from(&through_leak);
    // With the descriptor there, the second wall stops it alone: init looks where the program would begin.
    let error = control.session.exec(spec).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("check the working folder"), "the control leads nowhere: {error}");
    driver.destroy(control.sandbox.id).await.unwrap();

    let inside = make(&*driver, SandboxSpec::image(vec![layer])).await;
    let mut spec = inside.spec(&["/bin/ls"]);
    spec.cwd = through_leak;
    let error = inside.session.exec(spec).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("No such file"), "{error}");
    for number in 0..40 {
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/1/fd/{number}"), "/proc/1/root".into()] {
            let mut spec = inside.spec(&["/bin/pwd"]);
            spec.cwd = path.clone();
            assert!(inside.session.exec(spec).await.is_err(), "{path}");
        }
    }
    let mut spec = inside.spec(&["/bin/pwd"]);
    spec.cwd = "/tmp".into();
    assert_eq!(inside.run(spec).await.0, "/tmp\n");
    driver.destroy(inside.sandbox.id).await.unwrap();
}

/// CVE-2025-31133, CVE-2026-41579 and their like: what an image has where the kernel's file systems belong is replaced.
#[tokio::test]
async fn hostile_images_lead_nowhere() {
    let (Some(local), Some(LayerSource::Dir(image))) = (place::local(), place::image_dir()) else { return };
    let canary = place::base().join(format!("canary-{}", std::process::id()));
    fs::create_dir_all(&canary).unwrap();
    let hostile = place::base().join(format!("hostile-{}", std::process::id()));
    fs::create_dir_all(hostile.join("bin")).unwrap();
    fs::copy(image.join("bin/busybox"), hostile.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "ls", "stat", "head"] {
        symlink("busybox", hostile.join("bin").join(applet)).unwrap();
    }
    symlink(&canary, hostile.join("dev")).unwrap();
    symlink("/tmp", hostile.join("proc")).unwrap();
    fs::write(hostile.join("sys"), "a file").unwrap();
    symlink(&canary, hostile.join("etc")).unwrap();
    symlink("/proc/sys/kernel", hostile.join("workspace")).unwrap();
    symlink("../../../../../../..", hostile.join("up")).unwrap();
    symlink("/proc/self/exe", hostile.join("entrypoint")).unwrap();
    fs::write(hostile.join("script"), "#!/proc/self/exe\n").unwrap();

    let driver = local.container();
    let mut spec = SandboxSpec::image(vec![LayerSource::Dir(hostile.clone())]);
    let refused = driver.create(SandboxSpec::image(vec![LayerSource::Dir(hostile.clone())])).await;
    assert!(refused.is_err(), "a workspace in /proc/sys: {refused:?}");
    spec.workspace.path = "/up/work".into();
    let inside = make(&*driver, spec).await;
    let script = "stat -c %F /dev /proc /sys; head -c 1 /proc/kcore 2>/dev/null; ls /dev/null /proc/self/status; ls /; cat /etc/hostname";
    let (text, _) = inside.run(inside.spec(&["/bin/sh", "-c", script])).await;
    assert!(text.starts_with("directory\ndirectory\ndirectory\n/dev/null\n/proc/self/status\n"), "{text}");
    assert!(text.contains("\nwork\n") && text.ends_with(&format!("\n{}\n", inside.sandbox.hostname)), "{text}");
    for program in ["/entrypoint", "/script"] {
        let started = inside.session.exec(inside.spec(&[program])).await;
        if let Ok(mut running) = started {
            let status = running.wait().await.unwrap().status;
            assert_ne!(status, Status::Code(0), "{program}");
        }
    }
    driver.destroy(inside.sandbox.id).await.unwrap();
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0, "the host was written to");
    fs::remove_dir_all(&hostile).unwrap();
    fs::remove_dir_all(&canary).unwrap();
}
