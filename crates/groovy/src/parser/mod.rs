//! Tokens → syntax tree: recursive descent, one function per production of Groovy 2.4's grammar, operators by
//! precedence. Every function returns a node, or [`Failed`] after it recorded a diagnostic; the statement loop
//! ([`stmt`]) catches failures, skips to the next statement and goes on.
//!
//! Never: backtracking (all look-ahead in [`lookahead`] is a bounded scan), recursion deeper than
//! [`limits::MAX_NESTING`], a tree higher than [`limits::MAX_TREE_DEPTH`].

mod args;
mod check;
mod class;
mod control;
mod decl;
mod expr;
mod literal;
mod lookahead;
mod path;
mod recover;
pub mod sexpr;
mod stmt;
mod string;
mod types;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::ast::{Script, Text};
use crate::diagnostic::{Diagnostic, Severity};
use crate::lexer::token::{Kind, Token};
use crate::lexer::unicode::Offsets;
use crate::lexer::{self, Lexed};
use crate::limits;
use crate::span::Span;
use crate::stack;

/// What the front end makes of a text: always a tree, complete where there is no error among the diagnostics.
#[derive(Debug)]
pub struct Parsed {
    /// The tree. Statements that could not be read are [`crate::ast::ExprKind::Error`].
    pub script: Script,
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the text is rejected.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}

/// Parses a whole source file, and checks what Groovy's compiler checks of it ([`crate::checks`]).
pub fn parse(source: &str) -> Parsed {
    let mut parsed = read(source);
    if !parsed.has_errors() {
        parsed.diagnostics.extend(stack::with_room(|| crate::checks::check(&parsed.script)));
        parsed.diagnostics.sort_by_key(|d| d.span.start);
    }
    parsed
}

/// Parses a whole source file by Groovy's grammar alone.
pub fn read(source: &str) -> Parsed {
    if source.len() > limits::MAX_SOURCE_BYTES {
        let message = format!("the file has {} bytes; at most {} can be read", source.len(), limits::MAX_SOURCE_BYTES);
        return Parsed { script: Script::default(), diagnostics: vec![Diagnostic::error(Span::new(0, 0), message)] };
    }
    let Lexed { text, tokens, offsets, diagnostics } = lexer::lex(source);
    let fuel = (tokens.len() as u64 + 100) * limits::FUEL_PER_TOKEN;
    let mut parser = Parser {
        source,
        text: &text,
        tokens,
        offsets,
        at: 0,
        diagnostics,
        names: HashMap::default(),
        depth: 0,
        reach: 0,
        fuel,
        stopped: false,
        path: (usize::MAX, usize::MAX, path::Shape::Value),
        failed_at: usize::MAX,
        classes: Vec::new(),
        around: 0,
        lines: OnceCell::new(),
    };
    let script = stack::with_room(|| parser.script());
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|d| d.span.start);
    diagnostics.truncate(limits::MAX_DIAGNOSTICS);
    Parsed { script, diagnostics }
}

/// A production could not be read; there is a diagnostic for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

type Result<T> = std::result::Result<T, Failed>;

pub(crate) struct Parser<'s> {
    /// What spans count in.
    source: &'s str,
    /// What tokens count in: the source with `\uXXXX` translated.
    text: &'s str,
    tokens: Vec<Token>,
    offsets: Offsets,
    /// Index of the next token. Never beyond the last one, which is `Eof`.
    at: usize,
    diagnostics: Vec<Diagnostic>,
    names: HashMap<&'s str, Text, BuildHasherDefault<NameHasher>>,
    /// How deep the parser is inside nested forms now.
    depth: u32,
    /// Depth in the tree of the deepest node of the form that was read last (see [`Parser::lower`]).
    reach: u32,
    fuel: u64,
    /// A limit was passed: everything fails quietly up to the end.
    stopped: bool,
    /// First token, and the one behind the last, of the path expression that was completed last, and what it is.
    path: (usize, usize, path::Shape),
    /// Where the last diagnostic was given: one is enough for one token.
    failed_at: usize,
    /// Names of the classes around this place.
    classes: Vec<Text>,
    /// Bytes of the package and of the names of all classes around this place.
    around: usize,
    /// Filled when a message wants a line (see `recover`).
    lines: OnceCell<Vec<recover::Line>>,
}

impl Parser<'_> {
    fn peek(&self) -> Kind {
        self.tokens[self.at].kind
    }

    fn nth(&self, ahead: usize) -> Kind {
        self.kind_at(self.at + ahead)
    }

    fn kind_at(&self, index: usize) -> Kind {
        self.tokens.get(index).map_or(Kind::Eof, |t| t.kind)
    }

    fn at(&self, kind: Kind) -> bool {
        self.peek() == kind
    }

    /// Index of the next token that is no line break.
    fn past_newline(&self, index: usize) -> usize {
        if self.kind_at(index) == Kind::Newline { index + 1 } else { index }
    }

    /// Consumes a token; returns its index.
    fn bump(&mut self) -> usize {
        let index = self.at;
        if index + 1 < self.tokens.len() {
            self.at += 1;
        }
        self.fuel = self.fuel.saturating_sub(1);
        if self.fuel == 0 {
            self.stop("this text takes too long to parse", "report this text as a defect");
        }
        index
    }

    fn eat(&mut self, kind: Kind) -> bool {
        let found = self.at(kind);
        if found {
            self.bump();
        }
        found
    }

    /// A line break that does not matter here.
    fn newline(&mut self) {
        if self.at(Kind::Newline) {
            self.bump();
        }
    }

    fn token_span(&self, index: usize) -> Span {
        let token = self.tokens[index.min(self.tokens.len() - 1)];
        Span::new(self.offsets.source(token.start), self.offsets.source(token.end))
    }

    /// From the first token to the one consumed last.
    fn span_from(&self, first: usize) -> Span {
        let last = self.at.saturating_sub(1).max(first);
        let span = self.token_span(first);
        Span::new(span.start, self.token_span(last).end.max(span.end))
    }

    /// The same, from a node that was read before.
    fn span_since(&self, start: Span) -> Span {
        let end = self.token_span(self.at.saturating_sub(1)).end;
        Span::new(start.start, end.max(start.end))
    }

    fn token_text(&self, index: usize) -> &str {
        let token = self.tokens[index];
        &self.text[token.start as usize..token.end as usize]
    }

    /// Enters a form that may contain itself; every call is matched by [`Parser::leave`].
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        self.reach = self.reach.max(self.depth);
        if self.depth > limits::MAX_NESTING {
            let message = format!("this is nested more than {} levels deep", limits::MAX_NESTING);
            self.stop(&message, "move inner parts into variables or methods");
        }
        if self.stopped { Err(Failed) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Starts to measure how deep the next form reaches; give the result to [`Parser::measured`].
    fn measure(&mut self) -> u32 {
        std::mem::replace(&mut self.reach, self.depth)
    }

    fn measured(&mut self, before: u32) {
        self.reach = self.reach.max(before);
    }

    /// What was read is about to become a child of a node at its own place: all of it lies one deeper.
    fn lower(&mut self) -> Result<()> {
        self.reach += 1;
        if self.reach > limits::MAX_TREE_DEPTH {
            let message = format!("this chain has more than {} links", limits::MAX_TREE_DEPTH);
            self.stop(&message, "split it, or build the value in a loop");
        }
        if self.stopped { Err(Failed) } else { Ok(()) }
    }

    /// Gives up on the rest of the text.
    fn stop(&mut self, message: &str, hint: &str) {
        if !self.stopped {
            let span = self.token_span(self.at);
            self.diagnostics.push(Diagnostic::error(span, message).with_hint(hint));
            self.stopped = true;
        }
        self.at = self.tokens.len() - 1;
    }
}

impl<'s> Parser<'s> {
    /// A shared text; the same name is allocated once for a file.
    fn intern(&mut self, name: &'s str) -> Text {
        self.names.entry(name).or_insert_with(|| Text::from(name)).clone()
    }

    fn token_name(&mut self, index: usize) -> Text {
        let text: &'s str = self.text;
        let token = self.tokens[index];
        self.intern(&text[token.start as usize..token.end as usize])
    }
}

/// FxHash: names are short, and a text can only slow down its own parse (fuel bounds it).
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}
