//! The objects that a pipeline finds ready: `env`, `params`, `currentBuild`, `scm`, `docker`, `steps`.

pub(crate) mod changes;
mod clock;
pub(crate) mod containers;
pub(crate) mod current_build;
pub(crate) mod docker;
pub(crate) mod recorded;
pub(crate) mod result;
pub(crate) mod scm;

use std::rc::Rc;

use groovy::machine::HostCall;
use groovy::value::{HostRef, Value};

pub(crate) use clock::Chance;

use crate::engine::Core;
use crate::engine::executor::LocalFuture;
use crate::engine::fault::{Fault, LIMIT};
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::outside::{NO_JENKINS, REJECTED};

/// `steps.sh 'x'` is `sh 'x'`.
pub(crate) const STEPS: &str = "steps";
/// Who is asked for the time.
pub(crate) const CLOCK: &str = "clock";
/// The repository of the definition.
pub(crate) const SCM: &str = "scm";
const ENV: &str = "org.jenkinsci.plugins.workflow.cps.EnvActionImpl";
const CURRENT_BUILD: &str = "org.jenkinsci.plugins.workflow.support.steps.build.RunWrapper";
const DOCKER: &str = "org.jenkinsci.plugins.docker.workflow.Docker";
const IMAGE: &str = "org.jenkinsci.plugins.docker.workflow.Docker$Image";
const CONTAINER: &str = "org.jenkinsci.plugins.docker.workflow.Docker$Container";
/// The root of Jenkins' package names: only to name a class.
const HUDSON: &str = "hudson";

/// Names of the globals, for messages.
pub(crate) const NAMES: &[&str] = &["currentBuild", "docker", "env", "params", "pipeline", "scm", "steps"];

/// A global by name.
pub(crate) fn global(core: &Core, name: &str) -> Option<Value> {
    Some(match name {
        "env" => Value::host(ENV, 0),
        "currentBuild" => Value::host(CURRENT_BUILD, current_build::OWN),
        "docker" => Value::host(DOCKER, 0),
        "steps" => Value::host(STEPS, 0),
        "hudson" => Value::host(HUDSON, 0),
        "scm" if core.facts.has_scm => Value::host(SCM, 0),
        "params" => params(core),
        _ => return None,
    })
}

/// Nobody changes them: `params.X = 'y'` fails.
fn params(core: &Core) -> Value {
    let all = core.run.params.borrow();
    Value::fixed_map(all.iter().map(|(name, value)| (values::text(name), value.clone())))
}

/// A property of one of the objects.
pub(crate) fn property(core: &Core, scope: &Scope, host: &HostRef, name: &str) -> Option<Value> {
    match host.kind {
        ENV => Some(values::opt_text(core.env_var(scope, name).as_deref())),
        CURRENT_BUILD => current_build::property(core, scope, host.id, name),
        SCM | scm::REMOTE | scm::BRANCH => scm::property(core, scope, host, name),
        IMAGE | CONTAINER => docker::property(core, host.id, name),
        recorded::SLACK | recorded::PLAIN => recorded::property(core, host.kind, host.id, name),
        result::CLASS => result::property(host, name),
        HUDSON if name == "FilePath" => Some(values::text("hudson.FilePath")),
        _ => None,
    }
}

/// The getter of a property whose reading takes time.
pub(crate) fn asks(host: &HostRef, name: &str) -> Option<&'static str> {
    match name {
        _ if host.kind != CURRENT_BUILD || host.id != current_build::OWN => None,
        "changeSets" => Some("getChangeSets"),
        "duration" => Some("getDuration"),
        "durationString" => Some("getDurationString"),
        _ => None,
    }
}

/// A property that Jenkins refuses to scripts, and how it calls it.
pub(crate) fn refused_property(host: &HostRef, name: &str) -> Option<String> {
    (host.kind == CURRENT_BUILD && name == "rawBuild").then(|| format!("method {CURRENT_BUILD} getRawBuild"))
}

/// Sets a property; false where there is none of that name.
///
/// # Errors
/// There is no room for it; in words.
pub(crate) fn set_property(
    core: &Core,
    scope: &Scope,
    host: &HostRef,
    name: &str,
    value: &Value,
) -> Result<bool, String> {
    match host.kind {
        ENV => {
            // Java's `String.valueOf`: null is the text `null`.
            core.run.set_env(name, value.to_text()).map(|()| true)
        }
        CURRENT_BUILD if host.id == current_build::OWN => Ok(current_build::set_property(core, scope, name, value)),
        _ => Ok(false),
    }
}

/// A method of one of the objects.
pub(crate) fn call(core: &Rc<Core>, scope: &Scope, call: HostCall) -> LocalFuture<Result<Value, Fault>> {
    let Some(host) = call.receiver.clone() else { return Box::pin(async { Ok(Value::Null) }) };
    if matches!(host.kind, DOCKER | IMAGE | CONTAINER) {
        return docker::call(core, scope, &host, call);
    }
    if asks(&host, "changeSets") == Some(&*call.name) {
        return Box::pin(changes::sets(Rc::clone(core), scope.clone()));
    }
    if let Some(name) = ["duration", "durationString"].into_iter().find(|name| asks(&host, name) == Some(&*call.name)) {
        return Box::pin(current_build::so_far(Rc::clone(core), name == "durationString"));
    }
    if host.kind == CLOCK {
        return Box::pin(clock::now(Rc::clone(core)));
    }
    if let (Some(text), "toString", []) = (host.text, &*call.name, &call.args[..]) {
        return Box::pin(async move { Ok(values::text(text)) });
    }
    if let (ENV, "setProperty" | "put" | "putAt", [name, value]) = (host.kind, &*call.name, &call.args[..]) {
        let set = core.run.set_env(&name.to_text(), value.to_text());
        return Box::pin(async move { set.map(|()| Value::Null).map_err(|why| Fault::raised(LIMIT, why)) });
    }
    let answer = match host.kind {
        ENV => env_method(core, scope, &call),
        CURRENT_BUILD => current_build::method(core, scope, host.id, &call),
        result::CLASS => result::method(&host, &call),
        SCM if &*call.name == "toString" => Some(values::text("hudson.plugins.git.GitSCM")),
        _ => None,
    };
    let answer = answer.or_else(|| accessor(core, scope, &host, &call));
    // `response.addReaction('tada')`, `summary.appendText('x')`
    let nothing = matches!(host.kind, recorded::SLACK | recorded::PLAIN).then_some(Value::Null);
    let answer = answer.or(nothing).ok_or_else(|| no_method(&host, &call));
    Box::pin(async move { answer })
}

fn env_method(core: &Core, scope: &Scope, call: &HostCall) -> Option<Value> {
    let all = || core.env_all(scope);
    match (&*call.name, &call.args[..]) {
        ("getProperty" | "get" | "getAt", [name]) => {
            Some(values::opt_text(core.env_var(scope, &name.to_text()).as_deref()))
        }
        ("getEnvironment", []) => {
            let vars = all();
            Some(values::map(vars.iter().map(|(n, v)| (n.as_str(), values::text(v)))))
        }
        ("containsKey", [name]) => Some(Value::Bool(core.env_var(scope, &name.to_text()).is_some())),
        _ => None,
    }
}

/// `getX()`, `isX()`, `setX(v)` for property `x`.
fn accessor(core: &Core, scope: &Scope, host: &HostRef, call: &HostCall) -> Option<Value> {
    if host.kind == ENV {
        return None;
    }
    let name = |prefix: &str| {
        let rest = call.name.strip_prefix(prefix)?;
        let first = rest.chars().next().filter(|c| c.is_uppercase())?;
        Some(format!("{}{}", first.to_lowercase(), &rest[first.len_utf8()..]))
    };
    match &call.args[..] {
        [] => property(core, scope, host, &name("get").or_else(|| name("is"))?),
        [value] => {
            let is_set = set_property(core, scope, host, &name("set")?, value);
            is_set.is_ok_and(|is_set| is_set).then_some(Value::Null)
        }
        _ => None,
    }
}

/// Groovy's words for a method that an object does not have.
fn no_method(host: &HostRef, call: &HostCall) -> Fault {
    if &*call.name == "getRawBuild"
        && let Some(what) = refused_property(host, "rawBuild")
    {
        return Fault::raised(REJECTED, format!("Scripts not permitted to use {what}: {NO_JENKINS}"));
    }
    let types: Vec<String> = call.args.iter().map(Value::type_name).collect();
    let values: Vec<String> = call.args.iter().map(Value::to_text).collect();
    Fault::raised(
        "groovy.lang.MissingMethodException",
        format!(
            "No signature of method: {}.{}() is applicable for argument types: ({}) values: [{}]",
            host.kind,
            call.name,
            types.join(", "),
            values.join(", ")
        ),
    )
}
