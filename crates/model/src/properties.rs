//! What a definition says of the project that it is run for: Jenkins' job properties. Text of the workload: what it may say is bounded, and a
//! server believes none of it of a stranger.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// Most runs of a branch whose stashes are kept, as in Jenkins.
pub const MAX_PRESERVED: u64 = 50;
/// Triggers of one definition, at most.
pub const MAX_TRIGGERS: usize = 20;
/// Parameters of one definition, at most.
pub const MAX_PARAMETERS: usize = 200;
/// Choices of one parameter, at most.
pub const MAX_CHOICES: usize = 200;
/// The longest text among them, in characters.
pub const MAX_TEXT_CHARS: usize = 4000;
/// All texts together, in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// All of it: what is not said is no longer so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// No run begins while another of the branch is under way (`disableConcurrentBuilds`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Alone>,
    /// Which runs are kept (`buildDiscarder`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// So many of the last runs keep what they have stashed, for runs that begin in their middle (`preserveStashes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stashes: Option<u64>,
    /// When it is run without anybody asking (`triggers`, `pipelineTriggers`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// What whoever asks for a run may say (`parameters`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
}

/// How runs of a branch live with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alone {
    /// A new one ends those before it (`abortPrevious`).
    pub abort_previous: bool,
}

/// Which runs of a branch are kept, as `logRotator` says it. `None`: all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// So many of the last.
    pub runs: Option<u64>,
    /// Those that ended within so many days.
    pub days: Option<u64>,
    /// So many of the last keep what they have archived.
    pub artifact_runs: Option<u64>,
    /// What was archived within so many days.
    pub artifact_days: Option<u64>,
}

/// What has a run begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The clock, in Jenkins' syntax.
    Cron(String),
    /// The forge is asked at these times whether there is anything new.
    PollScm(String),
    /// The end of a run of other projects.
    Upstream {
        /// Their names.
        projects: Vec<String>,
        /// If it went no worse than that.
        threshold: Outcome,
    },
}

impl Trigger {
    fn bytes(&self) -> usize {
        match self {
            Trigger::Cron(text) | Trigger::PollScm(text) => text.len(),
            Trigger::Upstream { projects, .. } => projects.iter().map(String::len).sum(),
        }
    }
}

/// What whoever asks for a run may say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub kind: ParameterKind,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is where nobody says anything. Of a password it is not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default: String,
    /// What there is to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// A line.
    String,
    /// Lines.
    Text,
    /// True or false.
    Boolean,
    /// One of its choices.
    Choice,
    /// Something that is not shown.
    Password,
    /// Another plugin's, taken as a line.
    Other,
}

impl ParameterKind {
    /// Jenkins' name of its class, without the package.
    pub fn class(self) -> &'static str {
        match self {
            ParameterKind::String | ParameterKind::Other => "StringParameterDefinition",
            ParameterKind::Text => "TextParameterDefinition",
            ParameterKind::Boolean => "BooleanParameterDefinition",
            ParameterKind::Choice => "ChoiceParameterDefinition",
            ParameterKind::Password => "PasswordParameterDefinition",
        }
    }
}

impl Parameter {
    fn bytes(&self) -> usize {
        let own = [&self.name, &self.description, &self.default];
        own.into_iter().chain(&self.choices).map(String::len).sum()
    }
}

impl Properties {
    /// Without what goes beyond the limits.
    #[must_use]
    pub fn bounded(mut self) -> Properties {
        fn clip(text: &mut String) {
            if let Some((at, _)) = text.char_indices().nth(MAX_TEXT_CHARS) {
                text.truncate(at);
                // What is left of a long text is to take no more than it is.
                text.shrink_to_fit();
            }
        }
        self.triggers.truncate(MAX_TRIGGERS);
        for trigger in &mut self.triggers {
            match trigger {
                Trigger::Cron(text) | Trigger::PollScm(text) => clip(text),
                Trigger::Upstream { projects, .. } => {
                    projects.truncate(MAX_CHOICES);
                    projects.iter_mut().for_each(clip);
                }
            }
        }
        self.stashes = self.stashes.map(|count| count.min(MAX_PRESERVED));
        self.parameters.truncate(MAX_PARAMETERS);
        for parameter in &mut self.parameters {
            parameter.choices.truncate(MAX_CHOICES);
            let own = [&mut parameter.name, &mut parameter.description, &mut parameter.default];
            own.into_iter().chain(&mut parameter.choices).for_each(clip);
        }
        // The first of them, as many as there is room for.
        let mut left = MAX_BYTES;
        let mut fits = |bytes: usize| {
            let room = left.checked_sub(bytes);
            left = room.unwrap_or(0);
            room.is_some()
        };
        self.triggers.retain(|trigger| fits(trigger.bytes()));
        self.parameters.retain(|parameter| fits(parameter.bytes()));
        self
    }

    /// When the clock has it run.
    pub fn crons(&self) -> impl Iterator<Item = &str> {
        self.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Cron(text) => Some(text.as_str()),
            Trigger::PollScm(_) | Trigger::Upstream { .. } => None,
        })
    }

    /// When its forge is asked.
    pub fn polls(&self) -> impl Iterator<Item = &str> {
        self.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::PollScm(text) => Some(text.as_str()),
            Trigger::Cron(_) | Trigger::Upstream { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_bounded() {
        let text = |chars: usize| "ä".repeat(chars);
        let of = |name: String, choices: usize| Parameter {
            name,
            kind: ParameterKind::Choice,
            description: String::new(),
            default: String::new(),
            choices: vec!["c".to_owned(); choices],
        };
        let crons = vec![Trigger::Cron("x".to_owned()); 2 * MAX_TRIGGERS];
        let many = Properties {
            triggers: crons,
            parameters: vec![of(text(1), 1); 2 * MAX_PARAMETERS],
            ..Properties::default()
        };
        let bounded = many.bounded();
        assert_eq!((bounded.triggers.len(), bounded.parameters.len()), (MAX_TRIGGERS, MAX_PARAMETERS));
        let long =
            Properties { parameters: vec![of(text(2 * MAX_TEXT_CHARS), 2 * MAX_CHOICES)], ..Properties::default() };
        let bounded = long.bounded();
        assert_eq!(bounded.parameters[0].name.chars().count(), MAX_TEXT_CHARS);
        assert_eq!(bounded.parameters[0].choices.len(), MAX_CHOICES);
        let upstream =
            Trigger::Upstream { projects: vec![text(MAX_TEXT_CHARS); MAX_CHOICES], threshold: Outcome::Success };
        let daily = Trigger::Cron("@daily".to_owned());
        let all = Properties { triggers: vec![daily.clone(), upstream], ..Properties::default() };
        assert_eq!(all.bounded().triggers, [daily]);
        let all = Properties { parameters: vec![of(text(MAX_TEXT_CHARS), 0); MAX_PARAMETERS], ..Properties::default() };
        let bounded = all.bounded();
        assert_eq!(bounded.parameters.len(), MAX_BYTES / (2 * MAX_TEXT_CHARS));
        assert_eq!(bounded.clone().bounded(), bounded);
    }
}
