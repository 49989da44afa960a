//! One sandbox after the other: create → `/bin/busybox true` → destroyed, all walls up, against everybody else's.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use model::limits::Limits;
use sandbox::local::{Local, LocalConfig};
use sandbox::session::Session;
use sandbox::{Driver, LayerSource, SandboxSpec};
use wire::init::{ExecSpec, User};

use super::measure::{Contender, Table};
use super::peers::{self, Docker, NOOP, run};

const ROUNDS: usize = 30;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("create → /bin/true → destroyed, one after the other");
    if !peers::is_root() {
        table.notes.push("skipped: needs root".to_owned());
        return table;
    }
    let root = match peers::busybox_root(scratch) {
        Ok(root) => root,
        Err(error) => {
            table.notes.push(format!("skipped: {error}"));
            return table;
        }
    };
    let bundle = peers::bundle(scratch, &root);
    let docker = Docker::start(scratch).and_then(|docker| docker.import(&root, "bench/busybox:1").map(|()| docker));
    let place = Place::new(scratch, &root);
    let podman = podman(&root, scratch);
    let mut contenders = vec![
        Contender::new("fork and exec", || run(Command::new(NOOP[0]).arg(NOOP[1]))),
        Contender::new("unshare -fUrnpimuC --mount-proc", || {
            run(Command::new("unshare").args(["-fUrnpimuC", "--mount-proc"]).args(NOOP))
        }),
        Contender::new("bwrap --unshare-all", || {
            run(Command::new("bwrap")
                .args(["--unshare-all", "--ro-bind"])
                .arg(&root)
                .args(["/", "--proc", "/proc", "--dev", "/dev"])
                .args(NOOP))
        }),
        Contender::new("cofferdam, container", || place.once()),
    ];
    match &bundle {
        Ok(bundle) => {
            let mut turn = 0;
            contenders.push(Contender::new("crun run", move || {
                turn += 1;
                // This runtime refuses hosts with both versions of cgroups unless it cannot see the second.
                let script = format!(
                    "umount -l /sys/fs/cgroup/unified 2>/dev/null; exec crun run -b {} bench-crun-{turn}",
                    bundle.display()
                );
                run(Command::new("unshare").args(["-m", "sh", "-c", &script]))
            }));
            let mut turn = 0;
            contenders.push(Contender::new("runc run", move || {
                turn += 1;
                run(Command::new("runc").args(["run", "-b"]).arg(bundle).arg(format!("bench-runc-{turn}")))
            }));
        }
        Err(error) => table.notes.push(format!("skipped: crun, runc: {error}")),
    }
    match &podman {
        Ok(base) => contenders.push(Contender::new(PODMAN_RUN, move || podman_run(base)).every(3)),
        Err(error) => table.notes.push(format!("skipped: podman: {error}")),
    }
    match &docker {
        Ok(docker) => contenders.push(
            Contender::new("docker run --rm", move || {
                run(docker.command().args(["run", "--rm", "bench/busybox:1"]).args(NOOP))
            })
            .every(3),
        ),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(ROUNDS, contenders);
    table.ratio_to = Some("cofferdam, container".to_owned());
    table
}

pub const PODMAN_RUN: &str = "podman run --rm --network none";

/// With the arguments of [`podman`].
pub fn podman_run(base: &[String]) -> Result<(), String> {
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
    let run_it = ["run", "--rm", "--network", "none"];
    run(Command::new("podman").args(base).args(run_it).args(limits).arg("localhost/bench/busybox:1").args(NOOP))
}

/// Arguments that keep podman's data in the scratch folder, with the image in it.
pub fn podman(root: &Path, scratch: &Path) -> Result<Vec<String>, String> {
    let folder = scratch.join("podman");
    let base: Vec<String> = ["--root", "--runroot", "--tmpdir"]
        .iter()
        .flat_map(|flag| [(*flag).to_owned(), folder.join(&flag[2..]).display().to_string()])
        .chain(["--runtime".to_owned(), "runc".to_owned(), "--cgroup-manager".to_owned(), "cgroupfs".to_owned()])
        .collect();
    let tar = scratch.join("busybox.tar");
    run(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&tar).arg("."))?;
    run(Command::new("podman").args(&base).arg("import").arg(&tar).arg("localhost/bench/busybox:1"))?;
    Ok(base)
}

/// Our driver with the busybox image as its one layer.
pub struct Place {
    pub runtime: tokio::runtime::Runtime,
    pub local: Local,
    pub driver: Arc<dyn Driver>,
    layer: LayerSource,
}

impl Place {
    pub fn new(scratch: &Path, root: &Path) -> Place {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = {
            let _inside = runtime.enter();
            let config = LocalConfig { state_dir: scratch.join("sandboxes"), ..LocalConfig::default() };
            Local::open(&config).expect("the drivers of this host")
        };
        let driver = local.container();
        let file = scratch.join("busybox.erofs");
        let layer = match run(Command::new("mkfs.erofs").arg(&file).arg(root)) {
            Ok(()) => LayerSource::Erofs(file),
            Err(_) => LayerSource::Dir(root.to_owned()),
        };
        Place { runtime, local, driver, layer }
    }

    /// One sandbox from nothing to nothing.
    pub fn once(&self) -> Result<(), String> {
        self.runtime.block_on(self.start())
    }

    pub async fn start(&self) -> Result<(), String> {
        self.start_on(&*self.driver, Limits::default().memory_bytes).await
    }

    /// The same with another driver, and a sandbox of so much memory.
    pub async fn start_on(&self, driver: &dyn Driver, memory_bytes: u64) -> Result<(), String> {
        self.start_with(driver, self.spec(memory_bytes)).await
    }

    /// Makes a sandbox, runs the no-op in it, and destroys it.
    pub async fn start_with(&self, driver: &dyn Driver, spec: SandboxSpec) -> Result<(), String> {
        let sandbox = driver.create(spec).await.map_err(|e| e.to_string())?;
        let session = session(sandbox.stream).await?;
        let spec = ExecSpec {
            argv: NOOP.map(str::to_owned).to_vec(),
            cwd: "/".to_owned(),
            user: User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() },
            ..ExecSpec::default()
        };
        let exit = session.exec(spec).await.map_err(|e| e.to_string())?.wait().await.map_err(|e| e.to_string())?;
        driver.destroy(sandbox.id).await.map_err(|e| e.to_string())?;
        if exit.status.code() == 0 { Ok(()) } else { Err(format!("exit code {}", exit.status.code())) }
    }

    /// One that stays until it is destroyed.
    pub async fn living(&self) -> Result<sandbox::Sandbox, String> {
        self.living_on(&*self.driver, Limits::default().memory_bytes).await
    }

    pub async fn living_on(&self, driver: &dyn Driver, memory_bytes: u64) -> Result<sandbox::Sandbox, String> {
        driver.create(self.spec(memory_bytes)).await.map_err(|e| e.to_string())
    }

    fn spec(&self, memory_bytes: u64) -> SandboxSpec {
        let mut spec = SandboxSpec::image(vec![self.layer.clone()]);
        spec.limits.memory_bytes = memory_bytes;
        spec
    }
}

async fn session(stream: std::os::unix::net::UnixStream) -> Result<Session, String> {
    stream.set_nonblocking(true).map_err(|e| e.to_string())?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(|e| e.to_string())?;
    Session::start(stream).await.map_err(|e| e.to_string())
}
