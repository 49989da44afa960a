//! Annotations that give a class members: `@Sortable`, `@Builder`, `@Memoized`, `@Lazy`, `@Delegate` and their like. What Groovy's
//! transformations write into a class is written here as Groovy, parsed, and put beside what the class declares.
//!
//! `@ToString`, `@EqualsAndHashCode` and the like without options are marks that the machine knows (`machine::marks`).

use std::fmt::Write as _;
use std::rc::Rc;

use super::delegate;
use crate::ast::{
    Annotation, Block, Class, Constant, Expr, ExprKind, Field, LocalTarget, Method, Script, Stmt, StmtKind, Text,
    TypeRef,
};
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// The modifier of a method that an annotation has made: no word of a program has parentheses.
pub(super) const GENERATED: &str = "(generated)";

/// Annotations that are looked at here.
const KNOWN: &[&str] = &[
    "AutoClone",
    "Builder",
    "Canonical",
    "Category",
    "Delegate",
    "EqualsAndHashCode",
    "Immutable",
    "IndexedProperty",
    "Lazy",
    "Memoized",
    "Sortable",
    "ToString",
    "TupleConstructor",
];

/// Most code that annotations add to a script, in bytes: what is delegated to a class is written once for each that delegates to it.
const MADE_MAX: usize = 512 << 10;

/// Most comparisons of a delegated method with others, in a script.
const WORK_MAX: usize = 2_000_000;
/// Most characters of an option's text, and of the name of a class that has such annotations: what is made has them for each member.
const TEXT_MAX: usize = 200;
/// Most names in a list of an option.
const NAMES_MAX: usize = 1000;

/// What the annotations of a script may still make.
pub(super) struct Left {
    /// In bytes.
    pub(super) code: usize,
    /// In comparisons.
    pub(super) work: usize,
}

/// A script with the members that annotations add; `None`: there are none.
///
/// # Errors
/// They would add more than [`MADE_MAX`], or take more than [`WORK_MAX`] to find out.
pub(super) fn expand(script: &Script) -> Result<Option<Script>, Diagnostic> {
    let memoized = |m: &Rc<Method>| annotation(&m.modifiers.annotations, "Memoized").is_some();
    if !script.classes.iter().any(|c| wants(c)) && !script.methods.iter().any(memoized) {
        return Ok(None);
    }
    let mut left = Left { code: MADE_MAX, work: WORK_MAX };
    let mut out = script.clone();
    let package = script.package.as_ref().map_or(String::new(), |(package, _)| format!("{package}."));
    for class in &mut out.classes {
        let full = format!("{package}{}", class.name);
        expand_class(Rc::make_mut(class), &full, script, &mut left)?;
    }
    let mut added = Class { methods: std::mem::take(&mut out.methods), ..Class::clone(&parsed("")) };
    let fields = memoize(&mut added);
    out.methods = added.methods;
    let text: String = fields.iter().map(|name| format!("@groovy.transform.Field Map {name} = [:]\n")).collect();
    let mut stmts = crate::parser::parse(&text).script.body;
    stmts.iter_mut().for_each(|stmt| place(stmt, Span::default()));
    out.body.splice(0..0, stmts);
    Ok(Some(out))
}

/// Whether a class, or one within it, has an annotation that adds something.
fn wants(class: &Class) -> bool {
    let known = |all: &[Annotation]| all.iter().any(|a| KNOWN.contains(&simple(&a.name)));
    known(&class.modifiers.annotations)
        || class.fields.iter().any(|f| known(&f.modifiers.annotations))
        || class.methods.iter().any(|m| known(&m.modifiers.annotations))
        || class.classes.iter().any(|c| wants(c))
}

fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The annotation of that name.
pub(super) fn annotation<'a>(all: &'a [Annotation], name: &str) -> Option<&'a Annotation> {
    all.iter().find(|a| simple(&a.name) == name)
}

/// An argument of an annotation.
fn argument<'a>(of: &'a Annotation, name: &str) -> Option<&'a Expr> {
    of.args.iter().find(|(n, _)| **n == *name).map(|(_, value)| value)
}

fn text(expr: &Expr) -> Option<String> {
    match &*expr.kind {
        ExprKind::Constant(Constant::Str(text)) => Some(text.to_string()),
        ExprKind::Name(name) => Some(name.to_string()),
        ExprKind::Property { member: crate::ast::Member::Name(name, _), .. } => Some(name.to_string()),
        _ => None,
    }
}

/// An argument that is a text, or the name of a class.
fn word(of: &Annotation, name: &str) -> Option<String> {
    argument(of, name).and_then(text).filter(|text| text.len() <= TEXT_MAX)
}

/// An argument that is a yes or no.
pub(super) fn flag(of: &Annotation, name: &str) -> Option<bool> {
    match argument(of, name).map(|e| &*e.kind) {
        Some(ExprKind::Constant(Constant::Bool(yes))) => Some(*yes),
        _ => None,
    }
}

/// An argument that is a number.
fn count(of: &Annotation, name: &str) -> Option<i32> {
    match argument(of, name).map(|e| &*e.kind) {
        Some(ExprKind::Constant(Constant::Int(n))) => Some(*n),
        _ => None,
    }
}

/// Names in a list of an annotation, or in a text with commas.
pub(super) fn names(of: &Annotation, name: &str) -> Option<Vec<String>> {
    let value = argument(of, name)?;
    Some(match &*value.kind {
        ExprKind::List(items) => {
            let item = |arg: &crate::ast::Arg| match arg {
                crate::ast::Arg::Positional(e) => text(e),
                _ => None,
            };
            items.iter().take(NAMES_MAX).filter_map(item).collect()
        }
        _ => text(value)?.split(',').take(NAMES_MAX).map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).collect(),
    })
}

/// Whether `includes` and `excludes` let a name be.
pub(super) fn includes(of: &Annotation, name: &str) -> bool {
    let among = |list: &str| names(of, list).map(|all| all.iter().any(|n| n == name));
    among("includes").unwrap_or(true) && !among("excludes").unwrap_or(false)
}

pub(super) fn has(words: &[Text], word: &str) -> bool {
    words.iter().any(|w| &**w == word)
}

/// Whether a field is a property: no word says who may see it.
pub(super) fn is_property(field: &Field) -> bool {
    let words = &field.modifiers.words;
    !["static", "private", "protected", "public"].iter().any(|w| has(words, w))
}

/// `first` as in `getFirst`.
pub(super) fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// A type as written, with a space behind it; `def` where none was.
pub(super) fn written(ty: Option<&TypeRef>) -> String {
    ty.map_or("def ".into(), |t| format!("{}{} ", t.name, "[]".repeat(t.dimensions as usize)))
}

/// Members as the parser reads them in a class.
fn parsed(members: &str) -> Rc<Class> {
    parsed_in("Made", members)
}

fn parsed_in(name: &str, members: &str) -> Rc<Class> {
    let script = crate::parser::parse(&format!("class {name} {{\n{members}\n}}")).script;
    script.classes.first().cloned().unwrap_or_else(|| parsed_in("Made", ""))
}

/// Puts members beside those that a class declares, as if they stood where the class does.
fn add(class: &mut Class, members: &str) {
    if members.is_empty() {
        return;
    }
    let span = class.span;
    let mut made = Class::clone(&parsed_in(&class.name, members));
    settle(&mut made, span);
    class.methods.append(&mut made.methods);
    class.fields.append(&mut made.fields);
    class.classes.append(&mut made.classes);
}

/// Marks what was made, and gives it a place that the program has.
fn settle(made: &mut Class, span: Span) {
    made.span = span;
    for method in &mut made.methods {
        let method = Rc::make_mut(method);
        method.modifiers.words.push(GENERATED.into());
        (method.span, method.name_span) = (span, span);
    }
    for field in &mut made.fields {
        field.span = span;
        field.init.iter_mut().for_each(|e| e.span = span);
    }
    for inner in &mut made.classes {
        settle(Rc::make_mut(inner), span);
    }
}

/// The same for a declaration of a variable.
fn place(stmt: &mut Stmt, span: Span) {
    stmt.span = span;
    let StmtKind::Local(local) = &mut stmt.kind else { return };
    let LocalTarget::Names(names) = &mut local.target else { return };
    for declarator in names {
        declarator.span = span;
        declarator.init.iter_mut().for_each(|e| e.span = span);
    }
}

fn expand_class(class: &mut Class, full: &str, script: &Script, left: &mut Left) -> Result<(), Diagnostic> {
    for inner in &mut class.classes {
        let full = format!("{full}${}", inner.name);
        expand_class(Rc::make_mut(inner), &full, script, left)?;
    }
    if !wants(class) {
        return Ok(());
    }
    if class.name.len() > TEXT_MAX {
        let text = format!("a class with annotations that write code has a name of at most {TEXT_MAX} bytes");
        return Err(Diagnostic::error(class.span, text));
    }
    let interface = |name: &str| TypeRef { name: name.into(), args: Vec::new(), dimensions: 0, span: class.span };
    let all = class.modifiers.annotations.clone();
    let mut members = String::new();
    if let Some(sortable) = annotation(&all, "Sortable") {
        sort(class, sortable, &mut members);
        class.implements.push(interface("java.lang.Comparable"));
    }
    if annotation(&all, "AutoClone").is_some() {
        class.implements.push(interface("java.lang.Cloneable"));
    }
    if let Some(builder) = annotation(&all, "Builder") {
        build(class, builder, &mut members);
    }
    if let Some(of) = annotation(&all, "Category").and_then(|c| word(c, "value")) {
        let _ = writeln!(members, "static final $category = {of}");
    }
    for (name, write) in
        [("ToString", show as fn(&Class, &str, &Annotation, &mut String)), ("EqualsAndHashCode", equal)]
    {
        let options = [name, "Canonical"].iter().find_map(|n| annotation(&all, n)).filter(|a| !a.args.is_empty());
        if let Some(options) = options {
            write(class, full, options, &mut members);
        }
    }
    if let Some(tuple) = annotation(&all, "TupleConstructor").filter(|a| !a.args.is_empty()) {
        let fields = class.fields.iter().filter(|f| is_property(f) && includes(tuple, &f.name));
        let (params, sets): (Vec<_>, Vec<_>) = fields
            .map(|f| {
                (format!("{}{} = {}", written(f.ty.as_ref()), f.name, nothing(f)), format!("this.{0} = {0}", f.name))
            })
            .unzip();
        let _ = writeln!(members, "{}({}) {{ {} }}", class.name, params.join(", "), sets.join("; "));
    }
    // With options it is methods; the mark would be all fields.
    class.modifiers.annotations.retain(|a| {
        a.args.is_empty() || !["ToString", "EqualsAndHashCode", "TupleConstructor"].contains(&simple(&a.name))
    });
    indexed(class, &mut members);
    if let Some(immutable) = annotation(&all, "Immutable") {
        super::immutable::write(class, immutable, &mut members);
    }
    let interfaces = delegate::write(class, script, &mut members, left);
    let code = left.code.checked_sub(members.len()).filter(|_| left.work > 0);
    left.code = code.ok_or_else(|| {
        let text =
            format!("annotations of this class and those before it make more than {} KiB of code", MADE_MAX >> 10);
        Diagnostic::error(class.span, text)
    })?;
    class.implements.extend(interfaces.iter().map(|name| interface(name)));
    add(class, &members);
    keep_values(class);
    lazy(class);
    for name in memoize(class) {
        let word = if name.starts_with("$static") { "static " } else { "" };
        add(class, &format!("private {word}Map {name} = [:]"));
    }
    Ok(())
}

/// A constructor that was made gives what the program has given a field, where nothing else is given.
fn keep_values(class: &mut Class) {
    let (name, fields) = (class.name.clone(), class.fields.clone());
    for method in class.methods.iter_mut().filter(|m| m.name == name && has(&m.modifiers.words, GENERATED)) {
        for param in &mut Rc::make_mut(method).params {
            if let Some(init) = fields.iter().find(|f| f.name == param.name).and_then(|f| f.init.clone()) {
                param.default = Some(init);
            }
        }
    }
}

/// What a field has that nothing was given for.
fn nothing(field: &Field) -> &'static str {
    match field.ty.as_ref().filter(|t| t.dimensions == 0).map(|t| &*t.name) {
        Some("boolean") => "false",
        Some("byte" | "char" | "short" | "int" | "long" | "float" | "double") => "0",
        _ => "null",
    }
}

fn sort(class: &Class, of: &Annotation, out: &mut String) {
    let fields: Vec<&Field> = class.fields.iter().filter(|f| is_property(f) && includes(of, &f.name)).collect();
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

fn build(class: &Class, of: &Annotation, out: &mut String) {
    let name = &class.name;
    let fields: Vec<&Field> = class.fields.iter().filter(|f| is_property(f) && includes(of, &f.name)).collect();
    let setter = |prefix: &str, field: &str| match prefix {
        "" => field.to_string(),
        prefix => format!("{prefix}{}", capital(field)),
    };
    let simple = word(of, "builderStrategy").is_some_and(|s| s.ends_with("SimpleStrategy"));
    let prefix = word(of, "prefix").unwrap_or_else(|| if simple { "set".into() } else { String::new() });
    let setters = |of: &str| -> String {
        let set = |f: &&Field| {
            let ty = written(f.ty.as_ref());
            format!("{of} {}({ty}{1}) {{ this.{1} = {1}; this }}\n", setter(&prefix, &f.name), f.name)
        };
        fields.iter().map(set).collect()
    };
    if simple {
        *out += &setters(name);
        return;
    }
    let made = word(of, "builderClassName").unwrap_or_else(|| format!("{name}Builder"));
    let (begin, end) = (word(of, "builderMethodName"), word(of, "buildMethodName"));
    let (begin, end) = (begin.unwrap_or("builder".into()), end.unwrap_or("build".into()));
    let held: String = fields.iter().map(|f| format!("private {}{}\n", written(f.ty.as_ref()), f.name)).collect();
    let given: String = fields.iter().map(|f| format!("made.{0} = this.{0}\n", f.name)).collect();
    let _ = writeln!(out, "static {made} {begin}() {{ new {made}() }}");
    let _ = writeln!(out, "static class {made} {{ {held}{}", setters(&made));
    let _ = writeln!(out, "{name} {end}() {{ def made = new {name}()\n{given} made }} }}");
}

/// What `@ToString` and `@EqualsAndHashCode` look at.
fn looked_at<'a>(class: &'a Class, of: &Annotation) -> Vec<&'a Field> {
    let fields = flag(of, "includeFields").unwrap_or(false);
    let own = |f: &&Field| !is_property(f) && fields && !has(&f.modifiers.words, "static");
    let properties = class.fields.iter().filter(|f| is_property(f));
    properties.chain(class.fields.iter().filter(own)).filter(|f| includes(of, &f.name)).collect()
}

fn show(class: &Class, full: &str, of: &Annotation, out: &mut String) {
    let (with_names, skips_null) = (flag(of, "includeNames"), flag(of, "ignoreNulls"));
    let name = if flag(of, "includePackage").unwrap_or(true) { full } else { simple(full) };
    let mut code = String::from("def parts = []\n");
    for field in looked_at(class, of) {
        let label = if with_names.unwrap_or(false) { format!("{}:", field.name) } else { String::new() };
        let unless =
            if skips_null.unwrap_or(false) { format!("if (this.{} != null) ", field.name) } else { String::new() };
        let _ = writeln!(code, "{unless}parts << '{label}' + String.valueOf((Object) this.{})", field.name);
    }
    if flag(of, "includeSuper").unwrap_or(false) {
        let label = if with_names.unwrap_or(false) { "super:" } else { "" };
        let _ = writeln!(code, "parts << '{label}' + super.toString()");
    }
    let _ = writeln!(out, "String toString() {{ {code} '{name}(' + parts.join(', ') + ')' }}");
}

fn equal(class: &Class, _full: &str, of: &Annotation, out: &mut String) {
    let (mut same, mut hash) = (String::new(), String::new());
    if flag(of, "callSuper").unwrap_or(false) {
        same += "if (!super.equals(other)) return false\n";
        hash += "hash = 31 * hash + super.hashCode()\n";
    }
    for field in looked_at(class, of) {
        let _ = writeln!(same, "if (this.{0} != other.{0}) return false", field.name);
        let _ = writeln!(hash, "hash = 31 * hash + (this.{0} == null ? 0 : this.{0}.hashCode())", field.name);
    }
    let first = format!("if (this.is(other)) return true\nif (!(other instanceof {})) return false", class.name);
    let _ = writeln!(out, "boolean equals(Object other) {{ {first}\n{same} true }}");
    let _ = writeln!(out, "int hashCode() {{ int hash = 127\n{hash} hash }}");
}

fn indexed(class: &Class, out: &mut String) {
    for field in &class.fields {
        if annotation(&field.modifiers.annotations, "IndexedProperty").is_some() {
            let capital = capital(&field.name);
            let _ = writeln!(out, "def get{capital}(int index) {{ this.{}[index] }}", field.name);
            let _ = writeln!(out, "void set{capital}(int index, value) {{ this.{}[index] = value }}", field.name);
        }
    }
}

/// A lazy field is a hidden one with a getter that sets it.
fn lazy(class: &mut Class) {
    let is_lazy = |f: &Field| annotation(&f.modifiers.annotations, "Lazy").is_some();
    for at in 0..class.fields.len() {
        let field = &mut class.fields[at];
        if !is_lazy(field) {
            continue;
        }
        let (name, ty) = (field.name.clone(), written(field.ty.as_ref()));
        let word = if has(&field.modifiers.words, "static") { "static " } else { "" };
        field.name = format!("${name}").into();
        // A number has no state in which it is not known.
        field.ty = field.ty.take().filter(|t| t.dimensions > 0 || !crate::value::is_primitive(&t.name));
        let init = field.init.take();
        let (first, capital) = (format!("$first{}", capital(&name)), capital(&name));
        let bare = format!("new {}()", ty.trim());
        add(class, &format!("{word}{ty}get{capital}() {{ if (${name} == null) ${name} = {first}(); ${name} }}"));
        add(class, &format!("private {word}def {first}() {{ {} }}", if init.is_some() { "null" } else { &bare }));
        // What the program wrote keeps its place.
        if let (Some(init), Some(method)) = (init, class.methods.last_mut()) {
            let method = Rc::make_mut(method);
            let span = init.span;
            method.modifiers.words.retain(|w| &**w != GENERATED);
            method.body =
                Some(Block { stmts: vec![Stmt { labels: Vec::new(), kind: StmtKind::Expr(init), span }], span });
        }
    }
}

/// A memoized method gets another name, and one in front that remembers its answers. Answers the names of the fields that they need.
fn memoize(class: &mut Class) -> Vec<String> {
    let mut fields = Vec::new();
    for at in 0..class.methods.len() {
        let method = &class.methods[at];
        if annotation(&method.modifiers.annotations, "Memoized").is_none() || method.body.is_none() {
            continue;
        }
        let words = &method.modifiers.words;
        let word = if has(words, "static") { "static " } else { "" };
        let inner = format!("memoizedMethodPriv${}${at}", method.name);
        let field = format!("${}memo{at}", word.trim());
        let given: Vec<String> = method.params.iter().map(|p| p.name.to_string()).collect();
        let given = given.join(", ");
        let most = annotation(&method.modifiers.annotations, "Memoized").and_then(|of| count(of, "maxCacheSize"));
        // Of a number of answers those that were asked for last are kept.
        let (held, room) = match most.filter(|most| *most > 0) {
            Some(most) => (
                format!("def $held = {field}.remove($key); {field}.put($key, $held); return $held"),
                format!("if ({field}.size() >= {most}) for ($one in {field}) {{ {field}.remove($one.key); break }}\n"),
            ),
            None => (format!("return {field}.get($key)"), String::new()),
        };
        let code = format!(
            "{word}def made() {{ def $key = [{given}].$memoKey()\nif ({field}.containsKey($key)) {{ {held} }}\ndef $made = {inner}({given})\n{room}{field}.put($key, $made)\n$made }}"
        );
        let mut front = Class::clone(&parsed(&code));
        settle(&mut front, method.span);
        let Some(made) = front.methods.pop() else { continue };
        let (mut made, hidden) = (Method::clone(&made), Rc::make_mut(&mut class.methods[at]));
        made.name = std::mem::replace(&mut hidden.name, inner.into());
        made.params = hidden.params.clone();
        made.return_type = hidden.return_type.clone();
        class.methods.push(Rc::new(made));
        fields.push(field);
    }
    fields
}
