//! `docker.image('x').inside { … }` and `docker.withRegistry(url, id) { … }`. Building, pushing and sidecars need a
//! Docker engine of their own and are refused.

use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::{HostRef, Value};
use model::request::{AgentSpec, DockerSpec};

use super::{DOCKER, IMAGE, no_method};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::node::on_agent;

/// `image.id`
pub(super) fn property(core: &Core, id: u64, name: &str) -> Option<Value> {
    matches!(name, "id" | "imageName").then(|| values::text(&image_name(core, id)))
}

fn image_name(core: &Core, id: u64) -> String {
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
            (IMAGE, "pull") => Ok(Value::Null),
            (IMAGE, "imageName" | "getId") => Ok(values::text(&image_name(&core, host.id))),
            (DOCKER, "build" | "withServer" | "withTool") => Err(not_yet(&format!("docker.{}", call.name))),
            (IMAGE, "run" | "withRun" | "push" | "tag") => Err(not_yet(&format!("docker.image(…).{}", call.name))),
            _ => Err(no_method(&host, &call)),
        }
    })
}

fn not_yet(what: &str) -> Fault {
    Fault::raised("java.lang.UnsupportedOperationException", format!("{what} is not supported yet"))
        .with_hint("it needs a Docker engine inside the sandbox, which the `microvm` rung will have")
}

fn image(core: &Core, call: &HostCall) -> Result<Value, Fault> {
    let [name] = &call.args[..] else { return Err(Fault::illegal("docker.image takes the name of an image")) };
    let mut images = core.run.images.borrow_mut();
    images.push(name.to_text());
    Ok(Value::host(IMAGE, images.len() as u64 - 1))
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
    core.call_body(&scope, body, Vec::new()).await
}

async fn inside(core: &Rc<Core>, scope: &Scope, id: u64, call: &HostCall) -> Result<Value, Fault> {
    let (mut args, body) = block(call)?;
    let Some(node) = &scope.node else {
        return Err(Fault::raised(
            crate::engine::fault::NO_NODE,
            "Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the code with a step that \
             provides this, such as: node",
        ));
    };
    let (url, credentials) = scope.registry.as_deref().cloned().unwrap_or_default();
    let spec = DockerSpec {
        image: image_name(core, id),
        args: args.pop().flatten().unwrap_or_default(),
        registry_url: url,
        registry_credentials: credentials,
        workspace_of: Some(node.job),
        ..DockerSpec::default()
    };
    core.mark(scope, "withDockerContainer");
    let folder = scope.dir.clone();
    let body = match folder {
        None => body,
        // `inside` stays in the folder where it was called.
        Some(folder) => in_folder(core, folder.path.clone(), body),
    };
    let result = on_agent(core, scope, AgentSpec::Docker(spec), node.label.clone(), body).await;
    core.mark(scope, "// withDockerContainer");
    result
}

fn in_folder(core: &Rc<Core>, path: String, body: Body) -> Body {
    let core = Rc::clone(core);
    Body::native(move |scope| {
        let (core, scope, body) = (Rc::clone(&core), scope.in_dir(path.clone()), body.clone());
        Box::pin(async move { core.call_body(&scope, body, Vec::new()).await })
    })
}
