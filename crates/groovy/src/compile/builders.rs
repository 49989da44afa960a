//! `@Builder` on classes, with each of its strategies, and on static methods and constructors.

use std::fmt::Write as _;

use super::expand::{Chosen, Declared, Left, annotation, capital, has, is_property, simple, word, written};
use crate::ast::{Annotation, Class, Field, Method, TypeRef};

/// What is set: its type and its name.
type Part<'a> = (Option<&'a TypeRef>, &'a str);

/// Names that an annotation gives, or that its strategy has for them.
struct Words {
    prefix: String,
    class: String,
    begin: String,
    end: String,
}

impl Words {
    /// `class` ends the name of the builder's class after that of the class that is built.
    fn of(of: &Annotation, name: &str, class: &str, begin: &str, end: &str) -> Words {
        let said = |option: &str, otherwise: String| word(of, option).unwrap_or(otherwise);
        Words {
            prefix: said("prefix", String::new()),
            class: said("builderClassName", format!("{name}{class}")),
            begin: said("builderMethodName", begin.into()),
            end: said("buildMethodName", end.into()),
        }
    }

    /// Methods that set the parts, and answer the object.
    fn setters(&self, class: &str, parts: &[Part<'_>]) -> String {
        let set = |(ty, name): &Part<'_>| {
            let setter = if self.prefix.is_empty() { name.to_string() } else { self.prefix.clone() + &capital(name) };
            format!("{class} {setter}({}{name}) {{ this.{name} = {name}; this }}\n", written(*ty))
        };
        parts.iter().map(set).collect()
    }
}

fn held(parts: &[Part<'_>]) -> String {
    parts.iter().map(|(ty, name)| format!("private {}{name}\n", written(*ty))).collect()
}

fn given(to: &str, from: &str, parts: &[Part<'_>]) -> String {
    parts.iter().map(|(_, name)| format!("{to}.{name} = {from}.{name}\n")).collect()
}

fn chosen<'a>(class: &'a Class, of: &Annotation) -> Vec<Part<'a>> {
    let chosen = Chosen::of(of);
    let lets = |f: &&Field| is_property(f) && chosen.lets(&f.name);
    class.fields.iter().filter(lets).map(|f| (f.ty.as_ref(), &*f.name)).collect()
}

/// Writes the builders of a class.
pub(super) fn write(class: &Class, declared: &Declared<'_>, out: &mut String, left: &mut Left) {
    for method in &class.methods {
        if let Some(of) = annotation(&method.modifiers.annotations, "Builder") {
            of_method(class, method, of, out);
        }
    }
    let Some(of) = annotation(&class.modifiers.annotations, "Builder") else { return };
    let strategy = word(of, "builderStrategy").unwrap_or_default();
    match simple(&strategy) {
        "SimpleStrategy" => {
            let mut words = Words::of(of, &class.name, "", "", "");
            words.prefix = word(of, "prefix").unwrap_or("set".into());
            *out += &words.setters(&class.name, &chosen(class, of));
        }
        "ExternalStrategy" => {
            let Some(built) = word(of, "forClass").and_then(|name| declared.get(&name)) else { return };
            if left.pay(1 + built.fields.len()) {
                of_another(class, built, of, out);
            }
        }
        "InitializerStrategy" => initialised(class, of, out),
        _ => {
            let words = Words::of(of, &class.name, "Builder", "builder", "build");
            let parts = chosen(class, of);
            let make = format!("def made = new {}()\n{} made", class.name, given("made", "this", &parts));
            nested(&words, &parts, &make, out);
        }
    }
}

/// The class of the builder, and the method that makes one.
fn nested(words: &Words, parts: &[Part<'_>], make: &str, out: &mut String) {
    let (made, begin, end) = (&words.class, &words.begin, &words.end);
    let _ = writeln!(out, "static {made} {begin}() {{ new {made}() }}");
    let _ = writeln!(out, "static class {made} {{ {}{}", held(parts), words.setters(made, parts));
    let _ = writeln!(out, "def {end}() {{ {make} }} }}");
}

/// The parts are the parameters of a static method or a constructor.
fn of_method(class: &Class, method: &Method, of: &Annotation, out: &mut String) {
    let is_constructor = method.name == class.name && method.return_type.is_none();
    if !is_constructor && !has(&method.modifiers.words, "static") {
        return;
    }
    let words = Words::of(of, &class.name, "Builder", "builder", "build");
    let parts: Vec<Part<'_>> = method.params.iter().map(|p| (p.ty.as_ref(), &*p.name)).collect();
    let args: Vec<String> = parts.iter().map(|(_, name)| format!("this.{name}")).collect();
    let call = if is_constructor { format!("new {}", class.name) } else { format!("{}.{}", class.name, method.name) };
    nested(&words, &parts, &format!("{call}({})", args.join(", ")), out);
}

/// The class itself is the builder, of another one.
fn of_another(class: &Class, built: &Class, of: &Annotation, out: &mut String) {
    let words = Words::of(of, "", "", "", "build");
    let parts = chosen(built, of);
    let _ = writeln!(out, "{}{}", held(&parts), words.setters(&class.name, &parts));
    let make = given("made", "this", &parts);
    let _ = writeln!(out, "def {}() {{ def made = new {}()\n{make} made }}", words.end, built.name);
}

/// A constructor takes what was set.
fn initialised(class: &Class, of: &Annotation, out: &mut String) {
    let words = Words::of(of, &class.name, "Initializer", "createInitializer", "create");
    let (parts, name, made) = (chosen(class, of), &class.name, &words.class);
    let _ = writeln!(out, "static {made} {}() {{ new {made}() }}", words.begin);
    let _ = writeln!(out, "static class {made} {{ {}{}", held(&parts), words.setters(made, &parts));
    let _ = writeln!(out, "static {made} {}() {{ new {made}() }} }}", words.end);
    let _ = writeln!(out, "{name}({made} $given) {{ {} }}", given("this", "$given", &parts));
    let is_constructor = |m: &Method| m.name == class.name && m.return_type.is_none();
    if !parts.is_empty() && !class.methods.iter().any(|m| is_constructor(m)) {
        let params: Vec<String> = parts.iter().map(|(ty, name)| format!("{}{name}", written(*ty))).collect();
        let sets: String = parts.iter().map(|(_, name)| format!("this.{name} = {name}\n")).collect();
        let _ = writeln!(out, "{name}({}) {{ {sets} }}", params.join(", "));
    }
}
