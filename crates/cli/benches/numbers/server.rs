//! A server and an agent as processes: how soon it answers, what it takes of memory, and how long somebody who asks for a run waits for the
//! first line of its step.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::measure::{Table, milliseconds};
use super::peers;

const COFFERDAM: &str = env!("CARGO_BIN_EXE_cofferdam");
/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with this.
pub struct Process(Child);

impl Process {
    pub fn of(child: Child) -> Process {
        Process(child)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn start(words: &[&str], data: &Path) -> Result<Process, String> {
    let mut command = Command::new(COFFERDAM);
    command.args(words).arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(Process).map_err(|error| error.to_string())
}

pub fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut said = String::new();
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    asked.is_ok() && stream.read_to_string(&mut said).is_ok() && said.starts_with("HTTP/1.1 200")
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(format!("not within {} s: {what}", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

/// A port of loopback that nobody has.
pub fn free_port() -> Result<u16, String> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| error.to_string())
}

/// Resident memory of a process in MB.
pub fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(f64::NAN, |kilobytes| kilobytes / 1024.0)
}

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a server and an agent");
    if let Err(error) = fill(&mut table, &scratch.join("server")) {
        table.notes.push(format!("skipped: {error}"));
    }
    table
}

fn fill(table: &mut Table, scratch: &Path) -> Result<(), String> {
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    let mut server = None;
    for round in 0..10 {
        drop(server.take());
        let began = Instant::now();
        let process = start(&["server", "--listen", &listen], &scratch.join(format!("data-{round}")))?;
        until("the server answers", || answers(port))?;
        starts.push(milliseconds(began.elapsed()));
        std::thread::sleep(Duration::from_millis(200));
        memory.push(resident(process.0.id()));
        server = Some(process);
    }
    table.push("start of a server, to its first answer", "ms", starts);
    table.push("resident memory of an idle server", "MB", memory);
    if !peers::is_root() {
        table.notes.push("skipped: runs at an agent: needs root".to_owned());
        return Ok(());
    }
    let url = format!("http://{listen}");
    let token = std::fs::read_to_string(scratch.join("data-9/admin-token")).map_err(|error| error.to_string())?;
    let ask = |words: &[&str]| {
        let mut command = Command::new(COFFERDAM);
        command.args(words).env("COFFERDAM_SERVER", &url).env("COFFERDAM_TOKEN", token.trim()).stdin(Stdio::null());
        command
    };
    let said = |words: &[&str]| {
        let output = ask(words).output().map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let enrol = said(&["agents", "token"])?;
    let words = ["agent", "--folders", "--network", "none", "--server", &url, "--token", &enrol];
    let _agent = start(&words, &scratch.join("agent"))?;
    until("an agent is there", || said(&["agents", "ls"]).is_ok_and(|said| said.contains("connected")))?;
    let project = scratch.join("project");
    let made = std::fs::create_dir_all(&project)
        .and_then(|()| std::fs::write(project.join("Jenkinsfile"), "node { sh 'echo first' }"));
    made.map_err(|error| error.to_string())?;
    said(&["projects", "put", "app", "--folder", &project.to_string_lossy()])?;
    let mut first_lines = Vec::new();
    for round in 0..31 {
        let began = Instant::now();
        let mut follows = ask(&["trigger", "app", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let follows = follows.as_mut().map_err(|error| error.to_string())?;
        let lines = BufReader::new(follows.stdout.take().ok_or("no output")?).lines();
        for line in lines.map_while(Result::ok) {
            if line == "first" && round > 0 {
                first_lines.push(milliseconds(began.elapsed()));
            }
        }
        let _ = follows.wait();
    }
    table.push("asked for → first line of the step, at the terminal of `trigger --follow`", "ms", first_lines);
    Ok(())
}
