//! A writer of EROFS images: uncompressed, 4 KiB blocks.
//!
//! ```text
//!   block 0     superblock
//!   block 1 …   data of files, each from a block border on, in the order of the archive
//!   …           blocks of large directories and links
//!   …           inodes with their attributes, small files, small directories, link targets
//! ```
//!
//! File data goes out while the archive comes in; everything else once it has ended. Data of a file that a later entry
//! replaced stays in the image, unreachable; holes of sparse files are holes of the image file. The same archive always
//! gives the same image.

mod data;
mod format;
mod image;
mod layout;

pub use data::DataArea;
pub use image::write_metadata;
