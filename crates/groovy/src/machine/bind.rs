//! Choosing among overloads, and laying out arguments for a function.

use std::rc::Rc;

use super::exec::Vm;
use super::world::World;
use crate::compile::{Function, Parameter, Type};
use crate::value::{ListKind, Value};

const UNFIT: u32 = u32::MAX;

impl World {
    /// The function that fits the arguments best; the first of equals.
    pub(super) fn select(&self, candidates: &[Rc<Function>], args: &[Value]) -> Option<Rc<Function>> {
        if let [only] = candidates
            && only.plain_params
            && only.params.len() == args.len()
        {
            return Some(only.clone());
        }
        // As Groovy has it: what wants one argument and gets none has null, where there is nothing else to choose.
        if let [only] = candidates
            && let [Parameter { has_default: false, ty, .. }] = &only.params[..]
            && args.is_empty()
            && !only.varargs
            && !matches!(ty, Type::Primitive(_))
        {
            return Some(only.clone());
        }
        self.nearest(candidates, args, &[])
    }

    /// The same where some arguments are casts, which choose among overloads instead of the values' own classes.
    pub(super) fn nearest(
        &self,
        candidates: &[Rc<Function>],
        args: &[Value],
        casts: &[(u16, Type)],
    ) -> Option<Rc<Function>> {
        let mut fitting = candidates.iter().filter(|f| self.fit(f, args) != UNFIT);
        let first = fitting.next()?;
        let Some(second) = fitting.next() else { return Some(first.clone()) };
        if let [Value::Null] = args {
            // The most general one; it is the nearest by the distances that only say whether it fits.
            let all = [first, second].into_iter().chain(fitting);
            return all.min_by_key(|f| self.fit(f, args)).cloned();
        }
        let mut classes: Vec<super::overload::Argument> = args.iter().map(|a| self.argument(a)).collect();
        for (at, ty) in casts {
            if let (Some(slot), Some(class)) =
                (classes.get_mut(*at as usize), self.class(&super::convert::element_name(ty)))
            {
                *slot = Some(class);
            }
        }
        let arrays = super::overload::arrays(args);
        let fits_cast = |f: &Function| {
            casts.iter().all(|(at, ty)| match f.params.get(*at as usize) {
                Some(p) => self.takes(&p.ty, ty),
                None => true,
            })
        };
        let mut best: Option<(i64, &Rc<Function>)> = None;
        for function in [first, second].into_iter().chain(fitting).filter(|f| casts.is_empty() || fits_cast(f)) {
            let far = self.farness(function, &classes, &arrays);
            if best.is_none_or(|(b, _)| far < b) {
                best = Some((far, function));
            }
        }
        best.map(|(_, f)| f.clone()).or_else(|| Some(first.clone()))
    }

    /// Whether a parameter takes what was cast to a type.
    fn takes(&self, parameter: &Type, cast: &Type) -> bool {
        let (wanted, given) = (super::convert::element_name(parameter), super::convert::element_name(cast));
        wanted == given
            || wanted == "java.lang.Object"
            || matches!((parameter, cast), (Type::Primitive(_), _) | (_, Type::Primitive(_)))
            || self.class(&given).is_some_and(|c| c.is_a(&wanted))
    }

    fn fit(&self, function: &Function, args: &[Value]) -> u32 {
        let params = &function.params;
        let required = params.iter().filter(|p| !p.has_default).count();
        if args.len() <= params.len() && args.len() >= required {
            let given = given_params(params, args.len());
            let fits = given.zip(args).map(|((_, p), a)| self.distance(&p.ty, a));
            let sum = fits.fold(0u32, u32::saturating_add);
            if sum != UNFIT {
                return sum.saturating_add((params.len() - args.len()) as u32);
            }
        }
        if !function.varargs {
            return UNFIT;
        }
        // The rest goes into the array of the last parameter.
        let Some((Parameter { ty: Type::Array(element), .. }, fixed)) = params.split_last() else { return UNFIT };
        if args.len() < fixed.len() {
            // There is no rest, and some before it have defaults.
            if args.len() + 1 < required {
                return UNFIT;
            }
            let fits = given_params(fixed, args.len()).zip(args).map(|((_, p), a)| self.distance(&p.ty, a));
            return fits.fold(0u32, u32::saturating_add).saturating_add(1000);
        }
        let fits = fixed.iter().zip(args).map(|(p, a)| self.distance(&p.ty, a));
        let rest = args[fixed.len()..].iter().map(|a| self.distance(element, a));
        let sum = fits.chain(rest).fold(0u32, u32::saturating_add);
        sum.saturating_add(1000)
    }

    /// How far a value is from a type: 0 is exact, [`UNFIT`] does not fit.
    fn distance(&self, ty: &Type, value: &Value) -> u32 {
        match ty {
            // As Groovy has it: null goes to whatever takes anything.
            Type::Any => {
                if value.is_null() {
                    0
                } else {
                    50
                }
            }
            Type::Primitive(name) => primitive_distance(name, value),
            Type::Array(element) => match value {
                Value::Null => 1,
                Value::List(l) if l.is_array() => u32::from(*element != Box::new(Type::Any)),
                _ => UNFIT,
            },
            Type::Class(name) => match value {
                Value::Null => u32::from(&**name != "java.lang.Object"),
                _ => self.class_distance(name, value),
            },
        }
    }

    /// Whether a closure can stand for a type: an interface or abstract class of the script with one method to write, one of Java's.
    fn has_one_method(&self, name: &str) -> bool {
        const JAVA: &[&str] = &["Runnable", "Callable", "Comparable", "Comparator", "Iterable"];
        match self.class(name) {
            None => true,
            Some(class) => match &class.script {
                Some(script) => {
                    let lineage = class.lineage();
                    let scripts = lineage.iter().filter_map(|c| c.script.as_ref());
                    let bare = scripts.flat_map(|s| s.methods.values().flatten());
                    script.is_abstract && bare.filter(|f| f.is_abstract).count() == 1
                }
                None => {
                    name.starts_with("java.util.function.") || JAVA.contains(&name.rsplit('.').next().unwrap_or(name))
                }
            },
        }
    }

    fn class_distance(&self, name: &str, value: &Value) -> u32 {
        if name == "groovy.lang.Closure" && matches!(value, Value::Closure(_)) {
            return 0;
        }
        let actual = value.type_name();
        if *name == *actual {
            return 0;
        }
        if let Some(n) = boxed_distance(name, value) {
            return n;
        }
        if name == "java.lang.String" && matches!(value, Value::GString(_)) {
            return 2;
        }
        let class = self.class_of(value);
        if class.is_a(name) {
            // Nearer ancestors are better: count the classes on the way up.
            let mut steps = 1;
            let mut next = class.superclass.clone();
            while let Some(parent) = next {
                if !parent.is_a(name) {
                    break;
                }
                steps += 1;
                next = parent.superclass.clone();
            }
            let parents = crate::value::known_parents(&actual);
            let rank = parents.iter().position(|p| crate::value::is_subtype(p, name)).unwrap_or(0) as u32;
            return if name == "java.lang.Object" { 50 } else { steps + rank + depth_of(&actual, name) };
        }
        match value {
            // What the host's objects are, the host alone knows.
            Value::Host(_) if !crate::value::is_known_class(name) => 10,
            // A closure stands for any interface with one method.
            Value::Closure(_) if self.has_one_method(name) => 15,
            _ => UNFIT,
        }
    }
}

/// Edges between a Java class and an ancestor.
fn depth_of(name: &str, ancestor: &str) -> u32 {
    let mut level = vec![name];
    for depth in 0..8 {
        if level.contains(&ancestor) {
            return depth * 2;
        }
        level = level.iter().flat_map(|n| crate::value::known_parents(n).iter().copied()).collect();
    }
    20
}

fn primitive_distance(name: &str, value: &Value) -> u32 {
    match (name, value) {
        ("boolean", Value::Bool(_)) | ("char", Value::Char(_)) | ("int", Value::Int(_)) | ("long", Value::Long(_)) => 0,
        ("float", Value::Float(_)) | ("double", Value::Double(_)) => 0,
        ("byte" | "short", Value::Int(_)) => 3,
        ("long", Value::Int(_)) => 1,
        ("float", Value::Int(_) | Value::Long(_)) => 3,
        ("double", Value::Int(_) | Value::Long(_)) => 4,
        ("double", Value::Float(_)) => 1,
        ("double" | "float", Value::Decimal(_) | Value::BigInt(_)) => 5,
        ("int", Value::BigInt(_)) => 6,
        _ => UNFIT,
    }
}

fn boxed_distance(name: &str, value: &Value) -> Option<u32> {
    Some(match (name, value) {
        ("java.lang.Long", Value::Int(_)) => 2,
        ("java.lang.Byte" | "java.lang.Short", Value::Int(_)) => 4,
        (
            "java.lang.Double" | "java.lang.Float",
            Value::Int(_) | Value::Long(_) | Value::Decimal(_) | Value::BigInt(_),
        ) => 6,
        ("java.lang.Double", Value::Float(_)) => 1,
        (
            "java.math.BigDecimal",
            Value::Int(_) | Value::Long(_) | Value::BigInt(_) | Value::Double(_) | Value::Float(_),
        ) => 7,
        ("java.math.BigInteger", Value::Int(_) | Value::Long(_)) => 5,
        ("java.lang.Integer", Value::BigInt(_)) => 8,
        _ => return None,
    })
}

/// The parameters that `count` arguments are for: those with defaults are left out from the right.
pub(super) fn given_params(params: &[Parameter], count: usize) -> impl Iterator<Item = (usize, &Parameter)> {
    let mut omit = params.len() - count.min(params.len());
    let mut given: Vec<(usize, &Parameter)> = Vec::new();
    for (i, p) in params.iter().enumerate().rev() {
        if p.has_default && omit > 0 {
            omit -= 1;
        } else {
            given.push((i, p));
        }
    }
    given.into_iter().rev()
}

impl Vm<'_> {
    /// Brings the arguments from `base` on into the order of the parameters; answers which were given.
    pub(super) fn arrange(&mut self, function: &Function, base: usize) -> u64 {
        let count = self.f.stack.len() - base;
        let params = &function.params;
        if function.varargs && !self.array_given(function, base) && count + 1 >= params.len() {
            let fixed = params.len() - 1;
            let rest = self.f.stack.split_off(base + fixed);
            let element = match params.last().map(|p| &p.ty) {
                Some(Type::Array(element)) => super::convert::element_name(element),
                _ => "java.lang.Object".into(),
            };
            self.f.stack.push(Value::array(rest, &element));
            return u64::MAX;
        }
        if count >= params.len() {
            return u64::MAX;
        }
        let args = self.f.stack.split_off(base);
        let mut given = 0u64;
        let mut slots = vec![Value::Null; params.len()];
        let mut open = &params[..];
        if let Some((Parameter { ty: Type::Array(element), .. }, fixed)) = params.split_last()
            && function.varargs
            && !fixed.is_empty()
        {
            // No rest: its array is empty.
            slots[fixed.len()] = Value::array(Vec::new(), &super::convert::element_name(element));
            given |= 1u64.checked_shl(fixed.len() as u32).unwrap_or(0);
            open = fixed;
        }
        for ((i, _), arg) in given_params(open, count).zip(args) {
            slots[i] = arg;
            if i < 64 {
                given |= 1 << i;
            }
        }
        self.f.stack.extend(slots);
        given
    }

    /// Whether the caller passed the array of a variable-arity function itself.
    fn array_given(&self, function: &Function, base: usize) -> bool {
        let args = &self.f.stack[base..];
        args.len() == function.params.len()
            && match args.last() {
                Some(Value::List(l)) => matches!(l.kind(), ListKind::JavaArray(_)),
                Some(Value::Null) => true,
                _ => false,
            }
    }
}
