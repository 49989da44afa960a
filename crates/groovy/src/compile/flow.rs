//! Loops, `switch`, `try`, and the ways out of them.
//!
//! A `finally` block is compiled once. Whoever leaves through it stores a number first: 0 goes on behind it, 1 throws
//! the exception again, each higher one is an exit (`return`, `break`, `continue`) that goes on outward from there.

use super::Compiler;
use super::builder::{Control, Exit};
use super::function::{Handler, Op, Type};
use crate::ast::{BinaryOp, Block, Case, Catch, Expr, ExprKind, Stmt, StmtKind, Text, UnaryOp};
use crate::span::Span;

impl Compiler<'_> {
    /// Jumps (to be patched) that are taken where the condition is false.
    pub(super) fn branch_false(&mut self, cond: &Expr) -> Vec<usize> {
        match &*cond.kind {
            ExprKind::Binary { op: BinaryOp::And, left, right } => {
                let mut jumps = self.branch_false(left);
                jumps.extend(self.branch_false(right));
                jumps
            }
            ExprKind::Binary { op: BinaryOp::Less, left, right } => {
                self.expr(left);
                self.expr(right);
                vec![self.emit(Op::JumpNotLess(0), cond.span)]
            }
            ExprKind::Unary { op: UnaryOp::Not, operand } => {
                self.expr(operand);
                vec![self.emit(Op::JumpTrue(0), cond.span)]
            }
            _ => {
                self.expr(cond);
                vec![self.emit(Op::JumpFalse(0), cond.span)]
            }
        }
    }

    fn push_loop(&mut self, labels: &[Text], is_switch: bool) {
        let (breaks, continues) = (Vec::new(), Vec::new());
        self.f().control.push(Control::Loop { labels: labels.to_vec(), is_switch, breaks, continues });
    }

    /// Ends a loop: `continue` goes to `again`, `break` goes here.
    fn pop_loop(&mut self, again: usize) {
        if let Some(Control::Loop { breaks, continues, .. }) = self.f().control.pop() {
            for at in continues {
                self.f().patch_to(at, again);
            }
            self.f().patch_all(breaks);
        }
    }

    pub(super) fn while_loop(&mut self, cond: &Expr, body: &Stmt, labels: &[Text], span: Span) {
        let again = self.f().here();
        let mark = self.f().open_scope();
        let no = self.branch_false(cond);
        self.push_loop(labels, false);
        self.stmt(body);
        self.emit(Op::Jump(again as u32), span);
        self.f().patch_all(no);
        self.pop_loop(again);
        self.f().close_scope(mark);
    }

    pub(super) fn for_in(&mut self, ty: Type, name: &Text, iterable: &Expr, body: &Stmt, labels: &[Text], span: Span) {
        let mark = self.f().open_scope();
        self.expr(iterable);
        self.emit(Op::Iterate, iterable.span);
        let slot = self.f().slot();
        self.emit(Op::Store(slot), span);
        // One variable for all rounds, as Groovy has it: closures made in the body share it.
        let place = self.f().declare(name, ty.clone(), span);
        let again = self.f().here();
        let next = self.emit(Op::IterNext { slot, end: 0 }, iterable.span);
        if !self.f().stepwise {
            self.coerce(&ty, span);
        }
        self.store_place(place, span);
        self.push_loop(labels, false);
        self.stmt(body);
        self.emit(Op::Jump(again as u32), span);
        self.f().patch(next);
        self.pop_loop(again);
        // The iterator must not outlive the loop.
        self.emit(Op::Null, span);
        self.emit(Op::Store(slot), span);
        self.f().close_scope(mark);
    }

    pub(super) fn for_classic(
        &mut self,
        init: &[Stmt],
        cond: Option<&Expr>,
        step: &[Expr],
        body: &Stmt,
        labels: &[Text],
        span: Span,
    ) {
        let mark = self.f().open_scope();
        for stmt in init {
            self.stmt(stmt);
        }
        let again = self.f().here();
        let no = cond.map(|c| self.branch_false(c)).unwrap_or_default();
        self.push_loop(labels, false);
        self.stmt(body);
        let step_at = self.f().here();
        for e in step {
            self.effect(e);
        }
        self.emit(Op::Jump(again as u32), span);
        self.f().patch_all(no);
        self.pop_loop(step_at);
        self.f().close_scope(mark);
    }

    pub(super) fn switch(&mut self, subject: &Expr, cases: &[Case], labels: &[Text], tail: bool, span: Span) {
        let mark = self.f().open_scope();
        self.expr(subject);
        let slot = self.f().slot();
        self.emit(Op::Store(slot), subject.span);
        let mut entries = Vec::new();
        // Groovy puts `default` behind all other cases, wherever it stands.
        let (named, default): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|c| c.test.is_some());
        let cases: Vec<&Case> = named.into_iter().chain(default).collect();
        for case in &cases {
            entries.push(case.test.as_ref().map(|test| {
                self.emit(Op::Load(slot), test.span);
                self.expr(test);
                self.emit(Op::Case, test.span);
                self.emit(Op::JumpTrue(0), test.span)
            }));
        }
        let none = self.emit(Op::Jump(0), span);
        self.push_loop(labels, true);
        // In Jenkins' engine nothing falls into `default`, and only what is there has a value (`SwitchBlock`).
        let stepwise = self.f().stepwise;
        let (mut default, mut past_default) = (None, None);
        for (i, case) in cases.iter().enumerate() {
            match entries[i] {
                Some(at) => self.f().patch(at),
                None => {
                    past_default = stepwise.then(|| self.emit(Op::Jump(0), span));
                    default = Some(self.f().here());
                }
            }
            let has_value = tail && (!stepwise || case.test.is_none());
            self.case_body(&case.body, has_value, i + 1 == cases.len());
        }
        past_default.into_iter().for_each(|at| self.f().patch(at));
        match default {
            Some(at) => self.f().patch_to(none, at),
            None => self.f().patch(none),
        }
        let end = self.f().here();
        self.pop_loop(end);
        if tail {
            self.emit(Op::Null, span);
            self.emit_return(span);
        }
        self.f().close_scope(mark);
    }

    /// In tail position the value before a `break`, or at the end of the last case, is returned.
    fn case_body(&mut self, body: &[Stmt], tail: bool, last: bool) {
        let mark = self.f().open_scope();
        match body.split_last() {
            Some((Stmt { kind: StmtKind::Break(None), .. }, before))
                if tail && !before.is_empty() && !self.f().stepwise =>
            {
                self.case_tail(before);
            }
            Some(_) if tail && last => self.case_tail(body),
            _ => body.iter().for_each(|s| self.stmt(s)),
        }
        self.f().close_scope(mark);
    }

    fn case_tail(&mut self, body: &[Stmt]) {
        if let Some((last, before)) = body.split_last() {
            before.iter().for_each(|s| self.stmt(s));
            self.tail(last);
        }
    }

    pub(super) fn try_statement(
        &mut self,
        body: &Block,
        catches: &[Catch],
        finally: Option<&Block>,
        tail: bool,
        span: Span,
    ) {
        let Some(finally) = finally else { return self.try_catch(body, catches, tail, span) };
        // Where that returns, nothing before it is what is returned, and so cast.
        let returns = |statement: &Stmt| matches!(statement.kind, StmtKind::Return(_) | StmtKind::Throw(_));
        let is_last = tail && !finally.stmts.last().is_some_and(returns);
        let mark = self.f().open_scope();
        let slot = self.f().slot();
        self.f().slot();
        self.f().control.push(Control::Finally { slot, exits: Vec::new(), jumps: Vec::new() });
        let start = self.f().here() as u32;
        if catches.is_empty() {
            self.protected(body, is_last);
        } else {
            self.try_catch(body, catches, is_last, span);
        }
        self.emit(Op::Int(0), span);
        self.emit(Op::Store(slot), span);
        let normal = self.emit(Op::Jump(0), span);
        let end = self.f().here() as u32;
        let Some(Control::Finally { exits, jumps, .. }) = self.f().control.pop() else { return };
        // An exception on the way: keep it and run the block.
        self.f().handlers.push(Handler { start, end, target: end });
        self.emit(Op::Store(slot + 1), span);
        self.emit(Op::Int(1), span);
        self.emit(Op::Store(slot), span);
        self.f().patch(normal);
        self.f().patch_all(jumps);
        self.block(finally);
        let over = self.emit(Op::EndFinally { slot, table: 0 }, span);
        for (i, exit) in exits.iter().enumerate() {
            self.emit(Op::Load(slot), span);
            self.emit(Op::Int(i as i32 + 2), span);
            self.emit(Op::Binary(BinaryOp::Eq), span);
            let other = self.emit(Op::JumpFalse(0), span);
            if *exit == Exit::Return {
                self.emit(Op::Load(slot + 1), span);
            }
            self.emit_exit(*exit, span);
            self.f().patch(other);
        }
        self.f().patch(over);
        if tail {
            self.emit(Op::Null, span);
            self.emit_return(span);
        }
        self.f().close_scope(mark);
    }

    fn protected(&mut self, body: &Block, tail: bool) {
        if tail {
            self.tail_stmts(&body.stmts, body.span);
        } else {
            self.block(body);
        }
    }

    fn try_catch(&mut self, body: &Block, catches: &[Catch], tail: bool, span: Span) {
        let start = self.f().here() as u32;
        self.protected(body, tail);
        let end = self.f().here() as u32;
        let mut ends = vec![self.emit(Op::Jump(0), span)];
        let target = self.f().here() as u32;
        if start != end {
            self.f().handlers.push(Handler { start, end, target });
        }
        for catch in catches {
            self.catch(catch, tail, &mut ends);
        }
        self.emit(Op::Throw, span);
        self.f().patch_all(ends);
        if tail {
            self.emit(Op::Null, span);
            self.emit_return(span);
        }
    }

    fn catch(&mut self, catch: &Catch, tail: bool, ends: &mut Vec<usize>) {
        let mut bodies = Vec::new();
        let mut skip = None;
        let types: Vec<Type> = if catch.types.is_empty() {
            vec![Type::Class("java.lang.Exception".into())]
        } else {
            catch.types.iter().map(|t| self.scope.names.ty(t)).collect()
        };
        for ty in types {
            if let Some(at) = skip {
                self.f().patch(at);
            }
            let ty = if ty == Type::Any { Type::Class("java.lang.Throwable".into()) } else { ty };
            let ty = self.f().ty(ty);
            skip = Some(self.emit(Op::CatchTest { ty, target: 0 }, catch.span));
            bodies.push(self.emit(Op::Jump(0), catch.span));
        }
        self.f().patch_all(bodies);
        let mark = self.f().open_scope();
        self.declare_with_value(&catch.name, Type::Any, catch.span);
        self.protected(&catch.body, tail);
        self.f().close_scope(mark);
        ends.push(self.emit(Op::Jump(0), catch.span));
        if let Some(at) = skip {
            self.f().patch(at);
        }
    }

    pub(super) fn emit_return(&mut self, span: Span) {
        if !self.f().stepwise {
            let returns = self.f().returns.clone();
            self.coerce(&returns, span);
        }
        self.emit_exit(Exit::Return, span);
    }

    /// Leaves through the innermost `finally`, or jumps where there is none on the way. For a return the value is on
    /// the stack.
    fn emit_exit(&mut self, exit: Exit, span: Span) {
        let target = match exit {
            Exit::Return => None,
            Exit::Break(i) | Exit::Continue(i) => Some(i),
        };
        let f = self.f();
        let from = target.map_or(0, |i| i + 1);
        let inner = (from..f.control.len()).rev().find(|i| matches!(f.control[*i], Control::Finally { .. }));
        if let Some(at) = inner {
            let Control::Finally { slot, exits, .. } = &mut f.control[at] else { return };
            let slot = *slot;
            let number = exits.iter().position(|e| *e == exit).unwrap_or_else(|| {
                exits.push(exit);
                exits.len() - 1
            });
            if exit == Exit::Return {
                self.emit(Op::Store(slot + 1), span);
            }
            self.emit(Op::Int(number as i32 + 2), span);
            self.emit(Op::Store(slot), span);
            let jump = self.emit(Op::Jump(0), span);
            if let Control::Finally { jumps, .. } = &mut self.f().control[at] {
                jumps.push(jump);
            }
            return;
        }
        if exit == Exit::Return {
            self.emit(Op::Return, span);
            return;
        }
        let jump = self.emit(Op::Jump(0), span);
        match (exit, target.map(|i| &mut self.f().control[i])) {
            (Exit::Break(_), Some(Control::Loop { breaks, .. } | Control::Labelled { breaks, .. })) => {
                breaks.push(jump)
            }
            (_, Some(Control::Loop { continues, .. })) => continues.push(jump),
            _ => {}
        }
    }

    pub(super) fn break_to(&mut self, label: Option<&Text>, span: Span) {
        let found = self.f().control.iter().rposition(|c| match (c, label) {
            (Control::Loop { .. }, None) => true,
            (Control::Loop { labels, .. } | Control::Labelled { labels, .. }, Some(l)) => labels.contains(l),
            _ => false,
        });
        match found {
            Some(i) => self.emit_exit(Exit::Break(i), span),
            None => self.error(span, "the break statement is only allowed inside loops or switches"),
        }
    }

    pub(super) fn continue_to(&mut self, label: Option<&Text>, span: Span) {
        let found = self.f().control.iter().rposition(|c| match (c, label) {
            (Control::Loop { is_switch: false, .. }, None) => true,
            (Control::Loop { is_switch: false, labels, .. }, Some(l)) => labels.contains(l),
            _ => false,
        });
        match found {
            Some(i) => self.emit_exit(Exit::Continue(i), span),
            None => self.error(span, "the continue statement is only allowed inside loops"),
        }
    }
}
