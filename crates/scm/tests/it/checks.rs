//! Runs as checks of GitHub.

use scm::{
    Annotation, Check, CheckId, CheckRun, Conclusion, Level, MAX_ANNOTATIONS, Method, Progress, State, annotate_check,
    create_check, read_check, update_check,
};
use serde_json::{Value, json};

use crate::COMMIT;

const REMARK: Annotation<'_> = Annotation {
    path: "src/main.rs",
    first_line: 3,
    last_line: 3,
    columns: Some((5, 9)),
    level: Level::Warning,
    title: Some("clippy"),
    message: "this is slow",
};

/// A check with these remarks.
pub fn check<'a>(progress: Progress, annotations: &'a [Annotation<'a>]) -> CheckRun<'a> {
    CheckRun {
        repository: "org/the app",
        commit: COMMIT,
        name: "cofferdam/app",
        progress,
        title: "1 of 2 tests failed",
        summary: "**sums** does not add up",
        annotations,
        url: "https://ci.example/runs/1",
        external_id: "1",
    }
}

/// A remark of each kind.
pub fn remarks() -> Vec<Annotation<'static>> {
    let levels = [Level::Notice, Level::Warning, Level::Failure];
    let mut remarks: Vec<_> = levels.map(|level| Annotation { level, ..REMARK }).into();
    remarks.push(Annotation { last_line: 7, title: None, ..REMARK });
    remarks
}

fn remarked(check: &Check) -> usize {
    check.body["output"]["annotations"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_check_is_made_and_changed() {
    let remarks = [REMARK];
    let made = create_check("https://api/", "t0ken", &check(Progress::Queued, &remarks));
    assert_eq!((made.method, made.url.as_str()), (Method::Post, "https://api/repos/org/the%20app/check-runs"));
    assert!(made.headers.contains(&("authorization", "Bearer t0ken".to_owned())));
    assert!(!format!("{made:?}").contains("t0ken"));
    let remark = json!({ "path": "src/main.rs", "start_line": 3, "end_line": 3, "start_column": 5, "end_column": 9,
        "annotation_level": "warning", "title": "clippy", "message": "this is slow" });
    let output =
        json!({ "title": "1 of 2 tests failed", "summary": "**sums** does not add up", "annotations": [remark] });
    let expect = json!({ "name": "cofferdam/app", "head_sha": COMMIT, "status": "queued", "external_id": "1",
        "details_url": "https://ci.example/runs/1", "output": output });
    assert_eq!(made.body, expect);
    let over = check(Progress::Completed(Conclusion::Failure), &remarks);
    let changed = update_check("https://api", "t0ken", CheckId(42), &over);
    assert_eq!(
        (changed.method, changed.url.as_str()),
        (Method::Patch, "https://api/repos/org/the%20app/check-runs/42")
    );
    let mut expect = expect;
    expect.as_object_mut().unwrap().remove("head_sha");
    expect["status"] = "completed".into();
    expect["conclusion"] = "failure".into();
    assert_eq!(changed.body, expect);
    assert!(annotate_check("https://api", "t0ken", CheckId(42), &over).is_empty());
    assert_eq!(read_check(&json!({ "id": 42 })), Ok(CheckId(42)));
    for answer in [json!({}), json!({ "id": "42" }), json!({ "id": -1 }), json!([42])] {
        assert!(read_check(&answer).is_err(), "{answer}");
    }
}

#[test]
fn each_state_of_a_run_is_one_of_a_check() {
    let words = |state: State| {
        let body = create_check("https://api", "t", &check(state.into(), &[])).body;
        (body["status"].clone(), body["conclusion"].clone())
    };
    let both =
        |status: &str, conclusion: Option<&str>| (Value::from(status), conclusion.map_or(Value::Null, Value::from));
    assert_eq!(words(State::Queued), both("queued", None));
    assert_eq!(words(State::Running), both("in_progress", None));
    assert_eq!(words(State::Success), both("completed", Some("success")));
    assert_eq!(words(State::Failure), both("completed", Some("failure")));
    assert_eq!(words(State::Aborted), both("completed", Some("cancelled")));
}

#[test]
fn annotations_go_in_parts() {
    for (count, expect) in [(0, vec![]), (50, vec![]), (51, vec![1]), (120, vec![50, 20]), (5000, vec![50; 19])] {
        let remarks = vec![REMARK; count];
        let run = check(Progress::InProgress, &remarks);
        let made = create_check("https://api", "t", &run);
        assert_eq!(remarked(&made), count.min(50));
        let others = annotate_check("https://api", "t", CheckId(1), &run);
        assert_eq!(others.iter().map(remarked).collect::<Vec<_>>(), expect, "{count}");
        assert!(others.iter().all(|check| check.method == Method::Patch && check.body["status"].is_null()));
        assert!(remarked(&made) + others.iter().map(remarked).sum::<usize>() <= MAX_ANNOTATIONS);
    }
    let (remarks, run) = (vec![REMARK; 70], |remarks| CheckRun { title: "", ..check(Progress::Queued, remarks) });
    let untitled = run(&remarks);
    assert_eq!(create_check("https://api", "t", &untitled).body.get("output"), None);
    assert!(annotate_check("https://api", "t", CheckId(1), &untitled).is_empty());
}

#[test]
fn what_github_would_refuse_is_not_sent() {
    let long = "é".repeat(100_000);
    let remarks = [
        Annotation { path: "", ..REMARK },
        Annotation { path: &long, ..REMARK },
        Annotation { message: " \n", ..REMARK },
        Annotation { first_line: 0, last_line: 0, columns: Some((0, 0)), ..REMARK },
        Annotation { first_line: 9, last_line: 3, columns: Some((9, 3)), ..REMARK },
        Annotation { last_line: 4, message: &long, title: Some(&long), ..REMARK },
    ];
    let run = CheckRun { title: &long, summary: &long, ..check(Progress::InProgress, &remarks) };
    let output = create_check("https://api", "t", &run).body["output"].take();
    let said = output["annotations"].as_array().unwrap();
    assert_eq!(said.len(), 3);
    let lines = |at: usize| ["start_line", "end_line", "start_column", "end_column"].map(|key| said[at][key].as_u64());
    assert_eq!(lines(0), [Some(1); 4]);
    assert_eq!(lines(1), [Some(9); 4]);
    assert_eq!(lines(2), [Some(3), Some(4), None, None]);
    assert!(said[2]["message"].as_str().unwrap().len() <= 64_000);
    assert!(said[2]["title"].as_str().unwrap().len() <= 255 && output["title"].as_str().unwrap().len() <= 255);
    assert_eq!(output["summary"].as_str().unwrap().len(), 65_534, "at the end of a character");
    let unsummed = CheckRun { summary: "", ..check(Progress::InProgress, &[]) };
    assert_eq!(create_check("https://api", "t", &unsummed).body["output"]["summary"], "1 of 2 tests failed");
}
