//! `git url: …`: a repository from elsewhere. git runs in a sandbox of its own, with the host's git and a network, and never
//! on the host: a repository is a stranger's input. Its files then move into the job's workspace as a tar stream. A credential is in
//! that sandbox only, and told to nobody but the host of the address.

use model::event::{Event, LogSource};
use model::ids::StepId;
use model::request::{FileSet, GitSource, Reply};
use model::rung::Rung;
use queue::Need;
use sandbox::SandboxSpec;
use sandbox::session::{Output, Session, SessionError, TarPlace};
use tokio::sync::mpsc;
use wire::init::{ExecSpec, TarLimits};

use crate::address::{self, Login};
use crate::failure::Trouble;
use crate::host::Host;
use crate::job::Job;
use crate::lines::Lines;

const FOLDER: &str = "/workspace/source";
/// Clones and prints the facts; every value of the author arrives as an argument, none as text of the script.
const SCRIPT: &str = r#"set -e
git clone --quiet --no-checkout -- "$1" .
if [ -n "$2" ]; then
  git checkout --quiet --detach "origin/$2" 2>/dev/null || git checkout --quiet --detach "$2"
else
  git checkout --quiet --detach HEAD
fi
git rev-parse HEAD"#;

/// Clones a repository into `dir` of the job.
pub async fn clone(
    host: &Host,
    events: &mpsc::Sender<Event>,
    job: &Job,
    step: StepId,
    dir: String,
    source: &GitSource,
) -> Result<Reply, Trouble> {
    let (commit, ()) = cloned(host, events, Some((step, job)), source, async |session, user| {
        move_files(session, user, job, dir).await
    })
    .await?;
    let branch = source.reference.clone().unwrap_or_else(|| "master".to_owned());
    Ok(Reply::CheckedOut(vec![
        ("GIT_COMMIT".to_owned(), commit),
        ("GIT_BRANCH".to_owned(), format!("origin/{branch}")),
        ("GIT_LOCAL_BRANCH".to_owned(), branch),
        ("GIT_URL".to_owned(), source.url.clone()),
    ]))
}

/// Clones a repository and writes some of its files (Ant's patterns) into a file, as a tar stream; its commit, and the file.
pub async fn into_tar(
    host: &Host,
    events: &mpsc::Sender<Event>,
    source: &GitSource,
    (includes, limits): (&str, TarLimits),
    file: std::fs::File,
) -> Result<(String, std::fs::File), Trouble> {
    let out = file.try_clone().map_err(|error| Trouble::infrastructure(format!("cannot keep files: {error}")))?;
    let (commit, ()) = cloned(host, events, None, source, async |session, user| {
        let out = tokio::fs::File::from_std(out);
        let failed = |error| match error {
            SessionError::Operation(why) => Trouble::workload(format!("git: {}: {why}", source.url)),
            error => error.into(),
        };
        session.get_tar(Some(user.clone()), files(includes), limits, out).await.map_err(failed)?;
        Ok(())
    })
    .await?;
    Ok((commit, file))
}

/// Clones a repository in a sandbox of its own, and does something with what is there; its commit, and what came of it.
async fn cloned<T>(
    host: &Host,
    events: &mpsc::Sender<Event>,
    asks: Option<(StepId, &Job)>,
    source: &GitSource,
    then: impl AsyncFnOnce(&Session, &wire::init::User) -> Result<T, Trouble>,
) -> Result<(String, T), Trouble> {
    let (step, job) = (asks.map(|(step, _)| step), asks.map(|(_, job)| job));
    let login = Login::of(host, events, step, job, source).await?;
    check(source, &login)?;
    if let Some(reason) = host.way_out.missing() {
        let message = format!("git: cannot clone {}: sandboxes have no network: {reason}", source.url);
        return Err(Trouble::infrastructure(message).with_hint("`checkout scm` takes the project itself, without one"));
    }
    let mut spec = SandboxSpec::host_tools();
    spec.limits = host.options.limits;
    spec.network = host.network(true);
    spec.workspace.path = FOLDER.to_owned();
    let (driver, _) = host.drivers.place(&Need { minimum: (Rung::Process, String::new()), ..host.need(false) }).await?;
    let place = driver.create(spec).await?;
    let id = place.id;
    let done = async {
        place.stream.set_nonblocking(true).map_err(|e| Trouble::infrastructure(e.to_string()))?;
        let stream =
            tokio::net::UnixStream::from_std(place.stream).map_err(|e| Trouble::infrastructure(e.to_string()))?;
        let session = Session::start(stream).await?;
        let user = wire::init::User { uid: place.user.uid, gid: place.user.gid, groups: Vec::new() };
        let commit = run_git(&session, &user, step, source, &login, events).await?;
        Ok((commit, then(&session, &user).await?))
    };
    let result: Result<(String, T), Trouble> = done.await;
    driver.destroy(id).await?;
    result
}

fn files(includes: &str) -> FileSet {
    FileSet { dir: FOLDER.to_owned(), includes: includes.to_owned(), case_sensitive: true, ..FileSet::default() }
}

/// Refuses what is no address of a repository, before git sees it.
fn check(source: &GitSource, login: &Login) -> Result<(), Trouble> {
    let url = &source.url;
    let is_known = match address::scheme(url) {
        Some("https" | "http" | "git") => true,
        Some("ssh") => matches!(login, Login::Key { .. }),
        _ => false,
    };
    if !is_known || url.contains(char::is_control) || url.contains(char::is_whitespace) {
        return Err(Trouble::workload(format!("git: `{url}` is not an https, http or git address")).with_hint(
            "use `checkout scm` for the project itself; ssh addresses need a `credentialsId` of an ssh key",
        ));
    }
    let bad = |name: &str| {
        name.starts_with('-') || name.is_empty() || name.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    match &source.reference {
        Some(name) if bad(name) => Err(Trouble::workload(format!("git: `{name}` is not a branch, tag or commit"))),
        _ => Ok(()),
    }
}

async fn run_git(
    session: &Session,
    user: &wire::init::User,
    step: Option<StepId>,
    source: &GitSource,
    login: &Login,
    events: &mpsc::Sender<Event>,
) -> Result<String, Trouble> {
    let env = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        (
            "GIT_ALLOW_PROTOCOL",
            if matches!(login, Login::Key { .. }) { "https:http:git:ssh" } else { "https:http:git" },
        ),
        ("LC_ALL", "C"),
    ];
    let mut env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    env.extend(login.prepare(session, user, &format!("{FOLDER}@tmp"), &source.url).await?);
    let reference = source.reference.clone().unwrap_or_default();
    let spec = ExecSpec {
        argv: vec![
            "sh".to_owned(),
            "-c".to_owned(),
            SCRIPT.to_owned(),
            "git".to_owned(),
            source.url.clone(),
            reference,
        ],
        env,
        cwd: FOLDER.to_owned(),
        user: user.clone(),
        output_limit: Some(1 << 20),
        ..ExecSpec::default()
    };
    let mut running = session.exec(spec).await?;
    let mut lines = Lines::new(None);
    let mut last = String::new();
    let mut said = Vec::new();
    while let Some(output) = running.next().await? {
        if let Output::Data { data, .. } = output {
            lines.push(&data, |line| said.push(line));
        }
    }
    lines.finish(|line| said.push(line));
    let exit = running.wait().await?;
    if exit.status.code() == 0 {
        last = said.pop().unwrap_or_default();
    }
    for text in said {
        let _ = events.send(Event::Log { step, stage: None, source: LogSource::Stderr, text }).await;
    }
    if exit.status.code() != 0 {
        let failed = Trouble::workload(format!("git: {} could not be cloned", source.url));
        return Err(match (login, &source.credentials) {
            (Login::Nobody, Some(id)) => failed.with_hint(format!("it was tried without the credential '{id}'")),
            (Login::Key { .. }, _) => failed.with_hint("ssh believes hosts that your ~/.ssh/known_hosts has"),
            _ => failed,
        });
    }
    Ok(last)
}

async fn move_files(session: &Session, user: &wire::init::User, job: &Job, dir: String) -> Result<(), Trouble> {
    let (mut reader, writer) = tokio::io::duplex(256 * 1024);
    let place = TarPlace { dir, user: Some(job.user.clone()), owner: None, limits: TarLimits::default() };
    let (got, put) = tokio::join!(
        session.get_tar(Some(user.clone()), files("**"), TarLimits::default(), writer),
        job.session.put_tar(place, &mut reader)
    );
    got?;
    put?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_repositories_reach_git() {
        let source = |url: &str, reference: Option<&str>| GitSource {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
            credentials: None,
        };
        let check = |source: &GitSource| check(source, &Login::Nobody);
        assert!(check(&source("https://example.org/a.git", Some("main"))).is_ok());
        for url in
            ["ext::sh -c id", "file:///etc", "/etc", "-oProxyCommand=x", "fd::3", "https://a b", "ssh://x/y", "git@x:y"]
        {
            assert!(check(&source(url, None)).is_err(), "{url}");
        }
        assert!(check(&source("https://example.org/a", Some("--upload-pack=x"))).is_err());
        let key = Login::Key {
            username: String::new(),
            key: String::new(),
            passphrase: String::new(),
            known_hosts: String::new(),
        };
        for (url, is_one) in
            [("ssh://x/y", true), ("git@x:y", true), ("ext::sh -c id", false), ("/etc", false), ("-x@y:z", false)]
        {
            assert_eq!(super::check(&source(url, None), &key).is_ok(), is_one, "{url}");
        }
    }
}
