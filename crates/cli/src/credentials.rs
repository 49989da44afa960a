//! The credentials of `cofferdam run`: from a file, from single flags and from the environment. They are for that run, and stay in the
//! memory of this process and in the sandboxes of the jobs that ask for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use agent::{Credentials, Held};
use model::rung::Trust;
use serde::Deserialize;

use crate::args::{CredentialArgs, CredentialSource};
use crate::failure::{CommandFailure, Exit};

/// Variables that give one begin so.
const VARIABLE: &str = "COFFERDAM_CREDENTIAL_";
/// The largest file with credentials, and the largest value of one, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// What is said where one is missing.
const ADVICE: &str =
    "give it with --credential '{id}=env:NAME', in a file for --credentials, or as COFFERDAM_CREDENTIAL_{variable}";

/// One table of the file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Table {
    kind: Kind,
    /// For people.
    #[serde(rename = "description")]
    _description: Option<String>,
    username: Option<String>,
    #[serde(default)]
    username_secret: bool,
    value: Option<String>,
    value_env: Option<String>,
    value_file: Option<PathBuf>,
    password: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    passphrase: Option<String>,
    passphrase_env: Option<String>,
    passphrase_file: Option<PathBuf>,
    /// Of a file.
    name: Option<String>,
    /// Of the key in a key store.
    alias: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    String,
    UsernamePassword,
    File,
    SshKey,
    Certificate,
}

/// Where a value may stand; at most one of these.
struct Source<'a> {
    what: &'static str,
    value: Option<&'a String>,
    env: Option<&'a String>,
    file: Option<&'a PathBuf>,
}

/// What this process was started with.
pub struct Surroundings {
    /// Of the user.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config: Option<PathBuf>,
    /// The environment.
    pub vars: BTreeMap<String, String>,
}

impl Surroundings {
    /// Of this process.
    pub fn own() -> Surroundings {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let vars =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Surroundings { home: path("HOME"), config: path("XDG_CONFIG_HOME"), vars: vars.collect() }
    }

    fn default_file(&self) -> Option<PathBuf> {
        let config = self.config.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))?;
        Some(config.join("cofferdam/credentials.toml"))
    }

    /// `~/x`, or a path from a folder.
    fn path(&self, folder: &Path, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => folder.join(path),
        }
    }
}

/// What a run may have. To a stranger's code nothing is given but what is named on the command line.
///
/// # Errors
/// A file that others may read, that is not there although it was named, or that is wrong.
pub fn gather(args: &CredentialArgs, trust: Trust, around: &Surroundings) -> Result<Credentials, CommandFailure> {
    let mut all = Credentials::new(ADVICE);
    if let Some(home) = &around.home {
        all.known_hosts = std::fs::read_to_string(home.join(".ssh/known_hosts")).unwrap_or_default();
    }
    let by_default = || around.default_file().filter(|path| trust != Trust::Stranger && path.exists());
    if let Some(path) = args.credentials.clone().or_else(by_default) {
        read_file(&path, around, &mut all)?;
    }
    if trust != Trust::Stranger {
        from_environment(around, &mut all);
    }
    for given in &args.one {
        let held = match &given.from {
            CredentialSource::Env(name) => variable(around, name).map(Held::Text),
            CredentialSource::File(path) => {
                read_bytes(path).map(|content| Held::File { name: file_name(None, path), content })
            }
        };
        let held = held.map_err(|why| CommandFailure::usage(format!("--credential {}: {why}", given.id)))?;
        all.insert(&given.id, held);
    }
    Ok(all)
}

/// `COFFERDAM_CREDENTIAL_X`, or `…_X_USR` and `…_X_PSW`.
fn from_environment(around: &Surroundings, all: &mut Credentials) {
    for (name, value) in &around.vars {
        let Some(part) = name.strip_prefix(VARIABLE).filter(|part| !part.is_empty()) else { continue };
        all.insert_variable(part, Held::Text(value.clone()));
    }
    for (name, username) in &around.vars {
        let Some(part) = name.strip_prefix(VARIABLE).and_then(|part| part.strip_suffix("_USR")) else { continue };
        if let Some(password) = around.vars.get(&format!("{VARIABLE}{part}_PSW")) {
            let (username, password) = (username.clone(), password.clone());
            all.insert_variable(part, Held::UsernamePassword { username, is_username_secret: false, password });
        }
    }
}

fn read_file(path: &Path, around: &Surroundings, all: &mut Credentials) -> Result<(), CommandFailure> {
    let cannot = |error: &std::io::Error| CommandFailure::io("read", path, error);
    let mut file = File::open(path).map_err(|error| cannot(&error))?;
    let status = file.metadata().map_err(|error| cannot(&error))?;
    let shown = path.display();
    if status.is_file() && status.mode() & 0o077 != 0 {
        let message = format!(
            "others may read {shown} (its mode is {:04o}): credentials in it are not used",
            status.mode() & 0o7777
        );
        return Err(CommandFailure::new(Exit::Auth, message).with_hint(format!("chmod 600 {shown}")));
    }
    let own = rustix::process::geteuid().as_raw();
    if status.is_file() && status.uid() != own && status.uid() != 0 {
        let message =
            format!("{shown} belongs to somebody else (user {}): credentials in it are not used", status.uid());
        return Err(CommandFailure::new(Exit::Auth, message));
    }
    let mut text = String::new();
    file.by_ref().take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| cannot(&error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(CommandFailure::usage(format!("{shown} is larger than {} KiB", MOST_BYTES >> 10)));
    }
    // What is wrong is told without the line: a value may stand in it.
    let tables: BTreeMap<String, Table> = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let at = line.map(|line| format!(":{line}")).unwrap_or_default();
        CommandFailure::usage(format!("{shown}{at}: {}", error.message()))
            .with_hint("one table for each id, such as [my-id] with kind = \"string\" and value-env = \"NAME\"")
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    for (id, table) in tables {
        match table.held(&id, folder, around) {
            Ok(held) => all.insert(id, held),
            Err(Wrong::Table(why)) => return Err(CommandFailure::usage(format!("{shown}: [{id}]: {why}"))),
            // Others of the file may be all that the run wants.
            Err(Wrong::Absent(why)) => all.refuse(id, why),
        }
    }
    Ok(())
}

/// Why a table gives no credential.
enum Wrong {
    /// It makes no sense.
    Table(String),
    /// What it names is not there.
    Absent(String),
}

impl Table {
    fn held(&self, id: &str, folder: &Path, around: &Surroundings) -> Result<Held, Wrong> {
        let value = Source {
            what: "value",
            value: self.value.as_ref(),
            env: self.value_env.as_ref(),
            file: self.value_file.as_ref(),
        };
        let password = Source {
            what: "password",
            value: self.password.as_ref(),
            env: self.password_env.as_ref(),
            file: self.password_file.as_ref(),
        };
        let passphrase = Source {
            what: "passphrase",
            value: self.passphrase.as_ref(),
            env: self.passphrase_env.as_ref(),
            file: self.passphrase_file.as_ref(),
        };
        self.fits(&value, &password, &passphrase)?;
        let username = || self.username.clone().unwrap_or_default();
        let is_username_secret = self.username_secret;
        Ok(match self.kind {
            Kind::String => Held::Text(value.needed()?.text(folder, around)?),
            Kind::UsernamePassword => {
                let source = if password.is_given() { password } else { value };
                let password = source.needed()?.text(folder, around)?;
                let username = self.username.clone().ok_or_else(|| Wrong::Table("it needs a username".to_owned()))?;
                Held::UsernamePassword { username, is_username_secret, password }
            }
            Kind::File => {
                let path = self.value_file.clone().unwrap_or_else(|| id.into());
                let name = file_name(self.name.as_deref(), &path);
                Held::File { name, content: value.needed()?.bytes(folder, around)? }
            }
            Kind::SshKey => {
                let key = String::from_utf8(value.needed()?.bytes(folder, around)?);
                let key = key.map_err(|_| Wrong::Table("the key is not text".to_owned()))?;
                let passphrase = if passphrase.is_given() { passphrase.text(folder, around)? } else { String::new() };
                Held::SshKey { username: username(), is_username_secret, key, passphrase }
            }
            Kind::Certificate => {
                let content = value.needed()?.bytes(folder, around)?;
                let password = if password.is_given() { password.text(folder, around)? } else { String::new() };
                Held::Certificate { content, password, alias: self.alias.clone().unwrap_or_else(|| id.to_owned()) }
            }
        })
    }

    /// Nothing stands in it that its kind has not.
    fn fits(&self, value: &Source<'_>, password: &Source<'_>, passphrase: &Source<'_>) -> Result<(), Wrong> {
        let (has_user, has_password, has_passphrase) = match self.kind {
            Kind::String | Kind::File => (false, false, false),
            Kind::UsernamePassword => (true, !value.is_given(), false),
            Kind::SshKey => (true, false, true),
            Kind::Certificate => (false, true, false),
        };
        let strange = [
            (self.username.is_some() && !has_user, "username"),
            (self.username_secret && !has_user, "username-secret"),
            (password.is_given() && !has_password, "password"),
            (passphrase.is_given() && !has_passphrase, "passphrase"),
            (self.name.is_some() && !matches!(self.kind, Kind::File), "name"),
            (self.alias.is_some() && !matches!(self.kind, Kind::Certificate), "alias"),
        ];
        match strange.iter().find(|(is_strange, _)| *is_strange) {
            Some((_, what)) => Err(Wrong::Table(format!("{what} has no meaning here"))),
            None => Ok(()),
        }
    }
}

impl Source<'_> {
    fn is_given(&self) -> bool {
        self.value.is_some() || self.env.is_some() || self.file.is_some()
    }

    fn needed(self) -> Result<Self, Wrong> {
        let what = self.what;
        match self.is_given() {
            true => Ok(self),
            false => Err(Wrong::Table(format!("it needs one of {what}, {what}-env and {what}-file"))),
        }
    }

    fn bytes(&self, folder: &Path, around: &Surroundings) -> Result<Vec<u8>, Wrong> {
        match (self.value, self.env, self.file) {
            (Some(value), None, None) => Ok(value.clone().into_bytes()),
            (None, Some(name), None) => variable(around, name).map(String::into_bytes).map_err(Wrong::Absent),
            (None, None, Some(path)) => read_bytes(&around.path(folder, path)).map_err(Wrong::Absent),
            _ => Err(Wrong::Table(format!("{0} is given twice: as {0}, {0}-env or {0}-file", self.what))),
        }
    }

    /// Without the line break at the end of a file.
    fn text(&self, folder: &Path, around: &Surroundings) -> Result<String, Wrong> {
        let text = String::from_utf8(self.bytes(folder, around)?);
        let mut text = text.map_err(|_| Wrong::Table(format!("{} is not text", self.what)))?;
        if self.file.is_some() && text.ends_with('\n') {
            text.pop();
            text.truncate(text.strip_suffix('\r').unwrap_or(&text).len());
        }
        Ok(text)
    }
}

fn variable(around: &Surroundings, name: &str) -> Result<String, String> {
    around.vars.get(name).cloned().ok_or_else(|| format!("the variable {name} is not set"))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut content = Vec::new();
    File::open(path).map_err(cannot)?.take(MOST_BYTES + 1).read_to_end(&mut content).map_err(cannot)?;
    match content.len() as u64 > MOST_BYTES {
        true => Err(format!("{} is larger than {} KiB", path.display(), MOST_BYTES >> 10)),
        false => Ok(content),
    }
}

/// The name that a file of a credential has in a sandbox.
fn file_name(given: Option<&str>, path: &Path) -> String {
    let name = given.map_or_else(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned(), str::to_owned);
    let name: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn around(folder: &Path, vars: &[(&str, &str)]) -> Surroundings {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Surroundings { home: Some(folder.to_owned()), config: None, vars }
    }

    fn written(folder: &Path, text: &str, mode: u32) -> CredentialArgs {
        let path = folder.join("c.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        CredentialArgs { credentials: Some(path), one: Vec::new() }
    }

    #[test]
    fn every_kind_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "the key\n").unwrap();
        std::fs::write(folder.path().join("pw"), "secret\r\n").unwrap();
        let args = written(
            folder.path(),
            "[t]\nkind = 'string'\nvalue-env = 'T'\n[u]\nkind = 'username-password'\nusername = 'bob'\nvalue-file = 'pw'\n\
             [f]\nkind = 'file'\nvalue-file = '~/key'\nname = 'a.txt'\n[k]\nkind = 'ssh-key'\nusername = 'git'\nusername-secret = true\nvalue-file = 'key'\npassphrase = 'p'\n\
             [c]\nkind = 'certificate'\nvalue = 'store'\npassword = 'q'\n[absent]\nkind = 'string'\nvalue-env = 'NOT_SET'\n",
            0o600,
        );
        let all = gather(&args, Trust::Protected, &around(folder.path(), &[("T", "tok")])).unwrap();
        let text = |text: &str| text.to_owned();
        assert_eq!(all.get("t"), Some(&Held::Text(text("tok"))));
        let user =
            Held::UsernamePassword { username: text("bob"), is_username_secret: false, password: text("secret") };
        assert_eq!(all.get("u"), Some(&user));
        assert_eq!(all.get("f"), Some(&Held::File { name: text("a.txt"), content: b"the key\n".to_vec() }));
        let key = Held::SshKey {
            username: text("git"),
            is_username_secret: true,
            key: text("the key\n"),
            passphrase: text("p"),
        };
        assert_eq!(all.get("k"), Some(&key));
        let store = Held::Certificate { content: b"store".to_vec(), password: text("q"), alias: text("c") };
        assert_eq!(all.get("c"), Some(&store));
        assert_eq!(all.get("absent"), None);
    }

    #[test]
    fn a_file_that_is_wrong_or_open_to_others_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |text: &str, mode: u32, expect: &str| {
            let args = written(folder.path(), text, mode);
            let failure = gather(&args, Trust::Protected, &around(folder.path(), &[])).unwrap_err();
            assert!(failure.message.contains(expect) && !failure.message.contains("horse"), "{}", failure.message);
        };
        fails("[t]\nkind = 'string'\nvalue = 'horse'\n", 0o644, "others may read");
        fails("[t]\nkind = 'string'\nvalue = horse\n", 0o600, "c.toml:3: ");
        fails("[t]\nkind = 'string'\nvalue = 'horse'\nvalue-env = 'X'\n", 0o600, "[t]: value is given twice");
        fails("[t]\nkind = 'string'\n", 0o600, "[t]: it needs one of value");
        fails("[t]\nkind = 'string'\nvalue = 'horse'\nusername = 'x'\n", 0o600, "username has no meaning here");
        fails("[t]\nkind = 'username-password'\nvalue = 'horse'\n", 0o600, "it needs a username");
        fails("[t]\nkind = 'text'\nvalue = 'horse'\n", 0o600, "c.toml:2: ");
    }

    #[test]
    fn variables_give_credentials_too_but_not_to_strangers() {
        let folder = tempfile::tempdir().unwrap();
        let vars = [
            ("COFFERDAM_CREDENTIAL_MY_TOKEN", "tok"),
            ("COFFERDAM_CREDENTIAL_HUB_USR", "bob"),
            ("COFFERDAM_CREDENTIAL_HUB_PSW", "secret"),
            ("OTHER", "other"),
        ];
        let around = around(folder.path(), &vars);
        let one =
            vec![crate::args::GivenCredential { id: "x".to_owned(), from: CredentialSource::Env("OTHER".to_owned()) }];
        let args = CredentialArgs { credentials: None, one };
        let all = gather(&args, Trust::Member, &around).unwrap();
        assert_eq!(all.get("my-token"), Some(&Held::Text("tok".to_owned())));
        assert!(matches!(all.get("hub"), Some(Held::UsernamePassword { .. })));
        let of_stranger = gather(&args, Trust::Stranger, &around).unwrap();
        assert_eq!((of_stranger.get("my-token"), of_stranger.get("x")), (None, Some(&Held::Text("other".to_owned()))));
        let missing = CredentialSource::Env("NOT_SET".to_owned());
        let one = vec![crate::args::GivenCredential { id: "x".to_owned(), from: missing }];
        assert!(gather(&CredentialArgs { credentials: None, one }, Trust::Member, &around).is_err());
    }
}
