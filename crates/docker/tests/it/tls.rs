//! An engine behind TLS.

use std::fs::File;
use std::path::Path;

use docker::{Docker, DockerConfig, Endpoint};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbox::{CreateError, Driver as _};
use std::os::fd::AsFd as _;

use crate::place::{self, Engine, run, session};

/// The network of the engine, found by its command line.
fn network(engine: &Engine) -> File {
    let root = engine.dir().join("root").display().to_string();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        if words[0].ends_with("dockerd") && words.iter().any(|word| *word == root) {
            return File::open(entry.path().join("ns/net")).unwrap();
        }
    }
    panic!("no dockerd with {root}");
}

fn config(dir: &Path, ours: &str) -> DockerConfig {
    let file = |name: String| dir.join(name);
    DockerConfig::new(Endpoint::Tls {
        address: "127.0.0.1:2376".into(),
        authority: file("ca.pem".into()),
        certificate: file(format!("{ours}.pem")),
        key: file(format!("{ours}.key")),
    })
}

#[tokio::test]
async fn engine_behind_tls() {
    let Some(engine) = place::engine().await else { return };
    let network = network(&engine);
    let (dir, spec) = (engine.dir().to_owned(), engine.spec());
    // A thread of its own moves into the engine's network, with all that its runtime does.
    let there = std::thread::spawn(move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let strange = std::process::Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stranger"])
                .args(["-keyout", "stranger.key", "-out", "stranger.pem"])
                .current_dir(&dir)
                .output();
            assert!(strange.unwrap().status.success());
            assert!(Docker::open(config(&dir, "stranger")).await.is_err());
            let driver = Docker::open(config(&dir, "client")).await.unwrap();
            // Its address is one of this machine.
            let result = driver
                .create(sandbox::SandboxSpec { image: spec.image.clone(), ..sandbox::SandboxSpec::image(Vec::new()) })
                .await;
            assert!(matches!(result, Err(CreateError::Unsupported { .. })), "{result:?}");
            let driver = Docker::open(DockerConfig { shared_machine: true, ..config(&dir, "client") }).await.unwrap();
            let sandbox = driver.create(spec).await.unwrap();
            let script = "head -c 3000000 /dev/zero | tr '\\000' x | wc -c";
            assert_eq!(run(&sandbox, &session(&sandbox).await, script).await, "3000000\n");
            driver.destroy(sandbox.id).await.unwrap();
        });
    });
    tokio::task::spawn_blocking(|| there.join().unwrap()).await.unwrap();
    engine.is_empty_but(0).await;
}
