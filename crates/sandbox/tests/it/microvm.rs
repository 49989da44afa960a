//! The `microvm` driver, on a real QEMU and Debian's kernel.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use sandbox::conformance::Claims;
use sandbox::guest::{Guest, GuestError, Guests, Source, build};
use sandbox::local::Local;
use sandbox::microvm::{Acceleration, MicroVm, MicroVmConfig, MonitorKind};
use sandbox::session::{Output, Session};
use sandbox::{
    Driver as _, EngineSpec, LayerSource, NetworkSource, OfferedImage, OfferedLayer, OfferedName, SandboxSpec,
    conformance,
};

use wire::init::ExecSpec;

use crate::jail::Jailed;
use crate::{engine_root, leftovers, place};

/// A guest that all tests of this machine share.
pub fn guest() -> Option<Guest> {
    static GUEST: OnceLock<Option<Guest>> = OnceLock::new();
    GUEST
        .get_or_init(|| {
            let guests = Guests::new(place::base().join("guests"));
            if std::env::var_os(leftovers::VICTIM).is_some() {
                // Made by the test that started this one, which has given it no network.
                return guests.newest();
            }
            match build(&guests, &Source::Debian) {
                Ok(guest) => Some(guest),
                Err(error @ GuestError::Program { program: "apt-cache" | "apt-get" | "dpkg-deb", .. }) => {
                    println!("skipped: {error}");
                    None
                }
                Err(error) => panic!("{error:?}"),
            }
        })
        .clone()
}

/// The processes of QEMU that this launcher has started.
pub fn monitors(launcher: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap_or_default();
    let is_monitor = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.to_string_lossy().contains("qemu-system"))
    };
    children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_monitor).collect()
}

/// A program runs behind this stream, and says what it should.
pub async fn check_echo(stream: std::os::unix::net::UnixStream) {
    stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
    let argv = ["/bin/echo", "hello"].map(Into::into).into();
    let mut running = session.exec(ExecSpec { argv, cwd: "/".into(), ..ExecSpec::default() }).await.unwrap();
    let mut text = Vec::new();
    while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
        text.extend(data);
    }
    assert_eq!(text, b"hello\n");
}

/// Machines of this host, without an engine.
pub fn config(acceleration: Option<Acceleration>) -> Option<MicroVmConfig> {
    if !Path::new("/usr/bin/qemu-system-x86_64").exists() {
        println!("skipped: qemu-system-x86 is not installed");
        return None;
    }
    let scratch = place::base().join("scratch");
    Some(MicroVmConfig {
        monitor: MonitorKind::Qemu,
        guest: guest()?,
        acceleration,
        copies: true,
        engine: None,
        scratch,
    })
}

fn driver(acceleration: Option<Acceleration>) -> Option<MicroVm> {
    Some(MicroVm::new(place::local()?, config(acceleration)?))
}

#[tokio::test]
async fn conformance_of_the_microvm() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let claims = Claims { shared_workspace: Err("two machines share no workspace"), ..Claims::all() };
    let report = conformance::run(&conformance::Subject {
        driver: &driver,
        spec: &spec,
        claims,
        patience: conformance::PATIENCE * 3,
    })
    .await;
    println!("microvm:\n{report}");
    place::keep("microvm", &report);
    assert!(report.passed(), "{report}");
}

/// A `/dev/kvm` that boots nothing is passed by, and a machine is there all the same.
#[tokio::test]
async fn microvm_runs_on_the_processor_only_where_one_boots() {
    let (Some(driver), Some(layer)) = (driver(None), place::image_erofs()) else { return };
    let found = driver.acceleration().await;
    println!("machines of this host: {found:?}");
    assert!(found == Acceleration::Tcg || Path::new("/dev/kvm").exists());
    let sandbox = driver.create(SandboxSpec::image(vec![layer])).await.unwrap();
    driver.destroy(sandbox.id).await.unwrap();
    let kept = std::fs::read_to_string(guest().unwrap().kernel().with_file_name("processor")).unwrap_or_default();
    assert_eq!(kept.starts_with("boots "), found == Acceleration::Kvm, "{kept}");
    let not = ["translated ", "late "].iter().any(|verdict| kept.starts_with(verdict));
    assert_eq!(not, found == Acceleration::Tcg && Path::new("/dev/kvm").exists(), "{kept}");
}

/// As many disks as a machine of this type has places for beside its own.
#[tokio::test]
async fn microvm_stacks_nineteen_layers() {
    let (Some(driver), Some(base)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let folder = tempfile::tempdir_in(place::base()).unwrap();
    let mut layers = vec![base];
    for number in 1..19 {
        let content = folder.path().join(format!("{number}"));
        std::fs::create_dir(&content).unwrap();
        std::fs::write(content.join("top"), format!("{number}\n")).unwrap();
        std::fs::write(content.join(format!("file{number}")), "").unwrap();
        let image = folder.path().join(format!("{number}.erofs"));
        let made = std::process::Command::new("mkfs.erofs").arg("--quiet").arg(&image).arg(&content).status();
        assert!(made.unwrap().success());
        layers.push(LayerSource::Erofs(image));
    }
    layers.push(layers[3].clone());
    let sandbox = driver.create(SandboxSpec::image(layers)).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let top = session.read_file(None, "/top", 10).await.unwrap();
    assert_eq!(top, b"3\n", "the topmost layer is the one that stands there twice");
    assert!(
        session.read_file(None, "/file1", 10).await.is_ok() && session.read_file(None, "/file18", 10).await.is_ok()
    );
    driver.destroy(sandbox.id).await.unwrap();
}

/// What two machines that are copies of one know: random numbers, the time, nothing of each other.
#[tokio::test]
async fn microvm_copies_are_machines_of_their_own() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let mut seen = Vec::new();
    for round in 0..3 {
        let started = std::time::Instant::now();
        let sandbox = driver.create(SandboxSpec::image(vec![layer.clone()])).await.unwrap();
        println!("machine {round} after {} ms", started.elapsed().as_millis());
        sandbox.stream.set_nonblocking(true).unwrap();
        let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
        let script = "head -c 16 /dev/urandom | od -An -tx1; cd /proc/sys/kernel/random; cat uuid boot_id /etc/machine-id; ls -a /workspace; date +%s";
        let spec = ExecSpec {
            argv: ["/bin/sh", "-c", script].map(Into::into).into(),
            env: vec![("PATH".into(), "/bin".into())],
            cwd: "/".into(),
            ..ExecSpec::default()
        };
        let mut running = session.exec(spec).await.unwrap();
        let mut text = Vec::new();
        while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
            text.extend(data);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let clock: u64 = lines.last().unwrap().parse().unwrap();
        assert!(now.abs_diff(clock) <= 2, "the clock of a copy: {clock}, here it is {now}");
        assert!(!text.contains("left-behind"), "{text}");
        session.write_file(None, "/workspace/left-behind", b"", 0o644).await.unwrap();
        seen.push(lines[..4].to_vec());
        driver.destroy(sandbox.id).await.unwrap();
    }
    for [one, other] in [[0, 1], [1, 2], [0, 2]] {
        assert!((0..4).all(|line| seen[one][line] != seen[other][line]), "{seen:?}");
    }
    let kept = std::fs::read_dir(guest().unwrap().folder.join("templates")).into_iter().flatten().count();
    assert!(kept > 0, "a saved machine is kept for the next process");
}

/// Of the link layer too: two on one bridge would hear each other's frames.
#[test]
fn microvm_copies_have_addresses_of_their_own() {
    let tools = ["/usr/sbin/ip", "/usr/bin/nsenter"];
    if !rustix::process::getuid().is_root() || !tools.iter().all(|tool| Path::new(tool).exists()) {
        println!("skipped: needs root, ip and nsenter");
        return;
    }
    // Its packages come from outside, where the namespace has no way to.
    if guest().is_none() {
        return;
    }
    place::in_a_network_of_its_own(async || {
        let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
        let mut seen = BTreeSet::new();
        for number in 0..2 {
            let network = NetworkSource::Netns { netns: leftovers::netns(number), resolv_conf: String::new() };
            let spec = SandboxSpec { network, ..SandboxSpec::image(vec![layer.clone()]) };
            let said = place::said(&driver, spec, &["/bin/ifconfig", "eth0"]).await;
            let address = said.split_whitespace().skip_while(|word| *word != "HWaddr").nth(1).map(str::to_owned);
            let address = address.unwrap_or_else(|| panic!("{said}"));
            // One of a station, and of nobody's list of makers.
            assert_eq!(u8::from_str_radix(&address[..2], 16).unwrap() & 3, 2, "{address}");
            assert!(seen.insert(address), "{seen:?}");
        }
    });
}

pub fn engine_driver() -> Option<MicroVm> {
    engine_driver_of(place::local()?)
}

pub fn engine_driver_of(local: Local) -> Option<MicroVm> {
    let config = config(Some(Acceleration::Tcg))?;
    let engine = match std::env::var_os(leftovers::VICTIM) {
        Some(_) => Guests::new(place::base().join("guests")).newest_engine()?,
        None => engine_root::engine()?.0,
    };
    Some(MicroVm::new(local, MicroVmConfig { engine: Some(engine.root()), ..config }))
}

/// Runs a script with the engine's tools, as the usual user; its output.
async fn with_engine(driver: &MicroVm, images: Vec<OfferedImage>, script: &str) -> String {
    let started = std::time::Instant::now();
    let spec = SandboxSpec { engine: Some(EngineSpec { images }), ..SandboxSpec::host_tools() };
    let sandbox = driver.create(spec).await.unwrap();
    println!("a machine with an engine after {} ms", started.elapsed().as_millis());
    let text = script_in(sandbox.stream, script).await;
    driver.destroy(sandbox.id).await.unwrap();
    text
}

/// The same in a machine whose stream this is.
pub async fn script_in(stream: std::os::unix::net::UnixStream, script: &str) -> String {
    stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
    let spec = ExecSpec {
        argv: ["/bin/sh", "-ec", &format!("exec 2>&1; {script}")].map(Into::into).into(),
        env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/bin".into()), ("HOME".into(), "/workspace".into())],
        cwd: "/workspace".into(),
        user: wire::init::User { uid: 1000, gid: 1000, groups: vec![] },
        ..ExecSpec::default()
    };
    let mut running = session.exec(spec).await.unwrap();
    let mut text = Vec::new();
    while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
        text.extend(data);
    }
    let code = running.wait().await.unwrap().status;
    let text = String::from_utf8_lossy(&text).into_owned();
    println!("{text}\n{code:?}");
    text
}

/// An image of one layer that a Docker Engine can run.
pub fn offered(file: std::path::PathBuf) -> OfferedImage {
    let diff_id = format!("sha256:{}", "1".repeat(64));
    OfferedImage {
        config: format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["PATH=/bin"]}},"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
        ),
        names: vec![OfferedName { repository: "registry.example/team/tools".into(), tag: Some("3".into()) }],
        digests: vec![format!("sha256:{}", "2".repeat(64))],
        layers: vec![OfferedLayer { diff_id, file, bytes: 1, blob: None, hides_all: false }],
    }
}

/// A build and a container of an image that the host's store has, without a network; the next machine knows nothing of it.
#[tokio::test]
async fn microvm_with_an_engine_builds_and_runs() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (engine_driver(), place::image_erofs()) else { return };
    let script = "docker run --rm --network none registry.example/team/tools:3 sh -c 'echo from $(cat /proc/1/comm)'; \
        mkdir c; printf 'FROM registry.example/team/tools:3\\nRUN echo built > /made\\nCOPY x /x\\n' > c/Dockerfile; echo hi > c/x; \
        DOCKER_BUILDKIT=0 docker build -q -t own c; \
        docker run --rm --network none -u 1000:1000 -v /workspace:/workspace -w /workspace own sh -c 'cat /made /x; echo there > file'; \
        cat file; stat -c %u file; docker images -q | wc -l; \
        docker run -d -t --name made --network none -v /workspace:/workspace own cat > /dev/null; \
        docker exec -w /workspace made sh -c 'pwd; ls; ls / | grep -c engine || true'";
    let text = with_engine(&driver, vec![offered(layer)], script).await;
    assert!(text.contains("from sh\n") && text.contains("built\nhi\nthere\n1000\n2\n"), "{text}");
    assert!(text.ends_with("/workspace\nc\nfile\n0\n"), "a container is left only by its own root: {text}");
    let text = with_engine(&driver, Vec::new(), "docker images -q | wc -l; docker ps -aq | wc -l; ls").await;
    assert_eq!(text, "0\n0\n");
}

/// Two services of a small project that talk to each other over a network of the machine's own engine.
#[tokio::test]
async fn microvm_with_an_engine_composes() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (engine_driver(), place::image_erofs()) else { return };
    let project = r#"services:
  server:
    image: registry.example/team/tools:3
    command: sh -c "mkdir /tmp/w; echo answer > /tmp/w/index.html; nc -l -p 80 < /tmp/w/index.html"
  client:
    image: registry.example/team/tools:3
    depends_on: [server]
    command: sh -c "i=0; until nc server 80 > /tmp/got; do i=$$((i+1)); [ $$i -lt 60 ] || exit 1; sleep 1; done; cat /tmp/got"
"#;
    let script = format!(
        "cat > compose.yml <<'END'\n{project}END\ndocker compose version --short; \
         docker compose -f compose.yml up --abort-on-container-exit --exit-code-from client 2>&1; \
         docker compose -f compose.yml down; docker ps -aq | wc -l"
    );
    let text = with_engine(&driver, vec![offered(layer)], &script).await;
    assert!(text.lines().any(|line| line.contains("client") && line.contains("answer")), "{text}");
    assert!(text.ends_with("\n0\n"), "{text}");
}

/// Where a program's data leave no page for the files of those beside it, the kernel frees what they read at once again, and never
/// kills anything: it does not here either, but the launcher does.
#[tokio::test]
async fn microvm_that_only_waits_for_memory_goes_on() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let mut spec = SandboxSpec::image(vec![layer]);
    spec.limits.memory_bytes = 64 << 20;
    let hold = "(dd if=/dev/zero bs=62M count=1; : > /tmp/gone) 2> /dev/null | sleep 600 &";
    let read = "until test -e /tmp/gone; do ls -lR /bin; cat /bin/*; done > /dev/null 2>&1";
    let argv = ["/bin/sh", "-c", &format!("{hold} {read}; kill %1; grep oom_kill /proc/vmstat")];
    let said = place::said(&driver, spec, &argv);
    let said = tokio::time::timeout(std::time::Duration::from_secs(300), said).await;
    assert_eq!(said.expect("nothing ended it").trim(), "oom_kill 0");
}

/// What is written goes to a disk that has no name on the host, not to the machine's memory.
#[tokio::test]
async fn microvm_writes_more_than_its_memory() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let mut spec = SandboxSpec::image(vec![layer]);
    (spec.limits.memory_bytes, spec.limits.disk_bytes) = (96 << 20, 512 << 20);
    let sandbox = driver.create(spec).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let script = "dd if=/dev/zero of=/big bs=1M count=300 2>&1 && stat -c %s /big; stat -f -c %T /dev/shm";
    let argv = ["/bin/sh", "-c", script].map(Into::into).into();
    let env = vec![("PATH".into(), "/bin".into())];
    let mut running = session.exec(ExecSpec { argv, env, cwd: "/".into(), ..ExecSpec::default() }).await.unwrap();
    let mut text = Vec::new();
    while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
        text.extend(data);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.ends_with("314572800\ntmpfs\n"), "{text}");
    let names: Vec<_> = std::fs::read_dir(place::base().join("scratch")).unwrap().collect();
    assert!(names.is_empty(), "{names:?}");
    driver.destroy(sandbox.id).await.unwrap();
}

/// Machines that have ended keep nothing open in this process.
#[tokio::test]
async fn microvm_that_has_ended_keeps_no_descriptor() {
    if std::env::var_os("NEXTEST").is_none() {
        println!("skipped: other tests open files in this process (cargo-nextest gives each its own)");
        return;
    }
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut counts = Vec::new();
    for _ in 0..4 {
        let sandbox = driver.create(SandboxSpec::image(vec![layer.clone()])).await.unwrap();
        let (id, end) = (sandbox.id, sandbox.end.clone());
        drop(sandbox);
        driver.destroy(id).await.unwrap();
        assert!(end.borrow().is_some());
        // The thread that reads what a guest says ends on its own.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while counts.last().is_some_and(|last| open() > *last) && std::time::Instant::now() < until {
            tokio::task::yield_now().await;
        }
        counts.push(open());
    }
    // The first has the machine made that the others are copies of.
    assert!(counts[1..].iter().all(|count| *count == counts[1]), "{counts:?}");
}

/// What this QEMU reads beside its program and libraries, wherever this release has it.
const FIRMWARE: [&str; 8] = [
    "usr/lib/qemu/accel-tcg-x86_64.so",
    "usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
    "usr/lib64/qemu/accel-tcg-x86_64.so",
    "usr/share/qemu/bios-microvm.bin",
    "usr/share/qemu/kvmvapic.bin",
    "usr/share/qemu/linuxboot_dma.bin",
    "usr/share/qemu/pvh.bin",
    "usr/share/seabios/bios-microvm.bin",
];

/// Who breaks out of a machine into its monitor finds that, and nothing else of the host.
#[tokio::test]
async fn microvm_has_its_monitor_in_a_root_of_its_own() {
    let (Some(local), Some(layer)) = (place::local(), place::image_erofs()) else { return };
    let Some(config) = config(Some(Acceleration::Tcg)) else { return };
    let driver = MicroVm::new(local.clone(), config);
    let sandbox = driver.create(SandboxSpec::image(vec![layer])).await.unwrap();
    let launcher = local.launcher_pid();
    let monitor = monitors(launcher).pop().expect("the monitor is a child of the launcher");
    let monitor = Jailed::new(monitor);
    let firmware: Vec<_> = FIRMWARE.into_iter().filter(|path| Path::new("/").join(path).exists()).collect();
    monitor.check_files(Path::new("/usr/bin/qemu-system-x86_64"), &firmware);
    monitor.check_open(&[place::base()]);
    monitor.check_devices(["full", "null", "random", "urandom", "zero"].into_iter());
    assert_eq!(monitor.interfaces(), BTreeSet::from(["lo".to_owned()]));
    monitor.check(launcher);
    driver.destroy(sandbox.id).await.unwrap();
}

/// Machines are made ahead, given once, and are as if just made.
#[tokio::test]
async fn microvm_from_a_pool() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let driver = crate::pools::warm(std::sync::Arc::new(driver));
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let sandbox = driver.create(SandboxSpec::image(vec![layer.clone()])).await.unwrap();
        assert!(seen.insert(sandbox.id), "a machine was given twice");
        sandbox.stream.set_nonblocking(true).unwrap();
        let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
        assert_eq!(session.stat(None, "/tmp/mine", true).await.unwrap(), None);
        session.write_file(None, "/tmp/mine", b"", 0o644).await.unwrap();
        driver.destroy(sandbox.id).await.unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while driver.ready() == 0 && std::time::Instant::now() < until {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(driver.ready() > 0, "nothing was made ahead");
    }
    driver.close().await;
    assert_eq!(driver.ready(), 0);
}
