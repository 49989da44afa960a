//! Passwords of people who have an account here: argon2id, and no more guesses than somebody makes who has forgotten theirs.

use std::collections::HashMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use store::{Millis, StoreError};
use tokio::sync::oneshot;

use crate::app::App;

/// The shortest password, in characters.
pub(crate) const MIN_CHARS: usize = 12;
/// The longest, in bytes: each is worth the same work.
pub(crate) const MAX_BYTES: usize = 1024;
/// Of those that wait for their turn. Each takes 19 MiB and some ten milliseconds.
const MOST_WAITING: usize = 64;
/// The longest name, in bytes: as long as that of anybody who can be there.
pub(crate) const MAX_NAME: usize = 100;
/// Wrong ones in a row before a name has to wait.
const FREE: u32 = 5;
/// How long it waits after the next, doubled each time up to the last, in milliseconds.
const WAIT: (Millis, Millis) = (1000, 15 * 60_000);
/// Names that are remembered for it: whoever tries more of them is known by none.
const MOST_NAMES: usize = 10_000;

#[derive(Default)]
pub(crate) struct Passwords {
    /// One thread does all of it, from the first on: each thread that has had so much memory keeps it.
    work: OnceLock<SyncSender<Work>>,
    wrong: Mutex<HashMap<String, Wrong>>,
}

type Work = Box<dyn FnOnce() + Send>;

/// Why a password was not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChecked {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("too many passwords are to be looked at: once more, later")]
    Busy,
}

#[derive(Clone, Copy)]
struct Wrong {
    times: u32,
    again_at: Millis,
}

impl Passwords {
    /// Has that done in its turn. `None`: too many wait.
    async fn work<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let sender = self.work.get_or_init(|| {
            let (sender, receiver) = sync_channel::<Work>(MOST_WAITING);
            std::thread::spawn(move || receiver.into_iter().for_each(|work| work()));
            sender
        });
        let (done, answer) = oneshot::channel();
        sender.try_send(Box::new(move || drop(done.send(what())))).ok()?;
        answer.await.ok()
    }

    /// As it is kept. `None`: too many wait, or the machine has no random numbers, or no memory.
    pub(crate) async fn hash(&self, password: String) -> Option<String> {
        let hashed = self.work(move || Argon2::default().hash_password(password.as_bytes())).await?;
        hashed.ok().map(|hash| hash.to_string())
    }

    /// Whether that is the password of somebody who may come in. It takes as long where there is nobody of that name.
    pub(crate) async fn is_of(&self, app: &App, name: &str, password: &str) -> Result<bool, NotChecked> {
        if password.len() > MAX_BYTES || name.len() > MAX_NAME || !self.may_try(name, app.now()) {
            return Ok(false);
        }
        let checked = async {
            let person = app.store.person(name).await?.filter(|person| !person.disabled);
            let kept = person.and_then(|person| person.password);
            self.verify(kept, password.to_owned()).await.ok_or(NotChecked::Busy)
        };
        let checked = checked.await;
        match &checked {
            Ok(true) => drop(self.wrong().remove(name)),
            Ok(false) => {}
            // It was no guess.
            Err(_) => self.take_back(name),
        }
        checked
    }

    fn take_back(&self, name: &str) {
        let mut wrong = self.wrong();
        match wrong.get_mut(name) {
            Some(of_name) if of_name.times > 1 => of_name.times -= 1,
            _ => drop(wrong.remove(name)),
        }
    }

    async fn verify(&self, kept: Option<String>, password: String) -> Option<bool> {
        let verified = self.work(move || match kept {
            Some(kept) => PasswordHash::new(&kept)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            None => {
                let _ = Argon2::default().hash_password(password.as_bytes());
                false
            }
        });
        verified.await
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<String, Wrong>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a name has to wait before the next guess; if not, that one is wrong until it is known to be right, so that many at once are no
    /// more than one after the other.
    fn may_try(&self, name: &str, now: Millis) -> bool {
        let mut wrong = self.wrong();
        if wrong.get(name).is_some_and(|wrong| wrong.times >= FREE && now < wrong.again_at) {
            return false;
        }
        if wrong.len() >= MOST_NAMES {
            wrong.retain(|_, wrong| wrong.again_at > now);
        }
        if wrong.len() < MOST_NAMES || wrong.contains_key(name) {
            let times = wrong.get(name).map_or(0, |wrong| wrong.times) + 1;
            let wait = WAIT.0.saturating_mul(1 << times.saturating_sub(FREE).min(20)).min(WAIT.1);
            wrong.insert(name.to_owned(), Wrong { times, again_at: now + wait });
        }
        true
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
        let is_it = async |kept: Option<&str>, password: &str| {
            passwords.verify(kept.map(str::to_owned), password.to_owned()).await.unwrap()
        };
        assert!(is_it(Some(&kept), "correct horse").await);
        assert!(!is_it(Some(&kept), "wrong horse").await);
        assert!(!is_it(None, "correct horse").await);
        assert!(!is_it(Some("nonsense"), "nonsense").await);
    }

    #[test]
    fn who_guesses_waits_longer_each_time() {
        let passwords = Passwords::default();
        assert!((0..FREE).all(|_| passwords.may_try("alice", 0)), "also before any of them is looked at");
        assert!(!passwords.may_try("alice", 999) && passwords.may_try("alice", 1000));
        assert!(passwords.may_try("bob", 0));
        assert!(!passwords.may_try("alice", 2999) && passwords.may_try("alice", 3000));
        let mut now = 3000;
        for _ in 0..60 {
            now += WAIT.1;
            assert!(passwords.may_try("alice", now));
        }
        assert!(!passwords.may_try("alice", now + WAIT.1 - 1));
        passwords.wrong().remove("alice");
        assert!(passwords.may_try("alice", 0));
    }
}
