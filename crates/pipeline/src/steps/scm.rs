//! `checkout`, `git`: files of a repository into the working folder.

use std::rc::Rc;

use groovy::value::Value;
use model::request::{GitSource, Reply, Request};

use super::args::Args;
use super::{StepCall, run_named, unexpected};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::{Scope, join_path};
use crate::engine::values;
use crate::globals::{self, scm};

/// `checkout scm`, `checkout([$class: 'GitSCM', …])`
pub(crate) async fn checkout(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    let source = call.args.get("scm").cloned();
    match &source {
        Some(Value::Host(host)) if host.kind == globals::SCM => fetch(&call, call.cwd()?, None).await,
        None | Some(Value::Map(_)) => {
            let fields = source.as_ref().and_then(values::entries).unwrap_or_else(|| call.args.named.clone());
            if fields.is_empty() {
                return Err(Fault::illegal("Missing required parameter: \"scm\""));
            }
            let (source, sub) = git_scm(&call, &fields)?;
            let dir = sub.map_or_else(|| call.cwd(), |sub| call.path(&sub))?;
            fetch(&call, dir, source).await
        }
        Some(other) => Err(Fault::illegal(format!("checkout expects an scm, but got {}", other.to_text()))),
    }
}

/// `git 'https://…'`, `git url: '…', branch: 'main'`
pub(crate) async fn git(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    let source = GitSource {
        url: expanded(&call, &call.args.text("url")?),
        reference: call.args.opt_text("branch")?.map(|branch| expanded(&call, &branch)),
        credentials: call.args.opt_text("credentialsId")?,
    };
    fetch(&call, call.cwd()?, Some(source)).await
}

async fn fetch(call: &StepCall, dir: String, source: Option<GitSource>) -> Result<Value, Fault> {
    let job = call.node()?.job;
    match call.ask(Request::Checkout { job, step: call.id, dir, source }).await? {
        Reply::CheckedOut(vars) => Ok(values::map(vars.iter().map(|(n, v)| (n.as_str(), values::text(v))))),
        reply => Err(unexpected(&reply)),
    }
}

/// The repository that a `GitSCM` map names, and the folder below the workspace. `None` for the repository: `scm` itself.
pub(super) fn git_scm(
    call: &StepCall,
    fields: &[(String, Value)],
) -> Result<(Option<GitSource>, Option<String>), Fault> {
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let class = field("$class").or(field(super::describable::SYMBOL)).map(Value::to_text).unwrap_or_default();
    let known = matches!(class.rsplit('.').next(), Some("GitSCM" | "scmGit" | "gitSCM" | ""));
    if !known {
        return Err(Fault::raised(
            "java.lang.UnsupportedOperationException",
            format!("checkout of a ‘{class}’ is not supported yet"),
        ));
    }
    let first = |name: &str| field(name).and_then(Value::items).and_then(|l| l.into_iter().next());
    let of =
        |map: Option<&Value>, key: &str| map.and_then(|m| m.get(key)).filter(|v| !v.is_null()).map(|v| v.to_text());
    let (remote, branch) = (first("userRemoteConfigs"), first("branches"));
    let own_url = scm::url(&call.core, &call.scope);
    let is_own_branch = branch.as_ref().is_none_or(|branch| scm::is_own(branch, scm::BRANCH));
    let is_own_remote = remote.as_ref().is_some_and(|remote| scm::is_own(remote, scm::REMOTE));
    let url = of(remote.as_ref(), "url").map(|url| expanded(call, &url)).or(own_url.clone().filter(|_| is_own_remote));
    // The revision that the run is of, as `checkout scm` has it: a branch may have gone on.
    let is_itself = branch.is_some() && is_own_branch && url.is_some() && url == own_url;
    let reference = match branch.as_ref() {
        Some(branch) if scm::is_own(branch, scm::BRANCH) => Some(scm::branch(&call.core, &call.scope)),
        branch => of(branch, "name"),
    };
    let reference = reference.map(|reference| without_remote(&expanded(call, &reference)).to_owned());
    let source = match url {
        _ if is_itself || is_own_remote && is_own_branch => None,
        None if is_own_remote => {
            let hint = "`checkout scm` takes the project itself, at the revision of the run";
            return Err(Fault::abort("The address of this project's repository is not known").with_hint(hint));
        }
        url => url.map(|url| GitSource {
            url,
            reference: reference.filter(|r| r != "**" && !r.is_empty()),
            credentials: of(remote.as_ref(), "credentialsId"),
        }),
    };
    let extensions = field("extensions").and_then(Value::items).unwrap_or_default();
    let names = extensions.iter().filter_map(|extension| values::symbol(&values::entries(extension)?));
    let undone: Vec<_> = names.filter(|name| UNDONE.contains(&name.to_ascii_lowercase().as_str())).collect();
    if !undone.is_empty() {
        call.say(&format!("WARNING: checkout does nothing for {}", undone.join(", ")));
    }
    let sub = extensions.iter().find_map(|e| of(Some(e), "relativeTargetDir"));
    Ok((source, sub))
}

/// Extensions of `GitSCM`, by class or symbol, whose work is missed where it is not done. Others say how a workspace is cleared, which a
/// fresh one is, or how much of the history comes.
const UNDONE: [&str; 8] = [
    "localbranch",
    "submoduleoption",
    "submodule",
    "sparsecheckoutpaths",
    "sparsecheckout",
    "gitlfspull",
    "lfs",
    "prebuildmerge",
];

/// The name of a branch without what says of which remote it is.
fn without_remote(name: &str) -> &str {
    let name =
        ["*/", "refs/heads/", "refs/remotes/"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    name.strip_prefix("origin/").unwrap_or(name)
}

/// With the values of `$NAME` and `${NAME}`, as the git plugin reads addresses and branches; what nothing defines stays.
///
/// Source: `Util.replaceMacro` of Jenkins.
fn expanded(call: &StepCall, text: &str) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_some() {
            // `$$` is a dollar.
            out += "$";
            out += parts.next().unwrap_or_default();
            continue;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, rest) = match part.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => part.split_at(part.find(|c| !is_word(c)).unwrap_or(part.len())),
        };
        match call.core.env_var(&call.scope, name).filter(|_| !name.is_empty()) {
            Some(value) => out += &format!("{value}{rest}"),
            None => out += &format!("${part}"),
        }
    }
    out
}

/// The checkout that a declarative pipeline makes on each of its agents; the variables that it brings.
pub(crate) async fn checkout_scm(
    core: &Rc<Core>,
    scope: &Scope,
    sub: Option<&str>,
) -> Result<Vec<(String, String)>, Fault> {
    let scope = match (sub, scope.cwd()) {
        (Some(sub), Some(cwd)) => scope.in_dir(join_path(cwd, sub)),
        _ => scope.clone(),
    };
    let scm = ("scm".to_owned(), Value::host(globals::SCM, 0));
    let args = Args { step: "checkout".to_owned(), named: vec![scm], body: None };
    let vars = run_named(core, &scope, args).await?;
    Ok(values::entries(&vars).unwrap_or_default().into_iter().map(|(n, v)| (n, v.to_text())).collect())
}
