//! The six forms of string. A string without values is one [`Kind::Str`]; with values it is [`Kind::StrStart`], the
//! tokens of the first value, [`Kind::StrMiddle`] … [`Kind::StrEnd`].

use super::token::{Kind, Quote, Token};
use super::{Frame, Lexer, is_letter};

impl Lexer<'_> {
    /// At `'` or `"`.
    pub(super) fn quoted(&mut self) {
        let start = self.at;
        let byte = self.bytes[start];
        let triple = self.peek(1) == byte && self.peek(2) == byte;
        let quote = match (byte, triple) {
            (b'\'', false) => Quote::Single,
            (b'\'', true) => Quote::TripleSingle,
            (_, false) => Quote::Double,
            (_, true) => Quote::TripleDouble,
        };
        self.at += quote.opening().len();
        self.string_part(start, quote, Some(start));
    }

    /// At the first `/` of a string.
    pub(super) fn slashy(&mut self) {
        let start = self.at;
        self.at += 1;
        self.string_part(start, Quote::Slashy, Some(start));
    }

    /// At `$/`.
    pub(super) fn dollar_slashy(&mut self) {
        let start = self.at;
        self.at += 2;
        if self.peek(0) == b'/' {
            // The first character is text even where `/$` would end the string: it cannot be empty.
            self.at += 1;
        }
        self.string_part(start, Quote::DollarSlashy, Some(start));
    }

    /// Reads text up to the end of the string or to the next value, and a value that is a path of names, and so on.
    /// `opened` is where the string starts if this is its first part.
    pub(super) fn string_part(&mut self, start: usize, quote: Quote, opened: Option<usize>) {
        let (mut start, mut opened) = (start, opened);
        loop {
            let mut escapes = false;
            match self.string_text(quote, &mut escapes) {
                Stop::Closed => {
                    let first = opened.is_some();
                    let kind = if first { Kind::Str } else { Kind::StrEnd };
                    self.tokens.push(Token::string(kind, start, self.at, quote, escapes));
                    if !first {
                        self.leave_string();
                    }
                    return;
                }
                Stop::Value => {
                    let kind = if opened.is_some() { Kind::StrStart } else { Kind::StrMiddle };
                    self.tokens.push(Token::string(kind, start, self.at, quote, escapes));
                    if opened.take().is_some() {
                        self.enter_string(quote);
                    }
                    if self.peek(0) == b'{' || !self.value_path() {
                        return;
                    }
                    start = self.at;
                }
                Stop::Unclosed => return self.unclosed(start, quote, opened),
            }
        }
    }

    fn enter_string(&mut self, quote: Quote) {
        self.frames.push(Frame::String(self.tokens.len() as u32 - 1, quote));
        if quote.forbids_line_break_in_value() {
            self.single_line_strings += 1;
        }
    }

    fn leave_string(&mut self) {
        if let Some(Frame::String(open, quote)) = self.frames.pop() {
            self.pair(open, self.tokens.len() as u32 - 1);
            if quote.forbids_line_break_in_value() {
                self.single_line_strings = self.single_line_strings.saturating_sub(1);
            }
        }
    }

    /// `a.b.c` behind a `$`. False if there is something else than a name.
    fn value_path(&mut self) -> bool {
        loop {
            let start = self.at;
            self.skip_name(false);
            if self.at == start {
                self.bad_character();
                return true;
            }
            let kind = self.word_kind(start);
            self.push(kind, start);
            if self.peek(0) != b'.' || !self.name_starts_at(self.at + 1) {
                return true;
            }
            self.at += 1;
            self.push(Kind::Dot, self.at - 1);
        }
    }

    /// Whether Java would let a name (other than one with `$`) start here.
    fn name_starts_at(&self, at: usize) -> bool {
        match self.bytes.get(at) {
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => true,
            Some(128..) => self.text[at..].chars().next().is_some_and(is_java_start),
            _ => false,
        }
    }

    fn value_starts_at(&self, at: usize) -> bool {
        self.bytes.get(at) == Some(&b'{') || self.name_starts_at(at)
    }

    /// Moves to the end of the string (behind its closing quote) or behind the `$` of its next value.
    fn string_text(&mut self, quote: Quote, escapes: &mut bool) -> Stop {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match byte {
                b'\n' | b'\r' if quote.is_single_line() => return Stop::Unclosed,
                b'\r' => {
                    *escapes = true;
                    self.at += 1;
                }
                b'\\' => {
                    *escapes = true;
                    self.backslash(quote);
                }
                b'\'' | b'"' | b'/' if self.closes(byte, quote) => {
                    self.at += quote.closing().len();
                    return Stop::Closed;
                }
                b'$' if matches!(quote, Quote::Single | Quote::TripleSingle) => self.at += 1,
                b'$' => {
                    if quote == Quote::DollarSlashy && matches!(self.peek(1), b'/' | b'$') {
                        *escapes = true;
                        self.at += 2;
                    } else if self.value_starts_at(self.at + 1) {
                        self.at += 1;
                        return Stop::Value;
                    } else {
                        self.lone_dollar(quote);
                    }
                }
                _ => self.at += 1,
            }
        }
        Stop::Unclosed
    }

    fn closes(&self, byte: u8, quote: Quote) -> bool {
        match quote {
            Quote::Single => byte == b'\'',
            Quote::Double => byte == b'"',
            Quote::TripleSingle | Quote::TripleDouble => self.text[self.at..].starts_with(quote.closing()),
            Quote::Slashy => byte == b'/',
            Quote::DollarSlashy => byte == b'/' && self.peek(1) == b'$',
        }
    }

    fn lone_dollar(&mut self, quote: Quote) {
        if matches!(quote, Quote::Double | Quote::TripleDouble) {
            let message = "a `$` in a double-quoted string must be followed by a name or `{`";
            self.error(self.at, self.at + 1, message, "write `\\$` for a plain dollar sign, or use '…'");
        }
        self.at += 1;
    }

    /// Moves over a backslash and what it escapes.
    fn backslash(&mut self, quote: Quote) {
        let next = self.peek(1);
        let plain = matches!(quote, Quote::Slashy | Quote::DollarSlashy);
        let length = match next {
            b'\r' if self.peek(2) == b'\n' => 3,
            b'\n' | b'\r' => 2,
            b'/' if quote == Quote::Slashy => 2,
            _ if plain => 1,
            b'n' | b'r' | b't' | b'b' | b'f' | b'"' | b'\'' | b'\\' | b'$' | b'0'..=b'7' | b'u' => 2,
            _ if self.at + 1 >= self.bytes.len() => 1,
            _ => {
                let c = self.text[self.at + 1..].chars().next().unwrap_or('?');
                let end = self.at + 1 + c.len_utf8();
                let message = format!("`\\{c}` is not an escape sequence");
                self.error(self.at, end, message, "write `\\\\` for a backslash, or use a /…/ string");
                1 + c.len_utf8()
            }
        };
        self.at += length;
    }

    /// The text ended before the string did: the line for a simple string, the file for the others.
    fn unclosed(&mut self, start: usize, quote: Quote, opened: Option<usize>) {
        let open_token = self.frames.iter().rev().find_map(|f| match f {
            Frame::String(token, _) if opened.is_none() => Some(self.tokens[*token as usize].start as usize),
            _ => None,
        });
        let open = opened.or(open_token).unwrap_or(start);
        let end = open + quote.opening().len();
        let mark = quote.closing();
        if quote.is_single_line() {
            let outer = self.frames.iter().any(|f| matches!(f, Frame::String(_, q) if q.is_single_line()));
            let hint = if outer && opened.is_some() {
                format!("end it with `{mark}`; or the `${{` before it lacks its `}}`")
            } else {
                format!("end it with `{mark}`, or use triple quotes for a text of several lines")
            };
            self.error(open, self.at.max(end), "this string is not closed on its line", &hint);
        } else {
            let message = format!("this string ({}) is never closed", quote.opening());
            self.error(open, end, message, &format!("end it with `{mark}`"));
        }
        self.push(Kind::Error, start);
        self.abandon_strings();
    }

    /// After an unclosed string, the simple strings around it cannot be closed any more.
    fn abandon_strings(&mut self) {
        let first =
            self.frames.iter().position(|f| matches!(f, Frame::String(_, q) if q.forbids_line_break_in_value()));
        if let Some(first) = first {
            self.frames.truncate(first);
        }
        self.single_line_strings = 0;
    }
}

enum Stop {
    Closed,
    Value,
    Unclosed,
}

/// Java's identifier start, without `$`, as far as text needs it.
fn is_java_start(c: char) -> bool {
    (c as u32) < 0x10000
        && (c.is_alphabetic() || matches!(c, '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20cf}' | '\u{203f}' | '\u{2040}'))
        || is_letter(c) && c.is_alphabetic() && (c as u32) < 0x10000
}
