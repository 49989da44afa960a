//! Arguments of calls, elements of lists and entries of maps: one production in Groovy's grammar.

use super::expr::expr;
use super::path::null_key;
use super::{Parser, Result};
use crate::ast::{Arg, Constant, Expr, ExprKind, MapEntry, MapKey};
use crate::lexer::token::Kind;
use crate::span::Span;

impl Parser<'_> {
    /// `argList` and the closing bracket. The opening one, at `open`, is consumed.
    pub(super) fn arguments(&mut self, close: Kind, open: usize) -> Result<Vec<Arg>> {
        self.enter()?;
        let args = self.argument_list(close, open);
        self.leave();
        args
    }

    fn argument_list(&mut self, close: Kind, open: usize) -> Result<Vec<Arg>> {
        let mut args = Vec::new();
        if !self.at(close) {
            args.push(self.argument()?);
        }
        // Groovy accepts one comma too many, wherever it stands.
        let mut superfluous = false;
        while self.at(Kind::Comma) && !args.is_empty() {
            self.bump();
            if !self.at(close) && !self.at(Kind::Comma) {
                args.push(self.argument()?);
            } else if std::mem::replace(&mut superfluous, true) {
                return self.expected("an argument");
            }
        }
        if self.at(Kind::Semi) {
            return self.fail("a list of the form (a; b; c) is allowed only in `for`");
        }
        let instead = if args.is_empty() { "" } else { "`,`" };
        self.expect_closing(close, open, instead)?;
        Ok(args)
    }

    /// `argument`: `x`, `name: x`, `*x`, `*: x`
    fn argument(&mut self) -> Result<Arg> {
        let arg = if self.label_starts() {
            let key = self.label()?;
            self.bump();
            Arg::Named(key, self.strict_expression(true)?)
        } else if self.at(Kind::Star) {
            self.bump();
            if self.eat(Kind::Colon) {
                Arg::SpreadMap(self.strict_expression(true)?)
            } else {
                Arg::Spread(self.strict_expression(true)?)
            }
        } else {
            Arg::Positional(self.strict_expression(true)?)
        };
        if self.at(Kind::Colon) {
            let hint = "put the key into parentheses: `(key): value`";
            return self.fail_with_hint("only a name, a number or a string can stand before `:`", hint);
        }
        Ok(arg)
    }

    /// `argumentLabel`, without the colon.
    pub(super) fn label(&mut self) -> Result<MapKey> {
        let index = self.at;
        let span = self.token_span(index);
        Ok(match self.peek() {
            Kind::Number => {
                let value = self.number(index, false);
                self.bump();
                MapKey::Constant(value, span)
            }
            Kind::Str => {
                let value = self.string_value(index);
                self.bump();
                MapKey::Constant(Constant::Str(value), span)
            }
            Kind::LParen | Kind::StrStart | Kind::LBracket | Kind::LBrace => {
                let key = self.primary_expression()?;
                if !self.at(Kind::Colon) {
                    return self.expected("`:`");
                }
                MapKey::Dynamic(key)
            }
            _ => {
                self.bump();
                MapKey::Constant(Constant::Str(self.token_name(index)), span)
            }
        })
    }

    /// `commandArgument`
    pub(super) fn command_argument(&mut self) -> Result<Arg> {
        self.enter()?;
        let arg = self.command_argument_inner();
        self.leave();
        arg
    }

    fn command_argument_inner(&mut self) -> Result<Arg> {
        if !self.label_starts() {
            return Ok(Arg::Positional(self.expression(false)?));
        }
        let key = self.label()?;
        self.bump();
        self.newline();
        Ok(Arg::Named(key, self.expression(false)?))
    }

    /// `strictContextExpression`: what may stand inside brackets.
    pub(super) fn strict_expression(&mut self, declaration_allowed: bool) -> Result<Expr> {
        if declaration_allowed && self.declaration_starts() {
            let first = self.at;
            let local = self.single_declaration(true)?;
            let span = self.span_from(first);
            return Ok(expr(ExprKind::Declaration(Box::new(local)), span));
        }
        match self.peek() {
            Kind::At => {
                let annotation = self.annotation()?;
                let span = annotation.span;
                Ok(expr(ExprKind::Annotation(Box::new(annotation)), span))
            }
            Kind::Return | Kind::Break | Kind::Continue | Kind::Throw | Kind::Assert => {
                self.fail(format!("{} cannot stand inside an expression", self.found()))
            }
            _ => self.expression(false),
        }
    }

    /// `[a, b]`, `[a: b]`, `[:]`
    pub(super) fn list_or_map(&mut self) -> Result<Expr> {
        let open = self.bump();
        if self.at(Kind::Colon) && self.nth(1) == Kind::RBracket {
            self.bump();
            self.bump();
            let span = self.span_from(open);
            return Ok(expr(ExprKind::Map(Vec::new()), span));
        }
        let args = self.arguments(Kind::RBracket, open)?;
        let span = self.span_from(open);
        if !args.iter().any(|a| matches!(a, Arg::Named(..) | Arg::SpreadMap(_))) {
            return Ok(expr(ExprKind::List(args), span));
        }
        let entries = args.into_iter().map(|arg| self.map_entry(arg)).collect();
        Ok(expr(ExprKind::Map(entries), span))
    }

    fn map_entry(&mut self, arg: Arg) -> MapEntry {
        match arg {
            Arg::Named(key, value) => MapEntry::Pair(key, value),
            Arg::SpreadMap(map) => MapEntry::Spread(map),
            Arg::Positional(value) | Arg::Spread(value) => {
                let hint = "write `key: value`, or `*: map` for the entries of another map";
                self.report(value.span, "an entry without a key stands in a map", Some(hint.into()));
                MapEntry::Pair(null_key(value.span), value)
            }
        }
    }

    /// Groovy rejects a call that gives one named argument twice.
    pub(super) fn check_named_arguments(&mut self, args: &[Arg]) {
        let names: Vec<(&Constant, Span)> = args
            .iter()
            .filter_map(|arg| match arg {
                Arg::Named(MapKey::Constant(name, span), _) => Some((name, *span)),
                _ => None,
            })
            .collect();
        if names.len() < 2 {
            return;
        }
        let mut seen = std::collections::HashSet::new();
        for (name, span) in names {
            let text = name_of(name);
            if !seen.insert(text.clone()) {
                self.report(span, format!("Duplicate named parameter '{text}' found."), None);
            }
        }
    }
}

/// The name that a constant gives to an argument: `1:` and `'1':` are the same.
fn name_of(constant: &Constant) -> String {
    match constant {
        Constant::Str(text) | Constant::BigInt(text) | Constant::Decimal(text) => text.to_string(),
        Constant::Int(value) => value.to_string(),
        Constant::Long(value) => value.to_string(),
        Constant::Float(value) => format!("{value:?}"),
        Constant::Double(value) => format!("{value:?}"),
        Constant::Bool(value) => value.to_string(),
        Constant::Null => "null".into(),
    }
}
