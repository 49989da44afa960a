//! `fileOperations([folderCreateOperation('x'), …])`: files and folders of the workspace.

use groovy::value::Value;
use model::request::{Reply, Request, ShellScript};

use super::args::Args;
use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::values;

/// Most operations of one step.
const MAX_OPERATIONS: usize = 1000;

/// Each operation after the other; the first that fails ends the step.
///
/// Source: the operations of the file-operations plugin.
pub(crate) async fn file_operations(call: StepCall) -> Result<Value, Fault> {
    let operations = call.args.get("fileOperations").and_then(Value::items).unwrap_or_default();
    for operation in operations.iter().take(MAX_OPERATIONS) {
        let fields = values::entries(operation).unwrap_or_default();
        let kind = values::symbol(&fields).unwrap_or_default();
        let kind = kind.trim_end_matches("Operation");
        let args = Args { step: format!("fileOperations: {kind}"), named: fields, body: None };
        perform(&call, &kind.to_lowercase(), &args).await?;
    }
    Ok(Value::Null)
}

async fn perform(call: &StepCall, kind: &str, args: &Args) -> Result<(), Fault> {
    let job = call.node()?.job;
    let path = |name: &str| call.path(&args.text(name)?);
    match kind {
        "foldercreate" => drop(call.ask(Request::MakeDir { job, path: path("folderPath")? }).await?),
        "folderdelete" => drop(call.ask(Request::DeleteDir { job, path: path("folderPath")? }).await?),
        "filecreate" => {
            let text = args.opt_text("fileContent")?.unwrap_or_default();
            call.ask(Request::WriteFile { job, path: path("fileName")?, text, encoding: None }).await?;
        }
        "filerename" => run(call, args, "mv -f --", &path("source")?, &path("destination")?).await?,
        "folderrename" => run(call, args, "mv -f --", &path("source")?, &path("destination")?).await?,
        "foldercopy" => {
            let (from, to) = (path("sourceFolderPath")?, path("destinationFolderPath")?);
            call.ask(Request::MakeDir { job, path: to.clone() }).await?;
            run(call, args, "cp -a --", &format!("{from}/."), &to).await?;
        }
        "filecopy" => {
            let (from, to) = (plain(args, "includes")?, path("targetLocation")?);
            call.ask(Request::MakeDir { job, path: to.clone() }).await?;
            run(call, args, "cp -p --", &call.path(&from)?, &to).await?;
        }
        "filedelete" => {
            let file = call.path(&plain(args, "includes")?)?;
            run(call, args, "rm -f --", &file, "").await?;
        }
        _ => {
            let text = format!("{} is not supported yet", args.step);
            return Err(Fault::raised("java.lang.UnsupportedOperationException", text).with_hint("use `sh`"));
        }
    }
    Ok(())
}

/// The one file that a pattern names.
fn plain(args: &Args, name: &str) -> Result<String, Fault> {
    let text = args.text(name)?;
    match text.contains(['*', '?', ',']) {
        true => {
            let words = format!("{}({name}: '{text}') with a pattern is not supported yet", args.step);
            Err(Fault::raised("java.lang.UnsupportedOperationException", words).with_hint("use `sh`, or name one file"))
        }
        false => Ok(text),
    }
}

/// Runs a program on paths, which are never read as anything else.
async fn run(call: &StepCall, args: &Args, program: &str, from: &str, to: &str) -> Result<(), Fault> {
    let script = ShellScript {
        text: format!("{program} \"$FROM\" ${{TO:+\"$TO\"}}\n"),
        interpreter: Some(vec!["/bin/sh".to_owned()]),
        dir: call.cwd()?,
        env: [("FROM", from), ("TO", to)].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        capture: true,
        encoding: None,
        copies: Vec::new(),
    };
    match call.ask(Request::Exec { job: call.node()?.job, step: call.id, script }).await? {
        Reply::Exited { code: 0, .. } => Ok(()),
        Reply::Exited { code, .. } => Err(Fault::abort(format!("{} ended with exit code {code}", args.step))),
        reply => Err(unexpected(&reply)),
    }
}
