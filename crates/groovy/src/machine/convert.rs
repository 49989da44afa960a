//! Types at work: `as`, casts, assignments to typed variables, `instanceof`.

use std::rc::Rc;

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::Fault;
use crate::ast::ClassKind;
use crate::compile::{Op, Type};
use crate::library;
use crate::value::{List, ListKind, Map, MapKind, Native, Value, is_subtype};

/// Java's name of a type.
pub(crate) fn element_name(ty: &Type) -> String {
    match ty {
        Type::Any => "java.lang.Object".into(),
        Type::Primitive(p) => (*p).into(),
        Type::Class(name) => name.to_string(),
        Type::Array(inner) => format!("{}[]", element_name(inner)),
    }
}

/// The type that has such a name.
pub(super) fn element_type(name: &str) -> Type {
    match name.strip_suffix("[]") {
        Some(inner) => Type::Array(Box::new(element_type(inner))),
        None if name == "java.lang.Object" => Type::Any,
        None => crate::compile::primitive(name).map_or_else(|| Type::Class(name.into()), Type::Primitive),
    }
}

/// What a new array of the type is filled with.
pub(super) fn default_value(ty: &Type) -> Value {
    match ty {
        Type::Primitive("boolean") => Value::Bool(false),
        Type::Primitive("byte") => Value::Byte(0),
        Type::Primitive("short") => Value::Short(0),
        Type::Primitive("long") => Value::Long(0),
        Type::Primitive("float") => Value::Float(0.0),
        Type::Primitive("double") => Value::Double(0.0),
        Type::Primitive("char") => Value::Char(0),
        Type::Primitive(_) => Value::Int(0),
        _ => Value::Null,
    }
}

/// `a.b.Outer$Inner` of `a.b.Outer.Inner`.
fn nested(name: &str) -> Option<String> {
    let (outer, inner) = name.rsplit_once('.')?;
    let is_class = outer.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_uppercase()));
    is_class.then(|| format!("{outer}${inner}"))
}

/// Interfaces of Java, and the one method that each has: a map with that becomes what its closure becomes.
const ONLY_METHODS: &[(&str, &str)] =
    &[("java.util.Comparator", "compare"), ("java.lang.Runnable", "run"), ("java.util.concurrent.Callable", "call")];

impl Vm<'_> {
    pub(super) fn instance_of(&self, value: &Value, ty: &Type) -> bool {
        match ty {
            Type::Any => !value.is_null(),
            Type::Primitive(_) => false,
            Type::Class(name) => self.is_instance(value, name),
            Type::Array(element) => is_array_of(value, element),
        }
    }

    pub(super) fn is_instance(&self, value: &Value, name: &str) -> bool {
        match value {
            Value::Null => false,
            Value::Object(o) => o.class.is_a(name) || nested(name).is_some_and(|name| o.class.is_a(&name)),
            Value::Closure(_) if name == "groovy.lang.Closure" => true,
            // What the host calls its objects is their class, with or without the package.
            Value::Host(h) => h.kind == name || name.ends_with(&format!(".{}", h.kind)) || name == "java.lang.Object",
            other => is_subtype(&other.type_name(), name),
        }
    }

    /// `value as T`
    pub(super) fn convert_as(&mut self, ty: &Type) -> Step {
        let value = self.top(1).clone();
        if let Value::Object(o) = &value
            && o.class.has_method("asType")
        {
            let class = self.world.class(&element_name(&boxed(ty))).map_or(Value::Null, Value::Class);
            let answer = self.ctx().ask(&value, "asType", &[class])?;
            self.replace(1, answer);
            return Ok(Flow::Next);
        }
        if let (Value::Map(_) | Value::Closure(_), Type::Class(name)) = (&value, ty)
            && let Some(class) = self.world.class(name)
            && class.script.as_ref().is_some_and(|s| s.is_abstract)
        {
            if class.script.as_ref().is_some_and(|s| s.kind == ClassKind::Class) {
                return self.stand_in(&value, class);
            }
            let proxy = self.proxy(&value, &class);
            self.replace(1, proxy);
            return Ok(Flow::Next);
        }
        if let (Value::Map(_) | Value::Closure(_), Type::Class(name)) = (&value, ty)
            && let Some(class) = self.made_of_code(&value, name)
        {
            self.replace(1, Value::Null);
            self.f.stack.push(value);
            let at = self.f.stack.len() - 2;
            let named = class.script.as_ref().is_some_and(|s| s.kind == ClassKind::Enum);
            return self.construct(class, (at, at + 1), named, &[], Landing::Push);
        }
        if let (Value::Map(_), Type::Class(name)) = (&value, ty)
            && let Some(class) = self.world.class(name).filter(|c| c.script.is_some())
            && let Some(func) = self.world.prelude_function(&Value::Null, "$like", 1)
        {
            // Its entries are properties, or else methods.
            self.replace(1, Value::Class(class));
            self.f.stack.push(value);
            let at = self.f.stack.len() - 2;
            return self.call_function(func, Value::Null, None, at, at, Landing::Push);
        }
        let only = match (&value, ty) {
            (Value::Map(map), Type::Class(name)) => ONLY_METHODS
                .iter()
                .find(|(interface, _)| **interface == **name)
                .and_then(|(_, method)| map.get(&Value::str(*method)))
                .filter(|of| matches!(of, Value::Closure(_))),
            _ => None,
        };
        let converted = self.convert(only.as_ref().unwrap_or(&value), ty, true, &mut 0)?;
        self.replace(1, converted);
        Ok(Flow::Next)
    }

    /// The class of ours whose objects do what a map or closure says, where it is to be an iterator or what has one; or the enum that has to
    /// refuse a map.
    fn made_of_code(&self, value: &Value, name: &str) -> Option<Rc<crate::value::Class>> {
        match name {
            "java.lang.Iterable" | "java.util.Iterator" => self.world.class(&format!("{name}$Made")),
            _ => self.world.class(name).filter(|c| {
                matches!(value, Value::Map(_)) && c.script.as_ref().is_some_and(|s| s.kind == ClassKind::Enum)
            }),
        }
    }

    /// `value.asType(class)` of a map or a closure, which is `value as Class`: a function of its own, for that may run code.
    pub(super) fn as_type(&mut self, class: &crate::value::Class, at: usize, landing: Landing) -> Step {
        let mut func = super::prelude::bare_function("asType", vec![Op::Load(0), Op::As(0), Op::Return]);
        func.types.push(element_type(&class.name));
        func.locals = 1;
        self.f.stack.truncate(at + 1);
        self.push_frame(Rc::new(func), Value::Null, None, at, at, u64::MAX, landing)?;
        Ok(Flow::Switch)
    }

    /// An object whose methods are the closures of a map, or one closure for all.
    fn proxy(&mut self, value: &Value, class: &crate::value::Class) -> Value {
        let native = code_of(value, class);
        // The class itself is abstract: its methods must not hide the closures.
        let mut face = crate::value::Class::named(&format!("{}$proxy", class.name), None);
        face.interfaces.push(self.world.java_class("java.lang.Object"));
        face.superclass = Some(Rc::new(crate::value::Class::named(&class.name, None)));
        Value::Object(Rc::new(crate::value::Object::new(Rc::new(face), native)))
    }

    /// `(T) value`, and values on their way into typed variables, parameters and results.
    pub(super) fn cast(&mut self, value: &Value, ty: &Type) -> Result<Value, Fault> {
        self.cast_item(value, ty, &mut 0)
    }

    /// The same of an item among others: `made` counts the objects that are made of lists and maps, for each of them is one of its own.
    fn cast_item(&mut self, value: &Value, ty: &Type, made: &mut i32) -> Result<Value, Fault> {
        match (ty, value) {
            (Type::Any, _) => Ok(value.clone()),
            (Type::Primitive("int"), Value::Int(_)) | (Type::Primitive("boolean"), Value::Bool(_)) => Ok(value.clone()),
            (Type::Primitive(p), Value::Null) if *p != "boolean" => {
                let message = format!(
                    "Cannot cast object 'null' with class 'null' to class '{p}'. Try '{}' instead",
                    element_name(&boxed(ty))
                );
                Err(self.world.fail("org.codehaus.groovy.runtime.typehandling.GroovyCastException", message))
            }
            (_, Value::Null) if *ty != Type::Primitive("boolean") => Ok(Value::Null),
            (Type::Class(name), _) if &**name == "java.lang.String" && matches!(value, Value::Str(_)) => {
                Ok(value.clone())
            }
            (Type::Class(name), _) if self.is_instance(value, name) && &**name != "java.lang.String" => {
                Ok(value.clone())
            }
            _ => self.convert(value, ty, false, made),
        }
    }

    /// `value as T`, whatever the script itself makes of that.
    pub(super) fn converted(&mut self, value: &Value, ty: &Type) -> Result<Value, Fault> {
        self.convert(value, ty, true, &mut 0)
    }

    fn convert(&mut self, value: &Value, ty: &Type, explicit: bool, made: &mut i32) -> Result<Value, Fault> {
        match ty {
            Type::Any => Ok(value.clone()),
            Type::Array(element) => self.convert_array(value, element, explicit, made),
            Type::Primitive(_) | Type::Class(_) => {
                let name = element_name(ty);
                if value.is_null() && !matches!(ty, Type::Primitive(_)) {
                    return Ok(Value::Null);
                }
                if name == "java.lang.Object" || matches!(ty, Type::Class(n) if self.is_instance(value, n)) {
                    return Ok(value.clone());
                }
                if let Value::Object(o) = value
                    && let Some(list) = o.as_list()
                {
                    return self.convert(&Value::List(list), ty, explicit, made);
                }
                if let Value::Object(o) = value
                    && explicit
                    && o.class.is_iterated()
                    && is_subtype(&name, "java.util.Collection")
                {
                    let items = self.ctx().ask(value, "$items", &[])?;
                    return self.convert(&items, ty, explicit, made);
                }
                if let Some(converted) = library::convert::to_type(&mut self.ctx(), value, &name, explicit)? {
                    return Ok(converted);
                }
                if let Some(object) = self.made_of_arguments(value, &name, explicit)? {
                    return Ok(object);
                }
                self.convert_to_script_type(value, &name, made)
            }
        }
    }

    /// A list as the arguments of a constructor of a class that is not written in Groovy, and a text as a file's.
    fn made_of_arguments(&mut self, value: &Value, name: &str, explicit: bool) -> Result<Option<Value>, Fault> {
        let args = match value {
            Value::List(list) if !list.is_array() && !is_number_class(name) => list.snapshot(),
            text if explicit && text.is_text() && name == "java.io.File" => vec![text.clone()],
            _ => return Ok(None),
        };
        match self.world.class(name) {
            Some(class) if class.script.is_none() => library::construct::java(&mut self.ctx(), &class, &args),
            _ => Ok(None),
        }
    }

    /// Enums by name; closures for interfaces; what the host calls by another name.
    fn convert_to_script_type(&mut self, value: &Value, name: &str, made: &mut i32) -> Result<Value, Fault> {
        let class = self.world.class(name);
        if let (Some(class), true) = (&class, value.is_text())
            && class.script.as_ref().is_some_and(|s| s.kind == ClassKind::Enum)
        {
            self.ready(class)?;
            let text = self.ctx().text(value)?;
            return class.constant(&text).ok_or_else(|| self.world.no_constant(class, &text));
        }
        if let Some(class) = class.as_ref().filter(|class| class.script.is_some())
            && let Some(object) = self.made_of(value, class, made)?
        {
            return Ok(object);
        }
        // The host's objects pass for any class that only the host knows; a closure for any interface.
        match (value, &class) {
            (Value::Host(_) | Value::Closure(_), None) => return Ok(value.clone()),
            (Value::Closure(_), Some(c)) if c.script.is_none() && crate::value::is_interface_name(&c.name) => {
                return Ok(value.clone());
            }
            (_, None) if !name.contains('.') => {
                return Err(self.world.fail(
                    "org.codehaus.groovy.control.MultipleCompilationErrorsException",
                    format!("unable to resolve class {name}"),
                ));
            }
            _ => {}
        }
        Err(self.ctx().cast_fault(value, name))
    }

    /// A list as the arguments of a constructor, a map as properties, a closure as the one method of an interface. `None`: it is none of
    /// that.
    ///
    /// Source: `DefaultTypeTransformation.castToType`.
    fn made_of(
        &mut self,
        value: &Value,
        class: &Rc<crate::value::Class>,
        made: &mut i32,
    ) -> Result<Option<Value>, Fault> {
        let Some(script) = &class.script else { return Ok(None) };
        let is_code = matches!(value, Value::Closure(_)) && self.world.has_one_method(&class.name);
        if is_code && script.kind == ClassKind::Interface {
            return Ok(Some(self.proxy(value, class)));
        }
        let args = match value {
            _ if is_code && script.kind == ClassKind::Class => Vec::new(),
            _ if script.is_abstract || script.kind != ClassKind::Class => return Ok(None),
            Value::List(list) if !list.is_array() => list.snapshot(),
            Value::Map(_) => vec![value.clone()],
            _ => return Ok(None),
        };
        let has_plain = script.constructors.is_empty() || self.world.select(&script.constructors, &[])?.is_some();
        let fields = script.fields.keys().filter(|name| !name.starts_with('$'));
        let fits = match value {
            Value::Map(_) | Value::Closure(_) if has_plain => true,
            _ if args.is_empty() && has_plain => true,
            // One for all fields, which `@Immutable` writes.
            Value::List(_) if script.fields.contains_key("$tuple") && fields.count() == args.len() => true,
            _ => self.world.select(&script.constructors, &args)?.is_some(),
        };
        if !fits {
            return Ok(None);
        }
        *made += 1;
        self.ctx().ask(&Value::Class(class.clone()), "$made", &[value.clone(), Value::Int(*made)]).map(Some)
    }

    fn convert_array(&mut self, value: &Value, element: &Type, explicit: bool, made: &mut i32) -> Result<Value, Fault> {
        if let Value::Object(o) = value
            && let Some(list) = o.as_list()
        {
            return self.convert_array(&Value::List(list), element, explicit, made);
        }
        let name = element_name(element);
        // An array of such items is one already: who writes to it writes to the same.
        if value.is_null() || is_array_of(value, element) {
            return Ok(value.clone());
        }
        let items = match value {
            // Its letters are numbers then, and small ones of them what is left.
            Value::Str(_) | Value::GString(_) if matches!(element, Type::Primitive("byte" | "int")) => {
                let text = self.ctx().str(value)?;
                self.ctx().room_for_items(text.len() as u64)?;
                text.encode_utf16().map(|unit| Value::Int(i32::from(unit))).collect()
            }
            Value::Str(_) | Value::GString(_) if explicit || *element == Type::Primitive("char") => {
                library::sequence(&mut self.ctx(), value)?.unwrap_or_default()
            }
            Value::List(_) | Value::Set(_) | Value::Range(_) => {
                self.ctx().room_for_items(super::iterate::size(value) as u64)?;
                value.items().unwrap_or_default()
            }
            other if explicit => vec![other.clone()],
            other => {
                let target = crate::value::array_name(&name);
                return Err(self.ctx().cast_fault(other, &target));
            }
        };
        let mut out = Vec::with_capacity(items.len());
        for item in &items {
            // Arrays of arrays: one level of recursion for each pair of written brackets.
            out.push(if explicit && !item.is_null() {
                self.convert(item, element, true, made)?
            } else {
                self.cast_item(item, element, made)?
            });
        }
        Ok(Value::List(Rc::new(List::new(out, ListKind::JavaArray(name.into())))))
    }
}

/// Whether a value is an array whose items are of a type. What holds objects holds those of every class, but for numbers and the like.
fn is_array_of(value: &Value, element: &Type) -> bool {
    let Value::List(list) = value else { return false };
    let ListKind::JavaArray(held) = list.kind() else { return false };
    let wanted = element_name(element);
    **held == *wanted || wanted == "java.lang.Object" && !crate::value::is_primitive(held)
}

/// The closures that stand for methods, by name: those of a map, or one for all that have no code.
pub(super) fn code_of(value: &Value, class: &crate::value::Class) -> Native {
    if let Value::Map(map) = value {
        return Native::Map(map.clone());
    }
    let made = Map::new(MapKind::Linked);
    for script in class.lineage().iter().filter_map(|c| c.script.as_ref()) {
        for (name, _) in script.methods.iter().filter(|(_, all)| all.iter().any(|f| f.is_abstract)) {
            made.put(Value::str(&**name), value.clone());
        }
    }
    Native::Map(Rc::new(made))
}

/// Whether a class is one of Java's numbers.
pub(super) fn is_number_class(name: &str) -> bool {
    const BOXES: &[&str] = &["Byte", "Short", "Integer", "Long", "Float", "Double"];
    name.strip_prefix("java.lang.").is_some_and(|n| BOXES.contains(&n))
        || matches!(name, "java.math.BigInteger" | "java.math.BigDecimal")
}

/// The class that boxes a primitive.
fn boxed(ty: &Type) -> Type {
    let Type::Primitive(p) = ty else { return ty.clone() };
    let name = match *p {
        "boolean" => "java.lang.Boolean",
        "char" => "java.lang.Character",
        "byte" => "java.lang.Byte",
        "short" => "java.lang.Short",
        "long" => "java.lang.Long",
        "float" => "java.lang.Float",
        "double" => "java.lang.Double",
        _ => "java.lang.Integer",
    };
    Type::Class(name.into())
}
