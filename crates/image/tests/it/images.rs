//! Images made by the tests, and stores to put them into.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use image::registry::RegistryOptions;
use image::unpack::Converter;
use image::{Digest, LayerForm, Platform, PullEvent, Store, StoreOptions};
use serde_json::{Value, json};

/// A layer as a registry has it.
#[derive(Clone)]
pub struct TestLayer {
    pub blob: Vec<u8>,
    pub media_type: &'static str,
    pub diff_id: Digest,
}

impl TestLayer {
    pub fn digest(&self) -> Digest {
        Digest::of(&self.blob)
    }
}

/// A tar archive of files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn plain(tar: &[u8]) -> TestLayer {
    TestLayer { blob: tar.to_vec(), media_type: "application/vnd.oci.image.layer.v1.tar", diff_id: Digest::of(tar) }
}

pub fn gzip(tar: &[u8]) -> TestLayer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(tar).unwrap();
    let blob = encoder.finish().unwrap();
    TestLayer { blob, media_type: "application/vnd.oci.image.layer.v1.tar+gzip", diff_id: Digest::of(tar) }
}

pub fn zstd(tar: &[u8]) -> TestLayer {
    let blob = zstd::encode_all(tar, 3).unwrap();
    TestLayer { blob, media_type: "application/vnd.oci.image.layer.v1.tar+zstd", diff_id: Digest::of(tar) }
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An image as a registry has it.
#[derive(Clone)]
pub struct TestImage {
    pub layers: Vec<TestLayer>,
    pub config: Value,
    /// Replaces parts of the manifest.
    pub manifest: Value,
    pub docker: bool,
}

impl TestImage {
    pub fn new(layers: Vec<TestLayer>) -> Self {
        let host = Platform::host();
        let config = json!({
            "architecture": host.architecture, "os": host.os,
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/true"], "WorkingDir": "/work", "User": "1000:1000"},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>()},
        });
        Self { layers, config, manifest: json!({}), docker: false }
    }

    /// Two small layers, different for every seed.
    pub fn small(seed: u64) -> Self {
        let first = tar(&[("etc/os-release", b"ID=test\n"), ("seed", &seed.to_le_bytes())]);
        Self::new(vec![gzip(&first), zstd(&tar(&[("bin/tool", &noise(seed, 3000))]))])
    }

    /// One layer of about `size` bytes as a blob.
    pub fn sized(seed: u64, size: usize) -> Self {
        Self::new(vec![gzip(&tar(&[("blob", &noise(seed, size))]))])
    }

    pub fn config(&self) -> Vec<u8> {
        self.config.to_string().into_bytes()
    }

    pub fn config_digest(&self) -> Digest {
        Digest::of(&self.config())
    }

    pub fn media_type(&self) -> &'static str {
        match self.docker {
            true => "application/vnd.docker.distribution.manifest.v2+json",
            false => "application/vnd.oci.image.manifest.v1+json",
        }
    }

    pub fn manifest(&self) -> Vec<u8> {
        let config_type = match self.docker {
            true => "application/vnd.docker.container.image.v1+json",
            false => "application/vnd.oci.image.config.v1+json",
        };
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| json!({"mediaType": layer.media_type, "digest": layer.digest(), "size": layer.blob.len()}))
            .collect();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": self.media_type(),
            "config": {"mediaType": config_type, "digest": self.config_digest(), "size": self.config().len()},
            "layers": layers,
        });
        for (key, value) in self.manifest.as_object().unwrap() {
            manifest[key] = value.clone();
        }
        manifest.to_string().into_bytes()
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest())
    }

    /// Writes it as an OCI layout.
    pub fn write_layout(&self, folder: &Path, name: Option<&str>) {
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let put = |bytes: &[u8]| std::fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
        self.layers.iter().for_each(|layer| put(&layer.blob));
        put(&self.config());
        put(&self.manifest());
        let mut entry = json!({"mediaType": self.media_type(), "digest": self.digest(), "size": self.manifest().len()});
        if let Some(name) = name {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
        std::fs::write(folder.join("index.json"), index).unwrap();
    }
}

/// Names Docker's config for [`options`] in a child process.
pub const DOCKER_CONFIG: &str = "COFFERDAM_TEST_CHILD_DOCKER_CONFIG";

/// Options for tests: impatient, and without the credentials of whoever runs them.
pub fn options() -> StoreOptions {
    let mut options = StoreOptions::new(Converter::new(env!("CARGO_BIN_EXE_unpack-child"), []));
    // The converter writes an EROFS file without the kernel's help; only mounting it needs root.
    options.layer_form = Some(LayerForm::Erofs);
    options.registry = RegistryOptions {
        docker_config: Some(std::env::var_os(DOCKER_CONFIG).unwrap_or("/nonexistent/config.json".into()).into()),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_millis(700),
        retries: 3,
        backoff: Duration::from_millis(5),
        ..RegistryOptions::from_env().unwrap()
    };
    options
}

/// A store in a folder of its own.
pub struct Home {
    pub folder: tempfile::TempDir,
    pub store: Store,
}

impl Home {
    pub fn new() -> Self {
        Self::with(options())
    }

    pub fn with(options: StoreOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), options).unwrap();
        Self { folder, store }
    }

    /// Names in a subfolder.
    pub fn names(&self, subfolder: &str) -> Vec<String> {
        names(&self.folder.path().join(subfolder))
    }

    /// Nothing unfinished and nothing stored.
    pub fn assert_empty(&self) {
        for subfolder in ["tmp", "layers", "images", "refs"] {
            assert_eq!(self.names(subfolder), Vec::<String>::new(), "{subfolder}");
        }
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Remembers what a pull told.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<PullEvent>>);

impl image::Progress for Told {
    fn event(&self, event: &PullEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Told {
    pub fn all(&self) -> Vec<PullEvent> {
        self.0.lock().unwrap().clone()
    }

    pub fn retries(&self) -> Vec<String> {
        let reason = |event| match event {
            PullEvent::Retrying { what, reason } => Some(format!("{what}: {reason}")),
            _ => None,
        };
        self.all().into_iter().filter_map(reason).collect()
    }
}
