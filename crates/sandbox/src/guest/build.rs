//! Makes a guest from a package of Debian's kernel.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::acpi;
use super::archive::Archive;
use super::scratch::Scratch;
use super::{DESCRIPTION, Description, Guest, Guests, INITRD, KERNEL};
use crate::local::launcher_program;
use crate::policy::lines;

const MODULES: &str = include_str!("../../data/guest-modules.txt");
/// What a guest with an engine root loads behind them.
const ENGINE_MODULES: &str = include_str!("../../data/engine-modules.txt");
/// Debian's name for the newest kernel that is made for virtual machines.
const META_PACKAGE: &str = "linux-image-cloud-amd64";
/// A kernel or a module above this size is none.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Where the kernel comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Debian's kernel for virtual machines, downloaded with `apt-get`.
    Debian,
    /// A package that is there already.
    Package(PathBuf),
}

/// Why there is no guest.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A program of the host could not do its part.
    #[error("{program} {doing}: {reason}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it was to do.
        doing: String,
        /// What it said.
        reason: String,
    },
    /// The package is not what was expected.
    #[error("{package}: {reason}")]
    Package {
        /// Which.
        package: String,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system of an engine root could not be written.
    #[error("cannot write the engine root")]
    Convert(#[source] image::unpack::Fault),
}

/// Makes a guest and keeps it among `guests`; one that is there already is not made again.
///
/// # Errors
/// The package cannot be had, or holds no kernel.
pub fn build(guests: &Guests, source: &Source) -> Result<Guest, GuestError> {
    let scratch = Scratch::new(guests.folder())?;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| GuestError::File { path, source }
    };
    let package = match source {
        Source::Package(path) => path.clone(),
        Source::Debian => download(scratch.path())?,
    };
    let parts = Parts::of(&package)?;
    let guest = parts.into_guest(&package_name(&package)?);
    let folder = guests.folder().join(guest.description.digest.replace(':', "-"));
    if let Some(there) = Guest::open(folder.clone()) {
        return Ok(there);
    }
    let making = scratch.path().join("guest");
    fs::create_dir_all(&making).map_err(file(&making))?;
    let description = serde_json::to_vec_pretty(&guest.description).unwrap_or_default();
    for (name, content) in [(KERNEL, &guest.kernel), (INITRD, &guest.initrd), (DESCRIPTION, &description)] {
        let path = making.join(name);
        fs::write(&path, content).map_err(file(&path))?;
    }
    // Whole or not at all.
    match fs::rename(&making, &folder) {
        Err(error) if !folder.exists() => Err(file(&folder)(error)),
        _ => Ok(Guest { folder, description: guest.description }),
    }
}

/// A program of the host that ends with the thread that starts it: nothing is downloaded for nobody.
pub(super) fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    // SAFETY: a single system call, between fork and execve.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?));
    }
    command
}

/// What a program prints; what it says on its standard error is why it failed.
pub(super) fn run(program: &'static str, doing: &str, command: &mut Command) -> Result<Vec<u8>, GuestError> {
    let failed = |reason: String| GuestError::Program { program, doing: doing.to_owned(), reason };
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The package that Debian's package of packages names.
fn download(scratch: &Path) -> Result<PathBuf, GuestError> {
    let shown = run("apt-cache", "to find the kernel's package", tool("apt-cache").args(["show", META_PACKAGE]))?;
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let names = shown.lines().filter_map(|line| line.strip_prefix("Depends: "));
    let name = names.flat_map(|line| line.split([',', ' '])).find(|word| word.starts_with("linux-image-"));
    let name = name.ok_or_else(|| GuestError::Package {
        package: META_PACKAGE.to_owned(),
        reason: "it names no kernel; is the list of packages there (apt-get update)?".to_owned(),
    })?;
    run("apt-get", "to download the kernel", tool("apt-get").args(["download", name]).current_dir(scratch))?;
    let mut entries = fs::read_dir(scratch).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .ok_or_else(|| GuestError::Package { package: name.to_owned(), reason: "it was not downloaded".to_owned() })
}

fn package_name(package: &Path) -> Result<String, GuestError> {
    let format = "--showformat=${Package} ${Version}";
    let shown = run("dpkg-deb", "to read the package", tool("dpkg-deb").arg("--show").arg(format).arg(package))?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// What a package holds of use.
#[derive(Default)]
struct Parts {
    release: String,
    kernel: Vec<u8>,
    /// By name, without `.ko`.
    modules: HashMap<String, Vec<u8>>,
}

/// A guest that is in no file yet.
struct Made {
    description: Description,
    kernel: Vec<u8>,
    initrd: Vec<u8>,
}

/// The modules of a list, in order.
fn named_in(list: &'static str) -> impl Iterator<Item = &'static str> {
    lines(list).map(|(_, name)| name)
}

impl Parts {
    fn of(package: &Path) -> Result<Parts, GuestError> {
        let broken = |reason: String| GuestError::Package { package: package.display().to_string(), reason };
        let failed = |error: io::Error| broken(error.to_string());
        let mut unpack = tool("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(package)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| GuestError::Program {
                program: "dpkg-deb",
                doing: "to unpack the kernel".to_owned(),
                reason: error.to_string(),
            })?;
        let mut parts = Parts::default();
        let taken = unpack.stdout.take().map(|tar| parts.take(tar)).transpose();
        let status = unpack.wait().map_err(failed)?;
        taken.map_err(failed)?;
        if !status.success() {
            return Err(broken("dpkg-deb cannot read it".to_owned()));
        }
        if parts.kernel.is_empty() {
            return Err(broken("it holds no kernel (boot/vmlinuz-…)".to_owned()));
        }
        Ok(parts)
    }

    fn take(&mut self, tar: impl io::Read) -> io::Result<()> {
        let wanted: Vec<_> = [MODULES, ENGINE_MODULES].into_iter().flat_map(named_in).collect();
        for entry in tar::Archive::new(tar).entries()? {
            let entry = entry?;
            let path = entry.path()?.into_owned();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            let is_file = entry.header().entry_type().is_file();
            let content = || {
                let mut content = Vec::new();
                entry.take(MAX_FILE_BYTES).read_to_end(&mut content).map(|_| content)
            };
            if let Some(release) = name.strip_prefix("vmlinuz-")
                && is_file
            {
                self.kernel = content()?;
                self.release = release.to_owned();
            } else if let Some(module) = name.strip_suffix(".ko")
                && is_file
                && wanted.contains(&module)
            {
                self.modules.insert(module.to_owned(), content()?);
            }
        }
        Ok(())
    }

    fn into_guest(self, package: &str) -> Made {
        let mut archive = Archive::default();
        for folder in ["dev", "proc", "sys", "root", "modules"] {
            archive.folder(folder);
        }
        archive.console("dev/console");
        archive.file("init", launcher_program());
        for (name, modules) in [("modules/list", MODULES), ("modules/engine", ENGINE_MODULES)] {
            let mut list = String::new();
            for name in named_in(modules) {
                if let Some(content) = self.modules.get(name) {
                    archive.file(&format!("modules/{name}.ko"), content);
                    list.push_str(&format!("/modules/{name}.ko\n"));
                }
            }
            archive.file(name, list.as_bytes());
        }
        let initrd = [firmware(), archive.finish()].concat();
        let mut digest = Sha256::new();
        digest.update((self.kernel.len() as u64).to_le_bytes());
        digest.update(&self.kernel);
        digest.update(&initrd);
        let description = Description {
            release: self.release,
            package: package.to_owned(),
            launcher: launcher_digest(),
            digest: in_hex(digest),
        };
        Made { description, kernel: self.kernel, initrd }
    }
}

/// The beginning of an initial file system, for QEMU's machines: the kernel looks for tables in the first archive, before it has a
/// file system.
pub(super) fn firmware() -> Vec<u8> {
    let mut firmware = Archive::default();
    let [folders @ .., table] = acpi::PATH;
    folders.iter().for_each(|folder| firmware.folder(folder));
    firmware.file(table, &acpi::table());
    firmware.finish()
}

/// Digest of the launcher that this program's guests carry.
pub(super) fn launcher_digest() -> String {
    in_hex(Sha256::new().chain_update(launcher_program()))
}

pub(super) fn in_hex(digest: Sha256) -> String {
    let digits: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_module_stands_in_the_lists_twice_and_each_has_a_reason() {
        let mut seen = std::collections::HashSet::new();
        for list in [MODULES, ENGINE_MODULES] {
            for (number, name) in lines(list) {
                assert!(seen.insert(name), "{name}");
                let line = list.lines().nth(number - 1).unwrap();
                assert!(line.split_once('#').is_some_and(|(_, reason)| !reason.trim().is_empty()), "{line}");
            }
        }
    }

    #[test]
    fn the_modules_of_an_engine_are_in_every_guest_in_a_list_of_their_own() {
        let modules = ["virtio", "overlay", "bridge", "llc"];
        let parts = Parts {
            release: "1".to_owned(),
            kernel: b"kernel".to_vec(),
            modules: modules.map(|name| (name.to_owned(), name.as_bytes().to_vec())).into(),
        };
        let initrd = parts.into_guest("package 1").initrd;
        let count = |text: &str| initrd.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
        assert_eq!(count("/modules/virtio.ko\n/modules/overlay.ko\n"), 1);
        assert_eq!(count("/modules/llc.ko\n/modules/bridge.ko\n"), 1);
        // The name of the file, and its line.
        assert_eq!((count("modules/llc.ko"), count("modules/engine\0")), (2, 1));
    }
}
