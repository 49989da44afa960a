//! Layers: streamed, resumed where a connection ends early, handed to a thread that reads them as a file.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;

use super::http::{Get, reason};
use super::manifest::{in_words, is_transient};
use super::{Endpoint, Registry};
use crate::ImageError;
use crate::manifest::Descriptor;

/// Slower than this over two idle timeouts is a stall with good manners.
const MIN_BYTES_PER_SECOND: u64 = 1024;
/// One more failure is forgiven per so many bytes that arrived, so that a huge layer survives a bad line, while a
/// registry that sends a byte per connection does not keep us for ever.
const BYTES_PER_FORGIVEN_FAILURE: u64 = 16 * 1024 * 1024;
/// Chunks between the network and the converter.
const CHANNEL_CHUNKS: usize = 64;

/// What goes from the download to the reader: data, or the end. A channel that closes without the end was cancelled.
pub(crate) enum Piece {
    Data(Bytes),
    End,
}

/// The reader's end: blocks its thread until bytes come.
pub(crate) struct BlobReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

/// A pipe from [`Registry::download`] to a thread.
pub(crate) fn blob_channel() -> (mpsc::Sender<Piece>, BlobReader) {
    let (sender, pieces) = mpsc::channel(CHANNEL_CHUNKS);
    (sender, BlobReader { pieces, current: Bytes::new(), ended: false })
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the download was given up")),
            }
        }
        let count = out.len().min(self.current.len());
        out[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// One blob on its way.
struct Download<'a> {
    registry: &'a Registry,
    repository: &'a str,
    blob: Descriptor,
    sink: &'a mpsc::Sender<Piece>,
    received: u64,
    on_bytes: &'a (dyn Fn(u64) + Sync),
}

/// How one request ended.
enum Ended {
    Complete,
    /// Nobody reads any more; the reader knows why.
    ReaderGone,
    /// May be tried again.
    Broken(ImageError),
    Fatal(ImageError),
}

/// Where to look for a blob.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) repository: &'a str,
    pub(crate) endpoints: &'a [Endpoint],
    /// Asked first.
    pub(crate) first: usize,
}

impl Registry {
    /// Streams `blob` into `sink`, resuming and changing hosts as needed. The reader checks the digest. `on_bytes` hears
    /// how many bytes have arrived, `on_retry` why it starts again. Ends well, too, when the reader is gone. Returns the host that
    /// sent the last of it.
    pub(crate) async fn download<'s>(
        &self,
        source: Source<'s>,
        blob: Descriptor,
        sink: mpsc::Sender<Piece>,
        on_bytes: &(dyn Fn(u64) + Sync),
        on_retry: &(dyn Fn(String) + Sync),
    ) -> Result<&'s str, ImageError> {
        let mut download =
            Download { registry: self, repository: source.repository, blob, sink: &sink, received: 0, on_bytes };
        let mut failures = 0;
        let mut at = source.first;
        loop {
            let endpoint = &source.endpoints[at % source.endpoints.len()];
            let (error, fatal) = match download.attempt(endpoint).await {
                Ended::Complete | Ended::ReaderGone => return Ok(&endpoint.host),
                Ended::Broken(error) => (error, false),
                Ended::Fatal(error) => (error, true),
            };
            failures += 1;
            let others = source.endpoints.len() as u32 - 1;
            let forgiven = u32::try_from(download.received / BYTES_PER_FORGIVEN_FAILURE).unwrap_or(u32::MAX);
            let allowed = self.options.retries.saturating_add(forgiven).saturating_add(others);
            if (fatal && failures > others) || failures > allowed {
                return Err(download.give_up(endpoint, failures, fatal, error));
            }
            on_retry(in_words(&error));
            if fatal {
                at += 1;
                continue;
            }
            // Another host first, where there is one; it may have the rest.
            at += usize::from(others > 0 && failures % 2 == 0);
            tokio::time::sleep(self.pause(failures.saturating_sub(forgiven).max(1))).await;
        }
    }
}

impl Download<'_> {
    fn what(&self, endpoint: &Endpoint) -> String {
        format!("{} of {} from {}", self.blob.digest, self.repository, endpoint.host)
    }

    fn give_up(&self, endpoint: &Endpoint, attempts: u32, fatal: bool, error: ImageError) -> ImageError {
        if fatal {
            return error;
        }
        ImageError::Interrupted {
            what: self.what(endpoint),
            received: self.received,
            expected: self.blob.size,
            attempts,
            reason: in_words(&error),
        }
    }

    async fn attempt(&mut self, endpoint: &Endpoint) -> Ended {
        let path = format!("blobs/{}", self.blob.digest);
        let offset = self.received;
        let get = Get { endpoint, repository: self.repository, path: &path, accept: "*/*", offset };
        let response = match self.registry.get(&get).await {
            Ok(response) => response,
            Err(error @ ImageError::Unreachable { .. }) => return Ended::Broken(error),
            Err(ImageError::Status { status, message, url }) if is_transient(status) => {
                return Ended::Broken(ImageError::Status { status, message, url });
            }
            // It has no byte there where it should have more: the blob is shorter than promised.
            Err(ImageError::Status { status: 416, .. }) => {
                let what = self.what(endpoint);
                return Ended::Fatal(ImageError::SizeMismatch { what, expected: self.blob.size, got: offset });
            }
            Err(error) => return Ended::Fatal(error),
        };
        match self.skip_of(&response, endpoint, &get.url()) {
            Ok(skip) => self.receive(response, skip, endpoint, &get.url()).await,
            Err(error) => Ended::Fatal(error),
        }
    }

    /// How many bytes at the beginning of the answer we have already, if it is an answer to our question.
    fn skip_of(&self, response: &Response, endpoint: &Endpoint, url: &str) -> Result<u64, ImageError> {
        let text =
            |name| response.headers().get(name).and_then(|value: &reqwest::header::HeaderValue| value.to_str().ok());
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        if partial {
            let range = text(CONTENT_RANGE).unwrap_or_default();
            if parse_range(range) != Some((self.received, self.blob.size)) {
                return Err(ImageError::Protocol {
                    url: url.to_owned(),
                    reason: format!(
                        "asked for bytes from {} of {}, it sent the range `{}`",
                        self.received,
                        self.blob.size,
                        range.chars().take(80).collect::<String>().escape_debug()
                    ),
                });
            }
        }
        let skip = if partial { 0 } else { self.received };
        let left = self.blob.size - self.received + skip;
        match text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length != left => Err(ImageError::SizeMismatch {
                what: self.what(endpoint),
                expected: self.blob.size,
                got: self.received - skip + length,
            }),
            _ => Ok(skip),
        }
    }

    async fn receive(&mut self, mut response: Response, mut skip: u64, endpoint: &Endpoint, url: &str) -> Ended {
        let mut speed = Speed::new(self.registry.options.idle_timeout * 2);
        loop {
            let begun = Instant::now();
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) if self.received == self.blob.size => return self.finish().await,
                Ok(None) => return Ended::Broken(broken(url, "the connection ended early")),
                Err(error) => return Ended::Broken(broken(url, &reason(&error))),
            };
            if speed.is_too_slow(begun.elapsed(), chunk.len()) {
                return Ended::Broken(broken(url, "it sends less than 1 KiB/s"));
            }
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            let chunk = chunk.slice(known as usize..);
            if chunk.is_empty() {
                continue;
            }
            if self.received + chunk.len() as u64 > self.blob.size {
                let got = self.received + chunk.len() as u64;
                let what = self.what(endpoint);
                return Ended::Fatal(ImageError::SizeMismatch { what, expected: self.blob.size, got });
            }
            self.received += chunk.len() as u64;
            if self.sink.send(Piece::Data(chunk)).await.is_err() {
                return Ended::ReaderGone;
            }
            (self.on_bytes)(self.received);
        }
    }

    async fn finish(&self) -> Ended {
        match self.sink.send(Piece::End).await {
            Ok(()) => Ended::Complete,
            Err(_) => Ended::ReaderGone,
        }
    }
}

fn broken(url: &str, reason: &str) -> ImageError {
    ImageError::Unreachable { url: url.to_owned(), reason: reason.to_owned() }
}

/// Start and total of `bytes 5-9/10`.
fn parse_range(header: &str) -> Option<(u64, u64)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

/// Bytes per time spent waiting for them; the time that our own converter takes does not count.
struct Speed {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Speed {
    fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    fn is_too_slow(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return false;
        }
        let least = MIN_BYTES_PER_SECOND as f64 * self.waited.as_secs_f64();
        let slow = (self.bytes as f64) < least;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((5, 10)));
        for bad in ["", "bytes */10", "bytes 5-9/*", "items 5-9/10", "bytes 5/10"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trickle_is_too_slow() {
        let mut speed = Speed::new(Duration::from_secs(10));
        assert!(!speed.is_too_slow(Duration::from_secs(9), 1));
        assert!(speed.is_too_slow(Duration::from_secs(2), 1));
        assert!(!speed.is_too_slow(Duration::from_secs(11), 20_000));
    }

    #[test]
    fn a_reader_knows_the_end_from_a_breach() {
        let (sender, mut reader) = blob_channel();
        sender.blocking_send(Piece::Data(Bytes::from_static(b"abc"))).unwrap();
        sender.blocking_send(Piece::End).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");

        let (sender, mut reader) = blob_channel();
        sender.blocking_send(Piece::Data(Bytes::from_static(b"abc"))).unwrap();
        drop(sender);
        assert!(reader.read_to_string(&mut text).is_err());
    }
}
