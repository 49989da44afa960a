//! Which paths of a workspace are reached through no link.

use std::collections::HashMap;

use wire::init::FileKind;

use crate::failure::Trouble;
use crate::job::Job;

/// The folders of a workspace, each looked at once.
pub struct Plain<'a> {
    job: &'a Job,
    known: HashMap<String, bool>,
}

impl<'a> Plain<'a> {
    /// Nothing is known yet.
    pub fn of(job: &'a Job) -> Plain<'a> {
        Plain { job, known: HashMap::new() }
    }

    /// Whether no folder between the workspace and what is at `path` is a link. What is outside is none of its: nothing is asked there.
    pub async fn is_at(&mut self, path: &str) -> Result<bool, Trouble> {
        for folder in folders(&self.job.workspace, path) {
            let is_plain = match self.known.get(folder) {
                Some(known) => *known,
                None => {
                    let found = self.job.session.stat(Some(self.job.user.clone()), folder, false).await?;
                    let is_plain = found.is_none_or(|found| found.kind != FileKind::Link);
                    self.known.insert(folder.to_owned(), is_plain);
                    is_plain
                }
            };
            if !is_plain {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The folders above `path`, from below the workspace on.
fn folders<'p>(workspace: &str, path: &'p str) -> Vec<&'p str> {
    let is_inside = path.strip_prefix(workspace).is_some_and(|rest| rest.starts_with('/'));
    let from = if is_inside { workspace.len() + 1 } else { path.len() };
    path[from..].match_indices('/').map(|(at, _)| &path[..from + at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_between_the_workspace_and_a_path() {
        assert_eq!(folders("/w/a", "/w/a/b/c/d"), ["/w/a/b", "/w/a/b/c"]);
        assert!(["/w/a/b", "/w/a", "/w/ab/c/d", "/etc/x/y"].iter().all(|path| folders("/w/a", path).is_empty()));
    }
}
