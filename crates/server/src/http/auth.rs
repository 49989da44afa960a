//! Who asks.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use maud::{Markup, html};
use serde::Deserialize;
use store::Actor;

use super::error::Refused;
use crate::app::App;

/// Somebody with a token of the API.
pub(crate) struct User(pub(crate) Actor);

/// What stands behind `Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// A token as the password of somebody, whose name says nothing: what tools for Jenkins send.
fn password(headers: &HeaderMap) -> Option<String> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

impl FromRequestParts<Arc<App>> for User {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<User, Refused> {
        let refused = || Refused(StatusCode::UNAUTHORIZED, "a token is needed: `Authorization: Bearer …`".into());
        let token = bearer(&parts.headers).map(str::to_owned).or_else(|| password(&parts.headers));
        let known = app.store.api_token(&token.ok_or_else(refused)?, app.now()).await?;
        known.map(|token| User(Actor(format!("user:{}", token.name)))).ok_or_else(refused)
    }
}

/// Name of the cookie that pages are looked at with. It is good for pages only: nothing can be changed with it.
const COOKIE_NAME: &str = "cofferdam";

/// Somebody who looks at pages, with a token in a cookie or in the request.
pub(crate) struct Viewer;

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Viewer, Response> {
        let token = bearer(&parts.headers).or_else(|| cookie(&parts.headers));
        let known = match token {
            Some(token) => {
                app.store.api_token(token, app.now()).await.map_err(|error| Refused::from(error).into_response())?
            }
            None => None,
        };
        known.map(|_| Viewer).ok_or_else(|| Redirect::to("/login").into_response())
    }
}

pub(super) async fn ask() -> Markup {
    super::pages::page(
        "Log in",
        &html! {
            h1 { "Log in" }
            form method="post" action="/login" {
                label { "Token of the API " input type="password" name="token" autocomplete="current-password" required; }
                " "
                button { "Log in" }
            }
        },
    )
}

/// What stands in the form.
#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

pub(super) async fn login(
    State(app): State<Arc<App>>,
    Form(Login { token }): Form<Login>,
) -> Result<Response, Refused> {
    let token = token.trim();
    let known = app.store.api_token(token, app.now()).await?;
    if known.is_none() {
        return Err(Refused(StatusCode::UNAUTHORIZED, "there is no such token".into()));
    }
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict");
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}
