//! How long a sandbox takes, beside the command that everybody knows.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::Driver;

use crate::place::{self, Engine, run, session};

/// Variable that has [`engine_measured`] measure.
const MEASURE: &str = "COFFERDAM_MEASURE";
const RUNS: usize = 10;

async fn through(engine: &Engine, driver: &dyn Driver) -> Duration {
    let begun = Instant::now();
    let sandbox = driver.create(engine.spec()).await.unwrap();
    let session = session(&sandbox).await;
    assert_eq!(run(&sandbox, &session, "true").await, "");
    driver.destroy(sandbox.id).await.unwrap();
    begun.elapsed()
}

fn docker_run(engine: &Engine, more: &[&str]) -> Duration {
    let begun = Instant::now();
    let mut command = Command::new("docker");
    command.arg("-H").arg(format!("unix://{}/sock", engine.dir().display())).args(["run", "--rm"]).args(more);
    let status = command.args([&engine.image(), "true"]).stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
    begun.elapsed()
}

/// Create, `true`, destroyed, on an image that the engine has; in turns, on one engine. Prints medians.
#[tokio::test]
async fn engine_measured() {
    if std::env::var_os(MEASURE).is_none() {
        return;
    }
    let Some(engine) = place::engine().await else { return };
    let (docker, swarm) = (engine.docker().await, engine.swarm().await);
    let names = ["docker run --rm", "docker run --rm --network none", "docker", "swarm"];
    let mut taken = vec![Vec::new(); names.len()];
    for round in 0..=RUNS {
        let times = [
            docker_run(&engine, &[]),
            docker_run(&engine, &["--network", "none"]),
            through(&engine, &docker).await,
            through(&engine, &swarm).await,
        ];
        // The first looks at the image.
        if round > 0 {
            taken.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
        }
    }
    for (name, mut all) in names.iter().zip(taken) {
        all.sort();
        println!("{name}: median {:?} of {all:?}", (all[RUNS / 2 - 1] + all[RUNS / 2]) / 2);
    }
}
