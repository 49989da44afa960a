//! Each rule of the line, by the name of its behaviour.

mod rules;
mod shares;
mod why;

use super::*;

/// A line, and a clock. Commands are compared as text: `1@7` is run 1 at agent 7.
struct Scene {
    line: Line,
    now: u64,
    /// What agents that come have.
    resources: Resources,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut LineSettings)) -> Scene {
        let mut settings = LineSettings { half_life_ms: 1_000_000, least_ms: 1, ..LineSettings::default() };
        change(&mut settings);
        Scene { line: Line::new(settings).unwrap(), now: 1_000_000, resources: Resources::default() }
    }

    fn tell(&mut self, event: Event) -> String {
        let commands = self.line.handle(event, Moment(self.now)).into_iter().map(|command| match command {
            Command::Place { run, agent } => format!("{}@{}", run.0, agent.0),
            Command::Expire { run } => format!("expire {}", run.0),
            Command::Supersede { run, by } => format!("supersede {} by {}", run.0, by.0),
        });
        commands.collect::<Vec<_>>().join(", ")
    }

    fn came(&mut self, agent: u64, labels: &str, places: u32) -> String {
        let labels = labels.split_whitespace().collect();
        self.tell(Event::AgentCame { agent: AgentId(agent), labels, places, resources: self.resources, images: vec![] })
    }

    fn drained(&mut self, agent: u64) -> String {
        self.tell(Event::AgentDrained { agent: AgentId(agent) })
    }

    fn went(&mut self, agent: u64) -> String {
        self.tell(Event::AgentWent { agent: AgentId(agent) })
    }

    fn images(&mut self, agent: u64, images: &[&str]) -> String {
        let images = images.iter().map(|image| ImageName::from(*image)).collect();
        self.tell(Event::ImagesChanged { agent: AgentId(agent), images })
    }

    fn queue(&mut self, run: u64, project: &str) -> String {
        self.queue_with(run, project, |_| ())
    }

    fn queue_with(&mut self, run: u64, project: &str, change: impl FnOnce(&mut Item)) -> String {
        let mut item = Item::new(RunId(run), project);
        change(&mut item);
        self.tell(Event::Queued(item))
    }

    fn finish(&mut self, run: u64) -> String {
        self.tell(Event::Finished { run: RunId(run) })
    }

    fn rest(&mut self, run: u64) -> String {
        self.tell(Event::Rested { run: RunId(run) })
    }

    fn withdraw(&mut self, run: u64) -> String {
        self.tell(Event::Withdrawn { run: RunId(run) })
    }

    fn terms(&mut self, project: &str, weight: u32, at_once: Option<u32>) -> String {
        let terms = Some(Terms { weight: weight.try_into().unwrap(), at_once });
        self.tell(Event::TermsSet { project: project.into(), terms })
    }

    /// Finishes whatever has the only place, until nothing waits, and returns who had it.
    fn one_after_another(&mut self, mut placed: String) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some((run, _)) = placed.split_once('@') {
            order.push(run.parse().unwrap());
            self.now += 10;
            placed = self.finish(*order.last().unwrap());
        }
        order
    }

    #[track_caller]
    fn check_why(&self, run: u64, expect: &str) {
        let why = self.line.why(RunId(run)).map(|waits| waits.to_string());
        assert_eq!(why.as_deref().unwrap_or("it does not wait"), expect);
    }
}

fn labels(text: &'static str) -> impl FnOnce(&mut Item) {
    move |item| item.labels = text.parse().unwrap()
}

fn background(item: &mut Item) {
    item.class = Class::Background;
}

fn priority(priority: i32) -> impl FnOnce(&mut Item) {
    move |item| item.priority = priority
}

fn alone(item: &mut Item) {
    item.branch = Some(Branch { name: "main".into(), alone: true, yields: false });
}

fn on_main(item: &mut Item) {
    item.branch = Some(Branch { name: "main".into(), alone: false, yields: false });
}

fn yields(item: &mut Item) {
    item.branch = Some(Branch { name: "main".into(), alone: false, yields: true });
}
