//! Where a kernel is not Linux itself: what programs would stumble over, and how they are kept from it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// See its source, `preload/statx.rs`.
const STATX: &[u8] = include_bytes!(env!("COFFERDAM_STATX"));
const STATX_PLACE: &str = "/.cofferdam-statx.so";
/// What the dynamic loader of glibc loads before everything else.
const PRELOADED: &str = "/etc/ld.so.preload";

/// Makes up for what this kernel lacks, as far as that is possible. An image that has no place for it stays as it is.
///
/// gVisor before 2023 does not know `AT_NO_AUTOMOUNT`, which `ls` and `stat` of coreutils pass since release 8.32, and refuses
/// it as invalid. No filter of system calls can help: the C library would pass it to another call.
pub(crate) fn make_up() {
    if !knows_no_automount() {
        let _no_place = preload_statx(Path::new("/"));
    }
}

fn knows_no_automount() -> bool {
    // SAFETY: all zero is a valid value of a structure of integers.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let (folder, path, flags) = (libc::AT_FDCWD, c"/".as_ptr(), libc::AT_NO_AUTOMOUNT);
    // SAFETY: the path is a string with an end, `found` is writable.
    let result = unsafe { libc::syscall(libc::SYS_statx, folder, path, flags, libc::STATX_TYPE, &raw mut found) };
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL)
}

/// Below `root`; a list that is there already is kept.
fn preload_statx(root: &Path) -> io::Result<()> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let open = |path| File::options().create(true).append(true).mode(0o644).open(below(path));
    open(STATX_PLACE)?.write_all(STATX)?;
    open(PRELOADED)?.write_all(format!("\n{STATX_PLACE}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn linux_lacks_nothing() {
        assert!(knows_no_automount());
    }

    #[test]
    fn a_list_of_the_image_is_kept() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/ld.so.preload"), "/lib/own.so").unwrap();
        preload_statx(root.path()).unwrap();
        let list = fs::read_to_string(root.path().join("etc/ld.so.preload")).unwrap();
        assert_eq!(list, format!("/lib/own.so\n{STATX_PLACE}\n"));
        assert_eq!(fs::read(root.path().join(".cofferdam-statx.so")).unwrap(), STATX);
    }
}
