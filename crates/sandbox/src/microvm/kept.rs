//! Where saved machines are kept beside their guest, for the next process.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{SeekFrom as RawSeek, seek};
use sha2::{Digest as _, Sha256};

use super::MicroVmConfig;
use super::machine::Shape;
use crate::guest::scratch::{PREFIX, hold, making, sweep};

/// In the guest's folder.
const FOLDER: &str = "templates";
/// Kept of one guest beside those in use; each holds some 120 MiB.
pub(super) const MOST: usize = 4;
/// Shorter runs of zeros are not worth a hole.
const BLOCK: usize = 4096;

/// Where the saved machine of this shape is. It depends on the monitor, the guest, the shape, what its launcher was told
/// (`settings`), and the speed of the host's counter since its start.
pub(super) fn place(config: &MicroVmConfig, monitor: &Path, shape: Shape, settings: &str) -> PathBuf {
    let monitor = fs::metadata(monitor).map(|found| (found.ino(), found.size(), found.mtime())).ok();
    let started = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let engine = config.engine.as_ref().filter(|_| shape.engine);
    let text = format!("4 {shape:?} {monitor:?} {started} {} {engine:?} {settings}", config.guest.description.digest);
    let name: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    config.guest.folder.join(FOLDER).join(name)
}

/// A saved machine on its way to its place: there whole or not at all.
pub(super) struct Making {
    /// Nobody else looks into it.
    pub(super) path: PathBuf,
    place: PathBuf,
    held: File,
}

impl Making {
    /// Removes what dead processes left there.
    pub(super) fn new(place: &Path) -> io::Result<Making> {
        let parent = place.parent().unwrap_or(place);
        fs::create_dir_all(parent)?;
        sweep(parent);
        let path = parent.join(making(&place.file_name().unwrap_or_default().to_string_lossy()));
        fs::create_dir(&path)?;
        let held = hold(&path)?;
        held.set_permissions(Permissions::from_mode(0o700))?;
        Ok(Making { path, place: place.to_owned(), held })
    }

    /// Puts it there, and removes the oldest of many.
    pub(super) fn finish(self) -> io::Result<()> {
        // Who finds it uses it at once.
        self.held.lock_shared()?;
        fs::rename(&self.path, &self.place)?;
        forget_oldest(&self.place);
        Ok(())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Says that a saved machine is in use, now and while the file is open.
pub(super) fn in_use(place: &Path) -> io::Result<File> {
    let folder = File::open(place)?;
    folder.try_lock_shared()?;
    let _ = folder.set_modified(SystemTime::now());
    Ok(folder)
}

/// Removes a saved machine that nobody uses: one that is damaged, say.
pub(super) fn remove(place: &Path) {
    let Ok(folder) = File::open(place) else { return };
    if folder.try_lock().is_ok() {
        let _ = fs::remove_dir_all(place);
    }
}

/// Those of former starts of the host, and shapes that nobody has asked for lately.
fn forget_oldest(newest: &Path) {
    let entries = fs::read_dir(newest.parent().unwrap_or(newest)).into_iter().flatten().flatten();
    let made = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_whole = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with(PREFIX);
    let mut all: Vec<_> = entries.filter(is_whole).map(|entry| entry.path()).filter(|path| path != newest).collect();
    all.sort_by_key(|path| std::cmp::Reverse(made(path)));
    let is_used = |path: &&PathBuf| !File::open(path).is_ok_and(|folder| folder.try_lock().is_ok());
    all.iter().filter(|path| !is_used(path)).skip(MOST - 1).for_each(|path| remove(path));
}

/// Copies what is there of a file with holes to the same places of another.
pub(super) fn copy_data(from: &File, to: &File) -> io::Result<()> {
    // Opened anew, for where a file is read is shared by all who have it from one opening.
    let mut from = &File::open(format!("/proc/self/fd/{}", from.as_raw_fd()))?;
    let mut to = to;
    let end = from.metadata()?.len();
    let mut at = 0;
    while at < end {
        let data = match seek(from, RawSeek::Data(at)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let hole = seek(from, RawSeek::Hole(data))?;
        from.seek(SeekFrom::Start(data))?;
        to.seek(SeekFrom::Start(data))?;
        io::copy(&mut Read::take(&mut from, hole - data), &mut to)?;
        at = hole;
    }
    to.flush()
}

/// Copies a file, with holes where it is zero.
pub(super) fn copy_with_holes(mut from: &File, mut to: &File) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let mut count = 0;
        while count < BLOCK {
            match from.read(&mut block[count..])? {
                0 => break,
                more => count += more,
            }
        }
        if block[..count].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(&block[..count])?;
        }
        at += count as u64;
        if count < BLOCK {
            return to.set_len(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_become_holes_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let check = |content: &[u8], most_blocks: u64| {
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::write(&from, content).unwrap();
            let copy = File::create(&to).unwrap();
            copy_with_holes(&File::open(&from).unwrap(), &copy).unwrap();
            assert!(fs::read(&to).unwrap() == content, "{} bytes", content.len());
            let blocks = copy.metadata().unwrap().blocks();
            assert!(blocks <= most_blocks, "{blocks}");
        };
        check(b"", 0);
        check(b"short", 8);
        let mut long = vec![0; (1 << 20) + 5];
        check(&long, 0);
        long[1 << 19] = 1;
        *long.last_mut().unwrap() = 1;
        check(&long, 16);
    }

    #[test]
    fn what_is_whole_is_used_at_once_and_what_is_damaged_goes() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("one");
        let making = Making::new(&place).unwrap();
        // Who makes it lives on while another finds it.
        let finished = making.finish();
        let used = in_use(&place).unwrap();
        assert!(finished.is_ok());
        remove(&place);
        assert!(place.exists(), "somebody uses it");
        drop(used);
        let again = Making::new(&place).unwrap();
        remove(&place);
        assert!(!place.exists());
        again.finish().unwrap();
    }

    #[test]
    fn what_is_in_use_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let places = [0, 1, 2, 3, 4, 5].map(|number| folder.path().join(format!("{number}")));
        let mut held = None;
        for (index, place) in places.iter().enumerate() {
            let making = Making::new(place).unwrap();
            assert!(!place.exists(), "it is not whole");
            making.finish().unwrap();
            let age = std::time::Duration::from_secs(60 * (10 - index as u64));
            File::open(place).unwrap().set_modified(SystemTime::now() - age).unwrap();
            held = held.or_else(|| in_use(place).ok());
        }
        let there = places.each_ref().map(|place| place.exists());
        assert_eq!(there, [true, false, true, true, true, true], "the first is in use, the next is forgotten");
    }
}
