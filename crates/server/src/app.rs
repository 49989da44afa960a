//! What all of the server's parts share.

use model::ids::RunId;
use store::{Millis, Store};
use tokio::sync::broadcast;

use crate::config::ServerConfig;
use crate::http::Counted;
use crate::hub::Hub;
use crate::line::Waiting;

/// Runs that have changed, for who looks on; who is slower than this looks at the store.
const CHANGES: usize = 1024;

pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) config: ServerConfig,
    pub(crate) hub: Hub,
    pub(crate) waiting: Waiting,
    pub(crate) counted: Counted,
    /// Something of that run is new.
    pub(crate) changed: broadcast::Sender<RunId>,
}

impl App {
    pub(crate) fn new(store: Store, config: ServerConfig) -> App {
        App {
            store,
            config,
            hub: Hub::default(),
            waiting: Waiting::default(),
            counted: Counted::default(),
            changed: broadcast::channel(CHANGES).0,
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Millis {
        self.config.clock.now()
    }

    /// Tells who looks on.
    pub(crate) fn changed(&self, run: RunId) {
        // Nobody need look.
        let _ = self.changed.send(run);
    }
}
