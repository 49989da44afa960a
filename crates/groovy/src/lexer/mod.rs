//! Text → tokens, all at once: 16 bytes a token, no copies of the text. Nothing here depends on the parser, because
//! Groovy's rules for newlines, for `/` and for values inside strings look only at tokens that came before.
//!
//! The lexer also finds the partner of every bracket. The parser uses that to look ahead in constant time, and to name
//! the opening place in messages.

mod number;
mod string;
pub(crate) mod token;
pub(crate) mod unicode;

use std::borrow::Cow;

use crate::diagnostic::Diagnostic;
use crate::span::Span;
use token::{Kind, NO_MATE, Quote, Token};
use unicode::Offsets;

/// What the lexer makes of a text.
pub(crate) struct Lexed<'s> {
    /// The text that token offsets count in: the source, with `\uXXXX` translated.
    pub(crate) text: Cow<'s, str>,
    /// The tokens; the last one is [`Kind::Eof`].
    pub(crate) tokens: Vec<Token>,
    /// Leads from token offsets to offsets of the source.
    pub(crate) offsets: Offsets,
    /// In the order of the text.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// An open bracket, or an open string with values.
#[derive(Clone, Copy)]
enum Frame {
    Paren(u32),
    Bracket(u32),
    Brace(u32),
    String(u32, Quote),
}

struct Lexer<'s> {
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    tokens: Vec<Token>,
    frames: Vec<Frame>,
    /// How many open strings forbid line breaks inside their values.
    single_line_strings: u32,
    offsets: Offsets,
    diagnostics: Vec<Diagnostic>,
}

/// Splits `source` into tokens.
pub(crate) fn lex(source: &str) -> Lexed<'_> {
    let (text, offsets, diagnostics) = unicode::translate(source);
    let mut lexer = Lexer {
        bytes: text.as_bytes(),
        text: &text,
        at: 0,
        tokens: Vec::with_capacity(text.len() / 5 + 8),
        frames: Vec::new(),
        single_line_strings: 0,
        offsets,
        diagnostics,
    };
    lexer.run();
    let Lexer { tokens, offsets, diagnostics, .. } = lexer;
    Lexed { text, tokens, offsets, diagnostics }
}

impl Lexer<'_> {
    fn run(&mut self) {
        if self.text.starts_with('\u{feff}') {
            self.at = 3;
        }
        if self.bytes[self.at..].starts_with(b"#!") {
            self.skip_line();
        }
        while self.at < self.bytes.len() {
            self.next();
        }
        self.push(Kind::Eof, self.bytes.len());
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.tokens.push(Token::new(kind, start, self.at));
    }

    fn error(&mut self, start: usize, end: usize, message: impl Into<String>, hint: &str) {
        let span = Span::new(self.offsets.source(start as u32), self.offsets.source(end as u32));
        let diagnostic = Diagnostic::error(span, message);
        self.diagnostics.push(if hint.is_empty() { diagnostic } else { diagnostic.with_hint(hint) });
    }

    fn next(&mut self) {
        let start = self.at;
        match self.bytes[start] {
            b' ' | b'\t' | 0x0c => self.at += 1,
            b'\n' | b'\r' => self.newlines(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            b'$' if self.peek(1) == b'/' && self.slash_starts_string() => self.dollar_slashy(),
            b'$' => self.word(),
            b'0'..=b'9' => self.number(),
            b'\'' | b'"' => self.quoted(),
            b'/' => self.slash(),
            b'\\' if matches!(self.peek(1), b'\n' | b'\r') => {
                // A backslash at the end of a line continues it.
                self.at += if self.peek(1) == b'\r' && self.peek(2) == b'\n' { 3 } else { 2 };
            }
            128.. => self.non_ascii(),
            byte => self.symbol(byte),
        }
    }

    fn slash_starts_string(&self) -> bool {
        !self.tokens.last().is_some_and(|t| t.kind.ends_expression())
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.bytes[self.at], b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Any number of line breaks with blanks and comments between them are one token, and none at all inside
    /// parentheses and square brackets.
    fn newlines(&mut self) {
        let start = self.at;
        self.check_line_break(start);
        self.at += if self.bytes[start..].starts_with(b"\r\n") { 2 } else { 1 };
        if self.peek(0) == b'/' && !matches!(self.peek(1), b'/' | b'*') {
            let message = "a line cannot begin with `/`";
            self.error(self.at, self.at + 1, message, "put a space before it: Groovy 2.4 takes it for a comment here");
        }
        loop {
            match self.peek(0) {
                b'\n' | b'\r' => {
                    self.check_line_break(self.at);
                    self.at += 1;
                }
                b' ' | b'\t' | 0x0c => self.at += 1,
                b'\\' if matches!(self.peek(1), b'\n' | b'\r') => self.at += 2,
                b'/' if self.peek(1) == b'/' => self.skip_line(),
                b'/' if self.peek(1) == b'*' => self.block_comment(),
                _ => break,
            }
            if self.at >= self.bytes.len() {
                break;
            }
        }
        if !matches!(self.frames.last(), Some(Frame::Paren(_) | Frame::Bracket(_))) {
            self.tokens.push(Token::new(Kind::Newline, start, start + 1));
        }
    }

    /// Groovy rejects a line break inside `${…}` of a string that may not span lines.
    fn check_line_break(&mut self, at: usize) {
        if self.single_line_strings > 0 {
            self.single_line_strings = 0;
            let open = self.frames.iter().rev().find_map(|f| match f {
                Frame::String(token, _) => Some(*token),
                _ => None,
            });
            let start = open.map_or(at, |t| self.tokens[t as usize].start as usize);
            let message = "this string must end on the line where it starts, also inside its `${…}`";
            self.error(start, at, message, "use triple quotes (\"\"\"…\"\"\") for a text of several lines");
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        self.at += 2;
        loop {
            match self.peek(0) {
                b'*' if self.peek(1) == b'/' => {
                    self.at += 2;
                    return;
                }
                b'\n' | b'\r' => {
                    self.check_line_break(self.at);
                    self.at += 1;
                }
                _ if self.at >= self.bytes.len() => break,
                _ => self.at += 1,
            }
        }
        self.at = self.bytes.len();
        self.error(start, start + 2, "this comment is never closed", "end it with `*/`");
    }

    fn slash(&mut self) {
        let start = self.at;
        match self.peek(1) {
            b'/' => self.skip_line(),
            b'*' => self.block_comment(),
            _ if self.slash_starts_string() => self.slashy(),
            b'=' => {
                self.at += 2;
                self.push(Kind::SlashAssign, start);
            }
            _ => {
                self.at += 1;
                self.push(Kind::Slash, start);
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        self.skip_name(true);
        if self.at == start {
            return self.bad_character();
        }
        let kind = self.word_kind(start);
        self.push(kind, start);
    }

    fn non_ascii(&mut self) {
        match self.text[self.at..].chars().next() {
            Some(c) if is_letter(c) => self.word(),
            _ => self.bad_character(),
        }
    }

    /// Moves over letters, digits and, where allowed, dollars.
    fn skip_name(&mut self, dollars: bool) {
        loop {
            match self.peek(0) {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' => self.at += 1,
                b'$' if dollars => self.at += 1,
                128.. => match self.text[self.at..].chars().next() {
                    Some(c) if is_letter(c) => self.at += c.len_utf8(),
                    _ => return,
                },
                _ => return,
            }
        }
    }

    /// Keyword or name; some keywords are names in a path, because Java packages have them.
    fn word_kind(&self, start: usize) -> Kind {
        let word = &self.text[start..self.at];
        if !(2..=12).contains(&word.len()) || !word.as_bytes()[0].is_ascii_lowercase() {
            return Kind::Ident;
        }
        let Some(keyword) = Kind::keyword(word) else { return Kind::Ident };
        let before = self.tokens.last().map_or(Kind::Eof, |t| t.kind);
        let dotted = self.peek(0) == b'.' || before == Kind::Dot;
        let is_name = match keyword {
            Kind::As | Kind::Def | Kind::In | Kind::Trait => dotted || before == Kind::Package,
            Kind::Package => dotted || before == Kind::Import || (self.peek(0) == b')' && before == Kind::LParen),
            Kind::Static => self.peek(0) == b'.',
            _ => false,
        };
        if is_name { Kind::Ident } else { keyword }
    }

    fn bad_character(&mut self) {
        let start = self.at;
        let c = self.text[start..].chars().next().unwrap_or('\0');
        self.at += c.len_utf8().max(1);
        let hint = match c {
            '#' => "a comment starts with `//`",
            '`' => "text stands in '…' or \"…\"",
            '\u{a0}' => "this is a no-break space; replace it by a space",
            '\\' => "a backslash may stand only inside a string or at the end of a line",
            '«' | '»' => "text stands in '…' or \"…\"",
            _ => "",
        };
        let shown = if c.is_control() || c == '\u{a0}' { format!("U+{:04X}", c as u32) } else { format!("`{c}`") };
        self.error(start, self.at, format!("unexpected character {shown}"), hint);
        self.push(Kind::Error, start);
    }

    /// Everything that is neither word, number, string nor blank. The longest symbol wins.
    fn symbol(&mut self, byte: u8) {
        use Kind::*;
        let (b, c, d) = (self.peek(1), self.peek(2), self.peek(3));
        let (kind, length) = match (byte, b, c, d) {
            (b'(', ..) => (LParen, 1),
            (b')', ..) => (RParen, 1),
            (b'[', ..) => (LBracket, 1),
            (b']', ..) => (RBracket, 1),
            (b'{', ..) => (LBrace, 1),
            (b'}', ..) => (RBrace, 1),
            (b',', ..) => (Comma, 1),
            (b';', ..) => (Semi, 1),
            (b':', ..) => (Colon, 1),
            (b'@', ..) => (At, 1),
            (b'~', ..) => (Tilde, 1),
            (b'.', b'.', b'.', _) => (Ellipsis, 3),
            (b'.', b'.', b'<', _) => (RangeExclusive, 3),
            (b'.', b'.', ..) => (RangeInclusive, 2),
            (b'.', b'&', ..) => (MethodRef, 2),
            (b'.', ..) => (Dot, 1),
            (b'?', b'.', ..) => (SafeDot, 2),
            (b'?', b':', ..) => (Elvis, 2),
            (b'?', ..) => (Question, 1),
            (b'*', b'*', b'=', _) => (PowerAssign, 3),
            (b'*', b'*', ..) => (Power, 2),
            (b'*', b'=', ..) => (StarAssign, 2),
            (b'*', b'.', ..) => (SpreadDot, 2),
            (b'*', ..) => (Star, 1),
            (b'=', b'=', b'=', _) => (Identical, 3),
            (b'=', b'=', b'~', _) => (Match, 3),
            (b'=', b'=', ..) => (Equal, 2),
            (b'=', b'~', ..) => (Find, 2),
            (b'=', ..) => (Assign, 1),
            (b'!', b'=', b'=', _) => (NotIdentical, 3),
            (b'!', b'=', ..) => (NotEqual, 2),
            (b'!', ..) => (Not, 1),
            (b'<', b'=', b'>', _) => (Compare, 3),
            (b'<', b'<', b'=', _) => (ShlAssign, 3),
            (b'<', b'<', ..) => (Shl, 2),
            (b'<', b'=', ..) => (LessEq, 2),
            (b'<', ..) => (Less, 1),
            (b'>', b'>', b'>', b'=') => (UshrAssign, 4),
            (b'>', b'>', b'>', _) => (Ushr, 3),
            (b'>', b'>', b'=', _) => (ShrAssign, 3),
            (b'>', b'>', ..) => (Shr, 2),
            (b'>', b'=', ..) => (GreaterEq, 2),
            (b'>', ..) => (Greater, 1),
            _ => self.arithmetic_symbol(byte, b),
        };
        if length == 0 {
            return self.bad_character();
        }
        let start = self.at;
        self.at += length;
        self.push(kind, start);
        self.bracket(kind);
    }

    fn arithmetic_symbol(&self, byte: u8, next: u8) -> (Kind, usize) {
        use Kind::*;
        match (byte, next) {
            (b'+', b'+') => (Increment, 2),
            (b'+', b'=') => (PlusAssign, 2),
            (b'+', _) => (Plus, 1),
            (b'-', b'-') => (Decrement, 2),
            (b'-', b'=') => (MinusAssign, 2),
            (b'-', b'>') => (Arrow, 2),
            (b'-', _) => (Minus, 1),
            (b'%', b'=') => (PercentAssign, 2),
            (b'%', _) => (Percent, 1),
            (b'&', b'&') => (AndAnd, 2),
            (b'&', b'=') => (AndAssign, 2),
            (b'&', _) => (And, 1),
            (b'|', b'|') => (OrOr, 2),
            (b'|', b'=') => (OrAssign, 2),
            (b'|', _) => (Or, 1),
            (b'^', b'=') => (XorAssign, 2),
            (b'^', _) => (Xor, 1),
            _ => (Error, 0),
        }
    }

    /// Keeps the stack of open brackets and pairs them.
    fn bracket(&mut self, kind: Kind) {
        let index = self.tokens.len() as u32 - 1;
        match kind {
            Kind::LParen => self.frames.push(Frame::Paren(index)),
            Kind::LBracket => self.frames.push(Frame::Bracket(index)),
            Kind::LBrace => self.frames.push(Frame::Brace(index)),
            Kind::RParen => self.close(index, |f| if let Frame::Paren(open) = f { Some(open) } else { None }),
            Kind::RBracket => self.close(index, |f| if let Frame::Bracket(open) = f { Some(open) } else { None }),
            Kind::RBrace => self.close_brace(index),
            Kind::Arrow => {
                if let Some(Frame::Brace(open)) = self.frames.last() {
                    self.tokens[*open as usize].set_arrow();
                }
            }
            _ => {}
        }
    }

    /// `)` and `]` close their partner where only the other kind was left open between, never across a brace.
    fn close(&mut self, index: u32, partner: impl Fn(Frame) -> Option<u32>) {
        let mut depth = self.frames.len();
        while depth > 0 {
            let frame = self.frames[depth - 1];
            if let Some(open) = partner(frame) {
                self.pair(open, index);
                self.frames.truncate(depth - 1);
                return;
            }
            if matches!(frame, Frame::Brace(_) | Frame::String(..)) {
                return;
            }
            depth -= 1;
        }
    }

    /// `}` closes the nearest `{`, whatever was left open inside; the string whose value it ends goes on.
    fn close_brace(&mut self, index: u32) {
        let mut depth = self.frames.len();
        while depth > 0 {
            match self.frames[depth - 1] {
                Frame::Brace(open) => {
                    self.pair(open, index);
                    self.frames.truncate(depth - 1);
                    if let Some(Frame::String(_, quote)) = self.frames.last() {
                        self.string_part(self.at, *quote, None);
                    }
                    return;
                }
                Frame::String(..) => return,
                Frame::Paren(_) | Frame::Bracket(_) => depth -= 1,
            }
        }
    }

    fn pair(&mut self, open: u32, close: u32) {
        debug_assert!(self.tokens[open as usize].mate == NO_MATE);
        self.tokens[open as usize].mate = close;
        self.tokens[close as usize].mate = open;
    }
}

/// Letters as Groovy 2.4 sees them: nearly everything from U+00C0 on, also arrows and typographic quotes.
pub(crate) fn is_letter(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '_' => true,
        '\u{c0}'..='\u{ff}' => c != '\u{d7}' && c != '\u{f7}',
        '\u{ffff}' => false,
        _ => c >= '\u{100}',
    }
}
