//! Numbers. Only their extent is found here; the parser computes the value.

use super::Lexer;
use super::token::Kind;

impl Lexer<'_> {
    pub(super) fn number(&mut self) {
        let start = self.at;
        let decimal = self.integer_digits();
        let mut complete = !decimal;
        if decimal && self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.digits(|b| b.is_ascii_digit());
            complete = self.exponent();
            self.suffix(b"fFdDgG");
        } else if decimal && self.exponent() {
            complete = true;
            self.suffix(b"fFdDgG");
        } else {
            self.suffix(if decimal { b"lLiIgGfFdD" } else { b"lLiIgG" });
        }
        self.check_end(start, !complete);
        self.push(Kind::Number, start);
    }

    /// What cannot follow digits directly.
    fn check_end(&mut self, start: usize, exponent_allowed: bool) {
        let text = &self.bytes[start..self.at];
        let ends_with_digit = text.last().is_some_and(u8::is_ascii_digit);
        let message = match self.peek(0) {
            b'_' if text.iter().all(|b| b.is_ascii_digit() || *b == b'_') && text != b"0" => {
                return self.no_digit_after_underscores();
            }
            b'_' if text != b"0" && ends_with_digit => "a number cannot end with an underscore",
            b'x' | b'X' | b'b' | b'B' if text == b"0" => "this number has no digits",
            b'e' | b'E' if exponent_allowed && ends_with_digit => "the exponent of this number has no digits",
            _ => return,
        };
        self.error(start, self.at + 1, message, "");
    }

    /// In the words of Groovy's lexer.
    fn no_digit_after_underscores(&mut self) {
        let count = self.bytes[self.at..].iter().take_while(|b| **b == b'_').count();
        let at = self.at + count;
        let next = self.text[at..].chars().next();
        let found = match next {
            None => "<EOF>".to_owned(),
            Some('\n') => "\\n".to_owned(),
            Some('\r') => "\\r".to_owned(),
            Some('\t') => "\\t".to_owned(),
            Some(c) => c.to_string(),
        };
        self.error(
            at,
            at + next.map_or(0, char::len_utf8),
            format!("expecting token in range: '0'..'9', found '{found}'"),
            "",
        );
    }

    /// The digits before any point or suffix; whether a point may follow.
    fn integer_digits(&mut self) -> bool {
        if self.peek(0) != b'0' {
            self.digits(|b| b.is_ascii_digit());
            return true;
        }
        match (self.peek(1), self.peek(2)) {
            (b'x' | b'X', digit) if digit.is_ascii_hexdigit() => {
                self.at += 2;
                self.digits(|b| b.is_ascii_hexdigit());
                false
            }
            (b'b' | b'B', b'0' | b'1') => {
                self.at += 2;
                self.digits(|b| matches!(b, b'0' | b'1'));
                false
            }
            (b'0'..=b'9', _) => self.leading_zero(),
            _ => {
                self.at += 1;
                true
            }
        }
    }

    /// `007` is octal, `007.5` and `09f` are decimal, `09` is a zero and a nine.
    fn leading_zero(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        self.digits(|b| b.is_ascii_digit());
        let fraction = match self.peek(0) {
            b'.' => self.peek(1).is_ascii_digit(),
            b'f' | b'F' | b'd' | b'D' => true,
            b'e' | b'E' => self.exponent_length() > 0,
            _ => false,
        };
        if fraction {
            return true;
        }
        self.at = start + 1;
        if matches!(self.peek(0), b'0'..=b'7') {
            self.digits(|b| matches!(b, b'0'..=b'7'));
            return false;
        }
        true
    }

    /// Digits with underscores between them; the last one is a digit.
    fn digits(&mut self, is_digit: impl Fn(u8) -> bool) {
        let mut end = self.at;
        let mut at = self.at;
        while let Some(byte) = self.bytes.get(at) {
            if is_digit(*byte) {
                end = at + 1;
            } else if *byte != b'_' {
                break;
            }
            at += 1;
        }
        self.at = end;
    }

    fn exponent_length(&self) -> usize {
        if !matches!(self.peek(0), b'e' | b'E') {
            return 0;
        }
        let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if self.peek(1 + sign).is_ascii_digit() { 2 + sign } else { 0 }
    }

    fn exponent(&mut self) -> bool {
        let length = self.exponent_length();
        self.at += length;
        if length > 0 {
            // The first digit is counted already; more may follow directly or behind underscores.
            self.at -= 1;
            self.digits(|b| b.is_ascii_digit());
        }
        length > 0
    }

    fn suffix(&mut self, allowed: &[u8]) {
        if self.at < self.bytes.len() && allowed.contains(&self.peek(0)) {
            self.at += 1;
        }
    }
}
