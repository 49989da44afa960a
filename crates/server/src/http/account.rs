//! The page of one's own tokens: how who has only a browser comes by one. No other site's page has the session that its forms come with
//! (`SameSite=Strict`).

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::auth::{User, Viewer};
use super::error::Refused;
use super::pages::{moment, page};
use super::people::{MadeToken, Wanted, listed, make, remove, words};
use crate::app::App;
use crate::policy::Action;

/// Who they are, and their tokens.
pub(super) async fn show(State(app): State<Arc<App>>, Viewer(user): Viewer) -> Result<Markup, Refused> {
    shown(&app, &user, None).await
}

async fn shown(app: &App, user: &User, made: Option<&MadeToken>) -> Result<Markup, Refused> {
    user.may(Action::OwnTokens, None)?;
    let who = user.who();
    let tokens: Vec<_> = app.store.tokens(Some(&who.name)).await?.into_iter().map(listed).collect();
    Ok(page(
        "Account",
        &html! {
            h1 { (who.name) }
            p { "You are here " (words(&who.grants).join(", ")) "." }
            @if let Some(made) = made {
                p { "The new token, which is shown this once:" }
                pre { (made.token) }
            }
            h2 { "Tokens" }
            table {
                tr { th { "Token" } th { "May at most" } th { "Until" } th {} }
                @for token in &tokens {
                    tr {
                        td { (token.name) }
                        td { (token.scopes.as_ref().map_or("all that you may".to_owned(), |scopes| scopes.join(", "))) }
                        td { (token.expires_at.map_or("it is removed".to_owned(), moment)) }
                        td {
                            form method="post" action=(format!("/account/tokens/{}/remove", token.id)) {
                                button { "Remove" }
                            }
                        }
                    }
                }
            }
            form method="post" action="/account/tokens" {
                p { label { "Name " input name="name" required; } }
                p { label { "May at most (reader, developer@team …; nothing: all that you may) " input name="scopes"; } }
                p { label { "Good for days (nothing: until it is removed) " input name="days" inputmode="numeric"; } }
                button { "Make a token" }
            }
            form method="post" action="/logout" { p { button { "Log out" } } }
        },
    ))
}

/// What stands in the form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    name: String,
    scopes: String,
    days: String,
}

pub(super) async fn make_token(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Form(Asked { name, scopes, days }): Form<Asked>,
) -> Result<Markup, Refused> {
    let scopes: Vec<String> = scopes.split([' ', ',']).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    let days = Some(days.trim()).filter(|days| !days.is_empty()).map(str::parse).transpose();
    let days = days.map_err(|_| Refused::bad("a number of days"))?;
    let wanted = Wanted { name, scopes: Some(scopes).filter(|scopes| !scopes.is_empty()), days };
    let made = make(&app, &user, wanted).await?;
    shown(&app, &user, Some(&made)).await
}

pub(super) async fn remove_token(
    State(app): State<Arc<App>>,
    Viewer(user): Viewer,
    Path(id): Path<String>,
) -> Result<Redirect, Refused> {
    remove(&app, &user, &id).await?;
    Ok(Redirect::to("/account"))
}
