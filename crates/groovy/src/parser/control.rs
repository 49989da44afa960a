//! `if`, loops, `switch`, `try`, jumps.

use super::{Parser, Result};
use crate::ast::{Block, Case, Catch, Expr, Modifiers, Stmt, StmtKind};
use crate::lexer::token::Kind;
use crate::span::Span;

impl Parser<'_> {
    /// `( … )` behind a keyword.
    fn condition(&mut self, assignment_allowed: bool) -> Result<Expr> {
        if !self.at(Kind::LParen) {
            return self.expected("`(`");
        }
        let open = self.bump();
        let cond = if assignment_allowed {
            self.strict_expression(false)?
        } else {
            self.enter()?;
            let cond = self.conditional(false);
            self.leave();
            cond?
        };
        if self.at(Kind::Assign) && !assignment_allowed {
            let hint = "compare with `==`; for an assignment write `((a = b))`";
            return self.fail_with_hint("`=` cannot stand in a condition", hint);
        }
        self.expect_closing(Kind::RParen, open, "")?;
        Ok(cond)
    }

    /// `compatibleBodyStatement`: a block or one statement.
    fn body(&mut self) -> Result<Stmt> {
        self.newline();
        if !self.at(Kind::LBrace) {
            return self.statement();
        }
        let block = self.block()?;
        Ok(Stmt { labels: Vec::new(), span: block.span, kind: StmtKind::Block(block) })
    }

    /// The body of a loop: may be `;`.
    fn loop_body(&mut self) -> Result<Box<Stmt>> {
        self.newline();
        if self.at(Kind::Semi) {
            let index = self.bump();
            return Ok(Box::new(Stmt { labels: Vec::new(), kind: StmtKind::Empty, span: self.token_span(index) }));
        }
        self.body().map(Box::new)
    }

    /// A chain of `else if` is read in a loop: its length is not nesting.
    pub(super) fn if_statement(&mut self) -> Result<StmtKind> {
        let mut branches: Vec<(Expr, Stmt, Span)> = Vec::new();
        let before = self.measure();
        let otherwise = loop {
            let start = self.token_span(self.at);
            self.bump();
            let cond = self.condition(false)?;
            let then = self.body()?;
            self.lower()?;
            branches.push((cond, then, start));
            if !self.eat_else() {
                break None;
            }
            if self.at(Kind::If) {
                continue;
            }
            break Some(Box::new(self.body()?));
        };
        self.measured(before);
        Ok(self.fold_branches(branches, otherwise))
    }

    fn fold_branches(&self, branches: Vec<(Expr, Stmt, Span)>, otherwise: Option<Box<Stmt>>) -> StmtKind {
        let mut rest = otherwise;
        let mut branches = branches.into_iter().rev().peekable();
        while let Some((cond, then, start)) = branches.next() {
            let kind = StmtKind::If { cond, then: Box::new(then), otherwise: rest };
            if branches.peek().is_none() {
                return kind;
            }
            rest = Some(Box::new(Stmt { labels: Vec::new(), kind, span: self.span_since(start) }));
        }
        StmtKind::Empty
    }

    /// `else`, maybe behind a separator.
    fn eat_else(&mut self) -> bool {
        let mut at = self.at;
        if self.kind_at(at) == Kind::Semi {
            at = self.past_newline(at + 1);
        } else if self.kind_at(at) == Kind::Newline {
            at += 1;
            while self.kind_at(at) == Kind::Semi {
                at = self.past_newline(at + 1);
            }
        }
        if self.kind_at(at) != Kind::Else {
            return false;
        }
        self.at = at;
        self.bump();
        self.newline();
        true
    }

    pub(super) fn while_statement(&mut self) -> Result<StmtKind> {
        self.bump();
        let cond = self.condition(true)?;
        Ok(StmtKind::While { cond, body: self.loop_body()? })
    }

    pub(super) fn synchronized_statement(&mut self) -> Result<StmtKind> {
        self.bump();
        let lock = self.condition(true)?;
        self.newline();
        Ok(StmtKind::Synchronized { lock, body: self.block()? })
    }

    pub(super) fn for_statement(&mut self) -> Result<StmtKind> {
        self.bump();
        if !self.at(Kind::LParen) {
            return self.expected("`(`");
        }
        let open = self.bump();
        if self.has_semicolon(open) { self.for_classic(open) } else { self.for_in(open) }
    }

    /// `for (init; cond; step)`
    fn for_classic(&mut self, open: usize) -> Result<StmtKind> {
        let mut init = Vec::new();
        if !self.at(Kind::Semi) {
            let first = self.at;
            let kind = if self.declaration_starts() {
                StmtKind::Local(self.single_declaration(true)?)
            } else {
                StmtKind::Expr(self.strict_expression(false)?)
            };
            init.push(Stmt { labels: Vec::new(), kind, span: self.span_from(first) });
        }
        if self.at(Kind::Comma) {
            let hint = "declare the others before the loop";
            return self.fail_with_hint("a `for` loop has one variable only", hint);
        }
        self.expect(Kind::Semi)?;
        let cond = if self.at(Kind::Semi) { None } else { Some(self.strict_expression(true)?) };
        if !self.at(Kind::Semi) {
            return self.expected("`;` (a loop has three parts: `for (start; condition; step)`)");
        }
        self.bump();
        let mut step = Vec::new();
        if !self.at(Kind::RParen) {
            step.push(self.strict_expression(true)?);
        }
        if self.at(Kind::Comma) {
            return self.fail_with_hint("a `for` loop has one step only", "put the others into its body");
        }
        if self.at(Kind::Semi) {
            return self.fail("a loop has three parts: `for (start; condition; step)`");
        }
        self.expect_closing(Kind::RParen, open, "")?;
        Ok(StmtKind::ForClassic { init, cond, step, body: self.loop_body()? })
    }

    /// `for (x in xs)`, `for (T x : xs)`
    fn for_in(&mut self, open: usize) -> Result<StmtKind> {
        let typed = self.declaration_starts();
        let (mut modifiers, mut ty) = (Modifiers::default(), None);
        if typed {
            let first = self.at;
            modifiers = self.modifiers()?;
            let span = self.span_from(first);
            let refused = ["private", "public", "protected", "static", "transient", "abstract", "native", "volatile"];
            self.check_no_modifier(&modifiers, &refused, "the variable of a loop", span);
            self.check_no_modifier(&modifiers, &["synchronized", "strictfp"], "the variable of a loop", span);
            if self.type_before_name() {
                ty = Some(self.type_ref()?);
            }
        }
        let index = self.expect(Kind::Ident)?;
        let name = self.token_name(index);
        let iterable = match self.peek() {
            Kind::In => {
                self.bump();
                self.enter()?;
                let iterable = self.shift();
                self.leave();
                iterable?
            }
            Kind::Colon if typed => {
                self.bump();
                self.expression(false)?
            }
            Kind::Colon => {
                let hint = format!("write `for ({name} in …)` or `for (def {name} : …)`");
                return self.fail_with_hint("a loop with `:` needs a type or `def` before its variable", hint);
            }
            _ => return self.expected("`in`"),
        };
        self.expect_closing(Kind::RParen, open, "")?;
        Ok(StmtKind::ForIn { modifiers, ty, name, iterable, body: self.loop_body()? })
    }

    pub(super) fn switch_statement(&mut self) -> Result<StmtKind> {
        self.bump();
        let subject = self.condition(true)?;
        self.newline();
        let open = self.expect(Kind::LBrace)?;
        self.newline();
        let mut cases = Vec::new();
        let mut default: Option<Span> = None;
        while matches!(self.peek(), Kind::Case | Kind::Default) {
            self.case_group(&mut cases, &mut default)?;
        }
        self.expect_closing(Kind::RBrace, open, "`case`, `default`")?;
        Ok(StmtKind::Switch { subject, cases })
    }

    /// Labels, and the statements behind the last of them.
    fn case_group(&mut self, cases: &mut Vec<Case>, default: &mut Option<Span>) -> Result<()> {
        loop {
            let first = self.at;
            let is_default = self.at(Kind::Default);
            self.bump();
            let test = if is_default { None } else { Some(self.expression(false)?) };
            self.expect(Kind::Colon)?;
            let span = self.span_from(first);
            self.newline();
            let more = matches!(self.peek(), Kind::Case | Kind::Default);
            if is_default {
                if default.replace(span).is_some() {
                    self.report(span, "a `switch` has one `default` only", None);
                }
                if more {
                    let hint = "put `default:` behind the labels that share its statements";
                    return self.fail_with_hint("`default` needs a statement", hint);
                }
            }
            cases.push(Case { test, body: Vec::new(), span });
            if !more {
                break;
            }
        }
        let body = self.case_body()?;
        if let Some(case) = cases.last_mut() {
            case.body = body;
        }
        Ok(())
    }

    fn case_body(&mut self) -> Result<Vec<Stmt>> {
        if self.at(Kind::RBrace) {
            return self.fail_with_hint("a `case` needs a statement", "write `break`");
        }
        let mut stmts = vec![self.statement()?];
        while matches!(self.peek(), Kind::Newline | Kind::Semi) {
            self.bump();
            let ends = matches!(
                self.peek(),
                Kind::Newline | Kind::Semi | Kind::Case | Kind::Default | Kind::RBrace | Kind::Eof
            );
            if !ends {
                stmts.push(self.statement()?);
            }
        }
        Ok(stmts)
    }

    pub(super) fn try_statement(&mut self) -> Result<StmtKind> {
        let first = self.bump();
        self.newline();
        if self.at(Kind::LParen) {
            let hint = "close the resource in `finally`, or use `.withCloseable { … }`";
            return self.fail_with_hint("Groovy 2.4 has no `try` with resources", hint);
        }
        let body = self.block()?;
        let mut catches = Vec::new();
        while self.kind_at(self.past_newline(self.at)) == Kind::Catch {
            self.newline();
            catches.push(self.catch()?);
        }
        let mut finally = None;
        if self.kind_at(self.past_newline(self.at)) == Kind::Finally {
            self.newline();
            self.bump();
            self.newline();
            finally = Some(self.block()?);
        }
        if catches.is_empty() && finally.is_none() {
            self.report(self.token_span(first), "a `try` needs a `catch` or a `finally`", None);
        }
        Ok(StmtKind::Try { body, catches, finally })
    }

    /// `catch (A | B e) { … }`
    fn catch(&mut self) -> Result<Catch> {
        let first = self.bump();
        let open = self.expect(Kind::LParen)?;
        self.eat(Kind::Final);
        self.eat(Kind::Def);
        let mut types = Vec::new();
        if self.at(Kind::Ident) && self.nth(1) != Kind::RParen {
            types.push(self.class_type()?);
            while self.eat(Kind::Or) {
                types.push(self.class_type()?);
            }
        }
        let index = self.expect(Kind::Ident)?;
        let name = self.token_name(index);
        self.expect_closing(Kind::RParen, open, "")?;
        self.newline();
        let body: Block = self.block()?;
        Ok(Catch { types, name, body, span: self.span_from(first) })
    }

    /// `return`, `break`, `continue`, `throw`, `assert`.
    pub(super) fn branch_statement(&mut self, kind: Kind) -> Result<StmtKind> {
        let first = self.bump();
        Ok(match kind {
            Kind::Return if self.expression_starts() => StmtKind::Return(Some(self.expression(false)?)),
            Kind::Return => StmtKind::Return(None),
            Kind::Break => StmtKind::Break(self.jump_label()),
            Kind::Continue => StmtKind::Continue(self.jump_label()),
            Kind::Throw => StmtKind::Throw(self.expression(false)?),
            _ => {
                self.enter()?;
                let cond = self.conditional(false);
                self.leave();
                let cond = cond?;
                let mut message = None;
                if self.at(Kind::Colon) || self.at(Kind::Comma) {
                    self.bump();
                    self.newline();
                    message = Some(self.expression(false)?);
                }
                let written = self.span_from(first);
                let text = self.source.get(written.start as usize..written.end as usize).unwrap_or_default();
                // Assertions may stand inside each other: only what somebody could read is kept.
                let text = if text.len() <= 2048 { text.into() } else { "".into() };
                StmtKind::Assert { cond, message, text }
            }
        })
    }

    fn jump_label(&mut self) -> Option<crate::ast::Text> {
        if !self.at(Kind::Ident) {
            return None;
        }
        let index = self.bump();
        Some(self.token_name(index))
    }
}
