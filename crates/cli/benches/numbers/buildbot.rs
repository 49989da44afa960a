//! A server and an agent beside Buildbot's master and worker, on the same trivial work: how long who asks for a run waits for the first line of
//! its step, how many runs a second there are where fifty wait and four may be run at once, and what both take of memory. Buildbot's worker
//! runs the step as itself; ours in a sandbox that is made for it.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hooks::Place;
use super::measure::{Contender, Table};
use super::peers;
use super::server::{Process, free_port, resident, until};

const ROUNDS: usize = 20;
const HERD: usize = 50;
/// How often Buildbot is asked whether the line is there: it is not told otherwise without a browser.
const LOOK: Duration = Duration::from_millis(5);
/// How long many builds may take.
const PATIENCE: Duration = Duration::from_secs(180);

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("beside Buildbot: one step that echoes");
    if !peers::is_root() {
        table.notes.push("skipped: needs root".to_owned());
    } else if let Err(error) = fill(&mut table, &scratch.join("buildbot")) {
        table.notes.push(format!("skipped: {error}"));
    }
    table
}

fn fill(table: &mut Table, scratch: &Path) -> Result<(), String> {
    let place = Place::start(&scratch.join("ours"), &[])?;
    let project = scratch.join("project");
    let made = std::fs::create_dir_all(&project)
        .and_then(|()| std::fs::write(project.join("Jenkinsfile"), "node { sh 'echo the first line' }"));
    made.map_err(|error| error.to_string())?;
    place.said(&["projects", "put", "work", "--folder", &project.to_string_lossy()])?;
    let peer = Buildbot::start(&scratch.join("peer"))?;
    let (first, many) = ("asked for → first line of the step", format!("{HERD} at once, four at a time"));
    table.interleave(
        ROUNDS,
        vec![
            Contender::new(&format!("Buildbot, {first}"), || peer.first_line()).before(|| drop(peer.idle())),
            Contender::new(&format!("cofferdam, {first}"), || place.run("work").and_then(|run| place.followed(run)))
                .against(&format!("Buildbot, {first}"))
                .before(|| drop(place.idle())),
        ],
    );
    table.interleave(
        2,
        vec![
            Contender::new(&format!("Buildbot, {many}"), || {
                (0..HERD).try_for_each(|_| peer.ask())?;
                peer.idle()
            })
            .rate(HERD)
            .before(|| drop(peer.idle())),
            Contender::new(&format!("cofferdam, {many}"), || {
                (0..HERD).try_for_each(|_| place.run("work").map(drop))?;
                place.idle()
            })
            .rate(HERD)
            .against(&format!("Buildbot, {many}"))
            .before(|| drop(place.idle())),
        ],
    );
    table.push("Buildbot: master, resident", "MB", vec![resident(peer.master.id())]);
    table.push("Buildbot: worker, resident", "MB", vec![resident(peer.worker.id())]);
    table.push("cofferdam: server, resident", "MB", vec![resident(place.server.id())]);
    table.push("cofferdam: agent, resident", "MB", vec![resident(place.agent.id())]);
    Ok(())
}

/// A master and a worker.
struct Buildbot {
    master: Process,
    worker: Process,
    web: u16,
    /// Builds that were asked for.
    asked: Cell<usize>,
}

impl Buildbot {
    fn start(folder: &Path) -> Result<Buildbot, String> {
        let programs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/buildbot/bin");
        if !programs.join("buildbot").exists() {
            return Err("there is no Buildbot; scripts/buildbot.sh brings one".to_owned());
        }
        let (web, workers) = (free_port()?, free_port()?);
        let said = |program: &str, words: &[&str]| {
            let output = Command::new(programs.join(program)).args(words).current_dir(folder).output();
            let output = output.map_err(|error| error.to_string())?;
            output.status.success().then_some(()).ok_or_else(|| format!("{program} {words:?}: {output:?}"))
        };
        let master = folder.join("master");
        std::fs::create_dir_all(&master).map_err(|error| error.to_string())?;
        std::fs::write(master.join("master.cfg"), config(web, workers)).map_err(|error| error.to_string())?;
        said("buildbot", &["create-master", "master"])?;
        said("buildbot-worker", &["create-worker", "worker", &format!("127.0.0.1:{workers}"), "one", "word"])?;
        let start = |program: &str, what: &str| {
            let mut command = Command::new(programs.join(program));
            command.args(["start", "--nodaemon", what]).current_dir(folder);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().map(Process::of).map_err(|error| error.to_string())
        };
        let (master, worker) = (start("buildbot", "master")?, start("buildbot-worker", "worker")?);
        let peer = Buildbot { master, worker, web, asked: Cell::new(0) };
        let is_there = || peer.get("/workers").is_ok_and(|said| !said["workers"][0]["connected_to"][0].is_null());
        until("a worker is there", is_there)?;
        Ok(peer)
    }

    /// A change comes, which is built.
    fn ask(&self) -> Result<(), String> {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        let form =
            format!("author=a&comments=c&revision={number}&files=%5B%22a%22%5D&project=p&repository=r&branch=main");
        let length = form.len();
        let head = format!(
            "POST /change_hook/base HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
        );
        let said = self.said(&head)?;
        said.starts_with("HTTP/1.1 200").then_some(()).ok_or(said)
    }

    fn first_line(&self) -> Result<(), String> {
        self.ask()?;
        // Each build has one log.
        let path = format!("/logs/{}/contents", self.asked.get());
        let is_there =
            |said: Value| said["logchunks"][0]["content"].as_str().is_some_and(|it| it.contains("\nothe first line"));
        until("the line is there", || {
            std::thread::sleep(LOOK);
            self.get(&path).is_ok_and(is_there)
        })
    }

    /// Everything that was asked for has been built.
    fn idle(&self) -> Result<(), String> {
        let began = Instant::now();
        let is_idle = || {
            let newest = self.get("/builds?order=-buildid&limit=1");
            let has_begun =
                newest.is_ok_and(|said| said["builds"][0]["buildid"].as_u64().unwrap_or(0) == self.asked.get() as u64);
            let is_none = |said: Value| said["builds"].as_array().is_some_and(Vec::is_empty);
            has_begun && self.get("/builds?complete=false&limit=1").is_ok_and(is_none)
        };
        while !is_idle() {
            if began.elapsed() > PATIENCE {
                return Err(format!("not all is built within {} s", PATIENCE.as_secs()));
            }
            // It answers in the same thread in which it builds.
            std::thread::sleep(10 * LOOK);
        }
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let said = self.said(&format!("GET /api/v2{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))?;
        // Its chunks have their lengths before them, on lines of their own.
        let (from, to) = (said.find('{').unwrap_or(0), said.rfind('}').map_or(0, |at| at + 1));
        serde_json::from_str(said.get(from..to).unwrap_or_default()).map_err(|error| format!("{path}: {error}"))
    }

    fn said(&self, request: &str) -> Result<String, String> {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.web)).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        asked.map(|_| answer).map_err(|error| error.to_string())
    }
}

fn config(web: u16, workers: u16) -> String {
    format!(
        "from buildbot.plugins import schedulers, steps, util, worker\n\
         echo = steps.ShellCommand(command='echo the first line', logEnviron=False)\n\
         c = BuildmasterConfig = {{}}\n\
         c['workers'] = [worker.Worker('one', 'word', max_builds=4)]\n\
         c['protocols'] = {{'pb': {{'port': 'tcp:{workers}:interface=127.0.0.1'}}}}\n\
         c['schedulers'] = [schedulers.AnyBranchScheduler(name='all', builderNames=['work'], treeStableTimer=None)]\n\
         c['builders'] = [util.BuilderConfig(name='work', workernames=['one'], collapseRequests=False,\n\
         \x20   factory=util.BuildFactory([echo]))]\n\
         c['www'] = {{'port': 'tcp:{web}:interface=127.0.0.1', 'change_hook_dialects': {{'base': True}}}}\n\
         c['db_url'] = 'sqlite:///state.sqlite'\n\
         c['buildbotNetUsageData'] = None\n"
    )
}
