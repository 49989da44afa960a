//! Images and state folders for tests.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sandbox::conformance::Report;
use sandbox::local::{Local, LocalConfig};
use sandbox::session::{Output, Session};
use sandbox::{Driver, LayerSource, SandboxSpec};
use wire::init::ExecSpec;

/// Variable that names a folder to use as the test image.
pub const IMAGE: &str = "COFFERDAM_TEST_IMAGE";
const BUSYBOX: &str = "/bin/busybox";

/// A driver pair with a state folder that all tests of this process share.
pub fn local() -> Option<Local> {
    match Local::open(&config()) {
        Ok(local) => Some(local),
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            println!("skipped: {error}: {source}");
            None
        }
    }
}

/// The configuration of [`local`].
pub fn config() -> LocalConfig {
    LocalConfig { state_dir: base().join("state"), ..LocalConfig::default() }
}

/// Runs a test in a thread whose network namespace is new, and has nothing but loopback.
pub fn in_a_network_of_its_own(test: impl AsyncFnOnce() + Send + 'static) {
    let (alive, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(|| {
        let _alive = alive;
        // SAFETY: this thread alone moves, and ends; what it starts stays with it.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    crate::hang::wait(&ended);
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A folder that lives as long as this process's build folder, and only this user can write to.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        // What is overcome, and said to the log alone, is what a test that fails has to tell.
        let _ = tracing_subscriber::fmt().with_ansi(false).with_test_writer().try_init();
        let base = PathBuf::from(format!("/tmp/cofferdam-test-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(base.join("state")).unwrap();
        remove_what_dead_tests_left(&base);
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(base.join("state"), fs::Permissions::from_mode(0o711)).unwrap();
        base
    })
}

/// Images are named by the process that made them.
fn remove_what_dead_tests_left(base: &Path) {
    for entry in fs::read_dir(base).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.rsplit('-').next().unwrap_or_default().trim_end_matches(".erofs").to_owned();
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            let _ =
                if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

/// Keeps what a driver did in the conformance suite, for the matrix that `xtask matrix` prints of all.
pub fn keep(driver: &str, report: &Report) {
    // The same tests run again as a user who cannot write there.
    if rustix::process::getuid().is_root() {
        report.keep(Path::new(env!("CARGO_TARGET_TMPDIR")), driver).unwrap();
    }
}

/// A tiny image as a folder: busybox with its applets, two users.
pub fn image_dir() -> Option<LayerSource> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(build_dir).clone().map(LayerSource::Dir)
}

/// The same as one EROFS file.
pub fn image_erofs() -> Option<LayerSource> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let LayerSource::Dir(dir) = image_dir()? else { return None };
        // Not in memory: files of tmpfs cannot back a mount.
        let file = base().join(format!("image-{}.erofs", std::process::id()));
        let made = Command::new("mkfs.erofs").arg("--quiet").arg(&file).arg(dir).status();
        made.is_ok_and(|status| status.success()).then_some(file)
    });
    if file.is_none() {
        println!("skipped: mkfs.erofs or busybox is not installed");
    }
    file.clone().map(LayerSource::Erofs)
}

fn build_dir() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os(IMAGE) {
        return Some(given.into());
    }
    if !Path::new(BUSYBOX).exists() {
        println!("skipped: {BUSYBOX} (busybox-static) is not installed");
        return None;
    }
    let dir = base().join(format!("image-{}", std::process::id()));
    for folder in ["bin", "etc", "tmp", "usr/bin", "root", "home/maven", "var/tmp"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    for folder in ["tmp", "var/tmp"] {
        fs::set_permissions(dir.join(folder), fs::Permissions::from_mode(0o1777)).unwrap();
    }
    fs::copy(BUSYBOX, dir.join("bin/busybox")).unwrap();
    let applets = Command::new(BUSYBOX).arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|name| *name != "busybox") {
        symlink("busybox", dir.join("bin").join(applet)).unwrap();
    }
    fs::write(dir.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nmaven:x:1234:1235::/home/maven:/bin/sh\n")
        .unwrap();
    fs::write(dir.join("etc/group"), "root:x:0:\nmaven:x:1235:\n").unwrap();
    fs::write(dir.join("etc/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
    Some(dir)
}

/// An image with this host's Python, and nothing else of it.
pub fn python_image() -> Option<LayerSource> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = base().join(format!("python-{}", std::process::id()));
        let script = r#"
            set -e; python=$(readlink -f /usr/bin/python3); lib=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
            mkdir -p "$0/usr/bin" "$0/etc" "$0/tmp" "$0$lib"; ln -s usr/bin "$0/bin"; ln -s usr/lib "$0/lib"; ln -s usr/lib64 "$0/lib64"
            case $lib in /usr/lib/*) ;; *) exit 3 ;; esac
            cp "$python" "$0/usr/bin/python3"; chmod 1777 "$0/tmp"
            cp -r "$lib"/*.py "$lib"/ctypes "$lib"/encodings "$lib"/collections "$lib"/re "$lib"/lib-dynload "$0$lib/"
            for file in "$python" "$lib"/lib-dynload/*.so; do ldd "$file" 2>/dev/null; done | grep -o '/[^ ]*' | sort -u |
              while read -r file; do target=$(readlink -f "$(dirname "$file")")/$(basename "$file")
                mkdir -p "$0$(dirname "$target")"; cp -L "$file" "$0$target"; done
            loader=$(readlink -f /lib64/ld-linux-x86-64.so.2); mkdir -p "$0/usr/lib64"; cp "$loader" "$0/usr/lib64/ld-linux-x86-64.so.2"
        "#;
        let made = Command::new("sh").args(["-c", script]).arg(&dir).status();
        let made = made.is_ok_and(|status| status.success());
        if !made {
            println!("skipped: no image can be made of this host's Python");
        }
        made.then_some(dir)
    })
    .clone()
    .map(LayerSource::Dir)
}

/// What a command prints in a sandbox of its own, on both streams.
pub async fn said(driver: &dyn Driver, spec: SandboxSpec, argv: &[&str]) -> String {
    let sandbox = driver.create(spec).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let argv = argv.iter().map(|word| (*word).into()).collect();
    let env = vec![("PATH".into(), "/bin".into())];
    let mut running = session.exec(ExecSpec { argv, env, cwd: "/".into(), ..ExecSpec::default() }).await.unwrap();
    let mut text = Vec::new();
    while let Some(Output::Data { data, .. }) = running.next().await.unwrap() {
        text.extend(data);
    }
    driver.destroy(sandbox.id).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}
