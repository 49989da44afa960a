//! What many runs are told alike: the files of libraries, which are some MiB in each run that uses one, and the steps and pods of projects. They are kept
//! once, by their digest; runs and their inputs name it, and are whole again when they are read. What was written down before that is whole in its row.
//!
//! A content is counted: it is there before a row names it, in the same change, and goes in the change that forgets the last one that does.

use model::added_step::StepFile;
use model::library::Library;
use model::pod::PodDefinition;
use model::request::Reply;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use wire::engine::Input;

use crate::StoreError;
use crate::access::digest;
use crate::write::Change;

/// As zstd counts: it is written once, and read at each restart.
const LEVEL: i32 = 3;
/// The largest that is read, in bytes: far above what a library may have, in JSON.
const MOST_BYTES: u64 = 256 << 20;

/// What a run of a project begins with, beside its own facts.
#[derive(Default, Deserialize, Serialize)]
#[serde(from = "Written")]
pub(crate) struct Given {
    pub(crate) steps: Vec<StepFile>,
    pub(crate) pods: Vec<PodDefinition>,
}

/// As it is written down: once it was the steps alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Steps(Vec<StepFile>),
    All { steps: Vec<StepFile>, pods: Vec<PodDefinition> },
}

impl From<Written> for Given {
    fn from(written: Written) -> Given {
        match written {
            Written::Steps(steps) => Given { steps, pods: Vec::new() },
            Written::All { steps, pods } => Given { steps, pods },
        }
    }
}

impl Given {
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.pods.is_empty()
    }
}

/// What is not in the row that it belongs to.
pub(crate) struct Content {
    pub(crate) digest: String,
    text: String,
}

impl Content {
    pub(crate) fn of(value: &impl Serialize) -> Result<Content, StoreError> {
        let text = serde_json::to_string(value).map_err(StoreError::damaged("a content"))?;
        Ok(Content { digest: digest(&text), text })
    }
}

/// An input as its row has it, and what is kept apart.
pub(crate) fn apart(input: &Input) -> Result<(String, Option<Content>), StoreError> {
    let written = |input: &Input| serde_json::to_string(input).map_err(StoreError::damaged("an input"));
    let Input::Answer { id, reply: Reply::Library(Library { version, commit, files }) } = input else {
        return Ok((written(input)?, None));
    };
    let content = Content::of(files)?;
    let rest = Library { version: version.clone(), commit: commit.clone(), files: Vec::new() };
    let rest = Input::Answer { id: *id, reply: Reply::Library(rest) };
    Ok((written(&rest)?, Some(content)))
}

/// The other way round.
pub(crate) fn whole(text: &str, content: Option<Vec<u8>>) -> Result<Input, StoreError> {
    let mut input = serde_json::from_str(text).map_err(StoreError::damaged("an input"))?;
    if let (Input::Answer { reply: Reply::Library(library), .. }, Some(content)) = (&mut input, content) {
        library.files = read(&content)?;
    }
    Ok(input)
}

/// What is in one.
pub(crate) fn read<T: DeserializeOwned>(content: &[u8]) -> Result<T, StoreError> {
    let text = zstd::Decoder::new(content).map_err(sqlx::Error::Io)?;
    let text = std::io::BufReader::new(std::io::Read::take(text, MOST_BYTES));
    serde_json::from_reader(text).map_err(StoreError::damaged("a content"))
}

/// One more row names it.
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

/// A run and its inputs name nothing any more, within the change that forgets them.
pub(crate) async fn forget(tx: &mut Change, run: i64) -> Result<(), StoreError> {
    let named = "SELECT content, COUNT(*) FROM (SELECT content FROM inputs WHERE run_id = $1 UNION ALL SELECT steps AS content FROM runs WHERE id = $1) AS named \
                 WHERE content IS NOT NULL GROUP BY content ORDER BY content";
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
