//! As many as there may ever be. There is no limit of time here: what looked at everything that waits would not end.

use std::collections::BTreeMap;

use model::ids::RunId;
use queue::line::{AgentId, Branch, Class, Command, Event, Expression, Item, Line, LineSettings, Moment, Resources};

const PROJECTS: u64 = 1000;
const RUNS: u64 = 1_000_000;
const AGENTS: u64 = 50;
const PLACES: u32 = 20;
const PLACEMENTS: usize = 10_000;

#[test]
fn a_million_runs_of_a_thousand_projects_wait() {
    let mut line = Line::new(LineSettings::default()).unwrap();
    let expressions: Vec<Expression> =
        ["linux", "linux && arm", "linux || windows", ""].map(|text| text.parse().unwrap()).into();
    let names: Vec<queue::line::ProjectName> = (0..PROJECTS).map(|n| format!("project-{n:03}").into()).collect();
    for run in 0..RUNS {
        let mut item = Item::new(RunId(run), names[(run % PROJECTS) as usize].clone());
        item.labels = expressions[(run / PROJECTS % 4) as usize].clone();
        item.class = if run % 3 == 0 { Class::Background } else { Class::Interactive };
        item.limit_ms = (run % 2 == 0).then_some(1_000_000_000);
        // A branch that all runs of a project wait for is the most that there can be of one.
        let branch = || Branch { name: "main".into(), alone: run % 5 == 0, yields: false };
        item.branch = (run % 10 < 6).then(branch);
        assert_eq!(line.handle(Event::Queued(item), Moment(0)), []);
    }
    let mut placed = Vec::new();
    for agent in 0..AGENTS {
        let labels = if agent % 2 == 0 { vec!["linux"] } else { vec!["linux", "arm"] };
        let labels = labels.into_iter().collect();
        let (agent, resources) = (AgentId(agent), Resources::default());
        let came = Event::AgentCame { agent, labels, places: PLACES, resources, images: vec![] };
        placed.extend(line.handle(came, Moment(0)));
    }
    assert_eq!(placed.len(), (AGENTS * u64::from(PLACES)) as usize);
    let mut of_project: BTreeMap<u64, u64> = BTreeMap::new();
    let mut next = 0;
    while placed.len() < PLACEMENTS {
        let Command::Place { run, .. } = placed[next] else { panic!("{:?}", placed[next]) };
        placed.extend(line.handle(Event::Finished { run }, Moment(next as u64)));
        next += 1;
    }
    for command in &placed {
        let Command::Place { run, .. } = command else { panic!("{command:?}") };
        *of_project.entry(run.0 % PROJECTS).or_default() += 1;
        assert_eq!(line.why(*run), None);
    }
    assert_eq!(line.waiting() as u64, RUNS - placed.len() as u64);
    let (least, most) = (of_project.values().min(), of_project.values().max());
    assert!(of_project.len() as u64 == PROJECTS && least >= Some(&8) && most <= Some(&12), "{least:?} {most:?}");
    for run in (0..RUNS).rev().filter(|run| line.is_waiting(RunId(*run))).take(50).collect::<Vec<_>>() {
        assert!(line.why(RunId(run)).is_some());
    }
}
