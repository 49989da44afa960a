//! `readFile`, `writeFile`, `fileExists`, `deleteDir`.

use groovy::value::Value;
use model::request::{Reply, Request};

use super::{StepCall, unexpected};
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
