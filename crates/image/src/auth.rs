//! Credentials for registries, where Docker keeps them: `config.json` with `auths`, `credHelpers` and `credsStore`.
//!
//! They are looked up only after a registry has asked for them, kept in memory only, and sent only to the registry they
//! belong to (and to the token service that it names).

use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::reference::DEFAULT_REGISTRY;

/// A credential helper that asks a person and gets no answer must not stop a run for ever.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);
/// The name under which Docker files its own registry.
const HUB_KEYS: [&str; 2] = ["https://index.docker.io/v1/", "docker.io"];

/// What opens a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// For HTTP Basic, or to get a token with.
    Password {
        /// User name.
        user: String,
        /// Password or access token.
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(hidden)",
            Self::IdentityToken(_) => "IdentityToken(hidden)",
        })
    }
}

/// The result of looking for a credential, and in words where we looked: for the error, should the registry refuse it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The credential, if there is one.
    pub credential: Option<Credential>,
    /// `found in CONFIG`, `none for ghcr.io in CONFIG`, with the path of the file, …
    pub origin: String,
}

/// The `config.json` that Docker would read.
pub fn default_config() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(var("DOCKER_CONFIG").or_else(|| var("HOME").map(|home| home.join(".docker")))?.join("config.json"))
}

/// Looks up the credential for `registry` (host and port as in a reference) without blocking the caller's thread.
pub async fn look_up(config: Option<&Path>, registry: &str) -> Found {
    let Some(path) = config.map(Path::to_owned).or_else(default_config) else {
        return Found { credential: None, origin: "none: neither DOCKER_CONFIG nor HOME is set".to_owned() };
    };
    let shown = path.display().to_string();
    let name = registry.to_owned();
    let work = tokio::task::spawn_blocking(move || read(&path, &name));
    match tokio::time::timeout(HELPER_TIMEOUT, work).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Found { credential: None, origin: format!("none: reading {shown} failed") },
        Err(_) => Found {
            credential: None,
            origin: format!(
                "none: the credential helper named in {shown} did not answer in {} s",
                HELPER_TIMEOUT.as_secs()
            ),
        },
    }
}

fn read(path: &Path, registry: &str) -> Found {
    let shown = path.display();
    let keys = match registry == DEFAULT_REGISTRY {
        true => HUB_KEYS.to_vec(),
        false => vec![registry],
    };
    let mut origin = format!("none for {registry} in {shown}");
    for key in keys {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Found { credential: None, origin: format!("none: there is no {shown}") };
            }
            Err(error) => return Found { credential: None, origin: format!("none: cannot read {shown}: {error}") },
        };
        match docker_credential::get_credential_from_reader(BufReader::new(file), key) {
            Ok(credential) => {
                let credential = match credential {
                    DockerCredential::UsernamePassword(user, password) => Credential::Password { user, password },
                    DockerCredential::IdentityToken(token) => Credential::IdentityToken(token),
                };
                return Found { credential: Some(credential), origin: format!("found in {shown}") };
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            Err(error) => origin = explain(&error, &shown.to_string()),
        }
    }
    Found { credential: None, origin }
}

fn explain(error: &CredentialRetrievalError, shown: &str) -> String {
    match error {
        CredentialRetrievalError::ConfigReadError => format!("none: {shown} is not valid"),
        CredentialRetrievalError::CredentialDecodingError | CredentialRetrievalError::CredentialMismatchError => {
            format!("none: the entry in {shown} cannot be decoded")
        }
        CredentialRetrievalError::HelperFailure { helper, stdout, .. } => {
            // Helpers say on standard output that they know nothing; that text is theirs, so only a piece is shown.
            let said: String = stdout.trim().chars().take(120).collect();
            format!("none: {helper} (named in {shown}) says `{}`", said.escape_debug())
        }
        CredentialRetrievalError::HelperCommunicationError => {
            format!("none: the credential helper named in {shown} cannot be started")
        }
        CredentialRetrievalError::MalformedHelperResponse => {
            format!("none: the credential helper named in {shown} gave an answer that makes no sense")
        }
        other => format!("none: {other} ({shown})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, registry: &str) -> Found {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        read(&path, registry)
    }

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn auths() {
        // "u:p:q"
        let json = r#"{"auths":{"localhost:5000":{"auth":"dTpwOnE="},"https://index.docker.io/v1/":{"auth":"aHViOng="},
                       "ghcr.io":{"identitytoken":"refresh"}}}"#;
        assert_eq!(check(json, "localhost:5000").credential, password("u", "p:q"));
        assert_eq!(check(json, "docker.io").credential, password("hub", "x"));
        assert_eq!(check(json, "ghcr.io").credential, Some(Credential::IdentityToken("refresh".to_owned())));
        let none = check(json, "quay.io");
        assert_eq!(none.credential, None);
        assert!(none.origin.starts_with("none for quay.io in /"), "{}", none.origin);
    }

    #[test]
    fn broken_files_are_named() {
        assert!(check("{", "a.io").origin.contains("is not valid"));
        assert!(check(r#"{"auths":{"a.io":{"auth":"%%%"}}}"#, "a.io").origin.contains("cannot be decoded"));
        assert!(check(r#"{"credsStore":"does-not-exist"}"#, "a.io").origin.contains("cannot be started"));
        let missing = read(Path::new("/nonexistent/config.json"), "a.io");
        assert_eq!(missing.origin, "none: there is no /nonexistent/config.json");
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", password("u", "hunter2")).contains("hunter2"));
    }
}
