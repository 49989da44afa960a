//! `scm`: the repository of the definition, and what scripts take out of it to check it out in their own way.

use groovy::value::{HostRef, Value};

use super::SCM;
use crate::engine::Core;
use crate::engine::scope::Scope;
use crate::engine::values;

/// `scm.userRemoteConfigs[0]`
pub(crate) const REMOTE: &str = "hudson.plugins.git.UserRemoteConfig";
/// `scm.branches[0]`
pub(crate) const BRANCH: &str = "hudson.plugins.git.BranchSpec";

/// A property of one of these. A repository has the fields that Jenkins' `GitSCM` has, as far as scripts hand them on.
pub(super) fn property(core: &Core, scope: &Scope, host: &HostRef, name: &str) -> Option<Value> {
    Some(match (host.kind, name) {
        (SCM, "userRemoteConfigs") => Value::list(vec![Value::host(REMOTE, 0)]),
        (SCM, "branches") => Value::list(vec![Value::host(BRANCH, 0)]),
        (SCM, "extensions" | "submoduleCfg") => Value::list(Vec::new()),
        (SCM, "doGenerateSubmoduleConfigurations") => Value::Bool(false),
        (SCM, "browser" | "gitTool") => Value::Null,
        (REMOTE, "url") => values::opt_text(url(core, scope).as_deref()),
        (REMOTE, "credentialsId" | "name" | "refspec") => Value::Null,
        (BRANCH, "name") => values::text(&branch(core, scope)),
        _ => return None,
    })
}

/// Where the repository is, where that is known.
pub(crate) fn url(core: &Core, scope: &Scope) -> Option<String> {
    core.facts.repository.clone().or_else(|| core.env_var(scope, "GIT_URL"))
}

/// The branch, or what stands for any.
pub(crate) fn branch(core: &Core, scope: &Scope) -> String {
    let own = core.facts.branch().map(str::to_owned);
    own.or_else(|| core.env_var(scope, "GIT_LOCAL_BRANCH")).unwrap_or_else(|| "**".to_owned())
}

/// Is it the repository itself, or one of its parts?
pub(crate) fn is_own(value: &Value, kind: &str) -> bool {
    matches!(value, Value::Host(host) if host.kind == kind)
}
