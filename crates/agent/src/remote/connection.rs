//! The connection to the server, opened again and again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use wire::agent::{FromAgent, MAX_MESSAGE_BYTES, ToAgent};

use super::{AgentConfig, Word};
use crate::failure::Trouble;

/// The first pause before another try, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long a connection may take to be opened.
const OPENING: Duration = Duration::from_secs(20);
/// A server that says nothing so long, not even that it lives, is gone.
const SILENCE: Duration = Duration::from_secs(45);

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Until the server says that it does not know this agent.
pub(super) async fn keep_connected(
    config: Arc<AgentConfig>,
    inbox: mpsc::UnboundedSender<Word>,
) -> Result<(), Trouble> {
    let mut pause = PAUSE.0;
    loop {
        let opened = tokio::time::timeout(OPENING, open(&config)).await;
        let late = || Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer"));
        match opened.unwrap_or_else(|_| Err(late())) {
            Ok(socket) => {
                pause = PAUSE.0;
                converse(socket, &inbox).await;
                if inbox.send(Word::Disconnected).is_err() {
                    return Ok(());
                }
            }
            Err(Error::Http(response)) if response.status() == StatusCode::UNAUTHORIZED => {
                return Err(Trouble::policy("the server does not know this agent's key").with_hint("enrol it anew"));
            }
            Err(error) => tracing::warn!(%error, "the server cannot be reached"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn open(config: &AgentConfig) -> Result<Socket, Error> {
    let address = format!("ws{}/agent/v1/connect", config.server.trim_start_matches("http").trim_end_matches('/'));
    let mut request = address.into_client_request()?;
    let value = format!("Bearer {}", config.key)
        .parse()
        .map_err(|_| Error::Url(tokio_tungstenite::tungstenite::error::UrlError::NoPathOrQuery))?;
    request.headers_mut().insert("authorization", value);
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    let connector = config.server.starts_with("https:").then(authorities).transpose()?;
    // Each message is waited for: none waits until the one before it was acknowledged (Nagle's algorithm).
    let without_delay = true;
    Ok(connect_async_tls_with_config(request, Some(limits), without_delay, connector).await?.0)
}

/// Whom a server's certificate may come from: the system's authorities, or those of `SSL_CERT_FILE`. Read each time, for they change.
fn authorities() -> Result<Connector, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| Error::Io(std::io::Error::other(error)))?;
    Ok(Connector::Rustls(Arc::new(versions.with_root_certificates(roots).with_no_client_auth())))
}

async fn converse(socket: Socket, inbox: &mpsc::UnboundedSender<Word>) {
    let (mut out, mut incoming) = socket.split();
    let (sender, mut words) = mpsc::unbounded_channel::<FromAgent>();
    if inbox.send(Word::Connected(sender)).is_err() {
        return;
    }
    // Counted from what was heard last, whatever is said meanwhile.
    let mut deadline = Instant::now() + SILENCE;
    loop {
        let message = tokio::select! {
            word = words.recv() => {
                let Some(word) = word else { return };
                let text = serde_json::to_string(&word).unwrap_or_default();
                match tokio::time::timeout_at(deadline, out.send(Message::text(text))).await {
                    Ok(Ok(())) => continue,
                    _ => return,
                }
            }
            message = tokio::time::timeout_at(deadline, incoming.next()) => message,
        };
        deadline = Instant::now() + SILENCE;
        match message {
            Ok(Some(Ok(Message::Text(text)))) => match serde_json::from_str::<ToAgent>(&text) {
                Ok(message) => {
                    if inbox.send(Word::Server(message)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the server speaks another version");
                    return;
                }
            },
            // Pings are answered by the library, when something is read or written next.
            Ok(Some(Ok(Message::Ping(_)))) => drop(out.flush().await),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return,
            Ok(Some(Ok(_))) => {}
        }
    }
}
