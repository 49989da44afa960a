//! `hudson.model.Result`: its constants, which are no texts. `Result.SUCCESS == 'SUCCESS'` is false.

use groovy::machine::HostCall;
use groovy::value::{HostRef, Value};
use model::outcome::Outcome;

use crate::engine::values::int;

/// The class of the constants.
pub(crate) const CLASS: &str = "hudson.model.Result";
/// That of their colours.
const COLOR: &str = "hudson.model.BallColor";

/// The constants in the order of their `ordinal`.
const ALL: [Outcome; 5] = [Outcome::Success, Outcome::Unstable, Outcome::Failure, Outcome::NotBuilt, Outcome::Aborted];

/// The constant of an outcome.
pub(crate) fn of(outcome: Outcome) -> Value {
    Value::constant(CLASS, outcome as u64, outcome.name())
}

/// `Result.UNSTABLE`, `Result.fromString('unstable')`: what a script may ask the class.
pub(crate) fn of_class(method: &str, args: &[Value]) -> Option<Value> {
    match (method, args) {
        // What is no result is the worst that a run does itself, where nothing else is given.
        ("fromString", [name]) => Some(of(Outcome::from_name(&name.to_text()).unwrap_or(Outcome::Failure))),
        ("fromString", [name, other]) => Some(Outcome::from_name(&name.to_text()).map_or_else(|| other.clone(), of)),
        (getter, []) => {
            let name = getter.strip_prefix("get")?;
            ALL.into_iter().find(|outcome| outcome.name() == name).map(of)
        }
        _ => None,
    }
}

fn outcome(host: &HostRef) -> Option<Outcome> {
    ALL.get(usize::try_from(host.id).ok()?).copied()
}

/// `Result.FAILURE.color`
pub(super) fn property(host: &HostRef, name: &str) -> Option<Value> {
    let outcome = outcome(host)?;
    match name {
        "ordinal" => Some(int(outcome as i64)),
        "completeBuild" => Some(Value::Bool(outcome <= Outcome::Failure)),
        "color" => {
            let color = match outcome {
                Outcome::Success => "blue",
                Outcome::Unstable => "yellow",
                Outcome::Failure => "red",
                Outcome::NotBuilt => "notbuilt",
                Outcome::Aborted => "aborted",
            };
            Some(Value::constant(COLOR, outcome as u64, color))
        }
        _ => None,
    }
}

/// `Result.FAILURE.isWorseThan(Result.SUCCESS)`
pub(super) fn method(host: &HostRef, call: &HostCall) -> Option<Value> {
    let this = outcome(host)?;
    match (&*call.name, &call.args[..]) {
        (name, [Value::Host(other)]) if other.kind == CLASS => {
            let other = outcome(other)?;
            Some(match name {
                "combine" => of(this.worst(other)),
                "isBetterThan" => Value::Bool(this < other),
                "isBetterOrEqualTo" => Value::Bool(this <= other),
                "isWorseThan" => Value::Bool(this > other),
                "isWorseOrEqualTo" => Value::Bool(this >= other),
                "equals" => Value::Bool(this == other),
                _ => return None,
            })
        }
        ("equals", [_]) => Some(Value::Bool(false)),
        _ => None,
    }
}
