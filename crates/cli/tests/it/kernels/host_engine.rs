//! What passes for the host's own Docker Engine, where the program under test would find one: it counts who comes.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::project::{Project, cofferdam, finish};

/// Under both names. The kernel knows a socket by its file, so whoever connects through a bind of it, in whatever namespace, is heard too.
const PATHS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// In a mount namespace of its own, for this host may have an engine, and other tests are on it. The state of the drivers stays.
const PUT_UP: &str = r#"
set -e; here=$1; shift
mkdir -p /run/cofferdam "$here/state"; mount --bind /run/cofferdam "$here/state"
mount -t tmpfs -o mode=755 run /run
mkdir /run/cofferdam; mount --move "$here/state" /run/cofferdam
touch /run/docker.sock; mount --bind "$here/docker.sock" /run/docker.sock
[ /var/run -ef /run ] || mount --rbind /run /var/run
exec "$@"
"#;

/// A socket on which nobody gets an answer.
pub struct HostEngine {
    folder: tempfile::TempDir,
    came: Arc<AtomicUsize>,
}

impl HostEngine {
    /// It has been seen to hear. `None`, with the reason printed, for a user who cannot mount.
    ///
    /// `image` is in the store, so that nothing is fetched.
    pub fn start(image: &str) -> Option<HostEngine> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can put a socket in the place of the host's");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        // Whoever gets as far as the socket is heard, whatever their user.
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        // It ends with the process. Who came is counted before it notices that nobody answers.
        std::thread::spawn(move || {
            for _stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let engine = HostEngine { folder, came };
        engine.check_that_it_hears(image);
        Some(engine)
    }

    /// The same command, on a host that has this engine.
    pub fn host_of(&self, command: &Command) -> Command {
        let mut on_host = Command::new("unshare");
        on_host
            .args(["--mount", "--propagation", "private", "sh", "-c", PUT_UP, "sh"])
            .arg(self.folder.path())
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => on_host.env(name, value),
                None => on_host.env_remove(name),
            };
        }
        on_host
    }

    /// How many have come since this was last asked.
    pub fn came(&self) -> usize {
        // Who connects is served in turn: all before this one have been counted when it has been turned away.
        let mut last = UnixStream::connect(self.folder.path().join("docker.sock")).unwrap();
        assert_eq!(last.read(&mut [0]).unwrap_or(0), 0, "nobody is answered");
        self.came.swap(0, Ordering::SeqCst) - 1
    }

    /// The program under test is counted where it is told to use the engine at these paths, or one that has been bound elsewhere.
    fn check_that_it_hears(&self, image: &str) {
        assert_eq!(self.came(), 0);
        let project = Project::new(&format!(
            "pipeline {{ agent {{ docker '{image}' }} stages {{ stage('S') {{ steps {{ sh 'true' }} }} }} }}"
        ));
        let control = |path: &str| {
            let mut command = cofferdam();
            command.args(["run", "--network", "none", "--docker-shared", "--docker", &format!("unix://{path}")]);
            command.arg(project.path());
            command
        };
        for path in PATHS {
            let ran = finish(self.host_of(&control(path)).output().unwrap());
            assert!(ran.code != 0 && self.came() > 0, "a control at {path}: {ran:?}");
        }
        let elsewhere = self.folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "").unwrap();
        let bound = control(elsewhere.to_str().unwrap());
        let mut command = Command::new("sh");
        command.args(["-ec", "mount --bind /var/run/docker.sock \"$0\"; exec \"$@\""]).arg(&elsewhere);
        command
            .arg(bound.get_program())
            .args(bound.get_args())
            .envs(bound.get_envs().filter_map(|(n, v)| Some((n, v?))));
        let ran = finish(self.host_of(&command).output().unwrap());
        assert!(ran.code != 0 && self.came() > 0, "a control with a bind: {ran:?}");
    }
}
