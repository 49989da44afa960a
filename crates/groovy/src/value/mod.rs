//! What a script computes with. A [`Value`] is 16 bytes and cheap to clone; everything larger is shared.

mod braces;
mod class;
mod class_names;
mod closure;
mod codes;
pub mod decimal;
mod entry;
mod equality;
pub(crate) mod hash;
pub(crate) mod java;
pub mod json;
mod key;
mod list;
mod map;
mod meter;
mod object;
mod pattern;
mod range;
mod release;
pub(crate) mod render;
mod sorted;
pub(crate) mod text;
mod view;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use num_bigint::BigInt;

use crate::machine::ScriptId;

pub use class::{Class, FieldInfo, InitState, ScriptClass, Seen};
pub(crate) use class_names::{
    array_name, default_import, element_of_array, is_interface as is_interface_name, is_known as is_known_class,
    is_primitive, is_subtype, known_parents,
};
pub use class_names::{full_name, is_class};
pub use closure::{Closure, ClosureCode, Strategy, Variable};
pub use decimal::Decimal;
pub use entry::Entry;
pub(crate) use equality::{
    Compared, Script, compare_plain, equal_by, equal_plain, is_number, numeric_order, same_key_by, text_work,
    to_decimal, to_f64,
};
pub use java::{Java, NumberPattern, Zone};
pub use key::Key;
pub use list::{List, ListKind};
pub use map::{Map, MapKind};
pub use meter::{Charge, Meter};
pub(crate) use object::{EQUAL_BY_FIELDS, OUTER, SHOWS_FIELDS};
pub use object::{Native, Object, Throwable, TraceLine};
pub use pattern::{Groups, Matcher, Pattern, PatternError};
pub use range::{Range, RangeKind};
pub use sorted::Order;
pub use text::Str;

/// An object that the host owns; the machine only carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostRef {
    /// What it is, for the host and for messages.
    pub kind: &'static str,
    /// Which one.
    pub id: u64,
    /// What its `toString()` says, where that is a name of its own.
    pub text: Option<&'static str>,
}

/// A string with values in it, kept apart until it is rendered.
#[derive(Debug)]
pub struct GString {
    /// One more than there are values.
    pub texts: Vec<Str>,
    /// What stands between the texts. A closure is called when the string is rendered.
    pub values: Vec<Value>,
    _charge: Charge,
}

impl GString {
    /// One of these parts.
    pub fn new(texts: Vec<Str>, values: Vec<Value>) -> Self {
        let charge = Charge::new(96 + texts.len() * size_of::<Str>() + values.len() * size_of::<Value>());
        GString { texts, values, _charge: charge }
    }
}

impl Drop for GString {
    fn drop(&mut self) {
        release::release(self.values.drain(..));
    }
}

/// What a [`Buffer`] says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the class that ends so")]
pub enum BufferKind {
    Builder,
    Buffer,
    Writer,
}

impl BufferKind {
    /// Of a class by its full name.
    pub fn of(class: &str) -> BufferKind {
        match class {
            "java.lang.StringBuffer" => BufferKind::Buffer,
            "java.io.StringWriter" => BufferKind::Writer,
            _ => BufferKind::Builder,
        }
    }

    /// Full name of its class.
    pub fn class_name(self) -> &'static str {
        match self {
            BufferKind::Builder => "java.lang.StringBuilder",
            BufferKind::Buffer => "java.lang.StringBuffer",
            BufferKind::Writer => "java.io.StringWriter",
        }
    }

    /// Whether it can be used as that class; one that writes stands for the writers around it, too.
    pub(crate) fn is(self, class: &str) -> bool {
        let writes = matches!(class, "java.io.PrintWriter" | "java.io.BufferedWriter");
        is_subtype(self.class_name(), class) || writes && self == BufferKind::Writer
    }
}

/// `StringBuilder`, `StringBuffer`, `StringWriter`.
#[derive(Debug)]
pub struct Buffer {
    /// Which of them.
    pub kind: BufferKind,
    /// The text so far.
    pub text: RefCell<String>,
    charge: Charge,
}

impl Buffer {
    /// A buffer with this text.
    pub fn new(text: String, kind: BufferKind) -> Self {
        let charge = Charge::new(text.capacity() + 64);
        Buffer { kind, text: RefCell::new(text), charge }
    }

    /// Counts again what it holds, after a change.
    pub fn recount(&self) {
        self.charge.set(self.text.borrow().capacity() + 64);
    }
}

/// A Java iterator over values taken when it was made, or over a live list or range.
#[derive(Debug)]
pub struct Iter {
    /// What is iterated.
    pub source: Value,
    /// Next position.
    pub at: std::cell::Cell<usize>,
    /// Size of a live list when the iteration began; another size now is a concurrent modification.
    pub expected: std::cell::Cell<usize>,
}

impl Drop for Iter {
    fn drop(&mut self) {
        release::release(std::iter::once(std::mem::replace(&mut self.source, Value::Null)));
    }
}

/// A value of the language.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `Boolean`
    Bool(bool),
    /// `Character`: one UTF-16 unit.
    Char(u16),
    /// `Byte`
    Byte(i8),
    /// `Short`
    Short(i16),
    /// `Integer`
    Int(i32),
    /// `Long`
    Long(i64),
    /// `Float`
    Float(f32),
    /// `Double`
    Double(f64),
    /// `BigInteger`
    BigInt(Rc<BigInt>),
    /// `BigDecimal`
    Decimal(Rc<Decimal>),
    /// `String`
    Str(Str),
    /// `GString`
    GString(Rc<GString>),
    /// Lists and arrays.
    List(Rc<List>),
    /// Maps.
    Map(Rc<Map>),
    /// Sets: the keys of a map.
    Set(Rc<Map>),
    /// `a..b`
    Range(Rc<Range>),
    /// `Map.Entry`
    Entry(Rc<Entry>),
    /// Closures and method pointers.
    Closure(Rc<Closure>),
    /// `java.lang.Class`
    Class(Rc<Class>),
    /// An instance of a script class, an exception, a script itself.
    Object(Rc<Object>),
    /// `java.util.regex.Pattern`
    Pattern(Rc<Pattern>),
    /// `java.util.regex.Matcher`
    Matcher(Rc<Matcher>),
    /// `StringBuilder`
    Buffer(Rc<Buffer>),
    /// `Iterator`
    Iter(Rc<Iter>),
    /// An object of the host.
    Host(Rc<HostRef>),
}

impl Value {
    /// The script that an object stands for: where its variables are, and whose names it sees.
    pub(crate) fn script_id(&self) -> Option<ScriptId> {
        match self {
            Value::Object(object) => match &*object.native.borrow() {
                Native::Script(id) => Some(*id),
                _ => None,
            },
            _ => None,
        }
    }

    /// A string.
    pub fn str(text: impl Into<Box<str>>) -> Value {
        Value::Str(Str::new(text))
    }

    /// An `ArrayList`.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Rc::new(List::new(items, ListKind::Array)))
    }

    /// A Java array of this element type.
    pub fn array(items: Vec<Value>, element: &str) -> Value {
        Value::List(Rc::new(List::new(items, ListKind::JavaArray(element.into()))))
    }

    /// A `LinkedHashMap` of these pairs.
    pub fn map(pairs: impl IntoIterator<Item = (Value, Value)>) -> Value {
        Value::map_of(MapKind::Linked, pairs)
    }

    /// A map that nobody can change.
    pub fn fixed_map(pairs: impl IntoIterator<Item = (Value, Value)>) -> Value {
        Value::map_of(MapKind::Fixed, pairs)
    }

    fn map_of(kind: MapKind, pairs: impl IntoIterator<Item = (Value, Value)>) -> Value {
        let map = Map::new(kind);
        for (key, value) in pairs {
            map.put(key, value);
        }
        Value::Map(Rc::new(map))
    }

    /// A `LinkedHashSet` of these items.
    pub fn set(items: impl IntoIterator<Item = Value>) -> Value {
        let map = Map::new(MapKind::Linked);
        for item in items {
            map.add(item);
        }
        Value::Set(Rc::new(map))
    }

    /// A decimal number.
    pub fn decimal(number: Decimal) -> Value {
        Value::Decimal(Rc::new(number))
    }

    /// A big integer.
    pub fn big(number: BigInt) -> Value {
        Value::BigInt(Rc::new(number))
    }

    /// A reference to an object of the host.
    pub fn host(kind: &'static str, id: u64) -> Value {
        Value::Host(Rc::new(HostRef { kind, id, text: None }))
    }

    /// One of the constants of the host's class `kind`: `text` is what it is called.
    pub fn constant(kind: &'static str, id: u64, text: &'static str) -> Value {
        Value::Host(Rc::new(HostRef { kind, id, text: Some(text) }))
    }

    /// A one-unit string or character from a UTF-16 unit.
    pub(crate) fn unit_text(unit: u16) -> String {
        String::from_utf16_lossy(&[unit])
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it can hold other values.
    pub(crate) fn is_container(&self) -> bool {
        use Value::{Closure, Entry, GString, Iter, List, Map, Object, Set};
        matches!(self, GString(_) | List(_) | Map(_) | Set(_) | Entry(_) | Closure(_) | Object(_) | Iter(_))
    }

    /// The text of a `String` (not of a `GString`).
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// Whether it is a `String` or `GString`.
    pub fn is_text(&self) -> bool {
        matches!(self, Value::Str(_) | Value::GString(_))
    }

    /// The number, for the integral types.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Byte(n) => Some(i64::from(*n)),
            Value::Short(n) => Some(i64::from(*n)),
            Value::Int(n) => Some(i64::from(*n)),
            Value::Long(n) => Some(*n),
            Value::Char(n) => Some(i64::from(*n)),
            Value::BigInt(n) => i64::try_from(&**n).ok(),
            Value::Decimal(n) => n.to_bigint().ok().and_then(|n| i64::try_from(n).ok()),
            Value::Float(n) => Some(*n as i64),
            Value::Double(n) => Some(*n as i64),
            _ => None,
        }
    }

    /// Items of a list, set or array.
    pub fn items(&self) -> Option<Vec<Value>> {
        match self {
            Value::List(l) => Some(l.snapshot()),
            Value::Set(s) => Some(s.keys()),
            Value::Range(r) => Some(r.iter().collect()),
            Value::Object(o) => o.as_list().map(|l| l.snapshot()),
            _ => None,
        }
    }

    /// The value of a text key, for maps.
    pub fn get(&self, key: &str) -> Option<Value> {
        match self {
            Value::Map(m) => m.get(&Value::str(key)),
            _ => None,
        }
    }

    /// Text of Groovy's `toString()`, where no method of the script is needed to know it. Objects with a `toString` of
    /// their own answer as `Class@id`.
    pub fn to_text(&self) -> String {
        render::plain(self)
    }

    /// Groovy truth, where no method of the script is needed to know it.
    pub fn truth(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(b) => *b,
            Value::Char(c) => *c != 0,
            Value::Byte(n) => *n != 0,
            Value::Short(n) => *n != 0,
            Value::Int(n) => *n != 0,
            Value::Long(n) => *n != 0,
            Value::Float(n) => *n != 0.0,
            Value::Double(n) => *n != 0.0,
            Value::BigInt(n) => **n != BigInt::ZERO,
            Value::Decimal(n) => n.signum() != 0,
            Value::Str(s) => !s.is_empty(),
            Value::GString(g) => {
                !g.texts.iter().all(|t| t.is_empty()) || g.values.iter().any(|v| !v.to_text().is_empty())
            }
            Value::List(l) => !l.is_empty(),
            Value::Map(m) | Value::Set(m) => !m.is_empty(),
            Value::Range(r) => r.size() != 0,
            Value::Matcher(m) => m.matches_anything(),
            Value::Buffer(b) => !b.text.borrow().is_empty(),
            Value::Object(o) => o.held().is_none_or(|held| held.truth()),
            Value::Iter(i) => i.at.get() < i.expected.get(),
            Value::Entry(_) | Value::Closure(_) | Value::Class(_) | Value::Pattern(_) | Value::Host(_) => true,
        }
    }

    /// Groovy's `==`, where no method of the script is needed to know it.
    pub fn equals(&self, other: &Value) -> bool {
        equal_plain(self, other)
    }

    /// Whether both are the same object (`is`).
    pub fn same(&self, other: &Value) -> bool {
        equality::identical(self, other)
    }

    /// Full Java name of its class.
    pub fn type_name(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Bool(_) => "java.lang.Boolean".into(),
            Value::Char(_) => "java.lang.Character".into(),
            Value::Byte(_) => "java.lang.Byte".into(),
            Value::Short(_) => "java.lang.Short".into(),
            Value::Int(_) => "java.lang.Integer".into(),
            Value::Long(_) => "java.lang.Long".into(),
            Value::Float(_) => "java.lang.Float".into(),
            Value::Double(_) => "java.lang.Double".into(),
            Value::BigInt(_) => "java.math.BigInteger".into(),
            Value::Decimal(_) => "java.math.BigDecimal".into(),
            Value::Str(_) => "java.lang.String".into(),
            Value::GString(_) => "org.codehaus.groovy.runtime.GStringImpl".into(),
            Value::List(l) => l.class_name(),
            Value::Map(m) => m.class_name(false).into(),
            Value::Set(m) => m.class_name(true).into(),
            Value::Range(r) => r.class_name().into(),
            Value::Entry(_) => "java.util.LinkedHashMap$Entry".into(),
            Value::Closure(c) => c.class_name(),
            Value::Class(_) => "java.lang.Class".into(),
            Value::Object(o) => o.class.name.to_string(),
            Value::Pattern(_) => "java.util.regex.Pattern".into(),
            Value::Matcher(_) => "java.util.regex.Matcher".into(),
            Value::Buffer(b) => b.kind.class_name().into(),
            Value::Iter(_) => "java.util.Iterator".into(),
            Value::Host(h) => h.kind.into(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::str(text)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Value {
        Value::Int(n)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Long(n)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_two_words() {
        assert!(size_of::<Value>() <= 16);
    }

    #[test]
    fn a_deep_list_is_freed_without_recursion() {
        let mut value = Value::Null;
        for _ in 0..2_000_000 {
            value = Value::list(vec![value]);
        }
        drop(value);
    }
}
