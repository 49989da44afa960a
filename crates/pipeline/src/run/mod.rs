//! A definition on its way to a run: [`Program`] is what was read, the other files interpret the declarative model in
//! Jenkins' order. Start at [`pipeline`].

mod agent;
mod closures;
mod environment;
pub(crate) mod glob;
mod interpreter;
mod options;
pub(crate) mod parameters;
mod post;
pub(crate) mod properties;
mod stage;
mod stages;
mod unit;
mod when;

use std::cell::RefCell;
use std::rc::Rc;

use groovy::ast::{Script, StmtKind};
use groovy::diagnostic::{Diagnostic, Severity};
use groovy::machine::{Machine, ScriptId};
use groovy::span::{LineIndex, Place, Span};

use crate::declarative;
use crate::declarative::model::Pipeline;
use crate::definition::{self, Definition, DefinitionKind, Surroundings};

use closures::Closures;

use crate::lint::engine::EngineUses;

pub(crate) use stages::pipeline;

/// A definition that was read, checked and loaded.
pub(crate) struct Program {
    /// In the machine.
    pub(crate) script: ScriptId,
    /// The declarative pipeline, where there is one.
    pub(crate) model: Option<Rc<Pipeline>>,
    /// Where the Groovy parts of the model are in the list that `pipeline` gets.
    pub(crate) closures: Rc<Closures>,
    /// What is odd in it, but no error.
    pub(crate) warnings: Vec<Diagnostic>,
    /// Which agents need a Docker Engine.
    pub(crate) engine: EngineUses,
    /// It asks for shared libraries.
    pub(crate) wants_libraries: bool,
    sources: RefCell<Vec<Source>>,
}

/// The text of a script, for messages.
struct Source {
    script: ScriptId,
    /// `WorkflowScript`, or the name of a loaded file.
    name: String,
    text: String,
    lines: LineIndex,
}

/// Most scripts of one run: each stays in memory.
const MAX_SCRIPTS: usize = 1000;

impl Program {
    /// Reads a definition.
    ///
    /// # Errors
    /// All findings.
    pub(crate) fn load(source: &str, name: &str, machine: &mut Machine) -> Result<Program, Vec<Diagnostic>> {
        groovy::stack::with_room(|| Program::read(source, name, machine))
    }

    fn read(source: &str, name: &str, machine: &mut Machine) -> Result<Program, Vec<Diagnostic>> {
        let Definition { script, kind, diagnostics, engine } = definition::analyse(source, &Surroundings::default());
        let mut script = Rc::unwrap_or_clone(script);
        let wants_libraries = asks_for_libraries(&script);
        let mut closures = Closures::default();
        let model = match kind {
            DefinitionKind::Invalid => {
                return Err(diagnostics.into_iter().filter(|d| d.severity == Severity::Error).collect());
            }
            DefinitionKind::Scripted => None,
            DefinitionKind::Declarative(declarative) => {
                closures.collect(&declarative.pipeline);
                closures.put_into(&mut script, declarative.statement);
                Some(declarative.pipeline)
            }
        };
        let id = machine.load(&script, name)?;
        let program = Program {
            script: id,
            model,
            closures: Rc::new(closures),
            warnings: diagnostics,
            engine,
            wants_libraries,
            sources: RefCell::default(),
        };
        program.add_source(id, "WorkflowScript", source);
        Ok(program)
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
        let startup_failed = |found: &[Diagnostic]| {
            let text = declarative::startup_failed(source, found);
            let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
            text.replace("WorkflowScript: ", &format!("{name}: "))
        };
        if parsed.has_errors() {
            return Err(startup_failed(&parsed.diagnostics));
        }
        let id = machine.load(&parsed.script, name).map_err(|found| startup_failed(&found))?;
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

/// `@Library('x') _`, or the same before an import.
fn asks_for_libraries(script: &Script) -> bool {
    let before_imports = script.imports.iter().flat_map(|i| &i.annotations);
    let before_variables = script.body.iter().filter_map(|stmt| match &stmt.kind {
        StmtKind::Local(local) => Some(&local.modifiers.annotations),
        _ => None,
    });
    before_imports.chain(before_variables.flatten()).any(|a| &*a.name == "Library")
}
