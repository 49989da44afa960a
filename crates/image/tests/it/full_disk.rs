//! A disk that is full: named, and nothing left behind.

use crate::children;
use crate::double::Double;
use crate::images::{TestImage, names};

#[test]
fn is_named_and_nothing_is_left() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting a small file system needs root");
        return;
    }
    let double = Double::new();
    double.offer("a", "1", &TestImage::sized(1, 2_500_000));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    std::fs::create_dir(&root).unwrap();
    let list = folder.path().join("left");
    // In a mount namespace of its own, so that nothing of it is ever seen outside.
    let script = format!(
        "mount -t tmpfs -o size=1m none '{root}' && \"$0\" \"$@\"; status=$?; ls -A '{root}/tmp' '{root}/layers' > '{list}'; exit $status",
        root = root.display(),
        list = list.display()
    );
    let mut child = children::command(
        &["unshare", "--mount", "--propagation", "private", "sh", "-c", &script],
        &root,
        &double.name("a:1").to_string(),
    );
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("disk full"), "{text}");
    let left = std::fs::read_to_string(&list).unwrap();
    assert_eq!(left.lines().filter(|line| !line.is_empty() && !line.ends_with(':')).count(), 0, "{left}");
    assert_eq!(names(&root), Vec::<String>::new(), "the mount was private");
}
