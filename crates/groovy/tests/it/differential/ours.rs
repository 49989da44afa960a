//! Runs a script in our machine, and describes its value as the driver does.

use groovy::machine::{FiberId, Host, Machine, MachineLimits, Stepped};
use groovy::value::{BufferKind, Value};

use super::Part;

#[derive(Default)]
struct Console(String);

impl Host for Console {
    fn print(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// Class and message, or the limit.
type End = Result<Value, (&'static str, String)>;

fn drive(machine: &mut Machine, fiber: FiberId, console: &mut Console) -> End {
    loop {
        match machine.run(fiber, console) {
            Stepped::Finished(value) => return Ok(value),
            Stepped::Threw(thrown) => {
                let message = match ask(machine, &thrown.value, "getMessage", console) {
                    Ok(Value::Null) => "null".to_string(),
                    Ok(text) => text.to_text(),
                    Err((_, text)) => text,
                };
                return Err(("threw", format!("{}: {message}", thrown.class())));
            }
            Stepped::Limit(limit) => return Err(("limit", limit.to_string())),
            Stepped::Slice => {}
            Stepped::Call(_) => machine.resume(fiber, Ok(Value::Null)),
        }
    }
}

fn ask(machine: &mut Machine, receiver: &Value, name: &str, console: &mut Console) -> End {
    let fiber = machine.start_method(receiver.clone(), name, Vec::new());
    drive(machine, fiber, console)
}

/// The script, and the closures of the list that it answered.
pub fn run(source: &str) -> Vec<Part> {
    let part = |kind: &str, result: String, console: &mut Console| Part {
        kind: kind.to_string(),
        printed: std::mem::take(&mut console.0),
        result,
    };
    let mut console = Console::default();
    let parsed = groovy::parse(source);
    if parsed.has_errors() {
        return vec![part("rejected", format!("{:?}", parsed.diagnostics.first()), &mut console)];
    }
    let mut machine = Machine::new(MachineLimits { fuel: 20_000_000, ..MachineLimits::default() });
    let script = match machine.load(&parsed.script, "gen.groovy") {
        Ok(script) => script,
        Err(diagnostics) => return vec![part("rejected", format!("{:?}", diagnostics.first()), &mut console)],
    };
    let fiber = machine.start_script(script);
    let mut parts = Vec::new();
    let mut finish = |machine: &mut Machine, end: End, console: &mut Console| {
        let described = end.and_then(|value| describe(machine, &value, 0, console));
        match described {
            Ok(text) => parts.push(part("value", text, console)),
            Err((kind, text)) => parts.push(part(kind, text, console)),
        }
    };
    match drive(&mut machine, fiber, &mut console) {
        Ok(Value::List(list)) if !list.is_empty() && list.items().iter().all(|v| matches!(v, Value::Closure(_))) => {
            parts.push(part("value", String::new(), &mut console));
            for probe in list.snapshot() {
                let fiber = machine.start_call(probe, Vec::new());
                let end = drive(&mut machine, fiber, &mut console);
                let described = end.and_then(|value| describe(&mut machine, &value, 0, &mut console));
                let (kind, text) = described.map_or_else(|e| e, |text| ("value", text));
                parts.push(part(kind, text, &mut console));
            }
        }
        end => finish(&mut machine, end, &mut console),
    }
    parts
}

fn describe(
    machine: &mut Machine,
    value: &Value,
    depth: u32,
    console: &mut Console,
) -> Result<String, (&'static str, String)> {
    if depth > 8 && !value.is_null() {
        return Ok("…".into());
    }
    let name = value.type_name();
    let simple = name.rsplit(['.', '$']).next().unwrap_or_default().to_string();
    Ok(match value {
        Value::Null => "null".into(),
        Value::Bool(_)
        | Value::Char(_)
        | Value::Byte(_)
        | Value::Short(_)
        | Value::Int(_)
        | Value::Long(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::BigInt(_)
        | Value::Decimal(_) => format!("{simple} {value}"),
        Value::GString(_) => format!("GString \"{}\"", ask(machine, value, "toString", console)?),
        Value::Str(s) => format!("\"{s}\""),
        Value::List(l) if l.is_array() => {
            let element = machine_element(&name);
            format!("{element}[] {}", items(machine, l.snapshot(), depth, console)?)
        }
        Value::List(l) => format!("List {}", items(machine, l.snapshot(), depth, console)?),
        Value::Range(r) => format!("Range {}", items(machine, r.iter().take(201).collect(), depth, console)?),
        Value::Set(s) => format!("Set {}", items(machine, s.keys(), depth, console)?),
        Value::Map(m) => {
            let pairs: Vec<(Value, Value)> = m.entries().iter().map(|(k, v)| (k.0.clone(), v.clone())).collect();
            let mut out = Vec::new();
            for (k, v) in pairs.iter().take(200) {
                let text = if depth >= 8 { "…".into() } else { pair(machine, k, v, depth + 1, console)? };
                out.push(text);
            }
            format!("Map [{}]", out.join(", "))
        }
        Value::Entry(e) => pair(machine, &e.key, &e.value.borrow().clone(), depth, console)?,
        Value::Closure(_) => "Closure".into(),
        Value::Class(c) => format!("Class {}", c.name),
        Value::Pattern(_) => format!("Pattern {value}"),
        Value::Matcher(_) => "Matcher".into(),
        Value::Iter(_) => "Iterator".into(),
        Value::Object(o) if let Some(map) = o.as_map() => describe(machine, &Value::Map(map), depth, console)?,
        Value::Object(o) if let Some(list) = o.as_list() => describe(machine, &Value::List(list), depth, console)?,
        Value::Object(o) if o.throwable().is_some() => {
            format!("Throwable {name}: {}", ask(machine, value, "getMessage", console)?)
        }
        Value::Buffer(b) if b.kind == BufferKind::Writer => format!("{name} {}", b.text.borrow()),
        Value::Buffer(b) => format!("Text \"{}\"", b.text.borrow()),
        Value::Object(_) | Value::Host(_) => format!("{name} {}", ask(machine, value, "toString", console)?),
    })
}

/// The simple name of what an array of this class holds.
fn machine_element(name: &str) -> String {
    let inner = &name[1..];
    if let Some(class) = inner.strip_prefix('L') {
        return class.trim_end_matches(';').rsplit(['.', '$']).next().unwrap_or_default().to_string();
    }
    match inner {
        "I" => "int".into(),
        "J" => "long".into(),
        "Z" => "boolean".into(),
        "C" => "char".into(),
        "B" => "byte".into(),
        "S" => "short".into(),
        "F" => "float".into(),
        "D" => "double".into(),
        deeper => format!("{}[]", machine_element(deeper)),
    }
}

fn pair(
    machine: &mut Machine,
    key: &Value,
    value: &Value,
    depth: u32,
    console: &mut Console,
) -> Result<String, (&'static str, String)> {
    Ok(format!("{}: {}", describe(machine, key, depth + 1, console)?, describe(machine, value, depth + 1, console)?))
}

fn items(
    machine: &mut Machine,
    items: Vec<Value>,
    depth: u32,
    console: &mut Console,
) -> Result<String, (&'static str, String)> {
    let mut out = Vec::new();
    for item in items.iter().take(200) {
        out.push(describe(machine, item, depth + 1, console)?);
    }
    Ok(format!("[{}]", out.join(", ")))
}
