//! A service that speaks S3, on loopback: moto's, where it is there (`scripts/s3-server.sh` brings it).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blob::{Blobs, Patience};

const BUCKET: &str = "blobs";

pub struct Service {
    pub address: SocketAddr,
    process: Child,
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<PathBuf> {
    let of_script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/s3-server/bin/moto_server");
    let named = std::env::var_os("COFFERDAM_S3_SERVER").map(PathBuf::from);
    named.or_else(|| Some(of_script.into())).filter(|program| program.exists())
}

impl Service {
    /// With a bucket.
    pub fn start() -> Option<Service> {
        let Some(program) = program() else {
            println!("skipped: there is no server that speaks S3; scripts/s3-server.sh brings one");
            return None;
        };
        // Free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut service = Service { address, process };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "it does not start");
            assert!(service.process.try_wait().unwrap().is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        let made = service.ask("PUT", &format!("/{BUCKET}"));
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        Some(service)
    }

    pub fn blobs(&self, address: SocketAddr, prefix: &str, patience: Patience) -> Blobs {
        self.blobs_of(BUCKET, address, prefix, patience)
    }

    pub fn blobs_of(&self, bucket: &str, address: SocketAddr, prefix: &str, patience: Patience) -> Blobs {
        let settings = [
            ("AWS_ENDPOINT_URL", format!("http://{address}")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        Blobs::open_with(&format!("s3://{bucket}/{prefix}"), settings, patience).unwrap()
    }

    /// Uploads in parts that have neither come to their end nor been given up.
    pub fn uploads_under_way(&self) -> usize {
        self.ask("GET", &format!("/{BUCKET}?uploads")).matches("<UploadId>").count()
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
