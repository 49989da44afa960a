//! What is said of those that wait.

use super::*;

#[test]
fn that_there_is_no_agent() {
    let mut scene = Scene::new();
    scene.queue(1, "a");
    scene.check_why(1, "no agent is connected: `cofferdam agent` on a build host makes one");
    scene.came(1, "", 1);
    scene.check_why(1, "it does not wait");
    scene.went(1);
    scene.queue(2, "a");
    scene.check_why(2, "no agent is connected: `cofferdam agent` on a build host makes one");
    scene.check_why(3, "it does not wait");
}

#[test]
fn which_labels_the_nearest_lacks() {
    let mut scene = Scene::new();
    scene.queue_with(1, "a", labels("linux && arm"));
    scene.queue_with(2, "a", labels("linux && x64 && !old && gpu"));
    scene.queue_with(3, "a", labels("!(linux || windows)"));
    scene.queue_with(4, "a", labels("x && !x"));
    scene.came(1, "windows", 1);
    scene.came(2, "linux x64 old", 1);
    scene.check_why(1, "no agent fits `linux && arm`: agent-2 is nearest, and would if it had `arm`");
    scene.check_why(
        2,
        "no agent fits `linux && x64 && !old && gpu`: agent-2 is nearest, and would if it had `gpu` and not `old`",
    );
    scene.check_why(3, "no agent fits `!(linux || windows)`: agent-1 is nearest, and would if it had not `windows`");
    scene.check_why(4, "no agent fits `x && !x`, and no other labels were found that would");
}

#[test]
fn that_those_that_fit_take_none() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 1);
    scene.came(2, "linux", 1);
    scene.came(3, "linux", 0);
    scene.came(4, "windows", 4);
    scene.drained(1);
    scene.drained(2);
    scene.queue_with(1, "a", labels("linux"));
    scene.check_why(
        1,
        "no agent that fits takes runs (agent-1, agent-2 drain; agent-3 has no places): one that comes back, or another, takes it",
    );
    scene.came(2, "windows", 1);
    scene.came(3, "windows", 1);
    scene.check_why(1, "no agent that fits takes runs (agent-1 drains): one that comes back, or another, takes it");
}

#[test]
fn who_has_the_places() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 2);
    scene.came(2, "linux", 2);
    scene.came(3, "windows", 1);
    for (run, project) in [(1, "b"), (2, "a"), (3, "b"), (4, "b")] {
        scene.queue_with(run, project, labels("linux"));
    }
    scene.queue_with(5, "a", labels("linux"));
    scene.check_why(
        5,
        "all 4 places at the 2 agents that fit are taken (b 3, a 1): the next that is free is for this one",
    );
    scene.drained(1);
    scene.check_why(
        5,
        "all 2 places at the 1 agent that fits are taken (a 1, b 1): the next that is free is for this one",
    );
    scene.queue_with(6, "w", labels("windows"));
    scene.queue_with(7, "w", labels("windows"));
    scene.check_why(7, "the only place that fits is taken (w 1): the next that is free is for this one");
}

#[test]
fn long_lists_are_cut() {
    let mut scene = Scene::new();
    scene.came(1, "", 7);
    for (run, project) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        scene.queue(run as u64, project);
    }
    scene.queue(10, "z");
    scene.check_why(
        10,
        "all 7 places at the 1 agent that fits are taken (a 1, b 1, c 1, d 1, e 1 and 2 more): the next that is free is for this one",
    );
}

#[test]
fn how_many_of_its_project_go_first() {
    let taken = "the only place that fits is taken (a 1)";
    let mut scene = Scene::new();
    scene.came(1, "linux", 1);
    for run in 1..=3 {
        scene.queue(run, "a");
    }
    scene.queue_with(4, "a", labels("linux"));
    scene.queue_with(5, "a", background);
    scene.queue_with(6, "a", labels("arm"));
    scene.queue_with(7, "a", priority(1));
    scene.check_why(3, &format!("{taken}, and 2 other runs of its project go first"));
    scene.check_why(4, &format!("{taken}, and 3 other runs of its project go first"));
    scene.check_why(5, &format!("{taken}, and 4 other runs of its project go first"));
    scene.check_why(2, &format!("{taken}, and another run of its project goes first"));
    scene.check_why(7, &format!("{taken}: the next that is free is for this one"));
    for run in 10..=1500 {
        scene.queue(run, "a");
    }
    scene.check_why(1500, &format!("{taken}, and 1000 or more other runs of its project go first"));
}

#[test]
fn that_others_had_less() {
    let taken = "the only place that fits is taken (a 1)";
    let mut scene = Scene::new();
    scene.came(1, "", 1);
    scene.queue(1, "a");
    scene.queue(2, "a");
    scene.queue(3, "b");
    scene.check_why(2, &format!("{taken}, and 1 other project that had less by weight goes first"));
    scene.queue(4, "b");
    scene.queue_with(5, "c", labels("!x"));
    scene.queue_with(6, "d", background);
    scene.check_why(2, &format!("{taken}, and 2 other projects that had less by weight go first"));
    scene.check_why(5, &format!("{taken}, and 1 other project that had less by weight goes first"));
    scene.check_why(6, &format!("{taken}, and interactive work of 3 other projects goes first"));
}

#[test]
fn that_the_project_is_at_its_limit() {
    let mut scene = Scene::new();
    scene.terms("a", 1, Some(1));
    scene.came(1, "", 9);
    scene.queue(1, "a");
    scene.queue(2, "a");
    scene.check_why(2, "its project has 1 run at once, and may have 1: one that ends, or a higher limit, lets it go");
    scene.terms("a", 1, Some(0));
    scene.check_why(2, "its project may have no places: a higher limit lets it go");
}

#[test]
fn that_its_branch_runs() {
    let mut scene = Scene::new();
    scene.came(1, "", 2);
    scene.queue_with(1, "a", alone);
    scene.queue_with(2, "a", alone);
    let told = "run-1 of the same branch (main) is under way, and this one runs alone there: it goes when that ends";
    scene.check_why(2, told);
    scene.queue_with(3, "a", alone);
    scene.check_why(3, told);
}

#[test]
fn who_is_first_of_the_branch_where_none_runs() {
    let mut scene = Scene::new();
    scene.came(1, "", 1);
    scene.queue(1, "b");
    scene.queue_with(2, "a", alone);
    scene.queue_with(3, "a", alone);
    scene.check_why(3, "the only place that fits is taken (b 1), and another run of its project goes first");
}
