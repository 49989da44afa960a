//! The conversation with a monitor: HTTP/1.1 with JSON, over its unix socket, one request after the other.
//!
//! As much of HTTP as `micro_http`, the server in both monitors, speaks; anything else is an error. What comes back is hostile
//! input: bounded, and shown to nobody as it came.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::monitor::Request;
use crate::socket;

/// The first lines of an answer: its server writes less than 200.
const HEAD_BYTES: usize = 4 * 1024;
/// The rest of it. What is asked for here has less than 1 KiB.
const BODY_BYTES: usize = 64 * 1024;
/// Of a monitor's own words.
const FAULT_CHARS: usize = 1000;
/// Its server's limit for a request.
const REQUEST_BYTES: usize = 50 * 1024;
/// Between attempts to connect.
const PAUSE: Duration = Duration::from_millis(1);
const HEADERS: usize = 16;

/// Why a monitor did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It has no socket, or nobody listens there.
    #[error("cannot connect to the monitor at {path}")]
    Connect {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, most likely with the monitor.
    #[error("the monitor is gone: {call}")]
    Gone {
        /// What it was asked.
        call: String,
        /// Why.
        source: io::Error,
    },
    /// No answer in time.
    #[error("the monitor did not answer in time: {call}")]
    Late {
        /// What it was asked.
        call: String,
    },
    /// Its server would close the connection.
    #[error("a request of {bytes} bytes: {call}")]
    TooLong {
        /// What it should have been asked.
        call: String,
        /// How much.
        bytes: usize,
    },
    /// The request wants a descriptor that is not there, or the other way round.
    #[error("{call} goes with a descriptor where it says so, and only there")]
    Descriptor {
        /// What it should have been asked.
        call: String,
    },
    /// It said no.
    #[error("{call}: {status}: {fault}")]
    Refused {
        /// What it was asked.
        call: String,
        /// HTTP's word for it.
        status: u16,
        /// Its own.
        fault: String,
    },
    /// It does not speak HTTP as expected.
    #[error("the answer to {call} is none: {what}")]
    Answer {
        /// What it was asked.
        call: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// A connection to a monitor. After an error it is of no use.
#[derive(Debug)]
pub struct Api {
    stream: UnixStream,
}

impl Api {
    /// Connects, as soon as the monitor has made its socket.
    pub async fn connect(path: &Path, patience: Duration) -> Result<Api, HttpError> {
        let until = Instant::now() + patience;
        loop {
            match socket::connect(path).await {
                Ok(stream) => return Ok(Api { stream }),
                Err(error) if socket::may_come(&error) && Instant::now() < until => sleep(PAUSE).await,
                Err(source) => return Err(HttpError::Connect { path: path.to_owned(), source }),
            }
        }
    }

    /// Asks for all of them, in their order, each with `patience`; `tap` goes along with those that [say so](Request::tap).
    pub async fn ask_all(
        &mut self,
        requests: &[Request],
        tap: Option<BorrowedFd<'_>>,
        patience: Duration,
    ) -> Result<(), HttpError> {
        for request in requests {
            self.ask(request, tap.filter(|_| request.tap), patience).await?;
        }
        Ok(())
    }

    /// The answer's content; `None`: done, and there is nothing to say.
    pub async fn ask(
        &mut self,
        request: &Request,
        tap: Option<BorrowedFd<'_>>,
        patience: Duration,
    ) -> Result<Option<Value>, HttpError> {
        let call = format!("{} {}", request.method.word(), request.path);
        if request.tap != tap.is_some() {
            return Err(HttpError::Descriptor { call });
        }
        let bytes = encode(request);
        if bytes.len() > REQUEST_BYTES {
            return Err(HttpError::TooLong { call, bytes: bytes.len() });
        }
        let conversation = async {
            self.send(&bytes, tap).await.map_err(Trouble::Socket)?;
            self.receive().await
        };
        match timeout_at(Instant::now() + patience, conversation).await {
            Err(_) => Err(HttpError::Late { call }),
            Ok(Err(Trouble::Socket(source))) => Err(HttpError::Gone { call, source }),
            Ok(Err(Trouble::Answer(what))) => Err(HttpError::Answer { call, what }),
            Ok(Ok(answer)) if answer.status < 300 => {
                answer.value().map_err(|_| HttpError::Answer { call, what: "its content is no JSON" })
            }
            Ok(Ok(answer)) => Err(HttpError::Refused { call, status: answer.status, fault: answer.fault() }),
        }
    }

    /// The descriptor goes with the first bytes: it belongs to the request that they begin.
    async fn send(&mut self, bytes: &[u8], tap: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let Some(tap) = tap else { return self.stream.write_all(bytes).await };
        let sent = self.stream.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !beside.push(SendAncillaryMessage::ScmRights(from_ref(&tap))) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Ok(sendmsg(self.stream.as_fd(), &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?)
        });
        let sent = sent.await?;
        self.stream.write_all(&bytes[sent..]).await
    }

    async fn receive(&mut self) -> Result<Answer, Trouble> {
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = Answer::parse(&bytes).map_err(Trouble::Answer)? {
                return Ok(answer);
            }
            if self.stream.read_buf(&mut bytes).await.map_err(Trouble::Socket)? == 0 {
                return Err(Trouble::Socket(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

enum Trouble {
    Socket(io::Error),
    Answer(&'static str),
}

fn encode(request: &Request) -> Vec<u8> {
    let body = request.body.as_ref().map(Value::to_string);
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n",
        request.method.word(),
        request.path
    );
    if let Some(body) = &body {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.as_deref().unwrap_or_default();
    text.into_bytes()
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// `None`: more has to come.
    fn parse(bytes: &[u8]) -> Result<Option<Answer>, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let head_bytes = match head.parse(bytes).map_err(|_| "it is not HTTP")? {
            httparse::Status::Complete(count) => count,
            httparse::Status::Partial if bytes.len() > HEAD_BYTES => return Err("its head does not end"),
            httparse::Status::Partial => return Ok(None),
        };
        let status = head.code.unwrap_or_default();
        if head_bytes > HEAD_BYTES {
            return Err("its head is too long");
        }
        if status < 200 {
            return Err("it is a half one, which nobody asked for");
        }
        let length = length(head.headers)?;
        let body = &bytes[head_bytes..];
        if length > BODY_BYTES {
            return Err("its content is too long");
        }
        if body.len() > length {
            return Err("there is more of it than it says");
        }
        let whole = body.len() == length;
        Ok(whole.then(|| Answer { status, body: body.to_vec() }))
    }

    fn value(&self) -> serde_json::Result<Option<Value>> {
        if self.body.is_empty() { Ok(None) } else { serde_json::from_slice(&self.body).map(Some) }
    }

    /// Firecracker: `{"fault_message": "…"}`. Cloud Hypervisor: a list, each thing caused by the next.
    fn fault(&self) -> String {
        let said = match serde_json::from_slice(&self.body) {
            Ok(Value::Array(chain)) => chain.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(": "),
            Ok(Value::Object(fields)) => {
                fields.get("fault_message").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let plain: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(FAULT_CHARS).collect();
        if plain.trim().is_empty() { "it does not say why".into() } else { plain }
    }
}

/// How long the content is; `micro_http` says nothing where there is none.
fn length(headers: &[httparse::Header<'_>]) -> Result<usize, &'static str> {
    let mut found = None;
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("it comes in pieces");
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = str::from_utf8(header.value).ok().filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok()).ok_or("its length is no number")?;
            if found.replace(length).is_some() {
                return Err("it has two lengths");
            }
        }
    }
    Ok(found.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Method;

    fn check(answer: &str, expect: Result<Option<(u16, &str)>, &str>) {
        let found = Answer::parse(answer.as_bytes());
        let expect = expect.map(|answer| answer.map(|(status, body)| Answer { status, body: body.into() }));
        assert_eq!(found, expect, "{answer:?}");
    }

    #[test]
    fn answers_are_bounded_and_whole() {
        check("HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n", Ok(Some((204, ""))));
        check("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}", Ok(Some((200, "{}"))));
        check("HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n{}", Ok(None));
        check("HTTP/1.1 200 \r\nContent-Le", Ok(None));
        check("HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\n{}", Err("there is more of it than it says"));
        check("HTTP/1.1 200 \r\nContent-Length: +1\r\n\r\n", Err("its length is no number"));
        check("HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n{", Err("it has two lengths"));
        check("HTTP/1.1 200 \r\nContent-Length: 99999999\r\n\r\n", Err("its content is too long"));
        check("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", Err("it comes in pieces"));
        check("HTTP/1.1 100 \r\n\r\n", Err("it is a half one, which nobody asked for"));
        check(&format!("HTTP/1.1 200 \r\nX: {}", "x".repeat(HEAD_BYTES)), Err("its head does not end"));
        check("OK 1\n", Err("it is not HTTP"));
    }

    #[test]
    fn a_refusal_carries_the_words_of_the_monitor() {
        let fault = |body: &str| Answer { status: 400, body: body.into() }.fault();
        assert_eq!(fault(r#"{"fault_message":"no\nkernel"}"#), "no kernel");
        assert_eq!(fault(r#"["cannot boot","no kernel"]"#), "cannot boot: no kernel");
        assert_eq!(fault("no"), "no");
        assert_eq!(fault("{}"), "it does not say why");
        assert_eq!(fault(&format!("{:?}", "é".repeat(5000))).chars().count(), FAULT_CHARS);
    }

    #[test]
    fn a_request_without_content_has_no_length() {
        let text = String::from_utf8(encode(&Request::bare(Method::Put, "/x"))).unwrap();
        assert_eq!(text, "PUT /x HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
        let text = String::from_utf8(encode(&Request::new(Method::Put, "/x", [1]))).unwrap();
        assert!(text.ends_with("Content-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]"), "{text}");
    }
}
