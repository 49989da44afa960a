//! `xunit`: results of tests in the formats of many frameworks. Those that are JUnit's are read, the others are kept.

use groovy::value::Value;
use model::outcome::Outcome;
use model::request::{FileSet, Reply, Request};
use model::test_result::TestCounts;

use super::{StepCall, record, reports, unexpected};
use crate::catalogue::Level;
use crate::engine::fault::Fault;
use crate::engine::values;

/// Tools whose reports are in JUnit's format, with the ends of their class names taken off.
const JUNIT: [&str; 5] = ["JUnit", "GoogleTest", "PHPUnit", "Custom", "QTestLib"];
/// Most tools of one step.
const MAX_TOOLS: usize = 100;
/// Why others are not read.
const OTHERS: Level = Level {
    why: "of these formats only JUnit's is read, files of others are kept",
    instead: Some("most frameworks write JUnit's format when asked"),
};

/// `xunit([JUnit(pattern: 'x.xml')])`, `xunit tools: […], thresholds: [failed(unstableThreshold: '0')]`
///
/// Source: `XUnitProcessor` and `XUnitThreshold` of the xunit plugin: without a threshold failed tests change no result.
pub(crate) async fn xunit(call: StepCall) -> Result<Value, Fault> {
    let job = call.node()?.job;
    let tools = ["tools", "testTools", "types"].iter().find_map(|name| call.args.get(name)).and_then(Value::items);
    let (mut sum, mut others) = (TestCounts::default(), Vec::new());
    for tool in tools.unwrap_or_default().into_iter().take(MAX_TOOLS) {
        let fields = values::entries(&tool).unwrap_or_default();
        let kind = values::symbol(&fields).unwrap_or_default();
        let kind = ["TestType", "JunitHudsonTestType", "HudsonTestType", "Type"].iter().fold(kind, |kind, end| {
            kind.strip_suffix(end).map(str::to_owned).filter(|rest| !rest.is_empty()).unwrap_or(kind)
        });
        let text = |name: &str| fields.iter().find(|(n, v)| n == name && !v.is_null()).map(|(_, v)| v.to_text());
        let Some(pattern) = text("pattern").or_else(|| text("value")) else { continue };
        if !JUNIT.contains(&kind.as_str()) {
            others.push(pattern);
            continue;
        }
        let files = FileSet {
            dir: call.cwd()?,
            includes: pattern.clone(),
            excludes: text("excludesPattern").unwrap_or_default(),
            case_sensitive: true,
            default_excludes: true,
        };
        call.say(&format!("[xUnit] Processing {kind} reports that match ‘{pattern}’"));
        let (count, tests) = match call.ask(Request::TestReport { job, step: call.id, files }).await? {
            Reply::Tests { files, tests } => (files, tests),
            reply => return Err(unexpected(&reply)),
        };
        let is_needed = text("skipNoTestFiles").is_none_or(|skip| skip != "true");
        if count == 0 && is_needed {
            return Err(Fault::abort(format!(
                "[xUnit] No test report file(s) were found with the pattern '{pattern}'"
            )));
        }
        sum.failed += tests.failed;
        sum.skipped += tests.skipped;
        sum.passed += tests.passed;
    }
    if !others.is_empty() {
        record::note(&call, "xunit", OTHERS, record::arguments(&call.args.named));
        reports::keep_files(&call, "", others).await?;
    }
    let thresholds = call.args.get("thresholds").and_then(Value::items).unwrap_or_default();
    let worst = thresholds.iter().filter_map(|threshold| exceeded(threshold, sum)).max();
    if let Some(outcome) = worst {
        call.say(&format!("[xUnit] A threshold is exceeded: {}", outcome.name()));
        call.core.run.worsen(outcome);
        call.scope.warn(outcome);
    }
    Ok(Value::Null)
}

/// What a threshold makes of so many tests.
fn exceeded(threshold: &Value, tests: TestCounts) -> Option<Outcome> {
    let fields = values::entries(threshold)?;
    let is_skipped = values::symbol(&fields)?.to_lowercase().starts_with("skipped");
    let count = if is_skipped { tests.skipped } else { tests.failed };
    let limit = |name: &str| {
        let value = fields.iter().find(|(n, _)| n == name)?.1.to_text();
        value.trim().parse::<u64>().ok()
    };
    let is_over = |name: &str| limit(name).is_some_and(|limit| count > limit);
    match () {
        () if is_over("failureThreshold") => Some(Outcome::Failure),
        () if is_over("unstableThreshold") => Some(Outcome::Unstable),
        () => None,
    }
}
