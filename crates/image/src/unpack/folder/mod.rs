//! The other form of a layer: files in a folder, for users whose kernel mounts no EROFS for them.
//!
//! The same tree as for an image is built first, in memory; meanwhile the data of files goes into files that have only
//! numbers. Names are given out at the end, from the finished tree, into a fresh folder. So what holds for the image
//! holds here: no name of an archive is ever resolved by the kernel while the archive can still change what it means.
//!
//! ```text
//!   FOLDER/data/17     data of a file, until it has its name
//!   FOLDER/fs/…        the layer
//! ```

pub(super) mod child;
mod ids;
mod remove;
mod write;

pub(super) use ids::set_maps;
pub use ids::{IdMap, IdRange};
