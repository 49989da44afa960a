//! What a Jenkinsfile is: its syntax tree, whether it is declarative or scripted, and everything that is wrong in it.

use std::collections::HashSet;
use std::rc::Rc;

use groovy::ast::Script;
use groovy::diagnostic::{Diagnostic, Severity};
use model::added_step::AddedStep;
use model::run::InstalledTool;

use crate::catalogue::Catalogue;
use crate::declarative::model::Pipeline;
use crate::declarative::{
    OwnNames, misplaced_pipelines, nested_pipelines, pipeline_and_steps, pipeline_blocks_of_call, top_level_pipeline,
};
use crate::lint::engine::EngineUses;
use crate::lint::names;

/// What is known of a file's surroundings: names that it may use although nothing in it says where they come from.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Variables of libraries that every file may use (`vars/NAME.groovy`).
    pub library_names: Vec<String>,
    /// There is a library whose variables are not known: no name can be said to be unknown.
    pub unknown_library: bool,
    /// What may be named beside what the file defines itself; none: what is built in.
    pub catalogue: Option<&'static Catalogue>,
    /// Tools that are there for those who ask for them.
    pub tools: Vec<InstalledTool>,
    /// What the file is read for.
    pub purpose: Purpose,
}

/// What a file is read for: what keeps it from running is an error to both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To say what is wrong in it: a name that nobody defines is an error.
    #[default]
    Lint,
    /// To run it or to plan its run: such a name matters only where the call is reached, as in Jenkins, and what a library
    /// may define is not worth a word.
    Run,
}

impl Surroundings {
    /// Where these steps are added to those that are built in.
    ///
    /// # Errors
    /// What is wrong with a step, in words.
    pub fn with_steps(steps: &[AddedStep]) -> Result<Surroundings, String> {
        Ok(Surroundings { catalogue: Some(Catalogue::with(steps)?), ..Surroundings::default() })
    }

    /// What may be named.
    pub(crate) fn catalogue(&self) -> &'static Catalogue {
        self.catalogue.unwrap_or_else(|| Catalogue::get())
    }
}

/// A file that was read and checked.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The whole file, also where it has errors.
    pub script: Rc<Script>,
    /// What it is.
    pub kind: DefinitionKind,
    /// The model of a `pipeline { … }` whose directives are valid, whatever is wrong with the code in them.
    pub pipeline: Option<Rc<Pipeline>>,
    /// Errors and warnings, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// Which agents need a Docker Engine.
    pub engine: EngineUses,
}

/// The kinds of file.
#[derive(Clone, Debug)]
pub enum DefinitionKind {
    /// A `pipeline { … }` at top level, valid, with whatever code stands around it.
    Declarative(Declarative),
    /// Groovy code without `pipeline { … }`.
    Scripted,
    /// There is at least one error: it does not run.
    Invalid,
}

/// A declarative file.
#[derive(Clone, Debug)]
pub struct Declarative {
    /// The model.
    pub pipeline: Rc<Pipeline>,
    /// Which statement of [`Script::body`] the `pipeline { … }` is.
    pub statement: usize,
}

impl Definition {
    /// The errors among the diagnostics.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error)
    }
}

/// Reads and checks a file, collecting everything that is wrong in it.
pub fn analyse(source: &str, surroundings: &Surroundings) -> Definition {
    groovy::stack::with_room(|| read(source, surroundings))
}

/// What a file's names mean besides what steps they are.
fn own_names<'n>(script: &'n Script, surroundings: &'n Surroundings) -> OwnNames<'n> {
    let methods = script.methods.iter().map(|method| &*method.name);
    let names = methods.chain(surroundings.library_names.iter().map(String::as_str)).collect();
    // A file with `call` is a variable of a library, and its neighbours are, too.
    let any = surroundings.unknown_library
        || crate::lint::asks_for_library(script)
        || script.methods.iter().any(|method| &*method.name == "call");
    OwnNames { names, any }
}

fn read(source: &str, surroundings: &Surroundings) -> Definition {
    let groovy::parser::Parsed { script, mut diagnostics } = groovy::parser::parse(source);
    let script = Rc::new(script);
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        // What the parser guessed in place of an error would only bring errors that are none.
        let (kind, engine) = (DefinitionKind::Invalid, EngineUses::default());
        return Definition { script, kind, pipeline: None, diagnostics, engine };
    }
    let mut kind = DefinitionKind::Scripted;
    let (mut directives, mut checked, mut of_call) = (Vec::new(), Vec::new(), None);
    let own = own_names(&script, surroundings);
    diagnostics.extend(misplaced_pipelines(&script));
    match top_level_pipeline(&script) {
        Some((statement, span, body)) => {
            let (pipeline, found, steps) = pipeline_and_steps(source, &body, span, surroundings.catalogue(), &own);
            diagnostics.extend(found);
            checked = steps;
            if let Some(pipeline) = pipeline {
                kind = DefinitionKind::Declarative(Declarative { pipeline: Rc::new(pipeline), statement });
            }
            directives.push(body);
        }
        None => {
            let blocks = pipeline_blocks_of_call(&script);
            for (span, body) in &blocks {
                let (pipeline, found, steps) = pipeline_and_steps(source, body, *span, surroundings.catalogue(), &own);
                of_call = of_call.or(pipeline);
                diagnostics.extend(found);
                checked.extend(steps);
            }
            if blocks.is_empty() {
                diagnostics.extend(nested_pipelines(source, &script));
            }
            directives.extend(blocks.into_iter().map(|(_, body)| body));
        }
    }
    checked.sort_unstable();
    let (found, wants) = names::check(source, &script, (&directives, &checked), surroundings);
    // In directives a value of an argument has been looked at already.
    let told: HashSet<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.span).collect();
    diagnostics.extend(found.into_iter().filter(|d| d.rule != Some("invalid-parameter") || !told.contains(&d.span)));
    let pipeline = match &kind {
        DefinitionKind::Declarative(declarative) => Some(Rc::clone(&declarative.pipeline)),
        _ => None,
    };
    let engine = EngineUses::new(pipeline.as_deref().or(of_call.as_ref()), &wants.engine, &wants.nodes);
    diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        kind = DefinitionKind::Invalid;
    }
    Definition { script, kind, pipeline, diagnostics, engine }
}
