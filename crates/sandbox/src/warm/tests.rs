//! What a pool keeps whatever the demand, and what it takes away unasked.

use std::collections::VecDeque;

use super::*;
use crate::LayerSource;
use crate::fake::{Fake, Scripted};

/// A fake that says what its sweeps find, and counts them.
struct Engine {
    fake: Fake,
    finds: Mutex<VecDeque<Result<Vec<String>, DriverError>>>,
    swept: watch::Sender<usize>,
}

impl Engine {
    fn new(finds: impl IntoIterator<Item = Result<Vec<String>, DriverError>>) -> Arc<Engine> {
        let fake = Fake::new(|_| Scripted::default());
        Arc::new(Engine { fake, finds: Mutex::new(finds.into_iter().collect()), swept: watch::Sender::new(0) })
    }
}

impl Driver for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn rung(&self) -> Rung {
        self.fake.rung()
    }

    fn probe(&self) -> Probe {
        self.fake.probe()
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        self.fake.create(spec)
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.fake.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        self.fake.destroy(id)
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        let found = self.finds.lock().unwrap().pop_front().unwrap_or(Ok(Vec::new()));
        self.swept.send_modify(|swept| *swept += 1);
        Box::pin(std::future::ready(found))
    }
}

fn config(ceiling: u32) -> WarmConfig {
    WarmConfig {
        ceiling,
        budget_bytes: 1 << 30,
        cost_bytes: 1 << 20,
        factor: 0.0,
        half_life: Duration::from_secs(60),
        floor: Vec::new(),
        max_age: Duration::from_secs(600),
    }
}

/// A sandbox that differs from others in its name.
fn spec(name: &str) -> SandboxSpec {
    SandboxSpec { hostname: Some(name.into()), ..SandboxSpec::image(Vec::new()) }
}

fn floor(of: &[(&str, u32)]) -> Floor {
    of.iter().map(|(name, count)| (Arc::new(spec(name)), *count)).collect()
}

async fn until(pool: &Warm, ready: usize) {
    let begun = Instant::now();
    while pool.ready() != ready {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} are ready, and {ready} are expected", pool.ready());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_floor_that_is_set_later_is_kept_until_another_is() {
    let pool = Warm::new(Engine::new([]), config(4)).unwrap();
    pool.set_floor(&floor(&[("one", 2)])).unwrap();
    until(&pool, 2).await;
    // More often than any number that was once said could last.
    for _ in 0..5 {
        let claimed = pool.inner.claim(pool.inner.config.kind(&spec("one")).unwrap().0, spec("one"));
        assert!(claimed.is_some(), "one was ready");
        until(&pool, 2).await;
    }
    pool.set_floor(&floor(&[("other", 1), ("one", 1), ("other", 1)])).unwrap();
    until(&pool, 3).await;
    let none = pool.set_floor(&floor(&[("one", 5)])).unwrap_err();
    assert!(matches!(&none, FloorError::Settings(_)), "{none}");
    assert_eq!(pool.ready(), 3, "that of before stands");
    pool.set_floor(&[]).unwrap();
    until(&pool, 0).await;
    pool.close().await;
}

#[tokio::test]
async fn what_is_never_made_ahead_is_no_floor() {
    let pool = Warm::new(Engine::new([]), config(4)).unwrap();
    let in_a_folder = SandboxSpec::image(vec![LayerSource::Dir("/".into())]);
    let refused = pool.set_floor(&[(Arc::new(in_a_folder), 1)]).unwrap_err();
    assert!(refused.to_string().contains("folders"), "{refused}");
    pool.close().await;
}

/// Also one that keeps nothing: what an engine lost while it was away has nobody else who would ask for it.
#[tokio::test]
async fn a_driver_is_swept_for_as_long_as_there_is_a_pool_before_it() {
    let engine = Engine::new([Ok(vec!["container".into()]), Err(DriverError::Gone), Err(DriverError::Gone)]);
    let pool = Warm::with_upkeep(Arc::clone(&engine) as _, config(0), Duration::from_millis(5)).unwrap();
    let mut swept = engine.swept.subscribe();
    let often = swept.wait_for(|swept| *swept >= 5);
    tokio::time::timeout(Duration::from_secs(60), often).await.expect("failures do not end it").unwrap();
    let made = pool.create(spec("one")).await.unwrap();
    assert_eq!(pool.ready(), 0);
    pool.destroy(made.id).await.unwrap();
    drop(pool);
    let begun = Instant::now();
    while Arc::strong_count(&engine) > 1 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody looks after a pool that is gone");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
