//! Tools that a run was told of.

use model::outcome::Outcome;
use model::run::InstalledTool;
use pipeline::conformance::Fixture;

use crate::engine_world::{Ran, World};

/// Runs it with tools of these names and kinds in these folders, which are not there, and with those of the fixture.
fn run(tools: &[(&str, &str, &str)], of_fixture: &[(&str, &str)], source: &str) -> Ran {
    let tool = |(name, kind, folder): &(&str, &str, &str)| InstalledTool {
        name: (*name).to_owned(),
        kind: (*kind).to_owned(),
        folder: (*folder).to_owned(),
    };
    let mut fixture = Fixture::default();
    fixture.facts.tools = tools.iter().map(tool).collect();
    let own = |(name, program): &(&str, &str)| {
        ((*name).to_owned(), (*program).to_owned(), format!("#!/bin/sh\necho it is {name}\n"))
    };
    fixture.tools = of_fixture.iter().map(own).collect();
    World::new(fixture).run(source).unwrap_or_else(|messages| panic!("{messages:?}"))
}

/// Source: `ToolStep` and `EnvVarsForToolStep`; the variables are those of `buildEnvVars` of each kind.
#[test]
fn a_tool_is_where_the_run_was_told() {
    let told = [("M3", "maven", "/opt/maven"), ("M3", "jdk", "/opt/jdk"), ("own thing", "", "/opt/own")];
    let check = |expression: &str, expected: &str| {
        run(&told, &[], &format!("node {{ echo \"<${{{expression}}}>\" }}"))
            .is(Outcome::Success)
            .has(&format!("<{expected}>"));
    };
    check("tool 'M3'", "/opt/maven");
    check("tool name: 'M3', type: 'jdk'", "/opt/jdk");
    check("tool name: 'M3', type: 'hudson.model.JDK'", "/opt/jdk");
    check("tool name: 'own thing', type: 'gradle'", "/opt/own");
    check(
        "envVarsForTool(toolId: 'maven', toolVersion: 'M3').join(' ')",
        "M2_HOME=/opt/maven MAVEN_HOME=/opt/maven PATH+MAVEN=/opt/maven/bin",
    );
    check(
        "envVarsForTool(toolId: 'hudson.model.JDK', toolVersion: 'M3').join(' ')",
        "JAVA_HOME=/opt/jdk PATH+JDK=/opt/jdk/bin",
    );
    check("envVarsForTool(toolId: 'xvfb', toolVersion: 'own thing').join(' ')", "PATH+TOOL=/opt/own/bin:/opt/own");
    check("envVarsForTool(toolId: 'git', toolVersion: 'Default').size()", "0");
    run(&told, &[], "node { tool 'own thing' }").has("WARNING: the tool ‘own thing’ is not here: there is no /opt/own");
    run(&[], &[("M3", "mvn")], "node { sh \"${tool 'M3'}/bin/mvn\" }").has("it is M3").lacks("WARNING");
    run(&told, &[], "node { tool name: 'M3', type: 'gradle' }").is(Outcome::Failure).has("No tool named M3 found");
}

/// Source: `ModelInterpreter.toolsBlock`.
#[test]
fn tools_of_a_stage_go_before_those_around_it() {
    let tools = [("old", "mvn"), ("new", "mvn"), ("ours", "gradle")];
    let stage = |name: &str, rest: &str| format!("stage('{name}') {{ {rest} steps {{ sh 'mvn; gradle || true' }} }}");
    let source = format!(
        "pipeline {{ agent any; tools {{ maven 'old' }}
            stages {{ {} stage('around') {{ tools {{ maven 'new'; gradle 'ours' }} stages {{ {} {} }} }}
            {} }} post {{ always {{ echo \"$M2_HOME\" }} }} }}",
        stage("first", ""),
        stage("second", ""),
        stage("third", "tools { maven 'old' }"),
        stage("fourth", "environment { PATH = '/usr/bin:/bin' }"),
    );
    let ran = run(&[], &tools, &source);
    ran.is(Outcome::Success).has("{ (Declarative: Tool Install)").lacks("WARNING").has("/tools/old\n");
    let said: Vec<_> = ran.log.lines().filter_map(|line| line.strip_prefix("it is ")).collect();
    assert_eq!(said, ["old", "new", "ours", "old", "ours", "old"], "{}", ran.log);
}

/// Without an agent there is nothing to find them on; the stages that have one have them.
#[test]
fn tools_wait_for_an_agent() {
    let source = "pipeline { agent none; tools { maven 'M3' }; stages {
        stage('a') { steps { echo \"<${env.M2_HOME}>\" } }
        stage('b') { agent any; steps { sh 'mvn' } } } }";
    let ran = run(&[], &[("M3", "mvn")], source);
    ran.is(Outcome::Success).has("<null>").has("it is M3").lacks("Declarative: Tool Install");
    let source =
        "pipeline { agent any; tools { maven 'M3'; jdk 'unknown' }; stages { stage('a') { steps { sh 'mvn' } } } }";
    run(&[], &[("M3", "mvn")], source)
        .is(Outcome::Success)
        .has("tools { jdk ‘unknown’ } is ignored")
        .has("it is M3")
        .lacks("‘M3’ } is ignored");
}

/// Source: `NodesByLabelStep` of pipeline-utility-steps.
#[test]
fn a_label_has_one_node() {
    let ran = run(&[], &[], "nodesByLabel('linux').each { name -> node(name) { echo \"on $NODE_NAME\" } }");
    ran.is(Outcome::Success).has("Found a total of 1 nodes with the 'linux' label").has("on linux");
    run(&[], &[], "echo \"${nodesByLabel(label: ' ').size()}\"").is(Outcome::Success).has("\n0\n");
}
