//! `readFile`, `writeFile`, `fileExists`, `deleteDir`, `findFiles`, `sha256` and their like: files of a workspace, in any character set.

use model::limits::{MAX_CAPTURE_BYTES, MAX_FOUND_FILES, MAX_STASH_BYTES};
use model::request::{DigestAlgorithm, FileSet, Reply};

use crate::encoding::Encoding;
use crate::failure::Trouble;
use crate::job::Job;
use crate::plain::Plain;

/// Most folders that are remembered to have been made for a user.
const MAX_MADE: usize = 1000;

/// Text of a file. `Base64` returns the bytes in that form, as Jenkins does.
pub async fn read(job: &Job, path: &str, encoding: Option<&str>) -> Result<Reply, Trouble> {
    let bytes = match job.session.read_file(Some(job.user.clone()), path, MAX_CAPTURE_BYTES as u64).await {
        Ok(bytes) => bytes,
        // The JVM's words, which scripts look for.
        Err(error) if error.is_not_found() => {
            return Err(Trouble::workload(format!("java.nio.file.NoSuchFileException: {path}")));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Reply::Text(Encoding::named(encoding)?.decode(&bytes)))
}

/// Writes a file.
pub async fn write(job: &Job, path: &str, text: &str, encoding: Option<&str>) -> Result<Reply, Trouble> {
    let bytes = Encoding::named(encoding)?.encode(text)?;
    job.session.write_file(Some(job.user.clone()), path, &bytes, 0o644).await?;
    Ok(Reply::Done)
}

/// Writes at the end of a file.
pub async fn append(job: &Job, path: &str, text: &str) -> Result<Reply, Trouble> {
    let mut file = job.session.append_file(Some(job.user.clone()), path, 0o644)?;
    file.send(text.as_bytes()).await?;
    file.finish().await?;
    Ok(Reply::Done)
}

/// Whether something is there.
pub async fn exists(job: &Job, path: &str) -> Result<Reply, Trouble> {
    Ok(Reply::Bool(job.session.stat(Some(job.user.clone()), path, true).await?.is_some()))
}

/// Deletes a folder with its content; a workspace itself is emptied, for it is a place that others hold on to.
pub async fn delete(job: &Job, path: &str) -> Result<Reply, Trouble> {
    let stays = path == job.workspace || job.made.lock().await.contains(path);
    job.session.remove_tree(Some(job.user.clone()), path, stays).await?;
    Ok(Reply::Done)
}

/// Makes a folder.
pub async fn make_dir(job: &Job, path: &str) -> Result<Reply, Trouble> {
    job.session.make_dir(Some(job.user.clone()), path, 0o755, None).await?;
    Ok(Reply::Done)
}

/// Makes a workspace beside the job's own: below `/var/lib` or `/home` its user may make none.
pub async fn make_workspace(job: &Job, path: &str) -> Result<Reply, Trouble> {
    let (user, session) = (&job.user, &job.session);
    // One after the other: branches may want the same.
    let mut made = job.made.lock().await;
    if session.make_dir(Some(user.clone()), path, 0o755, None).await.is_ok() {
        return Ok(Reply::Done);
    }
    session.make_dir_for(path, (user.uid, user.gid)).await?;
    if made.len() < MAX_MADE {
        made.insert(path.to_owned());
    }
    Ok(Reply::Done)
}

/// Looks which files there are.
pub async fn find(job: &Job, files: FileSet, folders: bool, is_shallow: bool) -> Result<Reply, Trouble> {
    let mut found = job.session.list(Some(job.user.clone()), files, (folders, is_shallow), MAX_FOUND_FILES).await?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Reply::Found(found))
}

/// Deletes what is at these paths, but for what lies behind a link: that has another path, by which it may be meant to stay.
pub async fn delete_all(job: &Job, paths: &[String]) -> Result<Reply, Trouble> {
    let mut plain = Plain::of(job);
    for path in paths {
        if !plain.is_at(path).await? {
            continue;
        }
        job.session.remove_tree(Some(job.user.clone()), path, *path == job.workspace).await?;
    }
    Ok(Reply::Done)
}

/// Sets the time of a file.
pub async fn touch(job: &Job, path: &str, time_ms: Option<i64>) -> Result<Reply, Trouble> {
    job.session.touch(Some(job.user.clone()), path, time_ms).await?;
    Ok(Reply::Done)
}

/// The digest of a file, piece by piece.
pub async fn digest(job: &Job, path: &str, algorithm: DigestAlgorithm) -> Result<Reply, Trouble> {
    let hex = match algorithm {
        DigestAlgorithm::Md5 => digest_with::<md5::Md5>(job, path).await,
        DigestAlgorithm::Sha1 => digest_with::<sha1::Sha1>(job, path).await,
        DigestAlgorithm::Sha256 => digest_with::<sha2::Sha256>(job, path).await,
        DigestAlgorithm::Sha512 => digest_with::<sha2::Sha512>(job, path).await,
    };
    hex.map(Reply::Text)
}

async fn digest_with<D: sha2::Digest + Send>(job: &Job, path: &str) -> Result<String, Trouble> {
    let mut digest = D::new();
    let read = job.session.read_pieces(Some(job.user.clone()), path, MAX_STASH_BYTES, |piece| digest.update(piece));
    match read.await {
        Ok(()) => Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
        Err(error) if error.is_not_found() => {
            Err(Trouble::workload(format!("java.nio.file.NoSuchFileException: {path}")))
        }
        Err(error) => Err(error.into()),
    }
}
