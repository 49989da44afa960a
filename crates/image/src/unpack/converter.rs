//! The trusted side: starts the children, relays, hashes, and turns what they say into a result.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::child::Order;
use super::folder::set_maps;
use super::process::{CONVERTER, Confined, DECOMPRESSOR};
use super::relay::{Relayed, Source, relay};
use super::{Compression, IdMap, LayerReport, Sha256Digest, UnpackError, UnpackLimits, Unpacked, probe};

/// What the manifest and the image configuration promise about a layer. What is `None` is not checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Compression that the media type promises.
    pub compression: Option<Compression>,
    /// Digest of the blob.
    pub blob: Option<Sha256Digest>,
    /// Bytes of the blob; reading stops behind them.
    pub blob_bytes: Option<u64>,
    /// Digest of the uncompressed tar stream.
    pub diff_id: Option<Sha256Digest>,
}

/// Converts layers by starting `program` again with `args` and a hidden order behind them; that process must call
/// [`child_main`](super::child_main) first thing.
///
/// All methods block: call them from a thread that may (`tokio::task::spawn_blocking`). To cancel, let the reader fail.
#[derive(Clone, Debug)]
pub struct Converter {
    program: PathBuf,
    args: Vec<OsString>,
    limits: UnpackLimits,
}

impl Converter {
    /// A converter whose children are `program args... ORDER`.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = OsString>) -> Converter {
        Converter { program: program.into(), args: args.into_iter().collect(), limits: UnpackLimits::default() }
    }

    /// A converter whose children are this executable, called with `args` first.
    ///
    /// # Errors
    /// Fails where the path of the executable cannot be found.
    pub fn of_this_program(args: impl IntoIterator<Item = OsString>) -> io::Result<Converter> {
        Ok(Converter::new(std::env::current_exe()?, args))
    }

    /// The same with other limits.
    pub fn with_limits(mut self, limits: UnpackLimits) -> Converter {
        self.limits = limits;
        self
    }

    /// Writes the layer as an EROFS image into `output`, which must be empty, readable and writable. On success the
    /// file is complete (not yet synced to disk); on an error it is garbage and must be deleted.
    ///
    /// # Errors
    /// See [`UnpackError`].
    pub fn to_erofs(
        &self,
        blob: impl Read + Send,
        expected: &Expected,
        output: &File,
    ) -> Result<Unpacked, UnpackError> {
        let source = Source::open(blob, expected)?;
        let output = output.try_clone().map_err(|source| UnpackError::Spawn { child: CONVERTER, source })?;
        let child = self.start(CONVERTER, Order::Erofs { limits: self.limits }, None, output.into())?;
        self.convert(source, expected, child)
    }

    /// Writes the layer as files into the empty directory `folder`, in which `fs` is then the root of the layer.
    /// Whiteouts and opaque directories have the form that overlay reads with `userxattr`.
    ///
    /// # Errors
    /// See [`UnpackError`]; after one, the folder needs [`remove_folder`](Self::remove_folder).
    pub fn to_folder(
        &self,
        blob: impl Read + Send,
        expected: &Expected,
        folder: &Path,
        ids: &IdMap,
    ) -> Result<Unpacked, UnpackError> {
        let source = Source::open(blob, expected)?;
        let mapped = *ids != IdMap::Host;
        let child = self.start_in_folder(Order::Folder { limits: self.limits, mapped }, folder, ids)?;
        self.convert(source, expected, child)
    }

    /// Removes a folder made by [`to_folder`](Self::to_folder), finished or not. Its files belong to ids that only the
    /// user namespace may touch. Removing what is not there succeeds.
    ///
    /// # Errors
    /// See [`UnpackError`].
    pub fn remove_folder(&self, folder: &Path, ids: &IdMap) -> Result<(), UnpackError> {
        match std::fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(UnpackError::Output(error.to_string())),
        }
        let mapped = *ids != IdMap::Host;
        self.start_in_folder(Order::Remove { limits: self.limits, mapped }, folder, ids)?.finish()?;
        std::fs::remove_dir(folder).map_err(|error| UnpackError::Output(error.to_string()))
    }

    /// Lets a child try what it must not be able to do; `Ok` if it could.
    ///
    /// # Errors
    /// Says how it was stopped.
    pub fn probe(&self, deed: probe::Deed, walls: probe::Standing) -> Result<LayerReport, UnpackError> {
        let converter = self.clone().with_limits(probe::limits());
        converter.start(CONVERTER, Order::Probe { deed, walls }, None, Stdio::null())?.finish()
    }

    fn start(
        &self,
        name: &'static str,
        order: Order,
        folder: Option<&Path>,
        output: Stdio,
    ) -> Result<Confined, UnpackError> {
        Confined::start(&self.program, &self.args, name, order, folder, output, self.limits)
    }

    fn start_in_folder(&self, order: Order, folder: &Path, ids: &IdMap) -> Result<Confined, UnpackError> {
        let mut child = self.start(CONVERTER, order, Some(folder), Stdio::piped())?;
        let IdMap::Subordinate { uids, gids } = ids else { return Ok(child) };
        let mut ready = [0];
        let is_ready = child.output().is_some_and(|output| output.read_exact(&mut ready).is_ok());
        if !is_ready {
            // It says why.
            child.finish()?;
            return Err(UnpackError::IdMap("the child ended before its ids were mapped".to_owned()));
        }
        set_maps(child.id(), uids, gids)?;
        // If it died meanwhile, the next write to it fails as well, and it is asked then.
        let _ = child.input().map(|input| input.write_all(b"g"));
        Ok(child)
    }

    fn convert<R: Read + Send>(
        &self,
        source: Source<R>,
        expected: &Expected,
        mut converter: Confined,
    ) -> Result<Unpacked, UnpackError> {
        let compression = source.compression;
        let mut decompressor = match compression {
            Compression::Plain => None,
            _ => {
                let order = Order::Decompress { compression, limits: self.limits };
                Some(self.start(DECOMPRESSOR, order, None, Stdio::piped())?)
            }
        };
        let Relayed { blob, tar, verdict } = relay(source, decompressor.as_mut(), &mut converter, &self.limits);
        // What was promised comes first: a blob that is not the promised one explains every other failure.
        let verdict = verdict.and_then(|()| check_blob(&blob, expected));
        if let Err(error) = verdict {
            converter.stop();
            decompressor.iter_mut().for_each(Confined::stop);
            return Err(error);
        }
        if let Some(decompressor) = decompressor
            && let Err(error) = decompressor.finish()
        {
            // It may have failed only because the converter would take no more.
            return Err(match (&error, converter.finish()) {
                (UnpackError::Output(_), Err(cause)) => cause,
                _ => error,
            });
        }
        let layer = converter.finish()?;
        match expected.diff_id {
            Some(expected) if expected != tar.digest => Err(UnpackError::DiffId { expected, found: tar.digest }),
            _ => Ok(Unpacked {
                compression,
                blob: blob.digest,
                blob_bytes: blob.bytes,
                diff_id: tar.digest,
                tar_bytes: tar.bytes,
                layer,
            }),
        }
    }
}

fn check_blob(blob: &super::relay::Hashed, expected: &Expected) -> Result<(), UnpackError> {
    if let Some(expected) = expected.blob_bytes.filter(|expected| *expected != blob.bytes) {
        return Err(UnpackError::BlobSize { expected, found: blob.bytes });
    }
    match expected.blob {
        Some(expected) if expected != blob.digest => Err(UnpackError::BlobDigest { expected, found: blob.digest }),
        _ => Ok(()),
    }
}
