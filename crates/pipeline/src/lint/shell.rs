//! Shell scripts that call Docker's client.

/// Words of the client that follow its name; anything else that is called `docker` is a folder or a label.
const COMMANDS: [&str; 59] = [
    "attach",
    "build",
    "builder",
    "buildx",
    "commit",
    "compose",
    "config",
    "container",
    "context",
    "cp",
    "create",
    "diff",
    "events",
    "exec",
    "export",
    "history",
    "image",
    "images",
    "import",
    "info",
    "inspect",
    "kill",
    "load",
    "login",
    "logout",
    "logs",
    "manifest",
    "network",
    "node",
    "pause",
    "plugin",
    "port",
    "ps",
    "pull",
    "push",
    "rename",
    "restart",
    "rm",
    "rmi",
    "run",
    "save",
    "scout",
    "search",
    "secret",
    "service",
    "stack",
    "start",
    "stats",
    "stop",
    "swarm",
    "system",
    "tag",
    "top",
    "trust",
    "unpause",
    "update",
    "version",
    "volume",
    "wait",
];
/// Words that stand before the program of a command.
const BEFORE: [&str; 9] = ["then", "do", "else", "if", "elif", "while", "until", "!", "{"];
/// Programs that run the program that is named behind their own words.
const RUNNERS: [&str; 29] = [
    "sudo",
    "doas",
    "su",
    "runuser",
    "env",
    "exec",
    "time",
    "nohup",
    "timeout",
    "eval",
    "xargs",
    "nice",
    "ionice",
    "chrt",
    "command",
    "stdbuf",
    "unbuffer",
    "flock",
    "find",
    "setsid",
    "trap",
    "retry",
    "parallel",
    "watch",
    "strace",
    "script",
    "caffeinate",
    "systemd-run",
    "builtin",
];
/// Shells, whose `-c` has a command of its own.
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];
/// Options of the client itself stand before its command.
const MOST_OPTIONS: usize = 6;

/// `docker build`, where a shell script calls it so.
pub(super) fn in_shell(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line));
    // What begins a command: a line, and what separates commands of one.
    let commands = lines.flat_map(|line| behind_label(line).split([';', '|', '&', '(', '`']));
    commands.into_iter().find_map(of_command)
}

/// A line of `case` without its label: `a|b) docker build`.
fn behind_label(line: &str) -> &str {
    match line.split_once(')') {
        Some((label, rest)) if !label.contains(['(', '"', '\'', '`']) && !label.trim().contains(' ') => rest,
        _ => line,
    }
}

/// The words of one command, where they call Docker's client.
fn of_command(command: &str) -> Option<String> {
    let words: Vec<_> =
        command.split_whitespace().map(|word| plain(word.trim_matches(['"', '\'', ')', '}']))).collect();
    // What stands before a program: variables, `then`.
    let is_before =
        |word: &&str| BEFORE.contains(word) || word.contains('=') && !word.starts_with('-') || word.is_empty();
    let first = words.iter().position(|word| !is_before(word))?;
    let (program, rest) = (words[first].rsplit('/').next()?, &words[first + 1..]);
    if SHELLS.contains(&program) {
        let command: Vec<_> =
            rest.iter().skip_while(|word| !(word.starts_with('-') && word.ends_with('c'))).skip(1).copied().collect();
        return if command.is_empty() { None } else { of_command(&command.join(" ")) };
    }
    if RUNNERS.contains(&program) {
        // Their own options may have words of their own; a shell may be what they run.
        let is_client = |word: &&str| ["docker", "docker-compose"].contains(&word.rsplit('/').next().unwrap_or(word));
        let is_shell = |word: &&str| SHELLS.contains(&word.rsplit('/').next().unwrap_or(word));
        // `find docker -exec docker build`
        let from = if program == "find" { rest.iter().position(|word| word.starts_with("-exec"))? } else { 0 };
        let rest = &rest[from..];
        let at = rest.iter().position(|word| is_client(word) || is_shell(word))?;
        return of_command(&rest[at..].join(" "));
    }
    match program {
        "docker-compose" => Some("`docker-compose`".to_owned()),
        "docker" => {
            let has_options = rest.first().is_some_and(|word| word.starts_with('-'));
            let most = if has_options { MOST_OPTIONS } else { 1 };
            let found = rest.iter().take(most).find(|word| COMMANDS.contains(word))?;
            Some(format!("`docker {found}`"))
        }
        _ => None,
    }
}

/// `${DOCKER:-docker}` is `docker`, where nobody says otherwise.
fn plain(word: &str) -> &str {
    let default = word.strip_prefix("${").and_then(|rest| rest.trim_end_matches('}').split_once(":-"));
    default.map_or(word, |(_, default)| default)
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
        check("docker ps -q | xargs -I{} docker rmi {}", Some("`docker ps`"));
        check("cat ids | xargs -I{} docker rmi {}", Some("`docker rmi`"));
        check("sudo -u root docker build .", Some("`docker build`"));
        check("find . -name Dockerfile -exec docker build {} ;", Some("`docker build`"));
        check("stdbuf -oL docker build .", Some("`docker build`"));
        check("flock /tmp/lock docker push x", Some("`docker push`"));
        check("trap 'docker rm -f x' EXIT", Some("`docker rm`"));
        check("case $1 in\n  start|run) docker run x ;;\nesac", Some("`docker run`"));
        check("${DOCKER:-docker} build .", Some("`docker build`"));
        check("{ docker stack deploy x; }", Some("`docker stack`"));
        check("docker -H tcp://x --tls history y", Some("`docker history`"));
        check("sudo bash -c 'docker build .'", Some("`docker build`"));
        check("echo 'step 1) docker build'", None);
        check("find docker -name build", None);
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
