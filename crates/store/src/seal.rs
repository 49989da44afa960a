//! What projects are told in confidence, as it lies in the database: each with a key of its own, and that sealed with the server's.
//!
//! ```text
//!   text ──── a fresh key ────▶ sealed text ─┐
//!   that key ── the server's ──▶ sealed key ─┴─▶ sealed:1:ID OF THE SERVER'S KEY:SEALED KEY:SEALED TEXT
//! ```
//!
//! Both are bound to the place where they lie: what is sealed for one row opens in no other. With another key of the server only the sealed keys
//! are made anew. The cipher is XChaCha20-Poly1305, whose nonces are long enough to be random.
//!
//! Never: the server's key in the database, or in what is printed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::StoreError;

/// How a value begins that is sealed.
const HEAD: &str = "sealed:1:";
/// How the text of a key begins.
const WORD: &str = "cfs_";
const NONCE_BYTES: usize = 24;

/// A key of a server. Whoever prints it sees which it is.
pub struct SealingKey {
    /// Says which it is, and nothing else.
    id: String,
    cipher: XChaCha20Poly1305,
    /// For the tokens of leases, and nothing else.
    leases: [u8; 32],
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealingKey").field(&self.id).finish()
    }
}

impl SealingKey {
    /// The text of a new one.
    pub fn generate() -> String {
        let digits: String = Key::generate().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{WORD}{digits}")
    }

    /// Of such a text; spaces around it do not count. `None`: it is none.
    pub fn parse(text: &str) -> Option<SealingKey> {
        let digits = text.trim().strip_prefix(WORD)?;
        let mut key = Key::default();
        if !digits.is_ascii() || digits.len() != 2 * key.len() {
            return None;
        }
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        let digest = Sha256::new().chain_update("cofferdam: which key").chain_update(key).finalize();
        let id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let leases = Sha256::new().chain_update("cofferdam: tokens of leases").chain_update(key).finalize().into();
        Some(SealingKey { id, cipher: XChaCha20Poly1305::new(&key), leases })
    }

    pub(crate) fn of_leases(&self) -> &[u8] {
        &self.leases
    }

    /// By which it is told from others.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The key of a server, and those that it had before.
#[derive(Debug)]
pub struct Keys {
    own: SealingKey,
    former: Vec<SealingKey>,
}

impl Keys {
    /// With the first all is sealed; with all of them it is opened.
    pub fn new(own: SealingKey, former: Vec<SealingKey>) -> Keys {
        Keys { own, former }
    }

    pub(crate) fn own(&self) -> &SealingKey {
        &self.own
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &SealingKey> {
        [&self.own].into_iter().chain(&self.former)
    }

    /// With which all is sealed.
    pub(crate) fn id(&self) -> &str {
        &self.own.id
    }

    /// `place`: where it is to lie.
    pub(crate) fn seal(&self, place: &str, text: &str) -> Result<String, StoreError> {
        let key = Key::generate();
        let sealed = encrypt(&XChaCha20Poly1305::new(&key), &of_text(place), text.as_bytes())?;
        self.join(place, &key, &sealed)
    }

    /// What was sealed for that place.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<String, StoreError> {
        let (key, text) = self.key_of(place, sealed)?;
        let text = decrypt(&XChaCha20Poly1305::new(&key), &of_text(place), text)?;
        String::from_utf8(text).map_err(|_| broken("it is no text"))
    }

    /// The same sealed as it is to be; `None`: it is.
    pub(crate) fn renew(&self, place: &str, value: &str) -> Result<Option<String>, StoreError> {
        match value.strip_prefix(HEAD) {
            None => self.seal(place, value).map(Some),
            // It opens, or this says why it does not.
            Some(rest) if rest.split(':').next() == Some(self.id()) => self.open(place, value).map(|_| None),
            Some(_) => {
                let (key, sealed) = self.key_of(place, value)?;
                self.join(place, &key, sealed).map(Some)
            }
        }
    }

    fn join(&self, place: &str, key: &Key, sealed: &str) -> Result<String, StoreError> {
        let key = encrypt(&self.own.cipher, &of_key(place), key)?;
        Ok(format!("{HEAD}{}:{key}:{sealed}", self.own.id))
    }

    /// The key of a sealed text, and that text.
    fn key_of<'a>(&self, place: &str, value: &'a str) -> Result<(Key, &'a str), StoreError> {
        let parts: Option<Vec<_>> = value.strip_prefix(HEAD).map(|rest| rest.split(':').collect());
        let Some([id, key, text]) = parts.as_deref() else { return Err(broken("it is not sealed")) };
        let known = self.all().find(|known| known.id == *id);
        let known = known.ok_or_else(|| StoreError::Key { sealed: (*id).to_owned(), given: self.own.id.clone() })?;
        let key = decrypt(&known.cipher, &of_key(place), key)?;
        let key = Key::try_from(key.as_slice()).map_err(|_| broken("its key is none"))?;
        Ok((key, text))
    }
}

/// Whether a value is sealed, with whatever key.
pub(crate) fn is_sealed(value: &str) -> bool {
    value.starts_with(HEAD)
}

fn of_key(place: &str) -> String {
    format!("key of {place}")
}

fn of_text(place: &str) -> String {
    format!("text of {place}")
}

fn broken(reason: &str) -> StoreError {
    StoreError::Damaged { what: "what is sealed", reason: reason.to_owned() }
}

/// Nonce and sealed bytes, in base 64.
fn encrypt(cipher: &XChaCha20Poly1305, bound: &str, bytes: &[u8]) -> Result<String, StoreError> {
    let nonce = XNonce::generate();
    let sealed = cipher.encrypt(&nonce, Payload { msg: bytes, aad: bound.as_bytes() });
    let sealed = sealed.map_err(|_| broken("it is too long"))?;
    Ok(BASE64_STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
}

fn decrypt(cipher: &XChaCha20Poly1305, bound: &str, text: &str) -> Result<Vec<u8>, StoreError> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).map_err(|_| broken("it is not what was written"))?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(|| broken("it is cut off"))?;
    let nonce = XNonce::try_from(nonce).map_err(|_| broken("it is cut off"))?;
    let payload = Payload { msg: sealed, aad: bound.as_bytes() };
    cipher.decrypt(&nonce, payload).map_err(|_| broken("somebody has changed it, or moved it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> SealingKey {
        SealingKey::parse(&format!("cfs_{}\n", digit.to_string().repeat(64))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_with_its_key() {
        let keys = Keys::new(key('1'), Vec::new());
        let [one, same] = [0, 1].map(|_| keys.seal("projects/1", "hunter2").unwrap());
        assert!(one != same && !one.contains("hunter2"), "{one}");
        assert_eq!(keys.open("projects/1", &one).unwrap(), "hunter2");
        assert!(matches!(keys.open("projects/2", &one), Err(StoreError::Damaged { .. })), "moved");
        let other = Keys::new(key('2'), Vec::new()).open("projects/1", &one).unwrap_err();
        let (sealed, given) = (key('1').id, key('2').id);
        assert!(matches!(&other, StoreError::Key { sealed: found, given: own } if *found == sealed && *own == given));
        // Each sign counts.
        let head = HEAD.len() + 9;
        for at in (head..one.len()).step_by(7) {
            let mut changed = one.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(keys.open("projects/1", &changed).is_err(), "{at}");
        }
        for cut in ["", "hunter2", HEAD, &one[..one.len() - 1], &one[..head], &format!("{one}:x")] {
            assert!(keys.open("projects/1", cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn another_key_takes_over() {
        let old = Keys::new(key('1'), Vec::new());
        let both = Keys::new(key('2'), vec![key('1')]);
        let new = Keys::new(key('2'), Vec::new());
        let sealed = old.seal("p", "hunter2").unwrap();
        assert_eq!(both.open("p", &sealed).unwrap(), "hunter2");
        let renewed = both.renew("p", &sealed).unwrap().unwrap();
        assert_eq!(new.open("p", &renewed).unwrap(), "hunter2");
        assert!(old.open("p", &renewed).is_err() && new.renew("p", &sealed).is_err());
        assert!(new.renew("p", &renewed).unwrap().is_none());
        assert!(new.renew("q", &renewed).is_err(), "what does not open is not good as it is");
        let plain = new.renew("p", "{}").unwrap().unwrap();
        assert_eq!(new.open("p", &plain).unwrap(), "{}");
    }

    #[test]
    fn a_key_is_a_word_and_its_digits() {
        let text = SealingKey::generate();
        assert_ne!(text, SealingKey::generate());
        let key = SealingKey::parse(&text).unwrap();
        assert!(!format!("{key:?}").contains(&text[4..12]), "{key:?}");
        for wrong in ["", "cfs_", &text[4..], &text[..text.len() - 1], &format!("{text}0"), &text.replace("cfs", "cft")]
        {
            assert!(SealingKey::parse(wrong).is_none(), "{wrong}");
        }
    }
}
