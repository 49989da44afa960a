//! `@Delegate`: a class has the methods of what a field is declared to hold, but for those that it has itself.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use indexmap::IndexSet;

use super::expand::{Chosen, Declared, Left, annotation, capital, flag, has, is_property, simple, written};
use crate::ast::{Class, ClassKind, Field, Method};

/// Classes above one another that are looked through.
const CLASSES_MAX: usize = 100;

/// Methods of a `List` and their like, called with nothing to two arguments.
const OF_LISTS: &[&str] = &[
    "add",
    "addAll",
    "clear",
    "contains",
    "containsAll",
    "first",
    "forEach",
    "get",
    "getAt",
    "indexOf",
    "isEmpty",
    "iterator",
    "last",
    "lastIndexOf",
    "leftShift",
    "listIterator",
    "parallelStream",
    "poll",
    "pop",
    "push",
    "putAt",
    "remove",
    "removeAll",
    "removeIf",
    "replaceAll",
    "retainAll",
    "set",
    "size",
    "stream",
    "subList",
    "toArray",
];
const OF_MAPS: &[&str] = &[
    "any",
    "clear",
    "collect",
    "collectEntries",
    "collectMany",
    "compute",
    "computeIfAbsent",
    "computeIfPresent",
    "containsKey",
    "containsValue",
    "count",
    "countBy",
    "dropWhile",
    "each",
    "eachWithIndex",
    "entrySet",
    "every",
    "find",
    "findAll",
    "findResult",
    "findResults",
    "forEach",
    "get",
    "getAt",
    "getOrDefault",
    "groupBy",
    "groupEntriesBy",
    "inject",
    "isEmpty",
    "keySet",
    "max",
    "merge",
    "min",
    "minus",
    "plus",
    "put",
    "putAll",
    "putAt",
    "putIfAbsent",
    "remove",
    "removeAll",
    "replaceAll",
    "retainAll",
    "reverseEach",
    "size",
    "sort",
    "subMap",
    "takeWhile",
    "toSorted",
    "values",
    "withDefault",
];
const LISTS: &[&str] = &["ArrayDeque", "ArrayList", "Collection", "Deque", "List", "LinkedList", "Queue"];
const SETS: &[&str] = &["HashSet", "LinkedHashSet", "Set", "SortedSet", "TreeSet"];
const MAPS: &[&str] = &["ConcurrentHashMap", "HashMap", "LinkedHashMap", "Map", "SortedMap", "TreeMap"];

/// Names that each object has by itself.
const OWN: &[&str] = &[
    "equals",
    "getClass",
    "getMetaClass",
    "getProperty",
    "hashCode",
    "invokeMethod",
    "setMetaClass",
    "setProperty",
    "toString",
];

/// Writes the methods of all delegates of a class, until they are more than may be; answers the interfaces that it has from them.
pub(super) fn write(class: &mut Class, declared: &Declared<'_>, out: &mut String, left: &mut Left) -> Vec<String> {
    let fields: Vec<Field> =
        class.fields.iter().filter(|f| annotation(&f.modifiers.annotations, "Delegate").is_some()).cloned().collect();
    if fields.is_empty() {
        return Vec::new();
    }
    let mut interfaces = IndexSet::new();
    let mut unknown = Vec::new();
    let mut written = Written::of(class, out, left);
    for field in &fields {
        let (Some(of), Some(ty)) = (annotation(&field.modifiers.annotations, "Delegate"), &field.ty) else { continue };
        let simple = simple(&ty.name);
        if ty.dimensions > 0 || matches!(simple, "Object" | "def") {
            continue;
        }
        let Some(found) = declared.get(&ty.name) else {
            match written.of_java(field, simple) {
                found @ (OfJava::Map | OfJava::Unknown) => unknown.push((field, found)),
                found @ OfJava::Items(interface) => {
                    interfaces.insert(interface.to_string());
                    written.like_items(&field.name);
                    unknown.push((field, found));
                }
            }
            continue;
        };
        let chosen = Chosen::of(of);
        let mut pending = vec![found];
        for _ in 0..CLASSES_MAX {
            let Some(above) = pending.pop() else { break };
            let parents = || above.implements.iter().chain(&above.extends);
            if !written.left.pay(1 + parents().count()) {
                break;
            }
            written.of_class(field, &chosen, above);
            pending.extend(parents().filter_map(|t| declared.get(&t.name)));
            if flag(of, "interfaces").unwrap_or(true) {
                let itself = matches!(above.kind, ClassKind::Interface | ClassKind::Trait).then_some(&above.name);
                interfaces.extend(above.implements.iter().map(|t| &t.name).chain(itself).map(|name| name.to_string()));
            }
        }
    }
    ask_unknown(class, &unknown, out);
    interfaces.into_iter().collect()
}

/// What nobody has listed the methods of is asked for each that is missing, and then whatever the class itself does about it.
fn ask_unknown(class: &mut Class, fields: &[(&Field, OfJava)], out: &mut String) {
    if fields.is_empty() {
        return;
    }
    let method = ("methodMissing", "String name, args", "\"$name\"(*args)", "MissingMethodException e", "method");
    let property = ("propertyMissing", "String name", "\"$name\"", "MissingPropertyException e", "property");
    let setter =
        ("propertyMissing", "String name, value", "\"$name\" = value", "MissingPropertyException e", "property");
    for (name, params, ask, fault, lacks) in [method, property, setter] {
        let asked = fields.iter().filter(|(_, of)| match of {
            OfJava::Items(_) => lacks == "method",
            OfJava::Map => lacks == "property",
            OfJava::Unknown => true,
        });
        let tries: String = asked
            .map(|(field, _)| {
                let call = format!("this.{}.{ask}", field.name);
                format!("try {{ return {call} }} catch ({fault}) {{ if (e.{lacks} != name) throw e }}\n")
            })
            .collect();
        if tries.is_empty() {
            continue;
        }
        let given = params.trim_start_matches("String ");
        let count = given.split(", ").count();
        let own = class.methods.iter_mut().find(|m| &*m.name == name && m.params.len() == count);
        let last = match own {
            Some(own) => {
                let hidden = format!("$own{}{count}", capital(name));
                Rc::make_mut(own).name = hidden.as_str().into();
                format!("this.{hidden}({given})")
            }
            None if lacks == "method" => "this.$lacksMethod(name, args)".into(),
            None => "this.$lacksProperty(name)".into(),
        };
        let _ = writeln!(out, "def {name}({params}) {{ {tries}{last} }}");
    }
}

/// What a class of Java is to whom it is delegated.
enum OfJava {
    /// A list or set: the class has its interface, and is asked for the methods that Groovy gives them.
    Items(&'static str),
    /// A map: the properties are its values.
    Map,
    /// It is asked for whatever is missing.
    Unknown,
}

struct Written<'a> {
    class: &'a Class,
    out: &'a mut String,
    left: &'a mut Left,
    /// Types of the parameters of the class's own methods, by name.
    methods: HashMap<&'a str, Vec<Vec<String>>>,
    /// Names of its own properties.
    fields: HashSet<&'a str>,
    /// Names and types of parameters that are there already: who comes first is kept.
    names: HashSet<String>,
}

/// Text that is made or compared for a step.
const BYTES_A_STEP: usize = 64;

impl<'a> Written<'a> {
    fn of(class: &'a Class, out: &'a mut String, left: &'a mut Left) -> Written<'a> {
        let mut methods: HashMap<&str, Vec<Vec<String>>> = HashMap::new();
        for method in &class.methods {
            let types = method.params.iter().map(|p| written(p.ty.as_ref())).collect();
            methods.entry(&*method.name).or_default().push(types);
        }
        let fields = class.fields.iter().map(|f| &*f.name).collect();
        Written { class, out, left, methods, fields, names: HashSet::new() }
    }

    fn of_class(&mut self, field: &Field, chosen: &Chosen, from: &Class) {
        for method in &from.methods {
            if !self.left.pay(1) {
                return;
            }
            let words = &method.modifiers.words;
            let hidden = ["static", "private", "protected"].iter().any(|w| has(words, w));
            if !hidden && method.name != from.name && chosen.lets(&method.name) {
                self.method(field, method);
            }
        }
        for property in from.fields.iter().filter(|f| is_property(f)) {
            if !self.left.pay(1) {
                return;
            }
            if self.fields.contains(&*property.name) {
                continue;
            }
            let (capital, ty) = (capital(&property.name), written(property.ty.as_ref()));
            let read = if ty == "boolean " { "is" } else { "get" };
            self.line(&format!("{read}{capital}"), &[], "", &format!("this.{}.{}", field.name, property.name));
            if !has(&property.modifiers.words, "final") {
                let set = format!("this.{}.{} = value", field.name, property.name);
                let given = format!("{ty}value");
                self.line(&format!("set{capital}"), &[ty], &given, &set);
            }
        }
    }

    fn method(&mut self, field: &Field, method: &Method) {
        let least = method.params.iter().position(|p| p.default.is_some()).unwrap_or(method.params.len());
        let types: Vec<String> = method.params.iter().map(|p| written(p.ty.as_ref())).collect();
        for count in least..=method.params.len() {
            if self.is_over() {
                return;
            }
            let params = &method.params[..count];
            let dots = |varargs: bool| if varargs { "... " } else { "" };
            let list: Vec<String> = params
                .iter()
                .zip(&types)
                .map(|(p, ty)| {
                    let ty = ty.trim_end_matches(if p.varargs { " " } else { "\0" });
                    format!("{ty}{}{}", dots(p.varargs), p.name)
                })
                .collect();
            let given: Vec<&str> = params.iter().map(|p| &*p.name).collect();
            let call = format!("this.{}.{}({})", field.name, method.name, given.join(", "));
            self.line(&method.name, &types[..count], &list.join(", "), &call);
        }
    }

    fn is_over(&self) -> bool {
        self.out.len() > self.left.code || self.left.work == 0
    }

    /// One method, unless the class has it.
    fn line(&mut self, name: &str, types: &[String], params: &str, code: &str) {
        let own = self.methods.get(name).map_or(&[][..], |own| own);
        let bytes = (name.len() + params.len() + code.len()) / BYTES_A_STEP;
        self.left.pay((1 + types.len() + bytes) * (1 + own.len()));
        if self.is_over() {
            return;
        }
        let same = |own: &Vec<String>| own.get(..types.len()).is_some_and(|first| first == types);
        if own.iter().any(same)
            || OWN.contains(&name)
            || name == &*self.class.name
            || !self.names.insert(format!("{name} {}", types.concat()))
        {
            return;
        }
        let _ = writeln!(self.out, "def {name}({params}) {{ {code} }}");
    }

    /// What Groovy does with each collection: it is compared, shown and cast as its items.
    fn like_items(&mut self, field: &str) {
        let class = &*self.class.name;
        let items = format!("this.{field}");
        let other = format!("($other instanceof {class} ? $other.{field} : $other)");
        for (name, params, code) in [
            ("equals", "Object $other", format!("this.is($other) || {items} == {other}")),
            ("toString", "", format!("'' + {items}")),
            ("asBoolean", "", format!("{items} as boolean")),
            ("isCase", "$item", format!("{items}.contains($item)")),
            ("asType", "Class $type", format!("$type.isInstance(this) ? this : {items}.asType($type)")),
        ] {
            if !self.methods.contains_key(name) && self.names.insert(name.into()) {
                let _ = writeln!(self.out, "def {name}({params}) {{ {code} }}");
            }
        }
    }

    /// What a class of Java has: the usual methods, or whatever it is asked for.
    fn of_java(&mut self, field: &Field, class: &str) -> OfJava {
        let (methods, found) = match class {
            _ if LISTS.contains(&class) => (OF_LISTS, OfJava::Items("java.util.List")),
            _ if SETS.contains(&class) => (OF_LISTS, OfJava::Items("java.util.Set")),
            _ if MAPS.contains(&class) => (OF_MAPS, OfJava::Map),
            _ => return OfJava::Unknown,
        };
        for name in methods {
            for given in ["", "a", "a, b"] {
                let types: Vec<String> =
                    given.split(", ").filter(|g| !g.is_empty()).map(|_| "def ".to_string()).collect();
                self.line(name, &types, given, &format!("this.{}.{name}({given})", field.name));
            }
        }
        found
    }
}
