//! Logins: tokens, passwords, identity tokens, and what is said when they are missing or wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use image::{ErrorKind, ImageError, PullOptions};

use crate::children;
use crate::double::{Double, Reply, Request};
use crate::images::{DOCKER_CONFIG, Home, TestImage, options};

/// "user:secret"
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

fn asks(double_host: &str, reply_header: &str) -> Reply {
    let header = reply_header.replace("HOST", double_host);
    Reply::of(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
        .with("WWW-Authenticate", header)
}

fn authorization(request: &Request) -> &str {
    request.headers.get("authorization").map_or("", String::as_str)
}

/// A registry whose token service (`/token`) answers with what `service` says, and which accepts `Bearer good`.
fn guarded(service: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Double {
    let double = Double::with(move |request, reply| {
        let host = request.headers.get("host").cloned().unwrap_or_default();
        match (request.path.starts_with("/token"), authorization(request)) {
            (true, _) => service(request),
            (false, "Bearer good") => reply,
            _ => asks(&host, r#"Bearer realm="http://HOST/token",service="the registry",scope="repository:x:push""#),
        }
    });
    double.offer("team/a", "1", &TestImage::small(1));
    double
}

async fn pull(double: &Double, config: Option<&str>) -> Result<image::Image, ImageError> {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    if let Some(config) = config {
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.replace("HOST", &double.host())).unwrap();
        options.registry.docker_config = Some(path);
    }
    Home::with(options).store.pull(&double.name("team/a:1"), &PullOptions::default(), &()).await
}

const LOGIN: &str = r#"{"auths":{"HOST":{"auth":"dXNlcjpzZWNyZXQ="}}}"#;

#[tokio::test]
async fn an_anonymous_token_is_fetched_once() {
    let double = guarded(|request| {
        assert_eq!(request.path, "/token?service=the+registry&scope=repository%3Ateam%2Fa%3Apull");
        assert_eq!(authorization(request), "");
        Reply::of(200, r#"{"token":"good","expires_in":300}"#)
    });
    pull(&double, None).await.unwrap();
    assert_eq!(double.count("/token"), 1);
}

#[tokio::test]
async fn a_password_gets_a_token() {
    let double = guarded(|request| match authorization(request) {
        BASIC => Reply::of(200, r#"{"access_token":"good"}"#),
        _ => Reply::of(401, r#"{"errors":[{"message":"who are you"}]}"#),
    });
    pull(&double, Some(LOGIN)).await.unwrap();
    let seen = double.seen();
    let elsewhere = seen.iter().filter(|request| !request.path.starts_with("/token"));
    assert!(
        elsewhere.into_iter().all(|request| authorization(request) != BASIC),
        "the password goes to the service only"
    );

    let error = pull(&double, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    let text = error.to_string();
    assert!(text.contains(&double.host()) && text.contains("team/a") && text.contains("who are you"), "{text}");
    assert!(text.contains("/nonexistent/config.json"), "{text}");
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let double = guarded(|request| {
        let wanted = "grant_type=refresh_token&service=the+registry&scope=repository%3Ateam%2Fa%3Apull\
                      &client_id=cofferdam&refresh_token=long-lived";
        match (request.method.as_str(), request.body.as_str()) {
            ("POST", body) if body == wanted => Reply::of(200, r#"{"access_token":"good"}"#),
            other => Reply::of(400, format!("{other:?}")),
        }
    });
    pull(&double, Some(r#"{"auths":{"HOST":{"identitytoken":"long-lived"}}}"#)).await.unwrap();
}

#[tokio::test]
async fn plain_basic_authentication() {
    let double = Double::with(|request, reply| match authorization(request) {
        BASIC => reply,
        _ => asks("", r#"Basic realm="x""#),
    });
    double.offer("team/a", "1", &TestImage::small(1));
    pull(&double, Some(LOGIN)).await.unwrap();
    let error = pull(&double, None).await.unwrap_err();
    assert!(matches!(error, ImageError::Auth { .. }), "{error}");
    let wrong = LOGIN.replace("dXNlcjpzZWNyZXQ=", "dXNlcjp3cm9uZw==");
    let error = pull(&double, Some(&wrong)).await.unwrap_err();
    assert!(error.to_string().contains("found in"), "the file with the wrong password is named: {error}");
}

#[tokio::test]
async fn a_credential_helper_that_is_missing_is_named() {
    let double = basic();
    let missing = pull(&double, Some(r#"{"credHelpers":{"HOST":"cofferdam-test-does-not-exist"}}"#)).await.unwrap_err();
    assert!(missing.to_string().contains("cannot be started"), "{missing}");
}

/// Wants `user` and `secret` with every request.
fn basic() -> Double {
    let double = Double::with(|request, reply| match authorization(request) {
        BASIC => reply,
        _ => asks("", "Basic"),
    });
    double.offer("team/a", "1", &TestImage::small(1));
    double
}

/// Helpers are found on the PATH, which a process of its own may have its own of.
#[test]
fn credential_helpers_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let double = basic();
    let helper = folder.path().join("docker-credential-cofferdamtest");
    let config = folder.path().join("config.json");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let mut serial = 0;
    let mut pull = |config_text: &str, answer: &str| {
        serial += 1;
        std::fs::write(&config, config_text.replace("HOST", &double.host())).unwrap();
        std::fs::write(&helper, format!("#!/bin/sh\nread host\n{}\n", answer.replace("HOST", &double.host()))).unwrap();
        std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let root = folder.path().join(format!("store{serial}"));
        let mut child = children::command(&[], &root, &double.name("team/a:1").to_string());
        let output = child.env("PATH", &path).env(DOCKER_CONFIG, &config).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let good = r#"[ "$host" = HOST ] && echo '{"Username":"user","Secret":"secret"}'"#;
    for config in
        [r#"{"credHelpers":{"HOST":"cofferdamtest"}}"#, r#"{"auths":{"HOST":{}},"credsStore":"cofferdamtest"}"#]
    {
        let (worked, said) = pull(config, good);
        assert!(worked, "{config}: {said}");
    }
    let store = r#"{"credsStore":"cofferdamtest"}"#;
    for (answer, expect) in [
        ("echo 'credentials not found in native keychain'; exit 1", "credentials not found"),
        ("echo nonsense", "makes no sense"),
    ] {
        let (worked, said) = pull(store, answer);
        assert!(!worked && said.starts_with("Auth:") && said.contains(expect), "{said}");
    }
}

#[tokio::test]
async fn a_token_that_expires_is_renewed() {
    let uses = AtomicUsize::new(0);
    let tokens = AtomicUsize::new(0);
    let double = Double::with(move |request, reply| {
        let host = request.headers.get("host").cloned().unwrap_or_default();
        if request.path.starts_with("/token") {
            let serial = tokens.fetch_add(1, Ordering::SeqCst);
            return Reply::of(200, format!(r#"{{"token":"t{serial}"}}"#));
        }
        // Every token is good for one use.
        let expected = format!("Bearer t{}", uses.load(Ordering::SeqCst));
        match authorization(request) == expected {
            true => {
                uses.fetch_add(1, Ordering::SeqCst);
                reply
            }
            false => asks(&host, r#"Bearer realm="http://HOST/token",service="s""#),
        }
    });
    double.offer("team/a", "1", &TestImage::sized(1, 1000));
    pull(&double, None).await.unwrap();
}

#[tokio::test]
async fn token_services_that_make_no_sense() {
    for (answer, expect) in [
        (Reply::of(200, "{}"), "no token"),
        (Reply::of(200, "<html>"), "no token"),
        (Reply::of(200, r#"{"token":"a\nb"}"#), "cannot stand in a header"),
        (Reply::of(200, vec![b'x'; 2 * 1024 * 1024]), "larger than the limit"),
        (Reply::of(500, "down"), "answered 500"),
        (Reply::of(200, r#"{"token":"useless"}"#), "authentication required"),
    ] {
        let double = guarded(move |_| answer.clone());
        let error = pull(&double, None).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error} (expected {expect})");
        assert!(double.count("/token") <= 4, "no endless asking");
    }
}
