//! The whole chain: a real sandbox of the process driver, with a shell in it, in the test's world.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use wire::init::{ExecSpec, User};

use super::tests::{AT_ONCE, FORBIDDEN, HOST_PUBLIC, INTERNET, answer_with_peer, in_a_world, resolver, runtime};
use super::{Egress, SandboxNetns};
use crate::guest::{Description, Guest, Guests, Source, build};
use crate::local::{Local, LocalConfig};
use crate::microvm::{Acceleration, MicroVm, MicroVmConfig, MonitorKind};
use crate::session::{Output, Session};
use crate::{Driver, LayerSource, NetworkSource, Sandbox, SandboxSpec};

#[test]
fn a_real_sandbox_gets_out_and_nowhere_else() {
    if !Path::new("/bin/bash").exists() {
        println!("skipped: needs bash for its /dev/tcp");
        return;
    }
    in_a_world(|_| {
        runtime().block_on(async {
            let Some((_state, local, _egress, made)) = way_out().await else { return };
            check_from_inside(&*local.process(), made).await;
        });
    });
}

/// Drivers with a state folder of their own, and a namespace with a way out, on a host that listens itself.
async fn way_out() -> Option<(tempfile::TempDir, Local, Egress, SandboxNetns)> {
    let state = tempfile::tempdir().unwrap();
    let local = Local::open(&LocalConfig { state_dir: state.path().into(), ..LocalConfig::default() });
    let local = local.map_err(|error| println!("skipped: {error}")).ok()?;
    let host_listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
    std::thread::spawn(move || answer_with_peer(&host_listener));
    let egress = Egress::start(resolver(), 1).unwrap();
    let made = egress.netns().await.unwrap();
    Some((state, local, egress, made))
}

async fn check_from_inside(driver: &dyn Driver, made: SandboxNetns) {
    let network = NetworkSource::Netns { netns: made.netns, resolv_conf: made.resolv_conf.clone() };
    let sandbox = driver.create(SandboxSpec { network, ..SandboxSpec::host_tools() }).await.unwrap();
    let stream = sandbox.stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
    let user = User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() };
    let ask = async |address: Ipv4Addr, port: u16| {
        let script = format!("exec 3<>/dev/tcp/{address}/{port} && cat <&3");
        run(&session, &user, "/bin/bash", &script).await
    };
    assert_eq!(ask(INTERNET, 80).await, HOST_PUBLIC.to_string());
    let forbidden = FORBIDDEN.iter().map(|address| (*address, 80));
    for (address, port) in forbidden.chain([(HOST_PUBLIC, 8080), (INTERNET, 53)]) {
        let begin = Instant::now();
        let text = ask(address, port).await;
        assert!(text.contains("Connection refused"), "{address}: {text}");
        assert!(begin.elapsed() < AT_ONCE, "{address}: {:?}", begin.elapsed());
    }
    // The workload may not change any of it.
    let text = run(
        &session,
        &user,
        "/bin/bash",
        "cat /etc/resolv.conf; ip link add x type dummy; ip route add 10.0.0.0/8 dev eth0",
    )
    .await;
    assert!(
        text.starts_with(&made.resolv_conf)
            && !run(&session, &user, "/bin/bash", "cat /proc/net/dev").await.contains("x:"),
        "{text}"
    );
    driver.destroy(sandbox.id).await.unwrap();
}

/// What is fenced for one is fenced for those that live with it, and who lives elsewhere reaches neither.
#[test]
fn who_shares_a_network_gets_out_and_nowhere_else() {
    if !Path::new("/bin/bash").exists() {
        println!("skipped: needs bash for its /dev/tcp");
        return;
    }
    in_a_world(|_| {
        runtime().block_on(async {
            let Some((_state, local, egress, made)) = way_out().await else { return };
            let driver = local.process();
            let address = made.address;
            let network = NetworkSource::Netns { netns: made.netns, resolv_conf: made.resolv_conf.clone() };
            let node = driver.create(SandboxSpec { network, ..SandboxSpec::host_tools() }).await.unwrap();
            let mut beside = SandboxSpec { network: NetworkSource::Shared, ..SandboxSpec::host_tools() };
            beside.workspace.share_with = Some(node.id);
            let beside = driver.create(beside).await.unwrap();
            let other = egress.netns().await.unwrap();
            let network = NetworkSource::Netns { netns: other.netns, resolv_conf: other.resolv_conf };
            let other = driver.create(SandboxSpec { network, ..SandboxSpec::host_tools() }).await.unwrap();
            let user = User { uid: beside.user.uid, gid: beside.user.gid, groups: Vec::new() };
            let user_of_other = User { uid: other.user.uid, gid: other.user.gid, groups: Vec::new() };
            let (beside_id, other_id) = (beside.id, other.id);
            let (beside, other) = (session(beside).await, session(other).await);
            let ask = |address: Ipv4Addr, port: u16| format!("exec 3<>/dev/tcp/{address}/{port} && cat <&3");
            let out = run(&beside, &user, "/bin/bash", &ask(INTERNET, 80)).await;
            assert_eq!(out, HOST_PUBLIC.to_string());
            assert_eq!(run(&beside, &user, "/bin/bash", "cat /etc/resolv.conf").await, made.resolv_conf);
            for (address, port) in FORBIDDEN.iter().map(|address| (*address, 80)).chain([(HOST_PUBLIC, 8080)]) {
                let text = run(&beside, &user, "/bin/bash", &ask(address, port)).await;
                assert!(text.contains("Connection refused"), "{address}: {text}");
            }
            // It is listened on all addresses there; the one that the internet sees is reached from within alone.
            let node = session(node).await;
            let serves = Path::new("/usr/bin/python3").exists();
            if !serves {
                println!("skipped: needs python3 to serve");
                return;
            }
            let serve =
                "import socket; s = socket.create_server(('', 80))\nwhile True: s.accept()[0].sendall(b'hello')";
            let spec = ExecSpec {
                argv: ["/usr/bin/python3", "-c", serve].map(String::from).into(),
                user: user.clone(),
                ..ExecSpec::default()
            };
            let _serving = node.exec(spec).await.unwrap();
            let patient = format!("until ({}) 2> /dev/null; do :; done", ask(Ipv4Addr::LOCALHOST, 80));
            assert_eq!(run(&beside, &user, "/bin/bash", &patient).await, "hello");
            assert_eq!(run(&beside, &user, "/bin/bash", &ask(address, 80)).await, "hello");
            for address in [address, Ipv4Addr::LOCALHOST] {
                let text = run(&other, &user_of_other, "/bin/bash", &ask(address, 80)).await;
                assert!(text.contains("Connection refused"), "{address}: {text}");
            }
            driver.destroy(beside_id).await.unwrap();
            driver.destroy(other_id).await.unwrap();
        });
    });
}

async fn session(sandbox: Sandbox) -> Session {
    sandbox.stream.set_nonblocking(true).unwrap();
    Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap()
}

/// The same from a machine: its kernel may send what it likes.
#[test]
fn microvm_gets_out_and_nowhere_else() {
    // Before the world is another one: the guest comes from Debian's archive.
    let Some((guest, image)) = guest_and_image() else { return };
    in_a_world(move |_| {
        runtime().block_on(async {
            let Some((_state, local, egress, made)) = way_out().await else { return };
            let driver = MicroVm::new(
                local,
                MicroVmConfig {
                    monitor: MonitorKind::Qemu,
                    guest,
                    acceleration: Some(Acceleration::Tcg),
                    copies: true,
                    engine: None,
                    scratch: std::env::temp_dir(),
                },
            );
            let network = NetworkSource::Netns { netns: made.netns, resolv_conf: made.resolv_conf.clone() };
            let with = |network| SandboxSpec { network, ..SandboxSpec::image(vec![LayerSource::Erofs(image.clone())]) };
            let sandbox = driver.create(with(network)).await.unwrap();
            let stream = sandbox.stream.try_clone().unwrap();
            stream.set_nonblocking(true).unwrap();
            let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
            let user = User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() };
            let ask = async |address: Ipv4Addr, port: u16| {
                run(&session, &user, "/bin/sh", &format!("/bin/busybox nc {address} {port} < /dev/null")).await
            };
            assert_eq!(ask(INTERNET, 80).await, HOST_PUBLIC.to_string());
            let forbidden = FORBIDDEN.iter().map(|address| (*address, 80));
            for (address, port) in forbidden.chain([(HOST_PUBLIC, 8080), (INTERNET, 53)]) {
                let text = ask(address, port).await;
                assert!(text.contains("refused"), "{address}: {text}");
            }
            let resolver = run(&session, &user, "/bin/sh", "/bin/busybox cat /etc/resolv.conf").await;
            assert_eq!(resolver, made.resolv_conf);
            let name = run(&session, &user, "/bin/sh", "/bin/busybox nslookup example.org 2>&1").await;
            assert!(name.contains(&egress_gateway(&made.resolv_conf)), "{name}");
            let other = egress.netns().await.unwrap();
            let network = NetworkSource::Netns { netns: other.netns, resolv_conf: other.resolv_conf };
            let copy = driver.create(with(network)).await.unwrap();
            copy.stream.set_nonblocking(true).unwrap();
            let of_copy = Session::start(tokio::net::UnixStream::from_std(copy.stream).unwrap()).await.unwrap();
            let mut stations = Vec::new();
            for session in [&session, &of_copy] {
                let text = run(session, &user, "/bin/sh", "/bin/busybox ip link").await;
                let words: Vec<_> = text.split_whitespace().collect();
                let at = words.iter().position(|word| *word == "link/ether").unwrap_or_else(|| panic!("{text}"));
                stations.push(words[at + 1].to_owned());
            }
            assert_ne!(stations[0], stations[1], "copies are stations of their own");
            driver.destroy(copy.id).await.unwrap();
            driver.destroy(sandbox.id).await.unwrap();
        });
    });
}

/// In its jail a monitor can open the interface that was made for its machine, or is given it. There is no machine: a stand-in.
fn check_interface(monitor: fn(PathBuf) -> MonitorKind) {
    let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples/monitor_stand_in");
    if !program.exists() || !rustix::process::getuid().is_root() {
        println!("skipped: needs root and {}", program.display());
        return;
    }
    in_a_world(move |_| {
        runtime().block_on(async {
            let Some((state, local, _egress, made)) = way_out().await else { return };
            // An ELF file and what distributions ship.
            let kernel = [b"\x7fELF".as_slice(), &[0; 0x202 - 4], b"HdrS"].concat();
            std::fs::write(state.path().join("kernel"), kernel).unwrap();
            std::fs::write(state.path().join("initrd"), "initrd").unwrap();
            let text = String::new;
            let description = Description { release: text(), package: text(), launcher: text(), digest: text() };
            let guest = Guest { folder: state.path().into(), description };
            let (monitor, acceleration) = (monitor(program), Some(Acceleration::Kvm));
            let driver = MicroVm::new(
                local,
                MicroVmConfig {
                    monitor,
                    guest,
                    acceleration,
                    copies: true,
                    engine: None,
                    scratch: std::env::temp_dir(),
                },
            );
            let network = NetworkSource::Netns { netns: made.netns, resolv_conf: made.resolv_conf.clone() };
            let spec = SandboxSpec { network, ..SandboxSpec::image(Vec::new()) };
            let sandbox = driver.create(spec).await.unwrap();
            driver.destroy(sandbox.id).await.unwrap();
        });
    });
}

#[test]
fn firecracker_opens_the_interface_of_its_machine() {
    check_interface(MonitorKind::Firecracker);
}

#[test]
fn cloud_hypervisor_is_given_the_interface_of_its_machine() {
    check_interface(MonitorKind::CloudHypervisor);
}

fn egress_gateway(resolv_conf: &str) -> String {
    resolv_conf.trim_start_matches("nameserver ").trim().to_owned()
}

/// A guest, and an image with busybox; `None`, with the reason printed, where there is none.
fn guest_and_image() -> Option<(Guest, PathBuf)> {
    let base = PathBuf::from(format!("/tmp/cofferdam-test-{}", rustix::process::getuid().as_raw()));
    for program in ["/usr/bin/qemu-system-x86_64", "/bin/busybox", "/usr/bin/mkfs.erofs"] {
        if !Path::new(program).exists() {
            println!("skipped: {program} is not installed");
            return None;
        }
    }
    let guest = build(&Guests::new(base.join("guests")), &Source::Debian);
    let guest = guest.map_err(|error| println!("skipped: {error}")).ok()?;
    let folder = tempfile::tempdir_in(&base).unwrap();
    for name in ["bin", "etc", "tmp"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::copy("/bin/busybox", folder.path().join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", folder.path().join("bin/sh")).unwrap();
    let image = base.join(format!("net-{}.erofs", std::process::id()));
    let made = std::process::Command::new("/usr/bin/mkfs.erofs").arg("--quiet").arg(&image).arg(folder.path()).status();
    assert!(made.unwrap().success());
    Some((guest, image))
}

async fn run(session: &Session, user: &User, shell: &str, script: &str) -> String {
    let spec = ExecSpec {
        argv: [shell, "-c", script].map(String::from).into(),
        env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
        user: user.clone(),
        ..ExecSpec::default()
    };
    let mut running = session.exec(spec).await.unwrap();
    let mut text = Vec::new();
    while let Some(output) = running.next().await.unwrap() {
        if let Output::Data { data, .. } = output {
            text.extend(data);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
