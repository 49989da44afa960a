//! Directives of stages where Jenkins' own tests look: values of variables, patterns of `when`, what is said of stages that are skipped.

use model::outcome::Outcome;
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine::run;
use crate::engine_world::{Ran, World};

fn stages(stages: &str) -> Ran {
    run(&format!("pipeline {{\nagent none\nstages {{\n{stages}\n}}\n}}"))
}

#[test]
fn names_that_nothing_knows_are_null_in_values_of_variables() {
    let ran = run("def f(x) { x == null ? 'none' : 'some' }
        def g() { UNDEF }
        pipeline { agent none
        environment { A = \"VALID${UNDEF}ORNOT\"; B = \"${UNDEF ?: 'dflt'}\"; C = \"${UNDEF ? 'a' : 'b'}\"; D = f(UNDEF)
            E = \"${Math.max(1, 2)} ${Integer.MAX_VALUE}\"; F = \"${[1].collect { UNDEF }}\"
            G = \"${[1].collect { for (x in [1]) { if (UNDEF == null) { try { throw new Exception() } catch (e) { return UNDEF } } } }}\" }
        stages { stage('s') { environment { OF = \"${UNDEF}!\" }
            steps { echo \"$A $B $C $D $E $F $G $OF\"; script { try { g() } catch (MissingPropertyException e) { echo 'missing' } } } }
        stage('m') { matrix { axes { axis { name 'X'; values 'x' } }; environment { OF = \"${UNDEF ?: X}\" }
            stages { stage('t') { steps { echo \"cell $OF\" } } } } } } }");
    ran.is(Outcome::Success)
        .has("VALIDnullORNOT dflt b none 2 2147483647 [null] [null] null!")
        .has("missing")
        .has("cell x");
}

#[test]
fn a_null_that_is_asked_for_something_in_a_value_is_a_variable_with_issues() {
    for value in ["BAR?.contains('x') ? 'a' : 'b'", "BAR.contains('x')", "BAR?.x", "env.NONE?.trim()"] {
        let ran = stages(&format!("stage('s') {{ environment {{ V = \"${{{value}}}\" }}; steps {{ echo 'never' }} }}"));
        ran.is(Outcome::Failure)
            .has("IllegalArgumentException: One or more variables have some issues with their values: V")
            .lacks("\nnever\n");
    }
    let ran = stages("stage('s') { environment { V = \"${nosuch()}\" }; steps { echo 'never' } }");
    ran.is(Outcome::Failure).has("No such DSL method 'nosuch'").lacks("variables have some issues");
}

/// Runs a stage under a condition; whether it ran, of a run that ends well.
fn holds(vars: &[(&str, &str)], when: &str) -> Ran {
    let env = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let facts = RunFacts { env, ..RunFacts::default() };
    let source =
        format!("pipeline {{ agent none\nstages {{ stage('s') {{ when {{ {when} }}\nsteps {{ echo 'ran' }} }} }} }}");
    World::new(Fixture { facts, ..Fixture::default() }).run(&source).unwrap_or_else(|e| panic!("rejected: {e:?}"))
}

#[test]
fn patterns_are_those_of_java() {
    let check = |vars: &[(&str, &str)], when: &str, expected: bool| {
        let ran = holds(vars, when);
        ran.is(Outcome::Success);
        assert_eq!(ran.log.contains("\nran\n"), expected, "{vars:?}: {when}");
    };
    let (branch, tag) = ("BRANCH_NAME", "TAG_NAME");
    for (name, value, when, expected) in [
        (branch, "bar", "branch pattern: '(?!foo).*', comparator: 'REGEXP'", true),
        (branch, "foo/x", "branch pattern: '(?!foo).*', comparator: 'REGEXP'", false),
        (branch, "ab-ab", "branch pattern: '([a-z]+)-\\\\1', comparator: 'REGEXP'", true),
        (branch, "ab-ac", "branch pattern: '([a-z]+)-\\\\1', comparator: 'REGEXP'", false),
        (tag, "v1", "tag pattern: '(?!rc).*', comparator: 'REGEXP'", true),
        (branch, "feature/a", "branch 'feature/'", false),
        (branch, "feature/a", "branch 'feature/**'", true),
    ] {
        check(&[(name, value)], when, expected);
    }
    let request = [("CHANGE_ID", "7"), ("CHANGE_TARGET", "main")];
    check(&request, "changeRequest target: '(?!release).*', comparator: 'REGEXP'", true);
    let ran = holds(&[(branch, "x")], "branch pattern: '*x', comparator: 'REGEXP'");
    ran.is(Outcome::Failure).has("java.util.regex.PatternSyntaxException: Dangling meta character '*' near index 0");
}

#[test]
fn stages_in_a_skipped_one_are_said_to_be_it() {
    let count = |ran: &Ran, text: &str| ran.log.matches(text).count();
    let inner = "stages { stage('in1') { steps { echo 'never' } }; stage('in2') { stages { stage('in3') { steps { echo 'never' } } } } }";
    let ran = stages(&format!("stage('outer') {{ when {{ expression {{ false }} }}; {inner} }}"));
    ran.is(Outcome::Success).lacks("Stage \"in").lacks("\nnever\n");
    assert_eq!(count(&ran, "Stage \"outer\" skipped due to when conditional"), 4);
    let ran = stages(&format!("stage('bad') {{ steps {{ error 'no' }} }}; stage('outer') {{ {inner} }}"));
    ran.lacks("Stage \"in");
    assert_eq!(count(&ran, "Stage \"outer\" skipped due to earlier failure(s)"), 4);
    let ran = stages(&format!(
        "stage('outer') {{ when {{ expression {{ false }} }}; parallel {{ stage('p') {{ {inner} }} }} }}"
    ));
    assert_eq!(count(&ran, "Stage \"outer\" skipped"), 1);
    assert_eq!(count(&ran, "Stage \"p\" skipped"), 4);
    let ran = stages(
        "stage('m') { matrix { axes { axis { name 'X'; values 'x' } }; when { expression { false } }
        stages { stage('t') { steps { echo 'never' } } } } }",
    );
    assert_eq!(count(&ran, "Stage \"Matrix - X = 'x'\" skipped due to when conditional"), 2);
}

#[test]
fn an_error_of_a_post_condition_is_printed_with_its_class() {
    let ran = stages("stage('s') { steps { echo 'x' }; post { always { error 'oops' } } }");
    ran.is(Outcome::Failure).has("Error when executing always post condition:\nhudson.AbortException: oops\n");
}

#[test]
fn the_output_of_the_process_is_not_that_of_a_pipeline() {
    const REFUSED: &str = "org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException: Scripts not permitted to use staticField java.lang.System";
    for stage in [
        "environment { V = \"${System.err.println('x'); 'y'}\" }\nsteps { echo 'never' }",
        "when { expression { System.err.println('x'); true } }\nsteps { echo 'never' }",
        "steps { echo \"${System.err.println('never')}\" }",
    ] {
        stages(&format!("stage('s') {{ {stage} }}"))
            .is(Outcome::Failure)
            .has(&format!("{REFUSED} err"))
            .lacks("\nnever\n");
    }
    let log = run("System.out.println('never')");
    log.has("echo and println write into the log of the run");
    log.is(Outcome::Failure).has(&format!("{REFUSED} out")).lacks("\nnever\n");
}

#[test]
fn blocks_that_are_missing_have_no_marks() {
    let ran = run("timeout(time: 1, unit: 'SECONDS')");
    ran.is(Outcome::Failure)
        .has("timeout step must be called with a body")
        .lacks("[Pipeline] timeout")
        .lacks("// timeout");
    run("stage 'A'").is(Outcome::Success).has("[Pipeline] stage\n").lacks("// stage");
    run("stage('A') { }").has("[Pipeline] // stage\n");
    run("parallel([:])").has("[Pipeline] parallel\n").has("[Pipeline] // parallel\n");
}

#[test]
fn classes_are_named_by_their_symbols() {
    let ran = run("node {
        writeFile file: 'x.xml', text: ''
        step([$class: 'ArtifactArchiver', artifacts: 'x.xml'])
        step([$class: 'hudson.tasks.junit.JUnitResultArchiver', testResults: 'none.xml', allowEmptyResults: true])
        step([$class: 'Mailer', recipients: 'a@b'])
        wrap([$class: 'ConfigFileBuildWrapper', managedFiles: []]) { echo 'in' }
        wrap([$class: 'AnsiColorBuildWrapper']) { wrap([$class: 'TimestamperBuildWrapper']) { echo 'in' } } }");
    ran.is(Outcome::Success);
    let marks: Vec<&str> = ran.log.lines().filter_map(|line| line.strip_prefix("[Pipeline] ")).collect();
    let wanted = [
        "archiveArtifacts",
        "junit",
        "step",
        "configFileProvider",
        "{",
        "echo",
        "}",
        "// configFileProvider",
        "ansiColor",
        "{",
        "timestamps",
        "{",
        "echo",
        "}",
        "// timestamps",
        "}",
        "// ansiColor",
    ];
    assert!(marks.windows(wanted.len()).any(|window| window == wanted), "{marks:?}");
}

#[test]
fn errors_in_closures_stand_in_the_method_around() {
    run("parallel bad: {\n throw new IllegalStateException('bad')\n}")
        .has("\tat WorkflowScript.run(WorkflowScript:2)\n");
    run("def f() {\n [1].each {\n throw new IllegalStateException('bad') } }\nf()")
        .has("\tat WorkflowScript.f(WorkflowScript:3)\n")
        .lacks("closure");
}
