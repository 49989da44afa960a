//! The log as Jenkins lays it out, made from events. The engine says *what happened*; here is how a line of it reads.

use std::collections::BTreeMap;

use model::event::{Event, LogSource};
use model::ids::StageId;

/// Turns events into lines of a plain log.
#[derive(Debug, Default)]
pub struct LogRenderer {
    stages: BTreeMap<StageId, Stage>,
    branch_prefix: bool,
    timestamps: bool,
}

#[derive(Debug)]
struct Stage {
    parent: Option<StageId>,
    name: String,
    branch: bool,
}

impl LogRenderer {
    /// A renderer for one run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `[branch] ` before what runs inside a branch of `parallel`, as Jenkins did before the browser could do it.
    pub fn with_branch_prefix(mut self) -> Self {
        self.branch_prefix = true;
        self
    }

    /// Has the run asked for a time on each line?
    pub fn timestamps(&self) -> bool {
        self.timestamps
    }

    /// The line of an event, if it has one, without a line break.
    pub fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::StageStarted { stage, parent, name, branch } => {
                let entry = Stage { parent: *parent, name: name.clone(), branch: *branch };
                self.stages.insert(*stage, entry);
                None
            }
            Event::StageSkipped { stage, reason } => Some(self.prefixed(Some(*stage), reason)),
            Event::Log { source: LogSource::Pipeline, text, .. } => Some(text.clone()),
            Event::Log { stage, text, .. } => Some(self.prefixed(*stage, text)),
            Event::TimestampsSwitched { on } => {
                self.timestamps = *on;
                None
            }
            Event::RunFinished { outcome } => Some(format!("Finished: {}", outcome.name())),
            Event::TestsReported { .. }
            | Event::PropertiesSet { .. }
            | Event::Annotated { .. }
            | Event::CredentialUsed { .. }
            | Event::RunDescribed { .. }
            | Event::StageFinished { .. }
            | Event::JobRequested { .. }
            | Event::JobStarted { .. }
            | Event::JobFinished { .. }
            | Event::StepStarted { .. }
            | Event::StepRecorded { .. }
            | Event::StepFinished { .. } => None,
        }
    }

    /// The innermost branch of `parallel` around a stage.
    pub fn branch_of(&self, stage: StageId) -> Option<&str> {
        let mut at = Some(stage);
        while let Some(stage) = at.and_then(|id| self.stages.get(&id)) {
            if stage.branch {
                return Some(&stage.name);
            }
            at = stage.parent;
        }
        None
    }

    fn prefixed(&self, stage: Option<StageId>, text: &str) -> String {
        match stage.and_then(|s| self.branch_of(s)).filter(|_| self.branch_prefix) {
            Some(branch) => format!("[{branch}] {text}"),
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::outcome::Outcome;

    #[test]
    fn lines_of_a_branch_carry_its_name_where_asked() {
        let mut log = LogRenderer::new().with_branch_prefix();
        let start = |id, parent, name: &str, branch| Event::StageStarted {
            stage: StageId(id),
            parent,
            name: name.to_owned(),
            branch,
        };
        assert_eq!(log.line(&start(1, None, "a", true)), None);
        assert_eq!(log.line(&start(2, Some(StageId(1)), "inner", false)), None);
        let text = |source| Event::Log { step: None, stage: Some(StageId(2)), source, text: "x".to_owned() };
        assert_eq!(log.line(&text(LogSource::Stdout)).as_deref(), Some("[a] x"));
        assert_eq!(log.line(&text(LogSource::Pipeline)).as_deref(), Some("x"));
        let end = Event::RunFinished { outcome: Outcome::NotBuilt };
        assert_eq!(log.line(&end).as_deref(), Some("Finished: NOT_BUILT"));
    }
}
