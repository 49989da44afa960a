//! Who may do what: the one place that says so. Pure.
//!
//! ```text
//!   somebody ── grants: a role on a folder ──┐
//!                                            ├──▶ may (action, project)
//!   a token  ── scopes: the same, as a cap ──┘
//! ```
//!
//! A role on a folder is one on all projects below it; on the empty folder, on the server itself. Each role may do what the ones before it may.
//! All of it as a table: `data/policy.txt`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody is to a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks on.
    Reader,
    /// Has runs begun and ended.
    Developer,
    /// Says how projects are run, and answers for strangers' code.
    Maintainer,
    /// Says who may come in, and what comes in.
    Admin,
}

/// All roles.
pub const ROLES: [Role; 4] = [Role::Reader, Role::Developer, Role::Maintainer, Role::Admin];

impl Role {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Developer => "developer",
            Role::Maintainer => "maintainer",
            Role::Admin => "admin",
        }
    }
}

/// A role on a folder: `developer@team`, or `admin` on everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What.
    pub role: Role,
    /// A folder, or the full name of a project. Empty: everything, the server too.
    #[serde(default)]
    pub on: String,
    /// The project of that name alone, and nothing below it: as a project says it of somebody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

impl Grant {
    /// A role on everything.
    pub fn everywhere(role: Role) -> Grant {
        Grant { role, on: String::new(), alone: false }
    }

    fn covers(&self, project: &str) -> bool {
        let fits = |rest: &str| rest.is_empty() || rest.starts_with('/') && !self.alone;
        self.on.is_empty() || project.strip_prefix(&self.on).is_some_and(fits)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.on.as_str() {
            "" => f.write_str(self.role.name()),
            on => write!(f, "{}@{on}", self.role.name()),
        }
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Grant, String> {
        let (role, on) = text.split_once('@').unwrap_or((text, ""));
        let found = ROLES.into_iter().find(|known| known.name() == role);
        let role = found.ok_or_else(|| format!("`{role}` is no role: reader, developer, maintainer, admin"))?;
        if text.contains('@') && on.trim_matches('/').is_empty() {
            return Err(format!("`{text}` names no folder: {}@FOLDER", role.name()));
        }
        Ok(Grant { role, on: on.trim_matches('/').to_owned(), alone: false })
    }
}

/// Where a role has to be held for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the project, or a folder that it is in.
    Project,
    /// On everything.
    Server,
    /// Anywhere.
    Anywhere,
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident: $resource:literal $action:literal, $role:ident, $place:ident;)+) => {
        /// Something that can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        /// All actions.
        pub const ACTIONS: &[Action] = &[$(Action::$name),+];

        impl Action {
            /// To what, and its word.
            pub fn name(self) -> (&'static str, &'static str) {
                match self { $(Action::$name => ($resource, $action)),+ }
            }

            /// The smallest role that may, and where it is held.
            pub fn needs(self) -> (Role, Place) {
                match self { $(Action::$name => (Role::$role, Place::$place)),+ }
            }
        }
    };
}

actions! {
    /// Its runs, logs, artifacts and configuration (without secrets).
    SeeProject: "project" "see", Reader, Project;
    /// Make it, or change how it is run.
    ChangeProject: "project" "change", Maintainer, Project;
    /// Ask for a run.
    TriggerRun: "run" "trigger", Developer, Project;
    /// The same once more.
    RerunRun: "run" "rerun", Developer, Project;
    /// Have it end.
    EndRun: "run" "end", Developer, Project;
    /// Say yes or no where a run asks (`input`).
    AnswerRun: "run" "answer", Developer, Project;
    /// Let a stranger's code run.
    ApproveRun: "run" "approve", Maintainer, Project;
    /// Who is there, and what they can do.
    SeeAgents: "agent" "see", Reader, Anywhere;
    /// Take one in.
    EnrolAgent: "agent" "enrol", Admin, Server;
    /// Send one away for good.
    RemoveAgent: "agent" "remove", Admin, Server;
    /// Who may come in.
    SeePeople: "people" "see", Admin, Server;
    /// Say who may come in, and what each may do.
    ChangePeople: "people" "change", Admin, Server;
    /// Tokens of one's own, which may do no more than oneself.
    OwnTokens: "token" "own", Reader, Anywhere;
    /// Everybody's tokens.
    AllTokens: "token" "all", Admin, Server;
    /// Numbers of the server as a whole.
    SeeMetrics: "server" "see-metrics", Reader, Server;
    /// Who did what.
    SeeAudit: "server" "see-audit", Admin, Server;
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Their name.
    pub name: String,
    /// What they are, wherever that is.
    pub grants: Vec<Grant>,
    /// What the token that they ask with may at most; `None`: all that they may.
    pub scopes: Option<Vec<Grant>>,
}

impl Who {
    /// Whether they may do it, to that project.
    pub fn may(&self, action: Action, project: Option<&str>) -> bool {
        allowed(&self.grants, action, project)
            && self.scopes.as_ref().is_none_or(|scopes| allowed(scopes, action, project))
    }

    /// Whether they may give this to somebody else, or to a token: nobody gives what they have not.
    pub fn may_give(&self, grant: &Grant) -> bool {
        let has = |grants: &[Grant]| grants.iter().any(|own| own.role >= grant.role && own.covers(&grant.on));
        has(&self.grants) && self.scopes.as_ref().is_none_or(|scopes| has(scopes))
    }
}

fn allowed(grants: &[Grant], action: Action, project: Option<&str>) -> bool {
    let (least, place) = action.needs();
    let mut enough = grants.iter().filter(|grant| grant.role >= least);
    match (place, project) {
        (Place::Anywhere, _) => enough.next().is_some(),
        (Place::Project, Some(project)) => enough.any(|grant| grant.covers(project)),
        (Place::Project | Place::Server, _) => enough.any(|grant| grant.on.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(grants: &[&str], scopes: Option<&[&str]>) -> Who {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Who { name: "somebody".into(), grants: read(grants), scopes: scopes.map(read) }
    }

    /// Role × resource × action, where each role is held on everything, on the project's folder, and on another.
    fn table() -> String {
        let mut table = String::from(
            "# role x resource x action: + may, - may not; held on everything / on the project's folder / elsewhere\n",
        );
        table += &format!("{:<24}", "");
        ROLES.iter().for_each(|role| table += &format!("{:<14}", role.name()));
        for action in ACTIONS {
            let (resource, word) = action.name();
            table += &format!("\n{:<24}", format!("{resource} {word}"));
            for role in ROLES {
                let held = ["", "@team", "@other"].map(|on| {
                    let may = who(&[&format!("{}{on}", role.name())], None).may(*action, Some("team/app"));
                    if may { "+" } else { "-" }
                });
                table += &format!("{:<14}", held.join("/"));
            }
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    #[test]
    fn the_policy_is_the_one_that_is_written_down() {
        let golden = include_str!("../data/policy.txt");
        assert_eq!(table(), golden, "this is what data/policy.txt has to say:\n{}", table());
    }

    #[test]
    fn a_folder_is_no_beginning_of_a_name() {
        let who = who(&["developer@team"], None);
        for (project, expect) in [("team/app", true), ("team", true), ("teams/app", false), ("other", false)] {
            assert_eq!(who.may(Action::TriggerRun, Some(project)), expect, "{project}");
        }
        assert!(!who.may(Action::EnrolAgent, Some("team/app")) && who.may(Action::SeeAgents, None));
        // As a project says it, it is no folder at all.
        let alone = Grant { alone: true, ..who.grants[0].clone() };
        let who = Who { grants: vec![alone], ..who };
        for (project, expect) in [("team/app", false), ("team", true), ("teams", false)] {
            assert_eq!(who.may(Action::TriggerRun, Some(project)), expect, "{project}");
        }
        assert!(!who.may_give(&"reader@team/app".parse().unwrap()) && who.may_give(&"reader@team".parse().unwrap()));
    }

    #[test]
    fn a_token_may_no_more_than_its_owner_and_its_scopes() {
        let both = who(&["maintainer@team", "reader"], Some(&["developer@team/app", "reader"]));
        assert!(both.may(Action::TriggerRun, Some("team/app")) && !both.may(Action::ChangeProject, Some("team/app")));
        assert!(!both.may(Action::TriggerRun, Some("team/other")) && both.may(Action::SeeProject, Some("team/other")));
        assert!(!both.may(Action::TriggerRun, Some("elsewhere")));
        assert!(both.may_give(&"developer@team/app".parse().unwrap()));
        assert!(!both.may_give(&"maintainer@team".parse().unwrap()) && !both.may_give(&"developer".parse().unwrap()));
    }

    #[test]
    fn grants_are_read_as_they_are_written() {
        for text in ["admin", "reader@a/b"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for wrong in ["", "owner", "admin@", "reader@/"] {
            assert!(wrong.parse::<Grant>().is_err(), "{wrong}");
        }
    }
}
