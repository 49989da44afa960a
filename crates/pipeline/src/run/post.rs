//! `post { … }`: conditions in a fixed order, each decided just before it runs.

use std::cell::RefCell;
use std::rc::Rc;

use groovy::value::Value;
use model::outcome::Outcome;

use super::interpreter::Interpreter;
use crate::declarative::model::{Post, PostCondition};
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::steps::stage::framed;

/// Whose `post` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// A stage of its own.
    Pipeline,
    /// Part of the stage.
    Stage,
}

/// Runs the conditions that hold; the first error (of what came before, or of a condition) stays.
pub(super) async fn run(
    it: &Rc<Interpreter>,
    scope: &Scope,
    post: Option<&Post>,
    place: Where,
    fault: Option<Fault>,
) -> Option<Fault> {
    // A script that has met a limit is over, but what cleans up after it runs.
    let over = fault.as_ref().is_some_and(|fault| fault.is_final() && !fault.is_limit());
    let Some(post) = post.filter(|_| !over && !it.core.run.post_unwanted.get()) else { return fault };
    if fault.as_ref().is_some_and(Fault::is_limit) {
        it.core.machine.borrow_mut().grant_reserve();
    }
    let now = combined(it, scope, fault.as_ref());
    if !post.branches.iter().any(|b| holds(b.condition, &now, it.core.facts.previous)) {
        return fault;
    }
    match place {
        Where::Stage => {
            it.core.say(scope, "Post stage");
            conditions(it, scope, post, fault).await
        }
        Where::Pipeline => in_own_stage(it, scope, fault).await,
    }
}

async fn in_own_stage(it: &Rc<Interpreter>, scope: &Scope, fault: Option<Fault>) -> Option<Fault> {
    // What came before, or of a condition, is no failure of this stage.
    let first = Rc::new(RefCell::new(fault));
    let (inner, found) = (Rc::clone(it), Rc::clone(&first));
    let body = Body::native(move |scope| {
        let (it, found) = (Rc::clone(&inner), Rc::clone(&found));
        Box::pin(async move {
            // Results of stages that were warned about do not count for the pipeline.
            let scope = scope.with(|s| s.warnings = None);
            let Some(post) = &it.model.post else { return Ok(Value::Null) };
            let before = found.take();
            let fault = conditions(&it, &scope, post, before).await;
            match fault {
                Some(fault) if fault.is_final() => Err(fault),
                fault => {
                    found.replace(fault);
                    Ok(Value::Null)
                }
            }
        })
    });
    it.core.mark(scope, "stage");
    let result = framed(&it.core, scope, "Declarative: Post Actions", body).await;
    it.core.mark(scope, "// stage");
    result.err().or_else(|| first.take())
}

async fn conditions(it: &Rc<Interpreter>, scope: &Scope, post: &Post, mut fault: Option<Fault>) -> Option<Fault> {
    for branch in post.in_run_order() {
        if it.core.run.post_unwanted.get() {
            break;
        }
        let now = combined(it, scope, fault.as_ref());
        if !holds(branch.condition, &now, it.core.facts.previous) {
            continue;
        }
        let inner = scope.with(|s| s.post = Some(now.with_warnings));
        if let Err(thrown) = it.run(&inner, &branch.steps.body).await {
            if thrown.is_final() {
                return Some(thrown);
            }
            it.core.say(scope, &format!("Error when executing {} post condition:", branch.condition.name()));
            it.core.say_printed(scope, &thrown);
            fault.get_or_insert(thrown);
        }
    }
    fault
}

/// What a condition looks at.
struct Now {
    /// The worse of what the run and the error say.
    plain: Outcome,
    /// The worst of these and of what the stage was warned of (`catchError`).
    with_warnings: Outcome,
}

fn combined(it: &Interpreter, scope: &Scope, fault: Option<&Fault>) -> Now {
    let parts = [it.core.run.result(), fault.map(Fault::outcome)];
    let plain = parts.into_iter().flatten().fold(Outcome::Success, Outcome::worst);
    Now { plain, with_warnings: scope.warned().map_or(plain, |warned| plain.worst(warned)) }
}

/// Jenkins' `BuildCondition`s. Those that look at the run before compare what the run has come to; the others see the stage's warnings.
fn holds(condition: PostCondition, now: &Now, previous: Option<Outcome>) -> bool {
    let Now { plain, with_warnings: now } = *now;
    match condition {
        PostCondition::Always | PostCondition::Cleanup => true,
        PostCondition::Changed => previous.is_none_or(|p| p != plain),
        PostCondition::Fixed => {
            plain == Outcome::Success && matches!(previous, Some(Outcome::Failure | Outcome::Unstable))
        }
        PostCondition::Regression => previous.is_some_and(|p| plain > p),
        PostCondition::Aborted => now == Outcome::Aborted,
        PostCondition::Success => now == Outcome::Success,
        PostCondition::Unsuccessful => now != Outcome::Success,
        PostCondition::Unstable => now == Outcome::Unstable,
        PostCondition::Failure => now == Outcome::Failure,
        PostCondition::NotBuilt => now == Outcome::NotBuilt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_against_the_last_completed_run() {
        use Outcome::{Failure, Success, Unstable};
        use PostCondition::{Changed, Fixed, Regression};
        let compared =
            |condition, now, previous| holds(condition, &Now { plain: now, with_warnings: Failure }, previous);
        assert!(compared(Changed, Success, None));
        assert!(!compared(Changed, Success, Some(Success)));
        assert!(!compared(Fixed, Success, None));
        assert!(compared(Fixed, Success, Some(Unstable)));
        assert!(!compared(Fixed, Success, Some(Outcome::Aborted)));
        assert!(!compared(Regression, Failure, None));
        assert!(compared(Regression, Failure, Some(Unstable)));
        assert!(!compared(Regression, Unstable, Some(Failure)));
        assert!(compared(Regression, Outcome::NotBuilt, Some(Failure)));
        let warned = Now { plain: Success, with_warnings: Failure };
        assert!(holds(PostCondition::Failure, &warned, None) && !holds(PostCondition::Success, &warned, None));
    }
}
