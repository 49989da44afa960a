//! Who may have a place, and which.

use super::*;

#[test]
fn settings_that_would_stop_everything_are_refused() {
    let check = |change: fn(&mut LineSettings), expect: &str| {
        let mut settings = LineSettings::default();
        change(&mut settings);
        let error = Line::new(settings).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("{expect} is 0, but must be at least 1"));
    };
    check(|s| s.half_life_ms = 0, "half_life_ms");
    check(|s| s.least_ms = 0, "least_ms");
    check(|s| s.interactive_in_a_row = 0, "interactive_in_a_row");
}

#[test]
fn a_run_gets_a_place_where_its_labels_fit() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 1);
    assert_eq!(scene.queue_with(1, "a", labels("linux && arm")), "");
    assert_eq!(scene.came(2, "linux arm", 1), "1@2");
    assert_eq!(scene.queue_with(2, "a", labels("linux && !arm")), "2@1");
    assert_eq!(scene.line.place_of(RunId(2)), Some(AgentId(1)));
}

#[test]
fn what_does_not_fit_holds_up_nothing_behind_it() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 1);
    scene.queue_with(1, "a", labels("arm"));
    assert_eq!(scene.queue_with(2, "a", labels("linux")), "2@1");
    scene.queue_with(3, "a", labels("linux"));
    assert_eq!(scene.came(2, "arm", 1), "1@2");
    assert_eq!(scene.finish(2), "3@1");
}

#[test]
fn an_agent_gives_no_more_than_its_places() {
    let mut scene = Scene::new();
    assert_eq!(scene.came(1, "", 2), "");
    assert_eq!(scene.queue(1, "a") + &scene.queue(2, "a") + &scene.queue(3, "a"), "1@12@1");
    assert_eq!(scene.finish(2), "3@1");
}

#[test]
fn what_is_told_twice_is_true_once_and_what_is_unknown_changes_nothing() {
    let mut scene = Scene::new();
    scene.came(1, "", 2);
    assert_eq!(scene.queue(1, "a"), "1@1");
    assert_eq!(scene.queue(1, "a"), "");
    assert_eq!(scene.withdraw(1), "", "it has its place");
    assert_eq!(scene.came(1, "", 2), "");
    assert_eq!(scene.queue(2, "a"), "2@1");
    scene.queue(3, "a");
    scene.queue(3, "b");
    assert_eq!((scene.finish(1).as_str(), scene.finish(1).as_str()), ("3@1", ""));
    for run in [3, 2, 2, 9] {
        scene.finish(run);
    }
    assert_eq!(scene.withdraw(9) + &scene.went(9) + &scene.drained(9) + &scene.images(9, &["i"]), "");
    assert_eq!(scene.queue(4, "a") + &scene.queue(5, "a") + &scene.queue(6, "a"), "4@15@1");
}

#[test]
fn whoever_is_withdrawn_gets_nothing() {
    let mut scene = Scene::new();
    scene.queue(1, "a");
    scene.queue(2, "a");
    scene.withdraw(1);
    assert_eq!(scene.came(1, "", 2), "2@1");
}

#[test]
fn an_agent_that_drains_keeps_what_it_has_and_gets_no_more() {
    let mut scene = Scene::new();
    scene.came(1, "", 2);
    scene.queue(1, "a");
    scene.drained(1);
    assert_eq!(scene.queue(2, "a"), "");
    assert_eq!(scene.finish(1), "");
    assert_eq!(scene.came(1, "", 2), "2@1", "until it comes again");
}

#[test]
fn the_runs_of_an_agent_that_went_keep_their_places() {
    let mut scene = Scene::new();
    scene.came(1, "", 2);
    scene.queue(1, "a");
    scene.went(1);
    assert_eq!(scene.queue(2, "a") + &scene.queue(3, "a"), "");
    assert_eq!(scene.line.place_of(RunId(1)), Some(AgentId(1)));
    assert_eq!(scene.came(1, "", 2), "2@1");
    assert_eq!(scene.finish(1), "3@1");
}

#[test]
fn an_agent_may_come_back_as_another_one() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 3);
    for run in 1..=3 {
        scene.queue_with(run, "a", labels("linux"));
    }
    assert_eq!(scene.came(1, "windows", 2), "");
    assert_eq!(scene.queue_with(4, "a", labels("windows")) + &scene.queue_with(5, "a", labels("linux")), "");
    assert_eq!(scene.finish(1), "", "it has as many as it has places");
    assert_eq!(scene.finish(2), "4@1");
}

#[test]
fn what_is_found_has_its_place_whatever_there_is() {
    let mut scene = Scene::new();
    let found = |scene: &mut Scene, run, agent| {
        let mut item = Item::new(RunId(run), "a");
        alone(&mut item);
        scene.tell(Event::Found { item, agent: AgentId(agent) })
    };
    scene.queue_with(1, "a", alone);
    found(&mut scene, 1, 5);
    found(&mut scene, 1, 6);
    found(&mut scene, 2, 5);
    assert!(!scene.line.is_waiting(RunId(1)));
    assert_eq!(scene.line.place_of(RunId(1)), Some(AgentId(5)));
    scene.queue_with(3, "a", alone);
    assert_eq!(scene.came(5, "", 1) + &scene.came(6, "", 1), "");
    assert_eq!(scene.finish(1), "");
    assert_eq!(scene.finish(2), "3@5");
}

#[test]
fn the_image_decides_then_the_room_then_the_id() {
    let image = |item: &mut Item| item.image = Some("maven".into());
    let mut scene = Scene::new();
    scene.came(1, "", 2);
    scene.came(2, "", 3);
    scene.came(3, "", 3);
    assert_eq!(scene.queue(1, "a"), "1@2");
    assert_eq!(scene.queue(2, "a"), "2@3");
    scene.images(1, &["maven", "node"]);
    assert_eq!(scene.queue_with(3, "a", image), "3@1", "the way over who has the image");
    scene.images(2, &["maven"]);
    scene.images(3, &["maven"]);
    scene.images(1, &["node"]);
    assert_eq!(scene.queue_with(4, "a", image), "4@2", "the way over who has room");
    scene.images(2, &[]);
    scene.images(3, &[]);
    assert_eq!(scene.queue_with(5, "a", image), "5@3", "nobody has it any more");
    assert_eq!(scene.came(4, "", 1), "");
    scene.images(4, &["maven"]);
    assert_eq!(scene.queue_with(6, "a", image) + &scene.queue_with(7, "a", image), "6@47@1", "and no room");
}

#[test]
fn an_image_at_an_agent_that_does_not_fit_is_of_no_use() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 1);
    scene.came(2, "linux", 2);
    scene.came(3, "windows", 9);
    scene.images(3, &["maven"]);
    let change = |item: &mut Item| (item.image, item.labels) = (Some("maven".into()), "linux".parse().unwrap());
    assert_eq!(scene.queue_with(1, "a", change), "1@2");
}

#[test]
fn within_a_project_priority_decides_then_age() {
    let mut scene = Scene::new();
    scene.queue(5, "a");
    scene.queue_with(6, "a", priority(3));
    scene.queue_with(7, "a", priority(-1));
    scene.queue_with(8, "a", priority(3));
    scene.queue(4, "a");
    let first = scene.came(1, "", 1);
    assert_eq!(scene.one_after_another(first), [6, 8, 4, 5, 7]);
}

#[test]
fn interactive_work_goes_first_whatever_the_priority() {
    let mut scene = Scene::new();
    scene.queue_with(1, "a", |item| (item.class, item.priority) = (Class::Background, 9));
    scene.queue(2, "a");
    scene.queue_with(3, "b", background);
    scene.queue(4, "b");
    let first = scene.came(1, "", 1);
    assert_eq!(scene.one_after_another(first), [2, 4, 1, 3]);
}

#[test]
fn background_work_gets_one_place_in_so_many() {
    let mut scene = Scene::with(|settings| settings.interactive_in_a_row = 3);
    for run in 1..=9 {
        scene.queue(run, "a");
    }
    for run in 21..=23 {
        scene.queue_with(run, "b", background);
    }
    let first = scene.came(1, "", 1);
    assert_eq!(scene.one_after_another(first), [1, 2, 3, 21, 4, 5, 6, 22, 7, 8, 9, 23]);
}

#[test]
fn the_turn_of_background_work_is_counted_at_each_agent() {
    let mut scene = Scene::with(|settings| settings.interactive_in_a_row = 2);
    scene.came(1, "x", 1);
    scene.came(2, "y", 1);
    let either = "x || y";
    for run in 1..=2 {
        scene.queue_with(run, "a", labels(either));
    }
    // What only fits the first is not held up by what has its turn at the second.
    scene.queue_with(50, "b", |item| (item.class, item.labels) = (Class::Background, "x".parse().unwrap()));
    for run in 60..=70 {
        scene.queue_with(run, "b", |item| (item.class, item.labels) = (Class::Background, "y".parse().unwrap()));
    }
    for run in 3..=30 {
        scene.queue_with(run, "a", labels(either));
    }
    assert_eq!(scene.finish(2), "3@2");
    assert_eq!(scene.finish(3), "60@2");
    assert_eq!(scene.finish(1), "4@1");
    assert_eq!(scene.finish(60), "5@2");
    assert_eq!(scene.finish(4), "50@1");
    assert_eq!(scene.finish(50), "6@1", "none is left that fits");
}

#[test]
fn a_project_has_no_more_at_once_than_it_may() {
    let mut scene = Scene::new();
    scene.terms("a", 1, Some(2));
    scene.came(1, "", 5);
    assert_eq!(scene.queue(1, "a") + &scene.queue(2, "a") + &scene.queue(3, "a"), "1@12@1");
    assert_eq!(scene.queue(4, "b"), "4@1", "others have no such limit");
    assert_eq!(scene.finish(1), "3@1");
    scene.queue(5, "a");
    scene.queue(6, "a");
    assert_eq!(scene.terms("a", 1, Some(3)), "5@1");
    scene.terms("a", 1, Some(0));
    assert_eq!(scene.finish(2) + &scene.finish(3) + &scene.finish(5), "");
    assert_eq!(scene.tell(Event::TermsSet { project: "a".into(), terms: None }), "6@1");
}

#[test]
fn the_limit_of_all_holds_for_each() {
    let mut scene = Scene::with(|settings| settings.terms.at_once = Some(1));
    scene.came(1, "", 5);
    assert_eq!(scene.queue(1, "a") + &scene.queue(2, "a") + &scene.queue(3, "b"), "1@13@1");
}

#[test]
fn who_runs_alone_waits_for_every_other_of_the_branch() {
    let mut scene = Scene::new();
    scene.came(1, "", 9);
    assert_eq!(scene.queue_with(1, "a", on_main), "1@1");
    assert_eq!(scene.queue_with(2, "a", alone), "");
    assert_eq!(scene.queue_with(3, "a", on_main), "3@1", "not the other way round");
    assert_eq!(scene.queue_with(4, "b", alone), "4@1", "the branch of another project");
    let other = Branch { name: "other".into(), alone: true, yields: false };
    assert_eq!(scene.queue_with(5, "a", |item| item.branch = Some(other)), "5@1");
    scene.queue_with(6, "a", alone);
    assert_eq!(scene.finish(1), "");
    assert_eq!(scene.finish(3), "2@1");
    assert_eq!(scene.withdraw(6), "");
    scene.queue_with(7, "a", alone);
    assert_eq!(scene.finish(2), "7@1");
}

#[test]
fn of_those_that_run_alone_any_that_fits_may_go() {
    let mut scene = Scene::new();
    let change = |text: &'static str| {
        move |item: &mut Item| {
            alone(item);
            labels(text)(item);
        }
    };
    scene.queue_with(1, "a", change("arm"));
    scene.queue_with(2, "a", change("linux"));
    scene.queue_with(3, "a", change("linux"));
    assert_eq!(scene.came(1, "linux", 3), "2@1");
    assert_eq!(scene.came(2, "arm", 3), "");
    assert_eq!(scene.finish(2), "1@2", "the oldest that fits");
    assert_eq!(scene.finish(1), "3@1");
}

#[test]
fn a_newer_run_supersedes_what_yields() {
    let mut scene = Scene::new();
    scene.queue_with(1, "a", yields);
    scene.queue_with(2, "a", on_main);
    assert_eq!(scene.queue_with(3, "b", yields), "", "of another project");
    assert_eq!(scene.queue_with(4, "a", yields), "", "superseded by the second already");
    assert_eq!(scene.queue_with(5, "a", yields), "supersede 4 by 5");
    assert_eq!(scene.queue_with(3, "a", yields), "", "known");
    assert_eq!(scene.line.waiting(), 3);
    scene.withdraw(5);
    assert_eq!(scene.queue_with(6, "a", on_main), "", "nothing yields any more");
}

#[test]
fn what_comes_back_is_superseded_by_what_is_newer() {
    let mut scene = Scene::new();
    scene.queue_with(7, "a", on_main);
    assert_eq!(scene.queue_with(5, "a", yields), "supersede 5 by 7");
    assert_eq!(scene.queue_with(6, "a", on_main), "");
    scene.came(1, "", 1);
    assert_eq!(scene.line.place_of(RunId(6)), Some(AgentId(1)));
    assert_eq!(scene.finish(6), "7@1");
    assert_eq!(scene.queue_with(4, "a", yields), "", "only by what waits");
}

#[test]
fn who_has_waited_too_long_expires() {
    let mut scene = Scene::new();
    let limit =
        |limit_ms, waited_ms| move |item: &mut Item| (item.limit_ms, item.waited_ms) = (Some(limit_ms), waited_ms);
    assert_eq!(scene.line.wake_at(), None);
    scene.queue_with(1, "a", limit(1000, 0));
    scene.queue_with(2, "a", limit(1000, 400));
    scene.queue_with(3, "a", limit(500, 0));
    scene.queue(4, "a");
    assert_eq!(scene.queue_with(5, "a", limit(500, 500)), "expire 5", "before it came");
    scene.withdraw(3);
    assert_eq!(scene.line.wake_at(), Some(Moment(scene.now + 600)));
    scene.now -= 5000;
    assert_eq!(scene.tell(Event::Ticked), "");
    assert_eq!(scene.line.wake_at(), Some(Moment(scene.now + 600)), "a clock that jumps back changes nothing");
    scene.now += 600;
    assert_eq!(scene.tell(Event::Ticked), "expire 2");
    scene.now += 400;
    assert_eq!(scene.came(1, "", 5), "expire 1, 4@1");
    assert_eq!(scene.line.wake_at(), None);
}

#[test]
fn expressions_that_nobody_has_any_more_are_forgotten() {
    let mut scene = Scene::new();
    scene.came(1, "linux", 1);
    scene.queue_with(1, "a", labels("linux"));
    for run in 2..500 {
        scene.queue_with(run, "a", |item| item.labels = format!("linux && x{run}").parse().unwrap());
        scene.withdraw(run);
    }
    assert_eq!(scene.line.wants.expressions().count(), 64);
    scene.queue_with(1000, "a", labels("linux"));
    assert_eq!(scene.finish(1), "1000@1");
}

#[test]
fn nothing_is_remembered_of_who_had_nothing() {
    let mut scene = Scene::new();
    scene.queue_with(1, "a", alone);
    scene.came(1, "", 1);
    assert_eq!(scene.line.standings().count(), 1);
    scene.finish(1);
    scene.now += 64 * 1_000_000;
    scene.tell(Event::Ticked);
    assert_eq!(scene.line.standings().count(), 0);
    scene.queue(2, "a");
    scene.went(1);
    scene.finish(2);
    scene.queue(3, "b");
    scene.withdraw(3);
    let names: Vec<_> = scene.line.standings().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["a"]);
    assert_eq!(scene.line.agents.present().count(), 0);
}

fn memory(mib: u64) -> impl FnOnce(&mut Item) {
    move |item| item.resources.memory_mib = mib
}

#[test]
fn memory_is_given_once() {
    let mut scene = Scene::new();
    scene.resources = Resources { memory_mib: 12, cpu_millis: 0 };
    assert_eq!(scene.came(1, "", 4), "");
    // Who says nothing has what each place has: 3.
    assert_eq!(scene.queue(1, "a"), "1@1");
    assert_eq!(scene.queue_with(2, "a", memory(8)), "2@1");
    assert_eq!(scene.queue(3, "a"), "", "there are places, and 1 is left");
    scene.check_why(
        3,
        "it wants as much as each place has, which no agent that fits has free now (a 2): it goes when as much is free",
    );
    assert_eq!(scene.queue_with(4, "b", memory(1)), "4@1", "a smaller one goes");
    assert_eq!(scene.queue_with(5, "b", memory(13)), "");
    scene.check_why(
        5,
        "it wants 13 MiB of memory, and no agent that fits has so much (agent-1 has 12 MiB of memory): a larger one takes it",
    );
    assert_eq!(scene.finish(2), "3@1");
    assert_eq!(scene.queue_with(6, "c", memory(6)), "");
    scene.check_why(
        6,
        "it wants 6 MiB of memory, which no agent that fits has free now (a 2, b 1): it goes when as much is free",
    );
    scene.resources.memory_mib = 13;
    assert_eq!(scene.came(1, "", 4), "6@1", "an agent that comes back has more");
    scene.resources = Resources { memory_mib: 0, cpu_millis: 2500 };
    assert_eq!(scene.came(2, "", 2), "5@2", "one that says nothing of it");
}

#[test]
fn a_run_that_rests_counts_in_its_project_and_comes_back_before_others() {
    let mut scene = Scene::new();
    scene.terms("app", 1, Some(1));
    scene.came(7, "", 1);
    assert_eq!(scene.queue_with(1, "app", on_main), "1@7");
    assert_eq!(scene.queue(2, "app"), "");
    assert_eq!(scene.queue(3, "tool"), "");
    assert_eq!(scene.rest(1), "3@7", "its place is somebody else's, and not of its project");
    scene.check_why(2, "its project has 1 run at once, and may have 1: one that ends, or a higher limit, lets it go");
    assert_eq!(scene.queue(1, "app"), "");
    scene.check_why(1, "the only place that fits is taken (tool 1): the next that is free is for this one");
    assert_eq!(scene.finish(3), "1@7");
    assert_eq!(scene.finish(1), "2@7");
}

#[test]
fn a_run_that_rests_keeps_its_branch_until_it_is_finished() {
    let mut scene = Scene::new();
    scene.came(7, "", 1);
    scene.queue_with(1, "app", on_main);
    scene.queue_with(2, "app", alone);
    assert_eq!(scene.rest(1), "");
    scene.check_why(
        2,
        "run-1 of the same branch (main) is under way, and this one runs alone there: it goes when that ends",
    );
    assert_eq!(scene.finish(1), "2@7");
    assert_eq!(scene.rest(2), "");
    assert_eq!(scene.queue_with(3, "app", alone), "");
    assert_eq!(scene.queue(2, "app"), "2@7");
}
