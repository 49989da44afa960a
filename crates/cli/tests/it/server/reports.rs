//! What runs report of tests: in the log, at the server, and over the command line.

use serde_json::Value;

use super::place::Place;
use crate::project::Project;

const TESTED: &str = r#"node {
    sh '''mkdir reports
cat > reports/TEST-a.xml <<'XML'
<testsuite name="a.B"><testcase name="works" classname="a.B" time="0.5"/>
<testcase name="breaks" classname="a.B"><failure message="expected &lt;1&gt;">at line 7</failure></testcase></testsuite>
XML
echo no report > reports/TEST-b.xml'''
    def found = junit 'reports/*.xml'
    echo "${found.failCount} of ${found.totalCount}"
}"#;

#[test]
fn tests_are_read_and_remembered() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new(TESTED);
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert_eq!(ran.code, 3, "unstable: {ran:?}\n{}", place.logs());
    for line in ["failed: a.B breaks: expected <1>", "tests: 2 failed, 0 skipped, 1 passed", "2 of 3"] {
        assert!(ran.stdout.contains(line), "{line}: {ran:?}");
    }
    let failed = place.ask(&["tests", "ls", "1"]).stdout;
    for line in ["a.B breaks: expected <1>\n", "reports/TEST-b.xml [failed-to-read]: it has no element\n"] {
        assert!(failed.contains(line), "{failed}");
    }
    assert!(failed.lines().count() == 3 && failed.ends_with("\n2 failed, 0 skipped, 1 passed\n"), "{failed}");
    let all = place.ask(&["tests", "ls", "1", "--all", "--output", "json"]).stdout;
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let works = all.iter().find(|test| test["name"] == "works").unwrap();
    assert_eq!((all.len(), &works["status"], &works["ms"]), (3, &"passed".into(), &500.into()));

    // It is mended.
    project.write("Jenkinsfile", &TESTED.replace("<failure message=\"expected &lt;1&gt;\">at line 7</failure>", ""));
    assert_eq!(place.ask(&["trigger", "app", "--follow"]).code, 3);
    let history = place.ask(&["tests", "history", "app", "a.B", "breaks"]).stdout;
    let words: Vec<_> = history.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(words, ["passed", "failed"], "{history}");
    let flaky = place.ask(&["tests", "flaky", "app"]);
    assert_eq!((flaky.code, &*flaky.stdout), (0, ""), "once mended is not flaky");
    assert_eq!(place.ask(&["tests", "flaky", "none"]).code, 2);
}
