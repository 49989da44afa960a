//! `maskPasswords`: texts that a script knows, and nobody is to see.

use groovy::value::Value;
use model::request::{Reply, Request};

use super::StepCall;
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::steps::unexpected;

/// `wrap([$class: 'MaskPasswordsBuildWrapper', varPasswordPairs: [[var: 'X', password: 'p']]]) { … }`. Where they were shown once they are
/// known, so they are masked to the end of the run, and not of the block.
///
/// Source: `MaskPasswordsBuildWrapper`: blank ones are none, and in a pipeline it sets no variable.
pub(crate) async fn mask_passwords(call: StepCall) -> Result<Value, Fault> {
    call.args.body()?;
    let pairs = call.args.get("varPasswordPairs").and_then(Value::items).unwrap_or_default();
    let of_pair = |pair: &Value| {
        let entries = values::entries(pair)?;
        entries.into_iter().find(|(name, _)| name == "password").map(|(_, value)| value.to_text())
    };
    let passwords: Vec<_> = pairs.iter().filter_map(of_pair).filter(|text| !text.trim().is_empty()).collect();
    if call.args.get("varMaskRegexes").and_then(Value::items).is_some_and(|patterns| !patterns.is_empty()) {
        call.say("WARNING: maskPasswords does not look for patterns (varMaskRegexes): what they would mask is shown");
    }
    if !passwords.is_empty() {
        match call.ask(Request::Mask { values: passwords }).await? {
            Reply::Count(0) => {}
            Reply::Count(short) => {
                call.say(&format!(
                    "WARNING: {short} of the passwords are too short to be masked: they would be found everywhere"
                ));
            }
            other => return Err(unexpected(&other)),
        }
    }
    call.run_body(&call.scope).await
}
