//! What follows from what a forge has told: a run, known by a name so that the same told twice is one, and the end of older ones.

use model::run::superseded;
use model::rung::Trust;
use scm::{PullRequest, Reference};
use store::{Actor, NewRun, Project, Run, RunFilter, StoreError};

use crate::app::App;
use crate::changes::{NOWHERE, again, held, merged, of_request};
use crate::config::ProjectConfig;

/// Older runs that are looked at together.
const PAGE: u32 = 500;

/// What a forge has told of a project, by a list or when it was asked.
pub(crate) struct Found<'a> {
    pub(crate) app: &'a App,
    pub(crate) project: &'a Project,
    pub(crate) config: &'a ProjectConfig,
}

/// A run that is to be, or in words why nothing follows.
pub(crate) type Follows = Result<NewRun, String>;

impl Found<'_> {
    /// What follows from a pull request that is open; `target`: the commit that it is merged with. The same twice has the same delivery.
    pub(crate) async fn request(&self, request: PullRequest, target: Option<&str>) -> Result<Follows, StoreError> {
        let name = request_name(&self.project.name, request.number, &request.commit);
        let branch = request.target.clone();
        let number = request.number;
        let Some(new) = of_request(request) else {
            // Each look finds it; it is said once.
            let said = format!("{name} is not run");
            if !self.app.store.knows_delivery(&said).await? {
                self.app.store.note_delivery(&said).await?;
                let project = &self.project.name;
                tracing::info!(project, request = number, reason = NOWHERE, "a pull request is not run");
            }
            return Ok(Err(NOWHERE.to_owned()));
        };
        let Some(target) = target else { return Ok(Ok(NewRun { delivery: Some(name), ..new })) };
        let pair = pair_name(&name, target);
        let new = merged(new, &branch, target);
        if !self.app.store.knows_delivery(&name).await? {
            return Ok(Ok(NewRun { delivery: Some(name), also: Some(pair), ..new }));
        }
        // Its commit was run before, or is: now it is because of the target.
        let commit = new.commit.clone().unwrap_or_default();
        let waits = self.config.approve_strangers && new.trust == Some(Trust::Stranger);
        // What nobody has let go for itself, nobody has let go for its target's sake either; and what was let go is that, and no more.
        let let_go = if waits { self.app.store.let_go(self.project.id, &commit).await? } else { Some(None) };
        let Some(approved) = let_go else { return Ok(Err("nobody has approved its commit".to_owned())) };
        Ok(Ok(NewRun { delivery: Some(pair), approved, ..again(new, &branch) }))
    }
}

/// By which a pull request's commit is known.
pub(crate) fn request_name(project: &str, number: u64, commit: &str) -> String {
    format!("{project} pull request {number} {commit}")
}

/// By which it is known as merged with a commit.
fn pair_name(name: &str, target: &str) -> String {
    format!("{name} in {target}")
}

/// By which a branch or a tag at a commit is known.
pub(crate) fn reference_name(project: &str, reference: &Reference, commit: &str) -> String {
    let name = match reference {
        Reference::Branch(name) => format!("branch {name}"),
        Reference::Tag(name) => format!("tag {name}"),
    };
    format!("{project} {name} {commit}")
}

/// By what a run is known that a forge's word was for.
fn names_of(run: &Run) -> Vec<String> {
    let Some(commit) = &run.commit else { return Vec::new() };
    if let Some(number) = change_id(run).and_then(|id| id.parse().ok()) {
        let name = request_name(&run.project_name, number, commit);
        let pair = run.merge.as_ref().map(|merge| pair_name(&name, &merge.commit));
        return [Some(name), pair].into_iter().flatten().collect();
    }
    let reference = run.revision.as_deref().and_then(Reference::of);
    reference.map(|reference| reference_name(&run.project_name, &reference, commit)).into_iter().collect()
}

/// Asks for a run of what a forge has told. Older ones of the same pull request tell nothing any more.
pub(crate) async fn create(
    app: &App,
    actor: &Actor,
    project: &Project,
    config: &ProjectConfig,
    new: NewRun,
) -> Result<Run, StoreError> {
    let held = new.trust.filter(|_| !is_again(&new)).and_then(|trust| held(config, trust));
    let new = NewRun { reports: config.reports(), held: new.held.clone().or(held), ..new };
    let run = app.create_run(actor, &project.name, new).await?;
    supersede(app, &run).await?;
    app.hub.wake();
    app.changed(run.id);
    Ok(run)
}

fn is_again(new: &NewRun) -> bool {
    new.facts.causes.iter().any(|cause| cause.class == crate::changes::TARGET_MOVED)
}

pub(crate) fn is_of_herd(run: &Run) -> bool {
    run.facts.causes.iter().any(|cause| cause.class == crate::changes::TARGET_MOVED)
}

/// Ends older runs of the same pull request. One that is there because the target has moved ends only such: the other one is what somebody waits for.
async fn supersede(app: &App, run: &Run) -> Result<(), StoreError> {
    let request = change_id(run);
    let Some(revision) = run.revision.as_deref().filter(|_| request.is_some()) else { return Ok(()) };
    let reason = superseded(run.number);
    // On some forges what a pull request is fetched by is its branch, which has runs of its own, and may have other requests.
    let is_same = |older: &Run| older.id < run.id && change_id(older) == request;
    let fits = |older: &Run| is_same(older) && (!is_of_herd(run) || is_of_herd(older));
    end_all(app, (run.project, Some(revision)), Why::Superseded(&reason), fits).await
}

/// Which pull request it is of.
pub(crate) fn change_id(run: &Run) -> Option<&str> {
    run.facts.env.iter().find(|(name, _)| name == "CHANGE_ID").map(|(_, id)| id.as_str())
}

/// Why runs end that are under way, in words.
#[derive(Clone, Copy)]
pub(crate) enum Why<'a> {
    /// A newer one is there.
    Superseded(&'a str),
    /// What they are of is no more.
    Gone(&'a str),
}

/// Ends what is under way of a project, or of one revision of it, and fits: of a branch or a pull request that is gone, say.
pub(crate) async fn end_all(
    app: &App,
    (project, revision): (store::ProjectId, Option<&str>),
    why: Why<'_>,
    fits: impl Fn(&Run) -> bool,
) -> Result<(), StoreError> {
    let (projects, revision) = (Some(vec![project]), revision.map(str::to_owned));
    let mut filter = RunFilter { projects, revision, unfinished: true, limit: PAGE, ..RunFilter::default() };
    loop {
        let found = app.store.runs(&filter).await?;
        // Asked once: a second time would end what it does at its end.
        for older in found.iter().filter(|older| older.abort_reason.is_none() && fits(older)) {
            let (Why::Superseded(reason) | Why::Gone(reason)) = why;
            if matches!(why, Why::Gone(_)) {
                // Should it come back as it was, it is news. Before it is to end, for then it is not looked at again.
                app.store.forget_deliveries(&names_of(older)).await?;
            }
            crate::http::end(app, &Actor::server(), older, reason).await?;
        }
        match found.last().filter(|_| found.len() == PAGE as usize) {
            Some(last) => filter.before = Some(last.id),
            None => return Ok(()),
        }
    }
}
