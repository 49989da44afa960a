//! What was said and asked for, and waits to be handed over. A turn of the engine ends where much waits, and hands over no more than
//! that: so what a script says takes no memory, however much it is. Only bytes decide, so a new engine says the same in the same turns.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use groovy::value::{Charge, Meter};
use model::event::{Event, LogSource};
use model::ids::{StageId, StepId};
use model::limits::{MAX_LOG_LINE_BYTES, MAX_TURN_BYTES, bytes_cut};
use serde::Serialize;

use super::Output;
use super::scope::Scope;

/// What is said is work, too: so many bytes are one instruction's. A loop of `println` has its slices by that.
const BYTES_PER_INSTRUCTION: usize = 16;

/// Each line is an event of its own when it is handed over.
const INSTRUCTIONS_PER_LINE: usize = 8;

/// All of it, the oldest first.
pub(super) struct Waiting {
    queue: RefCell<VecDeque<Item>>,
    bytes: Cell<usize>,
    /// It counts as the script's, so that one that says too much before its turn can end is told its limit.
    charge: Charge,
}

enum Item {
    /// One output, and its bytes.
    One(Output, usize),
    /// Lines of the log: a long text has millions, which become events when they are handed over.
    Lines(Lines),
}

struct Lines {
    step: Option<StepId>,
    stage: Option<StageId>,
    source: LogSource,
    text: String,
    /// Where the next one begins.
    at: usize,
}

impl Lines {
    /// The next line. There is one, and where it was the last, `at` is behind the text.
    fn next(&mut self) -> Event {
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or_default();
        let event = Event::Log { step: self.step, stage: self.stage, source: self.source, text: line.to_owned() };
        self.at += line.len() + 1;
        event
    }
}

/// So many bytes for the log, which a run keeps: each is worth an instruction, so that what a script says has an end.
fn said(bytes: usize) -> usize {
    Meter::work(bytes);
    bytes
}

impl Waiting {
    /// Of the machine that was made last.
    pub(super) fn new() -> Waiting {
        Waiting { queue: RefCell::default(), bytes: Cell::new(0), charge: Charge::new(0) }
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// So much waits that the turn is to end.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.get() >= MAX_TURN_BYTES
    }

    pub(super) fn push(&self, mut output: Output) {
        if let Output::Event(event) = &mut output {
            cut_texts(event);
        }
        let bytes = match &output {
            Output::Request { request, .. } => weight(request),
            Output::Event(event) => said(weight(event)),
            Output::Cancel { .. } => 0,
        };
        self.add(Item::One(output, size_of::<Item>() + bytes));
    }

    /// Lines of the log, as they are to be shown but for their length.
    pub(super) fn push_lines<'a>(&self, scope: &Scope, source: LogSource, lines: impl Iterator<Item = &'a str>) {
        let mut text = String::new();
        let mut count = 0;
        for (index, line) in lines.enumerate() {
            count += 1;
            if index > 0 {
                text.push('\n');
            }
            text.push_str(&cut(line));
        }
        Meter::work(count * INSTRUCTIONS_PER_LINE);
        said(text.len());
        self.add(Item::Lines(Lines { step: scope.step, stage: scope.stage, source, text, at: 0 }));
    }

    fn add(&self, item: Item) {
        Meter::work(item.bytes() / BYTES_PER_INSTRUCTION);
        self.count(self.bytes.get().saturating_add(item.bytes()));
        self.queue.borrow_mut().push_back(item);
    }

    fn count(&self, bytes: usize) {
        self.bytes.set(bytes);
        self.charge.set(bytes);
    }

    /// What is handed over now.
    pub(super) fn take(&self) -> Vec<Output> {
        let (mut outputs, mut taken) = (Vec::new(), 0);
        let mut queue = self.queue.borrow_mut();
        while taken < MAX_TURN_BYTES
            && let Some(mut item) = queue.pop_front()
        {
            let bytes = item.bytes();
            match &mut item {
                Item::Lines(lines) => {
                    let before = lines.at;
                    outputs.push(Output::Event(lines.next()));
                    taken += size_of::<Item>() + lines.at - before;
                    if lines.at <= lines.text.len() {
                        queue.push_front(item);
                        continue;
                    }
                }
                Item::One(..) => taken += bytes,
            }
            self.count(self.bytes.get().saturating_sub(bytes));
            if let Item::One(output, _) = item {
                outputs.push(output);
            }
        }
        outputs
    }
}

impl Item {
    /// What it takes of memory, as long as it waits.
    fn bytes(&self) -> usize {
        match self {
            Item::One(_, bytes) => *bytes,
            Item::Lines(lines) => size_of::<Item>() + lines.text.len(),
        }
    }
}

/// A text of a script's, for one line: it is no longer than a line of the log is.
pub(super) fn cut(line: &str) -> Cow<'_, str> {
    if line.len() <= MAX_LOG_LINE_BYTES {
        return line.into();
    }
    let kept = &line[..line.floor_char_boundary(MAX_LOG_LINE_BYTES)];
    (kept.to_owned() + &bytes_cut((line.len() - kept.len()) as u64)).into()
}

/// The same for what a script names.
fn cut_texts(event: &mut Event) {
    if matches!(
        event,
        Event::StageStarted { .. }
            | Event::StageSkipped { .. }
            | Event::JobRequested { .. }
            | Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::Log { .. }
    ) {
        event.each_text(&mut |text| {
            if let Cow::Owned(shorter) = cut(text) {
                *text = shorter;
            }
        });
    }
}

/// How long it is for whoever is told.
fn weight(message: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, message);
    count.0
}
