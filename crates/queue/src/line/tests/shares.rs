//! How places are shared between projects.

use super::*;

const HALF_LIFE_MS: u64 = 1_000_000;

/// Projects that always have more to do than there are places: runs of some length, one queued for each that ends.
struct Rush {
    scene: Scene,
    next: u64,
    /// Name, and how long its runs take.
    projects: Vec<(&'static str, u64)>,
    /// When it ends, and whose it is.
    running: BTreeMap<(u64, u64), usize>,
    owners: BTreeMap<u64, usize>,
    /// Milliseconds of places that each has had.
    had: Vec<u64>,
}

impl Rush {
    fn new(places: u32, projects: &[(&'static str, u32, u64)]) -> Rush {
        let mut scene = Scene::with(|settings| settings.half_life_ms = HALF_LIFE_MS);
        for (name, weight, _) in projects {
            scene.terms(name, *weight, None);
        }
        let mut rush = Rush {
            scene,
            next: 1,
            projects: projects.iter().map(|(name, _, takes_ms)| (*name, *takes_ms)).collect(),
            running: BTreeMap::new(),
            owners: BTreeMap::new(),
            had: vec![0; projects.len()],
        };
        for project in 0..projects.len() {
            for _ in 0..=places {
                rush.queue(project);
            }
        }
        let placed = rush.scene.came(1, "", places);
        rush.note(&placed);
        rush
    }

    fn queue(&mut self, project: usize) {
        self.owners.insert(self.next, project);
        let placed = self.scene.queue(self.next, self.projects[project].0);
        assert_eq!(placed, "", "all places are taken");
        self.next += 1;
    }

    fn note(&mut self, placed: &str) {
        for run in placed.split(", ").filter_map(|text| text.split_once('@')?.0.parse().ok()) {
            let owner = self.owners[&run];
            self.running.insert((self.scene.now + self.projects[owner].1, run), owner);
        }
    }

    /// Goes on for so long, and returns how many places each had on average.
    fn go_on(&mut self, ms: u64) -> Vec<f64> {
        self.had.fill(0);
        let end = self.scene.now + ms;
        while let Some(((at, run), owner)) = self.running.pop_first() {
            let passed = at.min(end) - self.scene.now;
            self.had[owner] += passed;
            self.running.values().for_each(|owner| self.had[*owner] += passed);
            self.scene.now = at.min(end);
            if at > end {
                self.running.insert((at, run), owner);
                break;
            }
            self.queue(owner);
            let placed = self.scene.finish(run);
            self.note(&placed);
        }
        self.had.iter().map(|had| *had as f64 / ms as f64).collect()
    }
}

/// After a while, each has on average as many places as expected, give or take `within`.
#[track_caller]
fn check_shares(places: u32, projects: &[(&'static str, u32, u64)], expect: &[f64], within: f64) {
    let mut rush = Rush::new(places, projects);
    rush.go_on(10 * HALF_LIFE_MS);
    let shares = rush.go_on(10 * HALF_LIFE_MS);
    let near = shares.iter().zip(expect).all(|(share, expect)| (share - expect).abs() <= within);
    assert!(near, "{shares:.3?}, not {expect:?}");
}

#[test]
fn equal_projects_get_equal_places() {
    check_shares(4, &[("a", 1, 10_000), ("b", 1, 10_000)], &[2.0, 2.0], 0.01);
    check_shares(1, &[("a", 1, 10_000), ("b", 1, 10_000)], &[0.5, 0.5], 0.01);
    check_shares(2, &[("a", 1, 9_000), ("b", 1, 9_500), ("c", 1, 10_000)], &[0.667; 3], 0.02);
}

#[test]
fn weights_are_kept_to_within_a_place() {
    check_shares(1, &[("a", 3, 10_000), ("b", 1, 10_000)], &[0.75, 0.25], 0.01);
    check_shares(8, &[("a", 3, 10_000), ("b", 1, 10_000)], &[6.0, 2.0], 0.3);
    check_shares(10, &[("a", 5, 10_000), ("b", 3, 10_000), ("c", 2, 10_000)], &[5.0, 3.0, 2.0], 0.5);
    check_shares(2, &[("a", 3, 10_000), ("b", 1, 10_000)], &[1.5, 0.5], 0.5);
}

#[test]
fn it_is_time_that_is_shared_not_runs() {
    check_shares(1, &[("a", 1, 60_000), ("b", 1, 1_000)], &[0.5, 0.5], 0.05);
    check_shares(6, &[("a", 1, 60_000), ("b", 1, 1_000)], &[3.0, 3.0], 0.3);
    check_shares(6, &[("a", 1, 4 * HALF_LIFE_MS), ("b", 1, 1_000)], &[3.0, 3.0], 1.0);
}

#[test]
fn a_single_run_goes_before_a_herd() {
    let mut scene = Scene::new();
    scene.came(1, "", 2);
    for run in 1..=1000 {
        scene.queue(run, "herd");
    }
    scene.queue(2000, "other");
    assert_eq!(scene.finish(2), "2000@1");
    assert_eq!(scene.finish(1), "3@1");
}

#[test]
fn a_steady_project_is_not_held_up_by_a_herd_either() {
    let mut scene = Scene::new();
    scene.came(1, "", 10);
    // One place for a long time: all that it is charged with.
    for run in 1..=100 {
        scene.queue(run, "steady");
        scene.now += 100_000;
        scene.finish(run);
    }
    for run in 1001..=2000 {
        scene.queue(run, "herd");
    }
    scene.queue(3000, "steady");
    scene.now += 1;
    assert_eq!(scene.finish(1001), "3000@1");
}

#[test]
fn what_was_had_long_ago_counts_no_more() {
    let mut scene = Scene::new();
    scene.came(1, "", 1);
    scene.queue(1, "a");
    scene.now += HALF_LIFE_MS;
    scene.finish(1);
    scene.queue(2, "b");
    scene.now += 1000;
    scene.queue(3, "a");
    scene.queue(4, "b");
    assert_eq!(scene.finish(2), "4@1", "an hour of the one against a second of the other");
    scene.withdraw(3);
    scene.finish(4);
    scene.now += 20 * HALF_LIFE_MS;
    scene.queue(5, "b");
    scene.now += 1000;
    scene.queue(6, "a");
    scene.queue(7, "b");
    assert_eq!(scene.finish(5), "6@1");
}

#[test]
fn names_decide_where_nothing_else_does() {
    let mut scene = Scene::new();
    scene.queue(1, "c");
    scene.queue(2, "a");
    scene.queue(3, "b");
    assert_eq!(scene.came(1, "", 3), "2@1, 3@1, 1@1");
}

#[test]
fn runs_of_no_time_cost_something_too() {
    let mut scene = Scene::new();
    for run in 1..=3 {
        scene.queue(run, "a");
        scene.queue(10 + run, "b");
    }
    let mut placed = scene.came(1, "", 1);
    let mut order = Vec::new();
    while let Some((run, _)) = placed.split_once('@') {
        order.push(run.parse::<u64>().unwrap());
        placed = scene.finish(*order.last().unwrap());
    }
    assert_eq!(order, [1, 11, 2, 12, 3, 13]);
}

#[test]
fn standings_tell_what_is_charged() {
    let mut scene = Scene::new();
    scene.came(1, "", 1);
    scene.queue(1, "a");
    scene.queue(2, "a");
    scene.now += HALF_LIFE_MS;
    scene.finish(1);
    let standing = |scene: &Scene| scene.line.standings().next().map(|(_, standing)| standing).unwrap();
    let Standing { waiting, held, used } = standing(&scene);
    assert_eq!((waiting, held), (0, 1));
    assert!((used - 1.5).abs() < 1e-9, "{used}");
    scene.now += HALF_LIFE_MS;
    scene.tell(Event::Ticked);
    assert!((standing(&scene).used - 1.25).abs() < 1e-9);
}

#[test]
fn a_clock_that_jumps_to_its_ends_stops_nobody() {
    let mut scene = Scene::new();
    scene.came(1, "", 1);
    scene.queue(1, "a");
    for (run, now) in [(1, u64::MAX), (2, 0), (3, u64::MAX), (4, 5)] {
        scene.queue(run + 1, "a");
        scene.queue(run + 101, "b");
        scene.now = now;
        let placed = scene.finish(run) + &scene.finish(run + 100);
        assert!(placed.ends_with("@1"), "{placed}");
        scene.withdraw(run + 101);
        if scene.line.place_of(RunId(run + 1)).is_none() {
            scene.finish(run + 101);
        }
    }
}
