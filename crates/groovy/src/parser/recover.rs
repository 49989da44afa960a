//! Diagnostics: what was expected and found, hints for common mistakes, and how the parser goes on after one.

use super::{Failed, Parser, Result};
use crate::diagnostic::Diagnostic;
use crate::lexer::token::{Kind, NO_MATE, Token};
use crate::limits;
use crate::span::Span;

/// A line of the text.
#[derive(Debug)]
pub(super) struct Line {
    /// Its first byte.
    start: u32,
    /// Blanks before its first word.
    indentation: u32,
}

impl Parser<'_> {
    /// Records an error at the next token.
    pub(super) fn fail<T>(&mut self, message: impl Into<String>) -> Result<T> {
        self.fail_at(self.at, message, None)
    }

    /// Records an error at the next token, with a hint.
    pub(super) fn fail_with_hint<T>(&mut self, message: impl Into<String>, hint: impl Into<String>) -> Result<T> {
        self.fail_at(self.at, message, Some(hint.into()))
    }

    fn fail_at<T>(&mut self, index: usize, message: impl Into<String>, hint: Option<String>) -> Result<T> {
        // The lexer has reported broken tokens already, and one diagnostic for one place is enough.
        if !self.stopped && self.kind_at(index) != Kind::Error && self.failed_at != index {
            self.failed_at = index;
            let span = self.token_span(index);
            self.report(span, message, hint);
        }
        Err(Failed)
    }

    /// Records an error at a place; parsing goes on.
    pub(super) fn report(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        if self.stopped {
            return;
        }
        let mut diagnostic = Diagnostic::error(span, message);
        diagnostic.hint = hint;
        self.diagnostics.push(diagnostic);
        if self.diagnostics.len() >= limits::MAX_DIAGNOSTICS {
            self.stopped = true;
            self.at = self.tokens.len() - 1;
        }
    }

    /// How the next token is called in a message.
    pub(super) fn found(&self) -> String {
        self.describe(self.at)
    }

    fn describe(&self, index: usize) -> String {
        match self.kind_at(index) {
            Kind::Eof => "the end of the file".into(),
            Kind::Newline => "the end of the line".into(),
            kind @ (Kind::Str | Kind::StrStart | Kind::StrMiddle | Kind::StrEnd | Kind::Error) => kind.text().into(),
            _ => {
                let text = self.token_text(index);
                match text.char_indices().nth(40) {
                    Some((cut, _)) => format!("`{}…`", &text[..cut]),
                    None => format!("`{text}`"),
                }
            }
        }
    }

    /// `expected X, found Y` at the next token, with the hint that fits the token best.
    pub(super) fn expected<T>(&mut self, what: &str) -> Result<T> {
        if self.at(Kind::Eof)
            && let Some(open) = self.innermost_open_bracket()
        {
            return self.never_closed(open);
        }
        let message = format!("expected {what}, found {}", self.found());
        match self.hint_for_unexpected() {
            Some(hint) => self.fail_with_hint(message, hint),
            None => self.fail(message),
        }
    }

    /// Consumes a token of this kind or fails.
    pub(super) fn expect(&mut self, kind: Kind) -> Result<usize> {
        if self.at(kind) {
            return Ok(self.bump());
        }
        self.expected(&quoted(kind))
    }

    /// Consumes the bracket that closes the one at `open`, or fails naming the place where that stands.
    pub(super) fn expect_closing(&mut self, kind: Kind, open: usize, instead: &str) -> Result<usize> {
        if self.at(kind) {
            return Ok(self.bump());
        }
        let opening = self.token_text(open).to_owned();
        if self.at(Kind::Eof) {
            return self.never_closed(open);
        }
        let line = self.line_of(open);
        let what = if instead.is_empty() { quoted(kind) } else { format!("{instead} or {}", quoted(kind)) };
        let message = format!("expected {what}, found {}", self.found());
        let opened = format!("the `{opening}` that is open here stands on line {line}");
        let new_line = line < self.line_of(self.at) && self.line_of(self.at - 1) < self.line_of(self.at);
        let hint = if new_line { opened } else { self.hint_for_unexpected().unwrap_or(opened) };
        self.fail_with_hint(message, hint)
    }

    /// The file ends before the bracket at `open` is closed. Where a string was broken behind it, that is the reason.
    fn never_closed<T>(&mut self, open: usize) -> Result<T> {
        // Behind a limit each bracket around the place ends here: nothing is looked for that nobody is told.
        if self.stopped {
            return Err(Failed);
        }
        let broken = self.tokens[open..].iter().any(|t| t.kind == Kind::Error);
        if self.failed_at != open && !broken {
            self.failed_at = open;
            let hint = self.unclosed_hint(open);
            let message = format!("this `{}` is never closed", self.token_text(open));
            self.report(self.token_span(open), message, hint);
        }
        Err(Failed)
    }

    fn innermost_open_bracket(&self) -> Option<usize> {
        let is_open = |t: &Token| t.mate == NO_MATE && matches!(t.kind, Kind::LParen | Kind::LBracket | Kind::LBrace);
        self.tokens.iter().rposition(is_open)
    }

    fn line_of(&self, token: usize) -> usize {
        let start = self.tokens[token].start;
        self.lines().partition_point(|line| line.start <= start)
    }

    /// Blanks before the first word of the line of a token.
    fn indentation_of(&self, token: usize) -> u32 {
        let line = self.line_of(token).saturating_sub(1);
        self.lines().get(line).map_or(0, |line| line.indentation)
    }

    /// The lines of the text: found once, since each bracket may ask for its own.
    fn lines(&self) -> &[Line] {
        self.lines.get_or_init(|| {
            let mut start = 0;
            let lines = self.text.split('\n').map(|text| {
                let indentation = (text.len() - text.trim_start_matches([' ', '\t']).len()) as u32;
                let line = Line { start, indentation };
                start += text.len() as u32 + 1;
                line
            });
            lines.collect()
        })
    }

    /// For a brace that the end of the file leaves open: the first `}` inside it that is indented unlike the line of
    /// its partner, since there the missing brace probably belongs.
    fn unclosed_hint(&self, open: usize) -> Option<String> {
        for index in open + 1..self.tokens.len() {
            let token = self.tokens[index];
            if token.kind != Kind::RBrace || token.mate as usize >= self.tokens.len() {
                continue;
            }
            let partner = token.mate as usize;
            let (here, there) = (self.line_of(index), self.line_of(partner));
            if here != there && self.indentation_of(index) < self.indentation_of(partner) {
                return Some(format!(
                    "the `{{` on line {there} is closed by the `}}` on line {here}, which is indented differently: \
                     a `}}` is probably missing before it"
                ));
            }
        }
        None
    }

    fn hint_for_unexpected(&self) -> Option<String> {
        let before = self.kind_at(self.at.wrapping_sub(1));
        let hint = match self.peek() {
            Kind::Do => "Groovy 2.4 has no `do … while`; use `while (true) { … if (…) break }`",
            Kind::Arrow => "a function is written `{ x -> … }` in Groovy 2.4",
            Kind::Colon if self.nth(1) == Kind::Colon => "a method is referred to by `object.&method` in Groovy 2.4",
            Kind::Assign if before == Kind::Elvis || before == Kind::Question => "write `a = a ?: b`",
            Kind::In | Kind::Instanceof if before == Kind::Not => "write `!(a in b)` or `!(a instanceof B)`",
            Kind::LBracket if before == Kind::SafeDot || before == Kind::Question => "write `a?.getAt(i)`",
            Kind::Else => "an `else` follows the statement or `}` of its `if` directly",
            Kind::Catch | Kind::Finally => "it follows the `}` of a `try`",
            Kind::Ident | Kind::Str | Kind::StrStart | Kind::Number if before == Kind::Ident => {
                return Some(format!(
                    "a call without parentheses must be a statement of its own or stand behind `=`; write `{}(…)`, or \
                     add the missing comma",
                    self.token_text(self.at - 1)
                ));
            }
            Kind::Ident if matches!(before, Kind::If | Kind::While | Kind::For | Kind::Switch) => {
                "the condition stands in parentheses"
            }
            Kind::Goto | Kind::Const => "this word is reserved",
            _ => return None,
        };
        Some(hint.into())
    }

    /// Moves to the end of the statement that began at `start` (index of a token): the next separator on its level, or
    /// `end`, the bracket that closes the block around it.
    pub(super) fn skip_statement(&mut self, start: usize, end: usize) {
        // Behind a limit nothing is read any more, at any level.
        if self.stopped {
            self.at = self.tokens.len() - 1;
            return;
        }
        let mut at = start;
        while at < end {
            match self.kind_at(at) {
                Kind::Eof => break,
                Kind::Newline | Kind::Semi if at >= self.at => break,
                Kind::LParen | Kind::LBracket | Kind::LBrace | Kind::StrStart => {
                    at = self.behind_bracket(at).unwrap_or(at + 1);
                }
                _ => at += 1,
            }
        }
        let last = self.tokens.len() - 1;
        self.at = at.min(end).max(self.at.min(end)).min(last);
        self.fuel = self.fuel.saturating_sub((self.at.saturating_sub(start)) as u64);
    }
}

/// A kind of token as it stands in messages.
pub(super) fn quoted(kind: Kind) -> String {
    match kind {
        Kind::Ident => "a name".into(),
        other => format!("`{}`", other.text()),
    }
}
