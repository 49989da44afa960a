//! The steps: one table, one file for each family. A step is a future that asks the world through its [`StepCall`] and
//! returns a value or a fault; it never acts itself.

pub(crate) mod args;
mod branches;
mod catch;
mod checks;
mod describable;
pub(crate) mod duration;
mod files;
mod flow;
pub(crate) mod folder;
mod input;
mod junit;
mod keep;
mod library;
mod load;
mod meta;
pub(crate) mod node;
mod scm;
mod shell;
pub(crate) mod stage;
mod text;
mod tool;
mod unknown;
mod variables;

use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::Value;
use model::event::Event;
use model::ids::StepId;
use model::outcome::Outcome;
use model::request::{Reply, Request};

use crate::catalogue::Catalogue;
use crate::engine::Core;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::{Fault, NO_NODE};
use crate::engine::scope::{Node, Scope};
use crate::run;
use crate::run::Spot;

use args::Args;

pub(crate) use branches::{Branch, run_branches};
pub(crate) use describable::SYMBOL;
pub(crate) use scm::checkout_scm;

/// What a step looks like from outside.
struct StepDef {
    name: &'static str,
    /// The name of a single argument without one.
    sole: Option<&'static str>,
    /// It runs a block: the log shows where it ends.
    block: bool,
    run: fn(StepCall) -> LocalFuture<Result<Value, Fault>>,
}

/// One call of a step.
pub(crate) struct StepCall {
    /// The run.
    pub(crate) core: Rc<Core>,
    /// Where it stands, with itself as the step.
    pub(crate) scope: Scope,
    /// Its id.
    pub(crate) id: StepId,
    /// What it was given.
    pub(crate) args: Args,
    /// Where it stands, where a call of a script is what runs it.
    pub(crate) at: Option<Spot>,
}

macro_rules! steps {
    ($($name:literal $(sole $sole:literal)? $(block $block:literal)? => $run:path;)*) => {
        const STEPS: &[StepDef] = &[$(StepDef {
            name: $name,
            sole: steps!(@sole $($sole)?),
            block: steps!(@block $($block)?),
            run: |call| Box::pin($run(call)),
        }),*];
    };
    (@sole) => { None };
    (@sole $sole:literal) => { Some($sole) };
    (@block) => { false };
    (@block $block:literal) => { $block };
}

steps! {
    "ansiColor" sole "colorMapName" block true => meta::pass_through;
    "archive" sole "includes" => keep::archive;
    "archiveArtifacts" sole "artifacts" => keep::archive_artifacts;
    "bat" sole "script" => shell::bat;
    "catchError" sole "message" block true => catch::catch_error;
    "checkout" sole "scm" => scm::checkout;
    "cleanWs" => files::clean_workspace;
    "deleteDir" => files::delete_dir;
    "dir" sole "path" block true => folder::dir;
    "echo" sole "message" => text::echo;
    "error" sole "message" => text::error;
    "fileExists" sole "file" => files::file_exists;
    "getContext" sole "type" => meta::get_context;
    "git" sole "url" => scm::git;
    "input" sole "message" => input::input;
    "isUnix" => folder::is_unix;
    "junit" sole "testResults" => junit::junit;
    "library" sole "identifier" => library::library;
    "libraryResource" sole "resource" => library::library_resource;
    "load" sole "path" block true => load::load;
    "milestone" sole "ordinal" => meta::milestone;
    "node" sole "label" block true => node::node;
    "parallel" block true => branches::parallel;
    "properties" sole "properties" => meta::properties;
    "publishChecks" => checks::publish_checks;
    "pwd" sole "tmp" => folder::pwd;
    "readFile" sole "file" => files::read_file;
    "retry" sole "count" block true => flow::retry;
    "script" block true => meta::pass_through;
    "sh" sole "script" => shell::sh;
    "sleep" sole "time" => flow::sleep;
    "stage" sole "name" block true => stage::stage;
    "stash" sole "name" => keep::stash;
    "step" sole "delegate" => meta::step;
    "timeout" sole "time" block true => flow::timeout;
    "timestamps" block true => meta::timestamps;
    "tool" sole "name" => tool::tool;
    "unstable" sole "message" => catch::unstable;
    "unstash" sole "name" => keep::unstash;
    "validateDeclarativePipeline" sole "path" => files::validate;
    "waitUntil" block true => flow::wait_until;
    "warnError" sole "message" block true => catch::warn_error;
    "withDockerContainer" sole "image" block true => node::with_docker_container;
    "withEnv" sole "overrides" block true => variables::with_env;
    "wrap" sole "delegate" block true => meta::wrap;
    "writeFile" => files::write_file;
    "ws" sole "dir" block true => folder::ws;
}

/// Names of all steps that run.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|s| s.name)
}

fn find(name: &str) -> Option<&'static StepDef> {
    STEPS.iter().find(|s| s.name == name)
}

/// What a call without a receiver does.
pub(crate) fn call(core: &Rc<Core>, scope: &Scope, call: HostCall) -> LocalFuture<Result<Value, Fault>> {
    let (core, scope) = (Rc::clone(core), scope.clone());
    if &*call.name == "pipeline" {
        return Box::pin(run::pipeline(core, scope, call));
    }
    match find(&call.name) {
        Some(def) => Box::pin(async move {
            let at = Spot { script: call.script, start: call.span.start };
            run_def(core, scope, def, Args::of(&call, def.sole)?, Some(at)).await
        }),
        None => {
            Box::pin(async move { describable::value(&call).unwrap_or_else(|| Err(unknown::refuse(&core, &call))) })
        }
    }
}

/// Runs a step that the engine itself calls: an option, an agent, a condition.
pub(crate) async fn run_named(core: &Rc<Core>, scope: &Scope, args: Args) -> Result<Value, Fault> {
    match find(&args.step) {
        Some(def) => run_def(Rc::clone(core), scope.clone(), def, args, None).await,
        None => Err(unknown::refuse_name(&args.step)),
    }
}

/// Arguments as the script would give them, where they were evaluated elsewhere (options, parameters).
pub(crate) fn args_for(name: &str, named: Vec<(String, Value)>, others: Vec<Value>) -> Result<Args, Fault> {
    let catalogue = Catalogue::get();
    let required = || catalogue.of_any_kind(name).find_map(|e| e.sole_required().map(|p| p.name));
    let sole = find(name).and_then(|d| d.sole).or_else(required);
    Args::sorted(name, named, others, sole)
}

async fn run_def(
    core: Rc<Core>,
    scope: Scope,
    def: &'static StepDef,
    args: Args,
    at: Option<Spot>,
) -> Result<Value, Fault> {
    let id = core.next_step()?;
    let label = shell::label(def.name, &args);
    let shown = label.as_ref().filter(|_| args.get("label").is_some() && !def.block);
    core.mark(&scope, &shown.map_or_else(|| def.name.to_owned(), |l| format!("{} ({l})", def.name)));
    let name = def.name.to_owned();
    core.event(Event::StepStarted { step: id, stage: scope.stage, name, label });
    let unknown = args.unknown();
    if !unknown.is_empty() {
        core.say(
            &scope,
            &format!("WARNING: Unknown parameter(s) found for step '{}': {}", def.name, unknown.join(",")),
        );
    }
    let call = StepCall { core: Rc::clone(&core), scope: scope.with(|s| s.step = Some(id)), id, args, at };
    let result = (def.run)(call).await;
    if def.block {
        core.mark(&scope, &format!("// {}", def.name));
    }
    let (outcome, message) = match &result {
        Ok(_) => (Outcome::Success, None),
        Err(fault) => (fault.outcome(), Some(fault.message())),
    };
    core.event(Event::StepFinished { step: id, outcome, message });
    result
}

impl StepCall {
    /// The node, or what Jenkins says where there is none.
    pub(crate) fn node(&self) -> Result<Rc<Node>, Fault> {
        self.scope.node.clone().ok_or_else(|| {
            let text = if self.scope.declarative {
                "Attempted to execute a step that requires a node context while ‘agent none’ was specified. Be sure to \
                 specify your own ‘node { ... }’ blocks when using ‘agent none’."
            } else {
                "Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the step with a step \
                 that provides this, such as: node"
            };
            Fault::raised(NO_NODE, text)
        })
    }

    /// The working folder.
    pub(crate) fn cwd(&self) -> Result<String, Fault> {
        self.node()?;
        Ok(self.scope.cwd().unwrap_or("/").to_owned())
    }

    /// A path, as seen from the working folder.
    pub(crate) fn path(&self, relative: &str) -> Result<String, Fault> {
        Ok(crate::engine::scope::join_path(&self.cwd()?, relative))
    }

    /// Asks the world and waits.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Fault> {
        self.core.ask(request).await
    }

    /// Writes into the log.
    pub(crate) fn say(&self, text: &str) {
        self.core.say(&self.scope, text);
    }

    /// Runs the block of the step in another scope, between the marks.
    pub(crate) async fn run_body(&self, scope: &Scope) -> Result<Value, Fault> {
        let body = self.args.body()?;
        let scope = self.core.deeper(scope)?;
        self.core.mark(&scope, "{");
        let result = self.core.call_body(&scope, body, Vec::new()).await;
        self.core.mark(&scope, "}");
        result
    }
}

/// A reply that does not fit its request is a mistake of the system, not of the author.
pub(crate) fn unexpected(reply: &Reply) -> Fault {
    Fault::failed(model::request::Failure {
        kind: model::request::FailureKind::Infrastructure,
        message: format!("An answer of the wrong kind came back: {reply:?}"),
        hint: None,
    })
}
