//! Steps that are added to those that are built in: those of a project, and those of folders that somebody names with `--steps`.

use std::path::{Path, PathBuf};

use model::added_step::{AddedStep, check_all};
use pipeline::added::steps_of;
use pipeline::definition::Surroundings;

use crate::failure::{CommandFailure, Exit};

/// The steps of a project and of more folders, in the order of their names.
///
/// # Errors
/// A folder or file cannot be read; what is in it is no step.
pub fn read(project: &Path, more: &[PathBuf]) -> Result<Vec<AddedStep>, CommandFailure> {
    let own = agent::own_steps(project);
    let mut steps = Vec::new();
    for folder in own.iter().chain(more) {
        let files = agent::step_files(folder).map_err(|error| CommandFailure::io("read", folder, &error))?;
        steps.extend(steps_of(&files).map_err(|text| invalid(format!("{}/{text}", folder.display())))?);
    }
    check_all(&steps).map_err(invalid)?;
    Ok(steps)
}

/// What definitions may name that lie in that project.
///
/// # Errors
/// As of [`read`]; a step has a name that is taken.
pub fn surroundings(project: &Path, more: &[PathBuf]) -> Result<Surroundings, CommandFailure> {
    Surroundings::with_steps(&read(project, more)?).map_err(invalid)
}

fn invalid(text: String) -> CommandFailure {
    CommandFailure::new(Exit::Invalid, text).with_hint("docs/guide/steps.md says what a manifest has")
}
