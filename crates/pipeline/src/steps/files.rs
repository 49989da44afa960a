//! `readFile`, `writeFile`, `fileExists`, `deleteDir`, `validateDeclarativePipeline`.

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
    match call.ask(Request::ReadFile { job, path, encoding }).await? {
        Reply::Text(text) => Ok(values::text(&text)),
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
    let found = analyse(&text, &Surroundings::default());
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
