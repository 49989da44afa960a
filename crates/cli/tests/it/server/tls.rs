//! A server that speaks TLS itself, and those who speak to it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::place::{Place, wait_until};
use crate::project::{Project, cofferdam, finish, sandboxes_work};

/// An authority, and a certificate of it for the address that tests listen at.
const AUTHORITY: &str = r#"set -e; cd "$0"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
printf 'subjectAltName=IP:127.0.0.1\n' >extensions
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem"#;

/// Makes them in a folder. False, with the reason printed: they cannot be.
fn certify(folder: &Path) -> bool {
    let made =
        Command::new("sh").args(["-c", AUTHORITY]).arg(folder).stderr(Stdio::null()).stdout(Stdio::null()).status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        println!("skipped: openssl makes no certificate");
    }
    made
}

#[test]
fn a_server_speaks_tls_with_agents_and_people() {
    let mut place = Place::on_nothing();
    if !sandboxes_work() || !certify(place.folder.path()) {
        return;
    }
    place.authority = Some(place.folder.path().join("ca.pem"));
    place.start_server();
    place.add_agent("one");
    let project = Project::new("node { sh 'echo over TLS > file; cat file'; archiveArtifacts 'file' }");
    place.put("app", &project);
    let ran = place.ask(&["trigger", "app", "--follow"]);
    assert!(ran.code == 0 && ran.stdout.lines().any(|line| line == "over TLS"), "{ran:?}\n{}", place.logs());
    assert!(place.ask(&["artifacts", "1"]).stdout.contains("file"), "it came over TLS too");

    // Who does not trust that authority says nothing to this server, not even a token.
    let mut command = cofferdam();
    command.args(["runs", "--server", &place.url(), "--token", &place.token()]);
    let ran = finish(command.output().unwrap());
    assert!(ran.code == 7 && ran.stderr.contains("certificate"), "{ran:?}");
    let enrolled = place.folder.path().join("one").join("agent.key");
    let stranger = place.folder.path().join("stranger");
    fs::create_dir_all(&stranger).unwrap();
    fs::copy(enrolled, stranger.join("agent.key")).unwrap();
    let mut command = cofferdam();
    command.args(["agent", "--server", &place.url(), "--network", "none", "--data"]).arg(&stranger);
    command.stdout(Stdio::null()).stderr(place.log("stranger.log"));
    let _agent = super::place::Process(command.spawn().unwrap());
    let log = || fs::read_to_string(place.folder.path().join("stranger.log")).unwrap_or_default();
    wait_until("it says why", || log().contains("cannot be reached"));
    assert!(log().contains("certificate"), "{}", log());
    // Nor does the server answer who speaks no TLS, and one that says nothing holds up nobody.
    let _silent = std::net::TcpStream::connect(("127.0.0.1", place.port)).unwrap();
    let plain = place.url().replace("https", "http");
    let ran = finish(cofferdam().args(["runs", "--server", &plain, "--token", "none"]).output().unwrap());
    assert_eq!(ran.code, 7, "{ran:?}");
    assert_eq!(place.ask(&["runs"]).code, 0);
}

#[test]
fn a_server_without_a_good_certificate_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    if !certify(folder.path()) {
        return;
    }
    let file = |name: &str| folder.path().join(name);
    fs::write(file("none.pem"), "nothing\n").unwrap();
    for (certificate, key, expect) in [
        ("none.pem", "server.key", "none.pem"),
        ("server.pem", "none.pem", "none.pem"),
        ("server.pem", "nowhere.key", "nowhere.key"),
        ("server.pem", "ca.key", "server.pem"),
    ] {
        let mut command = cofferdam();
        command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(file("data"));
        command.arg("--tls-cert").arg(file(certificate)).arg("--tls-key").arg(file(key));
        let ran = finish(command.output().unwrap());
        assert!(ran.code == 2 && ran.stderr.contains(expect), "{certificate} {key}: {ran:?}");
    }
}
