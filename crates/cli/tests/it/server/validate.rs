//! What an editor asks before a definition is pushed: server, agent, engine.

use std::process::Command;

use super::place::Place;

#[test]
fn a_definition_is_validated_over_http() {
    let Some(place) = Place::with_agent() else { return };
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: openssl or curl is not installed");
        return;
    }
    let check = |text: &str, expect: &[&str]| {
        let file = place.folder.path().join("Jenkinsfile");
        std::fs::write(&file, text).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["-s", "-u", &format!("ada:{}", place.token()), "-F", &format!("jenkinsfile=<{}", file.display())]);
        let ran = curl.arg(format!("{}/pipeline-model-converter/validate", place.url())).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(expect.iter().all(|part| said.contains(part)), "{text}\n{said}");
    };
    check(
        "pipeline { agent any; stages { stage('a') { steps { sh 'make' } } } }",
        &["Jenkinsfile successfully validated."],
    );
    check(
        "pipeline {\n  agent any\n  stages { stage('a') { step { sh 'make' } } }\n}",
        &["Errors encountered validating Jenkinsfile:\nWorkflowScript: 3: ", "@ line 3, column "],
    );
    check("node { sh 'make'", &["Errors encountered", "WorkflowScript: 1: "]);
}
