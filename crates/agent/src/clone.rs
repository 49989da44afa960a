//! `git url: …`: a repository from elsewhere. git runs in a sandbox of its own, with the host's git and a network, and never
//! on the host: a repository is a stranger's input. Its files then move into the job's workspace as a tar stream. A credential is in
//! that sandbox only, and told to nobody but the host of the address. The project itself comes there too where git has more to do with
//! it than to have its files: repositories within it, a part of its files, a branch.

use model::event::{Event, LogSource};
use model::git::{Clearing, GitSource};
use model::ids::StepId;
use model::request::{FileSet, FoundFile, Reply};
use model::rung::Rung;
use queue::Need;
use sandbox::SandboxSpec;
use sandbox::session::{Output, Session, SessionError, TarPlace};
use tokio::sync::mpsc;
use wire::init::{ExecSpec, TarLimits};

use crate::address::{self, Login};
use crate::checkout::{self, Names, PASSED_OVER};
use crate::failure::Trouble;
use crate::host::Host;
use crate::job::Job;
use crate::lines::Lines;
use crate::scm::Tree;
use crate::stash::passed_over;

const FOLDER: &str = "/workspace/source";
/// Clones (where there is an address: else the repository lies there) and prints the facts; every value of the author arrives as an
/// argument, none as text of the script. Of several versions the first that there is counts; the last is taken for that unseen.
const SCRIPT: &str = r#"set -e
url=$1 branch=$2 submodules=$3 login=$4 versions=$5; shift 5
[ -z "$url" ] || git clone --quiet --no-checkout -- "$url" .
[ -n "$url" ] || git update-index -q --refresh || true
has() { git rev-parse --quiet --verify "$1^{commit}" >/dev/null; }
version=
while [ "$versions" -gt 0 ]; do
  [ -n "$version" ] || { [ "$versions" -gt 1 ] && ! has "origin/$1" && ! has "$1"; } || version=$1
  versions=$((versions - 1)); shift
done
[ $# = 0 ] || printf '%s\n' "$@" | git sparse-checkout set --no-cone --stdin
if [ -n "$version" ]; then
  git checkout --quiet --detach "origin/$version" 2>/dev/null || git checkout --quiet --detach "$version"
elif [ -n "$url" ]; then
  git checkout --quiet --detach HEAD
fi
if [ "$branch" = '**' ]; then
  if [ -z "$version" ]; then branch=$(git rev-parse --abbrev-ref origin/HEAD); branch=${branch#origin/}
  elif git show-ref --verify --quiet "refs/remotes/origin/$version"; then branch=$version
  else branch=; fi
fi
[ -z "$branch" ] || git checkout --quiet -B "$branch"
if [ -n "$submodules" ]; then
  [ -n "$login" ] || unset GIT_CONFIG_COUNT GIT_SSH_COMMAND SSH_ASKPASS COFFERDAM_USERNAME COFFERDAM_PASSWORD COFFERDAM_PASSPHRASE COFFERDAM_KEY
  git submodule --quiet update --init $submodules
fi
echo "$(git rev-parse HEAD) $version""#;

/// Clones a repository into `dir` of the job.
pub async fn clone(
    host: &Host,
    events: &mpsc::Sender<Event>,
    job: &Job,
    step: StepId,
    dir: String,
    source: &GitSource,
) -> Result<Reply, Trouble> {
    let moved = async |session: &Session, user: &wire::init::User| {
        let notes = move_files((session, user), job, dir, source.clearing).await?;
        say(events, None, LogSource::System, notes).await;
        Ok(())
    };
    let (At { commit, version }, ()) = cloned(host, events, Some((step, job)), (source, None), moved).await?;
    let branch = if version.is_empty() { "master".to_owned() } else { version };
    // A whole name is of no remote, and no branch's.
    let is_whole = branch.starts_with("refs/");
    let local = source.local_branch.clone().filter(|name| name != SAME).or((!is_whole).then(|| branch.clone()));
    let of_remote = if is_whole { branch } else { format!("origin/{branch}") };
    let vars = [
        ("GIT_COMMIT", Some(commit)),
        ("GIT_BRANCH", Some(of_remote)),
        ("GIT_LOCAL_BRANCH", local),
        ("GIT_URL", Some(source.url.clone())),
    ];
    Ok(Reply::CheckedOut(vars.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()))
}

/// Puts files of the project itself into `dir` of the job, after git has done with them what `source` says.
pub async fn arrange(
    host: &Host,
    events: &mpsc::Sender<Event>,
    job: &Job,
    step: StepId,
    dir: String,
    (source, tree): (&GitSource, Tree),
) -> Result<(), Trouble> {
    let asks = Some((step, job));
    let moved = async |session: &Session, user: &wire::init::User| {
        let notes = move_files((session, user), job, dir, source.clearing).await?;
        say(events, None, LogSource::System, notes).await;
        Ok(())
    };
    cloned(host, events, asks, (source, Some(tree)), moved).await.map(|_| ())
}

/// Where a clone is: the commit, and the branch, tag or commit that was asked for and found (`""`: none was asked for).
struct At {
    commit: String,
    version: String,
}

async fn say(events: &mpsc::Sender<Event>, step: Option<StepId>, source: LogSource, said: Vec<String>) {
    for text in said {
        let _ = events.send(Event::Log { step, stage: None, source, text }).await;
    }
}

/// The local branch that has the name of the remote one.
pub const SAME: &str = "**";

/// Clones a repository and writes some of its files (Ant's patterns) into a file, as a tar stream; its commit, and the file.
pub async fn into_tar(
    host: &Host,
    events: &mpsc::Sender<Event>,
    source: &GitSource,
    (includes, limits): (&str, TarLimits),
    file: std::fs::File,
) -> Result<(String, std::fs::File), Trouble> {
    let out = file.try_clone().map_err(|error| Trouble::infrastructure(format!("cannot keep files: {error}")))?;
    let (At { commit, .. }, ()) = cloned(host, events, None, (source, None), async |session, user| {
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

/// Clones a repository in a sandbox of its own, or puts a tree there, and does something with what is there; where it is, and what
/// came of it.
async fn cloned<T>(
    host: &Host,
    events: &mpsc::Sender<Event>,
    asks: Option<(StepId, &Job)>,
    (source, tree): (&GitSource, Option<Tree>),
    then: impl AsyncFnOnce(&Session, &wire::init::User) -> Result<T, Trouble>,
) -> Result<(At, T), Trouble> {
    let (step, job) = (asks.map(|(step, _)| step), asks.map(|(_, job)| job));
    let login = match &tree {
        Some(_) if !source.submodules.is_some_and(|submodules| submodules.same_login) => Login::Nobody,
        _ => Login::of(host, events, step, job, source).await?,
    };
    check(source, tree.is_some(), &login)?;
    let goes_out = tree.is_none() || source.submodules.is_some();
    if let Some(reason) = host.way_out.missing().filter(|_| goes_out) {
        let message = format!("git: cannot clone {}: sandboxes have no network: {reason}", source.url);
        return Err(Trouble::infrastructure(message).with_hint("`checkout scm` takes the project itself, without one"));
    }
    let mut spec = SandboxSpec::host_tools();
    spec.limits = host.options.limits;
    spec.network = host.network(goes_out);
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
        let has_tree = tree.is_some();
        if let Some(tree) = tree {
            let skipped = put_tree(&session, &user, FOLDER, tree).await?;
            say(events, None, LogSource::System, passed_over(PASSED_OVER, &skipped)).await;
        }
        let at = run_git(&session, &user, step, (source, has_tree), &login, events).await?;
        Ok((at, then(&session, &user).await?))
    };
    let result: Result<(At, T), Trouble> = done.await;
    driver.destroy(id).await?;
    result
}

fn files(includes: &str) -> FileSet {
    FileSet { dir: FOLDER.to_owned(), includes: includes.to_owned(), case_sensitive: true, ..FileSet::default() }
}

/// Unpacks a tree; what was passed over.
pub async fn put_tree(
    session: &Session,
    user: &wire::init::User,
    dir: &str,
    tree: Tree,
) -> Result<wire::init::Skipped, Trouble> {
    let user = Some(user.clone());
    let place = TarPlace { dir: dir.to_owned(), user, owner: None, limits: TarLimits::default() };
    let put = session.put_tar(place.clone(), tree.files.tar).await;
    // What the maker of the stream says explains a stream that ended early.
    tree.files.finished.await?;
    let mut skipped = put?.skipped;
    if let Some(tar) = tree.repository {
        let more = session.put_tar(place, tokio::fs::File::from_std(tar)).await?.skipped;
        skipped.count += more.count;
        skipped.names.extend(more.names);
    }
    Ok(skipped)
}

/// Refuses what is no address of a repository (of one that is not there yet), and no name of a branch, before git sees it.
fn check(source: &GitSource, is_there: bool, login: &Login) -> Result<(), Trouble> {
    let url = &source.url;
    let is_known = is_there
        || match address::scheme(url) {
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
    match source.references().chain(&source.local_branch).find(|name| bad(name)) {
        Some(name) => Err(Trouble::workload(format!("git: `{name}` is not a branch, tag or commit"))),
        None => Ok(()),
    }
}

/// What git has of us besides a login.
fn environment(with_ssh: bool) -> Vec<(String, String)> {
    let env = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // Else git asks what tells ssh the passphrase of a key, for whatever host `.gitmodules` names.
        ("GIT_ASKPASS", ""),
        ("GIT_ALLOW_PROTOCOL", if with_ssh { "https:http:git:ssh" } else { "https:http:git" }),
        ("LC_ALL", "C"),
    ];
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

async fn run_git(
    session: &Session,
    user: &wire::init::User,
    step: Option<StepId>,
    (source, is_there): (&GitSource, bool),
    login: &Login,
    events: &mpsc::Sender<Event>,
) -> Result<At, Trouble> {
    let mut env = environment(matches!(login, Login::Key { .. }));
    env.extend(login.prepare(session, user, &format!("{FOLDER}@tmp"), &source.url).await?);
    // What is there is at its version.
    let url = Some(&source.url).filter(|_| !is_there);
    let versions: Vec<_> = source.references().filter(|_| !is_there).cloned().collect();
    let submodules = source.submodules.map(|how| match (how.recursive, how.latest) {
        (false, false) => "--checkout",
        (false, true) => "--remote",
        (true, false) => "--recursive",
        (true, true) => "--recursive --remote",
    });
    let own_login = source.submodules.filter(|submodules| submodules.same_login).map(|_| "same");
    let words = [url, source.local_branch.as_ref()].map(|word| word.cloned().unwrap_or_default());
    let argv = ["sh", "-c", SCRIPT, "git"].map(str::to_owned).into_iter().chain(words);
    let argv = argv.chain([submodules, own_login].map(|word| word.unwrap_or_default().to_owned()));
    let argv = argv.chain([versions.len().to_string()]).chain(versions);
    let spec = ExecSpec {
        argv: argv.chain(source.sparse.iter().cloned()).collect(),
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
    say(events, step, LogSource::Stderr, said).await;
    if exit.status.code() != 0 {
        let failed = Trouble::workload(match is_there {
            true => "git: the project could not be checked out as `checkout` says".to_owned(),
            false => format!("git: {} could not be cloned", source.url),
        });
        return Err(match (login, &source.credentials) {
            (Login::Nobody, Some(id)) => failed.with_hint(format!("it was tried without the credential '{id}'")),
            (Login::Key { .. }, _) => failed.with_hint("ssh believes hosts that your ~/.ssh/known_hosts has"),
            _ => failed,
        });
    }
    let (commit, version) = last.split_once(' ').unwrap_or((&last, ""));
    Ok(At { commit: commit.to_owned(), version: version.to_owned() })
}

/// Moves what is there into a folder of a job; what is worth saying about it.
async fn move_files(
    (session, user): (&Session, &wire::init::User),
    job: &Job,
    dir: String,
    clearing: Clearing,
) -> Result<Vec<String>, Trouble> {
    let list = async |includes: &str, excludes: &str| {
        let files = FileSet { excludes: excludes.to_owned(), ..files(includes) };
        session.list(Some(user.clone()), files, (true, false), TarLimits::default().entries).await
    };
    // Not the objects, of which there may be many.
    let repository = list(".git/**", ".git/**/objects/*/*").await?;
    // Too many to be told come nevertheless.
    let files_there = list("**", ".git/**").await.ok();
    let names = files_there.as_ref().map(|found| Names::of(found));
    let mut notes = checkout::prepare(job, &dir, names, clearing).await?;
    let (mut reader, writer) = tokio::io::duplex(256 * 1024);
    let place = TarPlace { dir, user: Some(job.user.clone()), owner: None, limits: TarLimits::default() };
    let (got, put) = tokio::join!(
        session.get_tar(Some(user.clone()), files("**"), TarLimits::default(), writer),
        job.session.put_tar(place.clone(), &mut reader)
    );
    notes.extend(passed_over(PASSED_OVER, &got?.skipped));
    notes.extend(passed_over(PASSED_OVER, &put?.skipped));
    let folders = empty_folders(&[repository, files_there.unwrap_or_default()].concat())?;
    let put = job.session.put_tar(place, &*folders).await?;
    notes.extend(passed_over(PASSED_OVER, &put.skipped));
    Ok(notes)
}

/// Empty folders that come along. A repository has a few of its own, and one for each repository within it that does not come.
const MOST_EMPTY_FOLDERS: usize = 50_000;

/// The empty ones of what is listed as a tar stream: one of files has none. Without `refs` git knows no repository.
fn empty_folders(found: &[FoundFile]) -> Result<Vec<u8>, Trouble> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in checkout::empty_folders(found).take(MOST_EMPTY_FOLDERS) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        let added = tar.append_data(&mut header, folder, std::io::empty());
        added.map_err(|error| Trouble::workload(format!("git: {folder}: {error}")))?;
    }
    tar.into_inner().map_err(|error| Trouble::workload(format!("git: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that wants a password is told none: what is there for ssh is not asked.
    #[test]
    fn the_passphrase_of_a_key_is_for_no_other_host() {
        use std::io::{BufRead as _, Write as _};
        if std::process::Command::new("git").arg("--version").output().is_err() {
            println!("skipped: git is not installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (askpass, asked) = (folder.path().join("askpass"), folder.path().join("asked"));
        std::fs::write(&askpass, format!("#!/bin/sh\ntouch {}\necho open-sesame\n", asked.display())).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&askpass, mode).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x.git", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let answer =
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let ask = |env: Vec<(String, String)>| {
            let mut git = std::process::Command::new("git");
            git.args(["ls-remote", &url]).env_clear().envs(env).env("SSH_ASKPASS", &askpass).output().unwrap()
        };
        let said = ask(environment(true));
        server.join().unwrap();
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && words.contains("could not read Username"), "{words}");
        assert!(!asked.exists(), "{words}");
    }

    #[test]
    fn only_addresses_of_repositories_reach_git() {
        let source = |url: &str, reference: Option<&str>| GitSource {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
            ..GitSource::default()
        };
        let check = |source: &GitSource| check(source, false, &Login::Nobody);
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
            assert_eq!(super::check(&source(url, None), false, &key).is_ok(), is_one, "{url}");
        }
    }
}
