//! The rules for what runs and does not do what is meant: one rule, one test, with what it must not say.

use groovy::diagnostic::{Diagnostic, Severity};
use pipeline::definition::{DefinitionKind, Purpose, Surroundings, analyse};
use pipeline::lint::rules::{self, Level};
use pipeline::lint::{lint, lint_library};

/// The words that a rule finds at fault in a text, in order; other rules are not looked at.
fn found(rule: &str, source: &str) -> Vec<String> {
    let level = rules::find(rule).unwrap_or_else(|| panic!("{rule} is in no table")).level;
    let all = lint(source);
    let is_fit = |d: &Diagnostic| d.severity == Severity::Warning || d.rule == Some(rule) && level == Level::Error;
    assert!(all.iter().all(is_fit), "{source}\n{all:#?}");
    let of_rule = all.into_iter().filter(|d| d.rule == Some(rule));
    of_rule.map(|d| source[d.span.start as usize..d.span.end as usize].to_owned()).collect()
}

/// Asserts what a rule finds at fault in each text.
#[track_caller]
fn check(rule: &str, cases: &[(&str, &[&str])]) {
    for (source, expected) in cases {
        assert_eq!(found(rule, source), *expected, "{rule}: {source}");
    }
}

/// A text with the first fix of a rule put in.
fn fixed(rule: &str, source: &str) -> Option<String> {
    let fix = lint(source).into_iter().filter(|d| d.rule == Some(rule)).find_map(|d| d.fix)?;
    let (before, after) = (&source[..fix.span.start as usize], &source[fix.span.end as usize..]);
    Some(format!("{before}{}{after}", fix.text))
}

fn pipeline(head: &str, steps: &str) -> String {
    format!("pipeline {{\n{head}\nstages {{ stage('s') {{ steps {{ {steps} }} }} }}\n}}")
}

#[test]
fn every_finding_names_a_rule_of_the_table() {
    let stages = "stages { stage('a') { steps { ehco 'x'; sleep '5'; sh(); sh scrpt: 'x'; def x = 1 } } }";
    for source in
        ["node {", "pipeline { }", "pipeline { agent anyy; psot { } }", "def call() { myStep 'x' }", "new Foo()"]
    {
        assert!(lint(source).iter().all(|d| d.rule.is_some_and(|rule| rules::find(rule).is_some())), "{source}");
    }
    let source = format!("pipeline {{\nagent any\n{stages}\npost {{ alway {{ echo 'x' }} }}\n}}");
    let mut ids: Vec<_> = lint(&source).into_iter().filter_map(|d| d.rule).collect();
    ids.dedup();
    let expected = ["unknown-step", "wrong-type", "missing-parameter", "invalid-parameter", "step-not-allowed"];
    assert_eq!(ids[..5], expected, "{ids:?}");
    assert_eq!(ids[5..], ["unknown-section"]);
}

#[test]
fn what_one_name_is_near_to_is_put_there() {
    assert_eq!(fixed("unknown-step", "node { ehco 'x' }").as_deref(), Some("node { echo 'x' }"));
    let source = pipeline("agent any", "sh scrpt: 'x'");
    assert_eq!(fixed("invalid-parameter", &source), Some(pipeline("agent any", "sh script: 'x'")));
}

#[test]
fn containers_of_pods_that_only_an_operator_defines_are_named_once() {
    let uses = "container('maven') { sh 'a' }\ncontainer(name: 'go') { container('maven') { sh 'b' } }";
    check(
        "operator-pod",
        &[
            (&format!("node('x') {{ {uses} }}"), &["container", "container"]),
            (&pipeline("agent { label 'x' }", "container('maven') { sh 'a' }"), &["container"]),
            // Others define it, or may.
            (&pipeline("agent { kubernetes { yamlFile 'pod.yaml' } }", "container('maven') { sh 'a' }"), &[]),
            (&format!("podTemplate(label: 'x') {{ node('x') {{ {uses} }} }}"), &[]),
            (&format!("@Library('x') _\nnode('x') {{ {uses} }}"), &[]),
            (&format!("library 'x'\nnode('x') {{ {uses} }}"), &[]),
            (&format!("def container(name, body) {{ body() }}\nnode('x') {{ {uses} }}"), &[]),
            ("node { container('x') }\nnode { some.container('x') { sh 'a' } }", &[]),
        ],
    );
}

#[test]
fn secrets_stay_out_of_scripts() {
    let bound = "withCredentials([usernamePassword(credentialsId: 'c', usernameVariable: 'U', passwordVariable: 'P')])";
    let check_steps = |steps: &str, expected: &[&str]| {
        check("secret-in-script", &[(&format!("node {{ {bound} {{ {steps} }} }}"), expected)]);
    };
    check_steps("sh \"login -u $U -p $P\"", &["P"]);
    check_steps("sh(script: \"login ${env.P}\".trim(), returnStatus: true)", &["env.P"]);
    check_steps("sh 'login ' + P", &["P"]);
    check_steps("sh 'login -p $P'; echo \"$P\"; sh \"login \\$P\"", &[]);
    let environment =
        pipeline("agent any\nenvironment { A = credentials('a'); B = 'b' }", "sh \"x $A $A_PSW $A_USR $B\"");
    assert_eq!(found("secret-in-script", &environment), ["A", "A_PSW"]);
    check(
        "secret-in-script",
        &[("withCredentials([[$class: 'StringBinding', credentialsId: 'x', variable: 'T']]) { sh \"x $T\" }", &["T"])],
    );
    let source = format!("node {{ {bound} {{ sh \"login $P\" }} }}");
    assert_eq!(fixed("secret-in-script", &source), Some(format!("node {{ {bound} {{ sh 'login ${{P}}' }} }}")));
    let source = format!("node {{ {bound} {{ sh \"login '$P' $X\" }} }}");
    assert_eq!(fixed("secret-in-script", &source), None, "what Groovy alone knows is not left to the shell");
}

#[test]
fn words_of_strangers_stay_out_of_scripts() {
    check(
        "script-injection",
        &[
            ("node { sh \"echo ${env.CHANGE_TITLE}\" }", &["env.CHANGE_TITLE"]),
            ("node { sh 'echo \"$CHANGE_TITLE\"'; echo \"$CHANGE_TITLE\"; sh \"git checkout ${env.CHANGE_ID}\" }", &[]),
        ],
    );
}

#[test]
fn output_is_compared_without_its_line_break() {
    check(
        "untrimmed-output",
        &[
            (
                "node { if (sh(script: 'git branch', returnStdout: true) == 'main') { } }",
                &["sh(script: 'git branch', returnStdout: true)"],
            ),
            ("node { def b = sh(script: 'git branch', returnStdout: true)\nif ('main' != b) { } }", &["b"]),
            ("node { def b = sh(script: 'git branch', returnStdout: true).trim()\nif (b == 'main') { } }", &[]),
            ("node { def b = sh(script: 'x', returnStdout: true)\nb = b.trim()\nif (b == 'main') { } }", &[]),
            ("node { def b = sh(script: 'printf x', returnStdout: true)\nif (b == 'x' || b == '') { } }", &[]),
            ("node { if (sh(script: 'x', returnStdout: true) == '') { } }", &[]),
        ],
    );
}

#[test]
fn a_step_without_a_value_has_none() {
    check(
        "no-step-result",
        &[
            ("node { def v = sh 'git describe' }", &["sh"]),
            ("node { if (!sh('test -e x')) { } }", &["sh"]),
            ("node { def v = sh('x').trim() }", &["sh"]),
            ("node { if (sh('ls') == 0) { } }", &["sh"]),
            ("node { def a = sh('ls') ?: 'x' }", &["sh"]),
            ("node { echo \"is ${sh 'x'}\" }", &["sh"]),
            ("node { def v = sh(script: 'x', returnStatus: true); def a = [script: 'x']; def b = sh(a) }", &[]),
            ("def sh(x) { 1 }\ndef v = sh('x')", &[]),
        ],
    );
}

#[test]
fn a_shell_takes_its_state_with_it() {
    check(
        "lost-shell-state",
        &[
            ("node { sh 'cd build'; sh \"export A=b\" }", &["sh", "sh"]),
            ("node { sh 'cd build && make'; sh 'export'; sh(script: 'cd x', returnStatus: true) }", &[]),
        ],
    );
}

#[test]
fn nothing_stands_behind_what_ends_a_block() {
    check(
        "unreachable",
        &[
            ("node { error 'x'\necho 'y' }", &["echo 'y'"]),
            ("def f() { return 1\nprintln 'x' }", &["println 'x'"]),
            ("switch (x) { case 1: return 2; break; default: return 3 }\ndef x = 1", &[]),
            ("def error(x) { }\nerror 'x'\necho 'y'", &[]),
            ("if (x) { error 'x' }\necho 'y'", &[]),
        ],
    );
}

#[test]
fn a_step_needs_a_machine() {
    let none = "agent none\npost { always { deleteDir() } }";
    assert_eq!(found("agent-none-step", &pipeline(none, "echo 'x'; withEnv(['A=b']) { sh 'x' }")), ["deleteDir", "sh"]);
    assert!(found("agent-none-step", &pipeline("agent none", "node('x') { sh 'x' }; script { def f = 1 }")).is_empty());
    assert!(found("agent-none-step", &pipeline("agent any", "sh 'x'")).is_empty());
    let nested =
        "pipeline { agent none\nstages { stage('a') { agent any\nstages { stage('b') { steps { sh 'x' } } } } } }";
    assert!(found("agent-none-step", nested).is_empty());
}

#[test]
fn a_question_holds_the_machine_around_it() {
    assert_eq!(found("input-holds-agent", &pipeline("agent any", "input 'go?'")), ["input"]);
    assert!(found("input-holds-agent", &pipeline("agent none", "input 'go?'")).is_empty());
    check("input-holds-agent", &[("node { input 'go?' }", &["input"]), ("input 'go?'\nnode { sh 'x' }", &[])]);
    let note = lint("node { input 'go?' }");
    assert_eq!(rules::level(&note[0]), Level::Note);
}

#[test]
fn conditions_that_exclude_each_other_never_hold() {
    let when = |conditions: &str| {
        format!(
            "pipeline {{ agent any\nstages {{ stage('s') {{\nwhen {{ {conditions} }}\nsteps {{ echo 'x' }} }} }} }}"
        )
    };
    for conditions in [
        "branch 'a'\nbranch 'b'",
        "allOf { branch 'a'\nbranch 'b' }",
        "changeRequest()\nbranch 'main'",
        "branch 'a'\nnot { branch 'a' }",
        "expression { return false }",
        "equals expected: 1, actual: 2",
        "environment name: 'A', value: 'x'\nenvironment name: 'A', value: 'y'",
        "buildingTag()\nchangeRequest()",
    ] {
        assert_eq!(found("when-never", &when(conditions)).len(), 1, "{conditions}");
    }
    for conditions in [
        "anyOf { branch 'a'\nbranch 'b' }",
        "branch 'a*'\nbranch 'ab'",
        "changeRequest()\nbranch 'PR-7'",
        "expression { false || x }",
        "branch pattern: 'a|b', comparator: 'REGEXP'\nbranch 'b'",
        "environment name: 'A', value: 'x'\nenvironment name: 'B', value: 'y'",
    ] {
        assert!(found("when-never", &when(conditions)).is_empty(), "{conditions}");
    }
}

#[test]
fn parameters_are_those_that_are_declared() {
    let head = "agent any\nparameters { string(name: 'VERSION'); booleanParam(name: 'DEPLOY') }";
    let source = pipeline(head, "echo \"${params.VERSON}\"; echo params.VERSION; echo(params.OTHER ?: 'x')");
    assert_eq!(found("undeclared-parameter", &source), ["VERSON"]);
    assert_eq!(fixed("undeclared-parameter", &source), Some(source.replace("VERSON", "VERSION")));
    assert!(found("undeclared-parameter", &format!("@Library('x') _\n{source}")).is_empty());
    assert!(found("undeclared-parameter", &pipeline("agent any", "echo params.X")).is_empty());
    let source = pipeline(head, "script { if (params.DEPLOY == 'true' && params.VERSION == true) { } }");
    assert_eq!(found("parameter-type", &source), ["'true'", "true"]);
    let source = pipeline(head, "script { if (params.DEPLOY == true && params.VERSION == '1') { } }");
    assert!(found("parameter-type", &source).is_empty());
}

#[test]
fn results_have_five_names() {
    let source = "currentBuild.result = 'FAILED'\nif (currentBuild.currentResult == 'SUCCESSFUL') { }";
    check("unknown-result", &[(source, &["'FAILED'", "'SUCCESSFUL'"]), ("currentBuild.result = 'ABORTED'", &[])]);
    assert_eq!(
        fixed("unknown-result", "currentBuild.result = 'FAILED'").as_deref(),
        Some("currentBuild.result = 'FAILURE'")
    );
}

#[test]
fn what_is_shown_is_replaced_in_double_quotes_only() {
    check(
        "no-interpolation",
        &[
            ("echo 'is ${x}'", &["'is ${x}'"]),
            ("echo \"is ${1}\"; echo 'costs ${}'; echo '$x'", &[]),
            ("node { sh 'echo ${x}' }", &[]),
        ],
    );
    assert_eq!(fixed("no-interpolation", "echo 'is ${x}'").as_deref(), Some("echo \"is ${x}\""));
}

#[test]
fn a_script_reaches_no_machine_and_no_network() {
    check("script-network", &[("def t = new URL('http://x').text", &["text"]), ("new URL('http://x').host", &[])]);
    check("script-network", &[("'http://x'.toURL().getText()", &["getText"])]);
    check("process-execute", &[("'ls'.execute().text", &["execute"]), ("['ls', '-l'].execute()", &["execute"])]);
    check("process-execute", &[("def p = [:]\np.execute()", &[])]);
    check("system-access", &[("System.getenv('X'); System.exit(1)", &["getenv", "exit"])]);
    check("system-access", &[("System.out.println('x'); System.err.print 'x'", &["out", "err"])]);
    check("system-access", &[("System.currentTimeMillis()", &[])]);
}

#[test]
fn old_forms_are_named() {
    check(
        "stage-without-block",
        &[("stage 'a'\nnode { stage('b') { sh 'x' } }", &["stage"]), ("stage('a', body)", &[])],
    );
    check("deprecated-step", &[("node { archive 'x' }", &["archive"])]);
    check("duplicate-stage", &[("stage('a') { }\nstage('a') { }\nstage('b') { stage('a') { } }", &["stage"])]);
}

#[test]
fn what_wants_an_engine_is_noted_once() {
    let source = "node { sh 'docker build .'; sh 'docker build x'; sh 'docker push x' }";
    let words: Vec<_> = lint(source).into_iter().filter(|d| d.rule == Some("host-docker")).map(|d| d.message).collect();
    assert!(matches!(&words[..], [a, b] if a.contains("`docker build`") && b.contains("`docker push`")), "{words:?}");
    let agent =
        pipeline("agent { docker { image 'x'; args '-v /var/run/docker.sock:/var/run/docker.sock' } }", "sh 'x'");
    assert_eq!(found("host-docker", &agent).len(), 1);
}

#[test]
fn a_library_is_checked_for_syntax_and_names() {
    let found = lint_library(
        "def call() { other 'x'; unknwn 'x'; sh \"${env.CHANGE_TITLE}\" }",
        &["other".to_owned()],
        &Surroundings::default(),
    );
    assert!(
        matches!(&found[..], [only] if only.rule == Some("library-step") && only.message.contains("unknwn")),
        "{found:?}"
    );
    assert_eq!(lint_library("def call() {", &[], &Surroundings::default())[0].rule, Some("syntax"));
}

#[test]
fn a_comment_allows_what_a_rule_finds() {
    let allow = "// cofferdam: allow";
    let archive = |before: &str, behind: &str| format!("node {{\n{before}\narchive 'x' {behind}\n}}");
    assert_eq!(found("deprecated-step", &archive("", "")).len(), 1);
    assert!(found("deprecated-step", &archive(&format!("{allow} deprecated-step"), "")).is_empty());
    assert!(found("deprecated-step", &archive("", &format!("{allow} host-docker, deprecated-step"))).is_empty());
    assert_eq!(found("deprecated-step", &archive(&format!("{allow} host-docker"), "")).len(), 1);
    let error = lint(&format!("ehco 'x' {allow} unknown-step"));
    assert_eq!(error.len(), 1, "an error stays one");
}

#[test]
fn who_runs_a_file_is_told_once_of_unknown_steps_and_nothing_of_libraries() {
    let said = |source: &str, unknown_library| {
        let surroundings = Surroundings { unknown_library, purpose: Purpose::Run, ..Surroundings::default() };
        let found = analyse(source, &surroundings);
        assert!(!matches!(found.kind, DefinitionKind::Invalid), "{source}");
        found.diagnostics.into_iter().map(|d| (d.severity, d.message, d.hint)).collect::<Vec<_>>()
    };
    let text = "unknown step \"ehco\": where it is called, the run fails".to_owned();
    let expected = [(Severity::Warning, text, Some("did you mean \"echo\"?".to_owned()))];
    assert_eq!(said("if (env.X) { ehco 'x' }\nehco 'y'", false), expected);
    let declarative = "pipeline { agent any; stages { stage('a') { steps { ehco 'x' } } } }";
    assert_eq!(said(declarative, false), expected);
    assert_eq!(said("myStep 'x'\nnew a.B()", true), []);
    assert_eq!(said("@Library('lib') _\nmyStep 'x'", false), []);
}

#[test]
fn jenkins_own_object_is_found_whatever_it_is_called() {
    check(
        "jenkins-internals",
        &[
            ("def j = Jenkins.instance", &["instance"]),
            ("jenkins.model.Jenkins.instance.getItem('x')", &["instance"]),
            ("for (i in hudson.model.Hudson.instance.items) { echo \"$i\" }", &["instance"]),
            ("def j = jenkins.model.Jenkins.getInstance()", &["getInstance"]),
            ("def settings = [model: [Jenkins: 1]]; echo \"${settings.model.Jenkins.instance}\"", &[]),
        ],
    );
}

#[test]
fn schedules_are_read_before_a_run_is() {
    let triggers = |list: &str| pipeline(&format!("agent any\ntriggers {{ {list} }}"), "echo 'x'");
    check(
        "bad-schedule",
        &[
            (&triggers("cron('99 * * * *'); pollSCM('H/15 * * * *')"), &["'99 * * * *'"]),
            ("properties([pipelineTriggers([cron('@daily'), pollSCM(scmpoll_spec: 'x')])])", &["'x'"]),
            ("properties([pipelineTriggers([cron(env.BRANCH_NAME == 'main' ? '@daily' : '')])])", &[]),
            ("def cron(x) { }\ncron('never')", &[]),
        ],
    );
}

#[test]
fn what_an_object_makes_of_a_block_is_its_own_affair() {
    check(
        "unknown-step",
        &[
            ("def b = new groovy.json.JsonBuilder()\nb { name 'x' }", &[]),
            ("def b = builder()\nb { name 'x' }\ndef builder() { new StringBuilder() }", &[]),
            ("def b = { name 'x' }\nb.delegate = [name: { it }]\nb()", &[]),
            ("def b = { it() }\nb { nmae 'x' }", &["nmae"]),
            ("def b(body) { body() }\nb { nmae 'x' }", &["nmae"]),
        ],
    );
}

#[test]
fn what_is_refused_is_said_once() {
    let of = |source: &str| lint(source).into_iter().filter_map(|found| found.rule).collect::<Vec<_>>();
    assert_eq!(of("echo new URL('http://x').text"), ["script-network"]);
    assert_eq!(of("echo System.getenv('X')"), ["system-access"]);
    assert_eq!(of("'ls'.execute()"), ["process-execute"]);
    assert_eq!(of("echo new Socket('x', 1)"), ["refused-access"]);
}

#[test]
fn pipelines_that_fail_where_they_are_reached_are_warned_of() {
    let whole = "pipeline { agent any\n stages { stage('a') { steps { echo 'x' } } } }";
    check(
        "declarative",
        &[
            (&format!("if (env.X) {{ {whole} }} else {{ echo 'y' }}"), &[whole]),
            (&format!("{whole}\n{whole}"), &[whole]),
            (&format!("def x = 1\n{whole}\nif (x) {{ echo 'y' }}"), &[]),
            ("def pipeline(body) { body() }\nif (env.X) { pipeline { echo 'x' } }", &[]),
        ],
    );
}

#[test]
fn a_pipeline_of_a_library_is_held_against_the_same_rules() {
    let bad = "def call() {\n pipeline {\n stages { stage('a') { steps { echo 'x'; def y = 1 } } }\n }\n}";
    let found = lint_library(bad, &["bad".to_owned()], &Surroundings::default());
    let messages: Vec<_> = found.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(messages, ["Missing required section \"agent\"", "Expected a step"]);
}

#[test]
fn what_the_compiler_alone_refuses_is_found() {
    let messages = |source: &str| lint(source).into_iter().map(|d| d.message).collect::<Vec<_>>();
    let within =
        |code: &str| format!("pipeline {{ agent any; stages {{ stage('a') {{ steps {{ script {{ {code} }} }} }} }} }}");
    for (code, words) in [
        (
            "def all = [[a: 1], [b: 2][c: 3]]",
            "You tried to use a map entry for an index operation, this is not allowed.",
        ),
        ("[1, 2].each { if (it == 1) { break } }", "the break statement is only allowed inside loops or switches"),
        ("[1, 2].each { if (it == 1) { continue } }", "the continue statement is only allowed inside loops"),
        ("synchronized (this) { echo 'x' }", "synchronized is not supported outside of @NonCPS methods"),
    ] {
        for source in [code.to_owned(), within(code)] {
            let found = messages(&source);
            assert!(found.len() == 1 && found[0].contains(words), "{source}: {found:?}");
        }
    }
    assert_eq!(messages(&within("for (x in [1]) { break }")), Vec::<String>::new());
}

#[test]
fn what_java_and_plugins_bring_is_known() {
    let known = |source: &str| {
        let messages: Vec<String> = lint(source).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages, [""; 0], "{source}");
    };
    known("import static java.lang.Math.*\necho \"${max(1, 2)} ${PI}\"");
    known(
        "Model m = new Model()\nCSVFormat.newFormat(';' as char)\nnode { readCSV text: 'a', format: CSVFormat.EXCEL }",
    );
}
