//! Artifacts and stashes on their way to the server: tried again while there is hope, and believed to be there when the server has said
//! what it has.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, stream};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Client, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use wire::agent::{Lease, LeaseToken};
use wire::artifact::{LEASE_TOKEN, Received, artifact, stash};

use super::AgentConfig;
use crate::below::{Below, inside};
use crate::failure::{Trouble, explain};
use crate::stash::reopened;

/// Files of one step on their way at once.
const AT_ONCE: usize = 4;
/// Sent at once, in bytes.
const PIECE: usize = 128 << 10;
/// The first pause before another try, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long the server may take nothing, and say nothing, before the connection is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(90);
/// How long a file is tried to be sent, or fetched, from the first failure on: a server that is started anew is back long before.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest answer that is read, in bytes.
pub(super) const MOST_ANSWER: usize = 64 << 10;

/// The server is spoken to by who knows it, not through a proxy for strangers, and wherever it sends us to, the key stays here.
fn http() -> Result<Client, reqwest::Error> {
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.connect_timeout(Duration::from_secs(20)).build()
}

/// Speaks to the agent's server.
#[derive(Clone, Debug)]
pub(crate) struct Uploader {
    pub(super) http: Client,
    pub(super) server: String,
    pub(super) key: String,
}

impl Uploader {
    pub(super) fn new(config: &AgentConfig) -> Result<Uploader, Trouble> {
        // Whoever has set one before has set the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = http().map_err(|error| Trouble::infrastructure(explain(&error)))?;
        Ok(Uploader { http, server: config.server.trim_end_matches('/').to_owned(), key: config.key.clone() })
    }

    /// For who has this lease.
    pub(super) fn of(&self, lease: Lease, token: LeaseToken) -> ServerFiles {
        ServerFiles { uploader: self.clone(), lease, token, patience: PATIENCE }
    }
}

/// Where the artifacts and stashes of a run go: the server that has leased it.
pub(crate) struct ServerFiles {
    pub(super) uploader: Uploader,
    pub(super) lease: Lease,
    pub(super) token: LeaseToken,
    pub(super) patience: Duration,
}

/// Why a file is not there.
pub(super) enum Failed {
    /// Another try may do.
    Passing(String),
    /// None will.
    For(Trouble),
}

/// Tries of one thing, with pauses that grow.
pub(super) struct Tries {
    since: Option<Instant>,
    pause: Duration,
}

impl Tries {
    /// None has failed yet.
    pub(super) fn new() -> Tries {
        Tries { since: None, pause: PAUSE.0 }
    }

    /// One has failed, which begins anew where it had brought something: waits for the next. `false`: there was enough of it.
    pub(super) async fn wait(&mut self, has_come_on: bool, most: Duration) -> bool {
        if has_come_on {
            *self = Tries::new();
        }
        // What has come far, and slowly, has its time still.
        if self.since.get_or_insert_with(Instant::now).elapsed() + self.pause > most {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE.1);
        true
    }
}

/// What was sent so far.
struct Sent {
    digest: Sha256,
    bytes: u64,
    at: Instant,
}

impl ServerFiles {
    /// Sends files of that folder, all of them.
    pub(crate) async fn send(&self, folder: &Below, paths: &[PathBuf]) -> Result<(), Trouble> {
        let mut under_way = FuturesUnordered::new();
        for path in paths {
            if under_way.len() == AT_ONCE {
                under_way.next().await.transpose()?;
            }
            under_way.push(self.send_one(folder, path));
        }
        while let Some(sent) = under_way.next().await {
            sent?;
        }
        Ok(())
    }

    async fn send_one(&self, folder: &Below, path: &Path) -> Result<(), Trouble> {
        let open = || folder.read(&inside(path).unwrap_or_default());
        let path = path.to_string_lossy();
        self.persist(&artifact(self.lease, &path), &format!("artifact {path}"), open).await.map(drop)
    }

    /// Sends a stash. Its digest.
    pub(crate) async fn send_stash(&self, name: &str, file: &File) -> Result<String, Trouble> {
        self.persist(&stash(self.lease, name), &format!("stash ‘{name}’"), || reopened(file)).await
    }

    /// Sends a file until it is there. Its digest.
    async fn persist(&self, to: &str, what: &str, open: impl Fn() -> io::Result<File>) -> Result<String, Trouble> {
        let mut tries = Tries::new();
        loop {
            let file = open().map_err(|error| Trouble::infrastructure(format!("{what}: {error}")))?;
            let reason = match self.try_one(file, to, what).await {
                Ok(sha256) => return Ok(sha256),
                Err(Failed::For(trouble)) => return Err(trouble),
                Err(Failed::Passing(reason)) => reason,
            };
            tracing::warn!(what, reason, "a file is sent again");
            if !tries.wait(false, self.patience).await {
                return Err(Trouble::infrastructure(format!("the server did not take {what}: {reason}")));
            }
        }
    }

    async fn try_one(&self, file: File, to: &str, what: &str) -> Result<String, Failed> {
        let bytes = file.metadata().map_err(|error| Failed::Passing(error.to_string()))?.len();
        let sent = Arc::new(Mutex::new(Sent { digest: Sha256::new(), bytes: 0, at: Instant::now() }));
        let Uploader { http, server, key } = &self.uploader;
        let request = http.put(format!("{server}{to}")).bearer_auth(key).header(LEASE_TOKEN, &self.token.0);
        let request = request.header(CONTENT_LENGTH, bytes).body(content(file, bytes, Arc::clone(&sent)));
        let answer = async {
            let response = request.send().await?;
            let (status, mut text) = (response.status(), Vec::new());
            let mut pieces = response.bytes_stream();
            while let Some(piece) = pieces.next().await.transpose()? {
                text.extend_from_slice(&piece);
                if text.len() > MOST_ANSWER {
                    break;
                }
            }
            Ok::<_, reqwest::Error>((status, text))
        };
        let (status, text) = tokio::select! {
            answer = answer => answer.map_err(|error| Failed::Passing(explain(&error.without_url())))?,
            () = stalled(&sent) => return Err(Failed::Passing("the server takes nothing and says nothing".to_owned())),
        };
        if status == StatusCode::CREATED {
            let received = serde_json::from_slice::<Received>(&text).ok();
            let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            let sha256 = sent.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let expected = Received { bytes: sent.bytes, sha256 };
            return match received.as_ref() == Some(&expected) && sent.bytes == bytes {
                true => Ok(expected.sha256),
                false => Err(Failed::Passing("something else has come there".to_owned())),
            };
        }
        Err(refused(status, &text, &format!("does not take {what}")))
    }
}

/// Resolves when nothing is sent for too long.
async fn stalled(sent: &Mutex<Sent>) {
    loop {
        let until = sent.lock().unwrap_or_else(PoisonError::into_inner).at + SILENCE;
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

/// What a server says of what it refuses.
pub(super) fn said(text: &[u8]) -> Option<String> {
    let said = serde_json::from_slice::<serde_json::Value>(text).ok()?;
    said["error"].as_str().map(str::to_owned)
}

/// `did`: what the server does not do, in words.
pub(super) fn refused(status: StatusCode, text: &[u8], did: &str) -> Failed {
    let reason = said(text).unwrap_or_else(|| "no reason is given".to_owned());
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS, StatusCode::TOO_EARLY];
    if status.is_server_error() || passing.contains(&status) {
        return Failed::Passing(format!("{status}: {reason}"));
    }
    let message = format!("the server {did}: {reason}");
    Failed::For(match status {
        StatusCode::PAYLOAD_TOO_LARGE => Trouble::policy(message),
        _ => Trouble::infrastructure(message),
    })
}

/// A file, piece by piece. One that has another length than it had ends in an error.
fn content(file: File, bytes: u64, sent: Arc<Mutex<Sent>>) -> Body {
    let file = tokio::fs::File::from_std(file).take(bytes);
    let pieces = stream::try_unfold((file, sent), |(mut file, sent)| async move {
        let mut piece = Vec::with_capacity(PIECE.min(usize::try_from(file.limit()).unwrap_or(PIECE)));
        if file.limit() == 0 {
            return Ok(None);
        }
        let read = file.read_buf(&mut piece).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        {
            let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.digest.update(&piece);
            sent.bytes += read as u64;
            sent.at = Instant::now();
        }
        Ok(Some((piece, (file, sent))))
    });
    Body::wrap_stream(pieces)
}

#[cfg(test)]
pub(super) mod tests {
    use model::ids::RunId;
    use model::request::FailureKind;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What a server does with one connection.
    #[derive(Clone, Copy)]
    enum Does {
        Takes,
        /// It closes after so many bytes of the request.
        Cuts(usize),
        Answers(&'static str, &'static str),
        /// It has got something else.
        Mistakes,
    }

    /// To that server.
    pub(in crate::remote) fn uploads(server: String) -> ServerFiles {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let uploader = Uploader { http: http().unwrap(), server, key: "cfk_1".into() };
        let (lease, token) = (Lease { run: RunId(7), epoch: 2 }, LeaseToken("cfl_2".into()));
        ServerFiles { uploader, lease, token, patience: Duration::from_secs(20) }
    }

    /// A server that does one thing after another; what it was asked, and what had come by then.
    async fn server(does: Vec<Does>) -> (ServerFiles, tokio::task::JoinHandle<Vec<(String, Vec<u8>)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uploads = uploads(format!("http://{}", listener.local_addr().unwrap()));
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for does in does {
                let (mut stream, _) = listener.accept().await.unwrap();
                asked.push(serve(&mut stream, does).await);
            }
            asked
        });
        (uploads, task)
    }

    async fn serve(stream: &mut tokio::net::TcpStream, does: Does) -> (String, Vec<u8>) {
        let mut all = Vec::new();
        let end = |all: &[u8]| all.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let most = if let Does::Cuts(most) = does { most } else { usize::MAX };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let head = end(&all).map(|head| (String::from_utf8_lossy(&all[..head]).to_lowercase(), head));
            let length = head.and_then(|(text, head)| {
                let length = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
                Some(head + length)
            });
            if length.is_some_and(|length| all.len() >= length) || all.len() >= most {
                break;
            }
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "it comes to its end");
            all.extend_from_slice(&buffer[..read]);
        }
        let head = end(&all).unwrap_or(all.len());
        let (text, body) = (String::from_utf8_lossy(&all[..head]).into_owned(), all[head..].to_vec());
        let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (status, answer) = match does {
            Does::Cuts(_) => return (text, body),
            Does::Takes => ("201 Created", received(body.len(), &digest(&body))),
            Does::Mistakes => ("201 Created", received(body.len(), &digest(b"else"))),
            Does::Answers(status, answer) => (status, answer.to_owned()),
        };
        let length = answer.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        (text, body)
    }

    fn received(bytes: usize, sha256: &str) -> String {
        serde_json::to_string(&Received { bytes: bytes as u64, sha256: sha256.to_owned() }).unwrap()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Below, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        let below = Below::open(dir.path()).unwrap();
        for (name, content) in files {
            below.replace(&inside(Path::new(name)).unwrap(), false, &mut content.as_slice()).unwrap();
        }
        (dir, below, files.iter().map(|(name, _)| PathBuf::from(name)).collect())
    }

    #[tokio::test]
    async fn what_breaks_is_sent_again() {
        let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (_dir, below, paths) = folder(&[("a b/c.bin", large.clone())]);
        let again = Does::Answers("503 Service Unavailable", "{\"error\":\"away\"}");
        let (uploads, server) =
            server(vec![Does::Cuts(0), Does::Cuts(1_000_000), again, Does::Mistakes, Does::Takes]).await;
        uploads.send(&below, &paths).await.map_err(|trouble| trouble.0).unwrap();
        let asked = server.await.unwrap();
        let (head, body) = asked.last().unwrap();
        assert!(head.starts_with("PUT /agent/v1/runs/7/artifacts/a%20b/c.bin?epoch=2 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("authorization: bearer cfk_1"), "{head}");
        assert!(head.to_lowercase().contains("cofferdam-lease: cfl_2"), "{head}");
        assert!(*body == large);
    }

    #[tokio::test]
    async fn nothing_is_a_file_too() {
        let (_dir, below, paths) = folder(&[("empty", Vec::new())]);
        let (uploads, server) = server(vec![Does::Takes]).await;
        uploads.send(&below, &paths).await.map_err(|trouble| trouble.0).unwrap();
        assert!(server.await.unwrap()[0].1.is_empty());
    }

    #[tokio::test]
    async fn what_is_refused_is_not_sent_again() {
        for (status, kind) in [
            ("403 Forbidden", FailureKind::Infrastructure),
            ("409 Conflict", FailureKind::Infrastructure),
            ("413 Payload Too Large", FailureKind::Policy),
            ("307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", FailureKind::Infrastructure),
        ] {
            let (_dir, below, paths) = folder(&[("a", b"x".to_vec())]);
            let (uploads, server) = server(vec![Does::Answers(status, "{\"error\":\"no, says it\"}")]).await;
            let failure = uploads.send(&below, &paths).await.unwrap_err().0;
            assert_eq!(failure.kind, kind, "{status}");
            assert_eq!(failure.message, "the server does not take artifact a: no, says it", "{status}");
            server.await.unwrap();
        }
    }

    #[tokio::test]
    async fn it_ends_some_time() {
        let (_dir, below, paths) = folder(&[("a", b"x".to_vec())]);
        let (uploads, server) = server(Vec::new()).await;
        server.await.unwrap();
        let uploads = ServerFiles { patience: Duration::from_millis(500), ..uploads };
        let failure = uploads.send(&below, &paths).await.unwrap_err().0;
        assert!(failure.message.starts_with("the server did not take artifact a: "), "{failure:?}");
    }
}
