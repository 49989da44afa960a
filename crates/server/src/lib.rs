//! The control plane: what is to be run, who runs it, and what came of it.
//!
//! ```text
//!   people, programs ──▶ http ──▶ store ◀── keeper (one for each run that is under way)
//!                                              │  ▲
//!   agents ◀──────── WebSocket ──── hub ───────┘  │  journal, timers, requests, answers
//!                                    └────────────┘
//! ```
//!
//! The server decides nothing that the store does not know: it may be killed at any moment, and the next one goes on
//! ([`wire::engine::Journal`] says how). Everything of a run that computes or touches files is an agent's.
//!
//! Never: evaluates a pipeline, makes a sandbox, starts a process, unpacks what strangers made, believes an agent beyond its leases.
//!
//! Start reading at [`Server`]; `keeper` is the life of a run.

mod app;
mod artifacts;
mod changes;
mod checks;
mod clock;
mod config;
mod connection;
mod conventions;
mod ended;
mod forge;
mod forges;
mod found;
mod github_app;
mod gone;
mod housekeeping;
mod http;
mod hub;
mod keeper;
mod line;
mod logs;
mod outbox;
mod passwords;
pub mod policy;
mod project_files;
mod projects;
mod properties;
mod random;
mod scan;
mod schedules;
mod tls;
mod traces;
mod upstream;

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use store::{Actor, Claim, NewToken, Person, Store, StoreError, TokenKind};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use wire::agent::{FromAgent, ToAgent};

use app::App;
use blob::BlobError;
use connection::{Sign, attend};
use outbox::Outbox;
use policy::{Grant, Role};

pub use clock::{Clock, Simulated};
pub use config::{
    BlobPlace, HookConfig, OidcConfig, ProjectConfig, ProjectSource, ReportConfig, ServerConfig, UpstreamConfig,
};
pub use logs::{LogError, read_log};
pub use store::{ArtifactLimits, Keys, SealingKey};
pub use tls::TlsFiles;
pub use traces::OtlpConfig;

/// How often is looked whether the database is still this server's.
const LOOK: Duration = Duration::from_secs(2);
/// Who may do everything at first.
const FIRST: &str = "admin";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The store.
    #[error("the store")]
    Store(#[from] StoreError),
    /// It was not given the key with which secrets of projects are sealed.
    #[error("secrets of projects are sealed with the key {sealed}; the one given is {given}")]
    Key {
        /// By which that key is known.
        sealed: String,
        /// By which this one is.
        given: String,
    },
    /// The place for blobs cannot be had.
    #[error("the place for blobs")]
    Blobs(#[from] BlobError),
    /// Files of projects are wrong, each in words.
    #[error("files of projects: {}", .0.join("; "))]
    Projects(Vec<String>),
    /// Its certificate or key cannot be used, in words.
    #[error("TLS: {0}")]
    Tls(String),
    /// The first token cannot be written.
    #[error("cannot write {}", path.display())]
    Token {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Forges cannot be spoken to.
    #[error("no client of HTTP")]
    Client(#[source] reqwest::Error),
    /// Its address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// How many runs a server has in mind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Those that are kept.
    pub keepers: usize,
    /// Those that wait for a place.
    pub waiting: usize,
    /// Those that have one.
    pub placed: u64,
}

/// A server that runs. Dropping it ends it, in the middle of whatever it does.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// This start has made the first token of the API.
    pub is_new: bool,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    claim: Claim,
}

impl Server {
    /// Opens the store, goes on with what is under way, and listens.
    ///
    /// # Errors
    /// The store cannot be opened, or the address not be had.
    pub async fn start(config: ServerConfig) -> Result<Server, ServerError> {
        let failed = |source| ServerError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let secured = match config.tls.clone() {
            Some(files) => Ok(tls::secure(listener, files).map_err(ServerError::Tls)?),
            None => Err(listener.tap_io(|stream| tls::without_delay(stream))),
        };
        let mut server = Server::unconnected(ServerConfig { listen: address, ..config }).await?;
        let (router, mut stopped) = (server.router(), server.stop.subscribe());
        server.tasks.push(tokio::spawn(async move {
            let ended = async move { drop(stopped.wait_for(|stop| *stop).await) };
            let served = match secured {
                Ok(secured) => axum::serve(secured, router).with_graceful_shutdown(ended).await,
                Err(plain) => axum::serve(plain, router).with_graceful_shutdown(ended).await,
            };
            if let Err(error) = served {
                tracing::error!(%error, "the server has ended");
            }
        }));
        Ok(server)
    }

    /// The same without an address: who talks to it does so with [`router`](Server::router) and [`attach`](Server::attach).
    ///
    /// # Errors
    /// The store cannot be opened.
    pub async fn unconnected(config: ServerConfig) -> Result<Server, ServerError> {
        Server::upon(Store::open(&config.database).await?, config).await
    }

    /// The same upon a store that is open already.
    ///
    /// # Errors
    /// Another server has it.
    pub async fn upon(store: Store, config: ServerConfig) -> Result<Server, ServerError> {
        let claim = store.claim().await?;
        match store.unlock(Arc::clone(&config.keys), config.clock.now()).await {
            Err(StoreError::Key { sealed, given }) => return Err(ServerError::Key { sealed, given }),
            unlocked => unlocked?,
        };
        if let Err(error) = store.sweep_plain().await {
            tracing::warn!(%error, "secrets of projects may lie in the database's file as they were; the next start tries again to overwrite them");
        }
        let is_new = first_token(&store, &config).await?;
        let address = config.listen;
        let blobs = artifacts::open(&config).await?;
        let http = forge::client().map_err(ServerError::Client)?;
        let (scan, wanted) = mpsc::unbounded_channel();
        let app = Arc::new(App::new(store, blobs, config, http, scan));
        let wrong = project_files::take(&app).await;
        if !wrong.is_empty() {
            return Err(ServerError::Projects(wrong));
        }
        hub::begin(&app).await?;
        let tasks = vec![
            tokio::spawn(forges::tell(Arc::clone(&app))),
            tokio::spawn(scan::watch(Arc::clone(&app), wanted)),
            tokio::spawn(schedules::watch(Arc::clone(&app))),
            tokio::spawn(upstream::watch(Arc::clone(&app))),
            tokio::spawn(traces::watch(Arc::clone(&app))),
            tokio::spawn(project_files::watch(Arc::clone(&app))),
            tokio::spawn(housekeeping::keep_house(Arc::clone(&app))),
        ];
        Ok(Server { address, is_new, app, stop: watch::Sender::new(false), tasks, claim })
    }

    /// What it has in mind of runs. Of those that have ended, nothing.
    pub fn census(&self) -> Census {
        let (waiting, placed) = self.app.waiting.counts();
        Census { keepers: self.app.hub.kept(), waiting, placed }
    }

    /// Until another server has the database: this one writes nothing any more, and is to be stopped. Whoever starts a server waits for this,
    /// for it also claims the database again after that was away.
    pub async fn lost(&mut self) {
        loop {
            match self.claim.is_held().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "the database is away"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is answered to requests of HTTP.
    pub fn router(&self) -> axum::Router {
        http::router(Arc::clone(&self.app))
    }

    /// Connects an agent, as by its WebSocket. False: there is none with that key.
    ///
    /// # Errors
    /// The store.
    pub fn attach(
        &self,
        key: &str,
        to: mpsc::UnboundedSender<ToAgent>,
        mut from: mpsc::UnboundedReceiver<FromAgent>,
    ) -> impl Future<Output = Result<bool, ServerError>> + Send + use<> {
        let (app, key) = (Arc::clone(&self.app), key.to_owned());
        async move {
            let Some(agent) = app.store.agent_by_key(&key, app.now()).await? else { return Ok(false) };
            let signs = futures_util::stream::poll_fn(move |context| {
                from.poll_recv(context).map(|said| said.map(|message| Sign::Says(message, 0)))
            });
            tokio::spawn(attend(app, agent, Outbox::of(to), signs));
            Ok(true)
        }
    }

    /// Takes no more requests, and closes the store. What is under way at agents goes on, and is heard of again by the next server.
    pub async fn stop(self) {
        self.app.hub.close();
        self.stop.send_replace(true);
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.app.store.close().await;
    }
}

/// Writes everything that a database has, also while a server has it. How many rows.
///
/// # Errors
/// The store, or whoever takes what is written.
pub async fn backup(database: &str, out: impl std::io::Write) -> Result<u64, ServerError> {
    let store = Store::open_unchanged(database).await?;
    let rows = store.backup(out).await;
    store.close().await;
    Ok(rows?)
}

/// Fills a database that has nothing, and that no server has. How many rows.
///
/// # Errors
/// The store, or what is read is no backup.
pub async fn restore(database: &str, text: impl std::io::BufRead) -> Result<u64, ServerError> {
    let store = Store::open(database).await?;
    let claim = store.claim().await?;
    let rows = store.restore(text).await;
    drop(claim);
    store.close().await;
    Ok(rows?)
}

/// Whether it was made. Before anybody can ask, and written before it is good.
async fn first_token(store: &Store, config: &ServerConfig) -> Result<bool, ServerError> {
    if store.people().await?.is_empty() {
        let grants = serde_json::json!([Grant::everywhere(Role::Admin)]);
        let first = Person { name: FIRST.to_owned(), password: None, subject: None, grants, disabled: false };
        store.put_person(&Actor::server(), &first, config.clock.now()).await?;
    }
    if store.has_api_token().await? {
        return Ok(false);
    }
    let (token, path) = (random::secret("cft"), &config.first_token);
    let file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{token}"));
    written.map_err(|source| ServerError::Token { path: path.clone(), source })?;
    let new = NewToken { kind: TokenKind::Api, name: "the first", owner: Some(FIRST), scopes: None, expires_at: None };
    store.add_token(&Actor::server(), &new, &token, config.clock.now()).await?;
    Ok(true)
}
