//! `findFiles`, `touch`, `prependToFile`.

use groovy::value::Value;
use model::request::{FileSet, FoundFile, Reply, Request};

use super::super::{StepCall, unexpected};
use super::{NO_FILE, read_file, write_file};
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::steps::objects;

/// `findFiles(glob: '**/*.jar')`: objects with `name`, `path`, `directory`, `length`, `lastModified`; without a pattern, what the folder
/// itself has, folders too.
///
/// Source: `FindFilesStepExecution` and `FileWrapper`.
pub(crate) async fn find_files(call: StepCall) -> Result<Value, Fault> {
    let glob = call.args.opt_text("glob")?.filter(|glob| !glob.trim().is_empty());
    let files = FileSet {
        dir: call.cwd()?,
        includes: glob.clone().unwrap_or_default(),
        excludes: call.args.opt_text("excludes")?.unwrap_or_default(),
        // Without patterns the folder's own content is what is asked for.
        default_excludes: glob.is_some(),
        case_sensitive: true,
    };
    let job = call.node()?.job;
    let found =
        match call.ask(Request::FindFiles { job, files, folders: glob.is_none(), is_shallow: glob.is_none() }).await? {
            Reply::Found(found) => found,
            reply => return Err(unexpected(&reply)),
        };
    let rows = found.into_iter().map(row).collect();
    let list = objects::of(&call.core, &call.scope, "files", vec![Value::list(rows)]).await?;
    Ok(Value::array(list.items().unwrap_or_default(), "org.jenkinsci.plugins.pipeline.utility.steps.fs.FileWrapper"))
}

fn row(file: FoundFile) -> Value {
    let FoundFile { path, is_folder, bytes, modified_s } = file;
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let path = if is_folder { path + "/" } else { path };
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    Value::list(vec![
        Value::from(name),
        Value::from(path),
        Value::Bool(is_folder),
        Value::Long(bytes),
        Value::Long(modified_s.saturating_mul(1000)),
    ])
}

/// `touch 'x'`, `touch file: 'x', timestamp: 0` (milliseconds since 1970): a file that is missing is made, empty.
///
/// Source: `TouchStepExecution`.
pub(crate) async fn touch(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.text("file")?;
    let (job, path) = (call.node()?.job, call.path(&name)?);
    let time_ms = call.args.opt_int("timestamp")?;
    call.ask(Request::Touch { job, path, time_ms }).await?;
    find_one(&call, &name).await
}

/// The object that stands for one file.
async fn find_one(call: &StepCall, name: &str) -> Result<Value, Fault> {
    let path = call.path(name)?;
    let (dir, base) = path.rsplit_once('/').unwrap_or(("", &path));
    let includes = base.to_owned();
    let dir = if dir.is_empty() { "/".to_owned() } else { dir.to_owned() };
    let files = FileSet { dir, includes, case_sensitive: true, ..FileSet::default() };
    let job = call.node()?.job;
    let found = match call.ask(Request::FindFiles { job, files, folders: true, is_shallow: true }).await? {
        Reply::Found(found) => found,
        reply => return Err(unexpected(&reply)),
    };
    let rows = found.into_iter().take(1).map(|file| row(FoundFile { path: name.to_owned(), ..file })).collect();
    let list = objects::of(&call.core, &call.scope, "files", vec![Value::list(rows)]).await?;
    Ok(list.items().unwrap_or_default().into_iter().next().unwrap_or_default())
}

/// `prependToFile file: 'x', content: 'y'`
///
/// Source: `PrependToFileStepExecution`.
pub(crate) async fn prepend(call: StepCall) -> Result<Value, Fault> {
    let (name, content) = (call.args.text("file")?, call.args.text("content")?);
    let rest = match read_file(&call, &name, None).await {
        Ok(text) => text,
        Err(fault) if fault.class() == NO_FILE && fault.message().ends_with("does not exist.") => String::new(),
        Err(fault) => return Err(fault),
    };
    write_file(&call, &name, content + &rest, None).await?;
    Ok(values::opt_text(None))
}
