//! Templates of pods that an operator defines: found by their names and by their labels.

use model::outcome::Outcome;
use model::pod::PodDefinition;
use model::request::Request;
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine_pods::{places, released};
use crate::engine_world::{Ran, World};

const MAVEN: &str = "
kind: Pod
metadata:
  labels: { jenkins/label: java }
  annotations: { jenkins/label: 'linux jdk17' }
spec:
  volumes: [{ name: host, hostPath: { path: / } }]
  containers:
  - name: maven
    image: maven:3
    command: [cat]
    securityContext: { runAsUser: 1000, privileged: true }
    volumeMounts: [{ name: host, mountPath: /host }]
    env: [{ name: A, value: theirs }, { name: B, value: theirs }]
";
const GO: &str = "spec: { containers: [{ name: go, image: 'golang:1', command: [cat] }, { name: db, image: 'db:1' }] }";
const OTHER_GO: &str = "spec: { containers: [{ name: go, image: 'golang:2', imagePullPolicy: Always }] }";

fn run(source: &str) -> Ran {
    let pods = [("maven", MAVEN), ("go", GO), ("go2", OTHER_GO), ("broken", "a: ["), ("none", "kind: Pod")];
    let pod = |(name, yaml): (&str, &str)| PodDefinition { name: name.to_owned(), yaml: yaml.to_owned() };
    let facts = RunFacts { pods: pods.map(pod).to_vec(), ..RunFacts::default() };
    World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap()
}

fn pipeline(agent: &str, steps: &str) -> Ran {
    run(&format!("pipeline {{ agent {{ {agent} }}\n stages {{ stage('a') {{ steps {{ {steps} }} }} }} }}"))
}

#[test]
fn nodes_of_a_label_are_pods_of_the_template_that_has_it() {
    for label in ["maven", "java", "linux && jdk17", " maven "] {
        let steps = "container('maven') { sh 'echo A=$A' }";
        for ran in [
            run(&format!("node('{label}') {{ {steps} }}")),
            pipeline(&format!("label '{label}'"), steps),
            pipeline(&format!("node {{ label '{label}' }}"), steps),
            pipeline(&format!("kubernetes {{ label '{label}' }}"), steps),
            run(&format!("podTemplate(label: '{label}') {{ node('{label}') {{ {steps} }} }}")),
        ] {
            ran.is(Outcome::Success).has("A=theirs");
            assert_eq!(places(&ran), ["any", "+maven:3 -u 1000"], "{label}");
            assert_eq!(released(&ran), 2);
        }
    }
    for label in ["linux && jdk21", "windows", "!maven", "maven || windows"] {
        assert_eq!(places(&run(&format!("node('{label}') {{ echo 'x' }}"))), [label]);
    }
    // What a definition says itself goes first.
    let own = "podTemplate(label: 'maven', containers: [containerTemplate(name: 'own', image: 'own:1', command: 'cat')]) { node('maven') { container('own') { echo 'x' } } }";
    let ran = run(own);
    ran.is(Outcome::Success);
    assert_eq!(places(&ran), ["any", "+own:1 -u 0"]);
}

#[test]
fn what_is_inherited_is_completed_by_what_is_said() {
    let yaml = "spec: { containers: [{ name: maven, env: [{ name: A, value: own }] }, { name: mine, image: 'mine:1', command: [cat] }] }";
    let steps = "container('maven') { sh 'echo A=$A B=$B' }\n container('mine') { echo 'x' }";
    for ran in [
        pipeline(&format!("kubernetes {{ inheritFrom 'maven'; yaml \"{yaml}\" }}"), steps),
        run(&format!("podTemplate(inheritFrom: 'maven', yaml: \"{yaml}\") {{ node(POD_LABEL) {{ {steps} }} }}")),
    ] {
        ran.is(Outcome::Success).has("A=own B=theirs").lacks("WARNING");
        assert_eq!(places(&ran), ["any", "+maven:3 -u 1000", "+mine:1 -u 0"]);
    }
    let ran = pipeline("kubernetes { inheritFrom 'maven'; defaultContainer 'maven' }", "sh 'echo A=$A'");
    ran.is(Outcome::Success).has("A=theirs");
    assert_eq!(places(&ran), ["any", "+maven:3 -u 1000"]);
}

#[test]
fn of_several_names_the_last_goes_first_and_services_start_with_the_pod() {
    let ran = pipeline("kubernetes { inheritFrom 'maven  go go2 go' }", "container('go') { echo 'x' }");
    assert_eq!(places(&ran), ["any", "+db:1 -u 0", "+golang:1 -u 0"]);
    let ran = pipeline("kubernetes { inheritFrom 'go go2' }", "container('go') { echo 'x' }");
    ran.is(Outcome::Success);
    // Its command is that of the first, and its image that of the second.
    assert_eq!(places(&ran), ["any", "+db:1 -u 0", "+golang:2 -u 0"]);
    let Request::Allocate { shares: Some(_), .. } = &ran.requests[0] else { panic!("{:?}", ran.requests[0]) };
}

/// Source: `runInPodNestedExplicitInherit` of the kubernetes plugin.
#[test]
fn who_says_what_it_inherits_from_does_not_inherit_from_what_stands_around_it() {
    let outer = "containers: [containerTemplate(name: 'outer', image: 'outer:1', command: 'cat')]";
    let inner = |inherits: &str| {
        run(&format!(
            "podTemplate({outer}) {{ podTemplate({inherits} containers: [containerTemplate(name: 'own', image: 'own:1', command: 'cat')]) {{
                node(POD_LABEL) {{ container('own') {{ echo 'x' }}; container('outer') {{ echo 'y' }} }} }} }}"
        ))
    };
    inner("").is(Outcome::Success);
    inner("inheritFrom: '',").is(Outcome::Failure).has("container outer was not found in the pod").has("it has own");
    inner("inheritFrom: 'maven',").is(Outcome::Failure).has("it has own, maven");
}

#[test]
fn what_nobody_has_defined_is_named_with_the_way_to_define_it() {
    let how = "define it with --pod-template rust=FILE, at a server in `pod_templates` of the project";
    for ran in [
        pipeline("kubernetes { inheritFrom 'rust' }", "echo 'x'"),
        run("podTemplate(inheritFrom: 'rust') { node(POD_LABEL) { echo 'x' } }"),
    ] {
        ran.is(Outcome::Failure).has("inheritFrom: there is no template 'rust' of pods").has(how);
        ran.has("; there is maven, go, go2, broken, none");
        assert!(places(&ran).is_empty());
    }
    // Where something else says what the pod is, it may do.
    let ran = pipeline("kubernetes { inheritFrom 'rust maven' }", "container('rust') { echo 'x' }");
    ran.is(Outcome::Failure)
        .has("WARNING: inheritFrom: there is no template 'rust' of pods")
        .has("it has maven; define it");
    run("node('rust') { container('rust') { echo 'x' } }")
        .is(Outcome::Failure)
        .has("where 'rust' is a template of pods in Jenkins")
        .has(how);
    pipeline("kubernetes { inheritFrom 'broken' }", "echo 'x'")
        .is(Outcome::Failure)
        .has("The template 'broken' of pods: ");
    run("node('none') { echo 'x' }").is(Outcome::Failure).has("it has no `spec`");
}

/// What of it would reach a host means as little as in an author's pod.
#[test]
fn a_template_has_no_more_rights_than_an_authors_pod() {
    let defined = run("node('maven') { container('maven') { sh 'true' } }");
    let own = run(&format!(
        "podTemplate(yaml: '''{MAVEN}''') {{ node(POD_LABEL) {{ container('maven') {{ sh 'true' }} }} }}"
    ));
    let places = |ran: &Ran| -> Vec<_> {
        ran.requests.iter().filter(|request| matches!(request, Request::Allocate { .. })).cloned().collect()
    };
    assert_eq!(places(&defined), places(&own));
}
