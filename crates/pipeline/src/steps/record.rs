//! Steps that only keep what they were asked for: messages to people, marks, reports to other systems, and blocks around which nothing is
//! to be done. What is refused instead, and why, stands in `plugins.table`.

use std::collections::BTreeMap;

use groovy::value::Value;
use model::event::Event;
use model::said::{MAX_ALL_CHARS, MAX_DEPTH, MAX_OF_RUN, MAX_TEXT_CHARS, MAX_VALUES, Said};

use super::StepCall;
use super::describable::SYMBOL;
use crate::catalogue::{Entry, Level, Support};
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::globals::recorded;

/// What the log shows of the arguments, in characters; the event has more.
const MAX_SHOWN: usize = 500;
/// In place of what looks like a secret.
const HIDDEN: &str = "****";
/// Parts of names whose values are kept by nobody.
const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "apikey", "webhook"];

/// The name of an argument that is given without one: what must be there, the message, what comes first, or what most steps call it.
pub(super) fn sole(entry: &Entry) -> &'static str {
    let usual = if entry.block { "name" } else { "message" };
    let first = || entry.parameter("message").or(entry.parameters.first()).map_or(usual, |p| p.name);
    entry.sole_required().map_or_else(first, |p| p.name)
}

/// Keeps what a step was asked for, and runs its block.
pub(super) async fn record(call: StepCall, entry: &'static Entry) -> Result<Value, Fault> {
    if entry.name == "mail" {
        addressed(&call)?;
    }
    let arguments = arguments(&call.args.named);
    let (Support::Recorded(level) | Support::Delivered(level)) = entry.support else { return Ok(Value::Null) };
    note(&call, entry.name, level, arguments);
    match call.args.body {
        Some(_) => call.run_body(&call.scope).await,
        None => Ok(answer(&call, entry.name)),
    }
}

/// A mail that nobody could send is an error.
///
/// Source: `MailStep` of workflow-basic-steps. The class `Mailer` that the step stands for writes its text itself.
fn addressed(call: &StepCall) -> Result<(), Fault> {
    let is_given = |name: &&str| call.args.get(name).is_some_and(|value| !value.to_text().trim().is_empty());
    let of_class = ["recipients", "notifyEveryUnstableBuild", "sendToIndividuals"];
    if of_class.iter().any(|name| call.args.get(name).is_some()) || call.core.facts.planning {
        return Ok(());
    }
    if !["subject", "body"].iter().all(is_given) {
        return Err(Fault::abort("Email not sent. All mandatory properties must be supplied ('subject', 'body')."));
    }
    if !["to", "cc", "bcc"].iter().any(is_given) {
        return Err(Fault::abort("Email not sent. No recipients of any kind specified ('to', 'cc', 'bcc')."));
    }
    Ok(())
}

/// Says what is kept, once why nothing more is done, and tells it as an event.
pub(super) fn note(call: &StepCall, name: &'static str, level: Level, arguments: Said) {
    if call.core.run.recorded.borrow_mut().insert(name) {
        call.say(&format!("WARNING: {name} is recorded, and does nothing else: {}", level.why));
        level.instead.iter().for_each(|instead| call.say(&format!("hint: instead: {instead}")));
    }
    tell(call, name, arguments);
}

/// Keeps what a step was asked for, and says it in a line.
pub(super) fn tell(call: &StepCall, name: &str, arguments: Said) {
    let count = call.core.run.recorded_calls.get().saturating_add(1);
    call.core.run.recorded_calls.set(count);
    if count > MAX_OF_RUN {
        if count == MAX_OF_RUN + 1 {
            call.say(&format!("WARNING: {MAX_OF_RUN} calls were recorded, further ones are not"));
        }
        return;
    }
    let shown: String = arguments.to_string().chars().take(MAX_SHOWN).collect();
    call.say(&format!("Recorded: {name} {shown}"));
    call.core.event(Event::StepRecorded { step: call.id, name: name.to_owned(), arguments });
}

/// What a script gets that looks at the answer, as far as scripts do.
fn answer(call: &StepCall, name: &str) -> Value {
    match name {
        "slackSend" => recorded::slack(&call.core, &call.args.opt_text("channel").ok().flatten().unwrap_or_default()),
        "slackUploadFile" | "createSummary" | "addSummary" | "addBadge" => recorded::plain(),
        "slackUserIdsFromCommitters" => Value::list(Vec::new()),
        "emailextrecipients" => values::text(""),
        _ => Value::Null,
    }
}

/// Arguments as data, within bounds, without what looks like a secret.
pub(super) fn arguments(named: &[(String, Value)]) -> Said {
    let mut room = Room { values: MAX_VALUES, chars: MAX_ALL_CHARS };
    Said::Map(room.entries(named.to_vec(), 1))
}

/// What may still be kept.
struct Room {
    values: usize,
    chars: usize,
}

impl Room {
    fn entries(&mut self, entries: Vec<(String, Value)>, depth: usize) -> BTreeMap<String, Said> {
        let mut kept = BTreeMap::new();
        for (name, value) in entries {
            if self.values == 0 || self.chars == 0 {
                break;
            }
            let value = match is_secret(&name) && !value.is_null() {
                true => Said::Text(HIDDEN.to_owned()),
                false => self.value(&value, depth),
            };
            let name = if name == SYMBOL { "$class".to_owned() } else { self.text(&name) };
            kept.insert(name, value);
        }
        kept
    }

    // No deeper than `MAX_DEPTH`.
    fn value(&mut self, value: &Value, depth: usize) -> Said {
        self.values = self.values.saturating_sub(1);
        match value {
            Value::Null => Said::Nothing,
            Value::Bool(flag) => Said::Flag(*flag),
            Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) => {
                value.as_i64().map_or(Said::Nothing, Said::Number)
            }
            Value::Str(_) | Value::GString(_) | Value::Float(_) | Value::Double(_) | Value::Decimal(_) => {
                Said::Text(self.text(&value.to_text()))
            }
            Value::Map(_) if depth < MAX_DEPTH => {
                Said::Map(self.entries(values::entries(value).unwrap_or_default(), depth + 1))
            }
            Value::List(_) | Value::Set(_) if depth < MAX_DEPTH => {
                let mut kept = Vec::new();
                for item in value.items().unwrap_or_default() {
                    if self.values == 0 || self.chars == 0 {
                        break;
                    }
                    kept.push(self.value(&item, depth + 1));
                }
                Said::List(kept)
            }
            other => Said::Text(format!("({})", other.type_name())),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let kept: String = text.chars().take(MAX_TEXT_CHARS.min(self.chars)).collect();
        self.chars -= kept.chars().count();
        if kept.len() < text.len() { kept + "…" } else { kept }
    }
}

/// `token`, `webhookUrl`, `proxyPassword`; not `tokenCredentialId`, which only names one.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    !name.ends_with("id") && SECRET.iter().any(|part| name.contains(part))
}
