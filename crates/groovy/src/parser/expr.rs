//! Expressions: assignments, conditionals and operators. Where a parameter is called `attach`, a `{` on the next line
//! may be appended to the leftmost path (Groovy allows `stage('x')` newline `{` only at the start of a statement and
//! behind `=`).

use super::{Parser, Result};
use crate::ast::{BinaryOp, Constant, Expr, ExprKind, UnaryOp};
use crate::lexer::token::Kind;
use crate::span::Span;

/// What stands between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Op(BinaryOp),
    Range { inclusive: bool },
    As,
    InstanceOf,
}

const RELATIONAL: u8 = 8;
const MULTIPLICATIVE: u8 = 11;

/// How tightly an operator binds, lowest first. `**` and the unary operators bind tighter than all of these.
fn infix(kind: Kind) -> Option<(u8, Infix)> {
    use BinaryOp::*;
    Some(match kind {
        Kind::OrOr => (1, Infix::Op(Or)),
        Kind::AndAnd => (2, Infix::Op(And)),
        Kind::Or => (3, Infix::Op(BitOr)),
        Kind::Xor => (4, Infix::Op(BitXor)),
        Kind::And => (5, Infix::Op(BitAnd)),
        Kind::Find => (6, Infix::Op(Find)),
        Kind::Match => (6, Infix::Op(Match)),
        Kind::Equal => (7, Infix::Op(Eq)),
        Kind::NotEqual => (7, Infix::Op(NotEq)),
        Kind::Identical => (7, Infix::Op(Identical)),
        Kind::NotIdentical => (7, Infix::Op(NotIdentical)),
        Kind::Compare => (7, Infix::Op(Compare)),
        Kind::Less => (RELATIONAL, Infix::Op(Less)),
        Kind::LessEq => (RELATIONAL, Infix::Op(LessEq)),
        Kind::Greater => (RELATIONAL, Infix::Op(Greater)),
        Kind::GreaterEq => (RELATIONAL, Infix::Op(GreaterEq)),
        Kind::In => (RELATIONAL, Infix::Op(In)),
        Kind::As => (RELATIONAL, Infix::As),
        Kind::Instanceof => (RELATIONAL, Infix::InstanceOf),
        Kind::Shl => (9, Infix::Op(ShiftLeft)),
        Kind::Shr => (9, Infix::Op(ShiftRight)),
        Kind::Ushr => (9, Infix::Op(ShiftRightUnsigned)),
        Kind::RangeInclusive => (9, Infix::Range { inclusive: true }),
        Kind::RangeExclusive => (9, Infix::Range { inclusive: false }),
        Kind::Plus => (10, Infix::Op(Add)),
        Kind::Minus => (10, Infix::Op(Sub)),
        Kind::Star => (MULTIPLICATIVE, Infix::Op(Mul)),
        Kind::Slash => (MULTIPLICATIVE, Infix::Op(Div)),
        Kind::Percent => (MULTIPLICATIVE, Infix::Op(Mod)),
        _ => return None,
    })
}

/// `=`, `+=` …: with the operator that is applied first.
fn assignment(kind: Kind) -> Option<Option<BinaryOp>> {
    use BinaryOp::*;
    Some(match kind {
        Kind::Assign => None,
        Kind::PlusAssign => Some(Add),
        Kind::MinusAssign => Some(Sub),
        Kind::StarAssign => Some(Mul),
        Kind::SlashAssign => Some(Div),
        Kind::PercentAssign => Some(Mod),
        Kind::PowerAssign => Some(Pow),
        Kind::ShlAssign => Some(ShiftLeft),
        Kind::ShrAssign => Some(ShiftRight),
        Kind::UshrAssign => Some(ShiftRightUnsigned),
        Kind::AndAssign => Some(BitAnd),
        Kind::OrAssign => Some(BitOr),
        Kind::XorAssign => Some(BitXor),
        _ => return None,
    })
}

pub(super) fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { kind: Box::new(kind), span }
}

impl Parser<'_> {
    /// `expressionStatementNoCheck`: an expression, and if it is a plain path, the arguments of a command behind it.
    pub(super) fn command_expression(&mut self) -> Result<Expr> {
        let first = self.at;
        let before = self.measure();
        let head = self.expression(true)?;
        let is_path = self.path.0 == first && self.path.1 == self.at;
        let result = if is_path { self.command_chain(head, self.path.2) } else { Ok(head) };
        self.measured(before);
        result
    }

    /// `expression`: everything but commands.
    pub(super) fn expression(&mut self, attach: bool) -> Result<Expr> {
        self.enter()?;
        let result = if self.tuple_assignment_starts() { self.tuple_assignment() } else { self.assignment(attach) };
        self.leave();
        result
    }

    /// `(a, b) = c`
    fn tuple_assignment(&mut self) -> Result<Expr> {
        let first = self.bump();
        let mut names = Vec::new();
        loop {
            let index = self.expect(Kind::Ident)?;
            let name = self.token_name(index);
            names.push(crate::ast::Arg::Positional(expr(ExprKind::Name(name), self.token_span(index))));
            if !self.eat(Kind::Comma) {
                break;
            }
        }
        self.expect(Kind::RParen)?;
        let target = expr(ExprKind::List(names), self.span_from(first));
        self.expect(Kind::Assign)?;
        self.newline();
        let value = self.nested_assignment()?;
        let span = self.span_from(first);
        Ok(expr(ExprKind::Assign { target, op: None, value }, span))
    }

    fn nested_assignment(&mut self) -> Result<Expr> {
        self.enter()?;
        let result = self.assignment(false);
        self.leave();
        result
    }

    /// `assignmentExpression`
    pub(super) fn assignment(&mut self, attach: bool) -> Result<Expr> {
        let target = self.conditional(attach)?;
        let Some(op) = assignment(self.peek()) else { return Ok(target) };
        self.check_target(&target);
        self.bump();
        self.newline();
        self.enter()?;
        let value = self.command_expression();
        self.leave();
        let value = value?;
        let span = self.span_since(target.span);
        Ok(expr(ExprKind::Assign { target, op, value }, span))
    }

    /// `conditionalExpression`: `a ? b : c`, `a ?: b`.
    pub(super) fn conditional(&mut self, attach: bool) -> Result<Expr> {
        let cond = self.binary(1, attach)?;
        let operator = self.past_newline(self.at);
        match self.kind_at(operator) {
            Kind::Elvis => {
                self.newline();
                self.bump();
                self.newline();
                self.lower()?;
                self.enter()?;
                let otherwise = self.conditional(false);
                self.leave();
                let span = self.span_since(cond.span);
                Ok(expr(ExprKind::Elvis { value: cond, otherwise: otherwise? }, span))
            }
            Kind::Question => {
                self.newline();
                self.bump();
                self.newline();
                self.lower()?;
                let then = self.nested_assignment()?;
                self.newline();
                if !self.at(Kind::Colon) {
                    return self.expected("`:` of the conditional");
                }
                self.bump();
                self.newline();
                self.enter()?;
                let otherwise = self.conditional(false);
                self.leave();
                let span = self.span_since(cond.span);
                Ok(expr(ExprKind::Ternary { cond, then, otherwise: otherwise? }, span))
            }
            _ => Ok(cond),
        }
    }

    /// Operators that bind at least as tightly as `loosest`, all left-associative; at most one relational
    /// operator in a row, as in Groovy.
    fn binary(&mut self, loosest: u8, attach: bool) -> Result<Expr> {
        let before = self.measure();
        let mut left = self.operand(attach)?;
        let mut tightest = u8::MAX;
        while let Some((level, operator)) = infix(self.peek()) {
            // `f in: x` is a named argument.
            if level < loosest || level > tightest || (self.peek().is_keyword() && self.nth(1) == Kind::Colon) {
                break;
            }
            if level == RELATIONAL {
                tightest = RELATIONAL - 1;
            }
            self.bump();
            self.newline();
            self.lower()?;
            left = self.infix_tail(left, level, operator)?;
        }
        self.measured(before);
        Ok(left)
    }

    /// `shiftExpression`, the part behind `in` of a loop.
    pub(super) fn shift(&mut self) -> Result<Expr> {
        self.binary(RELATIONAL + 1, false)
    }

    /// The right side of an operator, and the whole.
    fn infix_tail(&mut self, left: Expr, level: u8, operator: Infix) -> Result<Expr> {
        let kind = match operator {
            Infix::As => ExprKind::As { value: left, ty: self.type_ref()? },
            Infix::InstanceOf => ExprKind::InstanceOf { value: left, ty: self.type_ref()? },
            Infix::Op(op) => ExprKind::Binary { op, left, right: self.right_side(level)? },
            Infix::Range { inclusive } => ExprKind::Range { from: left, to: self.right_side(level)?, inclusive },
        };
        let start = match &kind {
            ExprKind::As { value: e, .. }
            | ExprKind::InstanceOf { value: e, .. }
            | ExprKind::Binary { left: e, .. }
            | ExprKind::Range { from: e, .. } => e.span,
            _ => Span::default(),
        };
        let span = self.span_since(start);
        Ok(expr(kind, span))
    }

    fn right_side(&mut self, level: u8) -> Result<Expr> {
        self.enter()?;
        let right = if level == MULTIPLICATIVE { self.power_operand() } else { self.binary(level + 1, false) };
        self.leave();
        right
    }

    /// `multiplicativeExpression` up to its first operator: one sign at most, then a power.
    fn operand(&mut self, attach: bool) -> Result<Expr> {
        let first = self.at;
        match self.peek() {
            Kind::Plus | Kind::Minus | Kind::Increment | Kind::Decrement => {
                let sign = self.peek();
                self.bump();
                self.newline();
                self.lower()?;
                let number = self.at;
                let operand = self.power(false)?;
                Ok(self.signed(sign, first, number, operand))
            }
            _ => self.power(attach),
        }
    }

    /// `-1` is a number; every other sign is an operator.
    fn signed(&mut self, sign: Kind, first: usize, number: usize, operand: Expr) -> Expr {
        let span = self.span_from(first);
        let literal = self.kind_at(number) == Kind::Number && self.at == number + 1;
        let kind = match sign {
            Kind::Minus if literal => ExprKind::Constant(self.number(number, true)),
            Kind::Plus if literal => return Expr { span, ..operand },
            Kind::Minus => ExprKind::Unary { op: UnaryOp::Minus, operand },
            Kind::Plus => ExprKind::Unary { op: UnaryOp::Plus, operand },
            _ => ExprKind::IncDec { target: operand, increment: sign == Kind::Increment, prefix: true },
        };
        expr(kind, span)
    }

    /// `powerExpressionNotPlusMinus`
    fn power(&mut self, attach: bool) -> Result<Expr> {
        let base = self.unary_without_sign(attach)?;
        self.power_tail(base)
    }

    /// `powerExpression`, the right side of `*`: any number of signs.
    fn power_operand(&mut self) -> Result<Expr> {
        let base = self.unary()?;
        self.power_tail(base)
    }

    fn power_tail(&mut self, base: Expr) -> Result<Expr> {
        let mut left = base;
        while self.at(Kind::Power) {
            self.bump();
            self.newline();
            self.lower()?;
            let right = self.unary()?;
            let span = self.span_since(left.span);
            left = expr(ExprKind::Binary { op: BinaryOp::Pow, left, right }, span);
        }
        Ok(left)
    }

    /// `unaryExpression`
    fn unary(&mut self) -> Result<Expr> {
        let first = self.at;
        let sign = self.peek();
        if !matches!(sign, Kind::Plus | Kind::Minus | Kind::Increment | Kind::Decrement) {
            return self.unary_without_sign(false);
        }
        self.bump();
        self.newline();
        let number = self.at;
        self.enter()?;
        let operand = self.unary();
        self.leave();
        let operand = operand?;
        Ok(self.signed(sign, first, number, operand))
    }

    /// `unaryExpressionNotPlusMinus`: `~a`, `!a`, a cast, or a path with `++`.
    fn unary_without_sign(&mut self, attach: bool) -> Result<Expr> {
        match self.peek() {
            Kind::Tilde => self.prefix(UnaryOp::BitNot),
            Kind::Not => self.prefix(UnaryOp::Not),
            Kind::LParen if self.cast_starts() => self.cast(),
            _ => self.postfix(attach),
        }
    }

    fn prefix(&mut self, op: UnaryOp) -> Result<Expr> {
        let first = self.bump();
        self.newline();
        self.enter()?;
        let operand = self.unary();
        self.leave();
        let operand = operand?;
        let span = self.span_from(first);
        Ok(expr(ExprKind::Unary { op, operand }, span))
    }

    /// `(T) a`
    fn cast(&mut self) -> Result<Expr> {
        let first = self.bump();
        let builtin = self.peek().is_builtin_type();
        let ty = self.type_ref()?;
        self.expect(Kind::RParen)?;
        self.enter()?;
        let value = if builtin { self.unary() } else { self.unary_without_sign(false) };
        self.leave();
        let value = value?;
        let span = self.span_from(first);
        Ok(expr(ExprKind::Cast { ty, value }, span))
    }

    fn postfix(&mut self, attach: bool) -> Result<Expr> {
        let target = self.path_expression(attach)?;
        let increment = self.at(Kind::Increment);
        if !increment && !self.at(Kind::Decrement) {
            return Ok(target);
        }
        self.bump();
        self.lower()?;
        let span = self.span_since(target.span);
        Ok(expr(ExprKind::IncDec { target, increment, prefix: false }, span))
    }

    /// `true`, a number and the like.
    pub(super) fn constant(&mut self, value: Constant) -> Expr {
        let index = self.bump();
        expr(ExprKind::Constant(value), self.token_span(index))
    }
}
