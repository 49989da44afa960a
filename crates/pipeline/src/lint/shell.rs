//! Shell scripts that call Docker's client.

/// Words of the client that follow its name; anything else that is called `docker` is a folder or a label.
const COMMANDS: [&str; 34] = [
    "attach",
    "build",
    "builder",
    "buildx",
    "commit",
    "compose",
    "container",
    "context",
    "cp",
    "create",
    "exec",
    "export",
    "image",
    "images",
    "import",
    "info",
    "inspect",
    "kill",
    "load",
    "login",
    "logs",
    "manifest",
    "network",
    "ps",
    "pull",
    "push",
    "rm",
    "rmi",
    "run",
    "save",
    "start",
    "stop",
    "system",
    "tag",
];
/// Further ones, which read like words of other programs.
const MORE_COMMANDS: [&str; 3] = ["version", "volume", "swarm"];
/// Words that stand before the program of a command.
const BEFORE: [&str; 17] = [
    "sudo", "env", "exec", "time", "nohup", "then", "do", "else", "if", "while", "until", "!", "timeout", "eval",
    "xargs", "nice", "command",
];
/// Shells, whose `-c` has a command of its own.
const SHELLS: [&str; 3] = ["sh", "bash", "dash"];
/// Options of the client itself stand before its command.
const MOST_OPTIONS: usize = 6;

/// `docker build`, where a shell script calls it so.
pub(super) fn in_shell(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line));
    // What begins a command: a line, and what separates commands of one.
    let commands = lines.flat_map(|line| line.split([';', '|', '&', '(', '`', '{']));
    commands.into_iter().find_map(of_command)
}

/// The words of one command, where they call Docker's client.
fn of_command(command: &str) -> Option<String> {
    let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'', ')'])).peekable();
    // What stands before a program and runs it: variables, `sudo -E`, `then`.
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let before = |word: &&str| {
        BEFORE.contains(word) || word.starts_with('-') || word.contains('=') || word.is_empty() || is_number(word)
    };
    while words.next_if(before).is_some() {}
    let program = words.next()?.rsplit('/').next()?;
    if SHELLS.contains(&program) {
        let rest: Vec<_> = words.skip_while(|word| !(word.starts_with('-') && word.ends_with('c'))).skip(1).collect();
        return if rest.is_empty() { None } else { of_command(&rest.join(" ")) };
    }
    if program == "docker-compose" {
        return Some("`docker-compose`".to_owned());
    }
    if program != "docker" {
        return None;
    }
    let first = words.peek().copied()?;
    let mut rest = words.take(MOST_OPTIONS).skip_while(|word| word.starts_with('-'));
    let found = rest.find(|word| COMMANDS.contains(word) || MORE_COMMANDS.contains(word))?;
    // Its first word, or one after options of the client.
    (found == first || first.starts_with('-')).then(|| format!("`docker {found}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_calls_docker_is_seen() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(in_shell(text).as_deref(), expect, "{text}");
        check("docker build -t x .", Some("`docker build`"));
        check("set -e\nsudo docker --host x run --rm y", Some("`docker run`"));
        check("cd a && /usr/bin/docker compose up -d", Some("`docker compose`"));
        check("docker-compose -f x.yml up", Some("`docker-compose`"));
        check("echo $(docker ps -q)", Some("`docker ps`"));
        check("timeout 60 docker info", Some("`docker info`"));
        check("timeout -k 5 2m docker compose up", Some("`docker compose`"));
        check("docker images -q | xargs -r docker rmi", Some("`docker images`"));
        check("ls *.tar | xargs -n1 docker load -i", Some("`docker load`"));
        check("bash -c 'docker build .'", Some("`docker build`"));
        check("sh -ec \"docker run x\"", Some("`docker run`"));
        check("bash docker/run.sh", None);
        check("sh -c 'make docker build'", None);
        check("ls docker build", None);
        check("if ! DOCKER_BUILDKIT=1 sudo -E docker build .; then exit 1; fi", Some("`docker build`"));
        check("cd deploy/docker-compose && make", None);
        check("apt-get install -y docker-compose", None);
        check("echo \"skipping docker build\"", None);
        check("make # docker build", None);
        check("cd docker; make", None);
        check("# docker build\nmake", None);
        check("mvn docker:build", None);
        check("./docker/build.sh", None);
        check("apt-get install -y docker.io", None);
    }
}
