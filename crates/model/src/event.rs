//! What happened in a run, in the past tense. The terminal, the log and `--output json` are all made from these.

use serde::{Deserialize, Serialize};

use crate::annotation::Annotation;
use crate::credential::CredentialKind;
use crate::ids::{JobId, StageId, StepId};
use crate::outcome::Outcome;
use crate::properties::Properties;
use crate::rung::Rung;
use crate::said::Said;
use crate::test_result::TestCase;

/// One thing that happened. The shell around the evaluator adds the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage or parallel branch began.
    StageStarted {
        /// Its id.
        stage: StageId,
        /// The stage or branch around it.
        parent: Option<StageId>,
        /// Name.
        name: String,
        /// A branch of `parallel`, not a stage.
        branch: bool,
    },
    /// It will not run.
    StageSkipped {
        /// Which.
        stage: StageId,
        /// Jenkins' words: `Stage "x" skipped due to when conditional`.
        reason: String,
    },
    /// It ended.
    StageFinished {
        /// Which.
        stage: StageId,
        /// How.
        outcome: Outcome,
    },
    /// A sandbox was asked for.
    JobRequested {
        /// Which.
        job: JobId,
        /// The stage it belongs to.
        stage: Option<StageId>,
        /// What for, in words: `maven:3`, `any`.
        agent: String,
    },
    /// A sandbox is there.
    JobStarted {
        /// Which.
        job: JobId,
        /// How strong its walls are.
        rung: Rung,
        /// What made it.
        driver: String,
        /// Why that one, in words.
        why: String,
        /// The image by digest, where there is one.
        image: Option<String>,
        /// Microseconds from request to ready, by part (`pull`, `create`).
        took_us: Vec<(String, u64)>,
    },
    /// It is gone, with everything in it.
    JobFinished {
        /// Which.
        job: JobId,
        /// A limit that was met, in words.
        limit: Option<String>,
    },
    /// A step began.
    StepStarted {
        /// Its id.
        step: StepId,
        /// The stage or branch around it.
        stage: Option<StageId>,
        /// `sh`.
        name: String,
        /// First line of the script, or the `label`.
        label: Option<String>,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        step: StepId,
        /// How.
        outcome: Outcome,
        /// What went wrong.
        message: Option<String>,
    },
    /// What a step was asked for that does not do it, for it would tell somebody something whom nobody here knows.
    StepRecorded {
        /// Which.
        step: StepId,
        /// `slackSend`.
        name: String,
        /// Its arguments by their names, within the bounds of [`crate::said`]; what looks like a secret is left out.
        arguments: Said,
    },
    /// A line of the log, without its line break.
    Log {
        /// The step that wrote it.
        step: Option<StepId>,
        /// The stage or branch around it.
        stage: Option<StageId>,
        /// Who wrote it.
        source: LogSource,
        /// The text; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// Tests, as a workload has reported them; a step may say this several times.
    TestsReported {
        /// The step that has read them.
        step: StepId,
        /// At most [`crate::test_result::MAX_REPORTED_CASES`].
        cases: Vec<TestCase>,
    },
    /// Remarks on lines of the project's files; a step may say this several times.
    Annotated {
        /// The step that has made them.
        step: StepId,
        /// Of all of a run, [`crate::annotation::MAX_OF_RUN`] are kept.
        annotations: Vec<Annotation>,
    },
    /// What the definition says of its project: a declarative pipeline says it when it begins, a script with the step `properties`.
    PropertiesSet {
        /// All of it.
        properties: Properties,
    },
    /// A credential was given away.
    CredentialUsed {
        /// The job that has it now.
        job: Option<JobId>,
        /// The step that asked for it.
        step: Option<StepId>,
        /// Its id.
        id: String,
        /// What it is.
        kind: CredentialKind,
        /// What for, in words.
        purpose: String,
    },
    /// The run says of itself what it is called and what it is (`currentBuild.displayName`, `.description`).
    RunDescribed {
        /// Instead of its number.
        name: Option<String>,
        /// In words.
        description: Option<String>,
    },
    /// From here on (or no longer) each line of the log should carry its time: the `timestamps` step and option.
    TimestampsSwitched {
        /// On or off.
        on: bool,
    },
    /// The run ended.
    RunFinished {
        /// How.
        outcome: Outcome,
    },
}

impl Event {
    /// All text in it that a workload or its definition has written.
    pub fn each_text(&mut self, change: &mut impl FnMut(&mut String)) {
        match self {
            Event::StageStarted { name, .. } => change(name),
            Event::StageSkipped { reason, .. } => change(reason),
            Event::JobRequested { agent, .. } => change(agent),
            Event::JobStarted { driver, why, image, .. } => {
                change(driver);
                change(why);
                image.iter_mut().for_each(change);
            }
            Event::JobFinished { limit, .. } => limit.iter_mut().for_each(change),
            Event::StepStarted { name, label, .. } => {
                change(name);
                label.iter_mut().for_each(change);
            }
            Event::StepFinished { message, .. } => message.iter_mut().for_each(change),
            Event::StepRecorded { name, arguments, .. } => {
                change(name);
                arguments.each_text(change);
            }
            Event::Log { text, .. } => change(text),
            Event::TestsReported { cases, .. } => cases.iter_mut().for_each(|case| case.each_text(change)),
            Event::Annotated { annotations, .. } => annotations.iter_mut().for_each(|of| of.each_text(change)),
            Event::CredentialUsed { id, purpose, .. } => {
                change(id);
                change(purpose);
            }
            Event::RunDescribed { name, description } => name.iter_mut().chain(description).for_each(change),
            Event::PropertiesSet { properties } => {
                for parameter in &mut properties.parameters {
                    let own = [&mut parameter.description, &mut parameter.default].into_iter();
                    own.chain(&mut parameter.choices).for_each(&mut *change);
                }
            }
            Event::StageFinished { .. } | Event::TimestampsSwitched { .. } | Event::RunFinished { .. } => {}
        }
    }
}

/// Who wrote a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// Jenkins' own markers: `[Pipeline] { (foo)`.
    Pipeline,
    /// A step (`echo`) or an error report.
    Step,
    /// Standard output of a process.
    Stdout,
    /// Standard error of a process.
    Stderr,
    /// Cofferdam itself (pull progress, limits).
    System,
}
