//! Runs that start runs of other projects.

use super::place::{Place, wait_until};
use crate::project::{Project, sandboxes_work};

const LIBRARY: &str = "pipeline { agent any\n parameters { string(name: 'A', defaultValue: '') }\n \
    stages { stage('S') { steps { sh 'echo library has $A' } } } }";

/// One place: while a run waits for another its place is that one's.
#[test]
fn a_run_starts_another_and_gives_it_its_place() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--runs", "1"]);
    let library = Project::new(LIBRARY);
    let app = Project::new(
        "node { sh 'echo before' }\n\
         def other = build job: 'library', parameters: [string(name: 'A', value: 'what was said')]\n\
         echo \"${other.fullDisplayName} ${other.result} ${other.buildVariables}\"\n\
         node { sh 'echo after' }\n\
         def failed = build job: 'failing', propagate: false\n\
         echo \"failing ${failed.result}\"\n\
         build 'failing'",
    );
    let failing = Project::new("error 'as it must'");
    let put = |name: &str, project: &Project, more: &[&str]| {
        let words = [&["projects", "put", name, "--folder", project.path().to_str().unwrap()][..], more].concat();
        assert_eq!(place.ask(&words).code, 0);
    };
    put("app", &app, &[]);
    put("library", &library, &[]);
    put("failing", &failing, &["--started-by", "*"]);
    let refused = place.ask(&["trigger", "app", "--follow"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("No item named library found that app may start"), "{said}");

    put("library", &library, &["--started-by", "app"]);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    let said = ran.stdout + &ran.stderr;
    for line in [
        "before",
        "Scheduling project: library",
        "Build library #1 completed: SUCCESS",
        "library #1 SUCCESS [A:what was said]",
        "after",
        "failing FAILURE",
        "failing #2 completed with status FAILURE (propagate: false to ignore)",
    ] {
        assert!(said.contains(line), "{line}: {said}\n{}", place.logs());
    }
    assert_eq!(ran.code, 1, "it ends as what it waited for: {said}");
    let of_library = place.ask(&["logs", "3"]).stdout;
    assert!(of_library.contains("library has what was said"), "{of_library}");
    let made = place.ask(&["audit", "--output", "json"]).stdout;
    let is_told = |line: &&str| line.contains("run:app#2") && line.contains("Started by upstream project");
    assert!(made.lines().any(|line| is_told(&line)), "{made}");
}

/// Whoever ends a run ends what it waits for.
#[test]
fn what_is_waited_for_ends_with_the_run() {
    let Some(place) = Place::with_agent() else { return };
    let (app, slow) = (Project::new("build 'slow'"), Project::new("input 'go on?'"));
    for (name, project) in [("app", &app), ("slow", &slow)] {
        let put = ["projects", "put", name, "--folder", project.path().to_str().unwrap(), "--started-by", "app"];
        assert_eq!(place.ask(&put).code, 0);
    }
    assert_eq!(place.ask(&["trigger", "app"]).code, 0);
    let status = |run: u64| place.run(run)["status"].clone();
    wait_until("the other asks", || {
        place.ask(&["runs", "--output", "json"]).stdout.lines().count() == 2 && status(2) == "running"
    });
    assert_eq!(place.ask(&["cancel", "1"]).code, 0);
    wait_until("both are over", || status(1) == "done" && status(2) == "done");
    for run in [1, 2] {
        assert_eq!(place.run(run)["outcome"], "ABORTED", "{}", place.logs());
    }
}

/// Each of a herd may start a herd.
#[test]
fn a_herd_has_an_end() {
    let Some(place) = Place::with_agent() else { return };
    let (app, other) = (
        Project::new("for (int i = 0; i <= 500; i++) { build job: 'other', wait: false }"),
        Project::new("echo 'never'"),
    );
    place.put("app", &app);
    // No agent has that.
    let folder = other.path().to_str().unwrap();
    let put = ["projects", "put", "other", "--folder", folder, "--label", "nowhere", "--started-by", "app"];
    assert_eq!(place.ask(&put).code, 0);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    let said = ran.stdout + &ran.stderr;
    assert_eq!(ran.code, 1, "{said}");
    assert!(said.contains("500 runs of other are not over, and no more are started"), "{said}");
    assert_eq!(said.matches("waits for its turn").count(), 500);
}

/// What another project gives is what the definition takes, and a password stays one.
#[test]
fn only_what_is_taken_is_given_to_another() {
    let Some(place) = Place::with_agent() else { return };
    let app = Project::new(
        "build job: 'other', parameters: [password(name: 'WORD', value: 'hush-hush'), string(name: 'LD_DEBUG', value: 'all'), string(name: 'A', value: 'given')]",
    );
    let other = Project::new(
        "pipeline { agent any\n parameters { string(name: 'A', defaultValue: ''); string(name: 'WORD', defaultValue: '') }\n \
         stages { stage('S') { steps { sh 'echo A is $A, LD_DEBUG is [$LD_DEBUG], said $WORD' } } } }",
    );
    place.put("app", &app);
    let put = ["projects", "put", "other", "--folder", other.path().to_str().unwrap(), "--started-by", "app"];
    assert_eq!(place.ask(&put).code, 0);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = place.ask(&["logs", "2"]).stdout;
    assert!(said.contains("A is given, LD_DEBUG is [], said ****"), "{said}");
    assert!(!place.ask(&["runs", "--output", "json"]).stdout.contains("hush-hush"));
}

/// Its project has no place for another while it waits for one.
#[test]
fn nobody_waits_for_a_run_that_cannot_begin() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new("build env.JOB_NAME");
    let put = ["projects", "put", "app", "--folder", project.path().to_str().unwrap(), "--at-once", "1"];
    assert_eq!(place.ask(&put).code, 0);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    let said = ran.stdout + &ran.stderr;
    assert!(ran.code == 1 && said.contains("of this project no run begins while another is under way"), "{said}");
}

/// What a run of another project has archived, where that lets this one have it.
#[test]
fn a_run_copies_what_another_has_archived() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent("one");
    let library = Project::new(
        "node { sh 'mkdir -p out/deep; echo of the library > out/deep/a.jar; echo b > out/b.txt'\n archiveArtifacts 'out/**' }",
    );
    let app = Project::new(
        "node { copyArtifacts projectName: 'library', filter: '**/*.jar', target: 'lib', flatten: true, selector: lastSuccessful()\n\
         sh 'ls -R lib; cat lib/a.jar'\n copyArtifacts projectName: 'library', selector: specific('1')\n sh 'cat out/b.txt out/deep/a.jar' }",
    );
    let put = |name: &str, project: &Project, more: &[&str]| {
        let words = [&["projects", "put", name, "--folder", project.path().to_str().unwrap()][..], more].concat();
        assert_eq!(place.ask(&words).code, 0);
    };
    put("app", &app, &[]);
    put("library", &library, &[]);
    assert_eq!(place.ask(&["trigger", "library", "--follow"]).code, 0);
    let refused = place.ask(&["trigger", "app", "--follow"]);
    let said = refused.stdout + &refused.stderr;
    assert!(refused.code == 1 && said.contains("Unable to find project for artifact copy: library"), "{said}");
    assert!(said.contains("--copied-by"), "{said}");

    put("library", &library, &["--copied-by", "app"]);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    let said = ran.stdout + &ran.stderr;
    assert_eq!(ran.code, 0, "{said}");
    assert_eq!(said.matches("of the library").count(), 2, "{said}");
    for line in ["Copied 1 artifact from \"library\" build number 1", "Copied 2 artifacts from"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}
