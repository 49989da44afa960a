//! What runs have reported of tests, and how a test has done in runs before.
//!
//! Texts come from workloads, by way of agents: what is too long is cut, and what a run has too many of is counted only.

use std::collections::BTreeMap;

use model::ids::RunId;
use model::test_result::{MAX_DETAIL_CHARS, MAX_NAME_CHARS, MAX_RUN_CASES, TestCase, TestCounts, TestStatus};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::projects::ProjectId;
use crate::write::Change;
use crate::{Millis, Store, StoreError, signed, unsigned};

/// Runs in which a test's ups and downs are looked at.
const RUNS: i64 = 30;
/// Results of them, at most.
const MOST_RESULTS: i64 = 100_000;
/// Once broken and once mended is no more than that; who changes oftener on one branch is flaky.
const FLIPS: u64 = 3;

/// A test of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// It.
    pub case: TestCase,
}

/// How a test did in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastResult {
    /// Which run.
    pub run: RunId,
    /// Its number in that run, from 1.
    pub seq: u64,
    /// Its number in its project.
    pub number: u64,
    /// Branch, tag or commit of it.
    pub revision: Option<String>,
    /// Its commit.
    pub commit: Option<String>,
    /// When it was asked for.
    pub queued_at: Millis,
    /// What came of it.
    pub status: TestStatus,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What went wrong.
    pub message: Option<String>,
}

/// A test that fails now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakyTest {
    /// Its class.
    pub class: String,
    /// Its name.
    pub name: String,
    /// In so many of the last runs it passed or failed.
    pub runs: u64,
    /// In so many it failed.
    pub failed: u64,
    /// So often its result was another than that of the run before on the same branch.
    pub flips: u64,
    /// It has failed and passed at one commit.
    pub at_one_commit: bool,
}

fn status(word: &str) -> Result<TestStatus, StoreError> {
    TestStatus::of(word).ok_or_else(|| StoreError::Damaged { what: "a test", reason: format!("status {word:?}") })
}

fn key(class: &str, name: &str) -> String {
    let digest = Sha256::new().chain_update(class).chain_update([0]).chain_update(name).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// As databases take it, and no longer than that.
fn clip(text: &str, chars: usize) -> String {
    // One more for who has cut it before and says so.
    text.chars().take(chars + 1).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn case(row: &AnyRow) -> Result<TestResult, StoreError> {
    let case = TestCase {
        class: row.try_get(1)?,
        name: row.try_get(2)?,
        status: status(&row.try_get::<String, _>(3)?)?,
        ms: unsigned(row.try_get(4)?),
        message: row.try_get(5)?,
        detail: row.try_get(6)?,
    };
    Ok(TestResult { seq: unsigned(row.try_get(0)?), case })
}

/// Tests of a run, within the change that they belong to.
pub(crate) async fn add(tx: &mut Change, run: RunId, cases: &[TestCase]) -> Result<(), StoreError> {
    let mut counts = TestCounts::default();
    cases.iter().for_each(|case| counts.add(case.status));
    let row = sqlx::query(
        "UPDATE runs SET tests_failed = tests_failed + $1, tests_skipped = tests_skipped + $2, tests_passed = tests_passed + $3 \
         WHERE id = $4 RETURNING project_id, tests_failed + tests_skipped + tests_passed",
    );
    let row = row
        .bind(signed(counts.failed))
        .bind(signed(counts.skipped))
        .bind(signed(counts.passed))
        .bind(signed(run.0))
        .fetch_optional(&mut **tx)
        .await?;
    let row = row.ok_or_else(|| StoreError::Missing { what: "run", name: run.to_string() })?;
    let project: i64 = row.try_get(0)?;
    let before = unsigned(row.try_get(1)?) - counts.total();
    for (seq, case) in (before + 1..=MAX_RUN_CASES).zip(cases) {
        let (class, name) = (clip(&case.class, MAX_NAME_CHARS), clip(&case.name, MAX_NAME_CHARS));
        sqlx::query(
            "INSERT INTO tests (run_id, seq, project_id, test, class, name, status, ms, message, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(signed(run.0))
        .bind(signed(seq))
        .bind(project)
        .bind(key(&class, &name))
        .bind(class)
        .bind(name)
        .bind(case.status.word().to_owned())
        .bind(i64::try_from(case.ms).unwrap_or(i64::MAX))
        .bind(case.message.as_ref().map(|text| clip(text, MAX_NAME_CHARS)))
        .bind(case.detail.as_ref().map(|text| clip(text, MAX_DETAIL_CHARS)))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Tests of a run behind that number, of one kind or all.
    ///
    /// # Errors
    /// The database.
    pub async fn tests(
        &self,
        run: RunId,
        status: Option<TestStatus>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<TestResult>, StoreError> {
        let only = if status.is_some() { "AND status = $4" } else { "" };
        let text = format!(
            "SELECT seq, class, name, status, ms, message, detail FROM tests WHERE run_id = $1 AND seq > $2 {only} ORDER BY seq LIMIT $3"
        );
        let mut query =
            sqlx::query(sqlx::AssertSqlSafe(text)).bind(signed(run.0)).bind(signed(after)).bind(i64::from(limit));
        if let Some(status) = status {
            query = query.bind(status.word().to_owned());
        }
        query.fetch_all(&self.pool).await?.iter().map(case).collect()
    }

    /// How a test did in the runs of its project, the latest first; behind the result of that run and that number.
    ///
    /// # Errors
    /// The database.
    pub async fn test_history(
        &self,
        project: ProjectId,
        class: &str,
        name: &str,
        after: Option<(RunId, u64)>,
        limit: u32,
    ) -> Result<Vec<PastResult>, StoreError> {
        let query = sqlx::query(
            "SELECT r.id, r.number, r.revision, r.commit_id, r.queued_ms, t.status, t.ms, t.message, t.seq FROM tests t JOIN runs r ON r.id = t.run_id \
             WHERE t.project_id = $1 AND t.test = $2 AND t.run_id <= $3 AND (t.run_id < $3 OR t.seq > $4) ORDER BY t.run_id DESC, t.seq LIMIT $5",
        );
        let (run, seq) = after.map_or((i64::MAX, 0), |(run, seq)| (signed(run.0), signed(seq)));
        let rows = query.bind(signed(project.0)).bind(key(class, name)).bind(run).bind(seq).bind(i64::from(limit));
        let past = |row: &AnyRow| {
            Ok(PastResult {
                run: RunId(unsigned(row.try_get(0)?)),
                seq: unsigned(row.try_get(8)?),
                number: unsigned(row.try_get(1)?),
                revision: row.try_get(2)?,
                commit: row.try_get(3)?,
                queued_at: unsigned(row.try_get(4)?),
                status: status(&row.try_get::<String, _>(5)?)?,
                ms: unsigned(row.try_get(6)?),
                message: row.try_get(7)?,
            })
        };
        rows.fetch_all(&self.pool).await?.iter().map(past).collect()
    }

    /// Tests of a project that fail now and then, those that do so most first: in its last 30 runs that had tests, they failed and passed at
    /// one commit, merged with the same if at all, or changed three times on one branch.
    ///
    /// # Errors
    /// The database.
    pub async fn flaky_tests(&self, project: ProjectId, limit: usize) -> Result<Vec<FlakyTest>, StoreError> {
        let query = sqlx::query(
            "SELECT id FROM runs WHERE project_id = $1 AND tests_failed + tests_skipped + tests_passed > 0 ORDER BY id DESC LIMIT $2",
        );
        let rows = query.bind(signed(project.0)).bind(RUNS).fetch_all(&self.pool).await?;
        let Some(oldest) = rows.last() else { return Ok(Vec::new()) };
        let oldest: i64 = oldest.try_get(0)?;
        // Only those that have failed at all are looked at.
        let query = sqlx::query(
            "SELECT t.test, t.class, t.name, t.status, r.revision, r.commit_id, r.merge FROM tests t JOIN runs r ON r.id = t.run_id \
             WHERE t.project_id = $1 AND t.run_id >= $2 AND t.status <> 'skipped' AND t.test IN \
             (SELECT test FROM tests WHERE project_id = $1 AND run_id >= $2 AND status = 'failed') ORDER BY t.test, t.run_id, t.seq LIMIT $3",
        );
        let rows = query.bind(signed(project.0)).bind(oldest).bind(MOST_RESULTS).fetch_all(&self.pool).await?;
        let mut tests = BTreeMap::<String, Vec<Seen>>::new();
        let mut names = BTreeMap::new();
        for row in &rows {
            let test: String = row.try_get(0)?;
            let merge: Option<String> = row.try_get(6)?;
            let seen = Seen {
                has_failed: status(&row.try_get::<String, _>(3)?)? == TestStatus::Failed,
                revision: row.try_get(4)?,
                // As merged with another commit it is other code.
                code: row.try_get::<Option<String>, _>(5)?.map(|commit| (commit, merge.unwrap_or_default())),
            };
            if !names.contains_key(&test) {
                names.insert(test.clone(), (row.try_get::<String, _>(1)?, row.try_get::<String, _>(2)?));
            }
            tests.entry(test).or_default().push(seen);
        }
        let mut flaky: Vec<_> = tests
            .iter()
            .filter_map(|(test, seen)| {
                let (class, name) = names.get(test)?.clone();
                judge(class, name, seen)
            })
            .collect();
        flaky.sort_by(|a, b| {
            (b.at_one_commit, b.flips, &a.class, &a.name).cmp(&(a.at_one_commit, a.flips, &b.class, &b.name))
        });
        flaky.truncate(limit);
        Ok(flaky)
    }
}

/// A result among those of a test, the oldest first.
struct Seen {
    has_failed: bool,
    revision: Option<String>,
    /// Its commit, and what that was merged with.
    code: Option<(String, String)>,
}

/// `None`: it is not flaky.
fn judge(class: String, name: String, seen: &[Seen]) -> Option<FlakyTest> {
    let mut last = BTreeMap::new();
    let mut of_code = BTreeMap::<&(String, String), [bool; 2]>::new();
    let mut flips = 0;
    for Seen { has_failed, revision, code } in seen {
        flips += u64::from(last.insert(revision.as_deref(), *has_failed).is_some_and(|before| before != *has_failed));
        if let Some(code) = code {
            of_code.entry(code).or_default()[usize::from(*has_failed)] = true;
        }
    }
    let at_one_commit = of_code.values().any(|both| *both == [true, true]);
    let failed = seen.iter().filter(|seen| seen.has_failed).count() as u64;
    let runs = seen.len() as u64;
    (at_one_commit || flips >= FLIPS).then_some(FlakyTest { class, name, runs, failed, flips, at_one_commit })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `F` and `P`, each with its branch and its commit.
    fn check(seen: &[(char, &str, &str)], expect: Option<(u64, bool)>) {
        let seen: Vec<_> = seen
            .iter()
            .map(|(result, branch, commit)| Seen {
                has_failed: *result == 'F',
                revision: Some((*branch).to_owned()),
                code: Some(((*commit).to_owned(), String::new())),
            })
            .collect();
        let found = judge(String::new(), String::new(), &seen);
        assert_eq!(found.map(|found| (found.flips, found.at_one_commit)), expect);
    }

    #[test]
    fn flaky_is_who_changes_without_reason() {
        check(&[], None);
        let broken_and_mended = [('P', "main", "1"), ('F', "main", "2"), ('F', "main", "3"), ('P', "main", "4")];
        check(&broken_and_mended, None);
        check(&[('P', "main", "1"), ('F', "main", "1")], Some((1, true)));
        let again = [('P', "main", "1"), ('F', "main", "2"), ('P', "main", "3"), ('F', "main", "4")];
        check(&again, Some((3, false)));
        // What is broken on a branch of its own is broken there.
        check(&[('P', "main", "1"), ('F', "other", "2"), ('P', "main", "3"), ('F', "other", "4")], None);
    }
}
