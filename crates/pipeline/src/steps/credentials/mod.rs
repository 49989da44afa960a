//! `withCredentials`, `sshagent`, and the login of `withRegistry`: what is secret is there for a block, and no longer. Values are in
//! variables of the block; files are in folders of their own below `WORKSPACE_TMP`, which go with it, whatever the block came to.

mod bindings;
mod interpolated;
mod managed;
mod masked;

use std::rc::Rc;

use groovy::value::Value;
use model::credential::{Credential, CredentialKind, CredentialWish, NO_PLACE, SecretContent, SecretFile};
use model::failure::FailureKind;
use model::ids::{JobId, StepId};
use model::request::{Reply, Request, ShellScript};

use super::{StepCall, unexpected};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::{Fault, NO_CREDENTIAL, NO_NODE};
use crate::engine::scope::Scope;

use bindings::{Binding, To};
pub(crate) use bindings::{OF_ENVIRONMENT, is_binding};
pub(crate) use interpolated::warning;
pub(crate) use managed::{config_file_provider, with_npm};
pub(crate) use masked::mask_passwords;

/// Most bindings of one block.
const MAX_BINDINGS: usize = 100;
/// Unpacks `$ARCHIVE` into `$FOLDER`, with what there is.
const UNPACK: &str = r#"mkdir -p "$FOLDER" || exit
if command -v unzip >/dev/null; then exec unzip -q "$ARCHIVE" -d "$FOLDER"; fi
if command -v bsdtar >/dev/null; then exec bsdtar -xf "$ARCHIVE" -C "$FOLDER"; fi
if command -v python3 >/dev/null; then exec python3 -m zipfile -e "$ARCHIVE" "$FOLDER"; fi
cd "$FOLDER" && exec jar -xf "$ARCHIVE"
"#;
/// Starts an agent that listens at `$SSH_AUTH_SOCK`, and remembers it beside that.
const START_AGENT: &str = r#"command -v ssh-agent >/dev/null || exit 127
umask 077; ssh-agent -s -a "$SSH_AUTH_SOCK" > "$SSH_AUTH_SOCK.env" </dev/null
"#;
/// Gives it the key `$KEY`.
const ADD_KEY: &str = r#"export SSH_ASKPASS="$KEY.askpass" SSH_ASKPASS_REQUIRE=force DISPLAY="${DISPLAY:-:0}"
exec ssh-add "$KEY" </dev/null
"#;
/// Ends it.
const STOP_AGENT: &str = r#"[ -f "$SSH_AUTH_SOCK.env" ] || exit 0
. "$SSH_AUTH_SOCK.env" >/dev/null && exec ssh-agent -k >/dev/null
"#;

/// What a block has that others have not.
#[derive(Default)]
struct Bound {
    /// Variables whose values are secret.
    secret: Vec<(String, String)>,
    /// Others that come with them.
    public: Vec<(String, String)>,
    /// Folders that go with it.
    folders: Vec<(JobId, String)>,
}

/// `withCredentials([string(credentialsId: 'id', variable: 'X')]) { … }`
pub(crate) async fn with_credentials(call: StepCall) -> Result<Value, Fault> {
    call.args.body()?;
    let list = call.args.get("bindings").ok_or_else(|| Fault::illegal("Missing required parameter: \"bindings\""))?;
    let list = bindings::read(list)?;
    if list.len() > MAX_BINDINGS {
        return Err(Fault::illegal(format!("withCredentials takes at most {MAX_BINDINGS} bindings")));
    }
    bound_to(call, &list, Vec::new()).await
}

/// Runs the block of `withAWS(credentials: 'id')`, with variables beside.
pub(crate) async fn with_aws(call: StepCall, id: String, more: Vec<(String, String)>) -> Result<Value, Fault> {
    bound_to(call, &[bindings::of_aws(id)], more).await
}

async fn bound_to(call: StepCall, list: &[Binding], more: Vec<(String, String)>) -> Result<Value, Fault> {
    let mut bound = Bound { public: more, ..Bound::default() };
    let made = bind_all(&call, list, &mut bound).await;
    let result = match made {
        Ok(()) => {
            let names: Vec<_> = distinct(&bound.secret).into_iter().map(|name| format!("${name}")).collect();
            if !names.is_empty() {
                call.say(&format!("Masking supported pattern matches of {}", names.join(" or ")));
            }
            let scope = call.scope.with_env(std::mem::take(&mut bound.public));
            call.run_body(&scope.with_secrets(std::mem::take(&mut bound.secret))).await
        }
        Err(fault) => Err(fault),
    };
    unbind(&call.core, &call.scope, bound.folders).await;
    result
}

fn distinct(vars: &[(String, String)]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in vars {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

async fn bind_all(call: &StepCall, list: &[Binding], bound: &mut Bound) -> Result<(), Fault> {
    for (index, binding) in list.iter().enumerate() {
        bind(call, index, binding, bound).await?;
    }
    Ok(())
}

async fn bind(call: &StepCall, index: usize, Binding { id, to }: &Binding, bound: &mut Bound) -> Result<(), Fault> {
    let content = if *to == To::Git { SecretContent::GitAskpass } else { SecretContent::Own };
    let is_needed = !matches!(to, To::Any(_));
    let file = match to.file_name() {
        Some(name) => secret_file(&call.scope, call.id, index, name, content),
        None => None,
    };
    if file.is_none() && is_needed && to.file_name().is_some() {
        return Err(call.without_node());
    }
    if let Some(file) = &file {
        bound.folders.push((file.job, file.dir.clone()));
    }
    let wish = CredentialWish { id: id.clone(), step: Some(call.id), kinds: to.kinds(), file: file.clone() };
    let given = ask(&call.core, wish).await?;
    let mut secret = |name: &str, value: &str| bound.secret.push((name.to_owned(), value.to_owned()));
    let mut names = Vec::new();
    match (given, to) {
        (Credential::Text(value), To::Text(name) | To::Any(name)) => secret(name, value.reveal()),
        (Credential::UsernamePassword { username, is_username_secret, password, path }, to) => {
            let joined = format!("{username}:{}", password.reveal());
            match to {
                To::Joined(name) => secret(name, &joined),
                To::UsernamePassword { username: user, password: name } => {
                    names.push((user.clone(), username, is_username_secret));
                    names.push((name.clone(), password.reveal().to_owned(), true));
                }
                To::Aws { access_key, secret_key } => {
                    secret(access_key, &username);
                    secret(secret_key, password.reveal());
                }
                To::Any(name) => {
                    secret(name, &joined);
                    names.push((format!("{name}_USR"), username, is_username_secret));
                    names.push((format!("{name}_PSW"), password.reveal().to_owned(), true));
                }
                _ => {
                    names.push(("GIT_USERNAME".to_owned(), username, is_username_secret));
                    names.push(("GIT_PASSWORD".to_owned(), password.reveal().to_owned(), true));
                    names.push(("GIT_TERMINAL_PROMPT".to_owned(), "false".to_owned(), false));
                    names.push(("GIT_ASKPASS".to_owned(), path.unwrap_or_default(), true));
                }
            }
        }
        (Credential::File { path }, To::Zip(name)) => {
            let folder = unpack(call, &path, file.as_ref()).await?;
            secret(name, &folder);
        }
        (Credential::File { path }, To::File(name) | To::Any(name)) => secret(name, &path),
        (Credential::SshKey { username, is_username_secret, passphrase, path }, to) => {
            let (key, phrase, user) = match to {
                To::SshKey { key, passphrase, username } => (key.clone(), passphrase.clone(), username.clone()),
                To::Any(name) => (name.clone(), Some(format!("{name}_PSW")), Some(format!("{name}_USR"))),
                _ => return Err(unexpected(&Reply::Done)),
            };
            secret(&key, &path);
            names.extend(phrase.map(|name| (name, passphrase.reveal().to_owned(), true)));
            names.extend(user.map(|name| (name, username, is_username_secret)));
        }
        (
            Credential::Certificate { path, password, alias },
            To::Certificate { keystore, password: name, alias: of },
        ) => {
            secret(keystore, &path);
            names.extend(name.clone().map(|name| (name, password.reveal().to_owned(), true)));
            names.extend(of.clone().map(|name| (name, alias, true)));
        }
        (given, _) => return Err(unexpected(&Reply::Credential(given))),
    }
    for (name, value, is_secret) in names {
        let list = if is_secret { &mut bound.secret } else { &mut bound.public };
        list.push((name, value));
    }
    Ok(())
}

/// A file in a folder that only this step has; `None`: there is no workspace.
fn secret_file(scope: &Scope, step: StepId, index: usize, name: String, content: SecretContent) -> Option<SecretFile> {
    let (node, workspace) = (scope.node.as_ref()?, scope.workspace()?);
    let dir = format!("{workspace}@tmp/secretFiles/{}-{index}", step.0);
    Some(SecretFile { job: node.job, dir, name, content })
}

/// What asks with a name and a password, as `name:password`.
pub(super) async fn name_and_password(call: &StepCall, id: String) -> Result<String, Fault> {
    let wish = CredentialWish { id, step: Some(call.id), kinds: vec![CredentialKind::UsernamePassword], file: None };
    match ask(&call.core, wish).await? {
        Credential::UsernamePassword { username, password, .. } => Ok(format!("{username}:{}", password.reveal())),
        other => Err(unexpected(&Reply::Credential(other))),
    }
}

/// The id that somebody means who names a parameter of credentials, `${NAME}` or `NAME`.
///
/// Source: `CredentialsProvider.findCredentialById`.
fn meant(core: &Core, id: String) -> String {
    let name = id.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(&id);
    if !core.run.of_credentials.borrow().contains(name) {
        return id;
    }
    let params = core.run.params.borrow();
    params.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_text()).unwrap_or(id)
}

async fn ask(core: &Rc<Core>, wish: CredentialWish) -> Result<Credential, Fault> {
    let wish = CredentialWish { id: meant(core, wish.id), ..wish };
    let is_missing = |fault: &Fault| fault.failure_kind() == Some(FailureKind::Auth);
    let asked = core.ask(Request::Credential(wish)).await;
    match asked.map_err(|fault| if is_missing(&fault) { fault.of_class(NO_CREDENTIAL) } else { fault })? {
        Reply::Credential(given) => Ok(given),
        reply => Err(unexpected(&reply)),
    }
}

/// Takes files away, although the block was interrupted: they must not stay.
async fn unbind(core: &Rc<Core>, scope: &Scope, folders: Vec<(JobId, String)>) {
    for (job, path) in folders.into_iter().rev() {
        if let Reply::Failed(failure) = core.ask_to_the_end(Request::DeleteDir { job, path }).await {
            core.say(scope, &format!("WARNING: files of credentials could not be removed: {}", failure.message));
        }
    }
}

async fn unpack(call: &StepCall, archive: &str, file: Option<&SecretFile>) -> Result<String, Fault> {
    let Some(file) = file else { return Err(call.without_node()) };
    let folder = format!("{}/unpacked", file.dir);
    let env = vec![("ARCHIVE".to_owned(), archive.to_owned()), ("FOLDER".to_owned(), folder.clone())];
    match run_script(&call.core, &call.scope, UNPACK, env).await? {
        0 => Ok(folder),
        code => Err(Fault::abort(format!("The archive of the credential could not be unpacked (exit code {code})"))
            .with_hint("the place needs one of unzip, bsdtar, python3 or jar")),
    }
}

/// A script of our own: it is not shown, and what it prints is not either, unless something went wrong.
pub(super) fn script(core: &Rc<Core>, scope: &Scope, text: &str, env: Vec<(String, String)>) -> Result<Request, Fault> {
    let node = scope.node.as_ref().ok_or_else(|| Fault::raised(NO_NODE, NO_PLACE))?;
    let script = ShellScript {
        text: text.to_owned(),
        interpreter: Some(vec!["/bin/sh".to_owned()]),
        dir: scope.workspace().unwrap_or("/").to_owned(),
        env: core.env_for_process(&scope.with_env(env)),
        capture: true,
        encoding: None,
        copies: Vec::new(),
    };
    // A step of its own: what it is run from lies in the step's folder.
    Ok(Request::Exec { job: node.job, step: core.next_step()?, script })
}

async fn run_script(core: &Rc<Core>, scope: &Scope, text: &str, env: Vec<(String, String)>) -> Result<i32, Fault> {
    match core.ask(script(core, scope, text, env)?).await? {
        Reply::Exited { code, .. } => Ok(code),
        reply => Err(unexpected(&reply)),
    }
}

/// `sshagent(['id']) { … }`
pub(crate) async fn ssh_agent(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    call.args.body()?;
    let ids = match call.args.get("credentials") {
        Some(one) if one.is_text() => vec![one.to_text()],
        _ => call.args.texts("credentials")?,
    };
    if ids.len() > MAX_BINDINGS {
        return Err(Fault::illegal(format!("sshagent takes at most {MAX_BINDINGS} credentials")));
    }
    let ignores_missing = call.args.flag("ignoreMissing", false)?;
    let mut folders = Vec::new();
    let socket = secret_file(&call.scope, call.id, 0, "agent".to_owned(), SecretContent::KeyWithAskpass);
    let socket = socket.map(|file| format!("{}/agent", file.dir)).unwrap_or_default();
    let env = vec![("SSH_AUTH_SOCK".to_owned(), socket)];
    let started = start_agent(&call, &ids, ignores_missing, &env, &mut folders).await;
    let result = match started {
        Ok(()) => {
            call.say("[ssh-agent] Started.");
            call.run_body(&call.scope.with_env(env.clone())).await
        }
        Err(fault) => Err(fault),
    };
    if let Ok(stop) = script(&call.core, &call.scope, STOP_AGENT, env) {
        call.core.ask_to_the_end(stop).await;
    }
    unbind(&call.core, &call.scope, folders).await;
    call.say("[ssh-agent] Stopped.");
    result
}

async fn start_agent(
    call: &StepCall,
    ids: &[String],
    ignores_missing: bool,
    env: &[(String, String)],
    folders: &mut Vec<(JobId, String)>,
) -> Result<(), Fault> {
    let mut keys = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let file = secret_file(&call.scope, call.id, 0, format!("key-{index}"), SecretContent::KeyWithAskpass);
        let Some(file) = file else { return Err(call.without_node()) };
        if folders.is_empty() {
            folders.push((file.job, file.dir.clone()));
        }
        let kinds = vec![CredentialKind::SshKey];
        let wish = CredentialWish { id: id.clone(), step: Some(call.id), kinds, file: Some(file) };
        match ask(&call.core, wish).await {
            Ok(Credential::SshKey { username, passphrase, path, .. }) => {
                call.say(&format!("[ssh-agent] Using credentials {username}"));
                keys.push((path, passphrase));
            }
            Ok(other) => return Err(unexpected(&Reply::Credential(other))),
            Err(fault) if ignores_missing && fault.message() == model::credential::missing(id).message => {
                call.say(&format!("[ssh-agent] Could not find specified credentials with id: {id}"));
            }
            Err(fault) => return Err(fault),
        }
    }
    if keys.is_empty() {
        // Without a key there is no folder for its socket yet.
        let Some(file) = secret_file(&call.scope, call.id, 0, String::new(), SecretContent::Own) else { return Ok(()) };
        folders.push((file.job, file.dir.clone()));
        call.ask(Request::MakeDir { job: file.job, path: file.dir }).await?;
    }
    match run_script(&call.core, &call.scope, START_AGENT, env.to_vec()).await? {
        0 => {}
        127 => {
            return Err(Fault::abort("[ssh-agent] Could not find a suitable ssh-agent provider")
                .with_hint("the image needs OpenSSH's client programs"));
        }
        code => return Err(Fault::abort(format!("[ssh-agent] ssh-agent ended with exit code {code}"))),
    }
    for (path, passphrase) in keys {
        let more = [("KEY".to_owned(), path), ("COFFERDAM_PASSPHRASE".to_owned(), passphrase.reveal().to_owned())];
        let env = env.iter().cloned().chain(more).collect();
        if run_script(&call.core, &call.scope, ADD_KEY, env).await? != 0 {
            return Err(Fault::abort("[ssh-agent] ssh-add refused the key")
                .with_hint("is it a private key in OpenSSH's or PEM's format, and is its passphrase right?"));
        }
    }
    Ok(())
}

/// Runs a body with Docker's client logged in at a registry, where a credential says how and there is a node.
pub(crate) async fn logged_in(core: &Rc<Core>, scope: &Scope, body: Body) -> Result<Value, Fault> {
    let Some((url, Some(id))) = scope.registry.as_deref().cloned() else {
        return core.call_body(scope, body, Vec::new()).await;
    };
    let content = SecretContent::DockerLogin(url.unwrap_or_default());
    let step = core.next_step()?;
    let Some(file) = secret_file(scope, step, 0, "config.json".to_owned(), content) else {
        return core.call_body(scope, body, Vec::new()).await;
    };
    let folders = vec![(file.job, file.dir.clone())];
    let env = vec![("DOCKER_CONFIG".to_owned(), file.dir.clone())];
    let kinds = vec![CredentialKind::UsernamePassword];
    let asked = ask(core, CredentialWish { id, step: scope.step, kinds, file: Some(file) }).await;
    let result = match asked {
        Ok(_) => core.call_body(&scope.with_env(env), body, Vec::new()).await,
        Err(fault) => Err(fault),
    };
    unbind(core, scope, folders).await;
    result
}

/// `withDockerRegistry(url: '…', credentialsId: 'id') { … }`
pub(crate) async fn with_docker_registry(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    let body = call.args.body()?;
    let nested = call.args.get("registry").and_then(crate::engine::values::entries);
    let fields = nested.unwrap_or_else(|| call.args.named.clone());
    let field = |name: &str| {
        let value = fields.iter().find(|(key, value)| key == name && !value.is_null());
        value.map(|(_, value)| value.to_text()).filter(|text| !text.is_empty())
    };
    let registry = Some(Rc::new((field("url"), field("credentialsId"))));
    let scope = call.core.deeper(&call.scope)?.with(|s| s.registry = registry);
    call.core.mark(&scope, "{");
    let result = logged_in(&call.core, &scope, body).await;
    call.core.mark(&scope, "}");
    result
}
