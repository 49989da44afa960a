//! The root of `process` sandboxes: copies of a few files of `/etc`, empty folders, and places for the host's own tools,
//! which are mounted there read-only.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::fault::{Doing, Result};
use crate::protocol::Tools;

/// Bounds of what is copied from `/etc`.
const MAX_COPIED_BYTES: u64 = 16 << 20;
const MAX_DEPTH: usize = 8;

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
build:x:1000:1000:build:/home/build:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUP: &str = "\
root:x:0:
tty:x:5:
build:x:1000:
nogroup:x:65534:
";

/// The user of `process` sandboxes.
const USER: u32 = 1000;

/// Makes the tree in a folder of the stage; `root` is the id there of the sandbox's root.
pub(crate) fn make(tools: &Tools, tree: &str, root: u32) -> Result<()> {
    let mut copier = Copier { tree: tree.into(), root, left: MAX_COPIED_BYTES };
    copier.tree(tools).doing(|| "make the root of process sandboxes".into())
}

/// Folders of the host that are mounted into the tree.
pub(crate) fn folders(tools: &Tools) -> impl Iterator<Item = &Path> {
    tools.folders.iter().map(Path::new).filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()))
}

struct Copier {
    tree: PathBuf,
    root: u32,
    left: u64,
}

impl Copier {
    fn tree(&mut self, tools: &Tools) -> io::Result<()> {
        let tree = self.tree.clone();
        self.folder(&tree, 0o755)?;
        for folder in ["dev", "etc", "home", "mnt", "proc", "root", "run", "srv", "sys", "var", "var/lib", "workspace"]
        {
            self.folder(&self.tree.join(folder), 0o755)?;
        }
        for folder in ["tmp", "var/tmp"] {
            self.folder(&self.tree.join(folder), 0o1777)?;
        }
        let home = self.tree.join("home/build");
        self.folder(&home, 0o755)?;
        self.give(&home, USER)?;
        for folder in &tools.folders {
            self.place(Path::new(folder))?;
        }
        for path in &tools.copies {
            let path = Path::new(path);
            let copied =
                fs::symlink_metadata(path).and_then(|_| self.parents(path)).and_then(|()| self.copy(path, MAX_DEPTH));
            match copied {
                // Files that this user may not read are not for sandboxes either.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {}
                result => result?,
            }
        }
        self.file("etc/passwd", PASSWD)?;
        self.file("etc/group", GROUP)
    }

    /// A mount point, or the same symbolic link as on the host.
    fn place(&mut self, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => symlink(fs::read_link(path)?, self.target(path)),
            Ok(found) if found.is_dir() => {
                self.parents(path)?;
                self.folder(&self.target(path), 0o755)
            }
            _ => Ok(()),
        }
    }

    fn copy(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let found = fs::symlink_metadata(path)?;
        let target = self.target(path);
        if found.is_symlink() {
            return match symlink(fs::read_link(path)?, target) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                result => result,
            };
        }
        if found.is_dir() && depth > 0 {
            self.folder(&target, 0o755)?;
            for entry in fs::read_dir(path)? {
                match self.copy(&entry?.path(), depth - 1) {
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                    result => result?,
                }
            }
        } else if found.is_file() && found.len() <= self.left && found.permissions().mode() & 0o004 != 0 {
            // What not everybody may read on the host, nobody reads in a sandbox.
            self.left -= found.len();
            fs::copy(path, &target)?;
            self.own(&target)?;
        }
        Ok(())
    }

    fn parents(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        let parent = self.target(parent);
        if parent.is_dir() { Ok(()) } else { fs::create_dir_all(&parent).and_then(|()| self.own(&parent)) }
    }

    fn folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => result?,
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        self.own(path)
    }

    fn file(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.tree.join(name);
        fs::write(&path, text)?;
        self.own(&path)
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        self.give(path, 0)
    }

    /// Gives a file to a user of the sandbox.
    fn give(&self, path: &Path, user: u32) -> io::Result<()> {
        chown(path, Some(self.root + user), Some(self.root + user))
    }

    fn target(&self, path: &Path) -> PathBuf {
        self.tree.join(path.strip_prefix("/").unwrap_or(path))
    }
}
