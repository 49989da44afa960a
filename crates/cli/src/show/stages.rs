//! What is known of the stages and steps of a run, gathered from its events; the views read it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use model::event::{Event, LogSource};
use model::ids::{StageId, StepId};
use model::outcome::Outcome;

/// Lines kept of each running step for the live view.
const TAIL_LINES: usize = 4;

/// A stage or branch.
#[derive(Debug)]
pub struct Stage {
    pub id: StageId,
    pub name: String,
    pub depth: usize,
    pub started: Duration,
    pub ended: Option<(Duration, Outcome)>,
    pub skipped: bool,
}

/// A step that has begun.
#[derive(Debug)]
pub struct Step {
    pub stage: Option<StageId>,
    pub title: String,
    pub started: Duration,
    pub tail: VecDeque<String>,
}

/// The stages in the order in which a reader expects them: children after their parent.
#[derive(Debug, Default)]
pub struct Stages {
    order: Vec<Stage>,
    parents: HashMap<StageId, Option<StageId>>,
    pub running: HashMap<StepId, Step>,
}

impl Stages {
    /// Takes in an event.
    pub fn apply(&mut self, at: Duration, event: &Event) {
        match event {
            Event::StageStarted { stage, parent, name, .. } => self.insert(at, *stage, *parent, name),
            Event::StageSkipped { stage, .. } => self.skip(*stage),
            Event::StageFinished { stage, outcome } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.ended = Some((at, *outcome));
                }
            }
            Event::StepStarted { step, stage, name, label } => {
                let title = label.as_ref().map_or_else(|| name.clone(), |label| format!("{name} {label}"));
                self.running.insert(*step, Step { stage: *stage, title, started: at, tail: VecDeque::new() });
            }
            Event::StepFinished { step, .. } => {
                self.running.remove(step);
            }
            Event::Log { source: LogSource::Pipeline, .. } => {}
            Event::Log { step: Some(step), text, .. } => {
                if let Some(step) = self.running.get_mut(step) {
                    if step.tail.len() == TAIL_LINES {
                        step.tail.pop_front();
                    }
                    step.tail.push_back(text.clone());
                }
            }
            _ => {}
        }
    }

    fn insert(&mut self, at: Duration, id: StageId, parent: Option<StageId>, name: &str) {
        let depth = parent.and_then(|p| self.order.iter().find(|s| s.id == p)).map_or(0, |p| p.depth + 1);
        // After the last descendant of the parent, so that branches that run at once do not mix.
        let place = parent
            .and_then(|p| self.order.iter().rposition(|s| self.descends(s.id, p)))
            .map_or(self.order.len(), |i| i + 1);
        self.parents.insert(id, parent);
        self.order.insert(place, Stage { id, name: name.to_owned(), depth, started: at, ended: None, skipped: false });
    }

    /// Marks a stage as skipped, and the branch around it, which has nothing else to do.
    fn skip(&mut self, id: StageId) {
        let parent = self.parents.get(&id).copied().flatten();
        let name = self.stage(id).map(|stage| stage.name.clone());
        for id in [Some(id), parent].into_iter().flatten() {
            if let Some(stage) = self.stage_mut(id).filter(|stage| Some(&stage.name) == name.as_ref()) {
                stage.skipped = true;
            }
        }
    }

    fn descends(&self, mut stage: StageId, ancestor: StageId) -> bool {
        loop {
            if stage == ancestor {
                return true;
            }
            match self.parents.get(&stage) {
                Some(Some(parent)) => stage = *parent,
                _ => return false,
            }
        }
    }

    fn stage_mut(&mut self, id: StageId) -> Option<&mut Stage> {
        self.order.iter_mut().find(|s| s.id == id)
    }

    /// The stage of that id.
    pub fn stage(&self, id: StageId) -> Option<&Stage> {
        self.order.iter().find(|s| s.id == id)
    }

    /// In display order.
    pub fn iter(&self) -> impl Iterator<Item = &Stage> {
        self.order.iter()
    }

    /// `Build › linux`: the names from the outermost stage to this one.
    pub fn path(&self, id: Option<StageId>) -> String {
        let mut names: Vec<&str> = Vec::new();
        let mut next = id;
        while let Some(stage) = next {
            // A parallel stage is a branch with a stage of the same name in it.
            names.extend(self.stage(stage).map(|s| s.name.as_str()).filter(|name| names.last() != Some(name)));
            next = self.parents.get(&stage).copied().flatten();
        }
        names.reverse();
        names.join(" › ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(stage: u64, parent: Option<u64>, name: &str) -> Event {
        Event::StageStarted { stage: StageId(stage), parent: parent.map(StageId), name: name.to_owned(), branch: false }
    }

    #[test]
    fn children_stand_below_their_parent_in_any_order() {
        let mut stages = Stages::default();
        for event in
            [started(1, None, "All"), started(2, Some(1), "a"), started(3, Some(1), "b"), started(4, Some(2), "a1")]
        {
            stages.apply(Duration::ZERO, &event);
        }
        let names: Vec<_> = stages.iter().map(|s| (s.depth, s.name.as_str())).collect();
        assert_eq!(names, [(0, "All"), (1, "a"), (2, "a1"), (1, "b")]);
        assert_eq!(stages.path(Some(StageId(4))), "All › a › a1");
    }
}
