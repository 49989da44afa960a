//! `zip`, `unzip`, `tar`, `untar`: archives are made and taken apart at the place of the node, and never here.

use groovy::value::Value;
use model::limits::MAX_NAMED_FILES;
use model::request::{ArchiveFormat, FailureKind, FileSet, Reply, Request, Unpacked, Unpacking};

use super::super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::scope::join_path;
use crate::engine::values;

/// Java's name of the exception that these steps throw.
const IO: &str = "java.io.IOException";

/// `zip zipFile: 'x.zip', dir: 'y', glob: '**/*.txt'`
///
/// Source: `ZipStepExecution`.
pub(crate) async fn zip(call: StepCall) -> Result<Value, Fault> {
    pack(call, ArchiveFormat::Zip).await
}

/// `tar file: 'x.tgz', dir: 'y'`
///
/// Source: `TarStepExecution`.
pub(crate) async fn tar(call: StepCall) -> Result<Value, Fault> {
    let is_compressed = call.args.flag("compress", true)?;
    pack(call, if is_compressed { ArchiveFormat::TarGz } else { ArchiveFormat::Tar }).await
}

/// `unzip zipFile: 'x.zip', dir: 'y'`; with `read` a map of paths and texts, with `test` whether it could be unpacked.
///
/// Source: `UnZipStepExecution`.
pub(crate) async fn unzip(call: StepCall) -> Result<Value, Fault> {
    let charset = call.args.opt_text("charset")?.unwrap_or_default();
    if !matches!(charset.trim().to_uppercase().as_str(), "" | "UTF-8" | "UTF8" | "US-ASCII") {
        return Err(Fault::illegal(format!("unzip: names in the character set ‘{charset}’ are not read here"))
            .with_hint(format!("`sh` with `unzip -O {charset}`, in an image that has it")));
    }
    let is_read = call.args.flag("read", false)?;
    unpack(call, ArchiveFormat::Zip, is_read).await
}

/// `untar file: 'x.tgz', dir: 'y'`
///
/// Source: `UnTarStepExecution`.
pub(crate) async fn untar(call: StepCall) -> Result<Value, Fault> {
    unpack(call, ArchiveFormat::Tar, false).await
}

async fn pack(call: StepCall, format: ArchiveFormat) -> Result<Value, Fault> {
    let (job, archive) = (call.node()?.job, archive(&call)?);
    let (glob, exclude) = (call.args.opt_text("glob")?, call.args.opt_text("exclude")?);
    let files = FileSet {
        dir: folder(&call)?,
        includes: glob.clone().unwrap_or_default(),
        excludes: exclude.clone().unwrap_or_default(),
        default_excludes: call.args.flag("defaultExcludes", true)?,
        case_sensitive: true,
    };
    let (overwrite, is_archived) = (call.args.flag("overwrite", false)?, call.args.flag("archive", false)?);
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let filter = match is_given(&glob) || is_given(&exclude) {
        true => format!(" filtered by [{}] - [{}]", or_null(&glob), or_null(&exclude)),
        false => String::new(),
    };
    call.say(&format!("Compress {}{filter} to {archive}", files.dir));
    let request = Request::Pack { job, files, archive: archive.clone(), format, overwrite };
    match call.ask(request).await.map_err(io_error)? {
        Reply::Count(count) => call.say(&format!("Compressed {count} entries.")),
        reply => return Err(unexpected(&reply)),
    }
    if is_archived {
        call.say(&format!("Archiving {archive}"));
        let files = alone(&call.cwd()?, &archive);
        match call.ask(Request::Archive { job, files, below: None, allow_empty: false }).await? {
            Reply::Count(_) | Reply::Done => {}
            reply => return Err(unexpected(&reply)),
        }
    }
    Ok(Value::Null)
}

async fn unpack(call: StepCall, format: ArchiveFormat, is_read: bool) -> Result<Value, Fault> {
    let (job, archive, dir) = (call.node()?.job, archive(&call)?, folder(&call)?);
    let is_quiet = call.args.flag("quiet", false)?;
    let purpose = match call.args.flag("test", false)? {
        true => Unpacking::Test,
        false if is_read => Unpacking::Read,
        false => Unpacking::Extract { is_quiet, keep_permissions: call.args.flag("keepPermissions", true)? },
    };
    // A test looks at all of it.
    let glob = call.args.opt_text("glob")?.filter(|_| purpose != Unpacking::Test).unwrap_or_default();
    let files = FileSet { dir: dir.clone(), includes: glob, case_sensitive: true, ..FileSet::default() };
    call.say(&format!("{} {archive}", if purpose == Unpacking::Test { "Checking" } else { "Extracting from" }));
    let request = Request::Unpack { job, archive, format, files, purpose };
    let Unpacked { count, mut files, flaw } = match call.ask(request).await.map_err(io_error)? {
        Reply::Unpacked(unpacked) => unpacked,
        reply => return Err(unexpected(&reply)),
    };
    if purpose == Unpacking::Test {
        if let Some(flaw) = &flaw {
            call.say(&format!("ERROR: {flaw}"));
        }
        return Ok(Value::Bool(flaw.is_none()));
    }
    if !is_quiet {
        for (path, _) in files.iter().take(MAX_NAMED_FILES as usize) {
            call.say(&match is_read {
                true => format!("Reading: {path}"),
                false => format!("Extracting: {path} -> {}", join_path(&dir, path)),
            });
        }
        if count > MAX_NAMED_FILES {
            call.say(&format!("… and {} more", count - MAX_NAMED_FILES));
        }
    }
    call.say(&format!("{}: {count} files", if is_read { "Read" } else { "Extracted" }));
    if !is_read {
        return Ok(Value::Null);
    }
    files.sort();
    Ok(values::map(files.iter().map(|(path, text)| (path.as_str(), values::text(text)))))
}

/// The path of the archive.
fn archive(call: &StepCall) -> Result<String, Fault> {
    let name = match call.args.opt_text("zipFile")? {
        Some(name) => Some(name),
        None => call.args.opt_text("file")?,
    };
    match name.filter(|name| !name.trim().is_empty()) {
        Some(name) => call.path(&name),
        None => Err(Fault::illegal(format!("{}: the name of the archive Can not be empty", call.args.step))),
    }
}

/// The folder that is packed, or unpacked into.
fn folder(call: &StepCall) -> Result<String, Fault> {
    match call.args.opt_text("dir")?.filter(|dir| !dir.trim().is_empty()) {
        Some(dir) => call.path(&dir),
        None => call.cwd(),
    }
}

/// A set of one file: below the working folder, as it lies there.
fn alone(cwd: &str, path: &str) -> FileSet {
    let below = path.strip_prefix(cwd).and_then(|rest| rest.strip_prefix('/'));
    let (dir, name) = match below {
        Some(below) => (cwd, below),
        None => path.rsplit_once('/').unwrap_or(("", path)),
    };
    let dir = if dir.is_empty() { "/" } else { dir };
    FileSet { dir: dir.to_owned(), includes: name.to_owned(), case_sensitive: true, ..FileSet::default() }
}

fn or_null(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("null")
}

/// What went wrong at the place is an exception that scripts know.
fn io_error(fault: Fault) -> Fault {
    match (fault.failure_kind(), fault.hint()) {
        (Some(FailureKind::Workload), None) => Fault::raised(IO, fault.message()),
        _ => fault,
    }
}
