//! One sandbox after the other: create → `/bin/busybox true` → destroyed, all walls up, against everybody else's. One that waited in a
//! pool is against `unshare`, which puts up fewer walls and has none ready.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use model::limits::Limits;
use sandbox::local::{Local, LocalConfig};
use sandbox::session::Session;
use sandbox::{Driver, Ids, LayerSource, Sandbox, SandboxSpec};
use wire::init::{ExecSpec, User};

use super::drivers::MEMORY;
use super::measure::{Contender, Table};
use super::peers::{self, Docker, NOOP, run};
use super::stock::Stock;

const ROUNDS: usize = 30;
const UNSHARE: &str = "unshare -fUrnpimuC --mount-proc";

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
    let docker = Docker::with_busybox(scratch, &root);
    let place = Place::new(scratch, &root);
    let podman = podman(&root, scratch);
    // A pool holds none of what lies in folders.
    let stock = matches!(place.layer, LayerSource::Erofs(_)).then(|| Stock::new(&place, &place.driver));
    let mut contenders = vec![
        Contender::new("fork and exec", || run(Command::new(NOOP[0]).arg(NOOP[1]))),
        Contender::new(UNSHARE, || run(Command::new("unshare").args(["-fUrnpimuC", "--mount-proc"]).args(NOOP))),
        Contender::new("bwrap --unshare-all", || {
            run(Command::new("bwrap")
                .args(["--unshare-all", "--ro-bind"])
                .arg(&root)
                .args(["/", "--proc", "/proc", "--dev", "/dev"])
                .args(NOOP))
        }),
        Contender::new("cofferdam, container", || place.once()),
    ];
    match &stock {
        Some(stock) => {
            let claim = || place.runtime.block_on(place.start_on(&stock.pool, MEMORY));
            let claim = Contender::new("cofferdam, container from the pool", claim).against(UNSHARE);
            contenders.push(claim.before(|| stock.fill(&place, 1)));
            table.notes.push("the pool is filled again after the sample".to_owned());
        }
        None => table.notes.push("skipped: a container from the pool: mkfs.erofs is not installed".to_owned()),
    }
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
        Ok(base) => contenders.push(Contender::new(PODMAN_RUN, move || run(&mut podman_run(base))).every(3)),
        Err(error) => table.notes.push(format!("skipped: podman: {error}")),
    }
    match &docker {
        Ok(docker) => contenders.push(Contender::new(peers::DOCKER_RUN, move || run(&mut docker.run_noop())).every(3)),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(ROUNDS, contenders);
    table.ratio_to = Some("cofferdam, container".to_owned());
    if let Some(stock) = &stock {
        place.runtime.block_on(stock.pool.close());
    }
    table
}

pub const PODMAN_RUN: &str = "podman run --rm --network none";

/// With the arguments of [`podman`].
pub fn podman_run(base: &[String]) -> Command {
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
    let run_it = ["run", "--rm", "--network", "none"];
    let mut command = Command::new("podman");
    command.args(base).args(run_it).args(limits).arg("localhost/bench/busybox:1").args(NOOP);
    command
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
        self.start_and(driver, spec, || ()).await
    }

    /// The same, with a look at it after the no-op.
    pub async fn start_and(&self, driver: &dyn Driver, spec: SandboxSpec, look: impl FnOnce()) -> Result<(), String> {
        let Sandbox { id, stream, user, .. } = driver.create(spec).await.map_err(|e| e.to_string())?;
        let session = session(stream).await;
        let ran = match &session {
            Ok(session) => noop(session, user).await,
            Err(error) => Err(error.clone()),
        };
        look();
        driver.destroy(id).await.map_err(|e| e.to_string())?;
        ran
    }

    /// One that stays until it is destroyed.
    pub async fn living(&self) -> Result<Sandbox, String> {
        self.driver.create(self.spec(Limits::default().memory_bytes)).await.map_err(|e| e.to_string())
    }

    /// What it makes sandboxes of.
    pub fn spec(&self, memory_bytes: u64) -> SandboxSpec {
        let mut spec = SandboxSpec::image(vec![self.layer.clone()]);
        spec.limits.memory_bytes = memory_bytes;
        spec
    }
}

async fn noop(session: &Session, user: Ids) -> Result<(), String> {
    let spec = ExecSpec {
        argv: NOOP.map(str::to_owned).to_vec(),
        cwd: "/".to_owned(),
        user: User { uid: user.uid, gid: user.gid, groups: Vec::new() },
        ..ExecSpec::default()
    };
    let exit = session.exec(spec).await.map_err(|e| e.to_string())?.wait().await.map_err(|e| e.to_string())?;
    if exit.status.code() == 0 { Ok(()) } else { Err(format!("exit code {}", exit.status.code())) }
}

async fn session(stream: std::os::unix::net::UnixStream) -> Result<Session, String> {
    stream.set_nonblocking(true).map_err(|e| e.to_string())?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(|e| e.to_string())?;
    Session::start(stream).await.map_err(|e| e.to_string())
}
