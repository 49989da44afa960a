//! Secrets that Groovy has put into an argument of a step: said, as Jenkins says it.

use groovy::value::{Str, Value};

use crate::engine::scope::Scope;
use crate::steps::args::Args;

/// So deep are arguments looked at.
const MOST_DEPTH: u32 = 8;

/// What is to be said of the arguments of a step (`joined`: what of them was put together, and is text now); none: no text that Groovy has
/// put together has a secret in it.
///
/// Source: `DSL.logInterpolationWarnings`.
pub(crate) fn warning(scope: &Scope, step: &str, (args, joined): (&Args, &[Str])) -> Option<[String; 3]> {
    let secrets: Vec<_> = scope.secrets().collect();
    if secrets.is_empty() {
        return None;
    }
    let mut texts: Vec<String> = joined.iter().map(|text| text.as_str().to_owned()).collect();
    args.named.iter().for_each(|(_, value)| gather(value, 0, &mut texts));
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in secrets {
        if !names.contains(&name) && texts.iter().any(|text| text.contains(value)) {
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

fn gather(value: &Value, depth: u32, texts: &mut Vec<String>) {
    match value {
        Value::GString(_) => texts.push(value.to_text()),
        Value::List(list) if depth < MOST_DEPTH => {
            list.snapshot().iter().for_each(|item| gather(item, depth + 1, texts))
        }
        Value::Map(map) if depth < MOST_DEPTH => {
            (0..map.len()).filter_map(|at| map.at(at)).for_each(|(_, item)| gather(&item, depth + 1, texts));
        }
        _ => {}
    }
}
