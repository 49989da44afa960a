//! A service on loopback that speaks S3, as a process: moto's, which `scripts/s3-server.sh` brings.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::place::{Process, wait_until};

pub struct S3 {
    address: SocketAddr,
    _process: Process,
}

impl S3 {
    /// With a bucket, `blobs`.
    pub fn start() -> Option<S3> {
        let of_script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/s3-server/bin/moto_server"));
        let program = std::env::var_os("COFFERDAM_S3_SERVER").map_or(of_script, PathBuf::from);
        if !program.exists() {
            println!("skipped: there is no server that speaks S3; scripts/s3-server.sh brings one");
            return None;
        }
        // Free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let s3 = S3 { address, _process: Process(process) };
        wait_until("it listens", || TcpStream::connect(address).is_ok());
        let made = s3.ask("PUT", "/blobs");
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        Some(s3)
    }

    /// What a server has in its environment to find it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        let all = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    pub fn has_objects(&self) -> bool {
        self.ask("GET", "/blobs?list-type=2").contains("<Key>")
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let host = self.address;
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
