//! What a run asks people.

use serde::{Deserialize, Serialize};

/// What people are asked by `input`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its name in the definition; unique there, if its author wants that.
    pub id: String,
    /// What is asked.
    pub message: String,
    /// What a yes is called.
    pub ok: String,
    /// Who may answer, beside administrators; nobody named: whoever may answer at all.
    pub submitters: Vec<String>,
    /// What else is to be said.
    pub parameters: Vec<Parameter>,
}

/// A value that somebody is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it is where nothing is said.
    pub default: String,
    /// It is one of these; none: any text.
    pub choices: Vec<String>,
    /// What is said of it is shown to nobody: a password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_hidden: bool,
}

impl Question {
    /// Of what was said, what is shown to nobody.
    pub fn confided<'a>(&'a self, said: &'a [(String, String)]) -> impl Iterator<Item = &'a str> {
        let is_hidden = |name: &str| self.parameters.iter().any(|asked| asked.is_hidden && asked.name == name);
        said.iter().filter(move |(name, _)| is_hidden(name)).map(|(_, value)| value.as_str())
    }

    /// What was said of each parameter, in their order, with what was not said.
    ///
    /// # Errors
    /// In words: a name that was not asked for, a value that is no choice.
    pub fn complete(&self, mut said: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
        let mut values = Vec::new();
        for Parameter { name, default, choices, .. } in &self.parameters {
            let at = said.iter().position(|(given, _)| given == name);
            let value = at.map_or_else(|| default.clone(), |at| said.remove(at).1);
            if !choices.is_empty() && !choices.contains(&value) {
                return Err(format!("parameter {name} has no choice `{value}` (there is: {})", choices.join(", ")));
            }
            values.push((name.clone(), value));
        }
        match said.first() {
            Some((name, _)) => Err(format!("no parameter {name} is asked for")),
            None => Ok(values),
        }
    }
}
