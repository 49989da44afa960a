//! `parallel`: branches at the same time. All of them end; then the error that says most is thrown.

use std::cmp::Reverse;
use std::rc::Rc;
use std::task::Poll;

use groovy::value::Value;
use model::event::Event;
use model::ids::StageId;
use model::limits::MAX_BRANCHES;
use model::outcome::Outcome;

use super::StepCall;
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::Join;
use crate::engine::fault::{Fault, INTERRUPTED};
use crate::engine::interrupt::{Cause, Interruption};
use crate::engine::scope::Scope;
use crate::engine::values;

/// A branch that has not started.
pub(crate) struct Branch {
    /// Its name.
    pub(crate) name: String,
    /// What it runs.
    pub(crate) body: Body,
}

struct Running {
    name: String,
    stage: StageId,
    scope: Scope,
    join: Option<Join<Result<Value, Fault>>>,
}

/// `parallel a: { … }, b: { … }, failFast: true`
pub(crate) async fn parallel(call: StepCall) -> Result<Value, Fault> {
    if let Some(Body::Script(block)) = &call.args.body {
        // The form of declarative pipelines, whose branches are stages.
        let found = Fault::illegal(format!("Expected named arguments but got [{}]", block.to_text()));
        return Err(found.with_hint("parallel a: { … }, b: { … }"));
    }
    let fail_fast = call.args.flag("failFast", false)?;
    let mut branches = Vec::new();
    for (name, value) in call.args.named.iter().filter(|(name, _)| name != "failFast") {
        if !values::is_closure(value) {
            let found = value.type_name();
            return Err(Fault::illegal(format!("Expected branch ‘{name}’ to be a closure, but found {found}")));
        }
        branches.push(Branch { name: name.clone(), body: Body::Script(value.clone()) });
    }
    let names: Vec<String> = branches.iter().map(|b| b.name.clone()).collect();
    let values = run_branches(&call.core, &call.scope, branches, fail_fast).await?;
    Ok(Value::map(names.into_iter().map(Value::from).zip(values)))
}

/// Runs branches at the same time and gives their values in order.
pub(crate) async fn run_branches(
    core: &Rc<Core>,
    scope: &Scope,
    branches: Vec<Branch>,
    fail_fast: bool,
) -> Result<Vec<Value>, Fault> {
    let at_once = core.run.branches.get() + branches.len();
    if at_once > MAX_BRANCHES {
        return Err(Fault::abort(format!("the run has {at_once} branches at once; the limit is {MAX_BRANCHES}")));
    }
    core.run.branches.set(at_once);
    let is_beside_others = scope.is_beside_others || branches.len() > 1;
    let scope = core.deeper(scope)?.with(|scope| scope.is_beside_others = is_beside_others);
    let mut running: Vec<Running> = branches.into_iter().map(|branch| start(core, &scope, branch)).collect();
    let mut values: Vec<Value> = vec![Value::Null; running.len()];
    let mut failures: Vec<Fault> = Vec::new();
    while running.iter().any(|b| b.join.is_some()) {
        let (index, result) = next_ended(core, &mut running).await;
        end(core, &running[index], &result);
        core.run.branches.set(core.run.branches.get() - 1);
        match result {
            Ok(value) => values[index] = value,
            Err(fault) => {
                // Where a limit of the run is met, the other branches have no future either.
                if fault.is_final() || fail_fast && failures.is_empty() {
                    cancel_others(core, &running, &running[index].name, fault.is_final());
                }
                failures.push(fault);
            }
        }
    }
    // With failFast the others were ended by the first; among equals the first goes first.
    let places = failures.iter().enumerate();
    let first = places.min_by_key(|(_, fault)| if fail_fast { (0, Reverse(Outcome::Success)) } else { rank(fault) });
    let Some(first) = first.map(|(at, _)| at) else { return Ok(values) };
    let thrown = failures.remove(first);
    // Where what is thrown is said in one line, the others would not be said at all. What failFast did to a branch says nothing.
    for fault in failures.iter().filter(|fault| thrown.is_said_shortly() && fault.interruption().is_none()) {
        core.say(&scope, &format!("Also:   {}: {}", fault.class(), fault.message()));
    }
    Err(core.suppressing(thrown, failures))
}

/// What is thrown before what, where branches have failed differently: an error before a failed step, that before an interruption, and
/// of two of these the one with the worse result.
///
/// Source: `ParallelStep.ResultHandler.ThrowableComparator`.
fn rank(fault: &Fault) -> (u8, Reverse<Outcome>) {
    let of = match &*fault.class() {
        _ if fault.is_final() => 0,
        INTERRUPTED => return (3, Reverse(fault.outcome())),
        _ if fault.is_abort() => 2,
        _ => 1,
    };
    (of, Reverse(Outcome::Success))
}

fn start(core: &Rc<Core>, scope: &Scope, branch: Branch) -> Running {
    let stage = core.next_stage();
    core.mark(scope, &format!("{{ (Branch: {})", branch.name));
    let name = branch.name.clone();
    core.event(Event::StageStarted { stage, parent: scope.stage, name: name.clone(), branch: true });
    let scope = scope.with(|s| s.stage = Some(stage));
    let join = core.start_body(&scope, branch.body, Vec::new());
    Running { name, stage, scope, join: Some(join) }
}

/// Waits until one of the branches ends.
async fn next_ended(core: &Rc<Core>, running: &mut [Running]) -> (usize, Result<Value, Fault>) {
    std::future::poll_fn(|_| {
        for (index, branch) in running.iter_mut().enumerate() {
            let Some(join) = &branch.join else { continue };
            if let Poll::Ready(result) = join.poll(&core.executor) {
                branch.join = None;
                return Poll::Ready((index, result));
            }
        }
        Poll::Pending
    })
    .await
}

fn end(core: &Core, branch: &Running, result: &Result<Value, Fault>) {
    core.mark(&branch.scope, "}");
    if result.is_err() {
        core.say(&branch.scope, &format!("Failed in branch {}", branch.name));
    }
    let outcome = result.as_ref().err().map_or(Outcome::Success, Fault::outcome);
    core.event(Event::StageFinished { stage: branch.stage, outcome });
}

fn cancel_others(core: &Core, running: &[Running], failed: &str, forced: bool) {
    for join in running.iter().filter_map(|b| b.join.as_ref()) {
        let cause = Cause::FailFast(failed.to_owned());
        core.interrupt(&Rc::new(Interruption { cause, target: join.task, forced, actual: true }));
    }
}
