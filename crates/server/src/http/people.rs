//! People and their tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Listed, NewToken, Person, TokenKind};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Owner, TOKEN, User};
use super::body::Sent;
use super::error::Refused;
use super::paging::Names;
use crate::app::App;
use crate::passwords::{MAX_BYTES, MAX_NAME, MIN_CHARS};
use crate::policy::{Action, Grant, Role};
use crate::random::secret;

/// What one may be granted.
const MAX_GRANTS: usize = 100;
const DAY: u64 = 24 * 3_600_000;

/// Somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
pub(super) struct Shown {
    name: String,
    /// `ROLE` or `ROLE:FOLDER`.
    grants: Vec<String>,
    disabled: bool,
    /// Who they are to the provider of identities.
    subject: Option<String>,
    /// They have one.
    password: bool,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub(super) struct People {
    people: Vec<Shown>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

fn shown(person: &Person) -> Shown {
    let grants = serde_json::from_value::<Vec<Grant>>(person.grants.clone()).unwrap_or_default();
    Shown {
        name: person.name.clone(),
        grants: words(&grants),
        disabled: person.disabled,
        subject: person.subject.clone(),
        password: person.password.is_some(),
    }
}

pub(super) fn words(grants: &[Grant]) -> Vec<String> {
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

/// Who there is, by their names.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", params(Names), responses((status = 200, body = People)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    Query(names): Query<Names>,
) -> Result<Json<People>, Refused> {
    user.may(Action::SeePeople, None)?;
    let (people, next_after) = names.page(app.store.people().await?, |person| &person.name);
    Ok(Json(People { people: people.iter().map(shown).collect(), next_after }))
}

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    name: String,
    grants: Vec<String>,
    /// Of the token; none: as much as its owner may.
    scopes: Option<Vec<String>>,
}

/// Who asks, and what they may.
#[utoipa::path(get, path = "/api/v1/me", tag = "people", responses((status = 200, body = Me)))]
pub(super) async fn me(Owner(user): Owner) -> Json<Me> {
    let who = user.who();
    let scopes = who.scopes.as_ref().map(|scopes| words(scopes));
    Json(Me { name: who.name.clone(), grants: words(&who.grants), scopes })
}

/// What is to be another; what is not named stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = PersonChange)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    /// `ROLE` or `ROLE:FOLDER`.
    grants: Option<Vec<String>>,
    password: Option<String>,
    /// Who they are to the provider of identities; empty: nobody.
    subject: Option<String>,
    disabled: Option<bool>,
}

/// Takes somebody in, or changes what is named.
#[utoipa::path(put, path = "/api/v1/people/{name}", tag = "people", request_body = Change, params(("name" = String, Path)),
    responses((status = 200, body = Shown)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    user: User,
    Path(name): Path<String>,
    Sent(change): Sent<Change>,
) -> Result<Json<Shown>, Refused> {
    let actor = user.may(Action::ChangePeople, None)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(Refused::bad("a name of somebody has letters, digits and -_.@+"));
    }
    let grants = change.grants.as_deref().map(read).transpose()?;
    let password = match change.password {
        Some(password) => Some(hash(&app, password).await?),
        None => None,
    };
    let changed = app.store.change_person(&actor, &name, app.now(), |everybody| {
        let nobody =
            || Person { name: name.clone(), password: None, subject: None, grants: json!([]), disabled: false };
        let mut person = everybody.iter().find(|one| one.name == name).cloned().unwrap_or_else(nobody);
        if let Some(grants) = &grants {
            person.grants = json_of(grants);
        }
        person.password = password.or(person.password);
        if let Some(subject) = change.subject {
            person.subject = Some(subject).filter(|subject| !subject.is_empty());
        }
        person.disabled = change.disabled.unwrap_or(person.disabled);
        if !rules(&person) && !everybody.iter().any(|other| other.name != name && rules(other)) {
            return Err(Refused(StatusCode::CONFLICT, "then there would be nobody who may take people in".into()));
        }
        Ok(person)
    });
    Ok(Json(shown(&changed.await?)))
}

/// Whether somebody may take people in.
fn rules(person: &Person) -> bool {
    let grants = serde_json::from_value::<Vec<Grant>>(person.grants.clone()).unwrap_or_default();
    !person.disabled && grants.contains(&Grant::everywhere(Role::Admin))
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
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    old: String,
    new: String,
}

/// Changes one's own password.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "people", request_body = NewPassword, responses((status = 204)))]
pub(super) async fn password(
    State(app): State<Arc<App>>,
    Owner(user): Owner,
    Sent(NewPassword { old, new }): Sent<NewPassword>,
) -> Result<StatusCode, Refused> {
    let actor = user.may(Action::OwnTokens, None)?;
    let name = &user.who().name;
    // A token that may less than its owner is not its owner.
    if user.who().scopes.is_some() || !app.passwords.is_of(&app, name, &old).await? {
        return Err(Refused(StatusCode::FORBIDDEN, "that is not the password, or the token may not change it".into()));
    }
    let password = Some(hash(&app, new).await?);
    let changed = app.store.change_person(&actor, name, app.now(), |everybody| {
        let person = everybody.iter().find(|one| one.name == *name).cloned();
        Ok::<_, Refused>(Person { password, ..person.ok_or_else(|| Refused::missing("person"))? })
    });
    changed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token, without what it says.
#[derive(Serialize, ToSchema)]
pub(super) struct Token {
    pub(super) id: String,
    pub(super) name: String,
    owner: String,
    /// None: as much as its owner may.
    pub(super) scopes: Option<Vec<String>>,
    created_at: u64,
    pub(super) expires_at: Option<u64>,
}

/// Some of them, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    /// Where the next page goes on.
    next_after: Option<String>,
}

pub(super) fn listed(token: Listed) -> Token {
    let scopes = token.scopes.and_then(|scopes| serde_json::from_value::<Vec<Grant>>(scopes).ok());
    let Listed { id, name, owner, created_at, expires_at, .. } = token;
    Token { id, name, owner, scopes: scopes.as_deref().map(words), created_at, expires_at }
}

/// Whose tokens.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Whose {
    /// Everybody's, and not one's own.
    all: bool,
}

/// Tokens.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "people", params(Whose, Names), responses((status = 200, body = Tokens)))]
pub(super) async fn tokens(
    State(app): State<Arc<App>>,
    Owner(user): Owner,
    Query(Whose { all }): Query<Whose>,
    Query(names): Query<Names>,
) -> Result<Json<Tokens>, Refused> {
    user.may(if all { Action::AllTokens } else { Action::OwnTokens }, None)?;
    let owner = Some(user.who().name.as_str()).filter(|_| !all);
    // In the order in which they were made, which is that of these names.
    let named = |token: Listed| (format!("{:016}-{}", token.created_at, token.id), token);
    let tokens = app.store.tokens(owner).await?.into_iter().map(named).collect();
    let (tokens, next_after) = names.page(tokens, |(name, _): &(String, Listed)| name);
    Ok(Json(Tokens { tokens: tokens.into_iter().map(|(_, token)| listed(token)).collect(), next_after }))
}

/// A token that is wanted.
#[derive(Deserialize, ToSchema)]
#[schema(as = WantedToken)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// What it may; none: as much as whoever makes it.
    #[serde(default)]
    pub(super) scopes: Option<Vec<String>>,
    /// How long it is good; none: for ever.
    #[serde(default)]
    pub(super) days: Option<u64>,
}

/// A token: what it says is said once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    pub(super) token: String,
    pub(super) expires_at: Option<u64>,
}

/// Makes a token for oneself.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "people", request_body = Wanted, responses((status = 201, body = MadeToken)))]
pub(super) async fn make_token(
    State(app): State<Arc<App>>,
    Owner(user): Owner,
    Sent(wanted): Sent<Wanted>,
) -> Result<(StatusCode, Json<MadeToken>), Refused> {
    Ok((StatusCode::CREATED, Json(make(&app, &user, wanted).await?)))
}

/// Makes a token for who asks.
pub(super) async fn make(app: &App, user: &User, wanted: Wanted) -> Result<MadeToken, Refused> {
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
    let (token, now) = (secret(TOKEN), app.now());
    let scopes = scopes.as_deref().map(json_of);
    let new = NewToken {
        kind: TokenKind::Api,
        name: &wanted.name,
        owner: Some(&user.who().name),
        scopes: scopes.as_ref(),
        expires_at: wanted.days.map(|days| now.saturating_add(days.saturating_mul(DAY))),
    };
    app.store.add_token(&actor, &new, &token, now).await?;
    let expires_at = new.expires_at;
    Ok(MadeToken { token, expires_at })
}

/// Takes a token back.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "people", params(("id" = String, Path)), responses((status = 204)))]
pub(super) async fn remove_token(
    State(app): State<Arc<App>>,
    Owner(user): Owner,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    remove(&app, &user, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Takes a token back, of who asks or, where they may that, of anybody.
pub(super) async fn remove(app: &App, user: &User, id: &str) -> Result<(), Refused> {
    let all = user.may(Action::AllTokens, None);
    let actor = user.may(Action::OwnTokens, None)?;
    let owner = Some(user.who().name.as_str()).filter(|_| all.is_err());
    match app.store.remove_token(&actor, id, owner, app.now()).await? {
        true => Ok(()),
        false => Err(Refused::missing("token")),
    }
}
