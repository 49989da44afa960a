//! A project folder, a store of its own, and the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use sha2::Digest as _;

/// A project with a definition.
pub struct Project {
    pub dir: tempfile::TempDir,
}

/// What the binary did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// A folder with that `Jenkinsfile`.
    pub fn new(definition: &str) -> Project {
        let dir = tempfile::Builder::new().prefix("project-").tempdir().unwrap();
        std::fs::write(dir.path().join("Jenkinsfile"), definition).unwrap();
        Project { dir }
    }

    /// A declarative pipeline of one stage with these steps, on the host's tools.
    pub fn steps(steps: &str) -> Project {
        Project::new(&format!(
            "pipeline {{\n agent any\n options {{ skipDefaultCheckout() }}\n stages {{ stage('S') {{ steps {{\n{steps}\n}} }} }}\n}}\n"
        ))
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, text: &str) -> &Project {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Makes it a git repository with everything committed.
    pub fn commit(&self) -> &Project {
        let git = |args: &[&str]| {
            let output = Command::new("git")
                .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=trunk"])
                .args(args)
                .current_dir(self.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        git(&["init", "-q"]);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "one"]);
        self
    }

    /// `cofferdam run ARGS PROJECT`, without network, with plain lines.
    pub fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args).output().unwrap())
    }

    /// The command of [`Project::run`].
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = cofferdam();
        command.args(["run", "--network", "none"]).args(args).arg(self.path());
        command
    }
}

/// The binary with a store that all tests of this binary share.
pub fn cofferdam() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam"));
    command.env("COFFERDAM_HOME", home()).env_remove("COFFERDAM_MIRRORS").stdin(Stdio::null());
    command
}

/// Runs it with these words.
pub fn run(args: &[&str]) -> Ran {
    finish(cofferdam().args(args).output().unwrap())
}

pub fn finish(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// One store for all test processes: content-addressed, so that they may share it.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("home"))
}

/// Whether sandboxes can be made here; says why not.
pub fn sandboxes_work() -> bool {
    static WORK: OnceLock<bool> = OnceLock::new();
    *WORK.get_or_init(|| {
        let doctor = run(&["doctor", "--output", "json"]);
        if doctor.code != 0 {
            println!("skipped: this host makes no sandboxes: {}", doctor.stdout.trim());
        }
        doctor.code == 0
    })
}

/// Imports an image with busybox and the given config; returns its name. `None`, with the reason printed, where it cannot be made.
pub fn busybox_image(name: &str, config: &str, extra: &[(&str, &str)]) -> Option<String> {
    let Ok(busybox) = std::fs::read("/bin/busybox") else {
        println!("skipped: busybox-static is not installed");
        return None;
    };
    let mut layer = tar::Builder::new(Vec::new());
    for folder in ["bin/", "etc/", "tmp/", "root/"] {
        add(&mut layer, folder, tar::EntryType::Directory, 0o755, b"");
    }
    add(&mut layer, "bin/busybox", tar::EntryType::Regular, 0o755, &busybox);
    for applet in [
        "sh", "cat", "id", "ls", "echo", "pwd", "env", "sleep", "true", "touch", "stat", "whoami", "mkdir", "grep",
        "ip", "wc", "head", "dd",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    add(
        &mut layer,
        "etc/passwd",
        tar::EntryType::Regular,
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nbuilder:x:1234:1234::/tmp:/bin/sh\n",
    );
    add(&mut layer, "etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\nbuilder:x:1234:\n");
    for (path, content) in extra {
        add(&mut layer, path, tar::EntryType::Regular, 0o755, content.as_bytes());
    }
    Some(import(name, config, &layer.into_inner().unwrap()))
}

/// Imports an image of one layer.
pub fn import(name: &str, config: &str, layer: &[u8]) -> String {
    let name = format!("test.invalid/{name}:1");
    let diff_id: String = sha2::Sha256::digest(layer).iter().map(|b| format!("{b:02x}")).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff_id}"]}}}}"#
    );
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#);
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "manifest.json", tar::EntryType::Regular, 0o644, manifest.as_bytes());
    add(&mut archive, "config.json", tar::EntryType::Regular, 0o644, config.as_bytes());
    add(&mut archive, "layer.tar", tar::EntryType::Regular, 0o644, layer);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &archive.into_inner().unwrap()).unwrap();
    let imported = run(&["image", "import", file.path().to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{imported:?}");
    name
}

fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).unwrap();
}
