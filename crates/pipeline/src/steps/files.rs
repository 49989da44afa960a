//! `readFile`, `writeFile`, `fileExists`, `deleteDir`, `cleanWs`, `validateDeclarativePipeline`.

use groovy::value::Value;
use model::request::{Reply, Request};

use super::{StepCall, unexpected};
use crate::definition::{DefinitionKind, Surroundings, analyse};
use crate::engine::fault::Fault;
use crate::engine::values;

/// `readFile 'x'`
pub(crate) async fn read_file(call: StepCall) -> Result<Value, Fault> {
    let (job, path) = (call.node()?.job, call.path(&call.args.text("file")?)?);
    let encoding = call.args.opt_text("encoding")?;
    match call.ask(Request::ReadFile { job, path, encoding }).await {
        Ok(Reply::Text(text)) => Ok(values::text(&text)),
        Ok(reply) => Err(unexpected(&reply)),
        // Scripts catch it by its class.
        Err(fault) => Err(match fault.message().strip_prefix("java.nio.file.NoSuchFileException: ") {
            Some(path) => Fault::raised("java.nio.file.NoSuchFileException", path.to_owned()),
            None => fault,
        }),
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
    let (job, path) = (call.node()?.job, call.path(&call.args.text("file")?)?);
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

/// `cleanWs()`: the whole workspace, wherever it is called.
pub(crate) async fn clean_workspace(call: StepCall) -> Result<Value, Fault> {
    let job = call.node()?.job;
    if call.args.get("patterns").is_some_and(|patterns| !patterns.is_null()) {
        let text = "cleanWs with patterns is not supported yet";
        return Err(Fault::raised("java.lang.UnsupportedOperationException", text).with_hint("use `sh` with `find`"));
    }
    let path = call.scope.workspace().map_or_else(|| call.cwd(), |workspace| Ok(workspace.to_owned()))?;
    call.say("[WS-CLEANUP] Deleting project workspace...");
    call.ask(Request::DeleteDir { job, path }).await?;
    call.say("[WS-CLEANUP] done");
    Ok(Value::Null)
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
    let found = analyse(&text, &Surroundings { catalogue, ..Surroundings::default() });
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
        call.say(&format!("Error(s) validating Declarative Pipeline file '{name}':"));
        let lines = groovy::span::LineIndex::new(&text);
        for error in found.errors() {
            let place = lines.place(&text, error.span.start);
            call.say(&format!(
                "{name}: {}: {} @ line {}, column {}.",
                place.line, error.message, place.line, place.column
            ));
        }
    }
    Ok(Value::Bool(valid))
}
