//! What the `docker` variable does with the engine of the job: building, running, tagging, pushing. Each is a command of Docker's client,
//! as docker-workflow gives it to `sh`.

use std::rc::Rc;

use groovy::value::Value;
use sha1::Digest as _;

use super::CONTAINER;
use super::docker::{image_name, new_image, qualified};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::args::Args;
use crate::steps::run_named;

/// `docker.build(image, args)`
pub(super) async fn build(core: &Rc<Core>, scope: &Scope, args: &[Value]) -> Result<Value, Fault> {
    let [name, rest @ ..] = args else { return Err(Fault::illegal("docker.build takes the name of an image")) };
    let name = plain(qualified(scope, name.to_text()))?;
    let words = rest.first().map_or_else(|| ".".to_owned(), Value::to_text);
    sh(core, scope, &format!("docker build -t \"{name}\" {words}")).await?;
    Ok(new_image(core, name))
}

/// `image.pull()`: for the engine, which has those of the host's store already. Without one, whoever makes a sandbox of an image pulls it.
pub(super) async fn pull(core: &Rc<Core>, scope: &Scope, image: u64) -> Result<Value, Fault> {
    if !scope.node.as_ref().is_some_and(|node| node.engine) {
        return Ok(Value::Null);
    }
    let name = plain(qualified(scope, image_name(core, image)))?;
    let script = format!("docker image inspect -f . {name} > /dev/null 2>&1 || docker pull {name}");
    sh(core, scope, &script).await.map(|_| Value::Null)
}

/// `image.run(args, command)`: the running container.
pub(super) async fn run(core: &Rc<Core>, scope: &Scope, image: u64, args: &[Value]) -> Result<Value, Fault> {
    let words = |index: usize| args.get(index).map(Value::to_text).filter(|text| !text.is_empty());
    let spaced = |text: Option<String>| text.map(|text| format!(" {text}")).unwrap_or_default();
    let name = plain(image_name(core, image))?;
    let command = format!("docker run -d{} {name}{}", spaced(words(0)), spaced(words(1)));
    let id = captured(core, scope, &command).await?;
    let mut containers = core.run.images.borrow_mut();
    containers.push(id);
    Ok(Value::host(CONTAINER, containers.len() as u64 - 1))
}

/// `image.withRun(args, command) { container -> … }`
pub(super) async fn with_run(
    core: &Rc<Core>,
    scope: &Scope,
    image: u64,
    args: &[Value],
    body: Body,
) -> Result<Value, Fault> {
    let container = run(core, scope, image, args).await?;
    let result = core.call_body(scope, body, vec![container.clone()]).await;
    let stopped = match &container {
        Value::Host(host) => stop(core, scope, host.id).await,
        _ => Ok(Value::Null),
    };
    // What the block failed with says more.
    result.and_then(|value| stopped.map(|_| value))
}

/// `container.stop()`
pub(super) async fn stop(core: &Rc<Core>, scope: &Scope, container: u64) -> Result<Value, Fault> {
    let id = image_name(core, container);
    sh(core, scope, &format!("docker stop {id} && docker rm -f --volumes {id}")).await.map(|_| Value::Null)
}

/// `container.port(80)`: `0.0.0.0:32768`
pub(super) async fn port(core: &Rc<Core>, scope: &Scope, container: u64, args: &[Value]) -> Result<Value, Fault> {
    let [port] = args else { return Err(Fault::illegal("port takes a number")) };
    let said =
        captured(core, scope, &format!("docker port {} {}", image_name(core, container), port.to_text())).await?;
    Ok(values::text(said.lines().next().unwrap_or_default()))
}

/// `image.tag(name)`: the name that it has then.
pub(super) async fn tag(core: &Rc<Core>, scope: &Scope, image: u64, args: &[Value]) -> Result<Value, Fault> {
    tagged(core, scope, image, args).await.map(|name| values::text(&name))
}

async fn tagged(core: &Rc<Core>, scope: &Scope, image: u64, args: &[Value]) -> Result<String, Fault> {
    let name = image_name(core, image);
    let (repository, own) = apart(&name);
    let tag = args.first().filter(|tag| !tag.is_null()).map(Value::to_text);
    let tag = tag.unwrap_or_else(|| own.unwrap_or("latest").to_owned());
    let target = plain(qualified(scope, format!("{repository}:{tag}")))?;
    plain(name.clone())?;
    sh(core, scope, &format!("docker tag {name} {target}")).await?;
    Ok(target)
}

/// `image.push(tag)`
pub(super) async fn push(core: &Rc<Core>, scope: &Scope, image: u64, args: &[Value]) -> Result<Value, Fault> {
    let target = tagged(core, scope, image, args).await?;
    sh(core, scope, &format!("docker push {target}")).await.map(|_| Value::Null)
}

/// A name that is none to a shell: it may come from a branch or a parameter.
fn plain(name: String) -> Result<String, Fault> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._/:@-".contains(c);
    match !name.is_empty() && !name.starts_with('-') && name.chars().all(harmless) {
        true => Ok(name),
        false => Err(Fault::illegal(format!("{name:?} is not a name of an image"))),
    }
}

/// Repository and tag; a colon before the last slash is that of a registry's port.
fn apart(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

async fn sh(core: &Rc<Core>, scope: &Scope, script: &str) -> Result<Value, Fault> {
    let named = vec![("script".to_owned(), Value::str(script))];
    run_named(core, scope, Args { step: "sh".to_owned(), named, body: None }).await
}

async fn captured(core: &Rc<Core>, scope: &Scope, script: &str) -> Result<String, Fault> {
    let named = vec![("script".to_owned(), Value::str(script)), ("returnStdout".to_owned(), Value::Bool(true))];
    let said = run_named(core, scope, Args { step: "sh".to_owned(), named, body: None }).await?;
    Ok(said.to_text().trim().to_owned())
}

/// An image of a Dockerfile of the workspace: `agent { dockerfile … }`. What it is called follows from what it is made of, so that those of
/// two stages with other words are two.
///
/// Source: `DockerPipelineFromDockerfileScript` of docker-workflow.
pub(crate) async fn of_file(
    core: &Rc<Core>,
    scope: &Scope,
    file: &str,
    folder: &str,
    words: &str,
) -> Result<String, Fault> {
    let path = if folder == "." { file.to_owned() } else { format!("{folder}/{file}") };
    let read = Args { step: "readFile".to_owned(), named: vec![("file".to_owned(), Value::str(&*path))], body: None };
    let text = run_named(core, scope, read).await.map_err(|fault| {
        match fault.class() == "java.nio.file.NoSuchFileException" {
            true => Fault::abort(format!("No Dockerfile found at {path} in repository - failing.")),
            false => fault,
        }
    })?;
    let words = if words.is_empty() { String::new() } else { format!(" {words}") };
    let name = digest(&core.facts.job_name, &text.to_text(), &words);
    sh(core, scope, &format!("docker build -t {name}{words} -f \"{path}\" \"{folder}\"")).await?;
    Ok(name)
}

/// SHA-1 of the project's name, the file and the words for the build.
fn digest(project: &str, file: &str, words: &str) -> String {
    let digest = sha1::Sha1::digest(format!("{project}\n{file}\n{words}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{apart, digest};

    #[test]
    fn an_image_of_a_file_has_the_name_that_jenkins_gives_it() {
        // Of `DockerAgentTest#additionalDockerBuildArgsImageHash`.
        let file = "FROM ubuntu:noble\n\nARG someArg=thisArgHere\n\nRUN echo \"hi there, $someArg\" > /hi-there\n\n";
        let name = |arg| digest("testFolder/parallelImageHashTest", file, &format!(" --build-arg someArg={arg}"));
        assert_eq!(name("thisOtherArg"), "02a5b681aa9d457d1a8ebf2d61f4af0061dad300");
        assert_eq!(name("thisDifferentArg"), "36193f504228c0f319bb867146b391dd8e04aec6");
    }

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(apart("a/b:1"), ("a/b", Some("1")));
        assert_eq!(apart("r.example:5000/a"), ("r.example:5000/a", None));
        assert_eq!(apart("r.example:5000/a:2"), ("r.example:5000/a", Some("2")));
    }
}
