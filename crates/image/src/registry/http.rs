//! One request with whatever the registry wants in order to answer it: redirects, tokens, credentials.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::challenge::Challenge;
use super::{Endpoint, RegistryOptions, is_internal, is_loopback};
use crate::auth::{self, Credential, Found};
use crate::{ImageError, Reference};

/// A token answer and an error text are small; more is not read.
const MAX_SMALL_BODY: u64 = 1024 * 1024;
/// For requests whose answers are small.
pub(super) const SMALL_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
const USER_AGENT: &str = concat!("cofferdam/", env!("CARGO_PKG_VERSION"));

/// A client for registries. Holds tokens in memory; one for a whole store.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(super) options: RegistryOptions,
    /// Made at the first request, because reading the system's certificates takes longer than a run from the store.
    clients: OnceCell<Clients>,
    /// `Authorization` by endpoint and repository.
    tokens: Mutex<HashMap<(String, String), HeaderValue>>,
    /// By registry.
    logins: Mutex<HashMap<String, Credential>>,
}

#[derive(Debug)]
struct Clients {
    /// Through the proxy that the environment names, if any.
    proxied: Client,
    /// For loopback: no proxy can reach it.
    direct: Client,
}

/// One GET.
#[derive(Clone, Copy, Debug)]
pub(super) struct Get<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) repository: &'a str,
    /// After `/v2/<repository>/`.
    pub(super) path: &'a str,
    pub(super) accept: &'a str,
    /// First byte wanted.
    pub(super) offset: u64,
}

impl Get<'_> {
    pub(super) fn url(&self) -> String {
        format!("{}/v2/{}/{}", self.endpoint.base, self.repository, self.path)
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: Option<String>,
    message: Option<String>,
}

impl Registry {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        Self { options, clients: OnceCell::new(), tokens: Mutex::default(), logins: Mutex::default() }
    }

    /// What opens a registry, before anything else does.
    pub(crate) fn log_in(&self, registry: &str, credential: Credential) {
        if let Ok(mut logins) = self.logins.lock() {
            logins.insert(registry.to_owned(), credential);
        }
        // What was got with another one.
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.clear();
        }
    }

    async fn look_up(&self, registry: &str) -> Found {
        let given = self.logins.lock().ok().and_then(|logins| logins.get(registry).cloned());
        match given {
            Some(credential) => Found { credential: Some(credential), origin: "given to the run".to_owned() },
            None => auth::look_up(self.options.docker_config.as_deref(), registry).await,
        }
    }

    /// Whom to ask for `reference`, first choice first.
    pub(crate) fn endpoints(&self, reference: &Reference) -> Vec<Endpoint> {
        self.options.endpoints(reference)
    }

    /// Sends `get`; a success is 200, or 206 where an offset was asked for.
    pub(super) async fn get(&self, get: &Get<'_>) -> Result<Response, ImageError> {
        if is_internal(&get.endpoint.host) && !is_loopback(&get.endpoint.host) {
            // A pipeline's author names images, and must not make this host ask a cloud's metadata service.
            let reason = "link-local and unspecified addresses are never asked".to_owned();
            return Err(ImageError::Unreachable { url: get.url(), reason });
        }
        let key = (get.endpoint.base.clone(), get.repository.to_owned());
        let known = self.tokens.lock().ok().and_then(|tokens| tokens.get(&key).cloned());
        let response = self.send(get, known).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.checked(get, response, None).await;
        }
        // Without a token, or with one that has expired: ask for one, once.
        let values: Vec<String> = response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        let Some(challenge) = Challenge::choose(values.iter().map(String::as_str)) else {
            return self.checked(get, response, None).await;
        };
        drop(response);
        let found = self.look_up(&get.endpoint.login).await;
        let authorization = self.authorize(get, &challenge, &found).await?;
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.insert(key, authorization.clone());
        }
        let response = self.send(get, Some(authorization)).await?;
        self.checked(get, response, Some(&found)).await
    }

    async fn send(&self, get: &Get<'_>, authorization: Option<HeaderValue>) -> Result<Response, ImageError> {
        let url = get.url();
        let mut request = self.client(&get.endpoint.host).await?.get(&url).header(ACCEPT, get.accept);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if get.offset > 0 {
            request = request.header(RANGE, format!("bytes={}-", get.offset));
        }
        match tokio::time::timeout(SMALL_TIMEOUT, request.send()).await {
            Ok(answer) => answer.map_err(|error| unreachable(&url, &error)),
            Err(_) => Err(late(&url)),
        }
    }

    async fn authorize(&self, get: &Get<'_>, challenge: &Challenge, found: &Found) -> Result<HeaderValue, ImageError> {
        let (realm, service) = match (challenge, &found.credential) {
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                return header(get, format!("Basic {}", base64(format!("{user}:{password}").as_bytes())));
            }
            (Challenge::Basic, _) => return Err(refused(get, "it wants a user name and a password", found)),
            (Challenge::Bearer { realm, service }, _) => (realm, service.as_deref()),
        };
        let url = realm_url(get, realm)?;
        let scope = format!("repository:{}:pull", get.repository);
        let answer = self.ask_for_token(get, &url, service, &scope, found).await?;
        let status = answer.status();
        let shown = without_query(&url);
        let body = bounded_body(answer, MAX_SMALL_BODY, &shown).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                let said = format!("{shown} answered {}: {}", status.as_u16(), error_text(&body));
                return Err(refused(get, &said, found));
            }
            _ => return Err(status_error(&shown, status, &body)),
        }
        let token = serde_json::from_slice::<TokenAnswer>(&body)
            .ok()
            .and_then(|answer| answer.token.or(answer.access_token))
            .filter(|token| !token.is_empty())
            .ok_or_else(|| ImageError::Protocol { url: shown, reason: "its answer holds no token".to_owned() })?;
        header(get, format!("Bearer {token}"))
    }

    async fn ask_for_token(
        &self,
        get: &Get<'_>,
        url: &Url,
        service: Option<&str>,
        scope: &str,
        found: &Found,
    ) -> Result<Response, ImageError> {
        let client = self.client(url.host_str().unwrap_or_default()).await?;
        let mut url = url.clone();
        let request = match &found.credential {
            Some(Credential::IdentityToken(token)) => {
                let service = service.unwrap_or(&get.endpoint.host);
                let form = [
                    ("grant_type", "refresh_token"),
                    ("service", service),
                    ("scope", scope),
                    ("client_id", "cofferdam"),
                    ("refresh_token", token),
                ];
                client
                    .post(url.clone())
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(encode(&url, &form))
            }
            other => {
                let mut query = url.query_pairs_mut();
                query.extend_pairs(service.map(|service| ("service", service)));
                query.append_pair("scope", scope);
                drop(query);
                match other {
                    Some(Credential::Password { user, password }) => {
                        client.get(url.clone()).basic_auth(user, Some(password))
                    }
                    _ => client.get(url.clone()),
                }
            }
        };
        let answer = request.timeout(SMALL_TIMEOUT).send().await;
        answer.map_err(|error| unreachable(&without_query(&url), &error))
    }

    async fn checked(&self, get: &Get<'_>, response: Response, found: Option<&Found>) -> Result<Response, ImageError> {
        let status = response.status();
        if status == StatusCode::OK || (status == StatusCode::PARTIAL_CONTENT && get.offset > 0) {
            return Ok(response);
        }
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = bounded_body(response, MAX_SMALL_BODY, &get.url()).await.unwrap_or_default();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let looked;
            let found = match found {
                Some(found) => found,
                None => {
                    looked = self.look_up(&get.endpoint.login).await;
                    &looked
                }
            };
            return Err(refused(get, &error_text(&body), found));
        }
        let mut error = status_error(&get.url(), status, &body);
        if let (ImageError::Status { message, .. }, Some(wait)) = (&mut error, wait) {
            message
                .push_str(&format!(" (asks to wait {} s)", wait.chars().take(40).collect::<String>().escape_debug()));
        }
        Err(error)
    }

    async fn client(&self, host: &str) -> Result<&Client, ImageError> {
        let make = || async {
            let options = self.options.clone();
            match tokio::task::spawn_blocking(move || Clients::new(&options)).await {
                Ok(clients) => clients,
                Err(error) => Err(error.to_string()),
            }
        };
        let clients = self.clients.get_or_try_init(make).await.map_err(|reason| ImageError::Unreachable {
            url: host.to_owned(),
            reason: format!("cannot set up TLS: {reason}"),
        })?;
        Ok(if is_internal(host) { &clients.direct } else { &clients.proxied })
    }
}

impl Clients {
    fn new(options: &RegistryOptions) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        // A machine may have no certificates at all; then every TLS host is refused by name, and plain HTTP works.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.idle_timeout)
                .redirect(Policy::custom(redirect))
                .tls_backend_preconfigured(tls.clone())
        };
        let proxied = builder().build().map_err(|error| error.to_string())?;
        let direct = builder().no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { proxied, direct })
    }
}

/// Registries redirect to where their blobs lie. Never from TLS to plain text, and never from elsewhere to this machine.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let hosts = |url: &Url| (url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned());
    let (to_scheme, to) = hosts(attempt.url());
    let Some((from_scheme, from)) = attempt.previous().last().map(hosts) else { return attempt.follow() };
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    if from_scheme == "https" && to_scheme != "https" {
        return attempt.error(format!("a redirect from https to {to_scheme} is refused"));
    }
    if is_internal(&to) && !is_internal(&from) {
        return attempt.error(format!("a redirect to the internal address {to} is refused"));
    }
    attempt.follow()
}

/// The token service may be anywhere, but credentials must not travel in plain text nor requests reach into this machine
/// because a foreign registry says so.
fn realm_url(get: &Get<'_>, realm: &str) -> Result<Url, ImageError> {
    let bad = |reason: String| ImageError::Protocol { url: get.url(), reason };
    let shown: String = realm.chars().take(200).collect();
    let url = Url::parse(realm).map_err(|_| bad(format!("its token service `{}` is no URL", shown.escape_debug())))?;
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => {}
        "http" if get.endpoint.plain => {}
        _ => return Err(bad(format!("its token service `{}` is not reached by https", shown.escape_debug()))),
    }
    if is_internal(host) && !is_internal(&get.endpoint.host) {
        return Err(bad(format!("its token service {host} is an internal address")));
    }
    Ok(url)
}

fn refused(get: &Get<'_>, reason: &str, found: &Found) -> ImageError {
    ImageError::Auth {
        registry: get.endpoint.login.clone(),
        repository: get.repository.to_owned(),
        reason: reason.to_owned(),
        credentials: found.origin.clone(),
    }
}

fn header(get: &Get<'_>, text: String) -> Result<HeaderValue, ImageError> {
    let mut value = HeaderValue::from_str(&text).map_err(|_| ImageError::Protocol {
        url: get.url(),
        reason: "the token or password cannot stand in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads at most `limit` bytes within [`SMALL_TIMEOUT`]; more is an error.
pub(super) async fn bounded_body(mut response: Response, limit: u64, url: &str) -> Result<Vec<u8>, ImageError> {
    let read = async {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(ImageError::TooLarge { what: format!("the answer of {url}"), limit, unit: "bytes" });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(SMALL_TIMEOUT, read).await.map_err(|_| late(url))?
}

fn late(url: &str) -> ImageError {
    ImageError::Unreachable {
        url: url.to_owned(),
        reason: format!("the answer took longer than {} s", SMALL_TIMEOUT.as_secs()),
    }
}

fn status_error(url: &str, status: StatusCode, body: &[u8]) -> ImageError {
    ImageError::Status { url: url.to_owned(), status: status.as_u16(), message: error_text(body) }
}

/// The registry's own words, where it uses the protocol's form for them; else the beginning of what it sent.
fn error_text(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(answer) if !answer.errors.is_empty() => {
            let one = |entry: ErrorEntry| entry.message.filter(|text| !text.is_empty()).or(entry.code);
            answer.errors.into_iter().filter_map(one).collect::<Vec<_>>().join("; ")
        }
        _ => String::from_utf8_lossy(body).trim().to_owned(),
    };
    match text.is_empty() {
        true => "no message".to_owned(),
        false => text.chars().take(200).collect::<String>().escape_debug().to_string(),
    }
}

/// A failed request in words: the whole chain, because the cause ("connection refused") stands at its end.
pub(super) fn unreachable(url: &str, error: &reqwest::Error) -> ImageError {
    ImageError::Unreachable { url: url.to_owned(), reason: reason(error) }
}

pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = inner.source();
    }
    if error.is_timeout() && parts.is_empty() {
        parts.push("timed out".to_owned());
    }
    match parts.is_empty() {
        // The top text repeats the URL, with its query.
        true => "the request failed".to_owned(),
        false => parts.join(": "),
    }
}

fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// `pairs` as a form. Any URL knows how.
fn encode(url: &Url, pairs: &[(&str, &str)]) -> String {
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            match place <= chunk.len() {
                true => out.push(char::from(DIGITS[(group >> (18 - 6 * place) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        for (text, expect) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text.as_bytes()), expect);
        }
        let url = Url::parse("http://x/?y=z").unwrap();
        assert_eq!(encode(&url, &[("a", "b c&d"), ("e", "ü")]), "a=b+c%26d&e=%C3%BC");
    }

    #[test]
    fn error_texts() {
        assert_eq!(error_text(br#"{"errors":[{"code":"DENIED","message":"no entry"},{"code":"X"}]}"#), "no entry; X");
        assert_eq!(error_text(b"<html>\x1b[31m"), "<html>\\u{1b}[31m");
        assert_eq!(error_text(b""), "no message");
    }

    #[test]
    fn realms() {
        let check = |base: &str, plain: bool, realm: &str| {
            let endpoint = Endpoint { plain, ..Endpoint::of_url(base) };
            let get = Get { endpoint: &endpoint, repository: "a", path: "manifests/b", accept: "", offset: 0 };
            realm_url(&get, realm).is_ok()
        };
        assert!(check("https://registry-1.docker.io", false, "https://auth.docker.io/token"));
        assert!(!check("https://registry.example", false, "http://auth.example/token"));
        assert!(!check("https://registry.example", false, "https://169.254.169.254/latest"));
        assert!(!check("https://registry.example", false, "https://localhost/"));
        assert!(!check("https://registry.example", false, "file:///etc/passwd"));
        assert!(!check("https://registry.example", false, "token"));
        assert!(check("http://127.0.0.1:5000", true, "http://127.0.0.1:5001/token"));
    }
}
