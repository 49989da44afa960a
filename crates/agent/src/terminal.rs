//! `--shell-on-failure`: a shell on a terminal of the sandbox's own, joined to the person's.

use sandbox::session::Output;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use wire::init::{ExecSpec, OutputMode, TerminalSize};

use crate::failure::Trouble;
use crate::job::Job;

/// Runs a shell in the job's sandbox until it ends: in the folder and with the variables of the step that failed.
pub async fn shell(
    job: &Job,
    size: TerminalSize,
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> Result<(), Trouble> {
    let mut env = job.env.clone();
    let (dir, step_env) = job.failed_in.get().cloned().unwrap_or_else(|| (job.workspace.clone(), Vec::new()));
    env.extend(step_env);
    env.insert("TERM".to_owned(), "xterm-256color".to_owned());
    let spec = ExecSpec {
        argv: vec!["sh".to_owned(), "-i".to_owned()],
        env: env.into_iter().collect(),
        cwd: dir,
        user: job.user.clone(),
        output: OutputMode::Terminal(size),
        ..ExecSpec::default()
    };
    let mut running = job.session.exec(spec).await?;
    let mut keyboard = running.input();
    let typing = async {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = input.read(&mut buffer).await {
            if keyboard.send(&buffer[..n]).await.is_err() {
                break;
            }
        }
        // The end of what is typed is not the end of the shell.
        std::future::pending::<()>().await;
    };
    let showing = async {
        while let Some(event) = running.next().await? {
            if let Output::Data { data, .. } = event {
                let _ = output.write_all(&data).await;
                let _ = output.flush().await;
            }
        }
        Ok::<_, Trouble>(())
    };
    tokio::select! {
        () = typing => Ok(()),
        end = showing => end,
    }
}
