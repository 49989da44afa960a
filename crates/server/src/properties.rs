//! What definitions say of their projects: who is believed, and of which branch it is said.
//!
//! ```text
//!   a run says it ──▶ of its branch, if it is no stranger's ──▶ line (alone), schedules, scan, upstream, housekeeping
//! ```
//!
//! What a project's configuration says holds as well: a definition adds to it, and takes nothing away.

use model::properties::Properties;
use model::rung::Trust;
use store::{Project, ProjectId, Run, StoreError};

use crate::app::App;
use crate::config::ProjectConfig;

const BRANCHES: &str = "refs/heads/";

/// What a run says something of: the name of its branch; of a pull request or a tag its reference. `None`: of nothing that has other runs.
pub(crate) fn branch_of<'a>(run: &'a Run, config: &'a ProjectConfig) -> Option<&'a str> {
    match run.revision.as_deref() {
        None => Some(config.source.branch().unwrap_or_default()),
        Some(name) if scm::is_whole(name) => None,
        Some(name) => Some(name.strip_prefix(BRANCHES).unwrap_or(name)),
    }
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
        Some(branch) => Ok(app.store.properties(run.project, branch).await?.unwrap_or_default()),
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
