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
pub(crate) mod scratch;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

pub use build::{GuestError, Source, build};
pub use engine::{Engine, EngineDescription, EngineStep, Package, Report, build_engine};
pub use scratch::{half_made, making};

const DESCRIPTION: &str = "guest.json";
const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";
const VMLINUX: &str = "vmlinux";
const PLAIN_INITRD: &str = "plain-initrd";

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

    /// The kernel's file unpacked, for monitors that boot no other; made the first time. Takes a second then.
    ///
    /// # Errors
    /// It is packed in an unknown way, or there is no room.
    pub fn vmlinux(&self) -> io::Result<PathBuf> {
        self.derive(VMLINUX, || vmm::vmlinux::extract(&fs::read(self.kernel())?).map_err(io::Error::other))
    }

    /// The initial file system's file without what only QEMU's machines have places for; made the first time.
    ///
    /// # Errors
    /// There is no room.
    pub fn plain_initrd(&self) -> io::Result<PathBuf> {
        self.derive(PLAIN_INITRD, || {
            let whole = fs::read(self.initrd())?;
            Ok(whole.strip_prefix(&*build::firmware()).map_or_else(|| whole.clone(), <[u8]>::to_vec))
        })
    }

    /// A file beside the others that is made of them, whole or not at all.
    fn derive(&self, name: &str, make: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<PathBuf> {
        // One of this process at a time; those of other processes are other files until they are whole.
        static MAKING: Mutex<()> = Mutex::new(());
        let _turn = MAKING.lock();
        let path = self.folder.join(name);
        if path.exists() {
            return Ok(path);
        }
        let making = self.folder.join(making(name));
        // For everybody: a monitor opens it as its own user.
        let made = (|| {
            fs::write(&making, "")?;
            let _held = scratch::hold(&making)?;
            fs::write(&making, make()?)?;
            fs::set_permissions(&making, fs::Permissions::from_mode(0o644))?;
            fs::rename(&making, &path)
        })();
        if made.is_err() {
            let _ = fs::remove_file(&making);
        }
        made.map(|()| path)
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

    /// Removes a guest or an engine root by name; what is killed meanwhile leaves none that is half there.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let guests = self.list().into_iter().map(|guest| (guest.name() == name, guest.folder));
        let engines = self.engines().into_iter().map(|engine| (engine.name() == name, engine.folder));
        let named = guests.chain(engines).find(|(is_named, _)| *is_named);
        let none = || io::Error::new(io::ErrorKind::NotFound, format!("no guest and no engine root {name:?}"));
        let folder = named.ok_or_else(none)?.1;
        let parent = folder.parent().unwrap_or(&self.folder);
        scratch::sweep(parent);
        let removing = parent.join(making("removed"));
        fs::rename(&folder, &removing)?;
        fs::remove_dir_all(removing)
    }

    /// Where guests lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_is_held_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let text = || "some".to_owned();
        let description = Description { release: text(), package: text(), launcher: text(), digest: text() };
        let guest = Guest { folder: folder.path().to_owned(), description };
        let files = || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let is_held = || files().iter().all(|path| fs::File::open(path).is_ok_and(|file| file.try_lock().is_err()));
        let made = guest.derive("x", || {
            assert!(files().len() == 1 && is_held(), "whoever does not see this process takes it for left over");
            Ok(b"content".to_vec())
        });
        assert_eq!(fs::read(made.unwrap()).unwrap(), b"content");
        assert_eq!(files(), [folder.path().join("x")]);
        assert!(guest.derive("y", || Err(io::Error::other("no"))).is_err());
        assert_eq!(files().len(), 1, "nothing is left of what was not made");
        assert_eq!(guest.derive("x", || panic!("it is there")).unwrap(), folder.path().join("x"));
    }
}
