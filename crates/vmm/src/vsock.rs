//! The way to a port of a guest. Both monitors speak it: a line, an answer in a line, and from there on the guest's own bytes.
//!
//! ```text
//!   CONNECT 1024\n ──▶        ◀── OK 1073741824\n          nobody listens: the connection is closed
//! ```
//!
//! Until the guest has found its device nobody answers at all, so an attempt ends with the deadline of all.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout_at};

use crate::socket;

/// `OK `, the largest number, end of the line.
const ANSWER_BYTES: usize = 14;
/// Between attempts: so late, at most, is noticed that a guest listens.
const PAUSE: Duration = Duration::from_millis(2);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum VsockError {
    /// Nobody listened there in time.
    #[error("nobody answered on port {port} of the guest in time")]
    Late {
        /// Which port.
        port: u32,
    },
    /// That is no monitor's word.
    #[error("the monitor answered {answer:?} to a connection to port {port} of the guest")]
    Answer {
        /// Which port.
        port: u32,
        /// The beginning of it.
        answer: String,
    },
    /// The kernel said no.
    #[error("cannot connect to {path}")]
    Socket {
        /// The monitor's socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Connects to `port` of the guest behind the monitor's socket at `path`; asks again until `patience` is over, because a monitor makes its
/// socket and a guest its port in its own time. The stream blocks.
pub async fn connect(path: &Path, port: u32, patience: Duration) -> Result<UnixStream, VsockError> {
    let until = Instant::now() + patience;
    let failed = |source| VsockError::Socket { path: path.to_owned(), source };
    loop {
        match timeout_at(until, attempt(path, port)).await {
            Ok(Ok(stream)) => {
                let stream = stream.into_std().map_err(failed)?;
                stream.set_nonblocking(false).map_err(failed)?;
                return Ok(stream);
            }
            Ok(Err(Attempt::Answer(answer))) => return Err(VsockError::Answer { port, answer }),
            Ok(Err(Attempt::Socket(error))) if !passes(&error) => return Err(failed(error)),
            Ok(Err(Attempt::Socket(_))) if Instant::now() < until => sleep(PAUSE).await,
            Ok(Err(Attempt::Socket(_))) | Err(_) => return Err(VsockError::Late { port }),
        }
    }
}

/// Whether it may be otherwise in a moment.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    socket::may_come(error) || matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof)
}

enum Attempt {
    Socket(io::Error),
    Answer(String),
}

impl From<io::Error> for Attempt {
    fn from(error: io::Error) -> Attempt {
        Attempt::Socket(error)
    }
}

async fn attempt(path: &Path, port: u32) -> Result<tokio::net::UnixStream, Attempt> {
    let mut stream = socket::connect(path).await?;
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    let mut answer = Answer::default();
    loop {
        // One by one: what comes after the line is not for us.
        let byte = stream.read_u8().await?;
        match answer.push(byte) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(stream),
            Err(()) => return Err(Attempt::Answer(answer.text())),
        }
    }
}

/// The answer, while it comes.
#[derive(Default)]
struct Answer(Vec<u8>);

impl Answer {
    /// The port on the host's side once the line is whole; `Err`: it is no answer.
    fn push(&mut self, byte: u8) -> Result<Option<u32>, ()> {
        if byte != b'\n' {
            self.0.push(byte);
            return if self.0.len() < ANSWER_BYTES { Ok(None) } else { Err(()) };
        }
        let digits = self.0.strip_prefix(b"OK ").filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let number = digits.and_then(|digits| str::from_utf8(digits).ok()).and_then(|digits| digits.parse().ok());
        number.map(Some).ok_or(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expect: Result<u32, &str>) {
        let mut line = Answer::default();
        let found = answer.bytes().find_map(|byte| line.push(byte).transpose());
        let found = found.expect("an answer that ends").map_err(|()| line.text());
        assert_eq!(found, expect.map_err(str::to_owned), "{answer:?}");
    }

    #[test]
    fn an_answer_is_a_word_and_a_number() {
        check("OK 1073741824\n", Ok(1 << 30));
        check("OK 4294967295\nrest", Ok(u32::MAX));
        check("OK 4294967296\n", Err("OK 4294967296"));
        check("OK 42949672950\n", Err("OK 42949672950"));
        check("OK +1\n", Err("OK +1"));
        check("OK \n", Err("OK "));
        check("OK\n", Err("OK"));
        check("\n", Err(""));
        check("HTTP/1.1 400 \r\n", Err("HTTP/1.1 400 \r"));
        check(&"x".repeat(100), Err(&"x".repeat(ANSWER_BYTES)));
    }
}
