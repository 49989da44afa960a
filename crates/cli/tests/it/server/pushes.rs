//! All the way: somebody pushes to a git server, whose hook tells the server, whose run in a sandbox is followed while it goes on, and whose
//! outcome the forge hears.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::forge::{Forge, SECRET, has_tools};
use super::git_server::serve;
use super::place::{Place, Process, wait_until};
use crate::images::busybox_image;
use crate::project::Project;

const DEFINITION: &str = "node { checkout scm; sh 'echo begun; cat file; git log --format=%s -n 1' }
input 'go on?'
node { checkout scm; docker.image('IMAGE').inside { sh 'echo on; ls /bin/busybox; cat file' } }";

/// What a forge does when somebody has pushed: it tells whoever wants to hear of that, and signs it.
fn tell_of_pushes(repository: &std::path::Path, url: &str) {
    let script = format!(
        "#!/bin/sh
while read before after ref; do
  case $after in *[1-9a-f]*) gone=false ;; *) gone=true ;; esac
  body=$(printf '{{\"ref\":\"%s\",\"before\":\"%s\",\"after\":\"%s\",\"deleted\":%s,\"sender\":{{\"login\":\"ada\"}}}}' $ref $before $after $gone)
  signature=$(printf %s \"$body\" | openssl dgst -sha256 -hmac '{SECRET}' | sed 's/.* //')
  curl -s -H 'X-GitHub-Event: push' -H \"X-GitHub-Delivery: $after\" -H \"X-Hub-Signature-256: sha256=$signature\" --data-binary \"$body\" {url}/hooks/app
done
"
    );
    let path = repository.join("hooks/post-receive");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_push_becomes_a_run_and_a_status() {
    let Some(place) = Place::with_agent() else { return };
    if !has_tools() {
        return;
    }
    let Some(image) = busybox_image("pushed", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let project = Project::new(&DEFINITION.replace("IMAGE", &image));
    project.write("file", "of before\n").commit_folder(".", "main");
    let bare = place.folder.path().join("forge.git");
    project.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    tell_of_pushes(&bare, &place.url());
    let (_git, url) = serve(&bare);
    let forge = Forge::start(place.folder.path(), &bare);
    let file = place.folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let secret = file.to_str().unwrap();
    let put = place.ask(
        &[
            &["projects", "put", "app", "--git", &url, "--hook", "github", "--hook-secret-file", secret][..],
            &["--report", "gitea", "--report-repository", "org/app", "--report-token-file", secret],
            &["--report-api", &forge.api],
        ]
        .concat(),
    );
    assert_eq!(put.code, 0, "{put:?}");

    project.write("file", "that was pushed\n");
    project.git(&["commit", "-q", "-am", "for everybody"]);
    project.git(&["push", "-q", &url, "main"]);
    let runs = || place.ask(&["runs", "--output", "json"]).stdout;
    wait_until("the push has become a run", || !runs().is_empty());
    assert_eq!(runs().lines().count(), 1, "{}", runs());

    // Followed while it goes on: it waits for somebody who has read so far.
    let mut follows = place.command(&["logs", "1", "-f"]);
    let mut follows = Process(follows.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let lines = BufReader::new(follows.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (mut seen, mut has_answered) = (Vec::new(), false);
    for line in lines {
        seen.push(line);
        if !has_answered && seen.iter().any(|line| line.contains("go on?")) {
            assert_eq!(place.run(1)["status"], "running");
            let answered = place.ask(&["answer", "1", "--yes"]);
            assert_eq!(answered.code, 0, "{answered:?}");
            has_answered = true;
        }
    }
    assert!(follows.0.wait().unwrap().success() && has_answered, "{seen:?}\n{}", place.logs());
    for line in ["begun", "that was pushed", "for everybody", "on", "/bin/busybox"] {
        assert!(seen.iter().any(|seen| seen == line), "{line}: {seen:?}");
    }
    assert_eq!(
        seen.iter().filter(|line| *line == "that was pushed").count(),
        2,
        "on the host's tools, and in the image"
    );
    let events = place.ask(&["runs", "1", "--events"]).stdout;
    assert!(events.lines().any(|line| line.contains("rung=\"container\"")), "{events}");
    let commit = project.git(&["rev-parse", "main"]);
    let run = place.run(1);
    assert_eq!(
        (&run["commit"], &run["trust"], &run["outcome"]),
        (&commit.as_str().into(), &"protected".into(), &"SUCCESS".into())
    );
    let to = format!("/repos/org/app/statuses/{commit} ");
    let heard = |line: &str| line.starts_with(&to) && line.contains("\"success\"");
    wait_until("the forge has heard of it", || forge.told().lines().any(heard));
    // And a push of a branch that goes is no run.
    project.git(&["push", "-q", &url, "main:other"]);
    wait_until("the other branch is run", || runs().lines().count() == 2);
    project.git(&["push", "-q", &url, ":other"]);
    wait_until("its run has ended", || place.run(2)["status"] == "done");
    assert_eq!(place.run(2)["message"], "refs/heads/other was removed", "{}", place.run(2));
}

#[test]
fn a_run_knows_what_came_since_the_one_before() {
    let Some(place) = Place::with_agent() else { return };
    if !has_tools() {
        return;
    }
    let definition = "def sets = currentBuild.changeSets
for (set in sets) { for (entry in set.items) { echo \"${entry.msg} by ${entry.author}: ${entry.affectedPaths}\" } }
echo \"sets ${sets.size()}\"";
    let project = Project::new(definition);
    project.write("file", "one\n").commit_folder(".", "main");
    let bare = place.folder.path().join("forge.git");
    project.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let (_git, url) = serve(&bare);
    assert_eq!(place.ask(&["projects", "put", "app", "--git", &url]).code, 0);
    let run = || {
        let ran = place.ask(&["trigger", "app", "--follow"]);
        assert_eq!(ran.code, 0, "{ran:?}\n{}", place.logs());
        ran.stdout + &ran.stderr
    };
    let first = run();
    assert!(first.contains("sets 0"), "{first}");
    for (name, said) in [("docs/a.md", "words"), ("file", "more of it")] {
        project.write(name, said);
        project.git(&["add", "-A"]);
        project.git(&["commit", "-q", "-m", said]);
    }
    project.git(&["push", "-q", &url, "main"]);
    let second = run();
    for line in ["words by", ": [docs/a.md]", "more of it by", ": [file]", "sets 1"] {
        assert!(second.contains(line), "{line}: {second}");
    }
    let third = run();
    assert!(third.contains("sets 0"), "nothing came since: {third}");
}
