//! Engine roots: the file system that a virtual machine has a Docker Engine from. One read-only EROFS file with the engine, its
//! command line, Compose, git and what scripts need, made of Debian's packages.
//!
//! ```text
//!   lists (data/engine) ──> apt: which packages ──> digest ──> there already? that is the answer
//!                                                     └──> apt: download ──> one tar stream ──> image::unpack ──> root.erofs
//!   the stream: files of the packages ─ what their scripts would have made ─ Python's byte code
//! ```
//!
//! Never: a maintainer script, a root's rights, a device, a file on the host that a package named (but for those that Python's
//! compiler reads, in a folder that no link leads out of), anything of one run. The same packages and lists give the same bytes.
//!
//! Start reading at [`build_engine`].

mod apt;
mod assemble;
mod path;
mod python;
mod recipe;
mod scripts;

use std::fs::{self, File};
use std::io::{self, PipeReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use image::unpack::{Fault, UnpackLimits, convert};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::build::{in_hex, tool};
use super::scratch::Scratch;
use super::{GuestError, Guests, short_name};
use apt::Apt;
use assemble::Assembly;
use python::Stage;

/// Folder of the engine roots, beside the guests.
const FOLDER: &str = "engines";
const DESCRIPTION: &str = "engine.json";
const ROOT: &str = "root.erofs";
/// The package that Compose's version is read from.
const COMPOSE: &str = "docker-compose";

/// An engine root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Folder that holds it.
    pub folder: PathBuf,
    /// What it is.
    pub description: EngineDescription,
}

/// What an engine root is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineDescription {
    /// Digest of all that it is made of (`sha256:…`), by which it is named.
    pub digest: String,
    /// Digest of the lists that this program made it by: one of other lists may be laid out in another way.
    pub recipe: String,
    /// Digest of the EROFS file.
    pub root: String,
    /// Bytes of the EROFS file.
    pub root_bytes: u64,
    /// What is in it, by name.
    pub packages: Vec<Package>,
}

/// A Debian package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version, with its epoch.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Digest of its file (`sha256:…`).
    pub digest: String,
    /// Name of its file.
    pub file: String,
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineStep {
    /// Debian's lists are asked which packages.
    Resolve,
    /// They are downloaded.
    Download {
        /// How many.
        packages: usize,
        /// Bytes that are there, as far as is known.
        received: u64,
        /// Bytes of all.
        bytes: u64,
    },
    /// The files of a package are taken.
    Unpack {
        /// Its name.
        package: String,
        /// How many came before.
        done: usize,
        /// How many there are.
        packages: usize,
    },
    /// Python's library is compiled.
    Compile,
}

/// Who is told what is being done.
pub type Report<'a> = &'a mut dyn FnMut(EngineStep);

impl Engine {
    /// The EROFS file.
    pub fn root(&self) -> PathBuf {
        self.folder.join(ROOT)
    }

    /// Short name: the first digits of the digest.
    pub fn name(&self) -> &str {
        short_name(&self.description.digest)
    }

    /// The version of one of its packages.
    pub fn version_of(&self, package: &str) -> Option<&str> {
        version_of(&self.description.packages, package)
    }

    fn open(folder: PathBuf) -> Option<Engine> {
        let text = fs::read(folder.join(DESCRIPTION)).ok()?;
        let description: EngineDescription = serde_json::from_slice(&text).ok()?;
        let found = fs::metadata(folder.join(ROOT)).ok()?;
        (found.len() == description.root_bytes).then_some(Engine { folder, description })
    }
}

impl Guests {
    /// All engine roots that are whole, the newest first.
    pub fn engines(&self) -> Vec<Engine> {
        let entries = fs::read_dir(self.folder().join(FOLDER)).into_iter().flatten().flatten();
        let mut engines: Vec<_> = entries.filter_map(|entry| Engine::open(entry.path())).collect();
        let made =
            |engine: &Engine| fs::metadata(engine.folder.join(DESCRIPTION)).and_then(|found| found.modified()).ok();
        engines.sort_by_key(|engine| std::cmp::Reverse(made(engine)));
        engines
    }

    /// The one to use: the newest that this program's lists made.
    pub fn newest_engine(&self) -> Option<Engine> {
        let own = recipe::digest();
        self.engines().into_iter().find(|engine| engine.description.recipe == own)
    }
}

/// Makes an engine root and keeps it beside the guests; one of the same packages that is there already is not made again, and
/// nothing is downloaded. Blocks for as long as the download takes and some seconds more.
///
/// # Errors
/// apt or dpkg-deb are missing or fail, or the packages are not what was expected.
pub fn build_engine(guests: &Guests, report: Report<'_>) -> Result<Engine, GuestError> {
    let engines = guests.folder().join(FOLDER);
    let engines = std::path::absolute(&engines).unwrap_or(engines);
    let scratch = Scratch::new(&engines)?;
    report(EngineStep::Resolve);
    let apt = Apt::new(&new_folder(scratch.path(), "apt")?)?;
    let packages = apt.resolve()?;
    let digest = digest_of(&packages);
    let folder = engines.join(digest.replace(':', "-"));
    if let Some(there) = Engine::open(folder.clone()) {
        return Ok(there);
    }
    let files = apt.download(&packages, report)?;
    let making = new_folder(scratch.path(), "engine")?;
    let stage = Stage::new(new_folder(scratch.path(), "python")?);
    let root = making.join(ROOT);
    write_root(&root, &packages, &files, stage, report)?;
    let description = EngineDescription {
        digest,
        recipe: recipe::digest(),
        root: digest_of_file(&root)?,
        root_bytes: fs::metadata(&root).map_err(at(&root))?.len(),
        packages,
    };
    let text = serde_json::to_vec_pretty(&description).unwrap_or_default();
    let path = making.join(DESCRIPTION);
    fs::write(&path, text).map_err(at(&path))?;
    // Another process may have been faster, with the same bytes. What is not whole makes room.
    if let Some(there) = Engine::open(folder.clone()) {
        return Ok(there);
    }
    let _ = fs::remove_dir_all(&folder);
    match fs::rename(&making, &folder) {
        Err(error) if Engine::open(folder.clone()).is_none() => Err(at(&folder)(error)),
        _ => Ok(Engine { folder, description }),
    }
}

/// Digest of all that the bytes of an engine root depend on.
fn digest_of(packages: &[Package]) -> String {
    let mut digest = Sha256::new();
    digest.update(recipe::digest());
    for package in packages {
        digest.update(format!("\n{} {} {}", package.name, package.version, package.digest));
    }
    in_hex(digest)
}

fn version_of<'a>(packages: &'a [Package], name: &str) -> Option<&'a str> {
    packages.iter().find(|package| package.name == name).map(|package| package.version.as_str())
}

fn write_root(
    path: &Path,
    packages: &[Package],
    files: &[PathBuf],
    stage: Stage,
    report: Report<'_>,
) -> Result<(), GuestError> {
    let (reader, writer) = io::pipe().map_err(at(path))?;
    let output = File::options().read(true).write(true).create_new(true).open(path).map_err(at(path))?;
    let (written, converted) = thread::scope(|scope| {
        let converter = scope.spawn(|| into_erofs(reader, &output));
        let mut assembly = Assembly::new(io::BufWriter::with_capacity(1 << 16, writer), stage);
        let mut write = || {
            for (done, (package, file)) in packages.iter().zip(files).enumerate() {
                report(EngineStep::Unpack { package: package.name.clone(), done, packages: packages.len() });
                unpack(file, |tar| assembly.package(&package.file, tar))?;
            }
            assembly.scripts(version_of(packages, COMPOSE).unwrap_or_default())
        };
        let written = write().and_then(|()| {
            report(EngineStep::Compile);
            assembly.byte_code()
        });
        (written, converter.join())
    });
    match (written, converted) {
        // The pipe broke because the other side had stopped.
        (Err(GuestError::File { source, .. }), Ok(Err(fault))) if source.kind() == io::ErrorKind::BrokenPipe => {
            Err(GuestError::Convert(fault))
        }
        (Err(error), _) => Err(error),
        (Ok(()), Ok(Err(fault))) => Err(GuestError::Convert(fault)),
        (Ok(()), Err(_)) => Err(at(path)(io::Error::other("its writer panicked"))),
        (Ok(()), Ok(Ok(()))) => output.sync_all().map_err(at(path)),
    }
}

fn into_erofs(tar: PipeReader, output: &File) -> Result<(), Fault> {
    convert(&UnpackLimits::default(), tar, output).map(drop)
}

/// Hands the files of a package to `take`, as a tar stream.
fn unpack(
    package: &Path,
    take: impl FnOnce(&mut std::process::ChildStdout) -> Result<(), GuestError>,
) -> Result<(), GuestError> {
    let failed = |reason: String| GuestError::Program {
        program: "dpkg-deb",
        doing: format!("to unpack {}", package.display()),
        reason,
    };
    let mut child = tool("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // Dropped before the wait: the child of a reader that stopped early stops too.
    let taken = child.stdout.take().map(|mut tar| take(&mut tar).and_then(|()| drain(&mut tar).map_err(at(package))));
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    taken.unwrap_or(Ok(()))?;
    status.success().then_some(()).ok_or_else(|| failed("it cannot read it".to_owned()))
}

/// Padding behind the end of an archive.
fn drain(tar: &mut impl io::Read) -> io::Result<()> {
    io::copy(tar, &mut io::sink()).map(drop)
}

fn digest_of_file(path: &Path) -> Result<String, GuestError> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok(in_hex(digest)),
            count => digest.update(&buffer[..count]),
        }
    }
}

fn new_folder(parent: &Path, name: &str) -> Result<PathBuf, GuestError> {
    let path = parent.join(name);
    fs::create_dir(&path).map_err(at(&path))?;
    Ok(path)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> GuestError {
    let path = path.to_owned();
    move |source| GuestError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        let [architecture, digest, file] = ["amd64", "sha256:00", "x.deb"].map(str::to_owned);
        Package { name: name.to_owned(), version: version.to_owned(), architecture, bytes: 1, digest, file }
    }

    fn put(guests: &Guests, digest: &str, recipe: &str, root: &[u8]) {
        let folder = guests.folder().join(FOLDER).join(digest.replace(':', "-"));
        fs::create_dir_all(&folder).unwrap();
        let description = EngineDescription {
            digest: digest.to_owned(),
            recipe: recipe.to_owned(),
            root: String::new(),
            root_bytes: 4,
            packages: vec![package("docker.io", "1-2")],
        };
        fs::write(folder.join(DESCRIPTION), serde_json::to_vec(&description).unwrap()).unwrap();
        fs::write(folder.join(ROOT), root).unwrap();
    }

    #[test]
    fn every_package_counts_for_the_digest() {
        let digests = [
            digest_of(&[]),
            digest_of(&[package("git", "1")]),
            digest_of(&[package("git", "2")]),
            digest_of(&[package("git", "1"), package("tar", "1")]),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest));
        }
        assert_eq!(digest_of(&[package("git", "1")]), digests[1]);
    }

    #[test]
    fn engine_roots_are_listed_whole_and_removed_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let guests = Guests::new(folder.path());
        assert!(guests.engines().is_empty() && guests.newest_engine().is_none());
        put(&guests, "sha256:aaaaaaaaaaaaaaaa", "of another version", b"root");
        put(&guests, "sha256:bbbbbbbbbbbbbbbb", &recipe::digest(), b"root");
        put(&guests, "sha256:cccccccccccccccc", &recipe::digest(), b"roo");
        let names: Vec<_> = guests.engines().iter().map(|engine| engine.name().to_owned()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let newest = guests.newest_engine().unwrap();
        assert_eq!((newest.name(), newest.version_of("docker.io")), ("bbbbbbbbbbbb", Some("1-2")));
        assert!(newest.root().is_file() && guests.list().is_empty());
        guests.remove("bbbbbbbbbbbb").unwrap();
        assert!(guests.remove("bbbbbbbbbbbb").is_err() && guests.newest_engine().is_none());
        assert_eq!(guests.engines().len(), 1);
    }
}
