//! The registry that Debian ships, filled by skopeo: nothing of ours on the other side.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::registry::Mirror;
use image::{LayerKind, PullOptions};

use crate::images::{Home, TestImage, gzip, noise, options, tar, zstd};

struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// `None`, with the reason printed, where it is not installed.
    fn start(folder: &Path) -> Option<Self> {
        for tool in ["docker-registry", "skopeo"] {
            if Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
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
