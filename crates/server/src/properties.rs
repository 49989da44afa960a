//! What definitions say of their projects: who is believed, and of which branch it is said.
//!
//! ```text
//!   a run says it ──▶ of its branch, if it is no stranger's ──▶ line (alone), schedules, scan, upstream, housekeeping
//! ```
//!
//! What a project's configuration says holds as well: a definition adds to it, and takes nothing away.

use std::borrow::Cow;

use model::properties::Properties;
use model::rung::Trust;
use store::{Project, ProjectId, Run, StoreError};

use crate::app::App;
use crate::config::ProjectConfig;
use crate::found::change_id;

const BRANCHES: &str = "refs/heads/";

/// What a run says something of: the name of its branch; of a pull request or a tag its reference. `None`: of nothing that has other runs.
pub(crate) fn branch_of<'a>(run: &'a Run, config: &'a ProjectConfig) -> Option<Cow<'a, str>> {
    let name = match run.revision.as_deref() {
        None => config.source.branch().unwrap_or_default(),
        Some(name) if scm::is_whole(name) => return None,
        Some(name) => name.strip_prefix(BRANCHES).unwrap_or(name),
    };
    // Where a pull request is fetched by its branch, that has runs of its own.
    let request = change_id(run).filter(|_| is_branch(name)).and_then(|id| id.parse().ok());
    match request.map(names_of_request) {
        Some([.., own]) => Some(own.into()),
        None => Some(name.into()),
    }
}

/// By which a pull request may be known: each forge has its own.
pub(crate) fn names_of_request(number: u64) -> [String; 3] {
    let names = [("pull", "head"), ("merge-requests", "head"), ("pull-requests", "from")];
    names.map(|(kind, end)| format!("refs/{kind}/{number}/{end}"))
}

/// The same where its runs may be at its branch.
pub(crate) fn request_at_branch(name: &str) -> Option<u64> {
    request_of(name).filter(|_| name.starts_with("refs/pull-requests/"))
}

/// The pull request that is known by that.
pub(crate) fn request_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("refs/")?.split('/').nth(1)?.parse().ok()?;
    names_of_request(number).contains(&name.to_owned()).then_some(number)
}

/// Whether runs may begin because of what is said of it: a branch has no moments of its own but the ones of pushes to it.
pub(crate) fn is_branch(name: &str) -> bool {
    !name.starts_with("refs/")
}

/// Whether it is the branch that is built where nobody says otherwise.
pub(crate) fn is_default(name: &str, config: &ProjectConfig) -> bool {
    name == config.source.branch().unwrap_or_default()
}

/// Whether what a run says of its branch is believed: a stranger has no say in when code is run, and what is kept.
pub(crate) fn is_believed(run: &Run) -> bool {
    run.trust != Trust::Stranger
}

/// What the branch of a run has said.
///
/// # Errors
/// The database.
pub(crate) async fn of_run(app: &App, run: &Run, config: &ProjectConfig) -> Result<Properties, StoreError> {
    match branch_of(run, config) {
        Some(branch) => Ok(app.store.properties(run.project, &branch).await?.unwrap_or_default()),
        None => Ok(Properties::default()),
    }
}

/// What a branch has said, with its project.
pub(crate) struct Said {
    pub(crate) project: Project,
    pub(crate) config: ProjectConfig,
    pub(crate) branch: String,
    pub(crate) properties: Properties,
}

impl Said {
    pub(crate) fn is_default(&self) -> bool {
        is_default(&self.branch, &self.config)
    }

    /// As it is called in Jenkins.
    pub(crate) fn name(&self) -> String {
        seed(&self.project.name, &self.branch)
    }
}

/// By which the values of `H` are chosen: each branch has its own.
pub(crate) fn seed(project: &str, branch: &str) -> String {
    if branch.is_empty() { project.to_owned() } else { format!("{project}/{branch}") }
}

/// What all branches of these projects have said.
///
/// # Errors
/// The database.
pub(crate) async fn all(app: &App, projects: &[Project]) -> Result<Vec<Said>, StoreError> {
    let of = |id: ProjectId| projects.iter().find(|project| project.id == id);
    let all = app.store.all_properties(None).await?.into_iter().filter_map(|said| {
        let project = of(said.project)?.clone();
        let config = serde_json::from_value(project.config.clone()).ok()?;
        Some(Said { project, config, branch: said.branch, properties: said.properties })
    });
    Ok(all.collect())
}
