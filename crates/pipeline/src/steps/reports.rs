//! Steps that show reports of other programs. Here the files are kept as artifacts of the run, so that they can be looked at; nothing reads
//! what is in them, and no gate of quality is held against it.

use groovy::value::Value;
use model::limits::MAX_ARTIFACT_PATH_BYTES;
use model::outcome::Outcome;
use model::request::{FileSet, Reply, Request};

use super::args::Args;
use super::scm::expanded;
use super::{StepCall, record, unexpected};
use crate::catalogue::Level;
use crate::engine::fault::Fault;
use crate::engine::scope::join_path;
use crate::engine::values;

/// How deep in lists and maps patterns are looked for.
const MAX_DEPTH: usize = 5;
/// Most sets of files of one step.
const MAX_PATTERNS: usize = 100;
/// Why no more is done.
const KEPT: Level = Level {
    why: "its files are kept, and nothing reads them: gates and thresholds are not applied",
    instead: Some("the program that wrote the report can fail in `sh`"),
};

/// `publishHTML(target: [reportDir: 'x', reportFiles: 'index.html', reportName: 'X'])`: the folder, as artifacts below the report's name.
/// `step([$class: 'HtmlPublisher', reportTargets: […]])` takes several.
///
/// Source: `HtmlPublisher` and `HtmlPublisherTarget` of the htmlpublisher plugin.
pub(crate) async fn publish_html(call: StepCall) -> Result<Value, Fault> {
    let targets = call.args.get("reportTargets").and_then(Value::items);
    let targets = targets.map(|targets| targets.iter().map(|one| values::entries(one).unwrap_or_default()).collect());
    let targets: Vec<_> = targets.unwrap_or_else(|| {
        vec![call.args.get("target").and_then(values::entries).unwrap_or_else(|| call.args.named.clone())]
    });
    call.node()?;
    let targets: Vec<_> =
        targets.into_iter().map(|named| Args { step: call.args.step.clone(), named, body: None }).collect();
    // Nothing is kept of some where another says not what it means.
    for target in &targets {
        target.text("reportDir")?;
        target.text("reportFiles")?;
    }
    call.say("[htmlpublisher] Archiving HTML reports...");
    for target in targets.iter().take(MAX_PATTERNS) {
        publish_one(&call, target).await?;
    }
    Ok(Value::Null)
}

/// One folder.
async fn publish_one(call: &StepCall, target: &Args) -> Result<(), Fault> {
    let job = call.node()?.job;
    let dir = call.path(&expanded(call, target.text("reportDir")?.trim()))?;
    let name = target.opt_text("reportName")?.unwrap_or_else(|| "HTML Report".to_owned());
    let name = folder_name(&name, target.flag("escapeUnderscores", true)?);
    if name.is_empty() {
        return Err(Fault::illegal("reportName of publishHTML is empty"));
    }
    call.say(&format!("[htmlpublisher] Archiving at BUILD level {dir} to {name}"));
    let lack = if call.ask(Request::FileExists { job, path: dir.clone() }).await? == Reply::Bool(true) {
        let includes = target.opt_text("includes")?.filter(|text| !text.trim().is_empty());
        let files = FileSet {
            dir: dir.clone(),
            includes: includes.unwrap_or_else(|| "**/*".to_owned()),
            case_sensitive: true,
            default_excludes: true,
            ..FileSet::default()
        };
        match call.ask(Request::Archive { job, files, below: Some(name.clone()), allow_empty: true }).await? {
            Reply::Count(0) => Some(format!("ERROR: Directory '{dir}' exists but failed copying to '{name}'.")),
            Reply::Count(_) | Reply::Done => None,
            reply => return Err(unexpected(&reply)),
        }
    } else {
        Some(format!("ERROR: Specified HTML directory '{dir}' does not exist."))
    };
    if let Some(lack) = lack {
        call.say(&lack);
        if !target.flag("allowMissing", false)? {
            call.core.run.worsen(Outcome::Failure);
        }
    }
    Ok(())
}

/// The folder of a report: what is neither letter, digit nor `-` is written as its bytes.
fn folder_name(name: &str, escape_underscores: bool) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' && !escape_underscores;
    let escaped = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("_{byte:02x}") };
    name.bytes().map(escaped).collect::<String>().chars().take(MAX_ARTIFACT_PATH_BYTES / 4).collect()
}

/// `javadoc javadocDir: 'target/site/apidocs'`
pub(crate) async fn javadoc(call: StepCall) -> Result<Value, Fault> {
    let (job, dir) = (call.node()?.job, call.path(&call.args.text("javadocDir")?)?);
    call.say("Publishing Javadoc");
    let files = FileSet { dir, case_sensitive: true, default_excludes: true, ..FileSet::default() };
    match call.ask(Request::Archive { job, files, below: Some("javadoc".to_owned()), allow_empty: true }).await? {
        Reply::Count(0) => Err(Fault::abort("No javadoc found in the folder that javadocDir names")),
        Reply::Count(_) | Reply::Done => Ok(Value::Null),
        reply => Err(unexpected(&reply)),
    }
}

/// Where a step's arguments say which files it means.
struct Names {
    step: &'static str,
    /// Patterns of files, wherever they stand in the arguments.
    patterns: &'static [&'static str],
    /// Folders.
    folders: &'static [&'static str],
    /// What is meant where nothing is said.
    default: &'static str,
}

const fn names(
    step: &'static str,
    patterns: &'static [&'static str],
    folders: &'static [&'static str],
    default: &'static str,
) -> Names {
    Names { step, patterns, folders, default }
}

/// By step. `value` is what a description is given without a name: `coberturaAdapter('x.xml')`.
const NAMES: &[Names] = &[
    names("allure", &[], &["path"], "allure-results/**"),
    names("androidLint", &["pattern"], &[], "**/lint-results*.xml"),
    names("checkstyle", &["pattern"], &[], "**/checkstyle-result.xml"),
    names("clover", &["cloverReportFileName"], &[], "clover.xml"),
    names("cobertura", &["coberturaReportFile"], &[], "**/cobertura.xml"),
    names("cucumber", &["fileIncludePattern"], &[], "**/*.json"),
    names("dependencyCheckPublisher", &["pattern"], &[], "**/dependency-check-report.xml"),
    names("dry", &["pattern"], &[], "**/cpd.xml"),
    names("findbugs", &["pattern"], &[], "**/findbugsXml.xml"),
    names("gatlingArchive", &[], &[], "**/target/gatling/*/**"),
    names("jacoco", &["execPattern"], &[], "**/**.exec"),
    names("mstest", &["testResultsFile"], &[], "**/*.trx"),
    names("nunit", &["testResultsPattern"], &[], "**/TestResult.xml"),
    names("openTasks", &[], &[], ""),
    names("perfReport", &["sourceDataFiles", "glob"], &[], ""),
    names("plot", &["file", "csvFileName"], &[], ""),
    names("pmd", &["pattern"], &[], "**/pmd.xml"),
    names("publishCoverage", &["path", "mergeToOneReport", "value"], &[], ""),
    names("publishCppcheck", &["pattern"], &[], ""),
    names("recordCoverage", &["pattern"], &[], ""),
    names("recordIssues", &["pattern"], &[], ""),
    names("robot", &["outputFileName", "reportFileName", "logFileName"], &[], "output.xml,report.html,log.html"),
    names("scoverage", &["reportFile"], &[], "**/scoverage.xml"),
    names("tap", &["testResults"], &[], ""),
    names("testNG", &["reportFilenamePattern"], &[], "**/testng-results.xml"),
    names("warnings", &["pattern"], &[], ""),
];

/// Folders below which a step's patterns are.
const BASES: [&str; 4] = ["cloverReportDir", "jsonReportDirectory", "outputPath", "reportDir"];

/// `recordIssues tools: [checkStyle(pattern: '…')]`, `jacoco()` and the like.
pub(crate) async fn keep(call: StepCall) -> Result<Value, Fault> {
    let base = BASES.iter().find_map(|name| call.args.get(name)).map(Value::to_text).unwrap_or_default();
    let base = expanded(&call, base.trim());
    let Some(names) = NAMES.iter().find(|names| names.step == call.args.step) else { return Ok(Value::Null) };
    let mut patterns = Vec::new();
    for (name, value) in &call.args.named {
        find(names, name, value, 1, &mut patterns);
    }
    if patterns.is_empty() && !names.default.is_empty() {
        patterns.push(names.default.to_owned());
    }
    let patterns = patterns.iter().map(|pattern| expanded(&call, pattern)).collect();
    record::note(&call, names.step, KEPT, record::arguments(&call.args.named));
    keep_files(&call, &base, patterns).await?;
    Ok(Value::Null)
}

/// The folder of a set, and its patterns: below the working folder the names of artifacts have the folder of the report in them, so that
/// the reports of several folders stay several.
fn below(cwd: &str, base: &str, includes: &str) -> (String, String) {
    let dir = join_path(cwd, base);
    let inner = dir.strip_prefix(cwd).and_then(|rest| rest.strip_prefix('/'));
    match inner.filter(|inner| !inner.contains(['*', '?', ','])) {
        Some(inner) => {
            let parts = includes.split(',').map(str::trim).filter(|part| !part.is_empty());
            let all: Vec<_> = parts.map(|part| format!("{inner}/{part}")).collect();
            (cwd.to_owned(), all.join(","))
        }
        None => (dir, includes.to_owned()),
    }
}

/// Keeps the files that patterns name; what is not there is said, and no error: a report is not what a run is for.
pub(super) async fn keep_files(call: &StepCall, base: &str, mut patterns: Vec<String>) -> Result<(), Fault> {
    patterns.dedup();
    if patterns.is_empty() {
        return Ok(());
    }
    let (job, cwd) = (call.node()?.job, call.cwd()?);
    for pattern in patterns.into_iter().take(MAX_PATTERNS) {
        let (dir, includes) = below(&cwd, base, &pattern);
        let files = FileSet {
            dir,
            includes: includes.clone(),
            case_sensitive: true,
            default_excludes: true,
            ..FileSet::default()
        };
        match call.ask(Request::Archive { job, files, below: None, allow_empty: true }).await? {
            Reply::Count(0) => call.say(&format!("No report files match ‘{includes}’")),
            Reply::Count(count) => call.say(&format!("Kept {count} report file(s) that match ‘{includes}’")),
            Reply::Done => {}
            reply => return Err(unexpected(&reply)),
        }
    }
    Ok(())
}

// No deeper than `MAX_DEPTH`.
fn find(names: &Names, name: &str, value: &Value, depth: usize, found: &mut Vec<String>) {
    if depth > MAX_DEPTH || found.len() >= MAX_PATTERNS {
        return;
    }
    if value.is_text() {
        let text = value.to_text();
        let text = text.trim();
        if text.is_empty() {
        } else if names.patterns.contains(&name) {
            found.push(text.to_owned());
        } else if names.folders.contains(&name) {
            found.push(format!("{}/**", text.trim_end_matches('/')));
        }
        return;
    }
    if let Some(entries) = values::entries(value) {
        entries.iter().for_each(|(name, value)| find(names, name, value, depth + 1, found));
        return;
    }
    let items = if matches!(value, Value::List(_) | Value::Set(_)) { value.items() } else { None };
    items.iter().flatten().for_each(|item| find(names, name, item, depth + 1, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_folder_of_its_own() {
        assert_eq!(folder_name("Test Report", true), "Test_20Report");
        assert_eq!(folder_name("../a_b", true), "_2e_2e_2fa_5fb");
        assert_eq!(folder_name("a_b-ü", false), "a_b-_c3_bc");
    }

    #[test]
    fn names_have_the_folder_of_the_report() {
        let check = |base: &str, includes: &str, dir: &str, all: &str| {
            assert_eq!(below("/w/a", base, includes), (dir.to_owned(), all.to_owned()), "{base}");
        };
        check("", "x.xml, y.xml", "/w/a", "x.xml, y.xml");
        check("./out/", "x.xml, y.xml", "/w/a", "out/x.xml,out/y.xml");
        check("/w/a/out", "x", "/w/a", "out/x");
        check("../b", "x", "/w/b", "x");
        check("o*", "x", "/w/a/o*", "x");
    }

    #[test]
    fn each_step_that_keeps_reports_says_where_they_are() {
        let catalogue = crate::catalogue::Catalogue::get();
        assert!(NAMES.iter().all(|names| catalogue.step(names.step).is_some()));
        assert!(NAMES.is_sorted_by_key(|names| names.step));
    }
}
