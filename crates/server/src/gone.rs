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
use crate::found::{Why, change_id, end_all};
use crate::properties;
use crate::scan::Failed;

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
    end_all(app, (project, Some(&full)), Why::Gone(reason), |run| change_id(run).is_none()).await?;
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
    end_all(app, (project, None), Why::Gone(reason), |run| change_id(run) == Some(&id)).await?;
    for name in properties::names_of_request(number) {
        app.store.forget_properties(project, &name, None, app.now()).await?;
    }
    Ok(())
}

/// What is under way, or has said something.
pub(crate) struct Known {
    requests: BTreeSet<u64>,
    references: BTreeSet<Reference>,
}

/// Finds out what is gone of that; whoever has lists has asked for them after that was known.
pub(crate) async fn look(
    app: &App,
    project: &Project,
    asker: Option<&Asker<'_>>,
    (known, mut there): (Known, There),
) -> Result<(), Failed> {
    let Known { requests, references } = known;
    let mut look = Look { app, project, away: None };
    if let Some(asker) = asker.filter(|_| !requests.is_empty()) {
        // Who is not let in any more hears of each that it is not there: a list says that we are.
        let open = match there.requests.take() {
            Some(open) => open,
            None => asker.pull_requests().await?.into_iter().map(|facts| facts.request.number).collect(),
        };
        for number in requests.into_iter().filter(|number| !open.contains(number)) {
            look.request(asker, number).await?;
        }
    }
    if let Some(asker) = asker.filter(|_| !references.is_empty() && there.references.is_none()) {
        let branches = asker.branches().await?;
        there.references = Some(branches.into_iter().map(|branch| Reference::Branch(branch.name)).collect());
    }
    // A repository without any branch is one that does not say what it has.
    let listed = there.references.unwrap_or_default();
    if listed.iter().any(|one| matches!(one, Reference::Branch(_))) {
        for reference in references.into_iter().filter(|reference| !listed.contains(reference)) {
            look.reference(asker, reference).await?;
        }
    }
    look.away.map_or(Ok(()), |error| Err(error.into()))
}

struct Look<'a> {
    app: &'a App,
    project: &'a Project,
    /// Its forge was away for one of them, so that another look may know more.
    away: Option<Silent>,
}

impl Look<'_> {
    async fn request(&mut self, asker: &Asker<'_>, number: u64) -> Result<(), StoreError> {
        let reason = match asker.pull_request(number).await {
            Ok(facts) if facts.state == RequestState::Open => return Ok(()),
            Ok(facts) if facts.state == RequestState::Merged => format!("Pull request {number} was merged"),
            Ok(_) | Err(Silent::Missing) => format!("Pull request {number} was closed"),
            Err(error) => {
                self.is_not_said(&format!("pull request {number}"), error);
                return Ok(());
            }
        };
        request_is_gone(self.app, self.project.id, number, &reason).await
    }

    async fn reference(&mut self, asker: Option<&Asker<'_>>, reference: Reference) -> Result<(), StoreError> {
        let is_gone = match asker {
            Some(asker) => asker.is_missing(&reference).await,
            None => Ok(true),
        };
        match is_gone {
            Ok(true) => {
                let reason = format!("{} was removed", reference.full_name());
                reference_is_gone(self.app, self.project.id, &reference, &reason).await
            }
            Ok(false) => Ok(()),
            Err(error) => {
                self.is_not_said(&reference.full_name(), error);
                Ok(())
            }
        }
    }

    /// One that is not answered hides no other. What is answered oddly is so the next time too.
    fn is_not_said(&mut self, what: &str, error: Silent) {
        tracing::warn!(project = self.project.name, what, %error, "a forge does not say whether that is gone");
        let is_away = match &error {
            Silent::Away(_) => true,
            Silent::Status(status) => status.is_server_error(),
            Silent::Missing | Silent::Answer(_) => false,
        };
        if is_away {
            self.away = Some(error);
        }
    }
}

/// Pull requests, branches and tags that have runs under way, or have said something.
pub(crate) async fn known(app: &App, project: &Project) -> Result<Known, StoreError> {
    let (mut requests, mut references) = (BTreeSet::new(), BTreeSet::new());
    let mut before: Option<RunId> = None;
    loop {
        let projects = Some(vec![project.id]);
        let found = app
            .store
            .runs(&RunFilter { projects, unfinished: true, before, limit: PAGE, ..RunFilter::default() })
            .await?;
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
    Ok(Known { requests, references })
}

/// What it runs, where that was named in full: what is abbreviated may be a branch or a tag.
pub(crate) fn reference_of(run: &Run) -> Option<Reference> {
    Reference::of(run.revision.as_deref()?)
}
