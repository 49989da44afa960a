//! What a definition wants to be told and given: parameters, triggers, credentials, libraries.

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
    line: u32,
    /// Only a run knows the name: these are the words that it is made of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    computed: bool,
}

impl Asked {
    /// From the text of a definition, and from what it said of its project while it was evaluated.
    pub fn new(source: &str, properties: Option<Properties>) -> Asked {
        let Properties { parameters, triggers, .. } = properties.unwrap_or_default();
        let asks = pipeline::lint::asks(source);
        let named = |all: Vec<pipeline::lint::Asked>| {
            all.into_iter().map(|of| Named { name: of.name, line: of.line, computed: !of.literal }).collect()
        };
        Asked { parameters, triggers, credentials: named(asks.credentials), libraries: named(asks.libraries) }
    }

    /// What is asked for, a line for each kind that there is.
    pub fn lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let named = |all: &[Named]| all.iter().map(|of| format!("{} (line {})", of.name, of.line)).collect();
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
