//! What the process does, without its streams.

use std::collections::VecDeque;

use groovy::diagnostic::{Diagnostic, Severity};
use pipeline::engine::{Engine, Output, RunInput};
use wire::engine::{Begin, Finding, Input, Said};

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
            said.extend(self.engine.poll().into_iter().map(|output| match output {
                Output::Request { id, request } => Said::Request { id, request: *request },
                Output::Cancel { id } => Said::Cancel { id },
                Output::Event(event) => Said::Event(event),
            }));
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
