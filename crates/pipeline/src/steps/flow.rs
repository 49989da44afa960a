//! `timeout`, `retry`, `sleep`, `waitUntil`: steps about time and trying again.

use std::rc::Rc;
use std::task::Poll;

use groovy::value::Value;
use model::limits::INTERRUPT_GRACE;
use model::request::{FailureKind, Request};

use super::{StepCall, duration};
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::executor::{Join, TaskId};
use crate::engine::fault::Fault;
use crate::engine::interrupt::{Cause, Interruption};
use crate::engine::scope::{Activity, Scope};

/// The class of units of time.
const TIME_UNIT: &str = "java.util.concurrent.TimeUnit";
/// First and longest pause of `waitUntil`, in milliseconds.
const WAIT_UNTIL_MS: (u64, u64) = (250, 15_000);

/// `timeout(time: 5, unit: 'SECONDS', activity: true) { … }`
pub(crate) async fn timeout(call: StepCall) -> Result<Value, Fault> {
    let amount = u64::try_from(call.args.int("time")?).ok().filter(|n| *n > 0);
    let unit = unit(&call, "MINUTES")?;
    let Some(amount) = amount else { return Err(Fault::illegal("time of a timeout must be larger than 0")) };
    let ms = duration::to_ms(amount, &unit).ok_or_else(|| unknown_unit(&unit))?;
    let words = duration::in_words(ms);
    let scope = call.core.deeper(&call.scope)?;
    let body = call.args.body()?;
    let (scope, activity) = if call.args.flag("activity", false)? {
        call.say(&format!("Timeout set to expire after {words} without activity"));
        let (scope, activity) = scope.with_activity();
        (scope, Some(activity))
    } else {
        call.say(&format!("Timeout set to expire in {words}"));
        (scope, None)
    };
    call.core.mark(&scope, "{");
    let result = expire(&call.core, &call.scope, ms, activity, start(&call.core, &scope, body)).await;
    call.core.mark(&scope, "}");
    result
}

fn start(core: &Rc<Core>, scope: &Scope, body: Body) -> Join<Result<Value, Fault>> {
    core.start_body(scope, body, Vec::new())
}

/// Waits for a body; interrupts it when the time is over, and again, harder, when it goes on all the same.
async fn expire(
    core: &Rc<Core>,
    scope: &Scope,
    ms: u64,
    activity: Option<Rc<Activity>>,
    body: Join<Result<Value, Fault>>,
) -> Result<Value, Fault> {
    let lines = |a: &Option<Rc<Activity>>| a.as_ref().map_or(0, |a| a.lines.get());
    let cause = Cause::Timeout(core.next_timeout());
    let (mut asked, mut seen) = (0, lines(&activity));
    let mut timer = Some(core.send(Request::Sleep { ms }));
    loop {
        let ended = std::future::poll_fn(|_| match body.poll(&core.executor) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => match timer.as_ref().map(|t| core.poll_reply(t)) {
                Some(Poll::Ready(_)) => Poll::Ready(None),
                _ => Poll::Pending,
            },
        })
        .await;
        if let Some(result) = ended {
            timer.into_iter().for_each(|timer| core.forget(timer));
            return result.map_err(|fault| catchable(fault, body.task));
        }
        if asked == 0 && activity.is_some() && lines(&activity) != seen {
            seen = lines(&activity);
            timer = Some(core.send(Request::Sleep { ms }));
            continue;
        }
        asked += 1;
        let grace = u64::try_from(INTERRUPT_GRACE.as_millis()).unwrap_or(u64::MAX);
        timer = (asked == 1).then(|| core.send(Request::Sleep { ms: grace }));
        core.say(
            scope,
            if asked == 1 {
                "Cancelling nested steps due to timeout"
            } else {
                "Body did not finish within grace period; terminating with extreme prejudice"
            },
        );
        core.run.timed_out.set(true);
        core.interrupt(&Rc::new(Interruption {
            cause: cause.clone(),
            target: body.task,
            forced: asked > 1,
            actual: true,
        }));
    }
}

/// Outside its own block even the hardest interruption is an exception like others: `post` must run.
fn catchable(fault: Fault, target: TaskId) -> Fault {
    match fault.interruption() {
        Some(i) if i.forced && i.target == target => {
            Fault::interrupted(Rc::new(Interruption { forced: false, actual: false, ..Interruption::clone(i) }))
        }
        Some(i) if i.target == target => {
            Fault::interrupted(Rc::new(Interruption { actual: false, ..Interruption::clone(i) }))
        }
        _ => fault,
    }
}

/// `retry(3) { … }`
pub(crate) async fn retry(call: StepCall) -> Result<Value, Fault> {
    // Less than one is one: Jenkins looks behind the first.
    let count = call.args.int("count")?.max(1);
    let only_agent = call.args.get("conditions").is_some();
    let mut left = count;
    loop {
        left -= 1;
        let fault = match call.run_body(&call.scope).await {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        let again = !fault.is_final()
            && !fault.is_actual_interruption()
            && !fault.lasts()
            && (!only_agent || fault.failure_kind() == Some(FailureKind::Infrastructure));
        if left == 0 || !again {
            return Err(fault);
        }
        if fault.interruption().is_none() && !fault.is_abort() {
            call.say("ERROR: Execution failed");
        }
        call.core.say_fault(&call.scope, &fault);
        call.say("Retrying");
    }
}

/// `sleep 5`, `sleep time: 5, unit: 'MINUTES'`
pub(crate) async fn sleep(call: StepCall) -> Result<Value, Fault> {
    let unit = unit(&call, "SECONDS")?;
    let amount = u64::try_from(call.args.int("time")?).unwrap_or(0);
    let ms = duration::to_ms(amount, &unit).ok_or_else(|| unknown_unit(&unit))?;
    call.say(&format!("Sleeping for {}", duration::in_words(ms)));
    call.ask(Request::Sleep { ms }).await?;
    Ok(Value::Null)
}

/// `waitUntil { … }`: again and again, until the block says true.
pub(crate) async fn wait_until(call: StepCall) -> Result<Value, Fault> {
    let first = call.args.opt_int("initialRecurrencePeriod")?.and_then(|n| u64::try_from(n).ok());
    let quiet = call.args.flag("quiet", false)?;
    let mut pause = first.unwrap_or(WAIT_UNTIL_MS.0).clamp(1, WAIT_UNTIL_MS.1);
    loop {
        match call.run_body(&call.scope).await? {
            Value::Bool(true) => return Ok(Value::Null),
            Value::Bool(false) => {}
            other => {
                let text = format!("body return value {} is not boolean", other.to_text());
                return Err(Fault::raised("java.lang.ClassCastException", text));
            }
        }
        if !quiet {
            call.say(&format!("Will try again after {}", duration::in_words(pause)));
        }
        call.ask(Request::Sleep { ms: pause }).await?;
        pause = (pause + pause / 5).min(WAIT_UNTIL_MS.1);
    }
}

/// `unit: 'HOURS'`, `unit: TimeUnit.HOURS`
fn unit(call: &StepCall, default: &str) -> Result<String, Fault> {
    match call.args.get("unit") {
        Some(value @ Value::Object(unit)) if &*unit.class.name == TIME_UNIT => Ok(value.to_text()),
        _ => Ok(call.args.opt_text("unit")?.unwrap_or_else(|| default.to_owned())),
    }
}

fn unknown_unit(unit: &str) -> Fault {
    Fault::illegal(format!("No enum constant java.util.concurrent.TimeUnit.{unit}"))
        .with_hint("NANOSECONDS, MICROSECONDS, MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS")
}
