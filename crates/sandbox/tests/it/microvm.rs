//! The `microvm` driver, on a real QEMU and Debian's kernel.

use std::path::Path;
use std::sync::OnceLock;

use sandbox::guest::{Guest, Guests, Source, build};
use sandbox::microvm::{Acceleration, MicroVm, MicroVmConfig, MonitorKind};
use sandbox::session::{Output, Session};
use sandbox::{Driver as _, LayerSource, SandboxSpec, conformance};

use wire::init::ExecSpec;

use crate::place;

/// A guest that all tests of this machine share.
pub fn guest() -> Option<Guest> {
    static GUEST: OnceLock<Option<Guest>> = OnceLock::new();
    GUEST
        .get_or_init(|| {
            let guests = Guests::new(place::base().join("guests"));
            build(&guests, &Source::Debian).map_err(|error| println!("skipped: {error}")).ok()
        })
        .clone()
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

fn driver(acceleration: Option<Acceleration>) -> Option<MicroVm> {
    if !Path::new("/usr/bin/qemu-system-x86_64").exists() {
        println!("skipped: qemu-system-x86 is not installed");
        return None;
    }
    let config = MicroVmConfig { monitor: MonitorKind::Qemu, guest: guest()?, acceleration, copies: true };
    Some(MicroVm::new(place::local()?, config))
}

#[tokio::test]
async fn conformance_of_the_microvm() {
    let (Some(driver), Some(layer)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let claims = conformance::Claims { shared_workspace: false, ..conformance::Claims::all() };
    let report = conformance::run(&conformance::Subject {
        driver: &driver,
        spec: &spec,
        claims,
        patience: conformance::PATIENCE * 3,
    })
    .await;
    println!("microvm:\n{report}");
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
    assert_eq!(kept.starts_with("translated "), found == Acceleration::Tcg && Path::new("/dev/kvm").exists(), "{kept}");
}

/// As many disks as a machine of this type has places for.
#[tokio::test]
async fn microvm_stacks_twenty_layers() {
    let (Some(driver), Some(base)) = (driver(Some(Acceleration::Tcg)), place::image_erofs()) else { return };
    let folder = tempfile::tempdir_in(place::base()).unwrap();
    let mut layers = vec![base];
    for number in 1..20 {
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
        session.read_file(None, "/file1", 10).await.is_ok() && session.read_file(None, "/file19", 10).await.is_ok()
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
        let script =
            "head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid; ls -a /workspace; date +%s";
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
        seen.push(lines[..2].to_vec());
        driver.destroy(sandbox.id).await.unwrap();
    }
    assert!(seen[0][0] != seen[1][0] && seen[1][0] != seen[2][0] && seen[0][1] != seen[1][1], "{seen:?}");
    let kept = std::fs::read_dir(guest().unwrap().folder.join("templates")).into_iter().flatten().count();
    assert!(kept > 0, "a saved machine is kept for the next process");
}
