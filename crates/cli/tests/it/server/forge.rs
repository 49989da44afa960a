//! A forge that tells of pushes and pull requests, is asked whether that is so, and is told how runs of its commits go.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::place::{Place, Process, wait_until};
use super::{SHOWS, served};
use crate::kernels;
use crate::project::Project;

pub const SECRET: &str = "a secret of the forge";

pub fn has_tools() -> bool {
    let has = ["openssl", "curl"].iter().all(|program| Command::new(program).arg("--version").output().is_ok());
    if !has {
        println!("skipped: openssl or curl is not installed");
    }
    has
}

/// Has a webhook come, signed with that secret, and the answer: its status and what it says.
pub fn hook(place: &Place, event: &str, delivery: &str, secret: &str, body: &Value) -> (u16, Value) {
    let file = place.folder.path().join("hook.json");
    std::fs::write(&file, body.to_string()).unwrap();
    let mut sign = Command::new("openssl");
    let signed = sign.args(["dgst", "-sha256", "-hmac", secret]).arg(&file).output().unwrap();
    let signature = String::from_utf8_lossy(&signed.stdout).trim().rsplit(' ').next().unwrap().to_owned();
    let mut command = Command::new("curl");
    command.args(["-s", "-w", "\n%{http_code}", "-H", &format!("X-GitHub-Event: {event}")]);
    command.args([
        "-H",
        &format!("X-GitHub-Delivery: {delivery}"),
        "-H",
        &format!("X-Hub-Signature-256: sha256={signature}"),
    ]);
    command.arg("--data-binary").arg(format!("@{}", file.display())).arg(format!("{}/hooks/app", place.url()));
    let said = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    let (answer, status) = said.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(answer).unwrap_or_default())
}

/// A forge of one repository, as far as it is asked: its branches are those of the repository, its pull requests what a test says.
pub struct Forge {
    _process: Process,
    pub api: String,
    folder: PathBuf,
}

impl Forge {
    pub fn start(folder: &Path, repository: &Path) -> Forge {
        const PROGRAM: &str = "import http.server, json, os, subprocess, sys
from urllib.parse import unquote
port, folder, repository = int(sys.argv[1]), sys.argv[2], sys.argv[3]
class Forge(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length'])).decode()
        print(self.path, self.headers['authorization'], body, file=open(folder + '/told', 'a'), flush=True)
        self.answer(201, {})
    def do_GET(self):
        what = self.path.split('?')[0].split('/')[4:]
        if what[0] == 'branches':
            found = subprocess.run(['git', '-C', repository, 'rev-parse', 'refs/heads/' + unquote(what[1])], capture_output=True, text=True)
            if found.returncode == 0:
                return self.answer(200, {'name': unquote(what[1]), 'commit': {'id': found.stdout.strip()}, 'protected': False})
        if what[0] == 'pulls':
            all = json.load(open(folder + '/pulls'))
            if len(what) == 1: return self.answer(200, list(all.values()))
            if what[1] in all: return self.answer(200, all[what[1]])
        self.answer(404, {})
http.server.ThreadingHTTPServer(('127.0.0.1', port), Forge).serve_forever()";
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(folder.join("told"), "").unwrap();
        std::fs::write(folder.join("pulls"), "{}").unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM, &port.to_string()]).arg(folder).arg(repository);
        let process = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_until("the forge listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Forge { _process: process, api: format!("http://127.0.0.1:{port}"), folder: folder.to_owned() }
    }

    /// What it was told, a line each.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.folder.join("told")).unwrap()
    }

    /// A pull request of it, as webhooks have it.
    fn open(&self, number: u64, request: &Value) {
        let path = self.folder.join("pulls");
        let mut all: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut of = request.clone();
        of["state"] = "open".into();
        all[number.to_string()] = of;
        // Whole or not at all: it may be asked for meanwhile.
        let new = self.folder.join("pulls.new");
        std::fs::write(&new, all.to_string()).unwrap();
        std::fs::rename(new, path).unwrap();
    }
}

/// A push, and a pull request of a stranger: forge, server, agent, sandbox.
#[test]
fn a_forge_tells_of_pushes_and_pull_requests() {
    // An agent knows from its start whether a stranger's job has a machine and what it has in it.
    let has_machines = kernels::guest() && kernels::engine();
    let Some(place) = Place::with_agent() else { return };
    if !has_tools() {
        return;
    }
    let (project, _web, url) = served(SHOWS);
    let file = place.folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let secret_file = file.to_str().unwrap();
    let forge = Forge::start(place.folder.path(), project.path());
    let put = place.ask(
        &[
            &["projects", "put", "app", "--git", &url, "--hook", "github", "--hook-secret-file", secret_file][..],
            &["--report", "gitea", "--report-repository", "org/app", "--report-token-file", secret_file],
            &["--report-api", &forge.api],
        ]
        .concat(),
    );
    assert_eq!(put.code, 0, "{put:?}");
    let listed = place.ask(&["projects", "ls", "--output", "json"]).stdout;
    assert!(listed.contains("github") && !listed.contains(SECRET), "{listed}");

    let commit = |branch: &str| project.git(&["rev-parse", branch]);
    let push = json!({ "ref": "refs/heads/side", "after": commit("side"), "sender": { "login": "ada" } });
    let (status, said) = hook(&place, "push", "one", SECRET, &push);
    assert_eq!((status, &said["trust"]), (202, &"member".into()), "{said}");
    let run = said["run"].as_u64().unwrap();
    assert_eq!(place.wait_for_end(run)["outcome"], "SUCCESS", "{}", place.logs());
    let log = place.ask(&["logs", &run.to_string()]).stdout;
    assert!(log.contains("\nof side\n") && log.contains("\non side\n"), "{log}");
    let to = format!("/repos/org/app/statuses/{} token {SECRET} ", commit("side"));
    let heard = |line: &str| line.starts_with(&to) && line.contains("\"success\"");
    wait_until("the forge has heard of it", || forge.told().lines().any(heard));
    // The same once more is the same run; who does not know the secret is nobody.
    assert_eq!(hook(&place, "push", "one", SECRET, &push).1["run"], run);
    assert_eq!(hook(&place, "push", "two", "another secret", &push).0, 401);
    assert_eq!(hook(&place, "issues", "three", SECRET, &push), (200, json!({ "ignored": "issues" })));
    assert_eq!(hook(&place, "push", "four", SECRET, &json!({ "ref": 7 })).0, 400);

    let request = json!({ "action": "synchronize", "number": 7, "pull_request": { "number": 7, "title": "mine",
        "user": { "login": "eve" }, "head": { "sha": commit("side"), "ref": "patch", "repo": { "id": 2 } },
        "base": { "ref": "main", "repo": { "id": 1 } } } });
    forge.open(7, &request["pull_request"]);
    let (status, said) = hook(&place, "pull_request", "five", SECRET, &request);
    assert_eq!((status, &said["trust"]), (202, &"stranger".into()), "{said}");
    let run = said["run"].as_u64().unwrap();
    // A kernel of its own; where there is none it waits for one and says so: never less.
    if !has_machines {
        wait_until("it is told why a stranger's run waits", || place.ask(&["queue"]).stdout.contains("microvm"));
        return;
    }
    let ended = place.wait_for_end(run);
    let log = place.ask(&["logs", &run.to_string()]).stdout;
    assert!(log.contains("\non PR-7\n") && ended["outcome"] == "SUCCESS", "{ended}\n{log}");
    assert_eq!(ended["causes"][0]["description"], "Pull request 7 of eve");

    // Where somebody is to look first, it waits for that.
    let put = place.ask(
        &[
            &["projects", "put", "app", "--git", &url, "--hook", "github", "--hook-secret-file", secret_file][..],
            &["--approve-strangers"],
        ]
        .concat(),
    );
    assert_eq!(put.code, 0, "{put:?}");
    let (_, said) = hook(&place, "pull_request", "six", SECRET, &request);
    let run = said["run"].as_u64().unwrap().to_string();
    let queue = place.ask(&["queue"]).stdout;
    assert!(queue.contains("a stranger's code waits for somebody to approve it"), "{queue}");
    let (_, of_member) = hook(&place, "push", "seven", SECRET, &push);
    place.wait_for_end(of_member["run"].as_u64().unwrap());
    assert_eq!(place.run(run.parse().unwrap())["status"], "queued", "others are not held up, and it is not let go");
    // Shown, and approved as it was shown.
    let shown = place.ask(&["approve", &run, "--output", "json"]);
    let plan: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((shown.code, &plan["commit"]), (2, &commit("side").into()), "{shown:?}");
    assert_eq!((&plan["places"], &plan["rung"]), (&json!(["any agent"]), &"microvm".into()), "{plan}");
    let refused = place.ask(&["approve", &run, "--plan", &"0".repeat(64)]);
    assert!(refused.code != 0 && refused.stderr.contains("look at it again"), "{refused:?}");
    assert_eq!(place.ask(&["approve", &run, "--plan", plan["plan"].as_str().unwrap()]).code, 0);
    place.wait_for_end(run.parse().unwrap());
    assert_ne!(place.ask(&["approve", &run]).code, 0, "once");
}

/// Pull requests as merged with their target, and again when that has moved: a real repository, server, agent, sandboxes.
#[test]
fn pull_requests_are_run_as_merged_with_their_target() {
    let Some(place) = Place::with_agent() else { return };
    if !has_tools() {
        return;
    }
    let definition = "node { checkout scm; sh 'cat target topic; git log --format=%P -n 1 | wc -w' }";
    let project = Project::new(definition);
    project.write("target", "target 1\n").write("topic", "none\n").commit_folder(".", "main");
    let change = |branch: &str, file: &str, text: &str| {
        project.git(&["checkout", "-q", branch]);
        project.write(file, text);
        project.git(&["commit", "-q", "-am", text]);
        project.git(&["rev-parse", branch])
    };
    let open = |number: u64, branch: &str, commit: &str| {
        project.git(&["update-ref", &format!("refs/pull/{number}/head"), commit]);
        json!({ "action": "opened", "number": number, "pull_request": { "number": number, "title": "t", "user": { "login": "ada" },
            "head": { "sha": commit, "ref": branch, "repo": { "id": 1 } }, "base": { "ref": "main", "sha": commit, "repo": { "id": 1 } } } })
    };
    project.git(&["branch", "topic"]);
    project.git(&["branch", "conflict"]);
    let of_topic = change("topic", "topic", "the topic\n");
    let of_conflict = change("conflict", "target", "something else\n");
    change("main", "target", "target 2\n");
    let (_web, url) = super::serve(&project);
    let forge = Forge::start(place.folder.path(), project.path());
    let file = place.folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let secret = file.to_str().unwrap();
    let put = place.ask(
        &[
            &["projects", "put", "app", "--git", &url, "--hook", "github", "--hook-secret-file", secret, "--merge"][..],
            &[
                "--report",
                "gitea",
                "--report-repository",
                "org/app",
                "--report-token-file",
                secret,
                "--report-api",
                &forge.api,
            ],
        ]
        .concat(),
    );
    assert_eq!(put.code, 0, "{put:?}");

    let [topic, conflict] = [open(1, "topic", &of_topic), open(2, "conflict", &of_conflict)];
    forge.open(1, &topic["pull_request"]);
    let (status, said) = hook(&place, "pull_request", "one", SECRET, &topic);
    assert_eq!(status, 202, "{said}");
    let run = said["run"].as_u64().unwrap();
    assert_eq!(place.wait_for_end(run)["outcome"], "SUCCESS", "{}", place.logs());
    let log = place.ask(&["logs", &run.to_string()]).stdout;
    assert!(log.contains("\ntarget 2\nthe topic\n"), "both sides: {log}");
    forge.open(2, &conflict["pull_request"]);
    let (_, said) = hook(&place, "pull_request", "two", SECRET, &conflict);
    let ended = place.wait_for_end(said["run"].as_u64().unwrap());
    let why = ended["message"].as_str().unwrap_or_default().to_owned();
    assert!(ended["outcome"] == "FAILURE" && why.contains("there are conflicts"), "{ended}");

    // The target moves: both are run again, and the status goes to the pull request's own commit.
    let push = |id: &str| {
        let body = json!({ "ref": "refs/heads/main", "after": project.git(&["rev-parse", "main"]), "sender": { "login": "ada" } });
        assert_eq!(hook(&place, "push", id, SECRET, &body).0, 202);
    };
    let again = |count: usize| {
        let is_it = |run: &Value| run["causes"][0]["description"].as_str().unwrap().ends_with("main has moved");
        let mut found = Vec::new();
        wait_until("pull requests are run again, and end", || {
            let listed = place.ask(&["runs", "--limit", "100", "--output", "json"]).stdout;
            found = listed.lines().map(|line| serde_json::from_str(line).unwrap()).filter(is_it).collect();
            found.len() == count && found.iter().all(|run: &Value| run["status"] == "done")
        });
        found
    };
    change("main", "target", "target 3\n");
    push("three");
    let runs = again(2);
    let good = runs.iter().find(|run| run["outcome"] == "SUCCESS").unwrap_or_else(|| panic!("{runs:?}"));
    let log = place.ask(&["logs", &good["id"].to_string()]).stdout;
    assert!(log.contains("\ntarget 3\nthe topic\n"), "{log}");
    let to = format!("/repos/org/app/statuses/{of_topic} ");
    let heard = |line: &str| line.starts_with(&to) && line.contains("\"success\"");
    wait_until("the forge has heard of both", || forge.told().lines().filter(|line| heard(line)).count() == 2);
    // It moves to the same files: what comes of the merge was run before.
    project.git(&["checkout", "-q", "main"]);
    project.git(&["commit", "-q", "--allow-empty", "-m", "nothing"]);
    push("four");
    let runs = again(4);
    let reused = |run: &&Value| run["message"].as_str().is_some_and(|said| said.contains("has run the same tree"));
    assert_eq!(runs.iter().filter(reused).count(), 1, "{runs:?}");
}
