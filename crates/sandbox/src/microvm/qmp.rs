//! What is said to the monitor itself: QEMU's machine protocol, JSON a line, over a socket that it was given.

use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

/// How long the monitor may take for one answer; a copy of a machine is written in a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// A longer line is none of the monitor's.
const MAX_LINE: u64 = 64 * 1024;

/// A conversation with a monitor.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

/// Memory is in a file of its own and is not written with the rest; the end of the writing is told.
fn capabilities() -> Value {
    let on = |name: &str| json!({"capability": name, "state": true});
    json!({"capabilities": [on("x-ignore-shared"), on("events")]})
}

/// Everything that is said to a monitor that is to go on where a saved machine stopped, at once: it answers when it gets there. The
/// state is its descriptor of that number.
pub(super) fn restore(stream: &mut UnixStream, state: usize) -> io::Result<()> {
    let words = [
        json!({"execute": "qmp_capabilities"}),
        json!({"execute": "migrate-set-capabilities", "arguments": capabilities()}),
        json!({"execute": "migrate-incoming", "arguments": {"uri": format!("fd:{state}")}}),
    ];
    let text: String = words.iter().map(|word| format!("{word}\n")).collect();
    stream.write_all(text.as_bytes())
}

impl Qmp {
    /// Greets.
    pub(super) fn start(stream: UnixStream) -> io::Result<Qmp> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut qmp = Qmp { stream: BufReader::new(stream) };
        qmp.line()?;
        qmp.command(&json!({"execute": "qmp_capabilities"}), None)?;
        Ok(qmp)
    }

    /// Writes the running machine to `state`; it does not run on afterwards.
    pub(super) fn save(&mut self, state: BorrowedFd<'_>) -> io::Result<()> {
        self.command(&json!({"execute": "migrate-set-capabilities", "arguments": capabilities()}), None)?;
        self.command(&json!({"execute": "getfd", "arguments": {"fdname": "state"}}), Some(state))?;
        self.command(&json!({"execute": "migrate", "arguments": {"uri": "fd:state"}}), None)?;
        loop {
            let word = self.line()?;
            if word["event"] == "MIGRATION" {
                match word["data"]["status"].as_str() {
                    Some("completed") => return Ok(()),
                    Some("failed") => return Err(io::Error::other("the monitor could not write the machine")),
                    _ => {}
                }
            }
        }
    }

    fn command(&mut self, command: &Value, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let text = format!("{command}\n");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<_> = descriptor.into_iter().collect();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let sent =
            sendmsg(self.stream.get_ref(), &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
        if sent != text.len() {
            return Err(io::Error::other("the monitor does not listen"));
        }
        loop {
            let word = self.line()?;
            if let Some(error) = word.get("error") {
                return Err(io::Error::other(format!("{}: {}", command["execute"], error["desc"])));
            }
            if word.get("return").is_some() {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        io::Read::take(&mut self.stream, MAX_LINE).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(io::Error::other("the monitor is gone"));
        }
        serde_json::from_slice(&line).map_err(io::Error::other)
    }
}
