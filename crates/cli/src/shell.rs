//! `--shell-on-failure`: this terminal, joined to a shell in the sandbox.

use std::io::IsTerminal as _;

use agent::Performer;
use model::ids::JobId;
use rustix::termios::{self, OptionalActions, Termios};

/// Opens a shell and returns when it has ended. Without a terminal there is nobody to look: it says so and goes on.
pub async fn open(performer: &Performer, job: JobId) {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        eprintln!("--shell-on-failure: standard input and output are no terminal");
        return;
    }
    eprintln!("A step failed. This is a shell in its sandbox; `exit` goes on.");
    let size =
        termios::tcgetwinsize(std::io::stdout()).map_or((24, 80), |size| (size.ws_row.max(1), size.ws_col.max(1)));
    let raw = RawTerminal::enter();
    let ended = performer.shell(job, size, tokio::io::stdin(), tokio::io::stdout()).await;
    drop(raw);
    if let Err(message) = ended {
        eprintln!("no shell: {message}");
    }
}

/// Passes every key on as it is, until dropped.
struct RawTerminal {
    before: Option<Termios>,
}

impl RawTerminal {
    fn enter() -> RawTerminal {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = termios::tcsetattr(&stdin, OptionalActions::Now, &raw);
        }
        RawTerminal { before }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
