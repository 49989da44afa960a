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
mod stage;
mod stages;
mod unit;
mod when;

use std::rc::Rc;

use groovy::diagnostic::{Diagnostic, Severity};
use groovy::machine::{Machine, ScriptId};
use groovy::span::{LineIndex, Place, Span};

use crate::declarative::model::Pipeline;
use crate::definition::{self, Definition, DefinitionKind, Surroundings};

use closures::Closures;

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
    source: String,
    lines: LineIndex,
}

impl Program {
    /// Reads a definition.
    ///
    /// # Errors
    /// All findings.
    pub(crate) fn load(source: &str, name: &str, machine: &mut Machine) -> Result<Program, Vec<Diagnostic>> {
        let Definition { script, kind, diagnostics } = definition::analyse(source, &Surroundings::default());
        let mut script = Rc::unwrap_or_clone(script);
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
        Ok(Program {
            script: id,
            model,
            closures: Rc::new(closures),
            warnings: diagnostics,
            source: source.to_owned(),
            lines: LineIndex::new(source),
        })
    }

    /// Line and column of a span's start.
    pub(crate) fn place(&self, span: Span) -> Place {
        self.lines.place(&self.source, span.start)
    }

    /// The text of a line.
    pub(crate) fn line(&self, line: u32) -> &str {
        self.lines.line_text(&self.source, line)
    }
}
