//! Tools that a project has told of.

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
