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
    branch: bool,
    children: usize,
    /// The stage of the same name in it.
    twin: Option<StageId>,
    /// It does something itself, or ends otherwise than the stage in it.
    is_own: bool,
    pub started: Duration,
    pub ended: Option<(Duration, Outcome)>,
    pub skipped: bool,
}

impl Stage {
    /// A branch of `parallel`.
    pub fn is_branch(&self) -> bool {
        self.branch
    }

    /// A parallel stage is a branch with a stage of the same name in it: shown once.
    pub fn is_hidden(&self) -> bool {
        self.branch && self.twin.is_some() && self.children == 1 && !self.is_own
    }
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
            Event::StageStarted { stage, parent, name, branch } => self.insert(at, *stage, *parent, name, *branch),
            Event::StageSkipped { stage, .. } => {
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.skipped = true;
                }
            }
            Event::StageFinished { stage, outcome } => {
                let twin = self.stage(*stage).and_then(|stage| stage.twin).and_then(|twin| self.stage(twin));
                let is_worse = twin.and_then(|twin| twin.ended).is_some_and(|(_, ended)| ended < *outcome);
                if let Some(stage) = self.stage_mut(*stage) {
                    stage.ended = Some((at, *outcome));
                    // What the stage was warned of is not what the branch came to.
                    stage.is_own |= is_worse;
                }
            }
            Event::JobRequested { stage: Some(stage), .. } => self.does_something(*stage),
            Event::StepStarted { step, stage, name, label } => {
                // `stage` is the step that the stage in it is.
                if let Some(stage) = stage.filter(|_| name != "stage") {
                    self.does_something(stage);
                }
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

    fn does_something(&mut self, stage: StageId) {
        if let Some(stage) = self.stage_mut(stage) {
            stage.is_own = true;
        }
    }

    fn insert(&mut self, at: Duration, id: StageId, parent: Option<StageId>, name: &str, branch: bool) {
        if let Some(parent) = parent.and_then(|p| self.stage_mut(p)) {
            parent.children += 1;
            parent.twin = parent.twin.or((parent.name == name).then_some(id));
        }
        // After the last descendant of the parent, so that branches that run at once do not mix.
        let place = parent
            .and_then(|p| self.order.iter().rposition(|s| self.descends(s.id, p)))
            .map_or(self.order.len(), |i| i + 1);
        self.parents.insert(id, parent);
        let name = name.to_owned();
        let stage = Stage {
            id,
            name,
            branch,
            children: 0,
            twin: None,
            is_own: false,
            started: at,
            ended: None,
            skipped: false,
        };
        self.order.insert(place, stage);
    }

    /// How many stages that are shown stand around it.
    pub fn depth(&self, id: StageId) -> usize {
        let mut depth = 0;
        let mut next = self.parents.get(&id).copied().flatten();
        while let Some(around) = next {
            depth += usize::from(self.stage(around).is_some_and(|stage| !stage.is_hidden()));
            next = self.parents.get(&around).copied().flatten();
        }
        depth
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

    /// Those that are shown, in display order.
    pub fn iter(&self) -> impl Iterator<Item = &Stage> {
        self.order.iter().filter(|stage| !stage.is_hidden())
    }

    /// `Build › linux`: the names from the outermost stage to this one.
    pub fn path(&self, id: Option<StageId>) -> String {
        let mut names: Vec<&str> = Vec::new();
        let mut next = id;
        while let Some(stage) = next {
            names.extend(self.stage(stage).filter(|s| !s.is_hidden()).map(|s| s.name.as_str()));
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
        let names: Vec<_> = stages.iter().map(|s| (stages.depth(s.id), s.name.as_str())).collect();
        assert_eq!(names, [(0, "All"), (1, "a"), (2, "a1"), (1, "b")]);
        assert_eq!(stages.path(Some(StageId(4))), "All › a › a1");
    }

    #[test]
    fn a_branch_with_one_stage_of_its_name_is_shown_once() {
        let branch = |stage: u64, name: &str| Event::StageStarted {
            stage: StageId(stage),
            parent: Some(StageId(1)),
            name: name.to_owned(),
            branch: true,
        };
        let mut stages = Stages::default();
        for event in [started(1, None, "All"), branch(2, "a"), started(3, Some(2), "a"), branch(4, "b")] {
            stages.apply(Duration::ZERO, &event);
        }
        let shown = |stages: &Stages| stages.iter().map(|s| (stages.depth(s.id), s.id.0)).collect::<Vec<_>>();
        assert_eq!(shown(&stages), [(0, 1), (1, 3), (1, 4)]);
        assert_eq!(stages.path(Some(StageId(3))), "All › a");
        // What the stage was warned of ends with it; a branch that came to something worse has a line of its own.
        let ended = |stage: u64, outcome| Event::StageFinished { stage: StageId(stage), outcome };
        for (outcome, expect) in
            [(Outcome::Success, vec![(0, 1), (1, 3), (1, 4)]), (Outcome::Aborted, vec![(0, 1), (1, 2), (2, 3), (1, 4)])]
        {
            let mut stages = Stages::default();
            let begun = [started(1, None, "All"), branch(2, "a"), started(3, Some(2), "a"), branch(4, "b")];
            let events = begun.into_iter().chain([ended(3, Outcome::Failure), ended(2, outcome)]);
            events.for_each(|event| stages.apply(Duration::ZERO, &event));
            assert_eq!(shown(&stages), expect, "{outcome:?}");
        }
        stages.apply(Duration::ZERO, &started(5, Some(2), "c"));
        assert_eq!(shown(&stages), [(0, 1), (1, 2), (2, 3), (2, 5), (1, 4)]);
    }
}
