//! Agents: how they are taken in, and their connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{AgentRecord, TokenKind};
use tokio::sync::{mpsc, oneshot};
use wire::agent::{FromAgent, MAX_MESSAGE_BYTES, ToAgent, VERSION};

use super::auth::{User, bearer};
use super::error::Refused;
use crate::app::{App, now};
use crate::hub::Connected;
use crate::line;
use crate::random::secret;

/// Labels of one agent.
const MOST_LABELS: usize = 200;
/// How long a token to enrol an agent is good, in milliseconds.
const TOKEN_MS: u64 = 3_600_000;
/// How long an agent may say nothing, not even that it lives.
const SILENCE: Duration = Duration::from_secs(45);
/// How often it is asked whether it lives.
const PING: Duration = Duration::from_secs(15);

pub(super) async fn list(State(app): State<Arc<App>>, _user: User) -> Result<Json<Value>, Refused> {
    let agents = app.store.agents().await?;
    let shown: Vec<_> = agents
        .iter()
        .map(|agent| json!({ "id": agent.id, "name": agent.name, "seen_at": agent.seen_at, "connected": app.hub.is_there(agent.id) }))
        .collect();
    Ok(Json(json!({ "agents": shown })))
}

/// A token that is good for one agent, once.
pub(super) async fn token(
    State(app): State<Arc<App>>,
    User(actor): User,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let (token, at) = (secret("cfe"), now());
    let expires = at + TOKEN_MS;
    app.store.add_token(&actor, TokenKind::Enrol, "agent", &token, Some(expires), at).await?;
    Ok((StatusCode::CREATED, Json(json!({ "token": token, "expires_at": expires }))))
}

/// Who wants to be an agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrol {
    token: String,
    name: String,
}

pub(super) async fn enrol(
    State(app): State<Arc<App>>,
    Json(enrol): Json<Enrol>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if enrol.name.is_empty() || enrol.name.len() > 100 || !enrol.name.chars().all(fits) {
        return Err(Refused::bad("a name of an agent has letters, digits and -_."));
    }
    let key = secret("cfk");
    let agent = app.store.enrol_agent(&enrol.token, &enrol.name, &key, now()).await;
    let agent = agent.map_err(|error| match error {
        store::StoreError::Missing { .. } => Refused(StatusCode::UNAUTHORIZED, "the token is no good any more".into()),
        error => error.into(),
    })?;
    Ok((StatusCode::CREATED, Json(json!({ "id": agent.id, "key": key }))))
}

pub(super) async fn connect(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refused> {
    let unknown = || Refused(StatusCode::UNAUTHORIZED, "this is no agent's key".into());
    let key = bearer(&headers).ok_or_else(unknown)?;
    let agent = app.store.agent_by_key(key, now()).await?.ok_or_else(unknown)?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| converse(app, agent, socket)))
}

async fn converse(app: Arc<App>, agent: AgentRecord, socket: WebSocket) {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let (mut out, mut incoming) = socket.split();
    let (sender, mut words) = mpsc::unbounded_channel::<ToAgent>();
    let writer = tokio::spawn(async move {
        let mut ping = tokio::time::interval(PING);
        loop {
            let message = tokio::select! {
                word = words.recv() => match word {
                    Some(word) => Message::text(serde_json::to_string(&word).unwrap_or_default()),
                    None => break,
                },
                _ = ping.tick() => Message::Ping(Default::default()),
            };
            if out.send(message).await.is_err() {
                break;
            }
        }
    });
    let (alive, mut displaced) = oneshot::channel();
    let mut alive = Some(alive);
    loop {
        let message = tokio::select! {
            message = tokio::time::timeout(SILENCE, incoming.next()) => message,
            // Another connection of the same agent has its place; until it greets, nobody can take that.
            _ = &mut displaced => break,
        };
        let Ok(Some(Ok(message))) = message else { break };
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => break,
            _ => continue,
        };
        match serde_json::from_str::<FromAgent>(&text) {
            Ok(FromAgent::Hello { version: VERSION, runs, held, labels }) if alive.is_some() => {
                let Some(alive) = alive.take() else { break };
                tracing::info!(agent = agent.name, runs, held = held.len(), "an agent has come");
                // Its name is one too.
                let labels = labels.into_iter().take(MOST_LABELS).chain([agent.name.clone()]).collect();
                let connected = Connected { connection, sender: sender.clone(), most: runs, _alive: alive };
                let placed = app.hub.come(&app.waiting, agent.id, connected, labels, &held);
                line::perform(&app, placed).await;
            }
            Ok(message) if alive.is_none() => match message.lease() {
                Some(lease) => app.hub.heard(agent.id, lease, message),
                // One that greets twice is none.
                None => break,
            },
            Ok(_) => {
                tracing::warn!(agent = agent.name, "an agent of another version, or one that does not greet");
                break;
            }
            Err(error) => {
                tracing::warn!(agent = agent.name, %error, "an agent breaks its protocol");
                break;
            }
        }
    }
    let placed = app.hub.go(&app.waiting, agent.id, connection);
    line::perform(&app, placed).await;
    writer.abort();
}
