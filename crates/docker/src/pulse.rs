//! [`Pulse`]: whether an engine is still there. A machine that vanishes closes no connection.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::Engine;

/// How often an engine is asked for a sign of life.
const PERIOD: Duration = Duration::from_secs(10);
/// After so many without one it is gone.
const MISSED: u32 = 3;

/// Asks, as long as this value lives.
pub(crate) struct Pulse {
    gone: watch::Sender<bool>,
    asking: JoinHandle<()>,
}

impl Pulse {
    pub(crate) fn of(engine: Engine) -> Pulse {
        let gone = watch::Sender::new(false);
        let told = gone.clone();
        let asking = tokio::spawn(async move {
            let mut missed = 0;
            loop {
                tokio::time::sleep(PERIOD).await;
                missed = if engine.answers().await { 0 } else { missed + 1 };
                told.send_if_modified(|gone| std::mem::replace(gone, missed >= MISSED) != *gone);
            }
        });
        Pulse { gone, asking }
    }

    /// Says when the engine is gone.
    pub(crate) fn gone(&self) -> watch::Receiver<bool> {
        self.gone.subscribe()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.asking.abort();
    }
}
