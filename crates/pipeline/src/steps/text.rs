//! `echo`, `error`, `tee`.

use groovy::value::Value;

use model::request::LogCopy;

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

/// `tee('build.log') { … }`: what its block logs goes into a file, too, at its end.
///
/// Source: `TeeStep`. Jenkins' marks (`[Pipeline] sh`) are not in it.
pub(crate) async fn tee(call: StepCall) -> Result<Value, Fault> {
    let copy = LogCopy { job: call.node()?.job, path: call.path(&call.args.text("file")?)? };
    let scope = call.scope.with_tee(copy);
    let result = call.run_body(&scope).await;
    let written = call.core.write_copies(&scope).await;
    result.and_then(|value| written.map(|()| value))
}
