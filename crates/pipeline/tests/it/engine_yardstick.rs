//! A public library that others have written, in the engine: its entry points run as they are, and lack nothing.
//!
//! `COFFERDAM_PIPELINE_LIBRARY` names the folder of `jenkins-infra/pipeline-library` (`scripts/pipeline-library.sh` brings it). The
//! library's own tests run in the crate `groovy`.

use std::fs;
use std::path::{Path, PathBuf};

use model::credential::CredentialKind;
use model::outcome::Outcome;
use model::request::Request;
use pipeline::conformance::{Fixture, FixtureLibrary, HeldCredential};

use crate::engine_world::{Ran, World};

/// Programs that the library's commands start: here they do nothing.
const PROGRAMS: &[&str] = &[
    "az",
    "azcopy",
    "bash",
    "curl",
    "docker",
    "gh",
    "git",
    "jq",
    "jx-release-version",
    "make",
    "mvn",
    "tar",
    "terraform",
    "updatecli",
];

/// Files of the repository that is built, and of its builds, which do nothing here.
const FILES: &[(&str, &str)] = &[
    ("pom.xml", "<project/>"),
    ("target/plugin.hpi", ""),
    ("target/surefire-reports/TEST-one.xml", "<testsuite><testcase name='one'/></testsuite>"),
    ("terraform-plan-for-humans.txt", ""),
    ("updatecli/updatecli.d/one.yaml", ""),
];

const ENV: &[(&str, &str)] =
    &[("JENKINS_URL", "https://infra.ci.jenkins.io/"), ("BRANCH_NAME", "main"), ("BRANCH_IS_PRIMARY", "true")];

#[test]
fn the_entry_points_of_a_public_library_run() {
    let folder = std::env::var_os("COFFERDAM_PIPELINE_LIBRARY").map(PathBuf::from).filter(|f| f.join("vars").is_dir());
    let Some(folder) = folder else {
        println!("skipped: COFFERDAM_PIPELINE_LIBRARY names no folder of jenkins-infra/pipeline-library");
        return;
    };
    let library: Vec<(String, String)> =
        ["vars", "src", "resources"].iter().flat_map(|part| texts(&folder, &folder.join(part))).collect();
    for (call, said) in [
        ("buildPlugin(platforms: ['linux'])", "mvn --batch-mode"),
        ("buildDockerAndPublishImage('image')", "make bake-build"),
        ("terraform()", "make --directory=.shared-tools/terraform/ plan"),
        ("updatecli()", "updatecli pipeline diff --config ./updatecli/updatecli.d --values ./updatecli/values.yaml"),
    ] {
        run(&library, call).is(Outcome::Success).has(said);
    }
}

/// Runs an entry point, with the credentials that it asks for.
fn run(library: &[(String, String)], call: &str) -> Ran {
    let mut credentials: Vec<(String, HeldCredential)> = Vec::new();
    let files = library.iter().map(leak).collect::<Vec<_>>().leak();
    loop {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        let mut fixture = Fixture {
            libraries: vec![FixtureLibrary { name: "library", implicit: true, files }],
            files: FILES.iter().map(own).collect(),
            programs: PROGRAMS.iter().map(|name| own(&(*name, "#!/bin/sh\nexit 0\n"))).collect(),
            credentials: credentials.clone(),
            ..Fixture::default()
        };
        fixture.facts.libraries = vec!["library".to_owned()];
        fixture.facts.job_name = "folder/job/main".to_owned();
        fixture.facts.has_scm = true;
        fixture.facts.env.extend(ENV.iter().map(own));
        let ran = World::new(fixture).run(call).unwrap();
        match wanted(&ran).filter(|_| ran.log.contains("Could not find credentials entry")) {
            Some((id, held)) if credentials.iter().all(|(known, _)| *known != id) => credentials.push((id, held)),
            _ => return ran,
        }
    }
}

/// The credential that a run has asked for last, of the first kind that would do.
fn wanted(ran: &Ran) -> Option<(String, HeldCredential)> {
    let wish = ran.requests.iter().rev().find_map(|request| match request {
        Request::Credential(wish) => Some(wish),
        _ => None,
    })?;
    let text = || "a-secret-of-the-library".to_owned();
    let held = match wish.kinds.first()? {
        CredentialKind::String => HeldCredential::Text(text()),
        CredentialKind::UsernamePassword => {
            HeldCredential::UsernamePassword { username: text(), password: text(), is_username_secret: false }
        }
        CredentialKind::File => HeldCredential::File { name: "file".to_owned(), text: text() },
        CredentialKind::SshKey => HeldCredential::SshKey { username: text(), key: text(), passphrase: String::new() },
        CredentialKind::Certificate => HeldCredential::Certificate,
    };
    Some((wish.id.clone(), held))
}

fn leak((path, text): &(String, String)) -> (&'static str, &'static str) {
    (path.clone().leak(), text.clone().leak())
}

/// Path and text of the files below a folder.
fn texts(root: &Path, folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(texts(root, &path));
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    found
}
