//! Text of values: Groovy's `toString()` and `inspect()`, with an explicit stack, a limit, and a way to ask the script.

use std::rc::Rc;

use super::{Class, Native, Value};

/// Longest text that [`plain`] makes; the rest is cut. Scripts have their own limit.
const PLAIN_MAX: usize = 64 << 20;

/// Steps that [`plain`] takes at most, and after how many they are counted.
const PLAIN_STEPS: usize = 1_000_000;
const STEPS_A_TIME: usize = 4096;

/// How texts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `[a, b]`, `[k:v]`
    Groovy,
    /// `['a', 'b']`
    Inspect,
    /// `{k=v}`: what Java code makes of a map. What json-lib has read is JSON.
    Java,
}

/// Why a text could not be made.
#[derive(Debug)]
pub(crate) enum RenderStop {
    /// Longer than the limit.
    TooLong,
    /// More steps than there may be.
    TooMuch,
    /// A method of the script must answer first: `toString` of an object, or a closure in a GString.
    Ask(Value),
}

/// The collections that are being written, to notice one that contains itself.
#[derive(Default)]
struct Path {
    order: Vec<usize>,
    known: std::collections::HashSet<usize>,
}

impl Path {
    fn address(value: &Value) -> usize {
        match value {
            Value::List(l) => Rc::as_ptr(l) as usize,
            Value::Map(m) | Value::Set(m) => Rc::as_ptr(m) as usize,
            Value::Entry(e) => Rc::as_ptr(e) as usize,
            _ => 0,
        }
    }

    fn has(&self, value: &Value) -> bool {
        let address = Path::address(value);
        address != 0 && self.known.contains(&address)
    }

    fn enter(&mut self, value: &Value) {
        let address = Path::address(value);
        self.order.push(address);
        self.known.insert(address);
    }

    fn leave(&mut self) {
        if let Some(address) = self.order.pop() {
            self.known.remove(&address);
        }
    }
}

enum Task {
    Value(Value),
    Text(&'static str),
    Raw(super::Str),
    Leave,
    /// What comes next looks so.
    Look(Style),
}

/// Renders with `known` answering for values that need the script.
pub(crate) fn render(
    value: &Value,
    style: Style,
    limit: usize,
    steps: usize,
    known: &dyn Fn(&Value) -> Option<Value>,
) -> Result<String, RenderStop> {
    let mut out = String::new();
    let mut path = Path::default();
    let mut work = vec![Task::Value(value.clone())];
    let (mut taken, mut style) = (0, style);
    while let Some(task) = work.pop() {
        taken += 1;
        if taken % STEPS_A_TIME == 0 {
            super::Meter::work(STEPS_A_TIME / 2);
            if taken / 2 > steps {
                return Err(RenderStop::TooMuch);
            }
        }
        match task {
            Task::Text(text) => out.push_str(text),
            Task::Raw(text) => out.push_str(&text),
            Task::Leave => path.leave(),
            Task::Look(next) => style = next,
            Task::Value(value) => one(&value, (style, limit), known, &mut path, &mut work, &mut out)?,
        }
        if out.len() > limit || work.len() > limit {
            return Err(RenderStop::TooLong);
        }
    }
    super::Meter::work(taken % STEPS_A_TIME / 16 + out.len() / 256);
    Ok(out)
}

fn one(
    value: &Value,
    (style, limit): (Style, usize),
    known: &dyn Fn(&Value) -> Option<Value>,
    path: &mut Path,
    work: &mut Vec<Task>,
    out: &mut String,
) -> Result<(), RenderStop> {
    if leaf(value, style, out) {
        return Ok(());
    }
    if path.has(value) {
        out.push_str(if matches!(value, Value::Map(_)) { "(this Map)" } else { "(this Collection)" });
        return Ok(());
    }
    if style == Style::Java && super::json::is_json(value) {
        let room = PLAIN_MAX.min(limit).saturating_sub(out.len());
        out.push_str(&super::json::text(value, 0, room).map_err(|super::json::TooLarge| RenderStop::TooLong)?);
        return Ok(());
    }
    let mut tasks = Vec::new();
    match value {
        Value::List(_) | Value::Set(_) | Value::Range(_) => {
            if let Value::Range(r) = value
                && r.size() > 1_000_000
            {
                return Err(RenderStop::TooLong);
            }
            match value {
                // Inside of something a range says how it was written.
                Value::Range(r) if style == Style::Java || !path.order.is_empty() => out.push_str(&r.java_text()),
                _ => list_tasks(value.items().unwrap_or_default(), &mut tasks),
            }
        }
        Value::Map(m) => map_tasks(m, style, &mut tasks),
        Value::Entry(e) => {
            let alone = style == Style::Inspect && path.order.is_empty();
            // Inside of something it says its text itself.
            let within = if style == Style::Inspect && !alone { Style::Java } else { style };
            tasks.push(Task::Look(within));
            tasks.push(Task::Value(e.key.clone()));
            tasks.push(Task::Text(if alone { ":" } else { "=" }));
            tasks.push(Task::Value(e.value.borrow().clone()));
            tasks.push(Task::Look(style));
        }
        Value::GString(g) => {
            if g.texts.len() == 1 {
                out.push_str(&g.texts[0]);
            }
            // Java asks it for its text, and that is Groovy's.
            if style == Style::Java {
                work.push(Task::Look(style));
            }
            gstring(value, known, work)?;
            if style == Style::Java {
                work.push(Task::Look(Style::Groovy));
            }
            return Ok(());
        }
        Value::Object(o) => return object(value, o, known, work, out),
        other => out.push_str(&identity(other)),
    }
    if !tasks.is_empty() {
        path.enter(value);
        work.push(Task::Leave);
        work.extend(tasks.into_iter().rev());
    }
    Ok(())
}

fn list_tasks(items: Vec<Value>, tasks: &mut Vec<Task>) {
    tasks.push(Task::Text("["));
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            tasks.push(Task::Text(", "));
        }
        tasks.push(Task::Value(item));
    }
    tasks.push(Task::Text("]"));
}

fn map_tasks(map: &super::Map, style: Style, tasks: &mut Vec<Task>) {
    let (open, between, close) = if style == Style::Java { ("{", "=", "}") } else { ("[", ":", "]") };
    if map.is_empty() {
        tasks.push(Task::Text(if style == Style::Java { "{}" } else { "[:]" }));
        return;
    }
    tasks.push(Task::Text(open));
    for (i, (key, value)) in map.entries().iter().enumerate() {
        if i > 0 {
            tasks.push(Task::Text(", "));
        }
        tasks.extend([Task::Value(key.0.clone()), Task::Text(between), Task::Value(value.clone())]);
    }
    tasks.push(Task::Text(close));
}

fn gstring(value: &Value, known: &dyn Fn(&Value) -> Option<Value>, work: &mut Vec<Task>) -> Result<(), RenderStop> {
    let Value::GString(g) = value else { return Ok(()) };
    if g.texts.len() == 1 {
        return Ok(());
    }
    // The texts are not static: what precedes the first value is written now, the rest goes through values.
    let mut tasks = Vec::new();
    for (i, text) in g.texts.iter().enumerate() {
        if !text.is_empty() {
            tasks.push(Task::Raw(text.clone()));
        }
        if let Some(value) = g.values.get(i) {
            let value = match value {
                Value::Closure(_) => known(value).ok_or_else(|| RenderStop::Ask(value.clone()))?,
                other => other.clone(),
            };
            match value {
                Value::Str(text) => tasks.push(Task::Raw(text)),
                // A string with a range in it says its items, also where the string itself is inside of something.
                Value::Range(r) if r.size() > 1_000_000 => return Err(RenderStop::TooLong),
                Value::Range(r) => tasks.push(Task::Value(Value::list(r.iter().collect()))),
                other => tasks.push(Task::Value(other)),
            }
        }
    }
    work.extend(tasks.into_iter().rev());
    Ok(())
}

fn object(
    value: &Value,
    o: &Rc<super::Object>,
    known: &dyn Fn(&Value) -> Option<Value>,
    work: &mut Vec<Task>,
    out: &mut String,
) -> Result<(), RenderStop> {
    let of_code = || o.class.is_of_code() && o.as_map().is_some_and(|code| code.has(&Value::str("toString")));
    // Groovy writes what is in a list, whatever its class says.
    let has_text = o.class.script.is_some() && o.class.has_method("toString") && o.as_list().is_none() || of_code();
    if has_text || o.message_method().is_some() {
        let text = known(value).ok_or_else(|| RenderStop::Ask(value.clone()))?;
        if !has_text {
            out.push_str(&o.class.name);
            if text.is_null() {
                return Ok(());
            }
            out.push_str(": ");
        }
        match text {
            // As it is: only what is a string itself is quoted.
            Value::Str(text) => out.push_str(&text),
            Value::Object(_) => {}
            other => work.push(Task::Value(other)),
        }
        return Ok(());
    }
    if o.marked(super::SHOWS_FIELDS) {
        out.push_str(&o.class.simple_name());
        let mut tasks = vec![Task::Text("(")];
        for (i, value) in o.field_values().into_iter().enumerate() {
            if i > 0 {
                tasks.push(Task::Text(", "));
            }
            tasks.push(Task::Value(value));
        }
        tasks.push(Task::Text(")"));
        work.extend(tasks.into_iter().rev());
        return Ok(());
    }
    match &*o.native.borrow() {
        Native::Throwable(t) if !o.class.is_throwable() && !t.message.is_null() => {
            work.push(Task::Value(t.message.clone()));
        }
        Native::Throwable(t) => {
            out.push_str(&o.class.name);
            if !t.message.is_null() {
                out.push_str(": ");
                work.push(Task::Value(t.message.clone()));
            }
        }
        Native::Map(m) => work.push(Task::Value(Value::Map(m.clone()))),
        Native::List(l) => work.push(Task::Value(Value::List(l.clone()))),
        Native::Java(java) if &*o.class.name == "java.sql.Timestamp" => {
            out.push_str(&java.timestamp_text().unwrap_or_else(|| identity(value)));
        }
        Native::Java(java) => out.push_str(&java.text().unwrap_or_else(|| identity(value))),
        _ => match o.field("$name") {
            Some(name) => work.push(Task::Value(name)),
            None => out.push_str(&identity(value)),
        },
    }
    Ok(())
}

/// `Class@id`, or what the host calls it. The id is the same in every run, so it says nothing.
fn identity(value: &Value) -> String {
    match value {
        Value::Host(host) if let Some(text) = host.text => text.to_owned(),
        _ => format!("{}@1", value.type_name()),
    }
}

/// Writing a large number in decimal takes longer than its digits.
fn digits_work(n: &num_bigint::BigInt) {
    let words = n.bits() as usize / 64;
    super::Meter::work(words * words / 64);
}

fn leaf(value: &Value, style: Style, out: &mut String) -> bool {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Char(c) => out.push_str(&Value::unit_text(*c)),
        Value::Byte(n) => out.push_str(&n.to_string()),
        Value::Short(n) => out.push_str(&n.to_string()),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Long(n) => out.push_str(&n.to_string()),
        Value::Float(n) => out.push_str(&float_text(*n)),
        Value::Double(n) => out.push_str(&double_text(*n)),
        Value::BigInt(n) => {
            digits_work(n);
            out.push_str(&n.to_string());
        }
        Value::Decimal(n) => {
            digits_work(n.unscaled());
            out.push_str(&n.to_string());
        }
        Value::Str(s) if style == Style::Inspect => quote(s, out),
        Value::Str(s) => out.push_str(s),
        Value::Class(c) => out.push_str(&class_text(c)),
        Value::Pattern(p) => out.push_str(&p.source),
        Value::Buffer(b) => out.push_str(&b.text.borrow()),
        Value::Matcher(m) => {
            let size = m.text.units();
            out.push_str(&format!("java.util.regex.Matcher[pattern={} region=0,{size} lastmatch=]", m.pattern.source));
        }
        _ => return false,
    }
    true
}

fn class_text(class: &Class) -> String {
    match &class.script {
        Some(s) if s.kind == crate::ast::ClassKind::Interface => format!("interface {}", class.name),
        None if super::class_names::is_interface(&class.name) => format!("interface {}", class.name),
        None if super::class_names::is_primitive(&class.name) => class.name.to_string(),
        _ => format!("class {}", class.name),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('\'');
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            _ => out.push(c),
        }
    }
    out.push('\'');
}

impl Value {
    /// Whether only methods of the script know the text, which [`Value::to_text`] does not ask.
    pub fn asks_text(&self) -> bool {
        matches!(render(self, Style::Groovy, PLAIN_MAX, PLAIN_STEPS, &|_| None), Err(RenderStop::Ask(_)))
    }
}

/// Text without the script.
pub(crate) fn plain(value: &Value) -> String {
    let fallback = |v: &Value| Some(Value::str(identity(v)));
    match render(value, Style::Groovy, PLAIN_MAX, PLAIN_STEPS, &fallback) {
        Ok(text) => text,
        Err(_) => format!("{} (text too long)", value.type_name()),
    }
}

/// Java's `Double.toString`.
pub(crate) fn double_text(n: f64) -> String {
    if n.is_nan() {
        return "NaN".into();
    }
    if n.abs() == 5e-324 {
        // Java writes one digit more than are needed.
        return if n > 0.0 { "4.9E-324".into() } else { "-4.9E-324".into() };
    }
    if n.is_infinite() {
        return if n > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    java_exponent(n == 0.0, n.abs(), format!("{n:?}"), format!("{n:e}"))
}

/// Java's `Float.toString`.
pub(crate) fn float_text(n: f32) -> String {
    if !n.is_finite() {
        return double_text(f64::from(n));
    }
    java_exponent(n == 0.0, f64::from(n.abs()), format!("{n:?}"), format!("{n:e}"))
}

fn java_exponent(zero: bool, size: f64, plain: String, scientific: String) -> String {
    if zero || (1e-3..1e7).contains(&size) {
        return plain;
    }
    match scientific.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => scientific,
    }
}
