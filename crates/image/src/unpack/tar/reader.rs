//! Entry after entry, without copying their data.

use std::io::{ErrorKind, Read};

use super::header::{BLOCK, Header, kind_of, text};
use super::pax::{Pax, SparseForm};
use super::sparse::{self, MapInData};
use super::{Entry, EntryKind, Segment};
use crate::unpack::Refusal;
use crate::unpack::fault::{Fault, shown};

/// One read of the input: fits the second-level cache together with what the kernel copies it from.
const BUFFER: usize = 256 * 1024;
/// Largest extension header. Go's reader has the same limit.
const MAX_EXTENSION: i64 = 1 << 20;

/// Reads a tar archive from `R` without seeking.
pub struct TarReader<R> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Offset in the archive of `buffer[start]`.
    position: u64,
    /// Bytes of the current entry's data not yet taken.
    left: u64,
    /// Bytes of padding behind it.
    padding: u64,
    /// Map of the current entry in reverse order, if it is sparse, and the offset in the file otherwise.
    segments: Option<Vec<Segment>>,
    offset: u64,
}

impl<R: Read> TarReader<R> {
    /// A reader at the start of an archive.
    pub fn new(input: R) -> TarReader<R> {
        TarReader {
            input,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            position: 0,
            left: 0,
            padding: 0,
            segments: None,
            offset: 0,
        }
    }

    /// The next entry; `None` at the end of the archive. Data of the entry before that was not taken is skipped.
    ///
    /// # Errors
    /// Refuses what is not a tar archive, or one that is damaged.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        let mut pax = Pax::default();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.skip(self.left + self.padding)?;
            (self.left, self.padding, self.segments) = (0, 0, None);
            let at = self.position;
            let Some(block) = self.header()? else { return Ok(None) };
            let header = Header::check(&block, at)?;
            match header.type_flag() {
                flag @ (b'x' | b'g' | b'L' | b'K') => {
                    let value = self.extension(&header)?;
                    match flag {
                        b'x' => pax = Pax::parse(&value, at)?,
                        b'L' => long_name = Some(text(&value).to_vec()),
                        b'K' => long_link = Some(text(&value).to_vec()),
                        // Global records are for archivers; container tools ignore them, so they must not count here.
                        _ => {}
                    }
                }
                _ => return self.entry(&header, pax, long_name, long_link).map(Some),
            }
        }
    }

    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Fault> {
        let size = header.size()?;
        if !(0..=MAX_EXTENSION).contains(&size) {
            return Err(header.malformed("an extension header of that size").into());
        }
        let mut value = vec![0; size.unsigned_abs() as usize];
        self.take(&mut value)?;
        self.padding = padding(size.unsigned_abs());
        Ok(value)
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        pax: Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, Fault> {
        let id = |value: i64, what: &str| -> Result<u32, Refusal> {
            u32::try_from(value).ok().filter(|id| *id != u32::MAX).ok_or_else(|| header.malformed(what))
        };
        let form = pax.sparse.form().ok_or_else(|| header.malformed("a sparse file of an unknown form"))?;
        let mut name = long_name.or(pax.path).unwrap_or_else(|| header.name());
        let kind = kind_of(header.type_flag(), &name);
        if form != SparseForm::None {
            name = pax.sparse.name.unwrap_or(name);
        }
        let mut entry = Entry {
            name,
            link: long_link.or(pax.link).unwrap_or_else(|| header.link()),
            kind,
            mode: header.mode()?,
            uid: id(pax.uid.map_or_else(|| header.uid(), Ok)?, "owner out of range")?,
            gid: id(pax.gid.map_or_else(|| header.gid(), Ok)?, "group out of range")?,
            mtime: pax.mtime.map_or_else(|| header.mtime(), Ok)?,
            size: 0,
            xattrs: pax.xattrs,
        };
        let size = pax.size.map_or_else(|| header.size(), Ok)?;
        let size = u64::try_from(size).map_err(|_| header.malformed("negative size"))?;
        // Kinds without data have none, whatever their size field says; unknown kinds may have.
        if matches!(kind, EntryKind::File | EntryKind::Unknown(_)) {
            entry.size = size;
            self.left = size;
            self.padding = padding(size);
            self.offset = 0;
        }
        let is_old_sparse = header.type_flag() == b'S';
        if kind != EntryKind::File && (is_old_sparse || form != SparseForm::None) {
            return Err(header.malformed("a sparse file that is no file").into());
        }
        if is_old_sparse {
            self.old_sparse(header, &mut entry)?;
        } else if form != SparseForm::None {
            self.pax_sparse(form, pax.sparse.size, &mut entry)?;
        }
        Ok(entry)
    }

    fn old_sparse(&mut self, header: &Header<'_>, entry: &mut Entry) -> Result<(), Fault> {
        let lie = || Refusal::SparseLie(shown(&entry.name));
        let size = u64::try_from(header.sparse_size()?).map_err(|_| lie())?;
        let (fields, mut more) = header.sparse_map()?;
        let mut map = vec![];
        sparse::old_gnu(fields, &mut map).ok_or_else(lie)?;
        while more {
            let mut block = [0; BLOCK];
            self.take(&mut block)?;
            sparse::old_gnu(&block[..504], &mut map).ok_or_else(lie)?;
            more = block[504] != 0;
        }
        self.use_map(map, size, entry)
    }

    fn pax_sparse(&mut self, form: SparseForm, size: Option<i64>, entry: &mut Entry) -> Result<(), Fault> {
        let lie = || Refusal::SparseLie(shown(&entry.name));
        let size = match size {
            Some(size) => u64::try_from(size).map_err(|_| lie())?,
            None => entry.size,
        };
        let map = match form {
            SparseForm::Records(map) => map,
            _ => {
                let mut map = MapInData::default();
                loop {
                    let mut block = [0; BLOCK];
                    self.left = self.left.checked_sub(BLOCK as u64).ok_or_else(lie)?;
                    self.take(&mut block)?;
                    if map.feed(&block).ok_or_else(lie)? {
                        break map.segments();
                    }
                }
            }
        };
        self.use_map(map, size, entry)
    }

    fn use_map(&mut self, mut map: Vec<Segment>, size: u64, entry: &mut Entry) -> Result<(), Fault> {
        if !sparse::is_honest(&map, size, self.left) {
            return Err(Refusal::SparseLie(shown(&entry.name)).into());
        }
        entry.size = size;
        map.retain(|segment| segment.length > 0);
        map.reverse();
        self.segments = Some(map);
        Ok(())
    }

    /// The next piece of the current entry's data with its offset in the file; `None` when there is no more. Offsets
    /// rise; what lies between is a hole.
    ///
    /// # Errors
    /// Refuses an archive that ends within the data.
    pub fn chunk(&mut self) -> Result<Option<(u64, &[u8])>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.start == self.end {
            self.fill(1)?;
        }
        let mut length = self.left.min((self.end - self.start) as u64) as usize;
        let mut offset = self.offset;
        if let Some(map) = &mut self.segments {
            let segment = map.last_mut().ok_or(Refusal::Truncated)?;
            length = segment.length.min(length as u64) as usize;
            offset = segment.offset;
            segment.offset += length as u64;
            segment.length -= length as u64;
            if segment.length == 0 {
                map.pop();
            }
        }
        let from = self.start;
        self.start += length;
        self.position += length as u64;
        self.left -= length as u64;
        self.offset = offset + length as u64;
        Ok(Some((offset, &self.buffer[from..from + length])))
    }

    /// Reads what follows the end of the archive. Returns how many bytes of it were not zero.
    ///
    /// # Errors
    /// Fails where the input does.
    pub fn drain(&mut self) -> Result<u64, Fault> {
        let mut garbage = 0;
        loop {
            // Padding is zero, long and common: compare it by machine words.
            let rest = &self.buffer[self.start..self.end];
            let (head, words, tail) = (rest.chunks_exact(16), 0_u128.to_ne_bytes(), rest.chunks_exact(16).remainder());
            let nonzero = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != 0).count() as u64;
            garbage += head.filter(|chunk| **chunk != words).map(nonzero).sum::<u64>() + nonzero(tail);
            (self.start, self.end) = (0, 0);
            if self.read_more()? == 0 {
                return Ok(garbage);
            }
        }
    }

    /// A header block, or `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let mut block = [0; BLOCK];
        if self.start == self.end && self.read_more()? == 0 {
            // An archive without an end mark, as some writers leave it. If it was cut off, its digest says so.
            return Ok(None);
        }
        let at = self.position;
        self.take(&mut block)?;
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        // The end mark is two blocks of zeros; one at the very end is good enough, as elsewhere.
        if self.start == self.end && self.read_more()? == 0 {
            return Ok(None);
        }
        self.take(&mut block)?;
        if block == [0; BLOCK] {
            return Ok(None);
        }
        Err(Refusal::Malformed { at, what: "a block of zeros between entries".to_owned() }.into())
    }

    fn take(&mut self, into: &mut [u8]) -> Result<(), Fault> {
        let mut done = 0;
        while done < into.len() {
            if self.start == self.end {
                self.fill(1)?;
            }
            let length = (into.len() - done).min(self.end - self.start);
            into[done..done + length].copy_from_slice(&self.buffer[self.start..self.start + length]);
            self.start += length;
            self.position += length as u64;
            done += length;
        }
        Ok(())
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Fault> {
        while count > 0 {
            if self.start == self.end {
                self.fill(1)?;
            }
            let length = count.min((self.end - self.start) as u64);
            self.start += length as usize;
            self.position += length;
            count -= length;
        }
        Ok(())
    }

    fn fill(&mut self, wanted: usize) -> Result<(), Fault> {
        if self.read_more()? < wanted {
            return Err(Refusal::Truncated.into());
        }
        Ok(())
    }

    /// Reads into the empty buffer. Returns 0 at the end of the input.
    fn read_more(&mut self) -> Result<usize, Fault> {
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(count) => {
                    (self.start, self.end) = (0, count);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Input(error)),
            }
        }
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
