//! One of every message.

use model::ids::ExecId;
use model::request::FileSet;
use wire::init::*;

const ID: ExecId = ExecId(77);

pub fn commands() -> Vec<Command> {
    let user = User { uid: 1000, gid: 100, groups: vec![4, 5] };
    let spec = ExecSpec {
        argv: vec!["sh".into(), "-c".into(), "exit 3".into()],
        env: vec![("PATH".into(), "/bin".into())],
        cwd: "/work space".into(),
        user: user.clone(),
        input: InputMode::Pipe,
        output: OutputMode::Terminal(TerminalSize { rows: 24, columns: 80 }),
        output_limit: Some(u64::MAX),
        rlimits: vec![Rlimit { resource: Resource::StackBytes, value: 1 << 40 }],
    };
    let files = FileSet { dir: "/w".into(), includes: "**/*.jar".into(), ..FileSet::default() };
    let path = || "/a/b".to_owned();
    let limits = TarLimits::default();
    let ops = [
        FileOp::ReadFile { path: path(), limit_bytes: 5 },
        FileOp::WriteFile { path: path(), mode: 0o644 },
        FileOp::Stat { path: path(), follow: true },
        FileOp::MakeDir { path: path(), mode: 0o755, owner: Some((1, 2)) },
        FileOp::RemoveTree { path: path(), keep_top: true },
        FileOp::PutTar { dir: path(), owner: None, limits },
        FileOp::GetTar { files, limits },
    ];
    let mut all = vec![
        Command::Hello { version: VERSION },
        Command::Exec { id: ID, spec: Box::new(spec) },
        Command::Input { id: ID, data: b"\0\xff bytes"[..].into() },
        Command::CloseInput { id: ID },
        Command::Credit { id: ID, bytes: WINDOW_BYTES },
        Command::Resize { id: ID, size: TerminalSize { rows: 1, columns: 2 } },
        Command::Signal { id: ID, signal: 15, target: SignalTarget::Session },
        Command::KillAll { id: ID },
        Command::Shutdown,
    ];
    all.extend(ops.into_iter().map(|op| Command::File { id: ID, user: Some(user.clone()), op }));
    all
}

pub fn events() -> Vec<Event> {
    let skipped = Skipped { count: 1, names: vec![("x".into(), "why".into())] };
    let status = FileStatus { kind: FileKind::Link, size: 1, mode: 0o777, uid: 1, gid: 2, modified_s: -1 };
    let exit = Exit {
        status: Status::Signal(9),
        usage: Usage { user_us: 1, system_us: 2, max_rss_kib: 3 },
        dropped_bytes: 4,
        left_behind: true,
    };
    let replies = [
        FileReply::Done,
        FileReply::Read { bytes: 1 },
        FileReply::Stat(None),
        FileReply::Stat(Some(status)),
        FileReply::Put { entries: 1, bytes: 2, skipped: skipped.clone() },
        FileReply::Got { entries: 1, bytes: 2, skipped },
    ];
    let mut all = vec![
        Event::Hello { version: VERSION },
        Event::Started { id: ID, pid: 5 },
        Event::Output { id: ID, stream: Stream::Stderr, data: vec![0; MAX_CHUNK_BYTES].into() },
        Event::OutputLimit { id: ID },
        Event::Stopped { id: ID, signal: 19 },
        Event::Exited { id: ID, exit },
        Event::Data { id: ID, data: b"x"[..].into() },
        Event::Credit { id: ID, bytes: 1 },
        Event::Failed { id: ID, error: OperationError::new("open /x", 2) },
    ];
    all.extend(replies.into_iter().map(|reply| Event::Done { id: ID, reply }));
    all
}
