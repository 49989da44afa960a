//! `withEnv`.

use groovy::value::Value;

use super::StepCall;
use crate::engine::fault::Fault;

/// `withEnv(['A=1', 'PATH+X=/x/bin']) { … }`
pub(crate) async fn with_env(call: StepCall) -> Result<Value, Fault> {
    let mut vars = Vec::new();
    for pair in call.args.texts("overrides")? {
        match pair.split_once('=') {
            Some((name, value)) => vars.push((name.to_owned(), value.to_owned())),
            None => return Err(Fault::illegal(format!("Invalid overrides: {pair} (expected NAME=value)"))),
        }
    }
    call.run_body(&call.scope.with_env(vars)).await
}
