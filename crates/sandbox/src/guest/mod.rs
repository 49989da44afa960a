//! Guests: what a virtual machine boots. A kernel of Debian's and an initial file system that holds the launcher as its first
//! process and the few modules that it loads.
//!
//! Never: a file of an image, a secret, anything of one run. The same package gives the same bytes.
//!
//! Start reading at [`build`]; [`Guests`] is where they are kept. A guest that is to have a Docker Engine gets it from an engine root
//! ([`build_engine`]), which lies beside the guests and fits every one of them.

pub(crate) mod acpi;
mod archive;
mod build;
mod engine;
mod scratch;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use build::{GuestError, Source, build};
pub use engine::{Engine, EngineDescription, EngineStep, Package, Report, build_engine};

const DESCRIPTION: &str = "guest.json";
const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";

/// A guest, ready to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Folder that holds it.
    pub folder: PathBuf,
    /// What it is.
    pub description: Description,
}

/// What a guest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Version of the kernel, as `uname -r` prints it.
    pub release: String,
    /// Name and version of the package that the kernel comes from.
    pub package: String,
    /// Digest of the launcher in it: one of another version speaks another language.
    pub launcher: String,
    /// Digest of kernel and initial file system (`sha256:…`), by which it is named.
    pub digest: String,
}

impl Guest {
    /// The kernel's file.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    /// The initial file system's file.
    pub fn initrd(&self) -> PathBuf {
        self.folder.join(INITRD)
    }

    /// Short name: the first digits of the digest.
    pub fn name(&self) -> &str {
        short_name(&self.description.digest)
    }

    fn open(folder: PathBuf) -> Option<Guest> {
        let text = fs::read(folder.join(DESCRIPTION)).ok()?;
        Some(Guest { folder, description: serde_json::from_slice(&text).ok()? })
    }
}

/// The first digits of a digest.
fn short_name(digest: &str) -> &str {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    &digits[..digits.len().min(12)]
}

/// The guests of one folder, and the engine roots beside them.
#[derive(Clone, Debug)]
pub struct Guests {
    folder: PathBuf,
}

impl Guests {
    /// Those below `folder`, which need not be there.
    pub fn new(folder: impl Into<PathBuf>) -> Guests {
        Guests { folder: folder.into() }
    }

    /// All that are whole, the newest first.
    pub fn list(&self) -> Vec<Guest> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut guests: Vec<_> = entries.filter_map(|entry| Guest::open(entry.path())).collect();
        let made = |guest: &Guest| fs::metadata(guest.folder.join(DESCRIPTION)).and_then(|found| found.modified()).ok();
        guests.sort_by_key(|guest| std::cmp::Reverse(made(guest)));
        guests
    }

    /// The one to boot: the newest that carries this program's launcher.
    pub fn newest(&self) -> Option<Guest> {
        let own = build::launcher_digest();
        self.list().into_iter().find(|guest| guest.description.launcher == own)
    }

    /// Removes a guest or an engine root by name.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let guests = self.list().into_iter().map(|guest| (guest.name() == name, guest.folder));
        let engines = self.engines().into_iter().map(|engine| (engine.name() == name, engine.folder));
        let named = guests.chain(engines).find(|(is_named, _)| *is_named);
        let none = || io::Error::new(io::ErrorKind::NotFound, format!("no guest and no engine root {name:?}"));
        fs::remove_dir_all(named.ok_or_else(none)?.1)
    }

    /// Where guests lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
