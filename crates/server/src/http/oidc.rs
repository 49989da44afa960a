//! Logging in where a provider of OpenID Connect says who somebody is: the authorization code flow, with PKCE.
//!
//! ```text
//!   browser ── /login/oidc ──▶ server ── discovery, keys ──▶ provider        (state, nonce and verifier are kept for some minutes)
//!      └────── logs in there ──▶ /login/oidc/callback?code&state ── code, verifier ──▶ provider: an ID token, whose signature is checked
//! ```
//!
//! Never: a redirect that is followed, a name that decides who somebody is (issuer and subject do), a login that another browser has begun.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{PreEscaped, html};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use serde::Deserialize;
use store::{Actor, Millis, Person};

use super::auth::{cookie_of, session};
use super::error::Refused;
use crate::app::App;
use crate::config::OidcConfig;

/// How long a provider may take for one answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest answer of a provider, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// How long somebody may take to log in there, in milliseconds.
const LOGIN_MS: Millis = 10 * 60_000;
/// Logins that are under way: whoever begins more has begun the others for nothing.
const MOST_LOGINS: usize = 10_000;
/// The browser's half of a login.
const COOKIE_NAME: &str = "cofferdam-login";

type Provider =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Logins that are under way.
#[derive(Default)]
pub(crate) struct Logins(Mutex<HashMap<String, Login>>);

struct Login {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    until: Millis,
}

/// A provider that does not do what it is asked for.
fn broken(what: &str, error: impl std::fmt::Display) -> Refused {
    tracing::warn!(%error, "a provider of OpenID Connect: {what}");
    Refused(StatusCode::BAD_GATEWAY, format!("the provider: {what}; the server's log says more"))
}

/// What an answer could not be had for.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("an answer of more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Answer(#[from] axum::http::Error),
}

async fn ask(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Failed> {
    let request = reqwest::Request::try_from(request)?;
    let mut answer = http.execute(request).await?;
    let mut made = axum::http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        made = made.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await? {
        if body.len() + bytes.len() > MAX_BYTES {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&bytes);
    }
    Ok(made.body(body)?)
}

/// Whoever speaks to it is not led elsewhere.
fn client() -> Result<reqwest::Client, Refused> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build();
    made.map_err(|error| broken("it cannot be spoken to", error))
}

/// Asked each time, for its keys change.
async fn provider(app: &App, config: &OidcConfig, http: &reqwest::Client) -> Result<Provider, Refused> {
    let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|error| broken("its address is none", error))?;
    let ask = |request| ask(http.clone(), request);
    let found = CoreProviderMetadata::discover_async(issuer, &ask).await;
    let found = found.map_err(|error| broken("it does not say what it is", error_chain(&error)))?;
    let url = app.config.url.as_deref().unwrap_or_default().trim_end_matches('/');
    let back = RedirectUrl::new(format!("{url}/login/oidc/callback"));
    let back = back.map_err(|error| broken("this server has no address (`--url`)", error))?;
    let secret = config.client_secret.clone().map(ClientSecret::new);
    Ok(CoreClient::from_provider_metadata(found, ClientId::new(config.client_id.clone()), secret)
        .set_redirect_uri(back))
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// `GET /login/oidc`
pub(super) async fn begin(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let config = app.config.oidc.as_ref().ok_or_else(|| Refused::missing("provider"))?;
    let provider = provider(&app, config, &client()?).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let asked =
        provider.authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random);
    let asked = asked.add_scope(Scope::new("profile".into())).add_scope(Scope::new("email".into()));
    let (url, state, nonce) = asked.set_pkce_challenge(challenge).url();
    let now = app.now();
    {
        let mut logins = app.logins.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logins.len() >= MOST_LOGINS {
            logins.retain(|_, login| login.until > now);
        }
        // Whoever began first is the likeliest to have given up: so nobody shuts everybody else out.
        if logins.len() >= MOST_LOGINS
            && let Some(oldest) = logins.iter().min_by_key(|(_, login)| login.until).map(|(state, _)| state.clone())
        {
            logins.remove(&oldest);
        }
        logins.insert(state.secret().clone(), Login { nonce, verifier, until: now + LOGIN_MS });
    }
    // It has to come along from the provider's page: not Strict.
    let cookie = app.cookie(COOKIE_NAME, state.secret(), LOGIN_MS / 1000).replace("SameSite=Strict", "SameSite=Lax");
    Ok(([(SET_COOKIE, cookie)], Redirect::to(url.as_str())).into_response())
}

/// What comes back.
#[derive(Deserialize)]
pub(super) struct Back {
    state: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

/// `GET /login/oidc/callback`
pub(super) async fn end(
    State(app): State<Arc<App>>,
    Query(back): Query<Back>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let config = app.config.oidc.as_ref().ok_or_else(|| Refused::missing("provider"))?;
    let refused = |what: &str| Refused(StatusCode::FORBIDDEN, what.to_owned());
    let login = app.logins.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&back.state);
    let login = login.filter(|login| login.until > app.now() && cookie_of(&headers, COOKIE_NAME) == Some(&back.state));
    let login = login.ok_or_else(|| refused("this login was not begun here, or too long ago: begin anew at /login"))?;
    if let Some(error) = back.error {
        return Err(refused(&format!("the provider did not log you in: {error}")));
    }
    let code = back.code.ok_or_else(|| refused("the provider gave no code"))?;
    let http = client()?;
    let provider = provider(&app, config, &http).await?;
    let exchange = provider.exchange_code(AuthorizationCode::new(code));
    let exchange = exchange.map_err(|error| broken("it has no place for codes", error))?;
    let ask = |request| ask(http.clone(), request);
    let tokens = exchange.set_pkce_verifier(login.verifier).request_async(&ask).await;
    let tokens = tokens.map_err(|error| broken("it does not take the code", error_chain(&error)))?;
    let token = tokens.id_token().ok_or_else(|| broken("it gave no ID token", "none"))?;
    let claims = token.claims(&provider.id_token_verifier(), &login.nonce);
    let claims = claims.map_err(|error| broken("its ID token is not good", error_chain(&error)))?;
    let subject = format!("{} {}", claims.issuer().as_str(), claims.subject().as_str());
    let person = match app.store.person_of_subject(&subject).await? {
        Some(person) => person,
        None => {
            let name = claims.preferred_username().map(|name| name.as_str());
            newcomer(&app, config, &subject, name.or_else(|| claims.email().map(|email| email.as_str()))).await?
        }
    };
    if person.disabled {
        return Err(refused("you may not come in any more"));
    }
    let (mut parts, _) = session(&app, &person.name, None).await?.into_parts();
    // From here the browser goes on by itself: a cookie of this site does not go along on a way that began elsewhere.
    let page =
        html! { (PreEscaped("<!DOCTYPE html>")) meta http-equiv="refresh" content="0;url=/"; a href="/" { "Go on" } };
    parts.status = StatusCode::OK;
    parts.headers.remove("location");
    let mut response = page.into_response();
    response.headers_mut().extend(parts.headers);
    Ok(response)
}

/// Somebody who comes for the first time.
async fn newcomer(app: &App, config: &OidcConfig, subject: &str, name: Option<&str>) -> Result<Person, Refused> {
    let unknown = |what: &str| {
        Refused(StatusCode::FORBIDDEN, format!("{what}: ask who takes people in here to let you in as `{subject}`"))
    };
    let grants = config.newcomers.as_ref().ok_or_else(|| unknown("nobody knows you here"))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    let name = name.filter(|name| !name.is_empty() && name.len() <= 100 && name.chars().all(fits));
    let name = name.ok_or_else(|| unknown("the provider tells no name that can be used here"))?;
    let grants = serde_json::to_value(grants).unwrap_or_default();
    let person =
        Person { name: name.to_owned(), password: None, subject: Some(subject.to_owned()), grants, disabled: false };
    let actor = Actor("oidc".into());
    let taken_in = app.store.change_person(&actor, name, app.now(), |everybody| {
        // Whoever has a name here is somebody else until an administrator says otherwise.
        match everybody.iter().any(|one| one.name == name) {
            true => Err(unknown("somebody has your name here")),
            false => Ok(person),
        }
    });
    taken_in.await
}
