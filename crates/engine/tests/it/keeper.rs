//! A keeper of runs whose world answers from a seed: what it does depends on what it has heard and on nothing else, so that an engine that is
//! lost in between makes no difference to it.

use std::collections::VecDeque;

use engine::Session;
use model::ids::RequestId;
use model::request::{Allocated, Failure, FailureKind, Reply, Request};
use model::run::{RunEnd, RunFacts};
use model::test_result::TestCounts;
use wire::engine::{Begin, Heard, Input, Journal, Said, Word};

/// Most turns of one run: a run that does not end is a finding, not a hang.
const MOST_TURNS: usize = 200_000;

/// A small generator of numbers (SplitMix64).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

pub fn begin(source: &str) -> Begin {
    let facts = RunFacts { job_name: "random".into(), build_number: 3, has_scm: true, ..RunFacts::default() };
    Begin { source: source.into(), file_name: "Jenkinsfile".into(), facts }
}

/// A run that is over.
pub struct Ran {
    pub end: RunEnd,
    pub journal: Journal,
    /// Everything that was acted upon: requests and events, in words.
    pub acted: Vec<String>,
    pub requests: Vec<Request>,
}

pub struct Keeper {
    journal: Journal,
    session: Option<Session>,
    seed: u64,
    pending: Vec<(RequestId, Request)>,
    acted: Vec<String>,
    requests: Vec<Request>,
    end: Option<RunEnd>,
    abort_at: Option<u64>,
}

impl Keeper {
    pub fn new(source: &str, seed: u64) -> Keeper {
        Keeper {
            journal: Journal::new(begin(source)),
            session: None,
            seed,
            pending: Vec::new(),
            acted: Vec::new(),
            requests: Vec::new(),
            end: None,
            abort_at: None,
        }
    }

    /// The run is aborted when so much was heard.
    pub fn aborting_at(self, abort_at: Option<u64>) -> Keeper {
        Keeper { abort_at, ..self }
    }

    /// Runs to the end. An engine is lost whenever `is_lost` says so of how much was acted upon.
    pub fn run(mut self, mut is_lost: impl FnMut(u64) -> bool) -> Ran {
        let mut left = VecDeque::new();
        for _ in 0..MOST_TURNS {
            if let Some(end) = self.end.take() {
                let Keeper { journal, acted, requests, .. } = self;
                return Ran { end, journal, acted, requests };
            }
            if self.session.is_none() {
                left.clear();
                // What the keeper knows is what was written down, and nothing else.
                let text = serde_json::to_string(&self.journal).unwrap();
                self.journal = serde_json::from_str(&text).unwrap();
                let words = self.journal.restart();
                self.tell(words);
            }
            if left.is_empty() {
                left.extend(self.session.as_mut().unwrap().turn());
            }
            while let Some(said) = left.pop_front() {
                self.hear(said);
                if is_lost(self.journal.heard().0) {
                    self.session = None;
                    break;
                }
            }
        }
        panic!("the run does not end; acted upon so far: {:#?}", self.acted);
    }

    fn tell(&mut self, words: Vec<Word>) {
        for word in words {
            match word {
                Word::Begin(begin) => {
                    let (session, said) = Session::begin(*begin);
                    self.session = Some(session.unwrap_or_else(|| panic!("{said:?}")));
                    self.hear(said);
                }
                Word::Input { at, input } => self.session.as_mut().unwrap().give(at, input),
            }
        }
    }

    fn hear(&mut self, said: Said) {
        let (heard, words) = self.journal.hear(said).unwrap_or_else(|error| panic!("{error}\n{:#?}", self.acted));
        match heard {
            Heard::Request(id, request) => {
                assert_eq!(id.0, self.requests.len() as u64 + 1, "a request came twice, or was lost");
                self.acted.push(format!("{id} {request:?}"));
                self.requests.push(request.clone());
                self.pending.push((id, request));
            }
            Heard::Cancel(id) => {
                self.acted.push(format!("cancel {id}"));
                if let Some(at) = self.pending.iter().position(|(pending, _)| *pending == id) {
                    self.pending.remove(at);
                    self.add(Input::Answer { id, reply: Reply::Cancelled });
                }
            }
            Heard::Event(event) => self.acted.push(format!("{event:?}")),
            Heard::Waits => self.answer_one(),
            Heard::Ended(end) => self.end = Some(end),
            Heard::Took(_) | Heard::Begun(_) | Heard::Nothing => {}
            Heard::Invalid(findings) => panic!("{findings:?}"),
        }
        self.tell(words);
        // Now and then an answer comes while the engine is at work.
        let (heard, _) = self.journal.heard();
        if self.abort_at == Some(heard) {
            self.abort_at = None;
            self.add(Input::Abort { reason: "Aborted by the test".into() });
        } else if !self.pending.is_empty() && self.draw().below(7) == 0 {
            self.answer_one();
        }
    }

    /// Numbers that depend on what was heard and told.
    fn draw(&self) -> Random {
        let mut random = Random(self.seed ^ self.journal.heard().0 << 20 ^ self.journal.entries().len() as u64);
        random.next();
        random
    }

    fn answer_one(&mut self) {
        if self.pending.is_empty() || self.end.is_some() {
            return;
        }
        let at = self.draw().below(self.pending.len() as u64) as usize;
        let (id, request) = self.pending.remove(at);
        let reply = reply(&request);
        self.add(Input::Answer { id, reply });
    }

    fn add(&mut self, input: Input) {
        let words = self.journal.add(input);
        self.tell(words);
    }
}

/// What came of a request depends on the request alone.
fn reply(request: &Request) -> Reply {
    match request {
        Request::Allocate { job, .. } => Reply::Allocated(Allocated {
            workspace: format!("/workspace/{}", job.0),
            node_name: "built-in".into(),
            path: "/bin".into(),
            home: "/home".into(),
            ..Allocated::default()
        }),
        Request::Exec { script, .. } if script.text.contains("infrastructure") => {
            let message = "the machine is gone".to_owned();
            Reply::Failed(Failure { kind: FailureKind::Infrastructure, message, hint: None })
        }
        Request::Exec { script, .. } => {
            let code = i32::from(script.text.contains("false"));
            Reply::Exited { code, stdout: script.capture.then(|| "captured\n".into()), limit: None }
        }
        Request::Checkout { .. } => Reply::CheckedOut(vec![("GIT_COMMIT".into(), "c0ffee".into())]),
        Request::ReadFile { path, .. } => Reply::Text(format!("content of {path}")),
        Request::FileExists { path, .. } => Reply::Bool(path.len() % 2 == 0),
        Request::Stash { .. } | Request::Archive { .. } => Reply::Count(3),
        Request::TestReport { .. } => Reply::Tests { files: 1, tests: TestCounts { failed: 1, skipped: 0, passed: 2 } },
        Request::Now => Reply::Time(1_700_000_000_000),
        _ => Reply::Done,
    }
}
