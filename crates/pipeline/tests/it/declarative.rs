//! The declarative model, its validation and the linter.

use groovy::diagnostic::{Diagnostic, Severity};
use pipeline::declarative::model::{EnvironmentValue, OptionKind, PostCondition, StageContent};
use pipeline::declarative::startup_failed;
use pipeline::definition::{Definition, DefinitionKind, Purpose, Surroundings, analyse};

use crate::conformance::{table, text, texts};

/// Files of the table of valid ones that Jenkins itself rejects, or that Cofferdam rejects on purpose.
const REJECTED: [(&str, &str); 4] = [
    ("matrix/matrixStagesHaveStatusAndPost", "a matrix without axes; Jenkins' test of it is switched off"),
    ("matrix/matrixStagesGroupsAndStages", "the same"),
    ("matrix/matrixStagesShouldntTriggerNSE", "the same"),
    ("when/conditions/allOfEmpty", "Jenkins' test of it expects the error that we give"),
];

/// Files of the tables of runs that are rejected before anything runs; the run is a failure in Jenkins too.
const REJECTED_RUNS: [(&str, &str); 1] = [("WhenStageTest#whenAllOfEmpty", "Jenkins rejects it in the same way")];

/// Cases of the table of invalid files that cannot apply here, with the reason.
const NOT_APPLICABLE: [(&str, &str); 1] = [(
    "errors/optionValidatorContributor",
    "a validator in Java that the test adds to Jenkins; the file itself is valid",
)];

fn read(source: &str) -> Definition {
    analyse(source, &Surroundings { purpose: Purpose::Run, ..Surroundings::default() })
}

fn errors(definition: &Definition) -> Vec<&Diagnostic> {
    definition.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect()
}

#[test]
fn every_valid_file_of_the_table_is_accepted() {
    let Some(cases) = table("declarative-valid.jsonl") else { return };
    let mut rejected = Vec::new();
    for case in &cases {
        let definition = read(text(case, "script"));
        let expected = REJECTED.iter().any(|(id, _)| *id == text(case, "id"));
        if errors(&definition).is_empty() == expected {
            rejected.push(format!(
                "{}\n{}",
                text(case, "id"),
                startup_failed(text(case, "script"), &definition.diagnostics)
            ));
        }
    }
    println!("accepted {} of {}", cases.len() - REJECTED.len() - rejected.len(), cases.len());
    assert!(rejected.is_empty(), "{}", rejected.join("\n"));
}

#[test]
fn every_invalid_file_of_the_table_is_rejected_with_its_messages() {
    let Some(cases) = table("declarative-invalid.jsonl") else { return };
    let mut wrong = Vec::new();
    for case in &cases {
        if NOT_APPLICABLE.iter().any(|(id, _)| *id == text(case, "id")) {
            continue;
        }
        let definition = read(text(case, "script"));
        let report = startup_failed(text(case, "script"), &definition.diagnostics);
        // The tables keep Java's format character for a line end.
        let missing: Vec<_> = texts(case, "message_contains")
            .into_iter()
            .filter(|part| !report.contains(&part.replace("%n", "\n")))
            .collect();
        let extra: Vec<_> = texts(case, "message_excludes").into_iter().filter(|part| report.contains(part)).collect();
        if errors(&definition).is_empty() || !missing.is_empty() || !extra.is_empty() {
            wrong.push(format!("{}: missing {missing:?}, extra {extra:?}\n{report}", text(case, "id")));
        }
    }
    println!("rejected as expected: {} of {}", cases.len() - NOT_APPLICABLE.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_that_runs_in_the_table_is_accepted() {
    let mut rejected = Vec::new();
    for name in ["declarative-runtime.jsonl", "docker-runtime.jsonl"] {
        for case in &table(name).unwrap_or_default() {
            let definition = read(text(case, "script"));
            let expected = REJECTED_RUNS.iter().any(|(id, _)| *id == text(case, "id"));
            if matches!(definition.kind, DefinitionKind::Invalid) != expected {
                let report = startup_failed(text(case, "script"), &definition.diagnostics);
                rejected.push(format!("{} {}\n{report}", text(case, "id"), text(case, "result")));
            }
        }
    }
    assert!(rejected.is_empty(), "{}", rejected.join("\n"));
}

fn model(source: &str) -> std::rc::Rc<pipeline::declarative::model::Pipeline> {
    match read(source).kind {
        DefinitionKind::Declarative(declarative) => declarative.pipeline,
        other => panic!("not declarative: {other:?}"),
    }
}

#[test]
fn a_matrix_gives_the_cells_that_are_not_excluded_in_jenkins_order() {
    let model = model(
        "pipeline { agent none\nstages { stage('m') { matrix {
            axes { axis { name 'OS'
            values 'linux', 'mac' }
            axis { name 'BROWSER'
            values 'a', 'b', 'c' } }
            excludes { exclude { axis { name 'OS'
            values 'linux' }
            axis { name 'BROWSER'
            notValues 'a' } } }
            stages { stage('x') { steps { echo 'x' } } } } } } }",
    );
    let StageContent::Matrix(matrix) = &model.stages[0].content else { panic!("not a matrix") };
    let cells: Vec<String> = matrix
        .cells()
        .iter()
        .map(|cell| cell.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(cells, ["OS=linux BROWSER=a", "OS=mac BROWSER=a", "OS=mac BROWSER=b", "OS=mac BROWSER=c"]);
}

#[test]
fn the_model_says_what_was_written() {
    let model = model(
        "pipeline {
            agent { docker 'maven:3' }
            environment { A = 'x'
            B = credentials('id') }
            options { timeout(5)
            buildDiscarder(logRotator(numToKeepStr: '1'))
            skipDefaultCheckout() }
            stages { stage('one') {
                agent { label { label 'big'
                customWorkspace '/w' } }
                when { beforeAgent true
                branch 'main' }
                steps { sh 'x' }
            } }
            post { cleanup { echo 'c' }
            always { echo 'a' } }
        }",
    );
    assert_eq!((&*model.agent.kind, model.agent.field("image").is_some()), ("docker", true));
    let environment = model.environment.as_ref().expect("there is an environment");
    assert!(matches!(environment.entries[1].value, EnvironmentValue::Credentials(_)));
    let kinds: Vec<OptionKind> = model.options.iter().map(|o| o.kind).collect();
    assert_eq!(kinds, [OptionKind::Wrapper, OptionKind::JobProperty, OptionKind::Declarative]);
    let stage = &model.stages[0];
    assert_eq!(stage.directives.agent.as_ref().map(|a| &*a.kind), Some("node"));
    let when = stage.directives.when.as_ref().expect("there is a condition");
    assert!(when.before_agent && when.conditions[0].kind.arg("pattern").is_some());
    let post = model.post.as_ref().expect("there is a post section");
    let order: Vec<PostCondition> = post.in_run_order().iter().map(|b| b.condition).collect();
    assert_eq!(order, [PostCondition::Always, PostCondition::Cleanup]);
}
