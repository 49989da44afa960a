//! The whole chain: a real sandbox of the process driver, with a shell in it, in the test's world.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Instant;

use wire::init::{ExecSpec, User};

use super::tests::{AT_ONCE, FORBIDDEN, HOST_PUBLIC, INTERNET, answer_with_peer, in_a_world, resolver, runtime};
use super::{Egress, SandboxNetns};
use crate::local::{Local, LocalConfig};
use crate::session::{Output, Session};
use crate::{Driver, NetworkSource, SandboxSpec};

#[test]
fn a_real_sandbox_gets_out_and_nowhere_else() {
    if !Path::new("/bin/bash").exists() {
        println!("skipped: needs bash for its /dev/tcp");
        return;
    }
    in_a_world(|_| {
        runtime().block_on(async {
            let state = tempfile::tempdir().unwrap();
            let local = match Local::open(&LocalConfig { state_dir: state.path().into(), ..LocalConfig::default() }) {
                Ok(local) => local,
                Err(error) => return println!("skipped: {error}"),
            };
            let host_listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
            std::thread::spawn(move || answer_with_peer(&host_listener));
            let egress = Egress::start(resolver(), 1).unwrap();
            let made = egress.netns().await.unwrap();
            check_from_inside(&*local.process(), made).await;
        });
    });
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
        run(&session, &user, &script).await
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
    let text =
        run(&session, &user, "cat /etc/resolv.conf; ip link add x type dummy; ip route add 10.0.0.0/8 dev eth0").await;
    assert!(
        text.starts_with(&made.resolv_conf) && !run(&session, &user, "cat /proc/net/dev").await.contains("x:"),
        "{text}"
    );
    driver.destroy(sandbox.id).await.unwrap();
}

async fn run(session: &Session, user: &User, script: &str) -> String {
    let spec = ExecSpec {
        argv: ["/bin/bash", "-c", script].map(String::from).into(),
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
