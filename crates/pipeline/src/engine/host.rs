//! What the script may ask without waiting: globals, variables, properties of the host's objects.

use std::rc::Rc;

use groovy::machine::Host;
use groovy::outside::Outside;
use groovy::value::{Class, HostRef, Value};
use model::event::{Event, LogSource};

use super::Core;
use super::fault::{ABORT, LIMIT};
use super::scope::Scope;
use super::values;

use crate::globals::result;
use crate::outside::{NO_JENKINS, REJECTED, advice, plugin_variable};
use crate::{catalogue, globals};

/// Jenkins' words for a run whose definition comes from nowhere.
const NO_SCM: &str = "‘checkout scm’ is only available when using “Multibranch Pipeline” or “Pipeline script from SCM”";

/// Its `markStageSkippedForConditional` is what scripted pipelines grey a stage out with.
const MODEL_UTILS: &str = "org.jenkinsci.plugins.pipeline.modeldefinition.Utils";

/// Methods of `binding`.
const OF_BINDING: [&str; 4] = ["getVariable", "getVariables", "hasVariable", "setVariable"];

/// The host of one fiber, in its scope.
pub(crate) struct FiberHost<'a> {
    /// The run.
    pub(crate) core: &'a Rc<Core>,
    /// Where the fiber is.
    pub(crate) scope: &'a Scope,
}

impl Host for FiberHost<'_> {
    fn has_method(&self, receiver: Option<&HostRef>, name: &str) -> bool {
        // An unknown step is refused with Jenkins' own words, which name the steps that there are.
        receiver.is_some() || !catalogue::OF_EVERY_OBJECT.contains(&name) && !OF_BINDING.contains(&name)
    }

    fn goes_first(&self, name: &str) -> bool {
        name == "pipeline" || self.core.program.catalogue().step(name).is_some()
    }

    fn property(&mut self, receiver: Option<&HostRef>, name: &str) -> Option<Result<Value, Value>> {
        match receiver {
            Some(host) => match globals::refused_property(host, name) {
                Some(what) => Some(Err(rejected(&what, NO_JENKINS))),
                None => globals::property(self.core, self.scope, host, name).map(Ok),
            },
            None if name == "scm" && !self.core.facts.has_scm => Some(Err(values::exception(ABORT, NO_SCM))),
            None => self.bare_name(name).map(Ok).or_else(|| Some(Err(of_plugin(name)?))),
        }
    }

    fn unknown_name(&mut self, name: &str) -> Option<Value> {
        self.scope.nullable.as_ref()?.iter().any(|n| **n == *name).then_some(Value::Null)
    }

    fn asks(&self, receiver: &HostRef, name: &str) -> Option<&'static str> {
        globals::asks(receiver, name)
    }

    fn set_property(&mut self, receiver: Option<&HostRef>, name: &str, value: &Value) -> Option<Result<(), Value>> {
        match globals::set_property(self.core, self.scope, receiver?, name, value) {
            Ok(is_set) => is_set.then_some(Ok(())),
            Err(why) => Some(Err(values::exception(LIMIT, &why))),
        }
    }

    fn construct(&mut self, class: &str, _: &[Value]) -> Option<Result<Value, Value>> {
        let full = of_jenkins(class);
        let class = full.as_deref().unwrap_or(class);
        is_internal(class).then(|| Err(rejected(&format!("new {class}"), NO_JENKINS)))
    }

    fn static_call(&mut self, class: &str, method: &str, args: &[Value]) -> Option<Result<Value, Value>> {
        if let (result::CLASS, Some(constant)) = (class, result::of_class(method, args)) {
            return Some(Ok(constant));
        }
        if class == MODEL_UTILS && method == "markStageSkippedForConditional" {
            let (name, stage) = (args.first().map(Value::to_text).unwrap_or_default(), self.scope.stage);
            if let Some(stage) = stage {
                let reason = format!("Stage \"{name}\" skipped due to when conditional");
                self.core.event(Event::StageSkipped { stage, reason });
            }
            return Some(Ok(Value::Null));
        }
        is_internal(class).then(|| Err(rejected(&format!("staticMethod {class} {method}"), NO_JENKINS)))
    }

    fn clock(&self) -> Option<HostRef> {
        Some(HostRef { kind: globals::CLOCK, id: 0, text: None })
    }

    fn random_seed(&mut self) -> Option<u64> {
        Some(self.core.run.random.next())
    }

    fn refused(&mut self, what: &str, outside: Outside) -> Option<Value> {
        Some(rejected(what, advice(outside)))
    }

    fn print(&mut self, text: &str) {
        self.core.log(self.scope, LogSource::Step, text);
    }
}

impl FiberHost<'_> {
    /// A name that is neither local nor in the binding: global, variable, parameter.
    fn bare_name(&self, name: &str) -> Option<Value> {
        globals::global(self.core, name)
            .or_else(|| self.core.env_var(self.scope, name).map(|v| values::text(&v)))
            .or_else(|| Some(Value::Class(Rc::new(Class::named(&of_jenkins(name)?, None)))))
    }
}

/// Jenkins imports `hudson.model.*` and `jenkins.model.*` into every pipeline: the full name of a class of theirs that scripts name.
fn of_jenkins(name: &str) -> Option<String> {
    const HUDSON: [&str; 22] = [
        "Result",
        "Cause",
        "Run",
        "Job",
        "Item",
        "Items",
        "Node",
        "User",
        "Hudson",
        "Executor",
        "Computer",
        "Queue",
        "AbstractProject",
        "Fingerprint",
        "ParametersAction",
        "ParametersDefinitionProperty",
        "ParameterValue",
        "StringParameterValue",
        "BooleanParameterValue",
        "StringParameterDefinition",
        "BooleanParameterDefinition",
        "ChoiceParameterDefinition",
    ];
    match name {
        "Jenkins" => Some("jenkins.model.Jenkins".to_owned()),
        name => HUDSON.contains(&name).then(|| format!("hudson.model.{name}")),
    }
}

/// What is said of a variable that a plugin of Jenkins would bring.
fn of_plugin(name: &str) -> Option<Value> {
    let instead = plugin_variable(name)?;
    let text = format!("The variable ‘{name}’ is that of a plugin of Jenkins, and does not run here: {instead}");
    Some(values::exception("java.lang.UnsupportedOperationException", &text))
}

/// Jenkins' own objects: there is no Jenkins here.
fn is_internal(class: &str) -> bool {
    ["hudson.", "jenkins.", "org.jenkinsci."].iter().any(|p| class.starts_with(p)) || class == "Jenkins"
}

/// Jenkins' words for what its script sandbox refuses, and what to do.
fn rejected(what: &str, instead: &str) -> Value {
    values::exception(REJECTED, &format!("Scripts not permitted to use {what}: {instead}"))
}
