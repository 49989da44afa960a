//! What a push, a pull request or a target that has moved becomes: a run that is asked for.

use model::run::{BuildCause, RunFacts};
use model::rung::Trust;
use scm::{PullRequest, Push, Reference, is_whole};
use store::{Actor, NewRun, ProjectId, StoreError};
use wire::agent::Merge;

use crate::app::App;
use crate::config::{ProjectConfig, ProjectSource};

/// Jenkins' class of causes: somebody wanted a run once more.
pub(crate) const REPLAYED: &str = "org.jenkinsci.plugins.workflow.cps.replay.ReplayCause";
/// The same, from one of its stages on.
pub(crate) const RESTARTED: &str =
    "org.jenkinsci.plugins.pipeline.modeldefinition.causes.RestartDeclarativePipelineCause";

/// Whether somebody wanted this run, whatever is known of what it runs.
pub(crate) fn is_rerun(facts: &RunFacts) -> bool {
    facts.causes.first().is_some_and(|cause| cause.class == REPLAYED || cause.class == RESTARTED)
}

/// Class of the cause of runs that nobody waits for: the target of their pull request has moved.
pub(crate) const TARGET_MOVED: &str = "jenkins.branch.BranchIndexingCause";

/// Somebody wanted it: by their name, where it is a person.
pub(crate) fn by_user(actor: &Actor) -> BuildCause {
    let user = actor.0.strip_prefix("user:").unwrap_or(&actor.0).to_owned();
    let description = format!("Started by user {user}");
    BuildCause { class: "hudson.model.Cause$UserIdCause".into(), description, user: Some(user) }
}

/// What somebody asks for by a revision, and whose code that is. A forge vouches for branches and tags, which strangers cannot make; what is behind
/// any other name, or a commit that no branch is known to have had, may be anybody's.
pub(crate) async fn of_person(
    app: &App,
    project: ProjectId,
    config: &ProjectConfig,
    revision: Option<String>,
) -> Result<(Option<String>, Trust), StoreError> {
    let is_of_git = matches!(config.source, ProjectSource::Git { .. });
    let Some(revision) = revision.clone().filter(|_| is_of_git) else { return Ok((revision, Trust::Protected)) };
    if is_whole(&revision) {
        let trust = app.store.trust_of_commit(project, &revision).await?.unwrap_or(Trust::Stranger);
        return Ok((Some(revision), trust));
    }
    Ok(match revision.strip_prefix("refs/") {
        Some(name) => {
            let trust = match (name.strip_prefix("heads/"), name.strip_prefix("tags/")) {
                (Some(branch), _) => config.trust_of(branch),
                (_, Some(_)) => Trust::Member,
                _ => Trust::Stranger,
            };
            (Some(revision), trust)
        }
        // A tag of that name is not what is protected.
        None if config.trust_of(&revision) == Trust::Protected => {
            (Some(format!("refs/heads/{revision}")), Trust::Protected)
        }
        None => (Some(revision), Trust::Member),
    })
}

/// Why a run is not to begin before somebody has answered for it.
pub(crate) fn held(config: &ProjectConfig, trust: Trust) -> Option<String> {
    let is_held = config.approve_strangers && trust == Trust::Stranger;
    is_held.then(|| "a stranger's code waits for somebody to approve it".to_owned())
}

/// What Jenkins calls a branch or a tag before its pipelines. When a tag was made is known when it is fetched ([`times_of_tag`]).
fn env_of(config: &ProjectConfig, reference: &Reference) -> Vec<(&'static str, String)> {
    match reference {
        Reference::Branch(name) => {
            let is_primary = config.source.branch() == Some(name);
            let primary = is_primary.then(|| ("BRANCH_IS_PRIMARY", "true".to_owned()));
            [("BRANCH_NAME", name.clone())].into_iter().chain(primary).collect()
        }
        Reference::Tag(name) => vec![("BRANCH_NAME", name.clone()), ("TAG_NAME", name.clone())],
    }
}

/// The same of what a person asks for. A short name is taken for a branch's; a commit is none.
pub(crate) fn env_of_person(config: &ProjectConfig, revision: &str) -> Vec<(String, String)> {
    if is_whole(revision) {
        return Vec::new();
    }
    let reference = match revision.strip_prefix("refs/tags/") {
        Some(tag) => Reference::Tag(tag.to_owned()),
        None => Reference::Branch(revision.strip_prefix("refs/heads/").unwrap_or(revision).to_owned()),
    };
    env_of(config, &reference).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The same of the branch that is built where nobody says otherwise.
pub(crate) fn env_of_default(config: &ProjectConfig) -> Vec<(String, String)> {
    config.source.branch().map(|branch| env_of_person(config, &format!("refs/heads/{branch}"))).unwrap_or_default()
}

/// The same of what is run there once more: when a tag was made is found anew.
pub(crate) fn env_of_again(facts: &RunFacts) -> Vec<(String, String)> {
    let is_time = |name: &str| ["TAG_TIMESTAMP", "TAG_UNIXTIME", "TAG_DATE"].contains(&name);
    facts.env.iter().filter(|(name, _)| !is_time(name)).cloned().collect()
}

/// When the tag of a run was made, as Jenkins says it; nothing where it is of no tag, or says so already.
pub(crate) fn times_of_tag(facts: &RunFacts, tagged_at: Option<u64>) -> Vec<(String, String)> {
    let has = |wanted: &str| facts.env.iter().any(|(name, _)| name == wanted);
    let seconds = tagged_at.filter(|_| has("TAG_NAME") && !has("TAG_TIMESTAMP"));
    let moment = seconds.and_then(|at| jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok());
    let Some(moment) = moment else { return Vec::new() };
    let told = [
        ("TAG_TIMESTAMP", moment.as_millisecond().to_string()),
        ("TAG_UNIXTIME", moment.as_second().to_string()),
        ("TAG_DATE", moment.strftime("%a %b %d %H:%M:%S UTC %Y").to_string()),
    ];
    told.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Of a branch or a tag that has another commit.
pub(crate) fn of_push(config: &ProjectConfig, push: Push) -> NewRun {
    let by = push.by.map(|by| format!(" by {by}")).unwrap_or_default();
    let env = env_of(config, &push.reference);
    match push.reference {
        Reference::Branch(name) => {
            let trust = config.trust_of(&name);
            let what = (format!("refs/heads/{name}"), push.commit);
            new_run(format!("Push to branch {name}{by}"), env, what, trust)
        }
        // Tags are made by who may write; which of them are protected, the forge knows.
        Reference::Tag(name) => {
            new_run(format!("Push of tag {name}{by}"), env, (format!("refs/tags/{name}"), push.commit), Trust::Member)
        }
    }
}

/// Why there is no run of a pull request.
pub(crate) const NOWHERE: &str = "it is of a fork whose commits its forge has nowhere in this repository (as Bitbucket Cloud), so that they cannot be fetched";

/// Of a pull request. `None`: its commits cannot be fetched from here ([`NOWHERE`]).
pub(crate) fn of_request(request: PullRequest) -> Option<NewRun> {
    let fetch = request.fetch?;
    let mut env = vec![
        ("BRANCH_NAME", format!("PR-{}", request.number)),
        ("CHANGE_ID", request.number.to_string()),
        ("CHANGE_BRANCH", request.branch),
        ("CHANGE_TARGET", request.target),
        ("CHANGE_TITLE", request.title),
    ];
    env.extend(request.url.map(|url| ("CHANGE_URL", url)));
    env.extend(request.author.clone().map(|author| ("CHANGE_AUTHOR", author)));
    env.extend(request.author_name.map(|name| ("CHANGE_AUTHOR_DISPLAY_NAME", name)));
    env.extend(request.author_email.map(|email| ("CHANGE_AUTHOR_EMAIL", email)));
    env.extend(request.author.clone().filter(|_| request.is_fork).map(|author| ("CHANGE_FORK", author)));
    let by = request.author.map(|author| format!(" of {author}")).unwrap_or_default();
    let trust = if request.is_fork { Trust::Stranger } else { Trust::Member };
    Some(new_run(format!("Pull request {}{by}", request.number), env, (fetch, request.commit), trust))
}

/// The same as merged with its target at a commit.
pub(crate) fn merged(new: NewRun, target: &str, commit: &str) -> NewRun {
    NewRun { merge: Some(Merge { reference: format!("refs/heads/{target}"), commit: commit.to_owned() }), ..new }
}

/// The same because the target has moved: nobody waits for it.
pub(crate) fn again(mut new: NewRun, target: &str) -> NewRun {
    for cause in &mut new.facts.causes {
        TARGET_MOVED.clone_into(&mut cause.class);
        cause.description = format!("{}: {target} has moved", cause.description);
    }
    new
}

fn new_run(
    description: String,
    env: Vec<(&str, String)>,
    (revision, commit): (String, String),
    trust: Trust,
) -> NewRun {
    let cause = BuildCause { class: "jenkins.branch.BranchEventCause".into(), description, user: None };
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let facts = RunFacts { causes: vec![cause], has_scm: true, env, ..RunFacts::default() };
    NewRun {
        facts,
        revision: Some(revision), // What is abbreviated says nothing that can be relied on.
        commit: Some(commit).filter(|commit| is_whole(commit)),
        trust: Some(trust),
        ..NewRun::default()
    }
}
