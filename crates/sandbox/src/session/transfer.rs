//! Files in and out of a sandbox. Init does the work inside, with the ids that are asked for; the host opens no path of a
//! sandbox, ever.

use model::request::{ArchiveFormat, FileSet, FoundFile, Unpacking};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::init::{Command, Event, FileOp, FileReply, FileStatus, MAX_CHUNK_BYTES, Skipped, TarLimits, User, listing};

use super::error::SessionError;
use super::link::{Input, Operation};
use super::{CloseReason, Session};

/// Longest list of files, in bytes.
const MAX_LIST_BYTES: u64 = 32 << 20;

/// Where and how a tar stream is extracted.
#[derive(Clone, Debug, Default)]
pub struct TarPlace {
    /// Absolute folder, made where it is missing.
    pub dir: String,
    /// Whose rights the extraction has; `None`: init's.
    pub user: Option<User>,
    /// Give everything to this user and group; only with `user: None`.
    pub owner: Option<(u32, u32)>,
    /// Bounds.
    pub limits: TarLimits,
}

/// A file that is written at its end, piece by piece.
pub struct Appending {
    input: Input,
    operation: Operation,
}

impl Appending {
    /// Writes more; waits where the file system is slower. What a file that failed is given is dropped, and [`Appending::finish`] says why.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.input.send(bytes).await
    }

    /// Resolves when all is written.
    pub async fn finish(self) -> Result<(), SessionError> {
        self.input.close();
        finish(self.operation).await.map(drop)
    }
}

/// What is taken out of an archive.
#[derive(Clone, Debug)]
pub struct Unpack {
    /// Absolute path of the archive.
    pub archive: String,
    /// What it is.
    pub format: ArchiveFormat,
    /// Where to, and which of its files.
    pub files: FileSet,
    /// What for.
    pub purpose: Unpacking,
    /// How many of the files that are made are named.
    pub named: u64,
    /// Bounds.
    pub limits: TarLimits,
}

/// What was in an archive, as init tells it: what it made of it, or why that is not possible, and the files that it named with the content
/// that was asked for.
pub type InArchive = (Result<TarSummary, String>, Vec<(FoundFile, Vec<u8>)>);

/// What went through a tar stream, as init tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TarSummary {
    /// Entries.
    pub entries: u64,
    /// Content in bytes.
    pub bytes: u64,
    /// What was passed over, with reasons.
    pub skipped: Skipped,
}

impl Session {
    /// Content of a regular file, refused above `limit_bytes`.
    pub async fn read_file(&self, user: Option<User>, path: &str, limit_bytes: u64) -> Result<Vec<u8>, SessionError> {
        let mut content = Vec::new();
        self.read_pieces(user, path, limit_bytes, |piece| content.extend_from_slice(piece)).await?;
        Ok(content)
    }

    /// The same, piece by piece.
    pub async fn read_pieces(
        &self,
        user: Option<User>,
        path: &str,
        limit_bytes: u64,
        take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), SessionError> {
        let operation = self.file(user, FileOp::ReadFile { path: path.to_owned(), limit_bytes })?;
        receive(operation, limit_bytes, take).await.map(drop)
    }

    /// What matches a set, at most so many; in no order. `folders`: those too; `is_shallow`: nothing below the folders in the folder.
    /// The list is the workload's word.
    pub async fn list(
        &self,
        user: Option<User>,
        files: FileSet,
        (folders, is_shallow): (bool, bool),
        most: u64,
    ) -> Result<Vec<FoundFile>, SessionError> {
        let operation = self.file(user, FileOp::List { files, folders, is_shallow, most })?;
        let mut list = Vec::new();
        receive(operation, listing::most_bytes(most).min(MAX_LIST_BYTES), |piece| list.extend_from_slice(piece))
            .await?;
        listing::read(&list).ok_or_else(unexpected)
    }

    /// Sets the time of a file (milliseconds since 1970; `None`: now), and makes it where it is missing.
    pub async fn touch(&self, user: Option<User>, path: &str, time_ms: Option<i64>) -> Result<(), SessionError> {
        finish(self.file(user, FileOp::Touch { path: path.to_owned(), time_ms })?).await.map(drop)
    }

    /// Replaces or makes a file, with its parent folders.
    pub async fn write_file(
        &self,
        user: Option<User>,
        path: &str,
        content: &[u8],
        mode: u32,
    ) -> Result<(), SessionError> {
        let operation = self.file(user, FileOp::WriteFile { path: path.to_owned(), mode })?;
        feed(operation, content).await.map(drop)
    }

    /// Begins to write at the end of a file, which is made where it is missing, with its parent folders.
    pub fn append_file(&self, user: Option<User>, path: &str, mode: u32) -> Result<Appending, SessionError> {
        let operation = self.file(user, FileOp::AppendFile { path: path.to_owned(), mode })?;
        Ok(Appending { input: operation.input(), operation })
    }

    /// What is at a path; `None` where there is nothing. `follow` looks through a final symbolic link.
    pub async fn stat(&self, user: Option<User>, path: &str, follow: bool) -> Result<Option<FileStatus>, SessionError> {
        match finish(self.file(user, FileOp::Stat { path: path.to_owned(), follow })?).await? {
            FileReply::Stat(status) => Ok(status),
            _ => Err(unexpected()),
        }
    }

    /// Makes a folder with its parents; given to `owner` only where `user` is `None`.
    pub async fn make_dir(
        &self,
        user: Option<User>,
        path: &str,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<(), SessionError> {
        finish(self.file(user, FileOp::MakeDir { path: path.to_owned(), mode, owner })?).await.map(drop)
    }

    /// Makes a folder with its parents for a user, through no link; one that is there stays whose it is.
    pub async fn make_dir_for(&self, path: &str, owner: (u32, u32)) -> Result<(), SessionError> {
        finish(self.file(None, FileOp::MakeDirFor { path: path.to_owned(), owner })?).await.map(drop)
    }

    /// Removes a file or a whole folder (`keep_top`: only its content); no error where it is missing.
    pub async fn remove_tree(&self, user: Option<User>, path: &str, keep_top: bool) -> Result<(), SessionError> {
        finish(self.file(user, FileOp::RemoveTree { path: path.to_owned(), keep_top })?).await.map(drop)
    }

    /// Extracts a tar stream inside the sandbox.
    pub async fn put_tar(
        &self,
        place: TarPlace,
        tar: impl AsyncRead + Unpin + Send,
    ) -> Result<TarSummary, SessionError> {
        let op = FileOp::PutTar { dir: place.dir, owner: place.owner, limits: place.limits };
        match feed(self.file(place.user, op)?, tar).await? {
            FileReply::Put { entries, bytes, skipped } => Ok(TarSummary { entries, bytes, skipped }),
            _ => Err(unexpected()),
        }
    }

    /// Writes the matching files as a tar stream to `out`. The stream is the workload's word: whoever reads it treats it as
    /// hostile. On an error `out` holds an incomplete stream.
    pub async fn get_tar(
        &self,
        user: Option<User>,
        files: FileSet,
        limits: TarLimits,
        mut out: impl AsyncWrite + Unpin + Send,
    ) -> Result<TarSummary, SessionError> {
        let mut operation = self.file(user, FileOp::GetTar { files, limits })?;
        // Room for headers and padding: three blocks an entry are more than any entry with a sane name needs.
        let most = limits.bytes.saturating_add(limits.entries.saturating_mul(8 * 1024)).saturating_add(64 * 1024);
        let mut received = 0u64;
        loop {
            match operation.next().await? {
                Event::Data { data, .. } => {
                    received += data.len() as u64;
                    if received > most {
                        return Err(SessionError::TooLarge(most));
                    }
                    out.write_all(&data).await.map_err(SessionError::Host)?;
                }
                Event::Done { reply: FileReply::Got { entries, bytes, skipped }, .. } => {
                    out.flush().await.map_err(SessionError::Host)?;
                    return Ok(TarSummary { entries, bytes, skipped });
                }
                Event::Done { .. } => return Err(unexpected()),
                Event::Failed { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
    }

    /// Packs the matching files into an archive inside, which replaces a file in its place.
    pub async fn pack(
        &self,
        user: Option<User>,
        files: FileSet,
        archive: String,
        format: ArchiveFormat,
        limits: TarLimits,
    ) -> Result<TarSummary, SessionError> {
        match finish(self.file(user, FileOp::Pack { files, archive, format, limits })?).await? {
            FileReply::Got { entries, bytes, skipped } => Ok(TarSummary { entries, bytes, skipped }),
            _ => Err(unexpected()),
        }
    }

    /// Takes an archive apart inside. What is told of it is the workload's word.
    pub async fn unpack(&self, user: Option<User>, unpack: Unpack) -> Result<InArchive, SessionError> {
        let Unpack { archive, format, files, purpose, named, limits } = unpack;
        let most = match purpose {
            Unpacking::Extract { .. } => listing::most_bytes(named),
            // Names and texts together: an answer has to fit.
            Unpacking::Read => limits.bytes,
            Unpacking::Test => 0,
        };
        let operation = self.file(user, FileOp::Unpack { archive, format, files, purpose, named, limits })?;
        let mut list = Vec::new();
        let done = match receive(operation, most, |piece| list.extend_from_slice(piece)).await? {
            FileReply::Put { entries, bytes, skipped } => Ok(TarSummary { entries, bytes, skipped }),
            FileReply::Tested { flaw: Some(flaw) } => Err(flaw),
            FileReply::Tested { flaw: None } => Ok(TarSummary::default()),
            _ => return Err(unexpected()),
        };
        let files = listing::read_with_content(&list).ok_or_else(unexpected)?;
        Ok((done, files.into_iter().map(|(file, content)| (file, content.to_vec())).collect()))
    }

    fn file(&self, user: Option<User>, op: FileOp) -> Result<Operation, SessionError> {
        self.link.begin(|id| Command::File { id, user, op })
    }
}

/// Takes what an operation sends, refused above so many bytes.
async fn receive(
    mut operation: Operation,
    limit: u64,
    mut take: impl FnMut(&[u8]) + Send,
) -> Result<FileReply, SessionError> {
    let mut received = 0u64;
    loop {
        match operation.next().await? {
            Event::Data { data, .. } => {
                received += data.len() as u64;
                if received > limit {
                    return Err(SessionError::TooLarge(limit));
                }
                take(&data);
            }
            Event::Done { reply, .. } => return Ok(reply),
            Event::Failed { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
}

fn unexpected() -> SessionError {
    SessionError::Closed(CloseReason::Offence("a reply of the wrong kind"))
}

/// Waits for the last word of an operation that sends no data.
async fn finish(mut operation: Operation) -> Result<FileReply, SessionError> {
    loop {
        match operation.next().await? {
            Event::Done { reply, .. } => return Ok(reply),
            Event::Failed { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
}

/// Sends content while waiting for the last word, which may come early (a full disk).
async fn feed(operation: Operation, mut content: impl AsyncRead + Unpin) -> Result<FileReply, SessionError> {
    let mut input = operation.input();
    let mut reply = std::pin::pin!(finish(operation));
    let mut buffer = vec![0; MAX_CHUNK_BYTES];
    let send = async {
        loop {
            match content.read(&mut buffer).await.map_err(SessionError::Host)? {
                0 => return Ok::<(), SessionError>(()),
                n => input.send(&buffer[..n]).await?,
            }
        }
    };
    tokio::select! {
        biased;
        early = &mut reply => return early,
        sent = send => sent?,
    }
    input.close();
    reply.await
}
