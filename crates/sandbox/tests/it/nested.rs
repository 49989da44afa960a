//! Namespaces within a sandbox: only where they are asked for, and within the same walls.

use sandbox::{Capabilities, SandboxSpec, User};

use crate::place;

/// What a shell of user id 0 prints in a sandbox of its own, and on its standard error.
async fn said(nested: bool, script: &str) -> Option<String> {
    let (local, layer) = (place::local()?, place::image_dir()?);
    let mut spec = SandboxSpec::image(vec![layer]);
    (spec.nested, spec.user, spec.capabilities) = (nested, User::Named("root".into()), Capabilities::OwnFiles);
    Some(place::said(&*local.container(), spec, &["/bin/sh", "-c", script]).await)
}

const MOUNTS: &str = "unshare -Umr sh -c 'mount -t tmpfs none /tmp && echo mounted' 2>&1; chroot / echo entered 2>&1";

#[tokio::test]
async fn namespaces_are_refused_where_nobody_asked() {
    let Some(text) = said(false, MOUNTS).await else { return };
    assert!(!text.contains("mounted") && !text.contains("entered"), "{text}");
    assert_eq!(text.matches("not permitted").count(), 2, "{text}");
}

#[tokio::test]
async fn namespaces_that_were_asked_for_can_be_mounted_in() {
    let Some(text) = said(true, MOUNTS).await else { return };
    assert!(text.contains("mounted"), "{text}");
    // In a namespace of its own; not in the sandbox itself.
    assert!(!text.contains("entered"), "{text}");
}

/// What the walls hide stays hidden: a file system of the kernel that shows all of it cannot be mounted, nor a mount be loosened.
#[tokio::test]
async fn namespaces_within_a_sandbox_see_no_more_than_it_does() {
    let attempts = [
        "mkdir -p /tmp/p && mount -t proc none /tmp/p",
        "mount -t sysfs none /tmp/p",
        "umount /proc/sys",
        "mount -o remount,rw,bind /proc/sys",
        "mknod /tmp/disk b 254 0",
        "echo 1 > /proc/sys/kernel/sysrq",
        "mount -t ext4 /dev/vda /tmp/p",
    ];
    let within = |attempt: &str| format!("unshare -Umrpf sh -c 'set -e; {attempt} && echo done' 2>&1");
    let Some(control) = said(true, &within("mount -t tmpfs none /tmp")).await else { return };
    assert_eq!(control, "done\n");
    for attempt in attempts {
        let Some(text) = said(true, &within(attempt)).await else { return };
        assert!(!text.contains("done"), "{attempt}: {text}");
    }
}
