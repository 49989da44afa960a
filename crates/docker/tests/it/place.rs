//! An engine, a registry and an image for the tests of one process.
//!
//! The engine lives in network, mount and process namespaces of its own, which end with a script that reads from this process: when
//! that ends, however it does, nothing is left. Its network has no way out, so that nothing is ever pulled from elsewhere.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use docker::{Docker, DockerConfig, Endpoint, Swarm, SwarmConfig};
use sandbox::session::{Output, Session};
use sandbox::{Sandbox, SandboxSpec};
use wire::init::{ExecSpec, User};

const BUSYBOX: &str = "/bin/busybox";
/// Variable that names the folder of an engine to use instead of an own one, for processes that a test starts.
pub const ENGINE: &str = "COFFERDAM_TEST_ENGINE";
const PROGRAMS: [&str; 7] = ["dockerd", "containerd", "docker-registry", "skopeo", "unshare", "ip", "openssl"];

/// Without arguments of ours in it but the folder, `$0`.
const SCRIPT: &str = r#"
set -e; cd "$0"; ip link set lo up
start() { rm -f pid; dockerd --data-root "$0/root" --exec-root "$0/exec" --pidfile "$0/pid" --host "unix://$0/sock" \
  --host tcp://127.0.0.1:2376 --tlsverify --tlscacert ca.pem --tlscert server.pem --tlskey server.key \
  --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >>log 2>&1 & engine=$!
  for i in $(seq 300); do curl --silent --unix-socket "$0/sock" http://engine/_ping >/dev/null && return; sleep 0.1; done; exit 1; }
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null
printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >extensions
for name in server client; do
  openssl req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $name.key -out $name.csr 2>/dev/null
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out $name.pem 2>/dev/null
done
printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: "127.0.0.1:5000"}\n' "$0" >registry.yml
docker-registry serve registry.yml >registry.log 2>&1 &
start
for i in $(seq 100); do curl --silent http://127.0.0.1:5000/v2/ >/dev/null && break; sleep 0.1; done
skopeo copy --quiet --dest-tls-verify=false --digestfile digest tarball:image.tar docker://127.0.0.1:5000/busybox:latest
curl --silent --unix-socket "$0/sock" -X POST -H 'Content-Type: application/json' \
  -d '{"ListenAddr":"127.0.0.1:2377","AdvertiseAddr":"127.0.0.1"}' http://engine/swarm/init >swarm
echo ready
while read -r word; do
  case $word in
    kill) kill -9 $engine; wait $engine || true ;;
    start) start ;;
    freeze) kill -STOP $engine ;;
    thaw) kill -CONT $engine ;;
    node) mkdir -p "$0/second"; cd "$0/second"; dockerd --data-root "$PWD/root" --exec-root "$PWD/exec" --pidfile "$PWD/pid" \
        --host "unix://$PWD/sock" --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >>log 2>&1 & second=$!
      socket="$0/second/sock"; for i in $(seq 300); do curl --silent --unix-socket "$socket" http://engine/_ping >/dev/null && break; sleep 0.1; done
      token=$(curl --silent --unix-socket "$0/sock" http://engine/swarm | sed 's/.*"Worker":"\([^"]*\)".*/\1/')
      curl --silent --unix-socket "$socket" -X POST -H 'Content-Type: application/json' \
        -d "{\"ListenAddr\":\"127.0.0.2:2377\",\"AdvertiseAddr\":\"127.0.0.2\",\"RemoteAddrs\":[\"127.0.0.1:2377\"],\"JoinToken\":\"$token\"}" \
        http://engine/swarm/join >"$0/second/join" ;;
  esac
  echo "$word"
done
kill $engine $second; wait $engine $second || true
"#;

/// A running engine.
pub struct Engine {
    dir: PathBuf,
    script: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

/// The engine of this process, for one test at a time: each looks at what is left.
pub struct Turn {
    engine: &'static Engine,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl std::ops::Deref for Turn {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine
    }
}

static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// An engine that is changed for good.
pub async fn engine_apart() -> Option<Turn> {
    let turn = TURN.lock().await;
    let engine = Box::leak(Box::new(Engine::begin()?));
    Some(Turn { engine, _turn: turn })
}

/// Waits for a turn.
pub async fn engine() -> Option<Turn> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    let turn = TURN.lock().await;
    let engine = ENGINE.get_or_init(Engine::begin).as_ref()?;
    Some(Turn { engine, _turn: turn })
}

impl Engine {
    fn begin() -> Option<Engine> {
        if let Some(dir) = std::env::var_os(ENGINE) {
            return Some(Engine { dir: dir.into(), script: None });
        }
        if let Err(why) = possible() {
            println!("skipped: {why}");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/tmp/cofferdam-engine-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        image(&dir);
        // The outer shell waits for the namespaces to be gone. Not in the group of this process: what kills that lets it clean up.
        let outer = r#"unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc sh -c "$1" "$0"; rm -rf "$0""#;
        let mut child = Command::new("sh")
            .args(["-c", outer])
            .arg(&dir)
            .arg(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut script = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        // It outlives this process by the time that it takes to clean up.
        std::thread::spawn(move || child.wait());
        let mut line = String::new();
        script.1.read_line(&mut line).unwrap();
        if line.trim() != "ready" {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            println!("skipped: no engine starts here: {}", log.lines().last().unwrap_or_default());
            return None;
        }
        Some(Engine { dir, script: Some(Mutex::new(script)) })
    }

    /// Has the script do something: `kill`, `start`, `freeze`, `thaw`, `node`.
    pub fn tell(&self, word: &str) {
        let mut script = self.script.as_ref().unwrap().lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(script.0, "{word}").unwrap();
        let mut line = String::new();
        script.1.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The image by digest.
    pub fn image(&self) -> String {
        format!("127.0.0.1:5000/busybox@{}", fs::read_to_string(self.dir.join("digest")).unwrap())
    }

    pub fn spec(&self) -> SandboxSpec {
        SandboxSpec { image: Some(self.image()), ..SandboxSpec::image(Vec::new()) }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.dir.join("sock"))
    }

    pub fn config(&self) -> DockerConfig {
        DockerConfig { shared_machine: true, ..DockerConfig::new(self.endpoint()) }
    }

    pub async fn docker(&self) -> Docker {
        Docker::open(self.config()).await.unwrap()
    }

    pub async fn swarm(&self) -> Swarm {
        Swarm::open(SwarmConfig { shared_machine: true, ..SwarmConfig::new(self.endpoint()) }).await.unwrap()
    }

    /// A client, to look behind the drivers.
    pub fn client(&self) -> bollard::Docker {
        let socket = self.dir.join("sock").display().to_string();
        bollard::Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION).unwrap()
    }

    /// Everything that a driver could leave.
    pub async fn remains(&self) -> Vec<String> {
        use bollard::query_parameters::ListContainersOptionsBuilder;
        let client = self.client().negotiate_version().await.unwrap();
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let mut remains = Vec::new();
        for container in client.list_containers(Some(all)).await.unwrap() {
            let id = container.id.clone().unwrap();
            // A dead one may be in the engine's list alone, until that is started again.
            let is_dead = container.state == Some(bollard::models::ContainerSummaryStateEnum::DEAD);
            if is_dead && client.inspect_container(&id, None).await.is_err() {
                continue;
            }
            remains.push(format!("container {id} {:?}", container.state));
        }
        for service in client.list_services(None).await.unwrap() {
            remains.push(format!("service {:?}", service.id));
        }
        for config in client.list_configs(None).await.unwrap() {
            remains.push(format!("config {:?}", config.id));
        }
        for volume in client
            .list_volumes(None::<bollard::query_parameters::ListVolumesOptions>)
            .await
            .unwrap()
            .volumes
            .unwrap_or_default()
        {
            remains.push(format!("volume {}", volume.name));
        }
        remains
    }

    /// Waits until nothing is left but so many objects.
    pub async fn is_empty_but(&self, objects: usize) {
        let begun = std::time::Instant::now();
        loop {
            let remains = self.remains().await;
            if remains.len() <= objects {
                return;
            }
            assert!(begun.elapsed().as_secs() < 30, "{remains:?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn possible() -> Result<(), String> {
    if !rustix::process::getuid().is_root() {
        return Err("an engine needs root".into());
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    for program in PROGRAMS {
        if !path.split(':').any(|folder| Path::new(folder).join(program).exists()) {
            return Err(format!("{program} is not installed"));
        }
    }
    if !Path::new(BUSYBOX).exists() {
        return Err(format!("{BUSYBOX} (busybox-static) is not installed"));
    }
    Ok(())
}

/// Busybox with its applets, two users, and links where a driver writes.
fn image(dir: &Path) {
    let root = dir.join("image");
    for folder in ["bin", "etc", "tmp", "root", "home/maven", "var/tmp", "data/inner"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for folder in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o1777)).unwrap();
    }
    fs::set_permissions(root.join("data/inner"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    let applets = Command::new(BUSYBOX).arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    symlink("/data/inner", root.join("linked")).unwrap();
    symlink("/nowhere", root.join("dangling")).unwrap();
    symlink("/proc/self", root.join("kernel")).unwrap();
    fs::write(root.join("etc/accounts"), "root:x:0:0:root:/root:/bin/sh\nmaven:x:1234:1235::/home/maven:/bin/sh\n")
        .unwrap();
    symlink("accounts", root.join("etc/passwd")).unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nmaven:x:1235:\nextra:x:77:maven\n").unwrap();
    let mut made = Command::new("tar");
    made.arg("-C").arg(&root).args(["--numeric-owner", "--owner=0", "--group=0", "-cf"]);
    assert!(made.arg(dir.join("image.tar")).arg(".").status().unwrap().success());
    fs::remove_dir_all(root).unwrap();
}

pub async fn session(sandbox: &Sandbox) -> Session {
    let stream = sandbox.stream.try_clone().unwrap();
    stream.set_nonblocking(true).unwrap();
    Session::start(tokio::net::UnixStream::from_std(stream).unwrap()).await.unwrap()
}

/// What a script says, with the workload's ids.
pub async fn run(sandbox: &Sandbox, session: &Session, script: &str) -> String {
    let spec = ExecSpec {
        argv: ["/bin/sh", "-c", script].map(Into::into).into(),
        env: vec![("PATH".into(), "/bin".into())],
        cwd: sandbox.workspace.clone(),
        user: User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: sandbox.groups.clone() },
        ..ExecSpec::default()
    };
    let mut running = session.exec(spec).await.unwrap();
    let mut text = Vec::new();
    while let Some(output) = running.next().await.unwrap() {
        if let Output::Data { data, .. } = output {
            text.extend(data);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
