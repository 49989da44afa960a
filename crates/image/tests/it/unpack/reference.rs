//! Honest archives against what others make of them: GNU tar, the kernel's own EROFS, Debian's checker.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use image::unpack::Expected;

use super::archive::Archive;
use super::{converter, fsck, is_root, reader, to_image};

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A tree with something of everything, made by shell and GNU tar.
const TREE: &str = r#"
set -e
cd "$1"
mkdir -p src/empty src/many src/deep/a/b/c/d/e/f src/perm
for i in $(seq 1 1500); do echo "file $i" > "src/many/a-name-that-takes-some-room-$i"; done
head -c 5000000 /dev/urandom > src/large
for n in 0 1 1023 1024 1025 4095 4096 4097 8192 70000; do head -c $n /dev/urandom > src/size-$n; done
ln -s large src/link; ln -s /absolute/nowhere src/dangling
ln -s "$(printf 'x%.0s' $(seq 1 3000))" src/long-link
ln src/large src/hard1; ln src/size-1 src/deep/a/hard2
mkfifo src/fifo
touch "src/$(printf 'n%.0s' $(seq 1 255))"
printf 'x' > "src/new
line"
printf 'y' > "src/$(printf 'not\377utf8')"
printf 'z' > 'src/!before-the-dots'
chmod 4755 src/size-1; chmod 1777 src/empty; chmod 0 src/size-4096
touch -d '1969-12-31 00:00:00.5 UTC' src/size-0
touch -d '2040-01-01 00:00:00.123456789 UTC' src/size-1023
truncate -s 9000000 src/sparse; printf 'mid' | dd of=src/sparse bs=1 seek=4500000 conv=notrunc status=none
if [ "$(id -u)" = 0 ]; then chown 1000:2000 src/size-1024; chown 100000:3000000 src/size-1025; chown -h 7:8 src/link; fi
mkdir extracted
"#;

/// Owner, permissions, time, links and content of everything in a folder.
fn facts(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let (mut facts, mut pending) = (BTreeMap::new(), vec![root.to_path_buf()]);
    while let Some(path) = pending.pop() {
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if meta.is_symlink() {
            format!("{:?}", fs::read_link(&path).unwrap())
        } else if meta.is_file() {
            use sha2::Digest as _;
            format!("{} {:?}", meta.len(), sha2::Sha256::digest(fs::read(&path).unwrap()))
        } else {
            String::new()
        };
        let links = if meta.is_dir() { 0 } else { meta.nlink() };
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let (owner, time) = ((meta.uid(), meta.gid()), (meta.mtime(), meta.mtime_nsec()));
        facts.insert(name, format!("{:o} {owner:?} {time:?} {links} {content}", meta.mode()));
    }
    facts
}

/// Mounts an image straight from its file, or through a loop device. `None` where neither works.
fn mount(image: &Path, at: &Path) -> bool {
    let (image, at) = (image.to_str().unwrap(), at.to_str().unwrap());
    let direct = rustix::mount::mount(image, at, "erofs", rustix::mount::MountFlags::RDONLY, None);
    direct.is_ok() || run("mount", &["-t", "erofs", "-o", "ro,loop", image, at])
}

fn check_format(format: &str, sparse: bool) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    assert!(run("sh", &["-c", TREE, "sh", dir.path().to_str().unwrap()]));
    let archive = path("layer.tar");
    let format = format!("--format={format}");
    let mut args = vec![format.as_str(), "-C", &*path("src").leak(), "-cf", &archive];
    if sparse {
        args.insert(0, "--sparse");
    }
    args.push(".");
    assert!(run("tar", &args));
    assert!(run("tar", &["-C", &path("extracted"), "-xpf", &archive, "--delay-directory-restore"]));

    let image = File::options().read(true).write(true).create_new(true).open(path("image")).unwrap();
    let done = converter().to_erofs(File::open(&archive).unwrap(), &Expected::default(), &image).unwrap();
    assert!(fsck(&image), "fsck.erofs refuses the image");
    if sparse {
        let on_disk = image.metadata().unwrap().blocks() * 512;
        assert!(on_disk + (7 << 20) < done.layer.image_bytes, "holes stay holes: {on_disk}");
    }
    if !is_root() {
        println!("skipped: mounting needs root");
        return;
    }
    fs::create_dir(path("mounted")).unwrap();
    if !mount(Path::new(&path("image")), Path::new(&path("mounted"))) {
        println!("skipped: this kernel mounts no EROFS");
        return;
    }
    let (theirs, ours) = (facts(Path::new(&path("extracted"))), facts(Path::new(&path("mounted"))));
    // The kernel enumerates a directory of many blocks as well as it finds single names in it.
    let found =
        (1..=1500).all(|n| Path::new(&path("mounted/many")).join(format!("a-name-that-takes-some-room-{n}")).exists());
    assert!(run("umount", &[&path("mounted")]));
    assert!(found);
    for (name, fact) in &theirs {
        assert_eq!(ours.get(name), Some(fact), "{}", String::from_utf8_lossy(name));
    }
    assert_eq!(theirs.len(), ours.len());
}

#[test]
fn gnu_archives() {
    // This format has no fractions of a second, nor does what GNU tar extracts from it.
    check_format("gnu", false);
}

#[test]
fn pax_archives() {
    check_format("pax", false);
}

#[test]
fn sparse_archives() {
    check_format("pax", true);
    check_format("gnu", true);
}

#[test]
fn the_same_archive_gives_the_same_image() {
    let archive = Archive::new().dir("d").file("d/x", "1").symlink("l", "d").end();
    let images: Vec<Vec<u8>> =
        (0..2).map(|_| to_image(&converter(), &archive, &Expected::default()).unwrap().1).collect();
    assert_eq!(images[0], images[1]);
}

#[test]
fn times_survive_in_both_forms_of_inodes() {
    let times: [(&str, (i64, u32)); 5] = [
        ("1000000000.25", (1_000_000_000, 250_000_000)),
        ("1000000000.25", (1_000_000_000, 250_000_000)),
        ("-1.25", (-2, 750_000_000)),
        ("0", (0, 0)),
        ("253402300799.999999999", (253_402_300_799, 999_999_999)),
    ];
    let mut archive = Archive::new();
    for (index, (time, _)) in times.iter().enumerate() {
        archive = archive.pax(&[("mtime", time.as_bytes())]).file(&index.to_string(), "");
    }
    let (_, image) = to_image(&converter(), &archive.end(), &Expected::default()).unwrap();
    let nodes = reader::nodes(&image);
    for (index, (_, time)) in times.iter().enumerate() {
        assert_eq!(nodes[index.to_string().as_bytes()].mtime, *time);
    }
}

#[test]
fn directories_of_every_size() {
    // Around the border of a block and far beyond it.
    for count in [0, 1, 200, 220, 221, 222, 223, 224, 225, 226, 227, 228, 229, 230, 5000] {
        let mut archive = Archive::new().dir("d");
        for number in 0..count {
            archive = archive.file(&format!("d/{number:06}"), "");
        }
        let (_, image) = to_image(&converter(), &archive.end(), &Expected::default()).unwrap();
        assert_eq!(reader::nodes(&image).len(), count + 2);
    }
}

/// Whether the first inode fits behind the slot that stays empty or not, and the last one ends with its block or not: the checker
/// looks behind it for attributes, even where there are none.
#[test]
fn metadata_of_every_size() {
    for count in 0..300 {
        let mut archive = Archive::new();
        for number in 0..count {
            archive = archive.file(&format!("{number:03}"), "");
        }
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let image = File::options().read(true).write(true).create_new(true).open(dir.path().join("image")).unwrap();
        converter().to_erofs(&archive.end()[..], &Expected::default(), &image).unwrap();
        assert!(fsck(&image), "fsck.erofs refuses the image of {count} files");
    }
}

#[test]
fn overlay_reads_our_whiteouts() {
    if !is_root() {
        println!("skipped: mounting needs root");
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| dir.path().join(name);
    let lower = Archive::new().file("gone", "1").file("d/old", "1").file("replaced/old", "1").file("kept", "1").end();
    let upper = Archive::new()
        .file(".wh.gone", "")
        .file("d/.wh..wh..opq", "")
        .file("d/new", "2")
        .file(".wh.replaced", "")
        .file("replaced/new", "2")
        .end();
    for (name, archive) in [("lower", lower), ("upper", upper)] {
        let image =
            File::options().read(true).write(true).create_new(true).open(path(&format!("{name}.erofs"))).unwrap();
        converter().to_erofs(&archive[..], &Expected::default(), &image).unwrap();
        fs::create_dir(path(name)).unwrap();
        if !mount(&path(&format!("{name}.erofs")), &path(name)) {
            println!("skipped: this kernel mounts no EROFS");
            return;
        }
    }
    fs::create_dir(path("merged")).unwrap();
    for options in ["", ",userxattr"] {
        let options = format!("lowerdir={}:{}{options}", path("upper").display(), path("lower").display());
        let merged = path("merged");
        assert!(run("mount", &["-t", "overlay", "-o", &options, "overlay", merged.to_str().unwrap()]));
        let mut seen: Vec<Vec<u8>> = facts(&merged).into_keys().collect();
        seen.sort();
        assert!(run("umount", &[merged.to_str().unwrap()]));
        let expect: [&[u8]; 6] = [b"", b"d", b"d/new", b"kept", b"replaced", b"replaced/new"];
        assert_eq!(seen, expect, "{options}");
    }
    for name in ["upper", "lower"] {
        assert!(run("umount", &[path(name).to_str().unwrap()]));
    }
}
