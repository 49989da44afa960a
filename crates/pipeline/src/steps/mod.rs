//! The steps: one table, one file for each family. A step is a future that asks the world through its [`StepCall`] and
//! returns a value or a fault; it never acts itself.

mod added;
pub(crate) mod args;
mod branches;
mod build;
mod catch;
mod checks;
mod copy;
pub(crate) mod credentials;
mod describable;
mod described;
pub(crate) mod duration;
mod file_operations;
mod files;
mod flow;
pub(crate) mod folder;
mod http;
mod input;
mod junit;
mod keep;
mod library;
mod load;
mod lock;
mod maven;
mod meta;
pub(crate) mod node;
pub(crate) mod objects;
pub(crate) mod pods;
mod record;
mod reports;
mod scm;
mod shell;
mod size;
pub(crate) mod stage;
mod text;
pub(crate) mod tool;
mod unknown;
mod utility;
mod variables;
mod xunit;

use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::{Str, Value};
use model::event::Event;
use model::ids::StepId;
use model::outcome::Outcome;
use model::request::{Reply, Request};

use crate::catalogue::{Catalogue, Entry, Support};
use crate::engine::Core;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::{Fault, NO_NODE};
use crate::engine::scope::{Node, Scope};
use crate::run;
use crate::run::Spot;

use args::Args;

pub(crate) use branches::{Branch, run_branches};
pub(crate) use credentials::is_binding;
pub(crate) use describable::SYMBOL;
pub(crate) use files::read_of_repository;
pub(crate) use lock::Locks;
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
#[derive(Clone)]
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
    "allure" sole "results" => reports::keep;
    "androidLint" => reports::keep;
    "ansiColor" sole "colorMapName" block true => meta::ansi_color;
    "archive" sole "includes" => keep::archive;
    "archiveArtifacts" sole "artifacts" => keep::archive_artifacts;
    "bat" sole "script" => shell::bat;
    "buildDescription" sole "descriptionTemplate" => described::build_description;
    "buildName" sole "nameTemplate" => described::build_name;
    "build" sole "job" => build::build;
    "catchError" sole "message" block true => catch::catch_error;
    "checkout" sole "scm" => scm::checkout;
    "checkstyle" sole "pattern" => reports::keep;
    "cleanWs" => files::clean_workspace;
    "clover" => reports::keep;
    "cobertura" sole "coberturaReportFile" => reports::keep;
    "cucumber" sole "fileIncludePattern" => reports::keep;
    "compareVersions" => utility::version::compare_versions;
    "configFileProvider" sole "managedFiles" block true => credentials::config_file_provider;
    "copyArtifacts" sole "projectName" => copy::copy_artifacts;
    "container" sole "name" block true => pods::container;
    "deleteDir" => files::delete_dir;
    "dependencyCheckPublisher" => reports::keep;
    "dir" sole "path" block true => folder::dir;
    "dry" => reports::keep;
    "echo" sole "message" => text::echo;
    "envVarsForTool" => tool::variables;
    "error" sole "message" => text::error;
    "evaluate" sole "script" => load::evaluate;
    "fileExists" sole "file" => files::file_exists;
    "fileOperations" sole "fileOperations" => file_operations::file_operations;
    "findbugs" sole "pattern" => reports::keep;
    "gatlingArchive" => reports::keep;
    "findFiles" sole "glob" => utility::files::find_files;
    "fingerprint" sole "targets" => keep::fingerprint;
    "getContext" sole "type" => meta::get_context;
    "git" sole "url" => scm::git;
    "httpRequest" sole "url" => http::http_request;
    "input" sole "message" => input::input;
    "isUnix" => folder::is_unix;
    "jacoco" sole "execPattern" => reports::keep;
    "javadoc" sole "javadocDir" => reports::javadoc;
    "junit" sole "testResults" => junit::junit;
    "realtimeJUnit" sole "testResults" block true => junit::realtime;
    "library" sole "identifier" => library::library;
    "libraryResource" sole "resource" => library::library_resource;
    "load" sole "path" block true => load::load;
    "lock" sole "resource" block true => lock::lock;
    "md5" sole "file" => utility::digest::hash;
    "milestone" sole "ordinal" => meta::milestone;
    "mstest" sole "testResultsFile" => reports::keep;
    "node" sole "label" block true => node::node;
    "nodesByLabel" sole "label" => node::nodes_by_label;
    "nunit" sole "testResultsPattern" => reports::keep;
    "openTasks" => reports::keep;
    "parallel" block true => branches::parallel;
    "perfReport" sole "sourceDataFiles" => reports::keep;
    "plot" => reports::keep;
    "pmd" sole "pattern" => reports::keep;
    "podTemplate" sole "name" block true => pods::pod_template;
    "powershell" sole "script" => shell::powershell;
    "prependToFile" => utility::files::prepend;
    "properties" sole "properties" => meta::properties;
    "publishChecks" => checks::publish_checks;
    "publishCoverage" => reports::keep;
    "publishCppcheck" => reports::keep;
    "publishHTML" sole "target" => reports::publish_html;
    "pwd" sole "tmp" => folder::pwd;
    "pwsh" sole "script" => shell::pwsh;
    "readCSV" => utility::csv::read_csv;
    "readFile" sole "file" => files::read_file;
    "recordCoverage" => reports::keep;
    "recordIssues" => reports::keep;
    "readJSON" => utility::json::read_json;
    "readManifest" => utility::manifest::read_manifest;
    "readMavenPom" => utility::maven::read_maven_pom;
    "readProperties" => utility::properties::read_properties;
    "readTrusted" sole "path" => files::read_trusted;
    "readTOML" => utility::toml::read_toml;
    "readYaml" => utility::yaml::read_yaml;
    "retry" sole "count" block true => flow::retry;
    "robot" sole "outputPath" => reports::keep;
    "scoverage" => reports::keep;
    "script" block true => meta::pass_through;
    "sh" sole "script" => shell::sh;
    "sha1" sole "file" => utility::digest::hash;
    "sha256" sole "file" => utility::digest::hash;
    "sha512" sole "file" => utility::digest::hash;
    "sleep" sole "time" => flow::sleep;
    "sshagent" sole "credentials" block true => credentials::ssh_agent;
    "stage" sole "name" block true => stage::stage;
    "stash" sole "name" => keep::stash;
    "step" sole "delegate" => meta::step;
    "tap" sole "testResults" => reports::keep;
    "tar" sole "file" => utility::archives::tar;
    "tee" sole "file" block true => text::tee;
    "testNG" sole "reportFilenamePattern" => reports::keep;
    "timeout" sole "time" block true => flow::timeout;
    "maskPasswords" block true => credentials::mask_passwords;
    "timestamps" block true => meta::timestamps;
    "tool" sole "name" => tool::tool;
    "touch" sole "file" => utility::files::touch;
    "unarchive" => keep::unarchive;
    "unstable" sole "message" => catch::unstable;
    "unstash" sole "name" => keep::unstash;
    "untar" sole "file" => utility::archives::untar;
    "unzip" sole "zipFile" => utility::archives::unzip;
    "validateDeclarativePipeline" sole "path" => files::validate;
    "verifyMd5" => utility::digest::verify;
    "verifySha1" => utility::digest::verify;
    "verifySha256" => utility::digest::verify;
    "verifySha512" => utility::digest::verify;
    "waitUntil" block true => flow::wait_until;
    "warnError" sole "message" block true => catch::warn_error;
    "warnings" => reports::keep;
    "withAWS" block true => described::with_aws;
    "withBuildUser" block true => described::with_build_user;
    "withCredentials" sole "bindings" block true => credentials::with_credentials;
    "withDockerContainer" sole "image" block true => node::with_docker_container;
    "withDockerRegistry" sole "registry" block true => credentials::with_docker_registry;
    "withEnv" sole "overrides" block true => variables::with_env;
    "withNPM" sole "npmrcConfig" block true => credentials::with_npm;
    "withMaven" block true => maven::with_maven;
    "wrap" sole "delegate" block true => meta::wrap;
    "writeCSV" => utility::csv::write_csv;
    "writeFile" => files::write_file;
    "writeJSON" => utility::json::write_json;
    "writeMavenPom" => utility::maven::write_maven_pom;
    "writeTOML" => utility::toml::write_toml;
    "writeYaml" => utility::yaml::write_yaml;
    "ws" sole "dir" block true => folder::ws;
    "xunit" sole "tools" => xunit::xunit;
    "zip" sole "zipFile" => utility::archives::zip;
}

/// Names of all steps that run.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|s| s.name)
}

/// What a name of a step comes to.
#[derive(Clone, Copy)]
enum Runner {
    /// A step of the table above.
    Own(&'static StepDef),
    /// One that only keeps what it was asked for.
    Recorded(&'static Entry),
    /// One that is not built in, and which of them.
    Added(&'static Entry, usize),
}

impl Runner {
    /// Of all that a run has.
    fn of(core: &Core, name: &str) -> Option<Runner> {
        let runner = Runner::in_catalogue(core.program.catalogue(), name)?;
        let delivers = matches!(runner, Runner::Recorded(Entry { support: Support::Delivered(_), .. }));
        Some(runner).filter(|_| !delivers || core.facts.records_deliveries)
    }

    fn in_catalogue(catalogue: &'static Catalogue, name: &str) -> Option<Runner> {
        let own = STEPS.iter().find(|s| s.name == name).map(Runner::Own);
        own.or_else(|| {
            let entry = catalogue.step(name)?;
            match (entry.added, entry.support) {
                (Some(added), _) => Some(Runner::Added(entry, added.number)),
                (None, Support::Recorded(_) | Support::Delivered(_)) => Some(Runner::Recorded(entry)),
                (None, _) => None,
            }
        })
    }

    /// What is known of its arguments.
    fn entry(&self) -> Option<&'static Entry> {
        match self {
            Runner::Own(def) => Catalogue::get().step(def.name),
            Runner::Recorded(entry) | Runner::Added(entry, _) => Some(entry),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Runner::Own(def) => def.name,
            Runner::Recorded(entry) | Runner::Added(entry, _) => entry.name,
        }
    }

    /// The name of a single argument without one.
    fn sole(&self) -> Option<&'static str> {
        match self {
            Runner::Own(def) => def.sole,
            Runner::Recorded(entry) => Some(record::sole(entry)),
            Runner::Added(entry, _) => entry.sole().map(|p| p.name),
        }
    }

    /// It runs a block: the log shows where it ends.
    fn is_block(&self) -> bool {
        match self {
            Runner::Own(def) => def.block,
            Runner::Recorded(entry) | Runner::Added(entry, _) => entry.block,
        }
    }

    /// Whether the log shows where this call ends. One that lacks its block does not begin.
    ///
    /// Source: `DSL.invokeStep` of workflow-cps.
    fn is_frame(&self, args: &Args) -> Result<bool, Fault> {
        match (self.name(), self) {
            ("parallel" | "load", _) => Ok(true),
            ("stage", _) | (_, Runner::Recorded(_)) => Ok(self.is_block() && args.body.is_some()),
            _ if self.is_block() => args.body().map(|_| true),
            _ => Ok(false),
        }
    }

    fn run(&self, call: StepCall) -> LocalFuture<Result<Value, Fault>> {
        match self {
            Runner::Own(def) => (def.run)(call),
            Runner::Recorded(entry) => Box::pin(record::record(call, entry)),
            Runner::Added(_, number) => Box::pin(added::run(call, *number)),
        }
    }
}

/// What a call without a receiver does.
pub(crate) fn call(core: &Rc<Core>, scope: &Scope, call: HostCall) -> LocalFuture<Result<Value, Fault>> {
    let (core, scope) = (Rc::clone(core), scope.clone());
    if &*call.name == "pipeline" {
        return Box::pin(run::pipeline(core, scope, call));
    }
    let is_value = describable::is_value(&call) || describable::is_binding(&call);
    let runner = Runner::of(&core, &call.name).filter(|_| !is_value);
    match runner {
        Some(runner) => Box::pin(async move {
            let at = Spot { script: call.script, start: call.span.start };
            run_def(core, scope, runner, Args::of(&call, runner.sole())?, (&call.joined, Some(at))).await
        }),
        // A tool or a value may have the name of a step: what the step would do is not passed over in silence.
        None if !is_value && core.program.catalogue().step(&call.name).is_some() => {
            Box::pin(async move { Err(unknown::refuse(&core, &call)) })
        }
        None => {
            Box::pin(async move { describable::value(&call).unwrap_or_else(|| Err(unknown::refuse(&core, &call))) })
        }
    }
}

/// Runs a step that the engine itself calls: an option, an agent, a condition.
pub(crate) async fn run_named(core: &Rc<Core>, scope: &Scope, args: Args) -> Result<Value, Fault> {
    match Runner::of(core, &args.step) {
        Some(runner) => run_def(Rc::clone(core), scope.clone(), runner, args, (&[], None)).await,
        None => Err(unknown::refuse_name(core, &args.step)),
    }
}

/// Runs a step in the place of the one that was called, which is all that people see.
async fn run_instead(call: &StepCall, args: Args) -> Result<Value, Fault> {
    let core = Rc::clone(&call.core);
    match Runner::of(&core, &args.step) {
        Some(runner) => runner.run(StepCall { core, scope: call.scope.clone(), id: call.id, args, at: call.at }).await,
        None => Err(unknown::refuse_name(&core, &args.step)),
    }
}

/// Of a step that runs or is recorded, the name of a single argument without one: `None` inside, it takes none.
pub(crate) fn sole_in(catalogue: &'static Catalogue, name: &str) -> Option<Option<&'static str>> {
    Runner::in_catalogue(catalogue, name).map(|runner| runner.sole())
}

/// The name of a single argument that a step is given without one.
fn sole_of(core: &Core, name: &str) -> Option<&'static str> {
    Runner::of(core, name).and_then(|runner| runner.sole())
}

/// Arguments as the script would give them, where they were evaluated elsewhere (options, parameters).
pub(crate) fn args_for(name: &str, named: Vec<(String, Value)>, others: Vec<Value>) -> Result<Args, Fault> {
    let catalogue = Catalogue::get();
    let required = || catalogue.of_any_kind(name).find_map(|e| e.sole_required().map(|p| p.name));
    let sole = Runner::in_catalogue(catalogue, name).and_then(|runner| runner.sole()).or_else(required);
    Args::sorted(name, named, others, sole)
}

/// Runs a step that is called at a place with texts that the script put together.
async fn run_def(
    core: Rc<Core>,
    scope: Scope,
    runner: Runner,
    args: Args,
    (joined, at): (&[Str], Option<Spot>),
) -> Result<Value, Fault> {
    let unknown = args.unknown(runner.entry());
    args.check_size(&unknown)?;
    let (id, name) = (core.next_step()?, runner.name());
    let is_frame = runner.is_frame(&args)?;
    let label = shell::label(name, &args);
    let shown = label.as_ref().filter(|_| args.get("label").is_some() && !runner.is_block());
    let mark = meta::symbol(&core, &args).unwrap_or(name);
    core.mark(&scope, &shown.map_or_else(|| mark.to_owned(), |l| format!("{name} ({l})")));
    core.event(Event::StepStarted { step: id, stage: scope.stage, name: name.to_owned(), label });
    if let Some(lines) = credentials::warning(&scope, name, (&args, joined)) {
        lines.iter().for_each(|line| core.say(&scope, line));
    }
    if !unknown.is_empty() {
        core.say(&scope, &format!("WARNING: Unknown parameter(s) found for step '{name}': {}", unknown.join(",")));
    }
    let call = StepCall { core: Rc::clone(&core), scope: scope.with(|s| s.step = Some(id)), id, args, at };
    // What an interruption found where nothing waits ends before it does more: else a loop of steps that never wait goes on for long.
    let ran = match core.check_interrupted() {
        Ok(()) => runner.run(call).await,
        Err(fault) => Err(fault),
    };
    let result = match ran {
        Ok(value) => core.write_long_copies(&scope).await.map(|()| value),
        Err(fault) => Err(fault),
    };
    if is_frame {
        core.mark(&scope, &format!("// {mark}"));
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
        self.scope.node.clone().ok_or_else(|| self.without_node())
    }

    /// What Jenkins says where there is no node.
    fn without_node(&self) -> Fault {
        let step = &self.args.step;
        let text = format!(
            "Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the {step} step with a step \
             that provides this, such as: node"
        );
        Fault::raised(NO_NODE, text)
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
        self.core.write_copies(&self.scope).await?;
        self.core.ask(request).await
    }

    /// Writes into the log.
    pub(crate) fn say(&self, text: &str) {
        self.core.say(&self.scope, text);
    }

    /// Runs the block of the step in another scope, between the marks.
    pub(crate) async fn run_body(&self, scope: &Scope) -> Result<Value, Fault> {
        self.core.check_interrupted()?;
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
