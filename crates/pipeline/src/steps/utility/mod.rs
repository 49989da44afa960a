//! The steps of pipeline-utility-steps: files that are read as data, and data that is written as files.
//!
//! What a file says is hostile: all of it is read here, in the engine's own process, as text of a bounded size that makes a bounded
//! number of values.

pub(crate) mod archives;
pub(crate) mod csv;
pub(crate) mod digest;
pub(crate) mod files;
pub(crate) mod json;
mod json_text;
mod lookup;
pub(crate) mod manifest;
pub(crate) mod maven;
pub(crate) mod properties;
pub(crate) mod toml;
mod tree;
pub(crate) mod version;
pub(crate) mod yaml;
mod yaml_date;
mod yaml_scalar;
mod yaml_write;

use groovy::value::Value;
use model::request::{Reply, Request};

use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::values;

/// Longest text that is read as data, in bytes: the lock files of large projects have some MiB.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// How deep data may nest, where it is read and where it is written.
const MAX_NESTING: usize = 120;
/// Longest text that data is written as, in bytes: what is the same value at many places may be much longer than what it was read from.
const MAX_WRITTEN_BYTES: usize = 32 << 20;

/// Java's name of the exception for a file that is missing.
const NO_FILE: &str = "java.io.FileNotFoundException";

/// The text of `file`, and that of `text`.
async fn file_or_text(call: &StepCall) -> Result<(Option<String>, Option<String>), Fault> {
    let text = call.args.opt_text("text")?.filter(|text| !text.trim().is_empty());
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    let read = match file {
        Some(file) => Some(without_mark(read_file(call, &file, None).await?)),
        None => None,
    };
    if let Some(text) = &text {
        bounded(call, text)?;
    }
    Ok((read, text))
}

/// Without the mark that some editors write before data: it is none of it.
fn without_mark(text: String) -> String {
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

/// The text of one of `file` and `text`, where both at once are an error.
async fn one_text(call: &StepCall) -> Result<String, Fault> {
    let (file, text) = some_text(call)?;
    if file && text {
        let step = &call.args.step;
        return Err(Fault::illegal(format!("At most one of file or text must be provided to {step}.")));
    }
    file_or_text(call).await.map(|(file, text)| file.or(text).unwrap_or_default())
}

/// Whether there is a `file`, and whether there is a `text`; neither is an error.
///
/// Source: `AbstractFileOrTextStepDescriptorImpl`.
fn some_text(call: &StepCall) -> Result<(bool, bool), Fault> {
    let is_given = |name: &str| call.args.get(name).is_some_and(|value| !value.to_text().trim().is_empty());
    let given = (is_given("file"), is_given("text"));
    // In a plan no program says anything.
    let is_unknown = call.core.facts.planning && call.args.get("text").is_some();
    if given == (false, false) && !is_unknown {
        let text = format!("At least one of file or text needs to be provided to {}.", call.args.step);
        return Err(Fault::illegal(text));
    }
    Ok(given)
}

/// The text of a file, in Java's words where there is none.
async fn read_file(call: &StepCall, file: &str, encoding: Option<String>) -> Result<String, Fault> {
    let (job, path) = (call.node()?.job, call.path(file)?);
    match call.ask(Request::ReadFile { job, path: path.clone(), encoding }).await {
        Ok(Reply::Text(text)) => bounded(call, &text).map(|()| text),
        Ok(reply) => Err(unexpected(&reply)),
        Err(fault) if fault.failure_kind().is_none() => Err(fault),
        Err(fault) => {
            let message = fault.message();
            let is = |what: &str| message.to_lowercase().contains(what);
            match () {
                () if is("nosuchfile") || is("no such file") => {
                    Err(Fault::raised(NO_FILE, format!("{path} does not exist.")))
                }
                () if is("is a directory") => Err(Fault::raised(NO_FILE, format!("{path} is a directory."))),
                () => Err(fault),
            }
        }
    }
}

/// Writes a file whose name is the argument `file`.
async fn write_file(call: &StepCall, file: &str, text: String, encoding: Option<String>) -> Result<Value, Fault> {
    let (job, path) = (call.node()?.job, call.path(file)?);
    call.ask(Request::WriteFile { job, path, text, encoding }).await?;
    Ok(Value::Null)
}

/// What becomes of a text that was made: a value (`returnText`) or a file.
async fn written(call: &StepCall, text: String, encoding: Option<String>) -> Result<Value, Fault> {
    let step = &call.args.step;
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    match (call.args.flag("returnText", false)?, file) {
        (true, Some(_)) => Err(Fault::illegal(format!("You cannot provide both returnText and file to {step}."))),
        (true, None) => Ok(values::text(&text)),
        (false, Some(file)) => write_file(call, &file, text, encoding).await,
        (false, None) => Err(Fault::illegal(format!("You have to provide either file or returnText to {step}."))),
    }
}

fn bounded(call: &StepCall, text: &str) -> Result<(), Fault> {
    let step = &call.args.step;
    match text.len() {
        bytes if bytes > MAX_TEXT_BYTES => {
            Err(Fault::abort(format!("{step}: {bytes} bytes are more than it reads ({MAX_TEXT_BYTES})")))
        }
        _ => Ok(()),
    }
}

/// Data that nests deeper, or is longer, than a text may be.
fn too_large(step: &str) -> Fault {
    Fault::abort(format!(
        "{step}: the data nests deeper than {MAX_NESTING} levels, or is longer than {MAX_WRITTEN_BYTES} bytes as text"
    ))
}
