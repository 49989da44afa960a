//! A child process seen from the parent.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use super::child::{DECOMPRESSOR_BYTES, Order, SAID_WHY};
use super::fault::Said;
use super::{LayerReport, UnpackError, UnpackLimits};

pub(super) const DECOMPRESSOR: &str = "decompressor";
pub(super) const CONVERTER: &str = "converter";

/// What a child may say; a hostile one could talk for ever.
const MAX_WORDS: u64 = 64 * 1024;

/// A confined child that is running. Killed when dropped.
pub(super) struct Confined {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    words: Option<JoinHandle<String>>,
    limits: UnpackLimits,
}

impl Confined {
    pub(super) fn start(
        program: &Path,
        args: &[OsString],
        name: &'static str,
        order: Order,
        folder: Option<&Path>,
        output: Stdio,
        limits: UnpackLimits,
    ) -> Result<Confined, UnpackError> {
        let failed = |source: io::Error| UnpackError::Spawn { child: name, source };
        let order = serde_json::to_string(&order).map_err(|error| failed(error.into()))?;
        let mut command = Command::new(program);
        command.args(args).arg(order).args(folder).env_clear();
        let mut child = command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let words = child.stderr.take().map(|stderr| std::thread::spawn(|| listen(stderr)));
        let (input, output) = (child.stdin.take(), child.stdout.take());
        input.iter().for_each(enlarge);
        output.iter().for_each(enlarge);
        Ok(Confined { name, child, input, output, words, limits })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pipe to its standard input, until [closed](Self::close).
    pub(super) fn input(&mut self) -> Option<&mut ChildStdin> {
        self.input.as_mut()
    }

    pub(super) fn output(&mut self) -> Option<&mut ChildStdout> {
        self.output.as_mut()
    }

    /// Both pipes, for good.
    pub(super) fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.input.take(), self.output.take())
    }

    /// Ends it, whatever it does.
    pub(super) fn stop(&mut self) {
        // Fails only if it is gone already.
        let _ = self.child.kill();
    }

    /// Closes its input, waits for its end, and hears what it has to say.
    pub(super) fn finish(mut self) -> Result<LayerReport, UnpackError> {
        drop(self.input.take());
        let status = self.child.wait().map_err(|source| UnpackError::Spawn { child: self.name, source })?;
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        verdict(self.name, status, &words, &self.limits)
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.output.take());
        self.stop();
        // Reaps it; killed, it ends at once.
        let _ = self.child.wait();
        if let Some(thread) = self.words.take() {
            let _ = thread.join();
        }
    }
}

/// Reads what a child says to the end, so that it cannot block, and keeps the beginning.
fn listen(mut from: ChildStderr) -> String {
    let mut words = vec![];
    let _ = from.by_ref().take(MAX_WORDS).read_to_end(&mut words);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&words).into_owned()
}

/// A pipe as large as an unprivileged user may have it: fewer changes between processes.
fn enlarge(pipe: &impl std::os::fd::AsRawFd) {
    const LARGEST: i32 = 1 << 20;
    // SAFETY: plain integers. A refusal leaves the pipe as it is.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, LARGEST) };
}

fn verdict(
    name: &'static str,
    status: ExitStatus,
    words: &str,
    limits: &UnpackLimits,
) -> Result<LayerReport, UnpackError> {
    let last = words.lines().last().unwrap_or_default();
    let said: Option<Said> = serde_json::from_str(last).ok();
    match (status.code(), said) {
        (Some(0), Some(Said::Done(report))) => return Ok(report),
        (Some(SAID_WHY), Some(Said::Refused(refusal))) => return Err(refusal.into()),
        (Some(SAID_WHY), Some(Said::Output(message))) => return Err(UnpackError::Output(message)),
        (Some(SAID_WHY), Some(Said::IdMap(message))) => return Err(UnpackError::IdMap(message)),
        (Some(SAID_WHY), Some(Said::Confine(message))) => return Err(UnpackError::Confine { child: name, message }),
        (Some(SAID_WHY), Some(Said::Input(message))) => {
            return Err(UnpackError::ChildFailed { child: name, status: SAID_WHY, message });
        }
        _ => {}
    }
    let memory = if name == DECOMPRESSOR { DECOMPRESSOR_BYTES } else { limits.memory_bytes };
    Err(match status.signal() {
        Some(libc::SIGSYS) => UnpackError::ChildForbidden { child: name },
        Some(libc::SIGXCPU) => UnpackError::ChildTime { child: name, limit: limits.cpu_seconds },
        Some(libc::SIGABRT) if words.contains("memory allocation of") => {
            UnpackError::ChildMemory { child: name, limit: memory }
        }
        Some(signal) => UnpackError::ChildKilled { child: name, signal },
        None => UnpackError::ChildFailed {
            child: name,
            status: status.code().unwrap_or(-1),
            message: last.chars().take(400).collect(),
        },
    })
}
