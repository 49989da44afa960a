//! What the process does, without its streams.

use std::collections::VecDeque;

use groovy::diagnostic::{Diagnostic, Severity};
use model::ids::RequestId;
use model::request::{Failure, FailureKind, Reply, Request};
use pipeline::engine::{Engine, Output, RunInput};
use wire::engine::{Begin, Finding, Input, MAX_LINE_BYTES, Said, fits};

/// One run under evaluation. Time is counted in turns: an engine works one turn after the other, and takes inputs between two of them.
pub struct Session {
    engine: Engine,
    turns: u64,
    /// Not taken yet, with the turn that each is to be taken after.
    inputs: VecDeque<(Option<u64>, Input)>,
    waits_told: bool,
    is_over: bool,
}

impl Session {
    /// Reads and checks the definition, and what there is to say of it. `None`: it is invalid.
    pub fn begin(begin: Begin) -> (Option<Session>, Said) {
        let Begin { source, file_name, facts } = begin;
        match Engine::new(RunInput { source, file_name, facts, ..RunInput::default() }) {
            Err(diagnostics) => (None, Said::Invalid { findings: diagnostics.iter().map(finding).collect() }),
            Ok(engine) => {
                let warnings = engine.warnings().iter().map(finding).collect();
                let session = Session { engine, turns: 0, inputs: VecDeque::new(), waits_told: false, is_over: false };
                (Some(session), Said::Begun { warnings })
            }
        }
    }

    /// Something came in.
    pub fn give(&mut self, at: Option<u64>, input: Input) {
        self.inputs.push_back((at, input));
    }

    /// The last word was said.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Nothing goes on before the next input.
    pub fn waits(&self) -> bool {
        !self.is_over && self.inputs.is_empty() && !self.engine.is_busy() && self.waits_told
    }

    /// Takes what is due, works one turn, and says what came of it.
    pub fn turn(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        if self.is_over {
            return said;
        }
        while let Some((at, _)) = self.inputs.front() {
            match *at {
                Some(at) if at > self.turns && self.engine.is_busy() => break,
                Some(at) if at != self.turns => {
                    self.is_over = true;
                    let reason = format!("an input was to be taken after {at} turns; there were {}", self.turns);
                    said.push(Said::Diverged { reason });
                    return said;
                }
                _ => {}
            }
            let Some((_, input)) = self.inputs.pop_front() else { break };
            said.push(Said::Took { at: self.turns });
            self.take(input);
            self.waits_told = false;
        }
        if self.engine.is_busy() {
            self.turns += 1;
            for output in self.engine.poll() {
                said.extend(match output {
                    Output::Request { id, request } => self.asked(id, *request),
                    Output::Cancel { id } => Some(Said::Cancel { id }),
                    Output::Event(event) => Some(Said::Event(event)),
                });
            }
        }
        if let Some(end) = self.engine.end() {
            if !self.engine.is_busy() {
                self.is_over = true;
                said.push(Said::Ended(end.clone()));
            }
        } else if !self.engine.is_busy() && !self.waits_told {
            self.waits_told = true;
            said.push(Said::Waits);
        }
        said
    }

    /// What nobody would read is answered here, the same each time that the run is evaluated.
    fn asked(&mut self, id: RequestId, request: Request) -> Option<Said> {
        let said = Said::Request { id, request };
        if fits(&said) {
            return Some(said);
        }
        let message = format!("a step was given more than {MAX_LINE_BYTES} bytes, as JSON writes them");
        let hint = Some("write large texts in pieces, or by a program in the workspace".to_owned());
        self.engine.answer(id, Reply::Failed(Failure { kind: FailureKind::Workload, message, hint }));
        None
    }

    fn take(&mut self, input: Input) {
        match input {
            // One that nobody waits for any more is dropped, as it was the first time.
            Input::Answer { id, reply } => drop(self.engine.answer(id, reply)),
            Input::OutputSeen { step } => self.engine.output_seen(step),
            Input::Abort { reason } => self.engine.abort(&reason),
        }
    }
}

fn finding(diagnostic: &Diagnostic) -> Finding {
    Finding {
        is_error: diagnostic.severity == Severity::Error,
        start: diagnostic.span.start,
        end: diagnostic.span.end,
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    }
}
