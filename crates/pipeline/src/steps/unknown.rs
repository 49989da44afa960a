//! Calls that are not a step that runs: refused in Jenkins' words, with the nearest names.

use groovy::machine::HostCall;

use crate::catalogue::Support;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::globals;

/// What is said of a call that means nothing here.
pub(crate) fn refuse(core: &Core, call: &HostCall) -> Fault {
    core.libraries.why_broken(&call.name).unwrap_or_else(|| refuse_name(core, &call.name))
}

/// The same for a name alone.
pub(crate) fn refuse_name(core: &Core, name: &str) -> Fault {
    let catalogue = core.program.catalogue();
    if let Some(entry) = catalogue.step(name) {
        let refused = |text: String| Fault::raised("java.lang.UnsupportedOperationException", text);
        return match entry.support {
            Support::Delivered(level) | Support::Refused(level) => {
                let fault = refused(format!("The step ‘{name}’ does not run here: {}", level.why));
                let recorded = matches!(entry.support, Support::Delivered(_))
                    .then_some("`projects put … --record-deliveries` has it recorded, and the run go on");
                let instead = level.instead.map(|instead| format!("instead: {instead}"));
                let hints: Vec<_> = instead.into_iter().chain(recorded.map(str::to_owned)).collect();
                if hints.is_empty() { fault } else { fault.with_hint(hints.join("; ")) }
            }
            _ => refused(format!("The step ‘{name}’ is not supported yet"))
                .with_hint("Jenkins has this step, Cofferdam cannot run it yet"),
        };
    }
    let mut known: Vec<&str> = super::names().collect();
    known.extend(core.facts.steps.iter().map(|step| step.name.as_str()));
    known.sort_unstable();
    let globals = globals::NAMES.join(", ");
    let text = format!("No such DSL method '{name}' found among steps [{}] or globals [{globals}]", known.join(", "));
    let fault = Fault::raised("java.lang.NoSuchMethodError", text);
    match &catalogue.nearest_steps(name)[..] {
        [] => fault,
        near => fault.with_hint(format!("did you mean {}?", near.join(" or "))),
    }
}
