//! Secrets that Groovy has put into an argument of a step: said, as Jenkins says it.

use groovy::value::{Str, Value};

use crate::engine::scope::Scope;
use crate::steps::args::Args;

/// So deep are arguments looked at.
const MOST_DEPTH: u32 = 8;
/// So many values of them.
const MOST_VALUES: usize = 1000;
/// So many bytes of the texts among these.
const MOST_BYTES: usize = 1 << 20;

/// What is to be said of the arguments of a step (`joined`: what of them was put together, and is text now); none: no text that Groovy has
/// put together has a secret in it.
///
/// Source: `DSL.logInterpolationWarnings`.
pub(crate) fn warning(scope: &Scope, step: &str, (args, joined): (&Args, &[Str])) -> Option<[String; 3]> {
    let secrets: Vec<_> = scope.secrets().collect();
    if secrets.is_empty() {
        return None;
    }
    let mut looked = Looked { texts: joined.to_vec(), values: MOST_VALUES, bytes: MOST_BYTES };
    args.named.iter().for_each(|(_, value)| looked.at(value, 0));
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in secrets {
        if !names.contains(&name) && looked.texts.iter().any(|text| text.as_str().contains(value)) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| {
        [
            format!("Warning: A secret was passed to \"{step}\" using Groovy String interpolation, which is insecure."),
            format!("\t\t Affected argument(s) used the following variable(s): [{}]", names.join(", ")),
            "\t\t See https://jenkins.io/redirect/groovy-string-interpolation for details.".to_owned(),
        ]
    })
}

/// What has been found in arguments, and how much more is looked at.
struct Looked {
    texts: Vec<Str>,
    values: usize,
    bytes: usize,
}

impl Looked {
    fn at(&mut self, value: &Value, depth: u32) {
        let Some(left) = self.values.checked_sub(1) else { return };
        self.values = left;
        match value {
            Value::GString(_) if self.bytes > 0 => {
                let text = value.to_text();
                self.bytes = self.bytes.saturating_sub(text.len());
                self.texts.push(text.into());
            }
            Value::List(list) if depth < MOST_DEPTH => {
                let items = list.items();
                for item in items.iter() {
                    if self.values == 0 {
                        break;
                    }
                    self.at(item, depth + 1);
                }
            }
            Value::Map(map) if depth < MOST_DEPTH => {
                let entries = map.entries();
                for item in entries.values() {
                    if self.values == 0 {
                        break;
                    }
                    self.at(item, depth + 1);
                }
            }
            _ => {}
        }
    }
}
