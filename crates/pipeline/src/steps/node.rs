//! `node`: a sandbox for a block. Also what a declarative `agent` comes to.

use std::rc::Rc;

use groovy::value::Value;
use model::event::Event;
use model::ids::JobId;
use model::request::{AgentSpec, Allocated, Reply, Request};

use super::pods::{PodTemplate, in_pod, of_label};
use super::{StepCall, unexpected};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::{Node, Scope};
use crate::engine::values;
use crate::globals::docker;
use crate::lint::engine::Wanted;
use crate::run::Spot;

/// `node { … }`, `node('label') { … }`
pub(crate) async fn node(call: StepCall) -> Result<Value, Fault> {
    let label = call.args.opt_text("label")?.filter(|l| !l.trim().is_empty());
    let body = call.args.body()?;
    let around = call.scope.pods.iter().rev().find(|template| label.is_some() && template.label == label);
    let pod = match (around, &label) {
        (Some(template), _) => Some(PodTemplate::clone(template)),
        (None, Some(label)) => of_label(&call.core, label)?,
        (None, None) => None,
    };
    if let Some(template) = pod {
        let wish = Wish { agent: template.node(), label, at: call.at, shares: template.shares() };
        return on_agent(&call.core, &call.scope, wish, in_pod(&call.core, &template, body)).await;
    }
    let agent = label.clone().map_or(AgentSpec::Any, AgentSpec::Label);
    on_agent(&call.core, &call.scope, Wish { agent, label, at: call.at, shares: None }, body).await
}

/// `nodesByLabel 'linux'`: the label itself, for whichever machine has it is who `node` gives for it. Which others have it a run does not know.
///
/// Source: `NodesByLabelStep` of pipeline-utility-steps.
pub(crate) async fn nodes_by_label(call: StepCall) -> Result<Value, Fault> {
    let label = call.args.text("label")?;
    let found = if label.trim().is_empty() { Vec::new() } else { vec![values::text(label.trim())] };
    call.say(&format!("Found a total of {} nodes with the '{label}' label", found.len()));
    Ok(Value::list(found))
}

/// `withDockerContainer('image') { … }`: the same files in a container.
pub(crate) async fn with_docker_container(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    let (image, args) = (call.args.text("image")?, call.args.opt_text("args")?.unwrap_or_default());
    docker::in_container(&call.core, &call.scope, image, args, call.args.body()?).await
}

/// What a sandbox is wanted for.
pub(crate) struct Wish {
    pub(crate) agent: AgentSpec,
    pub(crate) label: Option<String>,
    /// Where in the definition it is asked for.
    pub(crate) at: Option<Spot>,
    /// The words that have further sandboxes share its workspace, where they do not stand in the definition there.
    pub(crate) shares: Option<String>,
}

/// Allocates a sandbox, runs a body in it, and releases it, whatever happens in between.
pub(crate) async fn on_agent(core: &Rc<Core>, scope: &Scope, wish: Wish, body: Body) -> Result<Value, Fault> {
    let Wish { agent, label, at, shares } = wish;
    let wanted = at.map(|at| core.program.wanted_at(at)).unwrap_or_default();
    let wanted = Wanted { shares: wanted.shares.or(shares), ..wanted };
    let scope = core.deeper(scope)?;
    let container = matches!(agent, AgentSpec::Docker(_));
    let beside = matches!(&agent, AgentSpec::Docker(docker) if docker.workspace_of.is_some());
    let engine = wanted.engine.is_some() && !container;
    let (job, place) = allocated(core, &scope, agent, wanted).await?;
    core.say(&scope, &format!("Running on {} in {}", place.node_name, place.workspace));
    let inner = scope.on_node(Rc::new(Node { job, place, container, label, engine }));
    // Another node is in no pod that is around this one.
    let inner = if beside { inner } else { inner.with(|s| s.pod = None) };
    core.mark(&scope, "{");
    let result = core.call_body(&inner, body, Vec::new()).await;
    core.mark(&scope, "}");
    let released = released(core, job).await;
    result.and_then(|value| released.map(|()| value))
}

/// Asks for a sandbox: its job, and what is said of it.
pub(crate) async fn allocated(
    core: &Rc<Core>,
    scope: &Scope,
    agent: AgentSpec,
    Wanted { engine, shares }: Wanted,
) -> Result<(JobId, Allocated), Fault> {
    core.check_interrupted()?;
    let job = core.next_job();
    core.event(Event::JobRequested { job, stage: scope.stage, agent: in_words(&agent) });
    let (reply, interruption) = core.ask_raw(Request::Allocate { job, agent, engine, shares }).await;
    let place = match reply {
        Reply::Allocated(place) => place,
        Reply::Failed(failure) if interruption.is_none() => return Err(Fault::failed(failure)),
        Reply::Failed(_) | Reply::Cancelled => {
            let cancelled = || Fault::abort("The sandbox was cancelled by the system that makes it");
            return Err(interruption.map_or_else(cancelled, Fault::interrupted));
        }
        reply => return Err(unexpected(&reply)),
    };
    if let Some(interruption) = interruption {
        core.ask_to_the_end(Request::Release { job }).await;
        return Err(Fault::interrupted(interruption));
    }
    Ok((job, place))
}

/// Ends a job, whatever happens meanwhile.
pub(crate) async fn released(core: &Rc<Core>, job: JobId) -> Result<(), Fault> {
    match core.ask_to_the_end(Request::Release { job }).await {
        Reply::Failed(failure) => Err(Fault::failed(failure)),
        _ => Ok(()),
    }
}

/// What people see: `any`, the label, the image.
fn in_words(agent: &AgentSpec) -> String {
    match agent {
        AgentSpec::Any => "any".to_owned(),
        AgentSpec::Label(label) => label.clone(),
        AgentSpec::Docker(docker) => docker.image.clone(),
    }
}
