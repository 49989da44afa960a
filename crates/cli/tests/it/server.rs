//! A server and an agent as processes, spoken to as people do; lost and started again at any moment.

mod artifacts;
mod builds;
mod dead_lines;
mod dev;
mod disk;
mod forge;
pub mod git_server;
mod kills;
mod locks;
mod logs;
mod place;
mod pods;
mod pool;
#[path = "../../../store/tests/it/postgres.rs"]
#[expect(dead_code, reason = "the store's own tests do more with it")]
mod postgres;
mod private;
mod pushes;
mod reports;
mod s3;
mod seals;
mod shown;
mod stashes;
mod tls;
mod tools;
mod users;
mod validate;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use self::forge::hook;
use self::place::{PATIENCE, Place, Process, wait_until};
use crate::project::{Project, cofferdam, finish, sandboxes_work};

#[test]
fn a_server_runs_what_it_is_asked_for() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new(
        "pipeline { agent any\n parameters { string(name: 'WHO', defaultValue: 'nobody') }\n stages {\n \
         stage('A') { steps { sh 'cat file; echo for $WHO' } }\n \
         stage('B') { parallel { stage('x') { agent any\n steps { sh 'echo x > x'; stash name: 's', includes: 'x' } }\n \
         stage('y') { steps { sleep 1; echo \"number ${env.BUILD_NUMBER}\" } } } }\n \
         stage('C') { steps { unstash 's'; sh 'cat x'; archiveArtifacts 'x' } } } }",
    );
    project.write("file", "a file\n");
    place.put("folder/app", &project);
    let ran = place.ask(&["trigger", "folder/app", "-p", "WHO=me", "--follow"]);
    assert_eq!(ran.code, 0, "{ran:?}\n{}", place.logs());
    for line in ["a file", "for me", "number 1", "x"] {
        assert!(ran.stdout.lines().any(|said| said == line), "`{line}` is not in:\n{}", ran.stdout);
    }
    assert_eq!(place.ask(&["logs", "1"]).stdout, ran.stdout, "what was followed is what is kept");
    let run = place.run(1);
    assert_eq!(
        (&run["project"], &run["number"], &run["outcome"]),
        (&"folder/app".into(), &1.into(), &"SUCCESS".into())
    );
    // How a run ends is how the command ends.
    for (definition, code) in [
        ("node { sh 'exit 3' }", 1),
        ("node { unstable 'so so' }", 3),
        ("pipeline { stages { } }", 1),
        ("node { echo readFile('none') }", 1),
    ] {
        let project = Project::new(definition);
        place.put("other", &project);
        let ran = place.ask(&["trigger", "other", "--follow"]);
        assert_eq!(ran.code, code, "{definition}: {ran:?}\n{}", place.logs());
        assert!(!ran.stdout.is_empty(), "{definition}: nothing says why: {ran:?}");
    }
    let again = place.ask(&["rerun", "1", "--follow"]);
    assert!(again.code == 0 && again.stdout.lines().any(|said| said == "for me"), "its parameters: {again:?}");
    assert_eq!(place.ask(&["rerun", "999"]).code, 2);
    let listed = place.ask(&["runs", "--project", "other"]).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.lines().all(|line| line.ends_with("(protected)")), "{listed}");
    let why = place.ask(&["why", "--run", "1"]).stdout;
    assert!(why.contains("trust of its code: protected"), "{why}");
    assert_eq!(place.ask(&["trigger", "none"]).code, 2);
}

#[test]
fn a_run_asks_and_waits_for_an_answer() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new(
        "pipeline { agent none\n stages { stage('Deploy') {\n \
         input { message 'Where to?'\n ok 'Go'\n submitterParameter 'WHO'\n parameters { choice(name: 'ENV', choices: ['dev', 'prod'], description: 'a place') } }\n \
         agent any\n steps { sh 'echo to $ENV by $WHO' } } } }",
    );
    place.put("app", &project);
    let id = place.trigger("app").to_string();
    let asked = || place.ask(&["answer", &id]).stdout;
    wait_until("it asks", || asked().contains("Where to? [Go]"));
    assert!(asked().contains("-p ENV=dev of dev, prod  a place"), "{}", asked());
    let wrong = place.ask(&["answer", &id, "--yes", "-p", "ENV=mars"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("no choice `mars`"), "{wrong:?}");
    // Neither a server nor an agent that is lost answers for anybody.
    place.kill_server();
    place.start_server();
    place.agents.clear();
    place.restart_agent("one");
    let asked = || place.ask(&["answer", &id]).stdout;
    wait_until("it asks still", || {
        asked().contains("Where to?") && place.ask(&["answer", &id, "--yes", "-p", "ENV=prod"]).code == 0
    });
    let ended = place.wait_for_end(id.parse().unwrap());
    let log = place.ask(&["logs", &id]).stdout;
    assert!(ended["outcome"] == "SUCCESS" && log.contains("to prod by admin"), "{log}\n{}", place.logs());
    assert_eq!(place.ask(&["answer", &id, "--no"]).code, 2, "it is answered");
    let audit = place.ask(&["audit", "--output", "json"]).stdout;
    assert!(audit.lines().any(|row| row.contains("run.answer") && row.contains("user:admin")), "{audit}");
    let id = place.trigger("app").to_string();
    wait_until("it asks again", || place.ask(&["answer", &id, "--no"]).code == 0);
    assert_eq!(place.wait_for_end(id.parse().unwrap())["outcome"], "ABORTED");
    assert!(place.ask(&["logs", &id]).stdout.contains("Rejected by admin"));
}

/// As Jenkins restarts from a stage.
#[test]
fn a_run_is_begun_again_in_the_middle() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new(
        "pipeline { agent any\n stages { stage('Build') { steps { echo 'compiled' } }\n stage('Test') { steps { sh 'test -e good' } }\n \
         stage('Deploy') { steps { echo 'deployed' } } } }",
    );
    place.put("app", &project);
    let first = place.trigger("app");
    assert_eq!(place.wait_for_end(first)["outcome"], "FAILURE", "{}", place.logs());
    project.write("good", "");
    let first = first.to_string();
    let ran = place.ask(&["rerun", &first, "--failed", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.contains("deployed") && !ran.stdout.contains("compiled"), "{ran:?}");
    assert!(ran.stdout.contains("restarting at stage \"Test\""), "{ran:?}");
    let cause = place.run(2)["causes"][0]["description"].as_str().unwrap().to_owned();
    assert!(cause.starts_with("Restarted from build #1, stage \"Test\""), "{cause}");
    let ran = place.ask(&["rerun", "2", "--failed"]);
    assert!(ran.code == 2 && ran.stderr.contains("no stage of it has failed"), "{ran:?}");
    let ran = place.ask(&["rerun", &first, "--from", "Deploy", "--follow"]);
    assert!(ran.code == 0 && !ran.stdout.contains("test -e good") && ran.stdout.contains("deployed"), "{ran:?}");
    let ran = place.ask(&["rerun", &first, "--from", "Nowhere", "--follow"]);
    assert!(ran.code == 1 && ran.stdout.contains("There is no stage \"Nowhere\""), "{ran:?}");
}

#[test]
fn a_run_is_ended_on_request() {
    let Some(place) = Place::with_agent() else { return };
    let project =
        Project::new("try { node { sh 'echo begun; sleep 600' } } finally { echo 'after'; sleep 600; echo 'late' }");
    place.put("app", &project);
    let id = place.trigger("app");
    wait_until("it has begun", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nbegun"));
    assert_eq!(place.ask(&["cancel", &id.to_string(), "--reason", "no need"]).code, 0);
    // What has to be done at the end is; whoever does not want to wait for that asks again.
    wait_until("it is at its end", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nafter"));
    assert_eq!(place.run(id)["status"], "running");
    assert_eq!(place.ask(&["cancel", &id.to_string()]).code, 0);
    let ended = place.wait_for_end(id);
    assert_eq!((&ended["outcome"], &ended["abort_reason"]), (&"ABORTED".into(), &"no need".into()), "{}", place.logs());
    let log = place.ask(&["logs", &id.to_string()]).stdout;
    assert!(log.contains("no need") && log.contains("after") && !log.contains("late"), "{log}");
    assert_eq!(place.ask(&["cancel", &id.to_string()]).code, 1, "it has ended");
}

/// Nothing is given to nobody; what waits says why, and is ended without anybody.
#[test]
fn what_waits_says_why() {
    let Some(mut place) = Some(Place::new()).filter(|_| sandboxes_work()) else { return };
    let project = Project::new("node { sh 'echo begun' }");
    place.put("app", &project);
    let (first, second) = (place.trigger("app"), place.trigger("app"));
    let waiting = place.run(first);
    assert_eq!(waiting["status"], "queued");
    assert!(waiting["waits"].as_str().is_some_and(|why| why.contains("no agent is connected")), "{waiting}");
    assert!(place.ask(&["runs"]).stdout.contains("queued (no agent is connected"));
    let queue = place.ask(&["queue"]).stdout;
    assert!(queue.lines().count() == 2 && queue.contains("app #1  no agent is connected"), "{queue}");
    assert_eq!(place.ask(&["cancel", &second.to_string()]).code, 0);
    assert_eq!(place.run(second)["outcome"], "ABORTED");
    place.add_agent("one");
    assert_eq!(place.wait_for_end(first)["outcome"], "SUCCESS", "{}", place.logs());
    assert_eq!(place.run(second)["outcome"], "ABORTED", "and it stays so");
}

#[test]
fn an_agent_takes_away_what_killed_processes_have_left() {
    let Some(mut place) = Some(Place::new()).filter(|_| sandboxes_work()) else { return };
    let home = tempfile::tempdir().unwrap();
    // No process has this number: it is above the kernel's largest.
    let left =
        ["guests/making-4194305-7-0-x", "guests/sha256-0f/templates/making-4194305-7-0-0f", "scratch/git-4194305-1-1"]
            .map(|path| home.path().join(path));
    let whole = home.path().join("guests/sha256-0f/templates/0f");
    left.iter().chain([&whole]).for_each(|path| std::fs::create_dir_all(path.join("below")).unwrap());
    place.add_agent_with("one", &["--home", home.path().to_str().unwrap()]);
    wait_until("nothing is left", || left.iter().all(|path| !path.exists()));
    assert!(whole.exists(), "it was whole");
}

#[test]
fn nobody_comes_in_without_a_token() {
    let place = Place::new();
    let mut command = cofferdam();
    let ran = finish(command.args(["runs", "--server", &place.url()]).env_remove("COFFERDAM_TOKEN").output().unwrap());
    assert_eq!(ran.code, 4, "{ran:?}");
    let ran = finish(cofferdam().args(["runs", "--server", &place.url(), "--token", "cft_wrong"]).output().unwrap());
    assert_eq!(ran.code, 4, "{ran:?}");
    let get = |words: &[&str], path: &str| {
        let mut command = Command::new("curl");
        command.args(["-s", "-i"]).args(words).arg(format!("{}{path}", place.url()));
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    };
    for path in ["/", "/runs/1"] {
        let answer = get(&[], path);
        assert!(answer.starts_with("HTTP/1.1 303") && answer.to_lowercase().contains("location: /login"), "{answer}");
    }
    for path in ["/api/v1/runs", "/api/v1/projects", "/api/v1/agents", "/api/v1/runs/1/log", "/agent/v1/connect"] {
        assert!(!get(&[], path).starts_with("HTTP/1.1 2"), "{path}");
    }
    let logged_in = get(&["-d", &format!("token={}", place.token())], "/login");
    let session = logged_in.split("cofferdam=").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie");
    let cookie = format!("Cookie: cofferdam={session}");
    let with_session = get(&["-H", &cookie], "/");
    assert!(
        with_session.starts_with("HTTP/1.1 200") && with_session.contains("content-security-policy"),
        "{with_session}"
    );
    let with_token = get(&["-H", &format!("Cookie: cofferdam={}", place.token())], "/");
    assert!(with_token.starts_with("HTTP/1.1 303"), "a token is no session: {with_token}");
    // A cookie is good for looking only.
    assert!(get(&["-H", &cookie, "-X", "POST"], "/api/v1/agents/tokens").starts_with("HTTP/1.1 401"));
    // A token for agents is good once.
    let token = place.ask(&["agents", "token"]).stdout.trim().to_owned();
    let enrol = |name: &str| {
        let body = format!("{{\"token\":\"{token}\",\"name\":\"{name}\"}}");
        get(&["-H", "Content-Type: application/json", "-d", &body], "/agent/v1/enrol")
    };
    assert!(enrol("../x").starts_with("HTTP/1.1 400"));
    assert!(enrol("one").starts_with("HTTP/1.1 201"));
    assert!(enrol("two").starts_with("HTTP/1.1 401"));
}

/// For whoever collects logs: each line is an object.
#[test]
fn a_server_logs_in_json() {
    let mut place = Place::on_nothing();
    place.words = ["--log-format", "json"].map(str::to_owned).to_vec();
    place.start_server();
    let log = || std::fs::read_to_string(place.folder.path().join("server.log")).unwrap();
    wait_until("it says where it is", || log().contains("listening on"));
    // One whose port is taken says so in the same way, and once.
    let mut second = cofferdam();
    let listen = format!("127.0.0.1:{}", place.port);
    second.args(["server", "--log-format", "json", "--listen", &listen, "--data"]);
    let ran = finish(second.arg(place.folder.path().join("second")).output().unwrap());
    assert!(ran.code == 7 && ran.stderr.matches(&listen).count() == 1, "{ran:?}");
    // As does an agent that may not come, where it can be one.
    let mut agent = cofferdam();
    agent
        .args(["agent", "--log-format", "json", "--server", &place.url(), "--data"])
        .env_remove("COFFERDAM_ENROL_TOKEN");
    let nobody = finish(agent.arg(place.folder.path().join("nobody")).output().unwrap());
    for ran in [&ran, &nobody] {
        assert!(ran.code != 0 && ran.stderr.matches("\"ERROR\"").count() == 1, "{ran:?}");
    }
    for line in [log(), ran.stderr, nobody.stderr].iter().flat_map(|log| log.lines()) {
        let said = serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let word = |name: &str| said[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}"));
        assert!(word("timestamp").parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(["INFO", "WARN", "ERROR"].contains(&word("level")) && !word("message").is_empty(), "{line}");
    }
}

/// The control plane never runs anything: it could not if it wanted to.
#[test]
fn a_server_cannot_start_a_program() {
    let place = Place::new();
    // Nor is there a second one on the same data.
    let mut second = cofferdam();
    second.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(place.folder.path().join("server"));
    let ran = finish(second.output().unwrap());
    assert!(ran.code == 7 && ran.stderr.contains("another server has this database"), "{ran:?}");
    let pid = place.server.as_ref().unwrap().0.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Seccomp:\t2"), "{status}");
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("Seccomp:\t2"), "every thread: {status}");
    }
}

/// Children of the agents that evaluate.
pub fn engines(place: &Place) -> Vec<u32> {
    let agents: Vec<_> = place.agents.iter().map(|agent| agent.0.id()).collect();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_engine = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        words.split(|byte| *byte == 0).nth(1) == Some(b"engine")
            && parent.is_some_and(|parent| agents.contains(&parent))
    };
    pids.filter(is_engine).collect()
}

pub fn kill_9(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// Servers and engines may be killed at any moment: the run goes on, every line is there once, and the audit is whole.
#[test]
fn nothing_is_lost_when_servers_and_engines_are_killed() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new(
        "node { for (int i = 0; i < 40; i++) { sh \"echo line-${i}; sleep 0.1\"; echo \"said-${i}\" }\n writeFile file: 'n', text: '40'; echo \"read ${readFile('n')}\" }",
    );
    place.put("app", &project);
    let id = place.trigger("app");
    let (mut kills, mut round) = (0, 0_u64);
    let began = Instant::now();
    loop {
        // Moments that differ, for whatever is under way then.
        std::thread::sleep(Duration::from_millis(60 + round * 37 % 240));
        if round % 2 == 0 {
            place.kill_server();
            place.start_server();
            kills += 1;
        } else {
            let engines = engines(&place);
            kills += engines.len();
            engines.into_iter().for_each(kill_9);
        }
        round += 1;
        let is_over = place.ask(&["runs"]).stdout.contains("success") || place.run(id)["status"] == "done";
        if is_over || round > 200 {
            break;
        }
        assert!(began.elapsed() < PATIENCE * 2, "{}", place.logs());
    }
    let ended = place.wait_for_end(id);
    let log = place.ask(&["logs", &id.to_string()]).stdout;
    assert_eq!(ended["outcome"], "SUCCESS", "{ended}\n{log}\n{}", place.logs());
    let said = |word: &str| log.lines().filter(|line| line.starts_with(word)).map(str::to_owned).collect::<Vec<_>>();
    let all = |word: &str| (0..40).map(|number| format!("{word}{number}")).collect::<Vec<_>>();
    assert_eq!(said("line-"), all("line-"), "{log}");
    assert_eq!(said("said-"), all("said-"), "{log}");
    assert!(log.contains("read 40"), "{log}");
    println!("{kills} processes were killed");
    assert!(kills > 10, "only {kills} were killed");
    place.kill_server();
    let database = format!("sqlite:{}", place.folder.path().join("server/cofferdam.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async { store::Store::open(&database).await.unwrap().verify_audit().await.unwrap() });
    assert!(rows.as_ref().is_ok_and(|rows| *rows > 5), "{rows:?}");
}

/// What an agent had is lost with it, and said so; the run itself goes on where it can.
#[test]
fn a_run_outlives_its_agent() {
    let Some(mut place) = Place::with_agent() else { return };
    // Out of a repository, so that the other agent has to fetch it while it is asked for things already.
    let (_project, _web, url) = served(
        "try { node { sh 'echo begun; sleep 600' } } catch (error) { echo \"caught ${error.message}\" }\n\
         node { checkout scm; sh 'cat file; echo on another' }",
    );
    assert_eq!(place.ask(&["projects", "put", "app", "--git", &url]).code, 0);
    let id = place.trigger("app");
    wait_until("it has begun", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nbegun"));
    kill_9(place.agents[0].0.id());
    place.add_agent("two");
    let ended = place.wait_for_end(id);
    let log = place.ask(&["logs", &id.to_string()]).stdout;
    assert_eq!(ended["outcome"], "SUCCESS", "{ended}\n{log}\n{}", place.logs());
    assert!(
        log.contains("caught ") && log.contains("the agent that had this was lost") && log.contains("\non another"),
        "{log}"
    );
    // The first comes back, and is given what there is.
    place.agents.clear();
    place.restart_agent("one");
    let id = place.trigger("app");
    wait_until("it has begun again", || place.ask(&["logs", &id.to_string()]).stdout.contains("\nbegun"));
    place.ask(&["cancel", &id.to_string()]);
    place.wait_for_end(id);
}

const SHOWS: &str = "node { checkout scm; sh 'cat file; git log --format=%s -n 1'; echo \"on ${env.BRANCH_NAME}\" }";

/// A repository that is served over HTTP, on two branches and with a pull request, and its address.
pub fn served(definition: &str) -> (Project, Process, String) {
    let project = Project::new(definition);
    project.write("file", "of main\n").commit_folder(".", "main");
    project.git(&["checkout", "-q", "-b", "side"]);
    project.write("file", "of side\n");
    project.git(&["commit", "-q", "-am", "two"]);
    project.git(&["update-ref", "refs/pull/7/head", "side"]);
    let (web, url) = serve(&project);
    (project, web, url)
}

/// Serves a project's repository over HTTP, at this address.
pub fn serve(project: &Project) -> (Process, String) {
    git_server::serve(&project.path().join(".git"))
}

/// A repository over HTTP: the definition and the files of a branch.
#[test]
fn a_project_comes_out_of_a_repository() {
    let Some(place) = Place::with_agent() else { return };
    let (_project, _web, url) = served(SHOWS);
    assert_eq!(place.ask(&["projects", "put", "app", "--git", &url]).code, 0);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.contains("\nof main\n"), "{ran:?}\n{}", place.logs());
    let ran = place.ask(&["trigger", "app", "--revision", "side", "--follow"]);
    assert!(
        ran.code == 0
            && ran.stdout.contains("\nof side\n")
            && ran.stdout.contains("\ntwo\n")
            && ran.stdout.contains("on side"),
        "{ran:?}"
    );
    for wrong in ["none", "--upload-pack=x", "a b"] {
        let revision = format!("--revision={wrong}");
        let ran = place.ask(&["trigger", "app", &revision, "--follow"]);
        assert_eq!(ran.code, 1, "{wrong}: {ran:?}");
    }
    assert!(Path::new(&place.folder.path().join("one/agent.key")).exists());
}

/// While the server runs; the next one on what was restored knows everything, and its tokens.
#[test]
fn a_server_comes_back_from_its_backup() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new("node { sh 'echo of before' }");
    place.put("app", &project);
    assert_eq!(place.ask(&["trigger", "app", "--follow"]).code, 0);
    let (data, file) = (place.folder.path().join("server"), place.folder.path().join("backup"));
    let with =
        |command: &str| finish(cofferdam().args([command]).arg(&file).arg("--data").arg(&data).output().unwrap());
    let backed_up = with("backup");
    assert!(backed_up.code == 0 && backed_up.stderr.contains(" rows in "), "{backed_up:?}");
    let refused = with("restore");
    assert!(refused.code == 7 && refused.stderr.contains("another server has this database"), "{refused:?}");
    place.kill_server();
    std::fs::read_dir(&data)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".db"))
        .for_each(|entry| std::fs::remove_file(entry.path()).unwrap());
    assert_eq!(with("restore").code, 0);
    place.start_server();
    assert!(place.ask(&["logs", "1"]).stdout.contains("of before"), "{}", place.logs());
    assert_eq!(place.ask(&["trigger", "app", "--follow"]).code, 0, "its agent is known: {}", place.logs());
    assert_eq!(place.run(2)["number"], 2);
}

/// Every minute has a moment, and the next one is at most a minute away.
#[test]
fn the_clock_starts_a_run() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new("node { sh 'echo on time' }");
    let path = project.path().to_str().unwrap();
    let wrong = place.ask(&["projects", "put", "app", "--folder", path, "--cron", "61 * * * *"]);
    assert!(wrong.code != 0 && wrong.stderr.contains("cron"), "{wrong:?}");
    assert_eq!(place.ask(&["projects", "put", "app", "--folder", path, "--cron", "* * * * *"]).code, 0);
    let began = Instant::now();
    let runs = || place.ask(&["runs", "--output", "json"]).stdout;
    while runs().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(80), "{}", place.logs());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(place.wait_for_end(1)["causes"][0]["description"], "Started by timer");
}

/// What a project says that its jobs use is what they get, and what its runs wait for.
#[test]
fn a_project_says_how_much_its_jobs_use() {
    let Some(mut place) = Place::with_agent() else { return };
    place.agents.clear();
    place.add_agent_with("two", &["--total-memory", "3G", "--runs", "4", "--memory", "256M"]);
    let project = Project::new("node { sh 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done' }");
    let path = project.path().to_str().unwrap();
    let put = |words: &[&str]| place.ask(&[&["projects", "put", "app", "--folder", path][..], words].concat()).code;
    assert_eq!(put(&["--memory", "100M"]), 0);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code == 1 && ran.stdout.contains("memory limit of 100 MiB"), "{ran:?}\n{}", place.logs());
    assert_eq!(put(&["--memory", "4G"]), 0);
    let id = place.trigger("app").to_string();
    let why = || place.ask(&["why", "--run", &id]).stdout;
    wait_until("it is told why", || why().contains("it wants 4096 MiB of memory, and no agent that fits has so much"));
    assert_eq!(place.ask(&["cancel", &id]).code, 0);
}
