//! Who asks, and whether they may: no handler comes by an actor but through [`User::may`].

use std::sync::Arc;

use axum::extract::{Form, FromRequestParts, Query, State};
use axum::http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use maud::{Markup, html};
use serde::Deserialize;
use store::{Actor, Known, NewToken, Project, ProjectId, TokenKind};

use super::error::Refused;
use crate::app::App;
use crate::passwords::NotChecked;
use crate::policy::{Action, Grant, Place, Who};
use crate::random::secret;

/// How long somebody stays logged in, in milliseconds.
pub(super) const SESSION_MS: u64 = 12 * 3_600_000;
/// How a token of the API begins.
pub(super) const TOKEN: &str = "cft";
/// Name of the cookie that pages are looked at with. It is good for pages only, whose forms no other site can send with it.
const COOKIE_NAME: &str = "cofferdam";

/// Somebody with a token of the API.
pub(crate) struct User(Who);

/// Somebody who looks at pages, with a session in a cookie or a token in the request.
pub(crate) struct Viewer(pub(crate) User);

impl User {
    /// Who they are, if they may do this; to a project, if it is about one.
    ///
    /// # Errors
    /// They may not. What they may not even see is not there.
    pub(crate) fn may(&self, action: Action, project: Option<&str>) -> Result<Actor, Refused> {
        if self.0.may(action, project) {
            return Ok(Actor(format!("user:{}", self.0.name)));
        }
        let (role, place) = action.needs();
        if place == Place::Project && project.is_some_and(|project| !self.sees(project)) {
            return Err(Refused::missing("project"));
        }
        let on = match (place, project) {
            (Place::Project, Some(project)) => format!(" on {project}"),
            (Place::Anywhere, _) => String::new(),
            _ => " on everything".to_owned(),
        };
        let (resource, word) = action.name();
        let reason = format!("`{word}` of a {resource} needs role {}{on}", role.name());
        Err(Refused(StatusCode::FORBIDDEN, reason))
    }

    pub(crate) fn sees(&self, project: &str) -> bool {
        self.0.may(Action::SeeProject, Some(project))
    }

    /// Of all projects those that they see; `None`: all of them.
    pub(crate) async fn visible(&self, app: &App) -> Result<Option<Vec<ProjectId>>, Refused> {
        if self.0.may(Action::SeeProject, None) {
            return Ok(None);
        }
        Ok(Some(self.projects(app).await?.iter().map(|project| project.id).collect()))
    }

    /// The projects that they see.
    pub(crate) async fn projects(&self, app: &App) -> Result<Vec<Project>, Refused> {
        let mut projects = app.store.projects().await?;
        projects.retain(|project| self.sees(&project.name));
        Ok(projects)
    }

    pub(crate) fn who(&self) -> &Who {
        &self.0
    }
}

fn user(known: Known) -> Result<User, Refused> {
    let read = |json: serde_json::Value| serde_json::from_value::<Vec<Grant>>(json);
    let unknown = |_| Refused(StatusCode::FORBIDDEN, "this server does not know what is granted there".into());
    let grants = read(known.grants).map_err(unknown)?;
    let scopes = known.scopes.map(read).transpose().map_err(unknown)?;
    Ok(User(Who { name: known.owner, grants, scopes }))
}

/// What stands behind `Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// A name and a password. Tools for Jenkins send a token as the password of any name.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

impl FromRequestParts<Arc<App>> for User {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<User, Refused> {
        let refused = || Refused(StatusCode::UNAUTHORIZED, "a token is needed: `Authorization: Bearer …`".into());
        let token = bearer(&parts.headers).map(str::to_owned).or_else(|| Some(basic(&parts.headers)?.1));
        let known = app.store.known(TokenKind::Api, &token.ok_or_else(refused)?, app.now()).await?;
        user(known.ok_or_else(refused)?)
    }
}

impl From<NotChecked> for Refused {
    fn from(error: NotChecked) -> Refused {
        match error {
            NotChecked::Store(error) => error.into(),
            NotChecked::Busy => Refused(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
        }
    }
}

/// Somebody who says who they are by their password too: for what is about themselves, so that who has no token comes by one.
pub(crate) struct Owner(pub(crate) User);

impl FromRequestParts<Arc<App>> for Owner {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Owner, Refused> {
        let refused = match User::from_request_parts(parts, app).await {
            Ok(user) => return Ok(Owner(user)),
            Err(refused) => refused,
        };
        let Some((name, password)) = basic(&parts.headers) else { return Err(refused) };
        // What looks like a token is none that is good.
        if password.starts_with(TOKEN) || !app.passwords.is_of(app, &name, &password).await? {
            return Err(refused);
        }
        let grants = app.store.person(&name).await?.ok_or(refused)?.grants;
        let grants = app.store.with_projects(&name, grants).await?;
        Ok(Owner(user(Known { owner: name, grants, scopes: None })?))
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE_NAME)
}

/// A cookie by its name.
pub(super) fn cookie_of<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Viewer, Response> {
        let known = match (bearer(&parts.headers), cookie(&parts.headers)) {
            (Some(token), _) => app.store.known(TokenKind::Api, token, app.now()).await,
            (None, Some(session)) => app.store.known(TokenKind::Session, session, app.now()).await,
            (None, None) => Ok(None),
        };
        let known = known.map_err(|error| Refused::from(error).into_response())?;
        let known = known.ok_or_else(|| Redirect::to("/login").into_response())?;
        Ok(Viewer(user(known).map_err(axum::response::IntoResponse::into_response)?))
    }
}

/// What the page to log in is to say.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    /// It went wrong.
    #[serde(default)]
    wrong: bool,
}

pub(super) async fn ask(State(app): State<Arc<App>>, Query(Asked { wrong }): Query<Asked>) -> Markup {
    super::pages::page(
        "Log in",
        &html! {
            h1 { "Log in" }
            @if wrong { p class="failure" { "That is no name and password, and no token, that this server knows." } }
            @if let Some(provider) = &app.config.oidc {
                p { a href="/login/oidc" { "Log in with " (provider.name) } }
            }
            form method="post" action="/login" {
                p { label { "Name " input name="name" autocomplete="username"; } }
                p { label { "Password " input type="password" name="password" autocomplete="current-password"; } }
                p { label { "or a token of the API " input type="password" name="token" autocomplete="off"; } }
                button { "Log in" }
            }
        },
    )
}

/// What stands in the form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Login {
    name: String,
    password: String,
    token: String,
}

pub(super) async fn login(State(app): State<Arc<App>>, Form(login): Form<Login>) -> Result<Response, Refused> {
    let token = login.token.trim();
    let (owner, scopes) = match token.is_empty() {
        true if app.passwords.is_of(&app, &login.name, &login.password).await? => (login.name, None),
        true => return Ok(Redirect::to("/login?wrong=true").into_response()),
        false => match app.store.known(TokenKind::Api, token, app.now()).await? {
            Some(known) => (known.owner, known.scopes),
            None => return Ok(Redirect::to("/login?wrong=true").into_response()),
        },
    };
    session(&app, &owner, scopes.as_ref()).await
}

/// Logs somebody in.
pub(super) async fn session(app: &App, owner: &str, scopes: Option<&serde_json::Value>) -> Result<Response, Refused> {
    let (session, now) = (secret("cfs"), app.now());
    let token = NewToken {
        kind: TokenKind::Session,
        name: "session",
        owner: Some(owner),
        scopes,
        expires_at: Some(now + SESSION_MS),
    };
    app.store.add_token(&Actor(format!("user:{owner}")), &token, &session, now).await?;
    Ok(([(SET_COOKIE, app.cookie(COOKIE_NAME, &session, SESSION_MS / 1000))], Redirect::to("/")).into_response())
}

pub(super) async fn logout(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refused> {
    if let Some(session) = cookie(&headers) {
        app.store.end_session(session, app.now()).await?;
    }
    Ok(([(SET_COOKIE, app.cookie(COOKIE_NAME, "", 0))], Redirect::to("/login")).into_response())
}
