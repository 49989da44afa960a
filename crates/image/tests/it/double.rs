//! A registry of our own that can be told to misbehave. One thread per connection, one request per connection.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::images::TestImage;

/// What a client asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Request {
    /// First byte wanted.
    pub fn offset(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }
}

/// What the registry answers.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body after which the connection is closed.
    pub cut_after: Option<usize>,
    /// Bytes of the body after which nothing more comes, while the connection stays open.
    pub stall_after: Option<usize>,
}

impl Reply {
    pub fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Files = HashMap<String, (String, Vec<u8>)>;
type Mischief = dyn Fn(&Request, Reply) -> Reply + Send + Sync;

struct Shared {
    files: Mutex<Files>,
    mischief: Box<Mischief>,
    seen: Mutex<Vec<Request>>,
    arrived: Condvar,
    over: AtomicBool,
}

/// The registry. Stops when dropped.
pub struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Double {
    /// An honest one.
    pub fn new() -> Self {
        Self::with(|_, reply| reply)
    }

    /// One whose answers pass through `mischief`.
    pub fn with(mischief: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            files: Mutex::default(),
            mischief: Box::new(mischief),
            seen: Mutex::default(),
            arrived: Condvar::new(),
            over: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if server.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let server = Arc::clone(&server);
                std::thread::spawn(move || {
                    let _ = serve(connection, &server);
                });
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `127.0.0.1:PORT/name`.
    pub fn name(&self, name: &str) -> image::Reference {
        format!("{}/{name}", self.host()).parse().unwrap()
    }

    /// Offers a file at a path.
    pub fn put(&self, path: &str, content_type: &str, bytes: impl Into<Vec<u8>>) {
        self.shared.files.lock().unwrap().insert(path.to_owned(), (content_type.to_owned(), bytes.into()));
    }

    /// Offers an image under `repository:tag`.
    pub fn offer(&self, repository: &str, tag: &str, image: &TestImage) {
        let manifest = image.manifest();
        for name in [tag.to_owned(), image.digest().to_string()] {
            self.put(&format!("/v2/{repository}/manifests/{name}"), image.media_type(), manifest.clone());
        }
        self.put(
            &format!("/v2/{repository}/blobs/{}", image.config_digest()),
            "application/octet-stream",
            image.config(),
        );
        for layer in &image.layers {
            self.put(
                &format!("/v2/{repository}/blobs/{}", layer.digest()),
                "application/octet-stream",
                layer.blob.clone(),
            );
        }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests had `part` in their path.
    pub fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|request| request.path.contains(part)).count()
    }

    /// Waits until `condition` holds for the requests so far.
    pub fn wait(&self, condition: impl Fn(&[Request]) -> bool) {
        let seen = self.shared.seen.lock().unwrap();
        let (_seen, late) =
            self.shared.arrived.wait_timeout_while(seen, Duration::from_secs(60), |seen| !condition(seen)).unwrap();
        assert!(!late.timed_out(), "the request did not come");
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(connection: TcpStream, server: &Shared) -> std::io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    let honest = answer(&request, &server.files.lock().unwrap());
    let reply = (server.mischief)(&request, honest);
    server.seen.lock().unwrap().push(request);
    server.arrived.notify_all();
    write_reply(&connection, &reply, server)
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_u64);
    reader.take(length).read_to_string(&mut request.body)?;
    Ok(Some(request))
}

fn answer(request: &Request, files: &Files) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let Some((content_type, bytes)) = files.get(path) else {
        let code = if request.is_blob() { "BLOB_UNKNOWN" } else { "MANIFEST_UNKNOWN" };
        return Reply::of(404, format!(r#"{{"errors":[{{"code":"{code}","message":"{code}"}}]}}"#));
    };
    match request.offset() {
        Some(offset) if offset >= bytes.len() => Reply::of(416, ""),
        Some(offset) => Reply::of(206, &bytes[offset..])
            .with("Content-Type", content_type)
            .with("Content-Range", format!("bytes {offset}-{}/{}", bytes.len() - 1, bytes.len())),
        None => Reply::of(200, bytes.clone()).with("Content-Type", content_type),
    }
}

fn write_reply(mut connection: &TcpStream, reply: &Reply, server: &Shared) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    let named = |name: &str| reply.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !named("Content-Length") && !named("Transfer-Encoding") {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    connection.write_all(head.as_bytes())?;
    let end = reply.cut_after.or(reply.stall_after).unwrap_or(reply.body.len()).min(reply.body.len());
    connection.write_all(&reply.body[..end])?;
    connection.flush()?;
    if reply.stall_after.is_some() {
        // Until the client goes away, or the test is over.
        connection.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut byte = [0];
        while !server.over.load(Ordering::SeqCst) {
            match connection.read(&mut byte) {
                Ok(0) => break,
                Err(error)
                    if !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
                {
                    break;
                }
                _ => {}
            }
        }
    }
    connection.shutdown(std::net::Shutdown::Both)
}
