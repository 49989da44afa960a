//! A session against peers that lie, stall and die. (Against the real init: the tests of crate `init` and the conformance
//! suite.)

use std::time::Duration;

use model::ids::ExecId;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use wire::frame::{self, Decoder};
use wire::init::{
    Command, Event, ExecSpec, Exit, FileReply, OperationError, SignalTarget, Skipped, Status, Stream, TarLimits, Usage,
    VERSION, WINDOW_BYTES,
};

use super::{CloseReason, Output, Session, SessionError, TarPlace};

/// No test waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The other end: what a test makes init say.
struct Peer {
    stream: DuplexStream,
    decoder: Decoder,
}

impl Peer {
    async fn command(&mut self) -> Option<Command> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(command) = self.decoder.message().unwrap() {
                return Some(command);
            }
            match tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap().unwrap() {
                0 => return None,
                n => self.decoder.push(&buffer[..n]),
            }
        }
    }

    async fn say(&mut self, event: Event) {
        let mut bytes = Vec::new();
        frame::encode(&event, &mut bytes).unwrap();
        self.raw(&bytes).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        // The session may have hung up: that is what some tests are about.
        let _ = self.stream.write_all(bytes).await;
    }

    async fn id(&mut self) -> ExecId {
        match self.command().await.unwrap() {
            Command::Exec { id, .. } | Command::File { id, .. } | Command::KillAll { id } => id,
            other => panic!("{other:?}"),
        }
    }
}

async fn connect() -> (Session, Peer) {
    let (ours, theirs) = duplex(64 * 1024);
    let mut peer = Peer { stream: theirs, decoder: Decoder::new() };
    let (session, ()) = tokio::join!(Session::start(ours), async {
        assert_eq!(peer.command().await, Some(Command::Hello { version: VERSION }));
        peer.say(Event::Hello { version: VERSION }).await;
    });
    (session.unwrap(), peer)
}

fn exited(id: ExecId) -> Event {
    let exit = Exit { status: Status::Code(3), usage: Usage::default(), dropped_bytes: 0, left_behind: false };
    Event::Exited { id, exit }
}

fn output(id: ExecId, bytes: usize) -> Event {
    Event::Output { id, stream: Stream::Stdout, data: vec![b'x'; bytes].into() }
}

type Offence = fn(ExecId) -> Event;

/// Starts a process and lets the peer do what it wants; returns what the process's end looks like to its caller.
async fn end_of_process(misbehave: impl AsyncFnOnce(&mut Peer, ExecId)) -> SessionError {
    let (session, mut peer) = connect().await;
    let (running, id) = tokio::join!(session.exec(ExecSpec::default()), async {
        let id = peer.id().await;
        peer.say(Event::Started { id, pid: 2 }).await;
        id
    });
    misbehave(&mut peer, id).await;
    let mut running = running.unwrap();
    let error = tokio::time::timeout(PATIENCE, running.wait()).await.expect("every pending call resolves").unwrap_err();
    // And everything after it fails at once in the same way.
    assert!(matches!(session.kill_all().await, Err(SessionError::Closed(_))));
    assert!(matches!(session.stat(None, "/", true).await, Err(SessionError::Closed(_))));
    error
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_or_dies_ends_the_session_with_the_reason() {
    let error = end_of_process(async |peer, _| peer.stream.shutdown().await.unwrap()).await;
    assert!(matches!(error, SessionError::Closed(CloseReason::Ended)), "{error}");
    let error = end_of_process(async |peer, _| peer.raw(&[0xff; 8]).await).await;
    assert!(matches!(error, SessionError::Closed(CloseReason::Frame(_))), "{error}");
    let error = end_of_process(async |peer, _| peer.raw(&[2, 0, 0, 0, 200, 1]).await).await;
    assert!(matches!(error, SessionError::Closed(CloseReason::Frame(_))), "{error}");
    let offences: [(&str, Offence); 5] = [
        ("a second greeting", |_| Event::Hello { version: VERSION }),
        ("a repeated event", |id| Event::Started { id, pid: 3 }),
        ("more credit than was used", |id| Event::Credit { id, bytes: 1 }),
        ("more credit than was used", |id| Event::Credit { id, bytes: u32::MAX }),
        ("a piece of data above the limit", |id| output(id, 100_000)),
    ];
    for (expect, offence) in offences {
        let error = end_of_process(async |peer, id| peer.say(offence(id)).await).await;
        assert!(error.to_string().contains(expect), "{error}");
    }
}

#[tokio::test]
async fn a_flood_is_stopped_at_the_window() {
    for size in [0, 1, 1000, 30_000] {
        let (session, mut peer) = connect().await;
        let (running, id) = tokio::join!(session.exec(ExecSpec::default()), async {
            let id = peer.id().await;
            peer.say(Event::Started { id, pid: 2 }).await;
            id
        });
        let _running = running.unwrap();
        // Nobody takes the output, so no more than a window may come.
        for _ in 0..=WINDOW_BYTES / 64 {
            peer.say(output(id, size)).await;
        }
        let reason = tokio::time::timeout(PATIENCE, session.ended()).await.unwrap();
        assert_eq!(reason, CloseReason::Offence("more data than its window"), "{size}");
    }
}

#[tokio::test]
async fn output_flows_as_it_is_taken_and_credit_goes_back() {
    let (session, mut peer) = connect().await;
    let total = 4 * WINDOW_BYTES as usize;
    let serve = async {
        let id = peer.id().await;
        peer.say(Event::Started { id, pid: 2 }).await;
        let (mut window, mut sent) = (WINDOW_BYTES as usize, 0);
        while sent < total {
            while window < 16 * 1024 {
                match peer.command().await.unwrap() {
                    Command::Credit { bytes, .. } => window += bytes as usize,
                    other => panic!("{other:?}"),
                }
            }
            peer.say(output(id, 16 * 1024)).await;
            (window, sent) = (window - 16 * 1024, sent + 16 * 1024);
        }
        peer.say(exited(id)).await;
    };
    let take = async {
        let mut running = session.exec(ExecSpec::default()).await.unwrap();
        let mut bytes = 0;
        while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
            bytes += data.len();
        }
        (bytes, running.wait().await.unwrap().status)
    };
    let ((), taken) = tokio::join!(serve, take);
    assert_eq!(taken, (total, Status::Code(3)));
}

#[tokio::test]
async fn events_for_nobody_are_ignored() {
    let (session, mut peer) = connect().await;
    for id in [0, 99, u64::MAX] {
        let id = ExecId(id);
        for event in [output(id, 10), exited(id), Event::Credit { id, bytes: 5 }, Event::Stopped { id, signal: 19 }] {
            peer.say(event).await;
        }
    }
    let (result, ()) = tokio::join!(session.kill_all(), async {
        let id = peer.id().await;
        peer.say(Event::Done { id, reply: FileReply::Done }).await;
    });
    result.unwrap();
}

#[tokio::test]
async fn a_program_that_cannot_start_is_an_error_of_exec() {
    let (session, mut peer) = connect().await;
    let (result, ()) = tokio::join!(session.exec(ExecSpec::default()), async {
        let id = peer.id().await;
        peer.say(Event::Failed { id, error: OperationError::new("start mvn", 2) }).await;
    });
    let error = result.err().unwrap();
    assert_eq!(error.to_string(), "start mvn: No such file or directory (os error 2)");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn dropping_a_process_kills_it() {
    let (session, mut peer) = connect().await;
    let (running, id) = tokio::join!(session.exec(ExecSpec::default()), async {
        let id = peer.id().await;
        peer.say(Event::Started { id, pid: 2 }).await;
        id
    });
    drop(running.unwrap());
    let expect = Command::Signal { id, signal: libc::SIGKILL, target: SignalTarget::Session };
    assert_eq!(peer.command().await, Some(expect));
    // Dropping the last handle closes the stream.
    drop(session);
    assert_eq!(peer.command().await, None);
}

#[tokio::test(start_paused = true)]
async fn termination_escalates_and_gives_up_on_what_cannot_be_killed() {
    let (session, mut peer) = connect().await;
    let (running, id) = tokio::join!(session.exec(ExecSpec::default()), async {
        let id = peer.id().await;
        peer.say(Event::Started { id, pid: 2 }).await;
        id
    });
    let mut running = running.unwrap();
    let mut control = running.control();
    let (ended, ()) = tokio::join!(control.terminate(tokio::time::sleep(Duration::from_secs(5))), async {
        let mut signals = Vec::new();
        while signals.len() < 3 {
            match peer.command().await.unwrap() {
                Command::Signal { signal, target, .. } => signals.push((signal, target)),
                other => panic!("{other:?}"),
            }
        }
        let expect = [(libc::SIGTERM, SignalTarget::Group), (libc::SIGCONT, SignalTarget::Group)];
        assert_eq!(signals[..2], expect);
        assert_eq!(signals[2], (libc::SIGKILL, SignalTarget::Session));
    });
    assert!(matches!(ended, Err(SessionError::Unkillable(_))), "{ended:?}");
    peer.say(exited(id)).await;
    assert_eq!(running.terminate(Duration::from_secs(5)).await.unwrap().status, Status::Code(3));
}

#[tokio::test]
async fn files_are_bounded_by_what_the_caller_wants() {
    let (session, mut peer) = connect().await;
    let (result, ()) = tokio::join!(session.read_file(None, "/x", 50), async {
        let id = peer.id().await;
        for _ in 0..10 {
            peer.say(Event::Data { id, data: vec![0; 10].into() }).await;
        }
    });
    assert!(matches!(result, Err(SessionError::TooLarge(50))));
    let (session, mut peer) = connect().await;
    let limits = TarLimits { bytes: 0, entries: 0 };
    let (result, ()) = tokio::join!(session.get_tar(None, Default::default(), limits, tokio::io::sink()), async {
        let id = peer.id().await;
        for _ in 0..5 {
            peer.say(Event::Data { id, data: vec![0; 20_000].into() }).await;
        }
    });
    assert!(matches!(result, Err(SessionError::TooLarge(_))));
    // A reply of the wrong kind is an offence, not a panic.
    let (session, mut peer) = connect().await;
    let (result, ()) = tokio::join!(session.stat(None, "/x", true), async {
        let id = peer.id().await;
        peer.say(Event::Done { id, reply: FileReply::Done }).await;
    });
    assert!(matches!(result, Err(SessionError::Closed(CloseReason::Offence(_)))));
}

#[tokio::test]
async fn input_waits_for_room_and_an_early_end_stops_it() {
    let (session, mut peer) = connect().await;
    let place = TarPlace { dir: "/w".into(), ..TarPlace::default() };
    let serve = async {
        let id = peer.id().await;
        let mut bytes = 0;
        while bytes < WINDOW_BYTES as usize {
            let Command::Input { data, .. } = peer.command().await.unwrap() else { panic!() };
            bytes += data.len();
        }
        assert_eq!(bytes, WINDOW_BYTES as usize);
        let error = OperationError::new("extract x", libc::ENOSPC);
        peer.say(Event::Failed { id, error }).await;
    };
    let (result, ()) = tokio::join!(session.put_tar(place, tokio::io::repeat(7)), serve);
    assert!(result.unwrap_err().to_string().contains("No space left"));
    // A whole one.
    let reply = FileReply::Put { entries: 1, bytes: 2, skipped: Skipped::default() };
    let (result, ()) = tokio::join!(session.put_tar(TarPlace::default(), &b"content"[..]), async {
        let mut id = ExecId(0);
        loop {
            match peer.command().await.unwrap() {
                Command::File { id: file, .. } => id = file,
                // The second is of this operation, a first may still be of the one before.
                Command::CloseInput { id: closed } if closed == id => break,
                _ => {}
            }
        }
        peer.say(Event::Done { id, reply }).await;
    });
    assert_eq!(result.unwrap().entries, 1);
}

#[tokio::test]
async fn whoever_sends_to_what_has_ended_lets_others_go_on() {
    let (session, mut peer) = connect().await;
    let (running, ()) = tokio::join!(session.exec(ExecSpec::default()), async {
        let id = peer.id().await;
        peer.say(Event::Started { id, pid: 2 }).await;
        peer.say(exited(id)).await;
    });
    let mut running = running.unwrap();
    running.wait().await.unwrap();
    let mut input = running.input();
    let other = tokio::spawn(async {});
    for _ in 0..100_000 {
        input.send(b"more").await.unwrap();
    }
    assert!(other.is_finished());
}

#[tokio::test]
async fn another_version_or_no_greeting_is_refused() {
    let greeting = async |event: Option<Event>| {
        let (ours, theirs) = duplex(4096);
        let mut peer = Peer { stream: theirs, decoder: Decoder::new() };
        let (session, ()) = tokio::join!(Session::start(ours), async {
            match event {
                Some(event) => peer.say(event).await,
                None => peer.stream.shutdown().await.unwrap(),
            }
        });
        session.err().unwrap().to_string()
    };
    assert!(greeting(Some(Event::Hello { version: VERSION + 1 })).await.contains("another version"));
    assert!(greeting(Some(exited(ExecId(1)))).await.contains("no greeting"));
    assert!(greeting(None).await.contains("first process has ended"));
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_refused_and_costs_nothing() {
    let (session, _peer) = connect().await;
    let spec = ExecSpec { argv: vec!["x".repeat(300_000)], ..ExecSpec::default() };
    assert!(matches!(session.exec(spec).await, Err(SessionError::Request(_))));
}
