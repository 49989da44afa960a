//! Classes: of the script, and the names of Java classes that values answer to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use indexmap::IndexMap;

use super::{Value, is_subtype, known_parents};
use crate::ast::{ClassKind, Text};
use crate::compile::{FieldPlan, Function, Type};
use crate::machine::ScriptId;

/// A class, interface, trait or enum.
#[derive(Debug)]
pub struct Class {
    /// Full name.
    pub name: Text,
    /// `extends`.
    pub superclass: Option<Rc<Class>>,
    /// `implements`.
    pub interfaces: Vec<Rc<Class>>,
    /// Set for classes that a script declares.
    pub script: Option<ScriptClass>,
}

/// A long line of classes is freed without recursion.
impl Drop for Class {
    fn drop(&mut self) {
        let mut open: Vec<Rc<Class>> = self.superclass.take().into_iter().chain(self.interfaces.drain(..)).collect();
        while let Some(class) = open.pop() {
            if let Some(mut class) = Rc::into_inner(class) {
                open.extend(class.superclass.take());
                open.append(&mut class.interfaces);
            }
        }
    }
}

/// Whether the static initialiser of a class has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitState {
    /// Not yet; the first use runs it.
    Pending,
    /// It runs or has run.
    Done,
}

/// Who has a field as it is, without asking getters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The methods of its class; everybody else has its getter: it is a property.
    Own,
    /// The methods of its class; nobody else has it: it is `private`.
    Private,
    /// And `super.name` of the classes right below it: it is `protected` or `public`.
    Below,
    /// The methods of its trait, and the closures in them.
    Trait,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct FieldInfo {
    /// Position among the fields of the object, inherited ones first.
    pub slot: usize,
    /// Declared type, which values are cast to.
    pub ty: Type,
    /// `final`
    pub is_final: bool,
    /// Name of the class that declares it.
    pub owner: Text,
    /// Who has it without its getter.
    pub seen: Seen,
    /// Certainly nobody has written a getter or setter for it.
    pub is_plain: bool,
}

/// What a script declares in a class.
#[derive(Debug)]
pub struct ScriptClass {
    /// Where.
    pub script: ScriptId,
    /// Class, interface, trait, enum.
    pub kind: ClassKind,
    /// `abstract`, or an interface.
    pub is_abstract: bool,
    /// Methods by name, static ones too, without inherited ones.
    pub methods: HashMap<Text, Vec<Rc<Function>>>,
    /// Constructors.
    pub constructors: Vec<Rc<Function>>,
    /// Fields by name, inherited ones first.
    pub fields: IndexMap<Text, FieldInfo>,
    /// Whether one of them is hidden by another of its name, of a class below.
    pub hides: bool,
    /// Whether it or an ancestor has a `getProperty` or `setProperty`.
    pub answers: bool,
    /// Whether closures stand for methods of its objects (`[m: { … }] as AbstractClass`).
    pub stands_in: bool,
    /// Whether it is a `GroovyInterceptable`: all calls of its methods go to `invokeMethod`.
    pub intercepts: bool,
    /// Names of its own properties, as whoever lists them sees them.
    pub readable: Vec<Text>,
    /// Static fields.
    pub statics: RefCell<IndexMap<Text, Value>>,
    /// Those of them that have a static getter or setter.
    pub accessed: Vec<Text>,
    /// What is declared of each.
    pub static_fields: Vec<FieldPlan>,
    /// The static property that has its one object, which is made with the class (`@Singleton`).
    pub singleton: Option<Text>,
    /// Whether its objects know one around them.
    pub is_inner: bool,
    /// Sets the fields of a new object.
    pub init: Option<Rc<Function>>,
    /// Sets the static fields.
    pub static_init: Option<Rc<Function>>,
    /// Whether `static_init` has run.
    pub state: Cell<InitState>,
    /// Classes that this one is nested in, innermost first.
    pub outer: Option<Text>,
}

impl Class {
    /// A class of Java or Groovy that is only a name with its ancestors.
    pub fn named(name: &str, superclass: Option<Rc<Class>>) -> Class {
        Class { name: name.into(), superclass, interfaces: Vec::new(), script: None }
    }

    /// Name without package and outer class.
    pub fn simple_name(&self) -> String {
        simple_name(&self.name)
    }

    /// Name as a program writes it: `c.D.E`.
    pub(crate) fn canonical_name(&self) -> String {
        self.name.replace('$', ".")
    }

    /// Whether a value of this class is one of `other`.
    pub fn is_a(&self, other: &str) -> bool {
        let mut pending: Vec<&Class> = vec![self];
        // An interface may be reached on very many ways: each is looked at once.
        let mut seen: Vec<*const Class> = Vec::new();
        while let Some(class) = pending.pop() {
            if seen.contains(&std::ptr::from_ref(class)) {
                continue;
            }
            if !class.interfaces.is_empty() {
                seen.push(std::ptr::from_ref(class));
            }
            if *class.name == *other || is_subtype(&class.name, other) {
                return true;
            }
            pending.extend(class.superclass.as_deref());
            pending.extend(class.interfaces.iter().map(|i| &**i));
        }
        other == "java.lang.Object" || other == "groovy.lang.GroovyObject" && self.script.is_some()
    }

    /// Whether it is an exception or error.
    pub fn is_throwable(&self) -> bool {
        self.is_a("java.lang.Throwable")
    }

    /// The class and its ancestors with bodies in a script, nearest first, each once.
    pub fn lineage(&self) -> Vec<&Class> {
        let mut out: Vec<&Class> = Vec::new();
        let mut next = Some(self);
        while let Some(class) = next {
            let mut at = out.len();
            out.push(class);
            // Traits come right after the class that has them, before its superclass; a trait's own parents after it.
            while at < out.len() {
                // Of two traits the later one counts.
                for interface in out[at].interfaces.iter().rev() {
                    if !out.iter().any(|c| c.name == interface.name) {
                        out.push(interface);
                    }
                }
                at += 1;
            }
            next = class.superclass.as_deref();
        }
        out
    }

    /// Names of its properties, inherited ones too, in the order in which Groovy lists them.
    ///
    /// Source: `SingleKeyHashMap` of Groovy, which goes through its table from the end. What shares a place there is listed as it is
    /// declared.
    pub(crate) fn readable(&self) -> Vec<Text> {
        let lineage = self.lineage();
        let own = lineage.iter().rev().filter_map(|class| class.script.as_ref());
        let mut names: indexmap::IndexSet<Text> = own.flat_map(|script| script.readable.iter().cloned()).collect();
        names.insert("class".into());
        let hidden = self.script.as_ref().map_or(0, |s| s.fields.keys().filter(|n| !names.contains(*n)).count());
        let mut places = 32;
        while names.len() + hidden + 1 > places / 4 * 3 {
            places *= 2;
        }
        let mut names: Vec<Text> = names.into_iter().collect();
        names.sort_by_key(|name| {
            let hash = super::hash::text(name).cast_unsigned();
            let hash = hash.wrapping_add(!(hash << 9));
            let hash = hash ^ (hash >> 14);
            let hash = hash.wrapping_add(hash << 4);
            std::cmp::Reverse((hash ^ (hash >> 10)) as usize % places)
        });
        names
    }

    /// Methods of a name, nearest class first.
    pub fn methods(&self, name: &str) -> Vec<Rc<Function>> {
        // The common case: the class itself has it and no ancestor is a script class.
        if let (Some(script), true) = (&self.script, self.interfaces.is_empty() && self.plain_parent()) {
            return script.methods.get(name).cloned().unwrap_or_default();
        }
        let mut out = Vec::new();
        for class in self.lineage() {
            if let Some(found) = class.script.as_ref().and_then(|s| s.methods.get(name)) {
                out.extend(found.iter().cloned());
            }
        }
        // What an interface declares, a class has, or its property answers it.
        if out.iter().any(|f: &Rc<Function>| !f.is_abstract) || self.script.as_ref().is_none_or(|s| !s.is_abstract) {
            out.retain(|f| !f.is_abstract);
        }
        out
    }

    fn plain_parent(&self) -> bool {
        self.superclass.as_ref().is_none_or(|p| p.script.is_none() && p.superclass.is_none())
    }

    /// Whether it or an ancestor has a method of that name in a script.
    pub fn has_method(&self, name: &str) -> bool {
        let own = self.script.as_ref().is_some_and(|s| s.methods.contains_key(name));
        own || !self.methods(name).is_empty()
    }

    /// Whether closures stand for methods of its objects.
    pub(crate) fn is_of_code(&self) -> bool {
        match &self.script {
            Some(script) => script.stands_in,
            None => self.name.ends_with("$proxy"),
        }
    }

    /// Whether a script has its objects gone through one by one.
    pub(crate) fn is_iterated(&self) -> bool {
        let goes = |face, method| self.is_a(face) && self.has_method(method);
        goes("java.lang.Iterable", "iterator") || goes("java.util.Iterator", "hasNext")
    }

    /// The class in the lineage whose static field this is.
    pub fn static_owner(&self, name: &str) -> Option<&Class> {
        self.lineage().into_iter().find(|c| c.script.as_ref().is_some_and(|s| s.statics.borrow().contains_key(name)))
    }

    /// What a static field of it or an ancestor holds.
    pub(crate) fn static_value(&self, name: &str) -> Option<Value> {
        self.static_owner(name)?.script.as_ref()?.statics.borrow().get(name).cloned()
    }

    /// What it declares of a static field of its own.
    pub fn static_field(&self, name: &str) -> Option<&FieldPlan> {
        self.script.as_ref()?.static_fields.iter().find(|f| *f.name == *name)
    }

    /// The enum that it is, or a constant with a body is of.
    pub(crate) fn enumeration(&self) -> Option<&Class> {
        self.static_owner("$VALUES")
    }

    /// The constants of the enum that it is or belongs to, once they are made.
    pub(crate) fn constants(&self) -> Option<Value> {
        let script = self.enumeration()?.script.as_ref()?;
        script.statics.borrow().get("$VALUES").cloned()
    }

    /// The constant of a name.
    pub(crate) fn constant(&self, name: &str) -> Option<Value> {
        let named = |v: &Value| matches!(v, Value::Object(o) if o.field("$name").is_some_and(|n| n.to_text() == name));
        self.constants()?.items()?.into_iter().find(named)
    }

    /// Names of the Java ancestors of a Java class, nearest first.
    pub fn java_parents(&self) -> &'static [&'static str] {
        known_parents(&self.name)
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Class) -> bool {
        self.name == other.name
    }
}

/// `c.D$E` → `E`; arrays keep their brackets.
pub(crate) fn simple_name(name: &str) -> String {
    if let Some(element) = name.strip_prefix('[') {
        let element = match element {
            "I" => "int",
            "J" => "long",
            "Z" => "boolean",
            "C" => "char",
            "B" => "byte",
            "S" => "short",
            "F" => "float",
            "D" => "double",
            other => {
                return format!("{}[]", simple_name(other.strip_prefix('L').unwrap_or(other).trim_end_matches(';')));
            }
        };
        return format!("{element}[]");
    }
    name.rsplit(['.', '$']).next().unwrap_or(name).to_string()
}
