//! Shell steps as far as their arguments say what comes of them.

use groovy::ast::{Constant, Expr, ExprKind, StrPart};

use super::tree::NamedCall;

/// Programs and words that end without a line break, or take it off.
const WITHOUT_BREAK: [&str; 8] = ["printf", "echo -n", "echo -e", "tr -d", "head -c", "xargs echo -n", "%s", "-ne"];

/// Whether it is one of the steps that run a script of a shell.
pub(super) fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bat" | "powershell" | "pwsh")
}

/// `sh(script: 'date', returnStdout: true)`: output with the line break at its end.
pub(super) fn is_untrimmed(expr: &Expr) -> bool {
    let Some(call) = NamedCall::of(expr).filter(|call| call.name == "sh") else { return false };
    let is_true = |expr: &Expr| matches!(&*expr.kind, ExprKind::Constant(Constant::Bool(true)));
    if !call.named("returnStdout").is_some_and(is_true) || call.named("returnStatus").is_some() {
        return false;
    }
    let parts: Vec<&str> = match call.named("script").map(|script| &*script.kind) {
        Some(ExprKind::Constant(Constant::Str(text))) => vec![text],
        Some(ExprKind::GString(parts)) => parts
            .iter()
            .filter_map(|part| match part {
                StrPart::Text(text) => Some(&**text),
                _ => None,
            })
            .collect(),
        // Nobody knows what it writes.
        _ => return false,
    };
    !parts.iter().any(|text| WITHOUT_BREAK.iter().any(|word| text.contains(word)))
}

/// `cd` or `export`, where a script does nothing else.
pub(super) fn only_changes_itself(script: &str) -> Option<&'static str> {
    if script.contains(['\n', ';', '&', '|', '`']) || script.contains("$(") {
        return None;
    }
    let (word, rest) = script.split_once(char::is_whitespace)?;
    match word {
        "cd" => Some("cd"),
        // Without a value it prints the variables.
        "export" if rest.contains('=') => Some("export"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::only_changes_itself;

    #[test]
    fn a_script_that_does_more_is_none() {
        assert_eq!(only_changes_itself("cd a/b"), Some("cd"));
        assert_eq!(only_changes_itself("export A=b"), Some("export"));
        for script in ["cd a && make", "cd a\nmake", "export A=$(id)", "cdrecord x", "export", ""] {
            assert_eq!(only_changes_itself(script), None, "{script}");
        }
    }
}
