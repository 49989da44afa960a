//! Tokens of GitHub's apps: made with the app's key when one is needed, used until they are nearly over, and never written down.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use store::Millis;

use crate::app::App;
use crate::config::{GithubApp, ReportConfig};
use crate::forge::{Silent, answer, with};

/// Before a token is over nobody uses it any more, in milliseconds.
const MARGIN: u64 = 10 * 60 * 1000;

/// Whom a token is for: the API, the repository, the app.
type Whom = (String, String, GithubApp);

/// A token, and until when it is used.
struct Token {
    text: String,
    until: Millis,
}

/// Those that are in use.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Whom, Token>>);

impl Tokens {
    fn known(&self) -> MutexGuard<'_, HashMap<Whom, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that is used there is not taken any more.
    pub(crate) fn forget(&self, config: &ReportConfig) {
        if let Some(app) = &config.app {
            self.known().remove(&whom(config, app));
        }
    }
}

fn whom(config: &ReportConfig, app: &GithubApp) -> Whom {
    (config.api().unwrap_or_default().to_owned(), config.repository.clone(), app.clone())
}

/// An app's key: of either kind that there is in PEM.
pub(crate) fn key_pair(pem: &str) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        _ => None,
    }
}

/// What a forge is spoken to with; `None`: with nothing.
///
/// # Errors
/// GitHub gives none.
pub(crate) async fn token(app: &App, config: &ReportConfig) -> Result<Option<String>, Silent> {
    let Some(github) = &config.app else { return Ok(Some(config.token.clone()).filter(|token| !token.is_empty())) };
    let api = config.api().unwrap_or_default();
    let whom = whom(config, github);
    let now = app.now();
    if let Some(token) = app.tokens.known().get(&whom).filter(|token| now < token.until) {
        return Ok(Some(token.text.clone()));
    }
    let claim = scm::app_claim(&github.id, now / 1000);
    let signature = sign(&github.key, &claim).ok_or_else(|| Silent::Away("the app's key is none".to_owned()))?;
    let post = scm::ask_token(api, &claim, &signature, github.installation, &config.repository);
    let request = with(app.http.post(post.url).json(&post.body), &post.headers);
    let text = scm::read_token(&answer(request).await?.1)?;
    let until = now + (scm::TOKEN_SECONDS * 1000).saturating_sub(MARGIN);
    let mut known = app.tokens.known();
    known.retain(|_, token| now < token.until);
    known.insert(whom, Token { text: text.clone(), until });
    Ok(Some(text))
}

fn sign(pem: &str, claim: &str) -> Option<Vec<u8>> {
    let pair = key_pair(pem)?;
    let mut signature = vec![0; pair.public_key().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), claim.as_bytes(), &mut signature).ok()?;
    Some(signature)
}
