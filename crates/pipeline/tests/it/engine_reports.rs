//! Steps that keep or read reports, as their plugins name what is meant.

use std::collections::BTreeMap;

use model::event::Event;
use model::outcome::Outcome;
use model::request::Request;

use crate::engine::{run, steps};

/// Source: `HtmlPublisher(List<HtmlPublisherTarget>)`, and `HtmlPublisherTarget`, whose folder and files must be there.
#[test]
fn html_reports_are_those_that_are_named() {
    let write = "['site/i.html', 'docs/j.html', 'secret.key'].each { writeFile file: it, text: it }";
    let two = "[[reportDir: 'site', reportFiles: 'i.html', reportName: 'HP'], [reportDir: 'docs', reportFiles: '*', reportName: 'D']]";
    let kept = BTreeMap::from([("D/j.html", "docs/j.html"), ("HP/i.html", "site/i.html")]);
    for call in
        [format!("step([$class: 'HtmlPublisher', reportTargets: {two}])"), format!("publishHTML(reportTargets: {two})")]
    {
        let ran = steps(&format!("{write}\n{call}"));
        ran.is(Outcome::Success);
        let archived: BTreeMap<&str, &str> = ran.archived.iter().map(|(path, text)| (&**path, &**text)).collect();
        assert_eq!(archived, kept, "{call}");
    }
    let nothing = |call: &str, missing: &str| {
        let ran = steps(&format!("{write}\n{call}"));
        ran.is(Outcome::Failure).has(&format!("Missing required parameter: \"{missing}\""));
        assert!(ran.archived.is_empty(), "{call}: {:?}", ran.archived);
    };
    nothing("publishHTML([:])", "reportDir");
    nothing("publishHTML(target: [reportDir: 'site', reportName: 'X'])", "reportFiles");
    nothing("publishHTML(target: [reportFiles: 'i.html', reportName: 'X'])", "reportDir");
    nothing(
        "step([$class: 'HtmlPublisher', reportTargets: [[reportDir: 'site', reportFiles: 'i.html'], [reportName: 'X']]])",
        "reportDir",
    );
    // Not of a folder that is called so, but of the run's variable.
    let ran = steps(
        "env.OF = 'site'; writeFile file: 'site/i.html', text: ''; publishHTML([reportDir: '${OF}', reportFiles: 'i.html', reportName: 'V'])",
    );
    assert!(ran.archived.contains_key("V/i.html"), "{}", ran.log);
}

#[test]
fn reports_of_several_folders_stay_several() {
    let ran = steps(
        "['r1/output.xml', 'r2/output.xml', 'c1/a.json', 'c2/a.json', 'd/clover.xml'].each { writeFile file: it, text: it }
         robot outputPath: 'r1'; robot outputPath: 'r2/'
         cucumber fileIncludePattern: '*.json', jsonReportDirectory: 'c1'
         cucumber fileIncludePattern: '*.json', jsonReportDirectory: './c2'
         clover cloverReportDir: 'd'",
    );
    ran.is(Outcome::Success);
    let kept: Vec<_> = ran.archived.iter().map(|(path, text)| (&**path, &**text)).collect();
    let all = ["c1/a.json", "c2/a.json", "d/clover.xml", "r1/output.xml", "r2/output.xml"];
    assert_eq!(kept, all.map(|path| (path, path)));
}

/// Source: `JUnitResultArchiver.parseAndSummarize`, and `XUnitProcessor`.
#[test]
fn patterns_know_the_variables_of_the_run() {
    let ran = steps(
        "env.OF = 'own'; writeFile file: 'own/x.xml', text: '<testcase/>'; writeFile file: 'own/c.xml', text: 'c'
         junit '${OF}/x.xml'; junit '$OF/*.xml'; xunit([JUnit(pattern: '${OF}/x.xml')]); checkstyle pattern: '${OF}/c.xml'
         junit testResults: '${NOBODY}/x.xml', allowEmptyResults: true",
    );
    ran.is(Outcome::Success);
    assert!(ran.archived.contains_key("own/c.xml"), "{:?}", ran.archived);
    let asked = ran.requests.iter().filter_map(|request| match request {
        Request::TestReport { files, .. } => Some(&*files.includes),
        _ => None,
    });
    assert_eq!(asked.collect::<Vec<_>>(), ["own/x.xml", "own/*.xml", "own/x.xml", "${NOBODY}/x.xml"]);
}

/// Source: `XUnitDefaultValues.MODE_PERCENT`, and the thresholds of the xunit plugin.
#[test]
fn thresholds_may_be_percent() {
    let tests = "writeFile file: 'j.xml', text: '<testcase/><testcase/><testcase/><testcase><failure/></testcase>'";
    let with = |said: &str| steps(&format!("{tests}; xunit(tools: [JUnit(pattern: 'j.xml')], {said})"));
    with("thresholdMode: 2, thresholds: [failed(failureThreshold: '24')]").is(Outcome::Failure);
    with("thresholdMode: 2, thresholds: [failed(failureThreshold: '25')]").is(Outcome::Success);
    with("thresholdMode: 2, thresholds: [failed(failureThreshold: '90', unstableThreshold: '3')]")
        .is(Outcome::Unstable);
    with("thresholdMode: 1, thresholds: [failed(failureThreshold: '1')]").is(Outcome::Success);
    with("thresholds: [passed(failureThreshold: '4')]").is(Outcome::Failure);
    with("thresholds: [passed(failureThreshold: '3')]").is(Outcome::Success);
    let none = "writeFile file: 'j.xml', text: '<testsuite/>'";
    steps(&format!(
        "{none}; xunit(tools: [JUnit(pattern: 'j.xml')], thresholdMode: 2, thresholds: [failed(failureThreshold: '0')])"
    ))
    .is(Outcome::Success);
    for tool in ["GoogleTestType", "org.jenkinsci.plugins.xunit.types.JUnitType", "PHPUnitJunitHudsonTestType"] {
        let call = format!(
            "step([$class: 'XUnitPublisher', tools: [[$class: '{tool}', pattern: 'j.xml']], thresholds: [[$class: 'FailedThreshold', failureThreshold: '0']]])"
        );
        steps(&format!("{tests}; {call}")).is(Outcome::Failure).lacks("xunit is recorded");
    }
}

/// Groovy 2.4, which Jenkins has, has no `tap` of its own.
#[test]
fn tap_is_a_step() {
    let scripted =
        steps("sh 'echo 1..1 > a.tap'; tap testResults: '*.tap'; tap('*.tap'); echo \"${[1].tap { add 2 }}\"");
    scripted.is(Outcome::Success).has("Kept 1 report file(s) that match ‘*.tap’").has("[1, 2]");
    run("pipeline { agent any; stages { stage('a') { steps { sh 'echo 1..1 > a.tap'; tap testResults: '*.tap' } } } }")
        .is(Outcome::Success)
        .has("Kept 1 report file(s)");
}

#[test]
fn classes_have_their_own_names_for_parameters() {
    let ran = steps(
        "writeFile file: 'c.xml', text: ''
         step([$class: 'IssuesRecorder', tools: [checkStyle(pattern: 'c.xml')]])
         step([$class: 'PlotPublisher', group: 'g']); step([$class: 'CoverageRecorder', tools: [[pattern: 'c.xml']]])
         wrap([$class: 'AmazonAwsCliBuildWrapper', defaultRegion: 'eu-1']) { echo \"region ${env.AWS_REGION}\" }",
    );
    ran.is(Outcome::Success).has("region eu-1").has("that match ‘c.xml’").lacks("Unknown parameter");
    steps("wrap([$class: 'SSHAgentBuildWrapper', credentialIds: ['no']]) { }").is(Outcome::Failure).has("with ID 'no'");
    steps("step([$class: 'NexusPublisherBuildStep'])").lacks("is not supported yet");
}

#[test]
fn times_are_shown_until_the_outermost_block_ends() {
    let ran = run("timestamps { timestamps { echo 'in' }; wrap([$class: 'TimestamperBuildWrapper']) { }; echo 'still' }; echo 'out'
        try { timestamps { error 'x' } } catch (e) { }");
    let said = ran.events.iter().filter_map(|event| match event {
        Event::TimestampsSwitched { on } => Some(*on),
        _ => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), [true, false, true, false]);
    ran.is(Outcome::Success);
}

/// Source: `JUnitResultsStepExecution`: who leaves the stage as it is leaves the run, too.
#[test]
fn reports_are_read_behind_a_block_and_mark_what_they_may() {
    let write = "writeFile file: 'r.xml', text: '<testcase/><testcase><failure/></testcase>'";
    let ran = steps(&format!("{write}; realtimeJUnit('*.xml') {{ echo 'in it' }}; echo 'behind'"));
    ran.is(Outcome::Unstable).has("in it\n").has("Recording test results").has("behind\n");
    let ran = steps(&format!("realtimeJUnit('*.xml') {{ {write}; error 'broken' }}"));
    ran.is(Outcome::Failure).has("Recording test results").has("ERROR: broken");
    let ran = steps(&format!(
        "{write}; junit testResults: '*.xml', skipMarkingStageUnstable: true; echo \"<${{currentBuild.result}}>\""
    ));
    ran.is(Outcome::Success).has("<null>");
    steps("realtimeJUnit('*.xml') { }").is(Outcome::Failure).has("No test report files were found");
}
