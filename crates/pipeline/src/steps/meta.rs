//! Steps that adapt others (`step`, `wrap`), that only wrap (`script`, `ansiColor`, `timestamps`), and small odd ones.

use std::rc::Rc;

use groovy::value::Value;
use model::event::Event;
use model::request::{Reply, Request};

use super::args::Args;
use super::describable::SYMBOL;
use super::{StepCall, run_instead, unknown};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::interrupt::{Cause, Interruption};
use crate::engine::values;
use crate::run;

/// `ansiColor('xterm') { … }`: programs ask `TERM` whether they may use colours. Source: `AnsiColorStep`.
pub(crate) async fn ansi_color(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.opt_text("colorMapName")?.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "xterm".to_owned());
    call.run_body(&call.scope.with_env(vec![("TERM".to_owned(), name)])).await
}

/// `script { … }`: what is inside, and nothing else.
pub(crate) async fn pass_through(call: StepCall) -> Result<Value, Fault> {
    call.run_body(&call.scope).await
}

/// `timestamps { … }`: lines have times until the last block of those that are open ends.
pub(crate) async fn timestamps(call: StepCall) -> Result<Value, Fault> {
    let open = &call.core.run.timestamps;
    open.set(open.get() + 1);
    if open.get() == 1 {
        call.core.event(Event::TimestampsSwitched { on: true });
    }
    let result = call.run_body(&call.scope).await;
    open.set(open.get() - 1);
    if open.get() == 0 {
        call.core.event(Event::TimestampsSwitched { on: false });
    }
    result
}

/// `step([$class: 'ArtifactArchiver', artifacts: 'x'])`: the old way to call what has a step of its own today.
pub(crate) async fn step(call: StepCall) -> Result<Value, Fault> {
    let (class, args) = delegate(&call.args)?;
    adapted(&call, &class, args).await
}

/// `wrap([$class: 'AnsiColorBuildWrapper', …]) { … }`
pub(crate) async fn wrap(call: StepCall) -> Result<Value, Fault> {
    let (class, args) = delegate(&call.args)?;
    adapted(&call, &class, args).await
}

/// The name that Jenkins' log has for a call of `step` or `wrap`: the symbol of the class, where that has one.
///
/// Source: `StepNode` of workflow-cps.
pub(crate) fn symbol(core: &Core, args: &Args) -> Option<&'static str> {
    let (class, _) = ADAPTERS.contains(&args.step.as_str()).then(|| delegate(args).ok()).flatten()?;
    step_of(core, &class).map(|(step, _)| step).filter(|_| core.program.catalogue().has_symbol(&class))
}

const ADAPTERS: [&str; 2] = ["step", "wrap"];

/// The step of a class, and the parameters that the class has under other names.
fn step_of(core: &Core, class: &str) -> Option<(&'static str, Vec<(&'static str, &'static str)>)> {
    let catalogue = core.program.catalogue();
    let short = class.rsplit('.').next().unwrap_or_default();
    let found = catalogue.of_class(short).or_else(|| catalogue.step(short).map(|entry| (entry.name, Vec::new())));
    found.filter(|(step, _)| !ADAPTERS.contains(step))
}

/// The step that a class stands for.
async fn adapted(call: &StepCall, class: &str, mut args: Args) -> Result<Value, Fault> {
    let Some((step, renamed)) = step_of(&call.core, class) else {
        let text = format!("{}([$class: '{class}']) is not supported yet", call.args.step);
        return Err(Fault::raised("java.lang.UnsupportedOperationException", text));
    };
    for (name, _) in &mut args.named {
        if let Some((_, own)) = renamed.iter().find(|(of_class, _)| of_class == name) {
            *name = (*own).to_owned();
        }
    }
    if let Some(sole) = super::sole_of(&call.core, step) {
        args.named.iter_mut().filter(|(name, _)| name == "value").for_each(|(name, _)| *name = sole.to_owned());
    }
    args.step = step.to_owned();
    run_instead(call, args).await
}

/// The class and the fields of `[$class: 'X', …]`.
fn delegate(args: &Args) -> Result<(String, Args), Fault> {
    let nested = args.get("delegate").and_then(values::entries);
    let named = nested.unwrap_or_else(|| args.named.clone());
    let class = named.iter().find(|(n, _)| n == "$class" || n == SYMBOL).map(|(_, v)| v.to_text());
    let class = class.ok_or_else(|| Fault::illegal(format!("{} needs a map with $class", args.step)))?;
    let named = named.into_iter().filter(|(n, _)| !n.starts_with('$')).collect();
    Ok((class, Args { step: args.step.clone(), named, body: args.body.clone() }))
}

/// `properties([parameters([…]), …])`
pub(crate) async fn properties(call: StepCall) -> Result<Value, Fault> {
    let all = call.args.get("properties").and_then(Value::items).unwrap_or_default();
    run::properties::set(&call.core, &all)?;
    Ok(Value::Null)
}

/// `milestone 1`: of the runs of a branch none comes this far that a newer one has passed here, and the older ones end that have not.
///
/// Source: `MilestoneStepExecution` of the pipeline-milestone-step plugin.
pub(crate) async fn milestone(call: StepCall) -> Result<Value, Fault> {
    if call.scope.is_beside_others && !call.args.flag("unsafe", false)? {
        return Err(Fault::abort("Using a milestone step inside parallel is not allowed"));
    }
    let before = call.core.run.milestone.get();
    let ordinal = match (call.args.opt_int("ordinal")?, before) {
        (Some(ordinal), Some(before)) if before >= ordinal => {
            return Err(Fault::abort(format!("Invalid ordinal {ordinal}, as the previous one was {before}")));
        }
        (Some(ordinal), _) => ordinal,
        (None, before) => before.map_or(0, |before| before.saturating_add(1)),
    };
    call.core.run.milestone.set(Some(ordinal));
    call.say(&format!("Trying to pass milestone {ordinal}"));
    match call.ask(Request::Milestone { ordinal }).await? {
        Reply::Superseded { by } => {
            let target = call.core.executor.current().unwrap_or_default();
            let cause = Cause::Superseded(by);
            Err(Fault::interrupted(Rc::new(Interruption { cause, target, forced: false, actual: false })))
        }
        _ => Ok(Value::Null),
    }
}

/// `getContext(hudson.FilePath)`: is there a workspace? Nothing else can be had.
pub(crate) async fn get_context(call: StepCall) -> Result<Value, Fault> {
    let wanted = call.args.get("type").map(Value::to_text).unwrap_or_default();
    match wanted.rsplit('.').next().unwrap_or_default() {
        "FilePath" => Ok(values::opt_text(call.scope.cwd())),
        _ => Err(unknown::refuse_name(&call.core, "getContext")),
    }
}
