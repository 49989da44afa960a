//! What another run has archived, and this one may have: `copyArtifacts`.
//!
//! A run has what runs of its own branch have archived, whose code is trusted as much. Of protected branches it has what protected
//! branches of its project have, and of those projects that say so (`copied_by`). So nothing that a stranger has made comes to where it
//! would be believed, and nothing of a protected branch to strangers.

use model::copy::{CopiedRun, CopyWish, WhichRun};
use model::request::{Failure, FailureKind};
use model::rung::Trust;
use store::{Run, Status, StoreError};

use super::Keeper;
use crate::app::App;
use crate::config::ProjectConfig;

/// Whether a run may have what another has archived.
///
/// # Errors
/// The database.
pub(crate) async fn may_copy(app: &App, run: &Run, other: &Run) -> Result<bool, StoreError> {
    if other.status != Status::Done {
        return Ok(false);
    }
    let is_own = run.project == other.project;
    // What was begun at a commit is of no branch, and so not of the same.
    let is_same = run.facts.branch().is_some() && run.facts.branch() == other.facts.branch();
    if is_own && is_same && run.trust == other.trust {
        return Ok(true);
    }
    if run.trust != Trust::Protected || other.trust != Trust::Protected {
        return Ok(false);
    }
    if is_own {
        return Ok(true);
    }
    let Some(project) = app.store.project(&other.project_name).await? else { return Ok(false) };
    let config = serde_json::from_value::<ProjectConfig>(project.config);
    Ok(config.is_ok_and(|config| config.may_be_copied_by(&run.project_name)))
}

impl Keeper {
    /// The run that is meant. Whether there is one that it may not have is nothing that it hears.
    pub(super) async fn run_to_copy(&self, wish: &CopyWish) -> Result<Result<CopiedRun, Failure>, StoreError> {
        let name: String = wish.names.last().map_or("", String::as_str).chars().take(200).collect();
        let refused = |message: String, hint: &str| {
            Ok(Err(Failure { kind: FailureKind::Workload, message, hint: Some(hint.to_owned()) }))
        };
        let is_protected = self.run.trust == Trust::Protected;
        let may = |config: &ProjectConfig| is_protected && config.may_be_copied_by(&self.run.project_name);
        let Some((project, config, branch)) = self.job_of(&wish.names, may).await? else {
            let message = format!("Unable to find project for artifact copy: {name}");
            return refused(
                message,
                "a project says whose runs have its artifacts: `projects put NAME --copied-by PROJECT`",
            );
        };
        let branch = branch.as_deref().or_else(|| {
            // The job that it is itself, where that has a name without a branch.
            let is_own = project.name == self.run.project_name && !config.has_branches();
            is_own.then(|| self.run.facts.branch()).flatten()
        });
        // Of others what is protected: a pull request that came last must not stand before it.
        let is_same = project.name == self.run.project_name && branch.is_some() && branch == self.run.facts.branch();
        let trust = if is_same { self.run.trust } else { Trust::Protected };
        let store = &self.app.store;
        let found = match (wish.which, wish.which.outcomes()) {
            (WhichRun::Number(number), _) => {
                let found = store.run_of(&project.name, number).await?;
                found.filter(|run| branch.is_none() || run.facts.branch() == branch)
            }
            (_, outcomes) => store.last_trusted(project.id, branch, outcomes.unwrap_or_default(), trust).await?,
        };
        match found {
            Some(found) if may_copy(&self.app, &self.run, &found).await? => {
                Ok(Ok(CopiedRun { run: found.id, number: found.number }))
            }
            _ => {
                let message = format!("Unable to find a build for artifact copy from: {name}");
                let hint =
                    "a run has what its own branch has archived, and those of protected branches what these have";
                refused(message, hint)
            }
        }
    }
}
