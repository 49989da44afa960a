//! What a Jenkinsfile may name: steps, agents, options, parameters, triggers, tools, conditions and values, with their
//! parameters. It is data (`steps.table`, `symbols.table`); a new entry is a new line there.
//!
//! Being listed does not mean that Cofferdam can run it: see [`Support`].

mod added;
mod classes;
mod describe;
mod nearest;
mod objects;
mod plugins;
pub mod reference;
mod sections;
mod table;

use std::collections::HashMap;
use std::sync::OnceLock;

pub use describe::{Description, ParameterText};
pub use nearest::{distance, nearest};
pub(crate) use objects::{Form, forms};
pub use sections::{Section, sections};

/// What Groovy gives to every object, and so to every script: no step, although a script may call it like one. Not `tap`, which Groovy 2.4
/// has not: it is a step.
pub(crate) const OF_EVERY_OBJECT: [&str; 48] = [
    "addShutdownHook",
    "any",
    "asBoolean",
    "asType",
    "collect",
    "dump",
    "each",
    "eachWithIndex",
    "equals",
    "every",
    "find",
    "findAll",
    "findIndexOf",
    "findResult",
    "getAt",
    "getBinding",
    "getClass",
    "getMetaClass",
    "getProperties",
    "getProperty",
    "grep",
    "hasProperty",
    "hashCode",
    "identity",
    "inject",
    "inspect",
    "invokeMethod",
    "is",
    "isCase",
    "iterator",
    "metaClass",
    "notify",
    "notifyAll",
    "print",
    "printf",
    "println",
    "putAt",
    "respondsTo",
    "run",
    "setBinding",
    "setMetaClass",
    "setProperty",
    "split",
    "sprintf",
    "toString",
    "use",
    "wait",
    "with",
];

/// The kinds of thing that a name may stand for, each with its own place in a Jenkinsfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Callable in `steps { … }` and in Groovy code.
    Step,
    /// After `agent {`.
    Agent,
    /// In `options`, acted on by the declarative interpreter.
    Option,
    /// In `options` of the pipeline, acted on by the project.
    Property,
    /// In `parameters`.
    Parameter,
    /// In `triggers`.
    Trigger,
    /// In `tools`.
    Tool,
    /// In `when`.
    When,
    /// A value that steps and properties take (`logRotator(…)`).
    Symbol,
}

impl Kind {
    /// All, in the order of the reference.
    pub const ALL: [Kind; 9] = [
        Kind::Step,
        Kind::Agent,
        Kind::Option,
        Kind::Property,
        Kind::Parameter,
        Kind::Trigger,
        Kind::Tool,
        Kind::When,
        Kind::Symbol,
    ];

    /// As the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Step => "step",
            Kind::Agent => "agent",
            Kind::Option => "option",
            Kind::Property => "property",
            Kind::Parameter => "parameter",
            Kind::Trigger => "trigger",
            Kind::Tool => "tool",
            Kind::When => "when",
            Kind::Symbol => "symbol",
        }
    }

    /// The kind that the tables call so. Another word ends in a panic: the tables are part of the program, and a test reads them.
    fn named(word: &str) -> Kind {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == word)
            .unwrap_or_else(|| panic!("catalogue: unknown kind {word}"))
    }
}

/// Whether Cofferdam can act on an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It runs.
    Runs,
    /// It keeps what it was asked for, and does nothing else; a block is run.
    Recorded(Level),
    /// The same on one's own machine. A run of a server is refused it, unless its project says that it is to be recorded: it
    /// would bring something to another system.
    Delivered(Level),
    /// It will not run: what it does or answers cannot be left out.
    Refused(Level),
    /// Jenkins knows it; running it is refused with a message that says so.
    Known,
}

/// Why a step is not what it is in Jenkins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Ends a sentence: `no message is sent from a run`.
    pub why: &'static str,
    /// What may be done instead.
    pub instead: Option<&'static str>,
}

/// The Java type of a parameter, as far as a literal can be checked against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// `java.lang.String`
    String,
    /// `int`
    Int,
    /// `java.lang.Integer`
    Integer,
    /// `long`
    Long,
    /// `double`
    Double,
    /// `boolean`
    Bool,
    /// `java.lang.Boolean`: a sole required one may be left out.
    Boolean,
    /// `java.util.List`
    List,
    /// `java.util.Collection`
    Collection,
    /// `java.util.Map`
    Map,
    /// `java.lang.Class`
    Class,
    /// `java.util.concurrent.TimeUnit`
    TimeUnit,
    /// `hudson.scm.SCM`
    Scm,
    /// Anything: nothing is checked.
    Object,
}

impl ParameterType {
    /// As the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            ParameterType::String => "String",
            ParameterType::Int => "int",
            ParameterType::Integer => "Integer",
            ParameterType::Long => "long",
            ParameterType::Double => "double",
            ParameterType::Bool => "boolean",
            ParameterType::Boolean => "Boolean",
            ParameterType::List => "List",
            ParameterType::Collection => "Collection",
            ParameterType::Map => "Map",
            ParameterType::Class => "Class",
            ParameterType::TimeUnit => "TimeUnit",
            ParameterType::Scm => "SCM",
            ParameterType::Object => "Object",
        }
    }
}

/// A parameter of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: ParameterType,
    /// Whether leaving it out is an error.
    pub required: bool,
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// Whether Cofferdam acts on it.
    pub support: Support,
    /// A step that takes a block.
    pub block: bool,
    /// A step that needs a machine.
    pub node: bool,
    /// An option that may stand in a stage.
    pub stage: bool,
    /// `parameters` is not complete.
    pub open: bool,
    /// Only Jenkins' own tests define it.
    pub fixture: bool,
    /// In the order in which Jenkins lists them.
    pub parameters: Vec<Parameter>,
    /// A step that is not built in.
    pub added: Option<Added>,
}

/// What is known of a step that is not built in.
#[derive(Clone, Copy, Debug)]
pub struct Added {
    /// Which of those that are added.
    pub number: usize,
    /// It runs in an image of its own, over the workspace of the job.
    pub has_image: bool,
}

impl Entry {
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// The parameters that must be given.
    pub fn required(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.required)
    }

    /// The one required parameter, which may be given without its name; none where there are several.
    pub fn sole_required(&self) -> Option<&Parameter> {
        let mut required = self.required();
        required.next().filter(|_| required.next().is_none())
    }

    /// The one that may be given without its name: the one that is required, or of a step that is not built in the only one.
    pub fn sole(&self) -> Option<&Parameter> {
        match &self.parameters[..] {
            [only] if self.added.is_some() => Some(only),
            _ => self.sole_required(),
        }
    }

    /// Whether a block step may wrap a stage or the pipeline from `options`.
    pub fn wraps(&self) -> bool {
        self.kind == Kind::Step && self.block && !self.node && !matches!(self.name, "stage" | "node" | "parallel")
    }
}

/// All entries, by kind and name.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
    index: HashMap<(Kind, &'static str), usize>,
}

impl Catalogue {
    /// The catalogue that is built in.
    pub fn get() -> &'static Catalogue {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| {
            let mut entries = table::parse(include_str!("steps.table"), Some(Kind::Step));
            entries.extend(table::parse(include_str!("symbols.table"), None));
            let index: HashMap<_, _> = entries.iter().enumerate().map(|(i, e)| ((e.kind, e.name), i)).collect();
            for (name, support) in plugins::parse(include_str!("plugins.table")) {
                let at = index.get(&(Kind::Step, name)).unwrap_or_else(|| panic!("catalogue: no step is {name}"));
                // What runs needs no reason why it does not.
                if entries[*at].support == Support::Known {
                    entries[*at].support = support;
                }
            }
            Catalogue { entries, index }
        })
    }

    /// All entries, in the order of the tables.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry of that kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.index.get(&(kind, name)).map(|i| &self.entries[*i])
    }

    /// The step of that name.
    pub fn step(&self, name: &str) -> Option<&Entry> {
        self.find(Kind::Step, name)
    }

    /// Whether anything at all has that name: such a call may stand where Groovy code stands.
    pub fn knows(&self, name: &str) -> bool {
        self.of_any_kind(name).next().is_some()
    }

    /// Every entry of that name.
    pub fn of_any_kind(&self, name: &str) -> impl Iterator<Item = &Entry> {
        let kinds = [
            Kind::Step,
            Kind::Symbol,
            Kind::Parameter,
            Kind::Trigger,
            Kind::Property,
            Kind::Option,
            Kind::Agent,
            Kind::When,
            Kind::Tool,
        ];
        kinds.into_iter().filter_map(move |kind| self.find(kind, name))
    }

    /// The names of a kind that may be shown to people, in the order of the table.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &'static str> {
        self.entries.iter().filter(move |e| e.kind == kind && !e.fixture).map(|e| e.name)
    }

    /// The names that may stand in `options` (of a stage, or of the pipeline), sorted.
    pub fn option_names(&self, in_stage: bool) -> Vec<&'static str> {
        let mut names: Vec<_> =
            self.entries.iter().filter(|e| e.is_option(in_stage) && !e.fixture).map(|e| e.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The entry that an option of that name stands for: a property or option goes before a block step.
    pub fn option(&self, name: &str, in_stage: bool) -> Option<&Entry> {
        [Kind::Property, Kind::Option, Kind::Step]
            .into_iter()
            .filter_map(|kind| self.find(kind, name))
            .find(|e| e.is_option(in_stage))
    }

    /// The known steps nearest to a name that is not known, nearest first, at most three.
    pub fn nearest_steps(&self, name: &str) -> Vec<&'static str> {
        nearest(name, self.names(Kind::Step))
    }
}

impl Entry {
    fn is_option(&self, in_stage: bool) -> bool {
        match self.kind {
            Kind::Option => self.stage || !in_stage,
            Kind::Property => !in_stage,
            Kind::Step => self.wraps(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood_and_unique() {
        let catalogue = Catalogue::get();
        assert!(catalogue.entries.len() > 600, "{}", catalogue.entries.len());
        assert_eq!(catalogue.entries.len(), catalogue.index.len(), "a name stands twice in one kind");
    }

    #[test]
    fn the_steps_that_are_said_to_run_are_those_that_the_engine_has() {
        let mut said: Vec<_> =
            Catalogue::get().entries.iter().filter(|e| e.kind == Kind::Step && e.support == Support::Runs).collect();
        said.sort_by_key(|e| e.name);
        let said: Vec<_> = said.iter().map(|e| e.name).collect();
        let mut have: Vec<_> = crate::steps::names().collect();
        have.sort_unstable();
        assert_eq!(said, have, "`run` in steps.table and the engine's table of steps differ");
    }

    #[test]
    fn every_condition_runs() {
        let entries = &Catalogue::get().entries;
        let other = entries.iter().find(|e| e.kind == Kind::When && e.support != Support::Runs);
        assert!(other.is_none(), "the parser makes a test of each, and `WhenTest` holds them: {other:?}");
    }

    #[test]
    fn a_step_that_does_not_run_says_what_becomes_of_it() {
        let catalogue = Catalogue::get();
        for (name, support) in plugins::parse(include_str!("plugins.table")) {
            let (Support::Recorded(level) | Support::Delivered(level) | Support::Refused(level)) = support else {
                panic!("{name}")
            };
            assert!(!level.why.is_empty() && catalogue.step(name).is_some(), "{name}");
        }
        assert!(matches!(catalogue.step("slackSend").map(|e| e.support), Some(Support::Recorded(_))));
        assert!(matches!(catalogue.step("waitForQualityGate").map(|e| e.support), Some(Support::Refused(_))));
    }

    #[test]
    fn a_class_of_java_is_a_step() {
        let catalogue = Catalogue::get();
        assert_eq!(catalogue.step_of_class("hudson.tasks.junit.JUnitResultArchiver"), Some("junit"));
        assert_eq!(catalogue.step_of_class("class"), None);
        let lines = include_str!("classes.table").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for class in lines.filter_map(|line| line.split(' ').next()) {
            let (step, renamed) = catalogue.of_class(class).unwrap();
            let step = catalogue.step(step).unwrap_or_else(|| panic!("{class}"));
            assert!(renamed.iter().all(|(_, own)| step.open || step.parameter(own).is_some()), "{class}");
        }
    }

    #[test]
    fn a_sole_required_parameter_may_go_without_its_name() {
        let catalogue = Catalogue::get();
        assert_eq!(catalogue.step("sh").and_then(Entry::sole_required).map(|p| p.name), Some("script"));
        assert_eq!(catalogue.step("writeFile").and_then(Entry::sole_required).map(|p| p.name), None);
        assert_eq!(catalogue.step("cleanWs").and_then(Entry::sole_required).map(|p| p.name), None);
    }

    #[test]
    fn only_block_steps_without_a_machine_wrap_from_options() {
        let catalogue = Catalogue::get();
        for name in ["timeout", "retry", "timestamps", "ansiColor", "withCredentials", "lock", "catchError"] {
            assert!(catalogue.option(name, true).is_some(), "{name}");
        }
        for name in ["echo", "dir", "node", "stage", "sh"] {
            assert!(catalogue.option(name, false).is_none(), "{name}");
        }
        assert!(catalogue.option("buildDiscarder", false).is_some());
        assert!(catalogue.option("buildDiscarder", true).is_none());
        assert!(catalogue.option("skipDefaultCheckout", true).is_some());
        assert!(catalogue.option("skipStagesAfterUnstable", true).is_none());
    }

    #[test]
    fn fixtures_are_accepted_and_never_offered() {
        let catalogue = Catalogue::get();
        assert!(catalogue.find(Kind::Agent, "otherField").is_some());
        assert!(!catalogue.names(Kind::Agent).any(|n| n == "otherField"));
        assert!(!catalogue.option_names(false).contains(&"multiArgCtorProp"));
    }
}
