//! Each rule of a pool, by the name of its behaviour.

use super::*;

/// A name, and what a member costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind(&'static str, u64);

impl Shape for Kind {
    fn cost_bytes(&self) -> u64 {
        self.1
    }
}

const A: Kind = Kind("a", 10);
const B: Kind = Kind("b", 10);

/// A host that performs what the pool commands.
struct Host {
    pool: Pool<Kind>,
    now: u64,
    made: u64,
    making: Vec<Kind>,
    destroyed: Vec<u64>,
    wake_at: Option<u64>,
}

impl Host {
    fn new(change: impl FnOnce(&mut PoolSettings<Kind>)) -> Host {
        let demand = DemandSettings { factor: 1.0, half_life_ms: 1000, first_make_ms: 1 };
        let backoff = BackoffSettings { first_ms: 100, longest_ms: 400 };
        let mut settings =
            PoolSettings { max_age_ms: 100_000, at_once: 100, demand, backoff, ..PoolSettings::default() };
        change(&mut settings);
        let pool = Pool::new(settings).unwrap();
        Host { pool, now: 1_000_000, made: 0, making: Vec::new(), destroyed: Vec::new(), wake_at: None }
    }

    fn tell(&mut self, event: Event<Kind>) -> Option<u64> {
        let decision = self.pool.handle(event, Moment(self.now));
        self.perform(decision)
    }

    fn set_bounds(&mut self, shapes: BTreeMap<Kind, Bounds>) -> Result<(), String> {
        let decision = self.pool.set_bounds(shapes, Moment(self.now)).map_err(|error| error.to_string())?;
        self.perform(decision);
        Ok(())
    }

    fn perform(&mut self, decision: Decision<Kind>) -> Option<u64> {
        for command in decision.commands {
            match command {
                Command::Make { shape } => self.making.push(shape),
                Command::Destroy { member } => self.destroyed.push(member.0),
            }
        }
        self.wake_at = decision.wake_at.map(|moment| moment.0);
        decision.given.map(|member| member.0)
    }

    fn claim(&mut self, shape: Kind) -> Option<u64> {
        self.tell(Event::Wanted { shape })
    }

    fn queue(&mut self, shape: Kind, waiting: u64) {
        self.tell(Event::Queued { shape, waiting });
    }

    fn made(&mut self, took_ms: u64) {
        let shape = self.making.remove(0);
        self.made += 1;
        self.tell(Event::Made { shape, member: SandboxId(self.made), took_ms });
    }

    fn failed(&mut self) {
        let shape = self.making.remove(0);
        self.tell(Event::Failed { shape });
    }

    /// Everything that is in the making succeeds, and what follows from it.
    fn finish(&mut self) {
        while !self.making.is_empty() {
            self.made(1);
        }
    }

    fn ended(&mut self, member: u64) {
        self.tell(Event::Ended { member: SandboxId(member) });
    }

    fn sweep(&mut self, existing: &[u64]) {
        self.tell(Event::Reconciled { existing: existing.iter().copied().map(SandboxId).collect() });
    }

    /// So much time passes; the host ticks when it was asked to.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            assert!(at > self.now, "a tick that is due at once would never end");
            self.now = at;
            self.tell(Event::Ticked);
        }
        self.now = end;
    }

    /// Members ready and in the making.
    fn check(&self, shape: Kind, expect: (u32, u32)) {
        let counts = self.pool.counts().find(|(s, _)| **s == shape).map(|(_, counts)| counts).unwrap_or_default();
        assert_eq!((counts.ready, counts.making), expect, "{shape:?}");
    }
}

fn floor(shape: Kind, floor: u32) -> BTreeMap<Kind, Bounds> {
    [(shape, Bounds { floor, ceiling: 20 })].into()
}

#[test]
fn a_floor_is_kept_without_any_demand() {
    let mut host = Host::new(|s| s.shapes = floor(A, 3));
    host.tell(Event::Ticked);
    host.check(A, (0, 3));
    host.finish();
    host.pass(50_000);
    host.check(A, (3, 0));
    assert_eq!(host.destroyed, []);
    assert_eq!(host.claim(A), Some(1), "the oldest");
    host.check(A, (2, 1));
}

#[test]
fn a_floor_that_is_set_later_is_kept_as_one_of_the_start() {
    let mut host = Host::new(|s| s.demand.factor = 0.0);
    host.claim(B);
    host.check(B, (0, 0));
    host.set_bounds(floor(A, 2)).unwrap();
    host.check(A, (0, 2));
    host.finish();
    for expect in 1..=3 {
        assert_eq!(host.claim(A), Some(expect));
        host.check(A, (1, 1));
        host.finish();
    }
    // Far longer than any demand is remembered.
    host.pass(90_000);
    host.check(A, (2, 0));
    host.set_bounds(floor(B, 1)).unwrap();
    host.finish();
    assert_eq!(host.destroyed, [4, 5], "nobody is promised these any more");
    host.check(B, (1, 0));
    assert_eq!(host.pool.counts().count(), 1);
}

#[test]
fn bounds_that_have_no_room_change_nothing() {
    let mut host = Host::new(|s| (s.shapes, s.ceiling) = (floor(A, 2), 3));
    host.tell(Event::Ticked);
    host.finish();
    let refused = host.set_bounds([floor(A, 2), floor(B, 2)].into_iter().flatten().collect());
    assert_eq!(refused, Err("sum of shapes[].floor is 4, but ceiling allows 3".to_owned()));
    host.check(A, (2, 0));
    assert_eq!(host.claim(A), Some(1));
    host.check(A, (1, 1));
}

#[test]
fn strangers_that_fill_the_records_take_no_room_from_a_floor_that_is_set_later() {
    let mut host = Host::new(|s| (s.ceiling, s.budget_bytes) = (MAX_SHAPES as u32 + 1, u64::MAX));
    for n in 0..MAX_SHAPES as u64 {
        host.queue(Kind("other", n), 1);
    }
    host.finish();
    assert_eq!(host.pool.counts().filter(|(_, counts)| counts.ready == 1).count(), MAX_SHAPES);
    host.set_bounds(floor(A, 1)).unwrap();
    host.check(A, (0, 1));
}

#[test]
fn a_claim_without_a_member_teaches_the_demand() {
    let mut host = Host::new(|_| ());
    assert_eq!(host.claim(A), None);
    host.check(A, (0, 1));
    host.finish();
    assert_eq!(host.claim(A), Some(1));
    assert_eq!(host.claim(A), None, "given once");
}

#[test]
fn members_follow_the_queue_times_the_factor() {
    let mut host = Host::new(|s| s.demand.factor = 1.5);
    host.queue(A, 3);
    host.finish();
    host.check(A, (5, 0));
    host.queue(A, 0);
    host.check(A, (0, 0));
    assert_eq!(host.destroyed, [1, 2, 3, 4, 5]);
    assert_eq!(host.pool.counts().count(), 0, "and the shape is forgotten");
    host.queue(B, 0);
    assert_eq!(host.pool.counts().count(), 0);
}

#[test]
fn a_member_given_to_a_waiting_request_is_not_made_again_for_it() {
    let mut host = Host::new(|_| ());
    host.queue(A, 3);
    host.finish();
    for expect in 1..=3 {
        assert_eq!(host.claim(A), Some(expect));
    }
    // One, as it would be after three claims that nobody waited for.
    host.check(A, (0, 1));
}

#[test]
fn a_stream_of_claims_is_met_by_what_is_made_meanwhile() {
    let mut host = Host::new(|s| s.shapes = [(A, Bounds { floor: 0, ceiling: 20 })].into());
    host.claim(A);
    host.made(400);
    for _ in 0..500 {
        host.pass(100);
        // Just before a claim the demand is lowest: 3.9 members, and 4.1 just after.
        host.tell(Event::Ticked);
        host.claim(A);
        while !host.making.is_empty() {
            host.made(400);
        }
    }
    let (_, counts) = host.pool.counts().next().unwrap();
    // 10 claims a second, each member made in 0.4 s.
    assert!((4..=5).contains(&counts.ready), "{counts:?}");
    assert!(host.destroyed.len() < 5, "{:?}: between two claims nothing is destroyed", host.destroyed);
}

#[test]
fn demand_that_is_not_seen_again_fades_to_the_floor() {
    let mut host = Host::new(|s| s.shapes = floor(A, 1));
    host.queue(A, 8);
    host.claim(B);
    host.finish();
    host.check(A, (8, 0));
    host.pass(2250);
    host.check(A, (2, 0));
    host.check(B, (1, 0));
    host.pass(8000);
    host.check(A, (1, 0));
    assert_eq!(host.pool.counts().count(), 1, "what has no floor is forgotten");
    assert_eq!(host.wake_at, Some(1_000_000 + 100_000), "only age is left to wait for");
}

#[test]
fn no_shape_goes_above_its_ceiling() {
    let mut host = Host::new(|s| s.ceiling_of_others = 4);
    host.queue(A, 100);
    host.check(A, (0, 4));
    host.finish();
    host.check(A, (4, 0));
}

#[test]
fn all_shapes_together_stay_below_the_ceiling_and_the_budget() {
    let mut host = Host::new(|s| (s.ceiling, s.ceiling_of_others) = (5, 10));
    host.queue(A, 3);
    host.queue(B, 4);
    host.finish();
    host.check(A, (3, 0));
    host.check(B, (2, 0));
    let mut host = Host::new(|s| (s.budget_bytes, s.ceiling_of_others) = (45, 10));
    host.queue(A, 8);
    host.queue(Kind("small", 5), 1);
    host.check(A, (0, 4));
    host.check(Kind("small", 5), (0, 1));
}

#[test]
fn over_budget_the_oldest_of_the_lowest_demand_go_first() {
    let mut host = Host::new(|s| (s.ceiling, s.ceiling_of_others) = (6, 6));
    host.queue(A, 2);
    host.finish();
    host.queue(B, 4);
    host.finish();
    assert_eq!(host.destroyed, []);
    host.queue(B, 5);
    assert_eq!(host.destroyed, [1], "the older member of a");
    host.check(B, (4, 1));
    host.finish();
    host.queue(Kind("c", 10), 20);
    assert_eq!(host.destroyed, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_floor_pushes_out_what_is_only_wanted() {
    let mut host = Host::new(|s| (s.ceiling, s.ceiling_of_others, s.shapes) = (4, 9, floor(B, 2)));
    host.tell(Event::Ticked);
    host.queue(A, 9);
    host.finish();
    host.check(A, (2, 0));
    host.check(B, (2, 0));
    host.claim(B);
    host.finish();
    host.check(B, (2, 0));
}

#[test]
fn a_member_too_old_is_destroyed_and_made_again() {
    let mut host = Host::new(|s| (s.shapes, s.max_age_ms) = (floor(A, 1), 5000));
    host.tell(Event::Ticked);
    host.finish();
    assert_eq!(host.wake_at, Some(host.now + 5000));
    host.pass(4999);
    assert_eq!(host.destroyed, []);
    host.pass(1);
    assert_eq!(host.destroyed, [1]);
    host.check(A, (0, 1));
}

#[test]
fn a_member_too_old_is_not_given_even_where_no_tick_came() {
    let mut host = Host::new(|s| (s.shapes, s.max_age_ms) = (floor(A, 1), 5000));
    host.tell(Event::Ticked);
    host.finish();
    host.now += 5000;
    assert_eq!(host.claim(A), None);
    assert_eq!(host.destroyed, [1]);
}

#[test]
fn a_clock_that_jumps_back_makes_nobody_immortal() {
    let mut host = Host::new(|s| (s.shapes, s.max_age_ms) = (floor(A, 1), 5000));
    host.tell(Event::Ticked);
    host.finish();
    host.pass(3000);
    host.now = 10;
    host.tell(Event::Ticked);
    assert_eq!(host.wake_at, Some(10 + 5000), "the jump was noticed only now, the time before it is lost");
    host.pass(5000);
    assert_eq!(host.destroyed, [1]);
    host.finish();
    for now in [u64::MAX, 0, u64::MAX, 5] {
        host.now = now;
        host.tell(Event::Ticked);
        host.finish();
    }
    let before = host.destroyed.len();
    host.pass(5000);
    assert_eq!(host.destroyed.len(), before + 1);
}

#[test]
fn only_so_many_are_made_at_once() {
    let mut host = Host::new(|s| s.at_once = 3);
    host.queue(A, 2);
    host.queue(B, 5);
    host.check(A, (0, 2));
    host.check(B, (0, 1));
    host.made(1);
    host.check(A, (1, 1));
    host.check(B, (0, 2));
}

#[test]
fn a_shape_that_cannot_be_made_is_tried_ever_more_seldom() {
    let mut host = Host::new(|s| s.shapes = floor(A, 3));
    host.tell(Event::Ticked);
    for _ in 0..3 {
        host.failed();
    }
    for pause in [100, 200, 400, 400] {
        host.claim(A);
        host.pass(pause - 1);
        host.check(A, (0, 0));
        assert_eq!(host.wake_at, Some(host.now + 1));
        host.pass(1);
        host.check(A, (0, 1));
        host.failed();
    }
    host.pass(400);
    host.made(1);
    host.check(A, (1, 2));
}

#[test]
fn a_shape_whose_members_die_at_once_is_not_made_over_and_over() {
    let mut host = Host::new(|s| s.shapes = floor(A, 1));
    host.tell(Event::Ticked);
    for pause in [100, 200, 400, 400] {
        host.made(1);
        host.ended(host.made);
        host.check(A, (0, 0));
        host.pass(pause - 1);
        host.check(A, (0, 0));
        host.pass(1);
        host.check(A, (0, 1));
    }
}

#[test]
fn a_member_that_dies_later_is_made_again_at_once() {
    let mut host = Host::new(|s| s.shapes = floor(A, 2));
    host.tell(Event::Ticked);
    host.finish();
    host.pass(400);
    host.ended(1);
    host.check(A, (1, 1));
    assert_eq!(host.destroyed, [], "it is gone already");
    host.ended(77);
    host.check(A, (1, 1));
}

#[test]
fn a_sweep_destroys_the_unknown_and_makes_the_missing_again() {
    let mut host = Host::new(|s| s.shapes = floor(A, 2));
    host.sweep(&[700, 701]);
    assert_eq!(host.destroyed, [700, 701]);
    host.finish();
    let given = host.claim(A).unwrap();
    host.finish();
    host.destroyed.clear();
    host.sweep(&[given, 2, 3, 702]);
    assert_eq!(host.destroyed, [702], "what was given is somebody's");
    host.check(A, (2, 0));
    host.sweep(&[3]);
    host.check(A, (1, 1));
    host.finish();
    host.sweep(&[given, 3, 4]);
    host.ended(given);
    host.sweep(&[given, 3, 4]);
    assert_eq!(host.destroyed, [702, given], "once it has ended, it is nobody's");
}

#[test]
fn a_sweep_spares_what_may_have_just_been_made() {
    let mut host = Host::new(|s| s.shapes = floor(A, 2));
    host.tell(Event::Ticked);
    host.sweep(&[1, 700]);
    assert_eq!(host.destroyed, []);
    host.made(1);
    host.sweep(&[1, 700, 701]);
    assert_eq!(host.destroyed, [700], "still unknown; 701 is seen for the first time");
    host.check(A, (1, 1));
}

#[test]
fn a_pool_that_drains_destroys_all_and_makes_no_more() {
    let mut host = Host::new(|s| (s.shapes, s.at_once) = (floor(A, 3), 2));
    host.tell(Event::Ticked);
    host.made(1);
    let given = host.claim(A);
    host.made(1);
    host.check(A, (1, 2));
    host.tell(Event::Drained);
    assert_eq!((given, &host.destroyed[..]), (Some(1), &[2][..]));
    host.made(1);
    assert_eq!(host.destroyed, [2, 3], "what was in the making");
    host.failed();
    host.queue(B, 5);
    host.set_bounds(floor(B, 1)).unwrap();
    assert_eq!(host.claim(A), None);
    host.sweep(&[1, 700]);
    assert_eq!(host.destroyed, [2, 3, 700]);
    assert_eq!((host.making.len(), host.wake_at), (0, None));
}

#[test]
fn what_was_not_asked_for_is_destroyed_and_what_is_told_twice_ignored() {
    let mut host = Host::new(|_| ());
    let made = |member| Event::Made { shape: A, member: SandboxId(member), took_ms: 1 };
    host.tell(made(9));
    host.tell(Event::Failed { shape: A });
    assert_eq!(host.destroyed, [9]);
    host.queue(A, 2);
    host.tell(made(1));
    host.tell(made(1));
    host.check(A, (1, 1));
    assert_eq!(host.claim(A), Some(1));
    host.tell(made(1));
    assert_eq!((host.claim(A), &host.destroyed[..]), (None, &[9][..]));
    host.finish();
    host.destroyed.clear();
    let counts: Vec<_> = host.pool.counts().map(|(_, counts)| counts).collect();
    host.tell(made(99));
    host.tell(Event::Failed { shape: A });
    assert_eq!(host.destroyed, [99]);
    assert_eq!(host.pool.counts().map(|(_, counts)| counts).collect::<Vec<_>>(), counts);
}

#[test]
fn shapes_without_number_push_out_the_one_wanted_least() {
    let mut host = Host::new(|s| s.ceiling = 1);
    host.queue(A, 5);
    for n in 0..MAX_SHAPES as u64 {
        host.queue(Kind("other", n), 2);
        host.pass(1);
    }
    assert_eq!(host.pool.counts().count(), MAX_SHAPES);
    host.check(A, (0, 1));
    host.queue(B, 0);
    assert_eq!(host.pool.counts().count(), MAX_SHAPES, "nobody makes room for a shape that nobody wants");
    let kinds: Vec<u64> = host.pool.counts().map(|(kind, _)| kind.1).collect();
    assert!(!kinds.contains(&0) && kinds.contains(&1), "the one seen longest ago made room");
}
