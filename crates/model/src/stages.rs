//! The stages of a run, as its events tell of them: what is in what, how it went, how long it took.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::ids::StageId;
use crate::outcome::Outcome;

/// Stages within stages: those that are further in stand beside each other.
const DEEPEST: usize = 30;

/// A stage, or a branch of a parallel one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Of `parallel`.
    pub is_branch: bool,
    /// When it began.
    pub began: u64,
    /// When it ended, and how.
    pub ended: Option<(u64, Outcome)>,
    /// Why it was not run.
    pub skipped: Option<String>,
    /// What is in it, in its order.
    pub within: Vec<Stage>,
}

/// A stage that has begun.
struct Begun {
    /// The place of the one around it.
    around: Option<usize>,
    depth: usize,
    stage: Stage,
}

/// Those that are in no other, from events and the moments at which they happened.
pub fn stages<'a>(events: impl IntoIterator<Item = (u64, &'a Event)>) -> Vec<Stage> {
    let (mut all, mut places) = (Vec::<Begun>::new(), BTreeMap::<StageId, usize>::new());
    for (at, event) in events {
        match event {
            Event::StageStarted { stage, parent, name, branch } if !places.contains_key(stage) => {
                let around = parent.and_then(|parent| places.get(&parent).copied());
                let is_deepest = |place: usize| all[place].depth >= DEEPEST;
                let around = around.and_then(|place| if is_deepest(place) { all[place].around } else { Some(place) });
                let depth = around.map_or(0, |place| all[place].depth + 1);
                let (name, is_branch, within) = (name.clone(), *branch, Vec::new());
                let stage_of = Stage { name, is_branch, began: at, ended: None, skipped: None, within };
                places.insert(*stage, all.len());
                all.push(Begun { around, depth, stage: stage_of });
            }
            Event::StageSkipped { stage, reason } => {
                if let Some(place) = places.get(stage) {
                    all[*place].stage.skipped = Some(reason.clone());
                }
            }
            Event::StageFinished { stage, outcome } => {
                if let Some(place) = places.get(stage) {
                    all[*place].stage.ended = Some((at, *outcome));
                }
            }
            _ => {}
        }
    }
    // What is around a stage has begun before it.
    let mut top = Vec::new();
    while let Some(Begun { around, stage, .. }) = all.pop() {
        let stage = stage.whole();
        match around {
            Some(place) => all[place].stage.within.push(stage),
            None => top.push(stage),
        }
    }
    top.reverse();
    top
}

impl Stage {
    /// With all that is in it, the last first until now. A branch that holds nothing but a stage of its own name is that stage.
    fn whole(mut self) -> Stage {
        self.within.reverse();
        let is_twin = |stage: &Stage| !stage.is_branch && stage.name == self.name;
        let is_that = self.is_branch && matches!(self.within.as_slice(), [only] if is_twin(only));
        if is_that && let Some(only) = self.within.pop() {
            // A stage knows of what has only warned in it, as a branch does not.
            self.ended = match (self.ended, only.ended) {
                (Some((at, outcome)), Some((_, of_stage))) => Some((at, outcome.worst(of_stage))),
                (ended, of_stage) => ended.or(of_stage),
            };
            self.skipped = self.skipped.or(only.skipped);
            self.within = only.within;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(stage: u64, parent: Option<u64>, name: &str, branch: bool) -> Event {
        Event::StageStarted { stage: StageId(stage), parent: parent.map(StageId), name: name.into(), branch }
    }

    fn ended(stage: u64, outcome: Outcome) -> Event {
        Event::StageFinished { stage: StageId(stage), outcome }
    }

    /// Each in its own line, further in by what is around it; a branch with a star.
    fn lines(stages: &[Stage], depth: usize) -> Vec<String> {
        let each = stages.iter().flat_map(|stage| {
            let ended = stage.ended.map(|(at, outcome)| format!(" {}@{at}", outcome.name())).unwrap_or_default();
            let skipped = stage.skipped.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let star = if stage.is_branch { "*" } else { "" };
            let own = format!("{}{}{star}@{}{ended}{skipped}", " ".repeat(depth), stage.name, stage.began);
            [vec![own], lines(&stage.within, depth + 1)].concat()
        });
        each.collect()
    }

    fn told(events: &[Event]) -> Vec<String> {
        lines(&stages((0..).zip(events)), 0)
    }

    #[test]
    fn a_branch_that_is_a_stage_is_one() {
        let events = [
            started(1, None, "Test", false),
            started(2, Some(1), "linux", true),
            started(3, Some(1), "mac", true),
            started(4, Some(1), "skipped", true),
            started(5, Some(2), "linux", false),
            started(6, Some(3), "mac", false),
            started(7, Some(4), "skipped", false),
            Event::StageSkipped { stage: StageId(7), reason: "not now".into() },
            started(8, Some(5), "linux", false),
            ended(8, Outcome::Success),
            started(9, Some(5), "pack", false),
            ended(6, Outcome::Unstable),
            ended(3, Outcome::Success),
            ended(9, Outcome::Success),
            ended(5, Outcome::Success),
            started(10, None, "Deploy", false),
        ];
        let expect = [
            "Test@0",
            " linux*@1 SUCCESS@14",
            "  linux@8 SUCCESS@9",
            "  pack@10 SUCCESS@13",
            " mac*@2 UNSTABLE@12",
            " skipped*@3 (not now)",
            "Deploy@15",
        ];
        assert_eq!(told(&events), expect);
    }

    #[test]
    fn a_branch_that_holds_more_is_none() {
        let events = [
            started(1, None, "a", true),
            started(2, Some(1), "a", false),
            started(3, Some(1), "b", false),
            started(4, None, "c", true),
            started(5, Some(4), "d", false),
            started(6, None, "e", false),
            started(7, Some(6), "e", false),
            started(8, None, "f", true),
            started(9, Some(8), "f", true),
        ];
        let expect = ["a*@0", " a@1", " b@2", "c*@3", " d@4", "e@5", " e@6", "f*@7", " f*@8"];
        assert_eq!(told(&events), expect);
    }

    /// Whoever says so, no stage is in itself, nor further in than anybody reads.
    #[test]
    fn what_is_odd_is_told_of_as_far_as_anybody_reads() {
        let odd =
            [started(1, Some(1), "in itself", false), started(1, None, "twice", false), started(2, Some(7), "x", true)];
        assert_eq!(told(&odd), ["in itself@0", "x*@2"]);
        let deep: Vec<_> = (0..20_000_u64).map(|at| started(at, at.checked_sub(1), "deep", false)).collect();
        let found = told(&deep);
        let furthest = found.iter().map(|line| line.len() - line.trim_start().len()).max();
        assert_eq!((found.len(), furthest), (20_000, Some(DEEPEST)));
    }
}
