//! Everything that can be said about a Jenkinsfile without running it.

pub(crate) mod engine;
pub(crate) mod names;
mod shell;
mod variables;
mod walk;
mod words;

use groovy::diagnostic::Diagnostic;

use crate::definition::{Surroundings, analyse};

/// Reads a Jenkinsfile and says what is wrong in it, by place: syntax, declarative rules, steps that nobody knows
/// (errors), and steps that Jenkins knows and Cofferdam cannot run yet (warnings).
pub fn lint(source: &str) -> Vec<Diagnostic> {
    analyse(source, &Surroundings::default()).diagnostics
}

/// `did you mean "a" or "b"?`, where there is a name to offer.
pub(crate) fn did_you_mean(names: &[&str]) -> Option<String> {
    let quoted: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
    match quoted.split_last() {
        None => None,
        Some((only, [])) => Some(format!("did you mean {only}?")),
        Some((last, others)) => Some(format!("did you mean {} or {last}?", others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn names_are_offered_in_a_sentence() {
        assert_eq!(did_you_mean(&[]), None);
        assert_eq!(did_you_mean(&["a"]).as_deref(), Some("did you mean \"a\"?"));
        assert_eq!(did_you_mean(&["a", "b", "c"]).as_deref(), Some("did you mean \"a\", \"b\" or \"c\"?"));
    }
}
