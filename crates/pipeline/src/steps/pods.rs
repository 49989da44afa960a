//! Kubernetes' pods, as far as a pipeline sees them: a place with containers that share its workspace. `podTemplate`, `container`, and what
//! `agent { kubernetes }` is made of.
//!
//! ```text
//!   pod ── a node (the container `jnlp`, or whatever an agent has)
//!     ├── a sandbox for each container that runs something by itself, from the start of the pod to its end
//!     └── one for each that only waits for steps, from its first use to the end of the pod
//! ```
//!
//! All of them share the node's workspace, and its network: what one listens with, the others reach at `localhost`.
//!
//! What an operator has defined of them (`RunFacts::pods`) is there by its name (`inheritFrom`) and by its labels (`node`, `agent { label }`): [`defined`].
//!
//! There is no cluster: fields that say where in one a pod is to be (namespace, nodeSelector, volumes …) mean nothing here.

mod defined;
mod template;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Poll;

use groovy::value::Value;
use model::request::AgentSpec;

use super::StepCall;
use super::args::Args;
use super::node::{allocated, released};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::TaskId;
use crate::engine::fault::Fault;
use crate::engine::scope::{Node, Scope};
use crate::lint::engine::Wanted;

use template::ContainerTemplate;

pub use defined::check;
pub(crate) use defined::{Defined, of_label};
pub(crate) use template::PodTemplate;

/// A pod that is there.
pub(crate) struct Pod {
    template: PodTemplate,
    containers: RefCell<BTreeMap<String, Container>>,
}

enum Container {
    /// Who waits for it.
    Starting(Vec<TaskId>),
    Ready(Rc<Node>),
}

/// `podTemplate(containers: […]) { node(POD_LABEL) { … } }`
pub(crate) async fn pod_template(call: StepCall) -> Result<Value, Fault> {
    let yaml = call.args.get("yaml").map(Value::to_text);
    let mut template = PodTemplate::read(&call.args, yaml.as_deref())?;
    template = match inherits_from(&call.args) {
        // Said, if only as nothing: then it is not what stands around it.
        Some(names) => defined::inherited(&call.core, &call.scope, template, &names)?,
        None => match call.scope.pods.last() {
            Some(outer) => template.within(outer)?,
            None => defined::by_own_label(&call.core, template)?,
        },
    };
    let label = template.label.get_or_insert_with(|| {
        let job: String =
            call.core.facts.job_name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!("{job}_{}-{}", call.core.facts.build_number, call.id.0)
    });
    let scope = call.scope.with_env(vec![("POD_LABEL".to_owned(), label.clone())]);
    let template = Rc::new(template);
    call.run_body(&scope.with(|s| s.pods.push(template))).await
}

/// `agent { kubernetes { … } }`, by its fields and the manifest of its `yaml` or `yamlFile`.
///
/// # Errors
/// A manifest or container that makes no sense; what it is to be made from is not there.
pub(crate) fn of_agent(
    core: &Rc<Core>,
    scope: &Scope,
    fields: &Args,
    yaml: Option<&str>,
) -> Result<PodTemplate, Fault> {
    let template = PodTemplate::read(fields, yaml)?;
    match inherits_from(fields) {
        Some(names) => defined::inherited(core, scope, template, &names),
        None => defined::by_own_label(core, template),
    }
}

/// The names in `inheritFrom`, with blanks between them.
fn inherits_from(fields: &Args) -> Option<String> {
    fields.get("inheritFrom").filter(|names| !names.is_null()).map(Value::to_text)
}

/// The body of a node that is a pod.
pub(crate) fn in_pod(core: &Rc<Core>, template: &PodTemplate, body: Body) -> Body {
    let (core, template) = (Rc::clone(core), template.clone());
    Body::native(move |scope| {
        let (core, body) = (Rc::clone(&core), body.clone());
        let pod = Rc::new(Pod { template: template.clone(), containers: RefCell::default() });
        Box::pin(async move {
            let own = |node: &Rc<Node>| Rc::new(Node::clone(node).with_env(pod.template.env_of_node()));
            let inner = scope.with(|s| s.node = s.node.as_ref().map(own));
            let inner = inner.with_env(pod.template.env.clone()).in_pod(Rc::clone(&pod));
            let result = with_services(&core, &inner, &pod, body).await;
            let containers = std::mem::take(&mut *pod.containers.borrow_mut());
            let mut ended = Ok(());
            for container in containers.into_values() {
                if let Container::Ready(node) = container {
                    ended = released(&core, node.job).await.and(ended);
                }
            }
            let value = result?;
            ended.map(|()| value)
        })
    })
}

/// Starts what runs in a pod by itself, and runs its body.
async fn with_services(core: &Rc<Core>, scope: &Scope, pod: &Rc<Pod>, body: Body) -> Result<Value, Fault> {
    // All at the same time: none is asked whether it is ready.
    let start = |container: &ContainerTemplate| {
        let (core, scope, pod, container) = (Rc::clone(core), scope.clone(), Rc::clone(pod), container.clone());
        let executor = Rc::clone(&core.executor);
        executor.spawn(async move { started(&core, &scope, &pod, &container).await.map(drop) })
    };
    let starting: Vec<_> = pod.template.services().map(start).collect();
    let mut all = Ok(());
    for service in starting {
        let one = service.wait(&core.executor).await;
        all = all.and(one);
    }
    all?;
    match pod.template.default.clone().filter(|name| !pod.template.is_node(name)) {
        // Nothing of it is shown: it is where steps run, as an agent is.
        Some(name) => in_container(core, scope, &name, body).await,
        None => core.call_body(scope, body, Vec::new()).await,
    }
}

/// `container('maven') { … }`
pub(crate) async fn container(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.text("name")?;
    let body = call.args.body()?;
    let within = Rc::clone(&call.core);
    let body = Body::native(move |scope| {
        let (core, body) = (Rc::clone(&within), body.clone());
        Box::pin(async move {
            let scope = core.deeper(&scope)?;
            core.mark(&scope, "{");
            let result = core.call_body(&scope, body, Vec::new()).await;
            core.mark(&scope, "}");
            result
        })
    });
    in_container(&call.core, &call.scope, &name, body).await
}

/// Runs a body in a container of the pod around it.
async fn in_container(core: &Rc<Core>, scope: &Scope, name: &str, body: Body) -> Result<Value, Fault> {
    let Some(pod) = scope.pod.clone() else {
        let label = scope.node.as_ref().and_then(|node| node.label.clone());
        return Err(
            Fault::abort(format!("container('{name}') stands in no pod")).with_hint(defined::hint(label.as_deref()))
        );
    };
    if pod.template.is_node(name) {
        let node = scope.pod_node().cloned();
        let folder = scope.cwd().map(str::to_owned);
        let inner = node.map_or_else(|| scope.clone(), |node| scope.on_pod_container(node, folder));
        return core.call_body(&inner, body, Vec::new()).await;
    }
    let Some(container) = pod.template.container(name) else {
        return Err(Fault::abort(format!("container {name} was not found in the pod")).with_hint(pod.template.hint()));
    };
    let node = started(core, scope, &pod, container).await?;
    // Its own folder is that of its program. The step changes into the workspace, which all of them share.
    let inner = scope.on_pod_container(node, scope.cwd().map(str::to_owned));
    core.call_body(&inner, body, Vec::new()).await
}

/// A container of a pod, which is made where nobody has wanted it yet.
async fn started(core: &Rc<Core>, scope: &Scope, pod: &Pod, container: &ContainerTemplate) -> Result<Rc<Node>, Fault> {
    loop {
        match pod.containers.borrow_mut().get_mut(&container.name) {
            Some(Container::Ready(node)) => return Ok(Rc::clone(node)),
            Some(Container::Starting(waiting)) => waiting.extend(core.executor.current()),
            None => break,
        }
        // Until whoever starts it wakes those that wait.
        let mut woken = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut woken, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        core.check_interrupted()?;
    }
    pod.containers.borrow_mut().insert(container.name.clone(), Container::Starting(Vec::new()));
    let node_job = scope.pod_node().map(|node| node.job);
    let agent = AgentSpec::Docker(container.beside(node_job, &pod.template.env));
    let made = allocated(core, scope, agent, Wanted::default()).await;
    let before = match &made {
        Ok((job, place)) => {
            let (job, place) = (*job, place.clone());
            let label = scope.pod_node().and_then(|node| node.label.clone());
            let node = Node { job, place, container: true, label, engine: false };
            let node = Rc::new(node.with_env(&container.env));
            pod.containers.borrow_mut().insert(container.name.clone(), Container::Ready(node))
        }
        Err(_) => pod.containers.borrow_mut().remove(&container.name),
    };
    if let Some(Container::Starting(waiting)) = before {
        waiting.into_iter().for_each(|task| core.executor.wake(task));
    }
    made?;
    match pod.containers.borrow().get(&container.name) {
        Some(Container::Ready(node)) => Ok(Rc::clone(node)),
        _ => Err(Fault::abort(format!("container {} is gone", container.name))),
    }
}
