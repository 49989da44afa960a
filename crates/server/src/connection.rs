//! An agent's connection, whatever carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use store::AgentRecord;
use tokio::sync::oneshot;
use wire::agent::{FromAgent, Offers, VERSION};

use crate::app::App;
use crate::hub::Connected;
use crate::line;
use crate::outbox::Outbox;

/// Labels of one agent, and the longest of one, in bytes.
const MOST_LABELS: (usize, usize) = (200, 200);
/// Images of one agent, and the longest name of one, in bytes.
const MOST_IMAGES: (usize, usize) = (2000, 200);
/// Runs that one agent takes at once, whatever it says: one that lies has so many and no more.
const MOST_RUNS: u32 = 1000;
/// Leases that one may have.
const MOST_HELD: usize = 10_000;
/// How long an agent may say nothing, not even that it lives.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);

/// What comes from an agent.
pub(crate) enum Sign {
    /// It lives.
    Lives,
    /// It says this, in a message of so many bytes.
    Says(FromAgent, usize),
    /// It says what is not of the protocol.
    Breaks(String),
}

/// Until the connection ends, or is to be ended. The first word is a greeting.
pub(crate) async fn attend(app: Arc<App>, agent: AgentRecord, outbox: Outbox, signs: impl Stream<Item = Sign>) {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let (alive, mut displaced) = oneshot::channel();
    let mut alive = Some(alive);
    tokio::pin!(signs);
    loop {
        let sign = tokio::select! {
            biased;
            // Another connection of the same agent has its place; until it greets, nobody can take that.
            _ = &mut displaced => break,
            sign = tokio::time::timeout(SILENCE, signs.next()) => sign,
        };
        let Ok(Some(sign)) = sign else { break };
        if outbox.is_unheard() {
            tracing::warn!(agent = agent.name, "an agent does not listen");
            break;
        }
        match sign {
            Sign::Lives => {}
            Sign::Says(FromAgent::Hello { version: VERSION, runs, held, labels, offers }, _)
                if alive.is_some() && held.len() <= MOST_HELD =>
            {
                let Some(alive) = alive.take() else { break };
                tracing::info!(agent = agent.name, runs, held = held.len(), "an agent has come");
                // Its name is one too. What it has it says in other words, which are held to.
                let (most, longest) = MOST_LABELS;
                let is_one = |label: &String| label.len() <= longest && !line::is_reserved(label);
                let own = labels.into_iter().filter(is_one).take(most);
                let labels = own.chain([agent.name.clone()]).collect();
                let (outbox, offers) = (outbox.clone(), bounded(offers));
                let connected =
                    Connected { connection, outbox, most: runs.min(MOST_RUNS), labels, offers, _alive: alive };
                let placed = app.hub.come(&app.waiting, agent.id, connected, &held);
                line::perform(&app, placed).await;
                // It may have been sent away since it was let in, when nobody knew of this connection.
                if !app.store.is_agent(agent.id).await.unwrap_or(false) {
                    break;
                }
            }
            Sign::Says(FromAgent::Offers(offers), _) if alive.is_none() => {
                let placed = app.hub.offers(&app.waiting, agent.id, connection, bounded(offers));
                line::perform(&app, placed).await;
            }
            Sign::Says(FromAgent::Checked { id, found }, _) if alive.is_none() => app.checks.heard(agent.id, id, found),
            Sign::Says(message, bytes) if alive.is_none() => match message.lease() {
                Some(lease) => {
                    let most = app.config.agent_backlog_bytes;
                    if !app.hub.heard(agent.id, lease, message, bytes, most) {
                        tracing::warn!(agent = agent.name, run = %lease.run, "an agent does not wait until it is heard");
                        break;
                    }
                }
                // One that greets twice is none.
                None => break,
            },
            Sign::Says(..) => {
                tracing::warn!(agent = agent.name, "an agent of another version, or one that does not greet");
                break;
            }
            Sign::Breaks(reason) => {
                tracing::warn!(agent = agent.name, reason, "an agent breaks its protocol");
                break;
            }
        }
    }
    let placed = app.hub.go(&app.waiting, agent.id, connection);
    line::perform(&app, placed).await;
}

/// As much of it as one agent may say.
fn bounded(mut offers: Offers) -> Offers {
    let (most, longest) = MOST_IMAGES;
    offers.images.truncate(most);
    offers.images.retain(|image| image.len() <= longest);
    offers
}
