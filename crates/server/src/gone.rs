//! What is gone at forges: branches, tags and pull requests that are no more. Their runs end, and what they have said of themselves is over, but
//! for how long their runs are kept.
//!
//! A webhook tells of it. What was not heard, because there was no server or its forge did not get through, is found by a look at those that
//! are under way or have said something: each that no list has is asked for by itself.

use std::collections::{BTreeSet, HashSet};

use model::ids::RunId;
use scm::{Reference, RequestState};
use store::{Project, ProjectId, Run, RunFilter, StoreError};

use crate::app::App;
use crate::forge::{Asker, Silent};
use crate::properties;
use crate::scan::{Failed, change_id, end_all};

/// Runs that are looked at together.
const PAGE: u32 = 500;

/// What lists of a forge have said, or of a repository. `None`: it was not asked for such a list.
#[derive(Default)]
pub(crate) struct There {
    /// Pull requests that are open.
    pub(crate) requests: Option<HashSet<u64>>,
    pub(crate) references: Option<HashSet<Reference>>,
}

/// A branch or a tag is no more.
pub(crate) async fn reference_is_gone(
    app: &App,
    project: ProjectId,
    reference: &Reference,
    reason: &str,
) -> Result<(), StoreError> {
    let full = reference.full_name();
    // On some forges what a pull request is fetched by is its branch: it ends by itself.
    end_all(app, (project, Some(&full)), reason, |run| change_id(run).is_none()).await?;
    let name = full.strip_prefix("refs/heads/").unwrap_or(&full);
    app.store.forget_properties(project, name, None, app.now()).await
}

/// A pull request is no longer open.
pub(crate) async fn request_is_gone(
    app: &App,
    project: ProjectId,
    number: u64,
    reason: &str,
) -> Result<(), StoreError> {
    let id = number.to_string();
    end_all(app, (project, None), reason, |run| change_id(run) == Some(&id)).await?;
    for name in properties::names_of_request(number) {
        app.store.forget_properties(project, &name, None, app.now()).await?;
    }
    Ok(())
}

/// Finds out what is gone of what is under way, or has said something.
pub(crate) async fn look(
    app: &App,
    project: &Project,
    asker: Option<&Asker<'_>>,
    mut there: There,
) -> Result<(), Failed> {
    let (requests, references) = known(app, project).await?;
    if let Some(asker) = asker.filter(|_| !requests.is_empty() && there.requests.is_none()) {
        there.requests = Some(asker.pull_requests().await?.into_iter().map(|facts| facts.request.number).collect());
    }
    if let Some(asker) = asker.filter(|_| !references.is_empty() && there.references.is_none()) {
        // Who is not let in any more hears of each that it is not there: a list says that we are.
        let branches = asker.branches().await?;
        if branches.is_empty() {
            return Ok(());
        }
        there.references = Some(branches.into_iter().map(|branch| Reference::Branch(branch.name)).collect());
    }
    for number in requests {
        let is_listed = there.requests.as_ref().is_some_and(|open| open.contains(&number));
        let Some(asker) = asker.filter(|_| !is_listed) else { continue };
        let reason = match asker.pull_request(number).await {
            Ok(facts) if facts.state == RequestState::Open => continue,
            Ok(facts) if facts.state == RequestState::Merged => format!("Pull request {number} was merged"),
            Ok(_) | Err(Silent::Missing) => format!("Pull request {number} was closed"),
            Err(error) => return Err(error.into()),
        };
        request_is_gone(app, project.id, number, &reason).await?;
    }
    for reference in references {
        if there.references.as_ref().is_some_and(|all| all.contains(&reference)) {
            continue;
        }
        let is_gone = match asker {
            Some(asker) => asker.is_missing(&reference).await?,
            // A repository without any branch is one that does not say what it has.
            None => {
                there.references.as_ref().is_some_and(|all| all.iter().any(|one| matches!(one, Reference::Branch(_))))
            }
        };
        if is_gone {
            let reason = format!("{} was removed", reference.full_name());
            reference_is_gone(app, project.id, &reference, &reason).await?;
        }
    }
    Ok(())
}

/// Pull requests, branches and tags that have runs under way, or have said something.
async fn known(app: &App, project: &Project) -> Result<(BTreeSet<u64>, BTreeSet<Reference>), StoreError> {
    let (mut requests, mut references) = (BTreeSet::new(), BTreeSet::new());
    let mut before: Option<RunId> = None;
    loop {
        let projects = Some(vec![project.id]);
        let found =
            app.store.runs(&RunFilter { projects, unfinished: true, before, revision: None, limit: PAGE }).await?;
        for run in found.iter().filter(|run| run.abort_reason.is_none()) {
            match change_id(run) {
                Some(id) => requests.extend(id.parse::<u64>().ok()),
                None => references.extend(reference_of(run)),
            }
        }
        match found.last().filter(|_| found.len() == PAGE as usize) {
            Some(last) => before = Some(last.id),
            None => break,
        }
    }
    for said in app.store.all_properties(Some(project.id)).await? {
        match properties::request_of(&said.branch) {
            Some(number) => drop(requests.insert(number)),
            None if properties::is_branch(&said.branch) && !said.branch.is_empty() => {
                references.insert(Reference::Branch(said.branch));
            }
            None => references.extend(Reference::of(&said.branch)),
        }
    }
    Ok((requests, references))
}

/// What it runs, where that was named in full: what is abbreviated may be a branch or a tag.
fn reference_of(run: &Run) -> Option<Reference> {
    Reference::of(run.revision.as_deref()?)
}
