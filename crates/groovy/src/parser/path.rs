//! Primary expressions and what may follow them: `.b`, `[c]`, `(d)`, `{ e }`, and the arguments of commands.

use std::rc::Rc;

use super::expr::expr;
use super::{Parser, Result};
use crate::ast::{Access, Arg, Closure, Constant, Expr, ExprKind, MapKey, Member, TypeRef};
use crate::lexer::token::Kind;
use crate::span::Span;

/// What the path read so far is, for a call that may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A bare name or string: a call names a method.
    Name,
    /// `a.b`
    Member,
    /// A call: a closure behind it becomes its last argument.
    Call,
    /// Anything else, also everything in parentheses: a call calls its value.
    Value,
}

impl Parser<'_> {
    /// `pathExpression`
    pub(super) fn path_expression(&mut self, attach: bool) -> Result<Expr> {
        let first = self.at;
        let before = self.measure();
        let (head, shape) = self.primary()?;
        let (path, shape) = self.path_tail(head, shape, attach)?;
        self.measured(before);
        self.path = (first, self.at, shape);
        Ok(path)
    }

    /// Everything that follows a primary expression.
    fn path_tail(&mut self, head: Expr, shape: Shape, attach: bool) -> Result<(Expr, Shape)> {
        let (mut path, mut shape) = (head, shape);
        loop {
            (path, shape) = match self.peek() {
                Kind::LParen => self.call(path, shape)?,
                // `f [:]` is a command with an empty map.
                Kind::LBracket if self.nth(1) != Kind::Colon => self.index(path)?,
                Kind::LBrace => self.appended_closure(path, shape)?,
                Kind::Newline if attach && self.nth(1) == Kind::LBrace => {
                    self.bump();
                    self.appended_closure(path, shape)?
                }
                _ if self.dot_follows() => self.member(path)?,
                _ => return Ok((path, shape)),
            };
        }
    }

    /// `(…)` behind a path.
    fn call(&mut self, path: Expr, shape: Shape) -> Result<(Expr, Shape)> {
        self.lower()?;
        let open = self.bump();
        let args = self.arguments(Kind::RParen, open)?;
        self.check_named_arguments(&args);
        Ok((self.make_call(path, shape, args, false), Shape::Call))
    }

    /// `{…}` behind a path: a call of its own, or one more argument of the call before it.
    fn appended_closure(&mut self, path: Expr, shape: Shape) -> Result<(Expr, Shape)> {
        self.lower()?;
        let closure = Arg::Positional(self.closure()?);
        if shape != Shape::Call {
            return Ok((self.make_call(path, shape, vec![closure], false), Shape::Call));
        }
        let mut path = path;
        if let ExprKind::Call { args, .. } | ExprKind::CallValue { args, .. } = &mut *path.kind {
            args.push(closure);
        }
        path.span = self.span_since(path.span);
        Ok((path, Shape::Call))
    }

    /// Makes a call of a path, depending on what the path is.
    fn make_call(&mut self, path: Expr, shape: Shape, args: Vec<Arg>, command: bool) -> Expr {
        let span = self.span_since(path.span);
        self.check_callee(&path, shape == Shape::Value);
        let path_span = path.span;
        let kind = match (shape, *path.kind) {
            (Shape::Name, ExprKind::Name(name) | ExprKind::Constant(Constant::Str(name))) => ExprKind::Call {
                object: None,
                callee: Member::Name(name, path_span),
                access: Access::Dot,
                args,
                command,
            },
            (Shape::Name, kind @ ExprKind::GString(_)) => ExprKind::Call {
                object: None,
                callee: Member::Dynamic(expr(kind, path_span)),
                access: Access::Dot,
                args,
                command,
            },
            (Shape::Member, ExprKind::Property { object, member, access, attribute: false }) => {
                ExprKind::Call { object: Some(object), callee: member, access, args, command }
            }
            (_, kind) => ExprKind::CallValue { callee: expr(kind, path_span), args },
        };
        expr(kind, span)
    }

    /// `[…]` behind a path; with nothing inside it makes an array type of a type.
    fn index(&mut self, object: Expr) -> Result<(Expr, Shape)> {
        self.lower()?;
        let open = self.bump();
        let index = self.arguments(Kind::RBracket, open)?;
        let span = self.span_since(object.span);
        if index.is_empty()
            && let Some(mut ty) = type_of(&object)
        {
            ty.dimensions += 1;
            ty.span = span;
            return Ok((expr(ExprKind::TypeLiteral(ty), span), Shape::Value));
        }
        Ok((expr(ExprKind::Index { object, index }, span), Shape::Value))
    }

    /// A dot of some kind and the name behind it.
    fn member(&mut self, object: Expr) -> Result<(Expr, Shape)> {
        self.lower()?;
        self.newline();
        let dot = self.peek();
        self.bump();
        self.newline();
        let generic = self.at(Kind::Less);
        self.type_arguments_opt()?;
        let access = match dot {
            Kind::SafeDot => Access::Safe,
            Kind::SpreadDot => Access::Spread,
            _ => Access::Dot,
        };
        let attribute = self.eat(Kind::At);
        let member = self.member_name()?;
        let span = self.span_since(object.span);
        if generic && !matches!(self.peek(), Kind::LParen | Kind::LBrace) && !self.command_argument_starts() {
            return self.expected("the arguments of the call");
        }
        Ok(if dot == Kind::MethodRef {
            (expr(ExprKind::MethodPointer { object, member }, span), Shape::Value)
        } else {
            let shape = if attribute { Shape::Value } else { Shape::Member };
            (expr(ExprKind::Property { object, member, access, attribute }, span), shape)
        })
    }

    /// `namePart`: a name, keyword, string, `"${…}"`, `(…)` or `{…}`.
    fn member_name(&mut self) -> Result<Member> {
        match self.peek() {
            Kind::Str => {
                let index = self.bump();
                Ok(Member::Name(self.string_value(index), self.token_span(index)))
            }
            Kind::StrStart => Ok(Member::Dynamic(self.gstring()?)),
            Kind::LParen => Ok(Member::Dynamic(self.parenthesized()?)),
            Kind::LBrace => {
                let body = self.block()?;
                let span = body.span;
                let closure = Closure { params: Some(Vec::new()), body };
                Ok(Member::Dynamic(expr(ExprKind::Closure(Rc::new(closure)), span)))
            }
            kind if kind.is_name_like() => {
                let index = self.bump();
                Ok(Member::Name(self.token_name(index), self.token_span(index)))
            }
            _ => self.expected("the name of a property or method"),
        }
    }

    /// `primaryExpression` alone.
    pub(super) fn primary_expression(&mut self) -> Result<Expr> {
        Ok(self.primary()?.0)
    }

    /// `primaryExpression`
    fn primary(&mut self) -> Result<(Expr, Shape)> {
        Ok(match self.peek() {
            Kind::Ident | Kind::This | Kind::Super => {
                let index = self.bump();
                let name = self.token_name(index);
                (expr(ExprKind::Name(name), self.token_span(index)), Shape::Name)
            }
            Kind::Str => {
                let value = self.string_value(self.at);
                (self.constant(Constant::Str(value)), Shape::Name)
            }
            Kind::StrStart => (self.gstring()?, Shape::Name),
            Kind::Number => {
                let value = self.number(self.at, false);
                (self.constant(value), Shape::Value)
            }
            Kind::True => (self.constant(Constant::Bool(true)), Shape::Value),
            Kind::False => (self.constant(Constant::Bool(false)), Shape::Value),
            Kind::Null => (self.constant(Constant::Null), Shape::Value),
            Kind::New => (self.new_expression()?, Shape::Value),
            Kind::LParen => (self.parenthesized()?, Shape::Value),
            Kind::LBrace => (self.closure()?, Shape::Value),
            Kind::LBracket => (self.list_or_map()?, Shape::Value),
            kind if kind.is_builtin_type() => {
                let ty = self.type_without_brackets()?;
                let span = ty.span;
                (expr(ExprKind::TypeLiteral(ty), span), Shape::Value)
            }
            _ => return self.expected("an expression"),
        })
    }

    /// `(a)`: parentheses leave no trace but a wider span.
    fn parenthesized(&mut self) -> Result<Expr> {
        let open = self.bump();
        if self.declaration_starts() {
            return self.fail("a declaration cannot stand in parentheses");
        }
        let mut inner = self.strict_expression(false)?;
        if self.at(Kind::Semi) {
            return self.fail("a list of the form (a; b; c) is allowed only in `for`");
        }
        self.expect_closing(Kind::RParen, open, "")?;
        inner.span = self.span_from(open);
        Ok(inner)
    }

    /// `new T(…)`, `new T(…) { members }`, `new T[n]`
    fn new_expression(&mut self) -> Result<Expr> {
        let first = self.bump();
        self.newline();
        if self.at(Kind::Less) {
            self.type_arguments_opt()?;
        }
        let ty = self.type_without_brackets()?;
        let paren = self.past_newline(self.at);
        if self.kind_at(paren) == Kind::LParen {
            self.newline();
            let open = self.bump();
            let args = self.arguments(Kind::RParen, open)?;
            self.check_named_arguments(&args);
            let body = if self.at(Kind::LBrace) { Some(self.anonymous_class(&ty)?) } else { None };
            let span = self.span_from(first);
            return Ok(expr(ExprKind::New { ty, args, body }, span));
        }
        if !self.at(Kind::LBracket) {
            return self.expected("`(` or `[`");
        }
        self.new_array(first, ty)
    }

    fn new_array(&mut self, first: usize, ty: TypeRef) -> Result<Expr> {
        let mut ty = ty;
        let mut sizes = Vec::new();
        while self.at(Kind::LBracket) {
            let open = self.bump();
            ty.dimensions += 1;
            if self.at(Kind::RBracket) {
                if sizes.is_empty() {
                    let hint = "Groovy 2.4 has no array initializers; write `[a, b] as int[]`";
                    return self.fail_with_hint("an array needs a size", hint);
                }
                self.bump();
                continue;
            }
            sizes.push(self.expression(false)?);
            self.expect_closing(Kind::RBracket, open, "")?;
        }
        let span = self.span_from(first);
        Ok(expr(ExprKind::NewArray { ty, sizes, init: None }, span))
    }

    /// `commandArgumentsGreedy`: `a b`, `a b, c`, `a b c d` = `a(b).c(d)`.
    pub(super) fn command_chain(&mut self, head: Expr, shape: Shape) -> Result<Expr> {
        let mut path = head;
        if shape != Shape::Call && !self.at(Kind::Else) && self.command_argument_starts() {
            path = self.command(path, shape)?;
        }
        while self.primary_starts() {
            self.lower()?;
            let (name, _) = self.primary()?;
            let called = matches!(self.peek(), Kind::LParen | Kind::LBrace);
            if called || (!self.path_goes_on() && self.command_argument_starts()) {
                self.check_callee(&name, matches!(*name.kind, ExprKind::TypeLiteral(_)));
            }
            let member = match *name.kind {
                ExprKind::Name(text) | ExprKind::Constant(Constant::Str(text)) => Member::Name(text, name.span),
                ExprKind::TypeLiteral(ty) if ty.dimensions == 0 => Member::Name(ty.name, name.span),
                kind => Member::Dynamic(expr(kind, name.span)),
            };
            if self.at(Kind::Else) {
                // Groovy 2.4 takes the `else` for the first word of a named argument here.
                return self.expected("an argument or the end of the line");
            }
            let span = self.span_since(path.span);
            path = expr(ExprKind::Property { object: path, member, access: Access::Dot, attribute: false }, span);
            if self.path_goes_on() {
                (path, _) = self.path_tail(path, Shape::Member, true)?;
            } else if self.command_argument_starts() {
                path = self.command(path, Shape::Member)?;
            }
        }
        Ok(path)
    }

    fn path_goes_on(&self) -> bool {
        match self.peek() {
            Kind::LParen | Kind::LBrace => true,
            Kind::LBracket => self.nth(1) != Kind::Colon,
            _ => self.dot_follows(),
        }
    }

    fn primary_starts(&self) -> bool {
        !matches!(self.peek(), Kind::Not | Kind::Tilde) && self.operand_starts(self.at)
    }

    /// The arguments of a command, and the call.
    fn command(&mut self, path: Expr, shape: Shape) -> Result<Expr> {
        self.lower()?;
        let mut args = Vec::new();
        loop {
            args.push(self.command_argument()?);
            if !self.eat(Kind::Comma) {
                break;
            }
            self.newline();
        }
        self.check_named_arguments(&args);
        Ok(self.make_call(path, shape, args, true))
    }
}

/// The type that a path of names spells, as in `String[]`.
fn type_of(path: &Expr) -> Option<TypeRef> {
    match &*path.kind {
        ExprKind::TypeLiteral(ty) => Some(ty.clone()),
        ExprKind::Name(name) if !matches!(&**name, "this" | "super") => {
            Some(TypeRef { name: name.clone(), args: Vec::new(), dimensions: 0, span: path.span })
        }
        ExprKind::Property { object, member: Member::Name(name, _), access: Access::Dot, attribute: false } => {
            let mut ty = type_of(object)?;
            ty.name = format!("{}.{name}", ty.name).into();
            Some(ty)
        }
        _ => None,
    }
}

/// The key of an entry that has none.
pub(super) fn null_key(span: Span) -> MapKey {
    MapKey::Constant(Constant::Null, span)
}
