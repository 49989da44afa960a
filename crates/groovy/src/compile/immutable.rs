//! `@Immutable`: an object keeps copies of what can be changed that it was given, those of collections and maps unmodifiable, and
//! hands out copies of what has no unmodifiable form.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::expand::{capital, flag, has, is_property, names, written};
use crate::ast::{Annotation, Class, Field};

/// Types that have an unmodifiable form.
const COLLECTIONS: &[&str] =
    &["Collection", "List", "Map", "NavigableMap", "NavigableSet", "Set", "SortedMap", "SortedSet"];
/// Types whose objects are copied.
const CLONEABLE: &[&str] = &[
    "ArrayDeque",
    "ArrayList",
    "BitSet",
    "Date",
    "HashMap",
    "HashSet",
    "LinkedHashMap",
    "LinkedHashSet",
    "LinkedList",
    "Stack",
    "TreeMap",
    "TreeSet",
    "Vector",
];

/// Writes what a class needs for it.
pub(super) fn write(class: &Class, of: &Annotation, out: &mut String) {
    let known: HashSet<String> = names(of, "knownImmutables").unwrap_or_default().into_iter().collect();
    let methods: HashSet<&str> = class.methods.iter().map(|m| &*m.name).collect();
    let properties: Vec<&Field> = class.fields.iter().filter(|f| is_property(f)).collect();
    let mut kept = Vec::new();
    for field in properties.iter().filter(|f| !known.contains(&*f.name)) {
        let Some(ty) = &field.ty else { continue };
        let simple = ty.name.rsplit('.').next().unwrap_or(&ty.name);
        let copies = ty.dimensions > 0 || CLONEABLE.contains(&simple);
        if !copies && !COLLECTIONS.contains(&simple) {
            continue;
        }
        let name = &field.name;
        let copy = if copies { "clone" } else { "asImmutable" };
        kept.push(format!("{name}: this.{name} == null ? null : this.{name}.{copy}()"));
        let getter = format!("get{}", capital(name));
        if copies && !methods.contains(&*getter) {
            let ty = written(field.ty.as_ref());
            let _ = writeln!(out, "{ty}{getter}() {{ this.{name} == null ? null : this.{name}.clone() }}");
        }
    }
    if !kept.is_empty() {
        let _ = writeln!(out, "def $defend() {{ this.$fields([{}]) }}", kept.join(", "));
    }
    if flag(of, "copyWith").unwrap_or(false) && !methods.contains("copyWith") {
        let all: Vec<&Field> = properties.into_iter().filter(|f| !has(&f.modifiers.words, "static")).collect();
        let own: Vec<String> = all.iter().map(|f| format!("{0}: this.{0}", f.name)).collect();
        let texts: Vec<String> = all.iter().map(|f| format!("'{}'", f.name)).collect();
        let (own, texts) = (own.join(", "), texts.join(", "));
        let made = format!("new {}([{own}] + given.subMap([{texts}]))", class.name);
        let _ = writeln!(out, "def copyWith(Map given) {{ given ? {made} : this }}");
    }
}
