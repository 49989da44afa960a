//! Pods of Kubernetes: a node with containers that share its workspace.

use model::ids::RequestId;
use model::outcome::Outcome;
use model::planning;
use model::request::{AgentSpec, DockerSpec, Failure, FailureKind, Reply, Request};
use pipeline::conformance::Fixture;
use pipeline::engine::{Engine, Output, RunFacts, RunInput};

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
    command: [/bin/cat]
    tty: true
    imagePullPolicy: Always
    securityContext: { runAsUser: 0 }
";

fn run(source: &str) -> Ran {
    let files = vec![("pod.yaml".to_owned(), POD.to_owned())];
    let facts = RunFacts { job_name: "app".to_owned(), build_number: 7, has_scm: true, ..RunFacts::default() };
    World::new(Fixture { files, facts, ..Fixture::default() }).run(source).unwrap()
}

/// What was asked for, in words: `any`, a label, or an image with its arguments; `+` where it shares a workspace.
pub fn places(ran: &Ran) -> Vec<String> {
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

pub fn released(ran: &Ran) -> usize {
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
        podTemplate(label: 'mine', containers: [containerTemplate(name: 'a', image: 'a:1', command: 'sleep', args: '99d')]) {
            podTemplate(label: 'both', containers: [containerTemplate(name: 'b', image: 'b:1', command: 'cat')]) {
                node('both') { container('a') { echo 'a' }; container('b') { echo 'b' } }
                node('mine') { echo 'mine' }
                node('other') { echo 'other' }
            }
        }");
    ran.is(Outcome::Success).has("A=b P=q").has("one").has("two");
    assert_eq!(places(&ran), ["any", "+golang:1 -u 0", "any", "+a:1 -u 0", "+b:1 -u 0", "any", "other"]);
    assert_eq!(released(&ran), places(&ran).len());
}

/// What each container of a pod is asked to run: `name: command / args; VARIABLE=value`, in the folder that it names.
fn running(ran: &Ran) -> Vec<String> {
    let container = |request: &Request| match request {
        Request::Allocate { agent: AgentSpec::Docker(DockerSpec { pod: Some(pod), .. }), .. } => {
            let env: String = pod.env.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let dir = pod.dir.as_deref().unwrap_or_default();
            Some(format!("{}: {} / {};{env}{dir}", pod.name, pod.command.join("|"), pod.args.join("|")))
        }
        _ => None,
    };
    ran.requests.iter().filter_map(container).collect()
}

#[test]
fn what_runs_by_itself_runs_from_the_start_of_the_pod_to_its_end() {
    let pod = "spec:
  containers:
  - { name: tool, image: 'tool:1', command: [sh, -c, 'sleep 99'] }
  - { name: db, image: 'db:1', env: [{ name: PASSWORD, value: x }] }
  - { name: web, image: 'web:1', command: [serve], args: [--port, 80], workingDir: /srv }
";
    let source = "podTemplate(yaml: readTrusted('pod.yaml'), envVars: [envVar(key: 'ALL', value: 'of them')]) {
        node(POD_LABEL) { sh 'echo first'; container('web') { sh 'echo in web' } }
    }";
    let files = vec![("pod.yaml".to_owned(), pod.to_owned())];
    let facts = RunFacts { has_scm: true, ..RunFacts::default() };
    let ran = World::new(Fixture { files, facts, ..Fixture::default() }).run(source).unwrap();
    ran.is(Outcome::Success).has("first").has("in web");
    assert_eq!(places(&ran), ["any", "+db:1 -u 0", "+web:1 -u 0"], "nobody wants the tool");
    assert_eq!(running(&ran), ["db:  / ; ALL=of them PASSWORD=x", "web: serve / --port|80; ALL=of them/srv"]);
    assert_eq!(released(&ran), 3);
    let first = |wanted: fn(&Request) -> bool| ran.requests.iter().position(wanted).unwrap();
    let started = ran.requests.iter().rposition(|request| matches!(request, Request::Allocate { .. })).unwrap();
    assert!(started < first(|request| matches!(request, Request::Exec { .. })), "services come before steps");
    // A sandbox is said to share its workspace before it is made.
    let shares = ran.requests.iter().find_map(|request| match request {
        Request::Allocate { shares, .. } => shares.as_deref(),
        _ => None,
    });
    assert_eq!(shares, Some("`container`"));
    let ran = run(
        "podTemplate(containers: [containerTemplate(name: 'db', image: 'db:1', command: '', args: '-c \"a b\"')]) {
        node(POD_LABEL) { echo 'x' }
    }",
    );
    assert_eq!(running(&ran), ["db:  / -c|a b;"]);
    let Request::Allocate { shares: Some(shares), .. } = &ran.requests[0] else { panic!("{:?}", ran.requests[0]) };
    assert_eq!(shares, "container `db` of the pod");
}

/// Source: `ContainerExecDecorator`, which adds nothing to the environment of a container, and changes into the workspace.
#[test]
fn a_container_has_its_own_variables_and_the_folder_of_the_step() {
    let pod = "spec:
  containers:
  - { name: jnlp, env: [{ name: OWN, value: node }] }
  - { name: one, image: 'one:1', command: [cat], workingDir: /elsewhere, env: [{ name: X, value: one }, { name: Y, value: one }] }
  - { name: two, image: 'two:1', command: [cat], env: [{ name: Y, value: two }] }
";
    let files = vec![("pod.yaml".to_owned(), pod.to_owned())];
    let facts = RunFacts { has_scm: true, ..RunFacts::default() };
    let seen = |around: &str| {
        let source = format!(
            "def say(who) {{ echo \"$who ${{env.OWN}} ${{env.X}} ${{env.Y}} ${{pwd() == env.WORKSPACE}}\" }}
            podTemplate(yaml: readTrusted('pod.yaml')) {{ node(POD_LABEL) {{ {around} {{
                say('node'); container('one') {{ say('one'); container('two') {{ say('two') }}
                    withEnv(['Y=block']) {{ container('two') {{ say('with') }} }}; container('jnlp') {{ say('back') }} }}
            }} }} }}"
        );
        let fixture = Fixture { files: files.clone(), facts: facts.clone(), ..Fixture::default() };
        World::new(fixture).run(&source).unwrap()
    };
    seen("script")
        .is(Outcome::Success)
        .has("node node null null true")
        .has("one null one one true")
        .has("two null null two true")
        .has("with null null block true")
        .has("back node null null true");
    seen("dir('sub')").is(Outcome::Success).has("one null one one false");
}

/// Works until an answer is wanted: what is asked for since, and which requests are to end.
fn asked(engine: &mut Engine) -> (Vec<(RequestId, Request)>, Vec<RequestId>) {
    let (mut all, mut cancelled) = (Vec::new(), Vec::new());
    while engine.is_busy() {
        for output in engine.poll() {
            match output {
                Output::Request { id, request } => all.push((id, *request)),
                Output::Cancel { id } => cancelled.push(id),
                Output::Event(_) => {}
            }
        }
    }
    (all, cancelled)
}

/// A pod whose node is there, and whose two services are asked for.
fn with_services_asked() -> (Engine, Vec<(RequestId, Request)>) {
    let container = |name: &str| format!("containerTemplate(name: '{name}', image: '{name}:1')");
    let (db, web) = (container("db"), container("web"));
    let source = format!("podTemplate(containers: [{db}, {web}]) {{ node(POD_LABEL) {{ echo 'x' }} }}");
    let mut engine = Engine::new(RunInput { source, ..RunInput::default() }).unwrap();
    let (node, _) = asked(&mut engine);
    assert!(engine.answer(node[0].0, planning::reply(&node[0].1)) && node.len() == 1);
    let (services, _) = asked(&mut engine);
    assert_eq!(services.len(), 2, "{services:?}");
    (engine, services)
}

#[test]
fn services_start_together_and_one_that_fails_ends_the_pod_when_all_are_there() {
    let (mut engine, services) = with_services_asked();
    let message = "no such image".to_owned();
    engine.answer(services[0].0, Reply::Failed(Failure { kind: FailureKind::Workload, message, hint: None }));
    assert_eq!(asked(&mut engine), Default::default(), "the other is on its way");
    engine.answer(services[1].0, planning::reply(&services[1].1));
    for _ in ["web", "the node"] {
        let (released, _) = asked(&mut engine);
        assert!(matches!(released[..], [(_, Request::Release { .. })]), "{released:?}");
        engine.answer(released[0].0, Reply::Done);
    }
    asked(&mut engine);
    assert_eq!(engine.end().unwrap().message.as_deref(), Some("no such image"));
}

#[test]
fn services_that_start_end_with_their_run() {
    let (mut engine, services) = with_services_asked();
    engine.abort("enough");
    let (_, cancelled) = asked(&mut engine);
    assert_eq!(cancelled, services.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    // One was there already.
    engine.answer(services[0].0, planning::reply(&services[0].1));
    engine.answer(services[1].0, Reply::Cancelled);
    let mut released = 0;
    while engine.end().is_none() {
        let (requests, _) = asked(&mut engine);
        for (id, request) in requests {
            assert!(matches!(request, Request::Release { .. }), "{request:?}");
            released += 1;
            engine.answer(id, Reply::Done);
        }
    }
    assert_eq!((released, engine.outcome()), (2, Some(Outcome::Aborted)));
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
