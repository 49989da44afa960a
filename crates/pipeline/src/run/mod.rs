//! A definition on its way to a run: [`Program`] is what was read, the other files interpret the declarative model in
//! Jenkins' order. Start at [`pipeline`].

mod agent;
mod closures;
mod environment;
pub(crate) mod glob;
mod interpreter;
pub(crate) mod library;
mod options;
pub(crate) mod parameters;
mod post;
pub(crate) mod properties;
mod stage;
mod stages;
mod tools;
mod translated;
mod unit;
mod when;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use groovy::ast::{Closure, Script};
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::machine::{Machine, ScriptId};
use groovy::span::{LineIndex, Place, Span};

use crate::catalogue::Catalogue;
use crate::declarative::model::Pipeline;
use crate::declarative::{self, OwnNames};
use crate::definition::{self, Definition, DefinitionKind, Surroundings};

use closures::Closures;

use crate::lint::engine::{EngineUses, Wanted};

pub(crate) use stages::pipeline;

/// A definition that was read, checked and loaded.
pub(crate) struct Program {
    /// In the machine.
    pub(crate) script: ScriptId,
    /// It is a declarative pipeline.
    pub(crate) is_declarative: bool,
    /// What is odd in it, but no error.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The shared libraries that it asks for in annotations: `name` or `name@version`.
    pub(crate) libraries: Vec<String>,
    /// As it was loaded, until its libraries are there: names of their classes mean something then.
    tree: RefCell<Option<Script>>,
    name: String,
    pipelines: RefCell<Vec<Declared>>,
    engines: RefCell<HashMap<ScriptId, EngineUses>>,
    /// What it may name.
    surroundings: Surroundings,
    sources: RefCell<Vec<Source>>,
}

/// A `pipeline { … }`, and where it stands: at the top of the definition, or in a variable of a library.
struct Declared {
    script: ScriptId,
    start: u32,
    model: Rc<Pipeline>,
    closures: Rc<Closures>,
}

/// A place in one of the scripts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Which.
    pub(crate) script: ScriptId,
    /// Byte offset in its text.
    pub(crate) start: u32,
}

/// The text of a script, for messages.
struct Source {
    script: ScriptId,
    /// `WorkflowScript`, or the name of a loaded file.
    name: String,
    text: String,
    lines: LineIndex,
}

/// Jenkins' words for a script that does not compile, without the name of the exception.
fn not_compiled(name: &str, source: &str, found: &[Diagnostic]) -> String {
    let text = declarative::startup_failed(source, found);
    let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
    text.replace("WorkflowScript: ", &format!("{name}: "))
}

/// The `pipeline { … }` blocks of a script: where each begins, its model, and its Groovy parts.
type Blocks = Vec<(u32, Rc<Pipeline>, Closures)>;

/// Takes the blocks out of the methods `call` of a script: the parts of each are closures of their own then.
///
/// # Errors
/// What is wrong in one.
fn take_blocks(
    script: &mut Script,
    blocks: Vec<(Span, Rc<Closure>)>,
    source: &str,
    catalogue: &'static Catalogue,
) -> Result<Blocks, Vec<Diagnostic>> {
    let mut taken = Vec::new();
    for (span, body) in blocks {
        let own = OwnNames { any: true, ..OwnNames::default() };
        let (pipeline, found, _) = declarative::pipeline_and_steps(source, &body, span, catalogue, &own);
        let Some(pipeline) = pipeline else { return Err(found) };
        let mut closures = Closures::default();
        closures.collect(&pipeline);
        for method in script.methods.iter_mut().filter(|method| &*method.name == "call") {
            let body = Rc::make_mut(method).body.as_mut();
            if body.is_some_and(|body| closures.put_into_block(&mut body.stmts, span)) {
                break;
            }
        }
        taken.push((span.start, Rc::new(pipeline), closures));
    }
    Ok(taken)
}

/// Most scripts of one run: each stays in memory.
const MAX_SCRIPTS: usize = 1000;

impl Program {
    /// Reads a definition.
    ///
    /// # Errors
    /// All findings.
    pub(crate) fn load(
        source: &str,
        name: &str,
        surroundings: &Surroundings,
        machine: &mut Machine,
    ) -> Result<Program, Vec<Diagnostic>> {
        groovy::stack::with_room(|| Program::read(source, name, surroundings, machine))
    }

    fn read(
        source: &str,
        name: &str,
        surroundings: &Surroundings,
        machine: &mut Machine,
    ) -> Result<Program, Vec<Diagnostic>> {
        let Definition { script, kind, diagnostics, engine, .. } = definition::analyse(source, surroundings);
        let mut script = Rc::unwrap_or_clone(script);
        let libraries = library::asked_for(&script);
        let is_declarative = matches!(kind, DefinitionKind::Declarative(_));
        let declared = match kind {
            DefinitionKind::Invalid => {
                return Err(diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect());
            }
            DefinitionKind::Scripted => {
                let blocks = declarative::pipeline_blocks_of_call(&script);
                take_blocks(&mut script, blocks, source, surroundings.catalogue())?
            }
            DefinitionKind::Declarative(declarative) => {
                let mut closures = Closures::default();
                closures.collect(&declarative.pipeline);
                let start = script.body.get(declarative.statement).map_or(0, |stmt| stmt.span.start);
                closures.put_into(&mut script, declarative.statement);
                vec![(start, declarative.pipeline, closures)]
            }
        };
        let id = machine.load(&script, "Jenkinsfile")?;
        let program = Program {
            script: id,
            is_declarative,
            warnings: diagnostics,
            libraries,
            tree: RefCell::new(Some(script)),
            name: name.to_owned(),
            pipelines: RefCell::default(),
            engines: RefCell::new(HashMap::from([(id, engine)])),
            surroundings: surroundings.clone(),
            sources: RefCell::default(),
        };
        program.declare(id, declared);
        program.add_source(id, "WorkflowScript", source);
        Ok(program)
    }

    /// What it may name.
    pub(crate) fn catalogue(&self) -> &'static Catalogue {
        self.surroundings.catalogue()
    }

    /// Compiles the definition once more, for its libraries are there now.
    ///
    /// # Errors
    /// Jenkins' words for a script that does not compile.
    pub(crate) fn read_again(&self, machine: &mut Machine) -> Result<(), String> {
        let Some(tree) = self.tree.borrow_mut().take() else { return Ok(()) };
        let again = groovy::stack::with_room(|| machine.load_again(self.script, &tree, &self.name));
        again.map_err(|found| found.iter().map(|d| d.message.as_str()).collect::<Vec<_>>().join("\n"))
    }

    fn declare(&self, script: ScriptId, blocks: Blocks) {
        let declared = |(start, model, closures)| Declared { script, start, model, closures: Rc::new(closures) };
        self.pipelines.borrow_mut().extend(blocks.into_iter().map(declared));
    }

    /// The `pipeline { … }` that is called from there, and where its Groovy parts are in the list that it gets.
    pub(crate) fn pipeline_at(&self, spot: Spot) -> Option<(Rc<Pipeline>, Rc<Closures>)> {
        let pipelines = self.pipelines.borrow();
        let found = pipelines.iter().find(|p| p.script == spot.script && p.start == spot.start)?;
        Some((Rc::clone(&found.model), Rc::clone(&found.closures)))
    }

    /// What is asked for where an agent is.
    pub(crate) fn wanted_at(&self, spot: Spot) -> Wanted {
        self.engines.borrow().get(&spot.script).map(|uses| uses.at(spot.start)).unwrap_or_default()
    }

    /// Reads one more script: `load`.
    ///
    /// # Errors
    /// Jenkins' words for a script that does not compile.
    pub(crate) fn load_more(&self, source: &str, name: &str, machine: &mut Machine) -> Result<ScriptId, String> {
        if self.sources.borrow().len() >= MAX_SCRIPTS {
            return Err(format!("more than {MAX_SCRIPTS} scripts were loaded"));
        }
        let parsed = groovy::parser::parse(source);
        if parsed.has_errors() {
            return Err(not_compiled(name, source, &parsed.diagnostics));
        }
        let mut script = parsed.script;
        let declared = match declarative::top_level_pipeline(&script) {
            Some((statement, span, body)) => {
                let own = OwnNames { any: true, ..OwnNames::default() };
                let (pipeline, found, _) = declarative::pipeline_and_steps(source, &body, span, self.catalogue(), &own);
                let pipeline = Rc::new(pipeline.ok_or_else(|| not_compiled(name, source, &found))?);
                let mut closures = Closures::default();
                closures.collect(&pipeline);
                closures.put_into(&mut script, statement);
                vec![(span.start, pipeline, closures)]
            }
            None => {
                let blocks = declarative::pipeline_blocks_of_call(&script);
                let taken = take_blocks(&mut script, blocks, source, self.catalogue());
                taken.map_err(|found| not_compiled(name, source, &found))?
            }
        };
        let id = machine.load(&script, name).map_err(|found| not_compiled(name, source, &found))?;
        self.declare(id, declared);
        self.add_source(id, name, source);
        Ok(id)
    }

    fn add_source(&self, script: ScriptId, name: &str, text: &str) {
        let (lines, text, name) = (LineIndex::new(text), text.to_owned(), name.to_owned());
        self.sources.borrow_mut().push(Source { script, name, text, lines });
    }

    /// Name of the script, line and column of a span's start.
    pub(crate) fn place(&self, script: Option<ScriptId>, span: Span) -> Option<(String, Place)> {
        let sources = self.sources.borrow();
        let source = sources.iter().find(|s| s.script == script.unwrap_or(self.script))?;
        Some((source.name.clone(), source.lines.place(&source.text, span.start)))
    }

    /// The text of a line.
    pub(crate) fn line(&self, script: Option<ScriptId>, line: u32) -> String {
        let sources = self.sources.borrow();
        let source = sources.iter().find(|s| s.script == script.unwrap_or(self.script));
        source.map(|s| s.lines.line_text(&s.text, line).to_owned()).unwrap_or_default()
    }
}
