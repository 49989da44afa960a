//! `dir`, `ws`, `pwd`, `isUnix`.

use std::rc::Rc;

use groovy::value::Value;
use model::request::{Request, WORKSPACES};

use super::StepCall;
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::{Scope, join_path};
use crate::engine::values;

/// `dir('x') { … }`: the folder is made when something needs it.
pub(crate) async fn dir(call: StepCall) -> Result<Value, Fault> {
    let path = call.path(&call.args.text("path")?)?;
    call.say(&format!("Running in {path}"));
    call.run_body(&call.scope.in_dir(path)).await
}

/// `ws('x') { … }`: another workspace of the same node, `ws { … }` an empty one of its own. A relative one lies in the node's own workspace, because a
/// sandbox has no room of its own beside that.
pub(crate) async fn ws(call: StepCall) -> Result<Value, Fault> {
    let node = call.node()?;
    let name = call.args.opt_text("dir")?.unwrap_or_else(|| format!("ws@{}", call.id.0));
    let path = workspace_path(&node.place.workspace, &name);
    call.say(&format!("Running in {path}"));
    let scope = in_workspace(&call.core, &call.scope, path).await?;
    call.run_body(&scope).await
}

/// A scope in another workspace. One beside the node's own is made at once, with the folder for what is not to lie in it: the user of a
/// sandbox may make no folders there.
pub(crate) async fn in_workspace(core: &Rc<Core>, scope: &Scope, path: String) -> Result<Scope, Fault> {
    if let Some(node) = &scope.node
        && !is_below(&path, &node.place.workspace)
    {
        for path in [path.clone(), format!("{path}@tmp")] {
            core.ask(Request::MakeWorkspace { job: node.job, path }).await?;
        }
    }
    Ok(scope.in_workspace(path))
}

/// The same in a container that sees the node's own workspace: of one beside that it has a folder of its own, and says so.
pub(crate) async fn in_workspace_of_node(core: &Rc<Core>, scope: &Scope, path: String) -> Result<Scope, Fault> {
    if let Some(node) = &scope.node
        && let own = &node.place.workspace
        && !is_below(&path, own)
        && !(is_below(&path, WORKSPACES) && is_below(own, WORKSPACES))
    {
        core.say(
            scope,
            &format!("WARNING: containers share {own} of their node, so the files of {path} are not in this one"),
        );
    }
    in_workspace(core, scope, path).await
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a workspace of that name lies.
pub(crate) fn workspace_path(base: &str, name: &str) -> String {
    if name.starts_with('/') {
        join_path("/", name)
    } else {
        join_path("/", &format!("{base}{}", join_path("/", name)))
    }
}

/// `pwd()`, `pwd(tmp: true)`
pub(crate) async fn pwd(call: StepCall) -> Result<Value, Fault> {
    let cwd = call.cwd()?;
    if call.args.flag("tmp", false)? {
        return Ok(values::text(&format!("{}@tmp", call.scope.workspace().unwrap_or(&cwd))));
    }
    Ok(values::text(&cwd))
}

/// `isUnix()`
pub(crate) async fn is_unix(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    Ok(Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::workspace_path;

    #[test]
    fn a_relative_workspace_stays_inside() {
        assert_eq!(workspace_path("/ws", "./a/../b/c"), "/ws/b/c");
        assert_eq!(workspace_path("/ws", "../../etc"), "/ws/etc");
        assert_eq!(workspace_path("/ws", "/tmp/x"), "/tmp/x");
    }
}
