//! The values of strings, and strings with values inside.

use std::rc::Rc;

use super::expr::expr;
use super::{Parser, Result};
use crate::ast::{Access, Closure, Constant, Expr, ExprKind, Member, StmtKind, StrPart, Text};
use crate::lexer::token::{Kind, Quote, Token};

impl<'s> Parser<'s> {
    /// What the string, or the part of a string, at `index` stands for.
    pub(super) fn string_value(&mut self, index: usize) -> Text {
        let token = self.tokens[index];
        let raw: &'s str = self.string_body(token);
        if token.has_escapes() {
            Text::from(unescape(raw, token.quote()))
        } else if raw.len() <= 32 {
            self.intern(raw)
        } else {
            Text::from(raw)
        }
    }

    /// The text between the delimiters.
    fn string_body(&self, token: Token) -> &'s str {
        let text: &'s str = self.text;
        let quote = token.quote();
        let opening = match token.kind {
            Kind::Str | Kind::StrStart => quote.opening().len(),
            _ => 0,
        };
        let closing = match token.kind {
            Kind::Str | Kind::StrEnd => quote.closing().len(),
            _ => "$".len(),
        };
        &text[token.start as usize + opening..token.end as usize - closing]
    }

    /// `stringConstructorExpression`: a string with values.
    pub(super) fn gstring(&mut self) -> Result<Expr> {
        self.enter()?;
        let result = self.gstring_parts();
        self.leave();
        result
    }

    fn gstring_parts(&mut self) -> Result<Expr> {
        let first = self.at;
        let mut parts = Vec::new();
        loop {
            let kind = self.peek();
            if !matches!(kind, Kind::StrStart | Kind::StrMiddle | Kind::StrEnd) {
                return self.expected("the rest of the string");
            }
            let text = self.string_value(self.at);
            if !text.is_empty() {
                parts.push(StrPart::Text(text));
            }
            self.bump();
            if kind == Kind::StrEnd {
                break;
            }
            parts.push(self.gstring_value()?);
        }
        let span = self.span_from(first);
        Ok(expr(ExprKind::GString(parts), span))
    }

    /// `stringConstructorValuePart`: `a.b`, `this`, `{ … }`.
    fn gstring_value(&mut self) -> Result<StrPart> {
        match self.peek() {
            Kind::LBrace => self.gstring_block(),
            Kind::Ident | Kind::This | Kind::Super => {
                let index = self.bump();
                let name = self.token_name(index);
                let mut value = expr(ExprKind::Name(name), self.token_span(index));
                while self.at(Kind::Dot) && self.kind_at(index) == Kind::Ident {
                    self.lower()?;
                    self.bump();
                    let index = self.expect(Kind::Ident)?;
                    let member = Member::Name(self.token_name(index), self.token_span(index));
                    let span = self.span_since(value.span);
                    value =
                        expr(ExprKind::Property { object: value, member, access: Access::Dot, attribute: false }, span);
                }
                Ok(StrPart::Expr(value))
            }
            _ => {
                let message = format!("{} cannot follow `$` directly", self.found());
                self.fail_with_hint(message, "write `${…}` around it")
            }
        }
    }

    /// `${…}`: one expression, or a closure.
    fn gstring_block(&mut self) -> Result<StrPart> {
        let mut closure = self.closure_literal()?;
        if closure.params.is_some() {
            return Ok(StrPart::Closure(Rc::new(closure)));
        }
        if closure.body.stmts.is_empty() {
            return Ok(StrPart::Expr(expr(ExprKind::Constant(Constant::Null), closure.body.span)));
        }
        if closure.body.stmts.len() == 1
            && let StmtKind::Expr(_) = &closure.body.stmts[0].kind
            && closure.body.stmts[0].labels.is_empty()
            && let Some(stmt) = closure.body.stmts.pop()
            && let StmtKind::Expr(value) = stmt.kind
        {
            return Ok(StrPart::Expr(value));
        }
        Ok(StrPart::Closure(Rc::new(Closure { params: None, body: closure.body })))
    }
}

/// Resolves escapes and turns every line break into `\n`.
fn unescape(raw: &str, quote: Quote) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            '$' if quote == Quote::DollarSlashy && matches!(chars.peek(), Some('/' | '$')) => {
                out.extend(chars.next());
            }
            '\\' => backslash(&mut chars, quote, &mut out),
            _ => out.push(c),
        }
    }
    out
}

fn backslash(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: Quote, out: &mut String) {
    let plain = matches!(quote, Quote::Slashy | Quote::DollarSlashy);
    let Some(next) = chars.peek().copied() else { return out.push('\\') };
    match next {
        '\n' => drop(chars.next()),
        '\r' => {
            chars.next();
            chars.next_if_eq(&'\n');
        }
        '/' if quote == Quote::Slashy => out.extend(chars.next()),
        _ if plain => out.push('\\'),
        '0'..='7' => out.extend(octal(chars)),
        'u' => out.extend(hex(chars)),
        _ => {
            chars.next();
            out.push(match next {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                other => other,
            });
        }
    }
}

/// Up to three octal digits, at most 377.
fn octal(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let mut value = 0;
    let mut digits = 0;
    while digits < 3
        && let Some(digit) = chars.peek().and_then(|c| c.to_digit(8))
        && value * 8 + digit < 256
    {
        value = value * 8 + digit;
        digits += 1;
        chars.next();
    }
    char::from_u32(value)
}

/// `uuXXXX`: reached only behind an escaped backslash, since others are translated before lexing.
fn hex(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    while chars.next_if_eq(&'u').is_some() {}
    let mut value = 0;
    for _ in 0..4 {
        value = value * 16 + chars.peek().and_then(|c| c.to_digit(16))?;
        chars.next();
    }
    char::from_u32(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(quote: Quote, raw: &str, expect: &str) {
        assert_eq!(unescape(raw, quote), expect);
    }

    #[test]
    fn escapes_of_quoted_strings() {
        check(Quote::Double, r#"a\n\t\\\"\'\$\b\f\r"#, "a\n\t\\\"'$\u{8}\u{c}\r");
        check(Quote::Single, r"\101\7\0\400\1234", "A\u{7}\0\u{20}0S4");
        check(Quote::TripleSingle, "a\r\nb\rc\\\n d", "a\nb\nc d");
    }

    #[test]
    fn escapes_of_slashy_strings() {
        check(Quote::Slashy, r"a\/b\d\\", r"a/b\d\\");
        check(Quote::Slashy, "a\\\nb", "ab");
        check(Quote::DollarSlashy, r"a$/b$$c\d/", r"a/b$c\d/");
    }
}
