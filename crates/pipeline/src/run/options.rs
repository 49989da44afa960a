//! `options { … }`: what the interpreter acts on itself, and block steps around the stages.

use std::rc::Rc;

use groovy::value::Value;
use model::properties::MAX_PRESERVED;

use super::interpreter::Interpreter;
use crate::declarative::model::{OptionCall, OptionKind};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::steps;
use crate::steps::args::Args;

/// Options that a stage may have, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// `skipDefaultCheckout`
    pub(super) skip_checkout: Option<bool>,
    /// `checkoutToSubdirectory`
    pub(super) subdirectory: Option<String>,
}

/// Options of the pipeline.
#[derive(Clone, Debug, Default)]
pub(super) struct RootOptions {
    /// Those that stages inherit.
    pub(super) common: Options,
    /// `parallelsAlwaysFailFast`
    pub(super) fail_fast: bool,
    /// `skipStagesAfterUnstable`
    pub(super) skip_after_unstable: bool,
    /// `newContainerPerStage`
    pub(super) container_per_stage: bool,
}

/// Evaluates the options of the pipeline that are not block steps.
pub(super) async fn root(it: &Interpreter, scope: &Scope) -> Result<RootOptions, Fault> {
    let mut options = RootOptions { common: of(it, scope, &it.model.options).await?, ..RootOptions::default() };
    for option in it.model.options.iter().filter(|o| o.kind == OptionKind::Declarative) {
        match &*option.call.name {
            "parallelsAlwaysFailFast" => options.fail_fast = flag(it, scope, option).await?,
            "skipStagesAfterUnstable" => options.skip_after_unstable = flag(it, scope, option).await?,
            "newContainerPerStage" => options.container_per_stage = flag(it, scope, option).await?,
            _ => {}
        }
    }
    Ok(options)
}

/// Evaluates the options of a stage that are not block steps.
pub(super) async fn of(it: &Interpreter, scope: &Scope, calls: &[OptionCall]) -> Result<Options, Fault> {
    let mut options = Options::default();
    for option in calls.iter().filter(|o| o.kind == OptionKind::Declarative) {
        match &*option.call.name {
            "skipDefaultCheckout" => options.skip_checkout = Some(flag(it, scope, option).await?),
            "checkoutToSubdirectory" => {
                options.subdirectory = first(it, scope, option, "subdirectory").await?.map(|v| v.to_text());
            }
            _ => {}
        }
    }
    Ok(options)
}

/// The argument of that name, or the first.
async fn first(it: &Interpreter, scope: &Scope, option: &OptionCall, name: &str) -> Result<Option<Value>, Fault> {
    let (named, others) = it.arguments(scope, &option.call).await?;
    Ok(named.into_iter().find(|(n, _)| n == name).map(|(_, v)| v).or(others.into_iter().next()))
}

async fn flag(it: &Interpreter, scope: &Scope, option: &OptionCall) -> Result<bool, Fault> {
    let value = first(it, scope, option, &option.call.name).await?;
    Ok(value.is_none_or(|v| v.truth() && v.to_text() != "false"))
}

/// `preserveStashes`: how many runs keep what they have stashed. None: it does not stand there.
pub(super) async fn preserved(it: &Interpreter, scope: &Scope) -> Result<Option<u64>, Fault> {
    let mut options = it.model.options.iter().filter(|option| option.kind == OptionKind::Declarative);
    let Some(option) = options.find(|option| &*option.call.name == "preserveStashes") else { return Ok(None) };
    let count = first(it, scope, option, "buildCount").await?;
    let count = count.map_or(1, |count| count.as_i64().unwrap_or(0));
    match u64::try_from(count) {
        Ok(count) if (1..=MAX_PRESERVED).contains(&count) => Ok(Some(count)),
        _ => Err(Fault::illegal(format!("The number of builds to preserve must be between 1 and {MAX_PRESERVED}."))),
    }
}

/// Runs a body inside the block steps among the options, the first outermost.
pub(super) async fn within(it: &Interpreter, scope: &Scope, calls: &[OptionCall], next: Body) -> Result<Value, Fault> {
    let mut body = next;
    let mut wrappers = Vec::new();
    for option in calls.iter().filter(|o| o.kind == OptionKind::Wrapper) {
        let (named, others) = it.arguments(scope, &option.call).await?;
        wrappers.push(steps::args_for(&option.call.name, named, others)?);
    }
    let Some(outermost) = wrappers.first().cloned() else {
        return it.core.call_body(scope, body, Vec::new()).await;
    };
    for args in wrappers.into_iter().skip(1).rev() {
        body = wrapped(&it.core, args, body);
    }
    steps::run_named(&it.core, scope, Args { body: Some(body), ..outermost }).await
}

fn wrapped(core: &Rc<Core>, args: Args, body: Body) -> Body {
    let core = Rc::clone(core);
    Body::native(move |scope| {
        let (core, args) = (Rc::clone(&core), Args { body: Some(body.clone()), ..args.clone() });
        Box::pin(async move { steps::run_named(&core, &scope, args).await })
    })
}
