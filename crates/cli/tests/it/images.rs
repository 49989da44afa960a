//! Images made on the spot, around the host's static busybox.

use std::path::Path;
use std::process::Command;

use sha2::Digest as _;

use crate::project::{cofferdam, finish};

/// Imports an image with busybox and the given config; returns its name. `None`, with the reason printed, where it cannot be made.
pub fn busybox_image(name: &str, config: &str, extra: &[(&str, &str)]) -> Option<String> {
    Some(import(name, config, &busybox_layer(extra)?))
}

/// A root file system with busybox and these executable files. `None`, with the reason printed, where it cannot be made.
pub fn busybox_layer(extra: &[(&str, &str)]) -> Option<Vec<u8>> {
    let Ok(busybox) = std::fs::read("/bin/busybox") else {
        println!("skipped: busybox-static is not installed");
        return None;
    };
    let mut layer = tar::Builder::new(Vec::new());
    for folder in ["bin/", "etc/", "tmp/", "root/"] {
        add(&mut layer, folder, tar::EntryType::Directory, 0o755, b"");
    }
    add(&mut layer, "bin/busybox", tar::EntryType::Regular, 0o755, &busybox);
    for applet in [
        "sh", "cat", "id", "ls", "echo", "pwd", "env", "sleep", "true", "touch", "stat", "whoami", "mkdir", "grep",
        "ip", "wc", "head", "dd", "cp", "tr", "rm", "sed", "nc",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    add(
        &mut layer,
        "etc/passwd",
        tar::EntryType::Regular,
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nbuilder:x:1234:1234::/tmp:/bin/sh\n",
    );
    add(&mut layer, "etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\nbuilder:x:1234:\n");
    for (path, content) in extra {
        add(&mut layer, path, tar::EntryType::Regular, 0o755, content.as_bytes());
    }
    Some(layer.into_inner().unwrap())
}

/// Imports an image of one layer.
pub fn import(name: &str, config: &str, layer: &[u8]) -> String {
    let name = format!("test.invalid/{name}:1");
    import_archive(&mut cofferdam(), docker_archive(&[&name], config, layer).path());
    name
}

/// Imports what is in an archive with that command.
pub fn import_archive(cofferdam: &mut Command, archive: &Path) {
    let imported = finish(cofferdam.args(["image", "import"]).arg(archive).output().unwrap());
    assert_eq!(imported.code, 0, "{imported:?}");
}

/// What `docker save` writes for an image of one layer with these names.
pub fn docker_archive(names: &[&str], config: &str, layer: &[u8]) -> tempfile::NamedTempFile {
    let diff_id: String = sha2::Sha256::digest(layer).iter().map(|b| format!("{b:02x}")).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff_id}"]}}}}"#
    );
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":{names:?},"Layers":["layer.tar"]}}]"#);
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "manifest.json", tar::EntryType::Regular, 0o644, manifest.as_bytes());
    add(&mut archive, "config.json", tar::EntryType::Regular, 0o644, config.as_bytes());
    add(&mut archive, "layer.tar", tar::EntryType::Regular, 0o644, layer);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &archive.into_inner().unwrap()).unwrap();
    file
}

fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).unwrap();
}
