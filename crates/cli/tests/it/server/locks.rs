//! Runs that wait for what others have locked, runs that newer ones overtake, and those that only wait.

use super::place::{Place, wait_until};
use crate::project::{Project, sandboxes_work};

/// What a run has said so far.
fn said(place: &Place, run: u64) -> String {
    place.ask(&["logs", &run.to_string()]).stdout
}

fn answer(place: &Place, run: u64) -> bool {
    place.ask(&["answer", &run.to_string(), "--yes"]).code == 0
}

/// With one place: who waits for a lock keeps nobody from it.
#[test]
fn runs_of_projects_exclude_each_other() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--runs", "1"]);
    let first = Project::new("lock('staging') { input 'go on?' }");
    let second = Project::new("lock('staging') { node { sh 'echo mine' } }");
    for (name, project) in [("first", &first), ("second", &second), ("third", &second)] {
        let locks: &[&str] = if name == "third" { &[] } else { &["--locks", "shared"] };
        let put = [&["projects", "put", name, "--folder", project.path().to_str().unwrap()][..], locks].concat();
        assert_eq!(place.ask(&put).code, 0);
    }
    let first = place.trigger("first");
    wait_until("the first has it", || said(&place, first).contains("Lock acquired on [Resource: staging]"));
    let second = place.trigger("second");
    wait_until("the second waits", || said(&place, second).contains("[Resource: staging] is not free, waiting"));
    // Another project's is another, and has a place.
    let third = place.trigger("third");
    assert_eq!(place.wait_for_end(third)["outcome"], "SUCCESS", "{}", place.logs());
    // Who has it has it after a restart of the server, and who waits waits.
    place.kill_server();
    place.start_server();
    let fourth = place.trigger("second");
    wait_until("a fourth waits", || said(&place, fourth).contains("is not free, waiting"));
    assert_eq!(place.ask(&["cancel", &fourth.to_string()]).code, 0);
    assert_eq!(place.wait_for_end(fourth)["outcome"], "ABORTED");
    assert!(!said(&place, second).contains("Lock acquired"));
    // A run that is ended gives it up.
    assert_eq!(place.ask(&["cancel", &first.to_string()]).code, 0);
    assert_eq!(place.wait_for_end(second)["outcome"], "SUCCESS", "{}", place.logs());
    let log = said(&place, second);
    assert!(log.contains("Lock acquired on [Resource: staging]") && log.contains("mine"), "{log}");
}

#[test]
fn older_runs_end_where_newer_ones_have_been() {
    let Some(place) = Place::with_agent() else { return };
    let app = Project::new(
        "if (env.BUILD_NUMBER != '3') { input 'go on?' }\nmilestone 1\necho 'has passed'\nif (env.BUILD_NUMBER == '3') { input 'go on?' }",
    );
    place.put("app", &app);
    let runs: Vec<u64> = (0..2).map(|_| place.trigger("app")).collect();
    for run in &runs {
        wait_until("it asks", || said(&place, *run).contains("go on?"));
    }
    let newest = place.trigger("app");
    for run in runs {
        let ended = place.wait_for_end(run);
        assert_eq!(ended["outcome"], "NOT_BUILT", "{}", place.logs());
        assert!(said(&place, run).contains("Superseded by #3"), "{}", said(&place, run));
    }
    wait_until("the newest goes on", || said(&place, newest).contains("has passed"));
    assert!(answer(&place, newest));
    assert_eq!(place.wait_for_end(newest)["outcome"], "SUCCESS", "{}", place.logs());
}

/// With one place: of those that go on, the next goes on when it is free.
#[test]
fn who_only_waited_waits_for_a_place_again() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--runs", "1"]);
    let app = Project::new("input 'go on?'\nnode { sh 'echo inside'\n input 'and now?' }");
    place.put("app", &app);
    let is_inside = |run: u64| said(&place, run).contains("and now?");
    // Two that are let go: one is inside, the other waits.
    let two = || {
        let runs = [place.trigger("app"), place.trigger("app")];
        for run in runs {
            wait_until("it asks", || said(&place, run).contains("go on?"));
        }
        assert!(runs.iter().all(|run| answer(&place, *run)));
        wait_until("one goes on", || runs.iter().any(|run| is_inside(*run)));
        if is_inside(runs[0]) { (runs[0], runs[1]) } else { (runs[1], runs[0]) }
    };
    let (first, second) = two();
    // It is told why, as one that never had a place.
    wait_until("the other waits", || place.ask(&["why", "--run", &second.to_string()]).stdout.contains("place"));
    assert!(!said(&place, second).contains("inside"), "{}", said(&place, second));
    assert!(answer(&place, first));
    assert_eq!(place.wait_for_end(first)["outcome"], "SUCCESS", "{}", place.logs());
    wait_until("the other goes on", || is_inside(second));
    assert!(answer(&place, second));
    assert_eq!(place.wait_for_end(second)["outcome"], "SUCCESS", "{}", place.logs());
    // One that is ended while it waits for its place waits for it no more.
    let (first, second) = two();
    assert_eq!(place.ask(&["cancel", &second.to_string()]).code, 0);
    assert_eq!(place.wait_for_end(second)["outcome"], "ABORTED", "{}", place.logs());
    assert!(answer(&place, first));
    assert_eq!(place.wait_for_end(first)["outcome"], "SUCCESS", "{}", place.logs());
}

/// What has locked something waits for no place: it may be the one's that waits for the lock.
#[test]
fn who_has_a_lock_and_who_waits_for_it_do_not_wait_for_each_other() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--runs", "1"]);
    place.add_agent_with("other", &["--runs", "1", "--label", "other"]);
    let waits = Project::new("node { input 'go on?'\n lock('staging') { echo 'it has it' } }");
    let has = Project::new("lock('staging') { node('other') { sh 'echo mine' } }");
    for (name, project, more) in [("waits", &waits, &["--label", "other"][..]), ("has", &has, &[])] {
        let folder = project.path().to_str().unwrap();
        let put = [&["projects", "put", name, "--folder", folder, "--locks", "shared"][..], more].concat();
        assert_eq!(place.ask(&put).code, 0);
    }
    let waits = place.trigger("waits");
    wait_until("it has its place", || said(&place, waits).contains("go on?"));
    let has = place.trigger("has");
    wait_until("the other has the lock", || said(&place, has).contains("Lock acquired on"));
    assert!(answer(&place, waits));
    for run in [has, waits] {
        assert_eq!(place.wait_for_end(run)["outcome"], "SUCCESS", "{}", place.logs());
    }
}

/// A run that gives its place away is under way all the same: another of its project does not begin, one of others does.
#[test]
fn a_run_that_only_waits_counts_in_its_project() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    place.add_agent_with("one", &["--runs", "1"]);
    let outer = Project::new("build 'inner'\nnode { sh 'echo back' }");
    let inner = Project::new("input 'go on?'\nnode { sh 'echo inside' }");
    for (name, project, more) in
        [("outer", &outer, &["--at-once", "1", "--alone"][..]), ("inner", &inner, &["--started-by", "outer"])]
    {
        let put = [&["projects", "put", name, "--folder", project.path().to_str().unwrap()][..], more].concat();
        assert_eq!(place.ask(&put).code, 0);
    }
    let first = place.trigger("outer");
    wait_until("what it builds has the place", || said(&place, first + 1).contains("go on?"));
    let second = place.trigger("outer");
    wait_until("the second waits", || place.ask(&["why", "--run", &second.to_string()]).stdout.contains("at once"));
    assert!(answer(&place, first + 1));
    assert_eq!(place.wait_for_end(first)["outcome"], "SUCCESS", "{}", place.logs());
    wait_until("the second has begun", || said(&place, second + 1).contains("go on?"));
    assert_eq!(place.ask(&["cancel", &second.to_string()]).code, 0);
    assert_eq!(place.wait_for_end(second)["outcome"], "ABORTED", "{}", place.logs());
}
