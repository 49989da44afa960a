//! The credentials of one run, and how they come into its sandboxes. What is written of them is a file of the job's user that nobody
//! else may read, in a folder of its own; each use is told.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use model::credential::{
    Credential, CredentialKind, CredentialWish, NO_PLACE, Secret, SecretContent, SecretFile, missing,
};
use model::event::Event;
use model::ids::{JobId, StepId};
use model::request::Reply;
use tokio::sync::mpsc;

use crate::failure::Trouble;
use crate::job::Job;

/// Tells git what is in its environment, by what it asks for.
const GIT_ASKPASS: &str = r#"#!/bin/sh
case "$1" in
Username*) printf '%s\n' "$GIT_USERNAME" ;;
Password*) printf '%s\n' "$GIT_PASSWORD" ;;
esac
"#;
/// Tells `ssh-add` and `ssh` what is in their environment.
pub(crate) const KEY_ASKPASS: &str = "#!/bin/sh\nprintf '%s\\n' \"$COFFERDAM_PASSPHRASE\"\n";
/// Lines of a file that are shorter say too little to be one's secret, in characters: `apiVersion: v1`.
const SHORTEST_LINE: usize = 16;
/// Of larger files no line is looked for, in bytes.
const MOST_MASKED: usize = 64 << 10;
/// How Docker calls its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A credential with its values.
#[derive(Clone, PartialEq, Eq)]
pub enum Held {
    /// One value.
    Text(String),
    /// A user name and a password.
    UsernamePassword {
        /// The name.
        username: String,
        /// The name is masked, too.
        is_username_secret: bool,
        /// The password.
        password: String,
    },
    /// A file.
    File {
        /// Its name: no path.
        name: String,
        /// What is in it.
        content: Vec<u8>,
    },
    /// A private key.
    SshKey {
        /// Whose.
        username: String,
        /// The name is masked, too.
        is_username_secret: bool,
        /// The key, in OpenSSH's or PEM's format.
        key: String,
        /// Empty: it is not encrypted.
        passphrase: String,
    },
    /// A key store.
    Certificate {
        /// PKCS#12, or what programs take for one.
        content: Vec<u8>,
        /// Of the key store.
        password: String,
        /// Of the key in it.
        alias: String,
    },
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(****)", self.kind().name())
    }
}

impl Held {
    /// What it is.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Held::Text(_) => CredentialKind::String,
            Held::UsernamePassword { .. } => CredentialKind::UsernamePassword,
            Held::File { .. } => CredentialKind::File,
            Held::SshKey { .. } => CredentialKind::SshKey,
            Held::Certificate { .. } => CredentialKind::Certificate,
        }
    }

    /// What of it must not be shown. Of a file these are the lines that are long enough to be told from anything else.
    fn secrets(&self) -> Vec<String> {
        let named = |name: &String, is_secret: bool| if is_secret { name.clone() } else { String::new() };
        match self {
            Held::Text(value) => vec![value.clone()],
            Held::UsernamePassword { username, is_username_secret, password } => {
                vec![named(username, *is_username_secret), password.clone(), format!("{username}:{password}")]
            }
            Held::File { content, .. } => long_lines(content),
            Held::SshKey { username, is_username_secret, key, passphrase } => {
                let mut all = long_lines(key.as_bytes());
                all.extend([named(username, *is_username_secret), passphrase.clone()]);
                all
            }
            Held::Certificate { content, password, .. } => {
                let mut all = long_lines(content);
                all.push(password.clone());
                all
            }
        }
    }
}

fn long_lines(content: &[u8]) -> Vec<String> {
    match std::str::from_utf8(content) {
        Ok(text) if text.len() <= MOST_MASKED => text
            .lines()
            .map(str::trim)
            .filter(|line| line.chars().count() >= SHORTEST_LINE)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// The credentials that a run may have, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    held: BTreeMap<String, Held>,
    /// By the name of a variable, for whoever's id comes to that.
    of_variables: BTreeMap<String, Held>,
    /// Why one of that id cannot be had.
    unusable: BTreeMap<String, String>,
    /// How to give one that is missing, in words.
    advice: Option<String>,
    /// Keys of hosts that ssh is to know, as in OpenSSH's `known_hosts`.
    pub known_hosts: String,
}

impl Credentials {
    /// None; `advice` is what to say where one is missing, with `{id}` and `{variable}` in it.
    pub fn new(advice: impl Into<String>) -> Credentials {
        Credentials { advice: Some(advice.into()), ..Credentials::default() }
    }

    /// Adds one. It takes the place of one of the same id.
    pub fn insert(&mut self, id: impl Into<String>, held: Held) {
        let id = id.into();
        self.unusable.remove(&id);
        self.held.insert(id, held);
    }

    /// Adds one for every id that [`variable_part`] makes that part of.
    pub fn insert_variable(&mut self, part: impl Into<String>, held: Held) {
        self.of_variables.insert(part.into(), held);
    }

    /// Says why there is none of that id, although somebody has meant to give one.
    pub fn refuse(&mut self, id: impl Into<String>, why: impl Into<String>) {
        let id = id.into();
        self.held.remove(&id);
        self.unusable.insert(id, why.into());
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Held> {
        self.held.get(id).or_else(|| self.of_variables.get(&variable_part(id)))
    }

    /// What must not be shown once that one is used.
    pub fn secrets(&self, id: &str) -> Vec<String> {
        let all = self.get(id).map(Held::secrets).unwrap_or_default();
        all.into_iter().filter(|value| !value.is_empty()).collect()
    }

    /// What a wish is answered with, or why it is not.
    fn grant(&self, wish: &CredentialWish) -> Result<&Held, Trouble> {
        let held = self.get(&wish.id);
        match (wish.refusal(held.map(Held::kind)), held) {
            (None, Some(held)) => Ok(held),
            (Some(refused), Some(_)) => Err(Trouble(refused)),
            (_, None) => {
                let mut failure = missing(&wish.id);
                let advice = self.advice.as_ref();
                failure.hint =
                    advice.map(|text| text.replace("{id}", &wish.id).replace("{variable}", &variable_part(&wish.id)));
                if let Some(why) = self.unusable.get(&wish.id) {
                    failure.message = format!("The credential '{}' cannot be used: {why}", wish.id);
                    failure.hint = None;
                }
                Err(Trouble(failure))
            }
        }
    }

    /// A user name and a password, for a login by whoever performs the run; it is told.
    pub(crate) async fn login(
        &self,
        id: &str,
        user: Use<'_>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(String, String), Trouble> {
        let kinds = vec![CredentialKind::UsernamePassword];
        let held =
            self.lend(CredentialWish { id: id.to_owned(), step: user.step, kinds, file: None }, user, events).await?;
        match held {
            Held::UsernamePassword { username, password, .. } => Ok((username.clone(), password.clone())),
            _ => Err(Trouble::infrastructure("a credential of another kind came back")),
        }
    }

    /// One of them, and says so.
    pub(crate) async fn lend(
        &self,
        wish: CredentialWish,
        user: Use<'_>,
        events: &mpsc::Sender<Event>,
    ) -> Result<&Held, Trouble> {
        let held = self.grant(&wish)?;
        let Use { job, step, purpose } = user;
        let purpose = purpose.to_owned();
        let _ = events.send(Event::CredentialUsed { job, step, id: wish.id, kind: held.kind(), purpose }).await;
        Ok(held)
    }

    /// Gives a credential to a pipeline; `job` is where a file of it goes.
    pub(crate) async fn give(
        &self,
        wish: CredentialWish,
        job: Option<&Job>,
        events: &mpsc::Sender<Event>,
    ) -> Result<Reply, Trouble> {
        let file = wish.file.clone();
        let purpose = match file.as_ref().map(|file| &file.content) {
            Some(SecretContent::DockerLogin(registry)) => format!("a login at {}", login_key(registry)),
            Some(SecretContent::KeyWithAskpass) => "an ssh agent".to_owned(),
            Some(SecretContent::Own | SecretContent::GitAskpass) | None => "variables".to_owned(),
        };
        let user = Use { job: file.as_ref().map(|file| file.job), step: wish.step, purpose: &purpose };
        let held = self.lend(wish, user, events).await?.clone();
        let place = file.as_ref().zip(job);
        Ok(Reply::Credential(put(held, place).await?))
    }
}

/// An id as a part of a variable's name: capitals, digits and underscores.
pub fn variable_part(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Who uses a credential.
#[derive(Clone, Copy)]
pub(crate) struct Use<'a> {
    /// The job that has it then.
    pub job: Option<JobId>,
    /// The step that it is for.
    pub step: Option<StepId>,
    /// In words.
    pub purpose: &'a str,
}

/// No store: a server's agent.
pub(crate) fn none_here(id: &str) -> Trouble {
    Trouble(model::credential::none_here(id))
}

async fn put(held: Held, place: Option<(&SecretFile, &Job)>) -> Result<Credential, Trouble> {
    let write = async |own: &str, content: &[u8], mode: u32| {
        let Some((file, job)) = place else { return Err(Trouble::workload(NO_PLACE)) };
        let name = if file.name.is_empty() { own } else { &file.name };
        write(job, &file.dir, name, content, mode).await
    };
    Ok(match held {
        Held::Text(value) => Credential::Text(Secret::new(value)),
        Held::UsernamePassword { username, is_username_secret, password } => {
            let path = match place.map(|(file, _)| &file.content) {
                Some(SecretContent::DockerLogin(registry)) => {
                    Some(write("config.json", docker_config(registry, &username, &password).as_bytes(), 0o400).await?)
                }
                Some(SecretContent::GitAskpass) => Some(write("pass.sh", GIT_ASKPASS.as_bytes(), 0o500).await?),
                Some(SecretContent::Own | SecretContent::KeyWithAskpass) | None => None,
            };
            Credential::UsernamePassword { username, is_username_secret, password: Secret::new(password), path }
        }
        Held::File { name, content } => Credential::File { path: write(&name, &content, 0o400).await? },
        Held::SshKey { username, is_username_secret, key, passphrase } => {
            let path = write("ssh-key", whole_key(&key).as_bytes(), 0o400).await?;
            if let Some((SecretFile { content: SecretContent::KeyWithAskpass, dir, name, .. }, job)) = place {
                self::write(job, dir, &format!("{name}.askpass"), KEY_ASKPASS.as_bytes(), 0o500).await?;
            }
            Credential::SshKey { username, is_username_secret, passphrase: Secret::new(passphrase), path }
        }
        Held::Certificate { content, password, alias } => {
            let path = write("keystore", &content, 0o400).await?;
            Credential::Certificate { path, password: Secret::new(password), alias }
        }
    })
}

/// A file of the job's user in a folder that is only theirs.
async fn write(job: &Job, dir: &str, name: &str, content: &[u8], mode: u32) -> Result<String, Trouble> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Trouble::workload(format!("a file of a credential cannot be called {name:?}")));
    }
    let path = format!("{dir}/{name}");
    job.session.make_dir(Some(job.user.clone()), dir, 0o700, None).await?;
    job.session.write_file(Some(job.user.clone()), &path, content, mode).await?;
    Ok(path)
}

/// OpenSSH reads no key whose last line does not end.
pub(crate) fn whole_key(key: &str) -> String {
    match key.trim_start().starts_with("-----BEGIN") && !key.ends_with('\n') {
        true => format!("{key}\n"),
        false => key.to_owned(),
    }
}

/// What Docker's client files a login under.
fn login_key(registry: &str) -> String {
    let host = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    match host.split('/').next().unwrap_or_default() {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// The registry of a `registryUrl`, as names of images have it.
pub(crate) fn registry_of(url: &str) -> String {
    match login_key(url) {
        hub if hub == DOCKER_HUB => "docker.io".to_owned(),
        host => host,
    }
}

fn docker_config(registry: &str, username: &str, password: &str) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut auths = serde_json::Map::new();
    auths.insert(login_key(registry), serde_json::json!({ "auth": auth }));
    serde_json::json!({ "auths": auths }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_in_no_debug_output() {
        let mut all = Credentials::new("give it");
        all.insert("a", Held::Text("correct-horse".to_owned()));
        assert!(!format!("{all:?}").contains("horse"), "{all:?}");
        assert_eq!(all.secrets("a"), ["correct-horse"]);
    }

    #[test]
    fn short_lines_of_files_are_no_secrets() {
        let file = |text: &str| Held::File { name: "f".to_owned(), content: text.as_bytes().to_vec() };
        assert_eq!(file("apiVersion: v1\n  token: abcdef0123456789\n").secrets(), ["token: abcdef0123456789"]);
        assert!(file(&"a line that is long enough\n".repeat(10_000)).secrets().is_empty());
        assert!(Held::File { name: "f".to_owned(), content: vec![0xff; 40] }.secrets().is_empty());
    }

    #[test]
    fn logins_are_filed_as_docker_files_them() {
        assert_eq!(
            docker_config("https://r.example:5000/v2/", "u", "p"),
            r#"{"auths":{"r.example:5000":{"auth":"dTpw"}}}"#
        );
        assert_eq!(login_key(""), DOCKER_HUB);
        assert_eq!(login_key("https://index.docker.io/v1/"), DOCKER_HUB);
        assert_eq!((registry_of("").as_str(), registry_of("r.example").as_str()), ("docker.io", "r.example"));
    }

    #[test]
    fn a_key_ends_with_its_last_line() {
        assert_eq!(whole_key("-----BEGIN X-----\nabc\n-----END X-----"), "-----BEGIN X-----\nabc\n-----END X-----\n");
        assert_eq!(whole_key("the-key"), "the-key");
    }
}
