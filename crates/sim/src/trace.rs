//! What happened, for people; and what the server itself has to say of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata};

/// Lines that are kept for whoever asks why.
const KEPT: usize = 120;

/// The last lines of what happened, and a digest of all.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: VecDeque<String>,
    digest: u64,
    prints: bool,
}

impl Trace {
    /// `prints`: each line as it comes.
    pub(crate) fn new(prints: bool) -> Trace {
        // FNV-1a: it tells whether two simulations were the same.
        Trace { lines: VecDeque::new(), digest: 0xcbf2_9ce4_8422_2325, prints }
    }

    pub(crate) fn line(&mut self, at_ms: u64, text: &str) {
        let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
        let line = format!("{}:{:02}:{:02}.{ms:03} {text}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.prints {
            println!("{line}");
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Of all lines.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn last(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}

thread_local! {
    /// What the server of this thread has said, and whether it was an error.
    static SAID: RefCell<Vec<(bool, String)>> = const { RefCell::new(Vec::new()) };
}

/// What was said since the last time, errors marked; a task that panicked is one.
pub(crate) fn said() -> Vec<(bool, String)> {
    SAID.with_borrow_mut(std::mem::take)
}

fn say(is_error: bool, text: String) {
    SAID.with_borrow_mut(|said| said.push((is_error, text)));
}

/// Hears what the server on this thread says, until it is dropped.
pub(crate) fn listen() -> DefaultGuard {
    static PANICS: Once = Once::new();
    // A task that panics is a task that is gone, and says so nowhere else.
    PANICS.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            say(true, format!("a panic: {panic}"));
            before(panic);
        }));
    });
    tracing::subscriber::set_default(Ear)
}

/// Warnings and errors of the server.
struct Ear;

impl tracing::Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("server")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        say(*event.metadata().level() == Level::ERROR, text.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
        // A text takes everything.
        let _ = written;
    }
}
