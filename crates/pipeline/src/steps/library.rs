//! `library`, `libraryResource`: shared libraries that a script asks for while it runs, and their files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use charset::Charset;
use groovy::value::Value;
use model::git::GitSource;
use model::library::{FileContent, LibraryPlace, LibraryWish};

use super::StepCall;
use super::scm::git_scm;
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::globals;
use crate::run::library::load;

/// `library 'name@version'`, `library identifier: 'name@version', retriever: modernSCM(…)`; its packages, whose classes can be used
/// from there: `.org.acme.Tool.new()`.
pub(crate) async fn library(call: StepCall) -> Result<Value, Fault> {
    let identifier = call.args.text("identifier")?;
    let mut wish = LibraryWish::configured(&identifier);
    if let Some(retriever) = call.args.get("retriever") {
        wish.place = place(&call, retriever)?;
        if wish.version.is_none() && matches!(&wish.place, LibraryPlace::Git(source, _) if source.reference.is_none()) {
            return Err(Fault::abort(format!("No version specified for library {}", wish.name))
                .with_hint(format!("library identifier: '{}@main', …", wish.name)));
        }
    }
    load(&call.core, &call.scope, wish).await?;
    Ok(call.core.machine.borrow().packages())
}

/// Where `retriever` says that a library is.
fn place(call: &StepCall, retriever: &Value) -> Result<LibraryPlace, Fault> {
    let fields = values::entries(retriever).unwrap_or_default();
    let kind = values::symbol(&fields).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null());
    let folder = field("libraryPath").map(Value::to_text).unwrap_or_default();
    let unknown = |what: &str| {
        Fault::illegal(format!("library: a retriever of ‘{what}’ is not known"))
            .with_hint("retriever: modernSCM([$class: 'GitSCMSource', remote: 'https://…'])")
    };
    if !matches!(&*kind, "modernSCM" | "SCMSourceRetriever" | "legacySCM" | "SCMRetriever") {
        return Err(unknown(&kind));
    }
    match field("scm") {
        Some(Value::Host(host)) if host.kind == globals::SCM => Ok(LibraryPlace::Own(folder)),
        Some(scm) => {
            let fields = values::entries(scm).unwrap_or_default();
            let source = source(call, &fields)?.ok_or_else(|| unknown(&values::symbol(&fields).unwrap_or_default()))?;
            Ok(LibraryPlace::Git(source, folder))
        }
        None => Err(Fault::illegal("library: the retriever says no scm")),
    }
}

/// The repository of a source: git's own, or one of a forge by owner and name.
fn source(call: &StepCall, fields: &[(String, Value)]) -> Result<Option<GitSource>, Fault> {
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_text());
    let credentials = field("credentialsId").filter(|id| !id.is_empty());
    let git = |url: String| Ok(Some(GitSource { url, credentials: credentials.clone(), ..GitSource::default() }));
    let of_forge = |server: &str| match (field("repoOwner"), field("repository")) {
        (Some(owner), Some(name)) => Some(format!("{}/{owner}/{name}.git", server.trim_end_matches('/'))),
        _ => None,
    };
    match &*values::symbol(fields).unwrap_or_default() {
        "GitSCM" | "scmGit" | "gitSCM" => Ok(Some(git_scm(call, fields)?.0).filter(|source| !source.is_itself())),
        "GitSCMSource" | "gitSource" | "git" => field("remote").map_or(Ok(None), git),
        "GitHubSCMSource" | "github" => match field("repositoryUrl").or_else(|| of_forge("https://github.com")) {
            Some(url) => git(url),
            None => Ok(None),
        },
        "BitbucketSCMSource" | "bitbucket" => {
            let server = field("serverUrl").unwrap_or_else(|| "https://bitbucket.org".to_owned());
            of_forge(&server).map_or(Ok(None), git)
        }
        "GitLabSCMSource" | "gitlab" => {
            let url = field("projectPath").map(|path| format!("https://gitlab.com/{path}.git"));
            url.map_or(Ok(None), git)
        }
        _ => Ok(None),
    }
}

/// `libraryResource 'org/acme/settings.xml'`: the text of a file below `resources/`.
pub(crate) async fn library_resource(call: StepCall) -> Result<Value, Fault> {
    let path = call.args.text("resource")?;
    let encoding = call.args.opt_text("encoding")?.filter(|name| !name.is_empty());
    let bytes = match call.core.libraries.resource(path.trim_start_matches('/'))? {
        FileContent::Text(text) => text.into_bytes(),
        FileContent::Base64(bytes) => STANDARD.decode(bytes).unwrap_or_default(),
    };
    Ok(values::text(&match encoding.as_deref() {
        None => String::from_utf8_lossy(&bytes).into_owned(),
        Some("Base64") => STANDARD.encode(bytes),
        Some(name) => {
            let unknown = || Fault::raised("java.nio.charset.UnsupportedCharsetException", name);
            Charset::named(name).ok_or_else(unknown)?.decode(&bytes)
        }
    }))
}
