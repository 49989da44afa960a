//! `lock`: what two branches of a run, or two runs, must not do at the same time.
//!
//! The branches of a run stand in a line of their own, and whoever is its first asks for the lock, which only a server knows who has. A branch
//! that waits has a request for a sleep that nobody expects to end: whoever releases what it waits for cancels that. So an interruption reaches
//! it as it reaches a `sleep`.

use std::collections::BTreeSet;
use std::rc::Rc;

use groovy::value::Value;
use model::ids::RequestId;
use model::lock::{LockWish, MAX_LOCK_BYTES, MAX_LOCK_NAMES, Waiting, pass_on};
use model::request::{Reply, Request};

use super::{StepCall, duration};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;

/// How long a branch waits where nothing is said: ten years, in milliseconds.
const FOR_EVER_MS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// Before the name of a resource.
const RESOURCE: &str = "Resource: ";
/// The plugin's exception for whoever has waited too long.
const TOO_LATE: &str = "org.jenkins.plugins.lockableresources.queue.LockWaitTimeoutException";

/// What is locked in a run, and who waits.
#[derive(Default)]
pub(crate) struct Locks {
    held: BTreeSet<String>,
    /// Each with the sleep that ends when it has what it waits for, in the order in which they asked.
    waiting: Vec<Waiting<RequestId>>,
}

impl Locks {
    fn take(&mut self, names: &[String]) -> bool {
        let are_free = names.iter().all(|name| !self.held.contains(name));
        if are_free {
            self.held.extend(names.iter().cloned());
        }
        are_free
    }

    /// False: it does not wait any more.
    fn leave(&mut self, sleep: RequestId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.who != sleep);
        self.waiting.len() < before
    }

    /// What is free again goes to those who wait for it; the sleeps that end.
    fn release(&mut self, names: &[String]) -> Vec<RequestId> {
        self.held.retain(|name| !names.contains(name));
        let woken = pass_on(&self.held, &self.waiting);
        let has_it = |waiting: &mut Waiting<RequestId>| woken.contains(&waiting.who);
        self.held.extend(self.waiting.extract_if(.., has_it).flat_map(|waiting| waiting.wish.names));
        woken
    }
}

/// What a call wants to have.
struct Wanted {
    wish: LockWish,
    /// As the plugin calls it.
    description: String,
    /// The names that are no labels.
    resources: Vec<String>,
    /// How long it is waited for, as the plugin says it.
    most: Option<String>,
}

impl Wanted {
    fn too_late(&self) -> Fault {
        let (what, most) = (&self.description, self.most.as_deref().unwrap_or("ten years"));
        Fault::raised(TOO_LATE, format!("[{what}] timed out waiting for resource allocation after {most}"))
    }
}

/// `lock('x') { … }`, `lock(resource: 'x', extra: [[resource: 'y']], variable: 'GOT') { … }`
///
/// Source: `LockStepExecution` of the lockable-resources plugin. There is no list of resources: a name is one, and a label is one too,
/// so that of those who ask for one of a label one goes at a time.
pub(crate) async fn lock(call: StepCall) -> Result<Value, Fault> {
    let wanted = wanted(&call)?;
    let Wanted { wish: LockWish { names, .. }, description, .. } = &wanted;
    let body = call.args.body()?;
    call.say(&format!("Trying to acquire lock on [{description}]"));
    let Some(lock) = acquire(&call, &wanted).await? else {
        call.say(&format!("[{description}] is not free, skipping execution ..."));
        return Ok(Value::Null);
    };
    call.say(&format!("Lock acquired on [{description}]"));
    let result =
        match call.args.opt_text("variable").and_then(|variable| call.core.deeper(&within(&call, names, variable))) {
            Ok(scope) => {
                call.core.mark(&scope, "{");
                let result = call.core.call_body(&scope, body, Vec::new()).await;
                call.core.mark(&scope, "}");
                result
            }
            Err(fault) => Err(fault),
        };
    call.core.ask_to_the_end(Request::Unlock { lock }).await;
    release(&call.core, names);
    call.say(&format!("Lock released on resource [{description}]"));
    result
}

/// Where the block runs: what was had is told in a variable.
fn within(call: &StepCall, names: &[String], variable: Option<String>) -> Scope {
    let variable = variable.map(|name| name.trim().to_owned());
    let Some(variable) = variable.filter(|name| !name.is_empty()) else { return call.scope.clone() };
    let each = names.iter().enumerate().map(|(at, name)| (format!("{variable}{at}"), name.clone()));
    let all = (variable.clone(), names.join(","));
    call.scope.with_env(std::iter::once(all).chain(each).collect())
}

/// Has it, among the branches of its run and among all runs; `None`: it is not free, and not to be waited for.
async fn acquire(call: &StepCall, wanted: &Wanted) -> Result<Option<RequestId>, Fault> {
    let (core, names) = (&call.core, &wanted.wish.names);
    let skips = call.args.flag("skipIfLocked", false)?;
    let is_first = core.run.locks.borrow_mut().take(names);
    if is_first {
        let have = ask(core, LockWish { skips: true, most_ms: None, ..wanted.wish.clone() }).await;
        match have {
            Ok(None) if !skips => {}
            have => {
                match have {
                    // What nobody had was not there: it is there as long as somebody has it.
                    Ok(Some(_)) => wanted.resources.iter().for_each(|resource| {
                        call.say(&format!("Resource [{resource}] did not exist. Created."));
                    }),
                    _ => release(core, names),
                }
                return have;
            }
        }
    } else if skips {
        return Ok(None);
    }
    let most = wanted.most.as_ref().map(|most| format!(" (timeout: {most})")).unwrap_or_default();
    call.say(&format!("[{}] is not free, waiting for execution ...{most}", wanted.description));
    if !is_first {
        wait(core, wanted).await?;
    }
    let have = ask(core, wanted.wish.clone()).await.and_then(|have| have.map_or_else(|| Err(wanted.too_late()), Ok));
    if have.is_err() {
        release(core, names);
    }
    have.map(Some)
}

/// Asks those who know of other runs; `None`: it is not to be had.
async fn ask(core: &Rc<Core>, wish: LockWish) -> Result<Option<RequestId>, Fault> {
    core.check_interrupted()?;
    let pending = core.send(Request::Lock(wish));
    let lock = pending.id;
    match core.wait_for(pending).await {
        (reply, Some(interruption)) => {
            if reply == Reply::Done {
                core.ask_to_the_end(Request::Unlock { lock }).await;
            }
            Err(Fault::interrupted(interruption))
        }
        (Reply::Failed(failure), None) => Err(Fault::failed(failure)),
        (reply, None) => Ok((reply == Reply::Done).then_some(lock)),
    }
}

/// Waits until another branch passes it on.
async fn wait(core: &Rc<Core>, wanted: &Wanted) -> Result<(), Fault> {
    core.check_interrupted()?;
    let pending = core.send(Request::Sleep { ms: wanted.wish.most_ms.unwrap_or(FOR_EVER_MS) });
    let sleep = pending.id;
    core.run.locks.borrow_mut().waiting.push(Waiting { who: sleep, wish: wanted.wish.clone() });
    let (reply, interruption) = core.wait_for(pending).await;
    let is_waiting = core.run.locks.borrow_mut().leave(sleep);
    match (interruption, is_waiting, reply) {
        (Some(interruption), is_waiting, _) => {
            if !is_waiting {
                release(core, &wanted.wish.names);
            }
            Err(Fault::interrupted(interruption))
        }
        (None, false, _) => Ok(()),
        (None, true, Reply::Failed(failure)) => Err(Fault::failed(failure)),
        (None, true, _) => Err(wanted.too_late()),
    }
}

fn release(core: &Rc<Core>, names: &[String]) {
    let woken = core.run.locks.borrow_mut().release(names);
    woken.into_iter().for_each(|sleep| core.cancel(sleep));
}

fn wanted(call: &StepCall) -> Result<Wanted, Fault> {
    let mut parts = vec![one(&call.args.named)?];
    for extra in call.args.get("extra").and_then(Value::items).unwrap_or_default() {
        parts.push(one(&values::entries(&extra).unwrap_or_default())?);
    }
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return Err(Fault::illegal("Either resource label or resource name must be specified."));
    }
    selectable(call)?;
    let mut names = Vec::new();
    for (name, _) in &parts {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let most = most(call)?;
    let wish = LockWish {
        names,
        priority: call.args.opt_int("priority")?.unwrap_or(0),
        newest_first: call.args.flag("inversePrecedence", false)?,
        skips: false,
        most_ms: most.as_ref().map(|(ms, _)| *ms),
    };
    if wish.newest_first && wish.priority != 0 {
        return Err(Fault::illegal(
            "The \"inverse precedence\" option is not compatible with \"queue priority\" option!",
        ));
    }
    if wish.is_too_much() {
        return Err(Fault::illegal(format!(
            "a lock has at most {MAX_LOCK_NAMES} names, and {} KiB of them",
            MAX_LOCK_BYTES >> 10
        )));
    }
    let description = match call.args.get("extra").is_some_and(Value::truth) {
        true => parts.iter().map(|(_, words)| format!("{{{words}}}")).collect::<Vec<_>>().join(","),
        false if wish.priority != 0 => format!("{}, Priority: {}", parts[0].1, wish.priority),
        false => parts[0].1.clone(),
    };
    let is_resource = |name: &&String| parts.iter().any(|(of, words)| of == *name && words.starts_with(RESOURCE));
    let resources = wish.names.iter().filter(is_resource).cloned().collect();
    Ok(Wanted { wish, description, resources, most: most.map(|(_, words)| words) })
}

/// Which of several resources is had makes no difference here, but a word that says nothing is an error.
///
/// Source: `LockStepResource.validate`.
fn selectable(call: &StepCall) -> Result<(), Fault> {
    let known = ["sequential", "random"];
    match call.args.opt_text("resourceSelectStrategy")? {
        Some(how) if !known.contains(&how.to_lowercase().as_str()) => Err(Fault::illegal(format!(
            "The strategy \"{how}\" is not supported. Valid options are {}.",
            known.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// How long it is waited for, in milliseconds and as it is said; `None`: as long as it takes.
fn most(call: &StepCall) -> Result<Option<(u64, String)>, Fault> {
    let most = call.args.opt_int("timeoutForAllocateResource")?.and_then(|most| u64::try_from(most).ok());
    let Some(amount) = most.filter(|most| *most > 0) else { return Ok(None) };
    let unit = call.args.opt_text("timeoutUnit")?.unwrap_or_else(|| "MINUTES".to_owned());
    let ms = duration::to_ms(amount, &unit.to_uppercase());
    let ms = ms.ok_or_else(|| Fault::illegal(format!("Invalid timeoutUnit: {unit}")))?;
    Ok(Some((ms, format!("{amount} {}", unit.to_lowercase()))))
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
        (Some(resource), None) => Ok(Some((resource.clone(), format!("{RESOURCE}{resource}")))),
        (None, Some(label)) => {
            let quantity = quantity.map(|quantity| format!(", Quantity: {quantity}")).unwrap_or_default();
            Ok(Some((label.clone(), format!("Label: {label}{quantity}"))))
        }
        (None, None) => Ok(None),
    }
}
