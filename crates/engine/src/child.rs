//! The process: its walls, its streams, and nothing else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, FromRawFd};
use std::process::exit;

use confine::{Deed, Enclosure, attempt, limit_next, raise, set_limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::engine::{LineError, Lines, Said, TURN_SECONDS, Word, encode};

use crate::Session;

/// What the process may ask the kernel for.
const CALLS: &str = include_str!("../data/engine.calls");
/// Address space, in bytes: an evaluator's own limits are far below.
const MEMORY_BYTES: u64 = 4 << 30;
/// Open files while it raises its walls; then it has its standard streams only.
const OPEN_FILES: u64 = 8;
/// Time of a processor, in seconds: a run may take days, but not of computing.
const CPU_SECONDS: u64 = 24 * 3600;
/// What is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Evaluates a run that is spoken of on standard input and output, and exits: with 0 after its last word, with 1 when its keeper has gone or
/// breaks the protocol. `words` are those behind the subcommand. Must be called first thing in `main`, before any thread is started.
pub fn main(words: impl IntoIterator<Item = std::ffi::OsString>) -> ! {
    let words: Vec<_> = words.into_iter().filter_map(|word| word.into_string().ok()).collect();
    let walls = set_limits(MEMORY_BYTES, CPU_SECONDS, 0, OPEN_FILES);
    // Where standard error is a file, a word there, such as that of a panic that is caught, is refused and no reason to end.
    // SAFETY: before any thread is started; ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // How much room the stack has, it learns from a file: before the walls.
        [] => {
            groovy::stack::with_room(|| walls.and_then(|()| raise(Enclosure::Streams, CALLS)).and_then(|_| converse()))
        }
        // What a test has it do behind its walls, and without them.
        ["--deed", deed] => walls.and_then(|()| raise(Enclosure::Streams, CALLS)).and_then(|_| try_deed(deed, true)),
        ["--deed-without-walls", deed] => try_deed(deed, false),
        _ => Err("`engine` is a part of the program itself, not a command".to_owned()),
    };
    if let Err(message) = &done {
        let _ = writeln!(io::stderr(), "{message}");
    }
    exit(i32::from(done.is_err()))
}

fn try_deed(name: &str, is_confined: bool) -> Result<(), String> {
    let deed: Deed = serde_json::from_value(name.into()).map_err(|error| error.to_string())?;
    attempt(deed, is_confined).map_err(|error| error.to_string())
}

/// Both streams, without a buffer of the standard library in between.
struct Streams {
    input: ManuallyDrop<File>,
    output: ManuallyDrop<File>,
    lines: Lines,
    piece: Vec<u8>,
}

fn converse() -> Result<(), String> {
    // SAFETY: both are open, nothing else in this process uses them, and they are never closed.
    let (input, output) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) };
    let (input, output) = (ManuallyDrop::new(input), ManuallyDrop::new(output));
    let mut streams = Streams { input, output, lines: Lines::default(), piece: vec![0; PIECE_BYTES] };
    let begin = loop {
        match streams.next(true)? {
            Some(Word::Begin(begin)) => break begin,
            Some(Word::Input { .. }) => return Err("an input before the beginning".to_owned()),
            None => {}
        }
    };
    limit_next(TURN_SECONDS);
    let (session, said) = Session::begin(*begin);
    streams.say(&[said])?;
    session.map_or(Ok(()), |session| evaluate(session, &mut streams))
}

fn evaluate(mut session: Session, streams: &mut Streams) -> Result<(), String> {
    while !session.is_over() {
        match streams.next(session.waits())? {
            Some(Word::Input { at, input }) => session.give(at, input),
            Some(Word::Begin(_)) => return Err("a second beginning".to_owned()),
            None => {
                // Most end in milliseconds, for what is computed has its price; an expression that looks ahead again and again has none.
                limit_next(TURN_SECONDS);
                let said = session.turn();
                streams.say(&said)?;
            }
        }
    }
    Ok(())
}

impl Streams {
    /// The next word. `None`: there is none now, and it is not to be waited for.
    fn next(&mut self, may_wait: bool) -> Result<Option<Word>, String> {
        loop {
            if let Some(word) = self.lines.message().map_err(|error: LineError| error.to_string())? {
                return Ok(Some(word));
            }
            if !may_wait && !self.is_readable()? {
                return Ok(None);
            }
            match self.input.read(&mut self.piece) {
                Ok(0) => return Err("nobody keeps this run any more".to_owned()),
                Ok(count) => self.lines.push(&self.piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn is_readable(&self) -> Result<bool, String> {
        let mut waiting = [PollFd::from_borrowed_fd(self.input.as_fd(), PollFlags::IN)];
        match poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn say(&mut self, said: &[Said]) -> Result<(), String> {
        let mut bytes = Vec::new();
        for message in said {
            encode(message, &mut bytes).map_err(|error| error.to_string())?;
        }
        self.output.write_all(&bytes).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_list_compiles_and_gives_a_reason_for_every_call() {
        confine::check(super::CALLS).unwrap();
    }
}
