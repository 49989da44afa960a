//! Methods and properties of closures.

use std::rc::Rc;

use super::{Answer, int, maps, yes};
use crate::compile::Type;
use crate::machine::Ctx;
use crate::value::{Closure, ClosureCode, Strategy, Value};

fn derived(code: ClosureCode, from: &Closure) -> Value {
    Value::Closure(Rc::new(Closure::new(code, Vec::new(), from.this.clone(), from.owner.clone())))
}

pub(crate) fn method(ctx: &mut Ctx<'_>, c: &Rc<Closure>, name: &str, args: &[Value]) -> Answer {
    let this = Value::Closure(c.clone());
    let curried = |args: &[Value], at: i32| {
        yes(derived(ClosureCode::Curried { inner: this.clone(), args: args.to_vec(), at }, c))
    };
    match (name, args) {
        ("curry", _) => curried(args, 0),
        ("rcurry", _) => curried(args, -1),
        ("ncurry", [n, rest @ ..]) => curried(rest, int(n).unwrap_or(0) as i32),
        ("getOwner", []) => yes(c.owner.clone()),
        ("getDelegate", []) => yes(c.delegate()),
        ("getThisObject", []) => yes(c.this.clone()),
        ("setDelegate" | "setResolveStrategy", [value]) => {
            let name = if name == "setDelegate" { "delegate" } else { "resolveStrategy" };
            set_property(c, name, value);
            yes(Value::Null)
        }
        ("getResolveStrategy", []) => yes(Value::Int(c.strategy.get() as i32)),
        ("getMaximumNumberOfParameters", []) => yes(Value::Int(maps::parameter_count(c) as i32)),
        ("getParameterTypes", []) => yes(parameter_types(ctx, c)),
        ("clone" | "dehydrate" | "asWritable", []) => {
            yes(Value::Closure(Rc::new(c.rehydrate(c.delegate(), c.owner.clone(), c.this.clone()))))
        }
        ("rehydrate", [delegate, owner, this]) => {
            yes(Value::Closure(Rc::new(c.rehydrate(delegate.clone(), owner.clone(), this.clone()))))
        }
        ("rightShift" | "leftShift", [other @ Value::Closure(_)]) => {
            let (first, then) =
                if name == "rightShift" { (this.clone(), other.clone()) } else { (other.clone(), this.clone()) };
            yes(derived(ClosureCode::Composed { first, then }, c))
        }
        _ => Ok(None),
    }
}

fn parameter_types(ctx: &Ctx<'_>, c: &Closure) -> Value {
    let types = match &c.code {
        ClosureCode::Function(f) => f.params.iter().map(|p| p.ty.clone()).collect(),
        _ => vec![Type::Any],
    };
    let class = |t: &Type| match t {
        Type::Class(name) => ctx.world.class(name).map_or(Value::Null, Value::Class),
        Type::Primitive(name) => Value::Class(ctx.world.java_class(name)),
        _ => Value::Class(ctx.world.java_class("java.lang.Object")),
    };
    Value::array(types.iter().map(class).collect(), "java.lang.Class")
}

/// `delegate` and `resolveStrategy`; answers whether it is one of them.
pub(crate) fn set_property(c: &Closure, name: &str, value: &Value) -> bool {
    match name {
        "delegate" => {
            let before = c.delegate.borrow_mut().replace(value.clone());
            drop(before);
        }
        "resolveStrategy" => {
            if let Some(strategy) = int(value).and_then(Strategy::from_number) {
                c.strategy.set(strategy);
            }
        }
        _ => return false,
    }
    true
}
