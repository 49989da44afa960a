//! `cofferdam run`: a process that evaluates, the performer and a view, tied together on one thread.

use std::collections::{BTreeSet, HashMap};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agent::{Kept, LocalProject, Performer};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use groovy::diagnostic::{Diagnostic, Severity};
use model::added_step::AddedStep;
use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, StageId, StepId};
use model::outcome::Outcome;
use model::planning;
use model::request::{Question, Reply, Request};
use model::resources::Resources;
use model::run::{BuildCause, RunEnd, RunFacts};
use model::rung::Trust;
use pipeline::engine::RunInput;
use secrets::Masker;
use tokio::sync::{mpsc, oneshot};
use wire::engine::{Begin, Heard, Input};

use crate::args::{DefinitionArgs, OutputFormat, RunArgs};
use crate::ask::Terminal;
use crate::credentials::{self, Surroundings};
use crate::failure::{CommandFailure, Exit};
use crate::machine::{self, Machine};
use crate::show::{self, Show, Style, Summary};
use crate::{added, leftovers, place, shell, source};

/// Where the pages of a run would be, if there were any: a message may have the address in it.
const NO_SERVER: &str = "http://localhost";
/// Events that may wait for the view. A view that is slower than the output slows the output down.
const EVENT_QUEUE: usize = 256;
/// How often a live view is redrawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How often a run is told that a step writes something, where it wants to know.
const ACTIVITY: Duration = Duration::from_secs(1);

/// Runs a pipeline to its end.
pub async fn run(args: &RunArgs, home: Option<&Path>, style: Style) -> Result<Exit, CommandFailure> {
    let started = Instant::now();
    // The launcher starts while the definition is read and git looks at the project. What keeps it from starting is said after what
    // is wrong with the definition.
    let drivers = std::thread::spawn(place::drivers);
    let definition = Definition::read(&args.definition)?;
    let credentials = credentials::gather(&args.secrets, args.place.walls.trust(), &Surroundings::own())?;
    let project = LocalProject::look(&definition.project, args.dirty).await?;
    // A stranger's definition sees no other branch.
    let project = if args.place.walls.trust() == Trust::Protected { project.with_versions() } else { project };
    let RunInput { source, file_name, facts, .. } = definition.input(&args.definition, &project).await?;
    // Only `timeout(activity: true)` wants to know of output.
    let watches_activity = source.contains("activity");
    let mut engine = Kept::start(place::engine_program(), Begin { source, file_name, facts: facts.clone() })?;
    match engine.next().await? {
        Heard::Begun(findings) => {
            for line in definition.warnings(&findings.into_iter().map(source::diagnostic).collect::<Vec<_>>()) {
                eprintln!("{line}");
            }
        }
        Heard::Invalid(findings) => {
            let diagnostics: Vec<_> = findings.into_iter().map(source::diagnostic).collect();
            return Err(definition.invalid(&diagnostics, args.output, style));
        }
        other => return Err(CommandFailure::new(Exit::Infrastructure, format!("the engine began with {other:?}"))),
    }
    let artifacts = args.artifacts.clone().unwrap_or_else(|| definition.project.join(".cofferdam/artifacts"));
    let (sender, receiver) = mpsc::channel(EVENT_QUEUE);
    let description = project.description().to_owned();
    let drivers = drivers.join().unwrap_or_else(|_| {
        Err(CommandFailure::new(Exit::Infrastructure, "the thread that starts the launcher has ended"))
    })?;
    // What killed runs have left there; what cannot be removed, `clean` reports.
    let _ = leftovers::sweep(home);
    let machine = Machine::new(&args.place, home, drivers, None)?;
    let host = machine.host(machine::Of {
        resources: Resources::default(),
        project: definition.job_name(),
        minimum: None,
        mentions: agent::mentions::of_folder(&definition.text, &definition.project),
        scm: Some(Arc::new(project)),
        credentials: Some(Arc::new(credentials)),
        artifacts: artifacts.clone(),
        always_pull: args.pull,
        env: args.definition.env.clone(),
        label_env: args.definition.node_env.clone(),
        libraries: args.definition.libraries.clone(),
    })?;
    let performer = Performer::new(host, sender);
    let interactive = std::io::stdout().is_terminal()
        && std::env::var_os("CI").is_none()
        && std::env::var("TERM").as_deref() != Ok("dumb");
    let mut run = Run {
        engine,
        activity: watches_activity.then(HashMap::new),
        show: show::choose(args, interactive, style),
        started,
        facts,
        masker: Masker::default(),
        used: BTreeSet::new(),
        told_short: BTreeSet::new(),
        asked: HashMap::new(),
        cancels: HashMap::new(),
        steps: HashMap::new(),
        exec_jobs: HashMap::new(),
        shell_wanted: args.shell_on_failure,
        for_people: args.output == OutputFormat::Text,
        failed_in: None,
        interrupts: 0,
        wall_met: false,
        archived: false,
        took: Vec::new(),
    };
    let end = run.drive(&performer, receiver).await;
    performer.close().await;
    let end = end?;
    run.took.insert(0, ("checked out".to_owned(), description));
    if run.archived && artifacts.is_dir() {
        place::keep_out_of_git(&artifacts);
        run.took.push(("artifacts".to_owned(), artifacts.display().to_string()));
    }
    let summary = Summary { outcome: end.outcome.name().to_owned(), facts: std::mem::take(&mut run.took) };
    run.show.finish(started.elapsed(), &summary);
    Ok(exit_code(&end, run.wall_met))
}

/// What the outcome of a run means to whoever called the program.
fn exit_code(end: &RunEnd, wall_met: bool) -> Exit {
    match end.outcome {
        Outcome::Success => Exit::Success,
        Outcome::Unstable => Exit::Unstable,
        _ if end.timed_out => Exit::Timeout,
        _ if end.aborted => Exit::Interrupted,
        _ if wall_met => Exit::Timeout,
        _ => end.failure.map_or(Exit::Failed, Exit::from),
    }
}

/// A definition and where it lies.
pub struct Definition {
    /// The project's folder, absolute.
    pub project: PathBuf,
    /// Name of the file as given.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Steps that it may call beside those that are built in.
    pub steps: Vec<AddedStep>,
}

impl Definition {
    /// Finds and reads it.
    pub fn read(args: &DefinitionArgs) -> Result<Definition, CommandFailure> {
        let project = args.project.canonicalize().map_err(|error| CommandFailure::io("open", &args.project, &error))?;
        if !project.is_dir() {
            return Err(CommandFailure::usage(format!("{} is no folder", project.display()))
                .with_hint("name the project's folder, and the definition with --file"));
        }
        let path = if args.file == Path::new("-") { args.file.clone() } else { project.join(&args.file) };
        let text = source::read(&path).map_err(|failure| match failure.exit {
            Exit::Usage => failure.with_hint("a definition of another name is given with --file"),
            _ => failure,
        })?;
        let steps = added::read(&project, &args.steps)?;
        Ok(Definition { project, name: args.file.display().to_string(), text, steps })
    }

    /// What the engine starts with.
    ///
    /// # Errors
    /// What it is to compare with is no commit of the project; a template of pods is none.
    pub async fn input(&self, args: &DefinitionArgs, project: &LocalProject) -> Result<RunInput, CommandFailure> {
        let previous_commit = match &args.changes_since {
            None => None,
            Some(words) => Some(project.resolve(words).await.map_err(|error| {
                let hint = "`git log` shows which there are; HEAD~1 is the one before the last";
                CommandFailure::usage(format!("--changes-since {words}: {error}")).with_hint(hint)
            })?),
        };
        let mut env = Vec::new();
        if let Some(branch) = args.branch.as_deref().or_else(|| project.branch()) {
            env.push(("BRANCH_NAME".to_owned(), branch.to_owned()));
        }
        env.extend(args.env.iter().cloned());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let from_here = BuildCause {
            class: "hudson.model.Cause$UserIdCause".to_owned(),
            description: "Started from the command line".to_owned(),
            user: None,
        };
        let causes = if args.causes.is_empty() { vec![from_here] } else { args.causes.clone() };
        let facts = RunFacts {
            server_url: Some(NO_SERVER.to_owned()),
            job_name: args.job_name.clone().unwrap_or_else(|| self.job_name()),
            build_number: args.build_number,
            started_at_ms: now.as_millis() as u64,
            previous: args.previous_result,
            previous_commit,
            has_scm: true,
            repository: Some(project.address()),
            causes,
            libraries: args.load_libraries.clone(),
            env,
            params: args.params.clone(),
            restart_from: args.from_stage.clone(),
            steps: self.steps.clone(),
            records_deliveries: true,
            tools: args.tools.clone(),
            pods: crate::pods::read(&args.pod_templates)?,
            ..RunFacts::default()
        };
        Ok(RunInput { source: self.text.clone(), file_name: self.name.clone(), facts, ..RunInput::default() })
    }

    /// Name of the project's folder, fit for a path.
    pub fn job_name(&self) -> String {
        let name = self.project.file_name().map_or_else(|| "project".into(), |n| n.to_string_lossy());
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        if name.trim_matches('.').is_empty() { "project".to_owned() } else { name }
    }

    /// What is odd in it but no error, a line for each.
    pub fn warnings<'a>(&'a self, found: &'a [Diagnostic]) -> impl Iterator<Item = String> + 'a {
        let lines = groovy::span::LineIndex::new(&self.text);
        found.iter().map(move |warning| {
            let line = lines.place(&self.text, warning.span.start).line;
            let hint = warning.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("warning: {}:{line}: {}{hint}", self.name, warning.message)
        })
    }

    /// Prints the findings; the failure that remains is one line.
    pub fn invalid(&self, diagnostics: &[Diagnostic], output: OutputFormat, style: Style) -> CommandFailure {
        let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        let lines = groovy::span::LineIndex::new(&self.text);
        for diagnostic in diagnostics {
            match output {
                OutputFormat::Text => eprintln!("{}\n", source::render(&self.name, &self.text, diagnostic, style)),
                OutputFormat::Json => {
                    let object = source::JsonDiagnostic::new(&self.text, &lines, diagnostic);
                    println!("{}", serde_json::json!({ "event": "diagnostic", "diagnostic": object }));
                }
            }
        }
        let plural = if errors == 1 { "error" } else { "errors" };
        CommandFailure::new(Exit::Invalid, format!("{} is not valid: {errors} {plural}", self.name))
    }
}

/// The state of a run under way.
struct Run {
    engine: Kept,
    /// When the run was last told that a step writes; `None`: it does not want to know.
    activity: Option<HashMap<StepId, Instant>>,
    show: Box<dyn Show>,
    started: Instant,
    /// What it began with.
    facts: RunFacts,
    /// Takes out what must not be shown.
    masker: Masker,
    /// Secrets of credentials that were asked for: from then on they are shown nowhere.
    used: BTreeSet<String>,
    /// Credentials that were looked at for values that are too short to be hidden.
    told_short: BTreeSet<String>,
    /// What people are asked.
    asked: HashMap<RequestId, Question>,
    /// Ends requests early.
    cancels: HashMap<RequestId, oneshot::Sender<()>>,
    /// The stage of each running step: the performer knows only the step.
    steps: HashMap<StepId, Option<StageId>>,
    /// The job of each running step that has a process.
    exec_jobs: HashMap<StepId, JobId>,
    shell_wanted: bool,
    /// What is printed is not for a program.
    for_people: bool,
    failed_in: Option<JobId>,
    interrupts: u32,
    /// A sandbox was ended by its time limit.
    wall_met: bool,
    /// The run keeps artifacts.
    archived: bool,
    took: Vec<(String, String)>,
}

/// What comes of a request: people are asked here, if they are here.
async fn done(
    request: Request,
    performer: &Performer,
    terminal: Option<&Terminal>,
    masker: &Masker,
    cancelled: oneshot::Receiver<()>,
) -> Reply {
    match (request, terminal) {
        (Request::Input(question), Some(terminal)) => tokio::select! {
            reply = terminal.ask(&question, masker) => reply,
            _ = cancelled => Reply::Cancelled,
        },
        (Request::Mask { values }, _) => {
            Reply::Count(values.iter().filter(|value| !Masker::finds(value)).count() as u64)
        }
        (request, _) => performer.perform(request, cancelled).await,
    }
}

/// What one turn of the loop was woken by.
enum Woken {
    Heard(Heard),
    Reply(RequestId, Reply),
    Event(Event),
    Interrupt,
    Redraw,
}

impl Run {
    async fn drive(
        &mut self,
        performer: &Performer,
        mut events: mpsc::Receiver<Event>,
    ) -> Result<RunEnd, CommandFailure> {
        let terminal = Terminal::find(self.for_people);
        let mut pending = FuturesUnordered::new();
        let mut interrupts = place::interrupts()?;
        let mut redraw = tokio::time::interval(REDRAW);
        redraw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut end: Option<RunEnd> = None;
        loop {
            if let Some(end) = end.clone().filter(|_| pending.is_empty()) {
                while let Ok(event) = events.try_recv() {
                    self.event(event)?;
                }
                return Ok(end);
            }
            let woken = tokio::select! {
                biased;
                Some(event) = events.recv() => Woken::Event(event),
                Some((id, reply)) = pending.next(), if !pending.is_empty() => Woken::Reply(id, reply),
                () = interrupts.next() => Woken::Interrupt,
                heard = self.engine.next(), if end.is_none() => Woken::Heard(heard?),
                _ = redraw.tick() => Woken::Redraw,
            };
            match woken {
                Woken::Event(event) => self.event(event)?,
                Woken::Reply(id, reply) => {
                    // Output comes before the end of the step that wrote it.
                    while let Ok(event) = events.try_recv() {
                        self.event(event)?;
                    }
                    self.cancels.remove(&id);
                    if let (Some(question), Reply::Decided { values: Some(said), .. }) =
                        (self.asked.remove(&id), &reply)
                    {
                        self.facts.confided.extend(question.confided(said).map(str::to_owned));
                        self.make_masker();
                    }
                    if let Reply::Credential(given) = &reply {
                        self.hide(given.secrets());
                    }
                    self.engine.give(Input::Answer { id, reply })?;
                }
                Woken::Heard(Heard::Event(event)) => self.event(event)?,
                Woken::Heard(Heard::Cancel(id)) => {
                    // The receiver is gone when the request has just ended: its reply is on the way.
                    self.cancels.remove(&id).map(|cancel| cancel.send(()));
                }
                Woken::Heard(Heard::Request(id, request)) => {
                    self.before(&request, performer).await;
                    let (cancel, cancelled) = oneshot::channel();
                    self.cancels.insert(id, cancel);
                    let (mut request, mut masker) = (request, Masker::default());
                    if let Request::Input(question) = &mut request {
                        self.show.pause();
                        self.asked.insert(id, question.clone());
                        self.masker.clean(&mut question.message);
                        masker = self.masker.clone();
                    }
                    let terminal = terminal.as_ref();
                    pending.push(async move { (id, done(request, performer, terminal, &masker, cancelled).await) });
                }
                Woken::Heard(Heard::Ended(ended)) => end = Some(ended),
                Woken::Heard(_) => {}
                Woken::Interrupt => self.interrupt(performer)?,
                Woken::Redraw if terminal.as_ref().is_some_and(Terminal::is_asking) => {}
                Woken::Redraw => self.show.tick(self.started.elapsed()),
            }
        }
    }

    fn interrupt(&mut self, performer: &Performer) -> Result<(), CommandFailure> {
        self.interrupts += 1;
        match self.interrupts {
            1 => {
                self.engine.give(Input::Abort { reason: "Aborted from outside".to_owned() })?;
                let text = "once more (Ctrl-C) ends `post` conditions too".to_owned();
                self.event(Event::Log { step: None, stage: None, source: LogSource::System, text })?;
            }
            2 => {
                performer.hurry();
                self.engine.give(Input::Abort { reason: "Aborted again".to_owned() })?;
            }
            // Sandboxes die with this process; nothing is lost but the rest of `post`.
            _ => return Err(CommandFailure::new(Exit::Interrupted, "interrupted")),
        }
        Ok(())
    }

    fn make_masker(&mut self) {
        self.masker = Masker::new(self.facts.secrets().chain(self.used.iter().map(String::as_str)));
    }

    /// These are shown nowhere any more.
    fn hide(&mut self, secrets: Vec<String>) {
        let known = self.used.len();
        self.used.extend(secrets);
        if self.used.len() > known {
            self.make_masker();
        }
    }

    /// What a request may have of credentials is hidden before anybody gets it.
    fn hide_credential(&mut self, request: &Request, performer: &Performer) {
        let (Some(id), Some(all)) = (planning::credential(request), performer.credentials()) else { return };
        let secrets = all.secrets(id);
        if self.told_short.insert(id.to_owned()) && secrets.iter().any(|value| !Masker::finds(value)) {
            let text =
                format!("a value of the credential '{id}' is too short to be masked: it would be found everywhere");
            let event = Event::Log { step: None, stage: None, source: LogSource::System, text };
            self.show.event(self.started.elapsed(), &event);
        }
        self.hide(secrets);
    }

    /// Remembers where a step runs, and keeps a sandbox for the person who wants to look into it.
    async fn before(&mut self, request: &Request, performer: &Performer) {
        self.hide_credential(request, performer);
        match request {
            Request::Exec { job, step, .. } => {
                self.exec_jobs.insert(*step, *job);
            }
            Request::Archive { .. } => self.archived = true,
            Request::Mask { values } => self.hide(values.clone()),
            Request::Release { job } if self.shell_wanted && self.failed_in == Some(*job) => {
                self.shell_wanted = false;
                self.show.pause();
                shell::open(performer, *job).await;
            }
            _ => {}
        }
    }

    fn event(&mut self, mut event: Event) -> Result<(), CommandFailure> {
        event.each_text(&mut |text| self.masker.clean(text));
        match &mut event {
            Event::PropertiesSet { properties } if self.facts.hide(&properties.parameters) => {
                self.make_masker();
            }
            Event::StepStarted { step, stage, .. } => {
                self.steps.insert(*step, *stage);
            }
            Event::StepFinished { step, outcome, .. } => {
                self.steps.remove(step);
                let job = self.exec_jobs.remove(step);
                if *outcome == Outcome::Failure && self.failed_in.is_none() {
                    self.failed_in = job;
                }
            }
            Event::Log { step: Some(step), stage, source, .. } => {
                if stage.is_none() {
                    *stage = self.steps.get(step).copied().flatten();
                }
                if let (Some(told), LogSource::Stdout | LogSource::Stderr) = (&mut self.activity, &source) {
                    let now = Instant::now();
                    if told.get(step).is_none_or(|last| now.duration_since(*last) >= ACTIVITY) {
                        told.insert(*step, now);
                        self.engine.give(Input::OutputSeen { step: *step })?;
                    }
                }
            }
            // As the sandbox words the limit of its wall clock.
            Event::JobFinished { limit: Some(limit), .. } if limit.starts_with("time limit") => self.wall_met = true,
            Event::JobStarted { job, took_us, .. } => {
                for (part, us) in took_us {
                    self.took.push((format!("{job} {part}"), show::duration(Duration::from_micros(*us))));
                }
            }
            _ => {}
        }
        self.show.event(self.started.elapsed(), &event);
        Ok(())
    }
}
