//! The process that evaluates a run, seen from its keeper: a lost one is replaced.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use model::read::{MAX_READ_BYTES, too_much};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use wire::engine::{Begin, Heard, Input, Journal, Lines, Said, TURN_SIGNAL, Word, encode, turn_too_long};

use crate::failure::Trouble;

/// So often an engine is replaced. One that is lost again at the same place would be lost there for ever.
const MOST_LOSSES: u32 = 3;
/// Words of an engine are handed on when they are so long together.
const MOST_BYTES: usize = 1 << 20;
/// What is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// How an engine is started.
#[derive(Clone, Debug)]
pub struct EngineProgram {
    /// The program.
    pub program: PathBuf,
    /// Its words.
    pub words: Vec<OsString>,
}

/// A run under evaluation.
pub struct Kept {
    program: EngineProgram,
    journal: Journal,
    process: Process,
    losses: u32,
    /// Bytes that the run was answered.
    read: usize,
}

/// An engine that runs; killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// To a task that writes: an engine may be busy saying something itself.
    input: mpsc::UnboundedSender<Vec<u8>>,
    output: ChildStdout,
    lines: Lines,
}

impl Process {
    pub(crate) fn start(program: &EngineProgram) -> Result<Process, Trouble> {
        let mut command = Command::new(&program.program);
        command.args(&program.words).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // What a terminal sends to all that run in it (Ctrl-C) is not for the engine: it is told what the run is to do.
        command.process_group(0);
        let failed = |error: std::io::Error| {
            Trouble::infrastructure(format!("cannot start the engine {}: {error}", program.program.display()))
        };
        let mut child = command.spawn().map_err(failed)?;
        let (Some(mut stdin), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Trouble::infrastructure("an engine without streams"));
        };
        let (input, mut words) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            while let Some(bytes) = words.recv().await {
                if stdin.write_all(&bytes).await.is_err() {
                    // It is gone, which its other stream says.
                    return;
                }
            }
        });
        Ok(Process { child, input, output, lines: Lines::default() })
    }

    /// Where lines for it go.
    pub(crate) fn input(&self) -> mpsc::UnboundedSender<Vec<u8>> {
        self.input.clone()
    }

    /// What it says next, at least one word and at most so many. `None`: it has ended.
    pub(crate) async fn hear(&mut self, most: usize) -> Result<Option<Vec<Said>>, String> {
        let mut said = Vec::new();
        loop {
            let before = self.lines.taken();
            while said.len() < most
                && self.lines.taken() - before < MOST_BYTES
                && let Some(word) = self.lines.message().map_err(|error| error.to_string())?
            {
                said.push(word);
            }
            if !said.is_empty() {
                return Ok(Some(said));
            }
            if !self.read().await {
                return Ok(None);
            }
        }
    }

    /// False: it has ended.
    async fn read(&mut self) -> bool {
        let mut piece = vec![0; PIECE_BYTES];
        match self.output.read(&mut piece).await {
            Ok(count) if count > 0 => {
                self.lines.push(&piece[..count]);
                true
            }
            _ => false,
        }
    }

    /// How it ended, in words.
    pub(crate) async fn ending(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) if status.signal() == Some(TURN_SIGNAL) => turn_too_long(),
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn tell(&self, words: &[Word]) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        for word in words {
            encode(word, &mut bytes).map_err(|error| Trouble::infrastructure(format!("for the engine: {error}")))?;
        }
        // One that is gone is replaced where its end is heard.
        let _ = self.input.send(bytes);
        Ok(())
    }
}

impl Kept {
    /// Starts an engine for a run that has not begun.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(program: EngineProgram, begin: Begin) -> Result<Kept, Trouble> {
        let mut journal = Journal::new(begin);
        let process = Process::start(&program)?;
        process.tell(&journal.restart())?;
        Ok(Kept { program, journal, process, losses: 0, read: 0 })
    }

    /// Something came in.
    ///
    /// # Errors
    /// It is too long for the protocol; the run has read more than it may.
    pub fn give(&mut self, input: Input) -> Result<(), Trouble> {
        if let Input::Answer { reply, .. } = &input {
            self.read = self.read.saturating_add(reply.bytes());
        }
        if self.read > MAX_READ_BYTES {
            return Err(Trouble::workload(too_much(MAX_READ_BYTES)));
        }
        let words = self.journal.add(input);
        self.process.tell(&words)
    }

    /// What is to be acted upon next. May be dropped while it waits; nothing is lost then.
    ///
    /// # Errors
    /// Engines are lost again and again, or break their protocol.
    pub async fn next(&mut self) -> Result<Heard, Trouble> {
        loop {
            if let Some(heard) = self.next_or_waits().await? {
                return Ok(heard);
            }
        }
    }

    /// The same. `None`: it has taken all that was given, and nothing goes on before there is more.
    pub(crate) async fn next_or_waits(&mut self) -> Result<Option<Heard>, Trouble> {
        loop {
            // What goes to an engine that never pauses is written by another task, which is to have its turn.
            tokio::task::coop::consume_budget().await;
            let said = self.process.lines.message().map_err(|error| broken(&error.to_string()))?;
            if let Some(said) = said {
                let (heard, words) = self.journal.hear(said).map_err(|error| broken(&error.to_string()))?;
                self.process.tell(&words)?;
                match heard {
                    Heard::Waits if self.journal.entries().last().is_none_or(|last| last.at.is_some()) => {
                        return Ok(None);
                    }
                    Heard::Nothing | Heard::Took(_) | Heard::Waits => continue,
                    heard => {
                        // It has got further than any before it; that it has begun each says again.
                        if matches!(heard, Heard::Request(..) | Heard::Cancel(_) | Heard::Event(_)) {
                            self.losses = 0;
                        }
                        return Ok(Some(heard));
                    }
                }
            }
            if !self.process.read().await {
                self.replace().await?;
            }
        }
    }

    async fn replace(&mut self) -> Result<(), Trouble> {
        let status = self.process.ending().await;
        if status == turn_too_long() {
            return Err(Trouble::workload(status));
        }
        self.losses += 1;
        if self.losses > MOST_LOSSES {
            return Err(Trouble::infrastructure(format!("the engine was lost {MOST_LOSSES} times ({status})")));
        }
        tracing::warn!(losses = self.losses, "an engine was lost; a new one goes on");
        self.process = Process::start(&self.program)?;
        self.process.tell(&self.journal.restart())
    }
}

fn broken(reason: &str) -> Trouble {
    Trouble::infrastructure(format!("the engine of this run: {reason}"))
}

#[cfg(test)]
mod tests {
    use model::ids::RequestId;
    use model::request::{FailureKind, Reply};
    use model::run::RunFacts;

    use super::*;

    /// What ends a run whose engine is this script.
    async fn trouble(script: &str) -> Trouble {
        let program = EngineProgram { program: "/bin/sh".into(), words: vec!["-c".into(), script.into()] };
        let begin = Begin { source: String::new(), file_name: "Jenkinsfile".into(), facts: RunFacts::default() };
        Kept::start(program, begin).unwrap().next().await.unwrap_err()
    }

    #[tokio::test]
    async fn an_engine_that_computed_for_too_long_is_not_replaced() {
        let Trouble(failure) = trouble("kill -26 $$").await;
        assert_eq!((failure.kind, failure.message), (FailureKind::Workload, turn_too_long()));
        let Trouble(failure) = trouble("kill -9 $$").await;
        assert_eq!(failure.kind, FailureKind::Infrastructure);
        assert!(failure.message.contains("the engine was lost 3 times"), "{failure:?}");
    }

    /// It is kept for an engine that begins again.
    #[tokio::test]
    async fn a_run_reads_no_more_than_it_may() {
        let program = EngineProgram { program: "/bin/sh".into(), words: vec!["-c".into(), "cat > /dev/null".into()] };
        let begin = Begin { source: String::new(), file_name: "Jenkinsfile".into(), facts: RunFacts::default() };
        let mut kept = Kept::start(program, begin).unwrap();
        let text = "x".repeat(MAX_READ_BYTES / 8);
        let answer = |id| Input::Answer { id: RequestId(id), reply: Reply::Text(text.clone()) };
        for id in 0..8 {
            kept.give(answer(id)).unwrap();
        }
        let Err(Trouble(failure)) = kept.give(answer(8)) else { panic!("it reads on") };
        assert!(
            failure.kind == FailureKind::Workload && failure.message.contains("read more than 256 MiB"),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn an_engine_that_only_begins_is_not_replaced_for_ever() {
        let mut begun = Vec::new();
        encode(&Said::Begun { warnings: Vec::new() }, &mut begun).unwrap();
        let script = format!("printf %s '{}'; echo; kill -9 $$", String::from_utf8(begun).unwrap().trim_end());
        let program = EngineProgram { program: "/bin/sh".into(), words: vec!["-c".into(), script.into()] };
        let begin = Begin { source: String::new(), file_name: "Jenkinsfile".into(), facts: RunFacts::default() };
        let mut kept = Kept::start(program, begin).unwrap();
        let mut heard = 0;
        let trouble = loop {
            match kept.next().await {
                Ok(_) => heard += 1,
                Err(Trouble(failure)) => break failure,
            }
            assert!(heard < 20, "it begins again and again");
        };
        assert!(trouble.message.contains("the engine was lost 3 times"), "{trouble:?}");
    }
}
