//! `zip`, `tar`, `unzip`, `untar`: init packs and unpacks inside the sandbox, with the rights of the workload; what is heard of it here is
//! names, and text that was asked for.

use model::limits::{MAX_CAPTURE_BYTES, MAX_FOUND_FILES, MAX_NAMED_FILES};
use model::request::{ArchiveFormat, FileSet, Reply, Unpacked, Unpacking};
use sandbox::session::Unpack;
use wire::init::{FileKind, TarLimits};

use crate::failure::Trouble;
use crate::job::Job;
use crate::stash::passed_over;

/// Packs files; returns how many, and what was passed over, in words.
pub async fn pack(
    job: &Job,
    files: FileSet,
    archive: String,
    format: ArchiveFormat,
    overwrite: bool,
) -> Result<(Reply, Vec<String>), Trouble> {
    // What is wrong is said in Jenkins' words.
    match kind(job, &files.dir).await? {
        Some(FileKind::Dir) => {}
        Some(_) => return Err(Trouble::workload(format!("{} is not a directory.", files.dir))),
        None => return Err(Trouble::workload(format!("{} does not exist.", files.dir))),
    }
    match kind(job, &archive).await? {
        Some(FileKind::Dir) => return Err(Trouble::workload(format!("{archive} is a directory."))),
        Some(_) if !overwrite => return Err(Trouble::workload(format!("{archive} exists."))),
        _ => {}
    }
    let packed = job.session.pack(Some(job.user.clone()), files, archive, format, TarLimits::default()).await?;
    Ok((Reply::Count(packed.entries), passed_over("not packed", &packed.skipped)))
}

/// Takes an archive apart; returns what was passed over as well, in words.
pub async fn unpack(
    job: &Job,
    archive: String,
    format: ArchiveFormat,
    files: FileSet,
    purpose: Unpacking,
) -> Result<(Reply, Vec<String>), Trouble> {
    let flaw = match kind(job, &archive).await? {
        Some(FileKind::Dir) => Some(format!("{archive} is a directory.")),
        Some(_) => None,
        None => Some(format!("{archive} does not exist.")),
    };
    match (flaw, purpose) {
        (None, _) => {}
        (flaw, Unpacking::Test) => return Ok((Reply::Unpacked(Unpacked { flaw, ..Unpacked::default() }), Vec::new())),
        (Some(flaw), _) => return Err(Trouble::workload(flaw)),
    }
    let named = match purpose {
        Unpacking::Extract { is_quiet: false, .. } => MAX_NAMED_FILES,
        _ => 0,
    };
    let limits = match purpose {
        // The text becomes a value of the pipeline.
        Unpacking::Read => TarLimits { bytes: MAX_CAPTURE_BYTES as u64, entries: MAX_FOUND_FILES },
        _ => TarLimits::default(),
    };
    let unpack = Unpack { archive, format, files, purpose, named, limits };
    let (done, files) = job.session.unpack(Some(job.user.clone()), unpack).await?;
    let text = |content: Vec<u8>| String::from_utf8_lossy(&content).into_owned();
    let files = files.into_iter().map(|(file, content)| (file.path, text(content))).collect();
    Ok(match done {
        Ok(summary) => {
            let notes = passed_over("not unpacked", &summary.skipped);
            (Reply::Unpacked(Unpacked { count: summary.entries, files, flaw: None }), notes)
        }
        Err(flaw) => (Reply::Unpacked(Unpacked { count: 0, files, flaw: Some(flaw) }), Vec::new()),
    })
}

async fn kind(job: &Job, path: &str) -> Result<Option<FileKind>, Trouble> {
    Ok(job.session.stat(Some(job.user.clone()), path, true).await?.map(|status| status.kind))
}
