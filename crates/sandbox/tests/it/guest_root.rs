//! Root of a machine's guest against the host: whoever has the engine's socket is that. Rows E-HV and E-VSOCK of the list of attacks.
//!
//! Nothing on the host may change (`canaries`) or grow (`traces`), whatever the guest does to its devices, and a machine that has gone mad
//! ends without a trace. `flood` is about a guest that never stops to speak, `kexec` about one that starts a kernel of its own, `network`
//! about what it sends (nowhere but into a `world` of the test's own), `rings` about what it tells its devices.

mod canaries;
mod ear;
mod flood;
mod kexec;
mod network;
mod rings;
mod traces;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use sandbox::microvm::MicroVm;
use sandbox::session::{Input, Output, Running, Session, SessionError};
use sandbox::{Driver, EndCause, EngineSpec, LayerSource, NetworkSource, OfferedImage, Sandbox, SandboxSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use wire::init::{ExecSpec, InputMode, User};

use crate::{microvm, place};
use canaries::{Host, Key};
use traces::Traces;

/// What root of the guest runs, in the engine's root: it has Python.
const PROBES: &str = include_str!("guest_root/probes.py");
/// A machine that has gone mad says nothing more.
const PATIENCE: Duration = Duration::from_secs(120);
/// Within this time one has ended that is to end, or that the host understands no more.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// The host with its canaries, a driver of machines with engines, and an image for them.
async fn setting() -> Option<(Host, MicroVm, PathBuf)> {
    // Before the launcher is started, which has it too.
    let key = Key::new();
    let local = place::local()?;
    let (driver, layer) = (microvm::engine_driver_of(local.clone())?, place::image_erofs()?);
    let LayerSource::Erofs(layer) = layer else { return None };
    Some((Host::new(local, key).await?, driver, layer))
}

/// Root of a guest, which runs a program.
struct Root {
    running: Running,
    input: Input,
    said: String,
}

impl Root {
    /// In a machine whose stream this is. `program`: of Python; it has `files` in the folder of its own file.
    async fn new(stream: UnixStream, program: &str, words: &str, files: &[(&str, &[u8])]) -> Root {
        let session = Session::start(stream).await.unwrap();
        for (name, content) in files.iter().chain(&[("probe.py", program.as_bytes())]) {
            session.write_file(None, &format!("/workspace/{name}"), content, 0o644).await.unwrap();
        }
        let script = format!(
            "exec 2>&1; docker run --rm -i --privileged --pid host --network host -v /:/host \
             registry.example/team/tools:3 chroot /host /usr/bin/python3 /workspace/probe.py {words}"
        );
        let spec = ExecSpec {
            argv: ["/bin/sh", "-c", &script].map(Into::into).into(),
            env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/bin".into()), ("HOME".into(), "/workspace".into())],
            cwd: "/workspace".into(),
            user: User { uid: 1000, gid: 1000, groups: vec![] },
            input: InputMode::Pipe,
            ..ExecSpec::default()
        };
        let running = session.exec(spec).await.unwrap();
        let input = running.input();
        Root { running, input, said: String::new() }
    }

    /// Something more, unless there is nothing more.
    async fn says_more(&mut self) -> bool {
        let more = tokio::time::timeout(PATIENCE, self.running.next()).await;
        if let Ok(Ok(Some(Output::Data { data, .. }))) = &more {
            self.said.push_str(&String::from_utf8_lossy(data));
        }
        matches!(more, Ok(Ok(Some(_))))
    }

    /// Why its session has ended, once it has.
    async fn closed(&mut self) -> SessionError {
        while self.says_more().await {}
        let last = tokio::time::timeout(PATIENCE, self.running.next()).await;
        last.expect("the session has ended").expect_err("the program has ended before its session")
    }

    async fn until_it_says(&mut self, text: &str) {
        while !self.said.contains(text) {
            assert!(self.says_more().await, "it did not say {text:?}: {}", self.said);
        }
    }

    /// What it waits for.
    async fn go_on(&mut self) {
        self.input.send(b"go on\n").await.unwrap();
    }
}

async fn machine(driver: &MicroVm, images: Vec<OfferedImage>) -> Sandbox {
    machine_on(NetworkSource::None, driver, images).await
}

/// The first image is the one that a program runs beside.
async fn machine_on(network: NetworkSource, driver: &MicroVm, images: Vec<OfferedImage>) -> Sandbox {
    let spec = SandboxSpec { engine: Some(EngineSpec { images }), network, ..SandboxSpec::host_tools() };
    driver.create(spec).await.unwrap()
}

fn stream_of(sandbox: &Sandbox) -> UnixStream {
    sandbox.stream.set_nonblocking(true).unwrap();
    UnixStream::from_std(sandbox.stream.try_clone().unwrap()).unwrap()
}

/// Between a session and its machine: everything passes, and what the machine says is kept, whether the session listens or not.
fn tap(machine: UnixStream) -> (UnixStream, watch::Receiver<String>) {
    let (session, ours) = UnixStream::pair().unwrap();
    // A half of this kind hangs up only when both are gone.
    let (mut from_machine, mut to_machine) = tokio::io::split(machine);
    let (mut from_session, mut to_session) = tokio::io::split(ours);
    tokio::spawn(async move { tokio::io::copy(&mut from_session, &mut to_machine).await });
    let (heard, kept) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut buffer = [0; 64 << 10];
        while let Ok(count @ 1..) = from_machine.read(&mut buffer).await {
            heard.send_modify(|heard| heard.push_str(&String::from_utf8_lossy(&buffer[..count])));
            let _ = to_session.write_all(&buffer[..count]).await;
        }
        let _ = to_session.shutdown().await;
    });
    (session, kept)
}

/// A machine, and all that root of its guest said when it ran a program.
struct Attacked {
    sandbox: Sandbox,
    said: String,
    traces: Traces,
}

impl Attacked {
    async fn by(host: &Host, sandbox: Sandbox, program: &str, words: &str, files: &[(&str, &[u8])]) -> Attacked {
        let mut traces = Traces::of(host);
        let mut root = Root::new(stream_of(&sandbox), program, words, files).await;
        traces.until(async { while root.says_more().await {} }).await;
        traces.check_memory(traces::of_machine(), traces::OF_OTHERS);
        println!("{}", root.said);
        Attacked { sandbox, said: root.said, traces }
    }

    /// Ends the machine. Nothing of it is left, and nothing of the host has changed.
    async fn end(self, host: Host, driver: &MicroVm) {
        host.is_untouched().await;
        self.traces.check_files();
        let ended = tokio::time::timeout(END_PATIENCE, driver.destroy(self.sandbox.id)).await.unwrap().unwrap();
        println!("ended as {:?}", ended.cause);
        assert!(matches!(ended.cause, EndCause::Destroyed | EndCause::Lost), "{ended:?}");
        self.traces.check_end();
        host.end().await;
    }
}

/// Of the guest's kernel, the modules of ports to the host, in the order of their loading; the last one is of ports that lead to the
/// guest itself.
fn loopback_modules() -> Vec<Vec<u8>> {
    let Some(guest) = microvm::guest() else { return Vec::new() };
    let release = guest.description.release;
    let folder = format!("lib/modules/{release}/kernel/net/vmw_vsock");
    let unpacked = tempfile::tempdir_in(place::base()).unwrap();
    let installed = std::path::Path::new("/").join(&folder);
    if !installed.exists() {
        // The user that apt downloads as cannot write there.
        let script = "apt-get -q -o APT::Sandbox::User=root download linux-image-$1 > /dev/null && \
            dpkg-deb --fsys-tarfile *.deb | tar -x ./$2";
        let mut command = std::process::Command::new("sh");
        let ran = command.args(["-ec", script, "sh", &release, &folder]).current_dir(unpacked.path()).output().unwrap();
        if !ran.status.success() {
            println!("skipped: a control of ports to the host: {}", String::from_utf8_lossy(&ran.stderr).trim());
            return Vec::new();
        }
    }
    let root = if installed.exists() { std::path::Path::new("/") } else { unpacked.path() };
    ["vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport", "vsock_loopback"]
        .map(|name| std::fs::read(root.join(&folder).join(name).with_extension("ko")).unwrap())
        .into()
}

#[tokio::test]
async fn microvm_root_of_the_guest_reaches_nothing_of_the_host() {
    let Some((host, driver, layer)) = setting().await else { return };
    // The devices that the last ones confuse are those that the others need.
    let probes = "canaries,serial,vsock,loopback,ports,memory";
    let modules = loopback_modules();
    let has_loopback = !modules.is_empty();
    let names: Vec<_> = (0..modules.len()).map(|number| format!("{number}.ko")).collect();
    let beside: Vec<_> = names.iter().map(String::as_str).zip(modules.iter().map(Vec::as_slice)).collect();
    let sandbox = machine(&driver, vec![microvm::offered(layer)]).await;
    let words = format!("{probes} {}", host.names());
    let attacked = Attacked::by(&host, sandbox, PROBES, &words, &beside).await;
    let said = &attacked.said;
    for probe in probes.split(',') {
        assert!(said.contains(&format!("probe {probe} ")), "{probe} did not run: {said}");
    }
    // A control: it was root of a real guest, and the devices are there.
    assert!(said.contains("probe ports done") && said.contains("probe serial done"), "{said}");
    assert!(said.contains("probe vsock refused") || said.contains("probe vsock 0 answers"), "{said}");
    assert!(!has_loopback || said.contains("probe loopback found"), "{said}");
    assert!(said.contains("probe canaries 0 of the host, 5 of its own"), "{said}");
    attacked.end(host, &driver).await;
}

/// What a driver in the guest would never say to its devices.
#[tokio::test]
async fn microvm_devices_stand_whatever_the_guest_says_to_them() {
    let Some((host, driver, layer)) = setting().await else { return };
    let before = std::fs::read(&layer).unwrap();
    let sandbox = machine(&driver, vec![microvm::offered(layer.clone())]).await;
    let attacked = Attacked::by(&host, sandbox, PROBES, "balloon,disks,acpi,pci,sleep", &[]).await;
    let said = &attacked.said;
    assert!(said.contains("probe balloon absent"), "{said}");
    // A control: the disks were there, and the one that may be written to was.
    assert!(said.contains("probe disks 3 disks, written to ['vda']"), "{said}");
    // Controls: the words were written, those too that came before what may end the machine.
    assert!(said.contains("probe acpi 768 words") && said.contains("probe pci done"), "{said}");
    assert!(said.contains("try sleep") && !said.contains("probe sleep refused"), "{said}");
    assert!(std::fs::read(layer).unwrap() == before, "a layer of the store has changed");
    attacked.end(host, &driver).await;
}

#[tokio::test]
async fn microvm_that_crashes_is_lost_and_gone() {
    let Some((host, driver, layer)) = setting().await else { return };
    let crash = "import os\nprint('now', flush=True)\nos.sync()\nopen('/proc/sysrq-trigger', 'w').write('c')\n";
    let sandbox = machine(&driver, vec![microvm::offered(layer)]).await;
    let attacked = Attacked::by(&host, sandbox, crash, "", &[]).await;
    let ended = tokio::time::timeout(END_PATIENCE, attacked.sandbox.ended()).await;
    let ended = ended.expect("a machine whose kernel has panicked ends");
    assert_eq!(ended.cause, EndCause::Lost, "{ended:?}");
    attacked.end(host, &driver).await;
}
