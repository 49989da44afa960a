//! Arguments of steps in code, and values in arguments: what the linter says of them, and that a run agrees.

use groovy::diagnostic::{Diagnostic, Severity};
use model::outcome::Outcome;
use pipeline::catalogue::{Catalogue, Entry, Kind, Parameter, ParameterType, Support};
use pipeline::definition::{Purpose, Surroundings, analyse};
use pipeline::lint::{lint, lint_library};

use crate::engine::steps;

/// The rules of this file.
const RULES: [&str; 4] = ["invalid-parameter", "missing-parameter", "wrong-type", "unsupported-step"];

/// Findings of these rules: `E` or `W`, and what they say.
fn told(found: Vec<Diagnostic>) -> Vec<String> {
    let own = found.into_iter().filter(|d| d.rule.is_some_and(|rule| RULES.contains(&rule)));
    own.map(|d| format!("{} {}", if d.severity == Severity::Error { 'E' } else { 'W' }, d.message)).collect()
}

/// Asserts what is said of a file: each finding in order, with the beginning of its message.
#[track_caller]
fn check(source: &str, expected: &[&str]) {
    let told = told(lint(source));
    let same = told.len() == expected.len() && told.iter().zip(expected).all(|(told, text)| told.starts_with(text));
    assert!(same, "{source}\nfound {told:#?}\nexpected {expected:#?}");
}

/// The same for code in a node, in a `script { … }`, and in a method.
#[track_caller]
fn check_code(code: &str, expected: &[&str]) {
    check(&format!("node {{\n{code}\n}}"), expected);
    check(&format!("def build() {{\n{code}\n}}\nnode {{ build() }}"), expected);
    let declarative =
        |code: &str| format!("pipeline {{ agent any\nstages {{ stage('s') {{ steps {{ {code} }} }} }} }}");
    check(&declarative(&format!("script {{\n{code}\n}}")), expected);
}

fn hint(source: &str) -> Option<String> {
    lint(source).into_iter().find(|d| d.rule == Some("invalid-parameter")).and_then(|d| d.hint)
}

#[test]
fn what_a_step_lacks_ends_a_run() {
    check_code("echo()", &["E Missing required parameter: \"message\""]);
    check_code("junit()", &["E Missing required parameter: \"testResults\""]);
    check_code("writeFile file: 'x'", &["E Missing required parameter: \"text\""]);
    check_code("writeFile([file: 'x'])", &["E Missing required parameter: \"text\""]);
    check_code("steps.echo()\nthis.echo()", &["E Missing", "E Missing"]);
    check_code("def x = sh(returnStdout: true)", &["E Missing required parameter: \"script\""]);
    check_code("timeout(unit: 'HOURS') { echo 'x' }", &["E Missing required parameter: \"time\""]);
    check_code(
        "archiveArtifacts artifact: 'x'",
        &["E Missing required parameter: \"artifacts\"", "W \"archiveArtifacts\" has no parameter \"artifact\""],
    );
    check_code("sh('x')\nsh script: 'x'\nsh([script: 'x'])\nnode { }\nws { }\nlock(label: 'x') { }\nmilestone()", &[]);
}

#[test]
fn what_a_step_does_not_have_is_a_warning() {
    check_code("stash name: 'x', nosuch: 1", &["W \"stash\" has no parameter \"nosuch\""]);
    check_code("sh 'x', returnStdOut: true", &["W \"sh\" has no parameter \"returnStdOut\""]);
    assert_eq!(hint("node { sh script: 'x', lable: 'y' }").as_deref(), Some("did you mean \"label\"?"));
    check_code("slackSend anything: 1\nparallel a: { }, b: { }", &[]);
    check_code("cleanWs('x')\nwriteFile('a', 'b')", &["E Arguments to \"cleanWs\"", "E Arguments to \"writeFile\""]);
}

#[test]
fn literals_are_what_a_run_takes() {
    check_code("retry('x') { }", &["E Expecting \"int\" but got \"x\""]);
    check_code("sh script: 'x', label: 5", &["W Expecting \"class java.lang.String\" for parameter \"label\""]);
    check_code("echo 5", &["E Expecting \"class java.lang.String\" but got \"5\""]);
    check_code("timeout(time: 5, unit: 'MINUTE') { }", &["W Expecting \"class java.util.concurrent.TimeUnit\""]);
    check_code("timeout(time: '5', unit: 'MINUTES') { }\nretry('3') { }\nsleep 5\nsleep time: 5, unit: 'DAYS'", &[]);
    check_code("sh script: 'x', returnStdout: 'true', label: null", &[]);
}

#[test]
fn what_only_a_run_knows_is_not_guessed() {
    check_code(
        "def args = [:]\necho(args)\necho(*args)\nsh(*: args)\nwriteFile(args)\nwriteFile([file: 'x', *: args])",
        &[],
    );
    check_code("def body = { }\ntimeout(5, body)\nretry(body)\ndeleteDir(body)\nsh((args): 'x')", &[]);
    check("def echo() { }\nnode { echo() }", &[]);
    check("def junit = { }\nnode { junit() }", &[]);
    check("node { def steps = 1; steps.echo() }", &[]);
    check("node { thing.each2 { echo() } }", &[]);
    check("class A { def x() { echo() } }\nnode { sh 'x' }", &[]);
}

#[test]
fn a_library_may_have_a_step_of_that_name() {
    check("@Library('x') _\nnode { junit() }", &["W Missing required parameter"]);
    assert_eq!(told(lint_library("def call() { echo() }", &[], &Surroundings::default())).len(), 1);
    assert!(told(lint_library("def call() { echo() }", &["echo".to_owned()], &Surroundings::default())).is_empty());
}

#[test]
fn a_run_is_not_kept_from_starting() {
    let surroundings = Surroundings { purpose: Purpose::Run, ..Surroundings::default() };
    assert!(analyse("node { echo() }", &surroundings).diagnostics.is_empty());
}

#[test]
fn steps_of_declarative_pipelines_are_told_once() {
    let steps = |code: &str| format!("pipeline {{ agent any\nstages {{ stage('s') {{ steps {{ {code} }} }} }} }}");
    check(&steps("sh scrpt: 'x'"), &["E Invalid parameter \"scrpt\""]);
    check(&steps("retry(3) { echo() }"), &["E Missing required parameter"]);
    check(&steps("checkout scmGit(branchs: [])"), &["W \"scmGit\" has no parameter \"branchs\""]);
    let options = "options { buildDiscarder(logRotator(numToKeep: '5')) }";
    let source = format!("pipeline {{ agent any\n{options}\nstages {{ stage('s') {{ steps {{ sh 'x' }} }} }} }}");
    check(&source, &["E Invalid parameter \"numToKeep\""]);
}

#[test]
fn values_have_parameters_too() {
    check_code("checkout scmGit(branchs: [])", &["W \"scmGit\" has no parameter \"branchs\""]);
    check_code(
        "checkout([$class: 'GitSCM', branches: [[name: 'x']], userRemoteConfigs: [[ur: 'x']]])",
        &["W \"UserRemoteConfig\" has no parameter \"ur\""],
    );
    check_code("input message: 'x', parameters: [string(nam: 'x')]", &["W \"string\" has no parameter \"nam\""]);
    check_code(
        "properties([buildDiscarder(logRotator(numToKeep: '5')), pipelineTriggers([cron('@daily')])])",
        &["W \"logRotator\" has no parameter \"numToKeep\""],
    );
    check_code(
        "withCredentials([string(credentialId: 'a', variable: 'B')]) { }",
        &["E Missing required parameter: \"credentialsId\"", "W \"string\" has no parameter \"credentialId\""],
    );
    assert_eq!(hint("node { checkout scmGit(branchs: []) }").as_deref(), Some("did you mean \"branches\"?"));
    check_code(
        "build job: 'x', parameters: [string(name: 'a', value: 'b'), [$class: 'StringParameterValue', name: 'a', value: 'b']]
         input message: 'x', parameters: [string(name: 'a', defaultValue: 'b'), choice(name: 'c', choices: ['a'])]
         withCredentials([zip(credentialsId: 'a', variable: 'B'), file(credentialsId: 'a', variable: 'C')]) { }
         checkout([$class: 'GitSCM', extensions: [[$class: 'CloneOption', depth: 1], [$class: 'Other', any: 1]]])
         checkout scm",
        &[],
    );
}

#[test]
fn classes_that_no_step_stands_for_are_told() {
    check_code("step([$class: 'NoSuch'])", &["W step([$class: 'NoSuch']) fails"]);
    check_code("step($class: 'hudson.NoSuch', x: 1)", &["W step([$class: 'hudson.NoSuch']) fails"]);
    steps("step([$class: 'NoSuch'])").is(Outcome::Failure).has("step([$class: 'NoSuch']) is not supported yet");
    check_code(
        "step([$class: 'ArtifactArchiver', artifact: 'x'])",
        &["E Missing required parameter: \"artifacts\"", "W \"archiveArtifacts\" has no parameter \"artifact\""],
    );
    check_code(
        "step([$class: 'JUnitResultArchiver', testResults: 'x'])\nstep([$class: 'Mailer', recipients: 'x'])",
        &[],
    );
    let near = lint("node { step([$class: 'ArtifactArchive', artifacts: 'x']) }");
    assert_eq!(near[0].hint.as_deref(), Some("did you mean \"ArtifactArchiver\"?"));
}

/// A value of a type, and one that is none.
fn values(ty: ParameterType) -> (&'static str, Option<&'static str>) {
    match ty {
        ParameterType::String => ("'x'", Some("5")),
        ParameterType::Int | ParameterType::Integer | ParameterType::Long | ParameterType::Double => {
            ("1", Some("'x y'"))
        }
        ParameterType::Bool | ParameterType::Boolean => ("true", None),
        ParameterType::TimeUnit => ("'SECONDS'", Some("'SECOND'")),
        ParameterType::List | ParameterType::Collection => ("[]", None),
        ParameterType::Map | ParameterType::Object => ("[:]", None),
        ParameterType::Class | ParameterType::Scm => ("null", None),
    }
}

/// Steps that run, whose parameters are all known, and which bring no code into the file.
fn closed() -> impl Iterator<Item = &'static Entry> {
    let runs = |entry: &&Entry| entry.kind == Kind::Step && entry.support == Support::Runs && !entry.open;
    let brings = |name: &str| ["evaluate", "library", "libraryResource", "load", "script"].contains(&name);
    Catalogue::get().entries().filter(runs).filter(move |entry| !brings(entry.name))
}

/// A call with all required parameters, one of which is given as it is said: `None` leaves it out.
fn call(entry: &Entry, parameter: &Parameter, value: Option<&str>) -> String {
    let required = entry.required().filter(|p| p.name != parameter.name);
    let mut given: Vec<_> = required.map(|p| format!("{}: {}", p.name, values(p.ty).0)).collect();
    given.extend(value.map(|value| format!("{}: {value}", parameter.name)));
    format!("{}({}){}", entry.name, given.join(", "), if entry.block { " { }" } else { "" })
}

/// Whether a call in a node has an error of a rule.
fn is_error(rule: &str, call: &str) -> bool {
    let found = lint(&format!("node {{ {call} }}"));
    found.iter().any(|d| d.severity == Severity::Error && d.rule == Some(rule))
}

#[test]
fn a_parameter_is_missing_where_a_run_misses_it() {
    for entry in closed() {
        for parameter in entry.required() {
            let call = call(entry, parameter, None);
            let ran = steps(&call);
            let is_missed = ran.log.contains(&format!("Missing required parameter: \"{}\"", parameter.name));
            match is_error("missing-parameter", &call) {
                true => drop(ran.is(Outcome::Failure)),
                false => assert!(!is_missed, "{call}\n{}", ran.log),
            }
        }
    }
}

#[test]
fn a_value_of_a_wrong_type_ends_a_run_where_it_is_an_error() {
    for entry in closed() {
        for parameter in &entry.parameters {
            let Some(wrong) = values(parameter.ty).1 else { continue };
            let call = call(entry, parameter, Some(wrong));
            if is_error("wrong-type", &call) {
                steps(&call).is(Outcome::Failure);
            }
        }
    }
}

#[test]
fn what_a_run_refuses_to_be_given_is_a_warning_before() {
    let found = |source: &str| lint(source).into_iter().map(|d| (d.severity, d.message)).collect::<Vec<_>>();
    for (step, text) in [
        (
            "withCredentials([vaultString(credentialsId: 'a', variable: 'B')]) { sh 'x' }",
            "the binding ‘vaultString’ is not supported yet",
        ),
        (
            "withCredentials([[$class: 'a.b.VaultTokenCredentialBinding', credentialsId: 'v']]) { sh 'x' }",
            "VaultTokenCredentialBinding’ is not",
        ),
        ("checkout([$class: 'SubversionSCM', locations: [[remote: 'x']]])", "repositories are fetched with git"),
        ("checkout scm: [$class: 'MercurialSCM', source: 'x']", "repositories are fetched with git"),
        ("git url: 'file:///x'", "not named by a path"),
        ("git '/srv/x.git'", "not named by a path"),
        ("copyArtifacts projectName: 'x', parameters: 'A=b'", "copyArtifacts(parameters: …) fails"),
    ] {
        for source in [
            format!("node {{ {step} }}"),
            format!("pipeline {{ agent any; stages {{ stage('a') {{ steps {{ {step} }} }} }} }}"),
        ] {
            let found = found(&source);
            assert!(matches!(&found[..], [(Severity::Warning, found)] if found.contains(text)), "{source}: {found:?}");
        }
    }
    for fine in [
        "withCredentials([string(credentialsId: 'a', variable: 'B'), file(credentialsId: 'c', variable: 'D')]) { sh 'x' }",
        "withCredentials([[$class: 'org.jenkinsci.plugins.credentialsbinding.impl.StringBinding', credentialsId: 'a', variable: 'B']]) { sh 'x' }",
        "def own() { [] }\nwithCredentials([own()]) { sh 'x' }",
        "checkout scm",
        "checkout([$class: 'GitSCM', userRemoteConfigs: [[url: 'https://x/y.git']]])",
        "checkout scmGit(userRemoteConfigs: [[url: 'https://x/y.git']])",
        "git 'https://x/y.git'",
        "copyArtifacts projectName: 'x', parameters: null",
    ] {
        let (before, step) = fine.rsplit_once('\n').unwrap_or(("", fine));
        assert_eq!(found(&format!("{before}\nnode {{ {step} }}")), [], "{fine}");
    }
}

#[test]
fn variables_of_plugins_are_said_not_to_be_there() {
    let found = |source: &str| lint(source).into_iter().map(|d| (d.message, d.hint)).collect::<Vec<_>>();
    let told = found("node { manager.addShortText('x'); manager.build; def s = Artifactory.server('y') }");
    let names: Vec<&str> = told.iter().map(|(message, _)| message.as_str()).collect();
    let expected = ["manager", "manager", "Artifactory"]
        .map(|name| format!("the variable \"{name}\" is that of a plugin of Jenkins, and does not run here"));
    assert_eq!(names, expected);
    assert!(told[0].1.as_deref().is_some_and(|hint| hint.contains("currentBuild.result")), "{told:?}");
    for fine in [
        "def manager = [a: 1]\necho \"${manager.a}\"",
        "def f(manager) { manager.a }\nf([a: 1])",
        "class Artifactory { static x() { 1 } }\nArtifactory.x()",
        "@Library('x') _\nmanager.go()",
    ] {
        assert_eq!(found(fine), [], "{fine}");
    }
}

/// Who mends one error is told the others at once.
#[test]
fn an_error_in_the_steps_hides_nothing_of_the_directives() {
    let source = "pipeline {
  agent none
  parameters { string(name: 'A') }
  stages {
    stage('a') { steps { sh 'x'; ehco 'x' } }
    stage('b') { agent any
      when { branch 'a'; branch 'b' }
      steps { echo params.B } }
  }
}";
    let rules: Vec<_> = lint(source).into_iter().filter_map(|d| d.rule).collect();
    for rule in ["unknown-step", "agent-none-step", "when-never", "undeclared-parameter"] {
        assert!(rules.contains(&rule), "{rule} is not in {rules:?}");
    }
}
