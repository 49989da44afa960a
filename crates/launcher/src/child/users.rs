//! The image's own `/etc/passwd` and `/etc/group` in a root that is being built.

use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, fstat, openat2};

use super::root::Root;
use crate::accounts::{self, MAX_BYTES, UNKNOWN_HOME};
use crate::fault::Result;
use crate::protocol::{Ids, Made, User};

/// Numbers, groups and home folder of a user.
pub(super) fn resolve(user: &User, root: &Root) -> Result<Made> {
    accounts::resolve(user, &read(root, "/etc/passwd"), &read(root, "/etc/group"))
}

/// Gives a user whom the image does not know an entry and a home that it can write to. Where the image leaves no place for them,
/// there are none.
pub(super) fn complete(made: &mut Made, root: &Root) {
    let Ids { uid, gid } = made.user;
    let given = (|| {
        let entry = accounts::unknown_entry(made.user, &read(root, "/etc/passwd"))?;
        let folder = root.folder(UNKNOWN_HOME).ok()?;
        rustix::fs::chownat(&folder, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
            .ok()?;
        let etc = root.folder("/etc").ok()?;
        // Where the file is a link, it is one of the image's, and leads nowhere else. A pipe would wait for a reader.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&etc, "passwd", flags, Mode::from(0o644), resolve).ok().filter(is_regular)?;
        rustix::io::write(&file, entry.as_bytes()).ok().filter(|written| *written == entry.len())
    })();
    if given.is_some() {
        made.home = UNKNOWN_HOME.to_owned();
    }
}

fn is_regular(file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
}

fn read(root: &Root, path: &str) -> String {
    let Ok(file) = root.open(path, OFlags::RDONLY | OFlags::NONBLOCK) else { return String::new() };
    // A pipe or a device would not end.
    if !is_regular(&file) {
        return String::new();
    }
    let mut text = Vec::new();
    let _ = std::fs::File::from(file).take(MAX_BYTES).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
