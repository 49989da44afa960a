//! A machine of Firecracker or Cloud Hypervisor from its start to its end, on a host whose processor boots one; see
//! `scripts/try-monitors.sh`, which makes such a host. Usage: `monitor_trial guest FOLDER` makes a guest,
//! `monitor_trial firecracker|cloud-hypervisor PROGRAM FOLDER_OF_GUESTS LAYER…` boots it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sandbox::guest::{Guests, Source, build};
use sandbox::local::{Local, LocalConfig};
use sandbox::microvm::{MicroVm, MicroVmConfig, MonitorKind};
use sandbox::session::{Output, Session};
use sandbox::{Driver as _, EndCause, LayerSource, NetworkSource, SandboxSpec};
use wire::init::{ExecSpec, User};

type Failure = Box<dyn std::error::Error>;

/// Variable that makes this process one that is killed.
const VICTIM: &str = "COFFERDAM_TRIAL_VICTIM";
/// What it is shown by: its kernel, its layers, its way out (where its only neighbour refuses it).
const SCRIPT: &str = "uname -r; ls /; echo id $(busybox cat /proc/sys/kernel/random/uuid)
    busybox ip link show eth0 | busybox sed -n 's/.*ether \\([^ ]*\\).*/id \\1/p'; busybox nc -w 10 169.254.100.1 9 2>&1";
/// An interface that leads nowhere, for the machine to take over.
const NETWORK: [&str; 4] = [
    "link add eth0 type dummy",
    "addr add 198.18.0.2/30 dev eth0",
    "link set eth0 up",
    "route add default via 198.18.0.1",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let (kind, program, guests, layers) = match &words[..] {
        [word, folder] if word == "guest" => {
            println!("{}", build(&Guests::new(folder), &Source::Debian)?.folder.display());
            return Ok(());
        }
        [kind, program, guests, layers @ ..] => (kind, program, guests, layers),
        _ => return Err("see the head of this file".into()),
    };
    let monitor = match &**kind {
        "firecracker" => MonitorKind::Firecracker(program.into()),
        "cloud-hypervisor" => MonitorKind::CloudHypervisor(program.into()),
        _ => return Err("no such monitor".into()),
    };
    let guest = Guests::new(guests).newest().ok_or("no guest of this version")?;
    let local = Local::open(&LocalConfig::default())?;
    // Found out by a machine that has a few seconds, if nobody says so.
    let acceleration = std::env::var_os("COFFERDAM_TRIAL_PATIENT").map(|_| sandbox::microvm::Acceleration::Kvm);
    let driver = |copies| {
        let (monitor, guest, scratch) = (monitor.clone(), guest.clone(), std::env::temp_dir());
        MicroVm::new(local.clone(), MicroVmConfig { monitor, guest, acceleration, copies, engine: None, scratch })
    };
    let (booting, copying) = (driver(false), driver(true));
    let layers = || layers.iter().map(|path| LayerSource::Erofs(path.into())).collect();
    let spec = || {
        let mut spec = SandboxSpec::image(layers());
        spec.limits.memory_bytes = 256 << 20;
        spec
    };
    if std::env::var_os(VICTIM).is_some() {
        let _sandbox = copying.create(spec()).await?;
        return Err("nobody has killed it while it saved".into());
    }
    let templates = guest.folder.join("templates");
    if kind == "firecracker" {
        kill_while_it_saves(&templates)?;
        println!("{kind}: killed while it saved");
    }
    let mut identities = BTreeSet::new();
    for (how, driver) in [("booted", &booting), ("saved and copied", &copying), ("copied", &copying)] {
        // From then on nothing boots, where machines are copied at all.
        let _hidden = (how == "copied" && kind == "firecracker").then(|| Hidden::new(guest.vmlinux()?)).transpose()?;
        let started = Instant::now();
        let netns = std::thread::spawn(network).join().map_err(|_| "no network namespace")?;
        let network = NetworkSource::Netns { netns: netns?.into(), resolv_conf: String::new() };
        let sandbox = driver.create(SandboxSpec { network, ..spec() }).await?;
        println!("{kind}: {how}, there after {} ms", started.elapsed().as_millis());
        let ended = sandbox.ended();
        sandbox.stream.set_nonblocking(true)?;
        let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream)?).await?;
        let text = run(&session, User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() }).await?;
        println!("{text}");
        session.shutdown().await?;
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await?;
        println!("{kind}: {ended:?}");
        if !text.contains("refused") || ended.cause != EndCause::Exited(0) {
            return Err("not as it should be".into());
        }
        if how != "booted" && half_saved(&templates).next().is_some() {
            return Err("what was half saved is there yet".into());
        }
        // A random number, and an address of the link layer.
        let count = identities.len();
        identities.extend(text.lines().filter_map(|line| line.strip_prefix("id ")).map(str::to_owned));
        if identities.len() != count + 2 {
            return Err(format!("it is none of its own: {identities:?}").into());
        }
    }
    println!("{kind}: passed");
    Ok(())
}

/// What somebody saves, or was saving.
fn half_saved(templates: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(templates).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("making-")))
}

/// Another process of this program is killed as soon as something of the machine that it saves is on the disk: none is there then, nor
/// does the monitor live on.
fn kill_while_it_saves(templates: &Path) -> Result<(), Failure> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let mut victim = Command::new(std::env::current_exe()?).args(&words).env(VICTIM, "1").spawn()?;
    let is_saving = || {
        // Where the monitor writes.
        let folders = half_saved(templates).map(|saving| saving.join("machine"));
        let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 0)
    };
    while !is_saving() {
        if victim.try_wait()?.is_some() {
            return Err("it has ended, and saved nothing that was seen".into());
        }
        std::thread::yield_now();
    }
    if monitors()? == 0 {
        return Err("its monitor is not seen".into());
    }
    victim.kill()?;
    victim.wait()?;
    let saved = std::fs::read_dir(templates)?.flatten().map(|entry| entry.path());
    if saved.into_iter().any(|path| sandbox::guest::half_made(&path).is_none()) {
        return Err("what was saved by half counts as saved".into());
    }
    let began = Instant::now();
    while monitors()? > 0 {
        if began.elapsed() > Duration::from_secs(20) {
            return Err("the monitor of the killed lives on".into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// How many processes of the monitor there are.
fn monitors() -> std::io::Result<usize> {
    let programs = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.path().join("exe").read_link().ok());
    Ok(programs.filter(|program| *program == Path::new("/monitor")).count())
}

/// A file that is not what it was, until this is dropped.
struct Hidden {
    path: PathBuf,
    away: PathBuf,
}

impl Hidden {
    fn new(path: PathBuf) -> std::io::Result<Hidden> {
        let away = path.with_extension("away");
        std::fs::rename(&path, &away)?;
        std::fs::write(&path, "no kernel")?;
        Ok(Hidden { path, away })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = std::fs::rename(&self.away, &self.path);
    }
}

fn network() -> Result<File, String> {
    // SAFETY: this thread alone moves, and ends.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err("no network namespace".into());
    }
    for words in NETWORK {
        let done = Command::new("/bin/busybox").arg("ip").args(words.split(' ')).status();
        if !done.is_ok_and(|status| status.success()) {
            return Err(words.into());
        }
    }
    File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())
}

async fn run(session: &Session, user: User) -> Result<String, Failure> {
    let argv = ["/bin/sh", "-c", SCRIPT].map(Into::into).into();
    let env = vec![("PATH".into(), "/bin".into())];
    let mut running = session.exec(ExecSpec { argv, env, user, ..ExecSpec::default() }).await?;
    let mut text = Vec::new();
    while let Some(output) = running.next().await? {
        if let Output::Data { data, .. } = output {
            text.extend(data);
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
