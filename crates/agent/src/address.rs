//! Addresses of repositories, and who git says it is there.

use std::fmt;

use model::credential::{CredentialKind, CredentialWish};
use model::event::{Event, LogSource};
use model::git::GitSource;
use model::ids::StepId;
use model::request::{Failure, FailureKind};
use sandbox::session::Session;
use tokio::sync::mpsc;

use crate::credentials::{Held, KEY_ASKPASS, Use, whole_key};
use crate::failure::Trouble;
use crate::host::Host;
use crate::job::Job;

/// Tells git what is in its environment.
const HELPER: &str = r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$COFFERDAM_USERNAME" "$COFFERDAM_PASSWORD"; }; f"#;
/// A shell's words: what they name stands in the environment. Whoever is asked for the key's passphrase is told it: no host may ask for more.
const SSH: &str = r#"ssh -F none -i "$COFFERDAM_KEY" -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$COFFERDAM_KNOWN_HOSTS" -o PreferredAuthentications=publickey -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no"#;

/// Whom git says it is.
pub enum Login {
    Nobody,
    Password { username: String, password: String },
    Key { username: String, key: String, passphrase: String, known_hosts: String },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Login::Nobody => "Nobody",
            Login::Password { .. } => "Password(****)",
            Login::Key { .. } => "Key(****)",
        })
    }
}

impl Login {
    /// What the `credentialsId` of a checkout comes to. Where there is none of that id git goes on without, as Jenkins does, if the
    /// address can be asked without.
    pub async fn of(
        host: &Host,
        events: &mpsc::Sender<Event>,
        step: Option<StepId>,
        job: Option<&Job>,
        source: &GitSource,
    ) -> Result<Login, Trouble> {
        let Some(id) = source.credentials.as_deref().filter(|id| !id.is_empty()) else { return Ok(Login::Nobody) };
        let credentials = host.credentials(id);
        let kind = credentials.as_ref().ok().and_then(|all| all.get(id)).map(Held::kind);
        let warn = async |text: String| {
            let _ = events.send(Event::Log { step, stage: None, source: LogSource::Step, text }).await;
        };
        let Some(kind) = kind else {
            if scheme(&source.url) != Some("ssh") {
                warn(format!("Warning: CredentialId \"{id}\" could not be found.")).await;
                return Ok(Login::Nobody);
            }
            // Says why.
            let user = Use { job: None, step, purpose: "git" };
            let wish =
                CredentialWish { id: id.to_owned(), step: None, kinds: vec![CredentialKind::SshKey], file: None };
            credentials?.lend(wish, user, events).await?;
            return Ok(Login::Nobody);
        };
        let wanted = match scheme(&source.url) {
            Some("https" | "http") => CredentialKind::UsernamePassword,
            Some("ssh") => CredentialKind::SshKey,
            _ => return Ok(Login::Nobody),
        };
        if kind != wanted {
            let message = format!(
                "git: {} takes a credential of the kind {}, and '{id}' is of the kind {}",
                bare(&source.url),
                wanted.name(),
                kind.name()
            );
            return Err(Trouble(Failure { kind: FailureKind::Auth, message, hint: None }));
        }
        if source.url.starts_with("http://") {
            warn(format!("Warning: the password of '{id}' goes over the network in the clear: {}", bare(&source.url)))
                .await;
        }
        let purpose = format!("git at {}", bare(&source.url));
        let user = Use { job: job.map(|job| job.id), step, purpose: &purpose };
        let wish = CredentialWish { id: id.to_owned(), step, kinds: vec![wanted], file: None };
        let credentials = credentials?;
        Ok(match credentials.lend(wish, user, events).await? {
            Held::UsernamePassword { username, password, .. } => {
                Login::Password { username: username.clone(), password: password.clone() }
            }
            Held::SshKey { username, key, passphrase, .. } => Login::Key {
                username: username.clone(),
                key: whole_key(key),
                passphrase: passphrase.clone(),
                known_hosts: credentials.known_hosts.clone(),
            },
            _ => Login::Nobody,
        })
    }

    /// Puts what ssh needs into a folder of git's sandbox; the variables that git needs.
    pub async fn prepare(
        &self,
        session: &Session,
        user: &wire::init::User,
        folder: &str,
        url: &str,
    ) -> Result<Vec<(String, String)>, Trouble> {
        let vars: Vec<(&str, String)> = match self {
            Login::Nobody => Vec::new(),
            Login::Password { username, password } => vec![
                ("COFFERDAM_USERNAME", username.clone()),
                ("COFFERDAM_PASSWORD", password.clone()),
                ("GIT_CONFIG_COUNT", "1".to_owned()),
                // Of this host alone: whoever sends git elsewhere gets no answer.
                ("GIT_CONFIG_KEY_0", format!("credential.{}.helper", origin(url))),
                ("GIT_CONFIG_VALUE_0", HELPER.to_owned()),
            ],
            Login::Key { username, key, passphrase, known_hosts } => {
                let files = [
                    ("key", key.as_str(), 0o400),
                    ("known_hosts", known_hosts.as_str(), 0o400),
                    ("askpass", KEY_ASKPASS, 0o500),
                ];
                for (name, text, mode) in files {
                    session.write_file(Some(user.clone()), &format!("{folder}/{name}"), text.as_bytes(), mode).await?;
                }
                let says_user = username.is_empty() || names_user(url);
                let ssh = if says_user { SSH.to_owned() } else { format!("{SSH} -l \"$COFFERDAM_USERNAME\"") };
                vec![
                    ("COFFERDAM_USERNAME", username.clone()),
                    ("COFFERDAM_KEY", format!("{folder}/key")),
                    ("COFFERDAM_KNOWN_HOSTS", format!("{folder}/known_hosts")),
                    ("COFFERDAM_PASSPHRASE", passphrase.clone()),
                    ("SSH_ASKPASS", format!("{folder}/askpass")),
                    ("SSH_ASKPASS_REQUIRE", "force".to_owned()),
                    ("GIT_SSH_COMMAND", ssh),
                ]
            }
        };
        Ok(vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// `https`; `ssh` also of `git@host:path`.
pub fn scheme(url: &str) -> Option<&str> {
    if let Some((scheme, _)) = url.split_once("://") {
        return Some(scheme);
    }
    let (host, path) = url.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let is_short = !path.is_empty() && !path.starts_with(':') && host.contains('@') && host.chars().all(plain);
    (is_short && !host.starts_with(['-', '@'])).then_some("ssh")
}

/// Scheme, host and port.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// Without a user name and a password.
fn bare(url: &str) -> String {
    if url.contains("://") { origin(url) } else { url.split(':').next().unwrap_or_default().to_owned() }
}

fn names_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().is_some_and(|host| host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(scheme("https://h/x"), Some("https"));
        assert_eq!(scheme("git@h:x/y.git"), Some("ssh"));
        for url in ["/etc", "x", "ext::sh -c id", "h:x", "-a@b:c", "a b@h:x", "@h:x"] {
            assert_eq!(scheme(url), None, "{url}");
        }
        assert_eq!(origin("https://me:pw@h:8443/a@b?c"), "https://h:8443");
        assert_eq!((bare("https://me:pw@h/a"), bare("git@h:a")), ("https://h".to_owned(), "git@h".to_owned()));
        assert!(names_user("ssh://git@h/x") && names_user("git@h:x") && !names_user("ssh://h/x@y"));
    }
}
