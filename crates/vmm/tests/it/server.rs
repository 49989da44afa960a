//! A server in place of a monitor: it has no machine, but grants only what the monitor would grant, and remembers what it heard.
//!
//! Tests of the `sandbox` crate put a guest behind it.

use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

use crate::facts::{Call, Facts};

/// What was heard, and what of it was wrong.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub granted: Vec<String>,
    pub faults: Vec<String>,
    pub state: String,
    pub descriptors: usize,
}

/// What is done for a call that is granted; an error refuses it all the same.
pub type Does = Box<dyn Fn(&str, Option<&Value>) -> Result<(), String> + Send>;

pub struct Server {
    facts: Facts,
    log: Arc<Mutex<Log>>,
    does: Does,
}

struct Heard {
    method: String,
    path: String,
    body: Option<Value>,
    descriptors: usize,
}

impl Server {
    /// For a new process.
    pub fn new(facts: &Facts, does: Does) -> Server {
        let log = Log { state: facts.start.clone(), ..Log::default() };
        Server { facts: facts.clone(), log: Arc::new(Mutex::new(log)), does }
    }

    pub fn log(&self) -> Arc<Mutex<Log>> {
        Arc::clone(&self.log)
    }

    /// Until its client is gone, or the machine's process would be.
    pub fn serve(&self, mut stream: UnixStream) {
        let mut bytes = Vec::new();
        let mut descriptors = 0;
        loop {
            match parse(&bytes) {
                Ok(Some((heard, used))) => {
                    bytes.drain(..used);
                    let answer = self.answer(Heard { descriptors, ..heard });
                    descriptors = 0;
                    if stream.write_all(answer.as_bytes()).is_err()
                        || self.log.lock().expect("a log").state == self.facts.end
                    {
                        return;
                    }
                }
                Ok(None) => match receive(&stream, &mut bytes) {
                    Some(count) => descriptors += count,
                    None => return,
                },
                Err(what) => {
                    self.log.lock().expect("a log").faults.push(what);
                    return;
                }
            }
        }
    }

    fn answer(&self, heard: Heard) -> String {
        let mut log = self.log.lock().expect("a log");
        log.descriptors += heard.descriptors;
        match self.grant(&heard, &log) {
            Ok((call, state)) => {
                log.granted.push(call.call.clone());
                log.state = state;
                match &call.says {
                    Some(value) => with_body("200", value),
                    None => "HTTP/1.1 204 \r\nServer: stand-in\r\nConnection: keep-alive\r\n\r\n".into(),
                }
            }
            Err(what) => {
                log.faults.push(format!("{} {}: {what}", heard.method, heard.path));
                match self.facts.faults.as_str() {
                    "list" => with_body("500", &json!(["stand-in", what])),
                    name => with_body("400", &json!({ name: what })),
                }
            }
        }
    }

    /// The call and the state after it.
    fn grant(&self, heard: &Heard, log: &Log) -> Result<(&Call, String), String> {
        let call = self.facts.find(&heard.method, &heard.path)?;
        self.facts.check(call, &heard.path, heard.body.as_ref())?;
        let expected = call.descriptors(heard.body.as_ref());
        if heard.descriptors != expected {
            return Err(format!("{} descriptors, and not {expected}", heard.descriptors));
        }
        if !call.states.split(' ').any(|state| state == log.state) {
            return Err(format!("not while it is {}", log.state));
        }
        if let Some(before) = call.after.as_ref().filter(|before| !log.granted.contains(before)) {
            return Err(format!("not before {before}"));
        }
        let state = match &call.becomes {
            None => log.state.clone(),
            Some(Value::String(state)) => state.clone(),
            Some(by_field) => {
                let (field, states) = by_field.as_object().and_then(|fields| fields.iter().next()).expect("a field");
                let value = heard.body.as_ref().and_then(|body| body[field].as_str()).expect("a checked field");
                states[value].as_str().expect("a state").to_owned()
            }
        };
        (self.does)(&call.call, heard.body.as_ref())?;
        Ok((call, state))
    }
}

fn with_body(status: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} \r\nServer: stand-in\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A request and how many bytes it had; `None`: more has to come.
fn parse(bytes: &[u8]) -> Result<Option<(Heard, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(bytes).map_err(|error| error.to_string())?;
    let httparse::Status::Complete(head) = status else { return Ok(None) };
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let length: usize = header("content-length").map_or(Ok(0), |text| text.parse()).map_err(|_| "a length")?;
    if length > 51_200 {
        return Err("too long".into());
    }
    let Some(body) = bytes[head..].get(..length) else { return Ok(None) };
    if length > 0 && header("content-type").as_deref() != Some("application/json") {
        return Err("content that is not said to be JSON".into());
    }
    let body = (length > 0).then(|| serde_json::from_slice(body)).transpose().map_err(|error| error.to_string())?;
    let (method, path) = (request.method.unwrap_or_default().to_owned(), request.path.unwrap_or_default().to_owned());
    Ok(Some((Heard { method, path, body, descriptors: 0 }, head + length)))
}

/// More bytes, and how many descriptors came with them; `None`: no more come.
fn receive(stream: &UnixStream, bytes: &mut Vec<u8>) -> Option<usize> {
    // As little at once as the server of the monitors takes.
    let mut buffer = [0; 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut buffer)], &mut beside, RecvFlags::CMSG_CLOEXEC).ok()?;
    let came = beside.drain().map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.count(),
        _ => 0,
    });
    let came = came.sum();
    bytes.extend_from_slice(&buffer[..received.bytes]);
    (received.bytes > 0).then_some(came)
}
