//! `@Delegate`: a class has the methods of what a field is declared to hold, but for those that it has itself.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::expand::{Left, annotation, capital, flag, has, includes, is_property, written};
use crate::ast::{Annotation, Class, ClassKind, Field, Method, Script};

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
pub(super) fn write(class: &Class, script: &Script, out: &mut String, left: &mut Left) -> Vec<String> {
    let own = class.methods.iter().map(|method| (method.name.to_string(), &**method));
    let mut methods: HashMap<String, Vec<&Method>> = HashMap::new();
    own.for_each(|(name, method)| methods.entry(name).or_default().push(method));
    let mut written = Written { class, out, left, methods, names: HashSet::new() };
    let mut interfaces = Vec::new();
    for field in &class.fields {
        let (Some(of), Some(ty)) = (annotation(&field.modifiers.annotations, "Delegate"), &field.ty) else { continue };
        let simple = ty.name.rsplit('.').next().unwrap_or(&ty.name);
        if ty.dimensions > 0 || matches!(simple, "Object" | "def") {
            continue;
        }
        let Some(found) = declared(script, &ty.name) else {
            interfaces.extend(written.of_java(field, simple));
            continue;
        };
        let mut pending = vec![found];
        for _ in 0..CLASSES_MAX {
            let Some(above) = pending.pop() else { break };
            written.of_class(field, of, above);
            let parents = above.implements.iter().chain(&above.extends);
            pending.extend(parents.filter_map(|t| declared(script, &t.name)));
            if flag(of, "interfaces").unwrap_or(true) {
                let itself =
                    matches!(above.kind, ClassKind::Interface | ClassKind::Trait).then(|| above.name.to_string());
                interfaces.extend(above.implements.iter().map(|t| t.name.to_string()).chain(itself));
            }
        }
    }
    interfaces
}

/// The class of the script that has a name.
fn declared<'a>(script: &'a Script, name: &str) -> Option<&'a Class> {
    let mut pending: Vec<&Class> = script.classes.iter().map(|c| &**c).collect();
    let simple = name.rsplit('.').next();
    while let Some(class) = pending.pop() {
        if Some(&*class.name) == simple {
            return Some(class);
        }
        pending.extend(class.classes.iter().map(|c| &**c));
    }
    None
}

struct Written<'a> {
    class: &'a Class,
    out: &'a mut String,
    left: &'a mut Left,
    /// The class's own, by name.
    methods: HashMap<String, Vec<&'a Method>>,
    /// Names and types of parameters that are there already: who comes first is kept.
    names: HashSet<String>,
}

/// The types of the first parameters of a method.
fn types(method: &Method, count: usize) -> String {
    method.params.iter().take(count).map(|p| written(p.ty.as_ref())).collect()
}

impl Written<'_> {
    fn of_class(&mut self, field: &Field, of: &Annotation, from: &Class) {
        for method in &from.methods {
            let words = &method.modifiers.words;
            let hidden = ["static", "private", "protected"].iter().any(|w| has(words, w));
            if !hidden && method.name != from.name && includes(of, &method.name) {
                self.method(field, method);
            }
        }
        for property in from.fields.iter().filter(|f| is_property(f)) {
            let (capital, ty) = (capital(&property.name), written(property.ty.as_ref()));
            let read = if ty == "boolean " { "is" } else { "get" };
            let own = self.class.fields.iter().any(|f| f.name == property.name);
            if own {
                continue;
            }
            self.line(&format!("{read}{capital}"), "", "", &format!("this.{}.{}", field.name, property.name));
            if !has(&property.modifiers.words, "final") {
                let set = format!("this.{}.{} = value", field.name, property.name);
                self.line(&format!("set{capital}"), &ty, &format!("{ty}value"), &set);
            }
        }
    }

    fn method(&mut self, field: &Field, method: &Method) {
        let least = method.params.iter().position(|p| p.default.is_some()).unwrap_or(method.params.len());
        for count in least..=method.params.len() {
            if self.is_over() {
                return;
            }
            let params = &method.params[..count];
            let dots = |varargs: bool| if varargs { "... " } else { "" };
            let list: Vec<String> = params
                .iter()
                .map(|p| {
                    format!(
                        "{}{}{}",
                        written(p.ty.as_ref()).trim_end_matches(if p.varargs { " " } else { "\0" }),
                        dots(p.varargs),
                        p.name
                    )
                })
                .collect();
            let given: Vec<&str> = params.iter().map(|p| &*p.name).collect();
            let call = format!("this.{}.{}({})", field.name, method.name, given.join(", "));
            self.line(&method.name, &types(method, count), &list.join(", "), &call);
        }
    }

    fn is_over(&self) -> bool {
        self.out.len() > self.left.code || self.left.work == 0
    }

    /// One method, unless the class has it.
    fn line(&mut self, name: &str, types_of: &str, params: &str, code: &str) {
        let count = if params.is_empty() { 0 } else { params.split(", ").count() };
        let own = self.methods.get(name).map_or(&[][..], |own| own);
        self.left.work = self.left.work.saturating_sub(1 + count + own.len());
        if self.is_over() {
            return;
        }
        let same = |m: &&Method| m.params.len() >= count && types(m, count) == types_of;
        if own.iter().any(same) || OWN.contains(&name) || !self.names.insert(format!("{name} {types_of}")) {
            return;
        }
        let _ = writeln!(self.out, "def {name}({params}) {{ {code} }}");
    }

    /// What a class of Java has: the usual methods, or whatever it is asked for. Answers its interface.
    fn of_java(&mut self, field: &Field, class: &str) -> Option<String> {
        let (methods, interface) = match class {
            _ if LISTS.contains(&class) => (OF_LISTS, Some("java.util.List")),
            _ if SETS.contains(&class) => (OF_LISTS, Some("java.util.Set")),
            _ if MAPS.contains(&class) => (OF_MAPS, None),
            _ => (&[][..], None),
        };
        for name in methods {
            for given in ["", "a", "a, b"] {
                let types: String = given.split(", ").filter(|g| !g.is_empty()).map(|_| "def ").collect();
                self.line(name, &types, given, &format!("this.{}.{name}({given})", field.name));
            }
        }
        if methods.is_empty() {
            let call = format!("this.{}.\"$name\"(*args)", field.name);
            self.line("methodMissing", "String def ", "String name, args", &call);
        }
        if interface.is_none() {
            self.line("propertyMissing", "String ", "String name", &format!("this.{}.\"$name\"", field.name));
            let set = format!("this.{}.\"$name\" = value", field.name);
            self.line("propertyMissing", "String def ", "String name, value", &set);
        }
        interface.map(str::to_string)
    }
}
