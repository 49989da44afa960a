//! Between a stream of an engine, on which output and errors of a container are mixed, and the socket that a caller gets.

use std::sync::{Arc, Mutex, PoisonError};

use bollard::container::{AttachContainerResults, LogOutput};
use futures_util::StreamExt as _;
use sandbox::DriverError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::engine::{Engine, failed};

const CHUNK: usize = 64 * 1024;
/// Of what process 1 writes to its standard error, the last bytes are kept.
const LAST_WORDS: usize = 1024;

/// What a container says to nobody: why init did not start.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    fn add(&self, text: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(text);
        let surplus = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..surplus);
    }

    /// The last line.
    pub(crate) fn line(&self) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept).into_owned();
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(last.chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

/// The stream to a container that is or will be running, after `first` was sent on it.
pub(crate) async fn attach(
    engine: &Engine,
    container: &str,
    first: &[u8],
) -> Result<AttachContainerResults, DriverError> {
    let failed = || failed(format!("attach to container {container}"));
    let options = bollard::query_parameters::AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .build();
    let mut attached = engine.client.attach_container(container, Some(options)).await.map_err(failed())?;
    let sent = async {
        attached.input.write_all(first).await?;
        attached.input.flush().await
    };
    sent.await.map_err(|error| failed()(error.into()))?;
    Ok(attached)
}

/// Copies both ways until both are at their end; the receiver is told when the caller has closed its end.
pub(crate) fn carry(attached: AttachContainerResults, ours: UnixStream) -> (LastWords, watch::Receiver<bool>) {
    let words = LastWords::default();
    let (closed, closed_later) = watch::channel(false);
    let AttachContainerResults { mut output, mut input } = attached;
    let (mut from_caller, mut to_caller) = ours.into_split();
    tokio::spawn(async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
            if input.write_all(&buffer[..count]).await.is_err() || input.flush().await.is_err() {
                break;
            }
        }
        // Only our half: what init says last is still to come.
        let _ = input.shutdown().await;
        closed.send_replace(true);
    });
    let kept = words.clone();
    tokio::spawn(async move {
        while let Some(Ok(piece)) = output.next().await {
            match piece {
                LogOutput::StdOut { message } => {
                    if to_caller.write_all(&message).await.is_err() {
                        break;
                    }
                }
                LogOutput::StdErr { message } => kept.add(&message),
                LogOutput::StdIn { .. } | LogOutput::Console { .. } => {}
            }
        }
        let _ = to_caller.shutdown().await;
    });
    (words, closed_later)
}
