//! What an image has at some path: asked of the engine once, and kept, for an image by digest never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use launcher::accounts::MAX_BYTES;
use sandbox::{CreateError, DriverError};

use crate::engine::{Engine, failed, is_missing};

/// Images that are remembered; one more, and all are forgotten.
const MAX_IMAGES: usize = 64;
/// Paths of one image that are remembered.
const MAX_PATHS: usize = 1024;
/// What an archive has around the content of one file.
const AROUND: u64 = 4096;
/// Bits of the engine's modes, which are those of Go.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Missing,
    Folder {
        mode: u32,
    },
    /// To a path without links.
    Link {
        target: String,
    },
    Other,
}

/// A regular file as it is in an archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) text: String,
    /// Owner, group, mode.
    pub(crate) held: (u64, u64, u32),
}

/// All that is known of one image.
#[derive(Default)]
pub(crate) struct Seen {
    paths: HashMap<String, Found>,
    files: HashMap<String, File>,
}

/// Images by id.
#[derive(Default)]
pub(crate) struct Images(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Seen>>>>);

impl Images {
    /// Whoever asks first looks, and others wait for it.
    pub(crate) fn of(&self, image: &str) -> Arc<tokio::sync::Mutex<Seen>> {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if images.len() >= MAX_IMAGES && !images.contains_key(image) {
            images.clear();
        }
        Arc::clone(images.entry(image.to_owned()).or_default())
    }
}

/// Where to look: a container of the image in which no program has run.
pub(crate) enum At {
    /// One that is there.
    Container(String),
    /// One to be made when there is something to be looked at.
    Fresh(Box<bollard::models::ContainerCreateBody>),
    /// One that was made for that.
    Made(String),
}

/// A look at an image.
pub(crate) struct Look<'a> {
    engine: &'a Engine,
    at: At,
    seen: &'a mut Seen,
}

impl<'a> Look<'a> {
    pub(crate) fn new(engine: &'a Engine, at: At, seen: &'a mut Seen) -> Look<'a> {
        if seen.paths.len() > MAX_PATHS {
            *seen = Seen::default();
        }
        Look { engine, at, seen }
    }

    async fn container(&mut self) -> Result<String, DriverError> {
        let body = match &self.at {
            At::Container(id) | At::Made(id) => return Ok(id.clone()),
            At::Fresh(body) => (**body).clone(),
        };
        let made = self.engine.client.create_container(None, body).await;
        let id = made.map_err(failed("make a container to look into"))?.id;
        self.at = At::Made(id.clone());
        Ok(id)
    }

    /// Removes what was made. To be called whatever came of the look.
    pub(crate) async fn done(self) {
        let At::Made(id) = self.at else { return };
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        if let Err(error) = self.engine.client.remove_container(&id, Some(options)).await {
            tracing::warn!(%error, id, "a container to look into stays until the next sweep");
        }
    }

    /// What is at a path without links before its last part.
    pub(crate) async fn found(&mut self, path: &str) -> Result<Found, CreateError> {
        if let Some(found) = self.seen.paths.get(path) {
            return Ok(found.clone());
        }
        let container = self.container().await?;
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let found = match self.engine.client.get_container_archive_info(&container, Some(options)).await {
            Ok(stat) if stat.file_mode & GO_LINK != 0 => Found::Link { target: stat.link_target },
            Ok(stat) if stat.file_mode & GO_FOLDER != 0 => Found::Folder { mode: mode(stat.file_mode) },
            Ok(_) => Found::Other,
            Err(error) if is_missing(&error) => Found::Missing,
            Err(error) => return Err(failed(format!("look at {path} of the image"))(error).into()),
        };
        self.seen.paths.insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// A file, where there is a regular one; links lead where they lead inside.
    pub(crate) async fn file(&mut self, path: &str) -> Result<(String, Option<File>), CreateError> {
        let place = match self.found(path).await? {
            Found::Link { target } => target,
            _ => path.to_owned(),
        };
        if let Some(file) = self.seen.files.get(&place) {
            return Ok((place, Some(file.clone())));
        }
        if self.found(&place).await? != Found::Other {
            return Ok((place, None));
        }
        let container = self.container().await?;
        let options = DownloadFromContainerOptionsBuilder::default().path(&place).build();
        let mut stream = std::pin::pin!(self.engine.client.download_from_container(&container, Some(options)));
        let mut archive = Vec::new();
        while let Some(piece) = stream.next().await {
            archive.extend_from_slice(&piece.map_err(failed(format!("read {place} of the image")))?);
            // The rest is not looked at.
            if archive.len() as u64 > MAX_BYTES + AROUND {
                break;
            }
        }
        let file = first(&archive);
        if let Some(file) = &file {
            self.seen.files.insert(place.clone(), file.clone());
        }
        Ok((place, file))
    }
}

/// The first entry of an archive that may be cut off.
fn first(archive: &[u8]) -> Option<File> {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let header = entry.header();
    if !header.entry_type().is_file() {
        return None;
    }
    let held = (header.uid().ok()?, header.gid().ok()?, header.mode().ok()? & 0o7777);
    let mut text = Vec::new();
    let _ = (&mut entry).take(MAX_BYTES).read_to_end(&mut text);
    Some(File { text: String::from_utf8_lossy(&text).into_owned(), held })
}

/// Permissions as everybody but Go writes them.
fn mode(go: u32) -> u32 {
    let bit = |from: u32, to: u32| if go & from != 0 { to } else { 0 };
    (go & 0o777) | bit(GO_SETUID, 0o4000) | bit(GO_SETGID, 0o2000) | bit(GO_STICKY, 0o1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_translated() {
        assert_eq!(mode(GO_FOLDER | GO_STICKY | 0o777), 0o1777);
        assert_eq!(mode(GO_SETUID | GO_SETGID | 0o755), 0o6755);
    }

    #[test]
    fn a_file_is_read_even_of_an_archive_that_is_cut_off() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2000);
        header.set_mode(0o644);
        header.set_uid(3);
        header.set_gid(0);
        builder.append_data(&mut header, "passwd", [b'x'; 2000].as_slice()).unwrap();
        let archive = builder.into_inner().unwrap();
        let file = first(&archive).unwrap();
        assert_eq!((file.text.len(), file.held), (2000, (3, 0, 0o644)));
        assert_eq!(first(&archive[..1512]).unwrap().text.len(), 1000);
        assert!(first(&archive[..100]).is_none());
    }
}
