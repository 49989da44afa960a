//! The evaluation of a run, sans-io: [`Engine::poll`] says what to do and what happened, [`Engine::answer`] brings back
//! what came of it. The same input and the same answers give the same outputs, so a journal of answers is enough to
//! bring a lost engine back.
//!
//! ```text
//!   script (fiber) --call--> step (future) --request--> Output::Request  ...  Engine::answer
//!        ^                      |    ^                                              |
//!        +------ value ---------+    +---------------------- reply -----------------+
//!                               +-- body (a child task with its own fiber)
//! ```
//!
//! The state of a run (result, variables, parameters) is in [`run_state`] and changes nowhere else.

pub(crate) mod body;
pub(crate) mod drive;
pub(crate) mod env;
pub(crate) mod executor;
pub(crate) mod fault;
pub(crate) mod host;
pub(crate) mod input;
pub(crate) mod interrupt;
pub(crate) mod json;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod run_state;
pub(crate) mod scope;
mod tee;
pub(crate) mod values;
mod waiting;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use groovy::diagnostic::Diagnostic;
use groovy::machine::{Machine, ScriptId};
use groovy::span::Span;
use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, StageId, StepId};
use model::limits::MAX_STEPS;
use model::outcome::Outcome;
use model::request::{FailureKind, Reply, Request};
use model::run::superseded_by;

pub use input::RunInput;
pub use model::run::{BuildCause, RunEnd, RunFacts};

use executor::{Executor, Join};
use fault::Fault;
use interrupt::{Cause, Interruption};
use requests::Requests;
use run_state::RunState;
use scope::Scope;
use waiting::Waiting;

use crate::added;
use crate::definition::{Purpose, Surroundings};
use crate::run::Program;
use crate::run::library::Libraries;
use crate::steps::pods::Defined;

/// How many tasks one [`Engine::poll`] runs before it comes back, so that a busy script can be aborted.
const TASKS_PER_POLL: usize = 64;

/// What the engine wants from the one who drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Do this and answer under that id.
    Request {
        /// The id.
        id: RequestId,
        /// What.
        request: Box<Request>,
    },
    /// End that request early; it is answered all the same ([`Reply::Cancelled`], or what it came to).
    Cancel {
        /// Which.
        id: RequestId,
    },
    /// It happened.
    Event(Event),
}

/// One run.
pub struct Engine {
    core: Rc<Core>,
    root: Option<Join<Result<(), Fault>>>,
    end: Option<RunEnd>,
}

/// What all tasks of a run share.
pub(crate) struct Core {
    pub(crate) executor: Rc<Executor>,
    pub(crate) requests: Requests,
    pub(crate) machine: RefCell<Machine>,
    pub(crate) script: ScriptId,
    pub(crate) facts: RunFacts,
    pub(crate) run: RunState,
    pub(crate) program: Program,
    /// The templates of pods that it was told of.
    pub(crate) pods: OnceCell<Vec<Defined>>,
    /// The shared libraries that were loaded.
    pub(crate) libraries: Libraries,
    waiting: Waiting,
    last_stage: Cell<u64>,
    last_step: Cell<u64>,
    last_job: Cell<u64>,
    last_timeout: Cell<u64>,
}

impl Engine {
    /// Reads and checks the definition; nothing runs yet.
    ///
    /// # Errors
    /// All findings of the parser, of the declarative validation and of the compiler; a step that cannot be added.
    pub fn new(mut input: RunInput) -> Result<Engine, Vec<Diagnostic>> {
        let mut machine = Machine::new(input.limits).as_pipeline();
        let of_folder = added::steps_of(&std::mem::take(&mut input.facts.step_files));
        let surroundings = of_folder.and_then(|steps| {
            input.facts.steps.extend(steps);
            Surroundings::with_steps(&input.facts.steps)
        });
        let mut surroundings = surroundings.map_err(|text| vec![Diagnostic::error(Span::default(), text)])?;
        surroundings.unknown_library = !input.facts.libraries.is_empty();
        surroundings.purpose = Purpose::Run;
        let program = Program::load(&input.source, &input.file_name, &surroundings, &mut machine)?;
        let core = Rc::new(Core {
            executor: Rc::default(),
            requests: Requests::default(),
            machine: RefCell::new(machine),
            script: program.script,
            run: RunState::new(&input.facts),
            facts: input::completed(input.facts),
            program,
            pods: OnceCell::new(),
            libraries: Libraries::default(),
            waiting: Waiting::new(),
            last_stage: Cell::new(0),
            last_step: Cell::new(0),
            last_job: Cell::new(0),
            last_timeout: Cell::new(0),
        });
        let root = core.executor.spawn(drive::root(Rc::clone(&core)));
        Ok(Engine { core, root: Some(root), end: None })
    }

    /// What is odd in the definition, but no error.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.core.program.warnings
    }

    /// Works for a while and gives what came of it, or as much of that as is given at once. Call it again while it
    /// [`is_busy`](Self::is_busy).
    pub fn poll(&mut self) -> Vec<Output> {
        for _ in 0..TASKS_PER_POLL {
            if self.core.waiting.is_full() || !self.core.executor.step() {
                break;
            }
        }
        let done = self.root.as_ref().map(|root| root.poll(&self.core.executor));
        if let Some(std::task::Poll::Ready(result)) = done {
            self.root = None;
            self.core.executor.clear();
            self.end = Some(self.core.finish(result));
        }
        self.core.waiting.take()
    }

    /// Is there work that needs no answer first?
    pub fn is_busy(&self) -> bool {
        self.core.executor.has_ready() || !self.core.waiting.is_empty()
    }

    /// Answers a request. False when there is none of that id (it was answered, or the run is over).
    pub fn answer(&mut self, id: RequestId, reply: Reply) -> bool {
        self.core.deliver(id, reply)
    }

    /// How many requests wait for an answer.
    pub fn unanswered(&self) -> usize {
        self.core.requests.len()
    }

    /// A process of that step wrote something: keeps `timeout(activity: true)` from firing.
    pub fn output_seen(&mut self, step: StepId) {
        self.core.run.output_seen(step);
    }

    /// Ends the run: what is under way is cancelled, `post` conditions run, the outcome is ABORTED, or NOT_BUILT where a newer
    /// run takes its place. Calling it again interrupts what runs since.
    pub fn abort(&mut self, reason: &str) {
        let Some(root) = &self.root else { return };
        let cause = superseded_by(reason).map_or_else(|| Cause::Abort(reason.to_owned()), Cause::Superseded);
        let interruption = Interruption { cause, target: root.task, forced: false, actual: true };
        // The second time `post` conditions are ended too.
        self.core.run.post_unwanted.set(self.core.run.aborted.replace(Some(interruption.outcome())).is_some());
        self.core.log(&Scope::default(), LogSource::System, reason);
        self.core.interrupt(&Rc::new(interruption));
    }

    /// How the run ended, when it has, and everything was given that it said.
    pub fn end(&self) -> Option<&RunEnd> {
        self.end.as_ref().filter(|_| self.core.waiting.is_empty())
    }

    /// The outcome of the run, when it has ended.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end().map(|e| e.outcome)
    }

    /// Whose fault the failure is, where a request that could not be done ended the run.
    pub fn failure_kind(&self) -> Option<FailureKind> {
        self.end().and_then(|e| e.failure)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Tasks hold the core, and the core holds the tasks.
        self.core.executor.clear();
    }
}

impl Core {
    pub(crate) fn output(&self, output: Output) {
        self.waiting.push(output);
    }

    /// So much waits to be handed over that whoever says more is to wait.
    pub(crate) fn says_much(&self) -> bool {
        self.waiting.is_full()
    }

    pub(crate) fn event(&self, event: Event) {
        self.output(Output::Event(event));
    }

    /// Writes lines into the log.
    pub(crate) fn log(&self, scope: &Scope, source: LogSource, text: &str) {
        scope.note_activity();
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let lines = lines.map(|line| line.strip_suffix('\r').unwrap_or(line)).inspect(|line| scope.copy_line(line));
        self.waiting.push_lines(scope, source, lines);
    }

    /// Writes what a step says.
    pub(crate) fn say(&self, scope: &Scope, text: &str) {
        self.log(scope, LogSource::Step, text);
    }

    /// Writes one of Jenkins' markers.
    pub(crate) fn mark(&self, scope: &Scope, text: &str) {
        self.event(Event::Log {
            step: scope.step,
            stage: scope.stage,
            source: LogSource::Pipeline,
            text: format!("[Pipeline] {text}"),
        });
    }

    pub(crate) fn next_stage(&self) -> StageId {
        StageId(next(&self.last_stage))
    }

    /// The id of a new step.
    ///
    /// # Errors
    /// The run has made as many steps as a run may.
    pub(crate) fn next_step(&self) -> Result<StepId, Fault> {
        match next(&self.last_step) {
            step if step > MAX_STEPS => {
                Err(Fault::exhausted(format!("the run made {MAX_STEPS} steps, which is its limit")))
            }
            step => Ok(StepId(step)),
        }
    }

    pub(crate) fn next_job(&self) -> JobId {
        JobId(next(&self.last_job))
    }

    pub(crate) fn next_timeout(&self) -> u64 {
        next(&self.last_timeout)
    }
}

fn next(counter: &Cell<u64>) -> u64 {
    counter.set(counter.get() + 1);
    counter.get()
}
