//! What only a terminal shows: the live tree, and the shell in a failed sandbox. `script` brings the terminal.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::project::{Project, sandboxes_work};

/// The command that runs a project on a terminal of its own.
fn on_a_terminal(project: &Project, flags: &[&str]) -> Command {
    around(&project.command(flags))
}

/// That command on a terminal of its own.
pub fn around(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''")));
    let mut on_terminal = Command::new("script");
    on_terminal.args(["-qefc", &quoted.collect::<Vec<_>>().join(" "), "/dev/null"]);
    on_terminal.env("TERM", "xterm").env_remove("CI").env_remove("NO_COLOR");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => on_terminal.env(name, value),
            None => on_terminal.env_remove(name),
        };
    }
    on_terminal
}

/// Runs it and types a line whenever the next of these prompts was printed; its exit code, and what was on the screen.
pub fn type_into(command: &mut Command, lines: impl IntoIterator<Item = (String, String)>) -> (i32, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut looked_at, mut buffer) = (Vec::new(), 0, [0; 4096]);
    let mut lines = lines.into_iter().peekable();
    while let Ok(count @ 1..) = screen.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..count]);
        let at = |prompt: &str, from: usize| {
            let places = seen[from..].windows(prompt.len());
            places.enumerate().find(|(_, found)| *found == prompt.as_bytes()).map(|(at, found)| from + at + found.len())
        };
        while let Some(end) = lines.peek().and_then(|(prompt, _)| at(prompt, looked_at)) {
            let (_, line) = lines.next().unwrap();
            looked_at = end;
            keys.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }
    (child.wait().unwrap().code().unwrap_or(-1), String::from_utf8_lossy(&seen).into_owned())
}

#[test]
fn the_tree_shows_stages_and_the_output_of_what_failed() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps("sh 'echo reason; exit 3'");
    let output = on_a_terminal(&project, &[]).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains('✘') && text.contains("reason") && text.contains("script returned exit code 3"), "{text}");
}

#[test]
fn a_shell_opens_where_the_step_failed() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps("withEnv(['COLOUR=blue']) { dir('sub') { sh 'touch here; false' } }");
    let mut child =
        on_a_terminal(&project, &["--shell-on-failure"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    let mut typed = false;
    loop {
        match screen.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
        }
        // The prompt of the shell ends what is printed before.
        if !typed && seen.contains("This is a shell") && (seen.ends_with("$ ") || seen.ends_with("# ")) {
            keys.write_all(b"pwd; ls; echo \"is $COLOUR\"; exit\n").unwrap();
            typed = true;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(1), "{seen}");
    assert!(seen.contains("/sub") && seen.contains("here") && seen.contains("is blue"), "{seen}");
}

#[test]
fn whoever_is_at_the_terminal_is_asked() {
    if !sandboxes_work() {
        return;
    }
    // What is secret is shown nowhere, not even as what somebody may choose, and is what is taken nevertheless.
    let definition = "withCredentials([string(credentialsId: 't', variable: 'T')]) { def said = input message: \"Deploy with $T?\",
        parameters: [choice(name: 'WHERE', choices: ['test', 'live', T], description: \"not $T\"), string(name: 'WITH', defaultValue: T)]
        echo \"to ${said.WHERE} ${said.WITH == T}\" }";
    let project = Project::new(&format!("node {{ {definition} }}"));
    let mut command = on_a_terminal(&project, &["--progress", "plain", "--credential", "t=env:TOKEN_OF_TEST"]);
    command.env("USER", "alice").env("TOKEN_OF_TEST", "tok-5ecret-12345");
    let lines = [("WHERE [test]: ", "live"), ("WITH [****]: ", ""), ("[p/a]: ", "p")];
    let (code, seen) = type_into(&mut command, lines.map(|(prompt, line)| (prompt.to_owned(), line.to_owned())));
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("Approved by alice") && seen.contains("to live true"), "{seen}");
    assert!(seen.contains("one of: test, live, ****") && !seen.contains("tok-5ecret"), "{seen}");
}
