//! What lint says of steps and directives that do not do here what they do in Jenkins: where, and where not.

use groovy::diagnostic::Severity;
use pipeline::definition::{Purpose, Surroundings, analyse};
use pipeline::lint::{lint, lint_in};

use crate::engine::run;

/// Asserts which findings of a rule a text has, each as line and words.
#[track_caller]
fn check(rule: &str, source: &str, expected: &[(usize, &str)]) {
    let all = lint(source);
    assert!(all.iter().all(|it| it.severity == Severity::Warning), "{source}\n{all:#?}");
    let found: Vec<_> = all
        .iter()
        .filter(|it| it.rule == Some(rule))
        .map(|it| {
            let (start, end) = (it.span.start as usize, it.span.end as usize);
            (source[..start].matches('\n').count() + 1, &source[start..end])
        })
        .collect();
    assert_eq!(found, expected, "{rule}: {source}\n{all:#?}");
}

fn steps(steps: &str) -> String {
    format!("pipeline {{ agent any\nstages {{ stage('s') {{ steps {{\n{steps}\n}} }} }} }}")
}

#[test]
fn every_place_of_a_step_that_is_not_done_is_told() {
    let source = steps("slackSend message: 'a'\nwaitForQualityGate()\nslackSend message: 'b'\nwaitForQualityGate()");
    check("recorded-step", &source, &[(3, "slackSend"), (5, "slackSend")]);
    check("unsupported-step", &source, &[(4, "waitForQualityGate"), (6, "waitForQualityGate")]);
    let allowed = source.replace("'b'", "'b' // cofferdam: allow recorded-step");
    check("recorded-step", &allowed, &[(3, "slackSend")]);
    // Who runs it is told of the first.
    let surroundings = Surroundings { purpose: Purpose::Run, ..Surroundings::default() };
    let told = analyse(&source, &surroundings).diagnostics;
    let lines: Vec<_> = told.iter().map(|it| source[..it.span.start as usize].matches('\n').count() + 1).collect();
    assert_eq!(lines, [3, 4], "{told:#?}");
    let many = "slackSend 'x'\n".repeat(2000);
    assert!(lint(&many).len() < 1000);
}

#[test]
fn the_annotation_of_libraries_may_be_imported() {
    let source = "import org.jenkinsci.plugins.workflow.libs.Library\n@Library('x@main') _\nnode { echo 'x' }";
    assert!(lint(source).is_empty(), "{:#?}", lint(source));
}

#[test]
fn steps_of_windows_fail_where_they_are_reached() {
    let rule = "unsupported-step";
    check(rule, &steps("bat 'dir'\npowershell 'x'\npwsh 'x'"), &[(3, "bat"), (4, "powershell")]);
    check(rule, "node {\nif (x) { bat 'a' } else { steps.bat 'b' }\n}", &[(2, "bat"), (2, "bat")]);
    check(rule, "node { if (isUnix()) {\nbat 'a' } else {\nbat 'b' } }", &[(2, "bat")]);
    check(rule, "node { if (!isUnix() && x) { bat 'a' } else { sh 'a' } }", &[]);
    check(rule, "node { isUnix() ? sh('a') : bat('b') }", &[]);
    check(rule, "node { if (isUnix() == false) { bat 'a' } }", &[]);
    check(
        rule,
        "node { def windows = !isUnix()\nif (windows) { bat 'a' }\nif (!windows) {\nbat 'b' } }",
        &[(4, "bat")],
    );
    check(rule, "def run(c) { if (isUnix()) { return sh(c) }\nreturn bat(c) }\nnode { run 'a' }", &[]);
    check(rule, "def bat(c) { sh c }\nnode { bat 'a' }", &[]);
    let stage = |when: &str| {
        format!("pipeline {{ agent any\nstages {{ stage('s') {{\nwhen {{ {when} }}\nsteps {{ bat 'a' }}\n}} }} }}")
    };
    check(rule, &stage("expression { !isUnix() }"), &[]);
    check(rule, &stage("not { expression { return isUnix() } }"), &[]);
    check(rule, &stage("expression { isUnix() }"), &[(4, "bat")]);
}

#[test]
fn a_step_that_wants_a_block_has_one() {
    let rule = "missing-block";
    let found = [(3, "retry"), (4, "timeout"), (5, "withEnv"), (6, "dir")];
    check(rule, &steps("retry(3)\ntimeout(5)\nwithEnv(['A=b'])\ndir('x')"), &found);
    check(rule, "timeout(time: 5)\nnode('x')", &[(1, "timeout"), (2, "node")]);
    check(
        rule,
        "def body = { }\nretry(3, body)\nnode(body)\ntimestamps body\ndef dir(x) { }\ndir('x')\nstage 'x'",
        &[],
    );
    check(rule, "properties([x(timeout(5))])\ndef x(y) { y }", &[]);
    let options =
        "pipeline { agent any\noptions { timeout(time: 5); retry(3) }\nstages { stage('s') { steps { echo 'x' } } } }";
    check(rule, options, &[]);
}

#[test]
fn what_lint_says_of_a_missing_block_a_run_says() {
    for call in [
        "retry(3)",
        "dir('x')",
        "ws('x')",
        "catchError()",
        "warnError('x')",
        "withEnv([])",
        "timeout(5)",
        "waitUntil()",
        "withDockerContainer('x')",
        "withCredentials([])",
        "sshagent([])",
        "lock('x')",
        "timestamps()",
        "ansiColor('xterm')",
        "maskPasswords()",
        "tee('x')",
        "withMaven()",
        "configFileProvider([])",
        "withBuildUser()",
        "container('x')",
        "withAWS()",
        "node('x')",
        "withNPM(npmrcConfig: 'x')",
        "withDockerRegistry(url: 'https://x', credentialsId: 'y')",
        "podTemplate(label: 'x')",
    ] {
        let source = format!("node {{ {call} }}");
        let name = call.split('(').next().unwrap();
        check("missing-block", &source, &[(1, name)]);
        run(&source).has(&format!("{name} step must be called with a body"));
    }
}

#[test]
fn a_value_of_a_steps_name_is_no_step() {
    check("unsupported-step", &steps("recordIssues(tools: [cmake(), gcc()])"), &[]);
    check("unsupported-step", &steps("cmake installation: 'x'"), &[(3, "cmake")]);
}

#[test]
fn directives_without_effect_are_told_where_something_is_lost() {
    let rule = "unsupported-directive";
    let source = "pipeline { agent any
        options { quietPeriod(5); rateLimitBuilds(throttle: [count: 1, durationName: 'hour']); copyArtifactPermission('*') }
        parameters { gitParameter(name: 'T', type: 'PT_TAG'); file(name: 'F'); activeChoice(name: 'A') }
        triggers { githubPush(); gitlab(triggerOnPush: true)
          GenericTrigger(token: 'x'); parameterizedCron('H * * * * %A=1'); cron('@daily') }
        tools { maven 'M3' }
        stages { stage('x') { tools { jdk 'J' }\nsteps { echo 'x' } } } }";
    let found = [
        (2, "quietPeriod"),
        (2, "rateLimitBuilds"),
        (3, "file"),
        (3, "activeChoice"),
        (5, "GenericTrigger"),
        (5, "parameterizedCron"),
        (6, "maven"),
        (7, "jdk"),
    ];
    check(rule, source, &found);
    let script = "properties([rateLimitBuilds(), disableConcurrentBuilds(),\nparameters([string(name: 'x'), file(name: 'F')]),\npipelineTriggers([cron('@daily'), GenericTrigger(token: 'x')])])";
    check(rule, script, &[(1, "rateLimitBuilds"), (2, "file"), (3, "GenericTrigger")]);
}

#[test]
fn a_library_that_is_not_seen_may_define_any_name() {
    let errors = |surroundings: &Surroundings| {
        lint_in("buildPlugin()", surroundings).iter().filter(|it| it.severity == Severity::Error).count()
    };
    assert_eq!(errors(&Surroundings::default()), 1);
    assert_eq!(errors(&Surroundings { unknown_library: true, ..Surroundings::default() }), 0);
    assert_eq!(errors(&Surroundings { library_names: vec!["buildPlugin".into()], ..Surroundings::default() }), 0);
}

#[test]
fn a_value_that_is_no_symbol_is_one_error() {
    let source = "pipeline { agent any\nparameters { choice(name: 'C', choices: ['a', 'b'].sort()) }\nstages { stage('s') { steps { echo 'x' } } } }";
    let found: Vec<_> = lint(source).into_iter().map(|it| it.message).collect();
    assert_eq!(found, ["Expected a symbol"]);
}
