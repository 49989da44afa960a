//! What projects are told in confidence does not lie in the database as it is.

use std::sync::Arc;

use serde_json::json;
use store::{Keys, SealingKey, Store, StoreError};

use crate::cases::{alice, put};
use crate::postgres::run_sql;

fn key(number: u32) -> SealingKey {
    SealingKey::parse(&format!("cfs_{number:064}")).unwrap()
}

fn keys(own: u32, former: &[u32]) -> Arc<Keys> {
    Arc::new(Keys::new(key(own), former.iter().copied().map(key).collect()))
}

/// One that can be used.
pub async fn open(url: &str) -> Store {
    let store = Store::open(url).await.unwrap();
    store.unlock(keys(1, &[]), 1).await.unwrap();
    store
}

pub async fn secrets_are_sealed(store: Store) {
    let app = put(&store, "app").await;
    assert_eq!(app.config["secret"], "s3cret");
    let mut written = Vec::new();
    store.backup(&mut written).await.unwrap();
    let text = String::from_utf8(zstd::decode_all(written.as_slice()).unwrap()).unwrap();
    let own = key(1);
    assert!(text.contains(&format!("sealed:1:{}:", own.id())), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    // It is one secret among others: each of them is sealed anew.
    let other = json!({ "secret": "an0ther" });
    assert_eq!(store.put_project(&alice(), "app", &other, &json!({}), 20).await.unwrap().config, other);
    assert_eq!(store.project("app").await.unwrap().unwrap().config, other);
}

/// A file from before there was a key; then a new key; then one that is wrong.
#[tokio::test]
async fn keys_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let url = format!("sqlite:{}", path.display());
    let store = Store::open(&url).await.unwrap();
    assert!(matches!(store.put_project(&alice(), "app", &json!({}), &json!({}), 1).await, Err(StoreError::Locked)));
    assert_eq!(store.unlock(keys(1, &[]), 1).await.unwrap(), 0);
    put(&store, "app").await;
    put(&store, "other").await;
    store.close().await;
    // Long enough for pages of its own.
    let plain = json!({ "secret": "s3cret".repeat(2000) });
    let older = json!({ "secret": "s3cret".repeat(3000) });
    run_sql(&url, &format!("UPDATE projects SET config = '{older}'")).await;
    run_sql(&url, &format!("UPDATE projects SET config = '{plain}'")).await;
    let lies_there = || {
        let files =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(6).any(|window| window == b"s3cret"))
    };
    assert!(lies_there());

    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.unlock(keys(1, &[]), 2).await.unwrap(), 2);
    assert_eq!(store.project("app").await.unwrap().unwrap().config, plain);
    store.close().await;
    // It was killed there, and the next one has nothing to seal.
    let store = open(&url).await;
    assert!(lies_there());
    store.sweep_plain().await.unwrap();
    assert!(!lies_there(), "what was there before is left in the file");
    let rows = store.audit(0, 100).await.unwrap();
    let row = rows.iter().find(|row| row.action == "project.seal").unwrap();
    assert_eq!(row.detail, json!({ "key": key(1).id(), "projects": 2 }).to_string());
    store.close().await;

    // Whoever has another key changes nothing.
    let store = Store::open(&url).await.unwrap();
    let refused = store.unlock(keys(2, &[3]), 3).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Key { sealed, .. } if sealed == key(1).id()), "{refused}");
    assert!(matches!(store.projects().await, Err(StoreError::Locked)));
    assert_eq!(store.unlock(keys(2, &[3, 1]), 3).await.unwrap(), 2);
    assert_eq!(store.project("other").await.unwrap().unwrap().config, plain);
    store.close().await;
    let store = Store::open(&url).await.unwrap();
    assert!(store.unlock(keys(1, &[]), 4).await.is_err(), "the former key is good for nothing any more");
    assert_eq!(store.unlock(keys(2, &[]), 4).await.unwrap(), 0);
    assert_eq!(store.project("app").await.unwrap().unwrap().config, plain);

    // What one project was told is none of another's.
    run_sql(&url, "UPDATE projects SET config = (SELECT config FROM projects WHERE name = 'app') WHERE name = 'other'")
        .await;
    assert!(matches!(store.project("other").await, Err(StoreError::Damaged { .. })));
    assert!(store.project("app").await.unwrap().is_some());
}
