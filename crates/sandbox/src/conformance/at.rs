//! A sandbox with a session, for the cases.

use wire::init::{ExecSpec, InputMode, OutputMode, Status, Stream, User};

use super::{Outcome, Subject};
use crate::session::{Output, Running, Session};
use crate::{Ended, Sandbox, SandboxSpec, Usage};

pub(super) struct At<'a> {
    subject: &'a Subject<'a>,
    pub(super) sandbox: Sandbox,
    pub(super) session: Session,
}

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Did {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

pub(super) fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl<'a> At<'a> {
    /// Makes a sandbox and greets it.
    pub(super) async fn new(subject: &'a Subject<'a>) -> Result<At<'a>, String> {
        At::with(subject, (subject.spec)()).await
    }

    pub(super) async fn with(subject: &'a Subject<'a>, spec: SandboxSpec) -> Result<At<'a>, String> {
        let sandbox = subject.driver.create(spec).await.map_err(|error| format!("create: {error}"))?;
        let session = connect(&sandbox).await?;
        Ok(At { subject, sandbox, session })
    }

    pub(super) fn spec_of(&self, script: &str) -> ExecSpec {
        ExecSpec {
            argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
            env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
            cwd: self.sandbox.workspace.clone(),
            user: User { uid: self.sandbox.user.uid, gid: self.sandbox.user.gid, groups: Vec::new() },
            input: InputMode::Null,
            output: OutputMode::Split,
            ..ExecSpec::default()
        }
    }

    pub(super) async fn start(&self, script: &str) -> Result<Running, String> {
        self.session.exec(self.spec_of(script)).await.map_err(|error| format!("start {script:?}: {error}"))
    }

    /// Runs a script to its end.
    pub(super) async fn sh(&self, script: &str) -> Result<Did, String> {
        finish(self.start(script).await?).await
    }

    /// Runs a script that must succeed; its standard output.
    pub(super) async fn out(&self, script: &str) -> Result<String, String> {
        let did = self.sh(script).await?;
        expect(did.code == 0, || format!("{script:?}: {did:?}"))?;
        Ok(did.stdout.trim_end().to_owned())
    }

    pub(super) async fn usage(&self) -> Result<Usage, String> {
        self.subject.driver.usage(self.sandbox.id).await.map_err(|error| format!("usage: {error}"))
    }

    pub(super) async fn destroy(self) -> Result<Ended, String> {
        self.subject.driver.destroy(self.sandbox.id).await.map_err(|error| format!("destroy: {error}"))
    }
}

pub(super) async fn connect(sandbox: &Sandbox) -> Result<Session, String> {
    let stream = sandbox.stream.try_clone().map_err(say)?;
    stream.set_nonblocking(true).map_err(say)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(say)?;
    Session::start(stream).await.map_err(|error| format!("greet: {error}"))
}

/// Takes all output and waits for the end.
pub(super) async fn finish(mut running: Running) -> Result<Did, String> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(output) = running.next().await.map_err(say)? {
        if let Output::Data { stream, data } = output {
            match stream {
                Stream::Stdout => stdout.extend(data),
                Stream::Stderr => stderr.extend(data),
            }
        }
    }
    let exit = running.wait().await.map_err(say)?;
    let code = match exit.status {
        Status::Code(code) => code,
        Status::Signal(signal) => 128 + signal,
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Did { code, stdout: text(stdout), stderr: text(stderr) })
}
