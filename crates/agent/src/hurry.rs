//! Somebody waits for the end, and does not want to.

use std::time::Duration;

use tokio::sync::watch;

/// Whether processes that are to end still get time to do so. Once in a hurry, always.
#[derive(Debug, Default)]
pub struct Hurry(watch::Sender<bool>);

impl Hurry {
    /// From now on nobody has time.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Resolves after `grace`, or when the hurry begins.
    pub async fn or_after(&self, grace: Duration) {
        // The sender is `self`: it cannot be gone.
        let _ = tokio::time::timeout(grace, self.0.subscribe().wait_for(|hurry| *hurry)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_when_the_hurry_begins_waits_no_longer() {
        let hurry = Hurry::default();
        let long = Duration::from_secs(100_000);
        tokio::join!(hurry.or_after(long), async { hurry.begin() });
        hurry.or_after(long).await;
    }
}
