//! A public library that others have written, in the engine: what its entry points lack here is said, and nothing else may go wrong.
//!
//! `COFFERDAM_PIPELINE_LIBRARY` names the folder of `jenkins-infra/pipeline-library` (`scripts/pipeline-library.sh` brings it). The
//! library's own tests run in the crate `groovy`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use model::outcome::Outcome;
use pipeline::conformance::{Fixture, FixtureLibrary};

use crate::engine_world::{Ran, World};

/// Most names that one entry point may lack.
const MAX_LACKING: usize = 50;

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

/// What stands in for a step, a type of credential, and the like.
const STEP: &str = "def call(Object... given) {
    for (one in given) { if (one instanceof Closure) return one() }
    given ? given[0] : null
}";

/// What stands in for classes of Java.
const CLASSES: &[(&str, &str)] = &[
    ("java.util.Date", "class Date { long getTime() { 0 } }"),
    ("java.net.URL", "class URL { String text; URL(String text) { this.text = text }; String getHost() { text.split('/')[2] } }"),
    (
        "java.text.SimpleDateFormat",
        "abstract class DateFormat { abstract String format(Object date) }
         class SimpleDateFormat extends DateFormat { SimpleDateFormat(String pattern) {}; String format(Object date) { 'now' } }",
    ),
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
        let (ran, lacking) = run(&library, call);
        println!("{call} lacks {}", lacking.join(", "));
        ran.is(Outcome::Success).has(said);
    }
}

/// Runs an entry point. What it lacks is named, and gets a stand-in that runs what it is given.
fn run(library: &[(String, String)], call: &str) -> (Ran, Vec<String>) {
    let mut lacking: BTreeMap<String, (String, String)> = BTreeMap::new();
    loop {
        let stand_ins = lacking.values().map(|(path, text)| (path, text));
        let files =
            library.iter().map(|(path, text)| (path, text)).chain(stand_ins).map(leak).collect::<Vec<_>>().leak();
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        let mut fixture = Fixture {
            libraries: vec![FixtureLibrary { name: "library", implicit: true, files }],
            files: FILES.iter().map(own).collect(),
            programs: PROGRAMS.iter().map(|name| own(&(*name, "#!/bin/sh\nexit 0\n"))).collect(),
            ..Fixture::default()
        };
        fixture.facts.libraries = vec!["library".to_owned()];
        fixture.facts.job_name = "folder/job/main".to_owned();
        fixture.facts.has_scm = true;
        fixture.facts.env.extend(ENV.iter().map(own));
        let mut world = World::new(fixture);
        world.decisions.push_back(Some(Vec::new()));
        let ran = world.run(call).unwrap();
        let Some(name) = missing(&ran.log) else { return (ran, lacking.into_keys().collect()) };
        assert!(lacking.len() < MAX_LACKING && !lacking.contains_key(&name), "{name} is still lacking:\n{}", ran.log);
        let stand_in = match (CLASSES.iter().find(|(class, _)| *class == name), name.rsplit_once('.')) {
            (Some((class, text)), Some((package, _))) => {
                (format!("src/{}.groovy", class.replace('.', "/")), format!("package {package}\n{text}"))
            }
            _ => (format!("vars/{name}.groovy"), STEP.to_owned()),
        };
        lacking.insert(name, stand_in);
    }
}

/// The name that a run has ended for: of a step or variable, or of a class with its package.
fn missing(log: &str) -> Option<String> {
    let words = [
        "No such DSL method '",
        "The step ‘",
        "No such property: ",
        "unable to resolve class ",
        "Could not find matching constructor for: ",
    ];
    let rest = words.iter().find_map(|words| log.split(words).nth(1))?;
    Some(rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect())
}

fn leak((path, text): (&String, &String)) -> (&'static str, &'static str) {
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
