//! Templates of pods that somebody names with `--pod-template`.

use model::pod::PodDefinition;

use crate::args::PodTemplateFlag;
use crate::failure::{CommandFailure, Exit};
use crate::source;

/// Reads them, in the order in which they were named.
///
/// # Errors
/// A file cannot be read, or is no pod; two have the same name; they are too many or too long.
pub fn read(flags: &[PodTemplateFlag]) -> Result<Vec<PodDefinition>, CommandFailure> {
    let mut pods = Vec::new();
    for PodTemplateFlag { name, file } in flags {
        let pod = PodDefinition { name: name.clone(), yaml: source::read(file)? };
        let invalid = |why| CommandFailure::new(Exit::Invalid, format!("{} is no pod: {why}", file.display()));
        pipeline::check_pod(&pod).map_err(invalid)?;
        pods.push(pod);
    }
    match PodDefinition::flaw(&pods) {
        Some(flaw) => Err(CommandFailure::usage(flaw)),
        None => Ok(pods),
    }
}
