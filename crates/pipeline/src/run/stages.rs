//! The root of a declarative pipeline, and lists of stages.
//!
//! ```text
//!   job properties, parameters -> agent -> checkout -> environment -> options -> tools -> stages -> post
//! ```

use std::cell::Cell;
use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::Value;

use super::interpreter::{Interpreter, body};
use super::options::Options;
use super::post::{self, Where};
use super::stage;
use super::tools::Tools;
use super::unit::Unit;
use super::{Spot, agent, environment, library, options, parameters, properties, tools};
use crate::engine::Core;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;

/// A pipeline on its way through its layers.
struct Root {
    it: Rc<Interpreter>,
    /// `post` has run inside the layers.
    post_done: Cell<bool>,
}

/// `pipeline { … }`, where the script reaches it.
pub(crate) async fn pipeline(core: Rc<Core>, scope: Scope, call: HostCall) -> Result<Value, Fault> {
    if core.run.pipeline_started.replace(true) {
        let text = "Only one pipeline { ... } block can be executed in a single run.";
        return Err(Fault::raised("java.lang.IllegalStateException", text));
    }
    let spot = Spot { script: call.script, start: call.span.start };
    let Some(declared) = core.program.pipeline_at(spot) else {
        return Err(Fault::abort("‘pipeline’ must stand at the top level of the script"));
    };
    let parts = call.args.first().and_then(Value::items).unwrap_or_default();
    let scope = core.deeper(&scope)?;
    let mut it = Interpreter::new(Rc::clone(&core), call.script, declared, parts);
    library::load_declared(&it, &scope).await?;
    can_restart(&it)?;
    let declared = parameters::declare(&it, &scope).await?;
    properties::tell(&it, &scope, declared).await?;
    it.options = options::root(&it, &scope).await?;
    let root = Rc::new(Root { it: Rc::new(it), post_done: Cell::new(false) });
    let result = on_agent(Rc::clone(&root), scope.clone()).await.err();
    let fault = match root.post_done.get() {
        true => result,
        false => run_post(&root, &scope, result).await,
    };
    fault.map_or(Ok(Value::Null), Err)
}

/// Whether the stage is there that the run is to begin with.
fn can_restart(it: &Interpreter) -> Result<(), Fault> {
    let Some(name) = &it.core.facts.restart_from else { return Ok(()) };
    if it.model.options.iter().any(|option| &*option.call.name == "disableRestartFromStage") {
        return Err(Fault::abort("The option disableRestartFromStage forbids to restart this pipeline from a stage"));
    }
    let names: Vec<_> = Unit::roots(&it.model).iter().map(Unit::name).collect();
    match names.contains(name) {
        true => Ok(()),
        false => Err(Fault::abort(format!(
            "There is no stage \"{name}\" to restart from; those of the pipeline are \"{}\"",
            names.join("\", \"")
        ))),
    }
}

fn on_agent(root: Rc<Root>, scope: Scope) -> LocalFuture<Result<Value, Fault>> {
    Box::pin(async move {
        let (it, next) = (&root.it, body(&root, with_environment));
        agent::within(it, &scope, Some(&it.model.agent), &Options::default(), true, next).await
    })
}

fn with_environment(root: Rc<Root>, scope: Scope) -> LocalFuture<Result<Value, Fault>> {
    Box::pin(async move {
        let next = body(&root, with_options);
        environment::within(&root.it, &scope, root.it.model.environment.as_ref(), next).await
    })
}

fn with_options(root: Rc<Root>, scope: Scope) -> LocalFuture<Result<Value, Fault>> {
    Box::pin(async move {
        let next = body(&root, with_tools);
        options::within(&root.it, &scope, &root.it.model.options, next).await
    })
}

fn with_tools(root: Rc<Root>, scope: Scope) -> LocalFuture<Result<Value, Fault>> {
    Box::pin(async move {
        let tools = Tools { own: &root.it.model.tools, outer: &[], is_root: true };
        tools::within(&root.it, &scope, tools, body(&root, all_stages)).await
    })
}

fn all_stages(root: Rc<Root>, scope: Scope) -> LocalFuture<Result<Value, Fault>> {
    Box::pin(async move {
        root.post_done.set(true);
        let fault = stage::roots(&root.it, &scope, Unit::roots(&root.it.model)).await.err();
        let fault = run_post(&root, &scope, fault).await;
        fault.map_or(Ok(Value::Null), Err)
    })
}

async fn run_post(root: &Rc<Root>, scope: &Scope, fault: Option<Fault>) -> Option<Fault> {
    post::run(&root.it, scope, root.it.model.post.as_ref(), Where::Pipeline, fault).await
}
