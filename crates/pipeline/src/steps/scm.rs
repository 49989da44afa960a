//! `checkout`, `git`: files of a repository into the working folder.

use std::rc::Rc;

use groovy::value::Value;
use model::git::{Clearing, GitSource, Submodules};
use model::request::{Reply, Request};

use super::args::Args;
use super::{StepCall, run_named, unexpected};
use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::{Scope, join_path};
use crate::engine::values;
use crate::globals::{self, scm};

/// Jenkins' words for a repository that has nothing.
const NO_REVISION: &str =
    "Couldn't find any revision to build. Verify the repository and branch configuration for this job.";
const NO_URL: &str = "`userRemoteConfigs: [[url: '…']]` says where it is; `checkout scm` brings the project itself";

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
            let is_scm = source.is_itself() && source.clearing.is_usual();
            fetch(&call, dir, (!is_scm).then_some(source)).await
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
        ..GitSource::default()
    };
    fetch(&call, call.cwd()?, Some(source)).await
}

async fn fetch(call: &StepCall, dir: String, source: Option<GitSource>) -> Result<Value, Fault> {
    let job = call.node()?.job;
    let source = source.map(Box::new);
    match call.ask(Request::Checkout { job, step: call.id, dir, source }).await? {
        Reply::CheckedOut(vars) => Ok(values::map(vars.iter().map(|(n, v)| (n.as_str(), values::text(v))))),
        reply => Err(unexpected(&reply)),
    }
}

/// The repository that a `GitSCM` map names, and the folder below the workspace.
pub(super) fn git_scm(call: &StepCall, fields: &[(String, Value)]) -> Result<(GitSource, Option<String>), Fault> {
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let class = field("$class").or(field(super::describable::SYMBOL)).map(Value::to_text).unwrap_or_default();
    let known = matches!(class.rsplit('.').next(), Some("GitSCM" | "scmGit" | "gitSCM" | ""));
    if !known {
        return Err(Fault::raised(
            "java.lang.UnsupportedOperationException",
            format!("checkout of a ‘{class}’ is not supported yet"),
        ));
    }
    let items = |name: &str| field(name).and_then(Value::items).unwrap_or_default().into_iter();
    let of =
        |map: Option<&Value>, key: &str| map.and_then(|m| m.get(key)).filter(|v| !v.is_null()).map(|v| v.to_text());
    let mut branches = items("branches");
    let (remote, branch) = (items("userRemoteConfigs").next(), branches.next());
    let own_url = scm::url(&call.core, &call.scope);
    let is_own_branch = branch.as_ref().is_none_or(|branch| scm::is_own(branch, scm::BRANCH));
    let is_own_remote = remote.as_ref().is_some_and(|remote| scm::is_own(remote, scm::REMOTE));
    let url = of(remote.as_ref(), "url").map(|url| expanded(call, &url)).or(own_url.clone().filter(|_| is_own_remote));
    let is_nowhere = url.as_ref().is_none_or(|url| url.trim().is_empty()) && !is_own_remote;
    // The address of a folder that was never brought from anywhere is null. What a plan does not know is no reason to refuse it.
    let entries = remote.as_ref().and_then(values::entries).unwrap_or_default();
    let says_null = own_url.is_none() && entries.iter().any(|(name, value)| name == "url" && value.is_null());
    if is_nowhere && !says_null && !call.core.facts.planning {
        return Err(Fault::abort(NO_REVISION).with_hint(NO_URL));
    }
    // The revision that the run is of, as `checkout scm` has it: a branch may have gone on.
    let is_itself = branch.is_some() && is_own_branch && url.is_some() && url == own_url;
    let named = |branch: Option<&Value>| {
        let name = match branch {
            Some(branch) if scm::is_own(branch, scm::BRANCH) => Some(scm::branch(&call.core, &call.scope)),
            branch => of(branch, "name"),
        };
        name.map(|name| without_remote(&expanded(call, &name)).to_owned())
    };
    let is_one = |name: &String| name != "**" && !name.is_empty();
    let reference = named(branch.as_ref());
    let or_else: Vec<_> = branches.filter_map(|branch| named(Some(&branch))).filter(is_one).collect();
    if let Some(name) = reference.iter().chain(&or_else).find(|name| name.starts_with(':')) {
        let text = format!("checkout: the branch ‘{name}’ is a regular expression, which is not supported yet");
        return Err(Fault::raised("java.lang.UnsupportedOperationException", text).with_hint("name the branch"));
    }
    let is_at_own = is_itself || is_own_remote && is_own_branch || url.is_none() && !is_own_remote;
    let source = GitSource {
        own: is_at_own || is_own_remote,
        url: url.unwrap_or_default(),
        reference: reference.filter(|name| !is_at_own && is_one(name)),
        credentials: of(remote.as_ref(), "credentialsId"),
        ..GitSource::default()
    };
    // Whatever its branch is, there is one.
    let or_else = if source.reference.is_some() { or_else } else { Vec::new() };
    extended(call, GitSource { or_else, ..source }, field("extensions"))
}

/// The extensions of Jenkins' git plugin and those of its companions, by class or symbol, in small letters.
const EXTENSIONS: [&str; 33] = [
    "authorinchangelog",
    "buildchoosersetting",
    "buildsinglerevisiononly",
    "changelogtobranch",
    "checkoutoption",
    "cleanaftercheckout",
    "cleanbeforecheckout",
    "cleancheckout",
    "cloneoption",
    "disableremotepoll",
    "firstbuildchangelog",
    "gitlfspull",
    "gitscmstatuschecksextension",
    "gittagmessageextension",
    "ignorenotifycommit",
    "lfs",
    "localbranch",
    "messageexclusion",
    "pathrestriction",
    "perbuildtag",
    "prebuildmerge",
    "prunestalebranch",
    "prunestaletag",
    "prunetags",
    "relativetargetdirectory",
    "scmname",
    "sparsecheckout",
    "sparsecheckoutpaths",
    "submodule",
    "submoduleoption",
    "userexclusion",
    "useridentity",
    "wipeworkspace",
];

/// What the extensions of `GitSCM` ask for, by class or symbol, and the folder below the workspace.
///
/// # Errors
/// Nobody knows one of them.
fn extended(
    call: &StepCall,
    mut source: GitSource,
    extensions: Option<&Value>,
) -> Result<(GitSource, Option<String>), Fault> {
    let (mut sub, mut undone) = (None, Vec::new());
    for extension in extensions.and_then(Value::items).unwrap_or_default() {
        let fields = values::entries(&extension).unwrap_or_default();
        let field = |name: &str| fields.iter().find(|(n, v)| n == name && !v.is_null()).map(|(_, v)| v);
        let is = |name: &str| field(name).is_some_and(Value::truth);
        // `localBranch('x')` says no name.
        let text = |name: &str| field(name).or(field("value")).map(Value::to_text).filter(|text| !text.is_empty());
        let Some(name) = values::symbol(&fields) else { continue };
        let small = name.to_ascii_lowercase();
        if !EXTENSIONS.contains(&&*small) {
            // Source of the words: `DescribableModel` of Jenkins' structs plugin.
            let how = match field("$class") {
                Some(class) => format!("named {}", class.to_text()),
                None => format!("using symbol ‘{name}’"),
            };
            let text =
                format!("no known implementation of class hudson.plugins.git.extensions.GitSCMExtension is {how}");
            return Err(Fault::raised("java.lang.UnsupportedOperationException", text));
        }
        let untracked = match is("deleteUntrackedNestedRepositories") {
            true => Clearing::Repositories,
            false => Clearing::Untracked,
        };
        match &*small {
            "cleanbeforecheckout" | "cleanaftercheckout" | "cleancheckout" => {
                source.clearing = source.clearing.max(untracked);
            }
            "wipeworkspace" => source.clearing = Clearing::Everything,
            "localbranch" => source.local_branch = Some(text("localBranch").unwrap_or_else(|| "**".to_owned())),
            "submoduleoption" | "submodule" if !is("disableSubmodules") => {
                source.submodules = Some(Submodules {
                    recursive: is("recursiveSubmodules"),
                    latest: is("trackingSubmodules"),
                    same_login: is("parentCredentials"),
                });
            }
            "sparsecheckoutpaths" | "sparsecheckout" => {
                let paths = field("sparseCheckoutPaths").and_then(Value::items).unwrap_or_default();
                let of = |item: &Value| match item.is_text() {
                    true => Some(item.to_text()),
                    false => item.get("path").or_else(|| item.get("value")).map(|path| path.to_text()),
                };
                source.sparse.extend(paths.iter().filter_map(of));
            }
            "relativetargetdirectory" => sub = sub.or_else(|| text("relativeTargetDir")),
            // Their work is missed. That of others is to have less of the history, or to say what is built at all.
            "gitlfspull" | "lfs" | "prebuildmerge" => undone.push(name),
            _ => {}
        }
    }
    if !undone.is_empty() {
        call.say(&format!("WARNING: checkout does nothing for {}", undone.join(", ")));
    }
    Ok((source, sub))
}

/// The name of a branch without what says of which remote it is.
fn without_remote(name: &str) -> &str {
    let name =
        ["*/", "refs/heads/", "refs/remotes/"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    name.strip_prefix("origin/").unwrap_or(name)
}

/// With the values of `$NAME` and `${NAME}`, as the git plugin reads addresses and branches; what nothing defines stays.
///
/// Source: `Util.replaceMacro` of Jenkins.
pub(super) fn expanded(call: &StepCall, text: &str) -> String {
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
