//! What a server knows of a run, a project and a person, at the command line.

use super::place::Place;
use crate::project::Project;

#[test]
fn a_run_is_shown_with_its_stages_and_remarks() {
    let Some(place) = Place::with_agent() else { return };
    let project = Project::new(
        "pipeline { agent any\n stages { stage('Build') { steps { echo 'made'\n \
         publishChecks annotations: [[path: 'a.c', startLine: 3, endLine: 3, message: 'unused', annotationLevel: 'WARNING']] } }\n \
         stage('Both') { parallel { stage('x') { steps { echo 'x' } }\n stage('y') { when { expression { false } }\n steps { echo 'y' } } } } } }",
    );
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--revision", "v1", "-p", "WHO=me", "--priority", "-3", "--follow"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown = place.ask(&["runs", "1"]).stdout;
    for said in [
        "1  app #1  success\n",
        "  branch     v1\n",
        "  because    Started by user admin\n",
        "  parameter  WHO=me\n",
        "  Build  success  ",
        "\n    x  success  ",
        "\n    y  Stage \"y\" skipped due to when conditional\n",
        "remarks\n  a.c:3: warning: unused\n",
    ] {
        assert!(shown.contains(said), "{said:?} is not in {shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&place.ask(&["runs", "1", "--output", "json"]).stdout).unwrap();
    let stages: Vec<_> = json["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| (stage["name"].as_str().unwrap(), stage["depth"].as_u64().unwrap()))
        .collect();
    let names: Vec<_> = stages.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("Declarative")).collect();
    assert_eq!(names, ["Build", "Both", "x", "y"]);
    assert_eq!(stages.iter().filter(|(_, depth)| *depth == 1).count(), 2);
    assert_eq!((&json["annotations"][0]["path"], &json["priority"]), (&"a.c".into(), &(-3).into()));
    let events = place.ask(&["runs", "1", "--events"]).stdout;
    assert!(events.contains(" UTC  stage_started  ") && events.contains("run_finished"), "{events}");
    assert_eq!(place.ask(&["runs", "--project", "app", "--branch", "v1"]).stdout.lines().count(), 1);
    assert_eq!(place.ask(&["runs", "--project", "app", "--branch", "v2"]).stdout, "");
    assert_eq!((place.ask(&["runs", "7"]).code, place.ask(&["runs", "--branch", "v1"]).code), (2, 2));
    assert_eq!(place.ask(&["trigger", "app", "--priority", "101"]).code, 2);

    let project = place.ask(&["projects", "show", "app"]).stdout;
    assert!(project.contains("\"folder\""), "{project}");
    assert_eq!(place.ask(&["projects", "show", "none"]).code, 2);
}

#[test]
fn people_change_their_own_passwords() {
    let place = Place::new();
    let file = |name: &str, text: &str| {
        let path = place.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (old, new) = (file("old", "the password of old\n"), file("new", "a password that is new\n"));
    assert_eq!(place.ask(&["people", "put", "ann", "--grant", "reader", "--password-file", &old]).code, 0);
    let made = place.ask(&["tokens", "make", "own", "--as", "ann", "--password-file", &old]);
    assert_eq!(made.code, 0, "{made:?}");
    let token = made.stdout.trim().to_owned();
    let ask = |args: &[&str]| place.ask(&[args, &["--token", &token]].concat());
    let wrong = ask(&["people", "password", "--old-password-file", &new, "--password-file", &new]);
    assert_eq!(wrong.code, 6, "{wrong:?}");
    let changed = ask(&["people", "password", "--old-password-file", &old, "--password-file", &new]);
    assert_eq!(changed.code, 0, "{changed:?}");
    let make = |password: &str| place.ask(&["tokens", "make", "more", "--as", "ann", "--password-file", password]);
    assert_eq!((make(&old).code, make(&new).code), (4, 0));
}
