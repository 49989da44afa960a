//! What `build` answers: a run of another project, seen as `currentBuild` is.

use groovy::machine::HostCall;
use groovy::value::Value;
use model::build::Built;
use model::outcome::Outcome;

use super::CURRENT_BUILD;
use super::current_build::FIRST_OF_OTHERS;
use crate::engine::Core;
use crate::engine::values::{self, int};

/// The object that stands for it.
pub(crate) fn value(core: &Core, built: Built) -> Value {
    let mut others = core.run.builds.borrow_mut();
    others.push(built);
    Value::host(CURRENT_BUILD, FIRST_OF_OTHERS + others.len() as u64 - 1)
}

fn of(core: &Core, id: u64) -> Option<Built> {
    let at = usize::try_from(id.checked_sub(FIRST_OF_OTHERS)?).ok()?;
    core.run.builds.borrow().get(at).cloned()
}

/// A property of it.
pub(super) fn property(core: &Core, id: u64, name: &str) -> Option<Value> {
    let built = of(core, id)?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let outcome = built.outcome.map(Outcome::name);
    Some(match name {
        "result" => values::opt_text(outcome),
        "currentResult" => values::text(outcome.unwrap_or(Outcome::Success.name())),
        "number" => int(whole(built.number)),
        "id" => values::text(&built.number.to_string()),
        "displayName" => values::text(&format!("#{}", built.number)),
        "fullDisplayName" => values::text(&format!("{} #{}", built.job_name, built.number)),
        "projectName" => values::text(built.job_name.rsplit('/').next().unwrap_or_default()),
        "fullProjectName" => values::text(&built.job_name),
        "absoluteUrl" => values::opt_text(built.url.as_deref()),
        "startTimeInMillis" | "timeInMillis" => Value::Long(whole(built.started_at_ms)),
        "duration" => Value::Long(whole(built.duration_ms)),
        "durationString" => values::text(&format!("{} sec", built.duration_ms / 1000)),
        "buildVariables" => values::map(built.parameters.iter().map(|(n, v)| (n.as_str(), values::text(v)))),
        "description" | "previousBuild" | "nextBuild" => Value::Null,
        "keepLog" => Value::Bool(false),
        "changeSets" | "upstreamBuilds" => Value::list(Vec::new()),
        _ => return None,
    })
}

/// A method that is no accessor.
pub(super) fn method(core: &Core, id: u64, call: &HostCall) -> Option<Value> {
    let now = of(core, id)?.outcome.unwrap_or(Outcome::Success);
    let [other] = &call.args[..] else { return None };
    let other = Outcome::from_name(&other.to_text())?;
    match &*call.name {
        "resultIsBetterOrEqualTo" => Some(Value::Bool(now <= other)),
        "resultIsWorseOrEqualTo" => Some(Value::Bool(now >= other)),
        _ => None,
    }
}
