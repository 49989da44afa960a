//! Services on loopback, where they are there: moto's, which speaks S3 (and what Google Cloud Storage speaks to who does not sign, which is the
//! same where this crate asks for it), and Azurite. `scripts/s3-server.sh` and `scripts/azure-server.sh` bring them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use blob::{Blobs, Patience};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

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

fn program(variable: &str, below_target: &str) -> Option<PathBuf> {
    let of_script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")).join(below_target);
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.or(Some(of_script)).filter(|program| program.exists())
}

/// Runs a service at an address that was free a moment ago, until it listens.
fn started(words: impl FnOnce(SocketAddr) -> Command) -> Service {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = words(address);
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut service = Service { address, process };
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not start");
        assert!(service.process.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(50));
    }
    service
}

/// Azurite's account, which its documentation has.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

impl Service {
    /// With a bucket.
    pub fn start() -> Option<Service> {
        let Some(program) = program("COFFERDAM_S3_SERVER", "s3-server/bin/moto_server") else {
            println!("skipped: there is no server that speaks S3; scripts/s3-server.sh brings one");
            return None;
        };
        let service = started(|address| {
            let mut command = Command::new(program);
            command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
            command
        });
        let made = service.ask("PUT", &format!("/{BUCKET}"));
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        Some(service)
    }

    /// Azurite, with a container.
    pub fn start_azure(folder: &Path) -> Option<Service> {
        let Some(program) = program("COFFERDAM_AZURE_SERVER", "azure-server/node_modules/.bin/azurite-blob") else {
            println!("skipped: there is no server that speaks Azure's protocol; scripts/azure-server.sh brings one");
            return None;
        };
        let service = started(|address| {
            let mut command = Command::new(program);
            command.args(["--blobHost", "127.0.0.1", "--blobPort", &address.port().to_string(), "--silent"]);
            command.args(["--skipApiVersionCheck", "--disableTelemetry", "--location"]).arg(folder);
            command
        });
        let date = Command::new("date").args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]).env("LC_ALL", "C").output().unwrap();
        let date = String::from_utf8(date.stdout).unwrap().trim().to_owned();
        let headers = format!("x-ms-date:{date}\nx-ms-version:2021-08-06");
        let signed = format!("PUT{}{headers}\n/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container", "\n".repeat(12));
        let base64 = base64::engine::general_purpose::STANDARD;
        let mut mac = Hmac::<Sha256>::new_from_slice(&base64.decode(ACCOUNT_KEY).unwrap()).unwrap();
        mac.update(signed.as_bytes());
        let signature = base64.encode(mac.finalize().into_bytes());
        let headers = format!("{}\r\nauthorization: SharedKey {ACCOUNT}:{signature}", headers.replace('\n', "\r\n"));
        let made = service.ask_with("PUT", &format!("/{ACCOUNT}/{BUCKET}?restype=container"), &headers);
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
        Some(service)
    }

    /// Of Google Cloud Storage, to who does not sign.
    pub fn google_blobs(&self, prefix: &str) -> Blobs {
        // A token that the other side can make something of; without one it would be asked for where such machines ask who they are.
        let settings = [
            ("GOOGLE_BASE_URL", format!("http://{}", self.address)),
            ("GOOGLE_BEARER_TOKEN", "key/20260101/us-east-1/s3/aws4_request".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        Blobs::open_with(&format!("gs://{BUCKET}/{prefix}"), settings, Patience::default()).unwrap()
    }

    pub fn azure_blobs(&self, prefix: &str) -> Blobs {
        let settings = [
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", format!("http://{}/{ACCOUNT}", self.address)),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        Blobs::open_with(&format!("az://{BUCKET}/{prefix}"), settings, Patience::default()).unwrap()
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
        self.ask_with(method, path, "x-nothing: more")
    }

    fn ask_with(&self, method: &str, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let host = self.address;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\ncontent-length: 0");
        write!(stream, "{head}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
