//! `unarchive`: what this run has archived, brought back into a sandbox; from the folder of this host or the server that keeps it.
//! `copyArtifacts`: the same of another run, from the server.
//!
//! Only what this run has archived is there for it: a folder of a host has what earlier runs have left as well. The files go in as one tar
//! stream, made here in a file without a name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use model::ant::{Name, Patterns};
use model::copy::CopyWish;
use model::ids::RunId;
use model::limits::{MAX_RUN_ARTIFACTS, MAX_STASH_BYTES};
use model::request::{FileSet, Reply};
use sandbox::session::TarPlace;
use wire::artifact::{PAGE, is_path};
use wire::init::{FileKind, TarLimits};

use crate::artifacts::Keep;
use crate::below::{Below, inside};
use crate::failure::Trouble;
use crate::job::Job;
use crate::remote::ServerFiles;
use crate::stash::{passed_over, reopened, unnamed};

/// Files that are fetched at once.
const AT_ONCE: usize = 4;
/// Most characters of patterns times those of paths: a pattern of 100 over 100,000 paths of 100. More than ordinary patterns need, and at
/// worst some seconds of one processor of the agent, which is everybody's.
const MOST_COMPARED: usize = 1_000_000_000;

/// What a run has archived into a folder of this host.
#[derive(Debug, Default)]
pub struct Archived(Mutex<BTreeSet<PathBuf>>);

impl Archived {
    /// These as well.
    pub fn add(&self, paths: &[PathBuf]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(paths.iter().cloned());
    }

    /// The next of them behind that one, as many as a server lists at once.
    fn page(&self, after: &Path) -> Vec<PathBuf> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.range::<Path, _>((Bound::Excluded(after), Bound::Unbounded)).take(PAGE as usize).cloned().collect()
    }
}

/// Where they come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// What this run has archived.
    Own(Keep<'a>),
    /// What another has, as far as its server has this one have it.
    Other(&'a ServerFiles, RunId),
}

/// Brings files back; returns how many.
pub async fn unarchive(job: &Job, scratch: &Path, from: Keep<'_>, files: FileSet) -> Result<Reply, Trouble> {
    let from = Source::Own(from);
    let wanted = matching(from, &files).await?;
    let (dir, names) = match &wanted[..] {
        [one] if *one == Path::new(&files.includes) => {
            let (dir, name) = place_of_one(job, files.dir, one).await?;
            (dir, vec![name])
        }
        _ => (files.dir, wanted.clone()),
    };
    bring(job, scratch, from, &files.includes, &wanted, (dir, names)).await.map(Reply::Count)
}

/// Brings files of another run; returns how many, and which run that was.
pub async fn copy(
    job: &Job,
    scratch: &Path,
    from: Keep<'_>,
    wish: &CopyWish,
    files: FileSet,
) -> Result<Reply, Trouble> {
    let (Keep::Server(server), Some(of)) = (from, wish.of) else {
        let text = "copyArtifacts: a run on one machine has nothing of what others have archived";
        return Err(Trouble::workload(text).with_hint("a server keeps it (`cofferdam server`)"));
    };
    let from = Source::Other(server, of.run);
    let wanted = matching(from, &files).await?;
    let name = |path: &PathBuf| path.file_name().filter(|_| wish.flatten).map_or_else(|| path.clone(), PathBuf::from);
    let names = wanted.iter().map(name).collect();
    let count = bring(job, scratch, from, &files.includes, &wanted, (files.dir, names)).await?;
    Ok(Reply::Copied { count, number: of.number })
}

/// Puts them into a folder, under these names; returns how many.
async fn bring(
    job: &Job,
    scratch: &Path,
    from: Source<'_>,
    includes: &str,
    wanted: &[PathBuf],
    (dir, names): (String, Vec<PathBuf>),
) -> Result<u64, Trouble> {
    if wanted.is_empty() {
        return Ok(0);
    }
    let mut tar = tar::Builder::new(unnamed(scratch)?);
    let (mut under_way, mut rest, mut bytes) = (FuturesOrdered::new(), wanted.iter(), 0_u64);
    under_way.extend(rest.by_ref().take(AT_ONCE).map(|path| opened(from, scratch, path)));
    for name in names {
        let Some(file) = under_way.next().await.transpose()? else { break };
        under_way.extend(rest.next().map(|path| opened(from, scratch, path)));
        let added = tokio::task::spawn_blocking(move || add(&mut tar, &name, file).map(|size| (tar, size)));
        let added = added.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(not_kept)?;
        tar = added.0;
        bytes += added.1;
        if bytes > MAX_STASH_BYTES {
            let message = format!(
                "one entry of `unarchive`, or one `copyArtifacts`, brings at most {MAX_STASH_BYTES} bytes: there is more in {includes}"
            );
            return Err(Trouble::policy(message).with_hint("several bring it in parts"));
        }
    }
    let file = tar.into_inner().and_then(|file| reopened(&file)).map_err(not_kept)?;
    let place = TarPlace { dir, user: Some(job.user.clone()), owner: None, limits: TarLimits::default() };
    let summary = job.session.put_tar(place, tokio::fs::File::from_std(file)).await?;
    let lacking = passed_over("not brought back", &summary.skipped);
    if lacking.is_empty() { Ok(wanted.len() as u64) } else { Err(Trouble::workload(lacking.join("; "))) }
}

/// The paths of what this run has archived that a set has, in their order. Page by page: only those that fit are held, and who is
/// cancelled leaves no more than a page to be looked through.
async fn matching(from: Source<'_>, files: &FileSet) -> Result<Vec<PathBuf>, Trouble> {
    let patterns = Arc::new(Patterns::new(files));
    let (mut fitting, mut after) = (Vec::new(), PathBuf::new());
    let (mut listed, mut compared) = (0, 0_usize);
    loop {
        let (mut page, next) = page(from, &after).await?;
        listed += page.len() as u64;
        if listed > MAX_RUN_ARTIFACTS {
            return Err(Trouble::policy(format!("`unarchive` looks through {MAX_RUN_ARTIFACTS} artifacts at most")));
        }
        let bytes: usize = page.iter().map(|path| path.as_os_str().len()).sum();
        compared = compared.saturating_add(bytes.saturating_mul(files.includes.len() + files.excludes.len()));
        if compared > MOST_COMPARED {
            let message = format!("this pattern is too long to be looked for among {listed} artifacts and more");
            return Err(Trouble::policy(message).with_hint("several entries of `unarchive` have shorter ones"));
        }
        let patterns = patterns.clone();
        let fits = move |path: &PathBuf| {
            let names: Vec<Name> = path.iter().map(|part| patterns.name(part.as_encoded_bytes())).collect();
            patterns.matches(&names)
        };
        let looked = tokio::task::spawn_blocking(move || {
            page.retain(fits);
            page
        });
        fitting.extend(looked.await.map_err(|error| not_kept(io::Error::other(error)))?);
        match next {
            Some(next) => after = next,
            None => return Ok(fitting),
        }
    }
}

/// Paths of what this run has archived, behind that one, and behind which one there are more.
async fn page(from: Source<'_>, after: &Path) -> Result<(Vec<PathBuf>, Option<PathBuf>), Trouble> {
    match from {
        Source::Own(Keep::Folder(_, archived)) => {
            let paths = archived.page(after);
            let next = paths.last().cloned();
            Ok((paths, next))
        }
        Source::Own(Keep::Server(server)) => listed(server, None, after).await,
        Source::Other(server, run) => listed(server, Some(run), after).await,
    }
}

async fn listed(
    server: &ServerFiles,
    of: Option<RunId>,
    after: &Path,
) -> Result<(Vec<PathBuf>, Option<PathBuf>), Trouble> {
    let page = server.artifacts(of, &after.to_string_lossy()).await?;
    let paths = page.artifacts.into_iter().map(|listed| listed.path).filter(|path| is_path(path));
    Ok((paths.map(PathBuf::from).collect(), page.next_after.map(PathBuf::from)))
}

/// The folder that a single file goes into, and its name there.
async fn place_of_one(job: &Job, to: String, path: &Path) -> Result<(String, PathBuf), Trouble> {
    let there = job.session.stat(Some(job.user.clone()), &to, true).await?;
    let is_folder = there.is_some_and(|there| there.kind == FileKind::Dir);
    Ok(match (to.rsplit_once('/'), path.file_name()) {
        (Some((folder, name)), _) if !is_folder => (format!("{folder}/"), PathBuf::from(name)),
        (_, Some(name)) => (to, PathBuf::from(name)),
        _ => (to, path.to_owned()),
    })
}

async fn opened(from: Source<'_>, scratch: &Path, path: &Path) -> Result<File, Trouble> {
    let (server, of) = match from {
        Source::Own(Keep::Folder(folder, _)) => return opened_here(folder, path),
        Source::Own(Keep::Server(server)) => (server, None),
        Source::Other(server, run) => (server, Some(run)),
    };
    let fetched = server.fetch_artifact(of, &path.to_string_lossy(), scratch).await?;
    reopened(&fetched).map_err(not_kept)
}

fn opened_here(folder: &Path, path: &Path) -> Result<File, Trouble> {
    let gone = |error: io::Error| {
        let text = format!("{} was archived, and cannot be read in {}: {error}", path.display(), folder.display());
        Trouble::infrastructure(text)
    };
    let file = Below::open(folder).and_then(|below| below.read(&inside(path).unwrap_or_default())).map_err(gone)?;
    let is_file = file.metadata().map_err(gone)?.is_file();
    is_file.then_some(file).ok_or_else(|| gone(io::Error::other("it is no file any more")))
}

/// Adds a file as everybody's to read, and nobody's to run: that is what is known of an artifact. Its size in bytes.
fn add(tar: &mut tar::Builder<File>, name: &Path, file: File) -> io::Result<u64> {
    let bytes = file.metadata()?.len();
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    // One that has become shorter meanwhile ends the stream, and with it the step.
    tar.append_data(&mut header, name, io::Read::take(file, bytes))?;
    Ok(bytes)
}

fn not_kept(error: io::Error) -> Trouble {
    Trouble::infrastructure(format!("what was archived cannot be brought back: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pattern_is_looked_for_within_bounds() {
        let archived = Archived::default();
        let paths: Vec<_> = (0..1000).map(|number| PathBuf::from(format!("{}/{number}", "a".repeat(1000)))).collect();
        archived.add(&paths);
        archived.add(&[PathBuf::from("b/.git/config"), PathBuf::from("b/c")]);
        let found = async |includes: &str| {
            let files = FileSet { includes: includes.to_owned(), default_excludes: true, ..FileSet::default() };
            matching(Source::Own(Keep::Folder(Path::new("/nowhere"), &archived)), &files).await
        };
        for (includes, count) in [("a*/", 1000), ("**/7", 1), ("b/", 1), ("B/", 1), ("c", 0), ("", 1001)] {
            assert_eq!(
                found(includes).await.map(|found| found.len()).map_err(|trouble| trouble.0),
                Ok(count),
                "{includes}"
            );
        }
        let trouble = found(&"*a".repeat(501)).await.unwrap_err().0;
        assert!(trouble.message.contains("too long"), "{trouble:?}");
    }

    #[tokio::test]
    async fn as_many_are_looked_through_as_a_run_may_have() {
        let archived = Archived::default();
        let files = FileSet { includes: format!("*7/{}*", "x".repeat(93)), ..FileSet::default() };
        for (more, count) in [(0..MAX_RUN_ARTIFACTS, Ok(10_000)), (MAX_RUN_ARTIFACTS..MAX_RUN_ARTIFACTS + 1, Err(true))]
        {
            archived.add(&more.map(|at| PathBuf::from(format!("{at}/{}", "x".repeat(93)))).collect::<Vec<_>>());
            let found = matching(Source::Own(Keep::Folder(Path::new("/nowhere"), &archived)), &files).await;
            let found =
                found.map(|found| found.len()).map_err(|trouble| trouble.0.message.contains("artifacts at most"));
            assert_eq!(found, count);
        }
    }
}
