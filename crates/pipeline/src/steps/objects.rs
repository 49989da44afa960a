//! Objects that steps return, where a map would not do: they are of classes that are written in Groovy, in a script of their own.

use std::rc::Rc;

use groovy::value::Value;

use crate::engine::Core;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;

const SOURCE: &str = include_str!("objects.groovy");
/// Name of the script, for messages.
const NAME: &str = "UtilitySteps";

/// What one of the makers of the script makes.
pub(crate) async fn of(core: &Rc<Core>, scope: &Scope, maker: &str, args: Vec<Value>) -> Result<Value, Fault> {
    let known = core.run.makers.borrow().clone();
    let makers = match known {
        Some(makers) => makers,
        None => {
            let loaded = core.program.load_more(SOURCE, NAME, &mut core.machine.borrow_mut());
            let script = loaded.map_err(Fault::abort)?;
            let makers = core.run_script(scope, script).await?;
            *core.run.makers.borrow_mut() = Some(makers.clone());
            makers
        }
    };
    let key = format!("${maker}");
    // There is one null.
    if args.is_empty()
        && let Some(made) = makers.get(&key)
    {
        return Ok(made);
    }
    let maker = makers.get(maker).unwrap_or_default();
    let is_single = args.is_empty();
    let made = core.call_body(scope, Body::Script(maker), args).await?;
    if is_single && let Value::Map(map) = &makers {
        map.put(Value::from(key), made.clone());
    }
    Ok(made)
}
