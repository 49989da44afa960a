//! `withMaven`: what Maven in the block is told, and the results of its tests afterwards. Which Maven and which JDK is the image's.

use groovy::value::Value;
use model::request::{FileSet, Reply, Request};

use super::{StepCall, junit, unexpected};
use crate::engine::fault::Fault;
use crate::engine::scope::join_path;
use crate::engine::values;

/// Where Maven's plugins write the results of tests.
const REPORTS: &str = "**/target/surefire-reports/*.xml,**/target/failsafe-reports/*.xml";
/// Options of the step that name what only Jenkins has.
const MANAGED: [&str; 2] = ["mavenSettingsConfig", "globalMavenSettingsConfig"];

/// `withMaven(mavenOpts: '-Xmx1g', mavenSettingsFilePath: 'ci/settings.xml') { sh 'mvn verify' }`
///
/// Source: `WithMavenStep` of the pipeline-maven plugin. It puts a program before `mvn` in PATH; here Maven reads its words from
/// MAVEN_ARGS, as it does since 3.9.
pub(crate) async fn with_maven(call: StepCall) -> Result<Value, Fault> {
    let cwd = call.cwd()?;
    let (mut words, mut options) = (Vec::new(), Vec::new());
    options.extend(call.core.env_var(&call.scope, "MAVEN_OPTS").filter(|set| !set.is_empty()));
    options.extend(call.args.opt_text("mavenOpts")?.map(|text| text.replace(['\r', '\n'], " ")));
    for (name, word) in [("mavenSettingsFilePath", "--settings"), ("globalMavenSettingsFilePath", "--global-settings")]
    {
        if let Some(path) = call.args.opt_text(name)?.filter(|path| !path.is_empty()) {
            words.push(format!("{word} {}", without_spaces(name, join_path(&cwd, &path))?));
        }
    }
    if let Some(folder) = call.args.opt_text("mavenLocalRepo")?.filter(|folder| !folder.is_empty()) {
        let folder = without_spaces("mavenLocalRepo", join_path(&cwd, &folder))?;
        options.push(format!("-Dmaven.repo.local={folder}"));
    }
    for name in MANAGED {
        if call.args.opt_text(name)?.is_some_and(|id| !id.is_empty()) {
            call.say(&format!(
                "WARNING: withMaven: {name} names a file that Jenkins manages: Maven reads its own settings"
            ));
        }
    }
    let own = [("MAVEN_OPTS", options.join(" ")), ("MAVEN_ARGS", words.join(" "))];
    let vars = own.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value));
    let result = call.run_body(&call.scope.with_env(vars.collect())).await;
    let is_over = result.as_ref().err().is_some_and(|fault| fault.is_final() || fault.interruption().is_some());
    if is_over || !publishes_tests(&call)? {
        return result;
    }
    let told = tell_tests(&call, cwd).await;
    // Why the block failed goes before what its reports lack.
    result.and_then(|value| told.map(|()| value))
}

fn without_spaces(name: &str, path: String) -> Result<String, Fault> {
    match path.contains(char::is_whitespace) {
        true => Err(Fault::illegal(format!(
            "withMaven: {name} ‘{path}’ has a space in it, which Maven takes for two words"
        ))),
        false => Ok(path),
    }
}

/// Whether the results of tests are taken, as they are unless the step says otherwise.
fn publishes_tests(call: &StepCall) -> Result<bool, Fault> {
    let options = call.args.get("options").and_then(Value::items).unwrap_or_default();
    for option in &options {
        let fields = values::entries(option).unwrap_or_default();
        let is_junit = values::symbol(&fields).is_some_and(|name| name.to_lowercase().starts_with("junit"));
        if is_junit {
            return Ok(!fields.iter().any(|(name, value)| name == "disabled" && value.truth()));
        }
    }
    Ok(call.args.get("publisherStrategy").is_none_or(|strategy| strategy.to_text() != "EXPLICIT"))
}

async fn tell_tests(call: &StepCall, dir: String) -> Result<(), Fault> {
    let files = FileSet {
        dir,
        includes: REPORTS.to_owned(),
        case_sensitive: true,
        default_excludes: true,
        ..FileSet::default()
    };
    match call.ask(Request::TestReport { job: call.node()?.job, step: call.id, files }).await? {
        Reply::Tests { files: 0, .. } => {}
        Reply::Tests { files, tests } => {
            call.say(&format!("[withMaven] Recorded the results of {} test(s) from {files} file(s)", tests.total()));
            junit::mark(call, tests)?;
        }
        reply => return Err(unexpected(&reply)),
    }
    Ok(())
}
