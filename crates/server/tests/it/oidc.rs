//! Logging in with a provider of OpenID Connect: a real one, which `COFFERDAM_OIDC_PROVIDER` names the folder of (`scripts/oidc-provider.sh`).

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use serde_json::json;
use server::OidcConfig;
use server::policy::{Grant, Role};

use crate::agent::Place;

/// Where people would find the server; nothing is asked there.
const URL: &str = "https://ci.example";

struct Provider {
    process: Child,
    issuer: String,
    /// What it says goes nowhere, but it may say it.
    _said: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Provider {
    fn start() -> Option<Provider> {
        let Some(folder) = std::env::var_os("COFFERDAM_OIDC_PROVIDER").map(PathBuf::from) else {
            println!("skipped: COFFERDAM_OIDC_PROVIDER names no folder of oidc-provider");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("node");
        command.arg(folder.join("oidc-provider.mjs")).arg(port.to_string()).arg(format!("{URL}/login/oidc/callback"));
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.by_ref().any(|line| line.unwrap().contains("listening")), "it has ended");
        Some(Provider { process, issuer: format!("http://127.0.0.1:{port}"), _said: lines })
    }

    fn config(&self, newcomers: Option<Vec<Grant>>) -> OidcConfig {
        OidcConfig {
            name: "the house".into(),
            issuer: self.issuer.clone(),
            client_id: "cofferdam".into(),
            client_secret: Some("a secret of the client".into()),
            newcomers,
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a browser keeps.
#[derive(Default)]
struct Browser(HashMap<String, String>);

impl Browser {
    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    fn cookies(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// From the server's page to the provider's, through that, to the address that leads back. Which is asked for by nobody here.
    async fn log_in_there(&mut self, place: &Place, issuer: &str, name: &str) -> String {
        let begun = place.request("GET", "/login/oidc").send().await.unwrap();
        assert_eq!(begun.status(), 303, "{}", begun.text().await.unwrap());
        self.keep(begun.headers());
        let mut next = begun.headers()[LOCATION].to_str().unwrap().to_owned();
        for _ in 0..20 {
            if let Some(path) = next.strip_prefix(URL) {
                return path.to_owned();
            }
            let url = if next.starts_with('/') { format!("{issuer}{next}") } else { next };
            let answer = place.anywhere("GET", &url).header("cookie", self.cookies()).send().await.unwrap();
            self.keep(answer.headers());
            next = match answer.headers().get(LOCATION) {
                Some(location) => location.to_str().unwrap().to_owned(),
                None => {
                    let page = answer.text().await.unwrap();
                    let prompt = if page.contains("value=\"login\"") { "login" } else { "consent" };
                    let form = format!("prompt={prompt}&login={name}&password=x");
                    let post = place.anywhere("POST", &url).header("cookie", self.cookies()).body(form);
                    let post = post.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
                    self.keep(post.headers());
                    post.headers()[LOCATION].to_str().unwrap().to_owned()
                }
            };
        }
        panic!("it leads nowhere");
    }

    async fn come_back(&mut self, place: &Place, path: &str) -> (u16, String) {
        let answer = place.request("GET", path).header("cookie", self.cookies()).send().await.unwrap();
        self.keep(answer.headers());
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_provider_says_who_somebody_is() {
    let Some(provider) = Provider::start() else { return };
    let mut place = Place::new().await;
    place.url = Some(URL.into());
    place.oidc = Some(provider.config(None));
    place.restart().await;
    assert!(place.page("/login", None).await.1.contains("Log in with the house"));
    // Nobody knows her.
    let mut alice = Browser::default();
    let back = alice.log_in_there(&place, &provider.issuer, "alice").await;
    let (status, said) = alice.come_back(&place, &back).await;
    let subject = format!("{} alice", provider.issuer);
    assert!(status == 403 && said.contains(&subject), "{status} {said}");
    // Now somebody does.
    place.ask("PUT", "/api/v1/people/alice", json!({ "grants": ["reader"], "subject": subject })).await;
    let back = alice.log_in_there(&place, &provider.issuer, "alice").await;
    let (status, said) = alice.come_back(&place, &back).await;
    assert_eq!(status, 200, "{said}");
    let session = alice.0["cofferdam"].clone();
    assert_eq!(place.page("/", Some(&session)).await.0, 200);
    // What was used once is used up.
    assert_eq!(alice.come_back(&place, &back).await.0, 403);

    // What one browser has begun, another does not end: it would be logged in as somebody else.
    let mut mallory = Browser::default();
    let hers = mallory.log_in_there(&place, &provider.issuer, "mallory").await;
    assert_eq!(alice.come_back(&place, &hers).await.0, 403);
    let forged = format!("{}&state=0", hers.split("&state").next().unwrap());
    assert_eq!(mallory.come_back(&place, &forged).await.0, 403);
    assert_eq!(mallory.come_back(&place, "/login/oidc/callback?state=x&error=denied").await.0, 403);
}

#[tokio::test]
async fn newcomers_may_what_was_said_and_take_nobodys_name() {
    let Some(provider) = Provider::start() else { return };
    let mut place = Place::new().await;
    place.url = Some(URL.into());
    place.oidc = Some(provider.config(Some(vec![Grant { role: Role::Reader, on: "team".into(), alone: false }])));
    place.restart().await;
    let mut bob = Browser::default();
    let back = bob.log_in_there(&place, &provider.issuer, "bob").await;
    assert_eq!(bob.come_back(&place, &back).await.0, 200);
    let people = place.ask("GET", "/api/v1/people", serde_json::Value::Null).await;
    let found = people["people"].as_array().unwrap().iter().find(|person| person["name"] == "bob").unwrap().clone();
    assert_eq!(found["grants"], json!(["reader@team"]));
    // `admin` is taken, whatever the provider calls somebody.
    let mut other = Browser::default();
    let back = other.log_in_there(&place, &provider.issuer, "admin").await;
    let (status, said) = other.come_back(&place, &back).await;
    assert!(status == 403 && said.contains("somebody has your name"), "{status} {said}");
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_to_be() {
    let mut place = Place::new().await;
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.oidc = Some(OidcConfig {
        name: "nobody".into(),
        issuer: format!("http://{away}"),
        client_id: "x".into(),
        client_secret: None,
        newcomers: None,
    });
    place.restart().await;
    let (status, said) = place.page("/login/oidc", None).await;
    assert!(status == 502 && said.contains("the provider"), "{status} {said}");
}
