//! Python's byte code: the root is read-only, so what is not compiled now is compiled at every start of `docker-compose`, which
//! costs seconds where instructions are translated. The interpreter out of the packages compiles, on this host; where root makes the
//! engine root, as a user without rights who sees nothing but the library.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::path::{Named, RootPath};
use crate::guest::GuestError;
use crate::guest::build::run;

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
/// Below them, and below no other folder, lies Python's source.
const SOURCES: &str = "usr/lib/python3";
const INTERPRETER: &str = "usr/bin/python3.";
/// Sources that are no use, and some that are no Python.
const NOT_COMPILED: &str = "lib2to3/tests|/test/";
/// The user `nobody`, who owns the folder while the compiler runs.
const NOBODY: u32 = 65534;

/// A folder with the part of the packages that the compiler needs.
pub(super) struct Stage {
    folder: PathBuf,
    interpreter: Option<String>,
}

impl Stage {
    /// In an existing, empty folder.
    pub(super) fn new(folder: PathBuf) -> Stage {
        Stage { folder, interpreter: None }
    }

    /// Whether it wants this file.
    pub(super) fn wants(path: &RootPath) -> bool {
        let path = path.as_str();
        let is_library = path.strip_prefix(LIBRARIES).is_some_and(|name| name.rfind('/') == Some(0));
        is_library || path.starts_with(SOURCES) || path.starts_with(INTERPRETER)
    }

    /// Takes a regular file.
    pub(super) fn file(&mut self, path: &RootPath, content: &[u8]) -> Result<(), GuestError> {
        if path.as_str().starts_with(INTERPRETER) {
            self.interpreter = Some(path.as_str().to_owned());
        }
        let place = self.place(path)?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&place);
        made.and_then(|mut file| file.write_all(content)).map_err(at(&place))
    }

    /// Takes a symbolic link, if it names a file beside it. Any other could lead out of the folder, and none is needed.
    pub(super) fn link(&mut self, path: &RootPath, target: &str) -> Result<(), GuestError> {
        if target.contains('/') || matches!(target, "" | "." | "..") {
            return Ok(());
        }
        let place = self.place(path)?;
        symlink(target, &place).map_err(at(&place))
    }

    /// Where a file is put; nothing is there. Folders on the way are real ones: no link names a folder.
    fn place(&self, path: &RootPath) -> Result<PathBuf, GuestError> {
        let place = self.folder.join(path.as_str());
        let above = place.parent().unwrap_or(&self.folder);
        DirBuilder::new().recursive(true).mode(0o755).create(above).map_err(at(above))?;
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&place)(error)),
            _ => Ok(place),
        }
    }

    /// Compiles. The byte code of each source, by path; none where no package brought an interpreter.
    pub(super) fn compile(&self) -> Result<Vec<(RootPath, Vec<u8>)>, GuestError> {
        let Some(interpreter) = &self.interpreter else { return Ok(Vec::new()) };
        let sources: Vec<_> = ["usr/lib/python3", interpreter.replace("/bin/", "/lib/").as_str()]
            .into_iter()
            .filter(|folder| self.folder.join(folder).is_dir())
            .map(str::to_owned)
            .collect();
        let (mut compiler, home) = if rustix::process::geteuid().is_root() {
            give(&self.folder).map_err(at(&self.folder))?;
            let mut confined = Command::new("chroot");
            confined.arg(format!("--userspec={NOBODY}:{NOBODY}")).arg("--groups=").arg(&self.folder);
            confined.arg(format!("/{LOADER}"));
            (confined, PathBuf::from("/usr"))
        } else {
            (Command::new(self.folder.join(LOADER)), self.folder.join("usr"))
        };
        compiler.current_dir(&self.folder).env_clear().env("PYTHONHASHSEED", "0").env("PYTHONHOME", home);
        // What the compiler itself imports it would compile in another way, and then pass over.
        compiler.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(path) = std::env::var_os("PATH") {
            compiler.env("PATH", path);
        }
        compiler.args([
            "--library-path",
            LIBRARIES,
            interpreter,
            "-S",
            "-m",
            "compileall",
            "-f",
            "-q",
            "-j1",
            "-p",
            "/",
        ]);
        compiler.args(["--invalidation-mode", "unchecked-hash", "-x", NOT_COMPILED]).args(sources);
        run("python3", "to compile its library", &mut compiler)?;
        let mut compiled = Vec::new();
        collect(&self.folder, &self.folder, &mut compiled).map_err(at(&self.folder))?;
        compiled.sort();
        Ok(compiled)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> GuestError {
    let path = path.to_owned();
    move |source| GuestError::File { path, source }
}

fn give(path: &Path) -> io::Result<()> {
    lchown(path, Some(NOBODY), Some(NOBODY))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path())?;
        }
    }
    Ok(())
}

fn collect(folder: &Path, root: &Path, into: &mut Vec<(RootPath, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            collect(&path, root, into)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "pyc") {
            let name = path.strip_prefix(root).unwrap_or(&path).as_os_str().as_encoded_bytes();
            if let Ok(Named::Below(name)) = RootPath::of_entry(name) {
                into.push((name, fs::read(&path)?));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> RootPath {
        match RootPath::of_entry(name.as_bytes()) {
            Ok(Named::Below(path)) => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_compilers_part_of_the_packages() {
        for (name, expect) in [
            ("usr/bin/python3.11", true),
            ("usr/lib/python3/dist-packages/six.py", true),
            ("usr/lib/python3.11/os.py", true),
            ("lib/x86_64-linux-gnu/libc.so.6", true),
            ("usr/lib/x86_64-linux-gnu/xtables/libxt_NAT.so", false),
            ("usr/bin/git", false),
        ] {
            assert_eq!(Stage::wants(&path(name)), expect, "{name}");
        }
    }

    #[test]
    fn no_link_leads_out_of_the_stage() {
        let folder = tempfile::tempdir().unwrap();
        let (outside, inside) = (folder.path().join("outside"), folder.path().join("inside"));
        fs::create_dir(&outside).unwrap();
        fs::create_dir(&inside).unwrap();
        let mut stage = Stage::new(inside.clone());
        let folder_like = path("usr/lib/python3/evil");
        for target in [outside.to_str().unwrap(), "../../../../outside", "..", "."] {
            stage.link(&folder_like, target).unwrap();
        }
        stage.file(&path("usr/lib/python3/evil/x.py"), b"1").unwrap();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read(inside.join("usr/lib/python3/evil/x.py")).unwrap(), b"1");
        // A file takes the place of a link instead of being written through it.
        stage.file(&path("usr/lib/python3/a.py"), b"a").unwrap();
        stage.link(&path("usr/lib/python3/b.py"), "a.py").unwrap();
        stage.file(&path("usr/lib/python3/b.py"), b"b").unwrap();
        assert_eq!(fs::read(inside.join("usr/lib/python3/a.py")).unwrap(), b"a");
    }
}
