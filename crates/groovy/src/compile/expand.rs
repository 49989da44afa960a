//! Annotations that give a class members: `@Sortable`, `@Builder`, `@Memoized`, `@Lazy`, `@Delegate` and their like. What Groovy's
//! transformations write into a class is written here as Groovy, parsed, and put beside what the class declares.
//!
//! `@ToString`, `@EqualsAndHashCode` and the like without options are marks that the machine knows (`machine::marks`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;

use indexmap::IndexSet;

use super::{builders, data_class, delegate};
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
    "Log",
    "Memoized",
    "Sortable",
    "ToString",
    "TupleConstructor",
];

/// Most code that annotations add to a script, in bytes: what is delegated to a class is written once for each that delegates to it.
const MADE_MAX: usize = 512 << 10;

/// Most steps that it may take to find out what annotations add to a script: one for each member that is looked at, each comparison of
/// two methods, and each few bytes of text. A second of them, in a slow machine.
const WORK_MAX: usize = 2_000_000;
/// Most characters of an option's text, and of the name of a class that has such annotations: what is made has them for each member.
const TEXT_MAX: usize = 200;

/// What the annotations of a script may still make.
pub(super) struct Left {
    /// In bytes.
    pub(super) code: usize,
    /// In steps.
    pub(super) work: usize,
}

impl Left {
    /// Pays steps; whether there were that many.
    pub(super) fn pay(&mut self, steps: usize) -> bool {
        let enough = steps < self.work;
        self.work = self.work.saturating_sub(steps);
        enough
    }
}

/// The classes of a script by their simple names: of several the outermost, and of those the last.
pub(super) struct Declared<'a> {
    classes: HashMap<&'a str, &'a Class>,
    /// Names of classes whose `equals` a child's calls.
    asked: HashSet<&'a str>,
}

impl<'a> Declared<'a> {
    fn of(script: &'a Script) -> Declared<'a> {
        let (mut classes, mut asked) = (HashMap::new(), HashSet::new());
        let mut pending: VecDeque<&Class> = script.classes.iter().rev().map(|c| &**c).collect();
        while let Some(class) = pending.pop_front() {
            classes.entry(&*class.name).or_insert(class);
            if annotation(&class.modifiers.annotations, "EqualsAndHashCode").is_some_and(|of| !of.args.is_empty()) {
                asked.extend(class.extends.iter().map(|t| simple(&t.name)));
            }
            pending.extend(class.classes.iter().map(|c| &**c));
        }
        Declared { classes, asked }
    }

    /// The class that a name means.
    pub(super) fn get(&self, name: &str) -> Option<&'a Class> {
        self.classes.get(simple(name)).copied()
    }

    /// Whether a child of that class may call its `equals`.
    pub(super) fn is_asked(&self, name: &str) -> bool {
        self.asked.contains(name)
    }
}

/// A script with the members that annotations add; `None`: there are none.
///
/// # Errors
/// They would add more than [`MADE_MAX`], or take more than [`WORK_MAX`] to find out.
pub(crate) fn expand(script: &Script) -> Result<Option<Script>, Diagnostic> {
    let memoized = |m: &Rc<Method>| annotation(&m.modifiers.annotations, "Memoized").is_some();
    if !script.classes.iter().any(|c| wants(c)) && !script.methods.iter().any(memoized) {
        return Ok(None);
    }
    let mut left = Left { code: MADE_MAX, work: WORK_MAX };
    let declared = Declared::of(script);
    let mut out = script.clone();
    let package = script.package.as_ref().map_or(String::new(), |(package, _)| format!("{package}."));
    for class in &mut out.classes {
        let full = format!("{package}{}", class.name);
        expand_class(Rc::make_mut(class), &full, &declared, &mut left)?;
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

pub(super) fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The annotation of that name.
pub(super) fn annotation<'a>(all: &'a [Annotation], name: &str) -> Option<&'a Annotation> {
    all.iter().find(|a| simple(&a.name) == name)
}

/// An argument of an annotation.
pub(super) fn argument<'a>(of: &'a Annotation, name: &str) -> Option<&'a Expr> {
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
pub(super) fn word(of: &Annotation, name: &str) -> Option<String> {
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
            items.iter().filter_map(item).collect()
        }
        _ => text(value)?.split(',').map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).collect(),
    })
}

/// What `includes` and `excludes` of an annotation say of names.
pub(super) struct Chosen {
    includes: Option<IndexSet<String>>,
    excludes: HashSet<String>,
}

impl Chosen {
    pub(super) fn of(of: &Annotation) -> Chosen {
        let includes = names(of, "includes").map(|all| all.into_iter().collect());
        Chosen { includes, excludes: names(of, "excludes").into_iter().flatten().collect() }
    }

    /// Whether they let a name be.
    pub(super) fn lets(&self, name: &str) -> bool {
        self.includes.as_ref().is_none_or(|all| all.contains(name)) && !self.excludes.contains(name)
    }

    /// Where a name stands in `includes`.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.includes.as_ref()?.get_index_of(name)
    }
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

fn expand_class(class: &mut Class, full: &str, declared: &Declared<'_>, left: &mut Left) -> Result<(), Diagnostic> {
    for inner in &mut class.classes {
        let full = format!("{full}${}", inner.name);
        expand_class(Rc::make_mut(inner), &full, declared, left)?;
    }
    if !wants(class) {
        return Ok(());
    }
    if class.name.len() > TEXT_MAX {
        let text = format!("a class with annotations that write code has a name of at most {TEXT_MAX} bytes");
        return Err(Diagnostic::error(class.span, text));
    }
    let span = class.span;
    let interface = |name: &str| TypeRef { name: name.into(), args: Vec::new(), dimensions: 0, span };
    let all = class.modifiers.annotations.clone();
    let mut members = String::new();
    if let Some(sortable) = annotation(&all, "Sortable") {
        data_class::sort(class, sortable, &mut members);
        class.implements.push(interface("java.lang.Comparable"));
    }
    if annotation(&all, "AutoClone").is_some() {
        class.implements.push(interface("java.lang.Cloneable"));
    }
    builders::write(class, declared, &mut members, left);
    if let Some(of) = annotation(&all, "Category").and_then(|c| word(c, "value")) {
        let _ = writeln!(members, "static final $category = {of}");
    }
    if let Some(log) = annotation(&all, "Log") {
        let name = word(log, "value").unwrap_or_else(|| "log".into());
        let made = format!("java.util.logging.Logger.getLogger('{full}')");
        let _ = writeln!(members, "private static final java.util.logging.Logger {name} = {made}");
    }
    let given = data_class::write(class, full, declared, &mut members, left);
    indexed(class, &mut members);
    if let Some(immutable) = annotation(&all, "Immutable") {
        super::immutable::write(class, immutable, &mut members);
    }
    let interfaces = delegate::write(class, declared, &mut members, left);
    if left.work == 0 {
        let text =
            format!("what annotations of this class and those before it add takes more than {WORK_MAX} steps to find");
        return Err(Diagnostic::error(class.span, text));
    }
    left.code = left.code.checked_sub(members.len()).ok_or_else(|| {
        let text =
            format!("annotations of this class and those before it make more than {} KiB of code", MADE_MAX >> 10);
        Diagnostic::error(class.span, text)
    })?;
    class.implements.extend(interfaces.iter().map(|name| interface(name)));
    add(class, &members);
    data_class::give(class, &given);
    lazy(class);
    for name in memoize(class) {
        let word = if name.starts_with("$static") { "static " } else { "" };
        add(class, &format!("private {word}Map {name} = [:]"));
    }
    Ok(())
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
