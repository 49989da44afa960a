//! What a definition says of its project: options and triggers of a declarative pipeline, the step `properties` of a script.

use cron::Schedule;
use groovy::value::Value;
use model::event::Event;
use model::outcome::Outcome;
use model::properties::{Alone, Keep, Parameter, ParameterKind, Properties, Trigger};

use super::interpreter::Interpreter;
use super::{options, parameters};
use crate::catalogue::{Kind, Support};
use crate::declarative::model::OptionKind;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps;

type Fields = [(String, Value)];

/// Tells what the model says; also that it says nothing, which may be new. That it is told outside of every step is by what a server knows that a run is of a
/// declarative pipeline.
pub(super) async fn tell(it: &Interpreter, scope: &Scope, parameters: Vec<Parameter>) -> Result<(), Fault> {
    let stashes = options::preserved(it, scope).await?;
    let mut properties = Properties { stashes, parameters, ..Properties::default() };
    let is_told =
        |kind, name: &str| it.core.program.catalogue().find(kind, name).is_some_and(|e| e.support == Support::Runs);
    let options = it.model.options.iter().filter(|option| option.kind == OptionKind::JobProperty);
    for option in options.filter(|option| is_told(Kind::Property, &option.call.name)) {
        let (named, others) = it.arguments(scope, &option.call).await?;
        let args = steps::args_for(&option.call.name, named, others)?;
        add(&mut properties, &option.call.name, &args.named);
    }
    // What a plugin's trigger is given are values of that plugin, which nobody here knows.
    for call in it.model.triggers.iter().filter(|call| is_told(Kind::Trigger, &call.name)) {
        let (named, others) = it.arguments(scope, call).await?;
        let args = steps::args_for(&call.name, named, others)?;
        properties.triggers.extend(trigger(&call.name, &args.named).map_err(|fault| fault.at(call.span))?);
    }
    finish(&it.core, properties);
    Ok(())
}

/// `properties([parameters([…]), pipelineTriggers([…]), …])`: instead of all that was said before.
pub(crate) fn set(core: &Core, all: &[Value]) -> Result<(), Fault> {
    let mut properties = Properties::default();
    for property in all {
        let fields = values::entries(property).unwrap_or_default();
        match values::symbol(&fields).as_deref() {
            Some("parameters" | "ParametersDefinitionProperty") => {
                for fields in items(&fields, "parameterDefinitions") {
                    let kind = values::symbol(&fields).unwrap_or_default();
                    properties.parameters.push(parameters::define(core, &kind, &fields)?);
                }
            }
            Some("pipelineTriggers" | "PipelineTriggersJobProperty") => {
                for fields in items(&fields, "triggers") {
                    let kind = values::symbol(&fields).unwrap_or_default();
                    properties.triggers.extend(trigger(&kind, &fields)?);
                }
            }
            Some(symbol) => add(&mut properties, symbol, &fields),
            None => {}
        }
    }
    finish(core, properties);
    Ok(())
}

fn finish(core: &Core, mut properties: Properties) {
    for parameter in properties.parameters.iter_mut().filter(|of| of.kind == ParameterKind::Password) {
        parameter.default.clear();
    }
    core.event(Event::PropertiesSet { properties: properties.bounded() });
}

fn field<'a>(fields: &'a Fields, names: &[&str]) -> Option<&'a Value> {
    fields.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value).filter(|v| !v.is_null())
}

/// The descriptions in a list.
fn items(fields: &Fields, name: &str) -> Vec<Vec<(String, Value)>> {
    let list = field(fields, &[name, "value"]).and_then(Value::items).unwrap_or_default();
    list.iter().map(|item| values::entries(item).unwrap_or_default()).collect()
}

/// One that says nothing to a server is left out.
fn add(properties: &mut Properties, symbol: &str, fields: &Fields) {
    match symbol {
        "disableConcurrentBuilds" | "DisableConcurrentBuildsJobProperty" => {
            let abort_previous = field(fields, &["abortPrevious"]).is_some_and(Value::truth);
            properties.alone = Some(Alone { abort_previous });
        }
        "preserveStashes" | "PreserveStashesJobProperty" => {
            properties.stashes = Some(number(fields, &["buildCount"]).unwrap_or(1));
        }
        "buildDiscarder" | "BuildDiscarderProperty" => {
            let strategy = field(fields, &["strategy", "value"]).and_then(values::entries).unwrap_or_default();
            if matches!(values::symbol(&strategy).as_deref(), Some("logRotator" | "LogRotator")) {
                properties.keep = Some(Keep {
                    runs: number(&strategy, &["numToKeepStr", "numToKeep"]),
                    days: number(&strategy, &["daysToKeepStr", "daysToKeep"]),
                    artifact_runs: number(&strategy, &["artifactNumToKeepStr", "artifactNumToKeep"]),
                    artifact_days: number(&strategy, &["artifactDaysToKeepStr", "artifactDaysToKeep"]),
                });
            }
        }
        _ => {}
    }
}

/// A number of `logRotator`. None: nothing, what is no number, or one that is not above zero, which all mean all.
fn number(fields: &Fields, names: &[&str]) -> Option<u64> {
    let text = field(fields, names).map(Value::to_text).unwrap_or_default();
    text.trim().parse().ok().filter(|number| *number > 0)
}

/// `None`: one that another server would know what to do with.
fn trigger(symbol: &str, fields: &Fields) -> Result<Option<Trigger>, Fault> {
    Ok(match symbol {
        "cron" | "TimerTrigger" => Some(Trigger::Cron(specification(fields, &["spec", "value"], "TimerTrigger")?)),
        "pollSCM" | "SCMTrigger" => {
            Some(Trigger::PollScm(specification(fields, &["scmpoll_spec", "spec", "value"], "SCMTrigger")?))
        }
        "upstream" | "ReverseBuildTrigger" => {
            let text = field(fields, &["upstreamProjects", "value"]).map(Value::to_text).unwrap_or_default();
            let projects = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let threshold = field(fields, &["threshold"]).map(Value::to_text).unwrap_or_default();
            let threshold = Outcome::from_name(threshold.rsplit('.').next().unwrap_or_default());
            Some(Trigger::Upstream { projects, threshold: threshold.unwrap_or(Outcome::Success) })
        }
        _ => None,
    })
}

/// A schedule that can be read. Jenkins says it in the same way where it cannot.
fn specification(fields: &Fields, names: &[&str], class: &str) -> Result<String, Fault> {
    let text = field(fields, names).map(Value::to_text).unwrap_or_default();
    match Schedule::parse(&text, "") {
        Ok(_) => Ok(text),
        Err(error) => {
            Err(Fault::illegal(format!("Could not instantiate {{spec={text}}} for hudson.triggers.{class}: {error}")))
        }
    }
}
