//! What a container of a pod runs from its start on: a database, say, which the other containers reach at `localhost`.
//!
//! It is no step: its output is in no log. Where it ends before its pod does, the run is told of that, with its last lines.

use std::collections::{BTreeMap, VecDeque};

use image::ImageConfig;
use model::event::{Event, LogSource};
use model::request::PodContainer;
use sandbox::session::{Output, Running, Session, SessionError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::init::{ExecSpec, InputMode, Status, User};

use crate::failure::Trouble;
use crate::lines::Lines;

/// So much of its output is read; the rest is dropped where it runs.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;
/// How many of its last lines are told.
const LAST_LINES: usize = 20;

/// A program that runs beside the steps of its container, and ends with this.
pub struct Service(JoinHandle<()>);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where one runs.
pub struct Place<'a> {
    pub session: &'a Session,
    pub user: &'a User,
    pub env: &'a BTreeMap<String, String>,
}

impl Service {
    /// Starts it as a cluster does, with `image`'s entry point and words where the pod says none. `None`: nobody says any.
    pub async fn start(
        container: &PodContainer,
        image: &ImageConfig,
        at: Place<'_>,
        events: &mpsc::Sender<Event>,
    ) -> Result<Option<Service>, Trouble> {
        let argv = words(container, &image.entrypoint, &image.cmd);
        let Some(program) = argv.first().cloned() else { return Ok(None) };
        let dir = container.dir.as_ref().unwrap_or(&image.working_dir);
        // A cluster makes it where it is not there. Where that fails, the start says why.
        let _ = at.session.make_dir(None, dir, 0o755, None).await;
        let mut env = at.env.clone();
        env.extend(container.env.iter().cloned());
        let spec = ExecSpec {
            argv,
            env: env.into_iter().collect(),
            cwd: dir.clone(),
            user: at.user.clone(),
            // It stays open: there are those that wait for its end (`cat`).
            input: InputMode::Pipe,
            output_limit: Some(MAX_OUTPUT_BYTES),
            ..ExecSpec::default()
        };
        let running = at.session.exec(spec).await.map_err(|error| match error {
            SessionError::Operation(why) => {
                Trouble::workload(format!("container {} of the pod: cannot start {program}: {why}", container.name))
            }
            error => error.into(),
        })?;
        let (name, events) = (container.name.clone(), events.clone());
        Ok(Some(Service(tokio::spawn(async move {
            // Where its sandbox ends with it, it was ended.
            let Ok((status, last)) = listen(running).await else { return };
            let end = match status {
                Status::Code(code) => format!("exit code {code}"),
                Status::Signal(signal) => format!("signal {signal}"),
            };
            let ended = format!("container {name}: its command has ended ({end})");
            let said = last.into_iter().map(|line| format!("container {name}: {line}"));
            for text in std::iter::once(ended).chain(said) {
                let _ = events.send(Event::Log { step: None, stage: None, source: LogSource::System, text }).await;
            }
        }))))
    }
}

/// Until it ends: how, and what it said last.
async fn listen(mut running: Running) -> Result<(Status, VecDeque<String>), SessionError> {
    let (mut lines, mut last) = (Lines::new(None), VecDeque::with_capacity(LAST_LINES));
    let mut keep = |line| {
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    };
    while let Some(output) = running.next().await? {
        if let Output::Data { data, .. } = output {
            lines.push(&data, &mut keep);
        }
    }
    lines.finish(&mut keep);
    Ok((running.wait().await?.status, last))
}

/// Source: Kubernetes, "Define a Command and Arguments for a Container".
fn words(container: &PodContainer, entrypoint: &[String], cmd: &[String]) -> Vec<String> {
    let PodContainer { command, args, .. } = container;
    match (command.is_empty(), args.is_empty()) {
        (true, true) => [entrypoint, cmd].concat(),
        (true, false) => [entrypoint, args].concat(),
        (false, _) => [&command[..], args].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_replaces_all_words_of_the_image_and_arguments_only_its_own() {
        let check = |command: &[&str], args: &[&str], expect: &str| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let container = PodContainer { command: owned(command), args: owned(args), ..PodContainer::default() };
            assert_eq!(words(&container, &owned(&["entry"]), &owned(&["serve"])).join(" "), expect);
        };
        check(&[], &[], "entry serve");
        check(&[], &["-v"], "entry -v");
        check(&["sleep"], &[], "sleep");
        check(&["sleep"], &["1"], "sleep 1");
    }
}
