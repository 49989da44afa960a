//! The process itself, behind its walls.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use confine::{Deed, FORBIDDEN};
use model::outcome::Outcome;
use model::request::{Allocated, Reply, Request};
use rustix::fs::{MemfdFlags, memfd_create};
use wire::engine::{Heard, Input, Journal, Said, Word, encode};

use crate::keeper::begin;

const PROGRAM: &str = env!("CARGO_BIN_EXE_engine-child");

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start() -> Process {
        Process::start_with(Stdio::inherit())
    }

    fn start_with(stderr: Stdio) -> Process {
        let mut command = Command::new(PROGRAM);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.env_clear().spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Process { child, input, output }
    }

    fn tell(&mut self, words: &[Word]) {
        let mut bytes = Vec::new();
        words.iter().for_each(|word| encode(word, &mut bytes).unwrap());
        // One that is gone hears nothing.
        let _ = self.input.write_all(&bytes);
    }

    /// `None`: it has ended.
    fn hear(&mut self) -> Option<Said> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn reply(request: &Request) -> Reply {
    match request {
        Request::Allocate { .. } => Reply::Allocated(Allocated { workspace: "/w".into(), ..Allocated::default() }),
        Request::Exec { .. } => Reply::Exited { code: 0, stdout: None, limit: None },
        _ => Reply::Done,
    }
}

#[test]
fn an_engine_that_is_killed_with_9_is_replaced() {
    let source = "stage('a') { node { parallel(x: { sh 'x'; sh 'xx' }, y: { sh 'y' }); sh 'z' } }";
    let mut lost = 0;
    for kill_at in 1..8 {
        let mut journal = Journal::new(begin(source));
        let (mut requests, mut killed) = (Vec::new(), false);
        let mut process = Process::start();
        process.tell(&journal.restart());
        let end = loop {
            let Some(said) = process.hear() else { panic!("it has ended") };
            let (heard, words) = journal.hear(said).unwrap();
            process.tell(&words);
            match heard {
                Heard::Request(id, request) => {
                    assert_eq!(id.0 as usize, requests.len() + 1);
                    let words = journal.add(Input::Answer { id, reply: reply(&request) });
                    requests.push(request);
                    if requests.len() == kill_at && !std::mem::replace(&mut killed, true) {
                        process.kill();
                        lost += 1;
                        process = Process::start();
                        process.tell(&journal.restart());
                    } else {
                        process.tell(&words);
                    }
                }
                Heard::Ended(end) => break end,
                _ => {}
            }
        };
        assert_eq!(end.outcome, Outcome::Success);
        let scripts = requests.iter().filter(|request| matches!(request, Request::Exec { .. })).count();
        assert_eq!(scripts, 4, "{requests:?}");
        assert!(process.child.wait().unwrap().success());
    }
    assert_eq!(lost, 6, "a run makes six requests");
}

fn deed(option: &str, deed: Deed) -> Output {
    let name = serde_json::to_value(deed).unwrap();
    Command::new(PROGRAM).args([option, name.as_str().unwrap()]).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn nothing_is_in_reach_behind_the_walls() {
    for forbidden in FORBIDDEN {
        let free = deed("--deed-without-walls", forbidden);
        if forbidden == Deed::TraceParent && !rustix::process::getuid().is_root() {
            println!("skipped: tracing the parent needs root where the kernel restricts it");
        } else {
            assert!(free.status.success(), "a control: {forbidden:?} {free:?}");
        }
        let confined = deed("--deed", forbidden);
        assert_eq!(confined.status.signal(), Some(31), "{forbidden:?} is not ended by the list of calls: {confined:?}");
    }
    assert!(deed("--deed", Deed::Nothing).status.success());
}

/// What has no price has an end: each look-ahead here is a step of its own.
#[test]
fn one_turn_has_its_time() {
    let mut process = Process::start();
    let mut journal = Journal::new(begin("echo \"${('ab' * 200000) ==~ /(?:(?=(a*b)*)ab)*x/}\""));
    process.tell(&journal.restart());
    while let Some(said) = process.hear() {
        let (heard, words) = journal.hear(said).unwrap();
        process.tell(&words);
        assert!(!matches!(heard, Heard::Ended(_)), "{heard:?}");
    }
    let status = process.child.wait().unwrap();
    assert_eq!(status.signal(), Some(wire::engine::TURN_SIGNAL), "{status:?}");
}

#[test]
fn a_script_that_computes_for_ever_can_be_aborted() {
    let mut process = Process::start();
    let mut journal = Journal::new(begin("echo 'begun'\nwhile (true) { }"));
    process.tell(&journal.restart());
    let began = Instant::now();
    let end = loop {
        let (heard, words) = journal.hear(process.hear().expect("an end")).unwrap();
        process.tell(&words);
        match heard {
            Heard::Event(event) if format!("{event:?}").contains("begun") => {
                let words = journal.add(Input::Abort { reason: "enough".into() });
                process.tell(&words);
            }
            Heard::Ended(end) => break end,
            _ => {}
        }
    };
    assert!(end.aborted && end.outcome == Outcome::Aborted, "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_bomb_of_memory_ends_its_own_run() {
    let mut process = Process::start();
    let mut journal = Journal::new(begin("def s = 'xxxxxxxxxxxxxxxx'\nwhile (true) { s = s + s }"));
    process.tell(&journal.restart());
    let end = loop {
        if let Heard::Ended(end) = journal.hear(process.hear().expect("an end")).unwrap().0 {
            break end;
        }
    };
    assert_eq!(end.outcome, Outcome::Failure);
    assert!(end.message.as_ref().is_some_and(|message| message.contains("limit")), "{end:?}");
}

/// Here a reader of YAML panics. The engine may write no file, also where its standard error is one.
#[test]
fn a_panic_that_is_caught_is_not_the_end() {
    let mut process = Process::start_with(memfd_create("stderr", MemfdFlags::CLOEXEC).unwrap().into());
    let source = "try { readYaml text: '[!!str, a]' } catch (e) { echo \"caught: $e.message\" }";
    let mut journal = Journal::new(begin(source));
    process.tell(&journal.restart());
    let mut caught = false;
    let end = loop {
        let (heard, words) = journal.hear(process.hear().expect("an end")).unwrap();
        process.tell(&words);
        match heard {
            Heard::Event(event) => caught |= format!("{event:?}").contains("caught: found what cannot be read"),
            Heard::Ended(end) => break end,
            _ => {}
        }
    };
    assert!(caught && end.outcome == Outcome::Success, "{end:?}");
}

/// It is an error of that step, before and after the engine was replaced.
#[test]
fn what_a_step_is_given_has_to_fit_into_a_message() {
    let source = "node { try { writeFile file: 'a', text: '\\u0001' * 40000000 } catch (e) { echo \"caught: $e.message\" }; sh 'x' }";
    let mut journal = Journal::new(begin(source));
    let (mut caught, mut lost, mut process) = (0, false, Process::start());
    process.tell(&journal.restart());
    let end = loop {
        let (heard, words) = journal.hear(process.hear().expect("an end")).unwrap();
        process.tell(&words);
        match heard {
            Heard::Request(id, request) => {
                let words = journal.add(Input::Answer { id, reply: reply(&request) });
                if matches!(request, Request::Exec { .. }) && !std::mem::replace(&mut lost, true) {
                    process.kill();
                    process = Process::start();
                    process.tell(&journal.restart());
                } else {
                    process.tell(&words);
                }
            }
            Heard::Event(event) if format!("{event:?}").contains("caught: a step was given more than") => caught += 1,
            Heard::Ended(end) => break end,
            _ => {}
        }
    };
    assert_eq!((end.outcome, caught), (Outcome::Success, 1));
}

#[test]
fn a_keeper_that_talks_nonsense_or_goes_ends_it() {
    for (words, expect) in [
        ("nonsense\n", "no message of this protocol"),
        ("{\"input\":{\"at\":null,\"input\":{\"abort\":{\"reason\":\"x\"}}}}\n", "an input before the beginning"),
        ("", "nobody keeps this run"),
    ] {
        let mut child =
            Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(words.as_bytes()).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains(expect), "{said}");
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}

#[test]
fn what_is_invalid_is_said_with_its_place() {
    let mut process = Process::start();
    process.tell(&Journal::new(begin("pipeline { stages { } }")).restart());
    let Some(Said::Invalid { findings }) = process.hear() else { panic!() };
    assert!(findings.iter().any(|finding| finding.is_error && finding.message.contains("agent")), "{findings:?}");
    assert!(process.child.wait().unwrap().success());
}
