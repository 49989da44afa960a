//! Templates of pods that a project has.

use super::place::{Place, wait_until};
use crate::images::busybox_image;
use crate::pods::{SERVER, template};
use crate::project::Project;

/// A run keeps those that there were when its definition was read, whatever becomes of the project and of the server; the next one has none.
#[test]
fn a_project_says_what_pods_its_definitions_mean() {
    let Some(mut place) = Place::with_agent() else { return };
    let Some(image) = busybox_image("of-project", r#"{"Env":["PATH=/bin","WORD=served"]}"#, &[SERVER]) else { return };
    let project = Project::new(
        "node('maven') { container('maven') { sh 'echo by label: $GOALS' } }
         input 'go on?'
         podTemplate(inheritFrom: 'maven') { node(POD_LABEL) { container('maven') { sh 'echo inherited: $GOALS' } } }",
    );
    project.write("pod.yaml", &template(&image)).write("none.yaml", "spec: [");
    let path = |name: &str| project.path().join(name).display().to_string();
    let put = |place: &Place, words: &[&str]| {
        place.ask(&[&["projects", "put", "app", "--folder", &path("")][..], words].concat())
    };
    let refused = put(&place, &["--pod-template", &format!("maven={}", path("none.yaml"))]);
    assert!(refused.code == 5 && refused.stderr.contains("none.yaml is no pod"), "{refused:?}");
    assert_eq!(put(&place, &["--pod-template", &format!("maven={}", path("pod.yaml"))]).code, 0);
    assert!(place.ask(&["projects", "show", "app"]).stdout.contains("pod_templates"));
    let run = place.trigger("app");
    let id = run.to_string();
    wait_until("it asks", || place.ask(&["answer", &id]).stdout.contains("go on?"));
    assert_eq!(put(&place, &[]).code, 0);
    place.kill_server();
    place.start_server();
    wait_until("it is answered", || place.ask(&["answer", &id, "--yes"]).code == 0);
    let ended = place.wait_for_end(run);
    let log = place.ask(&["logs", &id]).stdout;
    assert_eq!(ended["outcome"], "SUCCESS", "{log}\n{}", place.logs());
    assert!(log.contains("by label: verify") && log.contains("inherited: verify"), "{log}");
    let ran = place.ask(&["trigger", "app", "--follow"]);
    let said = ran.stdout + &ran.stderr;
    assert!(ran.code != 0 && said.contains("pod_templates"), "{said}");
}
