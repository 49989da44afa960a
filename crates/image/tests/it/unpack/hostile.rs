//! Every kind of hostile entry: refused or neutralised.

use image::unpack::UnpackLimits;

use super::archive::{Archive, Head};
use super::{check, check_limited};

#[test]
fn names_that_climb_are_refused() {
    for name in ["../x", "..", "a/../../x", "a/..", "./../x", "/../x", "a/../b"] {
        check(&Archive::new().file(name, "x").end(), Err("climbs"));
        check(&Archive::new().dir(name).end(), Err("climbs"));
        check(&Archive::new().symlink(name, "x").end(), Err("climbs"));
        check(&Archive::new().file("f", "x").hardlink(name, "f").end(), Err("climbs"));
    }
    // Neither a long name nor a record hides it.
    check(&Archive::new().pax(&[("path", b"a/../../x")]).file("good", "x").end(), Err("climbs"));
    check(&Archive::new().entry(b'L', "././@LongLink", "", b"../x\0").file("good", "x").end(), Err("climbs"));
    let mut prefixed = Head::new(b'0', "x");
    prefixed.tail = b"..".into();
    check(&Archive::new().head(&prefixed, b"").end(), Err("climbs"));
    // Dots that only look like it.
    check(
        &Archive::new().file("..a", "").file("a..", "").file("...", "").end(),
        Ok(&["f 644 0:0 ... = ", "f 644 0:0 ..a = ", "f 644 0:0 a.. = "]),
    );
}

#[test]
fn absolute_names_stay_inside() {
    let report = check(
        &Archive::new().file("/etc/x", "1").file("//y", "2").end(),
        Ok(&["d 755 0:0 etc", "f 644 0:0 etc/x = 1", "f 644 0:0 y = 2"]),
    );
    assert_eq!(report.neutralised.absolute, 2);
}

#[test]
fn odd_names_are_only_names() {
    check(&Archive::new().pax(&[("path", b"a\0b")]).file("good", "x").end(), Err("NUL"));
    let archive = Archive::new()
        .pax(&[("path", b"new\nline")])
        .file("x", "1")
        .pax(&[("path", b"not\xffutf8")])
        .file("x", "2")
        .pax(&[("path", b"\x1b[31mred")])
        .file("x", "3")
        .file("Case", "4")
        .file("case", "5")
        .file("back\\..\\slash", "6")
        .file("C:", "7")
        .pax(&[("path", "e\u{301}".as_bytes())])
        .file("x", "8")
        .pax(&[("path", "\u{e9}".as_bytes())])
        .file("x", "9");
    check(
        &archive.end(),
        Ok(&[
            "f 644 0:0 \\u{1b}[31mred = 3",
            "f 644 0:0 C: = 7",
            "f 644 0:0 Case = 4",
            "f 644 0:0 back\\\\..\\\\slash = 6",
            "f 644 0:0 case = 5",
            "f 644 0:0 e\u{301} = 8",
            "f 644 0:0 new\\nline = 1",
            "f 644 0:0 not\u{fffd}utf8 = 2",
            "f 644 0:0 é = 9",
        ]),
    );
    check(&Archive::new().pax(&[("path", &[b'x'; 256])]).file("x", "").end(), Err("too long"));
    check(
        &Archive::new().pax(&[("path", &[b'x'; 255])]).dir("x").end(),
        Ok(&[&format!("d 755 0:0 {}", "x".repeat(255))]),
    );
}

#[test]
fn links_are_not_followed_out() {
    // The link is there as it is: it is the sandbox's own root that it is resolved in.
    check(
        &Archive::new().symlink("etc", "/etc").symlink("up", "../../..").end(),
        Ok(&["l etc -> /etc", "l up -> ../../.."]),
    );
    // What is written through it lands in the layer.
    let report = check(
        &Archive::new()
            .symlink("out", "/tmp/elsewhere")
            .file("out/x", "1")
            .symlink("up", "../../a")
            .file("up/y", "2")
            .end(),
        Ok(&[
            "d 755 0:0 a",
            "f 644 0:0 a/y = 2",
            "l out -> /tmp/elsewhere",
            "d 755 0:0 tmp",
            "d 755 0:0 tmp/elsewhere",
            "f 644 0:0 tmp/elsewhere/x = 1",
            "l up -> ../../a",
        ]),
    );
    assert_eq!(report.neutralised.through_links, 2);
    // An entry in place of the link replaces it.
    check(&Archive::new().symlink("a", "/etc/passwd").file("a", "mine").end(), Ok(&["f 644 0:0 a = mine"]));
    // Usual: a link to a directory of the layer.
    check(
        &Archive::new().dir("usr/lib").symlink("lib", "usr/lib").file("lib/x", "1").end(),
        Ok(&["l lib -> usr/lib", "d 755 0:0 usr", "d 755 0:0 usr/lib", "f 644 0:0 usr/lib/x = 1"]),
    );
    check(&Archive::new().symlink("a", "b").symlink("b", "a").file("a/x", "").end(), Err("too many symbolic links"));
    check(&Archive::new().symlink("a", "a/a/a").file("a/x", "").end(), Err("too many symbolic links"));
    check(&Archive::new().file("f", "").file("f/x", "").end(), Err("not a directory"));
    check(&Archive::new().symlink("s", "f").file("f", "").file("s/x", "").end(), Err("not a directory"));
    check(&Archive::new().symlink("s", "").end(), Err("empty or too long"));
    check(&Archive::new().pax(&[("linkpath", &[b'x'; 4096])]).symlink("s", "y").end(), Err("empty or too long"));
    check(&Archive::new().pax(&[("linkpath", b"a\0b")]).symlink("s", "y").end(), Err("NUL"));
}

#[test]
fn hard_links_stay_in_their_layer() {
    for target in ["/etc/passwd", "missing", "d/missing", "d", "/", ".wh.gone", "gone"] {
        let archive = Archive::new().dir("d").file(".wh.gone", "").hardlink("l", target).end();
        check(&archive, Err("not a file of this layer"));
    }
    check(&Archive::new().hardlink("l", "../../etc/passwd").end(), Err("climbs"));
    check(&Archive::new().symlink("s", "/etc").hardlink("l", "s/passwd").end(), Err("not a file of this layer"));
    check(
        &Archive::new().file("a", "1").hardlink("b", "/a").hardlink("b", "b").hardlink("a", "./b").end(),
        Ok(&["f2 644 0:0 a = 1", "f2 644 0:0 b = 1"]),
    );
    check(&Archive::new().symlink("a", "x").hardlink("b", "a").end(), Ok(&["l2 a -> x", "l2 b -> x"]));
    check(&Archive::new().entry(b'6', "a", "", b"").hardlink("b", "a").end(), Ok(&["p2 644 0:0 a", "p2 644 0:0 b"]));
    // The target loses its name; the content stays.
    check(
        &Archive::new().file("a", "1").hardlink("b", "a").file("a", "2").end(),
        Ok(&["f 644 0:0 a = 2", "f 644 0:0 b = 1"]),
    );
    // A link that replaces the directory its target stands in.
    check(&Archive::new().file("d/a", "1").hardlink("d", "d/a").end(), Ok(&["f 644 0:0 d = 1"]));
    // A size on a link is no data.
    let mut sized = Head::new(b'1', "b");
    (sized.link, sized.size) = (b"a".into(), b"00000000777".into());
    check(
        &Archive::new().file("a", "1").head(&sized, b"").file("c", "2").end(),
        Ok(&["f2 644 0:0 a = 1", "f2 644 0:0 b = 1", "f 644 0:0 c = 2"]),
    );
}

#[test]
fn devices_are_left_out_and_set_id_bits_stay() {
    let archive = Archive::new()
        .entry(b'3', "dev/sda", "", b"")
        .entry(b'4', "disk", "", b"")
        .entry(b'3', "zero-zero", "", b"")
        .entry(b'6', "fifo", "", b"");
    let mut sudo = Head::new(b'0', "sudo");
    sudo.mode = b"0104755".into();
    let mut tmp = Head::new(b'5', "tmp");
    tmp.mode = b"0041777".into();
    let report = check(
        &archive.head(&sudo, b"").head(&tmp, b"").end(),
        Ok(&["p 644 0:0 fifo", "f 4755 0:0 sudo = ", "d 1777 0:0 tmp"]),
    );
    assert_eq!(report.neutralised.devices, 3);
    check(&Archive::new().entry(b'V', "volume", "", b"").end(), Err("unknown kind"));
    check(&Archive::new().entry(b'M', "multi", "", b"").end(), Err("unknown kind"));
}

#[test]
fn places_for_mounts_are_empty_directories() {
    let archive = Archive::new()
        .symlink("dev", "/tmp/x")
        .file("dev/shm", "1")
        .file("proc", "no directory")
        .dir("sys")
        .dir("sys/kernel/deep")
        .file("./sys/file", "2")
        .symlink("way", "sys")
        .file("way/x", "3")
        .file("dev/.wh..wh..opq", "")
        .file(".wh.sys", "")
        .dir("proc")
        .symlink("proc", "self")
        .hardlink("sys", "way");
    let report = check(&archive.end(), Ok(&["d 755 0:0 dev", "d 755 0:0 proc", "d 755 0:0 sys", "l way -> sys"]));
    assert!(report.neutralised.reserved >= 8, "{report:?}");
    // Elsewhere the names mean nothing.
    check(&Archive::new().file("opt/dev", "1").end(), Ok(&["d 755 0:0 opt", "f 644 0:0 opt/dev = 1"]));
}

#[test]
fn whiteouts_hide_what_is_below_only() {
    check(&Archive::new().file("a/.wh.b", "").end(), Ok(&["d 755 0:0 a", "w a/b"]));
    check(&Archive::new().dir("a").file("a/.wh..wh..opq", "").end(), Ok(&["d! 755 0:0 a"]));
    // In either order, this layer's own content stays; a directory then starts afresh.
    check(&Archive::new().file("x", "1").file(".wh.x", "").end(), Ok(&["f 644 0:0 x = 1"]));
    check(&Archive::new().file(".wh.x", "").file("x", "1").end(), Ok(&["f 644 0:0 x = 1"]));
    check(&Archive::new().file("d/x", "1").file(".wh.d", "").end(), Ok(&["d! 755 0:0 d", "f 644 0:0 d/x = 1"]));
    check(&Archive::new().file(".wh.d", "").file("d/x", "1").end(), Ok(&["d! 755 0:0 d", "f 644 0:0 d/x = 1"]));
    check(&Archive::new().file(".wh.d", "").dir("d").end(), Ok(&["d! 755 0:0 d"]));
    let report = check(&Archive::new().file(".wh..wh..opq", "").file("x", "").end(), Ok(&["f 644 0:0 x = "]));
    assert!(report.root_opaque);
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.", ".wh.a/b", ".wh./x"] {
        check(&Archive::new().file(name, "").end(), Err("whiteout"));
    }
    let aufs = Archive::new().dir(".wh..wh.plnk").file(".wh..wh.plnk/1.2", "x").file(".wh..wh.aufs", "");
    assert_eq!(check(&aufs.end(), Ok(&[])).neutralised.aufs, 3);
    // A whiteout of any kind is one; a hard link to one is none.
    check(&Archive::new().dir(".wh.d").end(), Ok(&["w d"]));
    check(&Archive::new().symlink("s", ".wh.q").file("s/x", "").end(), Err("whiteout"));
}

#[test]
fn the_last_of_a_name_wins() {
    let report =
        check(&Archive::new().file("a", "1").file("a", "22").file("./a", "333").end(), Ok(&["f 644 0:0 a = 333"]));
    assert_eq!(report.neutralised.replaced, 2);
    check(&Archive::new().file("d/x/y", "1").file("d", "2").end(), Ok(&["f 644 0:0 d = 2"]));
    check(&Archive::new().file("d", "2").dir("d").file("d/x", "1").end(), Ok(&["d 755 0:0 d", "f 644 0:0 d/x = 1"]));
    check(
        &Archive::new().symlink("d", "/etc").dir("d").file("d/x", "1").end(),
        Ok(&["d 755 0:0 d", "f 644 0:0 d/x = 1"]),
    );
    let mut again = Head::new(b'5', "d");
    (again.mode, again.uid) = (b"0000700".into(), b"0000005".into());
    check(&Archive::new().dir("d").file("d/x", "1").head(&again, b"").end(), Ok(&["d 700 5:0 d", "f 644 0:0 d/x = 1"]));
    check(&Archive::new().file("./", "x").end(), Err("root of the layer"));
    check(&Archive::new().symlink("/", "x").end(), Err("root of the layer"));
}

#[test]
fn sizes_that_lie() {
    let sized = |size: &[u8]| {
        let mut head = Head::new(b'0', "f");
        head.size = size.into();
        Archive::new().head(&head, b"data").end()
    };
    check(&sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Err("negative size"));
    check(&sized(b"\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), Err("size is no number"));
    check(&sized(b"\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"), Err("claim more than"));
    check(&sized(b"777777777777"), Err("claim more than"));
    check(&sized(b"00000100000"), Err("cut off"));
    check(&sized(b"0000000009x"), Err("size is no number"));
    check(&Archive::new().pax(&[("size", b"-1")]).file("f", "data").end(), Err("negative size"));
    check(&Archive::new().pax(&[("size", b"99999999999999999999")]).file("f", "").end(), Err("invalid value"));
    // The record counts, not the header.
    check(
        &Archive::new().pax(&[("size", b"4")]).head(&Head::new(b'0', "f"), b"data").end(),
        Ok(&["f 644 0:0 f = data"]),
    );
    check(&Archive::new().pax(&[("uid", b"4294967295")]).file("f", "").end(), Err("owner out of range"));
    check(&Archive::new().pax(&[("gid", b"-2")]).file("f", "").end(), Err("group out of range"));
    check(
        &Archive::new().pax(&[("uid", b"70000"), ("gid", b"4294967294")]).file("f", "").end(),
        Ok(&["f 644 70000:4294967294 f = "]),
    );
}

#[test]
fn sparse_files_and_their_lies() {
    let one = |map: &str, size: &str, data: &[u8]| {
        let records = [("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", size.as_bytes())];
        let records = [&records[..], &[("GNU.sparse.name", b"s")]].concat();
        Archive::new().pax(&records).entry(b'0', "GNUSparseFile.0/s", "", data).end()
    };
    check(&one("2,3,8,1", "10", b"abcd"), Ok(&["f 644 0:0 s = \\x00\\x00abc\\x00\\x00\\x00d\\x00"]));
    check(&one("0,4", "5000000", b"abcd"), Ok(&["f 644 0:0 s #5000000"]));
    check(&one("", "5", b""), Ok(&["f 644 0:0 s = \\x00\\x00\\x00\\x00\\x00"]));
    for (map, size) in [("0,4", "3"), ("0,3,2,1", "9"), ("0,3", "9"), ("0,5", "9"), ("9,4", "9"), ("0,4", "-1")] {
        check(&one(map, size, b"abcd"), Err("lies"));
    }
    check(&one("18446744073709551615,4", "9", b"abcd"), Err("lies"));
    check(&one("1,2,3", "9", b"abcd"), Err("unknown form"));
    check(&one("0,4", "99999999999999", b"abcd"), Err("claim more than"));
    // Form 1.0: the map stands before the data.
    let in_data = |map: &str| {
        let mut data = map.as_bytes().to_vec();
        data.resize(512, 0);
        data.extend(b"xyz");
        let records: [(&str, &[u8]); 3] =
            [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"6")];
        Archive::new().pax(&records).entry(b'0', "s", "", &data).end()
    };
    check(&in_data("1\n2\n3\n"), Ok(&["f 644 0:0 s = \\x00\\x00xyz\\x00"]));
    check(&in_data("2\n2\n3\n"), Err("lies"));
    check(&in_data("99999999\n"), Err("lies"));
    check(&in_data("x\n"), Err("lies"));
    // The old GNU form.
    let old = |size: &str, more: bool| {
        let mut head = Head::new(b'S', "s");
        (head.magic, head.size) = (b"ustar  \0".into(), b"00000000003".into());
        let mut tail = vec![0; 150];
        tail[41..65].copy_from_slice(b"00000000002\x0000000000003\0");
        tail[137] = more.into();
        tail[138..149].copy_from_slice(size.as_bytes());
        head.tail = tail;
        Archive::new().head(&head, if more { &[0; 512] } else { b"xyz" }).raw(if more { b"xyz" } else { b"" })
    };
    check(&old("00000000006", false).end(), Ok(&["f 644 0:0 s = \\x00\\x00xyz\\x00"]));
    check(&old("00000000006", true).raw(&[0; 509]).end(), Ok(&["f 644 0:0 s = \\x00\\x00xyz\\x00"]));
    check(&old("00000000004", false).end(), Err("lies"));
}

#[test]
fn attributes_with_a_meaning_are_left_out() {
    let records: [(&str, &[u8]); 8] = [
        ("SCHILY.xattr.user.kept", b"1"),
        ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.security.capability", b"\x01\0\0\x02"),
        ("SCHILY.xattr.system.posix_acl_access", b"x"),
        ("SCHILY.xattr.user.", b"x"),
        ("SCHILY.xattr.nonsense", b"x"),
    ];
    let report = check(&Archive::new().pax(&records).file("f", "").end(), Ok(&["f 644 0:0 f =  [user.kept=1]"]));
    assert_eq!(report.neutralised.xattrs, 7);
    let long = format!("SCHILY.xattr.user.{}", "x".repeat(251));
    check(&Archive::new().pax(&[(&long, b"")]).file("f", "").end(), Err("attributes"));
    check(&Archive::new().pax(&[("SCHILY.xattr.user.x", &[0; 70_000])]).file("f", "").end(), Err("attributes"));
    let many: Vec<(String, Vec<u8>)> = (0..9).map(|n| (format!("SCHILY.xattr.user.{n}"), vec![0; 8000])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    check(&Archive::new().pax(&many).file("f", "").end(), Err("attributes"));
}

#[test]
fn damaged_archives() {
    let good = Archive::new().file("a", "data").end();
    check(&good[..600], Err("cut off"));
    check(&good[..300], Err("cut off"));
    let mut wrong = good.clone();
    wrong[0] = b'b';
    check(&wrong, Err("checksum"));
    check(b"this is no archive at all", Err("cut off"));
    check(&[b'x'; 4096], Err("checksum"));
    check(&Archive::new().raw(&[0; 512]).file("a", "x").end(), Err("zeros between"));
    // Without an end mark, as some writers leave it, and with nothing but one.
    check(&Archive::new().file("a", "1").bytes(), Ok(&["f 644 0:0 a = 1"]));
    check(&[0; 1024], Ok(&[]));
    // What follows the end is not read as entries.
    let trailing = [good.clone(), Archive::new().file("hidden", "x").end(), b"garbage".to_vec()].concat();
    let report = check(&trailing, Ok(&["f 644 0:0 a = data"]));
    assert!(report.neutralised.trailing_bytes > 20);
    check(&Archive::new().entry(b'x', "pax", "", b"7 a=b\n").file("a", "").end(), Err("wrong length"));
    let mut huge = Head::new(b'x', "pax");
    huge.size = b"77777777777".into();
    check(&Archive::new().head(&huge, b"").end(), Err("extension header of that size"));
    // Records for everything are ignored, as elsewhere.
    check(&Archive::new().entry(b'g', "g", "", b"11 path=xy\n").file("a", "").end(), Ok(&["f 644 0:0 a = "]));
}

#[test]
fn too_much_of_anything() {
    let limits = UnpackLimits::default();
    let mut many = Archive::new();
    for number in 0..20 {
        many = many.file(&format!("f{number}"), "0123456789");
    }
    let many = many.end();
    check_limited(&many, UnpackLimits { entries: 10, ..limits }, Err("more than 10 entries"));
    check_limited(&many, UnpackLimits { content_bytes: 150, ..limits }, Err("claim more than 150 bytes"));
    check_limited(&many, UnpackLimits { metadata_bytes: 2000, ..limits }, Err("metadata exceeds 2000 bytes"));
    let deep = "d/".repeat(200);
    let lines: Vec<String> = (1..=200).map(|n| format!("d 755 0:0 {}", "d/".repeat(n).trim_end_matches('/'))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(&Archive::new().pax(&[("path", deep.as_bytes())]).dir("x").end(), Ok(&lines));
    check(&Archive::new().pax(&[("path", "d/".repeat(300).as_bytes())]).dir("x").end(), Err("too deep"));
    check(&Archive::new().pax(&[("path", "d/".repeat(3000).as_bytes())]).dir("x").end(), Err("too long"));
    // Links do not make it deeper than allowed.
    let mut creeping = Archive::new().pax(&[("path", deep.as_bytes())]).dir("x");
    creeping = creeping.pax(&[("linkpath", deep.as_bytes())]).symlink("l", "x");
    check(&creeping.pax(&[("path", format!("l/{deep}").as_bytes())]).dir("x").end(), Err("too deep"));
}
