//! Archives that are made and taken apart inside; the hostile ones are made by hand, or by other programs.

use std::io::{Cursor, Write as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use model::request::{ArchiveFormat, FileSet, Unpacking};
use wire::init::{FileOp, FileReply, Skipped, TarLimits, listing};

use crate::files::open_dir;
use crate::host::{Host, everywhere, root};
use crate::place::Maker;

const QUIET: Unpacking = Unpacking::Extract { is_quiet: true, keep_permissions: true };
const FORMATS: [ArchiveFormat; 3] = [ArchiveFormat::Zip, ArchiveFormat::Tar, ArchiveFormat::TarGz];

fn set(dir: &Path, includes: &str) -> FileSet {
    let dir = dir.display().to_string();
    FileSet { dir, includes: includes.into(), case_sensitive: true, ..FileSet::default() }
}

fn pack(host: &mut Host, files: FileSet, archive: &Path, format: ArchiveFormat) -> (u64, Skipped) {
    let op = FileOp::Pack { files, archive: archive.display().to_string(), format, limits: TarLimits::default() };
    match host.file(root(), op, b"").unwrap().1 {
        FileReply::Got { entries, skipped, .. } => (entries, skipped),
        other => panic!("{other:?}"),
    }
}

/// How an archive is taken apart in most tests.
fn order(archive: &Path, format: ArchiveFormat, files: FileSet, purpose: Unpacking) -> FileOp {
    let limits = TarLimits { bytes: 1 << 20, entries: 100 };
    FileOp::Unpack { archive: archive.display().to_string(), format, files, purpose, named: 2, limits }
}

/// How many files were made, and what was passed over; or why not.
fn unpack(host: &mut Host, archive: &Path, format: ArchiveFormat, to: &Path) -> Result<(u64, Skipped), String> {
    match host.file(root(), order(archive, format, set(to, ""), QUIET), b"") {
        Ok((_, FileReply::Put { entries, skipped, .. })) => Ok((entries, skipped)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn flaw(host: &mut Host, archive: &Path, format: ArchiveFormat) -> Option<String> {
    match host.file(root(), order(archive, format, set(archive.parent().unwrap(), ""), Unpacking::Test), b"") {
        Ok((data, FileReply::Tested { flaw })) => {
            assert!(data.is_empty());
            flaw
        }
        other => panic!("{other:?}"),
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A ZIP archive of files as they are, with any name.
fn zip_of(files: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let (mut entry, config) = archive.new_file(rawzip::path::EntryPath::verbatim(*name)).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A tar stream with names that no honest writer makes.
fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(if kind.is_file() { 5 } else { 0 });
        header.set_cksum();
        builder.append(&header, if kind.is_file() { &b"hello"[..] } else { &[] }).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_round_trip_keeps_content_and_follows_links() {
    everywhere(|host, maker| {
        let (from, to) = (open_dir(), open_dir());
        for name in ["a.txt", "deep/er/b.txt", "ü \\ \u{1f9ea}", ".git/config", "run.sh"] {
            write(&from.path().join(name), &name.repeat(1000));
        }
        std::fs::set_permissions(from.path().join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("a.txt", from.path().join("link")).unwrap();
        symlink("nowhere", from.path().join("dangling")).unwrap();
        symlink("../deep", from.path().join("deep/again")).unwrap();
        for format in FORMATS {
            // It lies in the folder that it is made of, in the place of another file.
            let (archive, to) = (from.path().join("archive"), to.path().join(format!("{format:?}")));
            write(&archive, "old");
            let files =
                FileSet { default_excludes: true, excludes: "**/again/again/**".into(), ..set(from.path(), "") };
            let (count, skipped) = pack(host, files, &archive, format);
            assert_eq!((count, skipped.count), (6, 1), "{maker:?} {format:?} {skipped:?}");
            assert_eq!(skipped.names[0].0, "dangling");
            assert_eq!(flaw(host, &archive, format), None);
            assert_eq!(unpack(host, &archive, format, &to).unwrap().0, 6);
            let read = |name: &str| std::fs::read_to_string(to.join(name)).unwrap();
            assert_eq!(read("link"), "a.txt".repeat(1000));
            assert!(!to.join("link").is_symlink() && !to.join(".git").exists() && !to.join("archive").exists());
            assert_eq!(read("deep/again/er/b.txt"), read("deep/er/b.txt"));
            assert_eq!(read("ü \\ \u{1f9ea}"), "ü \\ \u{1f9ea}".repeat(1000));
            // Jenkins' `unzip` knows no permissions.
            let mode = std::fs::metadata(to.join("run.sh")).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if format == ArchiveFormat::Zip { 0o644 } else { 0o755 });
        }
    });
}

#[test]
fn others_read_what_is_packed_and_the_other_way_round() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    write(&dir.path().join("in/a b.txt"), "hello");
    let base = dir.path().display();
    let python = "python3 -c 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                  assert z.testzip() is None; print(z.namelist(), oct(z.infolist()[0].external_attr >> 16))'";
    pack(&mut host, set(&dir.path().join("in"), ""), &dir.path().join("a.zip"), ArchiveFormat::Zip);
    pack(&mut host, set(&dir.path().join("in"), ""), &dir.path().join("a.tgz"), ArchiveFormat::TarGz);
    assert_eq!(host.ok(&format!("tar -tzf {base}/a.tgz")), "a b.txt\n");
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: no python3");
        return;
    }
    assert_eq!(host.ok(&format!("{python} {base}/a.zip")), "['a b.txt'] 0o100644\n");
    host.ok(&format!(
        "cd {base}/in && python3 -c 'import zipfile; z = zipfile.ZipFile(\"../p.zip\", \"w\", zipfile.ZIP_DEFLATED); \
         z.write(\"a b.txt\"); z.mkdir(\"empty\")'; tar -czf ../t.tgz ."
    ));
    for (name, format) in [("p.zip", ArchiveFormat::Zip), ("t.tgz", ArchiveFormat::Tar)] {
        let to = dir.path().join(format!("of {name}"));
        assert_eq!(unpack(&mut host, &dir.path().join(name), format, &to).unwrap().0, 1);
        assert_eq!(std::fs::read_to_string(to.join("a b.txt")).unwrap(), "hello");
    }
    assert!(dir.path().join("of p.zip/empty").is_dir());
}

#[test]
fn files_are_chosen_named_and_read() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (dir, to) = (open_dir(), open_dir());
    let archive = dir.path().join("a.zip");
    let files: [(&[u8], &[u8]); 4] = [(b"a.txt", b"A"), (b"x/", b""), (b"x/b.txt", b"BB"), (b"x/c.log", b"C")];
    std::fs::write(&archive, zip_of(&files)).unwrap();
    let mut list = |purpose, includes: &str| {
        let (data, reply) =
            host.file(root(), order(&archive, ArchiveFormat::Zip, set(to.path(), includes), purpose), b"").unwrap();
        let FileReply::Put { entries, .. } = reply else { panic!("{reply:?}") };
        let files = listing::read_with_content(&data).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (entries, files.into_iter().map(|(file, content)| (file.path, text(content))).collect::<Vec<_>>())
    };
    let pairs =
        |pairs: &[(&str, &str)]| -> Vec<_> { pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect() };
    assert_eq!(list(Unpacking::Read, "**/*.txt"), (2, pairs(&[("a.txt", "A"), ("x/b.txt", "BB")])));
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0, "what is read is not made");
    // Only so many are named, however many there are.
    assert_eq!(list(QUIET, ""), (3, pairs(&[("a.txt", ""), ("x/b.txt", "")])));
    assert_eq!(std::fs::read_to_string(to.path().join("x/c.log")).unwrap(), "C");
}

#[test]
fn names_that_lead_out_end_it() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (dir, outside) = (open_dir(), open_dir());
    let (archive, to) = (dir.path().join("archive"), dir.path().join("to"));
    std::fs::create_dir(&to).unwrap();
    symlink(outside.path(), to.join("way")).unwrap();
    let absolute = format!("{}/evil", outside.path().display());
    for name in ["../evil", "a/../../evil", r"..\..\evil", &absolute, "way/evil", "/evil", ".."] {
        for format in [ArchiveFormat::Zip, ArchiveFormat::Tar] {
            let made = match format {
                ArchiveFormat::Zip => zip_of(&[(b"good", b"hello"), (name.as_bytes(), b"evil")]),
                _ => tar_of(&[("good", tar::EntryType::Regular, ""), (name, tar::EntryType::Regular, "")]),
            };
            std::fs::write(&archive, made).unwrap();
            let error = unpack(&mut host, &archive, format, &to).unwrap_err();
            assert!(error.ends_with(&format!("{name} is out of bounds!")), "{name}: {error}");
            if name != "way/evil" {
                let found = flaw(&mut host, &archive, format).unwrap();
                assert!(found.ends_with("is out of bounds!"), "{name}: {found}");
            }
        }
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(!dir.path().join("evil").exists() && !Path::new("/evil").exists());
    assert!(to.join("good").exists());
    // A way that ends inside is none out.
    std::fs::write(&archive, zip_of(&[(b"a/../b", b"hello")])).unwrap();
    unpack(&mut host, &archive, ArchiveFormat::Zip, &to).unwrap();
    assert!(to.join("b").exists() && !to.join("a").exists());
}

#[test]
fn links_stay_inside_and_what_is_no_file_is_passed_over() {
    use tar::EntryType::{Char, Directory, Fifo, Link, Regular, Symlink};
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (dir, outside) = (open_dir(), open_dir());
    let (archive, to) = (dir.path().join("a.tar"), dir.path().join("to"));
    let way = outside.path().display().to_string();
    let entries = [
        ("d", Directory, ""),
        ("d/file", Regular, ""),
        ("d/up", Symlink, "../d/file"),
        ("hard", Link, "d/file"),
        ("out", Symlink, "../x"),
        ("etc", Symlink, "/etc"),
        ("far", Symlink, &*way),
        ("d/far", Symlink, "../../.."),
        ("hard-out", Link, "../a.tar"),
        ("hard-etc", Link, "/etc/passwd"),
        ("null", Char, ""),
        ("pipe", Fifo, ""),
    ];
    std::fs::write(&archive, tar_of(&entries)).unwrap();
    let (count, skipped) = unpack(&mut host, &archive, ArchiveFormat::Tar, &to).unwrap();
    assert_eq!((count, skipped.count), (3, 8), "{skipped:?}");
    let read = |name: &str| std::fs::read_to_string(to.join(name)).unwrap();
    assert_eq!((read("d/up"), read("hard")), ("hello".into(), "hello".into()));
    assert_eq!(std::fs::read_link(to.join("d/up")).unwrap(), Path::new("../d/file"));
    for name in ["out", "etc", "far", "d/far", "hard-out", "hard-etc", "null", "pipe"] {
        assert!(to.join(name).symlink_metadata().is_err(), "{name}");
    }
    // A link that was there is replaced, not written through.
    write(&outside.path().join("kept"), "kept");
    symlink(outside.path().join("kept"), to.join("x")).unwrap();
    std::fs::write(&archive, tar_of(&[("x", Regular, "")])).unwrap();
    unpack(&mut host, &archive, ArchiveFormat::Tar, &to).unwrap();
    assert_eq!(std::fs::read_to_string(outside.path().join("kept")).unwrap(), "kept");
    assert_eq!(read("x"), "hello");
}

#[test]
fn bombs_meet_limits() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (dir, to) = (open_dir(), open_dir());
    let archive = dir.path().join("archive");
    let mut check = |made: Vec<u8>, format, expect: &str| {
        std::fs::write(&archive, made).unwrap();
        let error = unpack(&mut host, &archive, format, to.path()).unwrap_err();
        assert!(error.contains(expect), "{error}");
        let found = flaw(&mut host, &archive, format).unwrap();
        assert!(found.contains(expect), "{found}");
    };
    let names: Vec<_> = (0..101).map(|n| format!("{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_bytes(), &b""[..])).collect();
    check(zip_of(&many), ArchiveFormat::Zip, "more than 100 entries");
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), tar::EntryType::Regular, "")).collect();
    check(tar_of(&many), ArchiveFormat::Tar, "more than 100 entries");
    // What it says of its size counts for nothing: 64 MiB of zeros are 64 KiB here.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_mode(0o644);
    header.set_size(64 << 20);
    header.set_cksum();
    gzip.write_all(header.as_bytes()).unwrap();
    gzip.write_all(&vec![0; 64 << 20]).unwrap();
    check(gzip.finish().unwrap(), ArchiveFormat::Tar, "more than 1048576 bytes");
    let mut archive = rawzip::ZipArchiveWriter::new(Cursor::new(Vec::new()));
    let builder = archive.new_file("zeros").compression_method(rawzip::CompressionMethod::DEFLATE);
    let (mut entry, config) = builder.start().unwrap();
    let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best()));
    writer.write_all(&vec![0; 64 << 20]).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    check(archive.finish().unwrap().into_inner(), ArchiveFormat::Zip, "more than 1048576 bytes");
    let made = std::fs::metadata(to.path().join("zeros")).map_or(0, |metadata| metadata.len());
    assert!(made <= 2 << 20, "{made}");
}

/// A name is read whole before anybody can look at it.
#[test]
fn a_name_without_end_meets_a_limit() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (dir, to) = (open_dir(), open_dir());
    let path = dir.path().join("archive");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(600 << 20);
    header.set_cksum();
    std::fs::write(&path, header.as_bytes()).unwrap();
    // It is sparse: nobody has to write what it says that it has.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let op = FileOp::Unpack {
        archive: path.display().to_string(),
        format: ArchiveFormat::Tar,
        files: set(to.path(), ""),
        purpose: QUIET,
        named: 2,
        limits: TarLimits { bytes: 1 << 30, entries: 100 },
    };
    let error = host.file(root(), op, b"").unwrap_err().to_string();
    assert!(error.contains("killed by signal") || error.contains("memory"), "{error}");
}

#[test]
fn broken_archives_are_told_from_sound_ones() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let (dir, to) = (open_dir(), open_dir());
    write(&dir.path().join("in/a"), &"words and more of them ".repeat(500));
    write(&dir.path().join("in/b"), "b");
    for format in FORMATS {
        let archive = dir.path().join(format!("{format:?}"));
        pack(&mut host, set(&dir.path().join("in"), ""), &archive, format);
        let sound = std::fs::read(&archive).unwrap();
        assert_eq!(flaw(&mut host, &archive, format), None);
        for end in [1, sound.len() / 4, sound.len() / 2] {
            std::fs::write(&archive, &sound[..end]).unwrap();
            assert!(flaw(&mut host, &archive, format).is_some(), "{format:?} {end} of {}", sound.len());
            assert!(unpack(&mut host, &archive, format, to.path()).is_err(), "{format:?} {end}");
        }
        if format == ArchiveFormat::Tar {
            continue;
        }
        // One bit of the content: only a checksum tells.
        let mut turned = sound.clone();
        turned[sound.len() / 3] ^= 4;
        std::fs::write(&archive, turned).unwrap();
        assert!(flaw(&mut host, &archive, format).is_some(), "{format:?}");
    }
    let text = dir.path().join("text");
    for content in ["no archive at all, but text", ""] {
        write(&text, content);
        assert!(flaw(&mut host, &text, ArchiveFormat::Zip).is_some());
    }
    write(&text, &"no archive at all, but text. ".repeat(100));
    assert!(flaw(&mut host, &text, ArchiveFormat::Tar).is_some());
}

#[test]
fn a_failure_leaves_no_archive() {
    let Some(mut host) = Host::start(Maker::Root) else { return };
    let dir = open_dir();
    for name in ["in/a", "in/b"] {
        write(&dir.path().join(name), "x");
    }
    let archive = dir.path().join("new/a.zip");
    let limits = TarLimits { entries: 1, bytes: 100 };
    let files = set(&dir.path().join("in"), "");
    let op = FileOp::Pack { files, archive: archive.display().to_string(), format: ArchiveFormat::Zip, limits };
    let error = host.file(root(), op, b"").unwrap_err().to_string();
    assert!(error.contains("more than 1 files") && !archive.exists(), "{error}");
}
