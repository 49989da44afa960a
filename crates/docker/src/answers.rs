//! A socket that answers as an engine would, for what no engine here can be made to say.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Endpoint;

/// Answers until the test ends.
pub(crate) struct Answers {
    folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    /// `answer`: status and JSON for a call (method, path without the version), heard for the `nth` time.
    pub(crate) fn start(answer: impl Fn(&str, usize) -> (u16, String) + Send + Sync + 'static) -> Answers {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answer) = (Arc::clone(&heard), Arc::new(answer));
        std::thread::spawn(move || {
            let counts: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, answer, counts) = (Arc::clone(&log), Arc::clone(&answer), Arc::clone(&counts));
                std::thread::spawn(move || {
                    converse(&stream, |call| {
                        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                        let nth = counts.entry(call.to_owned()).or_default();
                        *nth += 1;
                        log.lock().unwrap_or_else(PoisonError::into_inner).push(call.to_owned());
                        answer(call, *nth)
                    })
                });
            }
        });
        Answers { folder, heard }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.folder.path().join("socket"))
    }

    /// All calls so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What every engine is asked, of one whose containers have this filter.
pub(crate) fn info(call: &str, profile: &str) -> (u16, String) {
    match call {
        "GET /version" => (200, r#"{"ApiVersion":"1.45","Version":"26.0"}"#.into()),
        "GET /info" => (200, format!(r#"{{"Name":"elsewhere","SecurityOptions":["name=seccomp,profile={profile}"]}}"#)),
        _ => (404, r#"{"message":"not here"}"#.into()),
    }
}

fn converse(stream: &UnixStream, answer: impl Fn(&str) -> (u16, String)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        let path = path.split('?').next()?;
        // Behind the version of the API, where there is one.
        let plain = path.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
        let call = format!("{method} {plain}");
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':')?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let (status, body) = answer(&call);
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        (&mut &*stream).write_all(format!("{head}{body}").as_bytes()).ok()?;
    }
}
