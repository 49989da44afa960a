//! `sh`: a script in a sandbox, its output as log lines, its end with the reason.

use std::sync::atomic::Ordering;

use encoding_rs::Encoding;
use model::event::{Event, LogSource};
use model::ids::StepId;
use model::limits::{MAX_CAPTURE_BYTES, TERM_GRACE};
use model::request::{Reply, ShellScript};
use sandbox::session::{Appending, Output, Running, SessionError};
use sandbox::{EndCause, Ended, LimitKind, LimitMet};
use tokio::sync::{mpsc, oneshot};
use wire::init::{ExecSpec, OutputMode, Stream};

use crate::failure::Trouble;
use crate::hurry::Hurry;
use crate::job::Job;
use crate::lines::Lines;
use crate::quota::Quota;

/// Processes that there is to be room for after a step.
const ROOM: usize = 8;

/// Runs a script. `cancelled` resolves when the pipeline no longer wants it; in a hurry its processes get no time to end. What is logged of
/// its output goes into `copies`, too.
pub async fn run(
    job: &Job,
    step: StepId,
    script: ShellScript,
    copies: Vec<(String, Appending)>,
    (events, cancelled, hurry): (&mpsc::Sender<Event>, &mut oneshot::Receiver<()>, &Hurry),
) -> Result<Reply, Trouble> {
    if let Some(label) = script.encoding.as_deref()
        && Encoding::for_label(label.as_bytes()).is_none()
    {
        return Err(
            Trouble::workload(format!("no encoding is named {label:?}")).with_hint("UTF-8, ISO-8859-1, windows-1252 …")
        );
    }
    let folder = format!("{}@tmp/durable-{}", job.workspace, step.0);
    let file = format!("{folder}/script.sh");
    let owner = Some(job.user.clone());
    let executable = if script.interpreter.is_some() { 0o755 } else { 0o644 };
    tokio::try_join!(
        job.session.write_file(owner.clone(), &file, script.text.as_bytes(), executable),
        job.session.make_dir(owner.clone(), &script.dir, 0o755, None),
    )?;

    let mut argv = script.interpreter.clone().unwrap_or_else(|| vec!["sh".to_owned(), "-xe".to_owned()]);
    argv.push(file);
    let shell = argv[0].clone();
    let mut env = job.env.clone();
    env.extend(script.env.iter().cloned());
    let mut spec = ExecSpec {
        argv,
        env: env.into_iter().collect(),
        cwd: script.dir.clone(),
        user: job.user.clone(),
        output: if script.capture { OutputMode::Split } else { OutputMode::Merged },
        output_limit: Some(job.log.room()),
        ..ExecSpec::default()
    };
    if let Some(contained) = &job.contained {
        spec = contained.wrap(spec, &script.env, &folder).await?;
    }
    let mut running = match job.session.exec(spec).await {
        Ok(running) => running,
        Err(SessionError::Operation(error)) if error.is_not_found() => return Err(no_shell(&shell, job)),
        Err(error) => return Err(died(job, error.into()).await),
    };
    let mut sink = Sink::new(step, events, &script, &job.log);
    sink.copies = copies;
    let mut was_cancelled = false;
    let mut drained = Ok(());
    tokio::select! {
        end = sink.drain(&mut running) => drained = end,
        _ = &mut *cancelled => was_cancelled = true,
    }
    if was_cancelled {
        // Whoever writes them is in the sandbox, and may have been stopped there.
        sink.copies.clear();
        sink.say("Sending interrupt signal to process").await;
        if let Some(contained) = &job.contained {
            contained.signal(&folder, "TERM").await;
        }
        let mut control = running.control();
        let (rest, ended) = tokio::join!(sink.drain(&mut running), control.terminate(hurry.or_after(TERM_GRACE)));
        drained = rest.and(ended);
        if let Some(contained) = &job.contained {
            contained.signal(&folder, "KILL").await;
        }
    }
    if let Err(error) = drained {
        return Err(died(job, error.into()).await);
    }
    let exit = match running.wait().await {
        Ok(exit) => exit,
        Err(error) => return Err(died(job, error.into()).await),
    };
    let copied = tokio::select! {
        copied = sink.finish_copies() => copied,
        _ = &mut *cancelled, if !was_cancelled => {
            was_cancelled = true;
            Ok(())
        }
    };
    sink.copies.clear();
    let lost = sink.lost;
    let stdout = sink.finish().await;
    // Nobody waits for that: the next step has a folder of its own, and the sandbox may end before.
    let session = job.session.clone();
    tokio::spawn(async move { session.remove_tree(owner, &folder, false).await });
    let met = job.limits_met().await;
    make_room(job, &met, step, events).await;
    if was_cancelled {
        return Ok(Reply::Cancelled);
    }
    let code = exit.status.code();
    if code != 0 {
        // The first one stays.
        let _ = job.failed_in.set((script.dir.clone(), script.env.clone()));
    }
    if code == 0 {
        // A script that goes on after what a limit did to it should know why.
        for limit in &met {
            let text = format!("the {limit} was met");
            let _ = events.send(Event::Log { step: Some(step), stage: None, source: LogSource::System, text }).await;
        }
    }
    if code != 0
        && met.is_empty()
        && let Some(text) = near_memory_limit(job, exit.usage.max_rss_kib << 10).await
    {
        let _ = events.send(Event::Log { step: Some(step), stage: None, source: LogSource::System, text }).await;
    }
    if let Err(trouble) = copied {
        if code == 0 {
            return Err(trouble);
        }
        let text = trouble.0.message;
        let _ = events.send(Event::Log { step: Some(step), stage: None, source: LogSource::System, text }).await;
    }
    if code == 0 && lost {
        let message = format!(
            "the output was cut: returnStdout keeps at most {} MiB, and what a step writes counts against the {}",
            MAX_CAPTURE_BYTES >> 20,
            job.log.limit()
        );
        return Err(Trouble::workload(message).with_hint("write it to a file, and read from that what is needed"));
    }
    let limit = met.first().filter(|_| code != 0).map(ToString::to_string);
    Ok(Reply::Exited { code, stdout: script.capture.then_some(stdout), limit })
}

/// A process table that is full of what has been left behind lets nothing else begin, neither steps nor the collection of what the
/// failed one has made. So that is ended, where no other step runs.
async fn make_room(job: &Job, met: &[LimitMet], step: StepId, events: &mpsc::Sender<Event>) {
    let Some(limit) = met.iter().find(|met| met.kind == LimitKind::Processes) else { return };
    // What others do there now must not be harmed, and where there is room again, nothing is in the way.
    if job.busy.load(Ordering::Relaxed) > 1 || !is_still_full(job).await || job.session.kill_all().await.is_err() {
        return;
    }
    let text = format!("what was left of the step was ended, because of the {limit}");
    let _ = events.send(Event::Log { step: Some(step), stage: None, source: LogSource::System, text }).await;
}

/// Init works on files in processes of its own: where none can be started, it says so. Room for a single one is no room: a shell is
/// several, and what is cleared away after the step is one as well.
async fn is_still_full(job: &Job) -> bool {
    let tries = (0..ROOM).map(|_| job.session.stat(None, &job.workspace, true));
    futures_util::future::join_all(tries).await.iter().any(|tried| match tried {
        Err(SessionError::Operation(error)) => error.errno == rustix::io::Errno::AGAIN.raw_os_error(),
        _ => false,
    })
}

/// Without a cgroup nothing tells that memory was refused. A process that had used a good part of what each may have by the end
/// of a failed step, though, has probably asked for more.
async fn near_memory_limit(job: &Job, largest: u64) -> Option<String> {
    let limit = job.uncounted_memory().await?;
    let as_limit = |value| LimitMet { kind: LimitKind::Memory, value, times: 1 };
    (largest >= limit / 5 * 2)
        .then(|| format!("each process has a {} here, and the largest had {} MiB", as_limit(limit), largest >> 20))
}

fn no_shell(shell: &str, job: &Job) -> Trouble {
    let place = job.image.as_deref().unwrap_or("this host");
    Trouble::workload(format!("`{shell}` is not in {place}: a step needs a shell to run in"))
        .with_hint("name an image that has a shell, such as the `-debug` or `-slim` variant of a distroless one")
}

/// The session ended under a step: says what ended the sandbox, once nothing of it is left.
async fn died(job: &Job, trouble: Trouble) -> Trouble {
    let Ok(ended) = job.destroy().await else { return trouble };
    match limit_met(&ended) {
        Some(limit) => Trouble::workload(format!("the sandbox was ended: it met the {limit}")),
        None => trouble,
    }
}

/// The limit that ended a sandbox, else one that it met.
pub fn limit_met(ended: &Ended) -> Option<&LimitMet> {
    match &ended.cause {
        EndCause::Limit(limit) => Some(limit),
        _ => ended.usage.limits_met.first(),
    }
}

/// Where output goes: to the log, line by line, and into memory where it is captured.
struct Sink<'a> {
    step: StepId,
    events: &'a mpsc::Sender<Event>,
    merged: Lines,
    errors: Lines,
    captured: Option<Vec<u8>>,
    encoding: &'static Encoding,
    quota: &'a Quota,
    /// Captured output was cut.
    lost: bool,
    /// Files that have what is logged, as it came.
    copies: Vec<(String, Appending)>,
}

impl<'a> Sink<'a> {
    fn new(step: StepId, events: &'a mpsc::Sender<Event>, script: &ShellScript, quota: &'a Quota) -> Self {
        let label = script.encoding.as_deref();
        let encoding = label.and_then(|l| Encoding::for_label(l.as_bytes())).unwrap_or(encoding_rs::UTF_8);
        Sink {
            step,
            events,
            merged: Lines::new(label),
            errors: Lines::new(label),
            captured: script.capture.then(Vec::new),
            encoding,
            quota,
            lost: false,
            copies: Vec::new(),
        }
    }

    async fn drain(&mut self, running: &mut Running) -> Result<(), SessionError> {
        while let Some(output) = running.next().await? {
            match output {
                Output::Data { stream, data } => self.take(stream, &data).await,
                Output::LimitReached => {
                    self.quota.meet();
                    let limit = self.quota.limit();
                    // Half a value is worse than none.
                    self.lost |= self.captured.is_some();
                    self.say(&format!("the {limit} is reached: nothing more of this step is kept")).await;
                }
                Output::Stopped(signal) => {
                    self.say(&format!("the process was stopped by signal {signal} and waits")).await;
                }
            }
        }
        Ok(())
    }

    async fn take(&mut self, stream: Stream, data: &[u8]) {
        self.quota.take(data.len() as u64);
        let mut lines = Vec::new();
        let source = match (stream, &mut self.captured) {
            (Stream::Stdout, Some(captured)) => {
                let room = MAX_CAPTURE_BYTES.saturating_sub(captured.len());
                captured.extend_from_slice(&data[..data.len().min(room)]);
                self.lost |= data.len() > room;
                return;
            }
            (Stream::Stdout, None) => {
                self.merged.push(data, |line| lines.push(line));
                LogSource::Stdout
            }
            (Stream::Stderr, _) => {
                self.errors.push(data, |line| lines.push(line));
                LogSource::Stderr
            }
        };
        for (_, file) in &mut self.copies {
            // Its end says what went wrong.
            let _ = file.send(data).await;
        }
        for line in lines {
            self.log(source, line).await;
        }
    }

    async fn log(&self, source: LogSource, text: String) {
        let _ = self.events.send(Event::Log { step: Some(self.step), stage: None, source, text }).await;
    }

    /// All that was copied is written; the first file that is not says why.
    async fn finish_copies(&mut self) -> Result<(), Trouble> {
        let mut done = Ok(());
        for (path, file) in self.copies.drain(..) {
            let written = file.finish().await;
            done = done.and(written.map_err(|error| Trouble::workload(format!("tee: cannot write {path}: {error}"))));
        }
        done
    }

    async fn say(&self, text: &str) {
        self.log(LogSource::System, text.to_owned()).await;
    }

    /// Logs what is left and returns what was captured.
    async fn finish(self) -> String {
        let mut lines = Vec::new();
        self.merged.finish(|line| lines.push((LogSource::Stdout, line)));
        self.errors.finish(|line| lines.push((LogSource::Stderr, line)));
        for (source, text) in lines {
            let _ = self.events.send(Event::Log { step: Some(self.step), stage: None, source, text }).await;
        }
        let captured = self.captured.unwrap_or_default();
        self.encoding.decode_without_bom_handling(&captured).0.into_owned()
    }
}
