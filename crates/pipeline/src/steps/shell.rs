//! `sh`, `pwsh`, `powershell`, and what is said of `bat`.

use groovy::value::Value;
use model::request::{Reply, Request, ShellScript};

use super::args::Args;
use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::values;

/// Longest label of a step, in characters.
const MAX_LABEL: usize = 100;

/// `sh 'make'`, `sh(script: 'make', returnStdout: true)`
pub(crate) async fn sh(call: StepCall) -> Result<Value, Fault> {
    let text = call.args.text("script")?;
    let interpreter = interpreter(&text);
    run(call, text, interpreter).await
}

/// `pwsh 'Get-Date'`: PowerShell, where the place has it.
pub(crate) async fn pwsh(call: StepCall) -> Result<Value, Fault> {
    power_shell(call, &["pwsh", "powershell"]).await
}

/// `powershell 'Get-Date'`: Windows' own or, where that is missing, PowerShell.
pub(crate) async fn powershell(call: StepCall) -> Result<Value, Fault> {
    power_shell(call, &["powershell", "pwsh"]).await
}

/// A small script of the shell finds the program and has it run a file, for PowerShell reads no file without an ending of its own.
///
/// Source: `PowershellScript` of durable-task, whose scripts stop at the first error and end with the code of the last program.
async fn power_shell(call: StepCall, programs: &[&str]) -> Result<Value, Fault> {
    let text = call.args.text("script")?;
    let first = programs[0];
    let mark = mark(&text);
    let finds = programs.iter().map(|program| format!("command -v {program}")).collect::<Vec<_>>().join(" || ");
    let script = format!(
        "program=$({finds}) || {{ echo \"{first}: this place has no PowerShell: use an image that does\" >&2; exit 127; }}\n\
         file=$(mktemp -d)/script.ps1 || exit 1\n\
         cat > \"$file\" <<'{mark}'\n$ErrorActionPreference = 'Stop'\n{text}\nif ($LASTEXITCODE) {{ exit $LASTEXITCODE }}\n{mark}\n\
         \"$program\" -NoProfile -NonInteractive -File \"$file\"\ncode=$?\nrm -rf \"${{file%/*}}\"\nexit $code\n"
    );
    run(call, script, Some(vec!["sh".to_owned()])).await
}

/// A word that is not in a text, found in one look at it: it ends with more `_` than stand together anywhere there.
fn mark(text: &str) -> String {
    let longest = text.split(|c| c != '_').map(str::len).max().unwrap_or(0);
    format!("COFFERDAM_POWERSHELL{}", "_".repeat(longest + 1))
}

async fn run(call: StepCall, text: String, interpreter: Option<Vec<String>>) -> Result<Value, Fault> {
    let node = call.node()?;
    // Of both, the status is what comes back.
    let (capture, status) = (call.args.flag("returnStdout", false)?, call.args.flag("returnStatus", false)?);
    if text.trim().is_empty() {
        call.say("Warning: was asked to run an empty script");
    }
    let script = ShellScript {
        interpreter,
        text,
        dir: call.cwd()?,
        env: call.core.env_for_process(&call.scope),
        // In a plan it also says that the answer counts: `model::planning::depends`.
        capture: capture || status && call.core.facts.planning,
        encoding: call.args.opt_text("encoding")?,
        copies: call.scope.copies(),
    };
    call.core.run.process_started(call.id, &call.scope);
    let reply = call.ask(Request::Exec { job: node.job, step: call.id, script }).await;
    call.core.run.process_ended(call.id);
    match reply? {
        Reply::Exited { code, .. } if status => Ok(Value::Int(code)),
        Reply::Exited { code: 0, stdout, .. } if capture => Ok(values::text(&stdout.unwrap_or_default())),
        Reply::Exited { code: 0, .. } => Ok(Value::Null),
        Reply::Exited { code, stdout, limit } => {
            if let Some(stdout) = stdout.filter(|s| !s.is_empty()) {
                call.say(&stdout);
            }
            Err(Fault::abort(match limit {
                Some(limit) => format!("script returned exit code {code}: ended by the {limit}"),
                None => format!("script returned exit code {code}"),
            }))
        }
        reply => Err(unexpected(&reply)),
    }
}

/// There is no Windows here.
pub(crate) async fn bat(call: StepCall) -> Result<Value, Fault> {
    call.node()?;
    Err(Fault::abort("Batch scripts can only be run on Windows nodes").with_hint("use `sh`"))
}

/// The words of a `#!` line: only where it is the very first thing in the script.
pub(super) fn interpreter(text: &str) -> Option<Vec<String>> {
    let line = text.strip_prefix("#!")?.lines().next().unwrap_or_default();
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// What people see of a step besides its name: the `label`, or the first line of the script.
pub(crate) fn label(step: &str, args: &Args) -> Option<String> {
    let text = args.opt_text("label").ok().flatten().or_else(|| match step {
        "sh" | "bat" | "powershell" | "pwsh" => args.opt_text("script").ok().flatten(),
        _ => None,
    })?;
    let line = text.lines().map(str::trim).find(|l| !l.is_empty())?;
    Some(line.chars().take(MAX_LABEL).collect())
}

#[cfg(test)]
mod tests {
    use super::{interpreter, mark};

    #[test]
    fn no_text_has_its_mark() {
        for text in ["", "Get-Date", "COFFERDAM_POWERSHELL", "COFFERDAM_POWERSHELL_\nCOFFERDAM_POWERSHELL___é_"] {
            assert!(!text.contains(&mark(text)), "{text}");
        }
        // One look for each `_` would be hours.
        assert_eq!(mark(&("COFFERDAM_POWERSHELL".to_owned() + &"_".repeat(8 << 20))).len(), 20 + (8 << 20) + 1);
    }

    #[test]
    fn shebang() {
        assert_eq!(interpreter("echo"), None);
        assert_eq!(interpreter("\n#!/bin/bash\necho"), None);
        assert_eq!(interpreter("#!/bin/bash -l\necho"), Some(vec!["/bin/bash".into(), "-l".into()]));
        assert_eq!(interpreter("#! /usr/bin/env python3\n1"), Some(vec!["/usr/bin/env".into(), "python3".into()]));
    }
}
