//! Declarations of variables and methods: words, annotations, parameters.

use super::stmt::Item;
use super::{Parser, Result};
use crate::ast::{
    Annotation, Declarator, Expr, Local, LocalTarget, Method, Modifiers, Param, Stmt, StmtKind, Text, TypeRef,
};
use crate::lexer::token::Kind;
use crate::span::Span;

impl Parser<'_> {
    /// `modifiersOpt`
    pub(super) fn modifiers(&mut self) -> Result<Modifiers> {
        let mut modifiers = Modifiers::default();
        let first = self.at;
        loop {
            match self.peek() {
                Kind::At if self.nth(1) == Kind::Interface => break,
                Kind::At => modifiers.annotations.push(self.annotation()?),
                kind if kind == Kind::Def || kind.is_modifier() => {
                    let index = self.bump();
                    modifiers.words.push(self.token_name(index));
                }
                _ => break,
            }
            self.newline();
        }
        if !modifiers.words.is_empty() {
            self.check_modifiers(&modifiers, self.token_span(first));
        }
        Ok(modifiers)
    }

    /// `annotationsOpt`
    pub(super) fn annotations(&mut self) -> Result<Vec<Annotation>> {
        let mut annotations = Vec::new();
        while self.at(Kind::At) && self.nth(1) != Kind::Interface {
            annotations.push(self.annotation()?);
            self.newline();
        }
        Ok(annotations)
    }

    /// `@A(x)`, `@A(n = x)`
    pub(super) fn annotation(&mut self) -> Result<Annotation> {
        self.enter()?;
        let annotation = self.annotation_inner();
        self.leave();
        annotation
    }

    fn annotation_inner(&mut self) -> Result<Annotation> {
        let first = self.expect(Kind::At)?;
        let name = self.dotted_name()?;
        let mut args: Vec<(Text, Expr)> = Vec::new();
        if self.kind_at(self.past_newline(self.at)) == Kind::LParen {
            self.newline();
            let open = self.bump();
            if self.peek().is_name_like() && self.nth(1) == Kind::Assign {
                loop {
                    self.annotation_member(&mut args)?;
                    if !self.eat(Kind::Comma) {
                        break;
                    }
                }
            } else if !self.at(Kind::RParen) {
                args.push(("value".into(), self.annotation_value()?));
            }
            self.expect_closing(Kind::RParen, open, "`,`")?;
        }
        Ok(Annotation { name, args, span: self.span_from(first) })
    }

    fn annotation_member(&mut self, args: &mut Vec<(Text, Expr)>) -> Result<()> {
        if !self.peek().is_name_like() || self.nth(1) != Kind::Assign {
            return self.expected("`name = value`");
        }
        let index = self.bump();
        let name = self.token_name(index);
        self.bump();
        if args.iter().any(|(n, _)| *n == name) {
            self.report(self.token_span(index), format!("`{name}` is given twice"), None);
        }
        args.push((name, self.annotation_value()?));
        Ok(())
    }

    pub(super) fn annotation_value(&mut self) -> Result<Expr> {
        if self.at(Kind::At) {
            return self.strict_expression(false);
        }
        self.enter()?;
        let value = self.conditional(false);
        self.leave();
        value
    }

    /// `genericMethod`, `multipleAssignmentDeclaration`, `declaration`: what follows `def`, words or a type.
    pub(super) fn declaration(&mut self) -> Result<Item> {
        let first = self.at;
        let modifiers = self.modifiers()?;
        let generic = self.at(Kind::Less);
        let type_params = self.type_parameters_opt()?;
        let ty = if generic || self.type_before_name() { Some(self.type_ref()?) } else { None };
        if self.at(Kind::LParen) && modifiers.words.iter().any(|w| &**w == "def") {
            let target = self.tuple_target()?;
            let local = StmtKind::Local(Local { modifiers, ty, target });
            return Ok(self.item_from(first, local));
        }
        if matches!(self.peek(), Kind::Ident | Kind::Str) && self.nth(1) == Kind::LParen {
            let mut method = self.method(first, modifiers, ty)?;
            method.type_params = type_params;
            self.check_method_body(&method);
            return Ok(Item::Method(method));
        }
        let names = self.declarators()?;
        Ok(self.item_from(first, StmtKind::Local(Local { modifiers, ty, target: LocalTarget::Names(names) })))
    }

    fn item_from(&self, first: usize, kind: StmtKind) -> Item {
        Item::Stmt(Stmt { labels: Vec::new(), kind, span: self.span_from(first) })
    }

    /// `(a, int b) = value`
    pub(super) fn tuple_target(&mut self) -> Result<LocalTarget> {
        let open = self.bump();
        let mut names = Vec::new();
        loop {
            let first = self.at;
            let ty = if self.type_before_name() { Some(self.type_ref()?) } else { None };
            let index = self.expect(Kind::Ident)?;
            names.push((ty, self.token_name(index), self.span_from(first)));
            if !self.eat(Kind::Comma) {
                break;
            }
        }
        self.expect_closing(Kind::RParen, open, "`,`")?;
        self.expect(Kind::Assign)?;
        self.newline();
        self.enter()?;
        let init = self.assignment(false);
        self.leave();
        Ok(LocalTarget::Tuple { names, init: init? })
    }

    /// `a = 1, b`
    pub(super) fn declarators(&mut self) -> Result<Vec<Declarator>> {
        let mut names = Vec::new();
        loop {
            let index = match self.peek() {
                Kind::Ident => self.bump(),
                kind if kind.is_keyword() => {
                    return self.fail(format!("{} is a reserved word and cannot be a name", self.found()));
                }
                _ => return self.expected("a name"),
            };
            let name = self.token_name(index);
            let init = self.initializer_opt()?;
            names.push(Declarator { name, init, span: self.span_from(index) });
            if !self.eat(Kind::Comma) {
                return Ok(names);
            }
            self.newline();
        }
    }

    /// `= value`
    pub(super) fn initializer_opt(&mut self) -> Result<Option<Expr>> {
        if !self.eat(Kind::Assign) {
            return Ok(None);
        }
        self.newline();
        self.enter()?;
        let value = self.command_expression();
        self.leave();
        value.map(Some)
    }

    /// `singleDeclaration`: one variable, as in the head of a `for`.
    pub(super) fn single_declaration(&mut self, with_init: bool) -> Result<Local> {
        let modifiers = self.modifiers()?;
        let ty = if self.type_before_name() { Some(self.type_ref()?) } else { None };
        let index = self.expect(Kind::Ident)?;
        let name = self.token_name(index);
        let init = if with_init { self.initializer_opt()? } else { None };
        let declarator = Declarator { name, init, span: self.span_from(index) };
        Ok(Local { modifiers, ty, target: LocalTarget::Names(vec![declarator]) })
    }

    /// A method from its name on.
    pub(super) fn method(&mut self, first: usize, modifiers: Modifiers, ty: Option<TypeRef>) -> Result<Method> {
        let index = self.bump();
        let name = if self.kind_at(index) == Kind::Str { self.string_value(index) } else { self.token_name(index) };
        let name_span = self.token_span(index);
        let params = self.parameters_in_parentheses()?;
        let throws = self.throws_opt()?;
        let mut body = None;
        if self.kind_at(self.past_newline(self.at)) == Kind::LBrace {
            self.newline();
            body = Some(self.block()?);
        }
        Ok(Method {
            modifiers,
            type_params: Vec::new(),
            return_type: ty,
            name,
            name_span,
            params,
            throws,
            body,
            default_value: None,
            span: self.span_from(first),
        })
    }

    /// A method has a body unless it is abstract.
    pub(super) fn check_method_body(&mut self, method: &Method) {
        let is_abstract = method.modifiers.words.iter().any(|w| &**w == "abstract");
        if method.body.is_none() && !is_abstract {
            self.report(method.name_span, format!("the method `{}` has no body", method.name), None);
        } else if method.body.is_some() && is_abstract {
            self.report(method.name_span, format!("the abstract method `{}` has a body", method.name), None);
        }
        self.check_no_modifier(&method.modifiers, &["volatile"], "a method", method.name_span);
    }

    pub(super) fn parameters_in_parentheses(&mut self) -> Result<Vec<Param>> {
        let open = self.expect(Kind::LParen)?;
        let params = self.parameters(Kind::RParen)?;
        self.expect_closing(Kind::RParen, open, "`,`")?;
        Ok(params)
    }

    /// `throws A, B`
    pub(super) fn throws_opt(&mut self) -> Result<Vec<TypeRef>> {
        let mut throws = Vec::new();
        if self.kind_at(self.past_newline(self.at)) != Kind::Throws {
            return Ok(throws);
        }
        self.newline();
        self.bump();
        loop {
            self.newline();
            let first = self.at;
            let name = self.dotted_name()?;
            throws.push(TypeRef { name, args: Vec::new(), dimensions: 0, span: self.span_from(first) });
            if !self.eat(Kind::Comma) {
                return Ok(throws);
            }
        }
    }

    /// `parameterDeclarationList` up to, not including, `end`.
    pub(super) fn parameters(&mut self, end: Kind) -> Result<Vec<Param>> {
        let mut params = Vec::new();
        if self.at(end) || (self.at(Kind::Newline) && self.nth(1) == end) {
            return Ok(params);
        }
        loop {
            params.push(self.parameter()?);
            if !self.eat(Kind::Comma) {
                break;
            }
            self.newline();
        }
        self.check_params(&params);
        Ok(params)
    }

    fn parameter(&mut self) -> Result<Param> {
        let first = self.at;
        let modifiers = self.modifiers()?;
        let refused = ["private", "public", "protected", "static", "abstract", "native", "synchronized", "volatile"];
        self.check_no_modifier(&modifiers, &refused, "a parameter", self.token_span(first));
        let ty = if self.type_before_name() { Some(self.type_ref()?) } else { None };
        let varargs = self.eat(Kind::Ellipsis);
        if !self.at(Kind::Ident) {
            return self.expected("the name of a parameter");
        }
        let index = self.bump();
        let name = self.token_name(index);
        let default = self.initializer_opt()?;
        let span: Span = self.span_from(first);
        Ok(Param { modifiers, ty, name, default, varargs, span })
    }
}
