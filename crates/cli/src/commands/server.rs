//! `cofferdam server`, `cofferdam agent`, and both at once: `cofferdam dev`.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{AgentConfig, Host, Hosts, LocalProject, RunOf, Trouble};
use model::resources::Resources;
use reqwest::Method;
use serde_json::{Value, json};
use server::{BlobPlace, Keys, SealingKey, Server, ServerConfig, ServerError, TlsFiles};
use wire::agent::Offers;

use crate::args::Network;
use crate::args::WarmArgs;
use crate::args::server::{AgentArgs, BackupArgs, DevArgs, LogFormat, ServerArgs};
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};
use crate::leftovers;
use crate::machine::{self, Machine};
use crate::place;
use crate::standing::Standing;

/// The first token of the API, for who can read the server's data.
const TOKEN_FILE: &str = "admin-token";
/// The key of a server, where nobody says another.
const SEALING_KEY_FILE: &str = "sealing-key";
/// The key of an agent.
const KEY_FILE: &str = "agent.key";
/// How often an agent looks after what stands ready and what is elsewhere.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The same where it has just failed; twice as long with each further failure.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How long a server may take to start, for `dev`.
const PATIENCE: Duration = Duration::from_secs(30);

fn data(given: Option<&PathBuf>, home: Option<&Path>, name: &str) -> Result<PathBuf, CommandFailure> {
    let folder = given.cloned().unwrap_or_else(|| place::home(home).join(name));
    std::fs::create_dir_all(&folder).map_err(|error| CommandFailure::io("make", &folder, &error))?;
    Ok(folder)
}

/// A server's: its database, logs and what was archived are nobody else's to read, whoever has made the folder.
fn data_of_server(given: Option<&PathBuf>, home: Option<&Path>) -> Result<PathBuf, CommandFailure> {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let folder = data(given, home, "server")?;
    // One that somebody else has is as they say, and one that is for everybody (`/tmp`) too; what is made in it is not.
    if std::fs::metadata(&folder).is_ok_and(|folder| folder.permissions().mode() & 0o1000 == 0) {
        let _ = std::fs::set_permissions(&folder, Permissions::from_mode(0o700));
    }
    Ok(folder)
}

/// A file that nobody else can read, and that is there also after the machine has lost its power.
fn write_secret(path: &Path, text: &str) -> Result<(), CommandFailure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{text}").and_then(|()| file.sync_all()));
    let kept = written.and_then(|()| path.parent().map_or(Ok(()), sync_folder));
    kept.map_err(|error| CommandFailure::io("write", path, &error))
}

/// A name in it is there after that too.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// What the server and agents say of themselves goes to standard error.
fn speak(format: LogFormat) {
    let level = tracing::Level::INFO;
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_max_level(level).with_ansi(is_terminal).with_writer(std::io::stderr);
    // Whoever has set one before has set the same.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.with_ansi(false).json().flatten_event(true).try_init(),
    };
}

/// What they say when they begin: in a log of JSON it is a line as all others.
fn say(format: LogFormat, what: &str) {
    match format {
        LogFormat::Text => eprintln!("{what}"),
        LogFormat::Json => tracing::info!("{what}"),
    }
}

/// The error with which they end: in a log of JSON it is a line too, and said already. The exit code is the same.
fn ended(format: LogFormat, ended: Result<Exit, CommandFailure>) -> Result<Exit, CommandFailure> {
    match (format, ended) {
        (LogFormat::Json, Err(failure)) => {
            tracing::error!(hint = failure.hint.as_deref(), "{}", failure.message);
            Ok(failure.exit)
        }
        (_, ended) => ended,
    }
}

/// `cofferdam server`. Must be called before any thread is started: a server starts no program.
pub fn serve(args: &ServerArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    speak(args.log_format);
    ended(args.log_format, serve_until_stopped(args, home))
}

fn serve_until_stopped(args: &ServerArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    confine::no_programs().map_err(|reason| CommandFailure::new(Exit::Infrastructure, reason))?;
    let data = data_of_server(args.data.as_ref(), home)?;
    let database = database(args.database.as_ref(), &data);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandFailure::new(Exit::Infrastructure, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let token = data.join(TOKEN_FILE);
        let agent_patience = Duration::from_secs(args.agent_patience);
        let config = ServerConfig::new(args.listen, database, keys(args, &data)?, &token);
        let oidc = args.oidc.config().map_err(|error| CommandFailure::usage(format!("--oidc-secret-file: {error}")))?;
        let otlp = args.otlp().map_err(CommandFailure::usage)?;
        let (url, blobs, projects) = (args.url.clone(), args.blobs.clone().map(BlobPlace::Url), args.projects.clone());
        let tls = args.tls_cert.clone().zip(args.tls_key.clone());
        let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let started =
            Server::start(ServerConfig { agent_patience, url, tls, blobs, projects, oidc, otlp, ..config }).await;
        let mut server = started.map_err(of_server)?;
        if server.is_new {
            say(args.log_format, &format!("the first token of the API is in {}", token.display()));
        }
        say(args.log_format, &format!("listening on {scheme}://{}", server.address));
        let mut interrupts = place::interrupts()?;
        let is_lost = tokio::select! {
            _ = interrupts.next() => false,
            () = server.lost() => true,
        };
        server.stop().await;
        match is_lost {
            false => Ok(Exit::Success),
            true => Err(CommandFailure::new(Exit::Infrastructure, "another server has this database now")),
        }
    })
}

fn database(given: Option<&String>, data: &Path) -> String {
    given.cloned().unwrap_or_else(|| format!("sqlite:{}", data.join("cofferdam.db").display()))
}

/// The keys that it was given, or that of its data, which is made where there is none.
fn keys(args: &ServerArgs, data: &Path) -> Result<Keys, CommandFailure> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).map_err(|error| CommandFailure::io("read", path, &error))?;
        SealingKey::parse(&text).ok_or_else(|| {
            let what = format!("{}: no key: it is `cfs_` and 64 hexadecimal digits", path.display());
            CommandFailure::usage(what).with_hint("(printf cfs_; openssl rand -hex 32) > FILE makes one")
        })
    };
    let former = args.former_key_files.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let own = data.join(SEALING_KEY_FILE);
    let is_there = own.try_exists().map_err(|error| CommandFailure::io("look for", &own, &error))?;
    if args.key_file.is_none() && !is_there {
        // Whole or not at all, and one that another server has just made stays.
        let made = data.join(format!("{SEALING_KEY_FILE}.{}", std::process::id()));
        write_secret(&made, &SealingKey::generate())?;
        let linked = std::fs::hard_link(&made, &own);
        let _ = std::fs::remove_file(&made);
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(CommandFailure::io("write", &own, &error));
            }
            _ => sync_folder(data).map_err(|error| CommandFailure::io("write", &own, &error))?,
        }
        tracing::info!(
            "secrets of projects are sealed with the key in {}: keep a copy of it, and not with backups",
            own.display()
        );
    }
    Ok(Keys::new(read(args.key_file.as_ref().unwrap_or(&own))?, former))
}

/// `cofferdam backup`. Whole or not at all.
pub async fn backup(args: &BackupArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let database = database(args.database.as_ref(), &data_of_server(args.data.as_ref(), home)?);
    let path = match database.strip_prefix("sqlite:") {
        Some(path) if !Path::new(path).exists() => {
            return Err(CommandFailure::usage(format!("there is no database {path}")).with_hint("--data, --database"));
        }
        _ => args.file.with_extension("part"),
    };
    let failed = |error| CommandFailure::io("write", &path, &error);
    // One that was left has perhaps another mode.
    let _ = std::fs::remove_file(&path);
    let file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    let copy = file.try_clone().map_err(failed)?;
    let rows = server::backup(&database, std::io::BufWriter::new(copy)).await;
    let kept = rows.map_err(of_server).and_then(|rows| {
        file.sync_all().and_then(|()| std::fs::rename(&path, &args.file)).map_err(failed)?;
        Ok(rows)
    });
    if kept.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    eprintln!("{} rows in {}", kept?, args.file.display());
    Ok(Exit::Success)
}

/// `cofferdam restore`.
pub async fn restore(args: &BackupArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let database = database(args.database.as_ref(), &data_of_server(args.data.as_ref(), home)?);
    let file = std::fs::File::open(&args.file).map_err(|error| CommandFailure::io("open", &args.file, &error))?;
    let rows = server::restore(&database, std::io::BufReader::new(file)).await.map_err(of_server)?;
    eprintln!("{rows} rows from {}", args.file.display());
    Ok(Exit::Success)
}

fn of_server(error: ServerError) -> CommandFailure {
    let failure = |exit| CommandFailure::new(exit, agent::explain(&error));
    match error {
        ServerError::Key { .. } => failure(Exit::Usage)
            .with_hint("--key-file with the key of before; --former-key-file, where there is a new one"),
        ServerError::Projects(_) | ServerError::Tls(_) => failure(Exit::Usage),
        _ => failure(Exit::Infrastructure),
    }
}

/// `cofferdam agent`.
pub async fn agent(args: &AgentArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    speak(args.log_format);
    ended(args.log_format, work_until_stopped(args, home).await)
}

async fn work_until_stopped(args: &AgentArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    args.warm.check().map_err(CommandFailure::usage)?;
    let drivers = place::drivers()?;
    let data = data(args.data.as_ref(), home, "agent")?;
    let key = key(args, &data).await?;
    sweep(home.map(Path::to_owned)).await;
    let scratch = place::home(home).join("scratch");
    std::fs::create_dir_all(&scratch).map_err(|error| CommandFailure::io("make", &scratch, &error))?;
    let mut place = args.place.clone();
    place.engines.control_plane = Some(authority(&args.server));
    let machine = Arc::new(Machine::new(&place, home, drivers, Some(Standing::new(args.warm.clone())))?);
    let has = machine::resources();
    let resources = Resources {
        memory_mib: args.total_memory.map_or(has.memory_mib, |bytes| bytes >> 20),
        cpu_millis: args.total_cpus.map_or(has.cpu_millis, u64::from),
    };
    let hosts = Arc::new(OfRuns { machine: Arc::clone(&machine), resources });
    let config = AgentConfig {
        server: args.server.clone(),
        key,
        runs: args.runs,
        labels: args.labels.clone(),
        folders: args.folders,
        engine: place::engine_program(),
        hosts,
        scratch,
    };
    say(args.log_format, &format!("working for {}", args.server));
    let mut interrupts = place::interrupts()?;
    let mut interrupted = false;
    let stop = async {
        interrupts.next().await;
        interrupted = true;
    };
    let ended = tokio::select! {
        worked = agent::work(config, stop) => worked.map_err(CommandFailure::from),
        never = look_after(&machine, &args.warm, home) => match never {},
    };
    machine.close().await;
    ended.map(|()| if interrupted { Exit::Interrupted } else { Exit::Success })
}

/// `HOST:PORT` of a server's address.
fn authority(server: &str) -> String {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    // An address of IPv6 has colons too, in brackets.
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
    let usual = if server.starts_with("https:") { 443 } else { 80 };
    if has_port { host.to_owned() } else { format!("{host}:{usual}") }
}

/// What an agent's runs are performed with.
struct OfRuns {
    machine: Arc<Machine>,
    /// For all of them together.
    resources: Resources,
}

impl Hosts for OfRuns {
    fn host(&self, run: &RunOf, files: LocalProject) -> Result<Host, Trouble> {
        let made = self.machine.host(machine::Of {
            project: run.project.clone(),
            resources: run.resources,
            minimum: Some((run.trust.minimum(), format!("trust {}", run.trust.name()))),
            mentions: run.mentions.clone(),
            scm: Some(Arc::new(files)),
            // A server has none to give yet.
            credentials: None,
            // They go to the server.
            artifacts: PathBuf::new(),
            always_pull: false,
            env: Vec::new(),
            label_env: Vec::new(),
            libraries: run.libraries.clone(),
        });
        made.map_err(|failure| Trouble::infrastructure(failure.message))
    }

    fn waits(&self, project: &str, count: u64) {
        self.machine.waits(project, count);
    }

    fn offers(&self) -> Offers {
        Offers { resources: self.resources, ..self.machine.offers() }
    }
}

/// What an agent does beside its runs: it reaches what is elsewhere, and keeps sandboxes ready. Again and again, for engines come back,
/// and images and launchers change.
async fn look_after(machine: &Machine, args: &WarmArgs, home: Option<&Path>) -> Infallible {
    let (mut pause, mut told) = (TRY_AGAIN, Vec::new());
    loop {
        let keeping = async {
            let mut reasons = Vec::new();
            for (number, flag) in args.warm_image.iter().enumerate() {
                let kept = machine.keep_ready(number, flag).await;
                reasons.extend(kept.err().map(|reason| format!("--warm-image {flag}: none is kept ready: {reason}")));
            }
            reasons
        };
        // An engine that is slow to answer is no reason to wait.
        let (reached, mut reasons) = tokio::join!(machine.reach_elsewhere(), keeping);
        reasons.extend(reached.err().map(|reason| format!("jobs for elsewhere will fail until it is there: {reason}")));
        // Once.
        reasons.iter().filter(|reason| !told.contains(*reason)).for_each(|reason| tracing::warn!("{reason}"));
        let next = if reasons.is_empty() { LOOK_AGAIN } else { pause };
        pause = if reasons.is_empty() { TRY_AGAIN } else { (pause * 2).min(LOOK_AGAIN) };
        tokio::time::sleep(next).await;
        told = reasons;
        sweep(home.map(Path::to_owned)).await;
    }
}

/// Takes away what processes have left here that were killed: of before, and of other commands on this machine.
async fn sweep(home: Option<PathBuf>) {
    match tokio::task::spawn_blocking(move || leftovers::sweep(home.as_deref())).await {
        Ok(Ok(removed)) => {
            removed.iter().for_each(|what| tracing::info!("removed, for nobody has it any more: {what}"))
        }
        Ok(Err(failure)) => tracing::warn!("left-overs: {}", failure.message),
        Err(error) => tracing::warn!("left-overs: {error}"),
    }
}

/// The key of before, or one for a token.
async fn key(args: &AgentArgs, data: &Path) -> Result<String, CommandFailure> {
    let file = data.join(KEY_FILE);
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(key.trim().to_owned());
    }
    if !args.server.starts_with("http://") && !args.server.starts_with("https://") {
        return Err(CommandFailure::usage(format!("{}: a server is at https://HOST:PORT, or http://…", args.server)));
    }
    let Some(token) = &args.token else {
        return Err(CommandFailure::new(Exit::Auth, "this agent has no key yet")
            .with_hint("--token TOKEN; `cofferdam agents token` makes one"));
    };
    let of_machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = args.name.clone().unwrap_or_else(of_machine);
    let client = Client::of(&args.server, None)?;
    let answer = client.ask(Method::POST, "/agent/v1/enrol", Some(&json!({ "token": token, "name": name }))).await?;
    let key = answer["key"].as_str().unwrap_or_default().to_owned();
    write_secret(&file, &key)?;
    Ok(key)
}

/// `cofferdam dev`: a server and an agent, as processes of their own, until this one is ended.
pub async fn dev(args: &DevArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let data = data(args.data.as_ref(), home, "dev")?;
    let project = args.project.canonicalize().map_err(|error| CommandFailure::io("open", &args.project, &error))?;
    let start = |words: &[&str], token: &str| {
        let mut command = tokio::process::Command::new("/proc/self/exe");
        // A command line is for everybody to read.
        command.env("COFFERDAM_ENROL_TOKEN", token).args(words).stdin(Stdio::null()).kill_on_drop(true);
        command.spawn().map_err(|error| CommandFailure::new(Exit::Infrastructure, format!("cannot start: {error}")))
    };
    let (of_server, of_agent, listen) = (data.join("server"), data.join("agent"), args.listen.to_string());
    let mut server = start(&["server", "--listen", &listen, "--data", &of_server.to_string_lossy()], "none")?;
    let url = format!("http://{}", args.listen);
    let token = ready(&url, args.listen, &of_server, &mut server).await?;
    let client = Client::of(&url, Some(&token))?;
    let enrol = match of_agent.join(KEY_FILE).exists() {
        true => None,
        false => Some(client.ask(Method::POST, "/api/v1/agents/tokens", None).await?),
    };
    let enrol = enrol.as_ref().and_then(|answer| answer["token"].as_str()).unwrap_or("none");
    let network = if args.network == Network::None { "none" } else { "internet" };
    let home_words: Vec<String> =
        home.map(|home| vec!["--home".to_owned(), home.display().to_string()]).unwrap_or_default();
    let of_agent = of_agent.to_string_lossy();
    let mut words: Vec<&str> = home_words.iter().map(String::as_str).collect();
    words.extend(["agent", "--server", &url, "--data", &of_agent, "--folders", "--network", network]);
    let mut agent = start(&words, enrol)?;
    let name = project.file_name().map_or_else(|| "project".into(), |name| name.to_string_lossy().into_owned());
    if project.join("Jenkinsfile").exists() {
        let config: Value =
            json!({ "source": { "folder": project }, "file": "Jenkinsfile", "record_deliveries": true });
        client.ask(Method::PUT, &format!("/api/v1/projects/{name}"), Some(&config)).await?;
        eprintln!("project {name}: cofferdam trigger {name} --follow");
    }
    eprintln!("pages: {url}/   token: export COFFERDAM_TOKEN={token}");
    let mut interrupts = place::interrupts()?;
    tokio::select! {
        ended = server.wait() => Err(CommandFailure::new(Exit::Infrastructure, format!("the server has ended: {ended:?}"))),
        ended = agent.wait() => Err(CommandFailure::new(Exit::Infrastructure, format!("the agent has ended: {ended:?}"))),
        () = interrupts.next() => Ok(Exit::Interrupted),
    }
}

/// Waits until the server answers; its first token.
async fn ready(
    url: &str,
    listen: SocketAddr,
    data: &Path,
    server: &mut tokio::process::Child,
) -> Result<String, CommandFailure> {
    let client = Client::of(url, None)?;
    let began = Instant::now();
    while client.send(Method::GET, "/healthz", None).await.is_err() {
        if let Ok(Some(status)) = server.try_wait() {
            return Err(CommandFailure::new(Exit::Infrastructure, format!("the server has ended: {status}")));
        }
        if began.elapsed() > PATIENCE {
            return Err(CommandFailure::new(Exit::Infrastructure, format!("the server does not answer on {listen}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let file = data.join(TOKEN_FILE);
    let token = std::fs::read_to_string(&file).map_err(|error| CommandFailure::io("read", &file, &error))?;
    Ok(token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_port() {
        let check = |server: &str, expect: &str| assert_eq!(authority(server), expect, "{server}");
        check("http://10.0.0.5:8700", "10.0.0.5:8700");
        check("http://ci.example/", "ci.example:80");
        check("http://[::1]:8700/x", "[::1]:8700");
        check("http://[::1]", "[::1]:80");
        check("https://ci.example", "ci.example:443");
    }
}
