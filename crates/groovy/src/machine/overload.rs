//! Which of several methods that all fit is nearest: Groovy's distances between classes of arguments and of parameters
//! (`MetaClassHelper`), so that the same one is chosen.

use std::rc::Rc;

use super::call::is_static;
use super::exec::{Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use super::shape::Shape;
use super::world::World;
use crate::compile::{Function, Site, Type};
use crate::value::{Class, Value, is_interface_name, is_number, known_parents};

/// The class of an argument, as far as it decides; `None`: null.
pub(super) type Argument = Option<Rc<Class>>;

/// Weights of Groovy's: an interface is nearest, then numbers, then superclasses; arguments that go into an array are farthest.
const NUMBER: i64 = 1 << 21;
const SUPERCLASS: i64 = 1 << 23;
const ARRAY: i64 = 1 << 44;

/// Interfaces above interfaces that are looked at.
const LEVELS_MAX: i64 = 32;

/// Numbers and what holds them, in the order of the table of distances.
const NUMBERS: [&str; 20] = [
    "boolean",
    "java.lang.Boolean",
    "byte",
    "java.lang.Byte",
    "short",
    "java.lang.Short",
    "char",
    "java.lang.Character",
    "int",
    "java.lang.Integer",
    "long",
    "java.lang.Long",
    "java.math.BigInteger",
    "float",
    "java.lang.Float",
    "double",
    "java.lang.Double",
    "java.math.BigDecimal",
    "java.lang.Number",
    "java.lang.Object",
];

/// Distances from a number (by its place in [`NUMBERS`]) to each of [`NUMBERS`]: what was cast to a primitive is nearest to that, and then to
/// what holds it.
fn number_row(from: usize) -> Option<[i64; 20]> {
    if NUMBERS[from].starts_with(char::is_lowercase) && !NUMBERS[from].contains('.') {
        let mut row = number_row(from + 1)?;
        row.swap(from, from + 1);
        return Some(row);
    }
    Some(match from {
        1 => [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 2],
        3 => [18, 19, 1, 0, 2, 3, 16, 17, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        5 => [18, 19, 14, 15, 1, 0, 16, 17, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        7 => [18, 19, 16, 17, 14, 15, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        9 => [18, 19, 14, 15, 12, 13, 16, 17, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        11 => [18, 19, 14, 15, 12, 13, 16, 17, 10, 11, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9],
        12 => [18, 19, 9, 10, 7, 8, 16, 17, 5, 6, 3, 4, 0, 14, 15, 12, 13, 11, 1, 2],
        14 => [18, 19, 14, 15, 12, 13, 16, 17, 10, 11, 8, 9, 7, 1, 0, 2, 3, 4, 5, 6],
        16 => [18, 19, 14, 15, 12, 13, 16, 17, 10, 11, 8, 9, 7, 5, 6, 1, 0, 2, 3, 4],
        17 => [18, 19, 14, 15, 12, 13, 16, 17, 10, 11, 8, 9, 7, 5, 6, 3, 4, 0, 1, 2],
        18 => [18, 19, 14, 15, 12, 13, 16, 17, 10, 11, 8, 9, 7, 5, 6, 3, 4, 2, 0, 1],
        _ => return None,
    })
}

impl World {
    /// The distance of the arguments from the parameters that they are for.
    pub(super) fn farness(&self, function: &Function, shape: &Shape, args: &[Argument]) -> i64 {
        let places = shape.places(&function.params, args.len());
        let sum: i64 = places.zip(args).map(|(ty, arg)| self.parameter(ty, arg)).sum();
        let penalty = match args.len() as i64 - shape.given.len() as i64 {
            _ if !shape.into_array => 0,
            0 => 2,
            more if more > 0 => 2 + more,
            _ => 1,
        };
        penalty.saturating_mul(ARRAY).saturating_add(sum)
    }

    fn parameter(&self, ty: &Type, arg: &Argument) -> i64 {
        let name = super::convert::element_name(ty);
        let Some(class) = arg else { return self.null_distance(&name) };
        if *class.name == *name {
            return 0;
        }
        let is_closure = class.is_a("groovy.lang.Closure");
        if self.is_interface(&name)
            && let Some(steps) = self.interface_distance(&class.name, &name)
        {
            return steps;
        }
        let place = |wanted: &str| NUMBERS.iter().position(|n| *n == wanted);
        if !is_closure
            && let (Some(from), Some(to)) = (place(&class.name), place(&name))
            && let Some(row) = number_row(from)
        {
            return row[to] * NUMBER;
        }
        let mut distance = NUMBERS.len() as i64 + 1;
        if class.name.starts_with('[') && !matches!(ty, Type::Array(_)) {
            distance += 4;
        }
        let mut next = Some(class.name.to_string());
        while let Some(at) = next {
            if at == name {
                break;
            }
            if at == "groovy.lang.GString" && name == "java.lang.String" {
                distance += 2;
                break;
            }
            distance += 3;
            next = if at == "java.lang.Object" { None } else { Some(self.superclass_name(&at)) };
        }
        distance * SUPERCLASS
    }

    /// Null goes to what is most general.
    fn null_distance(&self, name: &str) -> i64 {
        if self.is_interface(name) {
            return -1;
        }
        let (mut distance, mut next) = (0, name.to_string());
        while next != "java.lang.Object" {
            distance += 2;
            next = self.superclass_name(&next);
        }
        distance * SUPERCLASS
    }

    fn is_interface(&self, name: &str) -> bool {
        match self.class(name).and_then(|c| c.script.as_ref().map(|s| s.kind)) {
            Some(kind) => matches!(kind, crate::ast::ClassKind::Interface | crate::ast::ClassKind::Trait),
            None => is_interface_name(name),
        }
    }

    fn superclass_name(&self, name: &str) -> String {
        let object = || "java.lang.Object".to_string();
        match self.class(name).filter(|c| c.script.is_some()) {
            Some(class) => class.superclass.as_ref().map_or_else(object, |c| c.name.to_string()),
            None if name.contains("_closure") => "groovy.lang.Closure".to_string(),
            None => {
                known_parents(name).iter().find(|p| !is_interface_name(p)).map_or_else(object, |p| (*p).to_string())
            }
        }
    }

    /// The longest way from a class to an interface, counted in interfaces; superclasses do not count. `None`: it is not one.
    fn interface_distance(&self, name: &str, interface: &str) -> Option<i64> {
        if name == interface {
            return Some(0);
        }
        let mut longest = None;
        let mut next = Some(name.to_string());
        while let Some(class) = next {
            // Level by level, each interface once a level: there are fewer levels than classes.
            let mut level = self.interfaces_of(&class);
            for depth in 1..=LEVELS_MAX {
                if level.iter().any(|i| i == interface) {
                    longest = longest.max(Some(depth));
                }
                let mut below: Vec<String> = Vec::new();
                for parent in level.iter().flat_map(|i| self.interfaces_of(i)) {
                    if !below.contains(&parent) {
                        below.push(parent);
                    }
                }
                level = below;
                if level.is_empty() {
                    break;
                }
            }
            next = (class != "java.lang.Object").then(|| self.superclass_name(&class));
        }
        longest
    }

    fn interfaces_of(&self, name: &str) -> Vec<String> {
        match self.class(name).filter(|c| c.script.is_some()) {
            Some(class) => class.interfaces.iter().map(|c| c.name.to_string()).collect(),
            None => known_parents(name).iter().filter(|p| is_interface_name(p)).map(|p| (*p).to_string()).collect(),
        }
    }

    /// What decides for each of several values.
    pub(super) fn arguments(&self, values: &[Value]) -> Vec<Argument> {
        values.iter().map(|value| self.argument(value)).collect()
    }

    /// What decides for a value.
    pub(super) fn argument(&self, value: &Value) -> Argument {
        if value.is_null() { None } else { Some(self.class_of(value)) }
    }
}

impl Vm<'_> {
    /// A call whose casts choose among the overloads of a script object; `None`: there is nothing to choose.
    pub(super) fn call_cast(&mut self, at: usize, base: usize, site: &Site) -> Option<Step> {
        let receiver = self.f.stack[at].clone();
        if let (Value::List(_), "remove", [(0, Type::Any)]) = (&receiver, &*site.name, &site.casts[..]) {
            // An item, not a position.
            return Some(self.call_method(at, base, "removeElement", false, Landing::Push));
        }
        let (class, only_static) = match &receiver {
            Value::Object(o) => (o.class.clone(), false),
            Value::Class(c) if c.script.is_some() => (c.clone(), true),
            _ => return None,
        };
        if site.dynamic {
            return None;
        }
        if let Err(fault) = self.ready(&class) {
            return Some(Err(fault));
        }
        let methods: Vec<Rc<Function>> =
            class.methods(&site.name).into_iter().filter(|f| !only_static || is_static(f)).collect();
        if methods.len() < 2 {
            return None;
        }
        let func = match self.world.nearest(&methods, &self.f.stack[base..], &site.casts) {
            Ok(func) => func?,
            Err(fault) => return Some(Err(fault)),
        };
        let this = if is_static(&func) { Value::Class(class) } else { receiver };
        Some(self.call_function(func, this, None, at, base, Landing::Push))
    }

    /// The method that fits; where none does and the one argument is a list, its items are the arguments, which nothing converts.
    pub(super) fn select_or_spread(
        &mut self,
        methods: &[Rc<Function>],
        base: usize,
    ) -> Result<Option<Rc<Function>>, Fault> {
        let found = self.world.select(methods, &self.f.stack[base..])?;
        if found.is_some() {
            return Ok(found);
        }
        let [one] = &self.f.stack[base..] else { return Ok(None) };
        let Some(list) = one.as_list() else { return Ok(None) };
        let items = if list.is_array() { return Ok(None) } else { list.snapshot() };
        let Some(found) = self.world.select(methods, &items)? else { return Ok(None) };
        if self.world.shape(&found, &items, &self.world.arguments(&items)).is_some_and(|(_, shape)| {
            let mut places = shape.places(&found.params, items.len()).zip(&items);
            shape.into_array || places.any(|(ty, item)| is_converted(ty, item))
        }) {
            return Err(self.world.illegal("argument type mismatch"));
        }
        self.f.stack.truncate(base);
        self.f.stack.extend(items);
        Ok(Some(found))
    }
}

/// Whether Groovy makes another value of an argument before it calls a method with such a parameter.
fn is_converted(ty: &Type, item: &Value) -> bool {
    match (ty, item) {
        (Type::Primitive(_), item) => matches!(item, Value::Decimal(_) | Value::BigInt(_)),
        (Type::Class(name), Value::GString(_)) => &**name == "java.lang.String",
        (Type::Class(name), item) if is_number(item) => {
            super::convert::is_number_class(name) && item.type_name() != **name
        }
        _ => false,
    }
}
