//! People and their tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Listed, NewToken, Person, TokenKind};

use super::auth::User;
use super::error::Refused;
use crate::app::App;
use crate::passwords::{MAX_BYTES, MIN_CHARS};
use crate::policy::{Action, Grant, Role};
use crate::random::secret;

/// The longest name of somebody, in bytes.
const MAX_NAME: usize = 100;
/// What one may be granted.
const MAX_GRANTS: usize = 100;
const DAY: u64 = 24 * 3_600_000;

fn shown(person: &Person) -> Value {
    let grants = serde_json::from_value::<Vec<Grant>>(person.grants.clone()).unwrap_or_default();
    json!({
        "name": person.name, "grants": words(&grants), "disabled": person.disabled, "subject": person.subject,
        "password": person.password.is_some(),
    })
}

fn words(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(Grant::to_string).collect()
}

fn read(words: &[String]) -> Result<Vec<Grant>, Refused> {
    if words.len() > MAX_GRANTS {
        return Err(Refused::bad(format!("more than {MAX_GRANTS} grants")));
    }
    words.iter().map(|word| word.parse().map_err(Refused::bad)).collect()
}

fn json_of(grants: &[Grant]) -> Value {
    serde_json::to_value(grants).unwrap_or_default()
}

pub(super) async fn list(State(app): State<Arc<App>>, user: User) -> Result<Json<Value>, Refused> {
    user.may(Action::SeePeople, None)?;
    let people: Vec<_> = app.store.people().await?.iter().map(shown).collect();
    Ok(Json(json!({ "people": people })))
}

/// Who asks, and what they may.
pub(super) async fn me(user: User) -> Json<Value> {
    let who = user.who();
    Json(json!({
        "name": who.name, "grants": words(&who.grants), "scopes": who.scopes.as_ref().map(|scopes| words(scopes)),
    }))
}

/// What is to be another; what is not named stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    grants: Option<Vec<String>>,
    password: Option<String>,
    subject: Option<String>,
    disabled: Option<bool>,
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    user: User,
    Path(name): Path<String>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Refused> {
    let actor = user.may(Action::ChangePeople, None)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(Refused::bad("a name of somebody has letters, digits and -_.@+"));
    }
    let nobody = || Person { name: name.clone(), password: None, subject: None, grants: json!([]), disabled: false };
    let mut person = app.store.person(&name).await?.unwrap_or_else(nobody);
    if let Some(grants) = &change.grants {
        person.grants = json_of(&read(grants)?);
    }
    if let Some(password) = change.password {
        person.password = Some(hash(&app, password).await?);
    }
    if let Some(subject) = change.subject {
        person.subject = Some(subject).filter(|subject| !subject.is_empty());
    }
    person.disabled = change.disabled.unwrap_or(person.disabled);
    let rules = |person: &Person| {
        let grants = serde_json::from_value::<Vec<Grant>>(person.grants.clone()).unwrap_or_default();
        !person.disabled && grants.contains(&Grant::everywhere(Role::Admin))
    };
    if !rules(&person) && !app.store.people().await?.iter().any(|other| other.name != name && rules(other)) {
        return Err(Refused(StatusCode::CONFLICT, "then there would be nobody who may take people in".into()));
    }
    app.store.put_person(&actor, &person, app.now()).await?;
    Ok(Json(shown(&person)))
}

async fn hash(app: &App, password: String) -> Result<String, Refused> {
    if password.chars().count() < MIN_CHARS || password.len() > MAX_BYTES {
        return Err(Refused::bad(format!(
            "a password has at least {MIN_CHARS} characters, and at most {MAX_BYTES} bytes"
        )));
    }
    let failed = || Refused(StatusCode::INTERNAL_SERVER_ERROR, "the password cannot be hashed".into());
    app.passwords.hash(password).await.ok_or_else(failed)
}

/// Another password of one's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    old: String,
    new: String,
}

pub(super) async fn password(
    State(app): State<Arc<App>>,
    user: User,
    Json(NewPassword { old, new }): Json<NewPassword>,
) -> Result<StatusCode, Refused> {
    let actor = user.may(Action::OwnTokens, None)?;
    let name = &user.who().name;
    // A token that may less than its owner is not its owner.
    if user.who().scopes.is_some() || !app.passwords.is_of(&app, name, &old).await? {
        return Err(Refused(StatusCode::FORBIDDEN, "that is not the password, or the token may not change it".into()));
    }
    let person = app.store.person(name).await?.ok_or_else(|| Refused::missing("person"))?;
    let person = Person { password: Some(hash(&app, new).await?), ..person };
    app.store.put_person(&actor, &person, app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn listed(token: &Listed) -> Value {
    let scopes = token.scopes.clone().and_then(|scopes| serde_json::from_value::<Vec<Grant>>(scopes).ok());
    json!({
        "id": token.id, "name": token.name, "owner": token.owner, "scopes": scopes.as_deref().map(words),
        "created_at": token.created_at, "expires_at": token.expires_at,
    })
}

/// Whose tokens.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Whose {
    all: bool,
}

pub(super) async fn tokens(
    State(app): State<Arc<App>>,
    user: User,
    Query(Whose { all }): Query<Whose>,
) -> Result<Json<Value>, Refused> {
    user.may(if all { Action::AllTokens } else { Action::OwnTokens }, None)?;
    let owner = Some(user.who().name.as_str()).filter(|_| !all);
    let tokens: Vec<_> = app.store.tokens(owner).await?.iter().map(listed).collect();
    Ok(Json(json!({ "tokens": tokens })))
}

/// A token that is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: String,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    days: Option<u64>,
}

pub(super) async fn make_token(
    State(app): State<Arc<App>>,
    user: User,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let actor = user.may(Action::OwnTokens, None)?;
    if wanted.name.is_empty() || wanted.name.len() > MAX_NAME {
        return Err(Refused::bad(format!("a token has a name of at most {MAX_NAME} bytes")));
    }
    let scopes = match &wanted.scopes {
        Some(words) => {
            let scopes = read(words)?;
            if let Some(more) = scopes.iter().find(|scope| !user.who().may_give(scope)) {
                return Err(Refused(StatusCode::FORBIDDEN, format!("{more} is more than you have here")));
            }
            Some(scopes)
        }
        // One that is made with a token may no more than that.
        None => user.who().scopes.clone(),
    };
    let (token, now) = (secret("cft"), app.now());
    let scopes = scopes.as_deref().map(json_of);
    let new = NewToken {
        kind: TokenKind::Api,
        name: &wanted.name,
        owner: Some(&user.who().name),
        scopes: scopes.as_ref(),
        expires_at: wanted.days.map(|days| now.saturating_add(days.saturating_mul(DAY))),
    };
    app.store.add_token(&actor, &new, &token, now).await?;
    Ok((StatusCode::CREATED, Json(json!({ "token": token, "expires_at": new.expires_at }))))
}

pub(super) async fn remove_token(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let all = user.may(Action::AllTokens, None);
    let actor = user.may(Action::OwnTokens, None)?;
    let owner = Some(user.who().name.as_str()).filter(|_| all.is_err());
    match app.store.remove_token(&actor, &id, owner, app.now()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refused::missing("token")),
    }
}
