//! Images of Debian's packages, with the tools that people use: `examples/maven` on every driver, the same files and the same
//! `Jenkinsfile`; and buildah, which builds images without a daemon.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernels::{PIPELINE, check_pipeline, guest};
use crate::project::{Project, Ran, cofferdam, finish, sandboxes_work};

const PORT: &str = "15018";
const MIRROR: &str = "docker.io=http://127.0.0.1:15018";

/// A registry with `maven:3`; it ends with this.
struct Registry {
    process: Child,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = Command::new("kill").arg(self.process.id().to_string()).status();
        let _code = self.process.wait();
    }
}

/// One at a time. The first of all builds the image, which takes a minute. `None`, with the reason printed, where it cannot.
fn registry() -> Option<Registry> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !sandboxes_work() {
        return None;
    }
    let script = root().join("scripts/example-registry.sh");
    let mut process = Command::new(script)
        .args([PORT, data().to_str()?])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = process.stdout.take();
    let registry = Registry { process, _turn: turn };
    let mut said = String::new();
    BufReader::new(output?).read_line(&mut said).unwrap();
    if said != "ready\n" {
        println!("skipped: maven:3 cannot be built from Debian's packages, or served");
        return None;
    }
    Some(registry)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Where the registry keeps the image; `make run` uses the same.
fn data() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("example-registry")
}

fn run(arguments: &[&str]) -> Ran {
    let mut command = cofferdam();
    command.args(["run", "--network", "none", "--progress", "plain"]).args(arguments).env("COFFERDAM_MIRRORS", MIRROR);
    finish(command.arg(root().join("examples/maven")).output().unwrap())
}

/// `made` is what the run says of its sandbox.
fn check(made: &str, ran: &Ran) {
    assert_eq!(ran.code, 0, "{made}\n{}\n{}", ran.stdout, ran.stderr);
    for line in [made, "Tests run: 2, Failures: 0", "tide-1.0.jar", "BUILD SUCCESS"] {
        assert!(ran.stdout.contains(line), "{made}: `{line}` is not in:\n{}", ran.stdout);
    }
}

#[test]
fn maven_in_a_container() {
    if let Some(_registry) = registry() {
        check("job-1: container sandbox with ", &run(&[]));
    }
}

#[test]
fn maven_on_gvisor() {
    if !Path::new("/usr/bin/runsc").exists() {
        println!("skipped: runsc is not installed");
        return;
    }
    if let Some(_registry) = registry() {
        check("job-1: driver gvisor, ", &run(&["--rung", "gvisor"]));
    }
}

#[test]
fn maven_in_a_microvm() {
    if !guest() {
        return;
    }
    if let Some(_registry) = registry() {
        let mut ran = run(&["--rung", "microvm"]);
        // Seen once in a while under QEMU's translation, whoever starts QEMU (docs/guide/guest.md).
        let crashed = |ran: &Ran| ran.stdout.contains("SIGSEGV") || ran.stdout.contains("SIGILL");
        for again in 1..=2 {
            if ran.code != 1 || !crashed(&ran) {
                break;
            }
            println!("the Java virtual machine has crashed; time {again}");
            ran = run(&["--rung", "microvm"]);
        }
        check("job-1: driver microvm, ", &ran);
    }
}

/// In namespaces that hold an engine, a registry and no way out, and that end with this script.
const WITH_ENGINE: &str = r#"
set -e; dir=$1 registry=$2 data=$3; shift 3
ip link set lo up
"$registry" 15018 "$data" >"$dir/registry.log" 2>&1 & registry=$!
dockerd --data-root "$dir/root" --exec-root "$dir/exec" --pidfile "$dir/pid" --host "unix://$dir/sock" \
  --registry-mirror http://127.0.0.1:15018 --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >"$dir/log" 2>&1 & engine=$!
trap 'kill $engine $registry; wait' EXIT
for i in $(seq 300); do curl --silent --unix-socket "$dir/sock" http://engine/_ping >/dev/null && break; sleep 0.1; done
curl --silent --fail --unix-socket "$dir/sock" -X POST -H 'Content-Type: application/json' \
  -d '{"ListenAddr":"127.0.0.1:2377","AdvertiseAddr":"127.0.0.1"}' http://engine/swarm/init >&2
"$@"
"#;

#[test]
fn maven_on_an_engine_and_a_swarm() {
    let lacks = |program: &&str| {
        !Path::new("/usr/bin").join(program).exists() && !Path::new("/usr/sbin").join(program).exists()
    };
    if let Some(missing) = ["dockerd", "unshare", "curl"].iter().find(|program| lacks(program)) {
        println!("skipped: {missing} is not installed");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: an engine is started by root only");
        return;
    }
    let Some(registry) = registry() else { return };
    // In the namespaces there is another, on the same files.
    drop(registry);
    // Steps, files, stashes, artifacts, jobs at once: as on the drivers of this host.
    let pipeline = Project::new(&PIPELINE.replace("IMAGE", "maven:3"));
    for (option, made) in [("--docker", "job-1: driver docker, "), ("--swarm", "job-1: driver swarm, ")] {
        let folder = tempfile::Builder::new().prefix("cofferdam-engine-").tempdir().unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["bash", "-c", WITH_ENGINE, "engine"])
            .arg(folder.path())
            .arg(root().join("scripts/local-registry.sh"))
            .arg(data())
            .args(["bash", "-c", "for project in \"$1\" \"$2\"; do \"${@:3}\" \"$project\" || exit; done", "both"])
            .arg(root().join("examples/maven"))
            .arg(pipeline.path())
            .args([env!("CARGO_BIN_EXE_cofferdam"), "run", "--network", "none", "--progress", "plain"])
            .args([option, &format!("unix://{}/sock", folder.path().display()), "--docker-shared"])
            .env("COFFERDAM_HOME", crate::project::home())
            .env("COFFERDAM_MIRRORS", MIRROR)
            .stdin(Stdio::null());
        let ran = finish(command.output().unwrap());
        check(made, &ran);
        check_pipeline(&ran);
        assert_eq!(pipeline.text(".cofferdam/artifacts/x"), "written");
    }
}

/// An image with buildah; it takes half a minute the first time.
fn buildah_image() -> bool {
    let address = format!("127.0.0.1:{PORT}");
    let mut known = Command::new("curl");
    known.args(["-sf", "-o", "/dev/null", "-H", "Accept: application/vnd.oci.image.manifest.v1+json"]);
    if known.arg(format!("http://{address}/v2/tools/buildah/manifests/1")).status().is_ok_and(|status| status.success())
    {
        return true;
    }
    let made = Command::new(root().join("scripts/debian-image.sh"))
        .args([&address, "tools/buildah", "1", "buildah,busybox-static"])
        .status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        println!("skipped: an image with buildah cannot be built from Debian's packages");
    }
    made
}

const BUILDS: &str = "pipeline { agent { docker { image '127.0.0.1:15018/tools/buildah:1'; args '-u root' } } stages { stage('Build') { steps {
  sh 'mkdir bin && cp /bin/busybox bin/'
  sh 'buildah --storage-driver vfs bud --isolation chroot --tag own .'
  sh 'buildah --storage-driver vfs push own oci-archive:own.tar'
  archiveArtifacts 'own.tar'
} } } }";
const CONTAINERFILE: &str = "FROM scratch\nCOPY bin /bin\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo built as $(/bin/busybox id -u) > /made; /bin/busybox cat /made\"]\n";

/// On rung container, where the operator offers it, and nowhere else.
#[test]
fn an_image_is_built_without_a_daemon() {
    let Some(_registry) = registry() else { return };
    if !buildah_image() {
        return;
    }
    let project = Project::new(BUILDS);
    project.write("Containerfile", CONTAINERFILE);
    let ran = project.run(&["--progress", "plain"]);
    assert_eq!(ran.code, 1, "namespaces that nobody offered: {}\n{}", ran.stdout, ran.stderr);
    let ran = project.run(&["--progress", "plain", "--nested-namespaces"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for line in
        ["more of the host's kernel is within their reach", "[Build] built as 0", "job-1: container sandbox with"]
    {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
    // What was built is an image.
    let archive = project.path().join(".cofferdam/artifacts/own.tar");
    let imported =
        finish(cofferdam().args(["image", "import", "--name", "test.invalid/built:1"]).arg(archive).output().unwrap());
    assert_eq!(imported.code, 0, "{}", imported.stderr);
}
