//! `docker.image('x').inside { … }` and `docker.withRegistry(url, id) { … }`; what needs an engine is in `containers`.

use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::{HostRef, Value};
use model::request::{AgentSpec, DockerSpec};

use super::{CONTAINER, DOCKER, IMAGE, containers, no_method};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::Fault;
use crate::engine::scope::{Folder, Scope};
use crate::engine::values;
use crate::run::Spot;
use crate::steps::credentials::logged_in;
use crate::steps::folder::in_workspace_of_node;
use crate::steps::node::{Wish, on_agent};
use crate::steps::tool::installed;

/// `image.id`, `container.id`
pub(super) fn property(core: &Core, id: u64, name: &str) -> Option<Value> {
    (name == "id").then(|| values::text(&image_name(core, id)))
}

/// The name with the registry of `withRegistry`, as docker-workflow makes it.
pub(super) fn qualified(scope: &Scope, name: String) -> String {
    let Some((Some(url), _)) = scope.registry.as_deref() else { return name };
    let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    if name.starts_with(&format!("{host}/")) { name } else { format!("{host}/{name}") }
}

pub(super) fn image_name(core: &Core, id: u64) -> String {
    let images = core.run.images.borrow();
    usize::try_from(id).ok().and_then(|i| images.get(i).cloned()).unwrap_or_default()
}

/// A method of `docker` or of an image.
pub(super) fn call(
    core: &Rc<Core>,
    scope: &Scope,
    host: &HostRef,
    call: HostCall,
) -> LocalFuture<Result<Value, Fault>> {
    let (core, scope, host) = (Rc::clone(core), scope.clone(), host.clone());
    Box::pin(async move {
        match (host.kind, &*call.name) {
            (DOCKER, "image") => image(&core, &call),
            (DOCKER, "withRegistry") => with_registry(&core, &scope, &call).await,
            (IMAGE, "inside") => inside(&core, &scope, host.id, &call).await,
            (IMAGE, "pull") => containers::pull(&core, &scope, host.id).await,
            (IMAGE, "getId") => Ok(values::text(&image_name(&core, host.id))),
            (IMAGE, "imageName") => Ok(values::text(&qualified(&scope, image_name(&core, host.id)))),
            (DOCKER, "withTool") => with_tool(&core, &scope, &call).await,
            (DOCKER, "withServer") => {
                // There is no server to choose: the block is all that is left.
                let (_, body) = block(&call)?;
                on_some_node(&core, &scope, &call, body).await
            }
            (DOCKER, "build") => containers::build(&core, &scope, &call.args).await,
            (IMAGE, "run") => containers::run(&core, &scope, host.id, &call.args).await,
            (IMAGE, "withRun") => {
                let (_, body) = block(&call)?;
                let words = call.args.split_last().map_or(Vec::new(), |(_, words)| words.to_vec());
                let within = Rc::clone(&core);
                let body = Body::native(move |scope| {
                    let (core, words, body) = (Rc::clone(&within), words.clone(), body.clone());
                    Box::pin(async move { containers::with_run(&core, &scope, host.id, &words, body).await })
                });
                on_some_node(&core, &scope, &call, body).await
            }
            (IMAGE, "push") => containers::push(&core, &scope, host.id, &call.args).await,
            (IMAGE, "tag") => containers::tag(&core, &scope, host.id, &call.args).await,
            (CONTAINER, "stop") => containers::stop(&core, &scope, host.id).await,
            (CONTAINER, "port") => containers::port(&core, &scope, host.id, &call.args).await,
            _ => Err(no_method(&host, &call)),
        }
    })
}

fn image(core: &Core, call: &HostCall) -> Result<Value, Fault> {
    let [name] = &call.args[..] else { return Err(Fault::illegal("docker.image takes the name of an image")) };
    Ok(new_image(core, name.to_text()))
}

pub(super) fn new_image(core: &Core, name: String) -> Value {
    core.run.hold(size_of::<String>() + name.len(), 0);
    let mut images = core.run.images.borrow_mut();
    images.push(name);
    Value::host(IMAGE, images.len() as u64 - 1)
}

/// The block at the end of a call, and what stands before it as text.
fn block(call: &HostCall) -> Result<(Vec<Option<String>>, Body), Fault> {
    match call.args.split_last() {
        Some((body, rest)) if values::is_closure(body) => {
            let texts = rest.iter().map(|v| (!v.is_null()).then(|| v.to_text()));
            Ok((texts.collect(), Body::Script(body.clone())))
        }
        _ => Err(Fault::illegal(format!("{} takes a block", call.name))),
    }
}

async fn with_registry(core: &Rc<Core>, scope: &Scope, call: &HostCall) -> Result<Value, Fault> {
    let (mut args, body) = block(call)?;
    args.resize(2, None);
    let credentials = args.pop().flatten().filter(|c| !c.is_empty());
    let url = args.pop().flatten().filter(|u| !u.is_empty());
    let scope = core.deeper(scope)?.with(|s| s.registry = Some(Rc::new((url, credentials))));
    let within = Rc::clone(core);
    let body = Body::native(move |scope| {
        let (core, body) = (Rc::clone(&within), body.clone());
        Box::pin(async move { logged_in(&core, &scope, body).await })
    });
    on_some_node(core, &scope, call, body).await
}

/// `docker.withTool('default') { … }`: the programs of a tool that the run was told of come first. Any other is the one that the place has.
///
/// Source: `Docker.groovy` of docker-workflow.
async fn with_tool(core: &Rc<Core>, scope: &Scope, call: &HostCall) -> Result<Value, Fault> {
    let (mut args, body) = block(call)?;
    let name = args.pop().flatten().unwrap_or_default();
    let tool = installed(&core.facts.tools, "docker", &name);
    let mut vars: Vec<_> =
        tool.map(|tool| ("PATH+DOCKER".to_owned(), format!("{}/bin", tool.folder))).into_iter().collect();
    vars.push(("DOCKER_TOOL_NAME".to_owned(), name));
    on_some_node(core, &core.deeper(scope)?.with_env(vars), call, body).await
}

/// Runs the body of a call where the run is, or on a node of its own where it is on none.
async fn on_some_node(core: &Rc<Core>, scope: &Scope, call: &HostCall, body: Body) -> Result<Value, Fault> {
    if scope.node.is_some() {
        return core.call_body(scope, body, Vec::new()).await;
    }
    core.mark(scope, "node");
    let at = Some(Spot { script: call.script, start: call.span.start });
    let result = on_agent(core, scope, Wish { agent: AgentSpec::Any, label: None, at, shares: None }, body).await;
    core.mark(scope, "// node");
    result
}

async fn inside(core: &Rc<Core>, scope: &Scope, id: u64, call: &HostCall) -> Result<Value, Fault> {
    let (mut args, body) = block(call)?;
    let (image, args) = (image_name(core, id), args.pop().flatten().unwrap_or_default());
    let within = Rc::clone(core);
    let body = Body::native(move |scope| {
        let (core, image, args, body) = (Rc::clone(&within), image.clone(), args.clone(), body.clone());
        Box::pin(async move {
            core.mark(&scope, "withDockerContainer");
            let result = in_container(&core, &scope, image, args, body).await;
            core.mark(&scope, "// withDockerContainer");
            result
        })
    });
    on_some_node(core, scope, call, body).await
}

/// Runs a body in a container that shares the workspace of the node.
pub(crate) async fn in_container(
    core: &Rc<Core>,
    scope: &Scope,
    image: String,
    args: String,
    body: Body,
) -> Result<Value, Fault> {
    let (url, credentials) = scope.registry.as_deref().cloned().unwrap_or_default();
    let spec = DockerSpec {
        image,
        args,
        registry_url: url,
        registry_credentials: credentials,
        workspace_of: scope.node.as_ref().map(|node| node.job),
        ..DockerSpec::default()
    };
    // The container stays in the folder where it was asked for.
    let body = match &scope.dir {
        None => body,
        Some(folder) => in_folder(core, Rc::clone(folder), body),
    };
    let label = scope.node.as_ref().and_then(|node| node.label.clone());
    on_agent(core, scope, Wish { agent: AgentSpec::Docker(spec), label, at: None, shares: None }, body).await
}

fn in_folder(core: &Rc<Core>, folder: Rc<Folder>, body: Body) -> Body {
    let core = Rc::clone(core);
    Body::native(move |scope| {
        let (core, folder, body) = (Rc::clone(&core), Rc::clone(&folder), body.clone());
        Box::pin(async move {
            let scope = match folder.workspace.clone() {
                Some(workspace) => in_workspace_of_node(&core, &scope, workspace).await?,
                None => scope,
            };
            core.call_body(&scope.in_dir(folder.path.clone()), body, Vec::new()).await
        })
    })
}
