//! `agent`: a sandbox around a pipeline or stage, with the checkout that comes with it.

use std::rc::Rc;

use groovy::value::Value;
use model::request::{AgentSpec, DockerSpec};

use super::Spot;
use super::interpreter::Interpreter;
use super::options::Options;
use crate::declarative::model::{Agent, AgentValue};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::globals::{containers, docker};
use crate::steps::args::Args;
use crate::steps::folder::{in_workspace, in_workspace_of_node, workspace_path};
use crate::steps::node::{Wish, on_agent};
use crate::steps::pods::{self, PodTemplate, in_pod};
use crate::steps::stage::{framed, marked};
use crate::steps::{self, checkout_scm};

/// What an agent directive comes to.
struct Wanted {
    spec: AgentSpec,
    label: Option<String>,
    workspace: Option<String>,
    /// On a sandbox that is there already: the files are there, too.
    reuse: bool,
    retries: i64,
    /// Where the directive stands.
    at: Spot,
    /// The image is to be built of a file of the workspace.
    file: Option<DockerfileSpec>,
    /// It is a pod of Kubernetes.
    pod: Option<PodTemplate>,
}

/// `agent { dockerfile { … } }`
#[derive(Clone)]
struct DockerfileSpec {
    file: String,
    folder: String,
    build_words: String,
    run_words: String,
}

impl Wanted {
    fn wish(&self) -> Wish {
        let shares = self.pod.as_ref().and_then(PodTemplate::shares);
        Wish { agent: self.spec.clone(), label: self.label.clone(), at: Some(self.at), shares }
    }
}

/// Runs a body on the agent of a directive; without one, where the run is.
pub(super) async fn within(
    it: &Rc<Interpreter>,
    scope: &Scope,
    agent: Option<&Agent>,
    options: &Options,
    root: bool,
    next: Body,
) -> Result<Value, Fault> {
    let wanted = match agent {
        Some(agent) if !agent.is_none() => wanted(it, scope, agent).await.map_err(|f| f.at(agent.span))?,
        _ => return it.core.call_body(scope, next, Vec::new()).await,
    };
    let inherited = &it.options.common;
    let skip = options.skip_checkout.or(inherited.skip_checkout).unwrap_or(false);
    let checkout = it.core.facts.has_scm && !skip && !wanted.reuse;
    let sub = options.subdirectory.clone().or_else(|| inherited.subdirectory.clone());
    let next = match wanted.file.clone() {
        Some(file) => in_built_image(&it.core, file, next),
        None => next,
    };
    let inside = match &wanted.pod {
        // What is checked out is checked out by the node, whatever container steps run in by default.
        Some(pod) => in_pod(&it.core, pod, next),
        None => next,
    };
    let inside = in_sandbox(&it.core, (wanted.workspace.clone(), wanted.reuse), checkout.then_some(sub), root, inside);
    if wanted.reuse && wanted.file.is_some() {
        return it.core.call_body(scope, inside, Vec::new()).await;
    }
    if wanted.retries > 1 {
        return retried(it, scope, wanted, inside).await;
    }
    allocate(&it.core, scope, wanted.wish(), inside).await
}

/// `agent { docker { … } }` of the pipeline again for one stage: `newContainerPerStage`.
pub(super) async fn fresh_container(it: &Rc<Interpreter>, scope: &Scope, next: Body) -> Result<Value, Fault> {
    if &*it.model.agent.kind != "docker" {
        return it.core.call_body(scope, next, Vec::new()).await;
    }
    let wanted = wanted(it, scope, &it.model.agent).await?;
    match (wanted.spec, &scope.node) {
        (AgentSpec::Docker(mut spec), Some(node)) => {
            spec.workspace_of = Some(node.job);
            let wish = Wish { agent: AgentSpec::Docker(spec), label: wanted.label, at: None, shares: None };
            allocate(&it.core, scope, wish, next).await
        }
        _ => it.core.call_body(scope, next, Vec::new()).await,
    }
}

async fn allocate(core: &Rc<Core>, scope: &Scope, wish: Wish, body: Body) -> Result<Value, Fault> {
    core.mark(scope, "node");
    let result = on_agent(core, scope, wish, body).await;
    core.mark(scope, "// node");
    result
}

/// `retries 2`: again when the sandbox itself failed.
async fn retried(it: &Rc<Interpreter>, scope: &Scope, wanted: Wanted, inside: Body) -> Result<Value, Fault> {
    let (core, retries) = (Rc::clone(&it.core), wanted.retries);
    let body = Body::native(move |scope| {
        let (core, wish, inside) = (Rc::clone(&core), wanted.wish(), inside.clone());
        Box::pin(async move { allocate(&core, &scope, wish, inside).await })
    });
    let named = vec![
        ("count".to_owned(), Value::Long(retries)),
        ("conditions".to_owned(), Value::list(vec![Value::str("agent")])),
    ];
    steps::run_named(&it.core, scope, Args { step: "retry".to_owned(), named, body: Some(body) }).await
}

/// Builds an image of a file of the workspace, and runs the body in it.
fn in_built_image(core: &Rc<Core>, file: DockerfileSpec, next: Body) -> Body {
    let core = Rc::clone(core);
    Body::native(move |scope| {
        let (core, file, next) = (Rc::clone(&core), file.clone(), next.clone());
        Box::pin(async move {
            let built = containers::of_file(&core, &scope, &file.file, &file.folder, &file.build_words).await?;
            docker::in_container(&core, &scope, built, file.run_words, next).await
        })
    })
}

/// What happens in a new sandbox before the body: another workspace, the checkout. `is_beside`: it is a container on a node, whose workspace
/// that is.
fn in_sandbox(
    core: &Rc<Core>,
    (workspace, is_beside): (Option<String>, bool),
    checkout: Option<Option<String>>,
    root: bool,
    next: Body,
) -> Body {
    let core = Rc::clone(core);
    Body::native(move |scope| {
        let (core, next, checkout) = (Rc::clone(&core), next.clone(), checkout.clone());
        let workspace =
            workspace.as_ref().zip(scope.node.as_ref()).map(|(name, node)| workspace_path(&node.place.workspace, name));
        Box::pin(async move {
            let scope = match workspace {
                Some(path) if is_beside => in_workspace_of_node(&core, &scope, path).await?,
                Some(path) => in_workspace(&core, &scope, path).await?,
                None => scope,
            };
            let Some(sub) = checkout else { return core.call_body(&scope, next, Vec::new()).await };
            let vars = check_out(&core, &scope, sub, root).await?;
            marked(&core, &scope, "withEnv", &scope.with_env(vars), next).await
        })
    })
}

/// The checkout of a new sandbox: a stage of its own for the pipeline's agent.
async fn check_out(
    core: &Rc<Core>,
    scope: &Scope,
    sub: Option<String>,
    root: bool,
) -> Result<Vec<(String, String)>, Fault> {
    if !root {
        return checkout_scm(core, scope, sub.as_deref()).await;
    }
    let found = Rc::new(std::cell::RefCell::new(Vec::new()));
    let (inner, result) = (Rc::clone(core), Rc::clone(&found));
    let body = Body::native(move |scope| {
        let (core, result, sub) = (Rc::clone(&inner), Rc::clone(&result), sub.clone());
        Box::pin(async move {
            let vars = checkout_scm(&core, &scope, sub.as_deref()).await?;
            *result.borrow_mut() = vars;
            Ok(Value::Null)
        })
    });
    core.mark(scope, "stage");
    let result = framed(core, scope, "Declarative: Checkout SCM", body).await;
    core.mark(scope, "// stage");
    result.map(|_| found.take())
}

/// Evaluates the fields of a directive.
async fn wanted(it: &Rc<Interpreter>, scope: &Scope, agent: &Agent) -> Result<Wanted, Fault> {
    let mut fields = Vec::new();
    for field in &agent.fields {
        if let Some(expr) = agent.field(&field.name) {
            fields.push((field.name.to_string(), it.eval(scope, expr).await?));
        }
    }
    let args = Args { step: agent.kind.to_string(), named: fields, body: None };
    let text = |name: &str| Ok::<_, Fault>(args.get(name).map(Value::to_text).filter(|t| !t.trim().is_empty()));
    let (label, workspace) = (text("label")?, text("customWorkspace")?);
    let retries = args.opt_int("retries")?.unwrap_or(0);
    let plain = || label.clone().map_or(AgentSpec::Any, AgentSpec::Label);
    // The pod that its label means, where an operator has said so.
    let mut defined = None;
    let (spec, reuse) = match &*agent.kind {
        "any" => (AgentSpec::Any, false),
        "label" | "node" => {
            defined = label.as_deref().map(|label| pods::of_label(&it.core, label)).transpose()?.flatten();
            (defined.as_ref().map_or_else(plain, PodTemplate::node), false)
        }
        "docker" => {
            let image = text("image")?.ok_or_else(|| Fault::illegal("agent { docker } needs the name of an image"))?;
            let reuse = scope.node.as_ref().filter(|_| args.flag("reuseNode", false).unwrap_or(false));
            let spec = DockerSpec {
                image,
                label: label.clone(),
                args: text("args")?.unwrap_or_default(),
                always_pull: args.flag("alwaysPull", false)?,
                registry_url: text("registryUrl")?,
                registry_credentials: text("registryCredentialsId")?,
                custom_workspace: workspace.clone(),
                workspace_of: reuse.map(|node| node.job),
                pod: None,
            };
            (AgentSpec::Docker(spec), reuse.is_some())
        }
        "dockerfile" => {
            let reuse = scope.node.is_some() && args.flag("reuseNode", false)?;
            let file = DockerfileSpec {
                file: text("filename")?.unwrap_or_else(|| "Dockerfile".to_owned()),
                folder: text("dir")?.unwrap_or_else(|| ".".to_owned()),
                build_words: text("additionalBuildArgs")?.unwrap_or_default(),
                run_words: text("args")?.unwrap_or_default(),
            };
            let wanted = Wanted {
                spec: plain(),
                label,
                workspace,
                reuse,
                retries,
                at: it.spot(agent.span),
                file: Some(file),
                pod: None,
            };
            return Ok(wanted);
        }
        "kubernetes" => {
            let template = pod(it, scope, agent, &args).await?;
            let spec = template.node();
            let at = it.spot(agent.span);
            return Ok(Wanted { spec, label, workspace, reuse: false, retries, at, file: None, pod: Some(template) });
        }
        kind => {
            let text = format!("agent {{ {kind} }} is not supported yet");
            return Err(Fault::raised("java.lang.UnsupportedOperationException", text)
                .with_hint("any, none, label, node, docker, dockerfile and kubernetes are"));
        }
    };
    let docker = defined.is_none() && matches!(spec, AgentSpec::Docker(_));
    // A container on the node is where the node's steps are.
    let of_node = scope.workspace().filter(|_| docker && reuse).map(str::to_owned);
    Ok(Wanted {
        spec,
        label,
        workspace: workspace.filter(|_| !docker).or(of_node),
        reuse,
        retries,
        at: it.spot(agent.span),
        file: None,
        pod: defined,
    })
}

/// What `agent { kubernetes { … } }` says. Its manifest may be a file of the repository.
async fn pod(it: &Rc<Interpreter>, scope: &Scope, agent: &Agent, args: &Args) -> Result<PodTemplate, Fault> {
    let text = |name: &str| args.get(name).map(Value::to_text).filter(|text| !text.trim().is_empty());
    let yaml = match (text("yaml"), text("yamlFile")) {
        (Some(yaml), _) => Some(yaml),
        (None, Some(file)) => Some(steps::read_of_repository(&it.core, &file).await?),
        (None, None) => None,
    };
    let mut fields = args.clone();
    // `containerTemplate { name 'x' … }` has fields of its own.
    for field in &agent.fields {
        if let AgentValue::Fields(inner) = &field.value {
            let mut pairs = Vec::new();
            for field in inner {
                if let AgentValue::Expr(expr) = &field.value {
                    pairs.push((field.name.to_string(), it.eval(scope, expr).await?));
                }
            }
            let map = values::map(pairs.iter().map(|(name, value)| (name.as_str(), value.clone())));
            fields.named.push((field.name.to_string(), map));
        }
    }
    pods::of_agent(&it.core, scope, &fields, yaml.as_deref())
}
