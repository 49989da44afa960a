//! Repositories that ask who comes.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::place::{Place, Process, wait_until};

/// Serves a folder to who knows the password; below `/moved` it sends everybody elsewhere, and notes with what they came there.
const FORGE: &str = "import http.server, sys, base64, functools
class Forge(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers['host'].startswith('localhost'):
            print(self.headers['authorization'], file=open(sys.argv[3], 'a'), flush=True)
        if self.path.startswith('/moved'):
            self.send_response(302)
            self.send_header('location', 'http://localhost:' + sys.argv[1] + self.path[6:])
            return self.end_headers()
        if self.headers['authorization'] != 'Basic ' + base64.b64encode(b'bot:open sesame').decode():
            self.send_response(401)
            self.send_header('www-authenticate', 'Basic realm=x')
            return self.end_headers()
        super().do_GET()
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), functools.partial(Forge, directory=sys.argv[2])).serve_forever()";

/// What a workload could find it with.
const LOOKS: &str =
    "node { echo \"at ${scm.userRemoteConfigs[0].url}\"; checkout scm; sh 'cat .git/config; env; echo looked' }";

#[test]
fn a_private_repository_is_fetched_and_no_workload_sees_with_what() {
    let Some(place) = Place::with_agent() else { return };
    let (project, _open, _) = super::served(LOOKS);
    // It is served as files.
    project.git(&["update-server-info"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let elsewhere = place.folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "").unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", FORGE, &port.to_string()]).arg(project.path().join(".git")).arg(&elsewhere);
    let _forge = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("the repository is served", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let file = place.folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let with = ["--git-user", "bot", "--git-password-file", file.to_str().unwrap()];
    let put = |url: &str, login: &[&str]| {
        let put = place.ask(&[&["projects", "put", "app", "--git", url][..], login].concat());
        assert_eq!(put.code, 0, "{put:?}");
        place.ask(&["trigger", "app", "--follow"])
    };
    let ran = put(&url("/"), &[]);
    assert!(ran.code == 1 && !ran.stdout.contains("looked"), "a control: {ran:?}");
    let ran = put(&url("/"), &with);
    assert!(ran.code == 0 && ran.stdout.contains("\nlooked\n"), "{ran:?}\n{}", place.logs());
    assert!(ran.stdout.contains(&format!("at {}\n", url("/"))), "{ran:?}");
    let words = "Ym90Om9wZW4gc2VzYW1l";
    let listed = place.ask(&["projects", "ls", "--output", "json"]).stdout;
    for text in [&ran.stdout, &listed, &place.logs()] {
        assert!(!text.contains("sesame") && !text.contains(words), "{text}");
    }
    assert!(listed.contains("\"user\":\"bot\""), "{listed}");
    let ran = put(&url("/moved/"), &with);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "", "it goes to where it was given for, and nowhere else");
    let ran = put(&url("/moved/"), &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!std::fs::read_to_string(&elsewhere).unwrap().is_empty(), "a control: without it, one is sent on");
}
