//! Tar streams in and out.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use model::request::FileSet;
use wire::init::{FileOp, FileReply, Skipped, TarLimits};

use crate::files::open_dir;
use crate::host::{Host, everywhere, root};
use crate::place::Maker;

fn set(dir: &Path, includes: &str, excludes: &str) -> FileSet {
    FileSet {
        dir: dir.display().to_string(),
        includes: includes.into(),
        excludes: excludes.into(),
        default_excludes: true,
        case_sensitive: true,
    }
}

fn get(host: &mut Host, files: FileSet) -> (Vec<u8>, u64, u64, Skipped) {
    let op = FileOp::GetTar { files, limits: TarLimits::default() };
    match host.file(root(), op, b"").unwrap() {
        (tar, FileReply::Got { entries, bytes, skipped }) => (tar, entries, bytes, skipped),
        other => panic!("{other:?}"),
    }
}

fn names(tar: &[u8]) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(tar);
    archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

fn put(host: &mut Host, dir: &Path, tar: &[u8]) -> (u64, Skipped) {
    let op = FileOp::PutTar { dir: dir.display().to_string(), owner: None, limits: TarLimits::default() };
    match host.file(root(), op, tar).unwrap().1 {
        FileReply::Put { entries, skipped, .. } => (entries, skipped),
        other => panic!("{other:?}"),
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn packs_what_the_patterns_say() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    for name in ["a.txt", "b.log", "src/main/A.java", "src/test/ATest.java", ".git/config", "src/x~", "target/app.jar"]
    {
        write(&dir.path().join(name), name);
    }
    let mut check = |includes: &str, excludes: &str, expect: &[&str]| {
        let (tar, entries, _, skipped) = get(&mut host, set(dir.path(), includes, excludes));
        assert_eq!(names(&tar), expect.iter().map(|&name| name.to_owned()).collect(), "{includes} - {excludes}");
        assert_eq!((entries, skipped.count), (expect.len() as u64, 0));
    };
    check("**/*.java", "", &["src/main/A.java", "src/test/ATest.java"]);
    check("**/*.java", "**/*Test*", &["src/main/A.java"]);
    check("target/*.jar, *.log", "", &["target/app.jar", "b.log"]);
    check("", "src/**, target/", &["a.txt", "b.log"]);
    check("nothing/*", "", &[]);
    check("src/", "", &["src/main/A.java", "src/test/ATest.java"]);
    let (tar, ..) = get(&mut host, set(&dir.path().join("missing"), "", ""));
    assert!(names(&tar).is_empty());
}

#[test]
fn a_round_trip_keeps_content_modes_links_and_long_names() {
    everywhere(|host, maker| {
        let from = open_dir();
        let long = format!("{}/{}", "folder-of-a-long-name/".repeat(10), "n".repeat(200));
        write(&from.path().join("script.sh"), "#!/bin/sh\n");
        write(&from.path().join(&long), "long");
        write(&from.path().join("empty"), "");
        write(&from.path().join("bytes/\u{e4}\u{1F980}"), "utf-8 name");
        std::fs::set_permissions(from.path().join("script.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("script.sh", from.path().join("link")).unwrap();
        symlink("/etc/passwd", from.path().join("absolute")).unwrap();
        symlink("nowhere", from.path().join("dangling")).unwrap();
        let (tar, entries, bytes, skipped) = get(host, set(from.path(), "**", ""));
        assert_eq!((entries, bytes, skipped.count), (7, 24, 0), "{maker:?} {skipped:?}");
        let to = open_dir();
        let to = to.path().join("made/by/put");
        let (entries, skipped) = put(host, &to, &tar);
        assert_eq!((entries, skipped.count), (7, 0), "{skipped:?}");
        assert_eq!(std::fs::read_to_string(to.join(&long)).unwrap(), "long");
        assert_eq!(std::fs::metadata(to.join("script.sh")).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(std::fs::read_link(to.join("absolute")).unwrap(), Path::new("/etc/passwd"));
        let modified = |dir: &Path| std::fs::metadata(dir.join("script.sh")).unwrap().mtime();
        assert_eq!(modified(&to), modified(from.path()));
        // Again, over what is there.
        assert_eq!(put(host, &to, &tar).1.count, 0);
    });
}

#[test]
fn what_cannot_be_packed_is_named() {
    let Some(mut host) = Host::start(Maker::RootWithIds) else { return };
    let dir = open_dir();
    write(&dir.path().join("fine"), "x");
    write(&dir.path().join("denied"), "x");
    write(&dir.path().join("closed/inner"), "x");
    host.ok(&format!("mkfifo {}/pipe", dir.path().display()));
    for name in ["denied", "closed"] {
        std::fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o0)).unwrap();
    }
    let user = Some(wire::init::User { uid: 1000, gid: 1000, groups: vec![] });
    let op = FileOp::GetTar { files: set(dir.path(), "**", ""), limits: TarLimits::default() };
    let (tar, reply) = host.file(user, op, b"").unwrap();
    let FileReply::Got { entries: 1, skipped, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(names(&tar), BTreeSet::from(["fine".to_owned()]));
    let skipped: BTreeSet<_> = skipped.names.into_iter().collect();
    let denied = |name: &str| (name.to_owned(), "Permission denied (os error 13)".to_owned());
    assert_eq!(
        skipped,
        BTreeSet::from([denied("denied"), denied("closed"), ("pipe".into(), "not a file or link".into())])
    );
}

#[test]
fn limits_hold_before_anything_is_read() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    let sparse = std::fs::File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    for n in 0..20 {
        write(&dir.path().join(n.to_string()), "x");
    }
    let mut check = |includes: &str, limits: TarLimits, expect: &str| {
        let error =
            host.file(root(), FileOp::GetTar { files: set(dir.path(), includes, ""), limits }, b"").unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    check("sparse", TarLimits::default(), "more than 4294967296 bytes");
    check("1*", TarLimits { bytes: 1 << 50, entries: 10 }, "more than 10 files");
}

#[test]
fn a_file_that_changes_keeps_its_announced_size() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    write(&dir.path().join("last"), "end");
    let path = dir.path().join("changing").display().to_string();
    host.ok(&format!("head -c 3000000 /dev/zero > {path}"));
    let script = format!("while :; do : > {path}; head -c 3000000 /dev/zero > {path}; done");
    let (_, _) = host.started(crate::host::sh(&script));
    for _ in 0..20 {
        let (tar, entries, ..) = get(&mut host, set(dir.path(), "**", ""));
        // Whatever happened, the stream is whole and both names are in it.
        assert_eq!((names(&tar).len(), entries), (2, 2));
    }
}

#[test]
fn follows_no_loop_and_enters_links_only_when_files_below_are_meant() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    write(&dir.path().join("real/a.txt"), "x");
    symlink("real", dir.path().join("alias")).unwrap();
    symlink("..", dir.path().join("real/up")).unwrap();
    let (tar, ..) = get(&mut host, set(dir.path(), "alias/*.txt", ""));
    assert_eq!(names(&tar), BTreeSet::from(["alias/a.txt".to_owned()]));
    let (tar, ..) = get(&mut host, set(dir.path(), "**", ""));
    assert_eq!(names(&tar), ["real/a.txt", "real/up", "alias"].map(String::from).into());
    // The loop ends.
    get(&mut host, set(dir.path(), "**/*.txt", ""));
}

#[test]
fn hostile_entries_stay_inside_the_folder() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let outside = open_dir();
    write(&outside.path().join("victim"), "untouched");
    let outside_path = outside.path().display().to_string();
    let mut tar = tar::Builder::new(Vec::new());
    let mut entry = |name: &str, kind: tar::EntryType, link: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4777);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
    entry("../up", Regular, "", b"x");
    entry("a/../../up", Regular, "", b"x");
    entry(&format!("{outside_path}/absolute"), Regular, "", b"x");
    entry("out", Symlink, &outside_path, b"");
    entry("out/victim", Regular, "", b"through a link");
    entry("hard", Link, "../../../etc/passwd", b"");
    entry("hard2", Link, "out/victim", b"");
    entry("char", Char, "", b"");
    entry("block", Block, "", b"");
    entry("fifo", Fifo, "", b"");
    entry("file-link", Symlink, &format!("{outside_path}/victim"), b"");
    entry("file-link", Regular, "", b"replaces the link");
    entry("suid", Regular, "", b"x");
    entry("dir", Directory, "", b"");
    entry("inner", Symlink, "dir", b"");
    entry("inner/file", Regular, "", b"a link that stays inside works");
    entry("magic", Symlink, "/proc/self/root", b"");
    entry("magic/tmp/x", Regular, "", b"x");
    let tar = tar.into_inner().unwrap();
    let to = open_dir();
    let (_, skipped) = put(&mut host, to.path(), &tar);
    let skipped: BTreeSet<_> = skipped.names.into_iter().map(|(name, _)| name).collect();
    let expect = ["../up", "a/../../up", "out/victim", "hard", "hard2", "char", "block", "fifo", "magic/tmp/x"];
    assert_eq!(skipped, expect.map(String::from).into());
    assert_eq!(std::fs::read_to_string(outside.path().join("victim")).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(!to.path().parent().unwrap().join("up").exists());
    assert_eq!(std::fs::read_to_string(to.path().join("file-link")).unwrap(), "replaces the link");
    assert_eq!(std::fs::metadata(to.path().join("suid")).unwrap().mode() & 0o7777, 0o777);
    assert!(to.path().join("dir/file").exists());
}

#[test]
fn a_broken_stream_and_limits_of_a_put_are_errors() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let to = open_dir();
    let mut check = |tar: &[u8], limits: TarLimits, expect: &str| {
        let op = FileOp::PutTar { dir: to.path().display().to_string(), owner: None, limits };
        let error = host.file(root(), op, tar).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    let mut tar = tar::Builder::new(Vec::new());
    for n in 0..10 {
        let mut header = tar::Header::new_gnu();
        header.set_size(1000);
        header.set_mode(0o644);
        tar.append_data(&mut header, n.to_string(), std::io::repeat(7).take(1000)).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    check(&[7; 2048], TarLimits::default(), "extract to");
    check(&tar[..2000], TarLimits::default(), "extract");
    check(&tar, TarLimits { entries: 5, bytes: 1 << 20 }, "more than 5 entries");
    check(&tar, TarLimits { entries: 50, bytes: 4000 }, "more than 4000 bytes");
}

#[test]
fn owners_can_be_given_when_init_extracts() {
    let Some(mut host) = Host::start(Maker::RootWithIds) else { return };
    let to = open_dir();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(1);
    tar.append_data(&mut header, "made/on/the/way", &b"x"[..]).unwrap();
    let op = FileOp::PutTar {
        dir: to.path().display().to_string(),
        owner: Some((1000, 1001)),
        limits: TarLimits::default(),
    };
    host.file(None, op, &tar.into_inner().unwrap()).unwrap();
    for name in ["made", "made/on/the", "made/on/the/way"] {
        let metadata = std::fs::metadata(to.path().join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1000, 1001), "{name}");
    }
}

#[test]
fn a_huge_folder_streams() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    host.ok(&format!("cd {} && seq 1 30000 | xargs touch", dir.path().display()));
    let (tar, entries, ..) = get(&mut host, set(dir.path(), "**/*7", ""));
    assert_eq!((entries, names(&tar).len()), (3000, 3000));
}
