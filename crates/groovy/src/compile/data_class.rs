//! `@TupleConstructor`, `@ToString`, `@EqualsAndHashCode`, `@Canonical`, which is the three, and `@Sortable`.
//!
//! Source: what Groovy 2.4.21 makes of them. A class that is nothing but properties keeps the mark of `@EqualsAndHashCode`, with which
//! the machine compares it without running code (`machine::marks`).

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use super::expand::{Chosen, Declared, GENERATED, Left, annotation, capital, flag, has, is_property, simple, written};
use crate::ast::{Annotation, Class, Expr, Field, Text};

/// Classes above one another whose properties are looked for.
const ABOVE_MAX: usize = 100;

/// What parameters of the constructor that was made have where nothing is given.
pub(super) type Given = HashMap<Text, Expr>;

/// Writes what those annotations add, takes away the marks of what is written, and answers what the constructor is given otherwise.
pub(super) fn write(
    class: &mut Class,
    full: &str,
    declared: &Declared<'_>,
    out: &mut String,
    left: &mut Left,
) -> Given {
    let all = std::mem::take(&mut class.modifiers.annotations);
    // What is said to all three is said to each.
    let options = |name: &str| {
        let (own, whole) = (annotation(&all, name), annotation(&all, "Canonical"));
        let mut of = own.or(whole)?.clone();
        of.args.extend(own.and(whole).iter().flat_map(|whole| whole.args.iter().cloned()));
        Some(of)
    };
    let mut given = Given::new();
    if let Some(of) = options("TupleConstructor") {
        tuple(class, &of, &above(class, declared, left), out, &mut given, left);
    }
    if let Some(of) = options("ToString") {
        show(class, full, &of, &above(class, declared, left), out);
    }
    let equal = options("EqualsAndHashCode");
    let keeps_mark =
        equal.as_ref().is_some_and(|of| of.args.is_empty() && is_plain(class) && !declared.is_asked(&class.name));
    if let Some(of) = &equal {
        self::equal(class, of, keeps_mark, out);
    }
    let written = ["TupleConstructor", "ToString", "EqualsAndHashCode", "Canonical"];
    let mark = equal.filter(|_| keeps_mark).map(|of| Annotation { name: "EqualsAndHashCode".into(), ..of });
    class.modifiers.annotations = all;
    class.modifiers.annotations.retain(|a| !written.contains(&simple(&a.name)));
    class.modifiers.annotations.extend(mark);
    given
}

/// Sets what parameters of the constructor have where nothing is given: what the program has given the field.
pub(super) fn give(class: &mut Class, given: &Given) {
    let name = class.name.clone();
    for method in class.methods.iter_mut().filter(|m| m.name == name && has(&m.modifiers.words, GENERATED)) {
        for param in &mut Rc::make_mut(method).params {
            if let (Some(default), Some(init)) = (&mut param.default, given.get(&param.name)) {
                *default = init.clone();
            }
        }
    }
}

/// Whether an object of the class is nothing but its properties, and equal to others as the annotation says.
fn is_plain(class: &Class) -> bool {
    let is_static = |f: &Field| has(&f.modifiers.words, "static");
    let asked =
        |name: &str| name.starts_with("get") || name.starts_with("is") || name == "equals" || name == "canEqual";
    class.extends.is_empty()
        && class.fields.iter().all(|f| is_property(f) || is_static(f))
        && !class.methods.iter().any(|m| asked(&m.name))
}

/// The classes above one, farthest first.
fn above<'a>(class: &Class, declared: &Declared<'a>, left: &mut Left) -> Vec<&'a Class> {
    let mut found = Vec::new();
    let mut next = class.extends.first().and_then(|t| declared.get(&t.name));
    while let Some(parent) = next.filter(|p| found.len() < ABOVE_MAX && left.pay(1 + p.fields.len())) {
        found.push(parent);
        next = parent.extends.first().and_then(|t| declared.get(&t.name));
    }
    found.reverse();
    found
}

fn properties(class: &Class) -> impl Iterator<Item = &Field> {
    class.fields.iter().filter(|f| is_property(f))
}

/// Fields that are no properties.
fn others(class: &Class) -> impl Iterator<Item = &Field> {
    class.fields.iter().filter(|f| !is_property(f) && !has(&f.modifiers.words, "static"))
}

/// What a field has that nothing was given for.
pub(super) fn nothing(field: &Field) -> &'static str {
    match field.ty.as_ref().filter(|t| t.dimensions == 0).map(|t| &*t.name) {
        Some("boolean") => "false",
        Some("byte" | "char" | "short" | "int" | "long" | "float" | "double") => "0",
        _ => "null",
    }
}

/// How fields are read: as whoever is outside does, by a getter where the class has written one.
struct Readers<'a>(HashSet<&'a str>);

impl<'a> Readers<'a> {
    fn of(class: &'a Class) -> Readers<'a> {
        Readers(class.methods.iter().filter(|m| m.params.is_empty()).map(|m| &*m.name).collect())
    }

    /// The name or call with which `this` or another object is asked.
    fn of_field(&self, field: &Field) -> String {
        let getters = ["get", "is"].map(|prefix| format!("{prefix}{}", capital(&field.name)));
        let written = getters.iter().find(|name| is_property(field) && self.0.contains(&***name));
        written.map_or_else(|| field.name.to_string(), |name| format!("{name}()"))
    }
}

fn tuple(class: &Class, of: &Annotation, above: &[&Class], out: &mut String, given: &mut Given, left: &mut Left) {
    let is_constructor = |m: &Rc<crate::ast::Method>| m.name == class.name && m.return_type.is_none();
    let on = |option: &str| flag(of, option).unwrap_or(false);
    if class.methods.iter().any(is_constructor) && !on("force") {
        return;
    }
    let chosen = Chosen::of(of);
    let mut inherited: Vec<&Field> = Vec::new();
    for parent in above {
        inherited.extend(properties(parent).filter(|_| on("includeSuperProperties")));
        inherited.extend(others(parent).filter(|_| on("includeSuperFields")));
    }
    let own = properties(class).filter(|_| flag(of, "includeProperties").unwrap_or(true));
    let own: Vec<&Field> = own.chain(others(class).filter(|_| on("includeFields"))).collect();
    let lets = |f: &&&Field| chosen.lets(&f.name);
    let (mut params, mut sets, mut passed) = (Vec::new(), Vec::new(), Vec::new());
    for (is_inherited, field) in
        inherited.iter().filter(lets).map(|f| (true, f)).chain(own.iter().filter(lets).map(|f| (false, f)))
    {
        let otherwise = nothing(field);
        if let Some(init) = &field.init
            && left.pay(1 + (init.span.end - init.span.start) as usize)
        {
            // Its code runs twice, as in Groovy: here, and as the field's initialiser. What it answers first is kept.
            given.insert(field.name.clone(), init.clone());
        }
        params.push(format!("{}{} = {otherwise}", written(field.ty.as_ref()), field.name));
        match is_inherited && on("callSuper") {
            true => passed.push(field.name.to_string()),
            false => sets.push(format!("this.{0} = {0}", field.name)),
        }
    }
    let first = if on("callSuper") { format!("super({}); ", passed.join(", ")) } else { String::new() };
    let _ = writeln!(out, "{}({}) {{ {first}{} }}", class.name, params.join(", "), sets.join("; "));
    // What takes anything takes a map, too: that of named arguments is meant.
    let kind = inherited.iter().chain(&own).find(lets).map(|f| written(f.ty.as_ref()));
    let takes_maps = ["def ", "Object ", "Map ", "HashMap ", "LinkedHashMap ", "AbstractMap "];
    if kind.is_some_and(|k| takes_maps.contains(&&*k) && (params.len() > 1 || matches!(&*k, "def " | "Object "))) {
        let set = "for ($one in $named) { this.\"${$one.key}\" = $one.value }";
        let _ = writeln!(out, "{}(LinkedHashMap $named) {{ {set} }}", class.name);
    }
}

pub(super) fn sort(class: &Class, of: &Annotation, out: &mut String) {
    let chosen = Chosen::of(of);
    let mut fields: Vec<&Field> = properties(class).filter(|f| chosen.lets(&f.name)).collect();
    fields.sort_by_key(|f| chosen.place(&f.name));
    let steps: String = fields
        .iter()
        .map(|f| format!("value = this.{0} <=> other.{0}; if (value != 0) return value\n", f.name))
        .collect();
    let _ = writeln!(out, "int compareTo({} other) {{ int value = 0\n{steps} value }}", class.name);
    for field in fields {
        let by = format!("{{ a, b -> a.{0} <=> b.{0} }} as Comparator", field.name);
        let _ = writeln!(out, "static comparatorBy{}() {{ {by} }}", capital(&field.name));
    }
}

/// What `@ToString` and `@EqualsAndHashCode` look at.
fn looked_at<'a>(class: &'a Class, of: &Annotation) -> Vec<&'a Field> {
    let chosen = Chosen::of(of);
    let with_fields = flag(of, "includeFields").unwrap_or(false);
    properties(class).chain(others(class).filter(|_| with_fields)).filter(|f| chosen.lets(&f.name)).collect()
}

/// Whether the class has that method itself, with that many parameters.
fn has_own(class: &Class, name: &str, count: usize) -> bool {
    class.methods.iter().any(|m| &*m.name == name && m.params.len() == count)
}

fn show(class: &Class, full: &str, of: &Annotation, above: &[&Class], out: &mut String) {
    if has_own(class, "toString", 0) {
        return;
    }
    let on = |option: &str| flag(of, option).unwrap_or(false);
    let name = if flag(of, "includePackage").unwrap_or(true) { full } else { simple(full) };
    let label = |name: &str| if on("includeNames") { format!("{name}:") } else { String::new() };
    let readers = Readers::of(class);
    let mut code = String::from("def $parts = []\n");
    let chosen = Chosen::of(of);
    let inherited = above.iter().rev().filter(|_| on("includeSuperProperties")).flat_map(|parent| properties(parent));
    for field in looked_at(class, of).into_iter().chain(inherited.filter(|f| chosen.lets(&f.name))) {
        let read = format!("this.{}", readers.of_field(field));
        let unless = if on("ignoreNulls") { format!("if ({read} != null) ") } else { String::new() };
        let text = match nothing(field) {
            "null" => format!("(this.is({read}) ? '(this)' : '' + (Object) {read})"),
            _ => read,
        };
        let _ = writeln!(code, "{unless}$parts << '{}' + {text}", label(&field.name));
    }
    if on("includeSuper") {
        let _ = writeln!(code, "$parts << '{}' + super.toString()", label("super"));
    }
    let made = format!("{code} '{}(' + $parts.join(', ') + ')'", name.replace('$', "\\$"));
    let _ = match on("cache") {
        false => writeln!(out, "String toString() {{ {made} }}"),
        true => writeln!(
            out,
            "private String $text\nprivate String $makeText() {{ {made} }}\nString toString() {{ if ($text == null) $text = $makeText(); $text }}"
        ),
    };
}

fn equal(class: &Class, of: &Annotation, keeps_mark: bool, out: &mut String) {
    let (mut same, mut hash) = (String::new(), String::new());
    let readers = Readers::of(class);
    for field in looked_at(class, of) {
        let read = readers.of_field(field);
        let (this, other) = (format!("this.{read}"), format!("$other.{read}"));
        let _ = writeln!(same, "if ({this} != {other}) return false");
        let _ = match nothing(field) {
            "false" => writeln!(hash, "$hash = 31 * $hash + ({this} ? 1 : 0)"),
            "0" => writeln!(hash, "$hash = 31 * $hash + {this}.hashCode()"),
            _ => writeln!(hash, "if (!this.is({this})) $hash = 31 * $hash + ({this} == null ? 0 : {this}.hashCode())"),
        };
    }
    if flag(of, "callSuper").unwrap_or(false) {
        same += "if (!super.equals($other)) return false\n";
        hash += "$hash = 31 * $hash + super.hashCode()\n";
    }
    let name = &class.name;
    let asks = flag(of, "useCanEqual").unwrap_or(true);
    if !keeps_mark && !has_own(class, "equals", 1) {
        let asked = if asks { "if (!$other.canEqual(this)) return false\n" } else { "" };
        let alike = match asks {
            true => format!("$other instanceof {name}"),
            false => "$other != null && this.getClass() == $other.getClass()".into(),
        };
        let first = format!("if (this.is($other)) return true\nif (!({alike})) return false\n{asked}");
        let _ = writeln!(out, "boolean equals(Object $other) {{ {first}{same} true }}");
    }
    if asks && !has_own(class, "canEqual", 1) {
        let _ = writeln!(out, "boolean canEqual(Object $other) {{ $other instanceof {name} }}");
    }
    if has_own(class, "hashCode", 0) {
        return;
    }
    let is_cached = flag(of, "cache").unwrap_or(false);
    let _ = match is_cached {
        false => writeln!(out, "int hashCode() {{ int $hash = 127\n{hash} $hash }}"),
        true => writeln!(
            out,
            "private $kept\nint hashCode() {{ if ($kept == null) {{ int $hash = 127\n{hash} $kept = $hash }}\n$kept }}"
        ),
    };
}
