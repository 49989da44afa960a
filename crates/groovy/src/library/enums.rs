//! Enums: the methods of their constants, their static methods, and sets and maps of constants.

use std::rc::Rc;

use super::{Answer, compare, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Class, InitState, Map, MapKind, Object, Value};

/// The enum of a constant's class, which may be one below it.
fn enumeration(class: &Rc<Class>) -> Rc<Class> {
    let mut next = class;
    while let Some(above) = next.superclass.as_ref().filter(|above| above.enumeration().is_some()) {
        next = above;
    }
    next.clone()
}

/// The same as a value.
pub(super) fn declaring(class: &Rc<Class>) -> Value {
    Value::Class(enumeration(class))
}

/// The constants of a class that is an enum. The first use of an enum makes them.
pub(super) fn constants(class: &Rc<Class>) -> Result<Option<Vec<Value>>, Fault> {
    if class.enumeration().is_none() {
        return Ok(None);
    }
    let class = enumeration(class);
    if class.script.as_ref().is_some_and(|s| s.state.get() == InitState::Pending) {
        return Err(Fault::Init(class));
    }
    Ok(class.constants().and_then(|all| all.items()))
}

/// The constant of a name.
pub(super) fn named(ctx: &mut Ctx<'_>, class: &Rc<Class>, key: &Value) -> Result<Value, Fault> {
    if key.is_null() {
        return Err(ctx.world.null_pointer("Name is null"));
    }
    let key = ctx.text(key)?;
    constants(class)?;
    class.constant(&key).ok_or_else(|| ctx.world.no_constant(class, &key))
}

/// What an enum has as a class.
pub(super) fn of_class(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("values" | "getEnumConstants", []) => match constants(class)? {
            Some(items) => yes(Value::array(items, &enumeration(class).name)),
            None if name == "getEnumConstants" => yes(Value::Null),
            None => Ok(None),
        },
        ("valueOf", [key]) if class.enumeration().is_some() => named(ctx, class, key).map(Some),
        // `Enum.valueOf(Color, 'RED')`
        ("valueOf", [Value::Class(of), key]) if of.enumeration().is_some() => named(ctx, of, key).map(Some),
        _ => Ok(None),
    }
}

/// Methods of a constant.
pub(super) fn of_constant(ctx: &mut Ctx<'_>, o: &Rc<Object>, name: &str, args: &[Value]) -> Answer {
    let ordinal = |o: &Object| o.field("$ordinal").and_then(|n| n.as_i64()).unwrap_or(0);
    match (name, args) {
        ("name" | "toString", []) => Ok(o.field("$name")),
        ("ordinal", []) => Ok(o.field("$ordinal")),
        ("compareTo", [Value::Object(other)]) if other.class.enumeration() == o.class.enumeration() => {
            yes(Value::Int(ordinal(o).wrapping_sub(ordinal(other)) as i32))
        }
        ("compareTo", [other]) if !other.is_null() => {
            let message = compare::class_cast(&other.type_name(), "java.lang.Enum");
            Err(ctx.fail("java.lang.ClassCastException", message))
        }
        // In its own methods: `values()[ordinal() + 1]`.
        ("values", []) | ("valueOf", [_]) => of_class(ctx, &enumeration(&o.class), name, args),
        ("getDeclaringClass", []) => yes(declaring(&o.class)),
        ("next" | "previous", []) => {
            let values = constants(&o.class)?.unwrap_or_default();
            let step = if name == "next" { 1 } else { -1 };
            let n = ordinal(o).wrapping_add(step).rem_euclid(values.len().max(1) as i64);
            yes(values.get(n as usize).cloned().unwrap_or_default())
        }
        _ => Ok(None),
    }
}

/// The enum that a set was made for.
fn of_set(set: &Value) -> Option<Rc<Class>> {
    match set {
        Value::Set(set) => match set.default() {
            Some(Value::Class(class)) => Some(class.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Static methods of `EnumSet`: its sets are in the order of the constants.
pub(super) fn sets(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let all = |constant: &Value| match constant {
        Value::Object(o) => constants(&o.class).map(Option::unwrap_or_default),
        _ => Ok(Vec::new()),
    };
    let items = match (name, args) {
        ("allOf", [Value::Class(class)]) => constants(class)?.unwrap_or_default(),
        ("noneOf", [Value::Class(_)]) => Vec::new(),
        ("of", [Value::Object(_), ..]) => args.to_vec(),
        ("copyOf", [Value::Set(given)]) if given.default().is_some() => given.keys(),
        ("copyOf", [given]) => {
            let items = super::sequence(ctx, given)?.unwrap_or_default();
            if items.is_empty() {
                return Err(ctx.world.illegal("Collection is empty"));
            }
            items
        }
        ("range", [Value::Object(from), Value::Object(to)]) => {
            let place = |o: &Object| o.field("$ordinal").and_then(|n| n.as_i64()).unwrap_or(0);
            let (from, to) = (place(from), place(to));
            if from > to {
                return Err(ctx.world.illegal(format!("{} > {}", args[0].to_text(), args[1].to_text())));
            }
            let count = usize::try_from(to.saturating_sub(from)).unwrap_or(0).saturating_add(1);
            all(&args[0])?.into_iter().skip(usize::try_from(from).unwrap_or(0)).take(count).collect()
        }
        ("complementOf", [given]) => {
            let left = super::sequence(ctx, given)?.unwrap_or_default();
            let whole = match of_set(given) {
                Some(class) => constants(&class)?.unwrap_or_default(),
                None => left.first().map_or(Ok(Vec::new()), all)?,
            };
            ctx.pay(whole.len() * left.len() / 8)?;
            whole.into_iter().filter(|c| !left.iter().any(|l| l.same(c))).collect()
        }
        _ => return Ok(None),
    };
    let class = match (args, items.first()) {
        ([Value::Class(class)], _) => Some(class.clone()),
        (_, Some(Value::Object(first))) => Some(enumeration(&first.class)),
        ([given, ..], _) => of_set(given),
        _ => None,
    };
    let set = Map::new(MapKind::Tree);
    let set = class.map_or_else(|| Map::new(MapKind::Tree), |class| set.with_default(Value::Class(class)));
    for item in items {
        let item = super::sets::key(ctx, &set, &item)?;
        set.add(item);
    }
    yes(Value::Set(Rc::new(set)))
}
