//! Kubernetes' pods, as far as a pipeline sees them: a place with containers that share its workspace. `podTemplate`, `container`, and what
//! `agent { kubernetes }` is made of.
//!
//! ```text
//!   pod ── a node (the container `jnlp`, or whatever an agent has)
//!     └── a sandbox for each container that a step wants, from its first use to the end of the pod
//! ```
//!
//! There is no cluster: fields that say where in one a pod is to be (namespace, nodeSelector, volumes …) mean nothing here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Poll;

use groovy::value::Value;
use model::request::{AgentSpec, DockerSpec};

use super::StepCall;
use super::args::Args;
use super::node::{allocated, released};
use super::utility::yaml;
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::TaskId;
use crate::engine::fault::Fault;
use crate::engine::scope::{Node, Scope};
use crate::engine::values::entries;

/// The container that is the node itself.
const AGENT: &str = "jnlp";
/// Most containers of one pod.
const MAX_CONTAINERS: usize = 100;

/// What a pod is made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodTemplate {
    /// Nodes with this label are pods of it.
    pub(crate) label: Option<String>,
    containers: Vec<PodContainer>,
    /// The container that is the node.
    agent: Option<String>,
    /// The one in which steps run where nothing else is said.
    default: Option<String>,
    env: Vec<(String, String)>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default)]
struct PodContainer {
    name: String,
    image: String,
    env: Vec<(String, String)>,
    /// Who its steps are, as a number; as in a pod, root where nothing is said.
    user: Option<String>,
    always_pull: bool,
    dir: Option<String>,
}

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

impl PodTemplate {
    /// From the fields of `podTemplate(…)` or `agent { kubernetes { … } }`; `yaml` is the text of a manifest.
    ///
    /// # Errors
    /// A manifest or container that makes no sense.
    pub(crate) fn read(fields: &Args, yaml: Option<&str>) -> Result<PodTemplate, Fault> {
        let text = |name: &str| fields.get(name).map(Value::to_text).filter(|text| !text.trim().is_empty());
        let mut template = PodTemplate {
            label: text("label"),
            agent: text("agentContainer"),
            default: text("defaultContainer"),
            env: fields.get("envVars").map(variables).unwrap_or_default(),
            ..PodTemplate::default()
        };
        if let Some(yaml) = yaml {
            template.manifest(yaml)?;
        }
        let several = ["containers", "containerTemplates"].into_iter().filter_map(|name| fields.get(name)?.items());
        for container in several.flatten().chain(fields.get("containerTemplate").cloned()) {
            template.add(described(&container)?)?;
        }
        Ok(template)
    }

    /// Reads `kind: Pod`.
    fn manifest(&mut self, text: &str) -> Result<(), Fault> {
        let documents = yaml::parse(text, yaml::MAX_ALIASES)
            .map_err(|why| Fault::illegal(format!("The yaml of the pod: {why}")))?;
        let at = |value: &Value, name: &str| value.get(name).filter(|value| !value.is_null());
        let Some(spec) = documents.first().and_then(|pod| at(pod, "spec")) else { return Ok(()) };
        let user_of = |value: &Value| Some(at(&at(value, "securityContext")?, "runAsUser")?.to_text());
        let of_pod = user_of(&spec);
        for container in at(&spec, "containers").and_then(|list| list.items()).unwrap_or_default() {
            let field = |name: &str| at(&container, name).map(|value| value.to_text());
            self.add(PodContainer {
                name: field("name").ok_or_else(|| Fault::illegal("The yaml of the pod: a container has no name"))?,
                image: field("image").unwrap_or_default(),
                env: at(&container, "env").as_ref().map(variables).unwrap_or_default(),
                user: user_of(&container).or_else(|| of_pod.clone()),
                always_pull: field("imagePullPolicy").is_some_and(|policy| policy == "Always"),
                dir: field("workingDir"),
            })?;
        }
        Ok(())
    }

    /// Adds a container; one of the same name is replaced.
    fn add(&mut self, container: PodContainer) -> Result<(), Fault> {
        self.containers.retain(|other| other.name != container.name);
        if self.containers.len() >= MAX_CONTAINERS {
            return Err(Fault::illegal(format!("A pod of more than {MAX_CONTAINERS} containers")));
        }
        self.containers.push(container);
        Ok(())
    }

    /// With what a template around it has.
    fn within(mut self, outer: &PodTemplate) -> PodTemplate {
        let is_new = |container: &&PodContainer| self.containers.iter().all(|own| own.name != container.name);
        let more: Vec<_> = outer.containers.iter().filter(is_new).cloned().collect();
        self.containers.extend(more);
        self.env = outer.env.iter().cloned().chain(self.env).collect();
        self
    }

    fn container(&self, name: &str) -> Option<&PodContainer> {
        self.containers.iter().find(|container| container.name == name && !container.image.is_empty())
    }

    /// What its node is: the container that an agent would run in, where it says one.
    pub(crate) fn node(&self) -> AgentSpec {
        let container = self.container(self.agent.as_deref().unwrap_or(AGENT));
        match container {
            Some(container) => AgentSpec::Docker(container.spec()),
            None if self.containers.is_empty() => self.label.clone().map_or(AgentSpec::Any, AgentSpec::Label),
            None => AgentSpec::Any,
        }
    }

    fn is_node(&self, name: &str) -> bool {
        name == self.agent.as_deref().unwrap_or(AGENT) || name == AGENT
    }
}

impl PodContainer {
    fn spec(&self) -> DockerSpec {
        DockerSpec {
            image: self.image.clone(),
            args: format!("-u {}", self.user.as_deref().unwrap_or("0")),
            always_pull: self.always_pull,
            ..DockerSpec::default()
        }
    }
}

/// `containerTemplate(name: 'maven', image: 'maven:3')`
fn described(value: &Value) -> Result<PodContainer, Fault> {
    let fields = entries(value).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
    let text = |name: &str| field(name).map(Value::to_text).filter(|text| !text.is_empty());
    Ok(PodContainer {
        name: text("name").ok_or_else(|| Fault::illegal("containerTemplate needs a name"))?,
        image: text("image").unwrap_or_default(),
        env: field("envVars").map(variables).unwrap_or_default(),
        user: text("runAsUser"),
        always_pull: field("alwaysPullImage").is_some_and(Value::truth),
        dir: text("workingDir").filter(|dir| dir != "/home/jenkins/agent" && dir != "/home/jenkins"),
    })
}

/// `[envVar(key: 'A', value: 'b')]`, `[{name: A, value: b}]`: what is of a secret or of the pod itself is not there.
fn variables(list: &Value) -> Vec<(String, String)> {
    let pair = |value: &Value| {
        let fields = entries(value)?;
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
        Some((field("key").or_else(|| field("name"))?.to_text(), field("value")?.to_text()))
    };
    list.items().unwrap_or_default().iter().filter_map(pair).collect()
}

/// `podTemplate(containers: […]) { node(POD_LABEL) { … } }`
pub(crate) async fn pod_template(call: StepCall) -> Result<Value, Fault> {
    let yaml = call.args.get("yaml").map(Value::to_text);
    let mut template = PodTemplate::read(&call.args, yaml.as_deref())?;
    if call.args.get("inheritFrom").is_some_and(Value::truth) {
        call.say("WARNING: inheritFrom is ignored: there are no templates of pods beside the definition");
    }
    if let Some(outer) = call.scope.pods.last() {
        template = template.within(outer);
    }
    let label = template.label.get_or_insert_with(|| {
        let job: String =
            call.core.facts.job_name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!("{job}_{}-{}", call.core.facts.build_number, call.id.0)
    });
    let scope = call.scope.with_env(vec![("POD_LABEL".to_owned(), label.clone())]);
    let template = Rc::new(template);
    call.run_body(&scope.with(|s| s.pods.push(template))).await
}

/// The body of a node that is a pod.
pub(crate) fn in_pod(core: &Rc<Core>, template: &PodTemplate, body: Body) -> Body {
    let (core, template) = (Rc::clone(core), template.clone());
    Body::native(move |scope| {
        let (core, body) = (Rc::clone(&core), body.clone());
        let pod = Rc::new(Pod { template: template.clone(), containers: RefCell::default() });
        Box::pin(async move {
            let inner = scope.with_env(pod.template.env.clone()).in_pod(Rc::clone(&pod));
            let result = match pod.template.default.clone().filter(|name| !pod.template.is_node(name)) {
                // Nothing of it is shown: it is where steps run, as an agent is.
                Some(name) => in_container(&core, &inner, &name, body).await,
                None => core.call_body(&inner, body, Vec::new()).await,
            };
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
        return Err(Fault::abort(format!("container('{name}') stands in no pod"))
            .with_hint("a pod is `agent { kubernetes { … } }`, or `podTemplate { node(POD_LABEL) { … } }`"));
    };
    if pod.template.is_node(name) {
        let node = scope.pod_node().cloned();
        let folder = scope.cwd().map(str::to_owned);
        let inner = node.map_or_else(|| scope.clone(), |node| scope.on_pod_container(node, folder));
        return core.call_body(&inner, body, Vec::new()).await;
    }
    let Some(container) = pod.template.container(name) else {
        let names: Vec<_> = pod.template.containers.iter().map(|container| container.name.as_str()).collect();
        return Err(Fault::abort(format!("container {name} was not found in the pod"))
            .with_hint(format!("it has {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })));
    };
    let node = started(core, scope, &pod, container).await?;
    let folder = container.dir.clone().or_else(|| scope.cwd().map(str::to_owned));
    let inner = scope.on_pod_container(node, folder).with_env(container.env.clone());
    core.call_body(&inner, body, Vec::new()).await
}

/// A container of a pod, which is made where nobody has wanted it yet.
async fn started(core: &Rc<Core>, scope: &Scope, pod: &Pod, container: &PodContainer) -> Result<Rc<Node>, Fault> {
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
    let agent = AgentSpec::Docker(DockerSpec { workspace_of: node_job, ..container.spec() });
    let made = allocated(core, scope, agent, None).await;
    let before = match &made {
        Ok((job, place)) => {
            let (job, place) = (*job, place.clone());
            let label = scope.pod_node().and_then(|node| node.label.clone());
            let node = Rc::new(Node { job, place, container: true, label });
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
