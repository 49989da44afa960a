//! From a webhook that is accepted to the first line of the step that follows from it: a forge's words, the queue, an agent, a fetch over
//! HTTP, an engine, a sandbox, and the live log. One at a time, and a herd of fifty.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::measure::{Table, milliseconds};
use super::peers;
use super::server::{Process, answers, free_port, start, until};

const COFFERDAM: &str = env!("CARGO_BIN_EXE_cofferdam");
const SECRET: &str = "a secret of the forge";
const IDLE: usize = 100;
const HERD: usize = 50;
/// How long a line may be waited for.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a webhook, from its 202 to the first line of the step");
    if !peers::is_root() {
        table.notes.push("skipped: needs root".to_owned());
    } else {
        for (name, is_asked) in [("hooks", false), ("hooks-asked", true)] {
            if let Err(error) = fill(&mut table, &scratch.join(name), is_asked) {
                table.notes.push(format!("skipped: {error}"));
            }
        }
    }
    table
}

/// A server that a project's forge speaks to, and an agent of it that has four runs at once.
pub struct Place {
    port: u16,
    token: String,
    pub server: Process,
    pub agent: Process,
}

/// With a forge, that is asked whether it is so and told how it goes, it is counted from the webhook on; without one from its acceptance.
fn fill(table: &mut Table, scratch: &Path, is_asked: bool) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let root = peers::busybox_root(scratch)?;
    let home = scratch.join("home");
    let archive = super::pulls::docker_archive(scratch, &root, peers::BUSYBOX)?;
    peers::run(Command::new(COFFERDAM).arg("--home").arg(&home).args(["image", "import"]).arg(archive))?;
    let place = Place::start(scratch, &["--home", &home.to_string_lossy()])?;
    let repository = scratch.join("repository");
    let commits = commits(&repository)?;
    let forge = Forge::start(&commits)?;
    let (_web, web) = serve(&repository)?;
    let (secret, token) = (scratch.join("secret"), scratch.join("token"));
    std::fs::write(&secret, SECRET).map_err(text)?;
    std::fs::write(&token, "a token of the forge").map_err(text)?;
    let (secret, token) = (secret.to_string_lossy(), token.to_string_lossy());
    let mut words = vec!["projects", "put", "app", "--git", &web, "--hook", "github", "--hook-secret-file", &secret];
    let forges = ["--report", "github", "--report-repository", "org/app", "--report-token-file", &token];
    if is_asked {
        words.extend(forges);
        words.extend(["--report-api", &forge.api]);
    }
    place.said(&words)?;
    let of = if is_asked { "from the webhook on, its forge asked and told" } else { "from its acceptance on" };
    let count = |times: Times| if is_asked { times.from_sent } else { times.from_accepted };

    let mut idle = Vec::new();
    for round in 0..=IDLE {
        // What was run is no news, so each is another push of another commit.
        let commit = pushed(&repository, &commits[0], round)?;
        forge.moved(&commit);
        let sender = json!({ "login": "ada" });
        let push = json!({ "ref": "refs/heads/main", "after": commit, "sender": sender, "number": round });
        let (at, run) = place.hook("push", &format!("idle-{round}"), &push)?;
        place.first_line(run)?;
        // The first fetches what the others have.
        if round > 0 {
            idle.push(milliseconds(count(at.until_now())));
        }
        until("the run has ended", || {
            place.get(&format!("/api/v1/runs/{run}")).is_ok_and(|run| run.contains("\"done\""))
        })?;
    }
    table.notes.push(format!("one at a time, {of}: {:.0} ms at p99", p99(&idle)));
    table.push(&format!("one at a time, {of}"), "ms", idle);
    let herd: Vec<_> = std::thread::scope(|scope| {
        let place = &place;
        let each = commits.iter().skip(1).enumerate().map(|(index, commit)| {
            scope.spawn(move || {
                let (at, run) = place.hook("pull_request", &format!("herd-{index}"), &opened(index + 1, commit))?;
                place.first_line(run)?;
                Ok(at.until_now())
            })
        });
        let all: Vec<_> = each.collect();
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))).collect()
    });
    let herd = herd.into_iter().collect::<Result<Vec<_>, _>>()?;
    let herd: Vec<_> = herd.into_iter().map(|times| milliseconds(count(times))).collect();
    table.notes.push(format!("the herd, {of}: the last after {:.0} ms", p99(&herd)));
    table.push(&format!("a herd of {HERD} pull requests, four at a time, {of}"), "ms", herd);
    Ok(())
}

/// Of fewer than a hundred the largest.
fn p99(samples: &[f64]) -> f64 {
    let mut all = samples.to_vec();
    all.sort_by(f64::total_cmp);
    all.get((all.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// When a webhook was sent, and when it was accepted.
struct Moments {
    sent: Instant,
    accepted: Instant,
}

struct Times {
    from_sent: Duration,
    from_accepted: Duration,
}

impl Moments {
    fn until_now(&self) -> Times {
        Times { from_sent: self.sent.elapsed(), from_accepted: self.accepted.elapsed() }
    }
}

/// What a forge answers: where its branch is, its pull requests, and that it has heard.
struct Forge {
    api: String,
    main: Arc<Mutex<String>>,
}

impl Forge {
    /// It ends with the program.
    fn start(commits: &[String]) -> Result<Forge, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let api = format!("http://{}", listener.local_addr().map_err(|error| error.to_string())?);
        let (main, commits) = (Arc::new(Mutex::new(commits[0].clone())), commits.to_vec());
        let known = Arc::clone(&main);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, commits) = (Arc::clone(&known), commits.clone());
                // Who asks and goes has no answer.
                std::thread::spawn(move || answer(stream, &known, &commits));
            }
        });
        Ok(Forge { api, main })
    }

    fn moved(&self, commit: &str) {
        commit.clone_into(&mut self.main.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn answer(stream: TcpStream, main: &Mutex<String>, commits: &[String]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let number = path.rsplit('/').next().and_then(|last| last.parse::<usize>().ok());
    let body = match (path.contains("/branches/main"), number.and_then(|number| Some((number, commits.get(number)?)))) {
        (true, _) => {
            let commit = main.lock().unwrap_or_else(PoisonError::into_inner).clone();
            json!({ "name": "main", "commit": { "sha": commit }, "protected": false })
        }
        (false, Some((number, commit))) if path.contains("/pulls/") => opened(number, commit)["pull_request"].take(),
        _ => json!({}),
    };
    let (status, body) = (if first.starts_with("POST") { "201 Created" } else { "200 OK" }, body.to_string());
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

impl Place {
    /// The agent is told more of itself.
    pub fn start(scratch: &Path, more: &[&str]) -> Result<Place, String> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let server = start(&["server", "--listen", &format!("127.0.0.1:{port}")], &scratch.join("data"))?;
        until("the server answers", || answers(port))?;
        let token = std::fs::read_to_string(scratch.join("data/admin-token")).map_err(|error| error.to_string())?;
        let token = token.trim().to_owned();
        let enrol = said((&url, &token), &["agents", "token"])?;
        let words = ["agent", "--folders", "--network", "none", "--runs", "4", "--server", &url, "--token", &enrol];
        let agent = start(&[&words, more].concat(), &scratch.join("agent"))?;
        let is_there = || said((&url, &token), &["agents", "ls"]).is_ok_and(|said| said.contains("connected"));
        until("an agent is there", is_there)?;
        Ok(Place { port, token, server, agent })
    }

    pub fn said(&self, words: &[&str]) -> Result<String, String> {
        said((&format!("http://127.0.0.1:{}", self.port), &self.token), words)
    }

    /// Asks for a run of a project.
    pub fn run(&self, project: &str) -> Result<u64, String> {
        let answer = self.answer("POST", &format!("/api/v1/projects/{project}/runs"));
        let answer = answer.map_err(|error| error.to_string())?;
        let said = answer.split("\r\n\r\n").nth(1).and_then(|body| serde_json::from_str::<Value>(body).ok());
        said.and_then(|said| said["id"].as_u64()).ok_or_else(|| format!("no run: {answer:.300}"))
    }

    /// Its line is there.
    pub fn followed(&self, run: u64) -> Result<(), String> {
        self.first_line(run)
    }

    /// Every run has ended.
    pub fn idle(&self) -> Result<(), String> {
        until("all runs have ended", || {
            std::thread::sleep(Duration::from_millis(5));
            self.get("/metrics").is_ok_and(|said| {
                let active = said.lines().filter(|line| line.starts_with("cicd_pipeline_run_active"));
                active.into_iter().all(|line| line.ends_with("} 0"))
            })
        })
    }

    /// Says it. When that was, and the run that follows.
    fn hook(&self, event: &str, delivery: &str, body: &Value) -> Result<(Moments, u64), String> {
        let body = body.to_string();
        let head = format!(
            "POST /hooks/app HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-GitHub-Event: {event}\r\nX-GitHub-Delivery: {delivery}\r\n\
             X-Hub-Signature-256: sha256={}\r\nContent-Length: {}\r\n\r\n{body}",
            signature(body.as_bytes()),
            body.len()
        );
        let (sent, mut answer) = (Instant::now(), String::new());
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.write_all(head.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        asked.map_err(|error| error.to_string())?;
        let accepted = Instant::now();
        let said = answer.split("\r\n\r\n").nth(1).and_then(|body| serde_json::from_str::<Value>(body).ok());
        let run = said.and_then(|said| said["run"].as_u64());
        run.map(|run| (Moments { sent, accepted }, run)).ok_or_else(|| format!("no run follows: {answer:.300}"))
    }

    fn ask(&self, method: &str, path: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let token = &self.token;
        let head = "HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close";
        write!(stream, "{method} {path} {head}\r\nAuthorization: Bearer {token}\r\n\r\n")?;
        Ok(stream)
    }

    fn answer(&self, method: &str, path: &str) -> std::io::Result<String> {
        let mut answer = String::new();
        self.ask(method, path)?.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        self.answer("GET", path)
    }

    /// It is on its way to whoever follows the log.
    fn first_line(&self, run: u64) -> Result<(), String> {
        let stream = self.ask("GET", &format!("/api/v1/runs/{run}/log/live")).map_err(|error| error.to_string())?;
        for line in BufReader::new(stream).lines() {
            let line = line.map_err(|error| format!("run {run}: {error}"))?;
            if line.starts_with("data:") && line.contains("the first line") && !line.contains("echo") {
                return Ok(());
            }
        }
        Err(format!("run {run} has no such line"))
    }
}

fn said((url, token): (&str, &str), words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(COFFERDAM);
    command.args(words).env("COFFERDAM_SERVER", url).env("COFFERDAM_TOKEN", token).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Source: RFC 2104.
fn signature(body: &[u8]) -> String {
    let mut key = [0; 64];
    key[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
    let pad = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A pull request of somebody with a branch of their own in the repository.
fn opened(number: usize, commit: &str) -> Value {
    let of = |name: &str| json!({ "ref": name, "sha": commit, "repo": { "id": 1, "full_name": "org/app" }, "label": "org:x" });
    json!({ "action": "opened", "number": number, "pull_request": {
        "number": number, "state": "open", "head": of(&format!("topic-{number}")), "base": of("main"),
        "user": { "login": "ada" }, "title": "a change",
    }})
}

fn git(folder: &Path, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=ada", "-c", "user.email=ada@example.org"]).args(words).current_dir(folder);
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!("git {words:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// `main` is another commit, as young as those before: without a server of its own git fetches all that are behind one.
fn pushed(folder: &Path, base: &str, number: usize) -> Result<String, String> {
    let commit = git(folder, &["commit-tree", "-p", base, "-m", &format!("push {number}"), "main^{tree}"])?;
    git(folder, &["update-ref", "refs/heads/main", &commit])?;
    git(folder, &["update-server-info"])?;
    Ok(commit)
}

/// A repository with that many commits, each of its own; the first is `main`.
fn commits(folder: &Path) -> Result<Vec<String>, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let git = |words: &[&str]| git(folder, words);
    git(&["init", "-q", "-b", "main"])?;
    // What strangers' code is run in.
    let definition = format!(
        "pipeline {{ agent {{ docker '{}' }}\n options {{ skipDefaultCheckout() }}\n \
         stages {{ stage('One') {{ steps {{ sh 'echo the first \"line\"' }} }} }} }}",
        peers::BUSYBOX
    );
    std::fs::write(folder.join("Jenkinsfile"), definition).map_err(|error| error.to_string())?;
    git(&["add", "."])?;
    git(&["commit", "-q", "-m", "one"])?;
    let mut all = vec![git(&["rev-parse", "HEAD"])?];
    for number in 1..=HERD {
        let commit = git(&["commit-tree", "-p", "HEAD", "-m", &format!("change {number}"), "HEAD^{tree}"])?;
        git(&["update-ref", &format!("refs/pull/{number}/head"), &commit])?;
        all.push(commit);
    }
    git(&["update-server-info"])?;
    Ok(all)
}

fn serve(folder: &Path) -> Result<(Process, String), String> {
    let port = free_port()?;
    let mut command = Command::new("python3");
    command
        .args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string(), "--directory"])
        .arg(folder.join(".git"));
    let web = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let web = Process::of(web.map_err(|error| error.to_string())?);
    until("the repository is served", || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    Ok((web, format!("http://127.0.0.1:{port}/")))
}
