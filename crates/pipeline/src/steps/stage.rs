//! `stage` of scripted pipelines, and the frame that declarative stages share with it.

use std::rc::Rc;

use groovy::value::Value;
use model::event::Event;
use model::outcome::Outcome;

use super::StepCall;
use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;

/// `stage('name') { … }`; the old form without a block only says where the run is.
pub(crate) async fn stage(call: StepCall) -> Result<Value, Fault> {
    let name = call.args.text("name")?;
    match call.args.body.clone() {
        Some(body) => framed(&call.core, &call.scope, &name, body).await,
        None => {
            call.say("Using the ‘stage’ step without a block argument is deprecated");
            call.say(&format!("Entering stage {name}"));
            call.say("Proceeding");
            Ok(Value::Null)
        }
    }
}

/// Runs a body as a stage: its marks, its events, its name in the variables.
pub(crate) async fn framed(core: &Rc<Core>, scope: &Scope, name: &str, body: Body) -> Result<Value, Fault> {
    let outer = core.deeper(scope)?;
    let stage = core.next_stage();
    let scope = outer
        .with(|s| s.stage = Some(stage))
        .with_warnings()
        .with_env(vec![("STAGE_NAME".to_owned(), name.to_owned())]);
    core.mark(&scope, &format!("{{ ({name})"));
    core.event(Event::StageStarted { stage, parent: outer.stage, name: name.to_owned(), branch: false });
    let result = core.call_body(&scope, body, Vec::new()).await;
    core.mark(&scope, "}");
    let ended = result.as_ref().err().map(Fault::outcome);
    let outcome = ended.into_iter().chain(scope.warned()).fold(Outcome::Success, Outcome::worst);
    core.event(Event::StageFinished { stage, outcome });
    result
}

/// Runs a body between the marks of a step that has no other trace: `[Pipeline] withEnv`, `{`, `}`, `// withEnv`.
pub(crate) async fn marked(
    core: &Rc<Core>,
    outer: &Scope,
    name: &str,
    inner: &Scope,
    body: Body,
) -> Result<Value, Fault> {
    core.mark(outer, name);
    core.mark(outer, "{");
    let result = core.call_body(inner, body, Vec::new()).await;
    core.mark(outer, "}");
    core.mark(outer, &format!("// {name}"));
    result
}
