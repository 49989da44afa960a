//! The world of `docker-runtime.jsonl`: stand-ins for the images of Docker Hub that it names, in a store and at a registry, and
//! machines with a Docker Engine.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::images::{busybox_layer, docker_archive, import_archive};
use crate::kernels;
use crate::project::{cofferdam, home};

/// What a run says that has no machine with an engine.
const WANTS_ENGINE: &str = "needs a Docker Engine of the job's own";
/// Of a machine, for several run at the same time. Where instructions are translated, a second processor of it makes both slower.
const LIMITS: [&str; 2] = ["--memory=1G", "--cpus=1"];
/// The image that is asked of the registry although the store has it.
const PULLED: &str = "maven:3-eclipse-temurin-17-alpine";
/// What needs that.
const PULLS: &str = "DockerAgentTest#dockerPullLocalImage";
/// An engine believes Docker Hub's own certificate only.
const PULLS_IN_ENGINE: &str = "DockerDSLTest#buildArguments";
const PATIENCE: Duration = Duration::from_secs(30);

/// A program of an image: its path and its text.
type Program = (&'static str, &'static str);
const MAVEN: Program = ("usr/bin/mvn", "#!/bin/sh\necho 'Maven home: /usr/share/maven'\n");
const SETTINGS: Program = ("usr/local/apache2/conf/extra/httpd-userdir.conf", "Require method GET POST OPTIONS\n");
/// Ends when it is told to, as servers do.
const SERVER: Program = ("usr/bin/httpd-foreground", "#!/bin/sh\ntrap 'exit 0' TERM\nsleep 1000 &\nwait\n");

/// By their names: they answer the commands that are used, and nothing else.
const IMAGES: [(&[&str], &[Program], &str); 3] = [
    (&["maven:3.9.9-eclipse-temurin-17", PULLED], &[MAVEN], "sh"),
    (&["httpd:2.4.59", "httpd:2.4.62"], &[SETTINGS, SERVER], "httpd-foreground"),
    (&["ubuntu:latest", "ubuntu:noble", "busybox:latest", "hello-world:latest"], &[], "sh"),
];

/// Cases that want an engine; all others run without one.
const WANT_ENGINES: &[&str] = &[
    "DSLTest#runArgs",
    "DSLTest#build",
    "DSLTest#withTool",
    "DSLTest#tag",
    "DSLTest#tagInjection",
    "DSLTest#run",
    "DSLTest#port",
    "#fromDockerfile",
    "#additionalDockerBuildArgs",
    "#fromDockerfileInOtherDir",
    "#fromDockerfileNoArgs",
    "#dockerPullLocalImage",
    "#additionalDockerBuildArgsImageHash",
    "UtilsTest#runsOnCorrectSlave",
];

/// See the module.
pub struct Docker {
    home: tempfile::TempDir,
    hub: Option<Hub>,
    has_engine: bool,
}

impl Docker {
    /// `None`, with the reason printed, where not even images can be made. What else is not to be had is printed too.
    pub fn start() -> Option<Docker> {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start();
        for (names, programs, command) in IMAGES {
            let layer = busybox_layer(programs)?;
            let config = format!(r#"{{"Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"Cmd":["{command}"]}}"#);
            let archive = docker_archive(names, &config, &layer);
            import_archive(cofferdam().env("COFFERDAM_HOME", home.path()), archive.path());
            if let (Some(hub), true) = (&hub, names.contains(&PULLED)) {
                hub.push(archive.path(), PULLED);
            }
        }
        let has_engine = kernels::guest() && kernels::engine();
        if has_engine {
            // Its machines boot once for all tests.
            symlink(self::home().join("guests"), home.path().join("guests")).unwrap();
        }
        Some(Docker { home, hub, has_engine })
    }

    /// So many cases at the same time: a machine, unlike most of what waits, wants a processor.
    pub fn at_once(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        if self.has_engine { processors.min(super::THREADS) } else { super::THREADS }
    }

    /// Why a case cannot be run at all.
    pub fn lacks(&self, id: &str) -> Option<&'static str> {
        match id {
            PULLS_IN_ENGINE => Some("a registry with Docker Hub's own certificate, which an engine asks (`--pull`)"),
            PULLS if self.hub.is_none() => Some("a registry with images of Docker Hub"),
            _ => None,
        }
    }

    /// Why a run that ended so is none.
    pub fn lacked(&self, id: &str, log: &str) -> Option<&'static str> {
        let may_lack = || WANT_ENGINES.iter().any(|of| id.ends_with(of));
        (!self.has_engine && log.contains(WANTS_ENGINE) && may_lack()).then_some("a Docker Engine of the job's own")
    }

    /// Has a run take place in this world.
    pub fn furnish(&self, command: &mut Command) {
        command.env("COFFERDAM_HOME", self.home.path()).args(LIMITS);
        if let Some(hub) = &self.hub {
            command.env("COFFERDAM_MIRRORS", format!("docker.io=http://127.0.0.1:{}", hub.port));
        }
    }
}

/// Debian's registry in the place of Docker Hub's.
struct Hub {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Hub {
    /// `None`, with the reason printed, where it is not installed.
    fn start() -> Option<Hub> {
        for tool in ["docker-registry", "skopeo"] {
            if Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.path().join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            folder.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let hub = Hub { child: command.spawn().unwrap(), port, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the registry does not answer");
            std::thread::yield_now();
        }
        Some(hub)
    }

    fn push(&self, archive: &Path, name: &str) {
        let status = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", "--dest-tls-verify=false"])
            .arg(format!("docker-archive:{}:{name}", archive.display()))
            .arg(format!("docker://127.0.0.1:{}/library/{name}", self.port))
            .status();
        assert!(status.unwrap().success(), "{name} is not pushed");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
