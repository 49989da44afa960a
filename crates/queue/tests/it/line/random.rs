//! Random events, repeatable from their seed.

use model::ids::RunId;
use queue::line::{AgentId, Branch, Class, Command, Event, Expression, Item, LineSettings, Resources, Terms};

use super::world::World;
use crate::random::Random;

const LABELS: [&str; 4] = ["linux", "arm", "docker", "gpu"];
const EXPRESSIONS: [&str; 9] = [
    "",
    "linux",
    "linux && !arm",
    "arm || docker",
    "gpu -> docker",
    "linux <-> docker",
    "!gpu",
    "gpu && (linux || arm)",
    "!(linux || arm)",
];
const IMAGES: [&str; 3] = ["maven", "node", "rust"];
const PROJECTS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

fn some<const N: usize>(random: &mut Random, of: [&'static str; N]) -> Vec<&'static str> {
    of.into_iter().filter(|_| random.below(2) == 0).collect()
}

fn settings(random: &mut Random) -> LineSettings {
    LineSettings {
        half_life_ms: 1 + random.below(20_000),
        least_ms: 1 + random.below(100),
        interactive_in_a_row: 1 + random.below(4) as u32,
        terms: terms(random),
    }
}

fn terms(random: &mut Random) -> Terms {
    let weight = (1 + random.below(4) as u32).try_into().unwrap();
    Terms { weight, at_once: random.pick(&[None, None, Some(0), Some(1), Some(3)]).unwrap() }
}

fn item(random: &mut Random, run: RunId) -> Item {
    let chance = |random: &mut Random| random.below(3) == 0;
    let branch = |random: &mut Random| {
        let name = random.pick(&["main", "PR-1"]).unwrap().into();
        Branch { name, alone: chance(random), yields: chance(random) }
    };
    let labels: Vec<Expression> = EXPRESSIONS.iter().map(|text| text.parse().unwrap()).collect();
    let mut item = Item::new(run, random.pick(&PROJECTS).unwrap());
    item.class = random.pick(&[Class::Interactive, Class::Background]).unwrap();
    item.priority = random.pick(&[0, 0, 0, 5, -5]).unwrap();
    item.labels = labels[random.below(labels.len() as u64) as usize].clone();
    item.resources = resources(random, [0, 0, 1, 3, 7]);
    item.image = random.pick(&[None, Some("maven"), Some("node")]).unwrap().map(Into::into);
    item.branch = (random.below(2) == 0).then(|| branch(random));
    item.limit_ms = chance(random).then(|| random.below(20_000));
    item.waited_ms = if chance(random) { random.below(1000) } else { 0 };
    item
}

fn resources(random: &mut Random, sizes: [u64; 5]) -> Resources {
    let mut size = || random.pick(&sizes).unwrap();
    Resources { memory_mib: size(), cpu_millis: size() }
}

fn pass_some_time(world: &mut World, random: &mut Random) {
    world.now = match random.below(200) {
        0 => 0,
        1 => random.below(1 << 40),
        2..10 => world.now.saturating_sub(random.below(10_000)),
        10..100 => world.now + random.below(200),
        100..120 => world.now + random.below(5000),
        _ => world.now,
    };
}

fn one_event(world: &mut World, random: &mut Random, next: &mut u64) {
    let agent = AgentId(random.below(6));
    let images = |random: &mut Random| some(random, IMAGES).into_iter().map(Into::into).collect();
    let of = |runs: Vec<RunId>, random: &mut Random| random.pick(&runs).unwrap_or(RunId(random.below(*next)));
    let waiting = world.model.waiting.keys().copied().collect();
    let placed = world.model.placed.keys().copied().collect();
    let resting: Vec<RunId> = world.model.resting.keys().copied().collect();
    let event = match random.below(100) {
        0..45 => {
            // Now and then one that has been here before.
            let run = if random.below(8) == 0 { random.below(*next) } else { *next };
            *next += 1;
            Event::Queued(item(random, RunId(run)))
        }
        45..50 => Event::Rested { run: of(placed, random) },
        50..53 => {
            let run = of(resting, random);
            Event::Queued(item(random, run))
        }
        53..55 => Event::Finished { run: of(resting, random) },
        55..72 => Event::Finished { run: of(placed, random) },
        72..77 => Event::Withdrawn { run: of(waiting, random) },
        77..84 => {
            let labels = some(random, LABELS).into_iter().collect();
            let (places, resources) = (random.below(5) as u32, resources(random, [0, 0, 4, 6, 10]));
            Event::AgentCame { agent, labels, places, resources, images: images(random) }
        }
        84..87 => Event::AgentWent { agent },
        87..89 => Event::AgentDrained { agent },
        89..92 => Event::ImagesChanged { agent, images: images(random) },
        92..95 => {
            let project = random.pick(&PROJECTS).unwrap().into();
            Event::TermsSet { project, terms: (random.below(2) == 0).then(|| terms(random)) }
        }
        95..97 => {
            let run = of(waiting, random);
            Event::Found { item: item(random, run), agent }
        }
        _ => Event::Ticked,
    };
    world.tell(event);
}

/// Everything may go: what waits is done to its end.
fn settle(world: &mut World) {
    for project in PROJECTS {
        world.tell(Event::TermsSet { project: project.into(), terms: Some(Terms::default()) });
    }
    let all = || LABELS.into_iter();
    let hosts = [vec![], vec!["linux"], all().collect(), all().filter(|label| *label != "gpu").collect()];
    for (agent, labels) in hosts.into_iter().enumerate() {
        let labels = labels.into_iter().collect();
        let (agent, resources) = (AgentId(100 + agent as u64), Resources { memory_mib: 8, cpu_millis: 0 });
        world.tell(Event::AgentCame { agent, labels, places: 2, resources, images: vec![] });
    }
    while let Some(run) = world.model.placed.keys().chain(world.model.resting.keys()).next().copied() {
        world.now += 100;
        world.tell(Event::Finished { run });
    }
    assert_eq!(world.model.waiting.len(), 0, "nothing waits for ever");
}

fn run(seed: u64) -> World {
    let mut random = Random::new(seed);
    let mut world = World::new(settings(&mut random));
    let mut next = 1;
    for _ in 0..100 + random.below(200) {
        pass_some_time(&mut world, &mut random);
        one_event(&mut world, &mut random, &mut next);
    }
    settle(&mut world);
    world
}

#[test]
fn what_was_promised_holds_after_each_event() {
    let (mut reasons, mut counts) = ([0; 11], [0; 3]);
    for seed in 0..150 {
        // A failure prints its seed with the captured output.
        println!("seed {seed}");
        let world = run(seed);
        reasons.iter_mut().zip(world.reasons).for_each(|(sum, count)| *sum += count);
        for command in world.log.iter().flatten() {
            counts[match command {
                Command::Place { .. } => 0,
                Command::Expire { .. } => 1,
                Command::Supersede { .. } => 2,
            }] += 1;
        }
    }
    // Else the rules were kept by doing nothing.
    println!("{reasons:?} {counts:?}");
    assert!(reasons.iter().all(|count| *count > 500), "{reasons:?}");
    assert!(counts.iter().zip([5000, 500, 300]).all(|(count, least)| *count > least), "{counts:?}");
}

#[test]
fn the_same_events_give_the_same_commands() {
    for seed in 0..20 {
        assert_eq!(run(seed).log, run(seed).log, "seed {seed}");
    }
}
