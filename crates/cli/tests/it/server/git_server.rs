//! A real git server over HTTP: git's own `http-backend`, as forges have it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::place::{Process, wait_until};

/// Hands each request to `git http-backend`. Whoever pushes is somebody. Words: port, the repository or a folder of some, address.
pub const PROGRAM: &str = "import http.server, os, subprocess, sys
port, repository = int(sys.argv[1]), sys.argv[2]
class Git(http.server.BaseHTTPRequestHandler):
    def body(self):
        if self.headers.get('transfer-encoding') != 'chunked':
            return self.rfile.read(int(self.headers.get('content-length') or 0))
        body = b''
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body
    def answer(self):
        path, _, query = self.path.partition('?')
        body, said = self.body(), lambda name: self.headers.get(name) or ''
        env = dict(os.environ, GIT_PROJECT_ROOT=repository, GIT_HTTP_EXPORT_ALL='1', REQUEST_METHOD=self.command, PATH_INFO=path,
            QUERY_STRING=query, CONTENT_TYPE=said('content-type'), CONTENT_LENGTH=str(len(body)), GIT_PROTOCOL=said('git-protocol'),
            HTTP_CONTENT_ENCODING=said('content-encoding'), REMOTE_USER='somebody', REMOTE_ADDR='127.0.0.1')
        head, _, out = subprocess.run(['git', 'http-backend'], input=body, env=env, capture_output=True).stdout.partition(b'\\r\\n\\r\\n')
        fields = [line.split(': ', 1) for line in head.decode().split('\\r\\n') if line]
        self.send_response(int(dict(fields).get('Status', '200 OK').split()[0]))
        for name, value in fields:
            if name != 'Status': self.send_header(name, value)
        self.send_header('content-length', str(len(out))); self.end_headers(); self.wfile.write(out)
    do_GET = do_POST = answer
http.server.ThreadingHTTPServer((sys.argv[3], port), Git).serve_forever()";

/// Serves a repository (a bare one, or the `.git` of another), at this address.
pub fn serve(repository: &Path) -> (Process, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("python3");
    command
        .args(["-c", PROGRAM, &port.to_string()])
        .arg(repository)
        .arg("127.0.0.1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Process(command.spawn().unwrap());
    wait_until("the repository is served", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    (server, format!("http://127.0.0.1:{port}/"))
}
