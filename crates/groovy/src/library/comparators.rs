//! Comparators: objects of a class that is written in Groovy (`shims/comparator.groovy`), made where Java has static methods for them.

use std::rc::Rc;

use super::{Answer, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Native, Object, Order, Value};

/// The class of all of them.
const CLASS: &str = "java.util.Comparators$Made";

/// A comparator of a kind that the class knows, of what others it is made.
pub(super) fn made(ctx: &Ctx<'_>, kind: &str, by: &Value, then: &Value) -> Value {
    let class = ctx.world.class(CLASS).unwrap_or_else(|| ctx.world.java_class("java.util.Comparator"));
    let object = Object::new(class, Native::None);
    for (name, value) in [("kind", &Value::str(kind)), ("by", by), ("then", then)] {
        let Some(slot) = object.slot(name) else { continue };
        if let Some(field) = object.fields.borrow_mut().get_mut(slot) {
            *field = value.clone();
        }
    }
    Value::Object(Rc::new(object))
}

/// `Collections.reverseOrder()`, and of a comparator.
pub(super) fn reverse(ctx: &Ctx<'_>, by: Option<&Value>) -> Result<Value, Fault> {
    Ok(match by {
        None | Some(Value::Null) => made(ctx, "reverse", &Value::Null, &Value::Null),
        Some(by) => made(ctx, "reversed", by, &Value::Null),
    })
}

/// Static methods of `Comparator` and `Map.Entry`.
pub(super) fn statics(ctx: &mut Ctx<'_>, name: &str, args: &[Value]) -> Answer {
    let natural = |ctx: &Ctx<'_>| made(ctx, "natural", &Value::Null, &Value::Null);
    match (name, args) {
        ("naturalOrder", []) => yes(natural(ctx)),
        ("reverseOrder", []) => reverse(ctx, None).map(Some),
        ("comparing" | "comparingInt" | "comparingLong" | "comparingDouble", [by]) => {
            let then = natural(ctx);
            yes(made(ctx, "of", by, &then))
        }
        ("comparing", [by, then]) => yes(made(ctx, "of", by, then)),
        ("nullsFirst" | "nullsLast", [by]) => yes(made(ctx, name, by, &Value::Null)),
        ("$then", [by, then]) => yes(made(ctx, "then", by, then)),
        ("comparingByKey" | "comparingByValue", rest) if rest.len() <= 1 => {
            let then = rest.first().cloned().unwrap_or_else(|| natural(ctx));
            yes(made(ctx, name, &Value::Null, &then))
        }
        _ => Ok(None),
    }
}

/// What a map that is sorted by a comparator does; `None`: only the script knows.
pub(super) fn order_of(by: &Value) -> Option<Order> {
    match by {
        Value::Object(o) if &*o.class.name == CLASS => match &*o.field("kind")?.to_text() {
            "natural" => Some(Order::Natural),
            "reverse" => Some(Order::Reverse),
            "case" => Some(Order::CaseInsensitive),
            _ => None,
        },
        Value::Object(o) if o.class.is_a("java.util.Comparator") => None,
        Value::Closure(_) => None,
        _ => Some(Order::Natural),
    }
}
