//! Results of tests that a workload has reported. All of it is text of the workload: data, and nothing to be believed.

use serde::{Deserialize, Serialize};

/// So many of one run are kept, in all its reports.
pub const MAX_RUN_CASES: u64 = 100_000;
/// So many are told of at once.
pub const MAX_REPORTED_CASES: usize = 200;
/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 500;
/// The most that is kept of what a test says when it fails, in characters.
pub const MAX_DETAIL_CHARS: usize = 4000;

/// What came of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestStatus {
    /// It did not do what it should, or could not be run.
    Failed,
    /// It was not run.
    Skipped,
    /// It did.
    Passed,
}

impl TestStatus {
    /// As it is written down.
    pub fn word(self) -> &'static str {
        match self {
            TestStatus::Failed => "failed",
            TestStatus::Skipped => "skipped",
            TestStatus::Passed => "passed",
        }
    }

    /// The one that is written so.
    pub fn of(word: &str) -> Option<TestStatus> {
        [TestStatus::Failed, TestStatus::Skipped, TestStatus::Passed].into_iter().find(|status| status.word() == word)
    }
}

/// A test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCase {
    /// Whatever its tests are grouped by: a class, a file.
    pub class: String,
    /// Its name there. Class and name are the same test in the next run.
    pub name: String,
    /// What came of it.
    pub status: TestStatus,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What went wrong, or why it was not run, in a line.
    pub message: Option<String>,
    /// More of that: where it went wrong.
    pub detail: Option<String>,
}

impl TestCase {
    /// All text in it.
    pub(crate) fn each_text(&mut self, change: &mut impl FnMut(&mut String)) {
        let own = [&mut self.class, &mut self.name].into_iter();
        own.chain(&mut self.message).chain(&mut self.detail).for_each(change);
    }

    /// About what it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = [&self.message, &self.detail].map(|text| text.as_ref().map_or(0, String::len));
        self.class.len() + self.name.len() + texts[0] + texts[1] + 64
    }
}

/// How many tests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Failed.
    pub failed: u64,
    /// Not run.
    pub skipped: u64,
    /// Passed.
    pub passed: u64,
}

impl TestCounts {
    /// One more.
    pub fn add(&mut self, status: TestStatus) {
        match status {
            TestStatus::Failed => self.failed += 1,
            TestStatus::Skipped => self.skipped += 1,
            TestStatus::Passed => self.passed += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.failed + self.skipped + self.passed
    }
}
