//! Calls that only describe something: `logRotator(numToKeepStr: '5')`, `string(name: 'x')`. They are values, for the
//! step that takes them.

use groovy::machine::HostCall;
use groovy::value::Value;

use super::args::Args;
use crate::catalogue::{Catalogue, Kind};
use crate::engine::fault::Fault;
use crate::engine::values;

/// The key under which the name of the symbol stands.
pub(crate) const SYMBOL: &str = "$symbol";

/// Whether a call that may be a step (`zip`) describes a credential instead.
pub(crate) fn is_binding(call: &HostCall) -> bool {
    let named = call.named.as_ref().and_then(values::entries).unwrap_or_default();
    let has = |wanted: &str| named.iter().any(|(name, _)| name == wanted);
    let is_symbol = Catalogue::get().find(Kind::Symbol, &call.name).is_some();
    is_symbol && call.args.is_empty() && has("credentialsId") && has("variable")
}

/// The value of such a call; none where the name is no symbol.
pub(crate) fn value(call: &HostCall) -> Option<Result<Value, Fault>> {
    let entry = Catalogue::get().of_any_kind(&call.name).find(|e| e.kind != Kind::Step)?;
    // What has a block is no description, but what somebody takes for a step (`always { … }`).
    if entry.kind == Kind::Symbol && call.args.last().is_some_and(values::is_closure) {
        return None;
    }
    let sole = entry.sole_required().map_or("value", |p| p.name);
    Some(Args::of(call, Some(sole)).map(|args| {
        let own = args.named.iter().map(|(n, v)| (n.as_str(), v.clone()));
        values::map([(SYMBOL, values::text(&call.name))].into_iter().chain(own))
    }))
}

/// Whether a call is that of a value, although a step has its name too: `throttle` without a block is an option, and `cobertura` is a step only
/// where it is given what the step takes.
pub(crate) fn is_value(call: &HostCall) -> bool {
    let is_block = call.args.last().is_some_and(values::is_closure);
    let named = call.named.as_ref().and_then(values::entries).unwrap_or_default();
    match &*call.name {
        "throttle" => !is_block,
        "cobertura" => {
            call.args.first().is_some_and(Value::is_text)
                || named.iter().any(|(name, _)| matches!(name.as_str(), "path" | "pattern"))
        }
        // A parser among the tools of `recordIssues`; the step is told what is installed, or what it is to do.
        "cmake" => call.args.is_empty() && named.iter().all(|(name, _)| OF_PARSERS.contains(&name.as_str())),
        _ => false,
    }
}

/// What a parser of `recordIssues` is told.
const OF_PARSERS: [&str; 7] = ["icon", "id", "name", "pattern", "reportEncoding", "skipSymbolicLinks", "url"];
