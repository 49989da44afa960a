//! `readFile`, `writeFile`, `fileExists`, `deleteDir`: single files of a workspace, in any character set.

use base64::Engine as _;
use encoding_rs::Encoding;
use model::limits::MAX_CAPTURE_BYTES;
use model::request::Reply;

use crate::failure::Trouble;
use crate::job::Job;

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
    Ok(Reply::Text(match charset(encoding)? {
        Charset::Base64 => base64::engine::general_purpose::STANDARD.encode(&bytes),
        Charset::Named(encoding) => encoding.decode_with_bom_removal(&bytes).0.into_owned(),
    }))
}

/// Writes a file.
pub async fn write(job: &Job, path: &str, text: &str, encoding: Option<&str>) -> Result<Reply, Trouble> {
    let bytes = match charset(encoding)? {
        Charset::Base64 => base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|error| Trouble::workload(format!("writeFile: not Base64: {error}")))?,
        Charset::Named(encoding) => encoding.encode(text).0.into_owned(),
    };
    job.session.write_file(Some(job.user.clone()), path, &bytes, 0o644).await?;
    Ok(Reply::Done)
}

/// Whether something is there.
pub async fn exists(job: &Job, path: &str) -> Result<Reply, Trouble> {
    Ok(Reply::Bool(job.session.stat(Some(job.user.clone()), path, true).await?.is_some()))
}

/// Deletes a folder with its content; the workspace itself is emptied, for it is a place that others hold on to.
pub async fn delete(job: &Job, path: &str) -> Result<Reply, Trouble> {
    job.session.remove_tree(Some(job.user.clone()), path, path == job.workspace).await?;
    Ok(Reply::Done)
}

/// Makes a folder.
pub async fn make_dir(job: &Job, path: &str) -> Result<Reply, Trouble> {
    job.session.make_dir(Some(job.user.clone()), path, 0o755, None).await?;
    Ok(Reply::Done)
}

enum Charset {
    Base64,
    Named(&'static Encoding),
}

fn charset(name: Option<&str>) -> Result<Charset, Trouble> {
    match name {
        None => Ok(Charset::Named(encoding_rs::UTF_8)),
        Some(name) if name.eq_ignore_ascii_case("base64") => Ok(Charset::Base64),
        Some(name) => Encoding::for_label(name.as_bytes())
            .map(Charset::Named)
            .ok_or_else(|| Trouble::workload(format!("unknown encoding `{name}`"))),
    }
}
