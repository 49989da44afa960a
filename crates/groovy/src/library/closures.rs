//! Methods and properties of closures.

use std::rc::Rc;

use super::{Answer, int, maps, yes};
use crate::compile::Type;
use crate::machine::{Ctx, Fault};
use crate::value::{Closure, ClosureCode, Strategy, Value};

/// What is made of closures. What is set on it counts for them when it calls them: a curried one begins with what its closure has.
fn derived(code: ClosureCode, from: &Closure) -> Value {
    let made = Closure::new(code, Vec::new(), from.this.clone(), from.owner.clone());
    if let ClosureCode::Curried { .. } = made.code {
        made.delegate.borrow_mut().clone_from(&from.delegate.borrow());
        made.strategy.set(from.strategy.get());
    }
    Value::Closure(Rc::new(made))
}

/// Refuses arguments that a closure has no places for.
///
/// Source: `CurriedClosure`.
fn check_places(ctx: &mut Ctx<'_>, c: &Closure, at: i32, given: usize) -> Result<(), Fault> {
    if given == 0 {
        return Ok(());
    }
    let (mut of, mut steps) = (c, 0);
    while let ClosureCode::Curried { inner: Value::Closure(inner), .. } = &of.code {
        (of, steps) = (inner, steps + 1);
    }
    ctx.pay(steps)?;
    // Those of methods are not counted, and Jenkins' closures take what they are given.
    let ClosureCode::Function(func) = &of.code else { return Ok(()) };
    if func.varargs || func.stepwise {
        return Ok(());
    }
    let (all, given, at) = (maps::parameter_count(c) as i64, given as i64, i64::from(at));
    if given > all {
        return Err(ctx.world.illegal(format!("Can't curry {given} arguments for a closure with {all} parameters.")));
    }
    let (first, last) = if at < 0 { (-all, -given) } else { (0, all - given) };
    if at < first || at > last {
        let range = format!("{first}..{last}");
        let message = format!("To curry {given} argument(s) expect index range {range} but found {at}");
        return Err(ctx.world.illegal(message));
    }
    Ok(())
}

pub(crate) fn method(ctx: &mut Ctx<'_>, c: &Rc<Closure>, name: &str, args: &[Value]) -> Answer {
    let this = Value::Closure(c.clone());
    let curried = |ctx: &mut Ctx<'_>, args: &[Value], at: &dyn Fn(usize) -> i32| {
        // An array of objects is all of them.
        let spread = match args {
            [Value::List(list)] if list.element_name().is_some_and(|of| !crate::value::is_primitive(of)) => {
                list.snapshot()
            }
            _ => args.to_vec(),
        };
        let (args, at) = (&spread[..], at(spread.len()));
        check_places(ctx, c, at, args.len())?;
        yes(derived(ClosureCode::Curried { inner: this.clone(), args: args.to_vec(), at }, c))
    };
    match (name, args) {
        ("curry", _) => curried(ctx, args, &|_| 0),
        ("rcurry", _) => curried(ctx, args, &|count| -i32::try_from(count).unwrap_or(i32::MAX)),
        ("ncurry", [n, rest @ ..]) => curried(ctx, rest, &|_| int(n).unwrap_or(0) as i32),
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
        ("getParameterTypes", []) => parameter_types(ctx, c),
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

fn parameter_types(ctx: &mut Ctx<'_>, c: &Closure) -> Answer {
    // What is given already is no parameter any more. They may be nested deeply.
    let (mut inner, mut given) = (c, Vec::new());
    while let ClosureCode::Curried { inner: Value::Closure(within), args, at } = &inner.code {
        given.push((args.len(), *at));
        inner = within;
    }
    ctx.pay(given.len())?;
    let class = |t: &Type| match t {
        Type::Class(name) => ctx.world.class(name).map_or(Value::Null, Value::Class),
        Type::Primitive(name) => Value::Class(ctx.world.java_class(name)),
        Type::Array(element) => {
            Value::Class(ctx.world.java_class(&crate::value::array_name(&crate::machine::element_name(element))))
        }
        Type::Any => Value::Class(ctx.world.java_class("java.lang.Object")),
    };
    let mut types: Vec<Value> = match &inner.code {
        ClosureCode::Function(f) => f.params.iter().map(|p| class(&p.ty)).collect(),
        _ => vec![class(&Type::Any)],
    };
    for (count, at) in given.into_iter().rev() {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(types.len().saturating_sub(count));
        types.drain(from..(from + count).min(types.len()));
    }
    yes(Value::array(types, "java.lang.Class"))
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
