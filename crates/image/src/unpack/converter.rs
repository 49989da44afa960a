//! The trusted side: starts the children, relays, hashes, and turns what they say into a result.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Compression, Sha256Digest, UnpackError, UnpackLimits, Unpacked};

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

/// One line of a user or group id mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside the user namespace.
    pub inside: u32,
    /// First id on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Which ids the files of a folder get on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// The ids of the archive as they are; needs root.
    Host,
    /// Inside a user namespace with these ranges, set with `newuidmap` and `newgidmap`.
    Subordinate {
        /// User ids.
        uids: Vec<IdRange>,
        /// Group ids.
        gids: Vec<IdRange>,
    },
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
        let _ = (blob, expected, output);
        Err(UnpackError::Output("not there yet".into()))
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
        let _ = (blob, expected, folder, ids);
        Err(UnpackError::Output("not there yet".into()))
    }

    /// Removes a folder made by [`to_folder`](Self::to_folder), finished or not. Its files belong to ids that only the
    /// user namespace may touch. Removing what is not there succeeds.
    ///
    /// # Errors
    /// See [`UnpackError`].
    pub fn remove_folder(&self, folder: &Path, ids: &IdMap) -> Result<(), UnpackError> {
        let _ = (folder, ids);
        Err(UnpackError::Output("not there yet".into()))
    }
}
