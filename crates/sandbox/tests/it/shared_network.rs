//! Sandboxes that live in the network of the one whose workspace they share, as containers of a pod do.

use std::os::fd::OwnedFd;

use sandbox::gvisor::Gvisor;
use sandbox::local::Local;
use sandbox::session::{Output, Running, Session};
use sandbox::{CreateError, Driver, NetworkSource, Sandbox, SandboxSpec};
use wire::init::{ExecSpec, Status, User};

use crate::place;

/// A sandbox with its session.
struct At {
    sandbox: Sandbox,
    session: Session,
}

impl At {
    async fn new(driver: &dyn Driver, spec: SandboxSpec) -> At {
        let sandbox = driver.create(spec).await.unwrap();
        let stream = sandbox.stream.try_clone().unwrap();
        stream.set_nonblocking(true).unwrap();
        let session = Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap();
        At { sandbox, session }
    }

    async fn start(&self, script: &str) -> Running {
        let user = User { uid: self.sandbox.user.uid, gid: self.sandbox.user.gid, groups: Vec::new() };
        let argv = ["/bin/busybox", "sh", "-c", script].map(String::from).into();
        let env = vec![("PATH".to_owned(), "/bin".to_owned())];
        self.session.exec(ExecSpec { argv, env, cwd: "/".to_owned(), user, ..ExecSpec::default() }).await.unwrap()
    }

    /// The exit code, and what was said.
    async fn sh(&self, script: &str) -> (i32, String) {
        let mut running = self.start(script).await;
        let mut text = Vec::new();
        while let Some(output) = running.next().await.unwrap() {
            if let Output::Data { data, .. } = output {
                text.extend(data);
            }
        }
        let Status::Code(code) = running.wait().await.unwrap().status else { panic!("{script}") };
        (code, String::from_utf8_lossy(&text).into_owned())
    }
}

/// Serves a word on a port that elsewhere only root may listen on.
const SERVE: &str = "while :; do echo hello | busybox nc -l -p 80; done";
/// Asks until it is answered. A server that hears the end of its client before it has its own word hangs up without it.
const ASK: &str = "until busybox nc 127.0.0.1 80 < /dev/null 2> /dev/null | busybox grep hello; do :; done";
/// Asks as often as it takes for the one that serves to be there.
const ASK_IN_VAIN: &str =
    "for i in $(busybox seq 200); do busybox nc 127.0.0.1 80 < /dev/null 2> /dev/null && exit 1; done; exit 0";

fn sharing(node: &At, spec: SandboxSpec) -> SandboxSpec {
    let mut spec = SandboxSpec { network: NetworkSource::Shared, ..spec };
    spec.workspace.share_with = Some(node.sandbox.id);
    spec
}

/// `node` is where the others join, which `beside` describes.
async fn check(of_node: &dyn Driver, node: SandboxSpec, driver: &dyn Driver, beside: &dyn Fn() -> SandboxSpec) {
    let node = At::new(of_node, node).await;
    let service = At::new(driver, sharing(&node, beside())).await;
    let client = At::new(driver, sharing(&node, beside())).await;
    let stranger = At::new(driver, beside()).await;
    let _serves = service.start(SERVE).await;
    for asker in [&client, &node, &service] {
        assert_eq!(asker.sh(ASK).await, (0, "hello\n".to_owned()));
    }
    assert_eq!(stranger.sh(ASK_IN_VAIN).await.0, 0, "who shares nothing reaches nothing");
    let of_node = of_node.destroy(node.sandbox.id).await.unwrap();
    assert_eq!(of_node.cause, sandbox::EndCause::Destroyed);
    assert_eq!(client.sh(ASK).await, (0, "hello\n".to_owned()), "the network ends with the last that is in it");
    for at in [service, client, stranger] {
        driver.destroy(at.sandbox.id).await.unwrap();
    }
}

/// Network namespaces that a launcher has descriptors of.
fn held(local: &Local) -> usize {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fd", local.launcher_pid())) else { return 0 };
    let target = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    descriptors.filter_map(target).filter(|path| path.to_string_lossy().starts_with("net:")).count()
}

#[tokio::test]
async fn containers_of_one_pod() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let container = local.container();
    check(&*container, spec(), &*container, &spec).await;
    assert_eq!(held(&local), 0, "nothing of the network is left");
    println!("passed       containers_of_one_pod");
}

#[tokio::test]
async fn containers_beside_the_hosts_own_tools() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    check(&*local.process(), SandboxSpec::host_tools(), &*local.container(), &spec).await;
    assert_eq!(held(&local), 0, "nothing of the network is left");
}

#[tokio::test]
async fn a_network_is_that_of_the_sandbox_whose_workspace_is_shared() {
    let (Some(layer), Some(local)) = (place::image_dir(), place::local()) else { return };
    let driver = local.container();
    let alone = SandboxSpec { network: NetworkSource::Shared, ..SandboxSpec::image(vec![layer.clone()]) };
    let refused = driver.create(alone).await.unwrap_err();
    assert!(matches!(&refused, CreateError::Spec { what } if what.contains("nobody")), "{refused}");
    if !rustix::process::getuid().is_root() {
        return;
    }
    let network = NetworkSource::Netns { netns: loopback(), resolv_conf: "nameserver 192.0.2.53\n".into() };
    let node = At::new(&*driver, SandboxSpec { network, ..SandboxSpec::image(vec![layer.clone()]) }).await;
    let beside = At::new(&*driver, sharing(&node, SandboxSpec::image(vec![layer]))).await;
    let names = beside.session.read_file(None, "/etc/resolv.conf", 4096).await.unwrap();
    assert_eq!(names, b"nameserver 192.0.2.53\n");
    driver.destroy(node.sandbox.id).await.unwrap();
    driver.destroy(beside.sandbox.id).await.unwrap();
    assert_eq!(held(&local), 0);
}

/// A namespace with nothing but a loopback that is up, as whoever connects sandboxes gives it.
fn loopback() -> OwnedFd {
    let thread = std::thread::spawn(|| {
        // SAFETY: this thread alone moves, and ends.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        let up = std::process::Command::new("/bin/busybox").args(["ip", "link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").unwrap();
        std::fs::File::open("/proc/thread-self/ns/net").unwrap().into()
    });
    thread.join().unwrap()
}

#[tokio::test]
async fn kernels_of_gvisor_that_are_given_a_network() {
    let (Some(layer), Some(local)) = (place::image_erofs(), place::local()) else { return };
    let Some(driver) = Gvisor::find(local).filter(|_| rustix::process::getuid().is_root()) else {
        println!("skipped: needs root and runsc");
        return;
    };
    let spec = || SandboxSpec::image(vec![layer.clone()]);
    let network = NetworkSource::Netns { netns: loopback(), resolv_conf: String::new() };
    check(&driver, SandboxSpec { network, ..spec() }, &driver, &spec).await;
}
