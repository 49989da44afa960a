//! A run that another starts: `build job: 'app'`.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// Most runs that one starts.
pub const MAX_BUILDS: usize = 1000;
/// The longest name of a job that is looked for, in bytes.
pub const MAX_JOB_NAME_BYTES: usize = 500;
/// Most parameters of one.
pub const MAX_BUILD_PARAMETERS: usize = 500;
/// Most of their names and values, in bytes.
pub const MAX_BUILD_BYTES: usize = 1 << 20;

/// Which run is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildWish {
    /// Names that it may have, from the first: a project, or one and a branch of it (`app/main`).
    pub names: Vec<String>,
    /// Values of parameters, as text.
    pub parameters: Vec<(String, String)>,
    /// Names of those that are shown to nobody: passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// The reply comes when it is over; else when it is in the queue.
    pub waits: bool,
}

/// A run that was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Full name of what it is of (`JOB_NAME`).
    pub job_name: String,
    /// `BUILD_NUMBER`.
    pub number: u64,
    /// How it ended, where that was waited for.
    pub outcome: Option<Outcome>,
    /// Where its page is.
    pub url: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Its parameters.
    pub parameters: Vec<(String, String)>,
}

/// The names that a job may be meant by, seen from another: beside it, then from the top. What leads out of the top is none.
///
/// Source: `Jenkins.getItem(String, ItemGroup)`.
pub fn names_of(wanted: &str, from: &str) -> Vec<String> {
    let parent = from.rsplit_once('/').map_or("", |(parent, _)| parent);
    let resolved = |base: &str| {
        let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        for part in wanted.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(parts.join("/")).filter(|name| !name.is_empty())
    };
    let mut names: Vec<String> = match wanted.starts_with('/') {
        true => resolved("").into_iter().collect(),
        false => resolved(parent).into_iter().chain(resolved("")).collect(),
    };
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::names_of;

    #[test]
    fn a_job_is_looked_for_beside_its_caller_and_from_the_top() {
        for (wanted, from, names) in [
            ("lib", "app", &["lib"][..]),
            ("lib", "team/app", &["team/lib", "lib"]),
            ("../lib", "team/app/main", &["team/lib"]),
            ("../../lib", "team/app/main", &["lib"]),
            ("./lib//main", "team/app", &["team/lib/main", "lib/main"]),
            ("/lib", "team/app", &["lib"]),
            ("..", "app", &[]),
            ("../../../x", "team/app", &[]),
            ("", "team/app", &["team"]),
        ] {
            assert_eq!(names_of(wanted, from), names, "{wanted} from {from}");
        }
    }
}
