//! `stash`, `unstash`, `archiveArtifacts`, `archive`, `unarchive`, `fingerprint`.

use groovy::value::Value;
use model::outcome::Outcome;
use model::request::{DigestAlgorithm, FileSet, Reply, Request, is_stash_name};

use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::scope::join_path;
use crate::engine::values;

/// `stash name: 'x', includes: '**/*.jar'`
pub(crate) async fn stash(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.text("name")?;
    if !is_stash_name(&name) {
        let what = "it is empty, reads like a path, is very long or has signs that nobody sees";
        return Err(Fault::illegal(format!("‘{name}’ is not a name for a stash: {what}")));
    }
    let files = FileSet {
        dir: call.cwd()?,
        includes: call.args.opt_text("includes")?.unwrap_or_default(),
        excludes: call.args.opt_text("excludes")?.unwrap_or_default(),
        default_excludes: call.args.flag("useDefaultExcludes", true)?,
        case_sensitive: true,
    };
    let (job, allow_empty) = (call.node()?.job, call.args.flag("allowEmpty", false)?);
    match call.ask(Request::Stash { job, name: name.clone(), files, allow_empty }).await? {
        Reply::Count(0) if !allow_empty => Err(Fault::abort("No files included in stash ‘".to_owned() + &name + "’")),
        Reply::Count(count) => {
            call.say(&format!("Stashed {count} file(s)"));
            Ok(Value::Null)
        }
        reply => Err(unexpected(&reply)),
    }
}

/// `unstash 'x'`
pub(crate) async fn unstash(call: StepCall) -> Result<Value, Fault> {
    let (job, dir, name) = (call.node()?.job, call.cwd()?, call.args.text("name")?);
    call.ask(Request::Unstash { job, name, dir }).await?;
    Ok(Value::Null)
}

/// `archiveArtifacts artifacts: '**/*.jar'`
pub(crate) async fn archive_artifacts(call: StepCall) -> Result<Value, Fault> {
    let includes = call.args.text("artifacts")?;
    if includes.trim().is_empty() {
        return Err(Fault::abort(
            "No artifacts are configured for archiving. You probably forgot to set the file pattern.",
        ));
    }
    let files = FileSet {
        dir: call.cwd()?,
        includes: includes.clone(),
        excludes: call.args.opt_text("excludes")?.unwrap_or_default(),
        default_excludes: call.args.flag("defaultExcludes", true)?,
        case_sensitive: call.args.flag("caseSensitive", true)?,
    };
    let (job, allow_empty) = (call.node()?.job, call.args.flag("allowEmptyArchive", false)?);
    let worst = call.core.run.result().unwrap_or(Outcome::Success);
    if call.args.flag("onlyIfSuccessful", false)? && worst > Outcome::Unstable {
        call.say("Skipping archiving because build is not successful");
        return Ok(Value::Null);
    }
    call.say("Archiving artifacts");
    let set = files.clone();
    match call.ask(Request::Archive { job, files, below: None, allow_empty: true }).await? {
        Reply::Count(0) if !allow_empty => Err(Fault::abort(format!(
            "No artifacts found that match the file pattern \"{includes}\". Configuration error?"
        ))),
        Reply::Count(0) => {
            call.say(&format!("No artifacts found that match the file pattern \"{includes}\". Configuration error?"));
            Ok(Value::Null)
        }
        Reply::Count(_) | Reply::Done if call.args.flag("fingerprint", false)? => record(&call, set).await,
        Reply::Count(_) | Reply::Done => Ok(Value::Null),
        reply => Err(unexpected(&reply)),
    }
}

/// `fingerprint '**/*.jar'`: the digests of files, in the log.
pub(crate) async fn fingerprint(call: StepCall) -> Result<Value, Fault> {
    let files = FileSet {
        dir: call.cwd()?,
        includes: call.args.text("targets")?,
        excludes: call.args.opt_text("excludes")?.unwrap_or_default(),
        default_excludes: call.args.flag("defaultExcludes", true)?,
        case_sensitive: call.args.flag("caseSensitive", true)?,
    };
    record(&call, files).await
}

/// Most files whose digests one step tells: each is a request of its own.
const MAX_FINGERPRINTS: usize = 1000;

async fn record(call: &StepCall, files: FileSet) -> Result<Value, Fault> {
    call.say("Recording fingerprints");
    let (job, dir) = (call.node()?.job, files.dir.clone());
    let found = match call.ask(Request::FindFiles { job, files, folders: false, is_shallow: false }).await? {
        Reply::Found(found) => found,
        reply => return Err(unexpected(&reply)),
    };
    let rest = found.len().saturating_sub(MAX_FINGERPRINTS);
    for file in found.into_iter().take(MAX_FINGERPRINTS) {
        let path = join_path(&dir, &file.path);
        match call.ask(Request::Digest { job, path, algorithm: DigestAlgorithm::Md5 }).await? {
            Reply::Text(hex) => call.say(&format!("{hex}  {}", file.path)),
            reply => return Err(unexpected(&reply)),
        }
    }
    if rest > 0 {
        call.say(&format!("WARNING: of {rest} more files no fingerprints are recorded"));
    }
    Ok(Value::Null)
}

/// `archive '**/*.jar'`: the old step; nothing found is no error.
///
/// Source: `ArtifactArchiverStepExecution` of workflow-basic-steps.
pub(crate) async fn archive(call: StepCall) -> Result<Value, Fault> {
    let (includes, excludes) = (call.args.text("includes")?, call.args.opt_text("excludes")?.unwrap_or_default());
    let but = if excludes.is_empty() { String::new() } else { format!(", excluding \"{excludes}\"") };
    let nothing = format!("No files found to archive for pattern \"{includes}\"{but}; continuing.");
    let files = FileSet { dir: call.cwd()?, includes, excludes, default_excludes: true, case_sensitive: true };
    let job = call.node()?.job;
    call.say("The archive step is deprecated, please use archiveArtifacts instead.");
    match call.ask(Request::Archive { job, files, below: None, allow_empty: true }).await? {
        Reply::Count(0) => {
            call.say(&nothing);
            Ok(Value::Null)
        }
        Reply::Count(_) | Reply::Done => Ok(Value::Null),
        reply => Err(unexpected(&reply)),
    }
}

/// `unarchive mapping: ['target/': '.', 'a.txt': 'b/']`: what this run has archived, brought back.
///
/// Source: `ArtifactUnarchiverStepExecution` of workflow-basic-steps, which looks as `archive` does: with Ant's default excludes.
pub(crate) async fn unarchive(call: StepCall) -> Result<Value, Fault> {
    let missing = || Fault::abort("'mapping' has not been defined for this 'unarchive' step");
    let mapping = call.args.get("mapping").ok_or_else(missing)?;
    let mapping = values::entries(mapping).ok_or_else(|| call.args.wrong_type("mapping", "java.util.Map", mapping))?;
    for (artifacts, to) in mapping {
        let files = FileSet {
            dir: call.path(&to.to_text())?,
            includes: artifacts.clone(),
            excludes: String::new(),
            default_excludes: true,
            case_sensitive: true,
        };
        let job = call.node()?.job;
        match call.ask(Request::Unarchive { job, files }).await? {
            Reply::Count(0) => return Err(Fault::abort(format!("no artifacts to unarchive in {artifacts}"))),
            Reply::Count(_) | Reply::Done => {}
            reply => return Err(unexpected(&reply)),
        }
    }
    Ok(Value::Null)
}
