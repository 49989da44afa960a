//! Work on files inside the sandbox.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use model::request::FileSet;
use wire::init::{Command, Event, FileKind, FileOp, FileReply, SignalTarget, User};

use crate::host::{Host, everywhere, root};
use crate::place::Maker;

const LIMIT: u64 = 1 << 20;

/// A folder that every user of the tests may write to; in memory where there is such a place, for speed.
pub fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

fn read(path: &str) -> FileOp {
    FileOp::ReadFile { path: path.into(), limit_bytes: LIMIT }
}

#[test]
fn writes_reads_and_looks_at_files() {
    everywhere(|host, maker| {
        let dir = open_dir();
        let path = format!("{}/new/folders/file", dir.path().display());
        let content: Vec<u8> = (0..700_000u32).map(|n| (n * 7 % 256) as u8).collect();
        let write = FileOp::WriteFile { path: path.clone(), mode: 0o640 };
        assert_eq!(host.file(root(), write, &content).unwrap().1, FileReply::Done, "{maker:?}");
        let (data, reply) = host.file(root(), read(&path), b"").unwrap();
        assert_eq!((data, reply), (content, FileReply::Read { bytes: 700_000 }));
        let stat = FileOp::Stat { path: path.clone(), follow: false };
        let FileReply::Stat(Some(status)) = host.file(root(), stat, b"").unwrap().1 else { panic!() };
        assert_eq!((status.kind, status.size, status.mode), (FileKind::File, 700_000, 0o640));
        let write = FileOp::WriteFile { path: path.clone(), mode: 0o640 };
        host.file(root(), write, b"short").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    });
}

#[test]
fn looks_at_links_folders_and_nothing() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    let base = dir.path().display().to_string();
    std::os::unix::fs::symlink("/usr", dir.path().join("link")).unwrap();
    let mut kind = |path: String, follow| match host.file(root(), FileOp::Stat { path, follow }, b"").unwrap().1 {
        FileReply::Stat(status) => status.map(|status| status.kind),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(format!("{base}/link"), false), Some(FileKind::Link));
    assert_eq!(kind(format!("{base}/link"), true), Some(FileKind::Dir));
    assert_eq!(kind(format!("{base}/none"), true), None);
    assert_eq!(kind("/etc/passwd/x".into(), true), None);
    assert_eq!(kind("/dev/null".into(), true), Some(FileKind::Other));
}

#[test]
fn lists_files_and_sets_their_times() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    let base = dir.path().display().to_string();
    std::fs::create_dir_all(dir.path().join("d/e")).unwrap();
    std::fs::write(dir.path().join("d/a.txt"), "hello").unwrap();
    std::os::unix::fs::symlink("d/a.txt", dir.path().join("link.txt")).unwrap();
    let touch = FileOp::Touch { path: format!("{base}/new/b.txt"), time_ms: Some(5_000) };
    assert_eq!(host.file(root(), touch, b"").unwrap().1, FileReply::Done);
    let mut list = |includes: &str, folders, is_shallow, most| {
        let files = FileSet { dir: base.clone(), includes: includes.into(), ..FileSet::default() };
        let listed = host.file(root(), FileOp::List { files, folders, is_shallow, most }, b"");
        listed.map(|(data, _)| {
            let mut found = wire::init::listing::read(&data).unwrap();
            found.sort_by(|a, b| a.path.cmp(&b.path));
            found.into_iter().map(|file| (file.path, file.is_folder, file.bytes)).collect::<Vec<_>>()
        })
    };
    let entry = |path: &str, is_folder, bytes| (path.to_owned(), is_folder, bytes);
    let files = [entry("d/a.txt", false, 5), entry("link.txt", false, 5), entry("new/b.txt", false, 0)];
    assert_eq!(list("**/*.txt", false, false, 10).unwrap(), files);
    let here = [entry("d", true, 0), entry("link.txt", false, 5), entry("new", true, 0)];
    assert_eq!(list("", true, true, 10).unwrap(), here);
    assert!(list("d/*", true, false, 10).unwrap().contains(&entry("d/e", true, 0)));
    assert!(list("**/*.txt", false, false, 2).is_err(), "more than are wanted");
    assert_eq!(dir.path().join("new/b.txt").metadata().unwrap().mtime(), 5);
}

#[test]
fn nothing_that_is_no_file_makes_anybody_wait() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    let pipe = format!("{}/pipe", dir.path().display());
    host.ok(&format!("mkfifo {pipe}"));
    let mut check = |op, expect: &str| {
        let error = host.file(root(), op, b"x").unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(read(&pipe), "not a regular file");
    check(read("/dev/zero"), "not a regular file");
    check(read("/usr"), "directory");
    check(read("/no/such"), "No such file");
    // Without a reader a write to a named pipe cannot even be opened.
    check(FileOp::WriteFile { path: pipe.clone(), mode: 0o644 }, "No such device");
    check(FileOp::ReadFile { path: "/bin/sh".into(), limit_bytes: 10 }, "larger than 10 bytes");
    check(FileOp::ReadFile { path: "/proc/self/maps".into(), limit_bytes: 10 }, "larger than 10 bytes");
    let (data, _) = host.file(root(), read("/proc/version"), b"").unwrap();
    assert!(data.starts_with(b"Linux"));
}

#[test]
fn has_the_rights_of_its_user_only() {
    let Some(mut host) = Host::start(Maker::RootWithIds) else { return };
    let user = || Some(User { uid: 1000, gid: 1000, groups: vec![] });
    let dir = open_dir();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "s").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = secret.display().to_string();
    assert!(host.file(user(), read(&path), b"").unwrap_err().to_string().contains("Permission denied"));
    assert_eq!(host.file(None, read(&path), b"").unwrap().0, b"s");
    let made = format!("{}/made", dir.path().display());
    host.file(user(), FileOp::WriteFile { path: made.clone(), mode: 0o644 }, b"").unwrap();
    assert_eq!(std::fs::metadata(&made).unwrap().uid(), 1000);
    let sub = format!("{}/a/b", dir.path().display());
    let make = FileOp::MakeDir { path: sub.clone(), mode: 0o750, owner: Some((1000, 1001)) };
    host.file(None, make, b"").unwrap();
    let metadata = std::fs::metadata(&sub).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (1000, 1001, 0o750));
    // Making it again is no error; a file in its place is one.
    let make = |path: &str| FileOp::MakeDir { path: path.into(), mode: 0o755, owner: None };
    host.file(user(), make(&sub), b"").unwrap();
    assert!(host.file(user(), make(&made), b"").is_err());
}

#[test]
fn removes_trees_deep_broad_and_write_protected_but_no_link_target() {
    everywhere(|host, maker| {
        let dir = open_dir();
        let base = dir.path().display().to_string();
        let kept = open_dir();
        std::fs::write(kept.path().join("kept"), "").unwrap();
        host.ok(&format!(
            "cd {base} && mkdir tree && cd tree && ln -s {} link && mkdir many && (cd many && seq 1 3000 | xargs touch) &&
             mkdir -p ro/inner && touch ro/inner/f && chmod 555 ro/inner ro && mkdir -p noread/x && chmod 0 noread &&
             mkfifo pipe && perl -e 'for (1..5000) {{ mkdir \"d\" or die; chdir \"d\" or die }}'",
            kept.path().display()
        ));
        let remove = |path: &str, keep_top| FileOp::RemoveTree { path: path.into(), keep_top };
        let tree = format!("{base}/tree");
        assert_eq!(host.file(root(), remove(&tree, true), b"").unwrap().1, FileReply::Done, "{maker:?}");
        assert_eq!(std::fs::read_dir(&tree).unwrap().count(), 0);
        host.file(root(), remove(&tree, false), b"").unwrap();
        assert!(!std::path::Path::new(&tree).exists());
        host.file(root(), remove(&tree, false), b"").unwrap();
        assert!(kept.path().join("kept").exists());
    });
}

#[test]
fn slow_work_stops_nobody_and_can_be_ended() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    let id = host.id();
    let op = FileOp::WriteFile { path: format!("{}/slow", dir.path().display()), mode: 0o644 };
    host.send(&Command::File { id, user: root(), op });
    // Its input never ends; everybody else is served.
    assert_eq!(host.ok("echo served"), "served\n");
    host.signal(id, libc::SIGTERM, SignalTarget::Process);
    let Event::Failed { error, .. } = host.event(id) else { panic!() };
    assert!(error.to_string().contains("killed by signal 9"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_with_its_name() {
    let small = open_dir();
    let target = format!("{}", small.path().display());
    let status = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none", &target]).status();
    if !status.is_ok_and(|status| status.success()) {
        println!("skipped: cannot mount here");
        return;
    }
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let op = FileOp::WriteFile { path: format!("{target}/big"), mode: 0o644 };
    let error = host.file(root(), op, &vec![0; 3 << 20]).unwrap_err();
    drop(host);
    std::process::Command::new("umount").arg(&target).status().unwrap();
    assert!(error.to_string().contains("No space left"), "{error}");
}

#[test]
fn files_are_written_at_their_end() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    let path = format!("{}/new/log", dir.path().display());
    for piece in [&b"one\n"[..], b"two"] {
        host.file(root(), FileOp::AppendFile { path: path.clone(), mode: 0o600 }, piece).unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert!(host.file(root(), FileOp::AppendFile { path: "/dev/null".into(), mode: 0o600 }, b"x").is_err());
}
