//! The registry that Debian ships, filled by skopeo: nothing of ours on the other side.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::registry::Mirror;
use image::{LayerKind, PullOptions};

use crate::children;
use crate::images::{Home, TestImage, gzip, noise, options, tar, zstd};

struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// `None`, with the reason printed, where it is not installed.
    fn start(folder: &Path) -> Option<Self> {
        Self::start_with(folder, "")
    }

    /// With more lines in the section `http` of its configuration.
    fn start_with(folder: &Path, http: &str) -> Option<Self> {
        for tool in ["docker-registry", "skopeo"] {
            if Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'{http}}}\n",
            folder.join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::yield_now();
        }
        Some(registry)
    }

    fn push(&self, image: &TestImage, folder: &Path, name: &str, more: &[&str]) {
        let layout = folder.join("layout");
        let _ = std::fs::remove_dir_all(&layout);
        image.write_layout(&layout, Some("x"));
        let status = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", "--dest-tls-verify=false"])
            .args(more)
            .arg(format!("oci:{}:x", layout.display()))
            .arg(format!("docker://127.0.0.1:{}/{name}", self.port))
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn pulls_what_skopeo_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(folder.path()) else { return };
    let image = TestImage::new(vec![
        gzip(&tar(&[("etc/hello", b"from the first layer\n"), ("bulk", &noise(1, 1_000_000))])),
        zstd(&tar(&[("etc/second", b"2")])),
    ]);
    registry.push(&image, folder.path(), "library/maven:3", &[]);
    let docker = TestImage::new(vec![image.layers[0].clone(), gzip(&tar(&[("etc/second", b"2")]))]);
    registry.push(&docker, folder.path(), "team/docker:1", &["--format", "v2s2"]);
    let mut with_mirror = options();
    let mirror = format!("docker.io=http://127.0.0.1:{}", registry.port);
    with_mirror.registry.mirrors = vec![Mirror::parse(&mirror).unwrap()];
    let home = Home::with(with_mirror);
    let pulled = home.store.pull(&"maven:3".parse().unwrap(), &PullOptions::default(), &()).await.unwrap();
    assert_eq!(pulled.digest, image.digest());
    let LayerKind::Erofs(layer) = &pulled.layers[0].kind else { panic!() };
    let bytes = std::fs::read(layer).unwrap();
    let needle = b"from the first layer\n";
    assert!(bytes.windows(needle.len()).any(|window| window == needle), "the file is in the EROFS image");
    let name = format!("127.0.0.1:{}/team/docker:1", registry.port).parse().unwrap();
    let docker = home.store.pull(&name, &PullOptions::default(), &()).await.unwrap();
    assert_eq!(docker.layers, pulled.layers);
    let unknown = format!("127.0.0.1:{}/team/nothing:1", registry.port).parse().unwrap();
    let error = home.store.pull(&unknown, &PullOptions::default(), &()).await.unwrap_err();
    assert!(error.to_string().starts_with("no such image"), "{error}");
}

/// TLS as the system's certificates allow it: a process of its own trusts an authority made for the test.
#[test]
fn certificates_decide() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: openssl is not installed");
        return;
    }
    let tls = format!(", tls: {{certificate: {}, key: {}}}", cert.display(), key.display());
    let Some(registry) = Registry::start_with(folder.path(), &tls) else { return };
    let image = TestImage::small(1);
    registry.push(&image, folder.path(), "library/maven:3", &[]);
    let mirror = format!("docker.io=https://localhost:{}", registry.port);
    let pull = |trusted: &Path, store: &str| {
        let mut child = children::command(&[], &folder.path().join(store), "maven:3");
        child.env("COFFERDAM_MIRRORS", &mirror).env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
        // The origin must not be asked, whether it can be reached from here or not.
        child.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "localhost").output().unwrap()
    };
    let output = pull(&cert, "trusting");
    assert!(output.status.success(), "{output:?}");
    let output = pull(Path::new("/nonexistent"), "strict");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("certificate"), "{said}");
}
