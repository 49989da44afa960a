//! File data, written while the archive is read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use super::format::BLOCK;
use crate::unpack::Refusal;
use crate::unpack::fault::Fault;
use crate::unpack::layer::Place;
use crate::unpack::tar::TarReader;

/// Files up to this size stand with their inode: one read gives both, and they waste no block.
const MAX_INLINE: u64 = 1024;
/// Small files kept in memory until the metadata is written.
const INLINE_BUDGET: u64 = 64 << 20;

/// The area of the image that holds the data of files.
#[derive(Debug)]
pub struct DataArea<'a> {
    output: &'a File,
    next_block: u64,
    inline_bytes: u64,
}

impl<'a> DataArea<'a> {
    /// An empty area in `output`, behind the superblock.
    pub fn new(output: &'a File) -> DataArea<'a> {
        DataArea { output, next_block: 1, inline_bytes: 0 }
    }

    /// The first block behind the area.
    pub(super) fn end_block(&self) -> u64 {
        self.next_block
    }

    /// Takes the data of the reader's current entry, of `size` bytes.
    ///
    /// # Errors
    /// Fails where the input or the output does.
    pub fn store<R: Read>(&mut self, size: u64, data: &mut TarReader<R>) -> Result<Place, Fault> {
        if size == 0 {
            return Ok(Place::Nothing);
        }
        if size <= MAX_INLINE && self.inline_bytes + size <= INLINE_BUDGET {
            let mut bytes = vec![0; size as usize].into_boxed_slice();
            while let Some((offset, chunk)) = data.chunk()? {
                let range = offset as usize..offset as usize + chunk.len();
                bytes.get_mut(range).ok_or(Refusal::Truncated)?.copy_from_slice(chunk);
            }
            self.inline_bytes += size;
            return Ok(Place::Inline(bytes));
        }
        let block = self.next_block;
        while let Some((offset, chunk)) = data.chunk()? {
            self.output.write_all_at(chunk, block * BLOCK + offset).map_err(Fault::Output)?;
        }
        self.next_block += size.div_ceil(BLOCK);
        Ok(Place::At(block))
    }
}
