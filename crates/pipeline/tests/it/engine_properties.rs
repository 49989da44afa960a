//! What definitions say of their projects.

use model::event::Event;
use model::outcome::Outcome;
use model::properties::{Alone, Keep, ParameterKind, Properties, Trigger};

use crate::engine::run;
use crate::engine_world::Ran;

/// What was said last; `None`: nothing was.
fn said(ran: &Ran) -> Option<Properties> {
    ran.events.iter().rev().find_map(|event| match event {
        Event::PropertiesSet { properties } => Some(properties.clone()),
        _ => None,
    })
}

fn declarative(sections: &str) -> Ran {
    run(&format!("pipeline {{ agent none\n{sections}\nstages {{ stage('a') {{ steps {{ echo 'ran' }} }} }} }}"))
}

fn check(ran: &Ran, expect: &Properties) {
    ran.is(Outcome::Success);
    assert_eq!(said(ran).as_ref(), Some(expect));
}

fn cron(text: &str) -> Trigger {
    Trigger::Cron(text.to_owned())
}

fn upstream(projects: &[&str], threshold: Outcome) -> Trigger {
    Trigger::Upstream { projects: projects.iter().map(ToString::to_string).collect(), threshold }
}

#[test]
fn a_pipeline_that_says_nothing_says_that() {
    check(&declarative(""), &Properties::default());
    assert_eq!(said(&run("echo 'a script'")), None, "what a script has said before stands");
}

#[test]
fn options_of_a_project() {
    let none = Properties::default();
    check(
        &declarative("options { disableConcurrentBuilds() }"),
        &Properties { alone: Some(Alone::default()), ..none.clone() },
    );
    let abort = Properties { alone: Some(Alone { abort_previous: true }), ..none.clone() };
    check(&declarative("options { disableConcurrentBuilds(abortPrevious: true) }"), &abort);
    check(&run("properties([disableConcurrentBuilds(abortPrevious: true)])"), &abort);
    check(&run("properties([[$class: 'DisableConcurrentBuildsJobProperty', abortPrevious: true]])"), &abort);
    let keep = |keep| Properties { keep: Some(keep), ..none.clone() };
    let rotator =
        "logRotator(numToKeepStr: '5', daysToKeepStr: '', artifactNumToKeepStr: '-1', artifactDaysToKeepStr: '7')";
    let expect = keep(Keep { runs: Some(5), artifact_days: Some(7), ..Keep::default() });
    check(&declarative(&format!("options {{ buildDiscarder({rotator}) }}")), &expect);
    check(&run(&format!("def n = 5\nproperties([buildDiscarder({})])", rotator.replace("'5'", "\"${n}\""))), &expect);
    let old = "properties([[$class: 'BuildDiscarderProperty', strategy: [$class: 'LogRotator', numToKeepStr: '5']]])";
    check(&run(old), &keep(Keep { runs: Some(5), ..Keep::default() }));
    let stashes = |count| Properties { stashes: Some(count), ..none.clone() };
    check(&declarative("options { preserveStashes() }"), &stashes(1));
    check(&declarative("options { preserveStashes(buildCount: 5) }"), &stashes(5));
    // As in Jenkins.
    check(&declarative("options { buildDiscarder(logRotator(numToKeepStr: 'five')) }"), &keep(Keep::default()));
}

#[test]
fn triggers_of_a_project() {
    let of = |triggers: Vec<Trigger>| Properties { triggers, ..Properties::default() };
    let both = of(vec![cron("H 4 * * 1-5"), Trigger::PollScm("H/5 * * * *".to_owned())]);
    check(&declarative("triggers { cron('H 4 * * 1-5'); pollSCM('H/5 * * * *') }"), &both);
    check(&run("properties([pipelineTriggers([cron('H 4 * * 1-5'), pollSCM('H/5 * * * *')])])"), &both);
    check(
        &run("properties([pipelineTriggers([[$class: 'TimerTrigger', spec: '@daily']])])"),
        &of(vec![cron("@daily")]),
    );
    let conditional = "triggers { cron(1 == 1 ? '@hourly' : '') }";
    check(&declarative(conditional), &of(vec![cron("@hourly")]));
    let after = "triggers { upstream(upstreamProjects: 'lib, folder/other', threshold: hudson.model.Result.UNSTABLE) }";
    check(&declarative(after), &of(vec![upstream(&["lib", "folder/other"], Outcome::Unstable)]));
    check(&declarative("triggers { upstream 'lib' }"), &of(vec![upstream(&["lib"], Outcome::Success)]));
    check(&declarative("triggers { githubPush() }"), &of(vec![]));
    let wrong = declarative("triggers { cron('61 * * * *') }");
    wrong
        .is(Outcome::Failure)
        .has("Could not instantiate {spec=61 * * * *} for hudson.triggers.TimerTrigger")
        .lacks("ran");
}

#[test]
fn parameters_of_a_project() {
    let declared = "string(name: 'WHO', defaultValue: ' you ', trim: true, description: 'who it is')
        booleanParam(name: 'SURE', defaultValue: true)
        choice(name: 'WHERE', choices: ['a', 'b'])
        password(name: 'KEY', defaultValue: 's3cret')";
    let ran = declarative(&format!("parameters {{ {declared} }}"));
    ran.is(Outcome::Success);
    let told = said(&ran).unwrap().parameters;
    let short: Vec<_> =
        told.iter().map(|of| (of.name.as_str(), of.kind, of.default.as_str(), of.choices.len())).collect();
    let expect = [
        ("WHO", ParameterKind::String, "you", 0),
        ("SURE", ParameterKind::Boolean, "true", 0),
        ("WHERE", ParameterKind::Choice, "a", 2),
        ("KEY", ParameterKind::Password, "", 0),
    ];
    assert_eq!(short, expect);
    assert_eq!(told[0].description, "who it is");
    let script = format!("properties([parameters([{}])])\necho params.WHO", declared.replace(")\n", "),\n"));
    let ran = run(&script);
    ran.is(Outcome::Success).has("\nyou\n");
    assert_eq!(said(&ran).unwrap().parameters, told);
}

/// What a plugin's entry is given is that plugin's: nobody here knows its values, and nothing is done with them.
#[test]
fn entries_of_plugins_are_taken_as_they_are() {
    for sections in [
        "options { office365ConnectorWebhooks([[name: 'x', url: 'https://example.org', startNotification: true]]) }",
        "options { sidebarLinks([[url: 'https://example.org']]); disableConcurrentBuilds() }",
        "triggers { gerrit(serverName: 'g', triggerOnEvents: [patchsetCreated(excludeDrafts: true), commentAddedContains('recheck')]) }",
        "triggers { bitBucketTrigger([[$class: 'BitBucketPPRRepositoryTriggerFilter']]) }",
        "triggers { githubPullRequests(events: [soon()]) }",
        "parameters { nodeParam(name: 'N', eligibility: allNodes()) }",
    ] {
        declarative(sections).is(Outcome::Success).has("ran");
        let source =
            format!("pipeline {{ agent any\n{sections}\nstages {{ stage('a') {{ steps {{ echo 'ran' }} }} }} }}");
        let found = pipeline::lint::lint(&source);
        assert!(found.iter().all(|f| f.rule != Some("unknown-step")), "{sections}: {found:?}");
    }
    let events = "gerrit(triggerOnEvents: [patchsetCreated(), changeMerged()])";
    run(&format!("properties([pipelineTriggers([{events}])])")).is(Outcome::Success);
}
