//! Engine roots and the modules for them, made of Debian's real packages.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sandbox::guest::{Engine, EngineStep, GuestError, Guests, Source, build, build_engine};

use crate::place;

/// An engine root, and the steps that it took. `None`, with the reason printed, where Debian's packages cannot be had.
pub fn engine() -> Option<(Engine, Vec<EngineStep>)> {
    // One download is enough.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut steps = Vec::new();
    let made = build_engine(&Guests::new(place::base().join("guests")), &mut |step| steps.push(step));
    match made {
        Ok(engine) => Some((engine, steps)),
        Err(error @ GuestError::Program { program: "apt-cache" | "apt-get" | "dpkg-deb", .. }) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// The files of an engine root: mounted for root, unpacked for others.
struct Files {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Files {
    fn of(root: &Path) -> Option<Files> {
        let folder = tempfile::tempdir_in(place::base()).unwrap();
        let ran = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let mounted = ran(Command::new("mount").args(["-t", "erofs", "-o", "loop,ro"]).arg(root).arg(folder.path()));
        if !mounted {
            let out = format!("--extract={}", folder.path().display());
            if !ran(Command::new("fsck.erofs").args(["--overwrite", "--no-preserve-owner"]).arg(out).arg(root)) {
                println!("skipped: neither a mount nor fsck.erofs (erofs-utils) reads an engine root here");
                return None;
            }
        }
        Some(Files { folder, mounted })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(self.folder.path()).status();
        }
    }
}

#[test]
fn engine_root_is_made_once() {
    let Some((engine, _)) = engine() else { return };
    let started = Instant::now();
    let Some((again, steps)) = self::engine() else { return };
    println!(
        "an engine root of {} bytes; asked again: {} ms",
        engine.description.root_bytes,
        started.elapsed().as_millis()
    );
    assert_eq!((&again, &*steps), (&engine, &[EngineStep::Resolve][..]));
    let guests = Guests::new(place::base().join("guests"));
    assert_eq!(guests.newest_engine(), Some(engine));
}

#[test]
fn engine_root_holds_an_engine() {
    let Some((engine, _)) = engine() else { return };
    let Some(files) = Files::of(&engine.root()) else { return };
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib64", "usr/lib64"),
        ("etc/resolv.conf", "/run/resolv.conf"),
        ("usr/bin/awk", "mawk"),
        ("usr/bin/sh", "dash"),
        ("usr/sbin/iptables", "iptables-legacy"),
        ("var/lock", "/run/lock"),
        ("var/run", "/run"),
    ] {
        assert_eq!(fs::read_link(files.path(link)).unwrap(), Path::new(target), "{link}");
    }
    let plugin = "usr/libexec/docker/cli-plugins/docker-compose";
    for program in ["usr/sbin/dockerd", "usr/bin/docker", "usr/bin/containerd", "usr/sbin/runc", "usr/bin/git", plugin]
    {
        assert_eq!(fs::metadata(files.path(program)).unwrap().mode() & 0o111, 0o111, "{program}");
    }
    for gone in ["usr/share/doc", "usr/bin/ctr", "etc/init.d", "usr/bin/perl", "usr/bin/openssl"] {
        assert!(!files.path(gone).exists(), "{gone}");
    }
    assert_eq!(fs::metadata(files.path("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    assert!(files.text("etc/passwd").starts_with("root:x:0:0:"));
    assert!(files.text("etc/group").contains("\ndocker:x:999:\n"));
    assert!(files.text("etc/ssl/certs/ca-certificates.crt").matches("BEGIN CERTIFICATE").count() > 100);
    let said = Command::new("sh").arg(files.path(plugin)).arg("docker-cli-plugin-metadata").output().unwrap().stdout;
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let version = engine.version_of("docker-compose").unwrap();
    assert!(version.starts_with(said["Version"].as_str().unwrap()), "{said} {version}");
}

/// Every library is there: the programs start in it, as a user without rights.
#[test]
fn engine_root_runs_its_programs() {
    let Some((engine, _)) = engine() else { return };
    let Some(files) = Files::of(&engine.root()) else { return };
    if !files.mounted || !rustix::process::geteuid().is_root() {
        println!("skipped: only root may change its root");
        return;
    }
    // Where a program wants /dev, the loader alone says whether it would start.
    let loader = "/lib64/ld-linux-x86-64.so.2";
    for words in [
        &["/usr/sbin/dockerd", "--version"][..],
        &["/usr/bin/docker", "--version"],
        &["/usr/bin/containerd", "--version"],
        &["/usr/bin/containerd-shim-runc-v2", "-v"],
        &["/usr/sbin/runc", "--version"],
        &["/usr/sbin/iptables", "--version"],
        &["/usr/bin/docker-compose", "--version"],
        &["/bin/tar", "--version"],
        &["/bin/awk", "BEGIN { exit 0 }"],
        &["/bin/sh", "-c", "echo $0"],
        &[loader, "--list", "/usr/bin/git"],
        &[loader, "--list", "/usr/lib/git-core/git-remote-https"],
        &[loader, "--list", "/usr/bin/xz"],
    ] {
        let mut command = Command::new("chroot");
        command.arg("--userspec=65534:65534").arg(files.folder.path()).args(words).env_clear();
        let output = command.env("PATH", "/usr/sbin:/usr/bin").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        println!("{words:?}: {}", said.lines().next().unwrap_or_default());
        assert!(output.status.success() && !said.contains("not found"), "{words:?}: {said}");
    }
}

/// Python takes the byte code without a look at the source: a read-only root has no times to compare.
#[test]
fn engine_root_has_the_byte_code_of_python() {
    let Some((engine, _)) = engine() else { return };
    let Some(files) = Files::of(&engine.root()) else { return };
    let (mut compiled, mut folders) = (HashSet::new(), vec![files.path("usr/lib/python3")]);
    let version = fs::read_link(files.path("usr/bin/python3")).unwrap();
    folders.push(files.path("usr/lib").join(version));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|end| end == "pyc") {
                let code = fs::read(entry.path()).unwrap();
                // Flags of PEP 552: by the source's digest, which is not checked.
                assert_eq!(code[4..8], [1, 0, 0, 0], "{:?}", entry.path());
                let place = place::base().as_os_str().as_encoded_bytes();
                assert!(!code.windows(place.len()).any(|window| window == place), "{:?}", entry.path());
                compiled.insert(entry.file_name().to_string_lossy().split('.').next().unwrap().to_owned());
            }
        }
    }
    assert!(compiled.len() > 700, "{}", compiled.len());
    for module in ["argparse", "os", "six", "service", "texttable"] {
        assert!(compiled.contains(module), "{module}");
    }
}

/// What the kernel's first file system holds: names and contents. Format: "newc", see `guest::archive`.
fn unpacked(initrd: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut files, mut at) = (Vec::new(), 0);
    while let Some(start) = initrd[at..].windows(6).position(|window| window == b"070701").map(|found| at + found) {
        let field = |index: usize| {
            let digits = &initrd[start + 6 + 8 * index..start + 14 + 8 * index];
            usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
        };
        let (size, name) = (field(6), field(11));
        // Both are filled up to four bytes, as the header's 110 are with the name.
        let content = start + (110 + name).next_multiple_of(4);
        let text = String::from_utf8(initrd[start + 110..start + 110 + name - 1].to_vec()).unwrap();
        files.push((text, initrd[content..content + size].to_vec()));
        at = content + size;
    }
    files
}

#[test]
fn engine_root_modules_stand_behind_what_they_need() {
    let guest = match build(&Guests::new(place::base().join("guests")), &Source::Debian) {
        Ok(guest) => guest,
        Err(error) => return println!("skipped: {error}"),
    };
    let files = unpacked(&fs::read(guest.initrd()).unwrap());
    let content = |name: &str| files.iter().find(|(found, _)| found == name).map(|(_, content)| content.clone());
    let list = |name: &str| String::from_utf8(content(name).unwrap()).unwrap();
    let (mut loaded, engine) = (HashSet::new(), list("modules/engine"));
    assert!(engine.lines().count() > 20, "{engine}");
    for path in list("modules/list").lines().chain(engine.lines()) {
        let module = content(path.trim_start_matches('/')).unwrap_or_else(|| panic!("{path} is not there"));
        let start = module.windows(9).position(|window| window == b"\0depends=").map(|found| found + 9);
        let depends = start.map(|start| module[start..].split(|byte| *byte == 0).next().unwrap()).unwrap_or_default();
        for needed in String::from_utf8_lossy(depends).split(',').filter(|name| !name.is_empty()) {
            assert!(loaded.contains(&needed.replace('-', "_")), "{path} needs {needed}");
        }
        let name = path.trim_start_matches("/modules/").trim_end_matches(".ko").replace('-', "_");
        assert!(loaded.insert(name), "{path} stands in the lists twice");
    }
    let modules = files.iter().filter(|(name, _)| name.ends_with(".ko")).count();
    assert_eq!(modules, loaded.len(), "each is in the archive once");
}
