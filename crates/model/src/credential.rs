//! Credentials as a pipeline asks for them, and what it gets. A value is a [`Secret`]: it is not shown by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, StepId};
use crate::request::{Failure, FailureKind};

/// What Jenkins says where a file is asked for and there is no workspace.
pub const NO_PLACE: &str = "Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the step with a step that \
                            provides this, such as: node";

/// A value that is shown to nobody: its `Debug` does not have it, and it has no `Display`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret of that value.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value, for whoever has to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// What kind of thing a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// One value.
    String,
    /// A user name and a password.
    UsernamePassword,
    /// A file.
    File,
    /// A user name and a private key.
    SshKey,
    /// A key store.
    Certificate,
}

impl CredentialKind {
    /// As a file of credentials has it.
    pub fn name(self) -> &'static str {
        match self {
            CredentialKind::String => "string",
            CredentialKind::UsernamePassword => "username-password",
            CredentialKind::File => "file",
            CredentialKind::SshKey => "ssh-key",
            CredentialKind::Certificate => "certificate",
        }
    }

    /// What Jenkins calls it.
    pub fn display_name(self) -> &'static str {
        match self {
            CredentialKind::String => "Secret text",
            CredentialKind::UsernamePassword => "Username with password",
            CredentialKind::File => "Secret file",
            CredentialKind::SshKey => "SSH Username with private key",
            CredentialKind::Certificate => "Certificate",
        }
    }

    /// The Java type that Jenkins asks for.
    fn interface(self) -> &'static str {
        match self {
            CredentialKind::String => "org.jenkinsci.plugins.plaincredentials.StringCredentials",
            CredentialKind::UsernamePassword => {
                "com.cloudbees.plugins.credentials.common.StandardUsernamePasswordCredentials"
            }
            CredentialKind::File => "org.jenkinsci.plugins.plaincredentials.FileCredentials",
            CredentialKind::SshKey => "com.cloudbees.jenkins.plugins.sshcredentials.SSHUserPrivateKey",
            CredentialKind::Certificate => "com.cloudbees.plugins.credentials.common.StandardCertificateCredentials",
        }
    }

    /// The Java class that Jenkins keeps it in.
    fn class(self) -> &'static str {
        match self {
            CredentialKind::String => "org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl",
            CredentialKind::UsernamePassword => {
                "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl"
            }
            CredentialKind::File => "org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl",
            CredentialKind::SshKey => "com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey",
            CredentialKind::Certificate => "com.cloudbees.plugins.credentials.impl.CertificateCredentialsImpl",
        }
    }
}

/// Which credential is wanted, as what, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialWish {
    /// Its id.
    pub id: String,
    /// The step that wants it.
    pub step: Option<StepId>,
    /// It is one of these.
    pub kinds: Vec<CredentialKind>,
    /// Where a file of it goes; `None`: the step has no workspace.
    pub file: Option<SecretFile>,
}

/// A file that is made of a credential, in a sandbox. Its folder is its own, and nobody else's to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// Where.
    pub job: JobId,
    /// Absolute folder.
    pub dir: String,
    /// Its name there; empty: the credential has one.
    pub name: String,
    /// What is in it.
    pub content: SecretContent,
}

/// What is in a [`SecretFile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretContent {
    /// The file, key or key store of the credential; where it has none, there is no file.
    Own,
    /// Docker's `config.json` with a login at that registry (URL or host; empty: Docker's own).
    DockerLogin(String),
    /// A program that tells git `$GIT_USERNAME` and `$GIT_PASSWORD`; there is no secret in it.
    GitAskpass,
    /// A program that tells `ssh-add` `$COFFERDAM_PASSPHRASE`, beside the key, by the name of the key with `.askpass`.
    KeyWithAskpass,
}

/// A credential that a pipeline was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// One value.
    Text(Secret),
    /// A user name and a password.
    UsernamePassword {
        /// The name.
        username: String,
        /// It is shown to nobody either.
        is_username_secret: bool,
        /// The password.
        password: Secret,
        /// The file that was made of it, where one was wanted.
        path: Option<String>,
    },
    /// A file.
    File {
        /// Where it is.
        path: String,
    },
    /// A private key.
    SshKey {
        /// Whose.
        username: String,
        /// The name is shown to nobody either.
        is_username_secret: bool,
        /// Empty: the key is not encrypted.
        passphrase: Secret,
        /// Where the key is.
        path: String,
    },
    /// A key store.
    Certificate {
        /// Where it is.
        path: String,
        /// Of the key store.
        password: Secret,
        /// Of the key in it.
        alias: String,
    },
}

impl Credential {
    /// What is shown to nobody: values, and where files are, as Jenkins hides it.
    pub fn secrets(&self) -> Vec<String> {
        let user = |name: &String, is_secret: bool| if is_secret { name.clone() } else { String::new() };
        let of = match self {
            Credential::Text(value) => vec![value.0.clone()],
            Credential::UsernamePassword { username, is_username_secret, password, path } => vec![
                user(username, *is_username_secret),
                password.0.clone(),
                format!("{username}:{}", password.0),
                path.clone().unwrap_or_default(),
            ],
            Credential::File { path } => vec![path.clone()],
            Credential::SshKey { username, is_username_secret, passphrase, path } => {
                vec![user(username, *is_username_secret), passphrase.0.clone(), path.clone()]
            }
            Credential::Certificate { path, password, .. } => vec![path.clone(), password.0.clone()],
        };
        of.into_iter().filter(|value| !value.is_empty()).collect()
    }
}

impl CredentialWish {
    /// Why what was found under the id is not given; `None`: it is.
    pub fn refusal(&self, found: Option<CredentialKind>) -> Option<Failure> {
        let Some(found) = found else { return Some(missing(&self.id)) };
        if self.kinds.contains(&found) {
            return None;
        }
        let message = match &self.kinds[..] {
            [expected] => {
                format!(
                    "Credentials '{}' is of type '{}' where '{}' was expected",
                    self.id,
                    found.display_name(),
                    expected.interface()
                )
            }
            _ => format!("No suitable binding handler could be found for type {}.", found.class()),
        };
        Some(Failure { kind: FailureKind::Auth, message, hint: None })
    }
}

/// There is none of that id.
pub fn missing(id: &str) -> Failure {
    let message = format!("Could not find credentials entry with ID '{id}'");
    Failure { kind: FailureKind::Auth, message, hint: None }
}

/// A server has none yet: nothing of one may stand in a journal in the clear.
pub fn none_here(id: &str) -> Failure {
    let failure = missing(id);
    let message = format!("{}: this server keeps no credentials yet", failure.message);
    let hint = "`cofferdam run` takes them from a file or the environment".to_owned();
    Failure { message, hint: Some(hint), ..failure }
}

/// What a plan is told: something of the first kind that is wanted, and where any will do, a name and a password: that is the most to ask for.
pub(crate) fn invented(wish: &CredentialWish) -> Credential {
    let path = wish.file.as_ref().map(|file| {
        let name = if file.name.is_empty() { "file" } else { &file.name };
        format!("{}/{name}", file.dir)
    });
    let secret = || Secret::new("credential");
    let most = wish.kinds.iter().find(|kind| **kind == CredentialKind::UsernamePassword);
    match most.or(wish.kinds.first()) {
        None | Some(CredentialKind::String) => Credential::Text(secret()),
        Some(CredentialKind::UsernamePassword) => Credential::UsernamePassword {
            username: "user".to_owned(),
            is_username_secret: false,
            password: secret(),
            path,
        },
        Some(CredentialKind::File) => Credential::File { path: path.unwrap_or_default() },
        Some(CredentialKind::SshKey) => Credential::SshKey {
            username: "user".to_owned(),
            is_username_secret: false,
            passphrase: secret(),
            path: path.unwrap_or_default(),
        },
        Some(CredentialKind::Certificate) => {
            Credential::Certificate { path: path.unwrap_or_default(), password: secret(), alias: wish.id.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_debug_output() {
        let password = Secret::new("correct-horse");
        let of = Credential::UsernamePassword {
            username: "bob".to_owned(),
            is_username_secret: false,
            password,
            path: None,
        };
        let shown = format!("{:?}", crate::request::Reply::Credential(of.clone()));
        assert!(!shown.contains("horse") && shown.contains("bob"), "{shown}");
        assert_eq!(of.secrets(), ["correct-horse", "bob:correct-horse"]);
    }

    #[test]
    fn refusals_are_in_the_words_of_jenkins() {
        use CredentialKind::{Certificate, File, String, UsernamePassword};
        let check = |kinds: &[CredentialKind], found, expect: Option<&str>| {
            let wish = CredentialWish { id: "x".to_owned(), step: None, kinds: kinds.to_vec(), file: None };
            assert_eq!(wish.refusal(found).map(|failure| failure.message).as_deref(), expect);
        };
        check(&[String], Some(String), None);
        check(&[String, File], None, Some("Could not find credentials entry with ID 'x'"));
        check(
            &[String],
            Some(UsernamePassword),
            Some(
                "Credentials 'x' is of type 'Username with password' where 'org.jenkinsci.plugins.plaincredentials.StringCredentials' was expected",
            ),
        );
        check(
            &[String, File],
            Some(Certificate),
            Some(
                "No suitable binding handler could be found for type com.cloudbees.plugins.credentials.impl.CertificateCredentialsImpl.",
            ),
        );
    }
}
