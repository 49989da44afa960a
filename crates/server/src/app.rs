//! What all of the server's parts share.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blob::Blobs;
use model::ids::RunId;
use store::{Actor, Millis, NewRun, Run, Store, StoreError};
use tokio::sync::{Notify, broadcast, mpsc};

use crate::artifacts::Artifacts;
use crate::changes::env_of_default;
use crate::checks::Checks;
use crate::config::{ProjectConfig, ServerConfig};
use crate::github_app::Tokens;
use crate::http::{Counted, Logins, Room};
use crate::hub::Hub;
use crate::line::Waiting;
use crate::passwords::Passwords;
use crate::project_files::ProjectFiles;
use crate::scan::Wanted;

/// Runs that have changed, for who looks on; who is slower than this looks at the store.
const CHANGES: usize = 1024;

pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) config: ServerConfig,
    /// For forges.
    pub(crate) http: reqwest::Client,
    pub(crate) tokens: Tokens,
    /// Who looks at forges is told where.
    pub(crate) scan: mpsc::UnboundedSender<Wanted>,
    pub(crate) hub: Hub,
    /// Projects that files say.
    pub(crate) project_files: ProjectFiles,
    pub(crate) waiting: Waiting,
    pub(crate) artifacts: Artifacts,
    pub(crate) checks: Checks,
    /// There may be something to forget.
    pub(crate) house: Notify,
    /// Something could not be heard: forges are to be looked at.
    pub(crate) has_missed: AtomicBool,
    /// Runs whose logs cannot be moved: not looked at again before the next start.
    damaged_logs: Mutex<HashSet<RunId>>,
    pub(crate) counted: Counted,
    pub(crate) passwords: Passwords,
    pub(crate) logins: Logins,
    /// For what forges send, until it is known that they have.
    pub(crate) unvouched: Room,
    /// Something of that run is new.
    pub(crate) changed: broadcast::Sender<RunId>,
}

impl App {
    pub(crate) fn new(
        store: Store,
        blobs: Blobs,
        config: ServerConfig,
        http: reqwest::Client,
        scan: mpsc::UnboundedSender<Wanted>,
    ) -> App {
        let unvouched = Room::of(config.unvouched_bytes);
        App {
            store,
            config,
            http,
            tokens: Tokens::default(),
            scan,
            hub: Hub::default(),
            project_files: ProjectFiles::default(),
            waiting: Waiting::default(),
            artifacts: Artifacts::new(blobs),
            checks: Checks::default(),
            house: Notify::new(),
            has_missed: AtomicBool::new(false),
            damaged_logs: Mutex::default(),
            counted: Counted::default(),
            passwords: Passwords::default(),
            logins: Logins::default(),
            unvouched,
            changed: broadcast::channel(CHANGES).0,
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Millis {
        self.config.clock.now()
    }

    pub(crate) fn damaged_logs(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.damaged_logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where people find this server.
    pub(crate) fn url(&self) -> String {
        match &self.config.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.config.scheme(), self.config.listen),
        }
    }

    /// Puts a run into the queue, which knows where it is.
    ///
    /// # Errors
    /// As [`Store::create_run`].
    pub(crate) async fn create_run(&self, actor: &Actor, project: &str, mut new: NewRun) -> Result<Run, StoreError> {
        new.facts.server_url = Some(self.url());
        let is_of_no_branch = new.revision.is_none() && new.facts.branch().is_none();
        if (is_of_no_branch || !new.facts.params.is_empty())
            && let Some(project) = self.store.project(project).await?
        {
            let config = serde_json::from_value::<ProjectConfig>(project.config.clone()).ok();
            if let Some(config) = config.filter(|config| is_of_no_branch && config.has_branches()) {
                new.facts.env.extend(env_of_default(&config));
            }
            // Whichever branch calls it a password.
            for branch in self.store.all_properties(Some(project.id)).await? {
                new.facts.hide(&branch.properties.parameters);
            }
        }
        self.store.create_run(actor, project, new, self.now()).await
    }

    /// A cookie for this server's pages, which no other site's page can have sent.
    pub(crate) fn cookie(&self, name: &str, value: &str, seconds: u64) -> String {
        let is_https = self.config.url.as_deref().unwrap_or(self.config.scheme()).starts_with("https");
        let secure = if is_https { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Tells who looks on.
    pub(crate) fn changed(&self, run: RunId) {
        // Nobody need look.
        let _ = self.changed.send(run);
    }
}
