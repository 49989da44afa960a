//! `xunit`: results of tests in the formats of many frameworks. Those that are JUnit's are read, the others are kept.

use groovy::value::Value;
use model::outcome::Outcome;
use model::request::{FileSet, Reply, Request};
use model::test_result::TestCounts;

use super::scm::expanded;
use super::{StepCall, record, reports, unexpected};
use crate::catalogue::Level;
use crate::engine::fault::Fault;
use crate::engine::values;

/// Tools whose reports are in JUnit's format, with the ends of their class names taken off.
const JUNIT: [&str; 5] = ["JUnit", "GoogleTest", "PHPUnit", "Custom", "QTestLib"];
/// What the names of tools end with where they are those of Java's classes, old ones among them.
const ENDS: [&str; 3] = ["JunitHudsonTestType", "HudsonTestType", "Type"];
/// `thresholdMode` of thresholds that are percent of all tests.
const PERCENT: i64 = 2;
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
        let kind = ENDS.iter().find_map(|end| kind.strip_suffix(end)).unwrap_or(&kind);
        let text = |name: &str| fields.iter().find(|(n, v)| n == name && !v.is_null()).map(|(_, v)| v.to_text());
        let Some(pattern) = text("pattern").or_else(|| text("value")) else { continue };
        let pattern = expanded(&call, &pattern);
        if !JUNIT.contains(&kind) {
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
    let in_percent = call.args.opt_int("thresholdMode")? == Some(PERCENT);
    let worst = thresholds.iter().filter_map(|threshold| exceeded(threshold, in_percent, sum)).max();
    if let Some(outcome) = worst {
        call.say(&format!("[xUnit] A threshold is exceeded: {}", outcome.name()));
        call.core.run.worsen(outcome);
        call.scope.warn(outcome);
    }
    Ok(Value::Null)
}

/// What a threshold makes of so many tests. That of passed ones is the least there may be.
fn exceeded(threshold: &Value, in_percent: bool, tests: TestCounts) -> Option<Outcome> {
    let fields = values::entries(threshold)?;
    let kind = values::symbol(&fields)?.to_lowercase();
    let (count, is_least) = match () {
        () if kind.starts_with("skipped") => (tests.skipped, false),
        () if kind.starts_with("passed") => (tests.passed, true),
        () => (tests.failed, false),
    };
    let limit = |name: &str| {
        let value = fields.iter().find(|(n, _)| n == name)?.1.to_text();
        value.trim().parse::<i64>().ok()
    };
    let is_over = |name: &str| {
        let Some(limit) = limit(name).map(i128::from) else { return false };
        // Of no tests nothing is a part.
        let (count, limit) = match in_percent {
            true => (i128::from(count) * 100, limit * i128::from(tests.total())),
            false => (i128::from(count), limit),
        };
        !(in_percent && tests.total() == 0) && if is_least { count < limit } else { count > limit }
    };
    match () {
        () if is_over("failureThreshold") => Some(Outcome::Failure),
        () if is_over("unstableThreshold") => Some(Outcome::Unstable),
        () => None,
    }
}
