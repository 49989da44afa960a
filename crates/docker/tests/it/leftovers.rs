//! Nothing is left: after kill -9 of the program, and of the engine.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::ListContainersOptionsBuilder;
use sandbox::warm::{Warm, WarmConfig};
use sandbox::{Driver, EndCause};

use crate::place::{self, ENGINE, Engine, run, session};

/// Variable that makes [`engine_victim`] one, of this driver.
const VICTIM: &str = "COFFERDAM_TEST_VICTIM";

/// Makes sandboxes with living processes and ends them, until it is killed. Does nothing unless it was asked to.
#[tokio::test]
async fn engine_victim() {
    let Ok(kind) = std::env::var(VICTIM) else { return };
    let Some(engine) = place::engine().await else { return };
    let driver: Box<dyn Driver> = match kind.as_str() {
        "swarm" => Box::new(engine.swarm().await),
        _ => Box::new(engine.docker().await),
    };
    let mut living = Vec::new();
    loop {
        let sandbox = driver.create(engine.spec()).await.unwrap();
        let session = session(&sandbox).await;
        run(&sandbox, &session, "setsid sleep 4000 >/dev/null 2>&1 & echo").await;
        println!("\nmade");
        living.push((sandbox, session));
        if living.len() > 2 {
            driver.destroy(living.remove(0).0.id).await.unwrap();
        }
    }
}

/// `works`: it has made a sandbox already.
fn start_victim(engine: &Engine, kind: &str, works: bool) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["leftovers::engine_victim", "--exact", "--nocapture"])
        .env(VICTIM, kind)
        .env(ENGINE, engine.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_made = !works || lines.any(|line| line.unwrap() == "made");
    assert!(is_made, "the victim did not start");
    // It goes on to write.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

async fn killed_at_any_moment(engine: &Engine, driver: &dyn Driver, kind: &str, objects: usize) {
    let ours = driver.create(engine.spec()).await.unwrap();
    let session = session(&ours).await;
    for round in 0..4_u64 {
        let mut victim = start_victim(engine, kind, true);
        tokio::time::sleep(Duration::from_millis(round * 130)).await;
        let client = engine.client();
        let all =
            client.list_containers(Some(ListContainersOptionsBuilder::default().all(true).build())).await.unwrap();
        let labels = all.into_iter().filter_map(|container| container.labels);
        let pid = victim.id().to_string();
        let labels = labels.into_iter().find(|labels| labels["cofferdam.process"].split('/').nth(1) == Some(&pid));
        let labels = labels.expect("a container of the victim");
        // A living one's stays.
        assert_eq!(driver.sweep().await.unwrap(), Vec::<String>::new());
        victim.kill().unwrap();
        victim.wait().unwrap();
        if kind == "docker" {
            // As if it had been killed just before the start of a container.
            let host = bollard::models::HostConfig { network_mode: Some("none".into()), ..Default::default() };
            let body = ContainerCreateBody {
                image: Some(engine.image()),
                labels: Some(labels),
                cmd: Some(vec!["true".into()]),
                host_config: Some(host),
                ..Default::default()
            };
            client.create_container(None, body).await.unwrap();
        }
        let swept = driver.sweep().await.unwrap();
        println!("round {round}: swept {swept:#?}");
        assert!(!swept.is_empty());
        // What the engine began to make before its client was killed may be there only now; an agent sweeps every minute.
        let begun = std::time::Instant::now();
        while engine.remains().await.len() > objects && begun.elapsed() < Duration::from_secs(30) {
            let swept = driver.sweep().await.unwrap();
            println!("round {round}: swept again {swept:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        engine.is_empty_but(objects).await;
        assert_eq!(run(&ours, &session, "echo alive").await, "alive\n");
    }
    driver.destroy(ours.id).await.unwrap();
}

/// Before it has made its first sandbox: as soon as the engine knows something of it, and then a little later in each round.
async fn killed_while_it_begins(engine: &Engine, driver: &dyn Driver, kind: &str) {
    let before = engine.remains().await.len();
    for round in 0..5_u64 {
        let mut victim = start_victim(engine, kind, false);
        let begun = std::time::Instant::now();
        while engine.remains().await.len() <= before {
            assert!(begun.elapsed() < Duration::from_secs(30), "round {round}: the victim makes nothing");
        }
        tokio::time::sleep(Duration::from_millis(round * 40)).await;
        victim.kill().unwrap();
        victim.wait().unwrap();
        let left = engine.remains().await.len() - before;
        println!("round {round}: {left} objects are left");
        let begun = std::time::Instant::now();
        while engine.remains().await.len() > before && begun.elapsed() < Duration::from_secs(30) {
            println!("round {round}: swept {:#?}", driver.sweep().await.unwrap());
        }
        engine.is_empty_but(before).await;
    }
}

#[tokio::test]
async fn engine_leftovers_of_docker_are_swept() {
    let Some(engine) = place::engine().await else { return };
    let driver = engine.docker().await;
    killed_while_it_begins(&engine, &driver, "docker").await;
    killed_at_any_moment(&engine, &driver, "docker", 1).await;
    engine.is_empty_but(0).await;
}

#[tokio::test]
async fn engine_leftovers_of_swarm_are_swept() {
    let Some(engine) = place::engine().await else { return };
    let driver = engine.swarm().await;
    killed_while_it_begins(&engine, &driver, "swarm").await;
    // Service, container, config.
    killed_at_any_moment(&engine, &driver, "swarm", 3).await;
    drop(driver);
    engine.is_empty_but(0).await;
}

#[tokio::test]
async fn engine_killed_under_its_sandboxes() {
    let Some(engine) = place::engine().await else { return };
    let (docker, swarm) = (engine.docker().await, engine.swarm().await);
    let mut made = Vec::new();
    for driver in [&docker as &dyn Driver, &swarm] {
        let sandbox = driver.create(engine.spec()).await.unwrap();
        let session = session(&sandbox).await;
        made.push((driver, sandbox, session));
    }
    let idle = docker.create(engine.spec()).await.unwrap();
    engine.tell("kill");
    for (driver, sandbox, session) in &made {
        let ended = tokio::time::timeout(Duration::from_secs(20), sandbox.ended()).await.unwrap();
        assert_eq!(ended.cause, EndCause::Lost);
        tokio::time::timeout(Duration::from_secs(20), session.ended()).await.unwrap();
        assert_eq!(driver.destroy(sandbox.id).await.unwrap(), ended);
        assert!(driver.create(engine.spec()).await.is_err());
        assert!(!driver.probe().usable());
    }
    assert_eq!(idle.ended().await.cause, EndCause::Lost);
    engine.tell("start");
    println!("{:#?}", docker.sweep().await.unwrap());
    // A manager wants some time until it is one again.
    let begun = std::time::Instant::now();
    let swept = loop {
        match swarm.sweep().await {
            Ok(swept) => break swept,
            Err(error) if begun.elapsed() > Duration::from_secs(30) => panic!("{error:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    println!("{swept:#?}");
    // And they work again.
    for driver in [&docker as &dyn Driver, &swarm] {
        let sandbox = driver.create(engine.spec()).await.unwrap();
        assert_eq!(run(&sandbox, &session(&sandbox).await, "echo alive").await, "alive\n");
        driver.destroy(sandbox.id).await.unwrap();
    }
    drop(made);
    drop(swarm);
    engine.is_empty_but(0).await;
}

/// Nobody has to ask for what an engine that was killed has lost, nor to open its driver once more: the pool before it does.
#[tokio::test]
async fn engine_killed_under_pools_is_cleared_when_it_is_back() {
    let Some(engine) = place::engine().await else { return };
    let config = WarmConfig {
        ceiling: 1,
        budget_bytes: 1 << 30,
        cost_bytes: 1 << 20,
        factor: 1.0,
        half_life: Duration::from_secs(3600),
        floor: Vec::new(),
        max_age: Duration::from_secs(3600),
    };
    let pool = |driver| Warm::with_upkeep(driver, config.clone(), Duration::from_millis(200)).unwrap();
    let pools = [pool(Arc::new(engine.docker().await) as _), pool(Arc::new(engine.swarm().await) as _)];
    let mut made = Vec::new();
    for pool in &pools {
        made.push(pool.create(engine.spec()).await.unwrap());
        // One that is somebody's, and one that nobody has asked for.
        until("one more is ready", || pool.ready() == 1).await;
    }
    engine.tell("kill");
    for sandbox in &made {
        let ended = tokio::time::timeout(Duration::from_secs(20), sandbox.ended()).await.unwrap();
        assert_eq!(ended.cause, EndCause::Lost);
    }
    until("those that waited are lost too", || pools.iter().all(|pool| pool.ready() == 0)).await;
    for pool in &pools {
        pool.close().await;
    }
    engine.tell("start");
    // Of all drivers only the config object of the Swarm's tasks.
    engine.is_empty_but(1).await;
    drop(pools);
    engine.is_empty_but(0).await;
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A machine that vanishes closes no connection.
#[tokio::test]
async fn engine_that_says_nothing_is_gone() {
    let Some(engine) = place::engine().await else { return };
    let driver = engine.docker().await;
    let sandbox = driver.create(engine.spec()).await.unwrap();
    engine.tell("freeze");
    let ended = tokio::time::timeout(Duration::from_secs(100), sandbox.ended()).await;
    engine.tell("thaw");
    assert_eq!(ended.unwrap().cause, EndCause::Lost);
    let swept = driver.sweep().await.unwrap();
    assert!(swept.len() == 1 && swept[0].contains("lost"), "{swept:?}");
    engine.is_empty_but(0).await;
}
