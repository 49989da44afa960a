//! [`Ooms`]: how often the kernel killed a process of a container because of its memory limit. The statistics of an engine do not say;
//! its events do.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::owner::OWNER;

/// How long an event may come after what it is about.
const LATE: Duration = Duration::from_millis(300);
/// How long to wait before events are asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts by container, as long as this value lives.
pub(crate) struct Ooms {
    counts: watch::Sender<HashMap<String, u64>>,
    listening: JoinHandle<()>,
}

impl Ooms {
    /// Listens to the events of an owner's containers.
    pub(crate) fn listen(engine: Engine, owner: &str) -> Ooms {
        let counts = watch::Sender::new(HashMap::new());
        let kept = counts.clone();
        let filters: HashMap<String, Vec<String>> = [
            ("type".into(), vec!["container".into()]),
            ("event".into(), vec!["oom".into()]),
            ("label".into(), vec![format!("{OWNER}={owner}")]),
        ]
        .into();
        let listening = tokio::spawn(async move {
            loop {
                let options = EventsOptionsBuilder::default().filters(&filters).build();
                let mut events = std::pin::pin!(engine.client.events(Some(options)));
                while let Some(Ok(event)) = events.next().await {
                    if let Some(id) = event.actor.and_then(|actor| actor.id) {
                        kept.send_modify(|counts| *counts.entry(id).or_default() += 1);
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ooms { counts, listening }
    }

    /// How often so far; where it is likely, an event that has not come yet is waited for.
    pub(crate) async fn of(&self, container: &str, likely: bool) -> u64 {
        let mut counts = self.counts.subscribe();
        let known = |counts: &HashMap<String, u64>| counts.get(container).copied().unwrap_or_default();
        if likely {
            let _ = tokio::time::timeout(LATE, counts.wait_for(|counts| known(counts) > 0)).await;
        }
        known(&counts.borrow())
    }

    pub(crate) fn forget(&self, container: &str) {
        self.counts.send_modify(|counts| {
            counts.remove(container);
        });
    }
}

impl Drop for Ooms {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
