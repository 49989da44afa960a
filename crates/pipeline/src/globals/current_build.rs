//! `currentBuild`: what the run says of itself, and of the one before it.

use groovy::machine::HostCall;
use groovy::value::{HostRef, Value};
use model::event::Event;
use model::limits::MAX_DESCRIPTION_CHARS;
use model::outcome::Outcome;

use crate::engine::Core;
use crate::engine::scope::Scope;
use crate::engine::values::{self, int};

/// Which one the run before is: [`HostRef::id`]; its own is 0.
pub(super) const PREVIOUS: u64 = 1;
/// The first of those that were started by `build`.
pub(super) const FIRST_OF_OTHERS: u64 = 2;

/// A property; none where there is none of that name.
pub(super) fn property(core: &Core, scope: &Scope, name: &str) -> Option<Value> {
    let facts = &core.facts;
    let number = i64::try_from(facts.build_number).unwrap_or(i64::MAX);
    let job = facts.job_name.as_str();
    let base = job.rsplit('/').next().unwrap_or_default();
    Some(match name {
        "result" => values::opt_text(seen(core, scope).map(Outcome::name)),
        "currentResult" => values::text(seen(core, scope).unwrap_or(Outcome::Success).name()),
        "number" => int(number),
        "id" => values::text(&number.to_string()),
        "displayName" => values::text(&core.run.display_name.borrow()),
        "fullDisplayName" => values::text(&format!("{job} {}", core.run.display_name.borrow())),
        "description" => values::opt_text(core.run.description.borrow().as_deref()),
        "projectName" => values::text(base),
        "fullProjectName" => values::text(job),
        "absoluteUrl" => values::opt_text(core.env_var(scope, "BUILD_URL").as_deref()),
        "startTimeInMillis" | "timeInMillis" => Value::Long(i64::try_from(facts.started_at_ms).unwrap_or(i64::MAX)),
        "duration" => Value::Long(0),
        "durationString" => values::text("0 ms and counting"),
        "keepLog" => Value::Bool(false),
        "nextBuild" | "previousBuildInProgress" => Value::Null,
        "previousBuild" | "previousBuiltBuild" | "previousCompletedBuild" => before(core, |_| true),
        "previousFailedBuild" => before(core, |outcome| outcome == Outcome::Failure),
        "previousNotFailedBuild" => before(core, |outcome| outcome != Outcome::Failure),
        "previousSuccessfulBuild" => before(core, |outcome| outcome <= Outcome::Unstable),
        "upstreamBuilds" => Value::list(Vec::new()),
        "buildCauses" => causes(core, None),
        "buildVariables" => values::map(core.run.env.borrow().iter().map(|(n, v)| (n.as_str(), values::text(v)))),
        _ => return None,
    })
}

/// The run before, where it is known and of that kind. What was before that is not known.
fn before(core: &Core, is_meant: impl Fn(Outcome) -> bool) -> Value {
    match core.facts.previous {
        Some(outcome) if is_meant(outcome) => Value::host(super::CURRENT_BUILD, PREVIOUS),
        _ => Value::Null,
    }
}

/// What is known of the run before: a property of it.
pub(super) fn previous(core: &Core, name: &str) -> Option<Value> {
    let facts = &core.facts;
    let outcome = facts.previous?.name();
    let number = facts.previous_number.unwrap_or_else(|| facts.build_number.saturating_sub(1));
    let job = facts.job_name.as_str();
    Some(match name {
        "result" | "currentResult" => values::text(outcome),
        "number" => int(i64::try_from(number).unwrap_or(i64::MAX)),
        "id" => values::text(&number.to_string()),
        "displayName" => values::text(&format!("#{number}")),
        "fullDisplayName" => values::text(&format!("{job} #{number}")),
        "projectName" => values::text(job.rsplit('/').next().unwrap_or_default()),
        "fullProjectName" => values::text(job),
        "previousBuild" | "previousBuiltBuild" | "previousCompletedBuild" | "previousBuildInProgress" => Value::Null,
        "previousFailedBuild" | "previousNotFailedBuild" | "previousSuccessfulBuild" => Value::Null,
        // Nobody has kept them.
        "description" => Value::Null,
        "changeSets" | "upstreamBuilds" => Value::list(Vec::new()),
        "keepLog" => Value::Bool(false),
        _ => return None,
    })
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
            *core.run.display_name.borrow_mut() = text.unwrap_or_default();
            tell(core);
        }
        "description" => {
            *core.run.description.borrow_mut() = text;
            tell(core);
        }
        "keepLog" => {}
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
pub(super) fn method(core: &Core, scope: &Scope, host: &HostRef, call: &HostCall) -> Option<Value> {
    let wanted = |value: &Value| Outcome::from_name(&value.to_text());
    let is_previous = host.id == PREVIOUS;
    let now = if is_previous { core.facts.previous? } else { seen(core, scope).unwrap_or(Outcome::Success) };
    match (&*call.name, &call.args[..]) {
        ("resultIsBetterOrEqualTo", [other]) => Some(Value::Bool(now <= wanted(other)?)),
        ("resultIsWorseOrEqualTo", [other]) => Some(Value::Bool(now >= wanted(other)?)),
        _ if is_previous => None,
        ("getBuildCauses", []) => Some(causes(core, None)),
        ("getBuildCauses", [class]) => Some(causes(core, Some(&class.to_text()))),
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
