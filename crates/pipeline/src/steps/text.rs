//! `echo`, `error`.

use groovy::value::Value;

use super::StepCall;
use crate::engine::fault::Fault;

/// `echo 'text'`
pub(crate) async fn echo(call: StepCall) -> Result<Value, Fault> {
    let text = match call.args.named.iter().any(|(n, v)| n == "message" && v.is_null()) {
        true => "null".to_owned(),
        false => call.args.text("message")?,
    };
    call.say(&text);
    Ok(Value::Null)
}

/// `error 'text'`
pub(crate) async fn error(call: StepCall) -> Result<Value, Fault> {
    Err(Fault::abort(call.args.opt_text("message")?.unwrap_or_default()))
}
