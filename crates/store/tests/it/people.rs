//! People and their tokens. Each case takes a database with nothing in it.

use serde_json::json;
use store::{NewToken, Person, Store, StoreError, TokenKind};

use crate::cases::alice;

fn person(name: &str) -> Person {
    let grants = json!([{ "role": "reader", "on": "" }]);
    Person { name: name.into(), password: Some("hash".into()), subject: None, grants, disabled: false }
}

pub async fn take_in(store: &Store, name: &str) {
    store.put_person(&alice(), &person(name), 10).await.unwrap();
}

pub async fn give(store: &Store, kind: TokenKind, owner: &str, secret: &str, expires_at: Option<u64>) {
    let scopes = json!([{ "role": "reader", "on": "team" }]);
    let token = NewToken { kind, name: "of a test", owner: Some(owner), scopes: Some(&scopes), expires_at };
    store.add_token(&alice(), &token, secret, 10).await.unwrap();
}

pub async fn tokens_are_somebodys(store: Store) {
    assert!(!store.has_api_token().await.unwrap());
    take_in(&store, "alice").await;
    take_in(&store, "bob").await;
    give(&store, TokenKind::Api, "alice", "secret", None).await;
    give(&store, TokenKind::Api, "bob", "short", Some(20)).await;
    give(&store, TokenKind::Session, "bob", "session", Some(50)).await;
    give(&store, TokenKind::Api, "nobody", "lost", None).await;
    let known = async |kind, secret: &str, now| store.known(kind, secret, now).await.unwrap().map(|known| known.owner);
    assert_eq!(known(TokenKind::Api, "secret", 99).await.as_deref(), Some("alice"));
    assert_eq!(known(TokenKind::Api, "short", 19).await.as_deref(), Some("bob"));
    for (kind, secret, now) in [
        (TokenKind::Api, "short", 20),
        (TokenKind::Api, "wrong", 1),
        (TokenKind::Api, "session", 1),
        (TokenKind::Session, "secret", 1),
        (TokenKind::Session, "session", 50),
        // Whose owner there is not.
        (TokenKind::Api, "lost", 1),
    ] {
        assert_eq!(known(kind, secret, now).await, None, "{secret} at {now}");
    }
    let scopes = store.known(TokenKind::Api, "secret", 1).await.unwrap().unwrap().scopes;
    assert_eq!(scopes, Some(json!([{ "role": "reader", "on": "team" }])));

    let of_alice = store.tokens(Some("alice")).await.unwrap();
    assert_eq!((of_alice.len(), store.tokens(None).await.unwrap().len()), (1, 3), "sessions are not listed");
    let id = &of_alice[0].id;
    assert!(!store.remove_token(&alice(), id, Some("bob"), 60).await.unwrap(), "it is not bob's");
    assert!(store.remove_token(&alice(), id, Some("alice"), 60).await.unwrap());
    assert_eq!(known(TokenKind::Api, "secret", 1).await, None);

    store.end_session("other", 1).await.unwrap();
    assert_eq!(known(TokenKind::Session, "session", 1).await.as_deref(), Some("bob"));
    store.end_session("session", 1).await.unwrap();
    assert_eq!(known(TokenKind::Session, "session", 1).await, None);
}

pub async fn who_is_shut_out_is_out(store: Store) {
    take_in(&store, "alice").await;
    give(&store, TokenKind::Api, "alice", "secret", None).await;
    give(&store, TokenKind::Session, "alice", "session", None).await;
    let is_in = async |kind, secret: &str| store.known(kind, secret, 1).await.unwrap().is_some();
    let change = async |change: Person| store.put_person(&alice(), &change, 20).await;
    change(Person { grants: json!([]), ..person("alice") }).await.unwrap();
    assert!(is_in(TokenKind::Session, "session").await, "what somebody may is looked up each time");
    change(Person { password: Some("another".into()), ..person("alice") }).await.unwrap();
    assert!(!is_in(TokenKind::Session, "session").await && is_in(TokenKind::Api, "secret").await);
    change(Person { disabled: true, ..person("alice") }).await.unwrap();
    assert!(!is_in(TokenKind::Api, "secret").await);
    change(Person { subject: Some("https://idp alice".into()), ..person("alice") }).await.unwrap();
    assert!(is_in(TokenKind::Api, "secret").await);
    assert_eq!(store.person_of_subject("https://idp alice").await.unwrap().unwrap().name, "alice");
    let taken = change(Person { subject: Some("https://idp alice".into()), ..person("bob") }).await;
    assert!(matches!(taken, Err(StoreError::Exists { .. })), "{taken:?}");
    assert!(store.person("bob").await.unwrap().is_none());
    assert_eq!(store.people().await.unwrap().len(), 1);
    store.verify_audit().await.unwrap().unwrap();
}
