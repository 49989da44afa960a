//! Taking things away: by name, or the longest unused until a limit is met.
//!
//! An image is taken away under its exclusive lock, which its users exclude; a layer under its own, after a look at all
//! images that is made while the lock is held, so that no pull can come to rely on it in between.

use std::collections::HashSet;

use super::folders::Folders;
use super::lock::{FileLock, Mode};
use super::record::{ImageRecord, LayerRecord, NameRecord};
use super::{GcReport, Store};
use crate::{Digest, ImageError, Reference};

/// Digits that must be typed at least, so that a short word is a name.
const MIN_ID_DIGITS: usize = 6;

pub(super) fn remove(store: &Store, name: &str) -> Result<GcReport, ImageError> {
    let folders = store.folders();
    let names = NameRecord::all(folders)?;
    if let Ok(reference) = name.parse::<Reference>()
        && let Some(record) = names.iter().find(|record| record.reference.canonical() == reference.canonical())
    {
        let others = names
            .iter()
            .any(|other| other.digest == record.digest && other.reference.canonical() != reference.canonical());
        return match others {
            true => {
                record.remove(folders)?;
                Ok(GcReport { kept_bytes: total(folders)?, ..GcReport::default() })
            }
            false => remove_image(folders, &record.digest, &names),
        };
    }
    let id = name.strip_prefix("sha256:").unwrap_or(name);
    if id.len() < MIN_ID_DIGITS || !id.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(match name.parse::<Reference>() {
            Ok(reference) => ImageError::NotLocal(reference.familiar()),
            Err(error) => error.into(),
        });
    }
    let matches: Vec<Digest> =
        ImageRecord::all(folders)?.into_iter().filter(|digest| digest.hex().starts_with(id)).collect();
    match matches.as_slice() {
        [] => Err(ImageError::NotLocal(name.to_owned())),
        [digest] => remove_image(folders, digest, &names),
        several => Err(ImageError::Ambiguous { id: name.to_owned(), matches: several.len() }),
    }
}

fn remove_image(folders: &Folders, digest: &Digest, names: &[NameRecord]) -> Result<GcReport, ImageError> {
    let mut report = GcReport::default();
    if !take_image(folders, digest, names)? {
        return Err(ImageError::InUse(digest.to_string()));
    }
    report.removed_images.push(*digest);
    drop_unreferenced(folders, &mut report)?;
    drop_idle_locks(folders)?;
    report.kept_bytes = total(folders)?;
    Ok(report)
}

/// Lock files of what is gone, or was never there because it was refused. Who needs one makes it anew.
fn drop_idle_locks(folders: &Folders) -> Result<(), ImageError> {
    for path in folders.idle_locks()? {
        if let Some(_lock) = FileLock::try_take(&path, Mode::Exclusive)? {
            folders.discard(&path)?;
        }
    }
    Ok(())
}

pub(super) fn gc(store: &Store, limit_bytes: u64) -> Result<GcReport, ImageError> {
    let folders = store.folders();
    folders.sweep()?;
    let mut report = GcReport::default();
    drop_dangling_names(folders)?;
    drop_unreferenced(folders, &mut report)?;
    let mut images: Vec<Digest> = ImageRecord::all(folders)?;
    images.sort_by_key(|digest| ImageRecord::last_used(folders, digest));
    for digest in images {
        if total(folders)? <= limit_bytes {
            break;
        }
        match take_image(folders, &digest, &NameRecord::all(folders)?)? {
            true => report.removed_images.push(digest),
            false => report.in_use += 1,
        }
        drop_unreferenced(folders, &mut report)?;
    }
    report.kept_bytes = total(folders)?;
    Ok(report)
}

/// Removes an image's names and record; `false` where somebody uses it.
fn take_image(folders: &Folders, digest: &Digest, names: &[NameRecord]) -> Result<bool, ImageError> {
    let path = folders.lock("image", digest);
    let Some(_lock) = FileLock::try_take(&path, Mode::Exclusive)? else { return Ok(false) };
    for name in names.iter().filter(|name| name.digest == *digest) {
        name.remove(folders)?;
    }
    ImageRecord::remove(folders, digest)?;
    // Under the lock: whoever opened the file before finds that it has no name any more, and asks again.
    folders.discard(&path)?;
    Ok(true)
}

/// Names whose image is gone or unreadable are worth nothing.
fn drop_dangling_names(folders: &Folders) -> Result<(), ImageError> {
    for name in NameRecord::all(folders)? {
        if ImageRecord::read(folders, &name.digest).is_none() {
            name.remove(folders)?;
        }
    }
    for digest in ImageRecord::all(folders)? {
        if ImageRecord::read(folders, &digest).is_none() {
            ImageRecord::remove(folders, &digest)?;
        }
    }
    Ok(())
}

fn referenced(folders: &Folders) -> Result<HashSet<Digest>, ImageError> {
    let records = ImageRecord::all(folders)?;
    Ok(records
        .iter()
        .filter_map(|digest| ImageRecord::read(folders, digest))
        .flat_map(|record| record.layers)
        .collect())
}

fn drop_unreferenced(folders: &Folders, report: &mut GcReport) -> Result<(), ImageError> {
    let wanted = referenced(folders)?;
    let mut locked = Vec::new();
    for (diff_id, bytes) in LayerRecord::all(folders)? {
        if wanted.contains(&diff_id) {
            continue;
        }
        if let Some(lock) = FileLock::try_take(&folders.lock("layer", &diff_id), Mode::Exclusive)? {
            locked.push((diff_id, bytes, lock));
        }
    }
    if locked.is_empty() {
        return Ok(());
    }
    let wanted = referenced(folders)?;
    for (diff_id, bytes, lock) in locked {
        if !wanted.contains(&diff_id) {
            LayerRecord::remove(folders, &diff_id)?;
            folders.discard(&folders.lock("layer", &diff_id))?;
            report.removed_layers += 1;
            report.freed_bytes += bytes;
        }
        drop(lock);
    }
    Ok(())
}

/// Bytes that all layers take.
pub(super) fn total(folders: &Folders) -> Result<u64, ImageError> {
    Ok(LayerRecord::all(folders)?.iter().map(|(_, bytes)| bytes).sum())
}
