//! What a run's keeper writes down, before it acts.

use model::event::{Event, LogSource};
use model::ids::{JobId, RequestId, RunId};
use model::limits::MAX_DESCRIPTION_CHARS;
use model::properties::Properties;
use model::request::{Reply, Request};
use model::run::RunFacts;
use model::rung::Needs;
use sqlx::Row as _;
use wire::agent::LogLine;
use wire::engine::{Begin, Entry, Input, Journal};

use crate::audit::record;
use crate::logs::append;
use crate::run::Run;
use crate::write::Change;
use crate::{Actor, Millis, Store, StoreError, contents, signed, unsigned};

/// Something that an engine said and that is to be acted upon.
#[derive(Clone, Debug)]
pub enum Act {
    /// Do this.
    Request(RequestId, Request),
    /// It has taken the input in this place at that place of its own.
    Took(usize, u64),
    /// It happened.
    Event(Event),
    /// The run says this of its branch, and is believed.
    Properties(String, Properties),
    /// What is known of it is this from now on.
    Facts(Box<RunFacts>),
    /// End that early.
    Cancel(RequestId),
    /// The run is about to leave its agent, which lacks this: nothing more is done for it there.
    Leave(Needs),
    /// This job is to be at another agent, under the lease of the second, which needs this.
    Elsewhere(JobId, JobId, Needs),
    /// The run, which has come where what it waits for may not be, stays: its jobs wait from now on, and not itself.
    Stay,
}

/// A request that is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Its id.
    pub id: RequestId,
    /// What is wanted.
    pub request: Request,
    /// When it was asked.
    pub asked_at: Millis,
    /// Its run wants it to end early.
    pub is_cancelled: bool,
}

impl Outstanding {
    /// When time itself answers it.
    pub fn due(&self) -> Option<Millis> {
        let most = match &self.request {
            Request::Sleep { ms } => Some(*ms),
            Request::Lock(wish) => wish.most_ms,
            _ => None,
        };
        most.map(|ms| self.asked_at.saturating_add(ms))
    }
}

async fn put_facts(tx: &mut Change, run: RunId, facts: &RunFacts) -> Result<(), StoreError> {
    let text = serde_json::to_string(facts).map_err(StoreError::damaged("a run"))?;
    let change = sqlx::query("UPDATE runs SET facts = $1 WHERE id = $2");
    change.bind(text).bind(signed(run.0)).execute(&mut **tx).await?;
    Ok(())
}

impl Store {
    /// An input came in; it gets the place `seq`, counted from 0. What it answers is outstanding no more.
    ///
    /// # Errors
    /// There is an input in that place: somebody else keeps this run.
    pub async fn add_input(&self, run: RunId, seq: usize, input: &Input) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        put_input(&mut tx, run, seq as i64, input).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The same, for what somebody has decided: as it is, and as it may be told. What is known of the run is `facts` from then on, if there are any.
    ///
    /// # Errors
    /// As [`Store::add_input`].
    pub async fn add_decision(
        &self,
        (actor, now): (&Actor, Millis),
        run: RunId,
        seq: usize,
        (input, told): (&Input, &Input),
        facts: Option<&RunFacts>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        put_input(&mut tx, run, seq as i64, input).await?;
        if let Some(facts) = facts {
            put_facts(&mut tx, run, facts).await?;
        }
        let detail = serde_json::to_value(told).map_err(StoreError::damaged("an input"))?;
        record(&mut tx, now, actor, "run.answer", &run.to_string(), &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What was heard up to here, with everything of it that is to be acted upon.
    ///
    /// # Errors
    /// The database.
    pub async fn heard(
        &self,
        run: RunId,
        (heard, digest): (u64, u64),
        acts: &[Act],
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        if acts.iter().any(|act| matches!(act, Act::Properties(..))) {
            // The row of a run before the counter of the audit, as everywhere: else two could wait for each other.
            let first = sqlx::query("UPDATE runs SET heard = heard WHERE id = $1");
            first.bind(signed(run.0)).execute(&mut *tx).await?;
        }
        for act in acts {
            match act {
                Act::Request(id, request) => {
                    let text = serde_json::to_string(request).map_err(StoreError::damaged("a request"))?;
                    let add = sqlx::query(
                        "INSERT INTO requests (run_id, id, request, asked_ms, cancelled) VALUES ($1, $2, $3, $4, 0)",
                    );
                    add.bind(signed(run.0)).bind(signed(id.0)).bind(text).bind(signed(now)).execute(&mut *tx).await?;
                }
                Act::Took(seq, at) => {
                    let change = sqlx::query("UPDATE inputs SET taken_at = $1 WHERE run_id = $2 AND seq = $3");
                    change.bind(signed(*at)).bind(signed(run.0)).bind(*seq as i64).execute(&mut *tx).await?;
                }
                // Lines of the log are found by their number, not by what happened around them.
                Act::Event(Event::Log { .. }) => {}
                Act::Cancel(id) => {
                    let change = sqlx::query("UPDATE requests SET cancelled = 1 WHERE run_id = $1 AND id = $2");
                    change.bind(signed(run.0)).bind(signed(id.0)).execute(&mut *tx).await?;
                }
                Act::Properties(branch, said) => crate::properties::set(&mut tx, run, branch, said, now).await?,
                Act::Facts(facts) => put_facts(&mut tx, run, facts).await?,
                Act::Leave(needs) => {
                    let text = serde_json::to_string(needs).map_err(StoreError::damaged("a run"))?;
                    let change = sqlx::query("UPDATE runs SET leaves = $1 WHERE id = $2");
                    change.bind(text).bind(signed(run.0)).execute(&mut *tx).await?;
                }
                Act::Stay => {
                    let change = sqlx::query("UPDATE runs SET wakes_ms = NULL WHERE id = $1");
                    change.bind(signed(run.0)).execute(&mut *tx).await?;
                }
                Act::Elsewhere(job, root, needs) => crate::elsewhere::put(&mut tx, run, *job, *root, needs).await?,
                Act::Event(event) => happened(&mut tx, run, now, event).await?,
            }
        }
        let lines: Vec<_> = acts.iter().filter_map(|act| line(act, now)).collect();
        append(&mut tx, run, lines.iter()).await?;
        sqlx::query("UPDATE runs SET heard = $1, digest = $2 WHERE id = $3")
            .bind(signed(heard))
            .bind(signed(digest))
            .bind(signed(run.0))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The journal of a run as it was written down; `definition` is its text.
    ///
    /// # Errors
    /// The database, or what stands there is none.
    pub async fn journal(&self, run: &Run, definition: &str, file_name: &str) -> Result<Journal, StoreError> {
        let rows = "SELECT i.input, i.taken_at, i.content, c.content FROM inputs i LEFT JOIN contents c ON c.digest = i.content WHERE i.run_id = $1 ORDER BY i.seq";
        let rows = sqlx::query(rows).bind(signed(run.id.0));
        let mut entries = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            let (text, named): (String, Option<String>) = (row.try_get(0)?, row.try_get(2)?);
            let content: Option<Vec<u8>> = row.try_get(3)?;
            if let Some(digest) = named.filter(|_| content.is_none()) {
                return Err(StoreError::Damaged { what: "an input", reason: format!("content {digest} is missing") });
            }
            let input = contents::whole(&text, content)?;
            entries.push(Entry { input, at: row.try_get::<Option<i64>, _>(1)?.map(unsigned) });
        }
        let row = "SELECT r.heard, r.digest, c.content FROM runs r LEFT JOIN contents c ON c.digest = r.steps WHERE r.id = $1";
        let row = sqlx::query(row).bind(signed(run.id.0)).fetch_one(&self.pool).await?;
        let given: Option<Vec<u8>> = row.try_get(2)?;
        let given: contents::Given = given.map(|given| contents::read(&given)).transpose()?.unwrap_or_default();
        let facts = RunFacts { step_files: given.steps, pods: given.pods, ..run.facts.clone() };
        let begin = Begin { source: definition.into(), file_name: file_name.into(), facts };
        Ok(match unsigned(row.try_get(0)?) {
            0 if entries.is_empty() => Journal::new(begin),
            heard => Journal::restored(begin, entries, heard, unsigned(row.try_get(1)?)),
        })
    }

    /// Requests that were heard and are not answered.
    ///
    /// # Errors
    /// The database.
    pub async fn outstanding(&self, run: RunId) -> Result<Vec<Outstanding>, StoreError> {
        let rows = sqlx::query("SELECT id, request, asked_ms, cancelled FROM requests WHERE run_id = $1 ORDER BY id")
            .bind(signed(run.0));
        let mut all = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            let text: String = row.try_get(1)?;
            let request = serde_json::from_str(&text).map_err(StoreError::damaged("a request"))?;
            let (id, asked_at) = (RequestId(unsigned(row.try_get(0)?)), unsigned(row.try_get(2)?));
            let is_cancelled = row.try_get::<i64, _>(3)? != 0;
            all.push(Outstanding { id, request, asked_at, is_cancelled });
        }
        Ok(all)
    }

    /// Whether a run may have a sandbox anywhere.
    ///
    /// # Errors
    /// The database.
    pub async fn has_a_place(&self, run: RunId) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT places FROM runs WHERE id = $1").bind(signed(run.0)).fetch_one(&self.pool).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.is_none_or(|places| places > 0))
    }

    /// What happened in a run, behind `after`: number, time, event.
    ///
    /// # Errors
    /// The database.
    pub async fn events(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<(u64, Millis, Event)>, StoreError> {
        self.events_like("%", run, after, limit).await
    }

    /// The same of its stages alone, of which there are far fewer.
    ///
    /// # Errors
    /// The database, or what stands there is none.
    pub async fn stage_events(&self, run: RunId, limit: u32) -> Result<Vec<(u64, Millis, Event)>, StoreError> {
        // An event begins with its kind.
        self.events_like(r#"{"event":"stage%"#, run, 0, limit).await
    }

    async fn events_like(
        &self,
        pattern: &str,
        run: RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Millis, Event)>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at_ms, event FROM events WHERE run_id = $1 AND seq > $2 AND event LIKE $4 ORDER BY seq LIMIT $3",
        );
        let rows = rows.bind(signed(run.0)).bind(signed(after)).bind(i64::from(limit)).bind(pattern.to_owned());
        let mut all = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            let text: String = row.try_get(2)?;
            let event = serde_json::from_str(&text).map_err(StoreError::damaged("an event"))?;
            all.push((unsigned(row.try_get(0)?), unsigned(row.try_get(1)?), event));
        }
        Ok(all)
    }
}

/// Adds an input, within the change that it belongs to. What it answers is outstanding no more.
pub(crate) async fn put_input(tx: &mut Change, run: RunId, seq: i64, input: &Input) -> Result<(), StoreError> {
    let (text, content) = contents::apart(input)?;
    let add = "INSERT INTO inputs (run_id, seq, input, content) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let added = sqlx::query(add)
        .bind(signed(run.0))
        .bind(seq)
        .bind(text)
        .bind(content.as_ref().map(|content| content.digest.clone()))
        .execute(&mut **tx)
        .await?;
    if added.rows_affected() != 1 {
        return Err(StoreError::Stale { what: run.to_string() });
    }
    if let Some(content) = &content {
        contents::keep(tx, content).await?;
    }
    if let Input::Answer { id, reply } = input {
        let answered = sqlx::query("DELETE FROM requests WHERE run_id = $1 AND id = $2 RETURNING request");
        let row = answered.bind(signed(run.0)).bind(signed(id.0)).fetch_optional(&mut **tx).await?;
        let text = row.map(|row| row.try_get::<String, _>(0)).transpose()?;
        let request = text.map(|text| serde_json::from_str(&text)).transpose();
        let more = match (request.map_err(StoreError::damaged("a request"))?, reply) {
            (Some(Request::Allocate { .. }), Reply::Allocated(_)) => 1,
            (Some(Request::Allocate { job, .. }), _) => return crate::elsewhere::over(tx, run, job).await,
            (Some(Request::Release { job }), _) => {
                crate::elsewhere::over(tx, run, job).await?;
                -1
            }
            _ => return Ok(()),
        };
        let change = sqlx::query("UPDATE runs SET places = places + $1 WHERE id = $2");
        change.bind(more).bind(signed(run.0)).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Something happened, within the change that it belongs to.
pub(crate) async fn happened(tx: &mut Change, run: RunId, at: Millis, event: &Event) -> Result<(), StoreError> {
    if let Event::TestsReported { cases, .. } = event {
        return crate::test_results::add(tx, run, cases).await;
    }
    if let Event::Annotated { annotations, .. } = event {
        return crate::annotations::add(tx, run, annotations).await;
    }
    if let Event::RunDescribed { name, description } = event {
        let clip = |text: &Option<String>| {
            text.as_ref()
                .map(|text| text.replace('\0', "\u{fffd}").chars().take(MAX_DESCRIPTION_CHARS).collect::<String>())
        };
        let change = sqlx::query("UPDATE runs SET display_name = $1, description = $2 WHERE id = $3");
        change.bind(clip(name)).bind(clip(description)).bind(signed(run.0)).execute(&mut **tx).await?;
        return Ok(());
    }
    let text = serde_json::to_string(event).map_err(StoreError::damaged("an event"))?;
    let row = sqlx::query("UPDATE runs SET events = events + 1 WHERE id = $1 RETURNING events").bind(signed(run.0));
    let seq: i64 = row.fetch_one(&mut **tx).await?.try_get(0)?;
    sqlx::query("INSERT INTO events (run_id, seq, at_ms, event) VALUES ($1, $2, $3, $4)")
        .bind(signed(run.0))
        .bind(seq)
        .bind(signed(at))
        .bind(text)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn line(act: &Act, at: Millis) -> Option<LogLine> {
    Some(match act {
        Act::Event(Event::Log { step, stage, source, text }) => {
            LogLine { at, step: *step, stage: *stage, source: *source, text: text.clone() }
        }
        // As in the log of Jenkins, so that its reader need not look at what happened.
        Act::Event(Event::StageSkipped { stage, reason }) => {
            LogLine { at, step: None, stage: Some(*stage), source: LogSource::Step, text: reason.clone() }
        }
        _ => return None,
    })
}
