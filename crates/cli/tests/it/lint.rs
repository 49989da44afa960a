//! `lint` and `steps`, as people and machines call them.

use serde_json::Value;

use crate::project::{Project, Ran, run};

/// A folder with a good definition, a bad one, one with a warning and a note, and a library.
fn folder() -> Project {
    let project = Project::new("node {\n  ehco 'x'\n}\n");
    project.write("ci/good.jenkinsfile", "node { sh 'make' }\n");
    project.write("ci/Jenkinsfile.release", "node {\n  sh 'docker build .'\n  currentBuild.result = 'FAILED'\n}\n");
    project.write("vars/deploy.groovy", "def call() { helper() }\n");
    project.write("vars/helper.groovy", "def call() {\n");
    project.write("src/org/acme/Tool.groovy", "package org.acme\nclass Tool { }\n");
    project.write("node_modules/x/Jenkinsfile", "node {\n");
    project.write("README.md", "none\n");
    project
}

fn lint(project: &Project, words: &[&str]) -> Ran {
    run(&[&["lint"], words, &[project.path().to_str().unwrap()]].concat())
}

fn objects(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lint_looks_into_folders() {
    let project = folder();
    let ran = lint(&project, &["--output", "json"]);
    let root = format!("{}/", project.path().display());
    let reports = objects(&ran);
    let files: Vec<_> = reports
        .iter()
        .map(|r| (r["file"].as_str().unwrap().strip_prefix(&root).unwrap(), r["valid"].as_bool().unwrap()))
        .collect();
    let expected = [
        ("Jenkinsfile", false),
        ("ci/Jenkinsfile.release", true),
        ("ci/good.jenkinsfile", true),
        ("src/org/acme/Tool.groovy", true),
        ("vars/deploy.groovy", true),
        ("vars/helper.groovy", false),
    ];
    assert_eq!((files.as_slice(), ran.code), (expected.as_slice(), 5));
    assert!(reports[4]["diagnostics"].as_array().unwrap().is_empty(), "a library knows its own variables");
    let text = lint(&project, &[]);
    assert!(text.stdout.contains("6 files, 2 invalid: 2 errors, 1 warnings, 1 notes"), "{}", text.stdout);
    let pattern = format!("{root}**/*.jenkinsfile");
    let ran = run(&["lint", "--output", "json", &pattern]);
    assert_eq!((objects(&ran).len(), ran.code), (1, 0), "{ran:?}");
    assert_eq!(run(&["lint", &format!("{root}**/*.none")]).code, 2);
}

#[test]
fn a_finding_has_both_ends_a_rule_and_what_to_write_instead() {
    let report = &objects(&lint(&folder(), &["--output", "json"]))[0];
    let finding = &report["diagnostics"][0];
    let place = |of: &Value| ["line", "column", "endLine", "endColumn"].map(|key| of[key].as_u64().unwrap());
    assert_eq!(place(finding), [2, 3, 2, 7], "{finding}");
    assert_eq!((finding["rule"].as_str(), finding["severity"].as_str()), (Some("unknown-step"), Some("error")));
    assert_eq!((place(&finding["replacement"]), finding["replacement"]["text"].as_str()), ([2, 3, 2, 7], Some("echo")));
}

#[test]
fn what_counts_can_be_chosen() {
    let project = folder();
    let file = project.path().join("ci/Jenkinsfile.release");
    let code = |words: &[&str]| run(&[&["lint"], words, &[file.to_str().unwrap()]].concat()).code;
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["--deny", "warnings"]), 5);
    assert_eq!(code(&["--deny", "warnings", "--allow", "unknown-result"]), 0, "a note is no warning");
    assert_eq!(code(&["--deny", "host-docker"]), 5);
    assert_eq!(code(&["--deny", "unknwn-result"]), 2);
    let bad = project.path().join("Jenkinsfile");
    assert_eq!(run(&["lint", "--allow", "unknown-step", bad.to_str().unwrap()]).code, 5, "an error stays one");
}

#[test]
fn libraries_and_tools_that_no_definition_brings_can_be_told() {
    let library = Project::new("");
    library.write("vars/buildPlugin.groovy", "def call() { }\n");
    let folder = format!("acme={}", library.path().display());
    let project = Project::new("buildPlugin()\nbuildOther()\n");
    let asking = Project::new("@Library('acme@main') _\nbuildPlugin()\nbuildOther()\n");
    let names = |of: &Project, words: &[&str]| {
        let ran =
            run(&[&["lint", "--output", "json"], words, &[of.path().join("Jenkinsfile").to_str().unwrap()]].concat());
        let found = objects(&ran)[0]["diagnostics"].as_array().unwrap().clone();
        let found =
            found.iter().map(|it| format!("{} {}", it["line"], it["rule"].as_str().unwrap())).collect::<Vec<_>>();
        (found, ran.code)
    };
    let told = |found: &[&str], code: i32| (found.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), code);
    assert_eq!(names(&project, &[]), told(&["1 unknown-step", "2 unknown-step"], 5));
    assert_eq!(names(&project, &["--library", &folder]), told(&["1 unknown-step", "2 unknown-step"], 5));
    assert_eq!(names(&project, &["--load-library", "acme"]), told(&["1 library-step", "2 library-step"], 0));
    assert_eq!(names(&project, &["--library", &folder, "--load-library", "acme"]), told(&["2 unknown-step"], 5));
    let version = format!("{folder}@v1");
    let unseen = names(&project, &["--library", &version, "--load-library", "acme@v2"]);
    assert_eq!(unseen, told(&["1 library-step", "2 library-step"], 0));
    assert_eq!(names(&asking, &[]), told(&["2 library-step", "3 library-step"], 0));
    assert_eq!(names(&asking, &["--library", &folder]), told(&["3 library-step"], 0));
    let tools =
        Project::new("pipeline { agent any\ntools { maven 'M3' }\nstages { stage('s') { steps { echo 'x' } } } }\n");
    assert_eq!(names(&tools, &[]), told(&["2 unsupported-directive"], 0));
    assert_eq!(names(&tools, &["--tool", "jdk:M3=/opt/m"]), told(&["2 unsupported-directive"], 0));
    assert_eq!(names(&tools, &["--tool", "maven:M3=/opt/m"]), told(&[], 0));
    assert_eq!(run(&["lint", "--library", "acme=/none", project.path().to_str().unwrap()]).code, 2);
}

#[test]
fn sarif_says_rules_places_and_fixes() {
    let project = folder();
    let ran = lint(&project, &["--output", "sarif"]);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((log["version"].as_str(), log["runs"].as_array().map(Vec::len)), (Some("2.1.0"), Some(1)));
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-2.1.0.json"));
    let driver = &log["runs"][0]["tool"]["driver"];
    let rules = driver["rules"].as_array().unwrap();
    assert!(driver["name"].is_string());
    for rule in rules {
        assert!(
            rule["id"].is_string() && rule["shortDescription"]["text"].is_string() && rule["help"]["text"].is_string()
        );
        assert!(["note", "warning", "error"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "{log}");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let region =
            ["startLine", "startColumn", "endLine", "endColumn"].map(|key| place["region"][key].as_u64().unwrap());
        assert!(region.iter().all(|at| *at >= 1) && (region[0], region[1]) <= (region[2], region[3]), "{region:?}");
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(!uri.contains([' ', ':', '\\']), "{uri}");
    }
    let change = &results[0]["fixes"][0]["artifactChanges"][0];
    assert_eq!(change["replacements"][0]["insertedContent"]["text"], "echo");
    assert_eq!(change["artifactLocation"], results[0]["locations"][0]["physicalLocation"]["artifactLocation"]);
}

#[test]
fn forges_are_told_in_their_words() {
    let project = folder();
    let file = project.path().join("Jenkinsfile");
    let github = run(&["lint", "--output", "github", file.to_str().unwrap()]);
    let expected =
        ",line=2,endLine=2,col=3,endColumn=7,title=unknown-step::unknown step \"ehco\"%0Adid you mean \"echo\"?\n";
    assert!(github.stdout.starts_with("::error file=") && github.stdout.ends_with(expected), "{}", github.stdout);
    let gitlab = run(&["lint", "--output", "gitlab", file.to_str().unwrap()]);
    let issues: Value = serde_json::from_str(&gitlab.stdout).unwrap();
    assert_eq!((&issues[0]["check_name"], &issues[0]["severity"]), (&"unknown-step".into(), &"critical".into()));
    assert_eq!((&issues[0]["location"]["lines"]["begin"], github.code, gitlab.code), (&2.into(), 5, 5));
}

#[test]
fn steps_prints_what_lint_checks_against() {
    let page = run(&["steps", "sh"]).stdout;
    for words in ["Runs a shell script", "script", "required", "returnStdout", "default false", "sh 'make test'"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let json = objects(&run(&["steps", "--output", "json", "when branch"]));
    assert_eq!((json.len(), json[0]["kind"].as_str(), json[0]["runs"].as_bool()), (1, Some("when"), Some(true)));
    assert_eq!(json[0]["parameters"][0]["required"], true);
    let all = objects(&run(&["steps", "--output", "json"]));
    assert!(all.len() > 600 && all.iter().any(|entry| entry["kind"] == "section"), "{}", all.len());
    let list = run(&["steps"]).stdout;
    for words in ["archiveArtifacts", "recorded, and not done:", "refused:", "known only:"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    assert!(run(&["steps", "--rules"]).stdout.contains("secret-in-script"));
    let unknown = run(&["steps", "ehco"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("echo"), "{unknown:?}");
}

#[test]
fn plan_says_what_is_asked_for() {
    let project = Project::new(
        "@Library('tools@main') _\npipeline { agent none\n parameters { string(name: 'V', defaultValue: '1'); choice(name: 'E', choices: ['a', 'b']) }\n \
         triggers { cron('H 4 * * *') }\n stages { stage('A') { steps { script { if (params.X) { git url: 'u', credentialsId: 'deploy' } } } } } }\n",
    );
    let ran = run(&["plan", "--output", "json", project.path().to_str().unwrap()]);
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!((&plan["parameters"][0]["name"], &plan["parameters"][0]["default"]), (&"V".into(), &"1".into()));
    assert_eq!(plan["triggers"], serde_json::json!([{ "cron": "H 4 * * *" }]));
    assert_eq!(plan["credentials"], serde_json::json!([{ "name": "deploy", "line": 5 }]));
    assert_eq!(plan["libraries"], serde_json::json!([{ "name": "tools@main", "line": 1 }]));
    let text = run(&["plan", project.path().to_str().unwrap()]).stdout;
    assert!(text.contains("parameters V=1, E (a | b)\n") && text.contains("credentials deploy (line 5)\n"), "{text}");
}
