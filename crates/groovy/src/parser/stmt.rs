//! Statements, blocks and closures, and the loop that goes on after an error.

use std::rc::Rc;

use super::expr::expr;
use super::{Parser, Result};
use crate::ast::{Block, Class, Closure, Expr, ExprKind, Import, Method, Script, Stmt, StmtKind};
use crate::lexer::token::Kind;
use crate::span::Span;

/// What can stand where a statement stands; most of it only at top level.
pub(super) enum Item {
    Stmt(Stmt),
    Method(Method),
    Class(Rc<Class>),
    Import(Import),
}

impl Parser<'_> {
    /// `compilationUnit`
    pub(super) fn script(&mut self) -> Script {
        let mut script = Script::default();
        self.newline();
        if self.package_starts() {
            let first = self.at;
            match self.package() {
                Ok(package) => {
                    self.around = package.0.len();
                    script.package = Some(package);
                }
                Err(_) => self.skip_statement(first, usize::MAX),
            }
            self.end_of_statement(usize::MAX);
        }
        loop {
            while matches!(self.peek(), Kind::Newline | Kind::Semi) {
                self.bump();
            }
            if self.at(Kind::Eof) {
                return script;
            }
            self.top_level_item(&mut script);
        }
    }

    fn top_level_item(&mut self, script: &mut Script) {
        let first = self.at;
        if self.at(Kind::RBrace) {
            let hint = "a `{` before it is missing, or this brace is one too many";
            let _ = self.fail_with_hint::<()>("this `}` closes nothing", hint);
            self.bump();
            return;
        }
        match self.item() {
            Ok(Item::Stmt(stmt)) => script.body.push(stmt),
            Ok(Item::Method(method)) => script.methods.push(Rc::new(method)),
            Ok(Item::Class(class)) => script.classes.push(class),
            Ok(Item::Import(import)) => script.imports.push(import),
            Err(_) => {
                self.skip_statement(first, usize::MAX);
                script.body.push(broken(self.span_from(first)));
            }
        }
        self.end_of_statement(usize::MAX);
    }

    fn package_starts(&self) -> bool {
        let mut at = self.at;
        while self.kind_at(at) == Kind::At {
            match self.skip_annotation(at) {
                Some(next) => at = next,
                None => return false,
            }
        }
        self.kind_at(at) == Kind::Package
    }

    fn package(&mut self) -> Result<(crate::ast::Text, Span)> {
        let first = self.at;
        self.annotations()?;
        self.expect(Kind::Package)?;
        let name = self.dotted_name()?;
        Ok((name, self.span_from(first)))
    }

    /// A line break, a semicolon or the end of the block must come next; skips to it if something else does.
    fn end_of_statement(&mut self, end: usize) {
        match self.peek() {
            Kind::Newline | Kind::Semi | Kind::Eof => {}
            Kind::RBrace if self.at >= end || end == usize::MAX => {}
            _ => {
                let first = self.at;
                let what =
                    if self.kind_at(first - 1) == Kind::Else { "a statement" } else { "the end of the statement" };
                let _ = self.expected::<()>(what);
                if self.at == first {
                    self.bump();
                }
                self.skip_statement(first, end.min(self.tokens.len() - 1));
            }
        }
    }

    /// `blockBody` and the closing brace; the opening one, at `open`, is consumed.
    pub(super) fn block_body(&mut self, open: usize) -> Result<Vec<Stmt>> {
        let end = self.tokens[open].mate as usize;
        let mut stmts = Vec::new();
        loop {
            while matches!(self.peek(), Kind::Newline | Kind::Semi) {
                self.bump();
            }
            if matches!(self.peek(), Kind::RBrace | Kind::Eof) {
                break;
            }
            let first = self.at;
            match self.statement() {
                Ok(stmt) => stmts.push(stmt),
                Err(_) => {
                    self.skip_statement(first, end);
                    stmts.push(broken(self.span_from(first)));
                }
            }
            self.end_of_statement(end);
        }
        self.expect_closing(Kind::RBrace, open, "")?;
        Ok(stmts)
    }

    /// `openBlock`: `{ … }` that is no closure.
    pub(super) fn block(&mut self) -> Result<Block> {
        if !self.at(Kind::LBrace) {
            return self.expected("`{`");
        }
        self.enter()?;
        let open = self.bump();
        let stmts = self.block_body(open);
        self.leave();
        Ok(Block { stmts: stmts?, span: self.span_from(open) })
    }

    /// `closableBlock` as an expression.
    pub(super) fn closure(&mut self) -> Result<Expr> {
        let closure = self.closure_literal()?;
        let span = closure.body.span;
        Ok(expr(ExprKind::Closure(Rc::new(closure)), span))
    }

    /// `{ params -> statements }`
    pub(super) fn closure_literal(&mut self) -> Result<Closure> {
        self.enter()?;
        let closure = self.closure_inner();
        self.leave();
        closure
    }

    fn closure_inner(&mut self) -> Result<Closure> {
        let open = self.bump();
        let mut params = None;
        if self.tokens[open].has_arrow() {
            self.newline();
            params = Some(self.parameters(Kind::Arrow)?);
            self.newline();
            if !self.at(Kind::Arrow) {
                return self.expected("`,` or `->`");
            }
            self.bump();
            self.newline();
        }
        let stmts = self.block_body(open)?;
        Ok(Closure { params, body: Block { stmts, span: self.span_from(open) } })
    }

    /// A statement inside a block.
    pub(super) fn statement(&mut self) -> Result<Stmt> {
        let first = self.at;
        let (span, message, hint) = match self.item()? {
            Item::Stmt(stmt) => return Ok(stmt),
            Item::Method(method) => {
                let hint = format!("move `{}` to the top level, or write `def {} = {{ … }}`", method.name, method.name);
                (method.name_span, "a method cannot be declared inside a block", hint)
            }
            Item::Class(class) => {
                (class.span, "a class cannot be declared inside a block", "move it to the top level".into())
            }
            Item::Import(import) => {
                (import.span, "an import cannot stand inside a block", "move it to the top of the file".into())
            }
        };
        self.report(span, message, Some(hint));
        Ok(broken(self.span_from(first)))
    }

    /// `statement`, and what only the top level allows.
    pub(super) fn item(&mut self) -> Result<Item> {
        self.enter()?;
        let item = self.item_inner();
        self.leave();
        item
    }

    fn item_inner(&mut self) -> Result<Item> {
        let first = self.at;
        let kind = match self.peek() {
            Kind::Ident if self.nth(1) == Kind::Colon && !self.declaration_starts() => return self.labelled(),
            Kind::Synchronized if self.nth(1) == Kind::LParen => self.synchronized_statement()?,
            Kind::Import => return Ok(Item::Import(self.import()?)),
            Kind::Class | Kind::Interface | Kind::Enum | Kind::Trait => return self.type_item(),
            kind if kind == Kind::Def || kind == Kind::At || kind.is_modifier() => return self.declared_item(),
            kind if (kind == Kind::Ident || kind.is_builtin_type()) && self.declaration_starts() => {
                return self.declaration();
            }
            kind => self.plain_statement(kind)?,
        };
        let span = self.span_from(first);
        Ok(Item::Stmt(Stmt { labels: Vec::new(), kind, span }))
    }

    fn plain_statement(&mut self, kind: Kind) -> Result<StmtKind> {
        match kind {
            Kind::If => self.if_statement(),
            Kind::For => self.for_statement(),
            Kind::While => self.while_statement(),
            Kind::Switch => self.switch_statement(),
            Kind::Try => self.try_statement(),
            Kind::Return | Kind::Break | Kind::Continue | Kind::Throw | Kind::Assert => self.branch_statement(kind),
            Kind::LBrace if !self.tokens[self.at].has_arrow() => self.bare_block(),
            Kind::Package => self.fail_with_hint("`package` must stand at the start of the file", "move it up"),
            _ if self.expression_starts() => Ok(StmtKind::Expr(self.command_expression()?)),
            _ => self.expected("a statement"),
        }
    }

    /// `{ … }` as a statement: Groovy refuses to guess whether it is a block or a closure.
    fn bare_block(&mut self) -> Result<StmtKind> {
        let hint = "a closure needs its arrow (`{ -> … }`), a block a label (`name: { … }`); if it belongs to the call \
                    before it, put both on one line";
        self.report(self.token_span(self.at), "a `{ … }` cannot stand alone", Some(hint.into()));
        Ok(StmtKind::Block(self.block()?))
    }

    /// What begins with `def`, a word or an annotation.
    fn declared_item(&mut self) -> Result<Item> {
        if self.generic_method_starts() || self.tuple_declaration_starts() || self.declaration_starts() {
            return self.declaration();
        }
        let behind = self.skip_modifiers(self.at);
        if self.kind_at(behind) == Kind::Import && self.at(Kind::At) {
            return Ok(Item::Import(self.import()?));
        }
        if self.type_keyword_at(behind) {
            return self.type_item();
        }
        // Nothing that could be declared follows: read the words to name the place where it should.
        self.modifiers()?;
        if self.kind_at(self.at.wrapping_sub(1)) == Kind::Newline {
            return self
                .fail(format!("expected the declaration that the words before belong to, found {}", self.found()));
        }
        self.expected("a name to declare")
    }

    fn type_item(&mut self) -> Result<Item> {
        let modifiers = self.modifiers()?;
        Ok(Item::Class(Rc::new(self.type_definition(modifiers)?)))
    }

    /// `label: statement`
    fn labelled(&mut self) -> Result<Item> {
        let first = self.at;
        let mut labels = Vec::new();
        while self.at(Kind::Ident) && self.nth(1) == Kind::Colon {
            let index = self.bump();
            labels.push(self.token_name(index));
            self.bump();
            self.newline();
        }
        let mut stmt = if !self.at(Kind::LBrace) {
            self.statement()?
        } else if self.tokens[self.at].has_arrow() {
            let closure = self.closure()?;
            Stmt { labels: Vec::new(), span: closure.span, kind: StmtKind::Expr(closure) }
        } else {
            let block = self.block()?;
            Stmt { labels: Vec::new(), span: block.span, kind: StmtKind::Block(block) }
        };
        labels.append(&mut stmt.labels);
        stmt.labels = labels;
        stmt.span = self.span_from(first);
        Ok(Item::Stmt(stmt))
    }

    /// `importStatement`
    fn import(&mut self) -> Result<Import> {
        let first = self.at;
        let annotations = self.annotations()?;
        self.expect(Kind::Import)?;
        let is_static = self.eat(Kind::Static);
        let path = self.dotted_name()?;
        let mut star = false;
        let mut alias = None;
        if self.eat(Kind::Dot) {
            self.newline();
            self.expect(Kind::Star)?;
            star = true;
        } else if self.at(Kind::SpreadDot) || self.eat(Kind::As) {
            self.newline();
            let index = self.expect(Kind::Ident)?;
            alias = Some(self.token_name(index));
        }
        Ok(Import { annotations, path, is_static, star, alias, span: self.span_from(first) })
    }
}

/// The place of a statement that could not be read.
pub(super) fn broken(span: Span) -> Stmt {
    Stmt { labels: Vec::new(), kind: StmtKind::Expr(expr(ExprKind::Error, span)), span }
}
