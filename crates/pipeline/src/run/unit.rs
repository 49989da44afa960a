//! A stage of the model, or a cell of a matrix, that can be held by a task of its own: the model with a path into it.

use std::rc::Rc;

use crate::declarative::model::{Cell, Directives, Matrix, Pipeline, Stage, StageContent, Steps, Tool};

/// Something that runs as a stage.
#[derive(Clone)]
pub(super) struct Unit {
    model: Rc<Pipeline>,
    path: Rc<[usize]>,
    cell: Option<Rc<Cell>>,
}

/// What a unit does.
pub(super) enum Content<'m> {
    Steps(&'m Steps),
    /// One after the other.
    Stages(Vec<Unit>),
    /// At the same time.
    Parallel(Vec<Unit>),
    /// A cell for each combination, at the same time.
    Matrix(&'m Matrix),
}

impl Unit {
    /// The stages of a pipeline.
    pub(super) fn roots(model: &Rc<Pipeline>) -> Vec<Unit> {
        (0..model.stages.len()).map(|i| Unit { model: Rc::clone(model), path: Rc::new([i]), cell: None }).collect()
    }

    /// The stage (of a cell: the stage with the matrix).
    pub(super) fn stage(&self) -> &Stage {
        self.at(&self.path)
    }

    fn at(&self, path: &[usize]) -> &Stage {
        let mut stage = &self.model.stages[path[0]];
        for index in &path[1..] {
            stage = match &stage.content {
                StageContent::Stages(stages) | StageContent::Parallel(stages) => &stages[*index],
                StageContent::Matrix(matrix) => &matrix.stages[*index],
                StageContent::Steps(_) => break,
            };
        }
        stage
    }

    /// Its name.
    pub(super) fn name(&self) -> String {
        match &self.cell {
            Some(cell) => {
                let values: Vec<String> = cell.iter().map(|(n, v)| format!("{n} = '{v}'")).collect();
                format!("Matrix - {}", values.join(", "))
            }
            None => self.stage().name.to_string(),
        }
    }

    /// What surrounds its content.
    pub(super) fn directives(&self) -> &Directives {
        match (&self.cell, &self.stage().content) {
            (Some(_), StageContent::Matrix(matrix)) => &matrix.directives,
            _ => &self.stage().directives,
        }
    }

    /// The tools of the stage around it, or else those of the pipeline.
    pub(super) fn outer_tools(&self) -> &[Tool] {
        let Some((_, around @ [_, ..])) = self.path.split_last() else { return &self.model.tools };
        let around = self.at(around);
        let of_stage = match &around.content {
            StageContent::Matrix(matrix) => &matrix.directives.tools,
            _ => &around.directives.tools,
        };
        if of_stage.is_empty() { &self.model.tools } else { of_stage }
    }

    /// The axes of a cell with their values.
    pub(super) fn axes(&self) -> Option<Vec<(String, String)>> {
        let cell = self.cell.as_ref()?;
        Some(cell.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect())
    }

    /// What it does.
    pub(super) fn content(&self) -> Content<'_> {
        match (&self.stage().content, &self.cell) {
            (StageContent::Steps(steps), _) => Content::Steps(steps),
            (StageContent::Stages(stages), _) => Content::Stages(self.children(stages.len())),
            (StageContent::Parallel(stages), _) => Content::Parallel(self.children(stages.len())),
            (StageContent::Matrix(matrix), Some(_)) => Content::Stages(self.children(matrix.stages.len())),
            (StageContent::Matrix(matrix), None) => Content::Matrix(matrix),
        }
    }

    /// Do its children run at the same time?
    pub(super) fn is_parallel(&self) -> bool {
        matches!(self.content(), Content::Parallel(_) | Content::Matrix(_))
    }

    /// The same stage as one cell of its matrix.
    pub(super) fn as_cell(&self, cell: Cell) -> Unit {
        Unit { cell: Some(Rc::new(cell)), ..self.clone() }
    }

    fn children(&self, count: usize) -> Vec<Unit> {
        let child = |i| {
            let path = self.path.iter().copied().chain([i]).collect();
            Unit { model: Rc::clone(&self.model), path, cell: None }
        };
        (0..count).map(child).collect()
    }
}
