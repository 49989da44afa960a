//! `lock`: what two branches of a run must not do at the same time.
//!
//! A branch that waits has a request for a sleep that nobody expects to end: whoever releases what it waits for cancels that. So an
//! interruption reaches it as it reaches a `sleep`.

use std::collections::BTreeSet;
use std::rc::Rc;

use groovy::value::Value;
use model::ids::RequestId;
use model::request::{Reply, Request};

use super::{StepCall, duration};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::values;

/// How long a branch waits where nothing is said: ten years, in milliseconds.
const FOR_EVER_MS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// What is locked in a run, and who waits.
#[derive(Default)]
pub(crate) struct Locks {
    held: BTreeSet<String>,
    /// In the order in which they asked.
    waiting: Vec<Waiting>,
    asked: u64,
}

struct Waiting {
    names: Vec<String>,
    priority: i64,
    /// The sleep that ends when they have it.
    sleep: RequestId,
    turn: u64,
}

impl Locks {
    fn are_free(&self, names: &[String]) -> bool {
        names.iter().all(|name| !self.held.contains(name))
    }

    fn take(&mut self, names: &[String]) -> bool {
        let are_free = self.are_free(names);
        if are_free {
            self.held.extend(names.iter().cloned());
        }
        are_free
    }

    /// Gives what is free to those who wait for it; the sleeps that end.
    fn pass_on(&mut self, newest_first: bool) -> Vec<RequestId> {
        let mut order: Vec<(i64, u64)> = self.waiting.iter().map(|waiting| (waiting.priority, waiting.turn)).collect();
        order.sort_by(|a, b| b.0.cmp(&a.0).then(if newest_first { b.1.cmp(&a.1) } else { a.1.cmp(&b.1) }));
        let mut woken = Vec::new();
        for (_, turn) in order {
            let Some(at) = self.waiting.iter().position(|waiting| waiting.turn == turn) else { continue };
            if self.are_free(&self.waiting[at].names) {
                let waiting = self.waiting.remove(at);
                self.held.extend(waiting.names);
                woken.push(waiting.sleep);
            }
        }
        woken
    }
}

/// What a call wants to have.
struct Wish {
    names: Vec<String>,
    description: String,
}

/// `lock('x') { … }`, `lock(resource: 'x', extra: [[resource: 'y']], variable: 'GOT') { … }`
///
/// Source: `LockStepExecution` of the lockable-resources plugin. There is no list of resources: a name is one, and a label is one too,
/// so that of those who ask for one of a label one goes at a time.
pub(crate) async fn lock(call: StepCall) -> Result<Value, Fault> {
    let wish = wish(&call)?;
    let Wish { names, description } = &wish;
    let body = call.args.body()?;
    let locks = &call.core.run.locks;
    call.say(&format!("Trying to acquire lock on [{description}]"));
    let is_mine = locks.borrow_mut().take(names);
    if !is_mine {
        if call.args.flag("skipIfLocked", false)? {
            call.say(&format!("[{description}] is not free, skipping execution ..."));
            return Ok(Value::Null);
        }
        call.say(&format!("[{description}] is not free, waiting for execution ..."));
        wait(&call, &wish).await?;
    }
    call.say(&format!("Lock acquired on [{description}]"));
    let scope = match call.args.opt_text("variable")?.filter(|name| !name.is_empty()) {
        None => call.scope.clone(),
        Some(variable) => {
            let each = names.iter().enumerate().map(|(at, name)| (format!("{variable}{at}"), name.clone()));
            let all = (variable.clone(), names.join(","));
            call.scope.with_env(std::iter::once(all).chain(each).collect())
        }
    };
    let result = match call.core.deeper(&scope) {
        Ok(scope) => {
            call.core.mark(&scope, "{");
            let result = call.core.call_body(&scope, body, Vec::new()).await;
            call.core.mark(&scope, "}");
            result
        }
        Err(fault) => Err(fault),
    };
    release(&call.core, names, call.args.flag("inversePrecedence", false)?);
    call.say(&format!("Lock released on resource [{description}]"));
    result
}

/// Waits until somebody passes it on.
async fn wait(call: &StepCall, wish: &Wish) -> Result<(), Fault> {
    let core = &call.core;
    let most =
        match call.args.opt_int("timeoutForAllocateResource")?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0) {
            Some(amount) => {
                let unit = call.args.opt_text("timeoutUnit")?.unwrap_or_else(|| "MINUTES".to_owned());
                duration::to_ms(amount, &unit).ok_or_else(|| Fault::illegal(format!("unknown unit of time {unit}")))?
            }
            None => FOR_EVER_MS,
        };
    core.check_interrupted()?;
    let pending = core.send(Request::Sleep { ms: most });
    let priority = call.args.opt_int("priority")?.unwrap_or(0);
    {
        let mut locks = core.run.locks.borrow_mut();
        locks.asked += 1;
        let turn = locks.asked;
        locks.waiting.push(Waiting { names: wish.names.clone(), priority, sleep: pending.id, turn });
    }
    let sleep = pending.id;
    let (reply, interruption) = core.wait_for(pending).await;
    let is_waiting = {
        let mut locks = core.run.locks.borrow_mut();
        let before = locks.waiting.len();
        locks.waiting.retain(|waiting| waiting.sleep != sleep);
        locks.waiting.len() < before
    };
    match (interruption, is_waiting, reply) {
        (Some(interruption), is_waiting, _) => {
            if !is_waiting {
                release(core, &wish.names, false);
            }
            Err(Fault::interrupted(interruption))
        }
        (None, false, _) => Ok(()),
        (None, true, Reply::Failed(failure)) => Err(Fault::failed(failure)),
        (None, true, _) => {
            Err(Fault::abort(format!("[{}] was not free within {}", wish.description, duration::in_words(most))))
        }
    }
}

fn release(core: &Rc<Core>, names: &[String], newest_first: bool) {
    let woken = {
        let mut locks = core.run.locks.borrow_mut();
        locks.held.retain(|name| !names.contains(name));
        locks.pass_on(newest_first)
    };
    woken.into_iter().for_each(|sleep| core.cancel(sleep));
}

fn wish(call: &StepCall) -> Result<Wish, Fault> {
    let mut parts = vec![one(&call.args.named)?];
    for extra in call.args.get("extra").and_then(Value::items).unwrap_or_default() {
        parts.push(one(&values::entries(&extra).unwrap_or_default())?);
    }
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return Err(Fault::illegal("Either resource label or resource name must be specified."));
    }
    let mut names = Vec::new();
    for (name, _) in &parts {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let description = parts.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join(", ");
    Ok(Wish { names, description })
}

/// The resource that some fields name, and how the plugin calls it.
fn one(fields: &[(String, Value)]) -> Result<Option<(String, String)>, Fault> {
    let field = |name: &str| {
        let value = fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        value
            .filter(|value| !value.is_null())
            .map(|value| value.to_text().trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let quantity = field("quantity").filter(|quantity| quantity != "0");
    match (field("resource"), field("label")) {
        (Some(_), Some(_)) => Err(Fault::illegal("Label and resource name cannot be specified simultaneously.")),
        (Some(resource), None) => Ok(Some((resource.clone(), format!("Resource: {resource}")))),
        (None, Some(label)) => {
            let quantity = quantity.map(|quantity| format!(", Quantity: {quantity}")).unwrap_or_default();
            Ok(Some((label.clone(), format!("Label: {label}{quantity}"))))
        }
        (None, None) => Ok(None),
    }
}
