//! Agents: how they are taken in, and their connection.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use model::resources::Resources;
use model::rung::Rung;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{AgentRecord, NewToken, TokenKind};
use utoipa::ToSchema;
use wire::agent::{MAX_MESSAGE_BYTES, Offers};

use super::auth::{User, bearer};
use super::body::Sent;
use super::description;
use super::error::Refused;
use super::paging::Names;
use super::people::MadeToken;
use crate::app::App;
use crate::connection::{SILENCE, Sign, attend};
use crate::outbox::Outbox;
use crate::policy::Action;
use crate::random::secret;

/// How long a token to enrol an agent is good, in milliseconds.
const TOKEN_MS: u64 = 3_600_000;
/// How often it is asked whether it lives.
const PING: Duration = Duration::from_secs(15);

/// An agent.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub(super) struct Shown {
    id: u64,
    name: String,
    seen_at: Option<u64>,
    connected: bool,
    /// That its sandboxes can have.
    #[schema(schema_with = description::rungs)]
    rungs: Vec<Rung>,
    /// Its jobs can have a Docker Engine of their own.
    engine: bool,
    /// How many images lie there.
    images: usize,
    /// Memory for all of its runs, in MiB; 0: it does not say.
    memory_mib: u64,
    /// Processors for all of its runs, in thousandths of one; 0: it does not say.
    cpu_millis: u64,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub(super) struct Agents {
    agents: Vec<Shown>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

/// Agents, and what they have, by their names.
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents", params(Names), responses((status = 200, body = Agents)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Query(names): Query<Names>,
) -> Result<Json<Agents>, Refused> {
    user.may(Action::SeeAgents, None)?;
    let (agents, next_after) = names.page(app.store.agents().await?, |agent| &agent.name);
    let shown = agents.into_iter().map(|agent| {
        let offers = app.hub.offers_of(agent.id);
        let (connected, offers) = (offers.is_some(), offers.unwrap_or_default());
        let Offers { rungs, engine, images, resources } = offers;
        let AgentRecord { id, name, seen_at, .. } = agent;
        let Resources { memory_mib, cpu_millis } = resources;
        Shown { id, name, seen_at, connected, rungs, engine, images: images.len(), memory_mib, cpu_millis }
    });
    Ok(Json(Agents { agents: shown.collect(), next_after }))
}

/// A token that is good for one agent, once, for an hour.
#[utoipa::path(post, path = "/api/v1/agents/tokens", tag = "agents", responses((status = 201, body = MadeToken)))]
pub(super) async fn token(State(app): State<Arc<App>>, user: User) -> Result<(StatusCode, Json<MadeToken>), Refused> {
    let actor = user.may(Action::EnrolAgent, None)?;
    let (token, at) = (secret("cfe"), app.now());
    let expires = at + TOKEN_MS;
    let new = NewToken { kind: TokenKind::Enrol, name: "agent", owner: None, scopes: None, expires_at: Some(expires) };
    app.store.add_token(&actor, &new, &token, at).await?;
    Ok((StatusCode::CREATED, Json(MadeToken { token, expires_at: Some(expires) })))
}

/// Sends an agent away for good: its key is worth nothing any more, and what it had is lost as soon as it would be if it had gone.
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "agents", params(("id" = u64, Path)), responses((status = 204)))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<u64>,
) -> Result<StatusCode, Refused> {
    let actor = user.may(Action::RemoveAgent, None)?;
    if !app.store.remove_agent(&actor, id, app.now()).await? {
        return Err(Refused::missing("agent"));
    }
    let follows = app.hub.send_away(&app.waiting, id);
    crate::line::perform(&app, follows).await;
    Ok(StatusCode::NO_CONTENT)
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
    Sent(enrol): Sent<Enrol>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if enrol.name.is_empty() || enrol.name.len() > 100 || !enrol.name.chars().all(fits) {
        return Err(Refused::bad("a name of an agent has letters, digits and -_."));
    }
    let key = secret("cfk");
    let agent = app.store.enrol_agent(&enrol.token, &enrol.name, &key, app.now()).await;
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
    let agent = app.store.agent_by_key(key, app.now()).await?.ok_or_else(unknown)?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| converse(app, agent, socket)))
}

async fn converse(app: Arc<App>, agent: AgentRecord, socket: WebSocket) {
    let (mut out, incoming) = socket.split();
    let (outbox, mut said) = Outbox::new();
    let writer = tokio::spawn(async move {
        let mut ping = tokio::time::interval(PING);
        loop {
            let message = tokio::select! {
                word = said.next() => match word {
                    Some(word) => Message::text(serde_json::to_string(&word).unwrap_or_default()),
                    None => break,
                },
                _ = ping.tick() => Message::Ping(Default::default()),
            };
            // Who does not read is not there, whatever it says.
            if !matches!(tokio::time::timeout(SILENCE, out.send(message)).await, Ok(Ok(()))) {
                break;
            }
        }
    });
    let whole = incoming.take_while(|message| ready(matches!(message, Ok(message) if !is_close(message))));
    let stop = writer.abort_handle();
    let signs = whole.take_until(writer).map(|message| match message {
        Ok(Message::Text(text)) => {
            let bytes = text.len();
            serde_json::from_str(&text)
                .map_or_else(|error| Sign::Breaks(error.to_string()), |message| Sign::Says(message, bytes))
        }
        _ => Sign::Lives,
    });
    attend(app, agent, outbox, signs).await;
    stop.abort();
}

fn is_close(message: &Message) -> bool {
    matches!(message, Message::Close(_))
}
