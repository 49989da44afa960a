//! `readFile`, `writeFile`, `fileExists`, `deleteDir`, `cleanWs`, `validateDeclarativePipeline`.

use groovy::value::Value;
use model::outcome::Outcome;
use model::request::{FileSet, Reply, Request};

use super::args::Args;
use super::{StepCall, unexpected};
use crate::declarative::startup_failed;
use crate::definition::{DefinitionKind, Purpose, Surroundings, analyse};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::join_path;
use crate::engine::values;

/// `readFile 'x'`
pub(crate) async fn read_file(call: StepCall) -> Result<Value, Fault> {
    let (job, path) = (call.node()?.job, call.path(&call.args.text("file")?)?);
    let encoding = call.args.opt_text("encoding")?;
    text_of(&call, Request::ReadFile { job, path, encoding }).await.map(|text| values::text(&text))
}

/// The text of a file that is asked for.
pub(super) async fn text_of(call: &StepCall, wish: Request) -> Result<String, Fault> {
    match call.ask(wish).await {
        Ok(Reply::Text(text)) => Ok(text),
        Ok(reply) => Err(unexpected(&reply)),
        // Scripts catch it by its class.
        Err(fault) => Err(match fault.message().strip_prefix("java.nio.file.NoSuchFileException: ") {
            Some(path) => Fault::raised("java.nio.file.NoSuchFileException", path.to_owned()),
            None => fault,
        }),
    }
}

/// `readTrusted 'x'`: a file of the repository, for which no machine is needed.
pub(crate) async fn read_trusted(call: StepCall) -> Result<Value, Fault> {
    let path = call.args.text("path")?;
    read_of_repository(&call.core, &path).await.map(|text| values::text(&text))
}

/// A file of the definition's own repository.
pub(crate) async fn read_of_repository(core: &Core, path: &str) -> Result<String, Fault> {
    if !core.facts.has_scm {
        return Err(Fault::abort(format!("‘{path}’ cannot be read: this definition does not come from a repository")));
    }
    match core.ask(Request::ReadTrusted { path: path.to_owned() }).await? {
        Reply::Text(text) => Ok(text),
        reply => Err(unexpected(&reply)),
    }
}

/// `writeFile file: 'x', text: 'y'`
pub(crate) async fn write_file(call: StepCall) -> Result<Value, Fault> {
    let (job, path) = (call.node()?.job, call.path(&call.args.text("file")?)?);
    let (text, encoding) = (call.args.text("text")?, call.args.opt_text("encoding")?);
    call.ask(Request::WriteFile { job, path, text, encoding }).await?;
    Ok(Value::Null)
}

/// `fileExists 'x'`
pub(crate) async fn file_exists(call: StepCall) -> Result<Value, Fault> {
    let job = call.node()?.job;
    if !call.args.named.iter().any(|(name, _)| name == "file") {
        return Err(call.args.missing("file"));
    }
    let name = call.args.opt_text("file")?.filter(|name| !name.is_empty());
    if name.is_none() {
        call.say(
            "The fileExists step was called with a null or empty string, so the current directory will be checked instead.",
        );
    }
    let path = name.map_or_else(|| call.cwd(), |name| call.path(&name))?;
    match call.ask(Request::FileExists { job, path }).await? {
        Reply::Bool(found) => Ok(Value::Bool(found)),
        reply => Err(unexpected(&reply)),
    }
}

/// `deleteDir()`
pub(crate) async fn delete_dir(call: StepCall) -> Result<Value, Fault> {
    let (job, path) = (call.node()?.job, call.cwd()?);
    call.ask(Request::DeleteDir { job, path }).await?;
    Ok(Value::Null)
}

/// `cleanWs()`: the whole workspace, wherever it is called, or what its patterns fit.
///
/// Source: `WsCleanup` of the ws-cleanup plugin. Where everything is switched off, nothing is meant to be.
pub(crate) async fn clean_workspace(call: StepCall) -> Result<Value, Fault> {
    let job = call.node()?.job;
    let path = call.scope.workspace().map_or_else(|| call.cwd(), |workspace| Ok(workspace.to_owned()))?;
    call.say("[WS-CLEANUP] Deleting project workspace...");
    if let Some(result) = call.core.run.result().filter(|result| !is_wanted(&call.args, *result).unwrap_or(true)) {
        call.say(&format!("[WS-CLEANUP] Skipped based on build state {}", result.name()));
        return Ok(Value::Null);
    }
    if call.args.get("disableDeferredWipeout").is_some_and(Value::truth) {
        call.say("[WS-CLEANUP] Deferred wipeout is disabled by the job configuration...");
    }
    let cleaned = match patterns(&call.args)? {
        Some(patterns) => clean_matching(&call, path, patterns).await,
        None => call.ask(Request::DeleteDir { job, path }).await.map(drop),
    };
    match cleaned {
        Ok(()) => call.say("[WS-CLEANUP] done"),
        Err(fault) if fault.interruption().is_none() && !fault.is_final() => {
            call.say(&format!("Cannot delete workspace: {}", fault.message()));
            if !call.args.flag("notFailBuild", false)? {
                return Err(Fault::abort(format!("Cannot delete workspace: {}", fault.message())));
            }
            call.say("Option not to fail the build is turned on, so let's continue");
        }
        Err(fault) => return Err(fault),
    }
    Ok(Value::Null)
}

/// Whether a workspace is cleaned after such a result.
fn is_wanted(args: &Args, result: Outcome) -> Result<bool, Fault> {
    if args.flag("skipWhenFailed", false)? {
        return Ok(matches!(result, Outcome::Success | Outcome::Unstable));
    }
    let names = ["cleanWhenSuccess", "cleanWhenUnstable", "cleanWhenFailure", "cleanWhenNotBuilt", "cleanWhenAborted"];
    let all = names.map(|name| args.flag(name, true));
    let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
    let at = match result {
        Outcome::Success => 0,
        Outcome::Unstable => 1,
        Outcome::Failure => 2,
        Outcome::NotBuilt => 3,
        Outcome::Aborted => 4,
    };
    Ok(all[at] || all.iter().all(|is_on| !is_on))
}

/// Patterns of what is meant, and of what is not.
fn patterns(args: &Args) -> Result<Option<(String, String)>, Fault> {
    let all = args.get("patterns").and_then(Value::items).unwrap_or_default();
    let (mut includes, mut excludes) = (Vec::new(), Vec::new());
    for one in &all {
        let text = |name: &str| one.get(name).filter(|value| !value.is_null()).map(|value| value.to_text());
        let pattern = text("pattern").ok_or_else(|| Fault::illegal("cleanWs: a pattern needs a `pattern`"))?;
        match text("type").unwrap_or_default().to_uppercase().as_str() {
            "EXCLUDE" => excludes.push(pattern),
            _ => includes.push(pattern),
        }
    }
    if includes.is_empty() {
        includes.push("**".to_owned());
    }
    Ok((!all.is_empty()).then(|| (includes.join(","), excludes.join(","))))
}

async fn clean_matching(call: &StepCall, dir: String, (includes, excludes): (String, String)) -> Result<(), Fault> {
    let job = call.node()?.job;
    let folders = call.args.flag("deleteDirs", false)?;
    let files = FileSet { dir: dir.clone(), includes, excludes, default_excludes: false, case_sensitive: true };
    let found = match call.ask(Request::FindFiles { job, files, folders, is_shallow: false }).await? {
        Reply::Found(found) => found,
        reply => return Err(unexpected(&reply)),
    };
    let paths: Vec<_> = found.iter().map(|file| join_path(&dir, &file.path)).collect();
    if !paths.is_empty() {
        call.ask(Request::Delete { job, paths }).await?;
    }
    Ok(())
}

/// `validateDeclarativePipeline 'x'`: says what is wrong in a file of the workspace, and whether nothing is.
pub(crate) async fn validate(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.text("path")?;
    let (job, path) = (call.node()?.job, call.path(&name)?);
    let about = |rest: &str| call.say(&format!("Declarative Pipeline file '{name}' {rest}"));
    if call.ask(Request::FileExists { job, path: path.clone() }).await? != Reply::Bool(true) {
        about("does not exist.");
        return Ok(Value::Bool(false));
    }
    let text = match call.ask(Request::ReadFile { job, path, encoding: None }).await? {
        Reply::Text(text) => text,
        reply => return Err(unexpected(&reply)),
    };
    let catalogue = Some(call.core.program.catalogue());
    let found = analyse(&text, &Surroundings { catalogue, purpose: Purpose::Run, ..Surroundings::default() });
    let valid = match found.kind {
        DefinitionKind::Declarative(_) => true,
        DefinitionKind::Scripted => {
            about("does not contain the 'pipeline' step.");
            return Ok(Value::Bool(false));
        }
        DefinitionKind::Invalid => false,
    };
    if valid {
        about("is valid.");
    } else {
        let why = startup_failed(&text, &found.diagnostics);
        call.say(&format!("Error(s) validating Declarative Pipeline file '{name}' - {why}"));
    }
    Ok(Value::Bool(valid))
}
