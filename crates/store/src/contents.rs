//! What many runs are told alike: the files of libraries, which are some MiB in each run that uses one. They are kept once, by their digest; the
//! inputs of runs name it, and are whole again when they are read. What was written down before that is whole in its row.
//!
//! A content is counted: it is there before an input names it, in the same change, and goes in the change that forgets the last one that does.

use model::library::{Library, LibraryFile};
use model::request::Reply;
use sqlx::Row as _;
use wire::engine::Input;

use crate::StoreError;
use crate::access::digest;
use crate::write::Change;

/// As zstd counts: it is written once, and read at each restart.
const LEVEL: i32 = 3;
/// The largest that is read, in bytes: far above what a library may have, in JSON.
const MOST_BYTES: u64 = 256 << 20;

/// What of an input is not in its row.
pub(crate) struct Content {
    pub(crate) digest: String,
    text: String,
}

/// An input as its row has it, and what is kept apart.
pub(crate) fn apart(input: &Input) -> Result<(String, Option<Content>), StoreError> {
    let written = |input: &Input| serde_json::to_string(input).map_err(StoreError::damaged("an input"));
    let Input::Answer { id, reply: Reply::Library(Library { version, commit, files }) } = input else {
        return Ok((written(input)?, None));
    };
    let text = serde_json::to_string(files).map_err(StoreError::damaged("an input"))?;
    let rest = Library { version: version.clone(), commit: commit.clone(), files: Vec::new() };
    let rest = Input::Answer { id: *id, reply: Reply::Library(rest) };
    Ok((written(&rest)?, Some(Content { digest: digest(&text), text })))
}

/// The other way round.
pub(crate) fn whole(text: &str, content: Option<Vec<u8>>) -> Result<Input, StoreError> {
    let mut input = serde_json::from_str(text).map_err(StoreError::damaged("an input"))?;
    if let (Input::Answer { reply: Reply::Library(library), .. }, Some(content)) = (&mut input, content) {
        let damaged = |reason: String| StoreError::Damaged { what: "a library", reason };
        library.files = read(&content).map_err(|error| damaged(error.to_string()))?;
    }
    Ok(input)
}

fn read(content: &[u8]) -> Result<Vec<LibraryFile>, Box<dyn std::error::Error>> {
    let text = std::io::Read::take(zstd::Decoder::new(content)?, MOST_BYTES);
    Ok(serde_json::from_reader(std::io::BufReader::new(text))?)
}

/// One more input names it.
pub(crate) async fn keep(tx: &mut Change, content: &Content) -> Result<(), StoreError> {
    let more = sqlx::query("UPDATE contents SET uses = uses + 1 WHERE digest = $1").bind(content.digest.clone());
    if more.execute(&mut **tx).await?.rows_affected() > 0 {
        return Ok(());
    }
    let packed = zstd::bulk::compress(content.text.as_bytes(), LEVEL).map_err(sqlx::Error::Io)?;
    // Another run may have been told the same meanwhile.
    let add = "INSERT INTO contents (digest, uses, content) VALUES ($1, 1, $2) ON CONFLICT (digest) DO UPDATE SET uses = contents.uses + 1";
    sqlx::query(add).bind(content.digest.clone()).bind(packed).execute(&mut **tx).await?;
    Ok(())
}

/// The inputs of a run name nothing any more, within the change that forgets them.
pub(crate) async fn forget(tx: &mut Change, run: i64) -> Result<(), StoreError> {
    let named = "SELECT content, COUNT(*) FROM inputs WHERE run_id = $1 AND content IS NOT NULL GROUP BY content ORDER BY content";
    for row in sqlx::query(named).bind(run).fetch_all(&mut **tx).await? {
        let (digest, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        // Its row is this change's from here on: nobody names it before that is made.
        let fewer = sqlx::query("UPDATE contents SET uses = uses - $2 WHERE digest = $1");
        fewer.bind(digest.clone()).bind(count).execute(&mut **tx).await?;
        let gone = sqlx::query("DELETE FROM contents WHERE digest = $1 AND uses <= 0");
        gone.bind(digest).execute(&mut **tx).await?;
    }
    Ok(())
}
