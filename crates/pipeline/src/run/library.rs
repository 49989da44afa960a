//! Shared libraries: which a definition asks for, and how one becomes part of the run.
//!
//! ```text
//!   @Library('x@1') _   library 'x@1'   libraries { lib('x@1') }   RunFacts::libraries
//!                 \           |              |                    /
//!                  Request::Library -> files -> classes and variables in the machine
//! ```

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use groovy::ast::{Annotation, Arg, Constant, Expr, ExprKind, Script, StmtKind};
use groovy::machine;
use model::library::{FileContent, Library, LibraryFile, LibraryWish};
use model::request::{Reply, Request};

use super::interpreter::Interpreter;
use super::{Blocks, Program, not_compiled};
use crate::declarative::pipeline_blocks_of_call;
use crate::definition::Surroundings;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::lint::engine::EngineUses;
use crate::lint::names;
use crate::steps::unexpected;

/// How Groovy calls it that a script does not compile.
const NOT_COMPILED: &str = "org.codehaus.groovy.control.MultipleCompilationErrorsException";

/// Most libraries of one run.
const MAX_LIBRARIES: usize = 100;

/// The libraries of a run.
#[derive(Default)]
pub(crate) struct Libraries {
    names: RefCell<BTreeSet<String>>,
    /// Which library each file of Groovy is from.
    files: RefCell<BTreeMap<String, String>>,
    /// Each file below `resources/`, and the libraries that have one.
    resources: RefCell<BTreeMap<String, Vec<(String, FileContent)>>>,
    /// Variables whose files do not compile, and why.
    broken: RefCell<BTreeMap<String, String>>,
}

impl Libraries {
    /// A file below `resources/`.
    ///
    /// # Errors
    /// None, or more than one library has it.
    ///
    /// Source: `ResourceStep` of pipeline-groovy-lib.
    pub(crate) fn resource(&self, path: &str) -> Result<FileContent, Fault> {
        let resources = self.resources.borrow();
        match resources.get(path).map_or(&[][..], |all| all) {
            [] => Err(Fault::abort(format!("No such library resource {path} could be found."))),
            [(_, content)] => Ok(content.clone()),
            several => {
                let names: Vec<_> = several.iter().map(|(library, _)| library.as_str()).collect();
                let among = names.join(", ");
                Err(Fault::abort(format!("Library resource {path} ambiguous among libraries [{among}]")))
            }
        }
    }

    /// Whether a file of Groovy is the first of its name: what a library defines that another has defined before is not used.
    ///
    /// Source: `GlobalVariable.byName`, and the order of the addresses of a class loader.
    fn is_first(&self, library: &str, path: &str) -> Result<(), String> {
        match self.files.borrow_mut().entry(path.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(library.to_owned());
                Ok(())
            }
            Entry::Occupied(first) => Err(first.get().clone()),
        }
    }

    /// Why a variable of a library cannot be used.
    pub(crate) fn why_broken(&self, variable: &str) -> Option<Fault> {
        let broken = self.broken.borrow();
        broken.get(variable).map(|why| Fault::raised(NOT_COMPILED, why.clone()))
    }
}

/// The libraries that a script asks for: `@Library('x') _`, or the same before an import.
pub(crate) fn asked_for(script: &Script) -> Vec<String> {
    let before_imports = script.imports.iter().flat_map(|i| &i.annotations);
    let before_variables = script.body.iter().filter_map(|stmt| match &stmt.kind {
        StmtKind::Local(local) => Some(&local.modifiers.annotations),
        _ => None,
    });
    let before_classes = script.classes.iter().map(|class| &class.modifiers.annotations);
    let all = before_imports.chain(before_variables.flatten()).chain(before_classes.flatten());
    all.filter(|a| &*a.name == "Library").flat_map(identifiers).collect()
}

/// What is in the brackets of `@Library`: a text or a list of them.
fn identifiers(annotation: &Annotation) -> Vec<String> {
    let value = annotation.args.iter().find(|(name, _)| &**name == "value").map(|(_, value)| value);
    let text = |expr: &Expr| match &*expr.kind {
        ExprKind::Constant(Constant::Str(text)) => Some(text.to_string()),
        _ => None,
    };
    match value.map(|value| &*value.kind) {
        Some(ExprKind::List(items)) => {
            items.iter().filter_map(|item| if let Arg::Positional(item) = item { text(item) } else { None }).collect()
        }
        _ => value.and_then(text).into_iter().collect(),
    }
}

/// Loads what the definition asks for before its first line, and what it has without asking.
pub(crate) async fn load_first(core: &Rc<Core>, scope: &Scope) -> Result<(), Fault> {
    let asked = core.program.libraries.iter().map(|identifier| LibraryWish::configured(identifier));
    let asked: Vec<LibraryWish> = asked.collect();
    let implicit = core.facts.libraries.iter().map(|identifier| LibraryWish::configured(identifier));
    // One that is asked for may be wanted in another version.
    let implicit: Vec<_> = implicit.filter(|wish| asked.iter().all(|other| other.name != wish.name)).collect();
    for wish in implicit.into_iter().chain(asked) {
        load(core, scope, wish).await?;
    }
    if !core.libraries.names.borrow().is_empty() {
        let again = core.program.read_again(&mut core.machine.borrow_mut());
        again.map_err(|text| Fault::raised(NOT_COMPILED, text))?;
    }
    Ok(())
}

/// Loads `libraries { lib('x') }`.
pub(super) async fn load_declared(it: &Interpreter, scope: &Scope) -> Result<(), Fault> {
    for identifier in &it.model.libraries {
        let identifier = it.text(scope, identifier).await?;
        load(&it.core, scope, LibraryWish::configured(&identifier)).await?;
    }
    Ok(())
}

/// Finds a library and makes it part of the run. The second of a name is the first.
pub(crate) async fn load(core: &Rc<Core>, scope: &Scope, wish: LibraryWish) -> Result<(), Fault> {
    let name = wish.name.clone();
    if core.libraries.names.borrow().contains(&name) {
        core.say(scope, &format!("Only using first definition of library {name}"));
        return Ok(());
    }
    if core.libraries.names.borrow().len() >= MAX_LIBRARIES {
        return Err(Fault::abort(format!("more than {MAX_LIBRARIES} libraries were loaded")));
    }
    core.libraries.names.borrow_mut().insert(name.clone());
    let library = match core.ask(Request::Library(wish)).await? {
        Reply::Library(library) => library,
        reply => return Err(unexpected(&reply)),
    };
    let version = library.version.clone().unwrap_or_default();
    let at = if version.is_empty() { String::new() } else { format!("@{version}") };
    core.say(scope, &format!("Loading library {name}{at}"));
    if let Some(commit) = library.commit.as_ref().filter(|commit| **commit != version) {
        core.say(scope, &format!("Library {name} is at commit {commit}"));
    }
    core.run.set_env(&format!("library.{name}.version"), version).map_err(Fault::exhausted)?;
    let warnings = core.program.load_library(&name, library, &core.libraries, &mut core.machine.borrow_mut());
    warnings.iter().for_each(|warning| core.say(scope, &format!("WARNING: {warning}")));
    Ok(())
}

/// A file of Groovy on its way into the machine.
struct Source {
    path: String,
    text: String,
    tree: Script,
    pipelines: Blocks,
    engine: EngineUses,
}

impl Program {
    /// Loads the files of a library; what is to be said of those that cannot be used.
    fn load_library(
        &self,
        library: &str,
        found: Library,
        into: &Libraries,
        machine: &mut machine::Machine,
    ) -> Vec<String> {
        let surroundings = Surroundings { unknown_library: true, ..self.surroundings.clone() };
        let (mut sources, mut broken, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        for LibraryFile { path, content } in found.files {
            if let Some(resource) = path.strip_prefix("resources/") {
                let mut resources = into.resources.borrow_mut();
                resources.entry(resource.to_owned()).or_default().push((library.to_owned(), content));
                continue;
            }
            let FileContent::Text(text) = content else { continue };
            if path.ends_with(".groovy") {
                if let Err(first) = into.is_first(library, &path) {
                    warnings
                        .push(format!("{path} of library {library} is not used: that of library {first} comes first"));
                    continue;
                }
                match groovy::stack::with_room(|| read(path, text, &surroundings)) {
                    Ok(source) => sources.push(source),
                    Err(why) => broken.push(why),
                }
            }
        }
        let files: Vec<_> = sources.iter().map(|source| file(&source.path, &source.tree)).collect();
        let results = groovy::stack::with_room(|| machine.load_library(&files));
        for (source, result) in sources.into_iter().zip(results) {
            match result {
                Ok(script) => {
                    self.declare(script, source.pipelines);
                    self.engines.borrow_mut().insert(script, source.engine);
                    self.add_source(script, &format!("{library}/{}", source.path), &source.text);
                }
                Err(found) => broken.push((source.path.clone(), not_compiled(&source.path, &source.text, &found))),
            }
        }
        for (path, why) in &broken {
            if let Some(variable) = variable_of(path) {
                into.broken.borrow_mut().insert(variable.to_owned(), why.clone());
            }
        }
        let is_broken = |path| format!("{path} of library {library} does not compile: who uses it fails");
        warnings.extend(broken.into_iter().map(|(path, _)| is_broken(path)));
        warnings
    }
}

/// The name of the variable that a file is: `vars/NAME.groovy`.
fn variable_of(path: &str) -> Option<&str> {
    path.strip_prefix("vars/")?.strip_suffix(".groovy")
}

fn file<'a>(path: &'a str, script: &'a Script) -> machine::LibraryFile<'a> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let class = name.strip_suffix(".groovy").unwrap_or(name);
    machine::LibraryFile { script, class, global: variable_of(path) }
}

/// Reads a file: its tree, with the parts of each `pipeline { … }` in `call` as closures of their own.
fn read(path: String, text: String, surroundings: &Surroundings) -> Result<Source, (String, String)> {
    let groovy::parser::Parsed { script: mut tree, diagnostics } = groovy::parser::parse(&text);
    let rejected = |found: &[_]| Err((path.clone(), not_compiled(&path, &text, found)));
    if diagnostics.iter().any(|d| d.severity == groovy::diagnostic::Severity::Error) {
        return rejected(&diagnostics);
    }
    let blocks = if variable_of(&path).is_some() { pipeline_blocks_of_call(&tree) } else { Vec::new() };
    let directives: Vec<_> = blocks.iter().map(|(_, body)| Rc::clone(body)).collect();
    let (_, wants) = names::check(&text, &tree, (&directives, &[]), surroundings);
    let pipelines = match super::take_blocks(&mut tree, blocks, &text, surroundings.catalogue()) {
        Ok(pipelines) => pipelines,
        Err(found) => return rejected(&found),
    };
    let model = pipelines.first().map(|(_, model, _)| &**model);
    let engine = EngineUses::new(model, &wants.engine, &wants.nodes);
    Ok(Source { path, text, tree, pipelines, engine })
}
