//! Tools that a project has told of, and steps that it brings.

use super::place::Place;
use crate::project::Project;

#[test]
fn a_project_says_where_its_tools_are() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new(
        "pipeline { agent any; tools { maven 'M3' }; stages { stage('a') { steps {
            sh 'echo \"it is $M2_HOME in $PATH\"'; echo \"and ${tool 'jdk'}\" } } } }",
    );
    let path = project.path().to_str().unwrap();
    let put = |words: &[&str]| place.ask(&[&["projects", "put", "app", "--folder", path][..], words].concat());
    assert_eq!(put(&["--tool", "maven:M3=/usr/lib", "--tool", "jdk=/usr/none"]).code, 0);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.contains("it is /usr/lib in /usr/lib/bin:"), "{ran:?}\n{}", place.logs());
    assert!(ran.stdout.contains("and /usr/none") && ran.stdout.contains("there is no /usr/none"), "{ran:?}");
    let refused = put(&["--tool", "M3=lib"]);
    assert!(refused.code == 2 && refused.stderr.contains("FOLDER begins with `/`"), "{refused:?}");
}

#[test]
fn a_project_brings_its_steps() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new("node { tellTeam 'built'\n echo \"it has ${count dir: '/etc/passwd'}\" }");
    project
        .write(
            ".cofferdam/steps/tellTeam.toml",
            "groovy = 'tellTeam.groovy'\n[parameters]\nmessage = { required = true }\n",
        )
        .write(".cofferdam/steps/tellTeam.groovy", "def call(Map args) { sh \"echo team: ${args.message}\" }")
        .write(".cofferdam/steps/count.toml", "exec = 'count.sh'\noutput = 'text'\n[parameters]\ndir = {}\n")
        .write(".cofferdam/steps/count.sh", "grep -c root: $ARG_dir\n");
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.contains("team: built") && ran.stdout.contains("it has 1"), "{ran:?}");
    project.write(".cofferdam/steps/count.toml", "exec = 'none.sh'");
    let ran = place.ask(&["trigger", "app", "--follow"]);
    let said = ran.stdout + &ran.stderr;
    assert!(ran.code != 0 && said.contains("there is no plain text file \"none.sh\""), "{said}");
}

/// On one's own machine what would be brought elsewhere is recorded; a server's run that has not brought it is no success.
#[test]
fn a_project_says_whether_deliveries_are_recorded() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new("node { s3Upload file: 'x', bucket: 'y'\n echo 'uploaded' }");
    let path = project.path().to_str().unwrap();
    let put = |words: &[&str]| place.ask(&[&["projects", "put", "app", "--folder", path][..], words].concat());
    for (words, code) in [(&[][..], 1), (&["--record-deliveries"], 0)] {
        assert_eq!(put(words).code, 0);
        let ran = place.ask(&["trigger", "app", "--follow"]);
        let said = ran.stdout + &ran.stderr;
        assert!(ran.code == code && said.contains("uploaded") == (code == 0), "{said}\n{}", place.logs());
        assert_eq!(said.contains("--record-deliveries` has it recorded"), code == 1, "{said}");
    }
    let ran = project.run(&["--progress", "plain"]);
    assert!(ran.code == 0 && ran.stdout.contains("Recorded: s3Upload [bucket: 'y', file: 'x']"), "{ran:?}");
}
