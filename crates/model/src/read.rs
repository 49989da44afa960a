//! How much a run reads into its pipeline: what it is answered is kept for an engine that begins again.

use crate::change::Change;
use crate::library::{FileContent, LibraryFile};
use crate::limits::MAX_CAPTURE_BYTES;
use crate::request::Reply;

/// As much as a run may read where nobody says otherwise, in bytes.
pub const MAX_READ_BYTES: usize = 8 * MAX_CAPTURE_BYTES;

/// What is said of a run that has read more than it may.
pub fn too_much(most: usize) -> String {
    format!(
        "the run has read more than {} MiB into its pipeline: `returnStdout` and `readFile` are for what is small, artifacts and \
         stashes for what is not",
        most >> 20
    )
}

impl Reply {
    /// About how much text an answer has, in bytes: it is kept as long as the run, for the next engine.
    pub fn bytes(&self) -> usize {
        match self {
            Reply::Exited { stdout, .. } => stdout.as_ref().map_or(0, String::len),
            Reply::Text(text) => text.len(),
            Reply::Library(library) => library.files.iter().map(file_bytes).sum(),
            Reply::Changes(changes) => changes.iter().flatten().map(Change::bytes).sum(),
            Reply::Found(files) => files.iter().map(|file| file.path.len() + 64).sum(),
            Reply::Unpacked(unpacked) => {
                let files = unpacked.files.iter().map(|(path, text)| path.len() + text.len() + 64);
                files.sum::<usize>() + unpacked.flaw.as_ref().map_or(0, String::len)
            }
            Reply::Built(built) => built.parameters.iter().map(|(name, value)| name.len() + value.len() + 64).sum(),
            Reply::CheckedOut(vars) => vars.iter().map(|(name, value)| name.len() + value.len() + 64).sum(),
            Reply::Failed(failure) => failure.message.len() + failure.hint.as_ref().map_or(0, String::len),
            // A few words each.
            Reply::Done
            | Reply::Allocated(_)
            | Reply::Bool(_)
            | Reply::Count(_)
            | Reply::Copied { .. }
            | Reply::Tests { .. }
            | Reply::Time(_)
            | Reply::Decided { .. }
            | Reply::Credential(_)
            | Reply::Superseded { .. }
            | Reply::Cancelled => 0,
        }
    }
}

fn file_bytes(file: &LibraryFile) -> usize {
    let (FileContent::Text(content) | FileContent::Base64(content)) = &file.content;
    file.path.len() + content.len()
}
