//! `currentBuild`: what the run says of itself, of those before it, and of those that it has started with `build`.
//!
//! Source: `RunWrapper` of workflow-support, and `Run` of Jenkins for which run is the previous one of a kind.

use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::Value;
use model::build::Built;
use model::event::Event;
use model::limits::MAX_DESCRIPTION_CHARS;
use model::outcome::Outcome;
use model::run::{MAX_PAST_RUNS, PastRun};

use super::CURRENT_BUILD;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values::{self, int};
use crate::steps::duration::in_words;

/// The run itself: [`groovy::value::HostRef::id`]. Those before it follow, the last one first.
pub(super) const OWN: u64 = 0;
/// The first of those that were started by `build`.
const FIRST_OF_OTHERS: u64 = 2 + MAX_PAST_RUNS as u64;

/// A run as a pipeline sees it.
struct Shown {
    job: String,
    number: u64,
    result: Option<Outcome>,
    name: String,
    description: Option<String>,
    url: Option<String>,
    started_at_ms: u64,
    /// `None`: it goes on.
    duration_ms: Option<u64>,
}

/// The object that stands for a run that was started by `build`.
pub(crate) fn started(core: &Core, built: Built) -> Value {
    let mut others = core.run.builds.borrow_mut();
    others.push(built);
    Value::host(CURRENT_BUILD, FIRST_OF_OTHERS + others.len() as u64 - 1)
}

fn built(core: &Core, id: u64) -> Option<Built> {
    let at = usize::try_from(id.checked_sub(FIRST_OF_OTHERS)?).ok()?;
    core.run.builds.borrow().get(at).cloned()
}

fn shown(core: &Core, scope: &Scope, id: u64) -> Option<Shown> {
    let facts = &core.facts;
    Some(match id {
        OWN => Shown {
            job: facts.job_name.clone(),
            number: facts.build_number,
            result: seen(core, scope),
            name: core.run.display_name.borrow().clone(),
            description: core.run.description.borrow().clone(),
            url: core.env_var(scope, "BUILD_URL"),
            started_at_ms: facts.started_at_ms,
            duration_ms: None,
        },
        id if id < FIRST_OF_OTHERS => {
            let PastRun { number, outcome, display_name, description, started_at_ms, duration_ms } =
                facts.past(id as usize - 1)?;
            Shown {
                job: facts.job_name.clone(),
                number,
                result: Some(outcome),
                name: display_name.unwrap_or_else(|| format!("#{number}")),
                description,
                url: facts.job_url().map(|job| format!("{job}{number}/")),
                started_at_ms,
                duration_ms: Some(duration_ms),
            }
        }
        id => {
            let Built { job_name, number, outcome, url, started_at_ms, duration_ms, .. } = built(core, id)?;
            Shown {
                job: job_name,
                number,
                result: outcome,
                name: format!("#{number}"),
                description: None,
                url,
                started_at_ms,
                duration_ms: Some(duration_ms),
            }
        }
    })
}

/// How long the run has taken so far.
pub(super) async fn so_far(core: Rc<Core>, as_words: bool) -> Result<Value, Fault> {
    let now = super::clock::now(Rc::clone(&core)).await?.as_i64().unwrap_or_default();
    let ms = u64::try_from(now).unwrap_or_default().saturating_sub(core.facts.started_at_ms);
    Ok(match as_words {
        true => values::text(&format!("{} and counting", in_words(ms))),
        false => Value::Long(i64::try_from(ms).unwrap_or(i64::MAX)),
    })
}

/// A property; none where there is none of that name.
pub(super) fn property(core: &Core, scope: &Scope, id: u64, name: &str) -> Option<Value> {
    let run = shown(core, scope, id)?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Some(match name {
        "result" => values::opt_text(run.result.map(Outcome::name)),
        "currentResult" => values::text(run.result.unwrap_or(Outcome::Success).name()),
        "number" => int(whole(run.number)),
        "id" => values::text(&run.number.to_string()),
        "displayName" => values::text(&run.name),
        "fullDisplayName" => values::text(&format!("{} {}", run.job, run.name)),
        "description" => values::opt_text(run.description.as_deref()),
        "projectName" => values::text(run.job.rsplit('/').next().unwrap_or_default()),
        "externalizableId" => values::text(&format!("{}#{}", run.job, run.number)),
        "fullProjectName" => values::text(&run.job),
        "absoluteUrl" => values::opt_text(run.url.as_deref()),
        "startTimeInMillis" | "timeInMillis" => Value::Long(whole(run.started_at_ms)),
        // Of itself it asks for the time: `globals::asks`.
        "duration" => Value::Long(whole(run.duration_ms?)),
        "durationString" => values::text(&in_words(run.duration_ms?)),
        "keepLog" => Value::Bool(id == OWN && core.run.keeps_log.get()),
        "nextBuild" if id > OWN && id < FIRST_OF_OTHERS => Value::host(CURRENT_BUILD, id - 1),
        "nextBuild" | "previousBuildInProgress" => Value::Null,
        // Of itself it asks for them: `globals::asks`. Of others nobody has kept them.
        "changeSets" if id > OWN => Value::list(Vec::new()),
        "upstreamBuilds" => Value::list(Vec::new()),
        "buildCauses" if id == OWN => causes(core, None),
        "buildVariables" if id == OWN => values::map(core.run.env().iter().map(|(n, v)| (n.as_str(), values::text(v)))),
        "buildVariables" => values::map(built(core, id)?.parameters.iter().map(|(n, v)| (n.as_str(), values::text(v)))),
        _ => before(core, id, name)?,
    })
}

/// The last run of a kind before one, as far as they are known; none where no kind is called so.
fn before(core: &Core, id: u64, name: &str) -> Option<Value> {
    let is_meant: fn(Outcome) -> bool = match name {
        "previousBuild" | "previousCompletedBuild" => |_| true,
        "previousBuiltBuild" => |outcome| outcome != Outcome::NotBuilt,
        "previousFailedBuild" => |outcome| outcome == Outcome::Failure,
        "previousNotFailedBuild" => |outcome| outcome != Outcome::Failure,
        "previousSuccessfulBuild" => |outcome| outcome == Outcome::Success,
        _ => return None,
    };
    let mut older = (id..FIRST_OF_OTHERS - 1).map_while(|at| Some((at, core.facts.past(at as usize)?.outcome)));
    let found = older.find(|(_, outcome)| is_meant(*outcome));
    Some(found.map_or(Value::Null, |(at, _)| Value::host(CURRENT_BUILD, at + 1)))
}

/// Inside `post` the result is the one that the condition was decided with, or worse.
fn seen(core: &Core, scope: &Scope) -> Option<Outcome> {
    match (core.run.result(), scope.post) {
        (Some(result), Some(post)) => Some(result.worst(post)),
        (result, post) => result.or(post),
    }
}

/// Sets a property; false where it cannot be set.
pub(crate) fn set_property(core: &Core, _: &Scope, name: &str, value: &Value) -> bool {
    let text = (!value.is_null()).then(|| value.to_text());
    match name {
        // An unknown name is FAILURE to Jenkins, and null changes nothing.
        "result" => text.iter().for_each(|t| core.run.worsen(Outcome::from_name(t).unwrap_or(Outcome::Failure))),
        "displayName" => {
            let name = text.unwrap_or_default();
            let more = name.len();
            let old = core.run.display_name.replace(name);
            core.run.hold(more, old.len());
            tell(core);
        }
        "description" => {
            let more = text.as_ref().map_or(0, String::len);
            let old = core.run.description.replace(text);
            core.run.hold(more, old.map_or(0, |old| old.len()));
            tell(core);
        }
        "keepLog" => core.run.keeps_log.set(value.truth()),
        _ => return false,
    }
    true
}

/// What the run is called and described as, in an event.
fn tell(core: &Core) {
    let clip = |text: &str| text.chars().take(MAX_DESCRIPTION_CHARS).collect::<String>();
    let name = Some(clip(&core.run.display_name.borrow())).filter(|name| !name.is_empty());
    let description = core.run.description.borrow().as_deref().map(clip);
    core.event(Event::RunDescribed { name, description });
}

/// A method that is no accessor.
pub(super) fn method(core: &Core, scope: &Scope, id: u64, call: &HostCall) -> Option<Value> {
    let now = || Some(shown(core, scope, id)?.result.unwrap_or(Outcome::Success));
    let wanted = |value: &Value| Outcome::from_name(&value.to_text());
    match (&*call.name, &call.args[..]) {
        ("resultIsBetterOrEqualTo", [other]) => Some(Value::Bool(now()? <= wanted(other)?)),
        ("resultIsWorseOrEqualTo", [other]) => Some(Value::Bool(now()? >= wanted(other)?)),
        ("getBuildCauses", [class]) if id == OWN => Some(causes(core, Some(&class.to_text()))),
        _ => None,
    }
}

fn causes(core: &Core, class: Option<&str>) -> Value {
    let causes = core.facts.causes.iter().filter(|c| class.is_none_or(|wanted| c.class == wanted));
    let maps = causes.map(|cause| {
        let known = [("_class", values::text(&cause.class)), ("shortDescription", values::text(&cause.description))];
        let user = cause.user.iter().flat_map(|u| [("userId", values::text(u)), ("userName", values::text(u))]);
        values::map(known.into_iter().chain(user))
    });
    Value::list(maps.collect())
}
