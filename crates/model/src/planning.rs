//! A world for plans, in which every command succeeds and prints nothing: what a definition asks for there, it asks for in a run, unless it
//! depends on what programs say.

use crate::build::Built;
use crate::library::{Library, LibraryPlace, LibraryWish};
use crate::outcome::Outcome;
use crate::request::{AgentSpec, Allocated, DockerSpec, Reply, Request, Unpacked};
use crate::test_result::TestCounts;

/// Requests after which a definition is taken to wait for something that only a real run brings.
pub const MAX_REQUESTS: u32 = 10_000;
/// The same for waiting, in milliseconds of a time that goes on when nothing else is waited for: a week.
pub const MAX_VIRTUAL_MS: u64 = 7 * 24 * 3600 * 1000;

/// What comes of a request there. What asks for time is answered by whoever keeps it.
pub fn reply(request: &Request) -> Reply {
    match request {
        Request::Allocate { .. } => Reply::Allocated(Allocated {
            workspace: "/workspace/plan".to_owned(),
            node_name: "built-in".to_owned(),
            path: "/usr/bin:/bin".to_owned(),
            home: "/home/jenkins".to_owned(),
            ..Allocated::default()
        }),
        Request::Exec { script, .. } => {
            Reply::Exited { code: 0, stdout: script.capture.then(String::new), limit: None }
        }
        Request::Checkout { .. } => Reply::CheckedOut(Vec::new()),
        Request::ReadFile { .. } | Request::ReadTrusted { .. } => Reply::Text(String::new()),
        Request::FileExists { .. } => Reply::Bool(true),
        Request::Stash { .. } | Request::Archive { .. } | Request::Pack { .. } | Request::Unarchive { .. } => {
            Reply::Count(1)
        }
        Request::Unpack { .. } => Reply::Unpacked(Unpacked::default()),
        Request::FindFiles { .. } => Reply::Found(Vec::new()),
        Request::Digest { .. } => Reply::Text(String::new()),
        Request::TestReport { .. } => {
            Reply::Tests { files: 1, tests: TestCounts { passed: 1, ..TestCounts::default() } }
        }
        Request::Build(wish) => Reply::Built(Built {
            job_name: wish.names.first().cloned().unwrap_or_default(),
            number: 1,
            outcome: wish.waits.then_some(Outcome::Success),
            parameters: wish.parameters.clone(),
            ..Built::default()
        }),
        Request::Copy { .. } => Reply::Copied { count: 1, number: 1 },
        Request::Mask { .. } => Reply::Count(0),
        Request::Changes { .. } => Reply::Changes(Some(Vec::new())),
        Request::Library(_) => Reply::Library(Library::default()),
        Request::Input(question) => {
            Reply::Decided { by: "somebody".to_owned(), values: question.complete(Vec::new()).ok() }
        }
        Request::Credential(wish) => Reply::Credential(crate::credential::invented(wish)),
        _ => Reply::Done,
    }
}

/// Why a plan may lack something that [`depends`].
pub const DEPENDS: &str = "what programs print, files or people say may decide what follows";

/// Its answer may decide what comes next, and only a run has it.
pub fn depends(request: &Request) -> bool {
    match request {
        Request::Exec { script, .. } => script.capture,
        Request::Input(question) => !question.parameters.is_empty(),
        Request::ReadFile { .. } | Request::FileExists { .. } => true,
        Request::FindFiles { .. } | Request::Digest { .. } | Request::Unpack { .. } => true,
        _ => false,
    }
}

/// The id of the credential that a request needs.
pub fn credential(request: &Request) -> Option<&str> {
    match request {
        Request::Credential(wish) => Some(&wish.id),
        Request::Library(LibraryWish { place: LibraryPlace::Git(source, _), .. }) => source.credentials.as_deref(),
        Request::Checkout { source: Some(source), .. } => source.credentials.as_deref(),
        Request::Allocate { agent: AgentSpec::Docker(docker), .. } => docker.registry_credentials.as_deref(),
        _ => None,
    }
}

/// The place that a request asks for, in words that are the same for the same place, and for no other.
pub fn place(request: &Request) -> Option<String> {
    let Request::Allocate { agent, engine, shares, .. } = request else { return None };
    let mut words = match agent {
        AgentSpec::Any => "any agent".to_owned(),
        AgentSpec::Label(label) => format!("an agent with the label {label:?}"),
        AgentSpec::Docker(docker) => container(docker),
    };
    let more = [("with a Docker Engine of its own", engine), ("whose workspace others share", shares)];
    for (what, why) in more {
        if let Some(why) = why {
            words += &format!(", {what} ({why:?})");
        }
    }
    Some(words)
}

fn container(docker: &DockerSpec) -> String {
    let DockerSpec {
        image,
        label,
        args,
        always_pull: _,
        registry_url,
        registry_credentials,
        custom_workspace,
        workspace_of,
        // What runs there is told no more than what steps run.
        pod,
    } = docker;
    let mut words = format!("a container of {image:?}");
    let args = Some(args).filter(|args| !args.trim().is_empty());
    let more = [
        ("args", args),
        ("label", label.as_ref()),
        ("registry", registry_url.as_ref()),
        ("credentials", registry_credentials.as_ref()),
        ("workspace", custom_workspace.as_ref()),
    ];
    for (what, value) in more {
        if let Some(value) = value {
            words += &format!(", {what} {value:?}");
        }
    }
    if workspace_of.is_some() {
        words += ", beside its node";
    }
    if pod.is_some() {
        words += ", in one pod with it";
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::GitSource;
    use crate::ids::JobId;

    fn place_of(agent: AgentSpec, engine: Option<&str>) -> String {
        place(&Request::Allocate { job: JobId(1), agent, engine: engine.map(str::to_owned), shares: None }).unwrap()
    }

    #[test]
    fn places_are_told_apart() {
        let docker = |image: &str, args: &str| {
            AgentSpec::Docker(DockerSpec { image: image.to_owned(), args: args.to_owned(), ..DockerSpec::default() })
        };
        assert_eq!(place_of(AgentSpec::Any, None), "any agent");
        assert_eq!(place_of(docker("maven:3", ""), None), "a container of \"maven:3\"");
        assert_eq!(
            place_of(docker("maven:3", "-v /:/host"), Some("docker build")),
            "a container of \"maven:3\", args \"-v /:/host\", with a Docker Engine of its own (\"docker build\")"
        );
        // Nobody writes one place so that it reads as another.
        let tricks = [docker("a\", args \"-u 0", ""), docker("a", "-u 0"), docker("a\nany agent", "")];
        let told: std::collections::BTreeSet<_> = tricks.into_iter().map(|agent| place_of(agent, None)).collect();
        assert!(told.len() == 3 && told.iter().all(|words| !words.contains('\n')), "{told:?}");
        assert_eq!(place(&Request::Now), None);
    }

    #[test]
    fn a_credential_is_known_wherever_it_is_named() {
        let source = GitSource { credentials: Some("git".to_owned()), ..GitSource::default() };
        let place = LibraryPlace::Git(source, String::new());
        let library = |place| Request::Library(LibraryWish { name: "tools".to_owned(), version: None, place });
        assert_eq!(credential(&library(place)), Some("git"));
        assert_eq!(credential(&library(LibraryPlace::Configured)), None);
        let docker = DockerSpec { registry_credentials: Some("hub".to_owned()), ..DockerSpec::default() };
        let agent = AgentSpec::Docker(docker);
        let allocate = Request::Allocate { job: JobId(1), agent, engine: None, shares: None };
        assert_eq!(credential(&allocate), Some("hub"));
    }
}
