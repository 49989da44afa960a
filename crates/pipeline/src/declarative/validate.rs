//! Arguments against the catalogue: unknown and missing parameters, and literals of the wrong type.

use groovy::span::Span;

use crate::catalogue::{Entry, Kind, ParameterType, distance};

use super::messages;
use super::parse::Reader;
use super::shape::Pair;
use super::values::{Args, CallArg, CallValue, DirectiveCall, Literal, Value};

impl Reader<'_> {
    /// Checks the arguments of a step or condition. `blame` is the place for what has no place of its own.
    pub(super) fn check_arguments(&mut self, entry: &Entry, args: &Args<'_>, blame: Span) {
        match args {
            Args::Named(named) => self.check_named(entry, named, blame),
            Args::Single(value) => match entry.sole() {
                Some(parameter) => {
                    self.check_type(value, parameter.ty, None);
                }
                None if entry.block || entry.open => {}
                None => self.error(blame, messages::not_single_required()),
            },
            // A library's variable takes what it likes.
            Args::Positional if entry.fixture => {}
            Args::Positional => self.error(blame, messages::too_many_unnamed(entry.name)),
        }
    }

    fn check_named(&mut self, entry: &Entry, named: &[(Pair<'_>, Value)], blame: Span) {
        let mut valid = true;
        // With fields that the table does not list, the arguments may be those of the sole required value itself, as in
        // `publishHTML(reportDir: …)` for `publishHTML(target: [reportDir: …])`.
        for (pair, value) in named {
            let Some(key) = pair.name() else { continue };
            let Some(parameter) = entry.parameter(key) else {
                valid = false;
                self.unknown_parameter(entry, key, pair.key_span());
                continue;
            };
            let alone = named.len() == 1 && parameter.required && entry.sole_required().is_some() && !entry.block;
            valid &= self.check_type(value, parameter.ty, Some(&**key).filter(|_| !alone));
        }
        if valid {
            let given = |name: &str| named.iter().any(|(p, _)| p.name().is_some_and(|n| &**n == name));
            for parameter in entry.required().filter(|p| !given(p.name)) {
                self.error(blame, messages::missing_parameter(parameter.name));
            }
        }
    }

    fn unknown_parameter(&mut self, entry: &Entry, key: &str, span: Span) {
        if !entry.open {
            let nearest = entry.parameters.iter().map(|p| p.name).min_by_key(|n| distance(key, n));
            self.error(span, messages::invalid_parameter(key, nearest.unwrap_or("null")));
            // Jenkins names the nearest however far it is; that is no word to put there.
            let near = crate::catalogue::nearest(key, entry.parameters.iter().map(|p| p.name));
            if let [name] = near[..] {
                self.fix_last(span, name);
            }
        }
    }

    /// Checks a call in a directive, and the calls in its arguments.
    pub(super) fn check_call(&mut self, call: &DirectiveCall<'_>, entry: Option<&Entry>) {
        for arg in &call.args {
            let (CallArg::Pair(_, value) | CallArg::One(value)) = arg;
            if let CallValue::Call(inner) = value {
                self.check_inner_call(inner);
            }
        }
        let Some(entry) = entry else { return };
        if call.args.iter().any(|a| matches!(a, CallArg::Pair(..))) {
            self.check_call_names(call, entry);
        } else if call.args.len() > 1 {
            self.error(call.called.span, messages::too_many_unnamed(call.name));
        } else {
            self.check_call_single(call, entry);
        }
    }

    fn check_inner_call(&mut self, call: &DirectiveCall<'_>) {
        // What has no name has been told of.
        if call.called.name.is_none() {
            return;
        }
        if let Some(text) = messages::blocked(call.name, true) {
            self.error(call.called.span, text);
        }
        // A name may stand for several things here; only what has one meaning can be checked.
        let catalogue = self.catalogue;
        let mut meanings = catalogue.of_any_kind(call.name);
        let entry = meanings.next().filter(|_| meanings.next().is_none());
        self.check_call(call, entry);
    }

    fn check_call_names(&mut self, call: &DirectiveCall<'_>, entry: &Entry) {
        if call.mixes() {
            self.error(call.called.span, messages::mixed_parameters());
        }
        for arg in &call.args {
            let CallArg::Pair(pair, value) = arg else { continue };
            let Some(key) = pair.name() else { continue };
            // Jenkins takes the text of a password although its parameter is of another type.
            let password = entry.kind == Kind::Parameter && entry.name == "password" && &**key == "defaultValue";
            let ty = match entry.parameter(key) {
                Some(parameter) => parameter.ty,
                None if password => ParameterType::String,
                None => {
                    self.unknown_parameter(entry, key, pair.key_span());
                    continue;
                }
            };
            if let CallValue::Value(value) = value {
                self.check_type(value, ty, Some(key));
            }
        }
    }

    fn check_call_single(&mut self, call: &DirectiveCall<'_>, entry: &Entry) {
        let wanted = entry.required().count();
        if wanted != call.args.len() {
            let may_be_left_out =
                call.args.is_empty() && entry.sole_required().is_some_and(|p| p.ty == ParameterType::Boolean);
            if !may_be_left_out && !entry.open {
                self.error(call.called.span, messages::wrong_number_of_parameters(call.name, wanted, call.args.len()));
            }
        } else if let (Some(parameter), Some(CallArg::One(CallValue::Value(value)))) =
            (entry.sole_required(), call.args.first())
        {
            self.check_type(value, parameter.ty, None);
        }
    }

    /// Checks a literal against a type; says whether it fits.
    fn check_type(&mut self, value: &Value, ty: ParameterType, name: Option<&str>) -> bool {
        let Some(text) = value.literal.as_ref().and_then(|literal| mismatch(literal, ty, name)) else { return true };
        self.error(value.span, text);
        false
    }
}

/// What Jenkins says of a literal that does not fit a type.
pub(crate) fn mismatch(literal: &Literal, ty: ParameterType, name: Option<&str>) -> Option<String> {
    if fits(literal, ty) {
        return None;
    }
    let (ty, text, class) = (java_name(ty), literal.text(), literal.class());
    Some(match name {
        Some(name) => messages::invalid_named_type(ty, name, text, class),
        None => messages::invalid_unnamed_type(ty, text, class),
    })
}

/// Whether Groovy would convert the literal to the type, with Jenkins' exceptions for texts, numbers and booleans.
fn fits(literal: &Literal, ty: ParameterType) -> bool {
    use ParameterType as Type;
    match (ty, literal) {
        (Type::Object, _) => true,
        (Type::Int | Type::Long | Type::Double, Literal::Null) => false,
        (_, Literal::Null) => true,
        (Type::String, Literal::Int(_) | Literal::Bool(_)) => false,
        (Type::String, _) => true,
        (Type::Int, Literal::Str(_) | Literal::Bool(_)) => false,
        // A text of one character is a character, and that is a number.
        (Type::Long | Type::Integer | Type::Double, Literal::Str(text)) => text.chars().count() == 1,
        (Type::Long | Type::Integer | Type::Double, Literal::Bool(_)) => false,
        (Type::Int | Type::Long | Type::Integer | Type::Double, _) => true,
        (Type::Bool | Type::Boolean, _) => true,
        (Type::TimeUnit, Literal::Str(text)) => TIME_UNITS.contains(&text.as_str()),
        (Type::TimeUnit | Type::List | Type::Collection | Type::Map | Type::Class | Type::Scm, _) => false,
    }
}

const TIME_UNITS: [&str; 7] = ["NANOSECONDS", "MICROSECONDS", "MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"];

fn java_name(ty: ParameterType) -> &'static str {
    match ty {
        ParameterType::String => "class java.lang.String",
        ParameterType::Int => "int",
        ParameterType::Integer => "class java.lang.Integer",
        ParameterType::Long => "long",
        ParameterType::Double => "double",
        ParameterType::Bool => "boolean",
        ParameterType::Boolean => "class java.lang.Boolean",
        ParameterType::List => "interface java.util.List",
        ParameterType::Collection => "interface java.util.Collection",
        ParameterType::Map => "interface java.util.Map",
        ParameterType::Class => "class java.lang.Class",
        ParameterType::TimeUnit => "class java.util.concurrent.TimeUnit",
        ParameterType::Scm => "class hudson.scm.SCM",
        ParameterType::Object => "class java.lang.Object",
    }
}
