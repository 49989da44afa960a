//! The monitors themselves, where `COFFERDAM_FIRECRACKER` and `COFFERDAM_CLOUD_HYPERVISOR` name their programs: everything that is
//! asked of a stand-in is asked of them, as far as `/dev/kvm` and a kernel in `/vmlinuz` let it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vmm::cloud_hypervisor::CloudHypervisor;
use vmm::http::HttpError;
use vmm::machine::descriptor;
use vmm::monitor::Process;
use vmm::vsock::{VsockError, connect};
use vmm::{Api, Machine, Monitor, Request};

use crate::{PATIENCE, copy, firecracker, machine, refused};

/// Gives the descriptors their numbers.
const START: &str = r#"exec "$0" "$@" 3<"$HERE" 4<"$KERNEL" 5<"$KERNEL" 6<"$HERE/first" 7<>"$HERE/second" 8<"$SAVED""#;

/// A running monitor.
struct Running {
    child: Child,
    folder: TempDir,
    api: Api,
    /// From then on it ends when its processors do.
    booted: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// With an empty folder and fresh disks.
    async fn start(monitor: &dyn Monitor, program: &OsString, kernel: &Path, saved: &Path) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api");
        for disk in ["first", "second"] {
            File::create(folder.path().join(disk)).unwrap().set_len(1 << 20).unwrap();
        }
        let arguments = monitor.arguments(&Process { id: "a-1".into(), folder: 3 });
        let child = Command::new("/bin/sh")
            .args(["-c", START])
            .arg(program)
            .args(arguments)
            .envs([("HERE", folder.path()), ("KERNEL", kernel), ("SAVED", saved)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut api = Api::connect(&socket, PATIENCE).await.unwrap();
        let answer = api.ask(&monitor.ready(), None, PATIENCE).await.unwrap().unwrap();
        println!("{} {:?}", monitor.name(), monitor.version(&answer));
        assert!(monitor.version(&answer).is_some(), "{answer}");
        Running { child, folder, api, booted: false }
    }

    async fn ask(&mut self, request: &Request) -> Result<Option<Value>, HttpError> {
        let answer = self.api.ask(request, None, PATIENCE).await;
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        let said = answer.as_ref().map_or_else(ToString::to_string, |said| format!("granted {said:?}"));
        println!("{} {} {body:.120} -> {said:.200}", request.method.word(), request.path);
        answer
    }

    /// `false`: it was refused with a word that means that this host is to blame.
    async fn ask_all(&mut self, requests: &[Request], blame: &str) -> bool {
        for request in requests {
            match self.ask(request).await {
                Ok(_) => {}
                Err(HttpError::Refused { fault, .. }) if fault.contains(blame) => {
                    println!("skipped: this host cannot do {}: {fault:.100}", request.path);
                    return false;
                }
                Err(HttpError::Gone { call, .. }) if self.booted => {
                    println!("skipped: this host's KVM does not run the machine any more: {call}");
                    return false;
                }
                Err(error) => panic!("{error}"),
            }
        }
        true
    }

    /// Nobody listens in a guest that has not got so far.
    async fn knock(&self) {
        let knocked = connect(&self.folder.path().join("vsock"), 1024, Duration::from_millis(300)).await;
        assert!(matches!(knocked, Err(VsockError::Late { .. })), "{knocked:?}");
    }

    fn ended(mut self) {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Without a network, which only root can make. Its kernel finds no file system, and stays with that.
fn plain() -> Machine {
    Machine { cmdline: "console=ttyS0 panic=0".into(), ..machine(None) }
}

/// A whole life, and that of a copy.
async fn live(monitor: &dyn Monitor, program: &OsString, kernel: &Path, is_firecracker: bool) {
    let saved = tempfile::tempdir().unwrap();
    let mut running = Running::start(monitor, program, kernel, saved.path()).await;
    if is_firecracker {
        for request in refused() {
            let answer = running.ask(&request).await;
            assert!(matches!(answer, Err(HttpError::Refused { status: 400, .. })), "{request:?}: {answer:?}");
        }
    } else {
        assert!(running.ask(&monitor.pause()[0]).await.is_err());
    }
    if !running.ask_all(&monitor.boot(&plain()).unwrap(), "KVM").await {
        return;
    }
    running.booted = true;
    running.knock().await;
    if !running.ask_all(&monitor.pause(), "KVM").await {
        return;
    }
    // A KVM that is not the processor's own has less to save.
    let whole = running.ask_all(&monitor.save(&descriptor(8)).unwrap(), "GetNestedState").await;
    running.ask_all(&monitor.resume(), "KVM").await;
    running.ask_all(&monitor.end(), "KVM").await;
    if !monitor.end().is_empty() {
        running.ended();
    }
    if !whole {
        return;
    }
    let mut clone = Running::start(monitor, program, kernel, saved.path()).await;
    clone.ask_all(&monitor.load(&copy(None)).unwrap(), "KVM").await;
    clone.booted = true;
    clone.ask_all(&monitor.resume(), "KVM").await;
    clone.knock().await;
}

fn program(variable: &str) -> Option<OsString> {
    let found = std::env::var_os(variable);
    if found.is_none() {
        println!("skipped: {variable} names no program");
    }
    found
}

#[tokio::test]
async fn firecracker_itself() {
    let Some(program) = program("COFFERDAM_FIRECRACKER") else { return };
    let Ok(image) = fs::read("/vmlinuz") else {
        println!("skipped: no kernel in /vmlinuz");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("vmlinux");
    fs::write(&kernel, vmm::vmlinux::extract(&image).unwrap()).unwrap();
    live(&firecracker(), &program, &kernel, true).await;
}

#[tokio::test]
async fn cloud_hypervisor_itself() {
    let Some(program) = program("COFFERDAM_CLOUD_HYPERVISOR") else { return };
    if !Path::new("/vmlinuz").exists() {
        println!("skipped: no kernel in /vmlinuz");
        return;
    }
    live(&CloudHypervisor, &program, Path::new("/vmlinuz"), false).await;
}
