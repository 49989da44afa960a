//! What the `docker` variable asks Docker's client for. The client here is a script that says what it was given.

use model::outcome::Outcome;
use model::request::Request;
use pipeline::conformance::Fixture;

use crate::engine_world::{Ran, World};

const CLIENT: &str = r#"#!/bin/sh
echo "docker $*" >&2
case $1 in
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

#[test]
fn an_agent_of_a_dockerfile_is_built_first() {
    let source = "pipeline { agent { dockerfile { filename 'Dockerfile.ci'; dir 'ci'; additionalBuildArgs '--build-arg A=b'; args '-e C=d' } }
        stages { stage('s') { steps { echo 'in it' } } } }";
    let ran = World::new(Fixture::default()).run(source).unwrap();
    assert_eq!(engine_of(&ran).as_deref(), Some("`agent { dockerfile }`"));
    // There is no such file here: it is what the engine is asked for that counts.
    let script = ran.requests.iter().find_map(|request| match request {
        Request::Exec { script, .. } => Some(script.text.clone()),
        _ => None,
    });
    assert_eq!(script.as_deref(), Some("sha1sum \"ci/Dockerfile.ci\" | cut -c1-40"));
}
