//! `load`: a script of the workspace; `evaluate`: one that is a text.

use groovy::value::Value;
use model::request::Request;

use super::StepCall;
use super::files::text_of;
use crate::engine::fault::Fault;

/// `def x = load 'lib.groovy'`: runs the file and returns what it returns (often `this`).
pub(crate) async fn load(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.text("path")?;
    let (job, path) = (call.node()?.job, call.path(&name)?);
    let text = text_of(&call, Request::ReadFile { job, path, encoding: None }).await?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let core = &call.core;
    let stem = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".groovy");
    let script = core.program.load_more(&text, stem, &mut core.machine.borrow_mut());
    let script =
        script.map_err(|text| Fault::raised("org.codehaus.groovy.control.MultipleCompilationErrorsException", text))?;
    let scope = core.deeper(&call.scope)?;
    core.mark(&scope, &format!("{{ ({name})"));
    let result = core.run_script(&scope, script).await;
    core.mark(&scope, "}");
    result
}

/// `evaluate 'return 1 + 1'`: runs a text as a script, and returns what it returns.
pub(crate) async fn evaluate(call: StepCall) -> Result<Value, Fault> {
    let text = call.args.text("script")?;
    let core = &call.core;
    let script = core.program.load_more(&text, "Script1", &mut core.machine.borrow_mut());
    let script =
        script.map_err(|text| Fault::raised("org.codehaus.groovy.control.MultipleCompilationErrorsException", text))?;
    let scope = core.deeper(&call.scope)?;
    core.run_script(&scope, script).await
}
