//! Values and arguments as Jenkins' validation sees them: literals can be checked, everything else is left to the run.

use groovy::ast::{Constant, Expr, ExprKind, MapEntry, UnaryOp};
use groovy::span::Span;

use super::messages;
use super::parse::Reader;
use super::shape::{Called, Given, Pair, called, closure_of};

/// A value in an argument.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Its value, where it is a literal.
    pub literal: Option<Literal>,
    /// Where it stands.
    pub span: Span,
}

/// A literal value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Long(i64),
    /// As written.
    Double(String),
    Str(String),
}

impl Literal {
    /// The text that Java prints for it.
    pub fn text(&self) -> String {
        match self {
            Literal::Null => "null".to_owned(),
            Literal::Bool(value) => value.to_string(),
            Literal::Int(value) | Literal::Long(value) => value.to_string(),
            Literal::Double(value) | Literal::Str(value) => value.clone(),
        }
    }

    /// What Java's `getClass()` prints for it.
    pub fn class(&self) -> &'static str {
        match self {
            Literal::Null => "null",
            Literal::Bool(_) => "class java.lang.Boolean",
            Literal::Int(_) => "class java.lang.Integer",
            Literal::Long(_) => "class java.lang.Long",
            Literal::Double(_) => "class java.lang.Double",
            Literal::Str(_) => "class java.lang.String",
        }
    }
}

/// The arguments of a step or condition.
#[derive(Clone, Debug)]
pub(super) enum Args<'a> {
    /// Only named ones, or none at all.
    Named(Vec<(Pair<'a>, Value)>),
    /// One without a name.
    Single(Value),
    /// Several, not all of them named.
    Positional,
}

/// An argument of a call in a directive, whose arguments may be calls again.
#[derive(Debug)]
pub(super) enum CallArg<'a> {
    /// `name: …`
    Pair(Pair<'a>, CallValue<'a>),
    /// Without a name.
    One(CallValue<'a>),
}

/// The value of a [`CallArg`].
#[derive(Debug)]
pub(super) enum CallValue<'a> {
    /// A call: `logRotator(…)`.
    Call(DirectiveCall<'a>),
    /// Anything else.
    Value(Value),
}

/// A call in a directive: an option, a parameter, a trigger, or a value of one.
#[derive(Debug)]
pub(super) struct DirectiveCall<'a> {
    /// Its name; `error` where it has none that could be read (there is a diagnostic).
    pub name: &'a str,
    /// The call as written.
    pub called: Called<'a>,
    /// Its arguments.
    pub args: Vec<CallArg<'a>>,
}

impl<'a> DirectiveCall<'a> {
    /// Whether some arguments have names and others do not.
    pub fn mixes(&self) -> bool {
        let named = self.args.iter().filter(|a| matches!(a, CallArg::Pair(..))).count();
        named > 0 && named < self.args.len()
    }
}

impl Reader<'_> {
    /// The name of a call; a call on an object has none, which is an error where steps and directives stand.
    pub(super) fn name_of<'a>(&mut self, called: &Called<'a>) -> Option<&'a str> {
        if called.name.is_none() {
            let text = if called.on_variable { messages::call_on_object() } else { messages::expected_symbol() };
            self.error(called.span, text);
        }
        called.name.map(|n| &**n)
    }

    /// Reads a value: a literal, or something that only a run can know.
    pub(super) fn value(&mut self, expr: &Expr) -> Value {
        let literal = match &*expr.kind {
            ExprKind::Constant(Constant::BigInt(digits)) => {
                let fits = digits.parse::<i64>();
                if fits.is_err() {
                    self.error(expr.span, messages::big_integer());
                }
                Some(Literal::Long(fits.unwrap_or(-1)))
            }
            ExprKind::Name(name) if matches!(&**name, "any" | "none") => Some(Literal::Str(name.to_string())),
            ExprKind::GString(_) | ExprKind::Map(_) => None,
            kind => {
                let literal = literal(kind);
                if literal.is_none() && self.text(expr.span).starts_with("${") {
                    self.error(expr.span, messages::bare_dollar_curly(self.text(expr.span)));
                }
                literal
            }
        };
        Value { literal, span: expr.span }
    }

    /// Reads the arguments of a step or condition.
    pub(super) fn arguments<'a>(&mut self, given: &[Given<'a>]) -> Args<'a> {
        match given {
            [] => Args::Named(Vec::new()),
            [Given::Map(pairs, span)] => {
                if pairs.iter().any(|p| p.name().is_some_and(|n| &**n == "$class")) {
                    return Args::Single(Value { literal: None, span: *span });
                }
                let mut named = Vec::new();
                for pair in pairs {
                    if pair.name().is_none() {
                        self.error(pair.key_span(), messages::expected_string());
                        continue;
                    }
                    named.push((*pair, self.value(pair.value)));
                }
                Args::Named(named)
            }
            [Given::One(expr)] => Args::Single(self.value(expr)),
            several => {
                for given in several {
                    if let Given::One(expr) = given {
                        self.value(expr);
                    }
                }
                Args::Positional
            }
        }
    }

    /// Reads a call in a directive with all calls in its arguments.
    pub(super) fn directive_call<'a>(&mut self, called: Called<'a>) -> DirectiveCall<'a> {
        let name = self.name_of(&called).unwrap_or("error");
        let mut args = Vec::new();
        for given in &called.args {
            match given {
                Given::Map(pairs, _) => {
                    for pair in pairs {
                        if pair.name().is_none() {
                            self.error(pair.key_span(), messages::expected_string());
                        }
                        if let Some(value) = self.call_value(pair.value, pair.span()) {
                            args.push(CallArg::Pair(*pair, value));
                        }
                    }
                }
                Given::One(expr) => args.extend(self.call_value(expr, called.span).map(CallArg::One)),
            }
        }
        DirectiveCall { name, called, args }
    }

    fn call_value<'a>(&mut self, expr: &'a Expr, blame: Span) -> Option<CallValue<'a>> {
        if closure_of(expr).is_some() {
            self.error(blame, messages::call_with_closure());
            return None;
        }
        Some(match called(expr) {
            Some(called) => CallValue::Call(self.directive_call(called)),
            None => CallValue::Value(self.value(expr)),
        })
    }
}

/// The literal that an expression is.
pub(crate) fn literal(kind: &ExprKind) -> Option<Literal> {
    match kind {
        ExprKind::Constant(constant) => Some(match constant {
            Constant::Null => Literal::Null,
            Constant::Bool(value) => Literal::Bool(*value),
            Constant::Int(value) => Literal::Int((*value).into()),
            Constant::Long(value) => Literal::Long(*value),
            Constant::BigInt(digits) => Literal::Long(digits.parse().ok()?),
            Constant::Decimal(digits) => Literal::Double(digits.to_string()),
            Constant::Float(value) => Literal::Double(value.to_string()),
            Constant::Double(value) => Literal::Double(value.to_string()),
            Constant::Str(text) => Literal::Str(text.to_string()),
        }),
        // Groovy's parser folds the sign of a number into the number.
        ExprKind::Unary { op: UnaryOp::Minus, operand } => match literal(&operand.kind)? {
            Literal::Int(value) => Some(Literal::Int(-value)),
            Literal::Long(value) => Some(Literal::Long(value.checked_neg()?)),
            Literal::Double(value) => Some(Literal::Double(format!("-{value}"))),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an expression is a map literal.
pub(super) fn is_map(expr: &Expr) -> bool {
    matches!(&*expr.kind, ExprKind::Map(entries) if entries.iter().all(|e| matches!(e, MapEntry::Pair(..))))
}
