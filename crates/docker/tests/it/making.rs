//! What is made, and what is refused.

use std::time::{Duration, Instant};

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, RemoveImageOptionsBuilder};
use docker::{Docker, DockerConfig, Swarm, SwarmConfig};
use futures_util::StreamExt as _;
use sandbox::{
    Capabilities, CreateError, Driver, EndCause, Finding, NetworkSource, RootSpec, SandboxSpec, User, Walls,
    init_program,
};

use crate::place::{self, Engine, run, session};

const INIT: &str = "/.cofferdam-init";

async fn refused(driver: &dyn Driver, spec: SandboxSpec) -> String {
    match driver.create(spec).await {
        Err(error @ (CreateError::Unsupported { .. } | CreateError::Spec { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn netns() -> NetworkSource {
    let netns = std::fs::File::open("/proc/self/ns/net").unwrap().into();
    NetworkSource::Netns { netns, resolv_conf: String::new() }
}

#[tokio::test]
async fn engine_makes_what_was_asked_for() {
    let Some(engine) = place::engine().await else { return };
    let driver = engine.docker().await;
    let client = engine.client();
    // It has to be pulled, and that by digest.
    let force = RemoveImageOptionsBuilder::default().force(true).build();
    let _ = client.remove_image(&engine.image(), Some(force), None).await;
    let sandbox = driver.create(engine.spec()).await.unwrap();
    let found = client.inspect_image(&engine.image()).await.unwrap();
    assert_eq!(found.repo_tags.unwrap_or_default(), Vec::<String>::new());
    let [container] = &client.list_containers(None).await.unwrap()[..] else { panic!() };
    let id = container.id.clone().unwrap();
    let inspect = client.inspect_container(&id, None).await.unwrap();
    let config = inspect.config.unwrap();
    assert_eq!(config.image, Some(engine.image()));
    let labels = config.labels.unwrap();
    for label in ["owner", "host", "boot", "process", "until"] {
        assert!(!labels[&format!("cofferdam.{label}")].is_empty(), "{labels:?}");
    }
    let host = inspect.host_config.unwrap();
    assert_eq!((host.privileged, host.network_mode.as_deref()), (Some(false), Some("none")));
    assert_eq!((host.binds, host.pids_limit, host.memory), (None, Some(4096), Some(4 << 30)));
    assert!(inspect.mounts.unwrap_or_default().is_empty());
    let options = DownloadFromContainerOptionsBuilder::default().path(INIT).build();
    let archive = client.download_from_container(&id, Some(options)).map(|piece| piece.unwrap().to_vec());
    let archive = archive.collect::<Vec<_>>().await.concat();
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    let mut program = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut program).unwrap();
    assert_eq!(entry.header().mode().unwrap() & 0o7777, 0o555);
    assert!(program == init_program());
    driver.destroy(sandbox.id).await.unwrap();
    engine.is_empty_but(0).await;
}

#[tokio::test]
async fn engine_of_this_machine_is_refused_unless_it_is_meant() {
    let Some(engine) = place::engine().await else { return };
    let docker = Docker::open(DockerConfig::new(engine.endpoint())).await.unwrap();
    let swarm = Swarm::open(SwarmConfig::new(engine.endpoint())).await.unwrap();
    for driver in [&docker as &dyn Driver, &swarm] {
        let why = refused(driver, engine.spec()).await;
        assert!(why.contains("this machine") && why.contains("--docker-shared"), "{why}");
        let probe = driver.probe();
        assert!(!probe.usable());
        assert!(probe.blockers().all(|check| check.what == "machine"), "{probe:?}");
    }
    let probe = Docker::probe(&engine.config());
    assert!(probe.usable());
    let lowered = |what| probe.checks.iter().any(|c| c.what == what && matches!(c.finding, Finding::Reduced { .. }));
    assert!(lowered("machine") && lowered("disk limit") && lowered("network"), "{probe:?}");
    let nowhere = DockerConfig::new(docker::Endpoint::Unix("/nowhere/at/all".into()));
    assert!(!Docker::probe(&nowhere).usable());
    assert!(Docker::open(nowhere).await.is_err());
    engine.is_empty_but(0).await;
}

#[tokio::test]
async fn engine_refuses_what_it_cannot_do() {
    let Some(engine) = place::engine().await else { return };
    let (docker, swarm) = (engine.docker().await, engine.swarm().await);
    for driver in [&docker as &dyn Driver, &swarm] {
        let tag = Some("127.0.0.1:5000/busybox:latest".to_owned());
        for image in [None, tag] {
            let why = refused(driver, SandboxSpec { image, ..engine.spec() }).await;
            assert!(why.contains("digest"), "{why}");
        }
        refused(driver, SandboxSpec { root: RootSpec::HostTools, ..engine.spec() }).await;
        let why = refused(driver, SandboxSpec { network: netns(), ..engine.spec() }).await;
        assert!(why.contains("network"), "{why}");
        let walls = Walls { seccomp: false, ..Walls::default() };
        refused(driver, SandboxSpec { walls, ..engine.spec() }).await;
        for path in ["/dangling/x", "/kernel/x", "/bin/sh/x"] {
            let mut spec = engine.spec();
            spec.workspace.path = path.into();
            println!("{path}: {}", refused(driver, spec).await);
        }
        let sandbox = driver.create(engine.spec()).await.unwrap();
        let mut spec = engine.spec();
        spec.workspace.share_with = Some(sandbox.id);
        assert!(refused(driver, spec).await.contains("shares no workspace"));
        driver.destroy(sandbox.id).await.unwrap();
    }
    let missing = engine.image().replace("busybox", "nothing");
    let result = docker.create(SandboxSpec { image: Some(missing), ..engine.spec() }).await;
    assert!(matches!(result, Err(CreateError::Driver(_))), "{result:?}");
    engine.is_empty_but(1).await;
    drop(swarm);
    engine.is_empty_but(0).await;
}

/// By the image's own list of users, which is a link here; and a folder behind a link is given to them.
async fn users(engine: &Engine, driver: &dyn Driver) {
    let make = |user, path: &str| {
        let mut spec = SandboxSpec { user, ..engine.spec() };
        spec.workspace.path = path.into();
        driver.create(spec)
    };
    let maven = make(User::Named("maven".into()), "/linked").await.unwrap();
    assert_eq!(
        (maven.user.uid, maven.user.gid, &maven.groups[..], maven.home.as_str()),
        (1234, 1235, &[77][..], "/home/maven")
    );
    let said =
        run(&maven, &session(&maven).await, "id; echo x >file; stat -c '%u %a' /data/inner; readlink /linked").await;
    assert_eq!(said, "uid=1234(maven) gid=1235(maven) groups=77(extra)\n1234 700\n/data/inner\n");
    let unknown = make(User::default(), "/workspace").await.unwrap();
    assert_eq!(unknown.home, "/home/jenkins");
    let script =
        "id -un; stat -c '%u %a' ~jenkins; readlink /etc/passwd; stat -c '%u %a' /etc/accounts; grep -c . /etc/passwd";
    assert_eq!(run(&unknown, &session(&unknown).await, script).await, "jenkins\n1000 755\naccounts\n0 644\n3\n");
    for sandbox in [maven, unknown] {
        driver.destroy(sandbox.id).await.unwrap();
    }
}

#[tokio::test]
async fn engine_knows_the_users_of_an_image() {
    let Some(engine) = place::engine().await else { return };
    let (docker, swarm) = (engine.docker().await, engine.swarm().await);
    users(&engine, &docker).await;
    users(&engine, &swarm).await;
    drop(swarm);
    engine.is_empty_but(0).await;
}

#[tokio::test]
async fn engine_gives_a_network_that_the_operator_named() {
    let Some(engine) = place::engine().await else { return };
    let driver = Docker::open(DockerConfig { network: Some("bridge".into()), ..engine.config() }).await.unwrap();
    let script = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort | tr '\\n' ' '";
    for (network, expect) in [(NetworkSource::None, "lo "), (netns(), "eth0 lo ")] {
        let sandbox = driver.create(SandboxSpec { network, ..engine.spec() }).await.unwrap();
        assert_eq!(run(&sandbox, &session(&sandbox).await, script).await, expect);
        driver.destroy(sandbox.id).await.unwrap();
    }
    engine.is_empty_but(0).await;
}

/// The suite asks for the name of the limit too, which an engine does not know.
#[tokio::test]
async fn engine_limits_processes_and_gives_root_power_over_its_own_files() {
    let Some(engine) = place::engine().await else { return };
    let (docker, swarm) = (engine.docker().await, engine.swarm().await);
    for driver in [&docker as &dyn Driver, &swarm] {
        let mut spec = SandboxSpec { user: User::Named("root".into()), ..engine.spec() };
        spec.limits.processes = 40;
        spec.capabilities = Capabilities::OwnFiles;
        let sandbox = driver.create(spec).await.unwrap();
        let session = session(&sandbox).await;
        let script = "i=0; while [ $i -lt 200 ]; do sleep 30 & i=$((i+1)); echo started; done";
        let started = run(&sandbox, &session, script).await.lines().filter(|line| *line == "started").count();
        assert!((10..=40).contains(&started), "{started}");
        session.kill_all().await.unwrap();
        let script = "echo x >/tmp/f; chown maven:maven /tmp/f; chmod 600 /tmp/f; cat /tmp/f; stat -c %U /tmp/f; \
                      mount -t tmpfs t /mnt 2>/dev/null && echo mounted; \
                      mknod /tmp/d b 8 0 2>/dev/null && echo made; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status";
        let said = run(&sandbox, &session, script).await;
        assert_eq!(said, "x\nmaven\nCapEff:\t00000000000000fb\nNoNewPrivs:\t1\nSeccomp:\t2\n");
        driver.destroy(sandbox.id).await.unwrap();
    }
    drop(swarm);
    engine.is_empty_but(0).await;
}

/// A caller that is gone speaks to nobody: its sandbox ends.
#[tokio::test]
async fn engine_ends_what_nobody_speaks_to() {
    let Some(engine) = place::engine().await else { return };
    let (docker, swarm) = (engine.docker().await, engine.swarm().await);
    for driver in [&docker as &dyn Driver, &swarm] {
        let sandbox = driver.create(engine.spec()).await.unwrap();
        let session = session(&sandbox).await;
        run(&sandbox, &session, "setsid sleep 4000 >/dev/null 2>&1 & echo").await;
        let ended = sandbox.ended();
        drop((session, sandbox));
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
        println!("{}: {:?}", driver.name(), ended.cause);
        assert!(matches!(ended.cause, EndCause::Exited(71) | EndCause::Destroyed), "{ended:?}");
    }
    for driver in [Box::new(docker) as Box<dyn Driver>, Box::new(swarm)] {
        let sandbox = driver.create(engine.spec()).await.unwrap();
        drop(driver);
        let ended = tokio::time::timeout(Duration::from_secs(20), sandbox.ended()).await.unwrap();
        assert_eq!(ended.cause, EndCause::Destroyed);
    }
    engine.is_empty_but(0).await;
}

/// The stream to a task goes through the engine of its node.
#[tokio::test]
async fn engine_of_another_node_has_the_task() {
    let Some(engine) = place::engine_apart().await else { return };
    engine.tell("node");
    let socket = engine.dir().join("second/sock");
    let second =
        bollard::Docker::connect_with_unix(&socket.display().to_string(), 60, bollard::API_DEFAULT_VERSION).unwrap();
    let node = second.info().await.unwrap().swarm.unwrap().node_id.unwrap_or_default();
    assert!(!node.is_empty(), "{:?}", std::fs::read_to_string(engine.dir().join("second/join")));
    let config = SwarmConfig {
        shared_machine: true,
        constraints: vec![format!("node.id=={node}")],
        ..SwarmConfig::new(engine.endpoint())
    };
    let blind = Swarm::open(config.clone()).await.unwrap();
    let why = refused(&blind, engine.spec()).await;
    assert!(why.contains(&node) && why.contains("not listed"), "{why}");
    drop(blind);
    // Nobody but the node itself can remove that one.
    let begun = Instant::now();
    while !second.list_containers(None).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the node does not remove what was refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whose engine it is does not depend on what is listed.
    let other = [(node.clone(), engine.endpoint())].into();
    let misled = Swarm::open(SwarmConfig { nodes: other, ..config.clone() }).await.unwrap();
    let why = refused(&misled, engine.spec()).await;
    assert!(why.contains("is not that of node"), "{why}");
    drop(misled);
    let begun = Instant::now();
    while !second.list_containers(None).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the node does not remove what was refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let nodes = [(node, docker::Endpoint::Unix(socket))].into();
    let driver = Swarm::open(SwarmConfig { nodes, ..config }).await.unwrap();
    let sandbox = driver.create(engine.spec()).await.unwrap();
    assert_eq!(second.list_containers(None).await.unwrap().len(), 1);
    assert_eq!(run(&sandbox, &session(&sandbox).await, "id -u").await, "1000\n");
    assert_eq!(driver.destroy(sandbox.id).await.unwrap().cause, EndCause::Destroyed);
    assert!(second.list_containers(None).await.unwrap().is_empty());
    drop(driver);
    engine.is_empty_but(0).await;
}
