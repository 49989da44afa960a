//! The converter in the hands of somebody who is not root.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::unpack::{Expected, IdMap, IdRange, UnpackError};

use super::archive::{Archive, Head};
use super::{converter, is_root, reader};

const SCRATCH: &str = "COFFERDAM_TEST_UNPRIVILEGED";
/// An id that no account has.
const SOMEBODY: u32 = 54_321;

fn layer() -> Vec<u8> {
    let mut owned = Head::new(b'0', "owned");
    (owned.uid, owned.gid) = (b"0001750".into(), b"0000012".into());
    Archive::new()
        .dir("d")
        .file("d/x", "1")
        .head(&owned, b"")
        .file(".wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .symlink("l", "d/x")
        .hardlink("h", "d/x")
        .entry(b'6', "fifo", "", b"")
        .end()
}

/// Not a test but what the other user does.
#[test]
fn somebody_converts() {
    let Ok(scratch) = std::env::var(SCRATCH).map(PathBuf::from) else { return };
    assert!(!is_root());
    let output = File::options().read(true).write(true).create_new(true).open(scratch.join("image")).unwrap();
    let done = converter().to_erofs(&super::gzip(&layer())[..], &Expected::default(), &output).unwrap();
    assert!(done.layer.walls.seccomp);
    let folder = scratch.join("folder");
    fs::create_dir(&folder).unwrap();
    // With a grant of subordinate ids through `newuidmap`, without one with the own id only.
    let ids = IdMap::of_current_user();
    let has_grant = matches!(&ids, IdMap::Subordinate { uids, .. } if uids.len() > 1);
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    match converter().to_folder(&layer()[..], &Expected::default(), &folder, &ids) {
        Err(UnpackError::IdMap(message)) => println!("skipped: no user namespaces: {message}"),
        done => {
            assert_eq!(done.unwrap().layer.neutralised.owners, u64::from(!has_grant));
            let listing = reader::list_folder(&folder.join("fs"));
            assert_eq!(listing[0], format!("d! 755 {}:{} d", me.0, me.1));
            assert!(listing.contains(&"w gone".to_owned()), "{listing:?}");
            converter().remove_folder(&folder, &ids).unwrap();
            assert!(!folder.exists());
        }
    }
    println!("somebody is content");
}

#[test]
fn as_somebody_else() {
    if !is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let own = std::env::current_exe().unwrap();
    let readable = |path: &Path| path.ancestors().all(|path| path.metadata().is_ok_and(|meta| meta.mode() & 1 == 1));
    if !readable(&own) || !readable(Path::new(env!("CARGO_BIN_EXE_unpack-child"))) {
        println!("skipped: another user cannot reach the program under test");
        return;
    }
    let mut command = Command::new(own);
    command.args(["--exact", "unpack::unprivileged::somebody_converts", "--nocapture"]).current_dir("/");
    let output = command.env(SCRATCH, scratch.path()).uid(SOMEBODY).gid(SOMEBODY).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("content"), "{words}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_with_a_range_of_ids() {
    if !is_root() {
        println!("skipped: a range of ids needs root here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(200_000), Some(200_000)).unwrap();
    let range = vec![IdRange { inside: 0, outside: 200_000, count: 65_536 }];
    let ids = IdMap::Subordinate { uids: range.clone(), gids: range };
    let done = converter().to_folder(&layer()[..], &Expected::default(), folder.path(), &ids).unwrap();
    assert_eq!(done.layer.neutralised.owners, 0);
    assert_eq!(
        reader::list_folder(&folder.path().join("fs")),
        [
            "d! 755 200000:200000 d",
            "f2 644 200000:200000 d/x = 1",
            "p 644 200000:200000 fifo",
            "w gone",
            "f2 644 200000:200000 h = 1",
            "l l -> d/x",
            "f 644 201000:200010 owned = ",
        ]
    );
    assert!(!folder.path().join("data").exists());
    converter().remove_folder(folder.path(), &ids).unwrap();
    assert!(!folder.path().exists());
}
