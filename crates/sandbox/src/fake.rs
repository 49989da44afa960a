//! A driver without a kernel: sandboxes are tasks, programs are a function, files are a map. For tests of whatever uses drivers,
//! fast and the same everywhere; it keeps every sentence of [`crate::Driver`] that does not need real processes.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ids::{ExecId, SandboxId};
use model::rung::Rung;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use wire::blob::Blob;
use wire::frame::{self, Decoder};
use wire::init::{
    Command, Event, ExecSpec, Exit, FileKind, FileOp, FileReply, FileStatus, MAX_CHUNK_BYTES, OperationError, Status,
    Stream, Usage as ProcessUsage, VERSION, WINDOW_BYTES,
};

use crate::driver::wait_ended;
use crate::local::plan;
use crate::{
    Check, CreateError, Driver, DriverError, EndCause, Ended, Finding, Ids, LayerSource, LimitKind, LimitMet, Pending,
    Probe, RootSpec, Sandbox, SandboxSpec, Usage, User,
};

/// What a program of the fake does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripted {
    /// Standard output; at most [`WINDOW_BYTES`] with standard error are sent.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit code.
    pub code: i32,
    /// Runs until it is killed.
    pub endless: bool,
}

type Script = dyn Fn(&ExecSpec) -> Scripted + Send + Sync;

/// The driver. Its futures must be polled within a tokio runtime.
pub struct Fake {
    script: Arc<Script>,
    entries: Mutex<HashMap<u64, Entry>>,
    rung: Rung,
}

struct Entry {
    ended: watch::Receiver<Option<Ended>>,
    destroy: Arc<Notify>,
    files: Files,
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Beside those of the local drivers, so that no id of one is one of the other.
static NEXT: AtomicU64 = AtomicU64::new(1 << 40);

impl Fake {
    /// A driver of the container rung whose programs do what `script` says.
    pub fn new(script: impl Fn(&ExecSpec) -> Scripted + Send + Sync + 'static) -> Fake {
        Fake { script: Arc::new(script), entries: Mutex::default(), rung: Rung::Container }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        if let RootSpec::Image(layers) = &spec.root {
            for layer in layers {
                let (LayerSource::Dir(path) | LayerSource::Erofs(path)) = layer;
                std::fs::metadata(path).map_err(|source| CreateError::Layer { path: path.clone(), source })?;
            }
        }
        let (plan, _netns) = plan(spec).await?;
        let user = match &plan.user {
            User::Ids(ids) => *ids,
            User::Named(name) if name == "root" => Ids { uid: 0, gid: 0 },
            User::Named(name) => return Err(CreateError::UnknownUser { name: name.clone() }),
        };
        let mut entries = self.entries();
        let files = match plan.share_with {
            None => Files::default(),
            Some(other) => {
                let living = entries.get(&other).filter(|entry| entry.ended.borrow().is_none());
                let gone = CreateError::SharedGone { id: SandboxId(other) };
                Arc::clone(&living.ok_or(gone)?.files)
            }
        };
        let socket = |source| CreateError::Kernel { operation: "make a socket pair".into(), source };
        let (stream, theirs) = UnixStream::pair().map_err(socket)?;
        theirs.set_nonblocking(true).map_err(socket)?;
        let theirs = tokio::net::UnixStream::from_std(theirs).map_err(socket)?;
        let (tell, ended) = watch::channel(None);
        let destroy = Arc::new(Notify::new());
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        let init = Init {
            stream: theirs,
            out: Vec::new(),
            script: Arc::clone(&self.script),
            files: Arc::clone(&files),
            running: Vec::new(),
            writing: HashMap::new(),
        };
        let wall_ms = plan.limits.wall_ms;
        entries.insert(token, Entry { ended: ended.clone(), destroy: Arc::clone(&destroy), files });
        drop(entries);
        tokio::spawn(async move {
            let wall = LimitMet { kind: LimitKind::Wall, value: wall_ms, times: 1 };
            let cause = tokio::select! {
                () = destroy.notified() => EndCause::Destroyed,
                () = tokio::time::sleep(Duration::from_millis(wall_ms)) => EndCause::Limit(wall),
                () = init.serve() => EndCause::Exited(0),
            };
            tell.send_replace(Some(Ended { cause, usage: Usage::default() }));
        });
        Ok(Sandbox {
            id: SandboxId(token),
            stream,
            user,
            groups: Vec::new(),
            home: "/".into(),
            workspace: plan.workspace,
            hostname: plan.hostname,
            end: ended,
        })
    }

    fn ended(&self, id: SandboxId, destroy: bool) -> Result<impl Future<Output = Ended> + use<>, DriverError> {
        let entries = self.entries();
        let entry = entries.get(&id.0).ok_or(DriverError::Unknown { id })?;
        if destroy {
            entry.destroy.notify_one();
        }
        Ok(wait_ended(entry.ended.clone()))
    }
}

impl Driver for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn rung(&self) -> Rung {
        self.rung
    }

    fn probe(&self) -> Probe {
        let finding = Finding::Good("needs nothing, and isolates nothing".into());
        Probe { driver: "fake", rung: self.rung, checks: vec![Check { what: "host", finding }] }
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(self.make(spec))
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        let known = self.entries().contains_key(&id.0);
        Box::pin(async move { if known { Ok(Usage::default()) } else { Err(DriverError::Unknown { id }) } })
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        Box::pin(async move { Ok(self.ended(id, true)?.await) })
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// The init of one sandbox.
struct Init {
    stream: tokio::net::UnixStream,
    out: Vec<u8>,
    script: Arc<Script>,
    files: Files,
    /// Programs without an end.
    running: Vec<ExecId>,
    /// Files that are being written.
    writing: HashMap<ExecId, (String, Vec<u8>)>,
}

impl Init {
    /// Until the host is gone or says that it is over.
    async fn serve(mut self) {
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            loop {
                match decoder.message::<Command>() {
                    Ok(Some(Command::Shutdown)) | Err(_) => return,
                    Ok(Some(command)) => self.obey(command),
                    Ok(None) => break,
                }
            }
            if self.stream.write_all(&std::mem::take(&mut self.out)).await.is_err() {
                return;
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => decoder.push(&buffer[..count]),
            }
        }
    }

    fn say(&mut self, event: &Event) {
        // Every event here is far below the limit of a frame.
        let _ = frame::encode(event, &mut self.out);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Hello { .. } => self.say(&Event::Hello { version: VERSION }),
            Command::Exec { id, spec } => self.exec(id, &spec),
            Command::Signal { id, signal, .. } => {
                if let Some(index) = self.running.iter().position(|running| *running == id) {
                    self.running.remove(index);
                    self.exited(id, Status::Signal(signal));
                }
            }
            Command::KillAll { id } => {
                for running in std::mem::take(&mut self.running) {
                    self.exited(running, Status::Signal(libc::SIGKILL));
                }
                self.say(&Event::Done { id, reply: FileReply::Done });
            }
            Command::Input { id, data } => {
                if let Some((_, content)) = self.writing.get_mut(&id) {
                    content.extend_from_slice(&data);
                }
                let bytes = u32::try_from(data.len()).unwrap_or(0);
                self.say(&Event::Credit { id, bytes });
            }
            Command::CloseInput { id } => {
                if let Some((path, content)) = self.writing.remove(&id) {
                    self.files().insert(path, content);
                    self.say(&Event::Done { id, reply: FileReply::Done });
                }
            }
            Command::File { id, op, .. } => self.file(id, op),
            Command::Credit { .. } | Command::Resize { .. } | Command::Shutdown => {}
        }
    }

    fn exec(&mut self, id: ExecId, spec: &ExecSpec) {
        let does = (self.script)(spec);
        self.say(&Event::Started { id, pid: 2 });
        let mut window = WINDOW_BYTES as usize;
        for (stream, bytes) in [(Stream::Stdout, &does.stdout), (Stream::Stderr, &does.stderr)] {
            let bytes = &bytes[..bytes.len().min(window)];
            window -= bytes.len();
            for chunk in bytes.chunks(MAX_CHUNK_BYTES) {
                self.say(&Event::Output { id, stream, data: chunk.into() });
            }
        }
        if does.endless {
            self.running.push(id);
        } else {
            self.exited(id, Status::Code(does.code));
        }
    }

    fn exited(&mut self, id: ExecId, status: Status) {
        let exit = Exit { status, usage: ProcessUsage::default(), dropped_bytes: 0, left_behind: false };
        self.say(&Event::Exited { id, exit });
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&mut self, id: ExecId, op: FileOp) {
        let not_found = |path: &str| OperationError::new(format!("open {path}"), libc::ENOENT);
        match op {
            FileOp::ReadFile { path, .. } => {
                let found = self.files().get(&path).cloned();
                match found {
                    Some(content) => {
                        for chunk in content.chunks(MAX_CHUNK_BYTES).take(WINDOW_BYTES as usize / MAX_CHUNK_BYTES) {
                            self.say(&Event::Data { id, data: Blob::from(chunk) });
                        }
                        self.say(&Event::Done { id, reply: FileReply::Read { bytes: content.len() as u64 } });
                    }
                    None => self.say(&Event::Failed { id, error: not_found(&path) }),
                }
            }
            FileOp::WriteFile { path, .. } => {
                self.writing.insert(id, (path, Vec::new()));
            }
            FileOp::Stat { path, .. } => {
                let size = self.files().get(&path).map(|content| content.len() as u64);
                let status = size.map(|size| FileStatus {
                    kind: FileKind::File,
                    size,
                    mode: 0o644,
                    uid: 1000,
                    gid: 1000,
                    modified_s: 0,
                });
                self.say(&Event::Done { id, reply: FileReply::Stat(status) });
            }
            FileOp::MakeDir { .. } | FileOp::MakeDirFor { .. } => self.say(&Event::Done { id, reply: FileReply::Done }),
            FileOp::RemoveTree { path, .. } => {
                let below = format!("{path}/");
                self.files().retain(|file, _| *file != path && !file.starts_with(&below));
                self.say(&Event::Done { id, reply: FileReply::Done });
            }
            FileOp::PutTar { .. }
            | FileOp::GetTar { .. }
            | FileOp::List { .. }
            | FileOp::Touch { .. }
            | FileOp::Pack { .. }
            | FileOp::Unpack { .. }
            | FileOp::AppendFile { .. } => {
                let error = OperationError::new("the fake moves no tar streams", libc::ENOSYS);
                self.say(&Event::Failed { id, error });
            }
        }
    }
}
