//! A function while it is being compiled: its code, tables, scopes and the ways out of its loops and `finally` blocks.

use std::collections::HashMap;
use std::rc::Rc;

use super::function::{Capture, Function, FunctionKind, Handler, Op, Parameter, Site, Type};
use super::mentions::Mentions;
use crate::ast::Text;
use crate::machine::ScriptId;
use crate::span::Span;
use crate::value::{Str, Value};

/// Where a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Slot(u16),
    Shared(u16),
    Captured(u16),
}

/// A variable in scope.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: Text,
    pub(super) place: Place,
    pub(super) ty: Type,
}

/// A way out of a statement that a `finally` block stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Return,
    Break(usize),
    Continue(usize),
}

/// Something that `break`, `continue` and `return` meet on their way out.
#[derive(Debug)]
pub(super) enum Control {
    Loop {
        labels: Vec<Text>,
        is_switch: bool,
        breaks: Vec<usize>,
        continues: Vec<usize>,
    },
    /// A labelled block or statement: only `break label` leaves it.
    Labelled {
        labels: Vec<Text>,
        breaks: Vec<usize>,
    },
    Finally {
        slot: u16,
        exits: Vec<Exit>,
        jumps: Vec<usize>,
    },
}

pub(super) struct Builder {
    pub(super) name: Text,
    pub(super) script: ScriptId,
    pub(super) class: Option<Text>,
    pub(super) kind: FunctionKind,
    pub(super) is_abstract: bool,
    pub(super) is_private: bool,
    pub(super) library: bool,
    pub(super) stepwise: bool,
    pub(super) around: Option<Text>,
    pub(super) level: u32,
    pub(super) mentions: Rc<Mentions>,
    pub(super) returns: Type,
    pub(super) span: Span,
    pub(super) params: Vec<Parameter>,
    pub(super) varargs: bool,
    pub(super) implicit_it: bool,
    pub(super) code: Vec<Op>,
    spans: Vec<Span>,
    consts: Vec<Value>,
    texts_of_consts: HashMap<Text, u32>,
    pub(super) names: Vec<Text>,
    name_numbers: HashMap<Text, u32>,
    sites: Vec<Site>,
    functions: Vec<Rc<Function>>,
    types: Vec<Type>,
    texts: Vec<Vec<Str>>,
    pub(super) handlers: Vec<Handler>,
    scopes: Vec<Vec<Variable>>,
    next_slot: u16,
    slots: u16,
    shared: u16,
    pub(super) captures: Vec<(Variable, Capture)>,
    pub(super) control: Vec<Control>,
    /// The function needs more slots, names … than an instruction can number.
    pub(super) too_large: bool,
}

impl Builder {
    pub(super) fn new(name: Text, kind: FunctionKind, script: ScriptId, level: u32, mentions: Rc<Mentions>) -> Self {
        Builder {
            name,
            script,
            class: None,
            kind,
            library: false,
            stepwise: false,
            around: None,
            is_abstract: false,
            is_private: false,
            level,
            mentions,
            returns: Type::Any,
            span: Span::default(),
            params: Vec::new(),
            varargs: false,
            implicit_it: false,
            code: Vec::new(),
            spans: Vec::new(),
            consts: Vec::new(),
            texts_of_consts: HashMap::new(),
            names: Vec::new(),
            name_numbers: HashMap::new(),
            sites: Vec::new(),
            functions: Vec::new(),
            types: Vec::new(),
            texts: Vec::new(),
            handlers: Vec::new(),
            scopes: vec![Vec::new()],
            next_slot: 0,
            slots: 0,
            shared: 0,
            captures: Vec::new(),
            control: Vec::new(),
            too_large: false,
        }
    }

    pub(super) fn finish(self) -> Function {
        let plain = |p: &Parameter| p.ty == Type::Any;
        Function {
            plain_params: !self.varargs && self.params.iter().all(plain),
            name: self.name,
            script: self.script,
            class: self.class,
            kind: self.kind,
            library: self.library,
            stepwise: self.stepwise,
            around: self.around,
            is_abstract: self.is_abstract,
            is_private: self.is_private,
            is_test: super::function::is_boolean(&self.returns),
            params: self.params,
            varargs: self.varargs,
            implicit_it: self.implicit_it,
            locals: self.slots,
            shared: self.shared,
            captures: self.captures.into_iter().map(|(_, c)| c).collect(),
            code: self.code,
            spans: self.spans,
            consts: self.consts,
            names: self.names,
            sites: self.sites,
            functions: self.functions,
            types: self.types,
            texts: self.texts,
            handlers: self.handlers,
            span: self.span,
        }
    }

    pub(super) fn emit(&mut self, op: Op, span: Span) -> usize {
        self.code.push(op);
        self.spans.push(span);
        self.code.len() - 1
    }

    pub(super) fn here(&self) -> usize {
        self.code.len()
    }

    /// Points the jump at `at` to the next instruction.
    pub(super) fn patch(&mut self, at: usize) {
        let here = self.here();
        self.patch_to(at, here);
    }

    pub(super) fn patch_to(&mut self, at: usize, to: usize) {
        let to = to as u32;
        match &mut self.code[at] {
            Op::Jump(t) | Op::JumpFalse(t) | Op::JumpTrue(t) | Op::JumpNull(t) | Op::JumpNotLess(t) => *t = to,
            Op::IterNext { end: t, .. }
            | Op::EndFinally { table: t, .. }
            | Op::IfGiven { target: t, .. }
            | Op::CatchTest { target: t, .. } => *t = to,
            _ => {}
        }
    }

    pub(super) fn patch_all(&mut self, jumps: Vec<usize>) {
        for at in jumps {
            self.patch(at);
        }
    }

    pub(super) fn constant(&mut self, value: Value) -> u32 {
        self.consts.push(value);
        self.consts.len() as u32 - 1
    }

    pub(super) fn text(&mut self, text: &Text) -> u32 {
        if let Some(at) = self.texts_of_consts.get(text) {
            return *at;
        }
        let at = self.constant(Value::str(&**text));
        self.texts_of_consts.insert(text.clone(), at);
        at
    }

    pub(super) fn name(&mut self, name: &Text) -> u32 {
        if let Some(at) = self.name_numbers.get(name) {
            return *at;
        }
        self.names.push(name.clone());
        let at = self.names.len() as u32 - 1;
        self.name_numbers.insert(name.clone(), at);
        at
    }

    pub(super) fn site(&mut self, site: Site) -> u32 {
        self.sites.push(site);
        self.sites.len() as u32 - 1
    }

    pub(super) fn function(&mut self, function: Function) -> u32 {
        self.functions.push(Rc::new(function));
        self.functions.len() as u32 - 1
    }

    pub(super) fn ty(&mut self, ty: Type) -> u32 {
        if let Some(at) = self.types.iter().position(|t| *t == ty) {
            return at as u32;
        }
        self.types.push(ty);
        self.types.len() as u32 - 1
    }

    pub(super) fn gstring(&mut self, texts: Vec<Str>) -> u32 {
        self.texts.push(texts);
        self.texts.len() as u32 - 1
    }

    pub(super) fn open_scope(&mut self) -> u16 {
        self.scopes.push(Vec::new());
        self.next_slot
    }

    pub(super) fn close_scope(&mut self, mark: u16) {
        self.scopes.pop();
        self.next_slot = mark;
    }

    /// A slot that has no name.
    pub(super) fn slot(&mut self) -> u16 {
        let slot = self.next_slot;
        match self.next_slot.checked_add(1) {
            Some(next) if next < 16_000 => self.next_slot = next,
            _ => self.too_large = true,
        }
        self.slots = self.slots.max(self.next_slot);
        slot
    }

    /// A new variable. Emits what makes it fresh where it is shared.
    pub(super) fn declare(&mut self, name: &Text, ty: Type, span: Span) -> Place {
        let place = if self.mentions.shares(name, self.level) {
            let number = self.shared;
            self.shared = self.shared.saturating_add(1);
            self.too_large |= self.shared == u16::MAX;
            self.emit(Op::FreshShared(number), span);
            Place::Shared(number)
        } else {
            Place::Slot(self.slot())
        };
        self.bind(name, ty, place);
        place
    }

    pub(super) fn bind(&mut self, name: &Text, ty: Type, place: Place) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Variable { name: name.clone(), place, ty });
        }
    }

    pub(super) fn local(&self, name: &str) -> Option<Variable> {
        let scopes = self.scopes.iter().rev();
        scopes.flat_map(|s| s.iter().rev()).find(|v| *v.name == *name).cloned()
    }

    pub(super) fn captured(&self, name: &str) -> Option<Variable> {
        self.captures.iter().map(|(v, _)| v).find(|v| *v.name == *name).cloned()
    }
}
