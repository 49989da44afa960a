//! A project folder, a store of its own, and the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

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

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) -> &Project {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Makes it a git repository with everything committed.
    pub fn commit(&self) -> &Project {
        self.commit_folder(".", "trunk")
    }

    /// Makes a folder of it a git repository with everything committed on that branch.
    pub fn commit_folder(&self, folder: &str, branch: &str) -> &Project {
        let first_branch = format!("init.defaultBranch={branch}");
        self.git(&["-C", folder, "-c", &first_branch, "init", "-q"]);
        self.git(&["-C", folder, "add", "-A"]);
        self.git(&["-C", folder, "commit", "-q", "-m", "one"]);
        self
    }

    /// What git says, without the line break at its end.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(args)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
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
pub fn home() -> &'static Path {
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
