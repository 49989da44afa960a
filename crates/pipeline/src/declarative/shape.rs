//! Shapes of Groovy code that a directive is made of: calls with their arguments, calls with a block, literals.
//!
//! Groovy gathers the named arguments of a call into one map that stands before the others; Jenkins' rules count
//! arguments in that form, so this does too.

use std::rc::Rc;

use groovy::ast::{Arg, Closure, Constant, Expr, ExprKind, MapEntry, MapKey, Member, Stmt, StmtKind, Text};
use groovy::span::Span;

/// A call, whoever it is made on.
#[derive(Clone, Debug)]
pub(super) struct Called<'a> {
    /// The name, where the call is on nobody (or `this`) and its name is plain.
    pub name: Option<&'a Text>,
    /// Where the name stands; the whole call's place where there is none.
    pub name_span: Span,
    /// The call is on a variable: `docker.build(…)`.
    pub on_variable: bool,
    /// The arguments, the named ones as one map before the others.
    pub args: Vec<Given<'a>>,
    /// As written.
    pub written: &'a [Arg],
    /// The whole call.
    pub span: Span,
}

/// An argument in Groovy's form.
#[derive(Clone, Debug)]
pub(super) enum Given<'a> {
    /// All named arguments of a call, or a map literal.
    Map(Vec<Pair<'a>>, Span),
    /// Any other argument.
    One(&'a Expr),
}

/// A named argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    /// Its name.
    pub key: &'a MapKey,
    /// Its value.
    pub value: &'a Expr,
}

impl Given<'_> {
    /// Where the argument stands.
    pub fn span(&self) -> Span {
        match self {
            Given::Map(_, span) => *span,
            Given::One(expr) => expr.span,
        }
    }
}

impl<'a> Pair<'a> {
    /// The name, where it is a string or a word.
    pub fn name(&self) -> Option<&'a Text> {
        match self.key {
            MapKey::Constant(Constant::Str(name), _) => Some(name),
            _ => None,
        }
    }

    /// Where the name stands.
    pub fn key_span(&self) -> Span {
        match self.key {
            MapKey::Constant(_, span) => *span,
            MapKey::Dynamic(expr) => expr.span,
        }
    }

    /// From the name to the end of the value.
    pub fn span(&self) -> Span {
        self.key_span().to(self.value.span)
    }
}

/// A call whose last argument is a closure: `name(…) { … }`.
#[derive(Clone, Debug)]
pub(super) struct BlockCall<'a> {
    /// The name.
    pub name: &'a Text,
    /// The arguments before the closure.
    pub args: Vec<Given<'a>>,
    /// The closure.
    pub body: &'a Rc<Closure>,
    /// The whole call.
    pub span: Span,
}

impl<'a> BlockCall<'a> {
    /// The statements of the block.
    pub fn stmts(&self) -> impl Iterator<Item = &'a Stmt> + use<'a> {
        stmts(self.body)
    }
}

/// The statements of a closure; a lone `;` is none.
pub(super) fn stmts(closure: &Closure) -> impl Iterator<Item = &Stmt> {
    closure.body.stmts.iter().filter(|s| !matches!(s.kind, StmtKind::Empty))
}

/// The expression that a statement consists of.
pub(super) fn expr_of(stmt: &Stmt) -> Option<&Expr> {
    match &stmt.kind {
        StmtKind::Expr(expr) => Some(expr),
        _ => None,
    }
}

/// The call that a statement consists of.
pub(super) fn call_of(stmt: &Stmt) -> Option<Called<'_>> {
    called(expr_of(stmt)?)
}

/// The call that an expression is.
pub(super) fn called(expr: &Expr) -> Option<Called<'_>> {
    match &*expr.kind {
        ExprKind::Call { object, callee, args, .. } => {
            let on_self = object.as_ref().is_none_or(is_this);
            let (name, name_span) = match callee {
                Member::Name(name, span) => (Some(name).filter(|_| on_self), *span),
                Member::Dynamic(expr) => (None, expr.span),
            };
            let on_variable = !on_self && object.as_ref().is_some_and(|o| matches!(&*o.kind, ExprKind::Name(_)));
            Some(Called { name, name_span, on_variable, args: given(args), written: args, span: expr.span })
        }
        ExprKind::CallValue { args, .. } => Some(Called {
            name: None,
            name_span: expr.span,
            on_variable: false,
            args: given(args),
            written: args,
            span: expr.span,
        }),
        _ => None,
    }
}

fn is_this(expr: &Expr) -> bool {
    matches!(&*expr.kind, ExprKind::Name(name) if &**name == "this")
}

fn given(args: &[Arg]) -> Vec<Given<'_>> {
    let mut pairs = Vec::new();
    let mut span: Option<Span> = None;
    let mut others = Vec::new();
    for arg in args {
        match arg {
            Arg::Named(key, value) => {
                let pair = Pair { key, value };
                span = Some(span.map_or(pair.span(), |s| s.to(pair.span())));
                pairs.push(pair);
            }
            Arg::Positional(expr) => others.push(argument(expr)),
            Arg::Spread(expr) | Arg::SpreadMap(expr) => others.push(Given::One(expr)),
        }
    }
    if let Some(span) = span {
        others.insert(0, Given::Map(pairs, span));
    }
    others
}

fn argument(expr: &Expr) -> Given<'_> {
    match &*expr.kind {
        ExprKind::Map(entries) if entries.iter().all(|e| matches!(e, MapEntry::Pair(..))) => {
            let pairs = entries.iter().filter_map(|e| match e {
                MapEntry::Pair(key, value) => Some(Pair { key, value }),
                MapEntry::Spread(_) => None,
            });
            Given::Map(pairs.collect(), expr.span)
        }
        _ => Given::One(expr),
    }
}

/// The call with a block that a statement consists of.
pub(super) fn block_of(stmt: &Stmt) -> Option<BlockCall<'_>> {
    block_call(expr_of(stmt)?)
}

/// The call with a block that an expression is.
pub(super) fn block_call(expr: &Expr) -> Option<BlockCall<'_>> {
    let mut called = called(expr)?;
    let name = called.name?;
    let Some(Given::One(last)) = called.args.pop() else { return None };
    let body = closure_of(last)?;
    Some(BlockCall { name, args: called.args, body, span: called.span })
}

/// The closure literal that an expression is.
pub(crate) fn closure_of(expr: &Expr) -> Option<&Rc<Closure>> {
    match &*expr.kind {
        ExprKind::Closure(closure) => Some(closure),
        _ => None,
    }
}

/// A word or a string without interpolation: what Jenkins takes for a name.
pub(super) fn word_of(expr: &Expr) -> Option<&Text> {
    match &*expr.kind {
        ExprKind::Constant(Constant::Str(text)) | ExprKind::Name(text) => Some(text),
        _ => None,
    }
}

/// Whether a name may name an environment variable.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    let word = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Jenkins also asks Java, whose keywords are no names.
    word && !JAVA_KEYWORDS.contains(&name)
}

const JAVA_KEYWORDS: [&str; 53] = [
    "abstract",
    "assert",
    "boolean",
    "break",
    "byte",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extends",
    "false",
    "final",
    "finally",
    "float",
    "for",
    "goto",
    "if",
    "implements",
    "import",
    "instanceof",
    "int",
    "interface",
    "long",
    "native",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "short",
    "static",
    "strictfp",
    "super",
    "switch",
    "synchronized",
    "this",
    "throw",
    "throws",
    "transient",
    "true",
    "try",
    "void",
    "volatile",
    "while",
];
