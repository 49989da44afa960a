//! A place in a line, which knows its column.

use crate::CronError;

pub(crate) struct Cursor<'a> {
    line: usize,
    column: usize,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `text`, which stands at `column` of `line`.
    pub(crate) fn new(line: usize, column: usize, text: &'a str) -> Self {
        Self { line, column, rest: text }
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// Passes `wanted` where it is next.
    pub(crate) fn eat(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.take(|c| c == wanted, 1);
        }
        is_next
    }

    /// Passes spaces and tabs; whether there were any.
    pub(crate) fn blanks(&mut self) -> bool {
        !self.take(|c| c == ' ' || c == '\t', usize::MAX).is_empty()
    }

    /// A decimal number; `what` is its name in the error where there is none.
    pub(crate) fn number(&mut self, what: &str) -> Result<u32, CronError> {
        let column = self.column;
        let digits = self.take(|c| c.is_ascii_digit(), usize::MAX);
        if digits.is_empty() {
            return Err(self.expected(what));
        }
        digits.parse().map_err(|_| self.error(column, "this number is too large"))
    }

    /// Something else than `what` is next.
    pub(crate) fn expected(&self, what: &str) -> CronError {
        let found = match self.peek() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end of the line".to_owned(),
        };
        self.error(self.column, format!("expected {what}, found {found}"))
    }

    pub(crate) fn error(&self, column: usize, message: impl Into<String>) -> CronError {
        CronError { line: self.line, column, message: message.into() }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool, most: usize) -> &'a str {
        let taken = self.rest.chars().take(most).take_while(|c| wanted(*c));
        let (count, bytes) = taken.fold((0, 0), |(count, bytes), c| (count + 1, bytes + c.len_utf8()));
        let (before, after) = self.rest.split_at(bytes);
        self.rest = after;
        self.column += count;
        before
    }
}
