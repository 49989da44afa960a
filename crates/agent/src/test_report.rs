//! `junit`: what files in the format of JUnit's Ant task say of tests.
//!
//! The files were written by the workload. They are read as far as they make sense, within bounds, and say nothing of anything but that
//! run's tests: entities of a document are not looked up, nothing is fetched, and a file that is none counts as a failed test, so that
//! it is not overlooked.

use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::event::Event;
use model::ids::StepId;
use model::request::{FileSet, Reply};
use model::test_result::{MAX_DETAIL_CHARS, MAX_NAME_CHARS, MAX_REPORTED_CASES, TestCase, TestCounts, TestStatus};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event as Xml};
use tokio::sync::mpsc;
use wire::init::TarLimits;

use crate::failure::Trouble;
use crate::job::Job;
use crate::stash::{passed_over, unnamed};
use crate::xml_chars::Chars;

/// All files of one step.
const LIMITS: TarLimits = TarLimits { bytes: 256 << 20, entries: 20_000 };
/// One of them.
const MOST_FILE_BYTES: u64 = 64 << 20;
/// Elements within elements.
const MOST_DEPTH: usize = 64;
/// What a run tells of tests, in bytes of text; the others are counted only.
const MOST_TOLD_BYTES: usize = 32 << 20;
/// In one event.
const MOST_EVENT_BYTES: usize = 256 << 10;
/// Failed tests that are named in the log.
const MOST_NAMED: usize = 20;
/// A longer time is none.
const MOST_SECONDS: f64 = 1e7;

/// Reads reports, and tells of what is in them. Also what the log says of it. `told`: so many bytes the run has told before.
pub async fn read(
    job: &Job,
    scratch: &Path,
    step: StepId,
    files: FileSet,
    events: &mpsc::Sender<Event>,
    told: &AtomicUsize,
) -> Result<(Reply, Vec<String>), Trouble> {
    let failed = |error: std::io::Error| Trouble::infrastructure(format!("cannot keep test reports: {error}"));
    let mut spool = unnamed(scratch)?;
    let out = tokio::fs::File::from_std(spool.try_clone().map_err(failed)?);
    let summary = job.session.get_tar(Some(job.user.clone()), files, LIMITS, out).await?;
    let (sender, mut receiver) = mpsc::channel::<TestCase>(MAX_REPORTED_CASES);
    let reading = tokio::task::spawn_blocking(move || {
        spool.seek(SeekFrom::Start(0))?;
        read_all(&spool, |case| sender.blocking_send(case).is_ok())
    });
    let (mut tests, mut untold, mut batch) = (TestCounts::default(), 0, Batch::default());
    let mut notes = Vec::new();
    while let Some(case) = receiver.recv().await {
        tests.add(case.status);
        if case.status == TestStatus::Failed && tests.failed <= MOST_NAMED as u64 {
            notes.push(in_a_line(&case));
        }
        if told.fetch_add(case.bytes(), Ordering::Relaxed) > MOST_TOLD_BYTES {
            untold += 1;
            continue;
        }
        if batch.is_full_with(&case) {
            tell(events, step, batch.take()).await;
        }
        batch.push(case);
    }
    tell(events, step, batch.take()).await;
    let count = reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(failed)?;
    if tests.failed > MOST_NAMED as u64 {
        notes.push(format!("{} more tests failed", tests.failed - MOST_NAMED as u64));
    }
    if tests.total() > 0 {
        let TestCounts { failed, skipped, passed } = tests;
        notes.push(format!("tests: {failed} failed, {skipped} skipped, {passed} passed"));
    }
    if untold > 0 {
        notes.push(format!("{untold} tests are counted and not kept: there are too many"));
    }
    notes.extend(passed_over("not read", &summary.skipped));
    Ok((Reply::Tests { files: count, tests }, notes))
}

/// Cases on their way.
#[derive(Default)]
struct Batch {
    cases: Vec<TestCase>,
    bytes: usize,
}

impl Batch {
    fn is_full_with(&self, case: &TestCase) -> bool {
        !self.cases.is_empty()
            && (self.cases.len() >= MAX_REPORTED_CASES || self.bytes + case.bytes() > MOST_EVENT_BYTES)
    }

    fn push(&mut self, case: TestCase) {
        self.bytes += case.bytes();
        self.cases.push(case);
    }

    fn take(&mut self) -> Vec<TestCase> {
        self.bytes = 0;
        std::mem::take(&mut self.cases)
    }
}

async fn tell(events: &mpsc::Sender<Event>, step: StepId, cases: Vec<TestCase>) {
    if !cases.is_empty() {
        let _ = events.send(Event::TestsReported { step, cases }).await;
    }
}

fn in_a_line(case: &TestCase) -> String {
    let message = case.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("failed: {} {}{message}", case.class, case.name)
}

/// How many files there are. `take` says whether anybody still wants them.
fn read_all(tar: &std::fs::File, mut take: impl FnMut(TestCase) -> bool) -> std::io::Result<u64> {
    let mut archive = tar::Archive::new(BufReader::new(tar));
    let mut count = 0;
    for entry in archive.entries()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        count += 1;
        let path = entry.path()?.to_string_lossy().into_owned();
        let size = entry.header().size()?;
        let fault = match size > MOST_FILE_BYTES {
            true => Some(format!("a report of {size} bytes; {MOST_FILE_BYTES} are read")),
            false => parse(BufReader::new(entry.take(MOST_FILE_BYTES)), &mut take).err(),
        };
        if let Some(fault) = fault {
            let (class, name) = (clip(&path, MAX_NAME_CHARS), "[failed-to-read]".to_owned());
            let message = Some(clip(&fault, MAX_NAME_CHARS));
            take(TestCase { class, name, status: TestStatus::Failed, ms: 0, message, detail: None });
        }
    }
    Ok(count)
}

/// A document: `testsuites`, `testsuite` within them or each other, `testcase` in those.
fn parse(input: impl BufRead, take: &mut impl FnMut(TestCase) -> bool) -> Result<(), String> {
    let mut reader = Reader::from_reader(input);
    let (mut buffer, mut open, mut found) = (Vec::new(), Vec::<Element>::new(), false);
    let (mut case, mut detail, mut chars) = (None::<TestCase>, None::<String>, Chars::default());
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let event = event.map_err(|error| format!("at byte {}: {error}", reader.error_position()))?;
        chars.check(&event).map_err(|wrong| format!("before byte {}: {wrong}", reader.buffer_position()))?;
        match event {
            Xml::Start(start) => {
                if open.len() >= MOST_DEPTH {
                    return Err(format!("elements within elements, more than {MOST_DEPTH} deep"));
                }
                found = true;
                let element = begin(&start, &open, &mut case);
                if matches!(element, Element::Verdict | Element::SuiteError) {
                    detail = Some(String::new());
                }
                open.push(element);
            }
            Xml::Empty(start) => {
                found = true;
                if matches!(begin(&start, &open, &mut case), Element::Case | Element::SuiteError)
                    && !case.take().is_none_or(&mut *take)
                {
                    return Ok(());
                }
            }
            Xml::End(_) => match open.pop() {
                Some(Element::Case) if !case.take().is_none_or(&mut *take) => return Ok(()),
                Some(ended @ (Element::Verdict | Element::SuiteError)) => {
                    if let (Some(case), Some(text)) = (&mut case, detail.take()) {
                        explain(case, &text);
                    }
                    if matches!(ended, Element::SuiteError) && !case.take().is_none_or(&mut *take) {
                        return Ok(());
                    }
                }
                _ => {}
            },
            Xml::Text(text) => add(&mut detail, &String::from_utf8_lossy(&text)),
            Xml::CData(text) => add(&mut detail, &String::from_utf8_lossy(&text)),
            Xml::GeneralRef(reference) => add(&mut detail, &resolved(&reference)),
            Xml::Eof if open.is_empty() && found => return Ok(()),
            Xml::Eof if found => return Err("it ends too early".to_owned()),
            Xml::Eof => return Err("it has no element".to_owned()),
            _ => {}
        }
    }
}

/// An open element, as far as it matters.
enum Element {
    /// A group of tests, and its name.
    Suite(String),
    Case,
    /// What went wrong, or why it was not run.
    Verdict,
    /// What kept a whole group from running: a failed test of its own.
    SuiteError,
    Other,
}

fn begin(start: &BytesStart<'_>, open: &[Element], case: &mut Option<TestCase>) -> Element {
    let name = start.local_name();
    match (name.as_ref(), case) {
        (b"testsuite", None) => Element::Suite(attribute(start, "name").unwrap_or_default()),
        (b"testcase", case @ None) => {
            let suite = open.iter().rev().find_map(|element| match element {
                Element::Suite(name) => Some(name.clone()),
                _ => None,
            });
            let class = attribute(start, "classname").filter(|class| !class.is_empty()).or(suite);
            let name = attribute(start, "name").unwrap_or_default();
            let ms = milliseconds(attribute(start, "time").as_deref());
            *case = Some(TestCase { ms, ..passed(&class.unwrap_or_default(), &name) });
            Element::Case
        }
        (b"error", case @ None) => match open.last() {
            // Source: `SuiteResult` of Jenkins' junit plugin.
            Some(Element::Suite(suite)) => {
                verdict(start, case.insert(passed(suite, "<init>")), TestStatus::Failed);
                Element::SuiteError
            }
            _ => Element::Other,
        },
        (b"failure" | b"error", Some(case)) => verdict(start, case, TestStatus::Failed),
        (b"skipped", Some(case)) if case.status != TestStatus::Failed => verdict(start, case, TestStatus::Skipped),
        _ => Element::Other,
    }
}

fn passed(class: &str, name: &str) -> TestCase {
    let [class, name] = [class, name].map(|text| clip(text, MAX_NAME_CHARS));
    TestCase { class, name, status: TestStatus::Passed, ms: 0, message: None, detail: None }
}

fn verdict(start: &BytesStart<'_>, case: &mut TestCase, status: TestStatus) -> Element {
    case.status = status;
    let said = ["message", "type"].into_iter().find_map(|name| attribute(start, name).filter(|text| !text.is_empty()));
    if let (None, Some(text)) = (&case.message, said) {
        case.message = Some(clip(first_line(&text), MAX_NAME_CHARS));
    }
    Element::Verdict
}

/// What stands in such an element.
fn explain(case: &mut TestCase, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if case.message.is_none() {
        case.message = Some(clip(first_line(text), MAX_NAME_CHARS));
    }
    if case.detail.is_none() {
        case.detail = Some(clip(text, MAX_DETAIL_CHARS));
    }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

fn add(detail: &mut Option<String>, text: &str) {
    if let Some(detail) = detail
        // A character has at most four bytes; more is cut off later.
        && detail.len() <= 4 * MAX_DETAIL_CHARS
    {
        detail.push_str(&clip(text, MAX_DETAIL_CHARS));
    }
}

/// Of the entities that every document has. Others are left as they stand there.
fn resolved(reference: &BytesRef<'_>) -> String {
    let written = format!("&{};", String::from_utf8_lossy(reference));
    unescape(&written).map_or_else(|_| written.clone(), std::borrow::Cow::into_owned)
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.attributes().with_checks(false).flatten().find(|found| found.key.as_ref() == name.as_bytes())?;
    let written = String::from_utf8_lossy(&found.value).into_owned();
    Some(unescape(&written).map_or_else(|_| written.clone(), std::borrow::Cow::into_owned))
}

/// Seconds, perhaps with commas between their thousands.
fn milliseconds(time: Option<&str>) -> u64 {
    let seconds: f64 = time.and_then(|time| time.replace(',', "").trim().parse().ok()).unwrap_or(0.0);
    if seconds > 0.0 && seconds < MOST_SECONDS { (seconds * 1000.0).round() as u64 } else { 0 }
}

fn clip(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(document: &str) -> (Vec<TestCase>, Result<(), String>) {
        let mut cases = Vec::new();
        let done = parse(document.as_bytes(), &mut |case| {
            cases.push(case);
            true
        });
        (cases, done)
    }

    /// One line for each test.
    fn check(document: &str, expect: &[&str]) {
        let (cases, done) = of(document);
        assert_eq!(done, Ok(()), "{document}");
        let line = |case: &TestCase| {
            let texts = [&case.message, &case.detail].map(|text| text.clone().unwrap_or_default());
            format!("{}#{} {} {} [{}] [{}]", case.class, case.name, case.status.word(), case.ms, texts[0], texts[1])
        };
        assert_eq!(cases.iter().map(line).collect::<Vec<_>>(), expect, "{document}");
    }

    #[test]
    fn reports_of_several_tools_are_read() {
        // Surefire.
        check(
            r#"<?xml version="1.0" encoding="UTF-8"?>
               <testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="a.B" time="1.2" tests="3">
                 <properties><property name="java.version" value="17"/></properties>
                 <testcase name="works" classname="a.B" time="1,000.0045"/>
                 <testcase name="breaks" classname="a.B" time="0.01">
                   <failure message="expected:&lt;1&gt; but was:&lt;2&gt;" type="AssertionError"><![CDATA[java.lang.AssertionError
    at a.B.breaks(B.java:7)]]></failure>
                   <system-out>noise &amp; more</system-out>
                 </testcase>
                 <testcase name="later" classname="a.B"><skipped/></testcase>
               </testsuite>"#,
            &[
                "a.B#works passed 1000005 [] []",
                "a.B#breaks failed 10 [expected:<1> but was:<2>] [java.lang.AssertionError\n    at a.B.breaks(B.java:7)]",
                "a.B#later skipped 0 [] []",
            ],
        );
        // pytest, nextest: suites in suites, an error, a message in the text alone.
        check(
            "<testsuites><testsuite name='outer'><testsuite name='inner'>
               <testcase name='t'><error>first &lt;line&gt; &#65;\nsecond</error><error message='not this one'/></testcase>
             </testsuite><testcase name='u' classname=''><skipped message='why'/></testcase></testsuite></testsuites>",
            &["inner#t failed 0 [first <line> A] [first <line> A\nsecond]", "outer#u skipped 0 [why] []"],
        );
        // A class that could not be loaded.
        check(
            "<testsuites><testsuite name='a'><error message='no class'>trace</error><testcase name='x' classname='c'/></testsuite>
             <testsuite name='b'><error/></testsuite></testsuites>",
            &["a#<init> failed 0 [no class] [trace]", "c#x passed 0 [] []", "b#<init> failed 0 [] []"],
        );
        check("<testsuites/>", &[]);
    }

    #[test]
    fn what_is_no_report_is_said() {
        let fault = |document: &str| of(document).1.unwrap_err();
        assert_eq!(fault(""), "it has no element");
        assert_eq!(fault("no report"), "it has no element");
        assert_eq!(fault("<testsuite><testcase name='a'/>"), "it ends too early");
        assert!(fault("<testsuite></testcase>").contains("at byte"));
        assert!(fault(&"<a>".repeat(MOST_DEPTH + 1)).contains("deep"));
        assert!(fault("<testsuite>\u{1b}[31m</testsuite>").ends_with(": U+001B is no character of XML"));
        // What was whole before counts.
        assert_eq!(of("<testsuite><testcase name='a'/><").0.len(), 1);
    }

    #[test]
    fn hostile_documents_stay_small() {
        let laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><testsuite><testcase name='&b;'><failure>&b;</failure></testcase></testsuite>";
        check(laughs, &["#&b; failed 0 [&b;] [&b;]"]);
        let outside = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><testsuite><testcase name='n'><failure>&a;</failure></testcase></testsuite>";
        check(outside, &["#n failed 0 [&a;] [&a;]"]);
        let long = "x".repeat(100_000);
        let document = format!(
            "<testsuite><testcase name='{long}'><failure message='{long}'>{long}</failure></testcase></testsuite>"
        );
        let (cases, _) = of(&document);
        let chars = |text: &Option<String>| text.as_ref().unwrap().chars().count();
        assert_eq!(cases[0].name.chars().count(), MAX_NAME_CHARS + 1);
        assert_eq!((chars(&cases[0].message), chars(&cases[0].detail)), (MAX_NAME_CHARS + 1, MAX_DETAIL_CHARS + 1));
    }

    #[test]
    fn a_file_that_is_none_is_a_failed_test() {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, content) in [("ok.xml", "<testsuite><testcase name='a'/></testsuite>"), ("broken.xml", "no XML")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut cases = Vec::new();
        let count = read_all(&file, |case| {
            cases.push((case.class, case.name, case.status));
            true
        });
        assert_eq!(count.unwrap(), 2);
        let failed = ("broken.xml".to_owned(), "[failed-to-read]".to_owned(), TestStatus::Failed);
        assert_eq!(cases, [(String::new(), "a".to_owned(), TestStatus::Passed), failed]);
    }
}
