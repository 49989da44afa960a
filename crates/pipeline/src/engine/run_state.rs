//! The state of a run: its result, variables, parameters. A result only ever gets worse.
//!
//! ```text
//!   none -> SUCCESS -> UNSTABLE -> FAILURE -> NOT_BUILT -> ABORTED
//! ```

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use groovy::value::{Charge, Value};
use model::build::Built;
use model::change::Change;
use model::ids::StepId;
use model::limits::MAX_ENV_BYTES;
use model::outcome::Outcome;

use super::fault::Fault;
use super::scope::{Activity, Scope, var_bytes};
use super::values;
use crate::globals::Chance;
use crate::steps::Locks;
use model::run::RunFacts;

/// The changing facts of a run.
pub(crate) struct RunState {
    result: Cell<Option<Outcome>>,
    /// `env.X = …`; build-wide.
    env: RefCell<BTreeMap<String, String>>,
    env_bytes: Cell<usize>,
    /// What else it keeps of the script's counts as values of the script.
    held: Charge,
    held_bytes: Cell<usize>,
    /// `params`, typed.
    pub(crate) params: RefCell<Vec<(String, Value)>>,
    /// Names of those that the definition takes.
    pub(crate) declared: RefCell<BTreeSet<String>>,
    /// Names of those that name a credential.
    pub(crate) of_credentials: RefCell<BTreeSet<String>>,
    /// `currentBuild.displayName`.
    pub(crate) display_name: RefCell<String>,
    /// `currentBuild.keepLog`
    pub(crate) keeps_log: Cell<bool>,
    /// `currentBuild.description`.
    pub(crate) description: RefCell<Option<String>>,
    /// A `pipeline { … }` was reached.
    pub(crate) pipeline_started: Cell<bool>,
    /// A `timeout` has interrupted something.
    pub(crate) timed_out: Cell<bool>,
    /// Somebody aborted the run; what it is then.
    pub(crate) aborted: Cell<Option<Outcome>>,
    /// And again: `post` conditions are not wanted either.
    pub(crate) post_unwanted: Cell<bool>,
    /// `docker.image(x)` objects by number.
    pub(crate) images: RefCell<Vec<String>>,
    /// The channels that messages were meant for, by the number of their answers.
    pub(crate) slack_channels: RefCell<Vec<String>>,
    /// Names of steps that were recorded, so that each is warned of once.
    pub(crate) recorded: RefCell<BTreeSet<&'static str>>,
    /// Calls of them that were kept.
    pub(crate) recorded_calls: Cell<u32>,
    /// What is called of the scripts of added steps, by their numbers.
    pub(crate) added: RefCell<BTreeMap<usize, Value>>,
    /// Branches that have begun and not ended.
    pub(crate) branches: Cell<usize>,
    /// How often it asked for the time.
    pub(crate) clock_reads: Cell<u64>,
    /// Where its random numbers come from.
    pub(crate) random: Chance,
    /// Exceptions that the script holds and that mean more than their text.
    pub(crate) known_faults: RefCell<Vec<(Value, Fault)>>,
    /// What makes the objects that some steps return.
    pub(crate) makers: RefCell<Option<Value>>,
    /// What branches have locked.
    pub(crate) locks: RefCell<Locks>,
    /// Blocks of `timestamps` that are open.
    pub(crate) timestamps: Cell<usize>,
    /// The last `milestone` that it was at.
    pub(crate) milestone: Cell<Option<i64>>,
    /// Runs of other projects that it started and waited for.
    pub(crate) builds: RefCell<Vec<Built>>,
    /// What came since commits that were asked about.
    pub(crate) changes: RefCell<BTreeMap<String, Rc<[Change]>>>,
    /// `currentBuild.changeSets`, once it was asked for.
    pub(crate) change_sets: RefCell<Option<Value>>,
    /// The counters of the bodies around each running process.
    processes: RefCell<BTreeMap<StepId, Rc<Activity>>>,
}

impl RunState {
    pub(crate) fn new(facts: &RunFacts) -> Self {
        let params = facts.params.iter().map(|(n, v)| (n.clone(), values::text(v))).collect();
        RunState {
            result: Cell::new(None),
            env: RefCell::default(),
            env_bytes: Cell::new(0),
            held: Charge::new(0),
            held_bytes: Cell::new(0),
            params: RefCell::new(params),
            declared: RefCell::default(),
            of_credentials: RefCell::default(),
            keeps_log: Cell::default(),
            display_name: RefCell::new(format!("#{}", facts.build_number.max(1))),
            description: RefCell::new(None),
            pipeline_started: Cell::new(false),
            timed_out: Cell::new(false),
            aborted: Cell::new(None),
            post_unwanted: Cell::new(false),
            images: RefCell::default(),
            slack_channels: RefCell::default(),
            recorded: RefCell::default(),
            recorded_calls: Cell::new(0),
            added: RefCell::default(),
            clock_reads: Cell::new(0),
            branches: Cell::new(0),
            random: Chance::new(facts),
            known_faults: RefCell::default(),
            makers: RefCell::default(),
            locks: RefCell::default(),
            timestamps: Cell::new(0),
            milestone: Cell::new(None),
            builds: RefCell::default(),
            changes: RefCell::default(),
            change_sets: RefCell::default(),
            processes: RefCell::default(),
        }
    }

    /// The variables that were set.
    pub(crate) fn env(&self) -> Ref<'_, BTreeMap<String, String>> {
        self.env.borrow()
    }

    /// Sets one.
    ///
    /// # Errors
    /// There is no room for it; in words.
    pub(crate) fn set_env(&self, name: &str, value: String) -> Result<(), String> {
        let mut env = self.env.borrow_mut();
        let before = env.get(name).map_or(0, |old| var_bytes(name, old));
        let bytes = (self.env_bytes.get() - before).saturating_add(var_bytes(name, &value));
        if bytes > MAX_ENV_BYTES {
            let limit = MAX_ENV_BYTES >> 20;
            return Err(format!("the variables of env grew beyond their limit of {limit} MiB: {name} was not set"));
        }
        self.env_bytes.set(bytes);
        env.insert(name.to_owned(), value);
        Ok(())
    }

    /// Keeps so many bytes more of what the script gave, and gives up others.
    pub(crate) fn hold(&self, more: usize, less: usize) {
        self.held_bytes.set(self.held_bytes.get().saturating_add(more).saturating_sub(less));
        self.held.set(self.held_bytes.get());
    }

    /// What was set so far.
    pub(crate) fn result(&self) -> Option<Outcome> {
        self.result.get()
    }

    /// Sets the result, unless a worse one stands.
    pub(crate) fn worsen(&self, outcome: Outcome) {
        self.result.set(Some(self.result.get().map_or(outcome, |r| r.worst(outcome))));
    }

    /// A process of `step` runs inside this scope.
    pub(crate) fn process_started(&self, step: StepId, scope: &Scope) {
        if let Some(activity) = &scope.activity {
            self.processes.borrow_mut().insert(step, Rc::clone(activity));
        }
    }

    /// It has ended.
    pub(crate) fn process_ended(&self, step: StepId) {
        self.processes.borrow_mut().remove(&step);
    }

    /// It wrote something.
    pub(crate) fn output_seen(&self, step: StepId) {
        if let Some(activity) = self.processes.borrow().get(&step) {
            Scope::default().with(|s| s.activity = Some(Rc::clone(activity))).note_activity();
        }
    }
}
