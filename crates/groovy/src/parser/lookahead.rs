//! Decides, without parsing, which production comes next. Each function scans forward from an index and jumps over
//! brackets, so that it looks at a token at most once for the statement or bracket it stands in.

use super::Parser;
use crate::lexer::token::{Kind, NO_MATE};

impl Parser<'_> {
    /// Index behind the bracket or string that opens at `index`.
    pub(super) fn behind_bracket(&self, index: usize) -> Option<usize> {
        match self.tokens[index].mate {
            NO_MATE => None,
            mate => Some(mate as usize + 1),
        }
    }

    /// Whether the name starts with a capital letter: Groovy takes it for a type.
    pub(super) fn is_capitalized(&self, index: usize) -> bool {
        self.kind_at(index) == Kind::Ident && self.token_text(index).chars().next().is_some_and(char::is_uppercase)
    }

    /// `declarationStart`: words, annotations and types, then a name (or a string, for a method).
    pub(super) fn declaration_starts(&self) -> bool {
        let mut at = self.at;
        let mut words = 0;
        loop {
            // The name comes when the token behind it cannot go on with a type: in `def foo bar`, `foo` is no name.
            match self.kind_at(at) {
                Kind::Str if words > 0 => return true,
                Kind::Ident if words > 0 && !self.goes_on_behind_type(at + 1) => return true,
                _ => {}
            }
            let Some(next) = self.skip_declaration_word(at) else { return false };
            at = next;
            words += 1;
        }
    }

    /// Whether a declaration can go on with this token behind the name of a type.
    fn goes_on_behind_type(&self, at: usize) -> bool {
        match self.kind_at(at) {
            Kind::Ident | Kind::Str | Kind::Less | Kind::LBracket | Kind::Dot | Kind::Def | Kind::At => true,
            kind => kind.is_modifier() || kind.is_builtin_type(),
        }
    }

    fn skip_declaration_word(&self, at: usize) -> Option<usize> {
        match self.kind_at(at) {
            Kind::Def => Some(self.past_newline(at + 1)),
            kind if kind.is_modifier() => Some(self.past_newline(at + 1)),
            Kind::At => self.skip_annotation(at),
            kind if kind.is_builtin_type() => self.skip_type_suffix(at + 1),
            Kind::Ident => self.skip_capitalized_name(at).and_then(|next| self.skip_type_suffix(next)),
            _ => None,
        }
    }

    /// `Foo` or `a.b.Foo`.
    fn skip_capitalized_name(&self, at: usize) -> Option<usize> {
        let mut last = at;
        while self.kind_at(last + 1) == Kind::Dot && self.kind_at(last + 2) == Kind::Ident {
            last += 2;
        }
        // `Foo.bar` is not a type, but `Foo` before the dot is no declaration either.
        self.is_capitalized(last).then_some(last + 1)
    }

    /// `<…>` and `[…]` behind a type name.
    fn skip_type_suffix(&self, at: usize) -> Option<usize> {
        let mut at = if self.kind_at(at) == Kind::Less { self.skip_type_arguments(at)? } else { at };
        while self.kind_at(at) == Kind::LBracket {
            at = self.behind_bracket(at)?;
        }
        Some(at)
    }

    /// `<…>` from the `<` on; not `<>`.
    fn skip_type_arguments(&self, at: usize) -> Option<usize> {
        if self.kind_at(at + 1) == Kind::Greater {
            return None;
        }
        let mut depth = 0;
        let mut at = at;
        loop {
            match self.kind_at(at) {
                Kind::Less => depth += 1,
                Kind::Greater => depth -= 1,
                Kind::Shr => depth -= 2,
                Kind::Ushr => depth -= 3,
                Kind::Ident
                | Kind::Dot
                | Kind::Comma
                | Kind::Question
                | Kind::Extends
                | Kind::Super
                | Kind::And
                | Kind::LBracket
                | Kind::RBracket
                | Kind::Newline => {}
                kind if kind.is_builtin_type() => {}
                _ => return None,
            }
            at += 1;
            match depth {
                0 => return Some(at),
                1.. => {}
                _ => return None,
            }
        }
    }

    /// `@Name(…)` and the line break behind it. Not `@interface`.
    pub(super) fn skip_annotation(&self, at: usize) -> Option<usize> {
        let mut at = at + 1;
        if self.kind_at(at) != Kind::Ident {
            return None;
        }
        at += 1;
        while self.kind_at(at) == Kind::Dot && self.kind_at(self.past_newline(at + 1)) == Kind::Ident {
            at = self.past_newline(at + 1) + 1;
        }
        let paren = self.past_newline(at);
        if self.kind_at(paren) == Kind::LParen {
            at = self.behind_bracket(paren)?;
        }
        Some(self.past_newline(at))
    }

    /// Index behind `def`, words and annotations.
    pub(super) fn skip_modifiers(&self, at: usize) -> usize {
        let mut at = at;
        loop {
            at = match self.kind_at(at) {
                Kind::Def => self.past_newline(at + 1),
                kind if kind.is_modifier() => self.past_newline(at + 1),
                Kind::At => match self.skip_annotation(at) {
                    Some(next) => next,
                    None => return at,
                },
                _ => return at,
            };
        }
    }

    /// `genericMethodStart`: words, then `<`.
    pub(super) fn generic_method_starts(&self) -> bool {
        let behind = self.skip_modifiers(self.at);
        behind > self.at && self.kind_at(behind) == Kind::Less
    }

    /// `multipleAssignmentDeclarationStart`: words, `def`, `(`.
    pub(super) fn tuple_declaration_starts(&self) -> bool {
        let behind = self.skip_modifiers(self.at);
        behind > self.at
            && self.kind_at(behind) == Kind::LParen
            && (self.kind_at(behind - 1) == Kind::Def
                || self.kind_at(behind - 1) == Kind::Newline && self.kind_at(behind - 2) == Kind::Def)
    }

    /// `typeDeclarationStart`: words, then `class` and the like.
    pub(super) fn type_declaration_starts(&self) -> bool {
        let behind = self.skip_modifiers(self.at);
        self.type_keyword_at(behind)
    }

    pub(super) fn type_keyword_at(&self, at: usize) -> bool {
        match self.kind_at(at) {
            Kind::Class | Kind::Interface | Kind::Enum | Kind::Trait => true,
            Kind::At => self.kind_at(at + 1) == Kind::Interface,
            _ => false,
        }
    }

    /// `constructorStart`: words, the name of the class, `(`.
    pub(super) fn constructor_starts(&self) -> bool {
        let behind = self.skip_modifiers(self.at);
        self.kind_at(behind) == Kind::Ident
            && self.classes.last().is_some_and(|c| **c == *self.token_text(behind))
            && self.kind_at(self.past_newline(behind + 1)) == Kind::LParen
    }

    /// Whether a type stands before the name that is declared here.
    pub(super) fn type_before_name(&self) -> bool {
        match self.peek() {
            kind if kind.is_builtin_type() => true,
            Kind::Ident => matches!(
                self.nth(1),
                Kind::Ident | Kind::Str | Kind::Less | Kind::Dot | Kind::LBracket | Kind::Ellipsis
            ),
            _ => false,
        }
    }

    /// `argumentLabelStart`: a name, keyword, number, string or bracketed expression, then a colon.
    pub(super) fn label_starts(&self) -> bool {
        self.label_starts_at(self.at)
    }

    fn label_starts_at(&self, at: usize) -> bool {
        let behind = match self.kind_at(at) {
            Kind::Number | Kind::Str => at + 1,
            Kind::LParen | Kind::StrStart | Kind::LBracket | Kind::LBrace => match self.behind_bracket(at) {
                Some(behind) => behind,
                None => return false,
            },
            kind if kind.is_name_like() => at + 1,
            _ => return false,
        };
        self.kind_at(behind) == Kind::Colon
    }

    /// Whether the token can start an operand without a sign (`unaryExpressionNotPlusMinus`).
    pub(super) fn operand_starts(&self, at: usize) -> bool {
        match self.kind_at(at) {
            Kind::Ident | Kind::Number | Kind::Str | Kind::StrStart | Kind::LParen | Kind::LBracket | Kind::LBrace => {
                true
            }
            Kind::Not | Kind::Tilde | Kind::New | Kind::This | Kind::Super | Kind::True | Kind::False | Kind::Null => {
                true
            }
            kind => kind.is_builtin_type(),
        }
    }

    /// Whether the token can start an expression.
    pub(super) fn expression_starts(&self) -> bool {
        matches!(self.peek(), Kind::Plus | Kind::Minus | Kind::Increment | Kind::Decrement)
            || self.operand_starts(self.at)
    }

    /// Whether an argument of a command can start here.
    pub(super) fn command_argument_starts(&self) -> bool {
        self.expression_starts() || (self.peek().is_keyword() && self.nth(1) == Kind::Colon)
    }

    /// Whether `(` opens a cast: a type alone between the parentheses, and an operand behind them.
    pub(super) fn cast_starts(&self) -> bool {
        let mut at = self.at + 1;
        let builtin = self.kind_at(at).is_builtin_type();
        if builtin {
            at += 1;
        } else {
            let first = at;
            loop {
                if self.kind_at(at) != Kind::Ident {
                    return false;
                }
                at += 1;
                if at == first + 1 && self.kind_at(at) == Kind::Less && self.kind_at(at + 1) == Kind::Greater {
                    at += 2;
                } else if self.kind_at(at) == Kind::Less {
                    match self.skip_type_arguments(at) {
                        Some(next) => at = next,
                        None => return false,
                    }
                }
                if self.kind_at(at) != Kind::Dot {
                    break;
                }
                at += 1;
            }
        }
        while self.kind_at(at) == Kind::LBracket && self.kind_at(at + 1) == Kind::RBracket {
            at += 2;
        }
        if self.kind_at(at) != Kind::RParen {
            return false;
        }
        if self.kind_at(at + 1) == Kind::LParen && !self.holds_one_expression(at + 1) {
            return false;
        }
        let signed = matches!(self.kind_at(at + 1), Kind::Plus | Kind::Minus | Kind::Increment | Kind::Decrement);
        self.operand_starts(at + 1) || (builtin && signed)
    }

    /// Whether the parentheses at `open` could be an expression and not only arguments: `(f)(a, b)` is a call.
    fn holds_one_expression(&self, open: usize) -> bool {
        let mut at = open + 1;
        if matches!(self.kind_at(at), Kind::RParen | Kind::Star) || self.label_starts_at(at) {
            return false;
        }
        loop {
            match self.kind_at(at) {
                Kind::Comma | Kind::Eof => return false,
                Kind::RParen => return true,
                Kind::LParen | Kind::LBracket | Kind::LBrace | Kind::StrStart => {
                    at = self.behind_bracket(at).unwrap_or(at + 1);
                }
                _ => at += 1,
            }
        }
    }

    /// `(a, b) =`
    pub(super) fn tuple_assignment_starts(&self) -> bool {
        if !self.at(Kind::LParen) || self.nth(1) != Kind::Ident {
            return false;
        }
        let mut at = self.at + 2;
        while self.kind_at(at) == Kind::Comma && self.kind_at(at + 1) == Kind::Ident {
            at += 2;
        }
        self.kind_at(at) == Kind::RParen && self.kind_at(at + 1) == Kind::Assign
    }

    /// Whether the parentheses of a `for` that open at `open` have a `;` of their own.
    pub(super) fn has_semicolon(&self, open: usize) -> bool {
        let mut at = open + 1;
        loop {
            match self.kind_at(at) {
                Kind::Semi => return true,
                Kind::RParen | Kind::Eof => return false,
                Kind::LParen | Kind::LBracket | Kind::LBrace | Kind::StrStart => {
                    at = self.behind_bracket(at).unwrap_or(at + 1);
                }
                _ => at += 1,
            }
        }
    }

    /// Whether a dot of some kind comes next, maybe on the next line.
    pub(super) fn dot_follows(&self) -> bool {
        let at = self.past_newline(self.at);
        matches!(self.kind_at(at), Kind::Dot | Kind::SafeDot | Kind::SpreadDot | Kind::MethodRef)
    }
}
