//! Classes, interfaces, traits, enums, annotations and their members.

use std::rc::Rc;

use super::{Failed, Parser, Result};
use crate::ast::{
    Arg, Block, Class, ClassKind, EnumConstant, Expr, ExprKind, Field, Member, Method, Modifiers, Stmt, StmtKind, Text,
    TypeRef,
};
use crate::lexer::token::Kind;
use crate::limits;
use crate::span::Span;

impl Parser<'_> {
    /// From the keyword on.
    pub(super) fn type_definition(&mut self, modifiers: Modifiers) -> Result<Class> {
        let first = self.at;
        let kind = match self.peek() {
            Kind::Class => ClassKind::Class,
            Kind::Interface => ClassKind::Interface,
            Kind::Trait => ClassKind::Trait,
            Kind::Enum => ClassKind::Enum,
            Kind::At => {
                self.bump();
                ClassKind::Annotation
            }
            _ => return self.expected("`class`"),
        };
        self.bump();
        let index = self.expect(Kind::Ident)?;
        let name = self.token_name(index);
        self.newline();
        self.check_no_modifier(&modifiers, &["synchronized"], "a class", self.token_span(index));
        let name_bytes = name.len();
        let mut class = empty_class(modifiers, kind, name.clone(), self.token_span(first));
        if kind != ClassKind::Annotation {
            self.class_header(&mut class)?;
        }
        // Groovy recognises constructors by the innermost class, trait or enum.
        let named = matches!(kind, ClassKind::Class | ClassKind::Trait | ClassKind::Enum);
        if named {
            self.classes.push(name);
        }
        let bytes = name_bytes + 1;
        self.around += bytes;
        if self.around > limits::MAX_CLASS_NAME_BYTES + 1 {
            let most = limits::MAX_CLASS_NAME_BYTES;
            let message = format!("the full name of this class has more than {most} bytes");
            self.stop(&message, "give it, its package or the classes around it shorter names");
            return Err(Failed);
        }
        let result = self.class_body(&mut class);
        self.around -= bytes;
        if named {
            self.classes.pop();
        }
        result?;
        class.span = self.span_from(first);
        Ok(class)
    }

    /// Type parameters, `extends`, `implements`.
    fn class_header(&mut self, class: &mut Class) -> Result<()> {
        if class.kind != ClassKind::Enum && self.at(Kind::Less) {
            class.type_params = self.type_parameters_opt()?;
            self.newline();
        }
        if class.kind != ClassKind::Enum && self.eat(Kind::Extends) {
            self.newline();
            class.extends.push(self.class_type()?);
            while class.kind == ClassKind::Interface && self.eat(Kind::Comma) {
                self.newline();
                class.extends.push(self.class_type()?);
            }
            self.newline();
        }
        if class.kind != ClassKind::Interface && self.eat(Kind::Implements) {
            loop {
                self.newline();
                class.implements.push(self.class_type()?);
                if !self.eat(Kind::Comma) {
                    break;
                }
            }
            self.newline();
        }
        Ok(())
    }

    /// The class body behind `new T(…)`.
    pub(super) fn anonymous_class(&mut self, ty: &TypeRef) -> Result<Rc<Class>> {
        let first = self.at;
        let mut class = empty_class(Modifiers::default(), ClassKind::Class, Text::from(""), self.token_span(first));
        class.extends.push(ty.clone());
        self.class_body(&mut class)?;
        class.span = self.span_from(first);
        Ok(Rc::new(class))
    }

    /// `classBlock` and its relatives.
    fn class_body(&mut self, class: &mut Class) -> Result<()> {
        if !self.at(Kind::LBrace) {
            return self.expected("`{`");
        }
        self.enter()?;
        let open = self.bump();
        let result = self.class_members(class, open);
        self.leave();
        result
    }

    fn class_members(&mut self, class: &mut Class, open: usize) -> Result<()> {
        let end = self.tokens[open].mate as usize;
        if class.kind == ClassKind::Enum {
            self.newline();
            if self.enum_constants_start() {
                self.enum_constants(class)?;
                if !matches!(self.peek(), Kind::Newline | Kind::Semi | Kind::RBrace) {
                    return self.expected("`,`, `;` or `}` behind the constant");
                }
            }
        }
        loop {
            while matches!(self.peek(), Kind::Newline | Kind::Semi) {
                self.bump();
            }
            if matches!(self.peek(), Kind::RBrace | Kind::Eof) {
                break;
            }
            let first = self.at;
            if self.class_member(class).is_err() {
                self.skip_statement(first, end);
            }
            if !matches!(self.peek(), Kind::Newline | Kind::Semi | Kind::RBrace | Kind::Eof) {
                let first = self.at;
                let _ = self.expected::<()>("the end of the member");
                self.skip_statement(first, end);
            }
        }
        self.expect_closing(Kind::RBrace, open, "")?;
        Ok(())
    }

    /// `classField`, `interfaceField`, `annotationField`
    fn class_member(&mut self, class: &mut Class) -> Result<()> {
        let is_interface = matches!(class.kind, ClassKind::Interface | ClassKind::Annotation);
        if !is_interface && self.constructor_starts() {
            let constructor = self.constructor()?;
            class.methods.push(Rc::new(constructor));
            return Ok(());
        }
        if self.generic_method_starts() || self.tuple_declaration_starts() || self.declaration_starts() {
            return self.declared_member(class);
        }
        // In annotations and constants there are no statements: any name that stands alone is a type.
        let only_declarations =
            class.kind == ClassKind::Annotation || self.classes.last().is_some_and(|c| c.is_empty());
        if only_declarations && self.at(Kind::Ident) && self.nth(1) != Kind::LParen {
            return self.declared_member(class);
        }
        if self.type_declaration_starts() {
            let modifiers = self.modifiers()?;
            class.classes.push(Rc::new(self.type_definition(modifiers)?));
            return Ok(());
        }
        if !is_interface && self.at(Kind::Static) && self.kind_at(self.past_newline(self.at + 1)) == Kind::LBrace {
            self.bump();
            self.newline();
            class.static_init.push(self.block()?);
            return Ok(());
        }
        if !is_interface && self.at(Kind::LBrace) {
            class.instance_init.push(self.block()?);
            return Ok(());
        }
        let hint = "a method needs `def` or a type, a field too; statements stand inside methods";
        self.fail_with_hint(format!("expected a field or method, found {}", self.found()), hint)
    }

    fn declared_member(&mut self, class: &mut Class) -> Result<()> {
        let first = self.at;
        // A method is checked here and not in `declaration`: interfaces have other rules.
        let modifiers = self.modifiers()?;
        let generic = self.at(Kind::Less);
        let type_params = self.type_parameters_opt()?;
        let ty = if generic || self.type_before_name() { Some(self.type_ref()?) } else { None };
        if matches!(self.peek(), Kind::Ident | Kind::Str) && self.nth(1) == Kind::LParen {
            let mut method = self.method(first, modifiers, ty)?;
            method.type_params = type_params;
            self.finish_method(class, &mut method)?;
            class.methods.push(Rc::new(method));
            return Ok(());
        }
        if self.at(Kind::LParen) && modifiers.words.iter().any(|w| &**w == "def") {
            return self.fail("several fields cannot be declared with parentheses");
        }
        for declarator in self.declarators()? {
            class.fields.push(Field {
                modifiers: modifiers.clone(),
                ty: ty.clone(),
                name: declarator.name,
                init: declarator.init,
                span: declarator.span,
            });
        }
        Ok(())
    }

    fn finish_method(&mut self, class: &Class, method: &mut Method) -> Result<()> {
        let span = method.name_span;
        if class.kind == ClassKind::Annotation {
            if !method.params.is_empty() || method.body.is_some() || method.return_type.is_none() {
                let hint = "write `String name() default 'x'`";
                self.report(span, "a member of an annotation has a type, no parameters and no body", Some(hint.into()));
            }
            if self.eat(Kind::Default) {
                self.newline();
                method.default_value = Some(self.annotation_value()?);
            }
            return Ok(());
        }
        if class.kind == ClassKind::Interface {
            if method.body.is_some() {
                self.report(span, "a method of an interface has no body", None);
            }
            if let Some(param) = method.params.iter().find(|p| p.default.is_some()) {
                let message = "a parameter of a method of an interface has no default value";
                self.report(param.span, message, None);
            }
        } else {
            self.check_method_body(method);
        }
        if method.name == class.name {
            let hint = "remove its return type if it is a constructor";
            self.report(span, "a method cannot be named like its class", Some(hint.into()));
        }
        Ok(())
    }

    fn constructor(&mut self) -> Result<Method> {
        let first = self.at;
        let modifiers = self.modifiers()?;
        let index = self.expect(Kind::Ident)?;
        let name = self.token_name(index);
        let name_span = self.token_span(index);
        self.check_no_modifier(&modifiers, &["static", "final", "abstract", "native"], "a constructor", name_span);
        let params = self.parameters_in_parentheses()?;
        let throws = self.throws_opt()?;
        self.newline();
        let body = Some(self.constructor_body()?);
        Ok(Method {
            modifiers,
            type_params: Vec::new(),
            return_type: None,
            name,
            name_span,
            params,
            throws,
            body,
            default_value: None,
            span: self.span_from(first),
        })
    }

    /// Like a block, but `this(…)` or `super(…)` may come first.
    fn constructor_body(&mut self) -> Result<Block> {
        if !self.at(Kind::LBrace) || !self.constructor_call_follows() {
            return self.block();
        }
        self.enter()?;
        let open = self.bump();
        let result = self.constructor_statements(open);
        self.leave();
        Ok(Block { stmts: result?, span: self.span_from(open) })
    }

    fn constructor_call_follows(&self) -> bool {
        let at = self.past_newline(self.at + 1);
        matches!(self.kind_at(at), Kind::This | Kind::Super) && self.kind_at(at + 1) == Kind::LParen
    }

    fn constructor_statements(&mut self, open: usize) -> Result<Vec<Stmt>> {
        self.newline();
        let call = self.constructor_call()?;
        if !matches!(self.peek(), Kind::Newline | Kind::Semi | Kind::RBrace) {
            return self.expected("the end of the statement");
        }
        let mut stmts = vec![call];
        stmts.append(&mut self.block_body(open)?);
        Ok(stmts)
    }

    /// `this(…)`, `super(…)`
    fn constructor_call(&mut self) -> Result<Stmt> {
        let index = self.bump();
        let callee = Member::Name(self.token_name(index), self.token_span(index));
        let open = self.bump();
        let args: Vec<Arg> = self.arguments(Kind::RParen, open)?;
        self.check_named_arguments(&args);
        let span = self.span_from(index);
        let kind = ExprKind::Call { object: None, callee, access: crate::ast::Access::Dot, args, command: false };
        let call = Expr { kind: Box::new(kind), span };
        Ok(Stmt { labels: Vec::new(), kind: StmtKind::Expr(call), span })
    }

    /// `enumConstantsStart`
    fn enum_constants_start(&self) -> bool {
        let mut at = self.at;
        while self.kind_at(at) == Kind::At && self.kind_at(at + 1) != Kind::Interface {
            match self.skip_annotation(at) {
                Some(next) => at = next,
                None => return false,
            }
        }
        if self.kind_at(at) != Kind::Ident {
            return false;
        }
        let behind = self.past_newline(at + 1);
        matches!(self.kind_at(at + 1), Kind::LBrace | Kind::LParen)
            || matches!(self.kind_at(behind), Kind::Semi | Kind::Comma | Kind::RBrace)
            || behind > at + 1
    }

    fn enum_constants(&mut self, class: &mut Class) -> Result<()> {
        loop {
            let constant = self.enum_constant()?;
            class.constants.push(constant);
            let comma = self.past_newline(self.at);
            if self.kind_at(comma) != Kind::Comma {
                return Ok(());
            }
            self.newline();
            self.bump();
            let next = self.past_newline(self.at);
            if !matches!(self.kind_at(next), Kind::Ident | Kind::At) {
                return Ok(());
            }
            self.newline();
        }
    }

    fn enum_constant(&mut self) -> Result<EnumConstant> {
        let first = self.at;
        let annotations = self.annotations()?;
        let index = self.expect(Kind::Ident)?;
        let name = self.token_name(index);
        let mut args = Vec::new();
        if self.at(Kind::LParen) {
            let open = self.bump();
            args = self.arguments(Kind::RParen, open)?;
            self.check_named_arguments(&args);
        }
        let mut body = None;
        if self.at(Kind::LBrace) {
            let mut class = empty_class(Modifiers::default(), ClassKind::Class, name.clone(), self.token_span(index));
            // A constant has no constructors: nothing is named like it.
            self.classes.push(Text::from(""));
            let result = self.class_body(&mut class);
            self.classes.pop();
            result?;
            class.span = self.span_from(first);
            body = Some(Rc::new(class));
        }
        Ok(EnumConstant { annotations, name, args, body, span: self.span_from(first) })
    }
}

fn empty_class(modifiers: Modifiers, kind: ClassKind, name: Text, span: Span) -> Class {
    Class {
        modifiers,
        kind,
        name,
        type_params: Vec::new(),
        extends: Vec::new(),
        implements: Vec::new(),
        constants: Vec::new(),
        fields: Vec::new(),
        methods: Vec::new(),
        static_init: Vec::new(),
        instance_init: Vec::new(),
        classes: Vec::new(),
        span,
    }
}
