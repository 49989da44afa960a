//! A server with its data, and agents, as processes.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::project::{Project, Ran, cofferdam, finish, sandboxes_work};

/// How long something may take that takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with this.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with its data, and agents.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub server: Option<Process>,
    pub agents: Vec<Process>,
    /// It speaks TLS: the file with the authority that its certificate is of.
    pub authority: Option<PathBuf>,
    /// What it is told beside that.
    pub words: Vec<String>,
    /// In its environment.
    pub env: Vec<(String, String)>,
    /// As whom the server runs, if not as whoever starts it.
    pub user: Option<u32>,
}

impl Place {
    /// A server without agents.
    pub fn new() -> Place {
        let mut place = Place::on_nothing();
        place.start_server();
        place
    }

    /// Without a server.
    pub fn on_nothing() -> Place {
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("server-").tempdir().unwrap();
        Place {
            folder,
            port,
            server: None,
            agents: Vec::new(),
            authority: None,
            words: Vec::new(),
            env: Vec::new(),
            user: None,
        }
    }

    /// With one agent, where sandboxes can be made.
    pub fn with_agent() -> Option<Place> {
        if !sandboxes_work() {
            return None;
        }
        let mut place = Place::new();
        place.add_agent("one");
        Some(place)
    }

    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    pub fn log(&self, name: &str) -> Stdio {
        let file = std::fs::File::options().create(true).append(true).open(self.folder.path().join(name));
        file.unwrap().into()
    }

    pub fn start_server(&mut self) {
        let mut command = cofferdam();
        command.args(["server", "--agent-patience", "3", "--listen", &format!("127.0.0.1:{}", self.port)]);
        if self.authority.is_some() {
            let file = |name: &str| self.folder.path().join(name);
            command.arg("--tls-cert").arg(file("server.pem")).arg("--tls-key").arg(file("server.key"));
        }
        command
            .arg("--data")
            .arg(self.folder.path().join("server"))
            .args(&self.words)
            .envs(self.env.iter().cloned())
            .stdout(Stdio::null())
            .stderr(self.log("server.log"));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        self.server = Some(Process(command.spawn().unwrap()));
        // It listens before it has a store, and its first token.
        let token = self.folder.path().join("server/admin-token");
        let has_token = || std::fs::metadata(&token).is_ok_and(|file| file.len() > 0);
        wait_until("the server answers", || {
            has_token() && std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    pub fn kill_server(&mut self) {
        self.server = None;
    }

    pub fn add_agent(&mut self, name: &str) {
        self.add_agent_with(name, &[]);
    }

    pub fn add_agent_with(&mut self, name: &str, words: &[&str]) {
        self.add_agent_at(name, &self.url(), words);
    }

    /// One that finds its server at another port.
    pub fn add_agent_behind(&mut self, name: &str, port: u16, words: &[&str]) {
        self.add_agent_at(name, &format!("http://127.0.0.1:{port}"), words);
    }

    fn add_agent_at(&mut self, name: &str, url: &str, words: &[&str]) {
        let token = self.ask(&["agents", "token"]);
        assert_eq!(token.code, 0, "{token:?}");
        let mut command = self.program();
        command.args(["agent", "--folders", "--network", "none", "--name", name, "--server", url]);
        command.args(["--token", token.stdout.trim(), "--data"]).arg(self.folder.path().join(name)).args(words);
        command.stdout(Stdio::null()).stderr(self.log(&format!("{name}.log")));
        self.agents.push(Process(command.spawn().unwrap()));
        wait_until("the agent is connected", || {
            self.ask(&["agents", "ls"]).stdout.contains(&format!("{name}  connected"))
        });
    }

    /// The same agent once more, with the key that it has.
    pub fn restart_agent(&mut self, name: &str) {
        let mut command = cofferdam();
        command.args(["agent", "--folders", "--network", "none", "--name", name, "--server", &self.url(), "--data"]);
        command.arg(self.folder.path().join(name)).stdout(Stdio::null()).stderr(self.log(&format!("{name}.log")));
        self.agents.push(Process(command.spawn().unwrap()));
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server/admin-token")).unwrap().trim().to_owned()
    }

    /// The program, which trusts whom this place's people trust.
    pub fn program(&self) -> Command {
        let mut command = cofferdam();
        command.envs(self.authority.iter().map(|file| ("SSL_CERT_FILE", file)));
        command
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program();
        command.args(args).env("COFFERDAM_SERVER", self.url()).env("COFFERDAM_TOKEN", self.token());
        command
    }

    pub fn ask(&self, args: &[&str]) -> Ran {
        finish(self.command(args).output().unwrap())
    }

    pub fn put(&self, name: &str, project: &Project) {
        let put = self.ask(&["projects", "put", name, "--folder", project.path().to_str().unwrap()]);
        assert_eq!(put.code, 0, "{put:?}");
    }

    /// Asks for a run; its id.
    pub fn trigger(&self, project: &str) -> u64 {
        let ran = self.ask(&["trigger", project, "--output", "json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()["id"].as_u64().unwrap()
    }

    pub fn run(&self, id: u64) -> serde_json::Value {
        let listed = self.ask(&["runs", "--output", "json", "--limit", "100"]);
        let all = listed.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        all.into_iter().find(|run| run["id"] == id).unwrap_or_else(|| panic!("{listed:?}"))
    }

    pub fn wait_for_end(&self, id: u64) -> serde_json::Value {
        wait_until("the run ends", || self.ask(&["runs"]).code == 0 && self.run(id)["status"] == "done");
        self.run(id)
    }

    pub fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("server:\n{}\nagent:\n{}", read("server.log"), read("one.log"))
    }
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}
