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
use crate::globals;

/// `checkout scm`, `checkout([$class: 'GitSCM', …])`
pub(crate) async fn checkout(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    let scm = call.args.get("scm").cloned();
    match &scm {
        Some(Value::Host(host)) if host.kind == globals::SCM => fetch(&call, call.cwd()?, None).await,
        None | Some(Value::Map(_)) => {
            let fields = scm.as_ref().and_then(values::entries).unwrap_or_else(|| call.args.named.clone());
            if fields.is_empty() {
                return Err(Fault::illegal("Missing required parameter: \"scm\""));
            }
            let (source, sub) = git_scm(&fields)?;
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
        url: call.args.text("url")?,
        reference: call.args.opt_text("branch")?,
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
pub(super) fn git_scm(fields: &[(String, Value)]) -> Result<(Option<GitSource>, Option<String>), Fault> {
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
    let remote = first("userRemoteConfigs");
    let branch = of(first("branches").as_ref(), "name");
    let reference = branch.map(|b| {
        let b = b.strip_prefix("*/").or_else(|| b.strip_prefix("refs/heads/")).unwrap_or(&b);
        b.strip_prefix("origin/").unwrap_or(b).to_owned()
    });
    let source = of(remote.as_ref(), "url").map(|url| GitSource {
        url,
        reference: reference.filter(|r| r != "**" && !r.is_empty()),
        credentials: of(remote.as_ref(), "credentialsId"),
    });
    let extensions = field("extensions").and_then(Value::items).unwrap_or_default();
    let sub = extensions.iter().find_map(|e| of(Some(e), "relativeTargetDir"));
    Ok((source, sub))
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
