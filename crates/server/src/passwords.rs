//! Passwords of people who have an account here: argon2id, and no more guesses than somebody makes who has forgotten theirs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use store::{Millis, StoreError};
use tokio::sync::Semaphore;

use crate::app::App;

/// The shortest password, in characters.
pub(crate) const MIN_CHARS: usize = 12;
/// The longest, in bytes: each is worth the same work.
pub(crate) const MAX_BYTES: usize = 1024;
/// Each takes 19 MiB and some ten milliseconds: of more at once nobody has anything.
const AT_ONCE: usize = 2;
/// Wrong ones in a row before a name has to wait.
const FREE: u32 = 5;
/// How long it waits after the next, doubled each time up to the last, in milliseconds.
const WAIT: (Millis, Millis) = (1000, 15 * 60_000);
/// Names that are remembered for it: whoever tries more of them is known by none.
const MOST_NAMES: usize = 10_000;

pub(crate) struct Passwords {
    turns: Semaphore,
    wrong: Mutex<HashMap<String, Wrong>>,
}

#[derive(Clone, Copy)]
struct Wrong {
    times: u32,
    again_at: Millis,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords { turns: Semaphore::new(AT_ONCE), wrong: Mutex::default() }
    }
}

impl Passwords {
    /// As it is kept. `None`: the machine has no random numbers, or no memory.
    pub(crate) async fn hash(&self, password: String) -> Option<String> {
        let _turn = self.turns.acquire().await.ok()?;
        let hashed = tokio::task::spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()));
        hashed.await.ok()?.ok().map(|hash| hash.to_string())
    }

    /// Whether that is the password of somebody who may come in. It takes as long where there is nobody of that name.
    pub(crate) async fn is_of(&self, app: &App, name: &str, password: &str) -> Result<bool, StoreError> {
        let now = app.now();
        if self.has_to_wait(name, now) || password.len() > MAX_BYTES {
            return Ok(false);
        }
        let person = app.store.person(name).await?.filter(|person| !person.disabled);
        let kept = person.and_then(|person| person.password);
        let is_it = self.verify(kept, password.to_owned()).await;
        self.note(name, is_it, now);
        Ok(is_it)
    }

    async fn verify(&self, kept: Option<String>, password: String) -> bool {
        let Ok(_turn) = self.turns.acquire().await else { return false };
        let verified = tokio::task::spawn_blocking(move || match kept {
            Some(kept) => PasswordHash::new(&kept)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            None => {
                let _ = Argon2::default().hash_password(password.as_bytes());
                false
            }
        });
        verified.await.unwrap_or(false)
    }

    fn has_to_wait(&self, name: &str, now: Millis) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.get(name).is_some_and(|wrong| wrong.times >= FREE && now < wrong.again_at)
    }

    fn note(&self, name: &str, is_it: bool, now: Millis) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if is_it {
            wrong.remove(name);
            return;
        }
        if wrong.len() >= MOST_NAMES {
            wrong.retain(|_, wrong| wrong.again_at > now);
        }
        if wrong.len() < MOST_NAMES || wrong.contains_key(name) {
            let times = wrong.get(name).map_or(0, |wrong| wrong.times) + 1;
            let wait = WAIT.0.saturating_mul(1 << times.saturating_sub(FREE).min(20)).min(WAIT.1);
            wrong.insert(name.to_owned(), Wrong { times, again_at: now + wait });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash() {
        let passwords = Passwords::default();
        let kept = passwords.hash("correct horse".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$") && !kept.contains("correct"), "{kept}");
        assert_ne!(passwords.hash("correct horse".into()).await.unwrap(), kept, "each has a salt of its own");
        assert!(passwords.verify(Some(kept.clone()), "correct horse".into()).await);
        assert!(!passwords.verify(Some(kept), "wrong horse".into()).await);
        assert!(!passwords.verify(None, "correct horse".into()).await);
        assert!(!passwords.verify(Some("nonsense".into()), "nonsense".into()).await);
    }

    #[test]
    fn who_guesses_waits_longer_each_time() {
        let passwords = Passwords::default();
        for _ in 0..FREE {
            assert!(!passwords.has_to_wait("alice", 0));
            passwords.note("alice", false, 0);
        }
        assert!(passwords.has_to_wait("alice", 999) && !passwords.has_to_wait("alice", 1000));
        assert!(!passwords.has_to_wait("bob", 0));
        passwords.note("alice", false, 1000);
        assert!(passwords.has_to_wait("alice", 2999) && !passwords.has_to_wait("alice", 3000));
        (0..60).for_each(|_| passwords.note("alice", false, 3000));
        assert!(!passwords.has_to_wait("alice", 3000 + WAIT.1));
        passwords.note("alice", true, 4000);
        assert!(!passwords.has_to_wait("alice", 0));
    }
}
