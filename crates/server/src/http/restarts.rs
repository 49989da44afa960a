//! Whether and where a run may be begun again in its middle, as its events tell.
//!
//! Only a declarative pipeline may, and no definition is read here. But one that is declarative says what it says of its project when it begins, before
//! all of its stages: outside of every step, where a script says the same with the step `properties`.

use std::collections::HashMap;

use axum::http::StatusCode;
use model::event::Event;
use model::ids::{StageId, StepId};
use model::outcome::Outcome;
use store::Run;

use super::error::Refused;
use super::runs::EVENTS;
use crate::app::App;

/// What is known of a run by its events.
#[derive(Default)]
struct Told {
    is_declarative: bool,
    /// Something of it was done.
    has_begun: bool,
    /// The step `properties` that is under way.
    says: Option<StepId>,
    /// Stages at the top; of a declarative pipeline its own alone.
    names: HashMap<StageId, String>,
    /// The first of them that did not end well. `Some(None)`: what was before all stages.
    failed: Option<Option<String>>,
}

impl Told {
    fn hear(&mut self, event: &Event) {
        self.has_begun |= matches!(event, Event::StageStarted { .. } | Event::StepStarted { .. });
        match event {
            Event::StepStarted { step, name, .. } if name == "properties" => self.says = Some(*step),
            Event::StepFinished { step, .. } if self.says == Some(*step) => self.says = None,
            // What was before is no part of it.
            Event::PropertiesSet { .. } if self.says.is_none() => {
                *self = Told { is_declarative: true, has_begun: true, ..Told::default() }
            }
            Event::StageStarted { stage, parent: None, name, branch: false } => {
                self.names.insert(*stage, name.clone());
            }
            Event::StageFinished { stage, outcome } if !matches!(outcome, Outcome::Success | Outcome::NotBuilt) => {
                if let Some(name) = self.names.get(stage).filter(|_| self.failed.is_none()) {
                    // What Jenkins puts around the stages is none of the pipeline's.
                    self.failed = Some((!name.starts_with("Declarative: ")).then(|| name.clone()));
                }
            }
            _ => {}
        }
    }

    async fn of(app: &App, run: &Run) -> Result<Told, Refused> {
        let (mut told, mut after) = (Told::default(), 0);
        loop {
            let events = app.store.events(run.id, after, EVENTS).await?;
            events.iter().for_each(|(_, _, event)| told.hear(event));
            match events.last().filter(|_| events.len() == EVENTS as usize) {
                Some((last, ..)) => after = *last,
                None => return Ok(told),
            }
        }
    }
}

fn is_a_script(run: &Run) -> Refused {
    let whole = format!("all of it is run once more by `cofferdam rerun {}`", run.id.0);
    Refused(
        StatusCode::CONFLICT,
        format!("only a declarative pipeline begins with one of its stages, and this run has had none: {whole}"),
    )
}

/// The first stage at the top that did not end well. None: what was before all stages, and so is all of it.
pub(super) async fn first_failed(app: &App, run: &Run) -> Result<Option<String>, Refused> {
    let told = Told::of(app, run).await?;
    match told.failed {
        Some(_) if !told.is_declarative => Err(is_a_script(run)),
        Some(stage) => Ok(stage),
        None => Err(Refused(StatusCode::CONFLICT, "no stage of it has failed".into())),
    }
}

/// Refuses to begin a run with a stage where it can have none: it has come to its end, or that stage was in it, and to no declarative pipeline. What has not
/// come so far may have one.
pub(super) async fn has_place(app: &App, run: &Run, stage: &str) -> Result<(), Refused> {
    let told = Told::of(app, run).await?;
    let is_whole = matches!(run.outcome, Some(Outcome::Success | Outcome::Unstable)) && told.has_begun;
    let is_known = is_whole || told.names.values().any(|name| name == stage);
    if told.is_declarative || !is_known { Ok(()) } else { Err(is_a_script(run)) }
}

#[cfg(test)]
mod tests {
    use model::properties::Properties;

    use super::*;

    fn stage(stage: u64, name: &str, outcome: Outcome) -> [Event; 2] {
        let stage = StageId(stage);
        let began = Event::StageStarted { stage, parent: None, name: name.into(), branch: false };
        [began, Event::StageFinished { stage, outcome }]
    }

    fn told(events: &[Event]) -> (bool, Option<Option<String>>) {
        let mut told = Told::default();
        events.iter().for_each(|event| told.hear(event));
        (told.is_declarative, told.failed)
    }

    #[test]
    fn a_declarative_pipeline_is_known_by_what_it_says_outside_of_steps() {
        let says = || Event::PropertiesSet { properties: Properties::default() };
        let step = StepId(1);
        let by_step = [
            Event::StepStarted { step, stage: None, name: "properties".into(), label: None },
            says(),
            Event::StepFinished { step, outcome: Outcome::Success, message: None },
        ];
        let failed = |name: &str| Some(Some(name.to_owned()));
        let stages = [stage(1, "Build", Outcome::Success), stage(2, "Test", Outcome::Unstable)].concat();
        assert_eq!(told(&stages), (false, failed("Test")));
        assert_eq!(told(&[by_step.to_vec(), stages.clone()].concat()), (false, failed("Test")));
        assert_eq!(told(&[vec![says()], stages.clone()].concat()), (true, failed("Test")));
        // What a script does before its pipeline is none of its stages.
        let before = stage(7, "Prepare", Outcome::Failure);
        assert_eq!(told(&[before.to_vec(), by_step.to_vec(), vec![says()], stages].concat()), (true, failed("Test")));
        let around = [vec![says()], stage(1, "Declarative: Checkout SCM", Outcome::Failure).to_vec()].concat();
        assert_eq!(told(&around), (true, Some(None)));
        let well = [vec![says()], stage(1, "Build", Outcome::NotBuilt).to_vec()].concat();
        assert_eq!(told(&well), (true, None));
    }
}
