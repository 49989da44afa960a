//! What a definition wants to be told and given: parameters, triggers, credentials, libraries.

use std::collections::BTreeSet;

use model::properties::{Parameter, ParameterKind, Properties, Trigger};
use serde::Serialize;

/// What a run would want beside machines.
#[derive(Debug, Default, Serialize)]
pub struct Asked {
    /// What whoever asks for a run may say.
    parameters: Vec<Parameter>,
    /// What starts a run by itself.
    triggers: Vec<Trigger>,
    /// Ids of credentials.
    credentials: Vec<Named>,
    /// Shared libraries.
    libraries: Vec<Named>,
}

/// A name and where it stands.
#[derive(Debug, Serialize)]
struct Named {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// Only a run knows the name: these are the words that it is made of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    computed: bool,
}

impl Asked {
    /// From the text of a definition, from what it said of its project while it was evaluated, and from the credentials that it asked for
    /// then.
    pub fn new(source: &str, properties: Option<Properties>, asked_for: &BTreeSet<String>) -> Asked {
        let Properties { parameters, triggers, .. } = properties.unwrap_or_default();
        let asks = pipeline::lint::asks(source);
        let named = |all: Vec<pipeline::lint::Asked>| {
            all.into_iter().map(|of| Named { name: of.name, line: Some(of.line), computed: !of.literal }).collect()
        };
        let mut credentials: Vec<Named> = named(asks.credentials);
        let is_new = |id: &String| credentials.iter().all(|known| known.name != *id);
        if asked_for.iter().any(is_new) {
            // What they are made of has become those.
            credentials.retain(|known| !known.computed);
        }
        for id in asked_for {
            if credentials.iter().all(|known| known.name != *id) {
                credentials.push(Named { name: id.clone(), line: None, computed: false });
            }
        }
        Asked { parameters, triggers, credentials, libraries: named(asks.libraries) }
    }

    /// What is asked for, a line for each kind that there is.
    pub fn lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let named = |all: &[Named]| {
            let line = |of: &Named| of.line.map(|line| format!(" (line {line})")).unwrap_or_default();
            all.iter().map(|of| format!("{}{}", of.name, line(of))).collect()
        };
        let lines = [
            ("parameters", self.parameters.iter().map(parameter).collect()),
            ("triggers", self.triggers.iter().map(trigger).collect()),
            ("credentials", named(&self.credentials)),
            ("libraries", named(&self.libraries)),
        ];
        lines.into_iter().filter(|(_, names): &(_, Vec<String>)| !names.is_empty()).collect()
    }
}

fn parameter(of: &Parameter) -> String {
    match (&of.kind, of.default.is_empty()) {
        (ParameterKind::Choice, _) if !of.choices.is_empty() => format!("{} ({})", of.name, of.choices.join(" | ")),
        (ParameterKind::Password, _) => format!("{} (password)", of.name),
        (_, false) => format!("{}={}", of.name, of.default),
        (_, true) => of.name.clone(),
    }
}

fn trigger(of: &Trigger) -> String {
    match of {
        Trigger::Cron(spec) => format!("cron {spec}"),
        Trigger::PollScm(spec) => format!("pollSCM {spec}"),
        Trigger::Upstream { projects, threshold } => format!("upstream {} ({})", projects.join(" "), threshold.name()),
    }
}
