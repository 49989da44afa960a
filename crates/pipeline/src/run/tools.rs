//! `tools { … }`: variables of the tools that the run was told of. Of all others, what the image or the host has is used.

use std::rc::Rc;

use groovy::value::Value;

use super::interpreter::Interpreter;
use crate::declarative::model::Tool;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::args::Args;
use crate::steps::run_named;
use crate::steps::stage::{framed, marked};
use crate::steps::tool::installed;

/// The tools of a directive and those of the one around it.
pub(super) struct Tools<'m> {
    pub(super) own: &'m [Tool],
    pub(super) outer: &'m [Tool],
    /// Those of the pipeline: they have a stage.
    pub(super) is_root: bool,
}

/// Kind and name.
type Named = (String, String);

/// Runs a body with the variables of its tools. Those from around it are said once more: an agent or a variable of the stage may be before
/// them in PATH by now.
///
/// Source: `ModelInterpreter.toolsBlock` of pipeline-model-definition. Without an agent there are none.
pub(super) async fn within(it: &Rc<Interpreter>, scope: &Scope, tools: Tools<'_>, next: Body) -> Result<Value, Fault> {
    let (found, lines) = sort(it, scope, &tools).await?;
    if found.is_empty() && lines.is_empty() {
        return it.core.call_body(scope, next, Vec::new()).await;
    }
    let vars = match tools.is_root && scope.node.is_some() {
        true => {
            let own = Rc::clone(it);
            let body = Body::native(move |scope| {
                let (it, found, lines) = (Rc::clone(&own), found.clone(), lines.clone());
                Box::pin(async move { install(&it, &scope, &found, &lines).await })
            });
            it.core.mark(scope, "stage");
            let vars = framed(&it.core, scope, "Declarative: Tool Install", body).await;
            it.core.mark(scope, "// stage");
            vars?
        }
        false => install(it, scope, &found, &lines).await?,
    };
    let pairs = vars.items().unwrap_or_default().into_iter().map(|pair| pair.to_text());
    let vars: Vec<_> = pairs
        .filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    match vars.is_empty() {
        true => it.core.call_body(scope, next, Vec::new()).await,
        false => marked(&it.core, scope, "withEnv", &scope.with_env(vars), next).await,
    }
}

/// Those that the run was told of, and what is said of the others.
async fn sort(it: &Interpreter, scope: &Scope, tools: &Tools<'_>) -> Result<(Vec<Named>, Vec<String>), Fault> {
    let facts = &it.core.facts;
    let is_own = |kind: &str| tools.own.iter().any(|own| *own.kind == *kind);
    let outer = tools.outer.iter().filter(|tool| !facts.tools.is_empty() && !is_own(&tool.kind));
    let (mut found, mut lines) = (Vec::new(), Vec::new());
    for tool in outer.chain(tools.own) {
        let (kind, name) = (tool.kind.to_string(), it.text(scope, &tool.name).await?);
        if installed(&facts.tools, &kind, &name).is_some() {
            found.extend(scope.node.is_some().then_some((kind, name)));
        } else if is_own(&kind) {
            lines.push(format!(
                "WARNING: tools {{ {kind} ‘{name}’ }} is ignored: Cofferdam installs no tools; what the image or host has is used"
            ));
        }
    }
    Ok((found, lines))
}

/// The variables, as a list of `NAME=value`.
async fn install(it: &Interpreter, scope: &Scope, found: &[Named], lines: &[String]) -> Result<Value, Fault> {
    if !lines.is_empty() {
        it.core.say(scope, &lines.join("\n"));
    }
    let mut all = Vec::new();
    for (kind, name) in found {
        let call = |step: &str, names: [&str; 2]| {
            let named = names.into_iter().zip([kind, name]).map(|(of, text)| (of.to_owned(), values::text(text)));
            Args { step: step.to_owned(), named: named.collect(), body: None }
        };
        run_named(&it.core, scope, call("tool", ["type", "name"])).await?;
        let vars = run_named(&it.core, scope, call("envVarsForTool", ["toolId", "toolVersion"])).await?;
        all.extend(vars.items().unwrap_or_default());
    }
    Ok(Value::list(all))
}
