//! What is known of a monitor's interface, as a table, and whether a request keeps to it.
//!
//! ```text
//!   "unpublished list of NetworkOverride!"    in no published description, a list, of that type, must be there
//!   "integer 1..32", "string ..107", "boolean", "one of Full|Diff", "Drive"
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vmm::Request;

pub const FIRECRACKER: &str = include_str!("facts/firecracker.json");
pub const CLOUD_HYPERVISOR: &str = include_str!("facts/cloud_hypervisor.json");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    pub version: String,
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    /// How a fault is told: `fault_message` or `list`.
    pub faults: String,
    /// The state of a new process.
    pub start: String,
    /// The state of an ended one.
    pub end: String,
    #[serde(default)]
    pub prefix: String,
    pub calls: Vec<Call>,
    pub types: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub call: String,
    /// Type of its content; none: it must have none.
    pub takes: Option<String>,
    /// How many descriptors go along: one where a field is not there (`without tap`), or as many as a list says in all
    /// (`as net_fds`).
    descriptors: Option<String>,
    /// States in which it is granted.
    #[serde(rename = "in")]
    pub states: String,
    /// A call that must have been granted before.
    pub after: Option<String>,
    /// The state that follows; an object: depending on the value of a field.
    pub becomes: Option<Value>,
    pub says: Option<Value>,
}

impl Facts {
    pub fn read(text: &str) -> Facts {
        serde_json::from_str(text).expect("a table of facts")
    }

    /// The call that a request is.
    pub fn find(&self, method: &str, path: &str) -> Result<&Call, String> {
        let path = path.strip_prefix(&self.prefix).ok_or_else(|| format!("{path} is outside {}", self.prefix))?;
        let found = self.calls.iter().find(|call| {
            let (known_method, known_path) = call.call.split_once(' ').expect("method and path");
            known_method == method && same_place(known_path, path)
        });
        found.ok_or_else(|| format!("there is no {method} {path}"))
    }

    /// Whether the content is what the call takes.
    pub fn check(&self, call: &Call, path: &str, body: Option<&Value>) -> Result<(), String> {
        match (&call.takes, body) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err("it takes no content".into()),
            (Some(_), None) => Err("it needs content".into()),
            (Some(name), Some(body)) => {
                self.check_type(name, body)?;
                same_name(&call.call, path, body)
            }
        }
    }

    fn check_type(&self, name: &str, value: &Value) -> Result<(), String> {
        let fields = self.types.get(name).ok_or_else(|| format!("no type {name}"))?;
        let object = value.as_object().ok_or_else(|| format!("{name} is an object"))?;
        for (field, said) in fields {
            if Kind::read(said).required && !object.contains_key(field) {
                return Err(format!("missing field {name}.{field}"));
            }
        }
        for (field, value) in object {
            let said = fields.get(field).ok_or_else(|| format!("unknown field {name}.{field}"))?;
            self.check_kind(&Kind::read(said), value).map_err(|what| format!("{name}.{field}: {what}"))?;
        }
        Ok(())
    }

    fn check_kind(&self, kind: &Kind<'_>, value: &Value) -> Result<(), String> {
        let wrong = || Err(format!("{value} is not {kind:?}"));
        match (&kind.shape, value) {
            (Shape::Boolean, Value::Bool(_)) => Ok(()),
            (Shape::Integer(low, high), Value::Number(number)) => match number.as_i64() {
                Some(number) if low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) => Ok(()),
                _ => wrong(),
            },
            (Shape::Text(most), Value::String(text)) if most.is_none_or(|most| text.len() <= most) => Ok(()),
            (Shape::OneOf(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (Shape::List(of), Value::Array(values)) => values.iter().try_for_each(|value| self.check_kind(of, value)),
            (Shape::Type(name), value) => self.check_type(name, value),
            _ => wrong(),
        }
    }

    /// A request as one of the monitor's.
    pub fn accepts(&self, request: &Request) -> Result<&Call, String> {
        let call = self.find(request.method.word(), &request.path)?;
        self.check(call, &request.path, request.body.as_ref())?;
        Ok(call)
    }
}

impl Call {
    /// How many descriptors go along with such content.
    pub fn descriptors(&self, body: Option<&Value>) -> usize {
        let field = |name: &str| body.and_then(|body| body.get(name));
        match self.descriptors.as_deref().and_then(|said| said.split_once(' ')) {
            Some(("without", name)) => usize::from(field(name).is_none()),
            Some(("as", name)) => {
                let counts = field(name).and_then(Value::as_array).into_iter().flatten();
                counts.filter_map(|entry| entry["num_fds"].as_u64()).sum::<u64>().try_into().expect("a few")
            }
            _ => 0,
        }
    }
}

/// What a field may be.
#[derive(Debug)]
pub struct Kind<'a> {
    pub shape: Shape<'a>,
    pub required: bool,
    pub published: bool,
}

#[derive(Debug)]
pub enum Shape<'a> {
    Boolean,
    Integer(Option<i64>, Option<i64>),
    Text(Option<usize>),
    OneOf(Vec<&'a str>),
    List(Box<Kind<'a>>),
    Type(&'a str),
}

impl<'a> Kind<'a> {
    pub fn read(said: &'a str) -> Kind<'a> {
        let (said, required) = said.strip_suffix('!').map_or((said, false), |said| (said, true));
        let (said, published) = said.strip_prefix("unpublished ").map_or((said, true), |said| (said, false));
        Kind { shape: Shape::read(said), required, published }
    }
}

impl<'a> Shape<'a> {
    fn read(said: &'a str) -> Shape<'a> {
        if let Some(words) = said.strip_prefix("one of ") {
            return Shape::OneOf(words.split('|').collect());
        }
        if let Some(of) = said.strip_prefix("list of ") {
            return Shape::List(Box::new(Kind::read(of)));
        }
        let (word, range) = said.split_once(' ').unwrap_or((said, ".."));
        let (low, high) = range.split_once("..").expect("a range");
        let number = |text: &str| (!text.is_empty()).then(|| text.parse().expect("a number"));
        match word {
            "boolean" => Shape::Boolean,
            "integer" => Shape::Integer(number(low), number(high)),
            "string" => Shape::Text(number(high).map(|most| usize::try_from(most).expect("a length"))),
            name => Shape::Type(name),
        }
    }
}

/// Whether a path has the form of `known`, in which `{…}` stands for letters, digits and `_`.
fn same_place(known: &str, path: &str) -> bool {
    let (mut known, mut path) = (known.split('/'), path.split('/'));
    loop {
        match (known.next(), path.next()) {
            (None, None) => return true,
            (Some(name), Some(word)) if name.starts_with('{') => {
                if word.is_empty() || !word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                    return false;
                }
            }
            (Some(known), Some(word)) if known == word => {}
            _ => return false,
        }
    }
}

/// Whether the content names the same thing as the path.
fn same_name(call: &str, path: &str, body: &Value) -> Result<(), String> {
    let Some((_, field)) = call.split_once('{') else { return Ok(()) };
    let field = field.trim_end_matches('}');
    let word = path.rsplit('/').next().expect("a path");
    if body[field] == word { Ok(()) } else { Err(format!("{path} is not {field} {}", body[field])) }
}
