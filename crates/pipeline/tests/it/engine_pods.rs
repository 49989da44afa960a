//! Pods of Kubernetes: a node with containers that share its workspace.

use model::outcome::Outcome;
use model::request::{AgentSpec, DockerSpec, Request};
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine_world::{Ran, World};

const POD: &str = "
apiVersion: v1
kind: Pod
spec:
  securityContext:
    runAsUser: 1000
  containers:
  - name: maven
    image: maven:3
    command: [sleep]
    args: [infinity]
    env:
    - name: MAVEN_OPTS
      value: -Xmx1g
    - name: SECRET
      valueFrom: { secretKeyRef: { name: x, key: y } }
  - name: shell
    image: alpine:3
    imagePullPolicy: Always
    securityContext: { runAsUser: 0 }
";

fn run(source: &str) -> Ran {
    let files = vec![("pod.yaml".to_owned(), POD.to_owned())];
    let facts = RunFacts { job_name: "app".to_owned(), build_number: 7, has_scm: true, ..RunFacts::default() };
    World::new(Fixture { files, facts, ..Fixture::default() }).run(source).unwrap()
}

/// What was asked for, in words: `any`, a label, or an image with its arguments; `+` where it shares a workspace.
fn places(ran: &Ran) -> Vec<String> {
    let place = |request: &Request| match request {
        Request::Allocate { agent: AgentSpec::Any, .. } => Some("any".to_owned()),
        Request::Allocate { agent: AgentSpec::Label(label), .. } => Some(label.clone()),
        Request::Allocate { agent: AgentSpec::Docker(DockerSpec { image, args, workspace_of, .. }), .. } => {
            Some(format!("{}{image} {args}", if workspace_of.is_some() { "+" } else { "" }))
        }
        _ => None,
    };
    ran.requests.iter().filter_map(place).collect()
}

fn released(ran: &Ran) -> usize {
    ran.requests.iter().filter(|request| matches!(request, Request::Release { .. })).count()
}

#[test]
fn steps_run_in_the_container_that_is_named_and_it_stays_until_the_pod_ends() {
    let agent = "agent { kubernetes { yamlFile 'pod.yaml' } }";
    let ran = run(&format!(
        "pipeline {{ {agent}\n stages {{ stage('a') {{ steps {{\n sh 'echo on the node > f'\n container('maven') {{ sh 'cat f; echo opts $MAVEN_OPTS' }}\n \
         dir('sub') {{ container('maven') {{ sh 'pwd' }} }}\n }} }}\n stage('b') {{ steps {{ container('shell') {{ echo 'x'\n container('jnlp') {{ sh 'echo back' }} }} }} }} }} }}"
    ));
    ran.is(Outcome::Success).has("on the node").has("opts -Xmx1g").has("/sub\n").has("back");
    assert_eq!(places(&ran), ["any", "+maven:3 -u 1000", "+alpine:3 -u 0"]);
    assert_eq!(released(&ran), 3);
}

#[test]
fn steps_run_in_the_default_container_where_nothing_is_said() {
    let yaml = POD.replace('\n', "\\n");
    let ran = run(&format!(
        "pipeline {{ agent {{ kubernetes {{ defaultContainer 'maven'; yaml \"{yaml}\" }} }}\n stages {{ stage('a') {{ steps {{ sh 'echo in $MAVEN_OPTS' }} }} }}\n \
         post {{ always {{ container('jnlp') {{ sh 'echo over ${{MAVEN_OPTS:-nothing}}' }} }} }} }}"
    ));
    ran.is(Outcome::Success).has("in -Xmx1g");
    assert_eq!(places(&ran), ["any", "+maven:3 -u 1000"]);
}

#[test]
fn a_script_makes_pods_of_templates() {
    let ran = run("podTemplate(containers: [containerTemplate(name: 'go', image: 'golang:1', ttyEnabled: true, command: 'cat', envVars: [envVar(key: 'A', value: 'b')])], envVars: [envVar(key: 'P', value: 'q')]) {
            node(POD_LABEL) {
                stage('x') { container('go') { sh 'echo A=$A P=$P' } }
                parallel(one: { container('go') { sh 'echo one' } }, two: { container('go') { sh 'echo two' } })
            }
        }
        podTemplate(label: 'mine', containers: [containerTemplate(name: 'a', image: 'a:1')]) {
            podTemplate(label: 'both', containers: [containerTemplate(name: 'b', image: 'b:1')]) {
                node('both') { container('a') { echo 'a' }; container('b') { echo 'b' } }
                node('mine') { echo 'mine' }
                node('other') { echo 'other' }
            }
        }");
    ran.is(Outcome::Success).has("A=b P=q").has("one").has("two");
    assert_eq!(places(&ran), ["any", "+golang:1 -u 0", "any", "+a:1 -u 0", "+b:1 -u 0", "any", "other"]);
    assert_eq!(released(&ran), places(&ran).len());
}

#[test]
fn the_node_is_the_container_that_an_agent_would_run_in() {
    let ran = run("podTemplate(containers: [containerTemplate(name: 'jnlp', image: 'agent:1')]) { node(POD_LABEL) { sh 'echo x' } }
        podTemplate(agentContainer: 'm', containers: [containerTemplate(name: 'm', image: 'm:1')]) { node(POD_LABEL) { container('m') { sh 'echo y' } } }");
    ran.is(Outcome::Success);
    assert_eq!(places(&ran), ["agent:1 -u 0", "m:1 -u 0"]);
    // A template that only a cluster knows is a label of agents.
    let ran =
        run("pipeline { agent { kubernetes { label 'build-pod' } }\n stages { stage('a') { steps { echo 'x' } } } }");
    assert_eq!(places(&ran), ["build-pod"]);
}

#[test]
fn what_is_missing_is_named() {
    run("node { container('x') { echo 'y' } }").is(Outcome::Failure).has("container('x') stands in no pod");
    run("podTemplate(containers: [containerTemplate(name: 'a', image: 'a:1')]) { node(POD_LABEL) { container('b') { echo 'y' } } }")
        .is(Outcome::Failure)
        .has("container b was not found in the pod")
        .has("it has a");
    run("podTemplate(yaml: 'a: [') { echo 'x' }").is(Outcome::Failure).has("The yaml of the pod");
    run("pipeline { agent { kubernetes { yamlFile 'none.yaml' } }\n stages { stage('a') { steps { echo 'x' } } } }")
        .is(Outcome::Failure)
        .has("none.yaml: no such file");
    run("echo readTrusted('pod.yaml')").is(Outcome::Success).has("kind: Pod");
}
