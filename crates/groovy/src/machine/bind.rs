//! Choosing among overloads, and laying out arguments for a function.

use std::rc::Rc;

use super::exec::Vm;
use super::need::Fault;
use super::shape::{Shape, measuring, shapes, takes_rest};
use super::world::World;
use crate::compile::{Function, Parameter, Type};
use crate::value::Value;

/// The distance of what does not fit.
pub(super) const UNFIT: u32 = u32::MAX;

impl World {
    /// The function that fits the arguments best; the first of equals. An error where the script cannot pay for the choice.
    pub(super) fn select(
        &mut self,
        candidates: &[Rc<Function>],
        args: &[Value],
    ) -> Result<Option<Rc<Function>>, Fault> {
        if let [only] = candidates
            && only.plain_params
            && only.params.len() == args.len()
        {
            return Ok(Some(only.clone()));
        }
        // As Groovy has it: what wants one argument and gets none has null, where there is nothing else to choose.
        if let [only] = candidates
            && let [Parameter { has_default: false, ty, .. }] = &only.params[..]
            && args.is_empty()
            && !only.varargs
            && !matches!(ty, Type::Primitive(_))
        {
            return Ok(Some(only.clone()));
        }
        self.nearest(candidates, args, &[])
    }

    /// The same where some arguments are casts, which choose among overloads instead of the values' own classes.
    pub(super) fn nearest(
        &mut self,
        candidates: &[Rc<Function>],
        args: &[Value],
        casts: &[(u16, Type)],
    ) -> Result<Option<Rc<Function>>, Fault> {
        self.pay(candidates.iter().map(|f| measuring(f, args.len())).fold(0, usize::saturating_add))?;
        Ok(self.nearest_of(candidates, args, casts))
    }

    fn nearest_of(&self, candidates: &[Rc<Function>], args: &[Value], casts: &[(u16, Type)]) -> Option<Rc<Function>> {
        let mut fitting = candidates.iter().filter(|f| self.fit(f, args) != UNFIT);
        let first = fitting.next()?;
        let Some(second) = fitting.next() else { return Some(first.clone()) };
        // Null alone goes to what takes anything.
        if let ([Value::Null], []) = (args, casts)
            && let Some(any) = [first, second].into_iter().chain(fitting.clone()).find(|f| self.fit(f, args) == 0)
        {
            return Some(any.clone());
        }
        let mut classes = self.arguments(args);
        for (at, ty) in casts {
            if let (Some(slot), Some(class)) =
                (classes.get_mut(*at as usize), self.class(&super::convert::element_name(ty)))
            {
                *slot = Some(class);
            }
        }
        let fits_cast = |f: &Function| {
            casts.iter().all(|(at, ty)| match f.params.get(*at as usize) {
                Some(p) => self.takes(&p.ty, ty),
                None => true,
            })
        };
        // Groovy refuses to choose between two that are equally near. What takes null or an object of the host is not measured
        // well enough to tell.
        let measured = casts.is_empty() && !args.iter().any(|a| matches!(a, Value::Null | Value::Host(_)));
        let mut best: Option<(i64, &Rc<Function>)> = None;
        let mut ambiguous = false;
        for function in [first, second].into_iter().chain(fitting).filter(|f| casts.is_empty() || fits_cast(f)) {
            let Some((far, _)) = self.shape(function, args, &classes) else { continue };
            if best.is_none_or(|(b, _)| far < b) {
                (best, ambiguous) = (Some((far, function)), false);
            } else if let Some((b, other)) = best
                && b == far
                && measured
            {
                ambiguous |= !self.same_signature(function, other, args, &classes);
            }
        }
        if ambiguous {
            return None;
        }
        best.map(|(_, f)| f.clone()).or_else(|| Some(first.clone()))
    }

    /// Whether one of two methods hides the other: they take the same.
    fn same_signature(
        &self,
        a: &Function,
        b: &Function,
        args: &[Value],
        classes: &[super::overload::Argument],
    ) -> bool {
        let types = |f: &Function| -> Option<Vec<Type>> {
            let (_, shape) = self.shape(f, args, classes)?;
            Some(shape.given.iter().map(|at| f.params[*at].ty.clone()).collect())
        };
        types(a) == types(b)
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
        let fits = shapes(function, args.len()).map(|shape| self.fit_shape(function, &shape, args));
        fits.min().unwrap_or(UNFIT)
    }

    /// How far a value is from a type: 0 is exact, [`UNFIT`] does not fit.
    pub(super) fn distance(&self, ty: &Type, value: &Value) -> u32 {
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
    pub(super) fn has_one_method(&self, name: &str) -> bool {
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
        ("byte", Value::Byte(_)) | ("short", Value::Short(_)) => 0,
        ("short", Value::Byte(_)) | ("int", Value::Byte(_) | Value::Short(_)) => 1,
        ("long", Value::Byte(_) | Value::Short(_)) => 2,
        ("long", Value::Int(_)) => 1,
        ("float", Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => 3,
        ("double", Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => 4,
        ("double", Value::Float(_)) => 1,
        ("double" | "float", Value::Decimal(_) | Value::BigInt(_)) => 5,
        ("int", Value::BigInt(_)) => 6,
        _ => UNFIT,
    }
}

fn boxed_distance(name: &str, value: &Value) -> Option<u32> {
    Some(match (name, value) {
        ("java.lang.Short", Value::Byte(_)) | ("java.lang.Integer", Value::Byte(_) | Value::Short(_)) => 2,
        ("java.lang.Long", Value::Byte(_) | Value::Short(_) | Value::Int(_)) => 2,
        (
            "java.lang.Double" | "java.lang.Float",
            Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::Decimal(_) | Value::BigInt(_),
        ) => 6,
        ("java.lang.Double", Value::Float(_)) => 1,
        (
            "java.math.BigDecimal",
            Value::Byte(_)
            | Value::Short(_)
            | Value::Int(_)
            | Value::Long(_)
            | Value::BigInt(_)
            | Value::Double(_)
            | Value::Float(_),
        ) => 7,
        ("java.math.BigInteger", Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_)) => 5,
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
        let shape = if takes_rest(function) {
            self.world.charge(measuring(function, count));
            let args = &self.f.stack[base..];
            self.world.shape(function, args, &self.world.arguments(args)).map(|(_, shape)| shape)
        } else {
            None
        };
        if shape.is_none() && count >= params.len() {
            return u64::MAX;
        }
        let direct = || Shape { given: given_params(params, count).map(|(at, _)| at).collect(), into_array: false };
        let shape = shape.unwrap_or_else(direct);
        if let (true, Some(last)) = (shape.into_array, shape.given.last()) {
            let rest = self.f.stack.split_off(base + shape.given.len() - 1);
            let element = match &params[*last].ty {
                Type::Array(element) => super::convert::element_name(element),
                _ => "java.lang.Object".into(),
            };
            self.f.stack.push(Value::array(rest, &element));
        }
        if shape.given.len() == params.len() {
            return u64::MAX;
        }
        let args = self.f.stack.split_off(base);
        let mut given = 0u64;
        let mut slots = vec![Value::Null; params.len()];
        for (at, arg) in shape.given.into_iter().zip(args) {
            slots[at] = arg;
            given |= 1u64.checked_shl(at as u32).unwrap_or(0);
        }
        self.f.stack.extend(slots);
        given
    }
}
