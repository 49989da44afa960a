//! Attempts between a sandbox and somebody else: a process of the host, another sandbox, the files that a run collects.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use model::request::FileSet;
use sandbox::{LayerSource, SandboxSpec, Walls};
use tokio::io::AsyncReadExt as _;
use wire::init::TarLimits;

use super::probes::{CAPABILITIES, IPC, PRELUDE, SECCOMP};
use super::{attempt, attempt_on, make, prepared, without};
use crate::place;

/// E-KILL: a process of the host has no number in a sandbox.
#[tokio::test]
async fn a_process_of_the_host_cannot_be_signalled() {
    let Some(local) = prepared() else { return };
    // A number that no process of a young namespace has.
    let mut canary = Command::new("sleep").arg("60").spawn().unwrap();
    let code = format!(
        "r, e = call(62, {0}, 0); p, f = call(434, {0}, 0); verdict(r != -1 or p != -1, os.strerror(e))",
        canary.id()
    );
    let host = Command::new("/usr/bin/python3").args(["-c", &format!("{PRELUDE}\n{code}")]).output().unwrap();
    let mut texts = Vec::new();
    for root in [false, true] {
        texts.push(attempt(&local, &code, root, without(&[SECCOMP, CAPABILITIES])).await);
    }
    canary.kill().unwrap();
    canary.wait().unwrap();
    assert!(host.stdout.starts_with(b"FIRED"), "the control: {host:?}");
    assert!(texts.iter().all(|text| text.starts_with("CONTAINED No such process")), "{texts:?}");
}

/// E-MQ: message queues belong to the IPC namespace.
#[tokio::test]
async fn message_queues_of_the_host_are_out_of_reach() {
    let Some(local) = prepared() else { return };
    let name = std::ffi::CString::new(format!("/cofferdam-{}", std::process::id())).unwrap();
    let no_attributes = std::ptr::null_mut::<libc::mq_attr>();
    // SAFETY: a name that ends with a zero byte, and no attributes.
    let queue = unsafe { libc::mq_open(name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o666, no_attributes) };
    if queue < 0 {
        println!("skipped: this kernel has no message queues: {}", std::io::Error::last_os_error());
        return;
    }
    let code = format!("ok(240, b'{}', 0, 0, 0)", name.to_str().unwrap().trim_start_matches('/'));
    let contained = attempt(&local, &code, false, without(&[SECCOMP])).await;
    let fired = attempt(&local, &code, false, without(&[SECCOMP, IPC])).await;
    // SAFETY: both are our own.
    unsafe {
        libc::mq_close(queue);
        libc::mq_unlink(name.as_ptr());
    }
    assert!(contained.starts_with("CONTAINED"), "{contained}");
    assert!(fired.starts_with("FIRED"), "{fired}");
}

/// E-PROP: what is mounted in a sandbox is mounted nowhere else.
#[tokio::test]
async fn mounts_do_not_spread_to_the_host() {
    let Some(local) = prepared() else { return };
    let canary = format!("canary{}", std::process::id());
    // In a namespace of its own, whose mounts spread: what is mounted below is seen here.
    let script = format!(
        "mount --make-rshared / && unshare --mount --propagation unchanged mount -t tmpfs {canary} /mnt; grep {canary} /proc/self/mountinfo"
    );
    let control = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    if !rustix::process::getuid().is_root() {
        println!("skipped: the control needs root");
    } else {
        assert!(control.status.success(), "the control: {control:?}");
    }
    let driver = local.process();
    let mut spec = SandboxSpec::host_tools();
    spec.user = sandbox::User::Named("0:0".into());
    spec.walls = without(&[SECCOMP, CAPABILITIES]);
    let inside = make(&*driver, spec).await;
    let code = format!(
        "r, e = call(165, b'{canary}', b'/mnt', b'tmpfs', 0, 0); verdict(r != -1 and '{canary}' in open('/proc/self/mountinfo').read(), os.strerror(e))"
    );
    // The sandbox, and with it the mount, still lives when the host is looked at.
    assert!(inside.python(&code).await.starts_with("FIRED"), "nothing could be mounted");
    for process in ["self".to_owned(), local.launcher_pid().to_string()] {
        let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
        assert!(!mounts.contains(&canary), "{process}: {mounts}");
    }
    driver.destroy(inside.sandbox.id).await.unwrap();
}

/// E-0847, Dirty Pipe: two sandboxes share the pages of a layer; what one of them does to a page of it through a pipe must not
/// show in the other. A kernel that was not mended fails here.
#[tokio::test]
async fn pages_of_a_shared_layer_stay_as_they_are() {
    let (Some(local), Some(LayerSource::Dir(layer))) = (prepared(), place::python_image()) else { return };
    let planted = layer.join("planted");
    fs::write(&planted, "as it was\n".repeat(500)).unwrap();
    let driver = local.container();
    let spec = || SandboxSpec::image(vec![LayerSource::Dir(layer.clone())]);
    // Fills a pipe and empties it, so that its buffers keep the flag that lets data be merged; then one byte of the file comes in by
    // reference, and what is written next would land in its page.
    let code = r"
r, w = os.pipe()
n = 0
os.set_blocking(w, False)
try:
  while True: n += os.write(w, b'x' * 4096)
except BlockingIOError: pass
os.set_blocking(w, True)
while n > 0: n -= len(os.read(r, 4096))
fd = os.open('/planted', os.O_RDONLY)
off = ctypes.c_longlong(0)
spliced, e = call(275, fd, ctypes.addressof(off), w, 0, 1, 0)
written = os.write(w, b'OWNED BY SOMEBODY')
print(spliced, written)
verdict('OWNED' in open('/planted').read())
";
    let first = attempt_on(&*driver, spec(), code, false, Walls::default()).await;
    let second =
        attempt_on(&*driver, spec(), "verdict('OWNED' in open('/planted').read())", false, Walls::default()).await;
    let host = fs::read_to_string(&planted).unwrap();
    fs::remove_file(&planted).unwrap();
    // The attempt was made, step by step; no kernel that can run here would let it fire.
    assert!(first.starts_with("1 17\nCONTAINED"), "{first}");
    assert!(second.starts_with("CONTAINED"), "{second}");
    assert!(!host.contains("OWNED"), "the host's file was changed");
}

/// E-15664: files are collected from within. A folder that turns into a link while they are leads to the sandbox's own files.
#[tokio::test]
async fn a_folder_that_becomes_a_link_while_it_is_collected_leads_nowhere() {
    let Some(local) = prepared() else { return };
    let canary = place::base().join(format!("secret-{}", std::process::id()));
    fs::create_dir_all(canary.join("inner")).unwrap();
    fs::write(canary.join("inner/file"), "of the host").unwrap();
    let driver = local.process();
    let inside = make(&*driver, SandboxSpec::host_tools()).await;
    // What a copy from outside, by path, would do: the control.
    let control = place::base().join(format!("control-{}", std::process::id()));
    symlink(&canary, &control).unwrap();
    assert_eq!(fs::read_to_string(control.join("inner/file")).unwrap(), "of the host");
    fs::remove_file(&control).unwrap();

    let script = format!(
        "cd /tmp; mkdir -p real/inner; echo own > real/inner/file; ln -s {} link
         while :; do mv -T real d; mv -T d real; mv -T link d; mv -T d link; done",
        canary.display()
    );
    let mut swapping = inside.session.exec(inside.spec(&["/bin/sh", "-c", &script])).await.unwrap();
    let mut found = 0;
    for _ in 0..200 {
        let files = FileSet { dir: "/tmp".into(), includes: "d/**".into(), case_sensitive: true, ..FileSet::default() };
        let (mut reader, writer) = tokio::io::duplex(64 * 1024);
        let mut tar = Vec::new();
        let (got, read) = tokio::join!(
            inside.session.get_tar(None, files, TarLimits::default(), writer),
            reader.read_to_end(&mut tar)
        );
        read.unwrap();
        let text = String::from_utf8_lossy(&tar);
        assert!(!text.contains("of the host"), "a file of the host was collected");
        found += usize::from(got.is_ok() && text.contains("own\n"));
    }
    swapping.terminate(std::time::Duration::ZERO).await.unwrap();
    driver.destroy(inside.sandbox.id).await.unwrap();
    fs::remove_dir_all(&canary).unwrap();
    assert!(found > 0, "nothing was ever collected: the race was not run");
}
