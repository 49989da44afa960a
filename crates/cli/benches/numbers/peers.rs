//! The other programs: how each starts a no-op in the same root file system. Whatever a machine lacks is skipped by name.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The no-op that everybody runs.
pub const NOOP: [&str; 2] = ["/bin/busybox", "true"];

/// What [`Docker::run_noop`] and its row are called.
pub const DOCKER_RUN: &str = "docker run --rm";
/// The image of [`busybox_root`] in an engine.
pub const BUSYBOX: &str = "bench/busybox:1";

/// Engines that were started.
static ENGINES: AtomicU32 = AtomicU32::new(0);

/// Runs a command to its end; what it prints is its reason where it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    judge(&command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?)
}

/// Runs commands at the same time, all to their ends; the first reason of a failure, and how many failed.
pub fn run_together(commands: impl IntoIterator<Item = Command>) -> Result<(), String> {
    let quiet = |mut command: Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|e| e.to_string())
    };
    // All are started before the first is waited for.
    let started: Vec<Result<Child, String>> = commands.into_iter().map(quiet).collect();
    let count = started.len();
    let ended = started.into_iter().map(|child| judge(&child?.wait_with_output().map_err(|e| e.to_string())?));
    let failed: Vec<String> = ended.filter_map(Result::err).collect();
    match failed.first() {
        Some(first) => Err(format!("{} of {count} failed: {first}", failed.len())),
        None => Ok(()),
    }
}

/// What a command printed is its reason where it failed.
fn judge(output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, said.trim().lines().last().unwrap_or_default()))
}

/// A root file system with a static busybox and nothing else.
pub fn busybox_root(scratch: &Path) -> Result<PathBuf, String> {
    let root = scratch.join("busybox");
    if root.join("bin/busybox").exists() {
        return Ok(root);
    }
    let make = || -> std::io::Result<()> {
        for folder in ["bin", "etc", "tmp", "proc", "dev", "sys"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox"))?;
        for applet in ["sh", "true", "cat", "echo"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")
    };
    make().map_err(|error| format!("busybox-static: {error}"))?;
    Ok(root)
}

/// A bundle for OCI runtimes that runs the no-op.
pub fn bundle(scratch: &Path, root: &Path) -> Result<PathBuf, String> {
    let bundle = scratch.join("bundle");
    std::fs::create_dir_all(&bundle).map_err(|error| error.to_string())?;
    if !bundle.join("config.json").exists() {
        run(Command::new("runc").arg("spec").current_dir(&bundle))?;
        let edit = || -> Result<(), Box<dyn std::error::Error>> {
            let path = bundle.join("config.json");
            let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            spec["process"]["terminal"] = false.into();
            spec["process"]["args"] = NOOP.to_vec().into();
            // A machine without CAP_SYS_RESOURCE may lower these, not raise them.
            spec["process"]["rlimits"] = serde_json::json!([]);
            spec["root"]["path"] = root.to_string_lossy().into_owned().into();
            Ok(std::fs::write(path, spec.to_string())?)
        };
        edit().map_err(|error| error.to_string())?;
    }
    Ok(bundle)
}

/// What [`runsc_run`] and its row are called.
pub const RUNSC_RUN: &str = "runsc run";

/// A sandbox of gVisor's own tool for the bundle.
pub fn runsc_run(bundle: &Path, scratch: &Path) -> Command {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let mut command = Command::new("runsc");
    command
        .arg(format!("--root={}", scratch.join("runsc").display()))
        .args(["--platform=ptrace", "--network=none", "--ignore-cgroups", "run", "--bundle"])
        .arg(bundle)
        .arg(format!("bench-{}", TURN.fetch_add(1, Ordering::Relaxed)));
    command
}

/// A Docker engine of the benchmark's own, ended when dropped.
pub struct Docker {
    engine: Child,
    pub host: String,
}

impl Docker {
    /// Starts one, which has nothing yet, and waits until it answers.
    pub fn start(scratch: &Path) -> Result<Docker, String> {
        // What the engine of another table has left, a Swarm of its own for instance, would be in the way of this one.
        let folder = scratch.join(format!("docker-{}", ENGINES.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let host = format!("unix://{}", folder.join("docker.sock").display());
        let log = std::fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        let engine = Command::new("dockerd")
            .args([
                "--data-root",
                &folder.join("data").to_string_lossy(),
                "--exec-root",
                &folder.join("exec").to_string_lossy(),
            ])
            .args(["--pidfile", &folder.join("pid").to_string_lossy(), "-H", &host])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("dockerd: {error}"))?;
        let docker = Docker { engine, host };
        let deadline = Instant::now() + Duration::from_secs(60);
        while docker.command().arg("version").output().is_ok_and(|o| !o.status.success()) {
            if Instant::now() > deadline {
                return Err("dockerd does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(docker)
    }

    /// One that has the image [`BUSYBOX`].
    pub fn with_busybox(scratch: &Path, root: &Path) -> Result<Docker, String> {
        let docker = Docker::start(scratch)?;
        docker.import(root, BUSYBOX)?;
        Ok(docker)
    }

    /// A container for the no-op.
    pub fn run_noop(&self) -> Command {
        let mut command = self.command();
        command.args(["run", "--rm", BUSYBOX]).args(NOOP);
        command
    }

    /// What `docker` says to this, in words.
    pub fn ask(&self, arguments: &[&str]) -> Result<Vec<String>, String> {
        let output = self.command().args(arguments).output().map_err(|error| error.to_string())?;
        judge(&output)?;
        Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect())
    }

    /// `docker`, speaking to this engine.
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.host);
        command
    }

    /// Has an image pulled by its digest, for drivers that take it by no other name. Returns that, and the registry.
    pub fn push(&self, scratch: &Path, name: &str) -> Result<(Registry, String), String> {
        let registry = Registry::start(&scratch.join("engine-registry"))?;
        let there = format!("127.0.0.1:{}/{name}", Registry::PORT);
        run(self.command().args(["tag", name, &there]))?;
        run(self.command().args(["push", &there]))?;
        let digests = self.ask(&["inspect", "--format", "{{index .RepoDigests 0}}", &there])?;
        Ok((registry, digests.into_iter().next().ok_or("the image has no digest")?))
    }

    /// Makes it the manager and only node of a Swarm, on loopback, where it is not yet.
    pub fn make_swarm(&self) -> Result<(), String> {
        if self.ask(&["info", "--format", "{{.Swarm.LocalNodeState}}"])? == ["active"] {
            return Ok(());
        }
        run(self.command().args(["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"]))
    }

    /// Makes an image of a folder.
    fn import(&self, root: &Path, name: &str) -> Result<(), String> {
        let script = "tar -C \"$1\" -c . | docker import - \"$2\"";
        run(Command::new("sh").args(["-c", script, "sh"]).arg(root).arg(name).env("DOCKER_HOST", &self.host))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // SIGTERM lets it unmount what it has mounted.
        let _ = Command::new("kill").arg(self.engine.id().to_string()).status();
        let _ = self.engine.wait();
    }
}

/// A registry on loopback, ended when dropped.
pub struct Registry(Child);

impl Registry {
    const PORT: &str = "15019";

    fn start(folder: &Path) -> Result<Registry, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/local-registry.sh");
        let started =
            Command::new(script).arg(Registry::PORT).arg(folder).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Registry(started.map_err(|error| format!("docker-registry: {error}"))?);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(format!("127.0.0.1:{}", Registry::PORT)).is_err() {
            if Instant::now() > deadline {
                return Err("docker-registry does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this process may make containers with the tools that need root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
