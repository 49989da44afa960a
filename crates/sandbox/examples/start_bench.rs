//! What a sandbox costs: create → `/bin/true` → destroyed, one after another and many at once, interleaved with other tools
//! that are installed. Usage: `start_bench FOLDER_WITH_A_ROOT_FILE_SYSTEM [ROUNDS] [AT_ONCE] [without-cgroups]`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::local::{Local, LocalConfig};
use sandbox::session::Session;
use sandbox::{Driver, LayerSource, SandboxSpec};
use wire::init::{ExecSpec, Status, User};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let root = PathBuf::from(words.next().ok_or("a folder with a root file system is needed")?);
    let rounds: usize = words.next().map_or(Ok(30), |word| word.parse())?;
    let at_once: usize = words.next().map_or(Ok(50), |word| word.parse())?;
    let cgroups = words.next().is_none_or(|word| word != "without-cgroups");
    let local = Local::open(&LocalConfig { cgroups, ..LocalConfig::default() })?;
    let driver = local.container();
    let layer = if root.is_dir() { LayerSource::Dir(root.clone()) } else { LayerSource::Erofs(root.clone()) };

    let mut ours = Vec::new();
    let mut parts = Parts::default();
    let mut others: Vec<(String, Vec<Duration>)> = Vec::new();
    for round in 0..rounds {
        let started = Instant::now();
        let part = once(&driver, &layer).await?;
        if round > 0 {
            ours.push(started.elapsed());
            parts.add(part);
        }
        for (index, (name, mut command)) in commands(&root).into_iter().enumerate() {
            let started = Instant::now();
            let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !done.is_ok_and(|status| status.success()) {
                continue;
            }
            if others.len() <= index {
                others.resize_with(index + 1, Default::default);
            }
            others[index].0 = name;
            others[index].1.push(started.elapsed());
        }
    }
    print("cofferdam container", &mut ours);
    parts.print();
    for (name, times) in &mut others {
        print(name, times);
    }
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (driver, layer) = (Arc::clone(&driver), layer.clone());
        tasks.spawn(async move { once(&driver, &layer).await.map_err(|error| error.to_string()) });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    let took = started.elapsed();
    println!("{at_once} at once: {took:?}, {:.0} sandboxes/s", at_once as f64 / took.as_secs_f64());
    Ok(())
}

/// Time of the parts of one sandbox.
#[derive(Default)]
struct Parts {
    create: Vec<Duration>,
    greet: Vec<Duration>,
    exec: Vec<Duration>,
    destroy: Vec<Duration>,
}

impl Parts {
    fn add(&mut self, part: [Duration; 4]) {
        for (list, time) in [&mut self.create, &mut self.greet, &mut self.exec, &mut self.destroy].into_iter().zip(part)
        {
            list.push(time);
        }
    }

    fn print(&mut self) {
        print("  create", &mut self.create);
        print("  greet", &mut self.greet);
        print("  exec", &mut self.exec);
        print("  destroy", &mut self.destroy);
    }
}

async fn once(driver: &Arc<dyn Driver>, layer: &LayerSource) -> Result<[Duration; 4], Failure> {
    let mut clock = Instant::now();
    let mut lap = move || {
        let time = clock.elapsed();
        clock = Instant::now();
        time
    };
    let sandbox = driver.create(SandboxSpec::image(vec![layer.clone()])).await?;
    let create = lap();
    sandbox.stream.set_nonblocking(true)?;
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream)?).await?;
    let greet = lap();
    let user = User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() };
    let spec = ExecSpec { argv: vec!["/bin/true".into()], cwd: "/".into(), user, ..ExecSpec::default() };
    let exit = session.exec(spec).await?.wait().await?;
    if exit.status != Status::Code(0) {
        return Err(format!("/bin/true ended with {:?}", exit.status).into());
    }
    let exec = lap();
    driver.destroy(sandbox.id).await?;
    Ok([create, greet, exec, lap()])
}

/// The others, as far as they are installed and the root is a folder.
fn commands(root: &std::path::Path) -> Vec<(String, Command)> {
    let mut unshare = Command::new("unshare");
    unshare.args(["-fUrnpimuC", "--mount-proc", "/bin/true"]);
    let mut list = vec![("unshare -fUrnpimuC --mount-proc".to_owned(), unshare)];
    if root.is_dir() {
        let mut bwrap = Command::new("bwrap");
        bwrap.args(["--unshare-all", "--ro-bind"]).arg(root).args([
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "/bin/true",
        ]);
        list.push(("bwrap --unshare-all".to_owned(), bwrap));
    }
    list
}

fn print(name: &str, times: &mut [Duration]) {
    if times.is_empty() {
        return;
    }
    times.sort();
    let (median, p90) = (times[times.len() / 2], times[times.len() * 9 / 10]);
    println!(
        "{name}: n {} median {:.2} ms, p90 {:.2} ms",
        times.len(),
        median.as_secs_f64() * 1e3,
        p90.as_secs_f64() * 1e3
    );
}
