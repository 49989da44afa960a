//! `junit`: results of tests, from files that the workload has written.

use groovy::value::Value;
use model::outcome::Outcome;
use model::request::{FileSet, Reply, Request};
use model::test_result::TestCounts;

use super::scm::expanded;
use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::values;

/// `junit '**/target/surefire-reports/*.xml'`. Failed tests make the run and its stage unstable.
///
/// Source: `JUnitResultsStepExecution` and `JUnitResultArchiver` of the junit plugin.
pub(crate) async fn junit(call: StepCall) -> Result<Value, Fault> {
    let files = FileSet {
        dir: call.cwd()?,
        includes: expanded(&call, &call.args.text("testResults")?),
        case_sensitive: true,
        default_excludes: true,
        ..FileSet::default()
    };
    let (job, allow_empty) = (call.node()?.job, call.args.flag("allowEmptyResults", false)?);
    call.say("Recording test results");
    let (count, tests) = match call.ask(Request::TestReport { job, step: call.id, files }).await? {
        Reply::Tests { files, tests } => (files, tests),
        reply => return Err(unexpected(&reply)),
    };
    // Most likely it failed before it came to its tests: that is said already.
    let has_failed = call.core.run.result() == Some(Outcome::Failure);
    let lacks = [
        (count == 0, "No test report files were found. Configuration error?"),
        (tests.total() == 0 && !has_failed, "None of the test reports contained any result"),
    ];
    for (_, lack) in lacks.iter().filter(|(is_so, _)| *is_so) {
        call.say(lack);
        if !allow_empty {
            return Err(Fault::abort(*lack));
        }
    }
    mark(&call, tests)?;
    Ok(summary(tests))
}

/// `realtimeJUnit('**/*.xml') { … }`: what its block leaves, read behind it, however it ends.
///
/// Source: `RealtimeTestResultExecution` of junit-realtime-test-reporter, which reads them meanwhile as well.
pub(crate) async fn realtime(call: StepCall) -> Result<Value, Fault> {
    let result = call.run_body(&call.scope).await;
    if let Err(fault) = &result
        && fault.is_final()
    {
        return result;
    }
    let reported = junit(call).await;
    result.and_then(|value| reported.map(|_| value))
}

/// What failed tests make of the run and its stage.
pub(super) fn mark(call: &StepCall, tests: TestCounts) -> Result<(), Fault> {
    // Who leaves the stage as it is leaves the run, too.
    if tests.failed > 0 && !call.args.flag("skipMarkingStageUnstable", false)? {
        call.scope.warn(Outcome::Unstable);
        if !call.args.flag("skipMarkingBuildUnstable", false)? {
            call.core.run.worsen(Outcome::Unstable);
        }
    }
    Ok(())
}

fn summary(tests: TestCounts) -> Value {
    let TestCounts { failed, skipped, passed } = tests;
    let count = |count: u64| values::int(i64::try_from(count).unwrap_or(i64::MAX));
    values::map([
        ("failCount", count(failed)),
        ("skipCount", count(skipped)),
        ("passCount", count(passed)),
        ("totalCount", count(tests.total())),
    ])
}
