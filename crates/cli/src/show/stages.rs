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
    parent: Option<StageId>,
    children: Vec<StageId>,
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
        self.branch && self.twin.is_some() && self.children.len() == 1 && !self.is_own
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

/// The stages, and the order in which a reader expects them: children after their parent.
#[derive(Debug, Default)]
pub struct Stages {
    stages: HashMap<StageId, Stage>,
    /// Those without a parent.
    outermost: Vec<StageId>,
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
        let parent = parent.filter(|parent| self.stages.contains_key(parent));
        match parent.and_then(|parent| self.stage_mut(parent)) {
            Some(parent) => {
                parent.children.push(id);
                parent.twin = parent.twin.or((parent.name == name).then_some(id));
            }
            None => self.outermost.push(id),
        }
        let name = name.to_owned();
        let stage = Stage {
            id,
            name,
            branch,
            parent,
            children: Vec::new(),
            twin: None,
            is_own: false,
            started: at,
            ended: None,
            skipped: false,
        };
        self.stages.insert(id, stage);
    }

    /// How many stages that are shown stand around it.
    pub fn depth(&self, id: StageId) -> usize {
        self.outwards(self.stage(id).and_then(|stage| stage.parent)).filter(|stage| !stage.is_hidden()).count()
    }

    /// A stage and those around it.
    fn outwards(&self, id: Option<StageId>) -> impl Iterator<Item = &Stage> {
        let stage_of = |id: Option<StageId>| id.and_then(|id| self.stage(id));
        std::iter::successors(stage_of(id), move |stage| stage_of(stage.parent))
    }

    fn stage_mut(&mut self, id: StageId) -> Option<&mut Stage> {
        self.stages.get_mut(&id)
    }

    /// The stage of that id.
    pub fn stage(&self, id: StageId) -> Option<&Stage> {
        self.stages.get(&id)
    }

    /// Those that are shown, in display order: what is in a stage behind it, so that branches that run at once do not mix.
    pub fn iter(&self) -> impl Iterator<Item = &Stage> {
        let mut next: Vec<StageId> = self.outermost.iter().rev().copied().collect();
        let in_order = std::iter::from_fn(move || {
            let stage = self.stage(next.pop()?)?;
            next.extend(stage.children.iter().rev());
            Some(stage)
        });
        in_order.filter(|stage| !stage.is_hidden())
    }

    /// `Build › linux`: the names from the outermost stage to this one.
    pub fn path(&self, id: Option<StageId>) -> String {
        let mut names: Vec<&str> =
            self.outwards(id).filter(|stage| !stage.is_hidden()).map(|stage| stage.name.as_str()).collect();
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
