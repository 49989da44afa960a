//! Who may come in, and what for: people, and the tokens that are theirs. What a grant says, the server knows.

use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::access::digest;
use crate::audit::record;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, TokenKind, signed, unsigned};

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Of a password, as argon2 writes it.
    pub password: Option<String>,
    /// Issuer and subject, where a provider of OpenID Connect says who they are.
    pub subject: Option<String>,
    /// What they may do, as JSON.
    pub grants: Value,
    /// They may not come in any more.
    pub disabled: bool,
}

/// A token that is asked with, and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whose it is. They may come in.
    pub owner: String,
    /// What its owner may do, as JSON, with what projects say of them.
    pub grants: Value,
    /// What the token may at most, as JSON.
    pub scopes: Option<Value>,
}

/// A token as it is listed: without what is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// By which it is removed: the beginning of its digest.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// As in [`Known`].
    pub scopes: Option<Value>,
    /// When it was made.
    pub created_at: Millis,
    /// Not good any more after this.
    pub expires_at: Option<Millis>,
}

/// A token that is to be.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// What for.
    pub kind: TokenKind,
    /// What its owner calls it.
    pub name: &'a str,
    /// Whose it is; of those that enrol agents, nobody's.
    pub owner: Option<&'a str>,
    /// As in [`Known`].
    pub scopes: Option<&'a Value>,
    /// Not good any more after this.
    pub expires_at: Option<Millis>,
}

/// Digits of a digest that tell tokens apart.
const ID_CHARS: usize = 16;
const COLUMNS: &str = "name, password, subject, grants, disabled";

fn person(row: &AnyRow) -> Result<Person, StoreError> {
    let grants: String = row.try_get(3)?;
    Ok(Person {
        name: row.try_get(0)?,
        password: row.try_get(1)?,
        subject: row.try_get(2)?,
        grants: serde_json::from_str(&grants).map_err(StoreError::damaged("a person"))?,
        disabled: row.try_get::<i64, _>(4)? != 0,
    })
}

fn json_of(text: Option<String>) -> Result<Option<Value>, StoreError> {
    text.map(|text| serde_json::from_str(&text).map_err(StoreError::damaged("a token"))).transpose()
}

/// Within the change that it belongs to; `before`: their password, where they were there.
async fn write_person(
    tx: &mut Change,
    actor: &Actor,
    (before, person): (Option<Option<String>>, &Person),
    now: Millis,
) -> Result<(), StoreError> {
    let put = sqlx::query(
        "INSERT INTO people (name, password, subject, grants, disabled, created_ms) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (name) DO UPDATE SET password = excluded.password, subject = excluded.subject, grants = excluded.grants, \
         disabled = excluded.disabled",
    )
    .bind(&person.name)
    .bind(&person.password)
    .bind(&person.subject)
    .bind(person.grants.to_string())
    .bind(i64::from(person.disabled))
    .bind(signed(now))
    .execute(&mut **tx)
    .await;
    put.map_err(|error| match error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
        true => StoreError::Exists { what: "person of that subject", name: person.name.clone() },
        false => error.into(),
    })?;
    if person.disabled || before.as_ref().is_some_and(|before| *before != person.password) {
        let out = sqlx::query("DELETE FROM tokens WHERE owner = $1 AND kind = 'session'");
        out.bind(&person.name).execute(&mut **tx).await?;
    }
    let action = if before.is_some() { "person.change" } else { "person.create" };
    let detail = json!({
        "grants": person.grants, "disabled": person.disabled, "subject": person.subject,
        "password": before.flatten() != person.password,
    });
    record(tx, now, actor, action, &person.name, &detail).await?;
    Ok(())
}

impl Store {
    /// Takes somebody in, or says anew what they may do. Whoever has another password, or may not come in any more, is logged out.
    ///
    /// # Errors
    /// Somebody else has that subject.
    pub async fn put_person(&self, actor: &Actor, person: &Person, now: Millis) -> Result<(), StoreError> {
        self.change_person(actor, &person.name, now, |_| Ok::<_, StoreError>(person.clone())).await.map(drop)
    }

    /// The same by what everybody is at that moment: who changes one thing of somebody undoes no other change of them, and a rule about all holds.
    ///
    /// # Errors
    /// As [`put_person`](Store::put_person), or `change` says so: then nothing is changed.
    pub async fn change_person<E: From<StoreError>>(
        &self,
        actor: &Actor,
        name: &str,
        now: Millis,
        change: impl FnOnce(&[Person]) -> Result<Person, E>,
    ) -> Result<Person, E> {
        let mut tx = self.write().await?;
        // Nobody else changes any of them until this is done.
        let held = sqlx::query("UPDATE people SET disabled = disabled").execute(&mut *tx).await;
        held.map_err(StoreError::from)?;
        let text = format!("SELECT {COLUMNS} FROM people ORDER BY name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut *tx).await.map_err(StoreError::from)?;
        let everybody = rows.iter().map(person).collect::<Result<Vec<_>, _>>()?;
        let changed = Person { name: name.to_owned(), ..change(&everybody)? };
        let before = everybody.into_iter().find(|person| person.name == name).map(|person| person.password);
        write_person(&mut tx, actor, (before, &changed), now).await?;
        tx.commit().await?;
        Ok(changed)
    }
    /// Everybody by name.
    ///
    /// # Errors
    /// The database.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM people ORDER BY name");
        sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await?.iter().map(person).collect()
    }

    /// Somebody by name.
    ///
    /// # Errors
    /// The database.
    pub async fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM people WHERE name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(&self.pool).await?;
        row.as_ref().map(person).transpose()
    }

    /// Somebody by what a provider calls them.
    ///
    /// # Errors
    /// The database.
    pub async fn person_of_subject(&self, subject: &str) -> Result<Option<Person>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM people WHERE subject = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(subject).fetch_optional(&self.pool).await?;
        row.as_ref().map(person).transpose()
    }

    /// Makes a token.
    ///
    /// # Errors
    /// The database.
    pub async fn add_token(
        &self,
        actor: &Actor,
        token: &NewToken<'_>,
        secret: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO tokens (digest, kind, name, created_ms, expires_ms, owner, scopes) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(digest(secret))
        .bind(token.kind.word())
        .bind(token.name)
        .bind(signed(now))
        .bind(token.expires_at.map(signed))
        .bind(token.owner)
        .bind(token.scopes.map(Value::to_string))
        .execute(&mut *tx)
        .await?;
        let detail = json!({ "expires_at": token.expires_at, "owner": token.owner, "scopes": token.scopes });
        record(&mut tx, now, actor, &format!("token.{}.create", token.kind.word()), token.name, &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whose token it is, if it is a good one of that kind, and they may come in.
    ///
    /// # Errors
    /// The database.
    pub async fn known(&self, kind: TokenKind, secret: &str, now: Millis) -> Result<Option<Known>, StoreError> {
        let row = sqlx::query(
            "SELECT p.name, p.grants, t.scopes FROM tokens t JOIN people p ON p.name = t.owner \
             WHERE t.digest = $1 AND t.kind = $2 AND p.disabled = 0 AND (t.expires_ms IS NULL OR t.expires_ms > $3)",
        );
        let row = row.bind(digest(secret)).bind(kind.word()).bind(signed(now)).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let (owner, grants): (String, Value) = (row.try_get(0)?, json_of(row.try_get(1)?)?.unwrap_or_default());
        let grants = self.with_projects(&owner, grants).await?;
        Ok(Some(Known { owner, grants, scopes: json_of(row.try_get(2)?)? }))
    }

    /// What somebody may do with what projects say of them: as [`Person::grants`].
    ///
    /// # Errors
    /// The database.
    pub async fn with_projects(&self, name: &str, mut grants: Value) -> Result<Value, StoreError> {
        let rows = sqlx::query(
            "SELECT p.name, g.role FROM project_people g JOIN projects p ON p.id = g.project_id WHERE g.person IN ($1, '*')",
        );
        let rows = rows.bind(name.to_owned()).fetch_all(&self.pool).await?;
        for row in &rows {
            let (on, role): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if let Value::Array(grants) = &mut grants {
                grants.push(json!({ "role": role, "on": on, "alone": true }));
            }
        }
        Ok(grants)
    }

    /// Tokens of the API, of one owner or of all.
    ///
    /// # Errors
    /// The database.
    pub async fn tokens(&self, owner: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        let rows = sqlx::query(
            "SELECT digest, name, owner, scopes, created_ms, expires_ms FROM tokens \
             WHERE kind = 'api' AND ($1 IS NULL OR owner = $1) ORDER BY created_ms, digest",
        );
        let rows = rows.bind(owner).fetch_all(&self.pool).await?;
        let listed = |row: &AnyRow| {
            let digest: String = row.try_get(0)?;
            Ok(Listed {
                id: digest.chars().take(ID_CHARS).collect(),
                name: row.try_get(1)?,
                owner: row.try_get::<Option<String>, _>(2)?.unwrap_or_default(),
                scopes: json_of(row.try_get(3)?)?,
                created_at: unsigned(row.try_get(4)?),
                expires_at: row.try_get::<Option<i64>, _>(5)?.map(unsigned),
            })
        };
        rows.iter().map(listed).collect()
    }

    /// Removes a token of the API, of that owner or of anybody. False: there is none.
    ///
    /// # Errors
    /// The database.
    pub async fn remove_token(
        &self,
        actor: &Actor,
        id: &str,
        owner: Option<&str>,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let removed = sqlx::query(
            "DELETE FROM tokens WHERE kind = 'api' AND substr(digest, 1, 16) = $1 AND ($2 IS NULL OR owner = $2)",
        );
        let removed = removed.bind(id).bind(owner).execute(&mut *tx).await?.rows_affected();
        if removed == 0 {
            return tx.rollback().await.map(|()| false);
        }
        record(&mut tx, now, actor, "token.api.remove", id, &json!({ "owner": owner })).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database.
    pub async fn end_session(&self, secret: &str, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let ended = sqlx::query("DELETE FROM tokens WHERE kind = 'session' AND digest = $1 RETURNING owner");
        if let Some(row) = ended.bind(digest(secret)).fetch_optional(&mut *tx).await? {
            let owner = row.try_get::<Option<String>, _>(0)?.unwrap_or_default();
            record(&mut tx, now, &Actor(format!("user:{owner}")), "session.end", &owner, &json!({})).await?;
        }
        tx.commit().await
    }

    /// Forgets sessions that have expired, and tokens of agents that have, or are used. Those of the API stay in the list of their owners, for
    /// where there was never one the first is made. How many.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_tokens(&self, now: Millis) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let gone = sqlx::query("DELETE FROM tokens WHERE kind <> 'api' AND (expires_ms <= $1 OR used_ms IS NOT NULL)");
        let gone = gone.bind(signed(now)).execute(&mut *tx).await?.rows_affected();
        if gone > 0 {
            record(&mut tx, now, &Actor::server(), "token.expire", "tokens", &json!({ "count": gone })).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}
