//! Stands in for Firecracker and Cloud Hypervisor in tests of the `microvm` driver: a program that runs in a monitor's jail, takes its
//! words and requests and refuses all others, and has no machine. Behind its ports speaks a guest whose sandboxes are those of
//! [`sandbox::fake`]. What it saves of a machine is what it was given, and a word in place of its memory.
//!
//! Usage: as that of the monitor.

#[allow(dead_code, reason = "shared with the tests of the vmm crate")]
#[path = "../../vmm/tests/it/facts.rs"]
mod facts;
#[allow(dead_code, reason = "shared with the tests of the vmm crate")]
#[path = "../../vmm/tests/it/server.rs"]
mod server;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};

use launcher::guest::{CONTROL_PORT, STREAM_PORT, VSOCK, Word};
use launcher::protocol::{End, Fault, FaultKind, Features, Made, Plan, Reply, Request, Usage};
use sandbox::fake::{Fake, Scripted};
use sandbox::{CreateError, Driver as _, EndCause, SandboxSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use wire::frame::{self, Decoder};

use crate::facts::{CLOUD_HYPERVISOR, FIRECRACKER, Facts};
use crate::server::Server;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (facts, socket) = match words[..] {
        ["--api-sock", socket, "--id", _, "--level", "Error", "--enable-pci"] => (FIRECRACKER, socket),
        ["--api-socket", socket, "--seccomp", "true"] => {
            (CLOUD_HYPERVISOR, socket.strip_prefix("path=").ok_or("no path of a socket")?)
        }
        _ => return Err(format!("unknown words: {words:?}").into()),
    };
    if cfg!(target_feature = "crt-static") && std::path::Path::new("/usr").exists() {
        return Err("a static program needs no file of the host".into());
    }
    let listener = UnixListener::bind(socket)?;
    let machine = Arc::new(Mutex::new(Machine::default()));
    let server = Server::new(&Facts::read(facts), Box::new(move |call, body| lock(&machine).take(call, body)));
    server.serve(listener.accept()?.0);
    let log = server.log();
    eprintln!("{:?}", lock(&log));
    // Its client may leave; its guest runs.
    loop {
        std::thread::park();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A machine, as far as it has been asked for.
#[derive(Default)]
struct Machine {
    vsock: Option<UnixListener>,
    /// The host's end of its interface.
    tap: Option<File>,
    parts: Parts,
    is_copy: bool,
}

/// What it has, as it is saved.
#[derive(Default, Serialize, Deserialize)]
struct Parts {
    /// Paths.
    disks: Vec<String>,
    vsock: String,
    interface: bool,
}

/// In place of a machine's memory, behind as many zeros.
const MEMORY: &[u8] = b"memory";
const ZEROS: usize = 1 << 20;

impl Machine {
    /// Does what the monitor would have to be able to do here.
    fn take(&mut self, call: &str, body: Option<&Value>) -> Result<(), String> {
        let null = Value::Null;
        let body = body.unwrap_or(&null);
        match call {
            "PUT /boot-source" => {
                starts_with(&body["kernel_image_path"], 0, b"\x7fELF")?;
                boots(&body["initrd_path"], &body["boot_args"], "reboot=k")
            }
            "PUT /drives/{drive_id}" => self.disk(&body["path_on_host"], &body["is_read_only"]),
            "PUT /network-interfaces/{iface_id}" => self.open_tap(&body["host_dev_name"]),
            "PUT /vm.add-net" => {
                self.parts.interface = true;
                Ok(())
            }
            "PUT /vsock" => self.listen(&body["uds_path"]),
            "PUT /vm.create" => {
                let payload = &body["payload"];
                starts_with(&payload["kernel"], 0x202, b"HdrS")?;
                boots(&payload["initramfs"], &payload["cmdline"], "cofferdam.end=off")?;
                body["disks"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(|disk| self.disk(&disk["path"], &disk["readonly"]))?;
                self.listen(&body["vsock"]["socket"])
            }
            "PUT /actions" | "PUT /vm.boot" => self.run(),
            "PATCH /vm" if body["state"] != "Resumed" => Ok(()),
            // One that was paused for a while runs already.
            "PATCH /vm" | "PUT /vm.resume" if self.vsock.is_none() => Ok(()),
            "PATCH /vm" | "PUT /vm.resume" => self.run(),
            "PUT /snapshot/create" => self.save(text(&body["snapshot_path"]), text(&body["mem_file_path"])),
            "PUT /vm.snapshot" => {
                let folder = folder(&body["destination_url"])?;
                self.save(&format!("{folder}/state.json"), &format!("{folder}/memory-ranges"))
            }
            "PUT /snapshot/load" => {
                self.load(text(&body["snapshot_path"]), text(&body["mem_backend"]["backend_path"]))?;
                let overrides = body["network_overrides"].as_array().map_or(&[][..], Vec::as_slice);
                if overrides.len() != usize::from(self.parts.interface) {
                    return Err(format!("interfaces: {overrides:?}"));
                }
                overrides.iter().try_for_each(|given| self.open_tap(&given["host_dev_name"]))?;
                self.listen(&body["vsock_override"]["uds_path"])
            }
            "PUT /vm.restore" => {
                let folder = folder(&body["source_url"])?;
                self.load(&format!("{folder}/state.json"), &format!("{folder}/memory-ranges"))?;
                if body["net_fds"].is_array() != self.parts.interface {
                    return Err(format!("interfaces: {}", body["net_fds"]));
                }
                self.listen(&self.parts.vsock.clone().into())
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let listener = self.vsock.take().ok_or("no vsock")?;
        let (disks, is_copy) = (self.parts.disks.clone(), self.is_copy);
        std::thread::spawn(move || {
            if let Err(error) = run_guest(&listener, &disks, is_copy) {
                eprintln!("guest: {error}");
            }
            std::process::exit(0);
        });
        Ok(())
    }

    /// The first is the one to write to.
    fn disk(&mut self, path: &Value, read_only: &Value) -> Result<(), String> {
        let writes = read_only.as_bool() != Some(true);
        let number = self.parts.disks.len();
        if writes != (number == 0) {
            return Err(format!("{path}: disk {number} with read_only {read_only}"));
        }
        self.parts.disks.push(text(path).to_owned());
        open_disk(text(path), writes)
    }

    fn listen(&mut self, path: &Value) -> Result<(), String> {
        self.parts.vsock = text(path).to_owned();
        self.vsock = Some(UnixListener::bind(text(path)).map_err(|error| format!("{path}: {error}"))?);
        Ok(())
    }

    fn open_tap(&mut self, name: &Value) -> Result<(), String> {
        self.parts.interface = true;
        self.tap = Some(open_tap(text(name)).map_err(|error| format!("tap: {error}"))?);
        Ok(())
    }

    fn save(&self, state: &str, memory: &str) -> Result<(), String> {
        let parts = serde_json::to_vec(&self.parts).map_err(|error| error.to_string())?;
        std::fs::write(state, parts).map_err(|error| format!("{state}: {error}"))?;
        let content = [&vec![0; ZEROS], MEMORY].concat();
        std::fs::write(memory, content).map_err(|error| format!("{memory}: {error}"))
    }

    /// As it was saved, with what is under the same paths here.
    fn load(&mut self, state: &str, memory: &str) -> Result<(), String> {
        let text = std::fs::read(state).map_err(|error| format!("{state}: {error}"))?;
        self.parts = serde_json::from_slice(&text).map_err(|error| format!("{state}: {error}"))?;
        let content = std::fs::read(memory).map_err(|error| format!("{memory}: {error}"))?;
        if content.len() != ZEROS + MEMORY.len() || !content.ends_with(MEMORY) {
            return Err(format!("{memory}: no memory"));
        }
        if [state, memory].iter().any(|path| File::options().write(true).open(path).is_ok()) {
            return Err("a copy could write to what it is a copy of".into());
        }
        self.is_copy = true;
        self.parts.disks.iter().enumerate().try_for_each(|(index, path)| open_disk(path, index == 0))
    }
}

fn open_disk(path: &str, writes: bool) -> Result<(), String> {
    let opened = File::options().read(true).write(writes).open(path);
    opened.map(drop).map_err(|error| format!("{path}: {error}"))
}

fn folder(url: &Value) -> Result<&str, String> {
    text(url).strip_prefix("file://").ok_or_else(|| format!("{url} is no folder"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn starts_with(path: &Value, at: u64, expect: &[u8]) -> Result<(), String> {
    let mut found = vec![0; expect.len()];
    let read = File::open(text(path)).and_then(|file| file.read_exact_at(&mut found, at));
    read.map_err(|error| format!("{path}: {error}"))?;
    if found == expect { Ok(()) } else { Err(format!("{path} is no such kernel")) }
}

fn boots(initrd: &Value, cmdline: &Value, ending: &str) -> Result<(), String> {
    let mut byte = [0];
    File::open(text(initrd)).and_then(|mut file| file.read_exact(&mut byte)).map_err(|error| error.to_string())?;
    let words: Vec<_> = text(cmdline).split(' ').collect();
    if words.contains(&ending) && words.contains(&VSOCK) { Ok(()) } else { Err(format!("{cmdline}: what is missing?")) }
}

/// As Firecracker does.
fn open_tap(name: &str) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: a descriptor of our own, and the structure that belongs to this request.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw const request) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The guest: nobody listens at first; then both ports take one connection, and one more where it was told to part.
fn run_guest(listener: &UnixListener, disks: &[String], is_copy: bool) -> Result<(), Failure> {
    drop(listener.accept()?);
    let connect = |port: u32| -> Result<UnixStream, Failure> {
        let (mut stream, _) = listener.accept()?;
        let expect = format!("CONNECT {port}\n");
        let mut line = vec![0; expect.len()];
        stream.read_exact(&mut line)?;
        if line != expect.as_bytes() {
            return Err(format!("{:?} for port {port}", String::from_utf8_lossy(&line)).into());
        }
        io::Write::write_all(&mut stream, b"OK 1073741824\n")?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    loop {
        let (control, stream) = (connect(CONTROL_PORT)?, connect(STREAM_PORT)?);
        let has_parted = runtime.block_on(async {
            let control = tokio::net::UnixStream::from_std(control)?;
            let stream = Some(tokio::net::UnixStream::from_std(stream)?);
            let guest = Guest { control, stream, disks: disks.to_vec(), is_copy, is_own: false };
            guest.serve().await
        })?;
        if !has_parted {
            return Ok(());
        }
    }
}

/// The first process of a guest, and its launcher.
struct Guest {
    control: tokio::net::UnixStream,
    stream: Option<tokio::net::UnixStream>,
    /// Paths.
    disks: Vec<String>,
    is_copy: bool,
    /// It has been given what no other machine has.
    is_own: bool,
}

impl Guest {
    /// Until the host is gone, or the sandbox has ended; `true`: until it was told to part.
    async fn serve(mut self) -> Result<bool, Failure> {
        let fake = Fake::new(|spec| Scripted { stdout: spec.argv.join(" ").into_bytes(), ..Scripted::default() });
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut ended = None;
        loop {
            while let Some(word) = decoder.message::<Word>()? {
                let request = match word {
                    Word::Request(request) => request,
                    Word::Fresh { seed, now_ns, network, .. } => {
                        let has_own = network.is_some_and(|network| network.mac.is_some_and(|mac| mac != [0; 6]));
                        if seed == [0; 32] || now_ns == 0 || has_own != (self.is_copy && network.is_some()) {
                            return Err(format!("no identity: {seed:?} {now_ns} {network:?}").into());
                        }
                        self.is_own = true;
                        continue;
                    }
                    Word::Part => {
                        self.say(&Reply::Parting).await?;
                        return Ok(true);
                    }
                    _ => continue,
                };
                match request {
                    Request::Start(_) => self.say(&Reply::Ready(features())).await?,
                    Request::Usage { token } => self.say(&Reply::Usage { token, usage: Usage::default() }).await?,
                    Request::Create { token, plan } => match self.create(&fake, *plan).await {
                        Ok((made, end)) => {
                            self.say(&Reply::Created { token, made }).await?;
                            ended = Some((token, end));
                        }
                        Err(fault) => self.say(&Reply::Failed { token, fault }).await?,
                    },
                    Request::Destroy { .. } | Request::Sweep => {}
                }
            }
            let end = async {
                match &mut ended {
                    Some((token, end)) => (*token, sandbox::wait_ended(end.clone()).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                count = self.control.read(&mut buffer) => match count? {
                    0 => return Ok(false),
                    count => decoder.push(&buffer[..count]),
                },
                (token, ended) = end => {
                    let end = match ended.cause {
                        EndCause::Exited(code) => End::Exited(code),
                        _ => End::Wall,
                    };
                    self.say(&Reply::Ended { token, end, usage: Usage::default() }).await?;
                    return Ok(false);
                }
            }
        }
    }

    async fn say(&mut self, reply: &Reply) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        frame::encode(reply, &mut bytes)?;
        Ok(self.control.write_all(&bytes).await?)
    }

    /// Layers have some content, by which tests say in which order they are; what is in a place to spare is empty.
    fn check_content(&self, layers: usize) -> Result<(), String> {
        let mut last = Vec::new();
        for (index, path) in self.disks.iter().skip(1).enumerate() {
            let mut content = Vec::new();
            let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut content));
            read.map_err(|error| format!("{path}: {error}"))?;
            let is_layer = content.iter().any(|byte| *byte != 0);
            if is_layer != (index < layers) || is_layer && content < last {
                return Err(format!("disk {index} of {layers} layers has the content of another"));
            }
            last = content;
        }
        Ok(())
    }

    async fn create(&mut self, fake: &Fake, plan: Plan) -> Result<(Made, Ending), Fault> {
        let fault = |kind, what: String| Fault { kind, what, errno: 0 };
        let layers = plan.layers.as_ref().map_or(0, Vec::len);
        // A copy has places to spare.
        let disks = self.disks.len();
        if layers + 1 > disks || layers + 1 < disks && !self.is_copy || !self.is_own {
            return Err(fault(FaultKind::Spec, format!("{layers} layers on {disks} disks, or no identity")));
        }
        self.check_content(layers).map_err(|what| fault(FaultKind::Spec, what))?;
        let mut spec = SandboxSpec::image(Vec::new());
        (spec.user, spec.limits, spec.workspace.path) = (plan.user, plan.limits, plan.workspace);
        let made = fake.create(spec).await.map_err(|error| match error {
            CreateError::UnknownUser { name } => fault(FaultKind::UnknownUser, name),
            error => fault(FaultKind::Spec, error.to_string()),
        })?;
        let broken = |error: io::Error| fault(FaultKind::Kernel, error.to_string());
        let mut stream = self.stream.take().ok_or_else(|| fault(FaultKind::Spec, "a second sandbox".into()))?;
        made.stream.set_nonblocking(true).map_err(broken)?;
        let mut inner = tokio::net::UnixStream::from_std(made.stream).map_err(broken)?;
        tokio::spawn(async move { copy_bidirectional(&mut stream, &mut inner).await });
        Ok((Made { user: made.user, groups: made.groups, home: made.home }, made.end))
    }
}

type Ending = tokio::sync::watch::Receiver<Option<sandbox::Ended>>;

fn features() -> Features {
    let none = || Err("a stand-in".to_owned());
    Features { privileged: true, memory: none(), processes: none(), cpu: none(), time_namespace: false }
}
