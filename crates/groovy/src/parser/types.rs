//! Types: names with dots, type arguments and brackets.

use super::{Parser, Result};
use crate::ast::{Text, TypeRef};
use crate::lexer::token::Kind;

impl Parser<'_> {
    /// A type with any number of `[]`.
    pub(super) fn type_ref(&mut self) -> Result<TypeRef> {
        let mut ty = self.type_without_brackets()?;
        let first = self.at;
        while self.at(Kind::LBracket) && self.nth(1) == Kind::RBracket {
            self.bump();
            self.bump();
            ty.dimensions += 1;
        }
        if self.at > first {
            ty.span = self.span_since(ty.span);
        }
        Ok(ty)
    }

    /// `int`, `a.b.C<D>`.
    pub(super) fn type_without_brackets(&mut self) -> Result<TypeRef> {
        if self.peek().is_builtin_type() {
            let index = self.bump();
            let name = self.token_name(index);
            return Ok(TypeRef { name, args: Vec::new(), dimensions: 0, span: self.token_span(index) });
        }
        self.class_type()
    }

    /// `a.b.C<D>`, `C<>`.
    pub(super) fn class_type(&mut self) -> Result<TypeRef> {
        let first = self.at;
        if !self.at(Kind::Ident) {
            return self.expected("a type");
        }
        let index = self.bump();
        let mut name = self.token_name(index);
        let mut args = if self.at(Kind::Less) && self.nth(1) == Kind::Greater {
            self.bump();
            self.bump();
            self.newline();
            Vec::new()
        } else {
            self.type_arguments_opt()?
        };
        while self.at(Kind::Dot) && self.nth(1) == Kind::Ident {
            self.bump();
            let index = self.bump();
            name = Text::from(format!("{name}.{}", self.token_text(index)));
            args = self.type_arguments_opt()?;
        }
        Ok(TypeRef { name, args, dimensions: 0, span: self.span_from(first) })
    }

    pub(super) fn type_arguments_opt(&mut self) -> Result<Vec<TypeRef>> {
        if !self.at(Kind::Less) {
            return Ok(Vec::new());
        }
        self.enter()?;
        let args = self.type_arguments();
        self.leave();
        args
    }

    /// `<A, ? extends B>`
    fn type_arguments(&mut self) -> Result<Vec<TypeRef>> {
        self.bump();
        let mut args = Vec::new();
        self.newline();
        loop {
            args.push(self.type_argument()?);
            if !self.eat(Kind::Comma) {
                break;
            }
            self.newline();
        }
        if self.kind_at(self.past_newline(self.at)) != Kind::Ident {
            self.newline();
        }
        self.closing_angle()?;
        Ok(args)
    }

    fn type_argument(&mut self) -> Result<TypeRef> {
        if !self.at(Kind::Question) {
            let builtin = self.peek().is_builtin_type();
            let ty = self.type_ref()?;
            if builtin && ty.dimensions == 0 {
                let hint = "use the class that wraps it, such as Integer for int";
                self.report(ty.span, format!("`{}` cannot be a type argument", ty.name), Some(hint.into()));
            }
            return Ok(ty);
        }
        let index = self.bump();
        let mut args = Vec::new();
        if self.eat(Kind::Extends) || self.eat(Kind::Super) {
            self.newline();
            args.push(self.class_type()?);
        }
        Ok(TypeRef { name: self.token_name(index), args, dimensions: 0, span: self.span_from(index) })
    }

    /// One `>`, maybe the first of a `>>` or `>>>`.
    fn closing_angle(&mut self) -> Result<()> {
        let rest = match self.peek() {
            Kind::Greater => {
                self.bump();
                return Ok(());
            }
            Kind::Shr => Kind::Greater,
            Kind::Ushr => Kind::Shr,
            _ => return self.expected("`,` or `>`"),
        };
        let token = &mut self.tokens[self.at];
        token.kind = rest;
        token.start += 1;
        Ok(())
    }

    /// `<T, U extends A & B>`: only the names are kept.
    pub(super) fn type_parameters_opt(&mut self) -> Result<Vec<Text>> {
        let mut names = Vec::new();
        if !self.at(Kind::Less) {
            return Ok(names);
        }
        self.bump();
        self.newline();
        loop {
            let index = self.expect(Kind::Ident)?;
            names.push(self.token_name(index));
            if self.eat(Kind::Extends) {
                loop {
                    self.newline();
                    self.class_type()?;
                    if !self.eat(Kind::And) {
                        break;
                    }
                }
            }
            if !self.eat(Kind::Comma) {
                break;
            }
            self.newline();
        }
        self.newline();
        self.closing_angle()?;
        Ok(names)
    }

    /// `a.b.c` as one text.
    pub(super) fn dotted_name(&mut self) -> Result<Text> {
        let index = self.expect(Kind::Ident)?;
        let mut name = self.token_name(index);
        while self.at(Kind::Dot) && self.kind_at(self.past_newline(self.at + 1)) == Kind::Ident {
            self.bump();
            self.newline();
            let index = self.bump();
            name = Text::from(format!("{name}.{}", self.token_text(index)));
        }
        Ok(name)
    }
}
