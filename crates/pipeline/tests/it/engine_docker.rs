//! What the `docker` variable asks Docker's client for. The client here is a script that says what it was given.

use model::outcome::Outcome;
use model::request::{AgentSpec, Request};
use model::run::{InstalledTool, RunFacts};
use pipeline::conformance::Fixture;

use crate::engine_world::{Ran, World};

const CLIENT: &str = r#"#!/bin/sh
echo "docker $*" >&2
case $1 in
image) test "$5" = there:1 ;;
run) echo c0ffee ;;
port) echo 0.0.0.0:32768 ;;
esac
"#;

/// Runs statements on a node whose `docker` is the script.
fn run(statements: &str) -> Ran {
    let source = format!(
        "node {{ writeFile file: 'bin/docker', text: '''{CLIENT}'''; sh 'chmod +x bin/docker'\n\
         withEnv([\"PATH=${{pwd()}}/bin:/usr/bin:/bin\"]) {{ {statements} }} }}"
    );
    World::new(Fixture::default()).run(&source).unwrap()
}

fn engine_of(ran: &Ran) -> Option<String> {
    ran.requests.iter().find_map(|request| match request {
        Request::Allocate { engine, .. } => Some(engine.clone()),
        _ => None,
    })?
}

#[test]
fn images_are_built_tagged_and_pushed() {
    let ran = run("docker.withRegistry('https://r.example:5000') {
        def image = docker.build('app:1', '--pull -f Dockerfile.prod .')
        image.push(); image.push('latest'); echo \"<${image.tag('x')}> ${image.id}\" }");
    ran.is(Outcome::Success)
        .has("docker build -t r.example:5000/app:1 --pull -f Dockerfile.prod .")
        .has("docker tag r.example:5000/app:1 r.example:5000/app:1\n")
        .has("docker push r.example:5000/app:1\n")
        .has("docker push r.example:5000/app:latest")
        .has("<r.example:5000/app:x> r.example:5000/app:1");
    assert_eq!(engine_of(&ran).as_deref(), Some("`docker.build`"));
}

#[test]
fn the_engine_pulls_what_it_has_not() {
    run("docker.image('there:1').pull(); docker.image('there:1').tag('2')").is(Outcome::Success).lacks("docker pull");
    let elsewhere = "docker.withRegistry('https://r.example') { docker.image('app:1').pull() }; sh 'docker images'";
    run(elsewhere).is(Outcome::Success).has("docker pull r.example/app:1\n");
    // Without an engine, whoever makes the sandbox does.
    run("docker.image('app:1').pull()").is(Outcome::Success).lacks("docker image");
    run("docker.image('a;b').pull(); sh 'docker images'").is(Outcome::Failure).has("is not a name of an image");
}

#[test]
fn a_name_is_no_script() {
    for statement in
        ["docker.build('x$(touch /tmp/never)')", "docker.image('a;b').run()", "docker.image('a').tag('`x`')"]
    {
        let ran = run(statement);
        ran.is(Outcome::Failure).has("is not a name of an image").lacks("docker build").lacks("docker run");
    }
}

#[test]
fn a_sidecar_lives_as_long_as_its_block() {
    let ran = run("docker.image('db:9').withRun('-e A=b', '--flag') { c -> echo \"in ${c.id} ${c.port(80)}\" }
        def c = docker.image('db:9').run(); c.stop()");
    ran.is(Outcome::Success)
        .has("docker run -d -e A=b db:9 --flag\n")
        .has("in c0ffee 0.0.0.0:32768")
        .has("docker stop c0ffee\n")
        .has("docker rm -f --volumes c0ffee\n")
        .has("docker run -d db:9\n");
    let ran = run("docker.image('db:9').withRun { error 'broken' }");
    ran.is(Outcome::Failure).has("docker rm -f --volumes c0ffee").has("ERROR: broken");
    assert_eq!(engine_of(&ran).as_deref(), Some("`withRun`"));
}

const OF_FILE: &str = "pipeline { agent { dockerfile { filename 'Dockerfile.ci'; dir 'ci'; additionalBuildArgs '--build-arg A=b'; args '-e C=d' } }
    stages { stage('s') { steps { echo 'in it' } } } }";

/// A project with this client and these files.
fn with_files(files: &[(&str, &str)]) -> World {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let facts = RunFacts { job_name: "team/app".to_owned(), has_scm: true, ..RunFacts::default() };
    let files = files.iter().map(owned).collect();
    World::new(Fixture { facts, files, programs: vec![owned(&("docker", CLIENT))], ..Fixture::default() })
}

#[test]
fn an_agent_of_a_dockerfile_is_built_first() {
    let ran = with_files(&[("ci/Dockerfile.ci", "FROM x\n")]).run(OF_FILE).unwrap();
    assert_eq!(engine_of(&ran).as_deref(), Some("`agent { dockerfile }`"));
    let name = "e19fd3b3afef8f20d9dec8b649d717259d257dd7";
    ran.is(Outcome::Success)
        .has(&format!("docker build -t {name} --build-arg A=b -f ci/Dockerfile.ci ci\n"))
        .has("in it");
    let image = ran.requests.iter().find_map(|request| match request {
        Request::Allocate { agent: AgentSpec::Docker(docker), .. } => Some((&*docker.image, &*docker.args)),
        _ => None,
    });
    assert_eq!(image, Some((name, "-e C=d")));
}

#[test]
fn an_agent_of_a_dockerfile_that_is_not_there_is_none() {
    let ran = with_files(&[("Dockerfile", "FROM x\n")]).run(OF_FILE).unwrap();
    ran.is(Outcome::Failure)
        .has("ERROR: No Dockerfile found at ci/Dockerfile.ci in repository - failing.")
        .lacks("docker build");
}

#[test]
fn a_tool_has_its_programs_first() {
    let tool = InstalledTool { name: "20".to_owned(), kind: "docker".to_owned(), folder: "/opt/docker".to_owned() };
    let ran = |name: &str| {
        let facts = RunFacts { tools: vec![tool.clone()], ..RunFacts::default() };
        let source = format!("docker.withTool('{name}') {{ sh 'echo $DOCKER_TOOL_NAME in $PATH' }}");
        World::new(Fixture { facts, ..Fixture::default() }).run(&source).unwrap()
    };
    ran("20").is(Outcome::Success).has("20 in /opt/docker/bin:/");
    ran("default").is(Outcome::Success).has("default in /").lacks("/opt/docker");
}

#[test]
fn a_node_that_is_brought_has_the_engine_that_is_asked_for_there() {
    for source in [
        "docker.withTool('x') { docker.image('db').withRun { } }",
        "docker.image('db').withRun { }",
        "docker.withRegistry('https://r') { docker.image('db').withRun { } }",
    ] {
        let ran = with_files(&[]).run(source).unwrap();
        ran.is(Outcome::Success).has("docker run -d db\n");
        assert_eq!(engine_of(&ran).as_deref(), Some("`withRun`"), "{source}");
    }
}
