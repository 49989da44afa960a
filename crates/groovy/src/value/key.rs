//! Values as keys of maps and items of sets.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::{Value, equality};

/// A value as a key: equal as Java's `equals` says, not as Groovy's `==`.
#[derive(Clone, Debug)]
pub struct Key(pub Value);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        // Keys that hash alike are compared; how many there are is the script's choice.
        super::Meter::work(usize::from(self.0.is_container()) + equality::text_work(&self.0, &other.0));
        equality::same_key(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_value(&self.0, state, 3);
    }
}

/// Coarse below the third level: equal keys hash equal, and no nesting can make it recurse.
fn hash_value<H: Hasher>(value: &Value, state: &mut H, levels: u32) {
    match value {
        Value::Null => 0u8.hash(state),
        Value::Bool(b) => b.hash(state),
        Value::Char(c) => c.hash(state),
        Value::Byte(n) => n.hash(state),
        Value::Short(n) => n.hash(state),
        Value::Int(n) => n.hash(state),
        Value::Long(n) => n.hash(state),
        Value::Float(n) => n.to_bits().hash(state),
        Value::Double(n) => n.to_bits().hash(state),
        Value::BigInt(n) => n.hash(state),
        Value::Decimal(n) => n.unscaled().hash(state),
        Value::Str(s) => s.as_str().hash(state),
        // Two of them are equal when their texts are.
        Value::GString(_) => value.to_text().hash(state),
        Value::Class(c) => c.name.hash(state),
        Value::Host(h) => h.hash(state),
        Value::List(l) if levels > 0 => {
            l.len().hash(state);
            for item in l.items().iter().take(32) {
                hash_value(item, state, levels - 1);
            }
        }
        Value::Map(m) | Value::Set(m) => m.len().hash(state),
        Value::Entry(e) if levels > 0 => hash_value(&e.key, state, levels - 1),
        Value::Object(o) if let Some(held) = o.held() => hash_value(&held, state, levels),
        Value::Object(o) if let Some((class, values)) = o.compared() => {
            class.name.hash(state);
            if levels > 0 {
                values.iter().for_each(|v| hash_value(v, state, levels - 1));
            }
        }
        Value::Object(o) => match &*o.native.borrow() {
            super::Native::Java(java) if java.same(java).is_some() => java.hash_into(state),
            _ => std::ptr::hash(Rc::as_ptr(o), state),
        },
        Value::Closure(c) => std::ptr::hash(Rc::as_ptr(c), state),
        _ => 1u8.hash(state),
    }
}
