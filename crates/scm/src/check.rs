//! A run as a check of GitHub, which says more than a status: a summary, and remarks that stand beside the lines of a change.
//!
//! Only an app may write checks, with a token of its installation: <https://docs.github.com/rest/checks/runs>. A check is made once,
//! and changed by the number that GitHub gave it.

use std::fmt;

use serde_json::{Value, json};

use crate::api::{headers, repository};
use crate::field::number;
use crate::{Forge, Refused, State};

/// The most annotations of one check that are sent: more, nobody reads.
pub const MAX_ANNOTATIONS: usize = 1000;

/// GitHub refuses more in one request.
const MOST_AT_ONCE: usize = 50;
/// The longest summary, in characters. Cut in bytes, for then it fits however they are counted.
const MAX_SUMMARY: usize = 65_535;
/// The longest message of an annotation is 64 KB, of whichever kind.
const MAX_MESSAGE: usize = 64_000;
/// The longest title, of annotations in characters; for that of the check no limit is written down.
const MAX_TITLE: usize = 255;
/// The longest path that Linux and git take. A path that is cut would be another one.
const MAX_PATH: usize = 4096;

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits.
    Queued,
    /// It runs.
    InProgress,
    /// It is over.
    Completed(Conclusion),
}

/// How a check has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Well.
    Success,
    /// Not well.
    Failure,
    /// So that it keeps nobody from merging.
    Neutral,
    /// It was ended before it could say.
    Cancelled,
    /// There was nothing to do.
    Skipped,
    /// It took too long.
    TimedOut,
    /// Somebody has to do something at [`CheckRun::url`].
    ActionRequired,
}

impl From<State> for Progress {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Progress::Queued,
            State::Running => Progress::InProgress,
            State::Success => Progress::Completed(Conclusion::Success),
            State::Failure => Progress::Completed(Conclusion::Failure),
            State::Aborted => Progress::Completed(Conclusion::Cancelled),
        }
    }
}

/// How bad a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Not at all.
    Notice,
    /// Somewhat.
    Warning,
    /// Very.
    Failure,
}

/// A remark on lines of a file. One without a path or a message is not sent, for GitHub would refuse all that are sent with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotation<'a> {
    /// Within the repository: `src/main.rs`.
    pub path: &'a str,
    /// The first line, from 1.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// The first and the last column, from 1, where it is one line.
    pub columns: Option<(u32, u32)>,
    /// How bad.
    pub level: Level,
    /// A few words.
    pub title: Option<&'a str>,
    /// The remark.
    pub message: &'a str,
}

/// A run as a check.
#[derive(Clone, Copy, Debug)]
pub struct CheckRun<'a> {
    /// `org/app`
    pub repository: &'a str,
    /// The whole commit.
    pub commit: &'a str,
    /// What of it: of those of one name and commit, GitHub shows the latest.
    pub name: &'a str,
    /// How far.
    pub progress: Progress,
    /// A line for people; empty: neither it nor the summary is said yet.
    pub title: &'a str,
    /// What came of it, in Markdown.
    pub summary: &'a str,
    /// Remarks on lines. GitHub adds those of each request to those that it has, so each is to be sent once.
    pub annotations: &'a [Annotation<'a>],
    /// Where more is.
    pub url: &'a str,
    /// What the run is called here: GitHub tells it in webhooks of the check.
    pub external_id: &'a str,
}

/// The number that GitHub gave to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckId(pub u64);

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `POST`
    Post,
    /// `PATCH`
    Patch,
}

/// A request that makes a check or changes one.
#[derive(Clone, PartialEq)]
pub struct Check {
    /// How.
    pub method: Method,
    /// Whereto.
    pub url: String,
    /// With these headers; one of them has the token.
    pub headers: Vec<(&'static str, String)>,
    /// As JSON.
    pub body: Value,
}

/// Without the values of headers: one is a token.
impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Check");
        shown.field("method", &self.method).field("url", &self.url).field("body", &self.body).finish_non_exhaustive()
    }
}

/// Makes a check, with the first of its annotations; [`read_check`] reads the answer, and [`annotate_check`] sends the others.
pub fn create_check(api: &str, token: &str, run: &CheckRun<'_>) -> Check {
    let mut body = said(run);
    body["head_sha"] = run.commit.into();
    let url = format!("{}/check-runs", repository(Forge::Github, api, run.repository));
    Check { method: Method::Post, url, headers: headers(Forge::Github, Some(token)), body }
}

/// Changes a check. What annotations it has it keeps, and gets the first of these; [`annotate_check`] sends the others.
pub fn update_check(api: &str, token: &str, id: CheckId, run: &CheckRun<'_>) -> Check {
    patch(api, token, id, run, said(run))
}

/// Sends those annotations that did not fit into the request that made or changed the check, in as many requests as it takes.
pub fn annotate_check(api: &str, token: &str, id: CheckId, run: &CheckRun<'_>) -> Vec<Check> {
    let annotations = sendable(run);
    let rest = annotations.chunks(MOST_AT_ONCE).skip(1);
    rest.map(|some| patch(api, token, id, run, json!({ "output": output(run, some) }))).collect()
}

/// Reads the number of a check from the answer to the request that made or changed it.
///
/// # Errors
/// [`Refused::Answer`].
pub fn read_check(answer: &Value) -> Result<CheckId, Refused> {
    let id = number(answer, "/id").map(CheckId);
    id.map_err(|reason| Refused::Answer { forge: Forge::Github, reason })
}

fn patch(api: &str, token: &str, CheckId(id): CheckId, run: &CheckRun<'_>, body: Value) -> Check {
    let url = format!("{}/check-runs/{id}", repository(Forge::Github, api, run.repository));
    Check { method: Method::Patch, url, headers: headers(Forge::Github, Some(token)), body }
}

fn said(run: &CheckRun<'_>) -> Value {
    let (status, conclusion) = words(run.progress);
    let mut body =
        json!({ "name": run.name, "status": status, "details_url": run.url, "external_id": run.external_id });
    if let Some(conclusion) = conclusion {
        body["conclusion"] = conclusion.into();
    }
    if !run.title.is_empty() {
        let annotations = sendable(run);
        body["output"] = output(run, annotations.get(..MOST_AT_ONCE).unwrap_or(&annotations));
    }
    body
}

fn words(progress: Progress) -> (&'static str, Option<&'static str>) {
    let conclusion = match progress {
        Progress::Queued => return ("queued", None),
        Progress::InProgress => return ("in_progress", None),
        Progress::Completed(conclusion) => match conclusion {
            Conclusion::Success => "success",
            Conclusion::Failure => "failure",
            Conclusion::Neutral => "neutral",
            Conclusion::Cancelled => "cancelled",
            Conclusion::Skipped => "skipped",
            Conclusion::TimedOut => "timed_out",
            Conclusion::ActionRequired => "action_required",
        },
    };
    ("completed", Some(conclusion))
}

fn output(run: &CheckRun<'_>, annotations: &[Value]) -> Value {
    // GitHub wants one.
    let summary = if run.summary.is_empty() { run.title } else { run.summary };
    json!({
        "title": cut(run.title, MAX_TITLE),
        "summary": cut(summary, MAX_SUMMARY),
        "annotations": annotations,
    })
}

/// Without a title there is no output to which they could belong.
fn sendable(run: &CheckRun<'_>) -> Vec<Value> {
    let all = run.annotations.iter().filter(|_| !run.title.is_empty());
    all.filter_map(annotation).take(MAX_ANNOTATIONS).collect()
}

fn annotation(annotation: &Annotation<'_>) -> Option<Value> {
    let Annotation { path, message, .. } = *annotation;
    if path.is_empty() || path.len() > MAX_PATH || message.trim().is_empty() {
        return None;
    }
    let level = match annotation.level {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Failure => "failure",
    };
    let first = annotation.first_line.max(1);
    let last = annotation.last_line.max(first);
    let message = cut(message, MAX_MESSAGE);
    let mut said =
        json!({ "path": path, "start_line": first, "end_line": last, "annotation_level": level, "message": message });
    if let Some(title) = annotation.title {
        said["title"] = cut(title, MAX_TITLE).into();
    }
    // Of several lines columns are refused.
    if let Some((from, to)) = annotation.columns.filter(|_| first == last) {
        said["start_column"] = from.max(1).into();
        said["end_column"] = to.max(from).max(1).into();
    }
    Some(said)
}

/// What of a text fits into so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
