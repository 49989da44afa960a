//! A blocking host: sends commands, takes events, gives credit.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use model::ids::ExecId;
use wire::frame::{self, Decoder};
use wire::init::{
    Command, Event, ExecSpec, Exit, FileOp, FileReply, InputMode, OperationError, OutputMode, SignalTarget, Status,
    Stream, User, VERSION, WINDOW_BYTES, cost,
};

use crate::place::{Maker, Place};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Host {
    pub place: Place,
    stream: UnixStream,
    decoder: Decoder,
    waiting: VecDeque<Event>,
    next: u64,
}

/// All that a process said.
#[derive(Debug)]
pub struct Ran {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit: Exit,
    pub limited: bool,
}

impl Ran {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

pub fn sh(script: &str) -> ExecSpec {
    ExecSpec {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        cwd: "/".into(),
        ..ExecSpec::default()
    }
}

pub fn root() -> Option<User> {
    Some(User::default())
}

impl Host {
    pub fn start(maker: Maker) -> Option<Host> {
        let mut place = Place::make(maker)?;
        let stream = place.stream.take().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut host = Host { place, stream, decoder: Decoder::new(), waiting: VecDeque::new(), next: 1 };
        host.send(&Command::Hello { version: VERSION });
        assert_eq!(host.receive(), Event::Hello { version: VERSION });
        Some(host)
    }

    pub fn id(&mut self) -> ExecId {
        self.next += 1;
        ExecId(self.next)
    }

    pub fn send(&mut self, command: &Command) {
        let mut bytes = Vec::new();
        frame::encode(command, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        // Init may already have hung up.
        let _ = self.stream.write_all(bytes);
    }

    /// The next event on the stream; panics when init is gone.
    fn receive(&mut self) -> Event {
        self.try_receive().expect("init lives")
    }

    /// `None` when the stream has ended.
    pub fn try_receive(&mut self) -> Option<Event> {
        let mut buffer = [0; 65536];
        loop {
            if let Some(event) = self.decoder.message().unwrap() {
                return Some(event);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.decoder.push(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("read from init: {error}"),
            }
        }
    }

    /// The next event of one operation; those of others are kept for later.
    pub fn event(&mut self, id: ExecId) -> Event {
        if let Some(index) = self.waiting.iter().position(|event| id_of(event) == id) {
            return self.waiting.remove(index).unwrap();
        }
        loop {
            let event = self.receive();
            if id_of(&event) == id {
                return event;
            }
            self.waiting.push_back(event);
        }
    }

    pub fn exec(&mut self, spec: ExecSpec) -> ExecId {
        let id = self.id();
        self.send(&Command::Exec { id, spec: Box::new(spec) });
        id
    }

    /// Starts and waits until the program runs.
    pub fn started(&mut self, spec: ExecSpec) -> (ExecId, u32) {
        let id = self.exec(spec);
        match self.event(id) {
            Event::Started { pid, .. } => (id, pid),
            other => panic!("{other:?}"),
        }
    }

    /// Collects an operation to its end.
    pub fn finish(&mut self, id: ExecId) -> Result<Ran, OperationError> {
        let (mut stdout, mut stderr, mut limited) = (Vec::new(), Vec::new(), false);
        loop {
            match self.event(id) {
                Event::Output { stream, data, .. } => {
                    self.send(&Command::Credit { id, bytes: cost(&data) });
                    match stream {
                        Stream::Stdout => stdout.extend_from_slice(&data),
                        Stream::Stderr => stderr.extend_from_slice(&data),
                    }
                }
                Event::OutputLimit { .. } => limited = true,
                Event::Exited { exit, .. } => return Ok(Ran { stdout, stderr, exit, limited }),
                Event::Failed { error, .. } => return Err(error),
                _ => {}
            }
        }
    }

    pub fn run(&mut self, spec: ExecSpec) -> Ran {
        let id = self.exec(spec);
        self.finish(id).unwrap()
    }

    /// Runs a script with split streams and expects success.
    pub fn ok(&mut self, script: &str) -> String {
        let ran = self.run(ExecSpec { output: OutputMode::Split, ..sh(script) });
        assert_eq!(ran.exit.status, Status::Code(0), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.text()
    }

    /// A file operation with input; its data and result.
    pub fn file(
        &mut self,
        user: Option<User>,
        op: FileOp,
        input: &[u8],
    ) -> Result<(Vec<u8>, FileReply), OperationError> {
        let id = self.id();
        self.send(&Command::File { id, user, op });
        self.feed(id, input);
        let mut data = Vec::new();
        loop {
            match self.event(id) {
                Event::Data { data: piece, .. } => {
                    self.send(&Command::Credit { id, bytes: cost(&piece) });
                    data.extend_from_slice(&piece);
                }
                Event::Done { reply, .. } => return Ok((data, reply)),
                Event::Failed { error, .. } => return Err(error),
                _ => {}
            }
        }
    }

    /// Sends input within the window and closes it.
    pub fn feed(&mut self, id: ExecId, input: &[u8]) {
        let mut window = WINDOW_BYTES;
        let mut early = VecDeque::new();
        for piece in input.chunks(wire::init::MAX_CHUNK_BYTES) {
            while window < cost(piece) {
                match self.event(id) {
                    Event::Credit { bytes, .. } => window += bytes,
                    last @ (Event::Done { .. } | Event::Failed { .. } | Event::Exited { .. }) => {
                        early.push_back(last);
                        self.waiting.append(&mut early);
                        return;
                    }
                    other => early.push_back(other),
                }
            }
            window -= cost(piece);
            self.send(&Command::Input { id, data: piece.into() });
        }
        self.waiting.append(&mut early);
        self.send(&Command::CloseInput { id });
    }

    pub fn signal(&mut self, id: ExecId, signal: i32, target: SignalTarget) {
        self.send(&Command::Signal { id, signal, target });
    }

    pub fn kill_all(&mut self) {
        let id = self.id();
        self.send(&Command::KillAll { id });
        assert_eq!(self.event(id), Event::Done { id, reply: FileReply::Done });
    }

    /// Pipes standard input.
    pub fn with_input(mut spec: ExecSpec) -> ExecSpec {
        spec.input = InputMode::Pipe;
        spec
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Whatever still runs ends with the stream; `Place` waits for it.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

fn id_of(event: &Event) -> ExecId {
    match event {
        Event::Hello { .. } => ExecId(0),
        Event::Started { id, .. } | Event::Output { id, .. } | Event::OutputLimit { id } => *id,
        Event::Stopped { id, .. } | Event::Exited { id, .. } | Event::Data { id, .. } => *id,
        Event::Credit { id, .. } | Event::Done { id, .. } | Event::Failed { id, .. } => *id,
    }
}

/// Runs a check in every kind of place that this host can make.
pub fn everywhere(check: impl Fn(&mut Host, Maker)) {
    for maker in [Maker::Root, Maker::RootWithIds, Maker::Unprivileged] {
        if let Some(mut host) = Host::start(maker) {
            check(&mut host, maker);
        }
    }
}
