//! Stashes: files that a run keeps between its jobs, as tar streams in unnamed files of the host and, where it is a server's, at the server
//! too, so that they are there wherever the run goes on. Nothing in them is ever unpacked here; the name of a stash is data and no
//! part of a path.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;

use model::limits::MAX_STASHES;
use model::request::{FileSet, Reply, is_stash_name};
use sandbox::session::TarPlace;
use tokio::sync::Mutex;
use wire::init::{Skipped, TarLimits};

use crate::failure::Trouble;
use crate::job::Job;
use crate::remote::ServerFiles;

/// The stashes of a run.
pub struct Stashes {
    folder: PathBuf,
    files: Mutex<HashMap<String, Kept>>,
}

/// A stash that is here.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) file: File,
    /// By which the server knows it, in hexadecimal digits; empty where there is no server.
    pub(crate) sha256: String,
}

impl Kept {
    fn try_clone(&self) -> Result<Kept, Trouble> {
        Ok(Kept { file: clone(&self.file)?, sha256: self.sha256.clone() })
    }
}

impl Stashes {
    /// None yet; their data will lie on the file system of `folder`.
    pub fn new(folder: PathBuf) -> Stashes {
        Stashes { folder, files: Mutex::new(HashMap::new()) }
    }

    /// Keeps files under a name; an earlier stash of that name is replaced. Returns what was passed over, in words.
    pub async fn put(
        &self,
        job: &Job,
        name: &str,
        files: FileSet,
        allow_empty: bool,
        server: Option<&ServerFiles>,
    ) -> Result<(Reply, Vec<String>), Trouble> {
        let file = unnamed(&self.folder)?;
        let out = tokio::fs::File::from_std(clone(&file)?);
        let includes = files.includes.clone();
        let summary = job.session.get_tar(Some(job.user.clone()), files, TarLimits::default(), out).await?;
        if summary.entries == 0 && !allow_empty {
            return Err(Trouble::workload(match includes.is_empty() {
                true => format!("No files included in stash ‘{name}’"),
                false => format!("No files included in stash ‘{name}’ (nothing matches `{includes}`)"),
            }));
        }
        let is_too_much = |files: &HashMap<_, _>| files.len() >= MAX_STASHES && !files.contains_key(name);
        let too_much = || Trouble::policy(format!("a run has at most {MAX_STASHES} stashes"));
        if is_too_much(&*self.files.lock().await) {
            return Err(too_much());
        }
        let sha256 = match server {
            Some(server) => server.send_stash(name, &file).await?,
            None => String::new(),
        };
        let mut stashes = self.files.lock().await;
        if is_too_much(&stashes) {
            return Err(too_much());
        }
        stashes.insert(name.to_owned(), Kept { file, sha256 });
        Ok((Reply::Count(summary.entries), passed_over("not stashed", &summary.skipped)))
    }

    /// Brings the files of a stash into a folder. Returns what was passed over, in words.
    pub async fn get(
        &self,
        job: &Job,
        name: &str,
        dir: String,
        server: Option<&ServerFiles>,
    ) -> Result<Vec<String>, Trouble> {
        let missing = || Trouble::workload(format!("No such saved stash ‘{name}’"));
        let here = self.files.lock().await.get(name).map(Kept::try_clone).transpose()?;
        let file = match (here, server) {
            // The last one of that name is the run's, wherever it was made: at another agent, or by the run in the middle of which this one began.
            (here, Some(server)) if is_stash_name(name) => {
                let kept = server.fetch_stash(name, &self.folder, here).await?.ok_or_else(missing)?;
                let own = reopened(&kept.file);
                self.files.lock().await.insert(name.to_owned(), kept);
                own
            }
            (Some(here), _) => reopened(&here.file),
            (None, _) => return Err(missing()),
        };
        let file = file.map_err(|error| Trouble::infrastructure(format!("cannot read a stash: {error}")))?;
        let place = TarPlace { dir, user: Some(job.user.clone()), owner: None, limits: TarLimits::default() };
        let summary = job.session.put_tar(place, tokio::fs::File::from_std(file)).await?;
        Ok(passed_over("not unstashed", &summary.skipped))
    }
}

/// Names files that init passed over: nothing goes missing silently.
pub fn passed_over(what: &str, skipped: &Skipped) -> Vec<String> {
    let mut notes: Vec<_> = skipped.names.iter().take(10).map(|(name, why)| format!("{what}: {name}: {why}")).collect();
    let unnamed = skipped.count.saturating_sub(notes.len() as u64);
    if unnamed > 0 {
        notes.push(format!("{what}: {unnamed} more files"));
    }
    notes
}

/// A file without a name: it is gone when the run is, also after kill -9.
pub fn unnamed(folder: &std::path::Path) -> Result<File, Trouble> {
    std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder))
        .map_err(|error| Trouble::infrastructure(format!("cannot keep files in {}: {error}", folder.display())))
}

fn clone(file: &File) -> Result<File, Trouble> {
    file.try_clone().map_err(|error| Trouble::infrastructure(format!("cannot keep files: {error}")))
}

/// The same file with a position of its own, so that two jobs may read it at once.
pub fn reopened(file: &File) -> std::io::Result<File> {
    use std::os::fd::AsRawFd as _;
    let mut own = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    own.seek(SeekFrom::Start(0))?;
    Ok(own)
}
