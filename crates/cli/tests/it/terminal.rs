//! What only a terminal shows: the live tree, and the shell in a failed sandbox. `script` brings the terminal.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::project::{Project, cofferdam, sandboxes_work};

/// The command that runs a project on a terminal of its own.
fn on_a_terminal(project: &Project, flags: &str) -> Command {
    let binary = cofferdam();
    let line = format!("{} run --network none {flags} {}", binary.get_program().display(), project.path().display());
    let mut command = Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]).env("TERM", "xterm").env_remove("CI").env_remove("NO_COLOR");
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn the_tree_shows_stages_and_the_output_of_what_failed() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps("sh 'echo reason; exit 3'");
    let output = on_a_terminal(&project, "").stdin(Stdio::null()).output().unwrap();
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
        on_a_terminal(&project, "--shell-on-failure").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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
    let mut child = on_a_terminal(&project, "--progress plain --credential t=env:TOKEN_OF_TEST")
        .env("USER", "alice")
        .env("TOKEN_OF_TEST", "tok-5ecret-12345")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut buffer, mut answers) =
        (String::new(), [0; 4096], vec![("[p/a]: ", "p\n"), ("WITH [****]: ", "\n"), ("WHERE [test]: ", "live\n")]);
    loop {
        match screen.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
        }
        if let Some((_, answer)) = answers.pop_if(|(prompt, _)| seen.ends_with(*prompt)) {
            keys.write_all(answer.as_bytes()).unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{seen}");
    assert!(seen.contains("Approved by alice") && seen.contains("to live true"), "{seen}");
    assert!(seen.contains("one of: test, live, ****") && !seen.contains("tok-5ecret"), "{seen}");
}
