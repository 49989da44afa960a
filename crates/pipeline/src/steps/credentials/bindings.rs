//! What the list of `withCredentials` says: which credential goes into which variables.

use groovy::value::Value;
use model::credential::CredentialKind;

use crate::engine::fault::Fault;
use crate::engine::values;

/// The class of the bindings that `environment { X = credentials('id') }` makes.
pub(crate) const OF_ENVIRONMENT: &str = "EnvironmentBinding";

/// What the programs of AWS read.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// One element of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Of the credential.
    pub(super) id: String,
    /// What goes where.
    pub(super) to: To,
}

/// The variables of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Text(String),
    UsernamePassword {
        username: String,
        password: String,
    },
    /// `user:password`
    Joined(String),
    File(String),
    /// The folder that an archive was unpacked into.
    Zip(String),
    SshKey {
        key: String,
        passphrase: Option<String>,
        username: Option<String>,
    },
    Certificate {
        keystore: String,
        password: Option<String>,
        alias: Option<String>,
    },
    /// The two halves of a key of AWS, as its programs want them: a user name and a password.
    Aws {
        access_key: String,
        secret_key: String,
    },
    /// What git asks for.
    Git,
    /// Whatever the credential is.
    Any(String),
}

impl To {
    /// What the credential may be.
    pub(super) fn kinds(&self) -> Vec<CredentialKind> {
        use CredentialKind::{Certificate, File, SshKey, String, UsernamePassword};
        match self {
            To::Text(_) => vec![String],
            To::UsernamePassword { .. } | To::Joined(_) | To::Aws { .. } | To::Git => vec![UsernamePassword],
            To::File(_) | To::Zip(_) => vec![File],
            To::SshKey { .. } => vec![SshKey],
            To::Certificate { .. } => vec![Certificate],
            To::Any(_) => vec![String, UsernamePassword, File, SshKey],
        }
    }

    /// The name of its file; `None`: it needs none.
    pub(super) fn file_name(&self) -> Option<String> {
        match self {
            To::Text(_) | To::UsernamePassword { .. } | To::Joined(_) | To::Aws { .. } => None,
            To::File(_) | To::Zip(_) => Some(String::new()),
            To::SshKey { key, .. } => Some(format!("ssh-key-{key}")),
            To::Certificate { keystore, .. } => Some(format!("keystore-{keystore}")),
            To::Git => Some("pass.sh".to_owned()),
            // A file has its own name, which goes first.
            To::Any(_) => Some(String::new()),
        }
    }
}

/// Names and classes of the bindings that are read, without their packages.
const KNOWN: [&str; 19] = [
    "string",
    "StringBinding",
    "usernamePassword",
    "UsernamePasswordMultiBinding",
    "usernameColonPassword",
    "UsernamePasswordBinding",
    "file",
    "FileBinding",
    "zip",
    "ZipFileBinding",
    "sshUserPrivateKey",
    "SSHUserPrivateKeyBinding",
    "certificate",
    "CertificateMultiBinding",
    "aws",
    "AmazonWebServicesCredentialsBinding",
    "gitUsernamePassword",
    "GitUsernamePasswordBinding",
    OF_ENVIRONMENT,
];

/// Whether there is a binding of that name.
pub(crate) fn is_binding(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Reads the list, whatever its elements are: `string(…)`, `[$class: 'StringBinding', …]`.
pub(super) fn read(list: &Value) -> Result<Vec<Binding>, Fault> {
    let items = match list {
        Value::Map(_) => vec![list.clone()],
        list => list.items().ok_or_else(|| Fault::illegal("withCredentials takes a list of bindings"))?,
    };
    items.iter().map(binding).collect()
}

fn binding(item: &Value) -> Result<Binding, Fault> {
    let fields = values::entries(item).ok_or_else(|| {
        Fault::illegal(format!("withCredentials takes bindings such as string(…), but got {}", item.type_name()))
    })?;
    let class = values::symbol(&fields).ok_or_else(|| Fault::illegal("a binding needs a $class"))?;
    let given = |name: &str| {
        let value = fields.iter().find(|(key, value)| key == name && !value.is_null());
        value.map(|(_, value)| value.to_text()).filter(|text| !text.is_empty())
    };
    let needed = |name: &str| {
        given(name).ok_or_else(|| {
            Fault::illegal(format!("Missing required parameter: \"{name}\""))
                .with_hint(format!("{class}(credentialsId: …, {name}: …)"))
        })
    };
    let to = match &*class {
        "string" | "StringBinding" => To::Text(variable(needed("variable")?)?),
        "usernamePassword" | "UsernamePasswordMultiBinding" => To::UsernamePassword {
            username: variable(needed("usernameVariable")?)?,
            password: variable(needed("passwordVariable")?)?,
        },
        "usernameColonPassword" | "UsernamePasswordBinding" => To::Joined(variable(needed("variable")?)?),
        "file" | "FileBinding" => To::File(variable(needed("variable")?)?),
        "zip" | "ZipFileBinding" => To::Zip(variable(needed("variable")?)?),
        "sshUserPrivateKey" | "SSHUserPrivateKeyBinding" => To::SshKey {
            key: variable(needed("keyFileVariable")?)?,
            passphrase: given("passphraseVariable").map(variable).transpose()?,
            username: given("usernameVariable").map(variable).transpose()?,
        },
        "certificate" | "CertificateMultiBinding" => To::Certificate {
            keystore: variable(needed("keystoreVariable")?)?,
            password: given("passwordVariable").map(variable).transpose()?,
            alias: given("aliasVariable").map(variable).transpose()?,
        },
        "aws" | "AmazonWebServicesCredentialsBinding" => {
            if given("roleArn").is_some() {
                let text = format!("withCredentials: {class} takes on no role");
                return Err(Fault::raised("java.lang.UnsupportedOperationException", text)
                    .with_hint("bind the key alone, and call `aws sts assume-role` in the block"));
            }
            let name = |of: &str, usual: &str| variable(given(of).unwrap_or_else(|| usual.to_owned()));
            aws(name("accessKeyVariable", ACCESS_KEY)?, name("secretKeyVariable", SECRET_KEY)?)
        }
        "gitUsernamePassword" | "GitUsernamePasswordBinding" => To::Git,
        OF_ENVIRONMENT => To::Any(variable(needed("variable")?)?),
        "dockerCert" | "DockerServerCredentialsBinding" => {
            let text =
                "withCredentials: dockerCert is not supported: sandboxes reach no Docker server of somebody else";
            let hint = "a job that needs a Docker Engine gets one of its own";
            return Err(Fault::raised("java.lang.UnsupportedOperationException", text).with_hint(hint));
        }
        other => {
            let text = format!("withCredentials: the binding ‘{other}’ is not supported yet");
            return Err(Fault::raised("java.lang.UnsupportedOperationException", text));
        }
    };
    Ok(Binding { id: needed("credentialsId")?, to })
}

/// The key of AWS of that id, in the variables that its programs read.
pub(super) fn of_aws(id: String) -> Binding {
    Binding { id, to: aws(ACCESS_KEY.to_owned(), SECRET_KEY.to_owned()) }
}

fn aws(access_key: String, secret_key: String) -> To {
    To::Aws { access_key, secret_key }
}

/// The name of a variable also names a file.
fn variable(name: String) -> Result<String, Fault> {
    let is_plain = |c: char| !c.is_control() && !"/=\\".contains(c);
    match name.chars().all(is_plain) && name.len() <= 200 {
        true => Ok(name),
        false => Err(Fault::illegal(format!("{name:?} is not a name of a variable"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_is_read() {
        let refused = |name: &str| {
            let map = values::map([("$class", values::text(name))]);
            binding(&map).is_err_and(|fault| fault.message().contains("not supported"))
        };
        assert!(KNOWN.iter().all(|name| !refused(name)));
        for name in ["vaultString", "dockerCert", "StringBinding2", ""] {
            assert!(refused(name) && !is_binding(name), "{name}");
        }
    }
}
