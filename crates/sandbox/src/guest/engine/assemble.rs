//! One tar stream of everything: the packages' files, what maintainer scripts would have made, byte code.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};

use super::path::{Named, RootPath};
use super::python::Stage;
use super::recipe::{self, Act};
use super::scripts;
use crate::guest::GuestError;

/// Largest file that is kept in memory on its way: certificates, Python's library, shared libraries.
const MAX_KEPT_BYTES: u64 = 64 << 20;
const PASSWD: &str = "usr/share/base-passwd/passwd.master";
const GROUP: &str = "usr/share/base-passwd/group.master";
const CERTIFICATES: &str = "usr/share/ca-certificates/";
/// Stands in the plug-in of `docker compose`.
const VERSION: &str = "@VERSION@";

/// The stream, under construction.
pub(super) struct Assembly<W: Write> {
    tar: Builder<W>,
    /// Every path that a package brought.
    there: BTreeSet<String>,
    /// Content of what later files are made of.
    kept: BTreeMap<String, Vec<u8>>,
    /// Files of packages that are copied.
    copied: Vec<&'static str>,
    stage: Stage,
}

fn unwritten(source: io::Error) -> GuestError {
    GuestError::File { path: super::ROOT.into(), source }
}

impl<W: Write> Assembly<W> {
    pub(super) fn new(output: W, stage: Stage) -> Assembly<W> {
        let copied = recipe::layout().filter_map(|act| match act {
            Act::Copy { from, .. } => Some(from),
            _ => None,
        });
        let copied = copied.chain([PASSWD, GROUP]).collect();
        Assembly { tar: Builder::new(output), there: BTreeSet::new(), kept: BTreeMap::new(), copied, stage }
    }

    /// Takes the files of a package.
    ///
    /// # Errors
    /// The package has something that no Debian package has: a device, a name that leads out of the root.
    pub(super) fn package(&mut self, package: &str, tar: impl Read) -> Result<(), GuestError> {
        let broken = |reason: String| GuestError::Package { package: package.to_owned(), reason };
        let unread = |error: io::Error| broken(error.to_string());
        for entry in tar::Archive::new(tar).entries().map_err(unread)? {
            let mut entry = entry.map_err(unread)?;
            let path = match RootPath::of_entry(&entry.path_bytes()).map_err(broken)? {
                Named::Below(path) if !recipe::is_pruned(path.as_str()) => path,
                _ => continue,
            };
            let mut header = own_header(entry.header()).map_err(unread)?;
            match header.entry_type() {
                EntryType::Directory => self.tar.append_data(&mut header, path.as_str(), io::empty()),
                EntryType::Regular if self.is_kept(path.as_str()) || Stage::wants(&path) => {
                    if entry.size() > MAX_KEPT_BYTES {
                        return Err(broken(format!("{:?} is larger than such a file is", path.as_str())));
                    }
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).map_err(unread)?;
                    header.set_size(content.len() as u64);
                    self.keep(&path, &content)?;
                    self.tar.append_data(&mut header, path.as_str(), &*content)
                }
                EntryType::Regular => {
                    header.set_size(entry.size());
                    self.tar.append_data(&mut header, path.as_str(), &mut entry)
                }
                EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = std::str::from_utf8(&target).map_err(|error| broken(error.to_string()))?;
                    if Stage::wants(&path) {
                        self.stage.link(&path, target)?;
                    }
                    self.tar.append_link(&mut header, path.as_str(), target)
                }
                EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    match RootPath::of_entry(&target).map_err(broken)? {
                        Named::Below(target) => self.tar.append_link(&mut header, path.as_str(), target.as_str()),
                        _ => return Err(broken(format!("{:?} is another name of a folder", path.as_str()))),
                    }
                }
                other => return Err(broken(format!("{:?} is of the kind {other:?}", path.as_str()))),
            }
            .map_err(unwritten)?;
            self.there.insert(path.as_str().to_owned());
        }
        Ok(())
    }

    fn is_kept(&self, path: &str) -> bool {
        self.copied.contains(&path) || (path.starts_with(CERTIFICATES) && path.ends_with(".crt"))
    }

    fn keep(&mut self, path: &RootPath, content: &[u8]) -> Result<(), GuestError> {
        if self.is_kept(path.as_str()) {
            self.kept.insert(path.as_str().to_owned(), content.to_vec());
        }
        match Stage::wants(path) {
            true => self.stage.file(path, content),
            false => Ok(()),
        }
    }

    /// Adds what the packages' scripts would have made. `version` is that of Compose.
    ///
    /// # Errors
    /// The packages lack something that an engine needs.
    pub(super) fn scripts(&mut self, version: &str) -> Result<(), GuestError> {
        for act in recipe::layout() {
            match act {
                Act::Link { path, target } => {
                    let mut header = made(EntryType::Symlink, 0o777, 0);
                    self.tar.append_link(&mut header, path, target).map_err(unwritten)?;
                }
                Act::Folder { mode, path } => {
                    let mut header = made(EntryType::Directory, mode, 0);
                    self.tar.append_data(&mut header, path, io::empty()).map_err(unwritten)?;
                }
                Act::Copy { path, from } => {
                    let content = self.kept.get(from).cloned().ok_or_else(|| lacking(from))?;
                    self.file(path, 0o644, &content)?;
                }
                Act::Spare { path, .. } if self.there.contains(path) => {}
                Act::File { mode, path, content } | Act::Spare { mode, path, content } => {
                    let version = scripts::upstream_version(version);
                    self.file(path, mode, content.replace(VERSION, version).as_bytes())?;
                }
                Act::Need { path } if !self.there.contains(path) => return Err(lacking(path)),
                Act::Need { .. } => {}
            }
        }
        self.users_and_certificates()
    }

    fn users_and_certificates(&mut self) -> Result<(), GuestError> {
        let text = |path| self.kept.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let passwd = scripts::passwd(&text(PASSWD).ok_or_else(|| lacking(PASSWD))?);
        let group = scripts::group(&text(GROUP).ok_or_else(|| lacking(GROUP))?);
        let trusted = self.kept.iter().filter_map(|(path, content)| Some((path.strip_prefix(CERTIFICATES)?, content)));
        let names: String = trusted.clone().map(|(name, _)| format!("{name}\n")).collect();
        let joined = scripts::certificates(trusted.map(|(_, content)| content.as_slice()));
        self.file("etc/passwd", 0o644, passwd.as_bytes())?;
        self.file("etc/group", 0o644, group.as_bytes())?;
        self.file("etc/shadow", 0o600, scripts::SHADOW.as_bytes())?;
        self.file("etc/ca-certificates.conf", 0o644, names.as_bytes())?;
        self.file("etc/ssl/certs/ca-certificates.crt", 0o644, &joined)
    }

    /// Compiles what is Python, adds it, and ends the stream.
    ///
    /// # Errors
    /// The compiler fails.
    pub(super) fn byte_code(mut self) -> Result<(), GuestError> {
        for (path, content) in self.stage.compile()? {
            self.file(path.as_str(), 0o644, &content)?;
        }
        let mut output = self.tar.into_inner().map_err(unwritten)?;
        output.flush().map_err(unwritten)
    }

    fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), GuestError> {
        let mut header = made(EntryType::Regular, mode, content.len() as u64);
        self.tar.append_data(&mut header, path, content).map_err(unwritten)
    }
}

fn lacking(path: &str) -> GuestError {
    let reason = format!("they bring no {path:?}; are the lists of packages those of Debian 12?");
    GuestError::Package { package: "the packages".to_owned(), reason }
}

/// The header of an entry, without what could stand in it beside the usual.
fn own_header(from: &Header) -> io::Result<Header> {
    let mut header = made(from.entry_type(), from.mode()? & 0o7777, 0);
    header.set_uid(from.uid()?);
    header.set_gid(from.gid()?);
    header.set_mtime(from.mtime()?);
    Ok(header)
}

/// The header of a file that no package brought: of root, from the beginning of time.
fn made(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package that has every file that is needed, each with its own path as content.
    fn complete() -> Builder<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        let needed = recipe::layout().filter_map(|act| match act {
            Act::Need { path } | Act::Copy { from: path, .. } => Some(path),
            _ => None,
        });
        for path in needed {
            entry(&mut tar, EntryType::Regular, &format!("./{path}"), path);
        }
        tar
    }

    fn entry(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, content: &str) {
        let mut header = made(kind, 0o755, 0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        match kind {
            EntryType::Regular => header.set_size(content.len() as u64),
            _ => header.set_link_name_literal(content).unwrap(),
        }
        header.set_cksum();
        tar.append(&header, if kind == EntryType::Regular { content.as_bytes() } else { b"" }).unwrap();
    }

    fn assemble(tar: Builder<Vec<u8>>) -> Result<Vec<u8>, GuestError> {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Vec::new();
        let mut assembly = Assembly::new(&mut output, Stage::new(folder.path().to_owned()));
        assembly.package("all.deb", &*tar.into_inner().unwrap())?;
        assembly.scripts("1.29.2-3")?;
        assembly.byte_code()?;
        Ok(output)
    }

    fn content(output: &[u8], path: &str) -> Option<String> {
        let mut archive = tar::Archive::new(output);
        let mut last = None;
        for mut entry in archive.entries().unwrap().map(Result::unwrap) {
            if *entry.path_bytes() == *path.as_bytes() {
                let mut text =
                    entry.link_name().unwrap().map(|target| target.display().to_string()).unwrap_or_default();
                entry.read_to_string(&mut text).unwrap();
                last = Some(text);
            }
        }
        last
    }

    fn refused(kind: EntryType, name: &str, link: &str, expect: &str) {
        let mut tar = complete();
        entry(&mut tar, kind, name, link);
        match assemble(tar) {
            Err(GuestError::Package { package, reason }) => {
                assert!(package == "all.deb" && reason.contains(expect), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn what_leads_out_of_the_root_is_refused() {
        refused(EntryType::Regular, "./../etc/passwd", "x", "out of the root");
        refused(EntryType::Regular, "/etc/passwd", "x", "absolute");
        refused(EntryType::Link, "./usr/bin/x", "../../etc/shadow", "out of the root");
        refused(EntryType::Link, "./usr/bin/x", "./bin", "another name of a folder");
        refused(EntryType::Char, "./dev/null", "", "kind");
        refused(EntryType::Block, "./dev/sda", "", "kind");
        refused(EntryType::Fifo, "./run/x", "", "kind");
    }

    #[test]
    fn packages_without_an_engine_are_none() {
        let error = assemble(Builder::new(Vec::new())).unwrap_err();
        assert!(error.to_string().contains("they bring no"), "{error}");
    }

    #[test]
    fn the_stream_has_the_packages_and_what_their_scripts_would_have_made() {
        let mut tar = complete();
        entry(&mut tar, EntryType::Regular, "./bin/x", "x");
        entry(&mut tar, EntryType::Link, "./bin/y", "./bin/x");
        entry(&mut tar, EntryType::Symlink, "./lib64/ld.so", "/lib/x86_64-linux-gnu/ld.so");
        entry(&mut tar, EntryType::Regular, "./usr/share/doc/x/copyright", "x");
        entry(&mut tar, EntryType::Regular, "./usr/share/ca-certificates/m/a.crt", "-A-");
        let output = assemble(tar).unwrap();
        for (path, expect) in [
            ("usr/bin/x", Some("x")),
            ("usr/bin/y", Some("usr/bin/x")),
            ("bin", Some("usr/bin")),
            ("usr/lib64/ld.so", Some("/lib/x86_64-linux-gnu/ld.so")),
            ("usr/share/doc/x/copyright", None),
            ("var/run", Some("/run")),
            ("usr/sbin/iptables", Some("iptables-legacy")),
            ("etc/ssl/certs/ca-certificates.crt", Some("-A-\n")),
            ("etc/ca-certificates.conf", Some("m/a.crt\n")),
            ("etc/group", Some("usr/share/base-passwd/group.master\ndocker:x:999:\n")),
            ("etc/profile", Some("usr/share/base-files/profile")),
        ] {
            assert_eq!(content(&output, path).as_deref(), expect, "{path}");
        }
        let plugin = content(&output, "usr/libexec/docker/cli-plugins/docker-compose").unwrap();
        assert!(plugin.contains("\"Version\":\"1.29.2\"") && !plugin.contains(VERSION));
    }

    #[test]
    fn a_plugin_of_a_package_stays() {
        let mut tar = complete();
        let path = "usr/libexec/docker/cli-plugins/docker-compose";
        entry(&mut tar, EntryType::Regular, &format!("./{path}"), "its own");
        assert_eq!(content(&assemble(tar).unwrap(), path).as_deref(), Some("its own"));
    }

    #[test]
    fn the_same_packages_give_the_same_bytes() {
        let erofs = || {
            let mut file = tempfile::tempfile().unwrap();
            let tar = assemble(complete()).unwrap();
            image::unpack::convert(&image::unpack::UnpackLimits::default(), &*tar, &file).unwrap();
            let mut bytes = Vec::new();
            io::Seek::rewind(&mut file).unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let bytes = erofs();
        assert!(bytes.len() > 4096 && bytes == erofs());
    }
}
