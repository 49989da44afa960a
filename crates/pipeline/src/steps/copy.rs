//! `copyArtifacts`: what another run has archived.

use groovy::value::Value;
use model::build::{MAX_JOB_NAME_BYTES, names_of};
use model::copy::{CopyWish, WhichRun};
use model::request::{FailureKind, FileSet, Reply, Request};

use super::scm::expanded;
use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::values;

/// `copyArtifacts projectName: 'library', selector: lastSuccessful(), filter: '*.jar', target: 'lib', flatten: true`
///
/// Source: `CopyArtifact` of the copyartifact plugin, which expands the variables of the run in names and patterns.
pub(crate) async fn copy_artifacts(call: StepCall) -> Result<Value, Fault> {
    let args = &call.args;
    let project = expanded(&call, &args.text("projectName")?);
    let given = |name: &str| args.opt_text(name).map(|text| text.map(|text| expanded(&call, &text)));
    for (name, what) in [
        ("parameters", "runs are not looked for by their parameters"),
        ("includeBuildNumberInTargetPath", "not supported"),
    ] {
        let is_asked = args.get(name).is_some_and(|value| value.truth() && !value.to_text().is_empty());
        if is_asked {
            return Err(Fault::illegal(format!("copyArtifacts: {name}: {what}")));
        }
    }
    if project.len() > MAX_JOB_NAME_BYTES {
        return Err(Fault::illegal(format!(
            "copyArtifacts: the name of a project has at most {MAX_JOB_NAME_BYTES} bytes"
        )));
    }
    let names = names_of(&project, &call.core.facts.job_name);
    let is_optional = args.flag("optional", false)?;
    let filter = given("filter")?.filter(|filter| !filter.trim().is_empty()).unwrap_or_else(|| "**".to_owned());
    let files = FileSet {
        dir: call.path(&given("target")?.unwrap_or_default())?,
        includes: filter.clone(),
        excludes: given("excludes")?.unwrap_or_default(),
        default_excludes: false,
        case_sensitive: true,
    };
    let which = args.get("selector").map_or(Ok(WhichRun::default()), selected)?;
    let wish = CopyWish { names, which, flatten: args.flag("flatten", false)?, of: None };
    let job = call.node()?.job;
    let missing = match call.ask(Request::Copy { job, wish, files }).await {
        Ok(Reply::Copied { count: 0, .. }) => {
            Fault::abort(format!("Failed to copy artifacts from {project} with filter: {filter}"))
        }
        Ok(Reply::Copied { count, number }) => {
            let what = if count == 1 { "artifact" } else { "artifacts" };
            call.say(&format!("Copied {count} {what} from \"{project}\" build number {number}"));
            return Ok(Value::Null);
        }
        Ok(reply) => return Err(unexpected(&reply)),
        Err(fault) if is_missing(&fault) => fault,
        Err(fault) => return Err(fault),
    };
    if !is_optional {
        return Err(missing);
    }
    call.say(&missing.message());
    Ok(Value::Null)
}

/// There is no such project, or run: as the keeper of runs says it.
fn is_missing(fault: &Fault) -> bool {
    fault.failure_kind() == Some(FailureKind::Workload) && fault.message().starts_with("Unable to find ")
}

/// `lastSuccessful(stable: true)`, `specific('12')`, `[$class: 'SpecificBuildSelector', buildNumber: '12']`
fn selected(selector: &Value) -> Result<WhichRun, Fault> {
    let fields = values::entries(selector).unwrap_or_default();
    let kind = values::symbol(&fields).unwrap_or_default();
    let field =
        |names: [&str; 2]| fields.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value);
    match kind.as_str() {
        "lastSuccessful" | "StatusBuildSelector" => Ok(match field(["stable", "stableOnly"]) {
            Some(stable) if stable.truth() => WhichRun::LastStable,
            _ => WhichRun::LastSuccessful,
        }),
        "lastCompleted" | "LastCompletedBuildSelector" => Ok(WhichRun::LastCompleted),
        "specific" | "SpecificBuildSelector" => {
            named(&field(["buildNumber", "value"]).map(Value::to_text).unwrap_or_default())
        }
        "permalink" | "PermalinkBuildSelector" => {
            named(&field(["id", "value"]).map(Value::to_text).unwrap_or_default())
        }
        _ => Err(Fault::illegal(format!(
            "copyArtifacts: the selector {kind} is not supported: give the number of the run, `specific('12')`"
        ))),
    }
}

/// A number, or what Jenkins calls one of the last.
fn named(text: &str) -> Result<WhichRun, Fault> {
    match text.trim() {
        "lastSuccessfulBuild" => Ok(WhichRun::LastSuccessful),
        "lastStableBuild" => Ok(WhichRun::LastStable),
        "lastCompletedBuild" => Ok(WhichRun::LastCompleted),
        number => number
            .parse()
            .map(WhichRun::Number)
            .map_err(|_| Fault::illegal(format!("copyArtifacts: ‘{number}’ is no number of a run"))),
    }
}
