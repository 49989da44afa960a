//! `cofferdam plan`: what a run would ask for, found by evaluating the definition with a world in which every command succeeds
//! and prints nothing. Nothing is started, pulled or written.

mod asked;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use agent::{KnownLibrary, LocalProject, Scm as _, Trouble, WayOut};
use model::event::Event;
use model::ids::{JobId, StageId};
use model::library::{Library, LibraryPlace};
use model::limits::Limits;
use model::planning::{self, MAX_REQUESTS, MAX_VIRTUAL_MS};
use model::properties::Properties;
use model::request::{AgentSpec, DockerSpec, FailureKind, Reply, Request};
use model::rung::Rung;
use pipeline::engine::{Engine, Output};
use queue::{Layers, Need, Offer};
use sandbox::local::{Local, LocalConfig};
use serde::Serialize;

use crate::args::{OutputFormat, PlanArgs};
use crate::commands::run::Definition;
use crate::failure::{CommandFailure, Exit};
use crate::place;
use crate::show::stages::Stages;
use crate::show::{Style, tools_of};

/// One line of the plan: stages with what they do below them, branches one after the other.
#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Item {
    Stage {
        name: String,
        depth: usize,
        branch: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        skipped: Option<String>,
    },
    Job {
        depth: usize,
        #[serde(flatten)]
        job: PlannedJob,
    },
    Step {
        depth: usize,
        /// `Build › linux`
        #[serde(skip_serializing_if = "String::is_empty")]
        stage: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
}

/// A job that a run would start.
#[derive(Clone, Debug, Serialize)]
struct PlannedJob {
    /// `Build › linux`
    #[serde(skip_serializing_if = "String::is_empty")]
    stage: String,
    agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// Whether the image is in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<bool>,
    rung: Rung,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    /// It is a container of the engine that its node's machine has.
    inside: bool,
    /// Why this rung and driver.
    why: String,
    /// Why it could not run here.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// What speaks against each other driver.
    others: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct Plan<'a> {
    file: &'a str,
    items: &'a [Item],
    jobs: Vec<&'a PlannedJob>,
    /// What it wants to be told and given.
    #[serde(flatten)]
    asked: asked::Asked,
    /// What in the definition needs a real run's output, so that something may be missing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
}

/// Prints the plan, or only its jobs with all reasons. The exit code is 6 or 7 where a job could not run here.
pub async fn run(args: &PlanArgs, home: Option<&Path>, style: Style, why: bool) -> Result<Exit, CommandFailure> {
    let definition = Definition::read(&args.definition)?;
    let project = LocalProject::look(&definition.project, true).await.map_err(CommandFailure::from)?;
    let mut input = definition.input(&args.definition, &project).await?;
    input.facts.planning = true;
    let engine = Engine::new(input).map_err(|diagnostics| definition.invalid(&diagnostics, args.output, style))?;
    let probes = Local::probe(&LocalConfig::default());
    let monitor = args.monitor.find().map_err(CommandFailure::usage)?;
    let elsewhere = args.engines.elsewhere().map_err(CommandFailure::usage)?;
    let mut planner = Planner {
        engine,
        home,
        stages: Stages::default(),
        skipped: HashMap::new(),
        work: HashMap::new(),
        stage_of: HashMap::new(),
        with_engine: HashSet::new(),
        offers: place::offers(Some(&probes), elsewhere.as_ref(), &monitor, home),
        minimum: args.walls.minimum(),
        network: matches!(place::way_out(args.network, elsewhere.as_ref())?, WayOut::Internet(_)),
        nested: args.nested_namespaces,
        memory_bytes: args.memory.unwrap_or(Limits::default().memory_bytes),
        libraries: args.definition.libraries.clone(),
        project,
        missing: None,
        depends: false,
        worst: Exit::Success,
        properties: None,
        credentials: BTreeSet::new(),
    };
    for line in definition.warnings(planner.engine.warnings()) {
        eprintln!("{line}");
    }
    let complete = planner.evaluate().await;
    let items = planner.items();
    let jobs = items.iter().filter_map(|item| match item {
        Item::Job { job, .. } => Some(job),
        _ => None,
    });
    let failed = planner.engine.end().filter(|end| end.outcome == model::outcome::Outcome::Failure);
    let failed = failed.map(|end| end.message.clone().unwrap_or_else(|| "a step".to_owned()));
    let depends = planner.depends.then(|| planning::DEPENDS.to_owned());
    let incomplete = planner.missing.take().or(failed).or(depends);
    let asked = asked::Asked::new(&definition.text, planner.properties.take(), &planner.credentials);
    let plan = Plan { file: &definition.name, items: &items, jobs: jobs.collect(), asked, incomplete };
    match args.output {
        OutputFormat::Json => {
            if let Ok(line) = serde_json::to_string(&plan) {
                let _ = writeln!(std::io::stdout(), "{line}");
            }
        }
        OutputFormat::Text if why => print_reasons(&plan, style),
        OutputFormat::Text => {
            print(&plan, style);
        }
    }
    if let Some(message) = &plan.incomplete {
        eprintln!("something may be missing: a part of the definition needs what only a run brings ({message})");
    }
    if !complete {
        eprintln!("the plan ends here: the definition waits for something that only a run brings");
    }
    Ok(planner.worst)
}

/// What a stage does.
enum Work {
    Stage(StageId),
    Job(PlannedJob),
    Step { name: String, label: Option<String> },
}

/// An image that a job names.
struct PlannedImage {
    name: String,
    /// `None`: it is not in the store.
    layers: Option<Layers>,
}

struct Planner<'a> {
    engine: Engine,
    home: Option<&'a Path>,
    stages: Stages,
    skipped: HashMap<StageId, String>,
    /// Stages, jobs and steps in each stage, in their order.
    work: HashMap<Option<StageId>, Vec<Work>>,
    /// The stage that asked for a job.
    stage_of: HashMap<JobId, Option<StageId>>,
    /// Jobs whose machine has a Docker Engine.
    with_engine: HashSet<JobId>,
    offers: Vec<Offer>,
    minimum: (Rung, String),
    network: bool,
    nested: bool,
    memory_bytes: u64,
    /// Libraries that the definition finds by their names.
    libraries: Vec<KnownLibrary>,
    project: LocalProject,
    /// Why something that the definition wants is not there.
    missing: Option<String>,
    /// It has asked for what only a run knows.
    depends: bool,
    /// Ids of the credentials that it has asked for.
    credentials: BTreeSet<String>,
    worst: Exit,
    /// What the definition says of its project, last.
    properties: Option<Properties>,
}

impl Planner<'_> {
    /// Answers every request until the run ends. False when it does not. Time is virtual: it goes on when nothing but timers
    /// is waited for, so a `sleep` takes no time and a `timeout` never fires before what it guards is done.
    async fn evaluate(&mut self) -> bool {
        let mut timers = BTreeMap::new();
        let (mut requests, mut now_ms) = (0, 0_u64);
        loop {
            for output in self.engine.poll() {
                match output {
                    Output::Event(event) => self.event(event),
                    Output::Cancel { id } => {
                        timers.retain(|_, timer| *timer != id);
                        self.engine.answer(id, Reply::Cancelled);
                    }
                    Output::Request { id, request } => {
                        requests += 1;
                        match *request {
                            Request::Sleep { ms } => drop(timers.insert((now_ms.saturating_add(ms), id), id)),
                            Request::Now => drop(self.engine.answer(id, Reply::Time(now_ms))),
                            Request::ReadTrusted { path } => {
                                let found = self.project.read(&path).await.ok().flatten();
                                let missing = || Trouble::workload(format!("{path} is no file of the project"));
                                let text = found.map(|content| String::from_utf8_lossy(&content).into_owned());
                                let reply = text.map_or_else(|| Reply::from(missing()), Reply::Text);
                                self.engine.answer(id, reply);
                            }
                            Request::Changes { since } => {
                                let found = self.project.changes(&since).await;
                                let reply =
                                    found.map_or_else(|error| Reply::from(Trouble::from(error)), Reply::Changes);
                                self.engine.answer(id, reply);
                            }
                            // What the definition says the address of itself is not fetched for a plan.
                            Request::Library(wish) if matches!(wish.place, LibraryPlace::Configured) => {
                                let scratch = place::home(self.home).join("scratch");
                                let found = agent::known_library(&self.libraries, &wish, &scratch).await;
                                // The rest is worth knowing all the same.
                                let library = found.unwrap_or_else(|trouble| {
                                    self.missing.get_or_insert(trouble.0.message);
                                    Library::default()
                                });
                                self.engine.answer(id, Reply::Library(library));
                            }
                            request => {
                                let reply = self.reply(&request);
                                self.engine.answer(id, reply);
                            }
                        }
                    }
                }
            }
            if self.engine.end().is_some() {
                return true;
            }
            if requests > MAX_REQUESTS || now_ms > MAX_VIRTUAL_MS {
                return false;
            }
            if self.engine.is_busy() {
                continue;
            }
            let Some(((due_ms, _), id)) = timers.pop_first() else { return false };
            now_ms = due_ms;
            self.engine.answer(id, Reply::Done);
        }
    }

    fn event(&mut self, event: Event) {
        self.stages.apply(Duration::ZERO, &event);
        match event {
            Event::StageStarted { stage, parent, .. } => self.work.entry(parent).or_default().push(Work::Stage(stage)),
            Event::PropertiesSet { properties } => self.properties = Some(properties),
            Event::StageSkipped { stage, reason } => drop(self.skipped.insert(stage, reason)),
            Event::JobRequested { job, stage, .. } => drop(self.stage_of.insert(job, stage)),
            Event::StepStarted { stage, name, label, .. }
                if matches!(name.as_str(), "sh" | "checkout" | "git" | "archiveArtifacts") =>
            {
                self.work.entry(stage).or_default().push(Work::Step { name, label });
            }
            _ => {}
        }
    }

    /// What was found: everything in the order in which it began, each stage whole.
    fn items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut open = vec![None];
        let mut rest: HashMap<_, std::vec::IntoIter<Work>> =
            std::mem::take(&mut self.work).into_iter().map(|(stage, work)| (stage, work.into_iter())).collect();
        while let Some(at) = open.last().copied() {
            let path = self.stages.path(at);
            let depth = at.map_or(0, |stage| self.stages.depth(stage) + 1);
            match rest.get_mut(&at).and_then(Iterator::next) {
                None => drop(open.pop()),
                Some(Work::Job(job)) => items.push(Item::Job { depth, job: PlannedJob { stage: path, ..job } }),
                Some(Work::Step { name, label }) => items.push(Item::Step { depth, stage: path, name, label }),
                Some(Work::Stage(id)) => {
                    open.push(Some(id));
                    if let Some(stage) = self.stages.stage(id).filter(|stage| !stage.is_hidden()) {
                        let (name, skipped) = (stage.name.clone(), self.skipped.remove(&id));
                        let (depth, branch) = (self.stages.depth(id), stage.is_branch());
                        items.push(Item::Stage { name, depth, branch, skipped });
                    }
                }
            }
        }
        items
    }

    fn reply(&mut self, request: &Request) -> Reply {
        self.depends |= planning::depends(request);
        self.credentials.extend(planning::credential(request).filter(|id| !id.is_empty()).map(str::to_owned));
        if let Request::Allocate { job: id, agent, engine, shares } = request {
            let job = match agent {
                AgentSpec::Docker(docker)
                    if docker.workspace_of.is_some_and(|node| self.with_engine.contains(&node)) =>
                {
                    self.inside(docker)
                }
                _ => self.job(*id, agent, engine.as_ref(), shares.as_ref()),
            };
            let stage = self.stage_of.get(id).copied().flatten();
            self.work.entry(stage).or_default().push(Work::Job(job));
        }
        planning::reply(request)
    }

    /// A container beside its node's job, in the machine of both.
    fn inside(&mut self, docker: &DockerSpec) -> PlannedJob {
        let image = self.image(docker);
        let (need, _) =
            Need { engine: Some("a container beside its node".to_owned()), ..self.need() }.with_docker(docker);
        let refused = queue::place(&Need { layers: image.layers, ..need }, &self.offers).err();
        if refused.is_some() {
            // It is the engine that says so to a run, when a step asks for it.
            self.worst = Exit::from(FailureKind::Workload);
        }
        PlannedJob {
            stage: String::new(),
            agent: "docker".to_owned(),
            present: Some(image.layers.is_some()),
            image: Some(image.name),
            rung: Rung::Microvm,
            driver: Some("microvm".to_owned()).filter(|_| refused.is_none()),
            inside: true,
            why: "it shares the workspace of its node, whose machine has a Docker Engine".to_owned(),
            refused: refused.map(|refused| refused.to_string()),
            others: Vec::new(),
        }
    }

    /// What a job needs, before its definition is asked.
    fn need(&self) -> Need {
        Need {
            image: false,
            minimum: self.minimum.clone(),
            engine: None,
            shares: None,
            network: self.network,
            nested: self.nested,
            memory_bytes: self.memory_bytes,
            layers: None,
            device: None,
        }
    }

    /// An image as a run names it, and what the store has of it.
    fn image(&self, docker: &DockerSpec) -> PlannedImage {
        let name = agent::qualified(docker);
        let Ok(reference) = name.parse::<image::Reference>() else { return PlannedImage { name, layers: None } };
        let layers = place::open_store(self.home).ok().and_then(|store| {
            let image = store.resolve(&reference).ok().flatten()?;
            Some(agent::layers(&store, &image))
        });
        PlannedImage { name: reference.to_string(), layers }
    }

    fn job(&mut self, id: JobId, agent: &AgentSpec, engine: Option<&String>, shares: Option<&String>) -> PlannedJob {
        let (words, docker) = match agent {
            AgentSpec::Any => ("any".to_owned(), None),
            AgentSpec::Label(label) => (format!("label {label}"), None),
            AgentSpec::Docker(docker) => ("docker".to_owned(), Some(docker)),
        };
        let need = Need { engine: engine.cloned(), shares: shares.cloned(), ..self.need() };
        let (mut need, malformed) = match docker.map(|docker| need.clone().with_docker(docker)) {
            Some((need, args)) => (need, args.err().map(|error| error.to_string())),
            None => (need, None),
        };
        let image = docker.map(|docker| self.image(docker));
        need.layers = image.as_ref().and_then(|image| image.layers);
        let placed = queue::place(&need, &self.offers);
        let refused = match (&placed, malformed) {
            (_, Some(malformed)) => Some((FailureKind::Workload, malformed)),
            (Ok(_), None) => None,
            (Err(refused), None) => Some((FailureKind::Infrastructure, refused.to_string())),
        };
        if let Some((kind, _)) = &refused {
            self.worst = Exit::from(*kind);
        }
        let others = queue::others(&need, &self.offers, placed.as_ref().ok());
        if placed.as_ref().is_ok_and(|placed| placed.engine) {
            self.with_engine.insert(id);
        }
        let (rung, driver, why) = match placed {
            Ok(placed) => (placed.rung, Some(placed.driver.to_owned()), placed.to_string()),
            Err(refused) => (refused.rung, None, refused.to_string()),
        };
        let (image, present) = image.map(|image| (image.name, image.layers.is_some())).unzip();
        let refused = refused.map(|(_, why)| why);
        PlannedJob {
            stage: String::new(),
            agent: words,
            image,
            present,
            rung,
            driver,
            inside: false,
            why,
            refused,
            others,
        }
    }
}

fn print_reasons(plan: &Plan<'_>, style: Style) {
    let mut out = std::io::stdout().lock();
    for job in &plan.jobs {
        let what = job.image.clone().unwrap_or_else(|| format!("{} ({})", tools_of(job.rung), job.agent));
        let stage = if job.stage.is_empty() { String::new() } else { format!("{}: ", job.stage) };
        let place = match &job.driver {
            Some(driver) => format!("rung {}, driver {driver}", job.rung.name()),
            None => style.red("nowhere on this host"),
        };
        let mut lines = vec![style.bold(&format!("{stage}{what}")), format!("  {place}")];
        lines.extend(job.why.split("; ").map(|clause| format!("    because {clause}")));
        lines.extend(job.others.iter().map(|(driver, why)| style.dim(&format!("  not {driver}: {why}"))));
        let _ = writeln!(out, "{}", lines.join("\n"));
    }
}

fn print(plan: &Plan<'_>, style: Style) {
    let mut out = std::io::stdout().lock();
    for item in plan.items {
        let line = match item {
            Item::Stage { name, depth, branch, skipped } => {
                let kind = if *branch { "branch" } else { "stage" };
                let skipped = skipped.as_ref().map(|why| format!("  {}", style.dim(why))).unwrap_or_default();
                format!("{}{} {}{skipped}", "  ".repeat(*depth), style.dim(kind), style.bold(name))
            }
            Item::Job { depth, job } => {
                let what = job.image.clone().unwrap_or_else(|| format!("{} ({})", tools_of(job.rung), job.agent));
                let present = match job.present {
                    Some(true) => ", in the store",
                    Some(false) => ", to be pulled",
                    None => "",
                };
                let refused = job
                    .refused
                    .as_ref()
                    .map(|why| format!("  {}", style.red(&format!("refused: {why}"))))
                    .unwrap_or_default();
                let why = match job.rung > Rung::Container && job.refused.is_none() {
                    true => format!("  {}", style.dim(&job.why)),
                    false => String::new(),
                };
                format!(
                    "{}{} {what} on rung {}{present}{refused}{why}",
                    "  ".repeat(*depth),
                    style.cyan(if job.inside { "container" } else { "sandbox" }),
                    job.rung.name()
                )
            }
            Item::Step { depth, name, label, .. } => {
                format!("{}{name} {}", "  ".repeat(*depth), style.dim(label.as_deref().unwrap_or_default()))
            }
        };
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (what, names) in plan.asked.lines() {
        let _ = writeln!(out, "{} {}", style.dim(what), names.join(", "));
    }
}
