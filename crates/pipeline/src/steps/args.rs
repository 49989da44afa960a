//! Arguments of a step: named ones, or a single one without a name, and the block.

use groovy::machine::HostCall;
use groovy::value::Value;

use super::describable::SYMBOL;
use crate::catalogue::Entry;
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::values;

/// Java's name of the exception for a value of the wrong type.
const CLASS_CAST: &str = "java.lang.ClassCastException";

/// The arguments of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// Of the step, for messages.
    pub(crate) step: String,
    /// In the order written.
    pub(crate) named: Vec<(String, Value)>,
    /// The block.
    pub(crate) body: Option<Body>,
}

impl Args {
    /// Sorts the arguments of a call; a single value without a name becomes the argument `sole`.
    pub(crate) fn of(call: &HostCall, sole: Option<&str>) -> Result<Args, Fault> {
        let named = call.named.as_ref().and_then(values::entries).unwrap_or_default();
        Self::sorted(&call.name, named, call.args.clone(), sole)
    }

    /// The same for arguments that were evaluated already.
    pub(crate) fn sorted(
        step: &str,
        mut named: Vec<(String, Value)>,
        mut positional: Vec<Value>,
        sole: Option<&str>,
    ) -> Result<Args, Fault> {
        let body = match positional.last() {
            Some(last) if values::is_closure(last) => positional.pop().map(Body::Script),
            _ => None,
        };
        // A map is what it has; a description (`logRotator(…)`) is a value.
        if named.is_empty()
            && let [Value::Map(_)] = &positional[..]
            && let Some(entries) = values::entries(&positional[0])
            && !entries.iter().any(|(name, _)| name == SYMBOL || name == "$class")
        {
            named = entries;
            positional.clear();
        }
        match (&positional[..], sole) {
            ([], _) => {}
            ([value], Some(sole)) if !named.iter().any(|(n, _)| n == sole) => {
                named.insert(0, (sole.to_owned(), value.clone()));
            }
            // `deleteDir(null)`, `stage('x', null)`: what Groovy passes for "nothing".
            ([Value::Null], None) => {}
            _ => {
                let list = Value::list(positional).to_text();
                return Err(Fault::illegal(format!("Expected named arguments but got {list}")));
            }
        }
        Ok(Args { step: step.to_owned(), named, body })
    }

    /// The value of a name; null counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.named.iter().find(|(n, _)| n == name).map(|(_, v)| v).filter(|v| !v.is_null())
    }

    /// A text, where there is one.
    pub(crate) fn opt_text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.is_text() => Ok(Some(value.to_text())),
            Some(value) => Err(self.wrong_type(name, "java.lang.String", value)),
        }
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<String, Fault> {
        self.opt_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A flag; text counts as Java's `Boolean.valueOf` reads it.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(value) if value.is_text() => Ok(value.to_text().eq_ignore_ascii_case("true")),
            Some(value) => Err(self.wrong_type(name, "boolean", value)),
        }
    }

    /// A whole number, where there is one; text with digits counts.
    pub(crate) fn opt_int(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = if value.is_text() { value.to_text().trim().parse().ok() } else { value.as_i64() };
        number.map(Some).ok_or_else(|| self.wrong_type(name, "int", value))
    }

    /// A whole number that must be there.
    pub(crate) fn int(&self, name: &str) -> Result<i64, Fault> {
        self.opt_int(name)?.ok_or_else(|| self.missing(name))
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        let value = self.get(name).ok_or_else(|| self.missing(name))?;
        let items = value.items().ok_or_else(|| self.wrong_type(name, "java.util.List", value))?;
        Ok(items.iter().map(Value::to_text).collect())
    }

    /// The block, which must be there.
    pub(crate) fn body(&self) -> Result<Body, Fault> {
        let missing = || {
            Fault::raised("java.lang.IllegalStateException", format!("{} step must be called with a body", self.step))
        };
        self.body.clone().ok_or_else(missing)
    }

    /// Names that the step does not know.
    pub(crate) fn unknown(&self, entry: Option<&Entry>) -> Vec<&str> {
        // A map with `$class` is an object in other words, not a list of arguments.
        let data = self.named.iter().any(|(n, _)| n.starts_with('$'));
        match entry {
            Some(entry) if !entry.open && !data => {
                self.named.iter().map(|(n, _)| n.as_str()).filter(|n| entry.parameter(n).is_none()).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn missing(&self, name: &str) -> Fault {
        Fault::illegal(format!("Missing required parameter: \"{name}\"")).with_hint(format!("{} {name}: …", self.step))
    }

    pub(super) fn wrong_type(&self, name: &str, expected: &str, value: &Value) -> Fault {
        let got = value.type_name();
        Fault::raised(CLASS_CAST, format!("{}.{name} expects class {expected} but received class {got}", self.step))
    }
}
